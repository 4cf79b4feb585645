// SPDX-License-Identifier: Apache-2.0
// That every run ends, and how long it takes at most: from the edges between disjuncts alone.
//
// Termination. An infinite run would stay, from some walk on, in one strongly connected part C of the edges. Some group
// H of C's disjuncts is chosen such that every edge inside C that arrives in H proves progress:
//   measured   H is all of C's disjuncts of one cut, all measured, and the edge proves measure' <= ghost - d, d >= 1,
//   as
//              signed words. The ghost of a cut is the measure at the last visit of a measured disjunct of it
//              (certificate.hpp), which inside C is the last visit of H. So measures fall from visit to visit, and lie
//              in the facts' [min, max]: at most (max - min) / d + 1 visits in one stay in C.
//   callback   H is all of C's disjuncts before a round of one call's callback, at one depth of callbacks, and each
//   edge
//              is the return from a round. No call begins inside C then, so a stay in C belongs to one call, which
//              makes at most `rounds` rounds: at most rounds + 1 visits.
// So the run leaves H for good; what is left of C without H is taken apart the same way until no circle is left. If at
// some point there is no such H, the answer is no.
//
// Cost. A stay in C is: a way to the first visit of H (if C is entered elsewhere), visits - 1 rounds from H to H, and a
// way from the last visit out. Rounds and ways are longest paths in C without H, whose own circles count with what
// their stays cost. All sums saturate.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "verifier/certificate/certificate.hpp"

namespace skep::verifier::check {

constexpr uint32_t exit_node = UINT32_MAX;

/// One leaf of a disjunct's walks.
struct Edge {
    uint32_t from = 0;
    uint32_t to = 0;            ///< exit_node: the program ends
    uint64_t instructions = 0;  ///< on the way
    uint64_t helper_calls = 0;
    uint64_t decrease = 0;  ///< proved of the target's measure; 0: nothing
    bool round = false;     ///< the return from a round of a callback
};

struct Bounds {
    bool ends = false;  ///< else `stuck` is a disjunct of a circle without progress
    uint32_t stuck = 0;
    uint64_t instructions = 0;  ///< UINT64_MAX: no useful bound
    uint64_t helper_calls = 0;
    /// Of each instruction at which some H is: how often it is executed in one run, if every execution of it begins a
    /// walk.
    std::map<isa::InsnIndex, uint64_t> trips;
};

/// Requires: every edge joins disjuncts of the certificate, all reached; `roots` are its roots' disjuncts.
Bounds bound_runs(const Certificate& certificate, std::span<const uint32_t> roots, std::span<const Edge> edges);

}  // namespace skep::verifier::check
