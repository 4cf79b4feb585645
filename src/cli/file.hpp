// SPDX-License-Identifier: Apache-2.0
// Whole files, as commands read and write them; "-" is standard input or output.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "btf/btf.hpp"
#include "cli/command.hpp"
#include "cli/os/host.hpp"
#include "object/object_spec.hpp"
#include "platform/names.hpp"
#include "runtime/load/link_program.hpp"

namespace skep::cli {

/// Files are read whole: none of them may have more bytes.
constexpr size_t largest_file_bytes = size_t{1} << 28;

/// Errors: CannotRead, with the file and the system's reason.
Result<std::vector<std::byte>> read_file(const std::string& path);

/// A file that appears whole or not at all: it is made beside its place and takes it at the end, so that a failure, or
/// the user's interruption, leaves what was there before. Devices and pipes are written as they are.
class NewFile {
  public:
    enum class Readers : uint8_t { Anyone, Owner };

    /// Errors: CannotRead.
    static Result<NewFile> open(const std::string& path, Readers readers = Readers::Anyone);
    NewFile(NewFile&& other) noexcept;
    NewFile& operator=(NewFile&&) = delete;
    /// Without finish(): nothing was written.
    ~NewFile();

    /// Appends; that it failed is said by finish().
    void write(Bytes bytes);
    void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
    /// For whoever writes it by name instead, and has closed it before finish().
    const std::string& name() const { return name_; }
    /// Errors: CannotRead (not everything could be written).
    Result<void> finish();

  private:
    struct Closer {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };

    NewFile() = default;
    Error failure(std::string_view what, int error) const;

    std::string path_, name_;
    std::optional<host::Beside> beside_;
    std::unique_ptr<std::FILE, Closer> file_;
    int error_ = 0;  ///< of the first write that failed
};

/// Errors: CannotRead.
Result<void> write_file(const std::string& path, Bytes bytes, NewFile::Readers readers = NewFile::Readers::Anyone);
/// The types in a file: BTF as the kernel shows it, or an ELF file that has a .BTF section.
/// Errors: CannotRead and those of elf::File::read and btf::Btf::parse; Unresolved without the section.
Result<std::shared_ptr<const btf::Btf>> read_types_file(const std::string& path);
/// What CO-RE records of a program are resolved against. `path` is --btf's: a file, or "hooks" for the contexts that
/// our hooks lay out for programs of this personality; empty: the running kernel's types for programs of Linux where
/// there are any, else the hooks'. Errors: those of read_types_file.
Result<std::shared_ptr<const btf::Btf>> types_for(const std::string& path, platform::Personality personality);
/// The same for the command's --btf, read now, so that a file which is none is refused even where nothing needs it;
/// without it read when they are needed. Errors: those of read_types_file.
Result<runtime::TargetTypes> target_types(const Arguments& arguments, platform::Personality personality);
/// What --btf says: "hooks", or the name of a file that was seen to hold types; empty without it. Errors: as above.
Result<std::string> readable_types(const Arguments& arguments);
/// The bytes of the object in a file: its own, or those that a native module carries. Nobody has vouched for either: a
/// module's signature and certificate are for skep audit, and for who runs it. Errors: CannotRead and those of
/// module::inspect_image and decode_descriptor.
Result<std::vector<std::byte>> read_object_bytes(const std::string& path);
/// The object in it. Errors: those of read_object_bytes and object::read_object.
Result<object::ObjectSpec> read_object_file(const std::string& path);

}  // namespace skep::cli
