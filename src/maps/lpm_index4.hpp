// SPDX-License-Identifier: Apache-2.0
// The longest prefix of a whole IPv4 address in a handful of loads: an index over the nodes of an lpm_trie whose keys
// have 32 bits. The binary trie stays the truth; the index only points into it.
//
// Shape: a root of 2^16 slots (2^8 for small maps) over the first bits of the address. A slot is one word:
//
//     0              no prefix
//     a value        of the prefix that covers the slot, or, with what is left of the prefix in the upper 16 bits, of
//                    the one longer prefix inside it; then the node tells what covers the slot (LpmNode::under)
//     a line         a prefix that covers the slot, and up to three longer ones inside it, in one cache line
//     a table        256 slots over the next 8 bits, for more than three
//
// Real prefix sets leave nearly all slots with nothing or a value, so most lookups are one load of the index; 10000
// scattered prefixes take hardly more than the root, where a plain 16-8-8 table would take megabytes.
//
// What is left of a prefix of 17 to 31 bits: its bits from the 16th on, a 1, and zeros up to 16 bits. So 0 stands for
// "matches all", and values without it are bare addresses. An address must fit in 48 bits, sign extended; where one
// does not, the index retires (fits()).
//
// A prefix that ends inside a level covers a range of its slots: it is their `cover` where no longer one is. A cover is
// never copied down into a table, so an update touches the slots of one level only (65536 of them for the default
// route, 1 for a /24).
//
// Readers take no lock; words and entries change one at a time, each step leaving either the old or the new answer.
// Lines that get an entry are replaced, and lines and tables that are left go through the epoch.
#pragma once

#include <stdint.h>

#include "base/atomic.hpp"
#include "base/status.hpp"
#include "maps/lpm_lines.hpp"
#include "maps/lpm_node.hpp"

namespace skep::maps {

class LpmIndex4 {
  public:
    /// NoMemory, or all is ready. `prefixes`: how many may come.
    Status allocate(Lanes* lanes, uint32_t prefixes);
    /// Frees the index' own memory. Requires: no reader.
    void free();
    bool usable() const { return root() != nullptr; }

    /// What find() starts from; null: not usable.
    const uint64_t* root() const { return atomic::load_acquire(&root_); }
    /// The value of the longest prefix of `address` (its first byte in the top bits), or null. Requires: a lane is
    /// held.
    uint8_t* find(const uint64_t* root, uint32_t address) const {
        const uint64_t word = atomic::load_acquire(&root[address >> root_shift_]);
        if ((word & tags) != 0) [[unlikely]]
            return find_below(address, word);
        return find_alone(address, word);
    }

    // Writers; the caller holds the trie's lock.

    /// Whether the index can point to this node.
    static bool fits(LpmNode* node) { return value_in(word_of(node->value())) == node->value(); }
    /// Not usable from here on; readers that are inside still get answers. Its memory stays until free().
    void stop() { atomic::store_release(&root_, static_cast<uint64_t*>(nullptr)); }

    /// Makes `node` the answer for its prefix, in the place of `old` (a node of the same prefix; then it never fails)
    /// or of nothing. NoMemory leaves everything as it was.
    Status insert(LpmNode* node, LpmNode* old);
    /// Takes `node` out. `next_best`: the longest prefix left that contains it, or null. Never fails.
    void erase(LpmNode* node, LpmNode* next_best);

  private:
    static constexpr uint64_t tag_table = 1, tag_line = 2, tags = tag_table | tag_line;
    static constexpr uint32_t most_levels = 4;

    /// What a word that holds at most one value says.
    static uint8_t* find_alone(uint32_t address, uint64_t word) {
        // All bits of `rest` above its lowest 1 must be the address'; of 0, none.
        const uint32_t rest = static_cast<uint32_t>(word >> 48);
        uint8_t* value = value_in(word);
        if ((rest ^ (address & 0xffff)) <= (rest ^ (rest - 1))) [[likely]]
            return value;
        return atomic::load_acquire(&LpmNode::of(value)->under);
    }
    /// What a line says. Conditional moves all the way: what matches is different for each address, and a mispredicted
    /// branch would cost more than all of this.
    static uint8_t* find_in_line(uint32_t address, const LpmLine* line) {
        uint8_t* answer = atomic::load_acquire(&line->cover);
        for (const LpmLine::Entry& entry : line->entries) {
            uint8_t* value = atomic::load_acquire(&entry.value);
            const bool match = ((address ^ entry.prefix) & entry.mask) == 0;
            answer = __builtin_expect_with_probability(match, 1, 0.5) ? value : answer;
        }
        return answer;
    }
    uint8_t* find_below(uint32_t address, uint64_t word) const;

    struct Table : Retired {
        uint8_t* cover;
        uint64_t prefixes;  ///< that end in it or below; the writer's alone
        uint64_t slots[256];
    };
    /// The slots of one level: the bits [start, end) of the address choose one.
    struct Level {
        uint64_t* slots;
        uint32_t start, end;
        uint32_t slot_of(uint32_t address) const { return (address << start) >> (32 - (end - start)); }
    };

    Level root_level() const { return {slots_, 0, 32 - root_shift_}; }
    Status insert_below(Level level, LpmNode* node, LpmNode* old);
    static void insert_cover(const Level& level, LpmNode* node);
    Status insert_long(uint64_t* slot, uint32_t level_end, LpmNode* node);
    static Table* new_table(uint8_t* cover);
    Table* table_from(const LpmLine& line, uint32_t level_end, LpmNode* extra);
    static void free_retired_table(Retired* retired) { skep_os_free(static_cast<Table*>(retired), sizeof(Table)); }
    /// Of a table that nobody has seen: gives back its lines too.
    void discard_table(Table* table);
    static void free_table(Table* table);
    // What a slot holds; null where it is something else.
    static Table* table_in(uint64_t word) {
        return (word & tag_table) != 0 ? reinterpret_cast<Table*>(word - tag_table) : nullptr;
    }
    static LpmLine* list_in(uint64_t word) {
        return (word & tag_line) != 0 ? reinterpret_cast<LpmLine*>(word - tag_line) : nullptr;
    }
    /// The only one longer than what covers the slot.
    static LpmNode* alone_in(uint64_t word) {
        return (word & tags) == 0 && word >> 48 != 0 ? LpmNode::of(value_in(word)) : nullptr;
    }
    static uint8_t* value_in(uint64_t word) {
        return reinterpret_cast<uint8_t*>(static_cast<int64_t>(word << 16) >> 16);
    }
    /// The word of a slot that holds nothing but a cover.
    static uint64_t word_of(uint8_t* cover) { return reinterpret_cast<uint64_t>(cover) & 0xffff'ffff'ffff; }
    static bool may_be_alone(const LpmNode* node, uint32_t level_end);
    static void put_alone(uint64_t* slot, uint32_t level_end, LpmNode* node, uint8_t* cover);
    static uint8_t* cover_of(uint64_t word);
    static void set_cover(uint64_t* slot, LpmNode* node);
    static void settle(LpmLine* line);

    LpmLines* lines_ = nullptr;
    Lanes* lanes_ = nullptr;
    uint64_t* root_ = nullptr;  ///< the readers': null after stop()
    uint32_t root_shift_ = 0;
    uint64_t* slots_ = nullptr;  ///< of the root
};

}  // namespace skep::maps
