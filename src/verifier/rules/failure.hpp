// SPDX-License-Identifier: Apache-2.0
// Why a program is not accepted: which rule, where, what is needed and what is known. Made only on failure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "isa/slot.hpp"
#include "verifier/state/state.hpp"

namespace skep::verifier {

/// Every rule a program can break, one per row of rule.def: RULE(name, code, kind, title). The codes never change.
enum class Rule : uint16_t {
#define RULE(name, code, kind, title) name,
#include "verifier/rules/rule.def"
#undef RULE
};

/// What a broken rule means. Whether a Safety rule is broken for sure (UNSAFE) or only not proved (UNPROVEN) is told by
/// Failure::certain.
enum class RuleKind : uint8_t {
    Safety,      ///< the run could do harm
    Policy,      ///< the platform does not allow it, harmful or not
    Limit,       ///< a budget is used up
    NotModelled  ///< a feature that the verifier does not know: undecided
};

/// "V0207"; static storage.
const char* rule_code(Rule rule);
const char* rule_title(Rule rule);
RuleKind rule_kind(Rule rule);

/// The four words, and how `skep verify` ends: Unsafe and Policy 1, Unproven, Limit and NotModelled 3.
enum class Verdict : uint8_t { Accepted, Unsafe, Unproven, Policy, Limit, NotModelled };
const char* verdict_word(Verdict verdict);

/// One step of the way to the failure: a branch, a call, a return, or where something was made or lost.
struct Step {
    isa::InsnIndex insn = 0;
    enum class Kind : uint8_t { Taken, NotTaken, Call, Return, Made, Lost } kind = Kind::Taken;
    std::string text;  ///< Made, Lost: what, in words
};

struct Failure {
    Rule rule{};
    isa::InsnIndex insn = 0;
    int reg = -1;          ///< the register at fault, -1 none
    bool certain = false;  ///< no join, widening or unknown operation stands between the program and the failure
    std::string what;      ///< one sentence with the values, without the place
    std::string needs;     ///< what must be proved, in words ("" if `what` says all)
    std::string known;     ///< what is proved
    std::string hint;      ///< what to do
    RegionKind region = RegionKind::None;  ///< the memory it is about
    isa::InsnIndex origin = no_insn;       ///< where the value at fault was made
    std::vector<Step> path;                ///< first step first; filled by the search
    std::shared_ptr<const State> state;    ///< before the instruction; null where there is none

    Verdict verdict() const;
};

}  // namespace skep::verifier
