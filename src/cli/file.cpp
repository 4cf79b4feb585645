// SPDX-License-Identifier: Apache-2.0
#include "cli/file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace skep::cli {

namespace {

struct Closer {
    void operator()(std::FILE* file) const {
        if (file != stdin && file != stdout) std::fclose(file);
    }
};
using File = std::unique_ptr<std::FILE, Closer>;

Error failure(const std::string& path, std::string_view what) {
    const int error = errno;
    return Error(Errc::CannotRead, fmt::format("{} could not be {}", path, what), std::strerror(error)).in_file(path);
}

}  // namespace

Result<std::vector<std::byte>> read_file(const std::string& path) {
    errno = 0;
    const File file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
    if (file == nullptr) return failure(path, "opened");
    std::vector<std::byte> bytes;
    std::byte part[65536];
    for (size_t got; (got = std::fread(part, 1, sizeof(part), file.get())) != 0;)
        bytes.insert(bytes.end(), part, part + got);
    if (std::ferror(file.get()) != 0) return failure(path, "read");
    return bytes;
}

Result<void> write_file(const std::string& path, Bytes bytes) {
    errno = 0;
    const File file(path == "-" ? stdout : std::fopen(path.c_str(), "wb"));
    if (file == nullptr) return failure(path, "opened for writing");
    if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size())
        return failure(path, "written");
    if (std::fflush(file.get()) != 0) return failure(path, "written");
    return {};
}

Result<object::ObjectSpec> read_object_file(const std::string& path) {
    SKEP_ASSIGN(const std::vector<std::byte> bytes, read_file(path));
    return object::read_object(bytes, path);
}

}  // namespace skep::cli
