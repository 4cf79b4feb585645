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
    lines_ = LpmLines::create(lanes);
    if (lines_ == nullptr) return Errc::NoMemory;
    root_ = static_cast<uint64_t*>(skep_os_alloc(sizeof(uint64_t) << bits, 64));
    if (root_ == nullptr) {
        lines_->release();
        return Errc::NoMemory;
    }
    lanes_ = lanes;
    root_shift_ = 32 - bits;
    return {};
}

void LpmIndex4::free() {
    if (root_ == nullptr) return;
    const uint32_t slots = uint32_t{1} << (32 - root_shift_);
    for (uint32_t i = 0; i < slots; ++i)
        if (Table* table = table_in(root_[i]); table != nullptr) free_table(table);
    skep_os_free(root_, sizeof(uint64_t) * slots);
    lines_->release();
    root_ = nullptr;
}

// Memory. Tables nest at most three deep (8 + 8 + 8 + 8 bits), so recursion over them is bounded by the key.

LpmLine* LpmIndex4::list_in(uint64_t word) {
    if (word == 0 || (word & tag_table) != 0) return nullptr;
    auto* line = reinterpret_cast<LpmLine*>(word);
    return line->cover != nullptr && LpmNode::of(line->cover)->line == line ? nullptr : line;
}

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
    if (word == 0) return nullptr;
    if (const Table* table = table_in(word); table != nullptr) return table->cover;
    return reinterpret_cast<LpmLine*>(word)->cover;
}

void LpmIndex4::set_cover(uint64_t* slot, LpmNode* node) {
    uint8_t* value = node != nullptr ? node->value() : nullptr;
    if (Table* table = table_in(*slot); table != nullptr) {
        atomic::store_release(&table->cover, value);
    } else if (LpmLine* list = list_in(*slot); list != nullptr) {
        atomic::store_release(&list->cover, value);
        settle(list);
    } else {
        atomic::store_release(slot, word_of(value));
    }
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
    uint8_t* answer = find_in_line(address, word);
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
            if (Status status = insert_cover(level, node, old); !status.ok()) return status;
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

/// Puts a prefix that ends in this level.
Status LpmIndex4::insert_cover(const Level& level, LpmNode* node, LpmNode* old) {
    if (old != nullptr) {
        // The line changes hands, and with it every slot that holds nothing else.
        node->line = old->line;
        atomic::store_release(&node->line->cover, node->value());
    } else {
        node->line = lines_->take();
        if (node->line == nullptr) return Errc::NoMemory;
        node->line->cover = node->value();
    }
    settle(node->line);
    for_covered(level, prefix_of(node), node->prefix_bits, [&](uint64_t* slot) {
        uint8_t* cover = cover_of(*slot);
        if (cover == nullptr || LpmNode::of(cover)->prefix_bits <= node->prefix_bits) set_cover(slot, node);
    });
    return {};
}

/// Puts a prefix longer than the level into a slot that holds no table.
Status LpmIndex4::insert_long(uint64_t* slot, uint32_t level_end, LpmNode* node) {
    const LpmLine::Entry added = {prefix_of(node), mask_of(node->prefix_bits), node->value()};
    LpmLine* old = list_in(*slot);
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
    // Filled from the back, longest first: unused entries come before all others.
    uint32_t at = LpmLine::most_entries;
    bool placed = false;
    for (uint32_t i = LpmLine::most_entries; old != nullptr && i-- > 0;) {
        if (!old->holds(i)) continue;
        if (!placed && added.mask >= old->entries[i].mask) {
            list->entries[--at] = added;
            placed = true;
        }
        list->entries[--at] = old->entries[i];
    }
    if (!placed) list->entries[--at] = added;
    settle(list);
    atomic::store_release(slot, reinterpret_cast<uint64_t>(list));
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
        for (LpmNode* node : nodes) {
            if (node->line != nullptr) lines_->give_back(node->line);
            node->line = nullptr;
        }
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
            lines_->retire(node->line);
            break;
        }
        uint64_t* slot = &level.slots[level.slot_of(prefix)];
        if (LpmLine* list = list_in(*slot); list != nullptr) {
            for (uint32_t i = 0; i < LpmLine::most_entries; ++i)
                if (list->holds(i) && list->entries[i].value == node->value()) list->owner_and_dead |= uint64_t{1} << i;
            settle(list);
            if (list->live() == 0) {
                atomic::store_release(slot, word_of(list->cover));
                lines_->retire(list);
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
