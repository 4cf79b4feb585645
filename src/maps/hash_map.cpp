// SPDX-License-Identifier: Apache-2.0
#include "maps/hash_map.hpp"

#include "maps/array_rules.hpp"

namespace skep::maps {

using platform::MapType;

namespace {

/// KMALLOC_MAX_SIZE - sizeof(struct htab_elem): key and value together stay below it.
constexpr uint64_t largest_element = (uint64_t{4} << 20) - 48;
/// The kernel's bucket array is at most U32_MAX bytes of 16-byte buckets, their number a power of two.
constexpr uint32_t most_entries = 1u << 27;
/// How often an LRU map looks for an element while other threads have every one in their hands.
constexpr uint32_t most_attempts = 1000;

}  // namespace

Status check_hash_def(const MapDef& def) {
    const bool lru = def.type == MapType::LruHash || def.type == MapType::LruPercpuHash;
    const bool percpu = is_percpu(def.type);
    const bool lists_per_cpu = (def.flags & flag_no_common_lru) != 0;
    constexpr uint32_t allowed = flag_no_prealloc | flag_no_common_lru | flag_numa_node | access_flags | flag_zero_seed;
    if ((def.flags & ~allowed) != 0 || !access_flags_ok(def.flags)) return Status(Errc::InvalidArgument, def.flags);
    if (!lru && lists_per_cpu) return Errc::InvalidArgument;
    if (lru && (def.flags & flag_no_prealloc) != 0) return Errc::InternalNotSupported;
    if ((def.flags & flag_numa_node) != 0 && (percpu || lists_per_cpu)) return Errc::InvalidArgument;
    if (def.max_entries == 0 || def.key_size == 0 || def.value_size == 0) return Errc::InvalidArgument;
    if (uint64_t{def.key_size} + def.value_size >= largest_element)
        return Status(Errc::TooBig, uint64_t{def.key_size} + def.value_size, largest_element - 1);
    if (percpu && round_up_8(def.value_size) > largest_percpu_value)
        return Status(Errc::TooBig, def.value_size, largest_percpu_value);
    if (def.max_entries > most_entries) return Status(Errc::TooBig, def.max_entries, most_entries);
    return {};
}

Status HashMap::allocate() {
    HashTableShape shape;
    shape.key_size = def_.key_size;
    shape.value_bytes = percpu_ ? 0 : round_up_8(def_.value_size);
    shape.lane_bytes = percpu_ ? round_up_8(def_.value_size) : 0;
    shape.max_entries = def_.max_entries;
    shape.lanes = env_.lanes->count();
    shape.spares = !in_place_;
    shape.preallocate = (def_.flags & flag_no_prealloc) == 0;
    shape.one_free_stack = lru_;
    shape.seed = env_.hash_seed;
    if ((def_.flags & flag_zero_seed) != 0)
        shape.seed = 0;
    else if (shape.seed == 0)
        skep_os_random(&shape.seed, sizeof shape.seed);
    return table_.create(shape);
}

void HashMap::store_value(uint32_t element, const void* value, uint32_t lane, bool all_lanes, bool is_new) {
    if (!percpu_) {
        atomic::copy_to_shared(table_.value(element), value, def_.value_size);
        return;
    }
    const size_t stride = static_cast<size_t>(round_up_8(def_.value_size));
    auto* from = static_cast<const uint8_t*>(value);
    for (uint32_t l = 0; l < env_.lanes->count(); ++l) {
        uint8_t* to = table_.lane_value(element, l);
        if (all_lanes)
            atomic::copy_to_shared(to, from + stride * l, stride);
        else if (l == lane)
            atomic::copy_to_shared(to, value, def_.value_size);
        else if (is_new)  // pcpu_init_value()
            for (size_t at = 0; at < stride; at += 8) atomic::store(reinterpret_cast<uint64_t*>(to + at), uint64_t{0});
    }
}

void HashMap::load_value(uint32_t element, void* user_value) const {
    if (!percpu_) {
        atomic::copy_from_shared(user_value, table_.value(element), def_.value_size);
        return;
    }
    const size_t stride = static_cast<size_t>(round_up_8(def_.value_size));
    auto* to = static_cast<uint8_t*>(user_value);
    for (uint32_t l = 0; l < env_.lanes->count(); ++l, to += stride)
        atomic::copy_from_shared(to, table_.lane_value(element, l), stride);
}

void HashMap::overwrite(const void* key, uint64_t hash, const HashTable::Position& position, const void* value,
                        uint32_t lane, bool all_lanes) {
    uint32_t element = position.element;
    if (in_place_) {
        store_value(element, value, lane, all_lanes, false);
    } else {
        element = table_.spare(lane);
        table_.open(element);
        store_value(element, value, lane, all_lanes, true);
        table_.close(element, key, hash);
        table_.replace(position, element);
        table_.spare(lane) = position.element;
    }
    if (lru_) table_.mark(element);
}

Status HashMap::take_element(uint32_t lane, uint32_t* element) {
    for (uint32_t attempt = 0; attempt < most_attempts; ++attempt) {
        if (table_.allocate(lane, element).ok()) return {};
        *element = table_.evict(lane);
        if (*element != HashTable::none) return {};
        skep_os_yield();
    }
    return Errc::NoMemory;
}

/// The most frequent update: of a present key, in place. The element is found before the lock is taken, as a reader
/// would, so that only its confirmation waits for the lock. Without the lock the store would be wrong even if a look
/// after it found the key still there: in between the element may have been removed and recycled, and the value that
/// was written over would be another key's.
inline bool HashMap::overwrite_in_place(const void* key, const void* value, uint32_t lane) {
    const HashTable::Found found = table_.find(key);
    if (found.memory == nullptr) return false;
    const uint64_t hash = table_.hash(key);
    table_.lock(hash);
    const bool confirmed = table_.confirm(found, key);
    if (confirmed) {
        uint8_t* to = percpu_ ? table_.lane_value(found.element, lane) : table_.value(found);
        if (def_.value_size == 8) [[likely]]
            atomic::copy_to_shared(to, value, 8);
        else
            atomic::copy_to_shared(to, value, def_.value_size);
        if (lru_) table_.mark(found);
    }
    table_.unlock(hash);
    return confirmed;
}

Status HashMap::put(const void* key, const void* value, uint64_t flags, uint32_t lane, bool all_lanes) {
    if (flags > update_exist) return Status(Errc::InvalidArgument, flags);
    if (in_place_ && !all_lanes && flags != update_noexist && overwrite_in_place(key, value, lane)) return {};
    return put_anywhere(key, value, flags, lane, all_lanes);
}

__attribute__((noinline)) Status HashMap::put_anywhere(const void* key, const void* value, uint64_t flags,
                                                       uint32_t lane, bool all_lanes) {
    const uint64_t hash = table_.hash(key);
    for (;;) {
        // Eviction locks the victim's home, so an LRU map finds its element before it locks the key's; nothing is
        // evicted for an update that will not need it.
        uint32_t element = HashTable::none;
        if (lru_) {
            const bool present = table_.find(key).memory != nullptr;
            if (present && flags == update_noexist) return Errc::Exists;
            if (!present && flags == update_exist) return Errc::NotFound;
            if (!present) {
                if (Status status = take_element(lane, &element); !status.ok()) return status;
            }
        }
        Status result;
        bool again = false;
        HashTable::Position position;
        table_.lock(hash);
        if (table_.find_locked(key, hash, &position)) {
            if (flags == update_noexist)
                result = Errc::Exists;
            else
                overwrite(key, hash, position, value, lane, all_lanes);
        } else if (flags == update_exist) {
            result = Errc::NotFound;
        } else {
            if (element == HashTable::none) {
                again = lru_;  // removed by somebody since we looked
                if (!again) result = table_.allocate(lane, &element);
            }
            if (element != HashTable::none) {
                table_.open(element);
                store_value(element, value, lane, all_lanes, true);
                table_.close(element, key, hash);
                table_.insert(hash, element);
                element = HashTable::none;
            }
        }
        table_.unlock(hash);
        if (element != HashTable::none) table_.recycle(lane, element);
        if (!again) return result;
    }
}

Status HashMap::remove(const void* key, uint32_t lane) {
    const uint64_t hash = table_.hash(key);
    HashTable::Position position;
    table_.lock(hash);
    const bool present = table_.find_locked(key, hash, &position);
    if (present) table_.remove(hash, position);
    table_.unlock(hash);
    if (!present) return Errc::NotFound;
    table_.recycle(lane, position.element);
    return {};
}

Status HashMap::next_key(const void* key, void* next, uint32_t) {
    uint64_t cursor = key == nullptr ? 0 : table_.cursor_after(key);
    return table_.next(&cursor, next) ? Status() : Status(Errc::NotFound);
}

Status HashMap::read(const void* key, void* user_value, uint32_t) {
    if (!user_may_read()) return Errc::NotPermitted;
    for (;;) {
        const uint32_t element = table_.find(key).element;
        if (element == HashTable::none) return Errc::NotFound;
        uint32_t version = 0;
        if (!table_.holds(element, key, &version)) continue;
        load_value(element, user_value);
        if (table_.still(element, version)) return {};
    }
}

Status HashMap::write(const void* key, const void* user_value, uint64_t flags, uint32_t lane) {
    if (!user_may_write()) return Errc::NotPermitted;
    return put(key, user_value, flags, lane, percpu_);
}

Status HashMap::lookup_and_delete(const void* key, void* user_value, uint32_t lane) {
    if (!user_may_read() || !user_may_write()) return Errc::NotPermitted;
    const uint64_t hash = table_.hash(key);
    HashTable::Position position;
    table_.lock(hash);
    const bool present = table_.find_locked(key, hash, &position);
    if (present) {
        load_value(position.element, user_value);
        table_.remove(hash, position);
    }
    table_.unlock(hash);
    if (!present) return Errc::NotFound;
    table_.recycle(lane, position.element);
    return {};
}

}  // namespace skep::maps
