// SPDX-License-Identifier: Apache-2.0
// The core's lock for writers and other rare paths: one word, zero when free, sleeping in skep_os_wait() when it must
// wait long. Readers of maps never take one.
#pragma once

#include <stdint.h>

#include "base/atomic.hpp"
#include "base/os.hpp"

namespace skep {

/// Not recursive. All zero bytes are an unlocked Lock.
class Lock {
  public:
    void lock() {
        uint32_t expected = free_;
        if (atomic::compare_exchange(&word_, &expected, held_)) [[likely]]
            return;
        // A holder on another CPU is through within this; a preempted one is not.
        for (int spin = 0; spin < 100; ++spin) {
            atomic::relax();
            expected = free_;
            if (atomic::load(&word_) == free_ && atomic::compare_exchange(&word_, &expected, held_)) return;
        }
        while (atomic::exchange(&word_, contended_) != free_) skep_os_wait(&word_, contended_, UINT64_MAX);
    }
    void unlock() {
        if (atomic::exchange(&word_, free_) == contended_) [[unlikely]]
            skep_os_wake(&word_, 1);
    }

  private:
    static constexpr uint32_t free_ = 0, held_ = 1, contended_ = 2;
    uint32_t word_ = free_;
};

/// Holds a lock for a scope.
class LockGuard {
  public:
    explicit LockGuard(Lock& lock) : lock_(lock) { lock_.lock(); }
    ~LockGuard() { lock_.unlock(); }
    LockGuard(const LockGuard&) = delete;
    LockGuard& operator=(const LockGuard&) = delete;

  private:
    Lock& lock_;
};

}  // namespace skep
