// SPDX-License-Identifier: Apache-2.0
// A file of this process' own that nobody writes, renames or deletes as long as it is held: what is checked, or mapped,
// by name.
#pragma once

// clang-format off
#include <windows.h>
// clang-format on

#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace skep::module {

class HeldFile {
  public:
    /// Stores `bytes` under the folder for temporary files, opens the file without sharing for writing, and compares it
    /// with `bytes` once more through that handle. Errors: CannotRead; Rejected (somebody changed it meanwhile).
    static Result<HeldFile> store(Bytes bytes);
    HeldFile(HeldFile&& other) noexcept;
    HeldFile& operator=(HeldFile&&) = delete;
    /// Closes and deletes it.
    ~HeldFile();

    HANDLE handle() const { return handle_; }
    const std::wstring& path() const { return path_; }

  private:
    HeldFile() = default;
    HANDLE handle_ = INVALID_HANDLE_VALUE;
    std::wstring path_;
};

}  // namespace skep::module
