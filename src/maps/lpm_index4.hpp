// SPDX-License-Identifier: Apache-2.0
// The longest prefix of a whole IPv4 address in a handful of loads: an index over the nodes of an lpm_trie whose keys
// have 32 bits. The binary trie stays the truth; the index only points into it.
//
// Shape: a root of 2^16 slots (2^8 for small maps) over the first bits of the address. A slot is one word:
//
//     0 or a node      nothing longer than the slot's bits lies below: the node is the answer
//     a list           up to `list_limit` longer prefixes, compared one by one
//     a table          256 slots over the next 8 bits
//
// Real prefix sets leave nearly all slots with nothing or a list of one or two, so a lookup is two or three dependent
// loads, and 10000 scattered prefixes cost some hundred bytes each, where a plain 16-8-8 table would take kilobytes.
//
// A prefix that ends inside a level covers a range of its slots: it is their `cover` where no longer one is. The cover
// of a slot with a list or a table stands inside that. A cover is never copied down into a table, so an update touches
// the slots of one level only (65536 of them for the default route, 1 for a /24).
//
// Readers take no lock; words and entries change one at a time, each step leaving either the old or the new answer.
// Lists that grow are replaced, and lists and tables that are left go through the epoch.
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

    /// The node of the longest prefix of `address` (its first byte in the top bits), or null. Requires: a lane is held.
    LpmNode* find(uint32_t address) const {
        LpmNode* best = nullptr;
        uint32_t shift = root_shift_;
        uint64_t word = atomic::load_acquire(&root_[address >> shift]);
        for (;;) {
            if ((word & tag_mask) == tag_node) {
                auto* node = reinterpret_cast<LpmNode*>(word);
                return node != nullptr ? node : best;
            }
            if ((word & tag_mask) == tag_list) {
                const auto* list = reinterpret_cast<const List*>(word - tag_list);
                LpmNode* cover = atomic::load_acquire(&list->cover);
                best = cover != nullptr ? cover : best;
                // Shortest first and without a branch: a later match replaces an earlier one.
                const Entry* end = list->entries() + list->count;
                for (const Entry* entry = list->entries(); entry != end; ++entry) {
                    LpmNode* node = atomic::load_acquire(&entry->node);
                    const bool match = ((address ^ entry->prefix) & entry->mask) == 0 && node != nullptr;
                    best = match ? node : best;
                }
                return best;
            }
            const auto* table = reinterpret_cast<const Table*>(word - tag_table);
            LpmNode* cover = atomic::load_acquire(&table->cover);
            best = cover != nullptr ? cover : best;
            shift -= 8;
            word = atomic::load_acquire(&table->slots[(address >> shift) & 0xff]);
        }
    }

    // Writers; the caller holds the trie's lock.

    /// Makes `node` the answer for its prefix; `replaces`: in the place of another node of the same prefix (then it
    /// never fails). NoMemory leaves everything as it was.
    Status insert(LpmNode* node, bool replaces);
    /// Takes `node` out. `next_best`: the longest prefix left that contains it, or null. Never fails.
    void erase(LpmNode* node, LpmNode* next_best);

  private:
    static constexpr uint64_t tag_mask = 3, tag_node = 0, tag_list = 1, tag_table = 2;
    static constexpr uint32_t list_limit = 6;
    static constexpr uint32_t most_levels = 4;

    struct Entry {
        uint32_t prefix;  ///< masked
        uint32_t mask;
        LpmNode* node;  ///< null: taken out
    };
    struct List {
        LpmNode* cover;
        uint32_t count;
        uint32_t live;  ///< entries whose node is not null; the writer's alone
        const Entry* entries() const { return reinterpret_cast<const Entry*>(this + 1); }
        Entry* entries() { return reinterpret_cast<Entry*>(this + 1); }
        // The Entry array, then a ListEnd.
    };
    struct ListEnd : Retired {
        List* list;
    };
    struct Table : Retired {
        LpmNode* cover;
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
    Status insert_below(Level level, LpmNode* node, bool replaces);
    Status insert_long(uint64_t* slot, uint32_t level_end, LpmNode* node);
    static List* new_list(LpmNode* cover, uint32_t count);
    static size_t list_bytes(uint32_t count) { return sizeof(List) + count * sizeof(Entry) + sizeof(ListEnd); }
    static Table* new_table(LpmNode* cover);
    Table* table_from(const List* list, uint32_t level_end, LpmNode* extra);
    void retire(List* list);
    static void free_list(List* list);
    static void free_retired_list(Retired* retired) { free_list(static_cast<ListEnd*>(retired)->list); }
    static void free_retired_table(Retired* retired) { skep_os_free(static_cast<Table*>(retired), sizeof(Table)); }
    static void free_table(Table* table);
    static LpmNode* cover_of(uint64_t word);
    static void set_cover(uint64_t* slot, LpmNode* node);

    Lanes* lanes_ = nullptr;
    uint64_t* root_ = nullptr;
    uint32_t root_shift_ = 0;
};

}  // namespace skep::maps
