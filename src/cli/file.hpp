// SPDX-License-Identifier: Apache-2.0
// Whole files, as commands read and write them; "-" is standard input or output.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "btf/btf.hpp"
#include "object/object_spec.hpp"

namespace skep::cli {

/// Errors: CannotRead, with the file and the system's reason.
Result<std::vector<std::byte>> read_file(const std::string& path);
/// Errors: CannotRead.
Result<void> write_file(const std::string& path, Bytes bytes);
/// The types in a file: BTF as the kernel shows it, or an ELF file that has a .BTF section. An empty name: those of the
/// running kernel. Errors: CannotRead and those of elf::File::read and btf::Btf::parse; Unresolved without the section.
Result<std::shared_ptr<const btf::Btf>> read_types_file(const std::string& path);
/// The object in a file. Errors: CannotRead and those of object::read_object.
Result<object::ObjectSpec> read_object_file(const std::string& path);

}  // namespace skep::cli
