// SPDX-License-Identifier: Apache-2.0
// The checker: trusts nobody. It executes every walk of a certificate once with the rules, asks that each ends inside
// the disjunct that the certificate names, and that every run ends. What it accepts is safe whatever made the
// certificate; it is the only maker of a verified ExecutableProgram and of Facts.
//
// Claim. If check() gives a program, every run of it, on every input that the context allows, keeps every rule, ends
// after at most cost().instructions instructions, and every Fact holds of it.
// Because. By induction over the walks of a run: the entry state is inside the root's disjunct (Inclusion); a walk that
// begins inside a disjunct is, instruction by instruction, inside the states that Rules::step gives, without a failure
// (its claim), until it arrives at a cut, where it is inside the disjunct named (Inclusion) and the next walk begins.
// Each disjunct that is arrived in is executed. Runs end by loops.hpp. A Fact is what holds of all executions.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.hpp"
#include "program/executable_program.hpp"
#include "verifier/certificate/certificate.hpp"
#include "verifier/rules/failure.hpp"
#include "verifier/rules/subject.hpp"

namespace skep::verifier {

class Checker {
  public:
    /// Requires: `subject` outlives the checker.
    explicit Checker(const Subject& subject) : subject_(subject) {}

    /// Errors: Rejected, saying what does not hold and where; LimitExceeded: the walks take more steps than the limit
    /// (Options::step_budget, or 64 a slot and 2 million if that is more).
    Result<ExecutableProgram> check(const Certificate& certificate);
    /// The same of a certificate that does not claim a cost yet; the cost that was proved is filled in.
    Result<ExecutableProgram> complete(Certificate& certificate);

    /// Instructions executed by the last check.
    uint64_t steps() const { return steps_; }
    /// Which rule the last check that failed found broken: UnboundedLoop, CostLimit, StepLimit; Internal for all that
    /// no search should have got wrong.
    Rule rule() const { return rule_; }

  private:
    struct Proof;
    Result<Proof> prove(const Certificate& certificate);
    ExecutableProgram accept(Proof proof) const;

    const Subject& subject_;
    uint64_t steps_ = 0;
    Rule rule_ = Rule::Internal;
};

/// Decodes and checks: check_certificate() of verify.hpp.
Result<ExecutableProgram> check_certificate(const Subject& subject, std::span<const std::byte> certificate);

}  // namespace skep::verifier
