// SPDX-License-Identifier: Apache-2.0
// --map-init FILE: what maps and global variables hold before the first packet.
//   {"MAP": [{"key": K, "value": V}, ...], ..., "globals": {"VARIABLE": V, ...}}
// Queues and stacks take {"value": V}; program arrays and maps of maps the name of a program or map of the object as
// value. K and V as in values.hpp.
#pragma once

#include <string>
#include <vector>

#include "cli/json.hpp"
#include "cli/run/backend.hpp"

namespace skep::cli {

class MapInit {
  public:
    /// From its text; `name` is for messages. No text: an empty one. Errors: those of parse_json, Syntax.
    static Result<MapInit> parse(Bytes text, const std::string& name);

    /// Programs that program arrays are given.
    std::vector<std::string> programs(const object::ObjectSpec& spec) const;
    /// Maps that maps of maps are given.
    std::vector<std::string> inner_maps(const object::ObjectSpec& spec) const;
    /// Global variables: changes the initial bytes of the object's data maps, before it is loaded. Errors: Unresolved
    /// (no such variable, or no such map), InvalidArgument (a value that does not fit).
    Result<void> apply_globals(object::ObjectSpec& spec) const;
    /// Whether it names a map, not only global variables.
    bool names_maps() const;
    /// Everything else, into the loaded maps.
    Result<void> apply(const object::ObjectSpec& spec, Backend& backend) const;

  private:
    std::vector<std::string> names(const object::ObjectSpec& spec, bool (*holds)(const object::MapSpec&)) const;

    std::string path_;
    Json json_;
};

}  // namespace skep::cli
