// SPDX-License-Identifier: Apache-2.0
// The proof of one instruction in words: what the certificate knows there, why that is enough, and where it was
// learned.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "verifier/report/diagnostic.hpp"

namespace skep::verifier {

/// One reason: "inside", "the packet has at least 54 bytes", and the branch that says so.
struct Reason {
    std::string subject;  ///< "inside", "not null", "r2"
    std::string text;
    std::optional<CodePlace> learned;  ///< where it is known since; nothing: from the start, or by the region's nature
};

/// What holds in one of the certificate's states, or in several that are told alike.
struct ProofCase {
    size_t states = 0;  ///< how many
    std::vector<Reason> reasons;
    std::vector<Remark> path;  ///< a way there, if one could be followed
    bool followed = false;     ///< whether `path` is such a way and `learned` was looked for
};

struct SafetyProof {
    CodePlace place;
    std::vector<SourceText> around;
    std::string what;              ///< "reads 4 bytes through r1"
    std::vector<ProofCase> cases;  ///< none: no run gets there
};

/// Requires: check_certificate() has confirmed `certificate` for the subject. Errors: InvalidArgument: no instruction
/// begins at `at`; those of decode_certificate; LimitExceeded.
Result<SafetyProof> why_safe(const Subject& subject, std::span<const std::byte> certificate, isa::InsnIndex at);

}  // namespace skep::verifier
