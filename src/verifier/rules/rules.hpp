// SPDX-License-Identifier: Apache-2.0
// The rules: what one instruction asks of a state and makes of it. One library, used by the search (untrusted) and by
// the checker (trusted): it is the trusted core together with num and state.
//
// Claim, for every function here: if a concrete run is inside the state before, then either a failure is reported, or
// executing the instruction does no harm and the run is inside one of the states after.
#pragma once

#include <optional>

#include "verifier/rules/failure.hpp"
#include "verifier/rules/subject.hpp"
#include "verifier/state/state.hpp"

namespace skep::verifier {

/// What follows an instruction.
enum class Flow : uint8_t {
    Next,    ///< one state, in place; `State::at` is where it goes on
    Fork,    ///< two states: in place (jump not taken, callback not entered) and Outcome::other
    Dead,    ///< no concrete run gets here or goes on
    Exit,    ///< the program ends (obligations of exit are met)
    Failed,  ///< Outcome::failure
};

/// What the checker turns into Facts. Fields hold for this one execution; the checker joins them over all.
struct Notes {
    uint16_t map = no_map;  ///< of a call: the one map in r1 (r2 of perf_event_output is not meant)
    bool divisor_non_zero = false;
    bool upper_half_zero = false;  ///< the operation's 64-bit result would have a zero upper half
    bool result_non_null = false;
    bool key_constant = false;
    uint32_t key = 0;
    bool unset_stack = false;     ///< policy let it read, or take for written, bytes of the stack that may be unset
    bool helper_call = false;     ///< counts as one call in the cost
    uint16_t later_map = no_map;  ///< of bpf_timer_set_callback: the map whose value holds the timer; its callback is
    uint16_t later_function = 0;  ///< then a root of its own, callback_state(later_function, later_map)
};

struct Outcome {
    Flow flow = Flow::Next;
    bool taken = false;  ///< Next after a conditional jump: it is always taken here
    /// The arrival in place (and in `other`) is the return from a round of a callback loop: its fuel has gone down.
    bool callback_round = false;
    std::optional<State> other;
    std::optional<Failure> failure;
    Notes notes;
};

class Rules {
  public:
    /// Requires: `subject` outlives the rules; its code is well-formed (structure check of search or checker).
    explicit Rules(const Subject& subject) : subject_(subject) {}

    /// The states that runs begin in: of the program, and of a callback that runs later (a timer's).
    State entry_state() const;
    State callback_state(uint16_t function, uint16_t map) const;

    /// Executes the instruction `insn`, which is the one at s.at, in `s`.
    Outcome step(State& s, const isa::Insn& insn) const;

    const Subject& subject() const { return subject_; }

  private:
    const Subject& subject_;
};

}  // namespace skep::verifier
