// SPDX-License-Identifier: Apache-2.0
// One way through a program, executed again with nothing forgotten: symbols keep their numbers from the first
// instruction to the last, so that a fact can be followed back to the instruction that gave it. For messages and
// examples only.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "isa/insn.hpp"
#include "verifier/rules/failure.hpp"
#include "verifier/rules/subject.hpp"
#include "verifier/state/state.hpp"

namespace skep::verifier {

/// Longer ways are not followed: every state of one is kept.
constexpr size_t longest_trail = 1500;

struct Trail {
    std::vector<State> before;          ///< the state before each instruction; the last one is before the end
    std::vector<isa::InsnIndex> insns;  ///< as long as `before`
    std::vector<bool> taken;            ///< whether the jump was taken there, the callback entered
    std::optional<Failure> failure;     ///< of the last instruction

    const State& end() const { return before.back(); }
};

/// Which branches `turns` has: only those that both ways were open at (and decided jumps that are taken), as the search
/// notes them; or every one.
enum class Turns : uint8_t { Open, All };

/// Called after each step with its index, the instruction and the states before and after. May add to the ghosts of the
/// state after: a ghost's form is kept up to date to the end of the way.
using Observer = std::function<void(size_t, const isa::Insn&, const State& before, State& after)>;

/// Follows `turns`, in order, from the entry to instruction `end`. Nothing if that is not where they lead, or the way
/// is too long.
std::optional<Trail> follow(const Subject& subject, std::span<const Step> turns, isa::InsnIndex end,
                            Turns kind = Turns::Open, const Observer& observe = {});

/// The step after which `holds` was true and stayed so to the end: an index into `insns`. Nothing if it holds from the
/// beginning, or not at the end.
std::optional<size_t> learned(const Trail& trail, const std::function<bool(const State&)>& holds);

}  // namespace skep::verifier
