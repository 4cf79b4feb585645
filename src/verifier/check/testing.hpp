// SPDX-License-Identifier: Apache-2.0
// For tests: subjects made of assembly, and certificates made by the simplest search there is: every arrival that no
// disjunct holds becomes a disjunct, after the test has made it as general as it needs.
#pragma once

#include <functional>
#include <string>

#include "isa/assemble.hpp"
#include "platform/helper.hpp"
#include "verifier/certificate/certificate.hpp"
#include "verifier/certificate/cuts.hpp"
#include "verifier/check/inclusion.hpp"
#include "verifier/rules/rules.hpp"

namespace skep::verifier::testing {

/// A program of the assembly, its functions beginning at slots 0 and `starts`. Nothing is bound.
inline Subject subject_of(const std::string& assembly, const std::vector<isa::InsnIndex>& starts = {}) {
    auto program = std::make_shared<BoundProgram>();
    auto code = isa::assemble(assembly);
    if (!code) throw std::runtime_error(code.error().to_string());
    program->linked.name = "test";
    program->linked.code = *std::move(code);
    const auto size = static_cast<isa::InsnIndex>(program->linked.code.size());
    std::vector<isa::InsnIndex> all{0};
    all.insert(all.end(), starts.begin(), starts.end());
    for (size_t i = 0; i < all.size(); ++i) {
        program->linked.subprograms.push_back(
            {"f" + std::to_string(i), all[i], i + 1 < all.size() ? all[i + 1] : size});
    }
    program->bindings.resize(size);
    Subject subject;
    subject.program = std::move(program);
    return subject;
}

/// Binds the helper call at a slot.
inline void bind_helper(Subject& subject, isa::InsnIndex at, platform::HelperId helper) {
    auto program = std::make_shared<BoundProgram>(*subject.program);
    program->bindings[at].kind = BindingKind::Helper;
    program->bindings[at].helper = static_cast<uint16_t>(helper);
    subject.program = std::move(program);
}

/// Makes an arriving state, already compact()ed, as general as the disjunct is to be; may set cut and measure.
using Generalise = std::function<void(Disjunct&)>;

/// The certificate, or no disjuncts if an instruction fails. The cut of a disjunct is its slot, of a callback's head
/// its slot and 2^16.
inline Certificate certify(const Subject& subject, const Generalise& generalise = {}) {
    const Rules rules(subject);
    Certificate c;
    c.cuts = cut_places(subject.linked());
    check::Inclusion inclusion(subject.options);
    std::vector<bool> cut(subject.linked().code.size(), false);
    for (const isa::InsnIndex at : c.cuts) cut[at] = true;
    const auto arrive = [&](State s) {
        for (uint32_t i = 0; i < c.disjuncts.size(); ++i) {
            if (inclusion.holds(s, c.disjuncts[i].state)) return i;
        }
        Disjunct d;
        d.cut = s.at.insn + (s.at.phase == Phase::Normal ? 0 : 1u << 16);
        d.state = std::move(s);
        compact(d.state);
        if (generalise) generalise(d);
        c.disjuncts.push_back(std::move(d));
        return static_cast<uint32_t>(c.disjuncts.size() - 1);
    };
    c.roots.push_back({arrive(rules.entry_state())});
    for (uint32_t d = 0; d < c.disjuncts.size() && c.disjuncts.size() < 1000; ++d) {
        std::vector<State> open{c.disjuncts[d].state};
        if (c.disjuncts[d].measured) {
            std::erase_if(open[0].ghosts, [&](const Ghost& g) { return g.cut == c.disjuncts[d].cut; });
            open[0].ghosts.push_back({c.disjuncts[d].cut, c.disjuncts[d].measure});
        }
        std::vector<uint32_t> targets;
        for (bool first = true; !open.empty();) {
            State s = std::move(open.back());
            open.pop_back();
            for (;;) {
                if (!first && (s.at.phase != Phase::Normal || cut[s.at.insn])) {
                    targets.push_back(arrive(std::move(s)));
                    break;
                }
                first = false;
                Outcome out = rules.step(s, *isa::decode(subject.linked().code, s.at.insn));
                if (out.flow == Flow::Failed) return {};
                if (out.flow == Flow::Fork) open.push_back(std::move(*out.other));
                if (out.flow == Flow::Dead || out.flow == Flow::Exit) break;
            }
        }
        c.disjuncts[d].targets = std::move(targets);
    }
    return c;
}

}  // namespace skep::verifier::testing
