// SPDX-License-Identifier: Apache-2.0
// Decoding, and saying why a slot is no instruction.
#include "isa/insn.hpp"

#include <fmt/format.h>

namespace skep::isa {
namespace {

/// The eight bytes as a reader of a hex dump sees them.
std::string slot_text(const Slot& slot) {
    const auto offset = static_cast<uint16_t>(slot.offset);
    const auto imm = static_cast<uint32_t>(slot.imm);
    return fmt::format("{:02x} {:02x} {:02x} {:02x} {:02x} {:02x} {:02x} {:02x}", slot.opcode, slot.regs, offset & 0xff,
                       offset >> 8, imm & 0xff, (imm >> 8) & 0xff, (imm >> 16) & 0xff, imm >> 24);
}

Error bad(InsnIndex at, const Slot& slot, std::string why, std::string hint = {}) {
    return Error{
        Errc::BadInstruction, Where{.insn = at, .insn_text = slot_text(slot)},
        fmt::format("instruction {} is not well-formed", at), std::move(why),
        hint.empty() ? "a field that the instruction does not use must be zero (RFC 9669 section 3)" : std::move(hint)};
}

/// Names the first field, in the order src_reg, offset, imm, that no row of the opcode accepts together with the fields
/// before it.
Error no_row(InsnIndex at, const Slot& slot) {
    if (!is_known_opcode(slot.opcode)) {
        return Error{
            Errc::UnknownOpcode, Where{.insn = at, .insn_text = slot_text(slot)},
            fmt::format("opcode {:#04x} is not an instruction", slot.opcode),
            fmt::format("opcode {:#04x} is defined neither by RFC 9669 nor by a later addition of Linux", slot.opcode),
            "rebuild with -mcpu=v4 or lower"};
    }
    struct FieldOf {
        const char* name;
        Pin Row::* pin;
        int32_t value;
    };
    const FieldOf fields[] = {{"src_reg", &Row::src_reg, slot.src_reg()},
                              {"offset", &Row::offset, slot.offset},
                              {"imm", &Row::imm, slot.imm}};
    size_t good = 0;  // fields that some row accepts together
    std::string allowed;
    for (; good < std::size(fields); ++good) {
        bool found = false;
        allowed.clear();
        for (const Row& row : rows()) {
            if (row.opcode != slot.opcode) continue;
            bool before = true;
            for (size_t i = 0; i < good; ++i) before = before && (row.*fields[i].pin).accepts(fields[i].value);
            if (!before) continue;
            const Pin pin = row.*fields[good].pin;
            found = found || pin.accepts(fields[good].value);
            const std::string value = fmt::format("{:#x}", static_cast<uint32_t>(pin.value));
            if (!pin.operand && fmt::format(", {},", allowed).find(fmt::format(", {},", value)) == std::string::npos) {
                allowed += (allowed.empty() ? "" : ", ") + value;
            }
        }
        if (!found) break;
    }
    const FieldOf& field = fields[good < std::size(fields) ? good : std::size(fields) - 1];
    return bad(at, slot,
               fmt::format("{} is {:#x}; opcode {:#04x} allows {}", field.name, field.value, slot.opcode, allowed));
}

}  // namespace

Result<Insn> decode(std::span<const Slot> code, InsnIndex at) {
    if (at >= code.size()) {
        return Error{Errc::Truncated, Where{.insn = at}, fmt::format("there is no instruction {}", at),
                     fmt::format("the program has {} slots", code.size())};
    }
    const Slot& slot = code[at];
    const Row* row = match(slot);
    if (row == nullptr) return no_row(at, slot);

    Insn insn;
    insn.op = row->op;
    if (row->has_dst()) {
        insn.dst = slot.dst_reg();
    } else if (slot.dst_reg() != 0) {
        return bad(at, slot, fmt::format("dst_reg is {}, but {} has no destination", slot.dst_reg(), row->name));
    }
    if (row->src_reg.operand) insn.src = slot.src_reg();
    if (insn.dst >= register_count || insn.src >= register_count) {
        return bad(at, slot, fmt::format("there is no register r{}", insn.dst >= register_count ? insn.dst : insn.src),
                   "registers are r0 to r10 (RFC 9669 section 2.3)");
    }
    if (row->offset.operand) insn.offset = slot.offset;
    if (row->imm.operand) insn.imm = slot.imm;
    if (row->is_wide()) {
        if (code.size() - at < 2) {
            return Error{Errc::Truncated, Where{.insn = at, .insn_text = slot_text(slot)},
                         fmt::format("the wide instruction {} has no second slot", at),
                         fmt::format("the program ends after {} slots", code.size())};
        }
        const Slot& second = code[at + 1];
        if (second.opcode != 0 || second.regs != 0 || second.offset != 0) {
            return bad(at + 1, second,
                       "the second slot of a wide instruction holds only next_imm; its other fields are zero",
                       "a jump into the middle of a wide instruction, or a damaged stream?");
        }
        if (row->has_next_imm()) {
            insn.next_imm = second.imm;
        } else if (second.imm != 0) {
            return bad(at + 1, second, fmt::format("next_imm is {:#x}, but {} uses only imm", second.imm, row->name));
        }
    }
    return insn;
}

Result<std::vector<PlacedInsn>> decode_all(std::span<const Slot> code) {
    std::vector<PlacedInsn> out;
    out.reserve(code.size());
    for (size_t at = 0; at < code.size();) {
        SKEP_ASSIGN(const Insn insn, decode(code, static_cast<InsnIndex>(at)));
        out.push_back({static_cast<InsnIndex>(at), insn});
        at += insn.slots();
    }
    return out;
}

std::string_view group_name(Group group) {
    switch (group) {
        case Group::base32: return "base32";
        case Group::base64: return "base64";
        case Group::divmul32: return "divmul32";
        case Group::divmul64: return "divmul64";
        case Group::atomic32: return "atomic32";
        case Group::atomic64: return "atomic64";
        case Group::packet: return "packet";
        case Group::callx: return "callx";
        case Group::none: return "none";
    }
    return "?";
}

std::string_view since_name(Since since) {
    switch (since) {
        case Since::rfc9669: return "RFC 9669";
        case Since::linux_6_9: return "Linux 6.9";
        case Since::linux_6_15: return "Linux 6.15";
        case Since::llvm_19: return "LLVM 19";
    }
    return "?";
}

}  // namespace skep::isa
