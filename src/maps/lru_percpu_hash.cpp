// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_LRU_PERCPU_HASH: as lru_hash, with a value per lane.
#include "maps/hash_map.hpp"

namespace skep::maps {
namespace {

class LruPercpuHash final : public HashMap {
  public:
    LruPercpuHash(const MapDef& def, const MapEnv& env) : HashMap(def, env, true) {}

    void* lookup(const void* key, uint32_t lane) override {
        const HashTable::Found found = table_.find(key);
        if (found.memory == nullptr) return nullptr;
        table_.mark(found);
        return table_.lane_value(found.element, lane);
    }

    void* lookup_percpu(const void* key, uint32_t cpu, uint32_t) override {
        if (cpu >= env_.lanes->count()) return nullptr;
        const HashTable::Found found = table_.find(key);
        if (found.memory == nullptr) return nullptr;
        table_.mark(found);
        return table_.lane_value(found.element, cpu);
    }

    void destroy() override {
        table_.destroy();
        free_map(this);
    }
};

}  // namespace

Status make_lru_percpu_hash(const MapDef& def, const MapEnv& env, const Map*, Map** out) {
    if (Status status = check_hash_def(def); !status.ok()) return status;
    return make_hash_map<LruPercpuHash>(with_even_lists(def, env), env, out);
}

}  // namespace skep::maps
