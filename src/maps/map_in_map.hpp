// SPDX-License-Identifier: Apache-2.0
// What array_of_maps and hash_of_maps have in common (kernel/bpf/map_in_map.c): which map may be a template, which maps
// are like it, and the user's update. Programs only look up; the result is the inner Map*.
#pragma once

#include "maps/map.hpp"

namespace skep::maps {

/// bpf_map_meta_alloc(): InvalidArgument without a template or for a map of maps (one level only), InternalNotSupported
/// for a prog_array (its owner is known only when it runs).
Status check_inner_template(const Map* inner);

/// bpf_map_meta_equal(), array_map_meta_equal(): whether a map of `def` may stand where a program was verified with
/// `model`. Arrays must also be as long, unless the model has BPF_F_INNER_MAP.
bool inner_matches(const MapDef& model, const MapDef& def);

/// The user's update of a map of maps: `inner` stands at `key` from now on, with a reference of its own. NotSupported
/// if `outer` is no map of maps; InvalidArgument if `inner` is not like the template; else as the outer type's update
/// (array_of_maps: flags 0 only, TooBig for the index; hash_of_maps: all flags, Exists, NotFound, TooBig when full).
Status write_inner(Map& outer, const void* key, Map* inner, uint64_t flags, uint32_t lane);

}  // namespace skep::maps
