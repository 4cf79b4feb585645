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

LpmLine::Entry entry_of(LpmNode* node) { return {prefix_of(node), mask_of(node->prefix_bits), node->value()}; }

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
    lines_ = LpmLines::create(lanes);
    if (lines_ == nullptr) return Errc::NoMemory;
    slots_ = static_cast<uint64_t*>(skep_os_alloc(sizeof(uint64_t) << bits, 64));
    if (slots_ == nullptr) {
        lines_->release();
        return Errc::NoMemory;
    }
    lanes_ = lanes;
    root_shift_ = 32 - bits;
    root_ = slots_;
    return {};
}

void LpmIndex4::free() {
    if (slots_ == nullptr) return;
    const uint32_t slots = uint32_t{1} << (32 - root_shift_);
    for (uint32_t i = 0; i < slots; ++i)
        if (Table* table = table_in(slots_[i]); table != nullptr) free_table(table);
    skep_os_free(slots_, sizeof(uint64_t) * slots);
    lines_->release();
    root_ = slots_ = nullptr;
}

// Memory. Tables nest at most three deep (8 + 8 + 8 + 8 bits), so recursion over them is bounded by the key.

LpmIndex4::Table* LpmIndex4::new_table(uint8_t* cover) {
    void* memory = skep_os_alloc(sizeof(Table), 64);
    if (memory == nullptr) return nullptr;
    auto* table = new (memory) Table();
    table->cover = cover;
    return table;
}

void LpmIndex4::free_table(Table* table) {
    for (const uint64_t word : table->slots)
        if (Table* below = table_in(word); below != nullptr) free_table(below);
    skep_os_free(table, sizeof(Table));
}

void LpmIndex4::discard_table(Table* table) {
    for (const uint64_t word : table->slots) {
        if (LpmLine* list = list_in(word); list != nullptr) lines_->give_back(list);
        if (Table* below = table_in(word); below != nullptr) discard_table(below);
    }
    skep_os_free(table, sizeof(Table));
}

// Covers.

uint8_t* LpmIndex4::cover_of(uint64_t word) {
    if (const Table* table = table_in(word); table != nullptr) return table->cover;
    if (const LpmLine* list = list_in(word); list != nullptr) return list->cover;
    if (const LpmNode* alone = alone_in(word); alone != nullptr) return alone->under;
    return value_in(word);
}

void LpmIndex4::set_cover(uint64_t* slot, LpmNode* node) {
    uint8_t* value = node != nullptr ? node->value() : nullptr;
    if (Table* table = table_in(*slot); table != nullptr) {
        atomic::store_release(&table->cover, value);
    } else if (LpmLine* list = list_in(*slot); list != nullptr) {
        atomic::store_release(&list->cover, value);
        settle(list);
    } else if (LpmNode* alone = alone_in(*slot); alone != nullptr) {
        atomic::store_release(&alone->under, value);
    } else {
        atomic::store_release(slot, word_of(value));
    }
}

// Nodes alone in their slots.
//
// A reader takes the word and then, maybe much later, looks at `under`. As long as the node is in the slot, that is
// what covers it now; after that, `under` must keep what it said last, which was true when the reader came. So a node
// is never alone in a second slot.

bool LpmIndex4::may_be_alone(const LpmNode* node, uint32_t level_end) {
    return level_end >= 16 && node->prefix_bits > 16 && node->prefix_bits < 32 &&
           (node->home == 0 || node->home == level_end);
}

void LpmIndex4::put_alone(uint64_t* slot, uint32_t level_end, LpmNode* node, uint8_t* cover) {
    node->home = level_end;
    atomic::store_release(&node->under, cover);
    const uint32_t rest = (prefix_of(node) & 0xffff) | uint32_t{1} << (31 - node->prefix_bits);
    atomic::store_release(slot, word_of(node->value()) | uint64_t{rest} << 48);
}

/// Makes the entries that hold no prefix say what the next shorter one says. Each store moves some addresses from the
/// old answer to the new one and touches no others.
void LpmIndex4::settle(LpmLine* line) {
    for (uint32_t i = 0; i < LpmLine::most_entries; ++i) {
        LpmLine::Entry& entry = line->entries[i];
        if (line->holds(i)) continue;
        uint8_t* value = line->cover;
        for (uint32_t j = 0; j < i; ++j) {
            const LpmLine::Entry& shorter = line->entries[j];
            if (line->holds(j) && (entry.prefix & shorter.mask) == shorter.prefix && shorter.mask <= entry.mask)
                value = shorter.value;
        }
        if (entry.value != value) atomic::store_release(&entry.value, value);
    }
}

// Lookup beyond the root.

uint8_t* LpmIndex4::find_below(uint32_t address, uint64_t word) const {
    uint8_t* best = nullptr;
    uint32_t shift = root_shift_;
    while ((word & tag_table) != 0) {
        const auto* table = reinterpret_cast<const Table*>(word - tag_table);
        uint8_t* cover = atomic::load_acquire(&table->cover);
        best = cover != nullptr ? cover : best;
        shift -= 8;
        word = atomic::load_acquire(&table->slots[(address >> shift) & 0xff]);
    }
    const LpmLine* list = list_in(word);
    uint8_t* answer = list != nullptr ? find_in_line(address, list) : find_alone(address, word);
    return answer != nullptr ? answer : best;
}

// Insertion.

Status LpmIndex4::insert(LpmNode* node, LpmNode* old) { return insert_below(root_level(), node, old); }

Status LpmIndex4::insert_below(Level level, LpmNode* node, LpmNode* old) {
    const uint32_t prefix = prefix_of(node);
    Table* passed[most_levels];
    uint32_t depth = 0;
    for (;;) {
        if (node->prefix_bits <= level.end) {
            insert_cover(level, node);
            break;
        }
        uint64_t* slot = &level.slots[level.slot_of(prefix)];
        Table* table = table_in(*slot);
        if (table == nullptr) {
            if (Status status = insert_long(slot, level.end, node); !status.ok()) return status;
            break;
        }
        passed[depth] = table;
        level = {table->slots, level.end, level.end + 8};
        ++depth;
    }
    if (old == nullptr)
        for (uint32_t i = 0; i < depth; ++i) ++passed[i]->prefixes;
    return {};
}

/// Puts a prefix that ends in this level, also in the place of an equal one.
void LpmIndex4::insert_cover(const Level& level, LpmNode* node) {
    for_covered(level, prefix_of(node), node->prefix_bits, [&](uint64_t* slot) {
        uint8_t* cover = cover_of(*slot);
        if (cover == nullptr || LpmNode::of(cover)->prefix_bits <= node->prefix_bits) set_cover(slot, node);
    });
}

/// Puts a prefix longer than the level into a slot that holds no table.
Status LpmIndex4::insert_long(uint64_t* slot, uint32_t level_end, LpmNode* node) {
    const LpmLine::Entry added = entry_of(node);
    LpmNode* alone = alone_in(*slot);
    const bool replaces =
        alone != nullptr && alone->prefix_bits == node->prefix_bits && prefix_of(alone) == added.prefix;
    LpmLine* old = list_in(*slot);
    if ((replaces || (alone == nullptr && old == nullptr)) && may_be_alone(node, level_end)) {
        put_alone(slot, level_end, node, cover_of(*slot));
        return {};
    }
    if (old != nullptr) {
        for (uint32_t i = 0; i < LpmLine::most_entries; ++i) {
            LpmLine::Entry& entry = old->entries[i];
            if (entry.prefix != added.prefix || entry.mask != added.mask) continue;
            old->owner_and_dead &= ~(uint64_t{1} << i);
            atomic::store_release(&entry.value, added.value);
            settle(old);
            return {};
        }
        if (old->live() == LpmLine::most_entries) {
            Table* table = table_from(*old, level_end, node);
            if (table == nullptr) return Errc::NoMemory;
            atomic::store_release(slot, reinterpret_cast<uint64_t>(table) + tag_table);
            lines_->retire(old);
            return {};
        }
    }
    LpmLine* list = lines_->take();
    if (list == nullptr) return Errc::NoMemory;
    list->cover = cover_of(*slot);
    LpmLine::Entry present[LpmLine::most_entries];
    uint32_t count = 0;
    if (alone != nullptr) present[count++] = entry_of(alone);
    for (uint32_t i = 0; old != nullptr && i < LpmLine::most_entries; ++i)
        if (old->holds(i)) present[count++] = old->entries[i];
    // Filled from the back, longest first: unused entries come before all others.
    uint32_t at = LpmLine::most_entries;
    bool placed = false;
    while (count-- > 0) {
        if (!placed && added.mask >= present[count].mask) {
            list->entries[--at] = added;
            placed = true;
        }
        list->entries[--at] = present[count];
    }
    if (!placed) list->entries[--at] = added;
    settle(list);
    atomic::store_release(slot, reinterpret_cast<uint64_t>(list) + tag_line);
    if (old != nullptr) lines_->retire(old);
    return {};
}

/// A table, which nobody sees yet, with what is in `line` and one more; null when memory is out. May come back here
/// through insert_below(), once per level.
LpmIndex4::Table* LpmIndex4::table_from(const LpmLine& line, uint32_t level_end, LpmNode* extra) {
    Table* table = new_table(line.cover);
    if (table == nullptr) return nullptr;
    const Level level = {table->slots, level_end, level_end + 8};
    LpmNode* nodes[LpmLine::most_entries + 1] = {extra};
    for (uint32_t i = 0; i < LpmLine::most_entries; ++i) nodes[i + 1] = LpmNode::of(line.entries[i].value);
    bool ok = true;
    for (LpmNode* node : nodes) ok = ok && insert_below(level, node, nullptr).ok();
    if (!ok) {
        discard_table(table);
        return nullptr;
    }
    table->prefixes = LpmLine::most_entries + 1;
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
                if (cover_of(*slot) == node->value()) set_cover(slot, cover);
            });
            break;
        }
        uint64_t* slot = &level.slots[level.slot_of(prefix)];
        if (alone_in(*slot) == node) {
            atomic::store_release(slot, word_of(node->under));
            break;
        }
        if (LpmLine* list = list_in(*slot); list != nullptr) {
            for (uint32_t i = 0; i < LpmLine::most_entries; ++i)
                if (list->holds(i) && list->entries[i].value == node->value()) list->owner_and_dead |= uint64_t{1} << i;
            settle(list);
            if (list->live() == 0) {
                atomic::store_release(slot, word_of(list->cover));
                lines_->retire(list);
            } else if (list->live() == 1) {
                LpmNode* last = nullptr;
                for (uint32_t i = 0; i < LpmLine::most_entries; ++i)
                    if (list->holds(i)) last = LpmNode::of(list->entries[i].value);
                if (may_be_alone(last, level.end)) {
                    put_alone(slot, level.end, last, list->cover);
                    lines_->retire(list);
                }
            }
            break;
        }
        Table* table = table_in(*slot);
        if (table == nullptr) break;  // not there: cannot be, as the trie knows what is
        passed[depth] = table;
        passed_slot[depth] = slot;
        level = {passed[depth]->slots, level.end, level.end + 8};
        ++depth;
    }
    while (depth-- > 0) {
        Table* table = passed[depth];
        if (--table->prefixes != 0) continue;
        atomic::store_release(passed_slot[depth], word_of(table->cover));
        lanes_->retire(table, free_retired_table);
    }
}

}  // namespace skep::maps
