// SPDX-License-Identifier: Apache-2.0
// The front door: search for a certificate, check it, and give either a VerifiedProgram or the reason why not.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include "program/executable_program.hpp"
#include "verifier/rules/failure.hpp"
#include "verifier/rules/subject.hpp"

namespace skep::verifier {

struct Statistics {
    uint64_t instructions = 0;   ///< of the program, with its subprograms
    uint64_t steps = 0;          ///< abstract instructions executed by the search
    uint64_t checked_steps = 0;  ///< by the checker
    uint32_t attempts = 0;       ///< searches until the verdict
    uint32_t refused = 0;        ///< certificates of the search that the checker refused
    uint32_t cuts = 0, disjuncts = 0, joins = 0, widenings = 0;
    uint64_t certificate_bytes = 0;
    uint64_t peak_state_bytes = 0;
    std::chrono::nanoseconds search_time{}, check_time{};
};

struct Report {
    Verdict verdict = Verdict::NotModelled;
    std::vector<Failure> failures;                ///< the root cause first; empty if accepted
    std::vector<std::byte> certificate;           ///< if accepted
    std::optional<ExecutableProgram> executable;  ///< if accepted: made by the checker
    Statistics statistics;
};

/// Never throws, never accepts what the checker does not confirm.
Report verify(const Subject& subject);

/// The checker alone: validates `certificate` for the subject, in one linear pass.
/// Errors: Rejected, saying what does not hold and where.
Result<ExecutableProgram> check_certificate(const Subject& subject, std::span<const std::byte> certificate);

}  // namespace skep::verifier
