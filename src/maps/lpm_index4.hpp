// SPDX-License-Identifier: Apache-2.0
// The longest prefix of a whole IPv4 address in a handful of loads: an index over the nodes of an lpm_trie whose keys
// have 32 bits. The binary trie stays the truth; the index only points into it.
//
// Shape: a root of 2^16 slots (2^8 for small maps) over the first bits of the address. A slot is one word:
//
//     0              no prefix
//     a line         a prefix that covers the slot, and up to three longer ones inside it, in one cache line: either
//                    the line that belongs to the covering node, or (with longer prefixes) one of the index' own
//     a table        256 slots over the next 8 bits, for more than three
//
// Real prefix sets leave nearly all slots with nothing or a line, so a lookup is two loads and no branch that depends
// on what they say; 10000 scattered prefixes take a line each, where a plain 16-8-8 table would take kilobytes.
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
#include "maps/lpm_node.hpp"

namespace skep::maps {

class LpmIndex4 {
  public:
    /// NoMemory, or all is ready. `prefixes`: how many may come.
    Status allocate(Lanes* lanes, uint32_t prefixes);
    /// Frees the index' own memory. Requires: no reader.
    void free();
    bool usable() const { return root_ != nullptr; }

    /// The value of the longest prefix of `address` (its first byte in the top bits), or null. Requires: a lane is
    /// held.
    uint8_t* find(uint32_t address) const {
        uint32_t shift = root_shift_;
        uint64_t word = atomic::load_acquire(&root_[address >> shift]);
        if ((word & tag_table) != 0) return find_below(address, word);
        return find_in_line(address, word);
    }

    // Writers; the caller holds the trie's lock.

    /// Makes `node` the answer for its prefix, in the place of `old` (a node of the same prefix; then it never fails)
    /// or of nothing. NoMemory leaves everything as it was.
    Status insert(LpmNode* node, LpmNode* old);
    /// Takes `node` out. `next_best`: the longest prefix left that contains it, or null. Never fails.
    void erase(LpmNode* node, LpmNode* next_best);

  private:
    static constexpr uint64_t tag_table = 1;
    static constexpr uint32_t most_levels = 4;
    static constexpr LpmLine empty{};

    /// What the line in a slot says. Conditional moves all the way: what matches is different for each address, and a
    /// mispredicted branch would cost more than all of this.
    uint8_t* find_in_line(uint32_t address, uint64_t word) const {
        const auto* line = reinterpret_cast<const LpmLine*>(word != 0 ? word : no_prefix_);
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

    Level root_level() const { return {root_, 0, 32 - root_shift_}; }
    Status insert_below(Level level, LpmNode* node, LpmNode* old);
    Status insert_cover(const Level& level, LpmNode* node, LpmNode* old);
    Status insert_long(uint64_t* slot, uint32_t level_end, LpmNode* node);
    static Table* new_table(uint8_t* cover);
    Table* table_from(const LpmLine& line, uint32_t level_end, LpmNode* extra);
    static void free_retired_table(Retired* retired) { skep_os_free(static_cast<Table*>(retired), sizeof(Table)); }
    /// Of a table that nobody has seen: gives back its lines too.
    void discard_table(Table* table);
    static void free_table(Table* table);
    /// What a slot holds; null where it is something else. A line is a list if it is not the one of its cover.
    static Table* table_in(uint64_t word) {
        return (word & tag_table) != 0 ? reinterpret_cast<Table*>(word - tag_table) : nullptr;
    }
    static LpmLine* list_in(uint64_t word);
    /// The word of a slot that holds nothing but a cover.
    static uint64_t word_of(uint8_t* cover) {
        return cover != nullptr ? reinterpret_cast<uint64_t>(LpmNode::of(cover)->line) : 0;
    }
    static uint8_t* cover_of(uint64_t word);
    static void set_cover(uint64_t* slot, LpmNode* node);
    static void settle(LpmLine* line);

    LpmLines* lines_ = nullptr;
    Lanes* lanes_ = nullptr;
    uint64_t* root_ = nullptr;
    uint32_t root_shift_ = 0;
    uint64_t no_prefix_ = reinterpret_cast<uint64_t>(&empty);  ///< the line of slots that hold 0
};

}  // namespace skep::maps
