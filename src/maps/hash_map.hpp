// SPDX-License-Identifier: Apache-2.0
// What the four hash types share: the rules of kernel/bpf/hashtab.c over a HashTable.
//
// A value of 1, 2, 4 or 8 bytes is updated in place by one untorn store, a per-CPU value in place by its lane; any
// other update puts a new element in the old one's slot, so that a reader sees one value or the other, never a mixture.
#pragma once

#include "maps/hash_table.hpp"
#include "maps/makers.hpp"

namespace skep::maps {

class HashMap : public Map {
  public:
    Status update(const void* key, const void* value, uint64_t flags, uint32_t lane) override {
        return put(key, value, flags, lane, false);
    }
    Status remove(const void* key, uint32_t lane) override;
    Status next_key(const void* key, void* next, uint32_t lane) override;
    Status read(const void* key, void* user_value, uint32_t lane) override;
    Status write(const void* key, const void* user_value, uint64_t flags, uint32_t lane) override;
    Status lookup_and_delete(const void* key, void* user_value, uint32_t lane) override;
    uint64_t size() const override { return table_.count(); }

    /// NoMemory, and then nothing is held but the object itself.
    Status allocate();

  protected:
    HashMap(const MapDef& def, const MapEnv& env, bool lru)
        : Map(def, env), percpu_(is_percpu(def.type)), lru_(lru), in_place_(percpu_ || fits_one_store(def)) {}
    ~HashMap() = default;

    HashTable table_;

  private:
    static bool fits_one_store(const MapDef& def) {
        return def.value_size <= 8 && (def.value_size & (def.value_size - 1)) == 0;
    }
    Status put(const void* key, const void* value, uint64_t flags, uint32_t lane, bool all_lanes);
    bool overwrite_in_place(const void* key, const void* value, uint32_t lane);
    Status put_anywhere(const void* key, const void* value, uint64_t flags, uint32_t lane, bool all_lanes);
    Status take_element(uint32_t lane, uint32_t* element);
    void overwrite(const void* key, uint64_t hash, const HashTable::Position& position, const void* value,
                   uint32_t lane, bool all_lanes);
    void store_value(uint32_t element, const void* value, uint32_t lane, bool all_lanes, bool is_new);
    void load_value(uint32_t element, void* user_value) const;

    const bool percpu_;
    const bool lru_;
    const bool in_place_;
};

/// htab_map_alloc_check() and the limits of htab_map_alloc().
Status check_hash_def(const MapDef& def);

/// With BPF_F_NO_COMMON_LRU the kernel gives each CPU a list of the same length and rounds max_entries to it. Here the
/// entries are one clock's anyway; only the rounding shows.
inline MapDef with_even_lists(MapDef def, const MapEnv& env) {
    if ((def.flags & flag_no_common_lru) == 0) return def;
    const uint64_t lanes = env.lanes->count();
    const uint64_t up = (def.max_entries + lanes - 1) / lanes * lanes;
    def.max_entries = static_cast<uint32_t>(up <= UINT32_MAX ? up : up - lanes);
    return def;
}

/// Makes a map of class T once its definition is checked.
template <typename T>
Status make_hash_map(const MapDef& def, const MapEnv& env, Map** out) {
    T* map = new_map<T>(def, env);
    if (map == nullptr) return Errc::NoMemory;
    if (Status status = map->allocate(); !status.ok()) {
        free_map(map);
        return status;
    }
    *out = map;
    return {};
}

}  // namespace skep::maps
