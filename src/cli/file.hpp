// SPDX-License-Identifier: Apache-2.0
// Whole files, as commands read and write them; "-" is standard input or output.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "object/object_spec.hpp"

namespace skep::cli {

/// Errors: CannotRead, with the file and the system's reason.
Result<std::vector<std::byte>> read_file(const std::string& path);
/// Errors: CannotRead.
Result<void> write_file(const std::string& path, Bytes bytes);
/// The object in a file. Errors: CannotRead and those of object::read_object.
Result<object::ObjectSpec> read_object_file(const std::string& path);

}  // namespace skep::cli
