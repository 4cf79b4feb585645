// SPDX-License-Identifier: Apache-2.0
#include "verifier/check/walks.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "verifier/certificate/cuts.hpp"

namespace skep::verifier::check {

namespace {
constexpr size_t most_waiting = 1u << 14;

bool is_division(isa::Operation op) {
    return op == isa::Operation::Div || op == isa::Operation::Mod || op == isa::Operation::Sdiv ||
           op == isa::Operation::Smod;
}

/// Claim: the register holds a number below 2^32 in every concrete state inside s.
bool is_narrow(const State& s, unsigned reg) {
    return s.is_set(reg) && !is_tainted(s, s.reg(reg)) && number_of(s, s.reg(reg)).umax() <= UINT32_MAX;
}
}  // namespace

Walks::Walks(const Subject& subject, const Structure& structure, const Certificate& certificate)
    : subject_(subject),
      structure_(structure),
      certificate_(certificate),
      rules_(subject),
      inclusion_(subject.options),
      cuts_(structure.size(), false),
      targets_(structure.size(), false),
      reached_(certificate.disjuncts.size(), false),
      seen_(structure.size()) {
    for (const isa::InsnIndex cut : certificate.cuts) {
        if (cut < cuts_.size()) cuts_[cut] = true;
    }
    for (isa::InsnIndex at = 0; at < structure.size(); ++at) {
        if (structure.starts(at) && structure.insn(at).row().is_jump())
            targets_[static_cast<size_t>(isa::target_of(structure.insn(at), at))] = true;
    }
}

Error Walks::bad(isa::InsnIndex at, std::string what, std::string why) const {
    return Error(Errc::Rejected, Where{.function = subject_.linked().name, .insn = at}, std::move(what),
                 std::move(why));
}

Result<void> Walks::run() {
    SKEP_TRY(begin());
    while (!agenda_.empty()) {
        const uint32_t next = agenda_.back();
        agenda_.pop_back();
        SKEP_TRY(walk(next));
    }
    for (uint32_t d = 0; d < reached_.size(); ++d) {
        if (!reached_[d]) {
            return bad(certificate_.disjuncts[d].state.at.insn, fmt::format("no walk arrives in disjunct {}", d));
        }
    }
    for (const Root& root : later_) {
        const auto same = [&](const Root& r) { return r.function == root.function && r.map == root.map; };
        if (std::none_of(certificate_.roots.begin() + 1, certificate_.roots.end(), same)) {
            return bad(0, fmt::format("function {} runs later and is no root", root.function));
        }
    }
    return {};
}

/// The states that runs begin in are inside the roots.
Result<void> Walks::begin() {
    const auto& functions = subject_.linked().subprograms;
    if (certificate_.roots.empty() || certificate_.roots[0].function != 0 || certificate_.roots[0].map != no_map) {
        return bad(0, "the program's entry is no root");
    }
    for (size_t i = 0; i < certificate_.roots.size(); ++i) {
        const Root& root = certificate_.roots[i];
        if (i > 0 && (root.function >= functions.size() || root.map >= subject_.maps.size())) {
            return bad(0, "a root names no function, or no map");
        }
        State s = i == 0 ? rules_.entry_state() : rules_.callback_state(root.function, root.map);
        SKEP_TRY(enter(s, root.disjunct, "the beginning of a run"));
        roots_.push_back(root.disjunct);
    }
    return {};
}

/// A run that is inside `s` goes on inside the disjunct.
Result<void> Walks::enter(State& s, uint32_t disjunct, const char* what) {
    if (disjunct >= certificate_.disjuncts.size()) return bad(s.at.insn, fmt::format("no disjunct {}", disjunct));
    if (!inclusion_.holds(s, certificate_.disjuncts[disjunct].state)) {
        return bad(s.at.insn, fmt::format("{} is not inside disjunct {}", what, disjunct), inclusion_.why());
    }
    if (!reached_[disjunct]) {
        reached_[disjunct] = true;
        agenda_.push_back(disjunct);
    }
    return {};
}

/// Executes the tree of walks from one disjunct, in place first: what waits are the other sides of the forks on the
/// way.
Result<void> Walks::walk(uint32_t index) {
    const Disjunct& disjunct = certificate_.disjuncts[index];
    const uint64_t limit =
        std::max<uint64_t>(subject_.options.step_budget, 64 * uint64_t{structure_.size()} + 2'000'000);
    next_target_ = 0;
    std::vector<Walk> open(1);
    open[0].state = disjunct.state;
    if (disjunct.measured) {
        std::erase_if(open[0].state.ghosts, [&](const Ghost& g) { return g.cut == disjunct.cut; });
        open[0].state.ghosts.push_back({disjunct.cut, disjunct.measure});
    }
    for (bool first = true; !open.empty();) {
        Walk walk = std::move(open.back());
        open.pop_back();
        State& s = walk.state;
        for (bool going = true, round = false; going;) {
            if (!structure_.starts(s.at.insn)) return bad(s.at.insn, "no instruction begins here");
            if (!first && is_cut(s.at)) {
                SKEP_TRY(arrive(walk, index, round));
                break;
            }
            first = false;
            if (++steps_ + inclusion_.work() / 16 > limit || open.size() > most_waiting) {
                return Error(Errc::LimitExceeded, Where{.function = subject_.linked().name, .insn = s.at.insn},
                             "checking takes too long",
                             fmt::format("more than {} steps, or {} states that wait at a fork", limit, most_waiting));
            }
            const Place at = s.at;
            const isa::Insn& insn = structure_.insn(at.insn);
            const Before before = at.phase == Phase::Normal ? look(s, insn) : Before{};
            Outcome outcome = rules_.step(s, insn);
            if (outcome.flow == Flow::Failed) {
                return bad(at.insn, "an instruction breaks a rule",
                           outcome.failure
                               ? fmt::format("{}: {}", rule_code(outcome.failure->rule), outcome.failure->what)
                               : std::string());
            }
            if (at.phase == Phase::Normal) {
                ++walk.instructions;
                note(at.insn, insn, before, outcome, s);
            }
            unset_stack_ = unset_stack_ || outcome.notes.unset_stack;
            if (outcome.notes.helper_call) ++walk.helper_calls;
            if (outcome.notes.later_map != no_map) {
                const Root root{0, outcome.notes.later_function, outcome.notes.later_map};
                if (std::ranges::find(later_, root) == later_.end()) later_.push_back(root);
            }
            round = outcome.callback_round;
            switch (outcome.flow) {
                case Flow::Fork:
                    if (!outcome.other) return bad(at.insn, "a fork without its other side");
                    limit_symbols(*outcome.other);
                    frames_ = std::max(frames_, static_cast<uint32_t>(outcome.other->frames.size()));
                    open.push_back({std::move(*outcome.other), walk.instructions, walk.helper_calls});
                    break;
                case Flow::Next: break;
                case Flow::Dead: going = false; break;
                case Flow::Exit:
                    edges_.push_back({index, exit_node, walk.instructions, walk.helper_calls});
                    going = false;
                    break;
                case Flow::Failed: break;  // above
            }
            limit_symbols(s);
            frames_ = std::max(frames_, static_cast<uint32_t>(s.frames.size()));
        }
    }
    if (next_target_ != disjunct.targets.size()) return bad(disjunct.state.at.insn, "more targets than walks");
    return {};
}

/// The walk ends at a cut: inside the disjunct that the certificate names next.
Result<void> Walks::arrive(Walk& walk, uint32_t from, bool round) {
    const std::vector<uint32_t>& targets = certificate_.disjuncts[from].targets;
    const isa::InsnIndex at = walk.state.at.insn;
    if (next_target_ == targets.size()) return bad(at, "fewer targets than walks");
    const uint32_t target = targets[next_target_++];
    SKEP_TRY(enter(walk.state, target, "a walk's end"));
    Edge edge{from, target, walk.instructions, walk.helper_calls, 0, round};
    const Disjunct& to = certificate_.disjuncts[target];
    const auto ghost = std::ranges::find(walk.state.ghosts, to.cut, &Ghost::cut);
    if (to.measured && ghost != walk.state.ghosts.end()) {
        const auto now = inclusion_.image(to.measure);
        const auto difference = now ? upper_difference(walk.state, *now, ghost->measure) : std::nullopt;
        if (difference && *difference < 0) edge.decrease = uint64_t{0} - static_cast<uint64_t>(*difference);
    }
    edges_.push_back(edge);
    return {};
}

Walks::Before Walks::look(const State& s, const isa::Insn& insn) const {
    Before before;
    if (targets_[s.at.insn]) {
        for (unsigned r = 0; r < s.regs.size(); ++r) before.narrow |= static_cast<uint16_t>(is_narrow(s, r) << r);
    }
    const isa::Row& row = insn.row();
    if (!row.is_alu()) return before;
    const auto source = [&] {
        return row.has_src() ? is_narrow(s, insn.src) : insn.imm >= 0;  // an immediate is sign-extended
    };
    if (row.operation == isa::Operation::Mov && row.width_bits() == 32 && row.has_src()) before.operands = source();
    if (is_division(row.operation) && row.width_bits() == 64) before.operands = is_narrow(s, insn.dst) && source();
    return before;
}

/// A Fact is what all executions agree on.
void Walks::note(isa::InsnIndex at, const isa::Insn& insn, const Before& before, const Outcome& outcome,
                 const State& after) {
    Seen& seen = seen_[at];
    const isa::Row& row = insn.row();
    if (outcome.flow == Flow::Fork) {
        seen.taken = seen.passed = true;
    } else if (outcome.flow == Flow::Next) {
        (outcome.taken ? seen.taken : seen.passed) = true;
    }
    Notes now = outcome.notes;
    if (is_division(row.operation) || (row.operation == isa::Operation::Mov && row.width_bits() == 32))
        now.upper_half_zero = before.operands;
    bool constant = false;
    uint32_t value = 0;
    if ((row.is_alu() || row.form == isa::Form::LoadMem) && outcome.flow == Flow::Next && after.is_set(insn.dst) &&
        !is_tainted(after, after.reg(insn.dst))) {
        const Num n = number_of(after, after.reg(insn.dst));
        constant = n.is_constant() && n.umin() <= UINT32_MAX;
        value = constant ? static_cast<uint32_t>(n.umin()) : 0;
    }
    if (!seen.executed) {
        seen.executed = true;
        seen.notes = now;
        seen.narrow = before.narrow;
        seen.constant = constant;
        seen.value = value;
        return;
    }
    seen.narrow &= before.narrow;
    seen.constant = seen.constant && constant && seen.value == value;
    Notes& all = seen.notes;
    if (all.map != now.map) all.map = no_map;
    all.divisor_non_zero = all.divisor_non_zero && now.divisor_non_zero;
    all.upper_half_zero = all.upper_half_zero && now.upper_half_zero;
    all.result_non_null = all.result_non_null && now.result_non_null;
    all.key_constant = all.key_constant && now.key_constant && all.key == now.key;
}

Facts Walks::facts() const {
    Facts facts(seen_.size());
    for (isa::InsnIndex at = 0; at < seen_.size(); ++at) {
        if (!structure_.starts(at)) continue;
        const Seen& seen = seen_[at];
        Fact& fact = facts[at];
        fact.reachable = seen.executed;
        if (!seen.executed) continue;
        const isa::Insn& insn = structure_.insn(at);
        const bool branches = insn.row().is_conditional_compare() && insn.offset != 0;
        fact.branch_always = branches && seen.taken && !seen.passed;
        fact.branch_never = branches && seen.passed && !seen.taken;
        fact.map = seen.notes.map < subject_.program->maps.size() ? seen.notes.map : no_map;
        fact.divisor_non_zero = seen.notes.divisor_non_zero;
        fact.upper_half_zero = seen.notes.upper_half_zero;
        fact.result_non_null = seen.notes.result_non_null;
        fact.key_constant = seen.notes.key_constant;
        fact.key = seen.notes.key_constant ? seen.notes.key : 0;
        fact.narrow = seen.narrow;
        fact.result_constant = seen.constant;
        if (seen.constant) fact.key = seen.value;
    }
    // Claim: no run reads a byte of the stack that it did not write. Because: without these answers the same walks are
    // a proof under the option that refuses such reads.
    if (!facts.empty()) facts[0].stack_written = !unset_stack_ && !inclusion_.took_unset();
    return facts;
}

}  // namespace skep::verifier::check
