// SPDX-License-Identifier: Apache-2.0
// What `skep inspect` shows of an object, and how typed values look in JSON.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "btf/dump.hpp"
#include "cli/json.hpp"
#include "object/object_spec.hpp"

namespace skep::cli {

/// What to show beyond programs, maps, globals and externs.
struct InspectOptions {
    bool sections = true;
    bool relocations = true;
};

/// Calm tables under headings; ends in a newline. `heading` makes a heading stand out (Output::heading).
std::string inspect_text(const object::ObjectSpec& spec, const InspectOptions& options,
                         const std::function<std::string(std::string_view)>& heading);
/// The same as one JSON object.
Json inspect_json(const object::ObjectSpec& spec);

/// A typed value as JSON: structs as objects, arrays and bytes as arrays of numbers, enumerators by name, addresses as
/// "0x..." strings, missing parts as null.
Json value_json(const btf::Value& value);

}  // namespace skep::cli
