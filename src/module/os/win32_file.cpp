// SPDX-License-Identifier: Apache-2.0
#include "module/os/win32_file.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>
#include <vector>

#include "base/os.hpp"

namespace skep::module {

namespace {
Error unstored(const char* what) { return Error(Errc::CannotRead, what, fmt::format("error {}", ::GetLastError())); }
}  // namespace

HeldFile::HeldFile(HeldFile&& other) noexcept
    : handle_(std::exchange(other.handle_, INVALID_HANDLE_VALUE)), path_(std::exchange(other.path_, {})) {}

HeldFile::~HeldFile() {
    if (handle_ != INVALID_HANDLE_VALUE) ::CloseHandle(handle_);
    if (!path_.empty()) ::DeleteFileW(path_.c_str());
}

Result<HeldFile> HeldFile::store(Bytes bytes) {
    wchar_t folder[MAX_PATH + 1];
    const DWORD length = ::GetTempPathW(MAX_PATH, folder);
    if (length == 0) return unstored("there is no folder for temporary files");
    HeldFile file;
    uint64_t number[2] = {};
    skep_os_random(number, sizeof number);
    const std::string name = fmt::format("skep-{:016x}{:016x}.dll", number[0], number[1]);
    file.path_ = std::wstring(folder, length) + std::wstring(name.begin(), name.end());
    file.handle_ = ::CreateFileW(file.path_.c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, CREATE_NEW,
                                 FILE_ATTRIBUTE_TEMPORARY, nullptr);
    if (file.handle_ == INVALID_HANDLE_VALUE) return unstored("the module's image cannot be stored");
    for (size_t at = 0; at < bytes.size();) {
        DWORD written = 0;
        const auto part = static_cast<DWORD>(std::min<size_t>(bytes.size() - at, 1u << 30));
        if (!::WriteFile(file.handle_, bytes.data() + at, part, &written, nullptr) || written == 0)
            return unstored("the module's image cannot be stored");
        at += written;
    }
    // A handle for reading that refuses writers, then what it shows once more: between the two the file was nobody's.
    ::CloseHandle(file.handle_);
    file.handle_ = ::CreateFileW(file.path_.c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, 0, nullptr);
    if (file.handle_ == INVALID_HANDLE_VALUE) return unstored("the module's image cannot be read back");
    LARGE_INTEGER size{};
    std::vector<std::byte> again(bytes.size());
    bool same = ::GetFileSizeEx(file.handle_, &size) && static_cast<uint64_t>(size.QuadPart) == bytes.size();
    for (size_t at = 0; same && at < bytes.size();) {
        DWORD got = 0;
        const auto part = static_cast<DWORD>(std::min<size_t>(bytes.size() - at, 1u << 30));
        same = ::ReadFile(file.handle_, again.data() + at, part, &got, nullptr) && got != 0;
        at += got;
    }
    if (!same || std::memcmp(again.data(), bytes.data(), bytes.size()) != 0)
        return Error(Errc::Rejected, "the module's image was changed while it was stored");
    return file;
}

}  // namespace skep::module
