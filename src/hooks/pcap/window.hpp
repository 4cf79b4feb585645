// SPDX-License-Identifier: Apache-2.0
// A window that moves over a file or over memory from front to back: what capture readers look through. Memory is
// bounded by the largest piece that was asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace skep::hooks {

class Window {
  public:
    static Result<Window> open(const std::filesystem::path& path);
    static Window over(Bytes bytes, std::string name);

    /// The next `bytes` bytes, or as many as there are left; valid until the next call of anything here. Requires:
    /// `bytes` was checked against a limit.
    Bytes peek(size_t bytes);
    /// Goes `bytes` on; false if the input ends before that.
    bool skip(uint64_t bytes);

    uint64_t position() const { return position_; }
    /// Of the whole input; 0 if unknown.
    uint64_t size() const { return size_; }
    const std::string& name() const { return name_; }
    /// Whether reading stopped because of an error of the host, not because of the end.
    bool failed() const { return failed_; }

    /// An error that names the input and an offset in it.
    Error error(Errc code, uint64_t offset, std::string what, std::string why = {}, std::string hint = {}) const;

  private:
    void fill(size_t bytes);

    std::string name_;
    std::ifstream file_;
    std::vector<std::byte> buffer_;  ///< of a file: what was read and not yet passed, from begin_ on
    size_t begin_ = 0, end_ = 0;
    Bytes memory_;  ///< instead of a file: what is left
    bool from_file_ = false;
    bool failed_ = false;
    uint64_t position_ = 0;
    uint64_t size_ = 0;
};

}  // namespace skep::hooks
