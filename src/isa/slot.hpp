// SPDX-License-Identifier: Apache-2.0
// The encoded instruction: one 8-byte slot (RFC 9669 section 3), and the units instructions are counted in.
#pragma once

#include <cstdint>
#include <vector>

namespace skep::isa {

/// Index of an 8-byte slot from the start of a program; a wide instruction takes two. Branch offsets count slots too.
using InsnIndex = uint32_t;

/// One encoded slot in host memory. Fields as in RFC 9669; `regs` holds dst_reg in its low and src_reg in its high four
/// bits.
struct Slot {
    uint8_t opcode = 0;
    uint8_t regs = 0;
    int16_t offset = 0;
    int32_t imm = 0;

    constexpr uint8_t dst_reg() const { return regs & 0xf; }
    constexpr uint8_t src_reg() const { return regs >> 4; }
    constexpr void set_dst_reg(uint8_t reg) { regs = static_cast<uint8_t>((regs & 0xf0) | (reg & 0xf)); }
    constexpr void set_src_reg(uint8_t reg) { regs = static_cast<uint8_t>((regs & 0x0f) | (reg << 4)); }

    bool operator==(const Slot&) const = default;
};
static_assert(sizeof(Slot) == 8);

using Code = std::vector<Slot>;

}  // namespace skep::isa
