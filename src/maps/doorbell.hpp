// SPDX-License-Identifier: Apache-2.0
// How a producer wakes whoever waits for a buffer: sleeping threads of this process, and one listener (the service's
// way to the epoll instance of a client).
//
// The producer's side must cost next to nothing while nobody sleeps. So a sleeper announces itself and then pays for a
// barrier on all processors (skep_os_heavy_barrier), and the producer, which publishes its record and then looks
// for sleepers, needs only the compiler to keep that order. Where the host has no such barrier, or where a listener
// in another process relies on positions that it wrote itself, strict() says that the producer pays.
#pragma once

#include <stdint.h>

#include "base/atomic.hpp"
#include "base/os.hpp"

namespace skep::maps {

/// Embedded in its owner. `notify` runs on a producer's thread, inside a program's run: it must be short and must
/// neither block nor use the map.
struct Listener {
    void (*notify)(Listener* self) = nullptr;
};

class Doorbell {
  public:
    Doorbell() : asymmetric_(skep_os_heavy_barrier() == 1) {}

    /// Whether a full fence must stand between publishing a record and looking at the consumer's state.
    bool strict() const { return !asymmetric_ || atomic::load(&listener_) != nullptr; }

    /// The producer's side, after publishing.
    void ring() {
        atomic::compiler_fence();
        if (atomic::load(&sleepers_) != 0) {
            atomic::add_ordered(&word_, 1u);
            skep_os_wake(&word_, UINT32_MAX);
        }
        if (Listener* listener = atomic::load_acquire(&listener_); listener != nullptr) listener->notify(listener);
    }

    /// Sleeps until `ready()` or until the time is over (nanoseconds; UINT64_MAX: for ever). Tells whether it is ready.
    template <typename Ready>
    bool wait(uint64_t timeout_ns, Ready ready) {
        if (ready()) return true;
        const uint64_t start = skep_os_monotonic_ns();
        atomic::add_ordered(&sleepers_, 1u);
        if (skep_os_heavy_barrier() == 0) atomic::full_fence();
        bool is_ready;
        for (;;) {
            const uint32_t word = atomic::load_acquire(&word_);
            is_ready = ready();
            const uint64_t gone = skep_os_monotonic_ns() - start;
            if (is_ready || gone >= timeout_ns) break;
            skep_os_wait(&word_, word, timeout_ns == UINT64_MAX ? UINT64_MAX : timeout_ns - gone);
        }
        atomic::add_ordered(&sleepers_, ~0u);
        return is_ready;
    }

    /// Sets or (null) takes away the listener. The old one may still be called until the lanes that are held now were
    /// released (Lanes::drain).
    void listen(Listener* listener) { atomic::exchange(&listener_, listener); }

  private:
    uint32_t word_ = 0;      ///< advanced by each ring() that saw a sleeper
    uint32_t sleepers_ = 0;  ///< threads in wait()
    Listener* listener_ = nullptr;
    const bool asymmetric_;
};

}  // namespace skep::maps
