// SPDX-License-Identifier: Apache-2.0
#include "verifier/report/trail.hpp"

#include "isa/insn.hpp"
#include "verifier/rules/rules.hpp"

namespace skep::verifier {

std::optional<Trail> follow(const Subject& subject, std::span<const Step> turns, isa::InsnIndex end, Turns kind,
                            const Observer& observe) {
    Trail trail;
    const Rules rules(subject);
    State s = rules.entry_state();
    size_t next = 0;
    const auto turn_at = [&](isa::InsnIndex at) {
        return next < turns.size() && turns[next].insn == at &&
                       (turns[next].kind == Step::Kind::Taken || turns[next].kind == Step::Kind::NotTaken)
                   ? &turns[next]
                   : nullptr;
    };
    while (trail.before.size() < longest_trail) {
        const isa::InsnIndex at = s.at.insn;
        const Result<isa::Insn> insn = isa::decode(subject.linked().code, at);
        if (!insn) return {};
        trail.before.push_back(s);
        trail.insns.push_back(at);
        trail.taken.push_back(false);
        Outcome out = rules.step(s, *insn);
        // Branches that are decided have no turn: a way to a failure ends where it fails, in whichever round of a loop.
        const bool last = at == end && next == turns.size();
        const bool there = last && (kind == Turns::All || out.flow == Flow::Failed);
        if (there || out.flow == Flow::Failed) {
            trail.failure = std::move(out.failure);
            return there ? std::optional(std::move(trail)) : std::nullopt;
        }
        switch (out.flow) {
            case Flow::Failed:
            case Flow::Dead:
            case Flow::Exit: return {};
            case Flow::Next:
                trail.taken.back() = out.taken;
                if (const Step* turn = turn_at(at); turn != nullptr && (out.taken || kind == Turns::All)) {
                    if ((turn->kind == Step::Kind::Taken) != out.taken) return {};
                    ++next;
                }
                break;
            case Flow::Fork: {
                const Step* turn = turn_at(at);
                if (turn == nullptr) return {};
                ++next;
                if (turn->kind == Step::Kind::Taken) {
                    trail.taken.back() = true;
                    s = std::move(*out.other);
                }
                break;
            }
        }
        if (observe) observe(trail.before.size() - 1, *insn, trail.before.back(), s);
    }
    return {};
}

std::optional<size_t> learned(const Trail& trail, const std::function<bool(const State&)>& holds) {
    size_t i = trail.before.size();
    while (i > 0 && holds(trail.before[i - 1])) --i;
    if (i == 0 || i == trail.before.size()) return {};
    return i - 1;
}

}  // namespace skep::verifier
