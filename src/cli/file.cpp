// SPDX-License-Identifier: Apache-2.0
#include "cli/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "elf/elf.hpp"
#include "module/descriptor.hpp"
#include "module/image.hpp"
#include "module/signature.hpp"
#include "platform/context_types.hpp"

namespace skep::cli {

namespace {

Error failure_of(const std::string& path, std::string_view what, int error) {
    return Error(Errc::CannotRead, fmt::format("{} could not be {}", path, what), std::strerror(error)).in_file(path);
}

}  // namespace

Result<std::vector<std::byte>> read_file(const std::string& path) {
    struct Closer {
        void operator()(std::FILE* file) const {
            if (file != stdin) std::fclose(file);
        }
    };
    errno = 0;
    const std::unique_ptr<std::FILE, Closer> file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
    if (file == nullptr) return failure_of(path, "opened", errno);
    std::vector<std::byte> bytes;
    std::byte part[65536];
    for (size_t got; (got = std::fread(part, 1, sizeof(part), file.get())) != 0;) {
        if (got > largest_file_bytes - bytes.size())
            return Error(Errc::CannotRead, fmt::format("{} is too large", path),
                         fmt::format("files of up to {} MiB are read", largest_file_bytes >> 20))
                .in_file(path);
        bytes.insert(bytes.end(), part, part + got);
    }
    if (std::ferror(file.get()) != 0) return failure_of(path, "read", errno);
    return bytes;
}

Error NewFile::failure(std::string_view what, int error) const { return failure_of(path_, what, error); }

Result<NewFile> NewFile::open(const std::string& path, Readers readers) {
    NewFile out;
    out.path_ = path;
    errno = 0;
    out.beside_ = host::beside(path);
    if (out.beside_) {
        out.name_ = out.beside_->made;
        std::remove(out.name_.c_str());  // left behind by a process of the same number
        host::set_unfinished(out.name_, true);
        out.file_.reset(host::create(out.name_, readers == Readers::Owner));
        if (out.file_ != nullptr) return out;
        host::set_unfinished(out.name_, false);
        out.beside_.reset();
        // The folder takes no new file: the old one may still take new contents.
    }
    out.name_ = path;
    out.file_.reset(std::fopen(path.c_str(), "wb"));
    if (out.file_ == nullptr) return out.failure("opened for writing", errno);
    return out;
}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)),
      name_(std::move(other.name_)),
      beside_(std::exchange(other.beside_, std::nullopt)),
      file_(std::move(other.file_)),
      error_(other.error_) {}

NewFile::~NewFile() {
    file_.reset();
    if (!beside_) return;
    std::remove(name_.c_str());
    host::set_unfinished(name_, false);
}

void NewFile::write(Bytes bytes) {
    if (error_ == 0 && std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size())
        error_ = errno != 0 ? errno : EIO;
}

Result<void> NewFile::finish() {
    if (std::fclose(file_.release()) != 0 && error_ == 0) error_ = errno;
    if (error_ != 0) return failure("written", error_);
    if (!beside_) return {};
    if (!host::take_place(*beside_)) return failure("written", errno);
    host::set_unfinished(name_, false);
    beside_.reset();
    return {};
}

Result<void> write_file(const std::string& path, Bytes bytes, NewFile::Readers readers) {
    if (path == "-") {
        errno = 0;
        if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() || std::fflush(stdout) != 0)
            return failure_of("standard output", "written", errno);
        return {};
    }
    SKEP_ASSIGN(NewFile file, NewFile::open(path, readers));
    file.write(bytes);
    return file.finish();
}

Result<std::shared_ptr<const btf::Btf>> read_types_file(const std::string& path) {
    SKEP_ASSIGN(const std::vector<std::byte> bytes, read_file(path));
    Bytes types = bytes;
    constexpr std::byte magic[] = {std::byte{0x7f}, std::byte{'E'}, std::byte{'L'}, std::byte{'F'}};
    std::optional<elf::File> file;
    if (bytes.size() >= sizeof(magic) && std::equal(std::begin(magic), std::end(magic), bytes.begin())) {
        Result<elf::File> read = elf::File::read(bytes);
        if (!read) return std::move(read).error().in_file(path);
        file = *std::move(read);
        types = {};
        for (const elf::Section& section : file->sections()) {
            if (section.name == ".BTF") types = section.bytes;
        }
        if (types.empty()) return Error(Errc::Unresolved, "the file has no section .BTF").in_file(path);
    }
    Result<btf::Btf> parsed = btf::Btf::parse(types);
    if (!parsed) return std::move(parsed).error().in_file(path);
    return std::make_shared<const btf::Btf>(*std::move(parsed));
}

Result<std::shared_ptr<const btf::Btf>> types_for(const std::string& path, platform::Personality personality) {
    if (!path.empty() && path != "hooks") return read_types_file(path);
    if (path.empty() && personality == platform::Personality::Linux) {
        auto kernel = read_types_file("/sys/kernel/btf/vmlinux");
        if (kernel || kernel.error().code() != Errc::CannotRead) return kernel;
    }
    SKEP_ASSIGN(btf::Btf types, btf::Btf::parse(platform::context_types(personality)));
    return std::make_shared<const btf::Btf>(std::move(types));
}

Result<runtime::TargetTypes> target_types(const Arguments& arguments, platform::Personality personality) {
    const auto path = arguments.text("btf");
    if (!path) return runtime::TargetTypes{[personality] { return types_for({}, personality); }};
    SKEP_ASSIGN(std::shared_ptr<const btf::Btf> types, types_for(*path, personality));
    return runtime::TargetTypes{[types] { return Result<std::shared_ptr<const btf::Btf>>(types); }};
}

Result<std::string> readable_types(const Arguments& arguments) {
    const std::string path = arguments.text_or("btf", "");
    if (!path.empty() && path != "hooks") SKEP_TRY(read_types_file(path));
    return path;
}

Result<std::vector<std::byte>> read_object_bytes(const std::string& path) {
    SKEP_ASSIGN(std::vector<std::byte> bytes, read_file(path));
    // An ELF file that no loader would map (not ET_DYN) is an object, of whatever machine.
    const bool elf = read_le<uint32_t>(bytes, 0) == 0x464c457fu;
    if (!module::is_native_image(bytes) || (elf && read_le<uint16_t>(bytes, 16) != 3)) return bytes;
    const auto object_inside = [&]() -> Result<std::vector<std::byte>> {
        SKEP_ASSIGN(const module::SplitImage split, module::split_signature(bytes));
        SKEP_ASSIGN(const module::ImageFacts facts, module::inspect_image(split.content));
        SKEP_ASSIGN(module::Descriptor descriptor, module::decode_descriptor(facts.descriptor));
        return std::move(descriptor.object);
    };
    auto object = object_inside();
    if (!object) return std::move(object).error().in_file(path);
    return object;
}

Result<object::ObjectSpec> read_object_file(const std::string& path) {
    SKEP_ASSIGN(const std::vector<std::byte> bytes, read_object_bytes(path));
    return object::read_object(bytes, path);
}

}  // namespace skep::cli
