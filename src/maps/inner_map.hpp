// SPDX-License-Identifier: Apache-2.0
// Between map_in_map.cpp and its two types.
#pragma once

#include "maps/map.hpp"

namespace skep::maps {

Status write_inner_array(Map& outer, const void* key, Map* inner, uint64_t flags, uint32_t lane);
Status write_inner_hash(Map& outer, const void* key, Map* inner, uint64_t flags, uint32_t lane);

}  // namespace skep::maps
