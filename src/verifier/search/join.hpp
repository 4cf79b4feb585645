// SPDX-License-Identifier: Apache-2.0
// One state that includes two: joins keep what moves together linked (design 2.2, 3.6); widening makes loops end.
// Nothing here is trusted: what comes out is checked like everything else.
#pragma once

#include <optional>
#include <span>

#include "verifier/state/state.hpp"

namespace skep::verifier {

struct Widening {
    bool on = false;
    bool head = false;                     ///< of a loop, and what arrives comes from its body
    bool places = false;                   ///< as in Strategy
    bool far = false;                      ///< past every threshold: growth goes to the end at once
    std::span<const uint64_t> thresholds;  ///< ascending
    uint16_t kept = 0;  ///< registers that the loop does not write: what they grow by comes from outside, and stays
};

/// The number in the bytes low to low + 3 of a cell, where it is one.
std::optional<Val> half_of(const State& s, const Cell& cell, unsigned low);

/// How different two states of one place are: 0 means equal in kind and number everywhere; nothing: they cannot be
/// joined. Cheap.
std::optional<unsigned> distance(const State& a, const State& b);

/// A state that includes both. With widening, what grew since `old` goes to the next threshold. Nothing if they cannot
/// be joined (other references, locks, callbacks).
std::optional<State> join(const State& old, const State& arriving, const Widening& widening);

}  // namespace skep::verifier
