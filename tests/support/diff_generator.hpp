// SPDX-License-Identifier: Apache-2.0
// Random valid programs for comparing engines: they end, stay inside their memory, read nothing that was not written,
// and never let an address of the stack (which differs between engines) into a result. Made from isa/insn.def, so that
// a new instruction is drawn as soon as it has a row.
#pragma once

#include <cstdint>
#include <span>

#include "program/bound_program.hpp"

namespace skep::testing {

/// A stream of choices: from a seed without end, or from a fuzzer's bytes, then zeros.
class Choices {
  public:
    explicit Choices(uint64_t seed) : state_(seed) {}
    explicit Choices(std::span<const uint8_t> bytes) : bytes_(bytes), from_bytes_(true) {}

    uint64_t word();
    /// 0 to bound - 1. Requires: bound is at least 1.
    uint32_t below(uint32_t bound);
    bool chance(uint32_t one_in) { return below(one_in) == 0; }

  private:
    uint64_t state_ = 0;
    std::span<const uint8_t> bytes_;
    bool from_bytes_ = false;
};

/// The context is this many bytes; the program may touch the first half, and leaves its registers in the second.
constexpr uint32_t diff_context_bytes = 512;
/// Map 0 is an array of this shape.
constexpr uint32_t diff_map_entries = 5;
constexpr uint32_t diff_map_value_bytes = 24;

/// A program of type socket_filter, bound. Calls only: csum_diff (any pure function of r1 to r5), loop (calls the
/// function in r1 with r2 and r3 through call_back, at most r2 & 3 times), map_lookup_elem on map 0, and packet loads.
BoundProgram make_diff_program(Choices& choices);

}  // namespace skep::testing
