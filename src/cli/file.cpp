// SPDX-License-Identifier: Apache-2.0
#include "cli/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "elf/elf.hpp"

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

Result<std::shared_ptr<const btf::Btf>> read_types_file(const std::string& path) {
    const std::string name = path.empty() ? "/sys/kernel/btf/vmlinux" : path;
    SKEP_ASSIGN(const std::vector<std::byte> bytes, read_file(name));
    Bytes types = bytes;
    constexpr std::byte magic[] = {std::byte{0x7f}, std::byte{'E'}, std::byte{'L'}, std::byte{'F'}};
    std::optional<elf::File> file;
    if (bytes.size() >= sizeof(magic) && std::equal(std::begin(magic), std::end(magic), bytes.begin())) {
        Result<elf::File> read = elf::File::read(bytes);
        if (!read) return std::move(read).error().in_file(name);
        file = *std::move(read);
        types = {};
        for (const elf::Section& section : file->sections()) {
            if (section.name == ".BTF") types = section.bytes;
        }
        if (types.empty()) return Error(Errc::Unresolved, "the file has no section .BTF").in_file(name);
    }
    Result<btf::Btf> parsed = btf::Btf::parse(types);
    if (!parsed) return std::move(parsed).error().in_file(name);
    return std::make_shared<const btf::Btf>(*std::move(parsed));
}

Result<object::ObjectSpec> read_object_file(const std::string& path) {
    SKEP_ASSIGN(const std::vector<std::byte> bytes, read_file(path));
    return object::read_object(bytes, path);
}

}  // namespace skep::cli
