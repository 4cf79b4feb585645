// SPDX-License-Identifier: Apache-2.0
// The maps that safe programs may use: one of each kind that a helper asks for.
#include "platform/map_type.hpp"
#include "support/safe_generator.hpp"

namespace skep::testing {

const object::ObjectSpec& safe_spec() {
    static const object::ObjectSpec spec = [] {
        object::ObjectSpec s;
        s.file = "safe";
        s.license = "GPL";
        const auto add = [&](const char* name, platform::MapType type, uint32_t value,
                             uint32_t entries) -> object::MapSpec& {
            object::MapSpec map;
            map.name = name;
            map.type = platform::map_type_linux_id(type);
            map.key_size = 4, map.value_size = value, map.max_entries = entries;
            s.maps.push_back(std::move(map));
            return s.maps.back();
        };
        using enum platform::MapType;
        add("array", Array, array_value, array_entries);
        add("hash", Hash, hash_value, 64);
        object::MapSpec& ring = add("ring", Ringbuf, 0, 4096);
        ring.key_size = 0;
        object::MapSpec& data = add(".rodata", Array, data_bytes, 1);
        data.origin = object::MapOrigin::Data;
        data.read_only = true, data.flags = 1u << 7;
        for (int i = 0; i < data_bytes; ++i) data.initial.push_back(static_cast<std::byte>(37 * i + 5));
        add("wide", Array, wide_value, 1);
        add("programs", ProgArray, 4, 8);
        add("events", PerfEventArray, 4, 8);
        add("devices", Devmap, 4, 8);
        add("cpus", Cpumap, 4, 8);
        add("lru", LruHash, 16, 8);
        add("percpu", PercpuArray, 16, 8);
        object::MapSpec& queue = add("queue", Queue, 16, 8);
        queue.key_size = 0;
        return s;
    }();
    return spec;
}

}  // namespace skep::testing
