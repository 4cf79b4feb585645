// SPDX-License-Identifier: Apache-2.0
// The loops of a program's flow graph, outer ones before those inside them.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "isa/insn.hpp"

namespace skep::verifier {

/// The instructions that may come next in the same function: none, one or two.
struct Successors {
    std::array<isa::InsnIndex, 2> at{};
    unsigned count = 0;
};

/// A loop: a largest set of instructions of which each can be reached from each other without leaving it, or without
/// passing the head of a loop around it.
struct LoopShape {
    isa::InsnIndex head = 0;      ///< where it is entered; of several such places (a jump into the middle) the first
    uint32_t outer = UINT32_MAX;  ///< index of the loop around it; UINT32_MAX: none
    isa::InsnIndex first = 0;     ///< the lowest slot of the body
    std::vector<bool> body;       ///< per slot from `first` to the highest one of the body
};

/// A clang that turns loops round (entered by a jump into their middle, tested at the bottom) and a loop that shares
/// blocks with the one around it are both told rightly, which "targets of jumps back, and what leads there" are not.
/// `next`: by slot; nothing leads to a slot that starts no instruction. `starts`: where the functions begin, ascending.
/// Loops nested deeper than `deepest_nest` are left out, and those whose bodies together span more than that times the
/// program. The work is that of the bodies times their depth.
std::vector<LoopShape> find_loop_shapes(std::span<const Successors> next, std::span<const isa::InsnIndex> starts);

constexpr unsigned deepest_nest = 64;

}  // namespace skep::verifier
