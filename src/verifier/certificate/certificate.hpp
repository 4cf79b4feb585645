// SPDX-License-Identifier: Apache-2.0
// The certificate: an inductive invariant of a program, found by the search, re-validated by the checker. It says
// nothing that the checker believes: every claim in it is one that the checker proves or refuses.
//
// A run of the program is cut into walks. A walk begins in a disjunct, executes instructions, and ends where it arrives
// at a cut place (or at the head of a callback's round, Phase::CallbackHead); there the run must be inside the disjunct
// that `targets` names. Between cuts the walks of a disjunct are a tree: it forks at branches and never joins.
//
// Ghosts. When a walk begins in a measured disjunct T, the running state gets the ghost {T.cut, T.measure} in place of
// any other with that cut. T.state.ghosts lists only the ghosts of other cuts that are kept alive through T. So a ghost
// {H, g} says: g is the measure at the last visit of a measured disjunct of cut H.
//
// On paper: docs/formats/certificate.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "program/facts.hpp"
#include "verifier/rules/subject.hpp"
#include "verifier/state/state.hpp"

namespace skep::verifier {

/// A state in which a run can begin.
struct Root {
    uint32_t disjunct = 0;  ///< the entry state is inside this one
    uint16_t function = 0;  ///< the subprogram that runs; 0 for the program itself
    uint16_t map = no_map;  ///< asynchronous callbacks: the map whose value holds the timer; else no_map

    bool operator==(const Root&) const = default;
};

/// One of the states that a cut keeps. Its place is `state.at`, its calling context the call string of state.frames.
struct Disjunct {
    uint32_t cut = 0;  ///< groups the disjuncts of one place and calling context; what ghosts refer to
    State state;       ///< compact()ed
    bool measured = false;
    Val measure;  ///< if measured: falls by at least 1 between two visits of the cut, as a signed 64-bit number
    /// For every leaf of the tree, depth first (at a fork what goes on in place, "not taken", before Outcome::other):
    /// the index of the disjunct it arrives in. Exits and dead leaves have no entry.
    std::vector<uint32_t> targets;
};

struct Certificate {
    std::vector<isa::InsnIndex> cuts;  ///< places where walks stop, ascending, as cut_places() gives them
    std::vector<Root> roots;           ///< [0] is the program's entry; then asynchronous callbacks (timers)
    std::vector<Disjunct> disjuncts;
    CostBound cost;  ///< claimed; the checker's own bound must be equal. The search leaves it to the checker to fill in
};

/// Digest of all that a verdict depends on, in names and numbers that are the same on every host (DESIGN.md 7b.3).
struct SubjectDigest {
    std::array<std::byte, 32> bytes{};

    bool operator==(const SubjectDigest&) const = default;
};
SubjectDigest digest_of(const Subject& subject);

/// The bytes of a certificate for a subject: canonical, so equal certificates are equal bytes. What is for messages
/// only (origins, lossy marks) is left out. Requires: the invariants that decode_certificate checks.
std::vector<std::byte> encode_certificate(const Subject& subject, const Certificate& certificate);

/// Errors: Rejected with the byte offset: not a certificate, of another version, of another subject, an index,
/// enumerator or form out of range, bytes left over, an encoding that encode_certificate would not write, or one that
/// unfolds to more than Options::memory_budget.
Result<Certificate> decode_certificate(const Subject& subject, std::span<const std::byte> bytes);

}  // namespace skep::verifier
