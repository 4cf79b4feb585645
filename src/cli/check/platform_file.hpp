// SPDX-License-Identifier: Apache-2.0
// A user's own platform, as JSON: one of the built-in ones with more, or less, in it.
#pragma once

#include <span>
#include <string>

#include "base/result.hpp"
#include "platform/platforms/platform.hpp"

namespace skep::cli {

/// Reads the file (docs/platforms/platform-file.md says what it holds). Every key must be known and every name must be
/// one of the tables, so that a misspelled word is never a platform that lacks something.
/// Errors: CannotRead, Syntax, InvalidArgument with the path of the value ("helpers[2].number").
Result<platform::Platform> read_platform_file(const std::string& path, std::span<const platform::Platform> known);

/// The same from text; `name` stands for the file in messages.
Result<platform::Platform> parse_platform(std::string_view text, const std::string& name,
                                          std::span<const platform::Platform> known);

}  // namespace skep::cli
