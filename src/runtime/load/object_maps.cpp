// SPDX-License-Identifier: Apache-2.0
#include "runtime/load/object_maps.hpp"

#include <fmt/format.h>

#include <cstring>

#include "maps/map_in_map.hpp"
#include "maps/perf_event_array.hpp"

namespace skep::runtime {

namespace {

using object::MapSpec;
using platform::MapType;

/// Where packets are redirected to, an entry is a number (interface, CPU, queue): an array or a hash table holds it.
/// 0 is an entry that is not set.
maps::MapDef stand_in(maps::MapDef def) {
    if (def.type == MapType::Devmap || def.type == MapType::Cpumap || def.type == MapType::Xskmap)
        def.type = MapType::Array;
    if (def.type == MapType::DevmapHash) def.type = MapType::Hash;
    return def;
}

Error map_error(const MapSpec& spec, Status status, const maps::MapDef& def) {
    Error error(status.code, fmt::format("map \"{}\" cannot be created", spec.name),
                fmt::format("{} ({}): type {}, key_size {}, value_size {}, max_entries {}, flags {:#x}",
                            meaning_of(status.code), errno_name(status.code), platform::map_type_name(def.type),
                            def.key_size, def.value_size, def.max_entries, def.flags));
    return std::move(error).in_section(spec.section);
}

Result<MapRef> create(const MapSpec& spec, const maps::MapDef& def, const maps::MapEnv& env, const maps::Map* inner) {
    maps::Map* map = nullptr;
    const Status status = maps::create(stand_in(def), env, inner, &map);
    if (status.code == Errc::NotSupported) {
        return Error(Errc::Unsupported, fmt::format("map \"{}\" has a type that is not supported yet", spec.name),
                     fmt::format("type {}", platform::map_type_name(def.type)))
            .in_section(spec.section);
    }
    if (!status.ok()) return map_error(spec, status, def);
    return MapRef(map);
}

/// Data sections: the bytes of the file, zero after them.
Status fill(maps::Map& map, const MapSpec& spec) {
    uint8_t* value = map.direct_value();
    if (value == nullptr) return Errc::NotSupported;
    const size_t bytes = std::min<size_t>(spec.initial.size(), map.def().value_size);
    if (bytes != 0) std::memcpy(value, spec.initial.data(), bytes);
    return {};
}

}  // namespace

Result<maps::MapDef> map_def(const MapSpec& spec, platform::Personality personality, uint32_t lanes) {
    if (!spec.unsupported.empty()) {
        return Error(Errc::Unsupported, fmt::format("map \"{}\" is not supported", spec.name), spec.unsupported)
            .in_section(spec.section);
    }
    maps::MapDef def;
    def.key_size = spec.key_size;
    def.value_size = spec.value_size;
    def.max_entries = spec.max_entries;
    def.flags = spec.flags;
    def.map_extra = spec.map_extra;
    def.numa_node = spec.numa_node.value_or(0);
    if (spec.numa_node) def.flags |= maps::flag_numa_node;
    const bool data = spec.origin == object::MapOrigin::Data || spec.origin == object::MapOrigin::Kconfig;
    if (data) {
        def.type = MapType::Array;
        def.key_size = 4;
        def.max_entries = 1;
        // As libbpf: clients may map globals; only .rodata is out of programs' reach.
        def.flags = maps::flag_mmapable | (spec.read_only ? uint32_t{maps::flag_rdonly_prog} : 0);
        return def;
    }
    const bool known = personality == platform::Personality::Linux
                           ? platform::map_type_from_linux(spec.type, &def.type)
                           : platform::map_type_from_windows(spec.type, &def.type);
    if (!known) {
        return Error(Errc::Unresolved,
                     fmt::format("map \"{}\" has type number {}, which nobody defines", spec.name, spec.type))
            .in_section(spec.section);
    }
    // There is no such flag on Windows, and without it Linux makes no tree.
    if (personality == platform::Personality::Windows && def.type == MapType::LpmTrie)
        def.flags |= maps::flag_no_prealloc;
    if (def.type == MapType::PerfEventArray) {
        if (def.max_entries == 0) def.max_entries = lanes;
        if (def.key_size == 0) def.key_size = 4;
        if (def.value_size == 0) def.value_size = 4;
    }
    return def;
}

Result<std::vector<MapRef>> make_maps(const object::ObjectSpec& spec, platform::Personality personality,
                                      const maps::MapEnv& env, std::vector<bool> wanted) {
    wanted.resize(spec.maps.size());
    // What a wanted map's slots name is wanted too. Inner maps hold no maps (one level only), so one pass is enough.
    for (size_t i = 0; i < spec.maps.size(); ++i) {
        if (!wanted[i]) continue;
        for (const object::MapSlot& slot : spec.maps[i].slots)
            if (!slot.is_program) wanted[slot.target] = true;
    }

    std::vector<MapRef> made(spec.maps.size());
    for (size_t i = 0; i < spec.maps.size(); ++i) {
        const MapSpec& map = spec.maps[i];
        if (!wanted[i]) continue;
        SKEP_ASSIGN(const maps::MapDef def, map_def(map, personality, env.lanes->count()));
        MapRef inner;
        if (!map.inner.empty()) {
            SKEP_ASSIGN(const maps::MapDef inner_def, map_def(map.inner[0], personality, env.lanes->count()));
            SKEP_ASSIGN(inner, create(map.inner[0], inner_def, env, nullptr));
        }
        SKEP_ASSIGN(made[i], create(map, def, env, inner.get()));
        made[i]->set_id(static_cast<uint32_t>(i + 1));
        if (map.origin == object::MapOrigin::Data || map.origin == object::MapOrigin::Kconfig) {
            if (const Status status = fill(*made[i], map); !status.ok()) return map_error(map, status, def);
            if (map.read_only) made[i]->freeze();
        }
    }
    const LaneGuard lane(*env.lanes);
    for (size_t i = 0; i < spec.maps.size(); ++i) {
        if (made[i] == nullptr) continue;
        for (const object::MapSlot& slot : spec.maps[i].slots) {
            if (slot.is_program) continue;
            const Status status =
                maps::write_inner(*made[i], &slot.key, made[slot.target].get(), maps::update_any, lane.lane());
            if (!status.ok()) {
                return Error(status.code,
                             fmt::format("map \"{}\" cannot hold map \"{}\" at key {}", spec.maps[i].name,
                                         spec.maps[slot.target].name, slot.key),
                             fmt::format("{} ({})", meaning_of(status.code), errno_name(status.code)));
            }
        }
    }
    return made;
}

}  // namespace skep::runtime
