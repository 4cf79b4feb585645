// SPDX-License-Identifier: Apache-2.0
// The maps of an object, made: types, sizes, inner templates, initial contents.
#pragma once

#include <memory>
#include <vector>

#include "base/result.hpp"
#include "maps/map.hpp"
#include "object/object_spec.hpp"
#include "platform/names.hpp"

namespace skep::runtime {

struct MapReleaser {
    void operator()(maps::Map* map) const { map->release(); }
};
/// One reference to a map.
using MapRef = std::unique_ptr<maps::Map, MapReleaser>;

/// The definition a map is created from, in canonical words.
/// Errors: Unresolved (a type number nobody defines), Unsupported (its spec says so).
Result<maps::MapDef> map_def(const object::MapSpec& spec, platform::Personality personality, uint32_t lanes);

/// Makes the maps that `wanted` marks (index = ObjectSpec::maps) and what these refer to; the rest stays null. Globals
/// and .rodata hold their initial bytes, maps of maps their slots. Program arrays are empty: programs come later.
/// Arrays and hash tables stand in for the maps of redirection targets (devmap, devmap_hash, cpumap, xskmap).
/// Errors, each with the map's name: as map_def(), and maps::create().
Result<std::vector<MapRef>> make_maps(const object::ObjectSpec& spec, platform::Personality personality,
                                      const maps::MapEnv& env, std::vector<bool> wanted);

}  // namespace skep::runtime
