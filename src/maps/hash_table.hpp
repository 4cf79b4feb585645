// SPDX-License-Identifier: Apache-2.0
// The table under every hash map: open addressing over cache-line chunks of twelve tags and element numbers, elements
// in a pool of their own. Knows keys, elements and slots; what a value is and which rules an update obeys is
// hash_map.hpp's.
//
// A chunk's tag byte is 0 (free slot), 1 (claimed, not yet published) or 0x80 | 7 bits of the hash. A key lives in the
// first chunk of its probe sequence that had room; `overflow` counts the keys that passed a chunk over because it was
// full, so a search ends at the first chunk without such. Removing takes the counts back: there are no tombstones, and
// nothing ever moves.
//
// Readers take no lock. Elements are recycled at once, as the kernel's preallocated maps do, so a reader re-checks: an
// element's version is odd while it is in the table and grows at each change, and a slot that looked wrong is looked at
// again unless slot and version are the same as before. A value handed out may be recycled under its holder, as on
// Linux; the memory itself stays until the map goes.
//
// Writers of one key exclude each other by the lock in the key's home chunk. Writers of different keys that meet in a
// chunk use compare-and-swap on the tag, and atomic adds on `overflow`. A writer holds one lock at a time.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/atomic.hpp"
#include "base/status.hpp"
#include "maps/tag_group.hpp"

namespace skep::maps {

struct HashTableShape {
    uint32_t key_size = 0;     ///< bytes, at least 1
    uint64_t value_bytes = 0;  ///< of the value inside an element, a multiple of 8; 0 if the values are per lane
    uint64_t lane_bytes = 0;   ///< of one lane's copy, a multiple of 8; 0 if the value is in the element
    uint32_t max_entries = 0;  ///< keys, at most 2^27
    uint32_t lanes = 1;
    bool spares = false;  ///< one more element per lane, for replacing while full
    bool preallocate = true;
    bool one_free_stack = false;  ///< shared by all lanes instead of one each (for maps that seldom delete)
    uint64_t seed = 0;
};

class HashTable {
  public:
    static constexpr uint32_t none = UINT32_MAX;

    /// Where a key's slot is. Valid while the home chunk is locked.
    struct Position {
        uint64_t chunk = 0;
        uint32_t slot = 0;
        uint32_t element = none;
    };

    /// NoMemory, and then nothing is held.
    Status create(const HashTableShape& shape);
    void destroy();

    /// An element and where it stands; `memory` is null if there is none.
    struct Found {
        uint8_t* memory = nullptr;
        uint32_t element = none;
    };

    uint64_t hash(const void* key) const {
        uint64_t word = 0;
        return short_key(key, &word) ? hash_word(word) : hash_odd(key);
    }
    /// The element of a key. Lock-free.
    Found find(const void* key) const {
        uint64_t word = 0;
        return short_key(key, &word) ? find_word(word) : find_odd(key);
    }
    uint8_t* value(const Found& found) const { return found.memory + 8 + key_bytes_; }
    void mark(const Found& found) const { mark(reinterpret_cast<Header*>(found.memory)); }
    /// Whether `element` holds `key` now, with the version to check a copy by.
    bool holds(uint32_t element, const void* key, uint32_t* version) const;
    bool still(uint32_t element, uint32_t version) const {
        atomic::acquire_fence();
        return atomic::load(&header(element)->version) == version;
    }

    uint8_t* value(uint32_t element) const { return at(element, 8 + key_bytes_); }
    uint8_t* lane_value(uint32_t element, uint32_t lane) const;

    /// The recently-used mark of an element.
    void mark(uint32_t element) const { mark(header(element)); }

    void lock(uint64_t hash) {
        if (atomic::exchange(&chunk(hash).lock, uint8_t{1}) != 0) [[unlikely]]
            lock_held(hash);
    }
    void unlock(uint64_t hash) { atomic::store_release(&chunk(hash).lock, uint8_t{0}); }
    // Require the lock of `hash`, which is the key's.
    /// Whether what find() gave before the lock was taken is the key's element; then it is until the lock is given
    /// back.
    bool confirm(const Found& found, const void* key) const;
    bool find_locked(const void* key, uint64_t hash, Position* out) const;
    /// Puts a closed element into the table. Requires: the key is absent.
    void insert(uint64_t hash, uint32_t element);
    /// Swaps the element of a key for a closed one; the old one is the caller's.
    void replace(const Position& position, uint32_t element);
    /// Takes a key out; its element is the caller's.
    void remove(uint64_t hash, const Position& position);

    /// A free element for the holder of `lane`: TooBig when all are in use, NoMemory when the pool cannot grow.
    Status allocate(uint32_t lane, uint32_t* element);
    void recycle(uint32_t lane, uint32_t element);
    /// The lane's spare element. Requires: made with spares. Whoever takes it puts another one back.
    uint32_t& spare(uint32_t lane) { return lanes_[lane].spare; }
    // Filling an element of the caller's: open(), write the value, close(). Only under the key's lock, so that no two
    // elements say the same key; and the key comes last, so that whoever sees it sees the value.
    void open(uint32_t) const { atomic::release_fence(); }
    void close(uint32_t element, const void* key, uint64_t hash);

    /// Takes the least recently used element (nearly: a clock with one mark) out of the table; none if there is nothing
    /// to take. Requires: the caller holds no lock.
    uint32_t evict(uint32_t lane);

    /// The key in the first slot from `*cursor` on; `*cursor` is then the slot after it. False at the end.
    bool next(uint64_t* cursor, void* key) const;
    /// The slot number after the one that holds `key`; 0 if it is absent.
    uint64_t cursor_after(const void* key) const;
    uint64_t count() const;

  private:
    struct Header {
        uint32_t version;  ///< odd while in the table; changes with each use of the element
        uint8_t used;      ///< looked up since the clock came by
        uint8_t tag;       ///< of the key's hash; the hash's low half is in links_
        uint8_t unused[2];
    };
    struct alignas(64) Chunk {
        uint8_t tags[tags_per_group];
        uint16_t overflow;  ///< keys that probed past this chunk; sticks at 65535
        uint8_t lock;       ///< whoever took it reads the tags by match_tags_only()
        uint8_t unused;
        uint32_t elements[tags_per_group];
    };
    struct alignas(64) Lane {
        uint64_t free;  ///< head of a stack of free elements: number + 1 in the low half, a change count above
        uint32_t spare;
        uint32_t hand, end;  ///< the stretch of the clock this lane is walking
    };
    static_assert(sizeof(Chunk) == 64);

    uint8_t* at(uint32_t element, uint64_t offset) const {
        if (segments_ == nullptr) [[likely]]
            return base_ + uint64_t{element} * stride_ + offset;
        return segment(element) + uint64_t{element & segment_mask_} * stride_ + offset;
    }
    uint8_t* segment(uint32_t element) const { return atomic::load_acquire(&segments_[element >> segment_shift_]); }
    Header* header(uint32_t element) const { return reinterpret_cast<Header*>(at(element, 0)); }
    const uint8_t* key_of(uint32_t element) const { return at(element, 8); }
    uint64_t segment_bytes(uint64_t elements) const { return elements * (stride_ + shape_.lane_bytes * shape_.lanes); }
    Chunk& chunk(uint64_t number) const { return chunks_[number & chunk_mask_]; }
    static uint8_t tag_of(uint64_t hash) { return static_cast<uint8_t>(hash >> 56) | 0x80; }
    static uint64_t step_of(uint64_t hash) { return 2 * uint64_t{tag_of(hash)} + 1; }

    static void mark(Header* header) {
        if (atomic::load(&header->used) == 0) atomic::store(&header->used, uint8_t{1});
    }
    /// Reads a key of 4 or 8 bytes, which needs no call, as a number; false for any other.
    bool short_key(const void* key, uint64_t* word) const {
        if (shape_.key_size == 8)
            *word = atomic::detail::load_private<uint64_t>(static_cast<const uint8_t*>(key));
        else if (shape_.key_size == 4)
            *word = atomic::detail::load_private<uint32_t>(static_cast<const uint8_t*>(key));
        else
            return false;
        return true;
    }
    /// A key of at most 8 bytes as a number.
    uint64_t word_of(const void* key) const {
        uint64_t word = 0;
        if (short_key(key, &word)) return word;
        memcpy(&word, key, shape_.key_size);
        return word;
    }
    static uint64_t fold(uint64_t a, uint64_t b) {
        __extension__ using Wide = unsigned __int128;
        const Wide product = static_cast<Wide>(a) * b;
        return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
    }
    /// Both halves of the 128-bit product, folded: every bit of the key reaches every bit of the hash.
    uint64_t hash_word(uint64_t word) const { return fold(word ^ shape_.seed, 0x9e3779b97f4a7c15u); }
    static const uint64_t* word_at(const uint8_t* element) { return reinterpret_cast<const uint64_t*>(element + 8); }

    void lock_held(uint64_t hash);
    uint64_t hash_odd(const void* key) const;
    Found find_word(uint64_t word) const;
    Found find_word_on(uint64_t word, uint64_t hash) const;
    Found find_odd(const void* key) const;
    Found find_long(const void* key) const;
    template <typename Same>
    bool search_locked(uint64_t hash, Same same, Position* out) const;
    bool locate(uint64_t hash, uint32_t element, Position* out) const;
    template <typename Same>
    Found settle(const Chunk& group, uint32_t slot, Same same) const;
    uint32_t pop(Lane& lane);
    Status grow(uint32_t element);
    bool copy_key(uint32_t element, void* key, uint32_t* version) const;

    HashTableShape shape_;
    uint64_t key_bytes_ = 0;  ///< rounded up to 8
    uint64_t stride_ = 0;     ///< bytes between elements
    uint64_t chunk_mask_ = 0;
    Chunk* chunks_ = nullptr;
    uint8_t* base_ = nullptr;       ///< all elements, if preallocated
    uint8_t** segments_ = nullptr;  ///< else stretches of them, made when first needed
    uint32_t segment_shift_ = 0;
    uint32_t segment_mask_ = 0;
    uint32_t total_ = 0;         ///< elements: max_entries and the spares
    uint32_t* links_ = nullptr;  ///< per element: in the table, its hash's low half; else its successor on a stack + 1
    Lane* lanes_ = nullptr;
    alignas(64) uint32_t fresh_ = 0;  ///< elements from here on were never used
    uint32_t hand_ = 0;               ///< where the next stretch of the clock begins
};

inline uint8_t* HashTable::lane_value(uint32_t element, uint32_t lane) const {
    if (segments_ == nullptr)
        return base_ + uint64_t{total_} * (stride_ + shape_.lane_bytes * lane) + uint64_t{element} * shape_.lane_bytes;
    const uint64_t members = uint64_t{segment_mask_} + 1;
    return segment(element) + members * (stride_ + shape_.lane_bytes * lane) +
           uint64_t{element & segment_mask_} * shape_.lane_bytes;
}

/// A key of one word is read at once and comes after its value, so seeing it is enough: the slot's number is as new as
/// its tag, hence the key was in the table when we read the tag, or is just being put there.
///
/// Here is only what nearly every search comes to: the first slot of the home chunk whose tag fits, or none and nothing
/// beyond. It saves no register, so that more searches fit into the processor's window and their cache misses overlap.
inline HashTable::Found HashTable::find_word(uint64_t word) const {
    const uint64_t hash = hash_word(word);
    const Chunk& group = chunk(hash);
    const uint32_t matches = match_tags(group.tags, tag_of(hash));
    if (matches != 0) [[likely]] {
        const uint32_t element = atomic::load_acquire(&group.elements[__builtin_ctz(matches)]);
        uint8_t* memory = at(element, 0);
        if (atomic::load_acquire(word_at(memory)) == word) [[likely]]
            return {memory, element};
    } else if (atomic::load(&group.overflow) == 0) [[likely]] {
        return {};
    }
    return find_word_on(word, hash);
}

/// Two elements never say the same key, and the key's own leaves the table only under the lock. So an element that is
/// in the table and holds the key, both at one moment, is the one, whichever slot it was found by.
inline bool HashTable::confirm(const Found& found, const void* key) const {
    const uint32_t* its_version = &reinterpret_cast<Header*>(found.memory)->version;
    const uint32_t version = atomic::load_acquire(its_version);
    uint64_t word = 0;
    const bool same = short_key(key, &word) ? atomic::load_acquire(word_at(found.memory)) == word
                                            : atomic::equals_shared(found.memory + 8, key, shape_.key_size);
    if ((version & 1) == 0 || !same) return false;
    atomic::acquire_fence();
    return atomic::load(its_version) == version;
}

}  // namespace skep::maps
