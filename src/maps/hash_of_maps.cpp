// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_HASH_OF_MAPS: the hash table of every hash map, with a pointer to an inner map for a value.
//
// Elements are recycled at once while inner maps wait for the epoch, so a lookup reads the pointer and then checks that
// the element was still the key's: what it returns stays while the caller holds its lane.
#include "maps/hash_map.hpp"
#include "maps/inner_map.hpp"
#include "maps/map_in_map.hpp"

namespace skep::maps {
namespace {

class HashOfMaps final : public Map {
  public:
    HashOfMaps(const MapDef& def, const MapEnv& env, const MapDef& model) : Map(def, env), model_(model) {}

    Status allocate() {
        HashTableShape shape;
        shape.key_size = def_.key_size;
        shape.value_bytes = sizeof(Map*);
        shape.max_entries = def_.max_entries;
        shape.lanes = env_.lanes->count();
        shape.preallocate = (def_.flags & flag_no_prealloc) == 0;
        shape.seed = env_.hash_seed;
        if ((def_.flags & flag_zero_seed) != 0)
            shape.seed = 0;
        else if (shape.seed == 0)
            skep_os_random(&shape.seed, sizeof shape.seed);
        walk_key_ = skep_os_alloc(def_.key_size, 8);
        if (walk_key_ == nullptr) return Errc::NoMemory;
        if (Status status = table_.create(shape); !status.ok()) return status;
        created_ = true;
        return {};
    }

    /// bpf_fd_htab_map_update_elem()
    Status set(const void* key, Map* inner, uint64_t flags, uint32_t lane) {
        if (!user_may_write()) return Errc::NotPermitted;
        if (!inner_matches(model_, inner->def())) return Errc::InvalidArgument;
        if (flags > update_exist) return Status(Errc::InvalidArgument, flags);
        const uint64_t hash = table_.hash(key);
        Map* old = nullptr;
        Status status;
        HashTable::Position position;
        table_.lock(hash);
        if (table_.find_locked(key, hash, &position)) {
            if (flags == update_noexist) {
                status = Errc::Exists;
            } else {
                inner->retain();
                old = atomic::exchange(place(position.element), inner);
            }
        } else if (flags == update_exist) {
            status = Errc::NotFound;
        } else {
            uint32_t element = HashTable::none;
            status = table_.allocate(lane, &element);
            if (status.ok()) {
                inner->retain();
                table_.open(element);
                atomic::store_release(place(element), inner);
                table_.close(element, key, hash);
                table_.insert(hash, element);
            }
        }
        table_.unlock(hash);
        if (old != nullptr) old->release();
        return status;
    }

    void* lookup(const void* key, uint32_t) override { return find(key); }

    Status remove(const void* key, uint32_t lane) override {
        const uint64_t hash = table_.hash(key);
        HashTable::Position position;
        Map* old = nullptr;
        table_.lock(hash);
        const bool present = table_.find_locked(key, hash, &position);
        if (present) {
            old = atomic::load_acquire(place(position.element));
            table_.remove(hash, position);
        }
        table_.unlock(hash);
        if (!present) return Errc::NotFound;
        table_.recycle(lane, position.element);
        old->release();
        return {};
    }

    Status next_key(const void* key, void* next, uint32_t) override {
        uint64_t cursor = key == nullptr ? 0 : table_.cursor_after(key);
        return table_.next(&cursor, next) ? Status() : Status(Errc::NotFound);
    }

    Status read(const void* key, void* user_value, uint32_t) override {
        if (!user_may_read()) return Errc::NotPermitted;
        const Map* inner = find(key);
        if (inner == nullptr) return Errc::NotFound;
        const uint32_t id = inner->id();
        memcpy(user_value, &id, sizeof id);
        return {};
    }
    Status write(const void*, const void*, uint64_t, uint32_t) override {
        return user_may_write() ? Errc::InvalidArgument : Errc::NotPermitted;  // by write_inner() only
    }
    // Programs only look up.
    Status update(const void*, const void*, uint64_t, uint32_t) override { return Errc::InvalidArgument; }
    uint64_t size() const override { return table_.count(); }

    void destroy() override {
        if (created_) {
            uint64_t cursor = 0;
            while (table_.next(&cursor, walk_key_)) find(walk_key_)->release();
            table_.destroy();
        }
        skep_os_free(walk_key_, def_.key_size);
        free_map(this);
    }

  private:
    Map** place(uint32_t element) const { return reinterpret_cast<Map**>(table_.value(element)); }

    Map* find(const void* key) const {
        for (;;) {
            const uint32_t element = table_.find(key).element;
            if (element == HashTable::none) return nullptr;
            uint32_t version = 0;
            if (!table_.holds(element, key, &version)) continue;
            Map* inner = atomic::load_acquire(place(element));
            if (table_.still(element, version)) return inner;
        }
    }

    const MapDef model_;
    HashTable table_;
    void* walk_key_ = nullptr;  ///< for destroy(), which must not need memory
    bool created_ = false;
};

}  // namespace

Status write_inner_hash(Map& outer, const void* key, Map* inner, uint64_t flags, uint32_t lane) {
    return static_cast<HashOfMaps&>(outer).set(key, inner, flags, lane);
}

Status make_hash_of_maps(const MapDef& def, const MapEnv& env, const Map* inner, Map** out) {
    if (def.value_size != 4) return Status(Errc::InvalidArgument, def.value_size, 4);  // fd_htab_map_alloc_check()
    if (Status status = check_hash_def(def); !status.ok()) return status;
    if (Status status = check_inner_template(inner); !status.ok()) return status;
    auto* map = new_map<HashOfMaps>(def, env, inner->def());
    if (map == nullptr) return Errc::NoMemory;
    if (Status status = map->allocate(); !status.ok()) {
        map->destroy();
        return status;
    }
    *out = map;
    return {};
}

}  // namespace skep::maps
