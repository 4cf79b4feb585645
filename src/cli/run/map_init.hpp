// SPDX-License-Identifier: Apache-2.0
// --map-init FILE: what maps and global variables hold before the first packet.
//   {"MAP": [{"key": K, "value": V}, ...], ..., "globals": {"VARIABLE": V, ...}}
// Queues and stacks take {"value": V}; program arrays the name of a program as value. K and V as in values.hpp.
#pragma once

#include <string>
#include <vector>

#include "cli/json.hpp"
#include "cli/run/backend.hpp"

namespace skep::cli {

class MapInit {
  public:
    /// An empty `path` gives an empty initialisation. Errors: those of reading and of parse_json.
    static Result<MapInit> read(const std::string& path);

    /// Programs that program arrays are given.
    std::vector<std::string> programs(const object::ObjectSpec& spec) const;
    bool changes_globals() const { return json_.find("globals") != nullptr; }
    /// Global variables: changes the initial bytes of the object's data maps, before it is loaded. Errors: Unresolved
    /// (no such variable, or no such map), InvalidArgument (a value that does not fit).
    Result<void> apply_globals(object::ObjectSpec& spec) const;
    /// Everything else, into the loaded maps.
    Result<void> apply(const object::ObjectSpec& spec, Backend& backend) const;

  private:
    std::string path_;
    Json json_;
};

}  // namespace skep::cli
