// SPDX-License-Identifier: Apache-2.0
#include "verifier/check/checker.hpp"

#include <gtest/gtest.h>

#include <functional>

#include <fmt/format.h>

#include "platform/context.hpp"
#include "verifier/check/testing.hpp"
#include "verifier/state/numbers.hpp"

namespace skep::verifier {
namespace {

using testing::certify;
using testing::subject_of;

/// The number in a register becomes any one in [low, high], by a symbol that is returned as a form.
Val loosen(State& s, unsigned reg, int64_t low, int64_t high) {
    const Val v = Val::symbol(new_symbol(s, signed_range(low, high), no_insn));
    s.set_reg(reg, v);
    return v;
}

/// r6 counts from 0 to 9 below the head at slot 1; the measure is 10 - r6.
constexpr const char* counted = "r6 = 0\nr6 += 1\nif r6 < 10 goto -2\nr0 = 0\nexit\n";
void generalise_counted(Disjunct& d) {
    if (d.state.at.insn != 1) return;
    loosen(d.state, 6, 0, 9);
    compact(d.state);
    d.measured = true;
    d.measure = *subtract(Val::constant(10), d.state.regs[6]);
}

std::string why(const Result<ExecutableProgram>& result) { return result ? "accepted" : result.error().to_string(); }

TEST(Checker, AcceptsAStraightLine) {
    const Subject subject = subject_of("r0 = 0\nr0 += 2\nexit\n");
    Certificate c = certify(subject);
    ASSERT_EQ(c.disjuncts.size(), 1u);
    const auto program = Checker(subject).complete(c);
    ASSERT_TRUE(program) << why(program);
    EXPECT_EQ(program->cost().instructions, 3u);
    EXPECT_EQ(program->cost().helper_calls, 0u);
    EXPECT_EQ(program->cost().stack_bytes, 512u);
    EXPECT_TRUE(program->verified());
    EXPECT_TRUE(Checker(subject).check(c));
    EXPECT_TRUE(check_certificate(subject, encode_certificate(subject, c)));
}

TEST(Checker, AcceptsADiamondAndSaysWhatBranchesDo) {
    const Subject subject =
        subject_of("r2 = *(u64 *)(r10 - 8)\nr0 = 1\nif r2 == 5 goto +1\nr0 = 2\nif r0 == 9 goto +1\nr0 = 0\nexit\n");
    Certificate c = certify(subject);
    const auto program = Checker(subject).complete(c);
    ASSERT_TRUE(program) << why(program);
    EXPECT_EQ(program->cost().instructions, 7u);
    const Facts& facts = program->facts();
    EXPECT_FALSE(facts[2].branch_always);
    EXPECT_FALSE(facts[2].branch_never);
    EXPECT_TRUE(facts[4].branch_never);
    EXPECT_TRUE(facts[6].reachable);
}

TEST(Checker, SaysWhatIsNeverExecuted) {
    const Subject subject = subject_of("r0 = 1\nif r0 == 1 goto +1\nr0 = 2\nexit\n");
    Certificate c = certify(subject);
    const auto program = Checker(subject).complete(c);
    ASSERT_TRUE(program) << why(program);
    EXPECT_TRUE(program->facts()[1].branch_always);
    EXPECT_FALSE(program->facts()[2].reachable);
    EXPECT_TRUE(program->facts()[3].reachable);
}

TEST(Checker, SaysWhetherOnlyWrittenBytesOfTheStackAreRead) {
    struct Case {
        const char* text;
        bool written;
        std::optional<isa::InsnIndex> comm_at = {};
    };
    for (const Case& one : {
             Case{"r0 = 0\nexit\n", true},
             Case{"*(u64 *)(r10 - 8) = 1\nr0 = *(u64 *)(r10 - 8)\nexit\n", true},
             Case{"*(u32 *)(r10 - 8) = 1\n*(u32 *)(r10 - 4) = 1\nr0 = *(u64 *)(r10 - 8)\nexit\n", true},
             Case{"r0 = *(u64 *)(r10 - 8)\nexit\n", false},
             Case{"*(u32 *)(r10 - 8) = 1\nr0 = *(u64 *)(r10 - 8)\nexit\n", false},
             Case{"r1 = 1\nlock *(u64 *)(r10 - 8) += r1\nr0 = 0\nexit\n", false},
             Case{"*(u64 *)(r10 - 8) = 0\nr1 = 1\nlock *(u64 *)(r10 - 8) += r1\nr0 = 0\nexit\n", true},
             // Written on one way only.
             Case{"call 7\nif r0 == 0 goto +1\n*(u64 *)(r10 - 8) = 1\nr0 = *(u64 *)(r10 - 8)\nexit\n", false},
             // Somewhere in four bytes, of which one is read.
             Case{"call 7\nr0 &= 3\nr1 = r10\nr1 += r0\n*(u8 *)(r1 - 8) = 1\nr0 = *(u8 *)(r10 - 8)\nexit\n", false},
             // A helper that fails may leave its memory as it was.
             Case{"r1 = r10\nr1 += -8\nr2 = 8\ncall 16\nr0 = 0\nexit\n", false, 3},
             Case{"*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\ncall 16\nr0 = 0\nexit\n", true, 4},
         }) {
        Subject subject = subject_of(one.text);
        if (std::string_view(one.text).starts_with("call"))
            testing::bind_helper(subject, 0, platform::HelperId::GetPrandomU32);
        if (one.comm_at) testing::bind_helper(subject, *one.comm_at, platform::HelperId::GetCurrentComm);
        Certificate c = certify(subject);
        const auto program = Checker(subject).complete(c);
        ASSERT_TRUE(program) << one.text << why(program);
        EXPECT_EQ(program->facts().front().stack_written, one.written) << one.text;
    }
}

TEST(Checker, AcceptsACountedLoopByItsMeasure) {
    const Subject subject = subject_of(counted);
    Certificate c = certify(subject, generalise_counted);
    ASSERT_EQ(c.disjuncts.size(), 2u);
    const auto program = Checker(subject).complete(c);
    ASSERT_TRUE(program) << why(program);
    EXPECT_EQ(program->cost().instructions, 1u + 10 * 2 + 2);
    EXPECT_EQ(program->facts()[1].trip_count, 10u);
    const auto again = check_certificate(subject, encode_certificate(subject, c));
    EXPECT_TRUE(again) << why(again);
}

TEST(Checker, AcceptsNestedLoops) {
    // r6 counts to 5 outside, r7 to 7 inside.
    const Subject subject =
        subject_of("r6 = 0\nr7 = 0\nr7 += 1\nif r7 < 7 goto -2\nr6 += 1\nif r6 < 5 goto -5\nr0 = 0\nexit\n");
    Certificate c = certify(subject, [](Disjunct& d) {
        State& s = d.state;
        if (s.at.insn != 1 && s.at.insn != 2) return;
        const bool inner = s.at.insn == 2;
        loosen(s, 6, 0, 4);
        if (inner) {
            loosen(s, 7, 0, 6);
            // The outer measure is kept through the inner loop.
            s.ghosts = {{1, *subtract(Val::constant(5), s.regs[6])}};
        } else {
            s.ghosts.clear();
        }
        compact(s);
        d.measured = true;
        d.measure = *subtract(Val::constant(inner ? 7 : 5), s.regs[inner ? 7 : 6]);
    });
    const auto program = Checker(subject).complete(c);
    ASSERT_TRUE(program) << why(program);
    EXPECT_EQ(program->cost().instructions, 1u + 5 * (1 + 7 * 2 + 2) + 2);
    EXPECT_EQ(program->facts()[1].trip_count, 5u);
    EXPECT_EQ(program->facts()[2].trip_count, 35u);
}

TEST(Checker, AcceptsCallbacksByTheirRounds) {
    Subject subject =
        subject_of("r1 = 20\nr2 = callback ll\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit\ncallback:\nr0 = 0\nexit\n", {8});
    testing::bind_helper(subject, 5, platform::HelperId::Loop);
    Certificate c = certify(subject);
    ASSERT_FALSE(c.disjuncts.empty());
    const auto program = Checker(subject).complete(c);
    ASSERT_TRUE(program) << why(program);
    EXPECT_EQ(program->cost().instructions, 5u + 20 * 2 + 2);
    EXPECT_EQ(program->cost().helper_calls, 1u);
    EXPECT_EQ(program->cost().stack_bytes, 1024u);
    EXPECT_TRUE(check_certificate(subject, encode_certificate(subject, c)));
}

TEST(Checker, RefusesALoopThatNeedNotEnd) {
    // r6 is unknown each round.
    const Subject subject = subject_of("r6 = *(u64 *)(r10 - 8)\nif r6 != 3 goto -2\nr0 = 0\nexit\n");
    Certificate c = certify(subject, [](Disjunct& d) {
        d.measured = true;
        d.measure = Val::constant(1);
    });
    const auto program = Checker(subject).complete(c);
    ASSERT_FALSE(program);
    EXPECT_NE(why(program).find("nothing proves that this loop ends"), std::string::npos) << why(program);
}

TEST(Checker, KeepsToTheCostLimit) {
    Subject subject = subject_of(counted);
    Certificate c = certify(subject, generalise_counted);
    subject.options.cost_limit = 23;
    EXPECT_TRUE(Checker(subject).complete(c));
    subject.options.cost_limit = 22;
    EXPECT_FALSE(Checker(subject).complete(c));
}

TEST(Checker, StopsAtItsStepLimit) {
    // No cut is listed: 2^24 walks of 24 branches.
    std::string text = "r0 = *(u64 *)(r10 - 8)\n";
    for (int i = 0; i < 24; ++i)
        text += fmt::format("if r0 & {:#x} goto +0\nr1 = *(u64 *)(r10 - 16)\nif r1 == 0 goto +1\nr2 = 0\n", 1 << i);
    Subject subject = subject_of(text + "r0 = 0\nexit\n");
    subject.options.step_budget = 100'000;
    Certificate c = certify(subject_of("r0 = 0\nexit\n"));
    ASSERT_FALSE(c.disjuncts.empty());
    Checker checker(subject);
    const auto program = checker.complete(c);
    ASSERT_FALSE(program);
    EXPECT_NE(why(program).find("checking takes too long"), std::string::npos) << why(program);
}

/// Each corruption of a good certificate makes it claim something that is not so, or leave out something needed.
struct Corruption {
    const char* name;
    std::function<void(Certificate&)> apply;
};

void expect_refused(const Subject& subject, const Certificate& good, const std::vector<Corruption>& corruptions) {
    ASSERT_TRUE(Checker(subject).check(good));
    for (const Corruption& corruption : corruptions) {
        SCOPED_TRACE(corruption.name);
        Certificate bad = good;
        corruption.apply(bad);
        const auto in_memory = Checker(subject).check(bad);
        EXPECT_FALSE(in_memory);
        const auto as_bytes = check_certificate(subject, encode_certificate(subject, bad));
        EXPECT_FALSE(as_bytes);
    }
}

TEST(Checker, RefusesCorruptedLoops) {
    const Subject subject = subject_of(counted);
    Certificate good = certify(subject, generalise_counted);
    ASSERT_TRUE(Checker(subject).complete(good));
    const auto head = [](Certificate& c) -> Disjunct& { return c.disjuncts[1]; };
    const auto counter = [head](Certificate& c) -> Symbol& { return head(c).state[head(c).state.regs[6].a.sym]; };
    expect_refused(
        subject, good,
        {
            {"upper bound tightened", [&](Certificate& c) { counter(c).num = signed_range(0, 8); }},
            {"lower bound tightened", [&](Certificate& c) { counter(c).num = signed_range(1, 9); }},
            {"a bit told as known", [&](Certificate& c) { counter(c).num.bits.mask &= ~uint64_t{1}; }},
            {"a bit told as one",
             [&](Certificate& c) {
                 counter(c).num.bits.mask &= ~uint64_t{2};
                 counter(c).num.bits.value |= 2;
             }},
            {"low half tightened", [&](Certificate& c) { counter(c).num.narrow = {0, 8}; }},
            {"a constant", [&](Certificate& c) { counter(c).num = Num::constant(0); }},
            {"unsigned bound wraps", [&](Certificate& c) { counter(c).num.wide = {1, 9}; }},
            {"counter as a constant form", [&](Certificate& c) { head(c).state.regs[6] = Val::constant(0); }},
            {"counter moved by one", [&](Certificate& c) { head(c).state.regs[6].k = 1; }},
            {"counter negated", [&](Certificate& c) { head(c).state.regs[6].a.factor = -1; }},
            {"a register more", [&](Certificate& c) { head(c).state.set_reg(7, Val::constant(0)); }},
            {"a register with an address",
             [&](Certificate& c) { head(c).state.regs[6] = Val::symbol(head(c).state.frames[0].base); }},
            {"a relation nobody proved",
             [&](Certificate& c) {
                 State& s = head(c).state;
                 const Sym other = new_symbol(s, Num::constant(3), no_insn);
                 s.set_reg(8, Val::symbol(other));
                 s.relations.push_back({s.regs[6].a.sym, other, -7});
             }},
            {"a definition nobody made",
             [&](Certificate& c) {
                 counter(c).def = {isa::Operation::And, false, Val::constant(1), Val::constant(1)};
             }},
            {"no measure", [&](Certificate& c) { head(c).measured = false; }},
            {"a measure that grows", [&](Certificate& c) { head(c).measure = head(c).state.regs[6]; }},
            {"a measure that stays", [&](Certificate& c) { head(c).measure = Val::constant(3); }},
            {"another cut number where the ghost was",
             [&](Certificate& c) {
                 head(c).cut = c.disjuncts[0].cut;
                 c.disjuncts[0].cut = 7;
                 c.cost.instructions += 1;
             }},
            {"edge back into the entry", [&](Certificate& c) { head(c).targets[0] = 0; }},
            {"edge to nowhere", [&](Certificate& c) { head(c).targets[0] = 2; }},
            {"an edge less", [&](Certificate& c) { head(c).targets.clear(); }},
            {"an edge more", [&](Certificate& c) { head(c).targets.push_back(1); }},
            {"the head dropped", [&](Certificate& c) { c.disjuncts.pop_back(); }},
            {"a disjunct nobody reaches", [&](Certificate& c) { c.disjuncts.push_back(head(c)); }},
            {"no root", [&](Certificate& c) { c.roots.clear(); }},
            {"another root", [&](Certificate& c) { c.roots[0].disjunct = 1; }},
            {"a root of another function", [&](Certificate& c) { c.roots[0].map = 0; }},
            {"no cut at the head", [&](Certificate& c) { c.cuts.clear(); }},
            {"another place", [&](Certificate& c) { head(c).state.at.insn = 2; }},
            {"cost lowered", [&](Certificate& c) { c.cost.instructions -= 1; }},
            {"cost raised", [&](Certificate& c) { c.cost.instructions += 1; }},
            {"helper calls", [&](Certificate& c) { c.cost.helper_calls = 1; }},
            {"stack", [&](Certificate& c) { c.cost.stack_bytes = 256; }},
            {"a frame more",
             [&](Certificate& c) {
                 State& s = head(c).state;
                 s.frames.push_back(s.frames[0]);
             }},
            {"another call site", [&](Certificate& c) { head(c).state.frames[0].call = 0; }},
            {"a ghost from nowhere", [&](Certificate& c) { head(c).state.ghosts.push_back({5, Val::constant(1)}); }},
            {"a reference from nowhere",
             [&](Certificate& c) { head(c).state.references.push_back({head(c).state.frames[0].base}); }},
            {"a lock from nowhere",
             [&](Certificate& c) { head(c).state.lock = SpinLock{head(c).state.frames[0].base, 0}; }},
            {"a packet from nowhere", [&](Certificate& c) { head(c).state.packet = head(c).state.frames[0].base; }},
        });
}

TEST(Checker, RefusesCorruptedMemory) {
    // Two stack cells, one a spilled context pointer, one half written; then a join.
    const Subject subject = subject_of(
        "*(u64 *)(r10 - 8) = r1\n*(u32 *)(r10 - 16) = 7\nr6 = r1\nr7 = *(u64 *)(r10 - 24)\nr0 = 0\n"
        "if r7 == 0 goto +1\nr0 = 1\nexit\n");
    Certificate good = certify(subject);
    ASSERT_TRUE(Checker(subject).complete(good));
    const auto join = [](Certificate& c) -> State& { return c.disjuncts[1].state; };
    ASSERT_EQ(join(good).at.insn, 7u);
    const auto cell = [join](Certificate& c, size_t i) -> Cell& { return join(c).frames[0].own_stack()[i]; };
    expect_refused(
        subject, good,
        {
            {"a byte of a constant", [&](Certificate& c) { cell(c, 1).detail[0] = 8; }},
            {"an unset byte told as set to a constant", [&](Certificate& c) { cell(c, 1).kind[7] = Byte::Const; }},
            {"an address told as a number",
             [&](Certificate& c) {
                 State& s = join(c);
                 cell(c, 0).set_whole(Val::symbol(new_symbol(s, Num::unknown(), no_insn)));
             }},
            {"the context swapped for the stack",
             [&](Certificate& c) { cell(c, 0).set_whole(Val::symbol(join(c).frames[0].base)); }},
            {"a spilled address moved", [&](Certificate& c) { cell(c, 0).val.k = 8; }},
            {"another kind of memory",
             [&](Certificate& c) {
                 State& s = join(c);
                 s[s.regs[6].a.sym].region.kind = RegionKind::Memory;
             }},
            {"memory with a size",
             [&](Certificate& c) {
                 State& s = join(c);
                 s[s.regs[6].a.sym].region.size = 64;
             }},
            {"owned memory",
             [&](Certificate& c) {
                 State& s = join(c);
                 s[s.regs[6].a.sym].region.owned = true;
             }},
            {"one address twice",
             [&](Certificate& c) {
                 State& s = join(c);
                 const Symbol copy = s[s.regs[6].a.sym];
                 s.symbols.push_back(copy);
                 s.regs[6] = Val::symbol(static_cast<Sym>(s.symbols.size() - 1));
             }},
            {"a number below its bound",
             [&](Certificate& c) {
                 State& s = join(c);
                 s[s.regs[6].a.sym].num = unsigned_range(1 << 20, 1 << 21);
             }},
        });
}

/// The certificate may leave out how much metadata there is; a load of its address then names the length anew.
TEST(Checker, ForgetsTheLengthOfTheMetadata) {
    Subject subject = subject_of(
        "r6 = r1\nr2 = *(u32 *)(r6 + 0)\nr0 = 0\nif r2 == 7 goto +1\nr0 = 1\nr3 = *(u32 *)(r6 + 8)\nr0 = 0\nexit\n");
    auto program = std::make_shared<BoundProgram>(*subject.program);
    program->type = platform::ProgramType::Xdp;
    for (const auto& [at, offset] : {std::pair(1u, 0u), std::pair(5u, 8u)}) {
        const auto* field = platform::find_context_field(platform::ContextKind::Xdp, program->personality, offset,
                                                         program->type, program->attach);
        ASSERT_NE(field, nullptr);
        program->bindings[at].kind = BindingKind::Context;
        program->bindings[at].context.field = static_cast<uint16_t>(field->id);
    }
    subject.program = std::move(program);
    bool left_out = false;
    Certificate c = certify(subject, [&](Disjunct& d) {
        for (Symbol& symbol : d.state.symbols) {
            left_out = left_out || symbol.region.meta != no_sym;
            symbol.region.meta = no_sym;
        }
        compact(d.state);
    });
    ASSERT_TRUE(left_out);
    const auto accepted = Checker(subject).complete(c);
    ASSERT_TRUE(accepted) << why(accepted);
}

}  // namespace
}  // namespace skep::verifier
