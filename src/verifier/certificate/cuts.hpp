// SPDX-License-Identifier: Apache-2.0
// Where walks end: the places at which the search keeps states and the certificate lists them.
//
// The checker does not use this definition: it takes the places that the certificate lists. A poor choice cannot make
// it accept anything wrong; a walk that does not end only runs into the checker's step limit.
#pragma once

#include <vector>

#include "object/linked_program.hpp"
#include "verifier/state/state.hpp"

namespace skep::verifier {

/// Cut places of a program, ascending: each instruction with two or more predecessors in its function (a function's
/// entry counts as one, and so does falling through), each target of a backward jump, and each instruction after a
/// local call, and one after every `most_branches` conditional jumps without any. Phase::CallbackHead is a cut
/// everywhere and is not listed. Requires: well-formed code.
/// So every cycle of a function's instructions passes a cut, the walks from one cut form a tree, and the states that
/// wait at its forks are few.
constexpr unsigned most_branches = 64;
std::vector<isa::InsnIndex> cut_places(const object::LinkedProgram& program);

/// Search and checker alike compact() a running state, after a step, once it holds more symbols than this. (Forgetting
/// is sound at any time; doing it at the same steps keeps both at the same facts.)
constexpr size_t compact_above = 384;

inline void limit_symbols(State& s) {
    if (s.symbols.size() > compact_above) compact(s);
}

}  // namespace skep::verifier
