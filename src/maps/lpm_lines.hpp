// SPDX-License-Identifier: Apache-2.0
// Where the index over IPv4 addresses (lpm_index4.hpp) has its cache lines from: they stand side by side in slabs, so
// that ten thousand of them fill 160 pages and not one each.
#pragma once

#include <stdint.h>

#include "base/lane.hpp"

namespace skep::maps {

struct LpmLineOwner;

/// One cache line of the index: the value of a prefix that covers a slot, and of two or three longer ones inside it.
/// The answer for an address is the last value whose entry matches, the cover's if none does.
///
/// Entries stand from short to long. An unused one matches everything and says what the cover says; one whose prefix
/// was taken out says what the next shorter one says. So readers need no condition but the match itself.
struct alignas(64) LpmLine {
    static constexpr uint32_t most_entries = 3;
    struct Entry {
        uint32_t prefix;  ///< masked; constant
        uint32_t mask;    ///< 0: unused; constant
        uint8_t* value;
    };
    uint8_t* cover;  ///< null: no prefix
    Entry entries[most_entries];
    uint64_t owner_and_dead;  ///< the writer's alone: the owner, and a bit per entry that was taken out

    LpmLineOwner* owner() const { return reinterpret_cast<LpmLineOwner*>(owner_and_dead & ~uint64_t{7}); }
    bool holds(uint32_t entry) const { return entries[entry].mask != 0 && (owner_and_dead >> entry & 1) == 0; }
    uint32_t live() const { return uint32_t{holds(0)} + holds(1) + holds(2); }
};
static_assert(sizeof(LpmLine) == 64);

/// Lives as long as its index and the lines that still wait for the epoch.
class LpmLines {
  public:
    /// Null when memory is out.
    static LpmLines* create(Lanes* lanes);
    /// The index' reference. Requires: nobody reads a line any more.
    void release();

    // The writer's; the caller holds the trie's lock.

    /// An empty line, or null when memory is out.
    LpmLine* take();
    /// Gives back a line that nobody has seen.
    void give_back(LpmLine* line);
    /// Gives back a line that readers may still look at.
    void retire(LpmLine* line);

  private:
    struct Slab {
        Slab* next;
        uint32_t lines;
        LpmLine* line;
        LpmLineOwner* owner;
    };
    static void free_retired(Retired* retired);
    Slab* new_slab(uint32_t lines);

    Lanes* lanes_ = nullptr;
    uint64_t references_ = 1;           ///< the index', and one for each line that waits for the epoch
    LpmLineOwner* returned_ = nullptr;  ///< pushed by whoever ends an epoch, taken as a whole
    LpmLineOwner* free_ = nullptr;
    Slab* slabs_ = nullptr;  ///< the first is the youngest
    uint32_t carved_ = 0;    ///< lines of the youngest slab that were given out once
};

struct LpmLineOwner : Retired {
    LpmLine* line = nullptr;
    LpmLines* lines = nullptr;
    LpmLineOwner* next_free = nullptr;
};

}  // namespace skep::maps
