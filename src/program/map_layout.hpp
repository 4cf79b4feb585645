// SPDX-License-Identifier: Apache-2.0
// All that an engine or module may know of a map's inside (DESIGN.md 7b.6): where the element of an index lies.
#pragma once

#include <stdint.h>

namespace skep {

enum class MapLayoutKind : uint8_t {
    Opaque,       ///< not to be inlined: call the helper
    Array,        ///< element i at base + (i & mask) * stride if i < max_entries
    PercpuArray,  ///< element i of lane l at base + l * lane_stride + (i & mask) * stride if i < max_entries
};

/// One map's layout. `base` stays valid and constant for the map's life. `mask` is all ones up to the power of two
/// above max_entries - 1, so that a mispredicted bounds check cannot read past the map (the kernel's index_mask).
struct MapLayout {
    MapLayoutKind kind = MapLayoutKind::Opaque;
    uint32_t flags = 0;
    uint32_t max_entries = 0;
    uint32_t mask = 0;
    uint64_t stride = 0;       ///< bytes between elements
    uint64_t lane_stride = 0;  ///< bytes between lanes
    uint8_t* base = nullptr;
};

}  // namespace skep
