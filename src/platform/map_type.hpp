// SPDX-License-Identifier: Apache-2.0
// Canonical map types and their numbers in each personality; rows in map_type.def. Usable in the kernel-capable core.
#pragma once

#include <stdint.h>

namespace skep::platform {

enum class MapType : uint8_t {
#define MAP_TYPE(name, text, linux_id, windows_id, since) name,
#include "platform/map_type.def"
#undef MAP_TYPE
};

/// bpftool's word for the type ("lru_hash"); static storage.
constexpr const char* map_type_name(MapType type) {
    switch (type) {
#define MAP_TYPE(name, text, linux_id, windows_id, since) \
    case MapType::name: return text;
#include "platform/map_type.def"
#undef MAP_TYPE
    }
    return "?";
}

/// The type's number in linux/bpf.h.
constexpr uint32_t map_type_linux_id(MapType type) {
    switch (type) {
#define MAP_TYPE(name, text, linux_id, windows_id, since) \
    case MapType::name: return linux_id;
#include "platform/map_type.def"
#undef MAP_TYPE
    }
    return 0;
}

/// The type of a number of linux/bpf.h. False if there is none.
constexpr bool map_type_from_linux(uint32_t id, MapType* out) {
    switch (id) {
#define MAP_TYPE(name, text, linux_id, windows_id, since) \
    case linux_id: *out = MapType::name; return true;
#include "platform/map_type.def"
#undef MAP_TYPE
    }
    return false;
}

/// The type of a number of eBPF for Windows. False if there is none.
constexpr bool map_type_from_windows(uint32_t id, MapType* out) {
    constexpr uint32_t ids[] = {
#define MAP_TYPE(name, text, linux_id, windows_id, since) windows_id,
#include "platform/map_type.def"
#undef MAP_TYPE
    };
    for (uint8_t i = 0; id != 0 && i < sizeof(ids) / sizeof(ids[0]); ++i) {
        if (ids[i] != id) continue;
        *out = static_cast<MapType>(i);
        return true;
    }
    return false;
}

}  // namespace skep::platform
