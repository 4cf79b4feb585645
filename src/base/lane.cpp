// SPDX-License-Identifier: Apache-2.0
// Lanes and the epoch.
//
// One word per lane says everything: 0 is a free lane, any other value the global epoch its holder read when it entered
// (or last quiesced). To retire an object is to stamp it with the global epoch and advance that; a lane whose word is
// larger than the stamp read the epoch after the object was unlinked, so it cannot have found it. A lane whose word is
// 0 holds nothing. Hence an object is free once every lane's word is 0 or larger than its stamp.
//
// The one race left is a lane that enters while the reclaimer reads 0: the entering store must be visible before the
// holder's first read of shared pointers, against the reclaimer's unlink before its scan. The reclaimer pays for both
// by skep_os_heavy_barrier() where the host has it, so entering costs the compare-and-swap that takes the lane and
// leaving one plain store; elsewhere both sides use a full fence. The same pairing (release: free the lane, then look
// for waiters; waiter: announce, then look for lanes) makes waiting safe against lost wake-ups.
#include "base/lane.hpp"

#include <new>

#include "base/os.hpp"

namespace skep {
namespace {

constexpr uint32_t max_lanes = 4096;
constexpr uint32_t retires_per_reclaim = 32;
constexpr uint32_t shortest_interval = 8;  // releases between attempts while something is pending
constexpr uint32_t longest_interval = 4096;

}  // namespace

struct alignas(64) Lanes::Impl {
    uint64_t epoch;     ///< advanced by each retire; starts at 1
    uint32_t pending;   ///< objects retired and not yet freed
    uint32_t interval;  ///< releases to let pass before the next attempt; grows while attempts free nothing
    uint32_t waiters;   ///< threads that found every lane held
    bool asymmetric;    ///< the host has the heavy barrier
    alignas(64) uint32_t wake_word;   ///< advanced by each release that saw a waiter
    alignas(64) Retired* retired;     ///< pushed by anybody, taken as a whole
    alignas(64) uint32_t reclaiming;  ///< the lock of what follows
    Retired* limbo;                   ///< taken from `retired`, too young to free
};

Lanes* Lanes::create(uint32_t count) {
    if (count == 0) count = skep_os_cpu_count();
    if (count > max_lanes) count = max_lanes;
    void* self = skep_os_alloc(sizeof(Lanes), alignof(Lanes));
    void* impl = skep_os_alloc(sizeof(Impl), alignof(Impl));
    void* slots = skep_os_alloc(sizeof(Slot) * count, alignof(Slot));
    if (self == nullptr || impl == nullptr || slots == nullptr) {
        skep_os_free(slots, sizeof(Slot) * count);
        skep_os_free(impl, sizeof(Impl));
        skep_os_free(self, sizeof(Lanes));
        return nullptr;
    }
    auto* lanes = new (self) Lanes();
    lanes->count_ = count;
    lanes->slots_ = static_cast<Slot*>(slots);
    lanes->impl_ = static_cast<Impl*>(impl);
    lanes->impl_->epoch = 1;
    lanes->epoch_ = &lanes->impl_->epoch;
    lanes->impl_->interval = shortest_interval;
    lanes->impl_->asymmetric = skep_os_heavy_barrier() == 1;
    return lanes;
}

void Lanes::destroy() {
    // Freeing one object may retire another.
    while (atomic::load_acquire(&impl_->pending) != 0) drain();
    skep_os_free(slots_, sizeof(Slot) * count_);
    skep_os_free(impl_, sizeof(Impl));
    skep_os_free(this, sizeof(Lanes));
}

uint32_t Lanes::try_acquire() {
    const uint32_t near = count_ == 1 ? 0 : skep_os_cpu() % count_;
    const uint64_t now = atomic::load_acquire(&impl_->epoch);
    uint32_t lane = near;
    do {
        uint64_t expected = 0;
        if (atomic::load(&slots_[lane].epoch) == 0 && atomic::compare_exchange(&slots_[lane].epoch, &expected, now)) {
            if (impl_->asymmetric)
                atomic::compiler_fence();
            else
                atomic::full_fence();
            return lane;
        }
        if (++lane == count_) lane = 0;
    } while (lane != near);
    return no_lane;
}

uint32_t Lanes::acquire() {
    uint32_t lane = try_acquire();
    if (lane != no_lane) [[likely]]
        return lane;
    atomic::add_ordered(&impl_->waiters, 1u);
    if (skep_os_heavy_barrier() == 0) atomic::full_fence();
    for (;;) {
        const uint32_t word = atomic::load_acquire(&impl_->wake_word);
        lane = try_acquire();
        if (lane != no_lane) break;
        skep_os_wait(&impl_->wake_word, word, UINT64_MAX);
    }
    atomic::add_ordered(&impl_->waiters, ~0u);
    return lane;
}

void Lanes::release(uint32_t lane) {
    Slot& slot = slots_[lane];
    bool due = false;
    if (atomic::load(&impl_->pending) != 0) [[unlikely]] {
        due = ++slot.releases >= atomic::load(&impl_->interval);
        if (due) slot.releases = 0;
    }
    atomic::store_release(&slot.epoch, uint64_t{0});
    if (impl_->asymmetric)
        atomic::compiler_fence();
    else
        atomic::full_fence();
    if (atomic::load(&impl_->waiters) != 0) [[unlikely]] {
        atomic::add_ordered(&impl_->wake_word, 1u);
        skep_os_wake(&impl_->wake_word, 1);
    }
    if (due) [[unlikely]]
        reclaim();
}

void Lanes::retire(Retired* object, void (*free)(Retired* self)) {
    object->free = free;
    const uint32_t waiting = atomic::add_ordered(&impl_->pending, 1u);
    object->epoch = atomic::add_ordered(&impl_->epoch, uint64_t{1});
    Retired* head = atomic::load(&impl_->retired);
    do {
        object->next = head;
    } while (!atomic::compare_exchange(&impl_->retired, &head, object));
    // The first one at once (most often nobody runs, and a closed map's memory should go); then in batches.
    if (waiting % retires_per_reclaim == 0) reclaim();
}

void Lanes::drain() {
    const uint64_t target = atomic::load_acquire(&impl_->epoch);
    for (;;) {
        while (atomic::exchange(&impl_->reclaiming, 1u) != 0) skep_os_yield();
        uint64_t oldest = 0;
        reclaim_locked(&oldest);
        atomic::store_release(&impl_->reclaiming, 0u);
        if (oldest >= target) return;
        skep_os_yield();
    }
}

void Lanes::reclaim() {
    // Somebody else at it takes ours along, or we come again: a lock holder looks once more after unlocking.
    while (atomic::load(&impl_->reclaiming) == 0 && atomic::exchange(&impl_->reclaiming, 1u) == 0) {
        uint64_t oldest = 0;
        const bool progress = reclaim_locked(&oldest) != 0;
        const uint32_t interval = atomic::load(&impl_->interval);
        if (progress)
            atomic::store(&impl_->interval, shortest_interval);
        else if (interval < longest_interval)
            atomic::store(&impl_->interval, interval * 2);
        atomic::store_release(&impl_->reclaiming, 0u);
        if (!progress || atomic::load(&impl_->retired) == nullptr) return;
    }
}

uint32_t Lanes::reclaim_locked(uint64_t* oldest) {
    Retired* fresh = atomic::exchange(&impl_->retired, static_cast<Retired*>(nullptr));
    while (fresh != nullptr) {
        Retired* next = fresh->next;
        fresh->next = impl_->limbo;
        impl_->limbo = fresh;
        fresh = next;
    }
    *oldest = UINT64_MAX;
    if (impl_->limbo == nullptr) return 0;

    if (!impl_->asymmetric || skep_os_heavy_barrier() == 0) atomic::full_fence();
    uint64_t entered = UINT64_MAX;  // the earliest entry among the holders
    for (uint32_t lane = 0; lane < count_; ++lane) {
        const uint64_t epoch = atomic::load_acquire(&slots_[lane].epoch);
        if (epoch != 0 && epoch < entered) entered = epoch;
    }
    // free() may retire more: that goes to `retired`, and its attempt to reclaim finds the lock taken, so no recursion.
    Retired** link = &impl_->limbo;
    uint32_t freed = 0;
    while (*link != nullptr) {
        Retired* object = *link;
        if (object->epoch < entered) {
            *link = object->next;
            object->free(object);
            ++freed;
        } else {
            if (object->epoch < *oldest) *oldest = object->epoch;
            link = &object->next;
        }
    }
    if (freed != 0) atomic::add_ordered(&impl_->pending, 0u - freed);
    return freed;
}

}  // namespace skep
