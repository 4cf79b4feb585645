// SPDX-License-Identifier: Apache-2.0
// A map's definition in one line, for tests; also for those that run where GoogleTest cannot (tests/driver).
#pragma once

#include "maps/map.hpp"

namespace skep::maps::testing {

/// Definitions of one type: `constexpr DefsOf defs{MapType::Hash}; defs(4, 8, 100)`.
struct DefsOf {
    platform::MapType type;
    uint32_t usual_flags = 0;

    constexpr MapDef operator()(uint32_t key_size, uint32_t value_size, uint32_t max_entries) const {
        return (*this)(key_size, value_size, max_entries, usual_flags);
    }
    constexpr MapDef operator()(uint32_t key_size, uint32_t value_size, uint32_t max_entries, uint32_t flags,
                                uint64_t extra = 0) const {
        return {.type = type,
                .key_size = key_size,
                .value_size = value_size,
                .max_entries = max_entries,
                .flags = flags,
                .numa_node = 0,
                .map_extra = extra};
    }
};

constexpr MapDef def_of(platform::MapType type, uint32_t key_size, uint32_t value_size, uint32_t max_entries,
                        uint32_t flags = 0) {
    return DefsOf{type}(key_size, value_size, max_entries, flags);
}

}  // namespace skep::maps::testing
