// SPDX-License-Identifier: Apache-2.0
#include "maps/lpm_index4.hpp"

#include <new>

namespace skep::maps {
namespace {

constexpr uint32_t many_prefixes = 1024;  ///< from here on the large root pays

uint32_t mask_of(uint32_t bits) { return bits == 0 ? 0 : ~uint32_t{0} << (32 - bits); }

/// The prefix' bytes as a number, bits beyond its length cleared.
uint32_t prefix_of(const LpmNode* node) {
    const uint8_t* data = node->data();
    const uint32_t value = uint32_t{data[0]} << 24 | uint32_t{data[1]} << 16 | uint32_t{data[2]} << 8 | data[3];
    return value & mask_of(node->prefix_bits);
}

/// Calls `each(slot)` for every slot of the level that the prefix covers. Requires: level.start <= bits <= level.end.
template <typename LevelT, typename Each>
void for_covered(const LevelT& level, uint32_t prefix, uint32_t bits, Each each) {
    const uint32_t first = level.slot_of(prefix);
    const uint32_t count = uint32_t{1} << (level.end - bits);
    for (uint32_t i = 0; i < count; ++i) each(&level.slots[first + i]);
}

}  // namespace

Status LpmIndex4::allocate(Lanes* lanes, uint32_t prefixes) {
    const uint32_t bits = prefixes >= many_prefixes ? 16 : 8;
    root_ = static_cast<uint64_t*>(skep_os_alloc(sizeof(uint64_t) << bits, 64));
    if (root_ == nullptr) return Errc::NoMemory;
    lanes_ = lanes;
    root_shift_ = 32 - bits;
    return {};
}

void LpmIndex4::free() {
    if (root_ == nullptr) return;
    const uint32_t slots = uint32_t{1} << (32 - root_shift_);
    for (uint32_t i = 0; i < slots; ++i) {
        if ((root_[i] & tag_mask) == tag_list) free_list(reinterpret_cast<List*>(root_[i] - tag_list));
        if ((root_[i] & tag_mask) == tag_table) free_table(reinterpret_cast<Table*>(root_[i] - tag_table));
    }
    skep_os_free(root_, sizeof(uint64_t) * slots);
    root_ = nullptr;
}

// Memory. Tables nest at most three deep (8 + 8 + 8 + 8 bits), so recursion over them is bounded by the key.

LpmIndex4::List* LpmIndex4::new_list(LpmNode* cover, uint32_t count) {
    void* memory = skep_os_alloc(list_bytes(count), 64);
    if (memory == nullptr) return nullptr;
    auto* list = new (memory) List{cover, count, count};
    auto* end = new (list->entries() + count) ListEnd();
    end->list = list;
    return list;
}

void LpmIndex4::free_list(List* list) { skep_os_free(list, list_bytes(list->count)); }

void LpmIndex4::retire(List* list) {
    lanes_->retire(reinterpret_cast<ListEnd*>(list->entries() + list->count), free_retired_list);
}

LpmIndex4::Table* LpmIndex4::new_table(LpmNode* cover) {
    void* memory = skep_os_alloc(sizeof(Table), 64);
    if (memory == nullptr) return nullptr;
    auto* table = new (memory) Table();
    table->cover = cover;
    return table;
}

void LpmIndex4::free_table(Table* table) {
    for (const uint64_t word : table->slots) {
        if ((word & tag_mask) == tag_list) free_list(reinterpret_cast<List*>(word - tag_list));
        if ((word & tag_mask) == tag_table) free_table(reinterpret_cast<Table*>(word - tag_table));
    }
    skep_os_free(table, sizeof(Table));
}

// Covers.

LpmNode* LpmIndex4::cover_of(uint64_t word) {
    if ((word & tag_mask) == tag_list) return reinterpret_cast<List*>(word - tag_list)->cover;
    if ((word & tag_mask) == tag_table) return reinterpret_cast<Table*>(word - tag_table)->cover;
    return reinterpret_cast<LpmNode*>(word);
}

void LpmIndex4::set_cover(uint64_t* slot, LpmNode* node) {
    const uint64_t word = *slot;
    if ((word & tag_mask) == tag_list)
        atomic::store_release(&reinterpret_cast<List*>(word - tag_list)->cover, node);
    else if ((word & tag_mask) == tag_table)
        atomic::store_release(&reinterpret_cast<Table*>(word - tag_table)->cover, node);
    else
        atomic::store_release(slot, reinterpret_cast<uint64_t>(node));
}

// Insertion.

Status LpmIndex4::insert(LpmNode* node, bool replaces) { return insert_below(root_level(), node, replaces); }

Status LpmIndex4::insert_below(Level level, LpmNode* node, bool replaces) {
    const uint32_t prefix = prefix_of(node);
    Table* passed[most_levels];
    uint32_t depth = 0;
    for (;;) {
        if (node->prefix_bits <= level.end) {
            for_covered(level, prefix, node->prefix_bits, [&](uint64_t* slot) {
                const LpmNode* cover = cover_of(*slot);
                if (cover == nullptr || cover->prefix_bits <= node->prefix_bits) set_cover(slot, node);
            });
            break;
        }
        uint64_t* slot = &level.slots[level.slot_of(prefix)];
        if ((*slot & tag_mask) != tag_table) {
            if (Status status = insert_long(slot, level.end, node); !status.ok()) return status;
            break;
        }
        passed[depth] = reinterpret_cast<Table*>(*slot - tag_table);
        level = {passed[depth]->slots, level.end, level.end + 8};
        ++depth;
    }
    if (!replaces)
        for (uint32_t i = 0; i < depth; ++i) ++passed[i]->prefixes;
    return {};
}

/// Puts a prefix longer than the level into a slot that holds no table.
Status LpmIndex4::insert_long(uint64_t* slot, uint32_t level_end, LpmNode* node) {
    const uint64_t word = *slot;
    const Entry added = {prefix_of(node), mask_of(node->prefix_bits), node};
    if ((word & tag_mask) == tag_node) {
        List* list = new_list(reinterpret_cast<LpmNode*>(word), 1);
        if (list == nullptr) return Errc::NoMemory;
        list->entries()[0] = added;
        atomic::store_release(slot, reinterpret_cast<uint64_t>(list) + tag_list);
        return {};
    }

    List* old = reinterpret_cast<List*>(word - tag_list);
    for (Entry* entry = old->entries(); entry != old->entries() + old->count; ++entry) {
        if (entry->prefix != added.prefix || entry->mask != added.mask) continue;
        old->live += entry->node == nullptr;
        atomic::store_release(&entry->node, node);
        return {};
    }
    if (old->live >= list_limit) {
        Table* table = table_from(old, level_end, node);
        if (table == nullptr) return Errc::NoMemory;
        atomic::store_release(slot, reinterpret_cast<uint64_t>(table) + tag_table);
        retire(old);
        return {};
    }
    List* list = new_list(old->cover, old->live + 1);
    if (list == nullptr) return Errc::NoMemory;
    Entry* to = list->entries();
    bool placed = false;
    for (const Entry* entry = old->entries(); entry != old->entries() + old->count; ++entry) {
        if (entry->node == nullptr) continue;
        if (!placed && added.mask < entry->mask) {
            *to++ = added;
            placed = true;
        }
        *to++ = *entry;
    }
    if (!placed) *to = added;
    atomic::store_release(slot, reinterpret_cast<uint64_t>(list) + tag_list);
    retire(old);
    return {};
}

/// A table, which nobody sees yet, with what is in `list` and one more; null when memory is out. May come back here
/// through insert_below(), once per level.
LpmIndex4::Table* LpmIndex4::table_from(const List* list, uint32_t level_end, LpmNode* extra) {
    Table* table = new_table(list->cover);
    if (table == nullptr) return nullptr;
    const Level level = {table->slots, level_end, level_end + 8};
    bool ok = insert_below(level, extra, false).ok();
    for (uint32_t i = 0; ok && i < list->count; ++i)
        if (list->entries()[i].node != nullptr) ok = insert_below(level, list->entries()[i].node, false).ok();
    if (!ok) {
        free_table(table);
        return nullptr;
    }
    table->prefixes = list->live + uint64_t{1};
    return table;
}

// Removal. Nothing is allocated: an entry of a list is emptied in place, and the list goes with its last one.

void LpmIndex4::erase(LpmNode* node, LpmNode* next_best) {
    const uint32_t prefix = prefix_of(node);
    Level level = root_level();
    Table* passed[most_levels];
    uint64_t* passed_slot[most_levels];
    uint32_t depth = 0;
    for (;;) {
        if (node->prefix_bits <= level.end) {
            // What covers a slot is the longest prefix of this level; the ones of levels above are found on the way.
            const bool here = next_best != nullptr && (next_best->prefix_bits > level.start || level.start == 0);
            LpmNode* cover = here ? next_best : nullptr;
            for_covered(level, prefix, node->prefix_bits, [&](uint64_t* slot) {
                if (cover_of(*slot) == node) set_cover(slot, cover);
            });
            break;
        }
        uint64_t* slot = &level.slots[level.slot_of(prefix)];
        if ((*slot & tag_mask) == tag_list) {
            List* list = reinterpret_cast<List*>(*slot - tag_list);
            for (Entry* entry = list->entries(); entry != list->entries() + list->count; ++entry) {
                if (entry->node != node) continue;
                atomic::store_release(&entry->node, static_cast<LpmNode*>(nullptr));
                --list->live;
            }
            if (list->live == 0) {
                atomic::store_release(slot, reinterpret_cast<uint64_t>(list->cover));
                retire(list);
            }
            break;
        }
        if ((*slot & tag_mask) == tag_node) break;  // not there: cannot be, as the trie knows what is
        passed[depth] = reinterpret_cast<Table*>(*slot - tag_table);
        passed_slot[depth] = slot;
        level = {passed[depth]->slots, level.end, level.end + 8};
        ++depth;
    }
    while (depth-- > 0) {
        Table* table = passed[depth];
        if (--table->prefixes != 0) continue;
        atomic::store_release(passed_slot[depth], reinterpret_cast<uint64_t>(table->cover));
        lanes_->retire(table, free_retired_table);
    }
}

}  // namespace skep::maps
