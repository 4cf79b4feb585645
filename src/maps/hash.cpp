// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_HASH.
#include "maps/hash_map.hpp"

namespace skep::maps {
namespace {

class Hash final : public HashMap {
  public:
    Hash(const MapDef& def, const MapEnv& env) : HashMap(def, env, false) {}

    void* lookup(const void* key, uint32_t) override {
        const HashTable::Found found = table_.find(key);
        if (found.memory == nullptr) return nullptr;
        return table_.value(found);
    }

    void destroy() override {
        table_.destroy();
        free_map(this);
    }
};

}  // namespace

Status make_hash(const MapDef& def, const MapEnv& env, const Map*, Map** out) {
    if (Status status = check_hash_def(def); !status.ok()) return status;
    return make_hash_map<Hash>(def, env, out);
}

}  // namespace skep::maps
