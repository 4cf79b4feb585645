// SPDX-License-Identifier: Apache-2.0
// Programs of chance that the verifier accepts: the JIT, with all that the certificate's checker proved of them, gives
// what the interpreter gives, which believes nothing. SKEP_FACTS_SEED: another start.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include <fmt/format.h>

#include "engine/interp/interp.hpp"
#include "engine/jit/jit.hpp"
#include "isa/assemble.hpp"
#include "platform/helper.hpp"
#include "verifier/verify.hpp"

namespace skep {
namespace {

using platform::HelperId;

constexpr unsigned programs = 1500, runs = 4;

struct Chance {
    uint64_t state;
    uint64_t next() {
        state ^= state << 13;
        state ^= state >> 7;
        return state ^= state << 17;
    }
    unsigned below(unsigned n) { return static_cast<unsigned>(next() % n); }
    template <size_t N>
    const char* pick(const std::array<const char*, N>& words) {
        return words[below(N)];
    }
};

Chance inputs{1};
uint64_t give_number(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, skep_runtime_context*) {
    const uint64_t word = inputs.next();
    return word % 4 == 0 ? word >> 8 & 7 : word % 4 == 1 ? word : word & 0xffffffff;
}

/// r6 to r9 hold numbers of which something is known; sums, masks, divisions, moves of both widths, jumps forward, a
/// loop around them that counts in r4, a spilled word.
std::string program_of(Chance& chance) {
    std::string text;
    for (const char* reg : {"6", "7", "8", "9"}) {
        text += fmt::format("call 7\nr{} = r0\n", reg);
        if (chance.below(3) != 0) text += fmt::format("r{} &= {}\n", reg, (1u << chance.below(31)) - 1);
    }
    text += "*(u64 *)(r10 - 8) = r6\n";
    const bool loops = chance.below(2) == 0;
    text += fmt::format("r4 = {}\nr5 = 1\nr0 = 0\nr1 = 3\n", 1 + chance.below(5));
    if (loops) text += "head:\n";
    const auto reg = [&] { return chance.pick(std::array{"0", "1", "5", "6", "7", "8", "9"}); };
    const unsigned length = 6 + chance.below(20);
    unsigned open = 0, until = 0;
    for (unsigned i = 0; i < length; ++i) {
        if (open != 0 && i == until) text += fmt::format("out{}:\n", open), open = 0;
        const char* const width = chance.below(2) == 0 ? "r" : "w";
        switch (chance.below(9)) {
            case 0: text += fmt::format("{0}{1} = {0}{2}\n", width, reg(), reg()); break;
            case 1: text += fmt::format("{0}{1} &= {2}\n", width, reg(), (1u << chance.below(31)) - 1); break;
            case 2:
                text += fmt::format("{0}{1} {3} {0}{2}\n", width, reg(), reg(),
                                    chance.pick(std::array{"+=", "-=", "*=", "|=", "&=", "^=", "/=", "%="}));
                break;
            case 3:
                text += fmt::format(
                    "{0}{1} {3} {2}\n", width, reg(), 1 + chance.below(9),
                    chance.pick(std::array{"+=", "-=", "*=", "|=", "/=", "%=", "s/=", ">>=", "<<=", "s>>="}));
                break;
            case 4: text += fmt::format("{0}{1} = {2}\n", width, reg(), int(chance.below(300)) - 40); break;
            case 5:
                if (open != 0) break;
                open = i + 1, until = i + 1 + chance.below(5);
                text += fmt::format("if {0}{1} {2} {3} goto out{4}\n", width, reg(),
                                    chance.pick(std::array{"==", "!=", "<", ">=", "s<", "s>", "&"}), chance.below(64),
                                    open);
                break;
            case 6: text += fmt::format("r{} = *(u64 *)(r10 - 8)\n", reg()); break;
            case 7: text += fmt::format("*(u64 *)(r10 - 8) = r{}\n", reg()); break;
            case 8:
                text += fmt::format("r{} |= 1\n{}{} {} r{}\n", 8, "r", reg(), chance.pick(std::array{"/=", "%="}), 8);
                break;
        }
    }
    if (open != 0) text += fmt::format("out{}:\n", open);
    if (loops) text += "r4 -= 1\nif r4 != 0 goto head\n";
    return text + "r0 += r1\nr0 ^= r5\nr0 += r6\nr0 ^= r7\nr0 += r8\nr0 ^= r9\nexit\n";
}

std::shared_ptr<const BoundProgram> bound(isa::Code code) {
    auto program = std::make_shared<BoundProgram>();
    const auto size = static_cast<isa::InsnIndex>(code.size());
    program->linked.name = "test";
    program->linked.subprograms.push_back({"test", 0, size});
    program->bindings.resize(size);
    for (isa::InsnIndex i = 0; i < size; ++i) {
        const isa::Row* row = isa::match(code[i]);
        if (row == nullptr || row->op != isa::Op::Call) continue;
        program->bindings[i].kind = BindingKind::Helper;
        program->bindings[i].helper = static_cast<uint16_t>(HelperId::GetPrandomU32);
    }
    program->linked.code = std::move(code);
    return program;
}

TEST(FactsEqual, TheJitWithFactsGivesWhatTheInterpreterGives) {
    const char* text = std::getenv("SKEP_FACTS_SEED");
    Chance chance{text == nullptr ? 0x5eed : std::strtoull(text, nullptr, 0) | 1};
    std::array<skep_helper_fn, platform::helper_count> helpers{};
    helpers[static_cast<size_t>(HelperId::GetPrandomU32)] = give_number;
    engine::LinkTable link;
    link.helpers = helpers;
    unsigned accepted = 0, divisors = 0, widths = 0, narrow = 0, constants = 0, branches = 0, dead = 0;
    for (unsigned n = 0; n < programs; ++n) {
        const std::string source = program_of(chance);
        auto code = isa::assemble(source);
        ASSERT_TRUE(code) << source << code.error().to_string();
        verifier::Subject subject;
        subject.program = bound(*std::move(code));
        const verifier::Report report = verifier::verify(subject);
        if (report.verdict != verifier::Verdict::Accepted) continue;
        ++accepted;
        for (const Fact& fact : report.executable->facts()) {
            divisors += fact.divisor_non_zero;
            widths += fact.upper_half_zero;
            narrow += fact.narrow != 0;
            constants += fact.result_constant;
            branches += fact.branch_always || fact.branch_never;
            dead += !fact.reachable;
        }
        auto jit = engine::jit::compile(*report.executable, link, {});
        auto interp = engine::interp::compile(*report.executable, link);
        if (!jit && jit.error().code() == Errc::Unavailable) GTEST_SKIP() << jit.error().to_string();
        ASSERT_TRUE(jit && interp);
        for (unsigned run = 0; run < runs; ++run) {
            std::array<uint64_t, 2> results{};
            for (const auto* compiled : {jit->get(), interp->get()}) {
                inputs.state = 0x9e3779b97f4a7c15 * (n * runs + run + 1);
                skep_runtime_context context{};
                context.size = sizeof context;
                context.abi = SKEP_RUNTIME_CONTEXT_ABI;
                context.helpers = helpers.data();
                uint64_t nothing[16]{};
                results[compiled == jit->get() ? 0 : 1] =
                    compiled->entry().function(nothing, &context, compiled->entry().self);
            }
            ASSERT_EQ(results[0], results[1]) << source << "run " << run;
        }
    }
    RecordProperty("accepted", static_cast<int>(accepted));
    fmt::print("{} of {} accepted; facts: divisor {}, width {}, narrow {}, constant {}, branch {}, dead {}\n", accepted,
               programs, divisors, widths, narrow, constants, branches, dead);
    // Each kind of facts was there to be believed.
    EXPECT_GT(accepted, programs / 2);
    for (const unsigned count : {divisors, widths, narrow, constants, branches, dead}) EXPECT_GT(count, 100u);
}

}  // namespace
}  // namespace skep
