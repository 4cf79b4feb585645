// SPDX-License-Identifier: Apache-2.0
// What the verifier proved makes the code shorter, and leaves every result that the fact allows as it was.
#include <cstddef>

#include "engine/jit/testing.hpp"

namespace skep::engine::jit {
namespace {

using namespace testing;

class JitFacts : public ::testing::TestWithParam<Variant> {
  protected:
    /// Compiles `text` with one fact at slot `at`, and without any.
    void compile(std::string_view text, size_t at, const Fact& fact) {
        auto code = isa::assemble(text);
        ASSERT_TRUE(code) << code.error().to_string();
        Facts facts(code->size());
        facts[at] = fact;
        auto plain = machine.compile(bound(*code));
        auto informed = machine.compile(bound(*code), std::move(facts));
        ASSERT_TRUE(plain && informed);
        without = *std::move(plain);
        with = *std::move(informed);
    }
    void expect(uint64_t context, uint64_t result) {
        EXPECT_EQ(machine.enter(*without, reinterpret_cast<void*>(context)).r0, result);
        EXPECT_EQ(machine.enter(*with, reinterpret_cast<void*>(context)).r0, result);
    }

    Machine machine{GetParam()};
    std::unique_ptr<CompiledCode> without, with;
};

TEST_P(JitFacts, ADivisorThatIsNeverZeroIsNotTested) {
    struct Row {
        const char* text;
        uint64_t by_7;
    };
    for (const auto& [text, by_7] : {
             Row{"r0 = 100\n r0 /= r1\n exit", 14},
             Row{"r0 = 100\n r0 %= r1\n exit", 2},
             Row{"w0 = 100\n w0 /= w1\n exit", 14},
             Row{"w0 = 100\n w0 %= w1\n exit", 2},
             Row{"r0 = -100\n r0 s/= r1\n exit", static_cast<uint64_t>(-14)},
             Row{"r0 = -100\n r0 s%= r1\n exit", static_cast<uint64_t>(-2)},
         }) {
        SCOPED_TRACE(text);
        compile(text, 1, {.divisor_non_zero = true});
        EXPECT_LT(with->code_bytes(), without->code_bytes());
        expect(7, by_7);
    }
    // A divisor of minus one is no zero: its own test stays.
    compile("r0 = -100\n r0 s/= r1\n exit", 1, {.divisor_non_zero = true});
    expect(UINT64_MAX, 100);
    // The fact of another instruction is none of this one's.
    compile("r0 = 100\n r0 /= r1\n exit", 0, {.divisor_non_zero = true});
    EXPECT_EQ(with->code_bytes(), without->code_bytes());
    expect(0, 0);
}

constexpr std::string_view branch = "r0 = 1\n if r1 > 5 goto +3\n r0 *= r1\n r0 ^= r1\n exit\n r0 = r1\n exit";

TEST_P(JitFacts, AJumpThatIsAlwaysTakenIsNotDecided) {
    compile(branch, 1, {.branch_always = true});
    EXPECT_LT(with->code_bytes(), without->code_bytes());
    expect(6, 6);
    expect(77, 77);
    // The fact is believed: that shows where it went.
    EXPECT_EQ(machine.enter(*with, reinterpret_cast<void*>(3)).r0, 3u);
}

TEST_P(JitFacts, AJumpThatIsNeverTakenIsLeftOut) {
    compile(branch, 1, {.branch_never = true});
    EXPECT_LT(with->code_bytes(), without->code_bytes());
    expect(5, 0);
    expect(2, 0);
    EXPECT_EQ(machine.enter(*with, reinterpret_cast<void*>(6)).r0, 0u);
}

TEST_P(JitFacts, CodeThatIsNeverReachedIsLeftOut) {
    // The instructions after the one that is unreachable follow only from it.
    compile(branch, 2, {.reachable = false});
    EXPECT_LT(with->code_bytes(), without->code_bytes());
    expect(6, 6);
    // A target of a jump: its label stays.
    compile(branch, 5, {.reachable = false});
    EXPECT_LT(with->code_bytes(), without->code_bytes());
    expect(5, 0);
}

TEST_P(JitFacts, AJumpInALoopIsDecidedByItsFactInEveryRound) {
    constexpr std::string_view loop =
        "r0 = 0\n r2 = 10\n r0 += r1\n if r1 == 0 goto +2\n r2 -= 1\n if r2 != 0 goto -4\n exit";
    compile(loop, 3, {.branch_never = true});
    EXPECT_LT(with->code_bytes(), without->code_bytes());
    expect(3, 30);
    expect(1, 10);
}

TEST(JitFactsAlone, FactsOfAnotherNumberOfSlotsAreRefused) {
    Machine machine(variants[0]);
    const auto code = isa::assemble("r0 = 0\n exit");
    ASSERT_TRUE(code);
    EXPECT_TRUE(machine.compile(bound(*code), Facts(2)));
    for (const size_t wrong : {1u, 3u}) {
        const auto refused = machine.compile(bound(*code), Facts(wrong));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code(), Errc::InvalidArgument);
    }
}

INSTANTIATE_TEST_SUITE_P(Variants, JitFacts, ::testing::ValuesIn(variants),
                         [](const auto& info) { return std::to_string(info.index); });

}  // namespace
}  // namespace skep::engine::jit
