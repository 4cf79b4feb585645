// SPDX-License-Identifier: Apache-2.0
// The host side of one run: what helpers reach through skep_runtime_context.host. Engines never look inside. Part of
// the kernel-capable core (DESIGN.md section 5): no exceptions, no RTTI, no hidden allocation.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/lane.hpp"
#include "maps/map.hpp"
#include "maps/ringbuf.hpp"
#include "platform/names.hpp"
#include "skep/runtime_context.h"

namespace skep::runtime {

/// Bytes of one formatted message, and of its arguments in between (kernel: MAX_BPRINTF_BUF, MAX_BPRINTF_BIN_ARGS).
inline constexpr size_t message_bytes = 1024;
inline constexpr size_t message_argument_bytes = 512;

/// Where bpf_redirect and bpf_redirect_map want the packet to go; read after a redirect verdict.
struct Redirect {
    enum class Kind : uint8_t { None, Interface, Map };
    Kind kind = Kind::None;
    uint32_t index = 0;              ///< the interface index, or the key in `map`
    uint32_t value = 0;              ///< Map: the first four bytes of the entry (an interface index, a queue, ...)
    uint64_t flags = 0;              ///< as the program gave them
    const maps::Map* map = nullptr;  ///< valid as long as the program's maps are
};

/// Takes one line that a program printed, without its final newline. Called inside the run: must not run programs.
struct LogSink {
    void (*write)(void* self, const char* text, size_t bytes) = nullptr;  ///< null: the text is dropped
    void* self = nullptr;
};

/// How a run tells time and draws numbers. One per lane or thread: runs change it.
struct Chance {
    bool fixed = false;    ///< time and numbers follow from the seed alone (--deterministic)
    uint64_t now_ns = 0;   ///< fixed: what the clock shows
    uint64_t step_ns = 0;  ///< fixed: how far each question moves it
    uint64_t random = 1;   ///< state of the generator, never 0

    /// Time starts at a moment that depends on the seed; each question takes one microsecond.
    static Chance from_seed(uint64_t seed);
    /// The host's clocks and an unpredictable state.
    static Chance from_host();

    uint32_t next_u32();
    /// Fixed clock: shows the time and moves on.
    uint64_t tick();
};

/// One run at a time. Reused for all packets of a batch; `start` makes it ready for the next.
struct Run {
    skep_runtime_context context = {};
    /// What r1 points to (host_context.hpp); helpers that several types share look at it.
    platform::ProgramType type = platform::ProgramType::SocketFilter;
    Chance chance;
    LogSink log;
    Redirect redirect;
    void* observer = nullptr;             ///< whoever watches helper calls; helpers never look at it
    maps::RingReservations reservations;  ///< records the running program has not submitted yet

    // Scratch of the printing helpers: too large for a kernel's stack.
    char message[message_bytes];
    alignas(8) uint8_t arguments[message_argument_bytes];

    /// Requires: this stays where it is while it is used (context.host points to it).
    void init(platform::ProgramType program_type, uint32_t lane);
    /// Before each packet: no tail calls, no fault, no redirect yet.
    void start();
    /// After each packet: gives back what a program that ended by a fault still held.
    void finish() {
        if (reservations.count() != 0) reservations.discard_all();
    }
};

inline Run& run_of(skep_runtime_context* context) { return *static_cast<Run*>(context->host); }

}  // namespace skep::runtime
