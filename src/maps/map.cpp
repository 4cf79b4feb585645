// SPDX-License-Identifier: Apache-2.0
// What every map type shares: the factory, references, and the refusing defaults.
#include "maps/map.hpp"

#include "base/atomic.hpp"
#include "maps/makers.hpp"

namespace skep::maps {

using platform::MapType;

bool is_percpu(MapType type) {
    return type == MapType::PercpuArray || type == MapType::PercpuHash || type == MapType::LruPercpuHash;
}

Status create(const MapDef& def, const MapEnv& env, const Map* inner, Map** out) {
    *out = nullptr;
    if (env.lanes == nullptr) return Errc::InvalidArgument;
    // map_create(): map_extra means something for types that are not built here; one descriptor cannot refuse both.
    if (def.map_extra != 0) return Status(Errc::InvalidArgument, def.map_extra);
    constexpr uint32_t nothing_allowed = flag_rdonly | flag_wronly;
    if ((def.flags & nothing_allowed) == nothing_allowed) return Status(Errc::InvalidArgument, def.flags);

    switch (def.type) {
        case MapType::Array: return make_array(def, env, inner, out);
        case MapType::PercpuArray: return make_percpu_array(def, env, inner, out);
        case MapType::Hash: return make_hash(def, env, inner, out);
        case MapType::PercpuHash: return make_percpu_hash(def, env, inner, out);
        case MapType::LruHash: return make_lru_hash(def, env, inner, out);
        case MapType::LruPercpuHash: return make_lru_percpu_hash(def, env, inner, out);
        case MapType::LpmTrie: return make_lpm_trie(def, env, inner, out);
        case MapType::ProgArray: return make_prog_array(def, env, inner, out);
        case MapType::ArrayOfMaps: return make_array_of_maps(def, env, inner, out);
        case MapType::HashOfMaps: return make_hash_of_maps(def, env, inner, out);
        case MapType::Ringbuf: return make_ringbuf(def, env, inner, out);
        case MapType::PerfEventArray: return make_perf_event_array(def, env, inner, out);
        case MapType::Queue: return make_queue(def, env, inner, out);
        case MapType::Stack: return make_stack(def, env, inner, out);
        case MapType::StackTrace:
        case MapType::CgroupArray:
        case MapType::Devmap:
        case MapType::Sockmap:
        case MapType::Cpumap:
        case MapType::Xskmap:
        case MapType::Sockhash:
        case MapType::CgroupStorage:
        case MapType::ReuseportSockarray:
        case MapType::PercpuCgroupStorage:
        case MapType::SkStorage:
        case MapType::DevmapHash:
        case MapType::StructOps:
        case MapType::InodeStorage:
        case MapType::TaskStorage:
        case MapType::BloomFilter:
        case MapType::UserRingbuf:
        case MapType::CgrpStorage:
        case MapType::Arena: return Errc::NotSupported;
    }
    return Errc::InvalidArgument;
}

void* Map::lookup(const void*, uint32_t) { return nullptr; }
void* Map::lookup_percpu(const void*, uint32_t, uint32_t) { return nullptr; }
Status Map::update(const void*, const void*, uint64_t, uint32_t) { return Errc::InvalidArgument; }
Status Map::remove(const void*, uint32_t) { return Errc::InvalidArgument; }
Status Map::next_key(const void*, void*, uint32_t) { return Errc::InvalidArgument; }
Status Map::push(const void*, uint64_t, uint32_t) { return Errc::NotSupported; }
Status Map::pop(void*, uint32_t) { return Errc::NotSupported; }
Status Map::peek(void*, uint32_t) { return Errc::NotSupported; }
int64_t Map::shared_memory(uint64_t* bytes) const {
    *bytes = 0;
    return -1;
}
void Map::destroy() {}

uint32_t Map::user_value_size() const {
    const MapType type = def_.type;
    if (type == MapType::ProgArray || type == MapType::PerfEventArray || type == MapType::ArrayOfMaps ||
        type == MapType::HashOfMaps)
        return 4;
    if (!is_percpu(def_.type)) return def_.value_size;
    return static_cast<uint32_t>(round_up_8(def_.value_size)) * env_.lanes->count();
}

Status Map::read(const void* key, void* user_value, uint32_t lane) {
    if (!user_may_read()) return Errc::NotPermitted;
    const void* value = lookup(key, lane);
    if (value == nullptr) return Errc::NotFound;
    atomic::copy_from_shared(user_value, value, def_.value_size);
    return {};
}

Status Map::write(const void* key, const void* user_value, uint64_t flags, uint32_t lane) {
    if (!user_may_write()) return Errc::NotPermitted;
    return update(key, user_value, flags, lane);
}

// map_lookup_and_delete_elem(): the hashes, queue and stack override this.
Status Map::lookup_and_delete(const void*, void*, uint32_t) {
    return user_may_read() && user_may_write() ? Errc::InternalNotSupported : Errc::NotPermitted;
}

Status Map::user_remove(const void* key, uint32_t lane) {
    return user_may_write() ? remove(key, lane) : Status(Errc::NotPermitted);
}

Status Map::user_next_key(const void* key, void* next, uint32_t lane) {
    return user_may_read() ? next_key(key, next, lane) : Status(Errc::NotPermitted);
}

void Map::retain() { atomic::add_ordered(&references_, uint64_t{1}); }

void Map::release() {
    if (atomic::add_ordered(&references_, ~uint64_t{0}) != 1) return;
    retired_.map = this;
    env_.lanes->retire(&retired_, free_retired);
}

void Map::free_retired(Retired* retired) { static_cast<RetiredMap*>(retired)->map->destroy(); }

}  // namespace skep::maps
