// SPDX-License-Identifier: Apache-2.0
// The table against an independent copy of RFC 9669's registry (insn_registry_test.cpp holds it), every opcode byte,
// every zero field, and the codec's round trip.
#include "isa/insn.hpp"

#include <gtest/gtest.h>

#include <random>

namespace skep::isa {
namespace {

Insn random_insn(std::mt19937_64& random, const Row& row) {
    Insn insn;
    insn.op = row.op;
    if (row.has_dst()) insn.dst = random() % register_count;
    if (row.has_src()) insn.src = random() % register_count;
    if (row.offset.operand) insn.offset = static_cast<int16_t>(random());
    if (row.imm.operand) insn.imm = static_cast<int32_t>(random());
    if (row.has_next_imm()) insn.next_imm = static_cast<int32_t>(random());
    return insn;
}

TEST(Insn, EveryOpcodeByteIsARowOrACleanRejection) {
    for (unsigned byte = 0; byte < 256; ++byte) {
        // With the pins of the first row of the opcode, so that a known opcode has a slot that decodes.
        Slot code[2] = {};
        code[0].opcode = static_cast<uint8_t>(byte);
        for (const Row& row : rows()) {
            if (row.opcode != byte) continue;
            code[0].set_src_reg(static_cast<uint8_t>(row.src_reg.value));
            code[0].offset = static_cast<int16_t>(row.offset.value);
            code[0].imm = row.imm.value;
            break;
        }
        const auto insn = decode(code, 0);
        if (is_known_opcode(static_cast<uint8_t>(byte))) {
            ASSERT_TRUE(insn.ok()) << byte << ": " << insn.error().to_string();
            EXPECT_EQ(insn->row().opcode, byte);
        } else {
            ASSERT_FALSE(insn.ok()) << byte;
            EXPECT_EQ(insn.error().code(), Errc::UnknownOpcode);
            EXPECT_NE(insn.error().to_string().find("why:"), std::string::npos);
            EXPECT_EQ(insn.error().where().insn, 0u);
        }
    }
}

TEST(Insn, DecodeOfEncodeIsTheSameInstruction) {
    std::mt19937_64 random(9669);
    for (const Row& row : rows()) {
        for (int i = 0; i < 200; ++i) {
            const Insn insn = random_insn(random, row);
            const Encoded encoded = encode(insn);
            ASSERT_EQ(encoded.count, row.slots());
            const auto back = decode(std::span(encoded.slots).first(encoded.count), 0);
            ASSERT_TRUE(back.ok()) << row.name << ": " << back.error().to_string();
            ASSERT_EQ(*back, insn) << row.name;
        }
    }
}

TEST(Insn, EncodeOfDecodeIsTheSameSlots) {
    std::mt19937_64 random(6699);
    size_t decoded = 0;
    for (int i = 0; i < 200000; ++i) {
        const uint64_t bits = random();
        Slot code[2] = {};
        code[0].opcode = static_cast<uint8_t>(bits);
        code[0].regs = static_cast<uint8_t>(bits >> 8);
        code[0].offset = static_cast<int16_t>((bits >> 16) & 1 ? (bits >> 17) & 0x3 : 0);
        code[0].imm = static_cast<int32_t>((bits >> 32) & 1 ? (bits >> 33) & 0x1f1 : 0);
        const auto insn = decode(code, 0);
        if (!insn) continue;
        ++decoded;
        const Encoded encoded = encode(*insn);
        ASSERT_EQ(encoded.slots[0], code[0]);
        ASSERT_EQ(encoded.slots[1], code[1]);
    }
    EXPECT_GT(decoded, 10000u);
}

// For each field that a row pins: the value beside it is refused or belongs to another row, never accepted as this one.
TEST(Insn, AFieldThatIsNoOperandIsPinned) {
    for (const Row& row : rows()) {
        const Encoded good = encode(Insn{.op = row.op});
        const auto expect_other = [&](Slot first, Slot second, const char* field) {
            const Slot code[2] = {first, second};
            const auto insn = decode(code, 0);
            if (insn) {
                EXPECT_NE(insn->op, row.op) << row.name << " ignores " << field;
            } else {
                EXPECT_EQ(insn.error().code(), Errc::BadInstruction) << row.name << " " << field;
            }
        };
        for (int32_t wrong : {1, 2, 7, -1}) {
            Slot slot = good.slots[0];
            if (!row.src_reg.operand) {
                slot.set_src_reg(static_cast<uint8_t>((row.src_reg.value + wrong) & 15));
                expect_other(slot, good.slots[1], "src_reg");
            }
            slot = good.slots[0];
            if (!row.offset.operand) {
                slot.offset = static_cast<int16_t>(row.offset.value + wrong);
                expect_other(slot, good.slots[1], "offset");
            }
            slot = good.slots[0];
            if (!row.imm.operand) {
                slot.imm = row.imm.value + wrong;
                expect_other(slot, good.slots[1], "imm");
            }
            slot = good.slots[0];
            if (!row.has_dst()) {
                slot.set_dst_reg(static_cast<uint8_t>(wrong & 15));
                expect_other(slot, good.slots[1], "dst_reg");
            }
            if (row.is_wide()) {
                Slot second = good.slots[1];
                second.opcode = static_cast<uint8_t>(wrong);
                expect_other(good.slots[0], second, "second opcode");
                second = good.slots[1];
                second.regs = static_cast<uint8_t>(wrong);
                expect_other(good.slots[0], second, "second regs");
                second = good.slots[1];
                second.offset = static_cast<int16_t>(wrong);
                expect_other(good.slots[0], second, "second offset");
                second = good.slots[1];
                second.imm = wrong;
                if (!row.has_next_imm()) expect_other(good.slots[0], second, "next_imm");
            }
        }
    }
}

TEST(Insn, RegistersEndAtR10) {
    for (const Row& row : rows()) {
        Slot code[2] = {encode(Insn{.op = row.op}).slots[0], {}};
        if (row.has_dst()) {
            code[0].set_dst_reg(10);
            EXPECT_TRUE(decode(code, 0).ok()) << row.name;
            code[0].set_dst_reg(11);
            EXPECT_FALSE(decode(code, 0).ok()) << row.name;
            code[0].set_dst_reg(0);
        }
        if (row.has_src()) {
            code[0].set_src_reg(10);
            EXPECT_TRUE(decode(code, 0).ok()) << row.name;
            code[0].set_src_reg(11);
            EXPECT_FALSE(decode(code, 0).ok()) << row.name;
        }
    }
}

TEST(Insn, AWideInstructionNeedsItsSecondSlot) {
    const Encoded encoded = encode(Insn{.op = Op::LdImm64, .imm = 1});
    const auto insn = decode(std::span(encoded.slots).first(1), 0);
    ASSERT_FALSE(insn.ok());
    EXPECT_EQ(insn.error().code(), Errc::Truncated);
    EXPECT_FALSE(decode({}, 0).ok());
}

TEST(Insn, TheErrorNamesTheFieldAndWhatItMayHold) {
    const Slot code[] = {{.opcode = row_of(Op::Add64K).opcode, .regs = 0x10, .offset = 0, .imm = 1}};
    const auto insn = decode(code, 0);
    ASSERT_FALSE(insn.ok());
    EXPECT_EQ(insn.error().to_string(),
              "error: instruction 0 is not well-formed\n"
              "  at instruction 0\n"
              "         0: 07 10 00 00 01 00 00 00\n"
              "  why:  src_reg is 0x1; opcode 0x07 allows 0x0\n"
              "  hint: a field that the instruction does not use must be zero (RFC 9669 section 3)");
    const Slot end[] = {{.opcode = row_of(Op::Le16).opcode, .imm = 8}};
    EXPECT_EQ(decode(end, 0).error().why(), "imm is 0x8; opcode 0xd4 allows 0x10, 0x20, 0x40");
}

struct Properties {
    Op op;
    unsigned access_bytes, width_bits;
    bool is_signed, is_jump, is_conditional, ends_path;
    RegisterSet reads, writes;
};

TEST(Insn, PropertiesAreReadOffTheRow) {
    // With dst r1, src r2.
    const Properties cases[] = {
        {Op::Add64K, 0, 64, false, false, false, false, 0x02, 0x02},
        {Op::Add32X, 0, 32, false, false, false, false, 0x06, 0x02},
        {Op::Mov32K, 0, 32, false, false, false, false, 0x00, 0x02},
        {Op::Movsx64X32, 0, 64, true, false, false, false, 0x04, 0x02},
        {Op::Sdiv64X, 0, 64, true, false, false, false, 0x06, 0x02},
        {Op::Be16, 0, 32, false, false, false, false, 0x02, 0x02},
        {Op::Ja, 0, 64, false, true, false, true, 0, 0},
        {Op::JaLong, 0, 32, false, true, false, true, 0, 0},
        {Op::MayGoto, 0, 64, false, true, true, false, 0, 0},
        {Op::Jeq32K, 0, 32, false, true, true, false, 0x02, 0},
        {Op::Jsle64X, 0, 64, true, true, true, false, 0x06, 0},
        {Op::Call, 0, 64, false, false, false, false, 0x3e, 0x3f},
        {Op::CallX, 0, 64, false, false, false, false, 0x3e, 0x3f},
        {Op::Exit, 0, 64, false, false, false, true, 0x01, 0},
        {Op::LdImm64, 0, 64, false, false, false, false, 0, 0x02},
        {Op::LdxB, 1, 8, false, false, false, false, 0x04, 0x02},
        {Op::LdxsxW, 4, 32, true, false, false, false, 0x04, 0x02},
        {Op::StDw, 8, 64, false, false, false, false, 0x02, 0},
        {Op::StxH, 2, 16, false, false, false, false, 0x06, 0},
        {Op::LdAbsW, 4, 32, false, false, false, false, 0x40, 0x3f},
        {Op::LdIndB, 1, 8, false, false, false, false, 0x44, 0x3f},
        {Op::AtomicAdd32, 4, 32, false, false, false, false, 0x06, 0},
        {Op::AtomicFetchAdd64, 8, 64, false, false, false, false, 0x06, 0x04},
        {Op::AtomicCmpxchg64, 8, 64, false, false, false, false, 0x07, 0x01},
        {Op::LoadAcquireB, 1, 8, false, false, false, false, 0x04, 0x02},
        {Op::StoreReleaseDw, 8, 64, false, false, false, false, 0x06, 0},
    };
    for (const Properties& c : cases) {
        const Row& row = row_of(c.op);
        const Insn insn{.op = c.op, .dst = uint8_t(row.has_dst() ? 1 : 0), .src = uint8_t(row.has_src() ? 2 : 0)};
        EXPECT_EQ(row.access_bytes(), c.access_bytes) << row.name;
        EXPECT_EQ(row.width_bits(), c.width_bits) << row.name;
        EXPECT_EQ(row.is_signed(), c.is_signed) << row.name;
        EXPECT_EQ(row.is_jump(), c.is_jump) << row.name;
        EXPECT_EQ(row.is_conditional(), c.is_conditional) << row.name;
        EXPECT_EQ(row.ends_path(), c.ends_path) << row.name;
        EXPECT_EQ(reads_of(insn), c.reads) << row.name;
        EXPECT_EQ(writes_of(insn), c.writes) << row.name;
    }
}

TEST(Insn, TargetsCountFromTheNextSlot) {
    EXPECT_EQ(target_of(Insn{.op = Op::Ja, .offset = 3}, 5), 9);
    EXPECT_EQ(target_of(Insn{.op = Op::Jeq64K, .offset = -6, .imm = 100}, 5), 0);
    EXPECT_EQ(target_of(Insn{.op = Op::JaLong, .imm = 70000}, 0), 70001);
    EXPECT_EQ(target_of(Insn{.op = Op::CallLocal, .imm = -2}, 0), -1);
    EXPECT_EQ(target_of(Insn{.op = Op::LdFunc, .imm = 1}, 4), 6);
}

}  // namespace
}  // namespace skep::isa
