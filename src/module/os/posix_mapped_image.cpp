// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "module/os/mapped_image.hpp"

namespace skep::module {

namespace {

struct Descriptor {
    int value = -1;
    Descriptor() = default;
    Descriptor(Descriptor&& other) noexcept : value(other.value) { other.value = -1; }
    Descriptor& operator=(Descriptor&&) = delete;
    ~Descriptor() {
        if (value >= 0) ::close(value);
    }
};

/// dlopen() takes two images of one name for the same: the descriptor stays open as long as the image is mapped, so
/// that its number, which is the name, is nobody else's.
class SharedObject final : public MappedImage {
  public:
    SharedObject(void* handle, Descriptor file) : file_(std::move(file)), handle_(handle) {}
    ~SharedObject() override { ::dlclose(handle_); }
    void* symbol(const char* name) const override { return ::dlsym(handle_, name); }

  private:
    Descriptor file_;
    void* handle_;
};

}  // namespace

Result<std::unique_ptr<MappedImage>> MappedImage::map(Bytes bytes) {
    Descriptor file;
    file.value = ::memfd_create("skep-module", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file.value < 0) return Error(Errc::Unavailable, "there is no memory for the module's image", ::strerror(errno));
    for (size_t at = 0; at < bytes.size();) {
        const ssize_t written = ::write(file.value, bytes.data() + at, bytes.size() - at);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return Error(Errc::NoMemory, "there is no memory for the module's image", ::strerror(errno));
        at += static_cast<size_t>(written);
    }
    constexpr int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
    if (::fcntl(file.value, F_ADD_SEALS, seals) != 0)
        return Error(Errc::Unavailable, "the module's image cannot be sealed", ::strerror(errno));
    const std::string path = fmt::format("/proc/self/fd/{}", file.value);
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        const char* why = ::dlerror();
        return Error(Errc::Unavailable, "the system does not map the module", why != nullptr ? why : "");
    }
    return std::unique_ptr<MappedImage>(std::make_unique<SharedObject>(handle, std::move(file)));
}

}  // namespace skep::module
