// SPDX-License-Identifier: Apache-2.0
#include "maps/lpm_lines.hpp"

#include <new>

#include "base/atomic.hpp"
#include "base/os.hpp"

namespace skep::maps {
namespace {

constexpr uint32_t smallest_slab = 16, largest_slab = 4096;  ///< lines; each slab has twice as many as the one before

}  // namespace

LpmLines* LpmLines::create(Lanes* lanes) {
    void* memory = skep_os_alloc(sizeof(LpmLines), alignof(LpmLines));
    if (memory == nullptr) return nullptr;
    auto* self = new (memory) LpmLines();
    self->lanes_ = lanes;
    return self;
}

void LpmLines::release() {
    if (atomic::add_ordered(&references_, ~uint64_t{0}) != 1) return;
    while (slabs_ != nullptr) {
        Slab* slab = slabs_;
        slabs_ = slab->next;
        skep_os_free(slab->owner, sizeof(LpmLineOwner) * slab->lines);
        skep_os_free(slab->line, sizeof(LpmLine) * slab->lines);
        skep_os_free(slab, sizeof(Slab));
    }
    skep_os_free(this, sizeof(LpmLines));
}

LpmLines::Slab* LpmLines::new_slab(uint32_t lines) {
    void* slab = skep_os_alloc(sizeof(Slab), alignof(Slab));
    void* line = skep_os_alloc(sizeof(LpmLine) * lines, alignof(LpmLine));
    void* owner = skep_os_alloc(sizeof(LpmLineOwner) * lines, alignof(LpmLineOwner));
    if (slab == nullptr || line == nullptr || owner == nullptr) {
        skep_os_free(owner, sizeof(LpmLineOwner) * lines);
        skep_os_free(line, sizeof(LpmLine) * lines);
        skep_os_free(slab, sizeof(Slab));
        return nullptr;
    }
    return new (slab) Slab{slabs_, lines, static_cast<LpmLine*>(line), static_cast<LpmLineOwner*>(owner)};
}

LpmLine* LpmLines::take() {
    if (free_ == nullptr) free_ = atomic::exchange(&returned_, static_cast<LpmLineOwner*>(nullptr));
    if (free_ != nullptr) {
        LpmLineOwner* owner = free_;
        free_ = owner->next_free;
        *owner->line = LpmLine{};
        owner->line->owner_and_dead = reinterpret_cast<uint64_t>(owner);
        return owner->line;
    }
    if (slabs_ == nullptr || carved_ == slabs_->lines) {
        uint32_t lines = slabs_ == nullptr ? smallest_slab : slabs_->lines * 2;
        if (lines > largest_slab) lines = largest_slab;
        Slab* slab = new_slab(lines);
        if (slab == nullptr) return nullptr;
        slabs_ = slab;
        carved_ = 0;
    }
    LpmLine* line = &slabs_->line[carved_];
    auto* owner = new (&slabs_->owner[carved_]) LpmLineOwner();
    ++carved_;
    owner->line = line;
    owner->lines = this;
    line->owner_and_dead = reinterpret_cast<uint64_t>(owner);
    return line;
}

void LpmLines::give_back(LpmLine* line) {
    line->owner()->next_free = free_;
    free_ = line->owner();
}

void LpmLines::retire(LpmLine* line) {
    atomic::add_ordered(&references_, uint64_t{1});
    lanes_->retire(line->owner(), free_retired);
}

/// Runs on any thread, maybe after the map has gone.
void LpmLines::free_retired(Retired* retired) {
    auto* owner = static_cast<LpmLineOwner*>(retired);
    LpmLines* self = owner->lines;
    LpmLineOwner* head = atomic::load(&self->returned_);
    do {
        owner->next_free = head;
    } while (!atomic::compare_exchange(&self->returned_, &head, owner));
    self->release();
}

}  // namespace skep::maps
