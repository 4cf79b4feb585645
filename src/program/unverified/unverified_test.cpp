// SPDX-License-Identifier: Apache-2.0
#include "program/unverified.hpp"

#include <gtest/gtest.h>

#include "isa/insn.hpp"

namespace skep {
namespace {

using isa::Insn;
using isa::Op;

constexpr Insn exit_insn{.op = Op::Exit};
constexpr Insn zero{.op = Op::Mov64K};

BoundProgram program(std::initializer_list<Insn> insns) {
    BoundProgram bound;
    bound.linked.name = "main";
    for (const Insn& insn : insns) isa::append(bound.linked.code, insn);
    return bound;
}

struct Case {
    const char* name;
    std::vector<Insn> insns;
    const char* rejected_because;  ///< null: accepted
};

TEST(Unverified, ChecksWhatKeepsAnEngineInsideTheProgram) {
    const Case cases[] = {
        {"exit alone", {exit_insn}, nullptr},
        {"empty", {}, "the program is empty"},
        {"runs off the end", {zero}, "a path runs off the end of a function"},
        {"a conditional jump last", {exit_insn, {.op = Op::Jeq64K, .offset = -2}}, "a path runs off the end"},
        {"may_goto last", {exit_insn, {.op = Op::MayGoto, .offset = -2}}, "a path runs off the end"},
        {"goto last", {exit_insn, {.op = Op::Ja, .offset = -2}}, nullptr},
        {"gotol last", {exit_insn, {.op = Op::JaLong, .imm = -2}}, nullptr},
        {"jump to the last slot", {{.op = Op::Jeq64K, .offset = 1}, zero, exit_insn}, nullptr},
        {"jump one past the last slot", {{.op = Op::Jeq64K, .offset = 2}, zero, exit_insn}, "leads outside"},
        {"jump to slot 0", {zero, {.op = Op::Jeq64K, .offset = -2}, exit_insn}, nullptr},
        {"jump to slot -1", {zero, {.op = Op::Jeq64K, .offset = -3}, exit_insn}, "leads outside"},
        {"gotol far outside", {{.op = Op::JaLong, .imm = 0x7fffffff}, exit_insn}, "leads outside"},
        {"jump over a wide load", {{.op = Op::Ja, .offset = 2}, {.op = Op::LdImm64}, exit_insn}, nullptr},
        {"jump into a wide load",
         {{.op = Op::Ja, .offset = 1}, {.op = Op::LdImm64}, exit_insn},
         "into the middle of an instruction"},
        {"call", {{.op = Op::CallLocal, .imm = 1}, exit_insn, zero, exit_insn}, nullptr},
        {"call outside", {{.op = Op::CallLocal, .imm = 2}, exit_insn, exit_insn}, "leads outside"},
        {"call of itself", {{.op = Op::CallLocal, .imm = -1}, exit_insn}, nullptr},
        {"function reference", {{.op = Op::LdFunc, .imm = 2}, exit_insn, zero, exit_insn}, nullptr},
        {"function reference outside", {{.op = Op::LdFunc, .imm = 4}, exit_insn, zero, exit_insn}, "leads outside"},
        {"jump into the callee",
         {{.op = Op::CallLocal, .imm = 2}, {.op = Op::Jeq64K, .offset = 1}, exit_insn, zero, exit_insn},
         "into another function"},
        {"the callee runs off its end",
         {{.op = Op::CallLocal, .imm = 1}, exit_insn, zero},
         "a path runs off the end of a function"},
        {"the caller falls into the callee",
         {{.op = Op::CallLocal, .imm = 1}, zero, zero, exit_insn},
         "a path runs off the end of a function"},
        {"r9 written", {{.op = Op::Mov64K, .dst = 9}, exit_insn}, nullptr},
        {"r10 written", {{.op = Op::Mov64K, .dst = 10}, exit_insn}, "the frame pointer cannot be written"},
        {"r10 fetched into", {{.op = Op::AtomicXchg64, .dst = 1, .src = 10}, exit_insn}, "frame pointer"},
        {"r10 stored through", {{.op = Op::StDw, .dst = 10, .offset = -8}, exit_insn}, nullptr},
    };
    for (const Case& c : cases) {
        BoundProgram bound;
        bound.linked.name = "main";
        for (const Insn& insn : c.insns) isa::append(bound.linked.code, insn);
        const auto made = UnverifiedProgram::make(std::move(bound));
        if (c.rejected_because == nullptr) {
            ASSERT_TRUE(made.ok()) << c.name << ": " << made.error().to_string();
            EXPECT_FALSE(made->verified());
            EXPECT_EQ(made->bound().bindings.size(), made->bound().linked.code.size());
        } else {
            ASSERT_FALSE(made.ok()) << c.name;
            EXPECT_NE(made.error().what().find(c.rejected_because), std::string::npos)
                << c.name << ": " << made.error().to_string();
            EXPECT_EQ(made.error().code(), Errc::BadInstruction) << c.name;
        }
    }
}

TEST(Unverified, UnknownOpcodeIsRefused) {
    BoundProgram bound = program({exit_insn});
    bound.linked.code.insert(bound.linked.code.begin(), isa::Slot{.opcode = 0xff});
    const auto made = UnverifiedProgram::make(std::move(bound));
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code(), Errc::UnknownOpcode);
}

TEST(Unverified, SubprogramsAreInferredFromCalls) {
    const auto made = UnverifiedProgram::make(
        program({{.op = Op::CallLocal, .imm = 3}, exit_insn, zero, exit_insn, zero, exit_insn}));
    ASSERT_TRUE(made.ok()) << made.error().to_string();
    const std::vector<object::Subprogram> expected = {{.name = "main", .start = 0, .end = 4},
                                                      {.name = "func_4", .start = 4, .end = 6}};
    EXPECT_EQ(made->bound().linked.subprograms, expected);
}

TEST(Unverified, GivenSubprogramsMustCoverTheCode) {
    BoundProgram bound = program({exit_insn, zero, exit_insn});
    bound.linked.subprograms = {{.name = "main", .start = 0, .end = 1}, {.name = "f", .start = 1, .end = 3}};
    EXPECT_TRUE(UnverifiedProgram::make(bound).ok());
    bound.linked.subprograms[1].end = 2;
    EXPECT_FALSE(UnverifiedProgram::make(bound).ok());
    bound.linked.subprograms[1] = {.name = "f", .start = 2, .end = 3};
    EXPECT_FALSE(UnverifiedProgram::make(bound).ok());
}

TEST(Unverified, BindingsMustFit) {
    BoundProgram bound = program({zero, exit_insn});
    bound.bindings.resize(1);
    EXPECT_FALSE(UnverifiedProgram::make(bound).ok());
    bound.bindings.resize(2);
    EXPECT_TRUE(UnverifiedProgram::make(bound).ok());
}

}  // namespace
}  // namespace skep
