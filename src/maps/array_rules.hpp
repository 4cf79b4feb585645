// SPDX-License-Identifier: Apache-2.0
// What array and percpu_array (and the arrays of objects) have in common: array_map_alloc_check(), the key, the update
// flags and the key order of kernel/bpf/arraymap.c.
#pragma once

#include <string.h>

#include "maps/makers.hpp"

namespace skep::maps {

/// PCPU_MIN_UNIT_SIZE: the largest value one lane's copy may have.
constexpr uint32_t largest_percpu_value = 32768;

inline Status check_array_def(const MapDef& def) {
    using platform::MapType;
    const bool percpu = def.type == MapType::PercpuArray;
    constexpr uint32_t allowed = flag_numa_node | flag_mmapable | access_flags | flag_preserve_elems | flag_inner_map;
    if (def.max_entries == 0 || def.key_size != 4 || def.value_size == 0 || (def.flags & ~allowed) != 0 ||
        !access_flags_ok(def.flags) || (percpu && (def.flags & flag_numa_node) != 0))
        return Errc::InvalidArgument;
    if (def.type != MapType::Array && (def.flags & (flag_mmapable | flag_inner_map)) != 0) return Errc::InvalidArgument;
    if (def.type != MapType::PerfEventArray && (def.flags & flag_preserve_elems) != 0) return Errc::InvalidArgument;
    if (def.value_size > INT32_MAX) return Status(Errc::TooBig, def.value_size, INT32_MAX);
    if (percpu && round_up_8(def.value_size) > largest_percpu_value)
        return Status(Errc::TooBig, def.value_size, largest_percpu_value);
    return {};
}

struct ArrayShape {
    uint32_t mask = 0;    ///< power of two above max_entries - 1, minus 1
    uint64_t stride = 0;  ///< bytes between elements
    uint64_t bytes = 0;   ///< of one copy of all elements, those beyond max_entries included
};

/// Requires: check_array_def() passed. TooBig when the rounded number of elements passes 2^32 (as the kernel), NoMemory
/// when the bytes pass what an address can say.
inline Status shape_array(const MapDef& def, ArrayShape* shape) {
    uint64_t slots = 1;
    while (slots < def.max_entries) slots *= 2;
    if (slots > UINT32_MAX) return Status(Errc::TooBig, def.max_entries, uint64_t{1} << 31);
    shape->mask = static_cast<uint32_t>(slots - 1);
    shape->stride = round_up_8(def.value_size);
    shape->bytes = slots * shape->stride;  // below 2^31 * 2^31
    return shape->bytes > SIZE_MAX / 4 ? Status(Errc::NoMemory, shape->bytes) : Status();
}

inline uint32_t array_index(const void* key) {
    uint32_t index;
    memcpy(&index, key, sizeof index);
    return index;
}

/// array_map_update_elem(): the flag first, the index next, and an element always exists. BPF_F_LOCK needs a value with
/// a bpf_spin_lock, of which no map here knows.
inline Status check_array_update(const MapDef& def, const void* key, uint64_t flags) {
    if (flags > update_exist) return Status(Errc::InvalidArgument, flags);
    if (array_index(key) >= def.max_entries) return Status(Errc::TooBig, array_index(key), def.max_entries);
    if ((flags & update_noexist) != 0) return Errc::Exists;
    return {};
}

/// array_map_get_next_key(): in index order; a key outside starts from the first.
inline Status next_array_key(const MapDef& def, const void* key, void* next) {
    uint32_t index = 0;
    if (key != nullptr && array_index(key) < def.max_entries) {
        if (array_index(key) == def.max_entries - 1) return Errc::NotFound;
        index = array_index(key) + 1;
    }
    memcpy(next, &index, sizeof index);
    return {};
}

}  // namespace skep::maps
