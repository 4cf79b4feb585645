// SPDX-License-Identifier: Apache-2.0
#include "verifier/check/decode.hpp"

#include <gtest/gtest.h>

#include <set>

#include <fmt/format.h>

namespace skep::verifier {
namespace {

std::string text(const isa::Slot& slot) {
    return fmt::format("{:02x} {:02x} {} {:#x}", slot.opcode, slot.regs, slot.offset, slot.imm);
}

/// Every opcode and register pair, with the offsets, immediates and second slots that any row looks at, those beside
/// them and the ends of their range.
TEST(CheckDecode, AgreesWithTheInstructionTableOnEveryEncoding) {
    std::set<int16_t> offsets{0, 1, 2, -1, INT16_MAX, INT16_MIN};
    std::set<int32_t> imms{0, 1, 2, -1, INT32_MAX, INT32_MIN, 0x4711};
    for (const isa::Row& row : isa::rows()) {
        for (int delta = -1; delta <= 1; ++delta) {
            offsets.insert(static_cast<int16_t>(row.offset.value + delta));
            imms.insert(row.imm.value + delta);
        }
    }
    const isa::Slot seconds[] = {{}, {.imm = 5}, {.opcode = 1}, {.regs = 1}, {.regs = 0x10}, {.offset = 1}};
    uint64_t good = 0, bad = 0;
    std::set<isa::Op> seen;
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
        const bool wide = opcode == 0x18;
        for (unsigned regs = 0; regs < 256; ++regs) {
            for (const int16_t offset : offsets) {
                for (const int32_t imm : imms) {
                    for (const isa::Slot& second : std::span(seconds).first(wide ? std::size(seconds) : 1)) {
                        isa::Slot code[2] = {{}, second};
                        code[0].opcode = static_cast<uint8_t>(opcode);
                        code[0].regs = static_cast<uint8_t>(regs);
                        code[0].offset = offset;
                        code[0].imm = imm;
                        const auto ours = check::decode(code, 0);
                        if (isa::match(code[0]) == nullptr) {  // isa::decode would only write the reason
                            ASSERT_FALSE(ours) << text(code[0]);
                            ++bad;
                            continue;
                        }
                        const auto theirs = isa::decode(code, 0);
                        ASSERT_EQ(ours.has_value(), theirs.ok()) << text(code[0]);
                        ++(ours ? good : bad);
                        if (ours) {
                            ASSERT_EQ(*ours, *theirs) << text(code[0]);
                            seen.insert(ours->op);
                        }
                    }
                }
            }
        }
    }
    EXPECT_EQ(seen.size(), isa::op_count) << "some row was never reached";
    EXPECT_GT(good, 100'000u);
    EXPECT_GT(bad, 1'000'000u);
}

TEST(CheckDecode, WantsBothSlotsOfAWideInstruction) {
    const isa::Slot code[2] = {{.opcode = 0x18}, {}};
    EXPECT_TRUE(check::decode(code, 0));
    EXPECT_FALSE(check::decode(std::span(code).first(1), 0));
    EXPECT_FALSE(check::decode(code, 1)) << "a second slot is no instruction";
}

}  // namespace
}  // namespace skep::verifier
