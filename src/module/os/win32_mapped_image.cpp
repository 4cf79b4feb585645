// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "module/os/mapped_image.hpp"
#include "module/os/win32_file.hpp"

namespace skep::module {

namespace {

/// The loader opens the file by name while our handle lets nobody write, rename or delete it.
class Library final : public MappedImage {
  public:
    Library(HMODULE library, HeldFile file) : file_(std::move(file)), library_(library) {}
    ~Library() override { ::FreeLibrary(library_); }
    void* symbol(const char* name) const override { return reinterpret_cast<void*>(::GetProcAddress(library_, name)); }

  private:
    HeldFile file_;  ///< outlives the library: it cannot be deleted before
    HMODULE library_;
};

}  // namespace

Result<std::unique_ptr<MappedImage>> MappedImage::map(Bytes bytes) {
    SKEP_ASSIGN(HeldFile file, HeldFile::store(bytes));
    HMODULE library = ::LoadLibraryExW(file.path().c_str(), nullptr, LOAD_LIBRARY_SEARCH_SYSTEM32);
    if (library == nullptr)
        return Error(Errc::Unavailable, "the system does not map the module",
                     fmt::format("error {}", ::GetLastError()));
    return std::unique_ptr<MappedImage>(std::make_unique<Library>(library, std::move(file)));
}

}  // namespace skep::module
