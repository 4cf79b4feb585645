// SPDX-License-Identifier: Apache-2.0
// Interpreter and JIT agree on random programs. Always the same ones: program i is drawn from the number i.
//   SKEP_DIFF_PROGRAMS  how many (default 20000; `script/fuzz diff --programs N` sets it)
//   SKEP_DIFF_FIRST     the first number (default 0)
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/jit/jit.hpp"
#include "isa/insn.hpp"
#include "support/diff_generator.hpp"
#include "support/diff_runner.hpp"

namespace skep::testing {
namespace {

uint64_t from_environment(const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

DiffVariant variant_of(uint64_t number) {
    return {.other_convention = number % 8 == 1, .extensions = number % 4 != 2, .inline_lookups = number % 8 != 3};
}

TEST(EngineDiff, InterpAndJitAgree) {
    if (!engine::jit::available()) GTEST_SKIP() << "this build has no JIT";
    const uint64_t first = from_environment("SKEP_DIFF_FIRST", 0);
    const uint64_t count = from_environment("SKEP_DIFF_PROGRAMS", 20000);
    for (uint64_t i = first; i < first + count; ++i) {
        Choices choices(i);
        const BoundProgram program = make_diff_program(choices);
        const auto difference = find_difference(program, variant_of(i), i);
        ASSERT_FALSE(difference) << "program " << i << ": " << *difference;
    }
}

TEST(EngineDiff, TheGeneratorDrawsEveryInstruction) {
    std::vector<bool> seen(isa::op_count);
    for (uint64_t i = 0; i < 3000; ++i) {
        Choices choices(i);
        const BoundProgram program = make_diff_program(choices);
        for (uint32_t at = 0; at < program.linked.code.size();) {
            const auto insn = isa::decode(program.linked.code, at);
            ASSERT_TRUE(insn);
            seen[static_cast<size_t>(insn->op)] = true;
            at += insn->slots();
        }
    }
    // Not drawn: what engines refuse, and the wide loads that mean the same as one that is.
    using isa::Op;
    for (const isa::Row& row : isa::rows()) {
        const bool excluded = row.op == Op::CallKfunc || row.op == Op::LdBtfId || row.op == Op::LdMapIdx ||
                              row.op == Op::LdMapIdxValue || row.op == Op::LdMapValue;
        EXPECT_EQ(seen[static_cast<size_t>(row.op)], !excluded) << row.name;
    }
}

}  // namespace
}  // namespace skep::testing
