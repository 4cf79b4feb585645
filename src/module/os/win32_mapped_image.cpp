// SPDX-License-Identifier: Apache-2.0
// clang-format off
#include <windows.h>
// clang-format on
#include <fmt/format.h>

#include <vector>

#include "base/os.hpp"
#include "module/os/mapped_image.hpp"

namespace skep::module {

namespace {

/// The loader opens the file by name while our handle lets nobody write, rename or delete it.
class Library final : public MappedImage {
  public:
    Library(HMODULE library, HANDLE file, std::wstring path) : library_(library), file_(file), path_(std::move(path)) {}
    ~Library() override {
        ::FreeLibrary(library_);
        ::CloseHandle(file_);
        ::DeleteFileW(path_.c_str());
    }
    void* symbol(const char* name) const override { return reinterpret_cast<void*>(::GetProcAddress(library_, name)); }

  private:
    HMODULE library_;
    HANDLE file_;
    std::wstring path_;
};

struct File {
    HANDLE value = INVALID_HANDLE_VALUE;
    std::wstring path;
    bool keep = false;
    ~File() {
        if (keep) return;
        if (value != INVALID_HANDLE_VALUE) ::CloseHandle(value);
        if (!path.empty()) ::DeleteFileW(path.c_str());
    }
};

}  // namespace

Result<std::unique_ptr<MappedImage>> MappedImage::map(Bytes bytes) {
    wchar_t folder[MAX_PATH + 1];
    const DWORD length = ::GetTempPathW(MAX_PATH, folder);
    if (length == 0) return Error(Errc::CannotRead, "there is no folder for temporary files");
    File file;
    uint64_t number[2] = {};
    skep_os_random(number, sizeof number);
    const std::string name = fmt::format("skep-{:016x}{:016x}.dll", number[0], number[1]);
    file.path = std::wstring(folder, length) + std::wstring(name.begin(), name.end());
    file.value = ::CreateFileW(file.path.c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, CREATE_NEW,
                               FILE_ATTRIBUTE_TEMPORARY, nullptr);
    if (file.value == INVALID_HANDLE_VALUE)
        return Error(Errc::CannotRead, "the module's image cannot be stored",
                     fmt::format("error {}", ::GetLastError()));
    for (size_t at = 0; at < bytes.size();) {
        DWORD written = 0;
        const auto part = static_cast<DWORD>(std::min<size_t>(bytes.size() - at, 1u << 30));
        if (!::WriteFile(file.value, bytes.data() + at, part, &written, nullptr) || written == 0)
            return Error(Errc::CannotRead, "the module's image cannot be stored",
                         fmt::format("error {}", ::GetLastError()));
        at += written;
    }
    // A handle for reading that refuses writers, then what it shows once more: between the two the file was nobody's.
    ::CloseHandle(file.value);
    file.value = ::CreateFileW(file.path.c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, 0, nullptr);
    if (file.value == INVALID_HANDLE_VALUE)
        return Error(Errc::CannotRead, "the module's image cannot be read back",
                     fmt::format("error {}", ::GetLastError()));
    LARGE_INTEGER size{};
    std::vector<std::byte> again(bytes.size());
    bool same = ::GetFileSizeEx(file.value, &size) && static_cast<uint64_t>(size.QuadPart) == bytes.size();
    for (size_t at = 0; same && at < bytes.size();) {
        DWORD got = 0;
        const auto part = static_cast<DWORD>(std::min<size_t>(bytes.size() - at, 1u << 30));
        same = ::ReadFile(file.value, again.data() + at, part, &got, nullptr) && got != 0;
        at += got;
    }
    if (!same || std::memcmp(again.data(), bytes.data(), bytes.size()) != 0)
        return Error(Errc::Rejected, "the module's image was changed while it was stored");
    HMODULE library = ::LoadLibraryExW(file.path.c_str(), nullptr, LOAD_LIBRARY_SEARCH_SYSTEM32);
    if (library == nullptr)
        return Error(Errc::Unavailable, "the system does not map the module",
                     fmt::format("error {}", ::GetLastError()));
    file.keep = true;
    return std::unique_ptr<MappedImage>(std::make_unique<Library>(library, file.value, file.path));
}

}  // namespace skep::module
