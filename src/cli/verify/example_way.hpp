// SPDX-License-Identifier: Apache-2.0
// The way to a failure, executed once more on abstract states: what comes in from outside on it, and what has to be
// true of that for the rule to be broken at its end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/verify/example_numbers.hpp"
#include "platform/helper.hpp"
#include "verifier/report/trail.hpp"
#include "verifier/rules/failure.hpp"
#include "verifier/rules/subject.hpp"

namespace skep::cli {

/// A value from outside, as the way met it. Its form and the offset it was loaded from are ghosts of the last state.
struct Input {
    enum class Kind : uint8_t { Load, Context, Call } kind = Kind::Load;
    isa::InsnIndex insn = 0;
    unsigned bytes = 0;
    verifier::Sym base = verifier::no_sym;  ///< Load: of the memory
    ContextAccess context;                  ///< Context
    platform::HelperId helper{};
    uint16_t map = verifier::no_map;  ///< Call: of its first map argument
    verifier::Val value, offset;      ///< in the last state
};

class Way {
  public:
    Way(const verifier::Subject& subject, const verifier::Failure& failure) : subject_(subject), failure_(failure) {}

    /// Follows it. Why it cannot be replayed; empty if it can.
    std::string prepare();

    /// Whether the way, followed with nothing forgotten, ends in the same failure.
    bool exact() const { return trail_ && trail_->failure && trail_->failure->rule == failure_.rule; }

    // Requires: prepare() gave nothing.
    const verifier::State& end() const { return trail_->end(); }
    const std::vector<Input>& inputs() const { return inputs_; }
    /// Whether these numbers break the rule, besides taking the way.
    bool breaks(Assignment& numbers) const;
    /// Of the pointer that has to be null; no_sym if none has.
    verifier::Sym null() const { return null_; }
    /// Whether the interpreter, which checks accesses, sees the rule broken by itself.
    bool observed() const { return observed_; }

    const verifier::Subject& subject() const { return subject_; }
    const verifier::Failure& failure() const { return failure_; }

  private:
    std::string observe(const isa::Insn& insn, const verifier::State& before, verifier::State& after);
    void decode_failure();
    void decode_call();

    const verifier::Subject& subject_;
    const verifier::Failure& failure_;
    std::optional<verifier::Trail> trail_;
    std::vector<Input> inputs_;
    std::optional<verifier::Pointer> broken_;
    verifier::Sym null_ = verifier::no_sym;
    int64_t bytes_ = 0;
    std::optional<verifier::Val> bytes_form_;  ///< the size of an argument, where it is no constant
    std::optional<verifier::Val> size_;        ///< a size that is itself the mistake
    bool observed_ = false;
};

}  // namespace skep::cli
