// SPDX-License-Identifier: Apache-2.0
// Executes the walks of a certificate and gathers what they prove: edges between disjuncts, and facts.
#pragma once

#include <string>
#include <vector>

#include "program/facts.hpp"
#include "verifier/certificate/certificate.hpp"
#include "verifier/check/inclusion.hpp"
#include "verifier/check/loops.hpp"
#include "verifier/check/structure.hpp"
#include "verifier/rules/rules.hpp"

namespace skep::verifier::check {

class Walks {
  public:
    Walks(const Subject& subject, const Structure& structure, const Certificate& certificate);

    /// Executes everything from the roots. Errors: Rejected, LimitExceeded.
    Result<void> run();

    const std::vector<Edge>& edges() const { return edges_; }
    const std::vector<uint32_t>& roots() const { return roots_; }
    uint64_t steps() const { return steps_; }
    /// Whether walks end at the place.
    bool is_cut(const Place& at) const { return at.phase != Phase::Normal || cuts_[at.insn]; }
    /// What holds of every execution of each instruction; trip counts are not in it.
    Facts facts() const;
    /// The deepest chain of frames, in bytes.
    uint32_t stack_bytes() const { return frames_ * uint32_t{skep::verifier::stack_bytes}; }

  private:
    /// What the executions of one instruction so far agree on.
    struct Seen {
        bool executed = false, taken = false, passed = false;
        bool constant = false;  ///< the result is `value`
        uint16_t narrow = 0;
        uint32_t value = 0;
        Notes notes;
    };
    struct Walk {
        State state;
        uint64_t instructions = 0, helper_calls = 0;
    };

    Result<void> begin();
    Result<void> enter(State& s, uint32_t disjunct, const char* what);
    Result<void> walk(uint32_t disjunct);
    Result<void> arrive(Walk& walk, uint32_t from, bool round);
    /// What is known before an instruction that its Fact speaks of.
    struct Before {
        uint16_t narrow = 0;    ///< registers below 2^32, at jump targets
        bool operands = false;  ///< of a division both operands are below 2^32, of a 32-bit move the source
    };
    Before look(const State& s, const isa::Insn& insn) const;
    void note(isa::InsnIndex at, const isa::Insn& insn, const Before& before, const Outcome& outcome,
              const State& after);
    Error bad(isa::InsnIndex at, std::string what, std::string why = {}) const;

    const Subject& subject_;
    const Structure& structure_;
    const Certificate& certificate_;
    Rules rules_;
    Inclusion inclusion_;
    std::vector<bool> cuts_;        ///< by slot
    std::vector<bool> targets_;     ///< by slot: of jumps
    std::vector<bool> reached_;     ///< by disjunct
    std::vector<uint32_t> agenda_;  ///< disjuncts that are reached and not yet executed
    std::vector<uint32_t> roots_;
    std::vector<Root> later_;  ///< callbacks that run later, as the walks met them
    std::vector<Edge> edges_;
    std::vector<Seen> seen_;  ///< by slot
    size_t next_target_ = 0;  ///< of the disjunct under execution
    uint64_t steps_ = 0;
    uint32_t frames_ = 1;
    bool unset_stack_ = false;  ///< a walk's step read, or took for written, what may be unset
};

}  // namespace skep::verifier::check
