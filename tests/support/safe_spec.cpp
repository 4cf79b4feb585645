// SPDX-License-Identifier: Apache-2.0
// The maps that safe programs may use: one of each kind that a helper asks for.
#include "platform/map_type.hpp"
#include "program/bind.hpp"
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
        data.initial.back() = std::byte{0};  // strings end there
        add("wide", Array, wide_value, 1);
        add("lock", Array, special_value, 4);
        add("timer", Array, special_value, 4);
        object::MapSpec inner = s.maps[HashMap];
        inner.name = "outer.inner";
        add("outer", ArrayOfMaps, 4, 4).inner.push_back(std::move(inner));
        add("programs", ProgArray, 4, 8);
        add("events", PerfEventArray, 4, 8);
        add("devices", Devmap, 4, 8);
        add("devices_hash", DevmapHash, 4, 8);
        add("cpus", Cpumap, 4, 8);
        add("xsks", Xskmap, 4, 8);
        add("lru", LruHash, 16, 8);
        add("percpu", PercpuArray, 16, 8);
        add("percpu_hash", PercpuHash, 16, 8);
        add("trie", LpmTrie, 16, 8);
        add("stacks", StackTrace, 127 * 8, 8);
        add("cgroups", CgroupArray, 4, 8);
        add("sockets", Sockmap, 4, 8);
        add("sockets_hash", Sockhash, 4, 8);
        add("reuseport", ReuseportSockarray, 4, 8);
        add("storage", SkStorage, 16, 0);
        // Key: struct bpf_cgroup_storage_key.
        add("cgroup_storage", CgroupStorage, 16, 0).key_size = 16;
        add("percpu_storage", PercpuCgroupStorage, 16, 0).key_size = 16;
        add("queue", Queue, 16, 8).key_size = 0;
        add("stack", Stack, 16, 8).key_size = 0;
        add("bloom", BloomFilter, 16, 8).key_size = 0;
        return s;
    }();
    return spec;
}

Result<verifier::Subject> safe_subject(const SafeProgram& program) {
    BindOptions options;
    options.type = program.type;
    options.attach = program.attach;
    options.sleepable = program.sleepable;
    options.personality = platform::Personality::Linux;
    options.keep_problems = true;
    SKEP_ASSIGN(BoundProgram bound, bind(safe_spec(), program.linked, options));
    verifier::Options policy;
    policy.step_budget = 60'000;
    SKEP_ASSIGN(verifier::Subject subject,
                verifier::make_subject(safe_spec(), std::make_shared<const BoundProgram>(std::move(bound)), policy));
    // As BTF would say it.
    using verifier::SpecialKind;
    subject.maps[LockMap].special = {{SpecialKind::SpinLock, lock_at, 4, "struct bpf_spin_lock"}};
    subject.maps[TimerMap].special = {{SpecialKind::Timer, timer_at, 16, "struct bpf_timer"}};
    return subject;
}

}  // namespace skep::testing
