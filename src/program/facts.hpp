// SPDX-License-Identifier: Apache-2.0
// What is proved of an instruction. Written by the certificate checker while it re-validates (DESIGN.md 7b.4), read by
// the engines. "Unknown" is the default of every field and always valid: code for it is right for any program.
#pragma once

#include <cstdint>
#include <vector>

namespace skep {

constexpr uint16_t no_map = 0xffff;

struct Fact {
    uint16_t map = no_map;              ///< index in BoundProgram::maps of the one map that reaches this call in r1
    uint16_t narrow = 0;                ///< of a jump's target: bit n: rn is below 2^32 before it (bits 0 to 9)
    bool reachable : 1 = true;          ///< false: never executed
    bool divisor_non_zero : 1 = false;  ///< of a division: the source is never 0
    /// The instruction in 32 bits does the same as in 64: of 64-bit arithmetic the result is below 2^32 (of a division
    /// or remainder both operands are); of a 32-bit move the source is.
    bool upper_half_zero : 1 = false;
    bool result_non_null : 1 = false;  ///< of a lookup call: r0 is never null
    bool branch_always : 1 = false;    ///< of a conditional jump: always taken
    bool branch_never : 1 = false;     ///< of a conditional jump: never taken
    bool key_constant : 1 = false;     ///< of a lookup call: the key is `key` (4-byte keys)
    /// Of the program's first slot: no run reads a byte of the stack that it did not write before, nor has a helper
    /// fill one (it may fail and leave it). What a frame holds when it begins is then of no matter.
    bool stack_written : 1 = false;
    bool result_constant : 1 = false;  ///< of arithmetic, a move or a load: dst is `key` after it, zero-extended
    uint32_t key = 0;
    uint64_t trip_count = 0;  ///< of a loop head: proved bound on its executions, 0 unknown

    bool operator==(const Fact&) const = default;
};

/// One Fact per slot; empty means "nothing known" for all of them.
using Facts = std::vector<Fact>;

/// Proved worst case of one run. 0 means "no bound is known" and only unverified programs may have it.
struct CostBound {
    uint64_t instructions = 0;
    uint64_t helper_calls = 0;
    uint32_t stack_bytes = 0;
};

}  // namespace skep
