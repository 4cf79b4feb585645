// SPDX-License-Identifier: Apache-2.0
#include "maps/hash_table.hpp"

#include <string.h>

#include "base/os.hpp"

namespace skep::maps {
namespace {

constexpr uint8_t tag_free = 0;
constexpr uint8_t tag_claimed = 1;
constexpr uint16_t overflow_stuck = UINT16_MAX;
constexpr uint32_t fill_of_twelve = 10;  // slots of a chunk that a full map uses on average, at most
constexpr uint32_t most_segments = 1u << 14;
constexpr uint32_t clock_stretch = 16;  // elements a lane takes from the clock at a time
constexpr uint32_t spins_before_yield = 64;

constexpr uint64_t multiplier_a = 0x9e3779b97f4a7c15u;
constexpr uint64_t multiplier_b = 0xd6e8feb86659fd93u;

inline uint32_t lowest_bit(uint32_t bits) { return static_cast<uint32_t>(__builtin_ctz(bits)); }

inline void* allocate_array(uint64_t count, uint64_t size, size_t align) {
    if (count > SIZE_MAX / 4 / size) return nullptr;
    return skep_os_alloc(static_cast<size_t>(count * size), align);
}

}  // namespace

Status HashTable::create(const HashTableShape& shape) {
    shape_ = shape;
    key_bytes_ = (uint64_t{shape.key_size} + 7) & ~uint64_t{7};
    stride_ = 8 + key_bytes_ + shape.value_bytes;
    if (stride_ > 16 && stride_ <= 32) stride_ = 32;  // small elements stay within one cache line
    const uint64_t total = uint64_t{shape.max_entries} + (shape.spares ? shape.lanes : 0);
    total_ = static_cast<uint32_t>(total);
    uint64_t chunks = 1;
    while (chunks * fill_of_twelve < total) chunks *= 2;
    chunk_mask_ = chunks - 1;

    // A segment holds about 64 KiB, or more where that would make too many of them.
    while (segment_shift_ < 6 || (total >> segment_shift_) >= most_segments ||
           (segment_bytes(uint64_t{2} << segment_shift_) <= 65536 && (total >> segment_shift_) > 1))
        ++segment_shift_;
    segment_mask_ = (1u << segment_shift_) - 1;

    chunks_ = static_cast<Chunk*>(allocate_array(chunks, sizeof(Chunk), alignof(Chunk)));
    links_ = static_cast<uint32_t*>(allocate_array(total, sizeof(uint32_t), 64));
    lanes_ = static_cast<Lane*>(allocate_array(shape.lanes, sizeof(Lane), alignof(Lane)));
    if (shape.preallocate)
        base_ = static_cast<uint8_t*>(allocate_array(1, segment_bytes(total), 64));
    else
        segments_ = static_cast<uint8_t**>(allocate_array((total >> segment_shift_) + 1, sizeof(uint8_t*), 64));
    bool complete =
        chunks_ != nullptr && links_ != nullptr && lanes_ != nullptr && (base_ != nullptr || segments_ != nullptr);
    if (complete && shape.spares) {
        for (uint32_t lane = 0; lane < shape.lanes && complete; ++lane) {
            lanes_[lane].spare = fresh_;
            complete = grow(fresh_).ok();
            ++fresh_;
        }
    }
    if (complete) return {};
    destroy();
    return Errc::NoMemory;
}

void HashTable::destroy() {
    if (segments_ != nullptr) {
        const uint64_t count = (uint64_t{total_} >> segment_shift_) + 1;
        for (uint64_t i = 0; i < count; ++i)
            skep_os_free(segments_[i], static_cast<size_t>(segment_bytes(uint64_t{segment_mask_} + 1)));
        skep_os_free(segments_, static_cast<size_t>(count * sizeof(uint8_t*)));
    }
    skep_os_free(base_, static_cast<size_t>(segment_bytes(total_)));
    skep_os_free(lanes_, shape_.lanes * sizeof(Lane));
    skep_os_free(links_, total_ * sizeof(uint32_t));
    skep_os_free(chunks_, static_cast<size_t>((chunk_mask_ + 1) * sizeof(Chunk)));
}

// ---- keys

uint64_t HashTable::hash_odd(const void* key) const {
    if (shape_.key_size <= 8) return hash_word(word_of(key));
    auto* bytes = static_cast<const uint8_t*>(key);
    uint64_t state = shape_.seed ^ shape_.key_size;
    uint32_t left = shape_.key_size;
    for (; left >= 8; left -= 8, bytes += 8)
        state = fold(state ^ atomic::detail::load_private<uint64_t>(bytes), multiplier_a) + multiplier_b;
    if (left != 0) {
        uint64_t last = 0;
        memcpy(&last, bytes, left);
        state = fold(state ^ last, multiplier_a) + multiplier_b;
    }
    return fold(state, multiplier_b);
}

// ---- reading

namespace {

struct SameWord {
    uint64_t word;
    bool operator()(const uint8_t* key) const {
        return atomic::load_acquire(reinterpret_cast<const uint64_t*>(key)) == word;
    }
};

struct SameBytes {
    const void* wanted;
    uint32_t size;
    bool operator()(const uint8_t* key) const { return atomic::equals_shared(key, wanted, size); }
};

}  // namespace

/// A slot whose tag fits seemed to hold another key, or nothing. Either that was true at one moment, or the element was
/// recycled between our looks: only an unchanged slot with an unchanged element is an answer.
template <typename Same>
HashTable::Found HashTable::settle(const Chunk& group, uint32_t slot, Same same) const {
    for (;;) {
        const uint32_t element = atomic::load_acquire(&group.elements[slot]);
        uint8_t* memory = at(element, 0);
        const uint32_t* its_version = &reinterpret_cast<Header*>(memory)->version;
        const uint32_t version = atomic::load_acquire(its_version);
        const bool found = same(memory + 8) && (version & 1) != 0;
        atomic::acquire_fence();
        // The slot first: if it was given this element anew, the version is newer, too.
        if (atomic::load_acquire(&group.elements[slot]) != element) continue;
        if (atomic::load(its_version) != version) continue;
        return found ? Found{memory, element} : Found{};
    }
}

/// The whole search for a key of one word, from the start.
__attribute__((noinline)) HashTable::Found HashTable::find_word_on(uint64_t word, uint64_t hash) const {
    uint64_t place = hash;
    for (uint64_t left = chunk_mask_ + 1; left != 0; --left) {
        const Chunk& group = chunk(place);
        for (uint32_t matches = match_tags(group.tags, tag_of(hash)); matches != 0; matches &= matches - 1) {
            const uint32_t slot = lowest_bit(matches);
            const uint32_t element = atomic::load_acquire(&group.elements[slot]);
            uint8_t* memory = at(element, 0);
            if (atomic::load_acquire(word_at(memory)) == word) return {memory, element};
            const Found settled = settle(group, slot, SameWord{word});
            if (settled.memory != nullptr) return settled;
        }
        if (atomic::load(&group.overflow) == 0) break;
        place += step_of(hash);
    }
    return {};
}

/// A key that is no word of 4 or 8 bytes.
__attribute__((noinline)) HashTable::Found HashTable::find_odd(const void* key) const {
    return shape_.key_size > 8 ? find_long(key) : find_word(word_of(key));
}

/// A longer key may be seen half recycled, even when it seems to fit: the version says.
HashTable::Found HashTable::find_long(const void* key) const {
    const uint64_t key_hash = hash(key);
    const SameBytes same{key, shape_.key_size};
    uint64_t place = key_hash;
    for (uint64_t left = chunk_mask_ + 1; left != 0; --left) {
        const Chunk& group = chunk(place);
        for (uint32_t matches = match_tags(group.tags, tag_of(key_hash)); matches != 0; matches &= matches - 1) {
            const uint32_t slot = lowest_bit(matches);
            const uint32_t element = atomic::load_acquire(&group.elements[slot]);
            uint8_t* memory = at(element, 0);
            const uint32_t* its_version = &reinterpret_cast<Header*>(memory)->version;
            const uint32_t version = atomic::load_acquire(its_version);
            if (same(memory + 8) && (version & 1) != 0) [[likely]] {
                atomic::acquire_fence();
                // In the table with this key: which slot it is in does not matter.
                if (atomic::load(its_version) == version) return {memory, element};
            }
            const Found settled = settle(group, slot, same);
            if (settled.memory != nullptr) return settled;
        }
        if (atomic::load(&group.overflow) == 0) break;
        place += step_of(key_hash);
    }
    return {};
}

bool HashTable::holds(uint32_t element, const void* key, uint32_t* version) const {
    *version = atomic::load_acquire(&header(element)->version);
    return (*version & 1) != 0 && atomic::equals_shared(key_of(element), key, shape_.key_size);
}

// ---- writing

/// lock(), while somebody else has it.
__attribute__((noinline)) void HashTable::lock_held(uint64_t hash) {
    uint8_t* word = &chunk(hash).lock;
    uint32_t spins = 0;
    do {
        while (atomic::load(word) != 0) {
            if (++spins < spins_before_yield)
                atomic::relax();
            else
                skep_os_yield();  // the holder may have been preempted
        }
    } while (atomic::exchange(word, uint8_t{1}) != 0);
}

/// Slots of keys from other homes change without our lock, and one of them may still show the number of an element that
/// was recycled into ours. So a slot counts only if its number is as new as its tag.
template <typename Same>
inline bool HashTable::search_locked(uint64_t hash, Same same, Position* out) const {
    uint64_t place = hash;
    const uint8_t tag = tag_of(hash);
    for (uint64_t probes = 0; probes <= chunk_mask_; ++probes) {
        const Chunk& group = chunk(place);
        for (uint32_t matches = match_tags_only(group.tags, tag); matches != 0; matches &= matches - 1) {
            const uint32_t slot = lowest_bit(matches);
            if (atomic::load_acquire(&group.tags[slot]) != tag) continue;
            const uint32_t element = atomic::load_acquire(&group.elements[slot]);
            if (!same(element)) continue;
            *out = {place & chunk_mask_, slot, element};
            return true;
        }
        if (atomic::load(&group.overflow) == 0) return false;
        place += step_of(hash);
    }
    return false;
}

bool HashTable::find_locked(const void* key, uint64_t hash, Position* out) const {
    // Another home's element may show our key for a moment: half refilled, or freed. Ours is odd, and stays so.
    const auto search_for = [&](auto same) {
        const auto is_ours = [&](uint32_t element) {
            const uint32_t version = atomic::load_acquire(&header(element)->version);
            return (version & 1) != 0 && same(key_of(element)) && still(element, version);
        };
        return search_locked(hash, is_ours, out);
    };
    return shape_.key_size <= 8 ? search_for(SameWord{word_of(key)}) : search_for(SameBytes{key, shape_.key_size});
}

bool HashTable::locate(uint64_t hash, uint32_t element, Position* out) const {
    return search_locked(hash, [=](uint32_t e) { return e == element; }, out);
}

void HashTable::insert(uint64_t hash, uint32_t element) {
    // There are more slots than elements, so one is free; a slot freed behind us while we pass costs one more round.
    for (uint64_t place = hash;; place += step_of(hash)) {
        Chunk& group = chunk(place);
        for (uint32_t empty = match_tags_only(group.tags, tag_free); empty != 0; empty &= empty - 1) {
            const uint32_t slot = lowest_bit(empty);
            uint8_t expected = tag_free;
            if (!atomic::compare_exchange(&group.tags[slot], &expected, tag_claimed)) continue;
            atomic::store_release(&group.elements[slot], element);
            atomic::store_release(&group.tags[slot], tag_of(hash));
            return;
        }
        uint16_t passed = atomic::load(&group.overflow);
        while (passed != overflow_stuck &&
               !atomic::compare_exchange(&group.overflow, &passed, static_cast<uint16_t>(passed + 1))) {
        }
    }
}

void HashTable::replace(const Position& position, uint32_t element) {
    atomic::store_release(&chunk(position.chunk).elements[position.slot], element);
    Header* old = header(position.element);
    atomic::store_release(&old->version, atomic::load(&old->version) + 1);
}

void HashTable::remove(uint64_t hash, const Position& position) {
    atomic::store_release(&chunk(position.chunk).tags[position.slot], tag_free);
    for (uint64_t place = hash; (place & chunk_mask_) != position.chunk; place += step_of(hash)) {
        uint16_t* overflow = &chunk(place).overflow;
        uint16_t passed = atomic::load(overflow);
        while (passed != overflow_stuck &&
               !atomic::compare_exchange(overflow, &passed, static_cast<uint16_t>(passed - 1))) {
        }
    }
    Header* old = header(position.element);
    atomic::store_release(&old->version, atomic::load(&old->version) + 1);
}

void HashTable::close(uint32_t element, const void* key, uint64_t hash) {
    Header* head = header(element);
    atomic::store(&head->used, uint8_t{0});
    atomic::store(&head->tag, tag_of(hash));
    atomic::store(&links_[element], static_cast<uint32_t>(hash));
    uint8_t* to = at(element, 8);
    if (shape_.key_size <= 8) {
        atomic::store_release(reinterpret_cast<uint64_t*>(to), word_of(key));
    } else {
        const uint32_t whole = shape_.key_size & ~7u;
        if (whole != shape_.key_size) {
            uint64_t last = 0;
            memcpy(&last, static_cast<const uint8_t*>(key) + whole, shape_.key_size - whole);
            atomic::store(reinterpret_cast<uint64_t*>(to + whole), last);
        }
        atomic::copy_to_shared(to, key, whole);
    }
    atomic::store_release(&head->version, atomic::load(&head->version) + 1);
}

// ---- elements

uint32_t HashTable::pop(Lane& lane) {
    uint64_t head = atomic::load_acquire(&lane.free);
    while (static_cast<uint32_t>(head) != 0) {
        const uint32_t element = static_cast<uint32_t>(head) - 1;
        // Somebody may take it under us; then the count above has changed and what we read is dropped.
        const uint64_t next = ((head >> 32) + 1) << 32 | atomic::load(&links_[element]);
        if (atomic::compare_exchange(&lane.free, &head, next)) return element;
    }
    return none;
}

void HashTable::recycle(uint32_t lane, uint32_t element) {
    uint64_t* free = &lanes_[shape_.one_free_stack ? 0 : lane].free;
    uint64_t head = atomic::load(free), next = 0;
    do {
        atomic::store(&links_[element], static_cast<uint32_t>(head));
        next = ((head >> 32) + 1) << 32 | (element + 1);
    } while (!atomic::compare_exchange(free, &head, next));
}

Status HashTable::grow(uint32_t element) {
    if (segments_ == nullptr || segment(element) != nullptr) return {};
    const size_t bytes = static_cast<size_t>(segment_bytes(uint64_t{segment_mask_} + 1));
    auto* made = static_cast<uint8_t*>(allocate_array(1, bytes, 64));
    if (made == nullptr) return Errc::NoMemory;
    uint8_t* there = nullptr;
    if (!atomic::compare_exchange(&segments_[element >> segment_shift_], &there, made)) skep_os_free(made, bytes);
    return {};
}

Status HashTable::allocate(uint32_t lane, uint32_t* element) {
    *element = pop(lanes_[shape_.one_free_stack ? 0 : lane]);
    if (*element != none) return {};
    uint32_t fresh = atomic::load(&fresh_);
    while (fresh < total_) {
        if (Status status = grow(fresh); !status.ok()) return status;
        if (atomic::compare_exchange(&fresh_, &fresh, fresh + 1)) {
            *element = fresh;
            return {};
        }
    }
    for (uint32_t other = 0; other < shape_.lanes && !shape_.one_free_stack; ++other) {
        *element = pop(lanes_[other]);
        if (*element != none) return {};
    }
    return Status(Errc::TooBig, shape_.max_entries);
}

uint32_t HashTable::evict(uint32_t lane) {
    Lane& own = lanes_[lane];
    // One round clears every mark, the second finds one without; beyond that everything is being looked up all the
    // time, and any will do.
    const uint64_t patience = 2 * uint64_t{total_} + clock_stretch;
    for (uint64_t steps = 0; steps < 2 * patience; ++steps) {
        if (own.hand >= own.end) {
            own.hand = atomic::add(&hand_, clock_stretch) % total_;
            own.end = own.hand + clock_stretch;
        }
        const uint32_t candidate = own.hand++ % total_;
        Header* head = header(candidate);
        if ((atomic::load(&head->version) & 1) == 0) continue;
        if (steps < patience && atomic::load(&head->used) != 0) {
            atomic::store(&head->used, uint8_t{0});
            continue;
        }
        // The chunk number has at most 27 bits, so these two say which lock and which probe sequence.
        const uint32_t version = atomic::load_acquire(&head->version);
        const uint64_t key_hash = uint64_t{atomic::load(&head->tag)} << 56 | atomic::load(&links_[candidate]);
        Position position;
        lock(key_hash);
        const bool there = (version & 1) != 0 && still(candidate, version) && locate(key_hash, candidate, &position);
        if (there) remove(key_hash, position);
        unlock(key_hash);
        if (there) return candidate;
    }
    return none;
}

// ---- iterating

bool HashTable::copy_key(uint32_t element, void* key, uint32_t* version) const {
    *version = atomic::load_acquire(&header(element)->version);
    if ((*version & 1) == 0) return false;
    atomic::copy_from_shared(key, key_of(element), shape_.key_size);
    return still(element, *version);
}

bool HashTable::next(uint64_t* cursor, void* key) const {
    const uint64_t slots = (chunk_mask_ + 1) * tags_per_group;
    while (*cursor < slots) {
        const Chunk& group = chunks_[*cursor / tags_per_group];
        const uint32_t slot = static_cast<uint32_t>(*cursor % tags_per_group);
        if ((atomic::load_acquire(&group.tags[slot]) & 0x80) == 0) {
            ++*cursor;
            continue;
        }
        const uint32_t element = atomic::load_acquire(&group.elements[slot]);
        uint32_t version = 0;
        const bool whole = copy_key(element, key, &version);
        if (!whole || atomic::load_acquire(&group.elements[slot]) != element) continue;  // it changed: look again
        ++*cursor;
        return true;
    }
    return false;
}

uint64_t HashTable::cursor_after(const void* key) const {
    const uint64_t key_hash = hash(key);
    auto* self = const_cast<HashTable*>(this);
    Position position;
    self->lock(key_hash);
    const bool there = find_locked(key, key_hash, &position);
    self->unlock(key_hash);
    return there ? position.chunk * tags_per_group + position.slot + 1 : 0;
}

uint64_t HashTable::count() const {
    uint64_t live = 0;
    for (uint64_t number = 0; number <= chunk_mask_; ++number) {
        for (uint32_t slot = 0; slot < tags_per_group; ++slot) live += atomic::load(&chunks_[number].tags[slot]) >> 7;
    }
    return live;
}

}  // namespace skep::maps
