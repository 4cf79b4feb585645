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
        compile_code(*code, at, fact);
    }
    void compile_code(const isa::Code& code, size_t at, const Fact& fact) {
        Facts facts(code.size());
        facts[at] = fact;
        auto plain = machine.compile(bound(code));
        auto informed = machine.compile(bound(code), std::move(facts));
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

TEST_P(JitFacts, AResultThatIsAlwaysTheSameIsNotComputed) {
    // A load goes with its address: even a null one does no harm.
    constexpr std::string_view text = "r2 = *(u64 *)(r1 + 0)\n r2 &= 7\n r0 = 40\n r0 += r2\n exit";
    uint64_t memory = 10;
    const auto at = reinterpret_cast<uint64_t>(&memory);
    compile(text, 0, {.result_constant = true, .key = 10});
    EXPECT_LT(with->code_bytes(), without->code_bytes());
    expect(at, 42);
    EXPECT_EQ(machine.enter(*with, nullptr).r0, 42u);
    // Of another register the fact says nothing.
    compile(text, 2, {.result_constant = true, .key = 40});
    EXPECT_EQ(with->code_bytes(), without->code_bytes());
    expect(at, 42);
    // Inside patterns that are translated together: a jump over one move, a rotate.
    compile("r0 = 1\n if r1 == 5 goto +1\n r0 = r1\n exit", 2, {.result_constant = true, .key = 7});
    expect(5, 1);
    expect(7, 7);
    compile("r0 = r1\n r0 <<= 60\n r1 >>= 4\n r0 |= r1\n exit", 1, {.result_constant = true, .key = 0});
    expect(0x70, 7);
    compile("r0 = r1\n r0 <<= 60\n r1 >>= 4\n r0 |= r1\n exit", 2, {.result_constant = true, .key = 3});
    expect(0x30, 3);
}

TEST_P(JitFacts, ADivisionOfSmallNumbersIsDoneIn32Bits) {
    struct Row {
        const char* text;
        uint64_t result;
    };
    for (const auto& [text, result] : {
             Row{"r0 = 0xfffffff0 ll\n r0 /= r1\n exit", 0xfffffff0 / 7},
             Row{"r0 = 0xfffffff0 ll\n r0 %= r1\n exit", 0xfffffff0 % 7},
         }) {
        SCOPED_TRACE(text);
        compile(text, 2, {.upper_half_zero = true});
        expect(7, result);
        expect(0, std::string_view(text).find('%') != std::string_view::npos ? 0xfffffff0 : 0);
    }
    // Through a call: nothing is known of it here.
    compile("r0 = r1\n r0 /= 10\n exit", 1, {.upper_half_zero = true});
    expect(0xfffffff0, 0xfffffff0 / 10);
    // Without the fact large numbers are divided as such.
    EXPECT_EQ(machine.enter(*without, reinterpret_cast<void*>(uint64_t{1} << 40)).r0, (uint64_t{1} << 40) / 10);
}

TEST_P(JitFacts, AMoveThatClearsNothingIsNoInstruction) {
    // Index of a load: with the fact it goes into the address.
    constexpr std::string_view text =
        "r0 = *(u64 *)(r1 + 8)\n r2 = *(u64 *)(r1 + 0)\n r2 &= 1\n w3 = w2\n r1 += r3\n r0 = *(u8 *)(r1 + 16)\n exit";
    uint64_t memory[3] = {3, 0, 0x2211};
    compile(text, 3, {.upper_half_zero = true});
    EXPECT_LE(with->code_bytes(), without->code_bytes());
    expect(reinterpret_cast<uint64_t>(memory), 0x22);
    // Without the fact the upper half goes.
    constexpr std::string_view wide = "w0 = w1\n exit";
    compile(wide, 0, {.upper_half_zero = true});
    expect(0x7fffffff, 0x7fffffff);
    EXPECT_EQ(machine.enter(*without, reinterpret_cast<void*>(0x500000007)).r0, 7u);
}

TEST_P(JitFacts, WhatIsBelow2To32AtAJumpsTargetNeedsNoClearingThere) {
    // The upper half of r2 is read (r0 = r2), so at the loop's head its home holds it.
    constexpr std::string_view text =
        "r2 = 5\n r3 = r1\n w0 = w2\n r0 += r2\n r2 += 1\n r3 -= 1\n if r3 != 0 goto -5\n exit";
    compile(text, 2, {.narrow = 1 << 2});
    EXPECT_LT(with->code_bytes(), without->code_bytes());
    expect(1, 10);
    expect(3, 14);
    // Where nobody reads the upper half, what is in the home's may be anything: the fact changes nothing.
    constexpr std::string_view low = "r2 = r1\n r3 = 2\n w0 = w2\n w2 += 1\n r3 -= 1\n if r3 != 0 goto -4\n exit";
    compile(low, 2, {.narrow = 1 << 2});
    EXPECT_EQ(with->code_bytes(), without->code_bytes());
    expect(0x500000007, 8);
}

TEST_P(JitFacts, ALookupThatAlwaysFindsHasNoRangeCheck) {
    static uint64_t values[8] = {10, 11, 12, 13, 14, 15, 16, 17};
    const MapLayout layout{.kind = MapLayoutKind::Array,
                           .max_entries = 8,
                           .mask = 7,
                           .stride = 8,
                           .base = reinterpret_cast<uint8_t*>(values)};
    static int map;
    void* const maps[] = {&map};
    machine.link().maps = maps;
    machine.link().layouts = std::span(&layout, 1);
    const auto program = [](std::string_view after) {
        isa::Code code = *isa::assemble("w1 &= 7\n *(u32 *)(r10 - 4) = r1\n r2 = r10\n r2 += -4");
        isa::append(code, {.op = Op::LdMapFd, .dst = 1, .imm = 0});
        isa::append(code, {.op = Op::Call, .imm = 1});
        const isa::Code rest = *isa::assemble(after);
        code.insert(code.end(), rest.begin(), rest.end());
        return code;
    };
    compile_code(program("if r0 == 0 goto +1\n r0 = *(u64 *)(r0 + 0)\n exit"), 6, {.map = 0, .result_non_null = true});
    EXPECT_LT(with->code_bytes(), without->code_bytes());
    expect(3, 13);
    expect(7, 17);
    expect(8, 10);
    compile_code(program("if r0 != 0 goto +1\n exit\n r0 = *(u64 *)(r0 + 0)\n exit"), 6,
                 {.map = 0, .result_non_null = true});
    EXPECT_LT(with->code_bytes(), without->code_bytes());
    expect(5, 15);
    compile_code(program("r0 = *(u64 *)(r0 + 0)\n exit"), 6, {.map = 0, .result_non_null = true});
    EXPECT_LT(with->code_bytes(), without->code_bytes());
    expect(6, 16);
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
