// SPDX-License-Identifier: Apache-2.0
// Execution lanes and the epoch (DESIGN.md 7b.8).
//
// In user space a thread is preempted and migrates inside a run, so "the current CPU" is no owner of anything. A run
// owns a *lane*, a number from 0 to count-1, from entry to exit; the CPU-number helper and per-CPU maps use it. Whoever
// holds a lane is inside the epoch: what it can reach is not freed before it leaves.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/atomic.hpp"
#include "base/status.hpp"

namespace skep {

/// Something that waits to be freed. Embedded in the object, so that retiring never allocates.
struct Retired {
    Retired* next = nullptr;
    void (*free)(Retired* self) = nullptr;
    uint64_t epoch = 0;
};

/// The lanes of one runtime. Made once, destroyed last; every member may be called from any thread.
class Lanes {
  public:
    /// `count` lanes, 1 to 4096 (0: as many as the host has possible CPUs). Null when memory is out.
    static Lanes* create(uint32_t count);
    /// Requires: no lane is held. Frees everything retired.
    void destroy();

    uint32_t count() const { return count_; }

    /// Takes a free lane, waiting while all are held, and enters the epoch. Prefers the one near the current CPU.
    /// Not recursive: a thread that holds a lane passes it on instead of asking for a second one.
    uint32_t acquire();
    /// Leaves the epoch and frees the lane.
    void release(uint32_t lane);
    /// Tells that the holder keeps no pointer from before (between the packets of a batch): leave and enter at once.
    void quiesce(uint32_t lane) {
        // No fence: a delayed store only makes the reclaimer wait longer, and the acquire load of the epoch orders what
        // the holder reads next behind the unlinking of everything stamped before it.
        atomic::store_release(&slots_[lane].epoch, atomic::load_acquire(epoch_));
    }

    /// Frees `object` by `free(object)` after every lane that is held now was released once. Any thread; a holder may
    /// call it. Never allocates. `free` runs on the thread of some later retire, release or drain.
    void retire(Retired* object, void (*free)(Retired* self));
    /// Waits until everything retired before the call is freed. Requires: the caller holds no lane.
    void drain();

  private:
    struct alignas(64) Slot {
        uint64_t epoch;     ///< 0: free; else the epoch of entry
        uint32_t releases;  ///< since the last attempt to reclaim; the holder's alone
    };
    struct Impl;
    static constexpr uint32_t no_lane = UINT32_MAX;

    Lanes() = default;
    uint32_t try_acquire();
    void reclaim();
    /// Requires the reclaimer's lock. How many were freed, and the smallest stamp of what is left (or UINT64_MAX).
    uint32_t reclaim_locked(uint64_t* oldest);

    uint32_t count_ = 0;
    Slot* slots_ = nullptr;
    Impl* impl_ = nullptr;
    const uint64_t* epoch_ = nullptr;  ///< the global one, in *impl_
};

/// Holds a lane for a scope.
class LaneGuard {
  public:
    explicit LaneGuard(Lanes& lanes) : lanes_(&lanes), lane_(lanes.acquire()) {}
    ~LaneGuard() { lanes_->release(lane_); }
    LaneGuard(const LaneGuard&) = delete;
    LaneGuard& operator=(const LaneGuard&) = delete;

    uint32_t lane() const { return lane_; }

  private:
    Lanes* lanes_;
    uint32_t lane_;
};

}  // namespace skep
