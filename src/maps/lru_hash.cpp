// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_LRU_HASH: a full map makes room by forgetting a key that was not looked up of late. The kernel keeps
// lists; here a clock walks over the elements and takes one without a mark, so a hit costs at most one byte's store.
#include "maps/hash_map.hpp"

namespace skep::maps {
namespace {

class LruHash final : public HashMap {
  public:
    LruHash(const MapDef& def, const MapEnv& env) : HashMap(def, env, true) {}

    void* lookup(const void* key, uint32_t) override {
        const HashTable::Found found = table_.find(key);
        if (found.memory == nullptr) return nullptr;
        table_.mark(found);
        return table_.value(found);
    }

    void destroy() override {
        table_.destroy();
        free_map(this);
    }
};

}  // namespace

Status make_lru_hash(const MapDef& def, const MapEnv& env, const Map*, Map** out) {
    if (Status status = check_hash_def(def); !status.ok()) return status;
    return make_hash_map<LruHash>(with_even_lists(def, env), env, out);
}

}  // namespace skep::maps
