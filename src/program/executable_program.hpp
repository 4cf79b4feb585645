// SPDX-License-Identifier: Apache-2.0
// What engines take. Trust is a type: nobody can make one but the checker (VerifiedProgram, verifier floor) and, in
// development builds only, UnverifiedProgram (program/unverified.hpp, a target that production never links).
#pragma once

#include <memory>
#include <utility>

#include "program/bound_program.hpp"
#include "program/facts.hpp"

namespace skep {

namespace verifier {
class Checker;
}
class UnverifiedProgram;

class ExecutableProgram {
  public:
    const BoundProgram& bound() const { return *bound_; }
    const Facts& facts() const { return *facts_; }
    const CostBound& cost() const { return cost_; }
    /// Whether a certificate was checked for it. False only for an UnverifiedProgram.
    bool verified() const { return verified_; }
    /// Whether a frame's bytes have to be zero when it begins: the program may read some that it did not write, and no
    /// engine shows what lay there before, nor gives another value than the next one.
    bool clears_frames() const { return !verified_ || facts_->empty() || !facts_->front().stack_written; }

  private:
    friend class verifier::Checker;
    friend class UnverifiedProgram;
    ExecutableProgram(std::shared_ptr<const BoundProgram> bound, std::shared_ptr<const Facts> facts, CostBound cost,
                      bool verified)
        : bound_(std::move(bound)), facts_(std::move(facts)), cost_(cost), verified_(verified) {}

    std::shared_ptr<const BoundProgram> bound_;
    std::shared_ptr<const Facts> facts_;
    CostBound cost_;
    bool verified_;
};

}  // namespace skep
