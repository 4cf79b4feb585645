// SPDX-License-Identifier: Apache-2.0
#include "cli/conformance.hpp"

#include <gtest/gtest.h>

#include "engine/jit/jit.hpp"
#include "isa/assemble.hpp"

namespace skep::cli {
namespace {

TEST(Conformance, HexIsPairsOfDigits) {
    EXPECT_EQ(*parse_hex(""), std::vector<std::byte>{});
    EXPECT_EQ(*parse_hex("0a  fF  \n"), (std::vector<std::byte>{std::byte{0x0a}, std::byte{0xff}}));
    EXPECT_FALSE(parse_hex("0").ok());
    EXPECT_FALSE(parse_hex("0 a").ok());
    EXPECT_FALSE(parse_hex("0g").ok());
}

TEST(Conformance, SlotsAreEightBytes) {
    const auto bytes = *parse_hex("b7 01 02 00 ff ff ff ff");
    const auto code = slots_of(bytes);
    ASSERT_TRUE(code.ok());
    EXPECT_EQ((*code)[0], (isa::Slot{0xb7, 0x01, 2, -1}));
    EXPECT_FALSE(slots_of(std::span(bytes).first(7)).ok());
}

TEST(Conformance, ProgramsGetTheirMemoryInEveryEngine) {
    const auto first = *isa::assemble("r0 = *(u8 *)(r1 + 1)\nr0 <<= 8\nr0 |= r2\nexit");
    const auto empty = *isa::assemble("r0 = r1\nr0 |= r2\nexit");
    for (const ConformanceEngine engine : {ConformanceEngine::Interp, ConformanceEngine::Jit}) {
        if (engine == ConformanceEngine::Jit && !engine::jit::available()) continue;
        std::byte memory[3] = {std::byte{1}, std::byte{2}, std::byte{3}};
        const auto r0 = run_conformance(first, memory, engine);
        ASSERT_TRUE(r0.ok()) << r0.error().to_string();
        EXPECT_EQ(*r0, 0x203u);
        EXPECT_EQ(*run_conformance(empty, {}, engine), 0u);
    }
}

TEST(Conformance, AFaultIsAnErrorAtTheProgramsOwnInstruction) {
    const auto run = [](const char* text) {
        return run_conformance(*isa::assemble(text), {}, ConformanceEngine::Interp);
    };
    const auto outside = run("r0 = 0\nr0 = *(u64 *)(r10 + 3584)\nexit");
    ASSERT_FALSE(outside.ok());
    EXPECT_EQ(outside.error().code(), Errc::BadAddress);
    EXPECT_EQ(outside.error().where().insn, 1u);
    const auto no_exit = run("r0 = 0");
    ASSERT_FALSE(no_exit.ok());
    EXPECT_EQ(no_exit.error().code(), Errc::BadInstruction);
    EXPECT_EQ(no_exit.error().where().insn, 0u);
    const auto helper = run("r0 = 1\ncall 6\nexit");
    ASSERT_FALSE(helper.ok());
    EXPECT_EQ(helper.error().code(), Errc::Unavailable);
}

}  // namespace
}  // namespace skep::cli
