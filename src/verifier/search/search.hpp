// SPDX-License-Identifier: Apache-2.0
// The search for an inductive invariant: bounded-disjunctive abstract interpretation (design 2.6, 2.7, 2.9). Fast and
// untrusted: what it finds becomes a certificate, which the checker confirms or not.
#pragma once

#include <chrono>
#include <optional>

#include "verifier/certificate/certificate.hpp"
#include "verifier/search/structure.hpp"
#include "verifier/verify.hpp"

namespace skep::verifier {

/// How one attempt explores.
struct Strategy {
    uint32_t disjuncts = 8;  ///< states kept per cut before they are joined
    uint32_t unroll = 0;     ///< states kept per loop head for arrivals from its own body, before they are joined
    /// Values of a loop widen to what its counters are compared with, past the program's other constants: fast, and
    /// where many constants lie below the bound the only way to get there.
    bool direct = false;
    /// A place in the packet is told in a symbol of its own at joins, and of the states that a full cut keeps those two
    /// become one that differ least. Keeps the length behind places that branches chose; loses what they have in common
    /// with a counter.
    bool places = false;
    uint64_t steps = 0;  ///< abstract instructions, and the work on states at joins by their size; then a limit
    std::optional<std::chrono::steady_clock::time_point> deadline = {};  ///< then a limit too
};

struct SearchResult {
    std::optional<Certificate> certificate;
    std::optional<Failure> failure;
};

SearchResult search(const Subject& subject, const Structure& structure, const Strategy& strategy,
                    Statistics& statistics);

}  // namespace skep::verifier
