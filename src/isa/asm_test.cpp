// SPDX-License-Identifier: Apache-2.0
// Assembler and disassembler together: the text is llvm-objdump's (llvm_objdump_test.cpp compares with the tool), every
// row survives the way out and back in both dialects, and errors point at the place.
#include <gtest/gtest.h>

#include <random>

#include "isa/assemble.hpp"

namespace skep::isa {
namespace {

Code code_of(std::initializer_list<Insn> insns) {
    Code code;
    for (const Insn& insn : insns) append(code, insn);
    return code;
}

struct TextCase {
    Insn insn;
    const char* canonical;
    const char* conformance;
};

const TextCase text_cases[] = {
    {{.op = Op::Mov64K, .dst = 0, .imm = 1}, "r0 = 0x1", "mov %r0, 0x1"},
    {{.op = Op::Mov64K, .dst = 1, .imm = INT32_MIN}, "r1 = -0x80000000", "mov %r1, -0x80000000"},
    {{.op = Op::Mov32X, .dst = 0, .src = 1}, "w0 = w1", "mov32 %r0, %r1"},
    {{.op = Op::Movsx32X8, .dst = 0, .src = 1}, "w0 = (s8)w1", "movsx832 %r0, %r1"},
    {{.op = Op::Movsx64X32, .dst = 0, .src = 1}, "r0 = (s32)r1", "movsx3264 %r0, %r1"},
    {{.op = Op::Add64K, .dst = 2, .imm = -5}, "r2 += -0x5", "add %r2, -0x5"},
    {{.op = Op::Sdiv32X, .dst = 2, .src = 3}, "w2 s/= w3", "sdiv32 %r2, %r3"},
    {{.op = Op::Arsh64X, .dst = 2, .src = 3}, "r2 s>>= r3", "arsh %r2, %r3"},
    {{.op = Op::Neg64, .dst = 2}, "r2 = -r2", "neg %r2"},
    {{.op = Op::Be16, .dst = 2}, "r2 = be16 r2", "be16 %r2"},
    {{.op = Op::Bswap64, .dst = 2}, "r2 = bswap64 r2", "swap64 %r2"},
    {{.op = Op::AddrSpaceCast, .dst = 1, .src = 2, .imm = 1},
     "r1 = addr_space_cast(r2, 0x0, 0x1)",
     "addr_space_cast %r1, %r2, 0x1"},
    {{.op = Op::Ja, .offset = 3}, "goto +0x3", "ja +3"},
    {{.op = Op::JaLong, .imm = -3}, "gotol -0x3", "ja32 -3"},
    {{.op = Op::MayGoto, .offset = 0}, "may_goto +0x0", "may_goto +0"},
    {{.op = Op::Jsgt64K, .dst = 1, .offset = 3, .imm = 5}, "if r1 s> 0x5 goto +0x3", "jsgt %r1, 0x5, +3"},
    {{.op = Op::Jset32X, .dst = 1, .src = 2, .offset = -3}, "if w1 & w2 goto -0x3", "jset32 %r1, %r2, -3"},
    {{.op = Op::Call, .imm = 1}, "call 0x1", "call helper 0x1"},
    {{.op = Op::CallLocal, .imm = -1}, "call -0x1 <local>", "call local -1"},
    {{.op = Op::CallKfunc, .imm = 7}, "call 0x7 <kfunc>", "call runtime 0x7"},
    {{.op = Op::CallX, .dst = 2}, "callx r2", "callx %r2"},
    {{.op = Op::Exit}, "exit", "exit"},
    {{.op = Op::LdImm64, .dst = 0, .imm = 1}, "r0 = 0x1 ll", "lddw %r0, 0x1"},
    {{.op = Op::LdImm64, .dst = 0, .imm = -1, .next_imm = -1}, "r0 = -0x1 ll", "lddw %r0, 0xffffffffffffffff"},
    {{.op = Op::LdImm64, .dst = 0, .imm = 0, .next_imm = INT32_MIN},
     "r0 = -0x8000000000000000 ll",
     "lddw %r0, 0x8000000000000000"},
    {{.op = Op::LdMapFd, .dst = 1, .imm = 5}, "ld_pseudo r1, 0x1, 0x5", "lddw map_by_fd %r1, 0x5"},
    {{.op = Op::LdMapValue, .dst = 1, .imm = 5, .next_imm = 8},
     "ld_pseudo r1, 0x2, 0x5 <+0x8>",
     "lddw map_value %r1, 0x5, 0x8"},
    {{.op = Op::LdFunc, .dst = 1, .imm = 5}, "ld_pseudo r1, 0x4, 0x5", "lddw code_addr %r1, +5"},
    {{.op = Op::LdxW, .dst = 0, .src = 1, .offset = 4}, "w0 = *(u32 *)(r1 + 0x4)", "ldxw %r0, [%r1+4]"},
    {{.op = Op::LdxDw, .dst = 0, .src = 10, .offset = -8}, "r0 = *(u64 *)(r10 - 0x8)", "ldxdw %r0, [%r10-8]"},
    {{.op = Op::LdxsxB, .dst = 0, .src = 1}, "r0 = *(s8 *)(r1 + 0x0)", "ldxsb %r0, [%r1]"},
    {{.op = Op::LdxB, .dst = 0, .src = 1, .offset = INT16_MIN}, "w0 = *(u8 *)(r1 - 0x8000)", "ldxb %r0, [%r1-32768]"},
    {{.op = Op::StDw, .dst = 10, .offset = -8, .imm = -1}, "*(u64 *)(r10 - 0x8) = -0x1", "stdw [%r10-8], -0x1"},
    {{.op = Op::StxH, .dst = 1, .src = 2}, "*(u16 *)(r1 + 0x0) = w2", "stxh [%r1], %r2"},
    {{.op = Op::LdAbsW, .imm = 12}, "r0 = *(u32 *)skb[0xc]", "ldabsw 0xc"},
    {{.op = Op::LdIndB, .src = 3}, "r0 = *(u8 *)skb[r3]", "ldindb %r3, 0x0"},
    {{.op = Op::LdIndB, .src = 3, .imm = 7}, "r0 = *(u8 *)skb[r3] <+0x7>", "ldindb %r3, 0x7"},
    {{.op = Op::AtomicAdd64, .dst = 1, .src = 2}, "lock *(u64 *)(r1 + 0x0) += r2", "lock add [%r1], %r2"},
    {{.op = Op::AtomicXor32, .dst = 1, .src = 2, .offset = 4},
     "lock *(u32 *)(r1 + 0x4) ^= w2",
     "lock xor32 [%r1+4], %r2"},
    {{.op = Op::AtomicFetchAdd64, .dst = 1, .src = 2},
     "r2 = atomic_fetch_add((u64 *)(r1 + 0x0), r2)",
     "lock fetch add [%r1], %r2"},
    {{.op = Op::AtomicXchg32, .dst = 1, .src = 2}, "w2 = xchg32_32(r1 + 0x0, w2)", "lock xchg32 [%r1], %r2"},
    {{.op = Op::AtomicCmpxchg64, .dst = 1, .src = 2}, "r0 = cmpxchg_64(r1 + 0x0, r0, r2)", "lock cmpxchg [%r1], %r2"},
    {{.op = Op::LoadAcquireB, .dst = 1, .src = 2}, "w1 = load_acquire((u8 *)(r2 + 0x0))", "load_acquire8 %r1, [%r2]"},
    {{.op = Op::StoreReleaseDw, .dst = 1, .src = 2},
     "store_release((u64 *)(r1 + 0x0), r2)",
     "store_release64 [%r1], %r2"},
};

TEST(Disassembler, PrintsBothDialects) {
    for (const TextCase& c : text_cases) {
        EXPECT_EQ(disassemble(c.insn, 0), c.canonical);
        EXPECT_EQ(disassemble(c.insn, 0, {}, Dialect::Conformance), c.conformance);
    }
}

TEST(Assembler, ReadsWhatTheDisassemblerPrints) {
    std::mt19937_64 random(42);
    for (const Row& row : rows()) {
        for (int i = 0; i < 100; ++i) {
            Insn insn{.op = row.op};
            if (row.has_dst()) insn.dst = random() % register_count;
            if (row.has_src()) insn.src = random() % register_count;
            if (row.offset.operand) insn.offset = static_cast<int16_t>(i == 0 ? INT16_MIN : random());
            if (row.imm.operand) insn.imm = static_cast<int32_t>(i == 0 ? INT32_MIN : random());
            if (row.has_next_imm()) insn.next_imm = static_cast<int32_t>(i == 0 ? INT32_MIN : random());
            for (const Dialect dialect : {Dialect::Canonical, Dialect::Conformance}) {
                const std::string text = disassemble(insn, 0, {}, dialect);
                const auto code = assemble(text, dialect);
                ASSERT_TRUE(code.ok()) << row.name << ": " << text << "\n" << code.error().to_string();
                ASSERT_EQ(*code, code_of({insn})) << row.name << ": " << text;
            }
        }
    }
}

TEST(Assembler, LabelsBecomeDistances) {
    const auto code = assemble(R"(
main:                     # comments of all three kinds
    r1 = 0x0              ; one
    if r1 == 0 goto done  // two
    call twice
    r2 = twice ll
loop: goto loop
done:
    gotol out
out: exit
twice:
    r0 = r1
    may_goto again
again:
    exit
)");
    ASSERT_TRUE(code.ok()) << code.error().to_string();
    EXPECT_EQ(*code, code_of({{.op = Op::Mov64K, .dst = 1},
                              {.op = Op::Jeq64K, .dst = 1, .offset = 4},
                              {.op = Op::CallLocal, .imm = 5},
                              {.op = Op::LdFunc, .dst = 2, .imm = 4},
                              {.op = Op::Ja, .offset = -1},
                              {.op = Op::JaLong, .imm = 0},
                              {.op = Op::Exit},
                              {.op = Op::Mov64X, .dst = 0, .src = 1},
                              {.op = Op::MayGoto},
                              {.op = Op::Exit}}));
}

TEST(Assembler, AWholeProgramSurvivesBothDialects) {
    const auto code = assemble("main: r1 = 5\nL1: if r1 != 0 goto L4\ncall twice\nexit\nL4: goto L1\ntwice: exit");
    ASSERT_TRUE(code.ok()) << code.error().to_string();
    const auto listing = disassemble_program(*code, {{0, "main"}, {5, "twice"}});
    ASSERT_TRUE(listing.ok());
    EXPECT_EQ(*listing,
              "main:\n"
              "    r1 = 0x5\n"
              "L1:\n"
              "    if r1 != 0x0 goto +0x2 <L4>\n"
              "    call 0x2 <twice>\n"
              "    exit\n"
              "L4:\n"
              "    goto -0x4 <L1>\n"
              "twice:\n"
              "    exit\n");
    for (const Dialect dialect : {Dialect::Canonical, Dialect::Conformance}) {
        const auto printed = disassemble_program(*code, {}, dialect);
        ASSERT_TRUE(printed.ok());
        const auto again = assemble(*printed, dialect);
        ASSERT_TRUE(again.ok()) << *printed << again.error().to_string();
        EXPECT_EQ(*again, *code) << *printed;
    }
}

// Found by asm_fuzz: a reference to the second slot of itself had a label that no line defined.
TEST(Disassembler, ATargetInsideAnInstructionGetsNoLabel) {
    for (const Insn& insn : {Insn{.op = Op::LdFunc, .dst = 1, .imm = 0}, Insn{.op = Op::LdFunc, .dst = 1, .imm = 9}}) {
        const Code code = code_of({insn, {.op = Op::Exit}});
        for (const Dialect dialect : {Dialect::Canonical, Dialect::Conformance}) {
            const auto text = disassemble_program(code, {}, dialect);
            ASSERT_TRUE(text.ok());
            const auto back = assemble(*text, dialect);
            ASSERT_TRUE(back.ok()) << back.error().to_string();
            EXPECT_EQ(*back, code);
        }
    }
}

TEST(Assembler, ReadsConformanceSections) {
    const auto code = assemble(
        "# a test\n"
        "-- asm\n"
        "mov32 %r0, 0   # percent\n"
        "lock fetch add [r10-8], r1\n"
        "jne r1, r0, exit\n"
        "call local f\n"
        "call 5\n"
        "stw [%r10-4], 0xCCBBAA99\n"
        "exit:\n"
        "exit\n"
        "f: ja +0\n"
        "exit\n"
        "-- mem\n"
        "this is no code\n"
        "-- result\n"
        "0x0\n",
        Dialect::Conformance);
    ASSERT_TRUE(code.ok()) << code.error().to_string();
    EXPECT_EQ(*code, code_of({{.op = Op::Mov32K},
                              {.op = Op::AtomicFetchAdd64, .dst = 10, .src = 1, .offset = -8},
                              {.op = Op::Jne64X, .dst = 1, .src = 0, .offset = 3},
                              {.op = Op::CallLocal, .imm = 3},
                              {.op = Op::Call, .imm = 5},
                              {.op = Op::StW, .dst = 10, .offset = -4, .imm = static_cast<int32_t>(0xccbbaa99)},
                              {.op = Op::Exit},
                              {.op = Op::Ja},
                              {.op = Op::Exit}}));
}

TEST(Assembler, AcceptsEitherRegisterForNarrowMemory) {
    EXPECT_EQ(*assemble("r0 = *(u32 *)(r1 + 4)"), *assemble("w0 = *(u32 *)(r1 + 0x4)"));
    EXPECT_EQ(*assemble("*(u8 *)(r1+4) = r2"), *assemble("*(u8 *)(r1 + 0x4) = w2"));
    EXPECT_EQ(*assemble("r0 = *(u64*)(r1)"), *assemble("r0 = *(u64 *)(r1 + 0x0)"));
}

struct RangeCase {
    const char* text;
    bool accepted;
};

TEST(Assembler, NumbersEndWhereTheirFieldEnds) {
    const RangeCase cases[] = {
        {"r1 = 0x7fffffff", true},
        {"r1 = 0x80000000", false},  // it would become negative
        {"r1 = -0x80000000", true},
        {"r1 = -0x80000001", false},
        {"w1 = 0xffffffff", true},
        {"w1 = 0x100000000", false},
        {"w1 = -0x80000001", false},
        {"r1 = 0xffffffffffffffff ll", true},
        {"r1 = 0x10000000000000000 ll", false},
        {"r1 = -0x8000000000000000 ll", true},
        {"r1 = -0x8000000000000001 ll", false},
        {"r1 = *(u8 *)(r2 + 0x7fff)", true},
        {"r1 = *(u8 *)(r2 + 0x8000)", false},
        {"r1 = *(u8 *)(r2 - 0x8000)", true},
        {"r1 = *(u8 *)(r2 - 0x8001)", false},
        {"goto +0x7fff", true},
        {"goto +0x8000", false},
        {"gotol +0x7fffffff", true},
        {"gotol +0x80000000", false},
        {"r10 = 1", true},
        {"r11 = 1", false},
        {"r010 = 1", false},
        {"r = 1", false},
    };
    for (const RangeCase& c : cases) {
        EXPECT_EQ(assemble(c.text).ok(), c.accepted) << c.text;
    }
}

TEST(Assembler, AnErrorPointsAtThePlace) {
    const auto code = assemble("r0 = 0\n    r1 += r12\nexit\n");
    ASSERT_FALSE(code.ok());
    EXPECT_EQ(code.error().code(), Errc::Syntax);
    EXPECT_EQ(code.error().where().source_line, 2u);
    EXPECT_EQ(code.error().where().source_column, 11u);
    EXPECT_EQ(code.error().to_string(),
              "error: line 2, column 11: there is no such register\n"
              "  why:  \n"
              "     2 |     r1 += r12\n"
              "       |           ^\n"
              "  hint: registers are r0 to r10, and w0 to w10 for their low halves");
}

struct ErrorCase {
    const char* text;
    uint32_t line, column;
    const char* says;
};

TEST(Assembler, SaysWhatIsWrong) {
    const ErrorCase cases[] = {
        {"nonsense", 1, 1, "this is no instruction"},
        {"r0 = 1 2", 1, 8, "expected the end of the line"},
        {"r0 =", 1, 5, "the line ends"},
        {"goto nowhere", 1, 6, "there is no label nowhere"},
        {"a:\na: exit", 2, 1, "exists twice"},
        {"goto end\nend:", 1, 6, "no instruction follows"},
        {"if r1 == w2 goto +1", 1, 10, "same width"},
        {"if r1 = r2 goto +1", 1, 7, "a comparison"},
        {"r1 = be16 r2", 1, 11, "in place"},
        {"r1 = -r2", 1, 6, "own negative"},
        {"r2 = atomic_fetch_add((u64 *)(r1 + 0), r3)", 1, 40, "source register"},
        {"r0 = *(u8 *)(w1 + 0)", 1, 14, "64-bit register"},
        {"w1 = 5 ll", 1, 1, "64-bit number"},
        {"call 0x1 <kfunc", 1, 10, "without"},
        {"ld_pseudo r1, 0x1, 0x5 <+0x8>", 1, 24, "no second number"},
        {"ld_pseudo r1, 0x7, 0x5", 1, 15, "1 to 6"},
        {"w1 = (s32)w2", 1, 6, "sign extension"},
        {"lock *(u16 *)(r1 + 0) += w2", 1, 1, "combination"},
    };
    for (const ErrorCase& c : cases) {
        const auto code = assemble(c.text);
        ASSERT_FALSE(code.ok()) << c.text;
        EXPECT_EQ(code.error().where().source_line, c.line) << c.text;
        EXPECT_EQ(code.error().where().source_column, c.column) << c.text << "\n" << code.error().to_string();
        EXPECT_NE(code.error().what().find(c.says), std::string::npos) << c.text << "\n" << code.error().to_string();
    }
}

TEST(Assembler, AJumpTooFarForSixteenBitsIsAnError) {
    std::string text = "goto far\n";
    for (int i = 0; i < 32768; ++i) text += "r0 = 0\n";
    text += "far: exit\n";
    EXPECT_FALSE(assemble(text).ok());
    text.replace(0, 4, "gotol");
    EXPECT_TRUE(assemble(text).ok());
}

}  // namespace
}  // namespace skep::isa
