// SPDX-License-Identifier: Apache-2.0
// The user's side of maps, ours and the kernel's alike, as `skep run` needs it.
#pragma once

#include <functional>
#include <string>

#include "cli/run/backend.hpp"
#include "maps/map.hpp"

namespace skep::cli {

/// Writes one entry; per-CPU maps get the value on every CPU; queues and stacks are pushed to. Errors name `map_name`.
Result<void> put_entry(maps::Map& map, Lanes& lanes, const std::string& map_name, Bytes key, Bytes value);

/// Everything the map holds, sorted. Queues and stacks are emptied by it. `note` says what the numbers of program
/// arrays and maps of maps stand for; may be empty.
MapContents read_contents(maps::Map& map, Lanes& lanes, const std::function<std::string(uint32_t id)>& note);

}  // namespace skep::cli
