// SPDX-License-Identifier: Apache-2.0
#include "hooks/pcap/window.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace skep::hooks {
namespace {

constexpr size_t read_bytes = 256 * 1024;  ///< how much is read at once

}  // namespace

Result<Window> Window::open(const std::filesystem::path& path) {
    Window window;
    window.name_ = path.string();
    window.from_file_ = true;
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    errno = 0;
    if (!std::filesystem::is_directory(status)) window.file_.open(path, std::ios::binary);
    if (!window.file_.is_open()) {
        const int code = std::filesystem::is_directory(status) ? EISDIR : errno != 0 ? errno : ENOENT;
        Where where;
        where.file = window.name_;
        return Error(Errc::CannotRead, where, "cannot open the capture", std::generic_category().message(code));
    }
    // Of a pipe nobody knows the size.
    if (std::filesystem::is_regular_file(status)) {
        const auto size = std::filesystem::file_size(path, error);
        if (!error) window.size_ = size;
    }
    return window;
}

Window Window::over(Bytes bytes, std::string name) {
    Window window;
    window.name_ = std::move(name);
    window.memory_ = bytes;
    window.size_ = bytes.size();
    return window;
}

void Window::fill(size_t bytes) {
    if (end_ - begin_ >= bytes || failed_ || file_.eof()) return;
    if (begin_ != 0) {
        std::copy(buffer_.begin() + static_cast<ptrdiff_t>(begin_), buffer_.begin() + static_cast<ptrdiff_t>(end_),
                  buffer_.begin());
        end_ -= begin_;
        begin_ = 0;
    }
    const size_t wanted = std::max(bytes, read_bytes);
    if (buffer_.size() < wanted) buffer_.resize(wanted);
    while (end_ < bytes && file_.good()) {
        file_.read(reinterpret_cast<char*>(buffer_.data() + end_), static_cast<std::streamsize>(buffer_.size() - end_));
        end_ += static_cast<size_t>(file_.gcount());
    }
    failed_ = file_.bad();
}

Bytes Window::peek(size_t bytes) {
    if (!from_file_) return memory_.first(std::min(bytes, memory_.size()));
    fill(bytes);
    return Bytes(buffer_).subspan(begin_, std::min(bytes, end_ - begin_));
}

bool Window::skip(uint64_t bytes) {
    while (bytes > 0) {
        const Bytes here = peek(static_cast<size_t>(std::min<uint64_t>(bytes, read_bytes)));
        if (here.empty()) return false;
        bytes -= here.size();
        position_ += here.size();
        if (from_file_)
            begin_ += here.size();
        else
            memory_ = memory_.subspan(here.size());
    }
    return true;
}

Error Window::error(Errc code, uint64_t offset, std::string what, std::string why, std::string hint) const {
    Where where;
    where.file = name_;
    where.byte_offset = offset;
    return Error(code, where, std::move(what), std::move(why), std::move(hint));
}

}  // namespace skep::hooks
