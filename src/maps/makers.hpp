// SPDX-License-Identifier: Apache-2.0
// One maker per map type: what create() (map.cpp) chooses from. Each checks the definition as its type's alloc_check in
// the kernel does, in the kernel's order, and gives a map with one reference; `inner` is the template of a map of maps.
#pragma once

#include <new>

#include "base/os.hpp"
#include "maps/map.hpp"

namespace skep::maps {

Status make_array(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_percpu_array(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_hash(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_percpu_hash(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_lru_hash(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_lru_percpu_hash(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_lpm_trie(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_prog_array(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_array_of_maps(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_hash_of_maps(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_ringbuf(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_perf_event_array(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_queue(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);
Status make_stack(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);

/// bpf_map_flags_access_ok(): a map that programs may neither read nor write is refused.
constexpr bool access_flags_ok(uint32_t flags) {
    return (flags & (flag_rdonly_prog | flag_wronly_prog)) != (flag_rdonly_prog | flag_wronly_prog);
}

/// An object of a map type in host memory, zeroed before its constructor runs; null when memory is out.
template <typename T, typename... Arguments>
T* new_map(Arguments&&... arguments) {
    void* memory = skep_os_alloc(sizeof(T), alignof(T));
    return memory == nullptr ? nullptr : new (memory) T(static_cast<Arguments&&>(arguments)...);
}

/// Gives the object's own memory back: the last step of destroy().
template <typename T>
void free_map(T* map) {
    skep_os_free(map, sizeof(T));
}

}  // namespace skep::maps
