// SPDX-License-Identifier: Apache-2.0
// The dialect of the public conformance suite (bpf_conformance): a mnemonic, then operands by commas.
#include <string>

#include "isa/assemble_operands.hpp"

namespace skep::isa::assembler {
namespace {

Result<void> register_operand(Line& line, uint8_t& out) {
    SKEP_ASSIGN(const Register r, line.need_reg(true));
    out = r.number;
    return {};
}

Result<void> number_operand(Line& line, int32_t& out) {
    SKEP_ASSIGN(const Number n, line.number_value());
    SKEP_ASSIGN(out, imm32(line, n, false));
    return {};
}

Result<void> memory_operand(Line& line, uint8_t& reg, int16_t& offset) {
    SKEP_TRY(line.need("["));
    SKEP_TRY(register_operand(line, reg));
    if (line.peek() != ']') {
        SKEP_ASSIGN(const Number n, line.number_value());
        if (!n.fits(16, true)) return line.fail(n.column, "the offset does not fit in 16 bits");
        offset = static_cast<int16_t>(n.bits());
    }
    return line.need("]");
}

}  // namespace

Result<void> conformance_statement(Line& line, Insn& insn, Destination& target) {
    // The longest mnemonic of up to three words ("lock fetch add").
    const size_t start = line.mark();
    std::string words, mnemonic;
    size_t after = start;
    for (int i = 0; i < 3 && is_word_start(line.peek()); ++i) {
        words += (i == 0 ? "" : " ") + std::string(line.word());
        if (words == "call" || find_row([&](const Row& row) { return row.mnemonic == words; }) != nullptr) {
            mnemonic = words;
            after = line.mark();
        }
    }
    if (mnemonic.empty()) {
        line.back(start);
        return line.fail(start, "this is no instruction");
    }
    line.back(after);
    if (mnemonic == "call") mnemonic = row_of(Op::Call).mnemonic;  // the suite's older spelling
    // Rows of one mnemonic differ in the kind of their second operand only.
    const Row* row = find_row([&](const Row& candidate) { return candidate.mnemonic == mnemonic; });
    const auto other = [&](Form form) {
        return find_row([&](const Row& c) { return c.mnemonic == mnemonic && c.form == form; });
    };
    insn.op = row->op;
    switch (row->form) {
        case Form::None: return {};
        case Form::DstImm:
        case Form::DstSrc:
        case Form::MovImm:
        case Form::MovSrc: {
            SKEP_TRY(register_operand(line, insn.dst));
            SKEP_TRY(line.need(","));
            if (const auto r = line.reg(true)) {
                const Row* by_register = other(row->form == Form::DstImm ? Form::DstSrc : Form::MovSrc);
                insn.op = by_register->op;
                insn.src = r->number;
                return {};
            }
            if (row->form == Form::MovSrc) return line.expected("a register");
            return number_operand(line, insn.imm);
        }
        case Form::MovSrcImm:
            SKEP_TRY(register_operand(line, insn.dst));
            SKEP_TRY(line.need(","));
            SKEP_TRY(register_operand(line, insn.src));
            SKEP_TRY(line.need(","));
            return number_operand(line, insn.imm);
        case Form::Dst:
        case Form::CallDst: return register_operand(line, insn.dst);
        case Form::Target:
        case Form::TargetImm:
        case Form::CallTarget: return destination(line, target);
        case Form::JumpImm:
        case Form::JumpSrc:
            SKEP_TRY(register_operand(line, insn.dst));
            SKEP_TRY(line.need(","));
            if (const auto r = line.reg(true)) {
                insn.op = other(Form::JumpSrc)->op;
                insn.src = r->number;
            } else {
                SKEP_TRY(number_operand(line, insn.imm));
            }
            SKEP_TRY(line.need(","));
            return destination(line, target);
        case Form::CallImm:
        case Form::PacketAbs: return number_operand(line, insn.imm);
        case Form::WideImm64: {
            SKEP_TRY(register_operand(line, insn.dst));
            SKEP_TRY(line.need(","));
            SKEP_ASSIGN(const Number n, line.number_value());
            insn.set_imm64(n.bits());
            return {};
        }
        case Form::WideImm:
            SKEP_TRY(register_operand(line, insn.dst));
            SKEP_TRY(line.need(","));
            return number_operand(line, insn.imm);
        case Form::WideImmNext:
            SKEP_TRY(register_operand(line, insn.dst));
            SKEP_TRY(line.need(","));
            SKEP_TRY(number_operand(line, insn.imm));
            SKEP_TRY(line.need(","));
            return number_operand(line, insn.next_imm);
        case Form::WideTarget:
            SKEP_TRY(register_operand(line, insn.dst));
            SKEP_TRY(line.need(","));
            return destination(line, target);
        case Form::LoadMem:
            SKEP_TRY(register_operand(line, insn.dst));
            SKEP_TRY(line.need(","));
            return memory_operand(line, insn.src, insn.offset);
        case Form::StoreImm:
            SKEP_TRY(memory_operand(line, insn.dst, insn.offset));
            SKEP_TRY(line.need(","));
            return number_operand(line, insn.imm);
        case Form::StoreSrc:
        case Form::Atomic:
        case Form::AtomicFetch:
        case Form::AtomicCmpxchg:
            SKEP_TRY(memory_operand(line, insn.dst, insn.offset));
            SKEP_TRY(line.need(","));
            return register_operand(line, insn.src);
        case Form::PacketInd:
            SKEP_TRY(register_operand(line, insn.src));
            SKEP_TRY(line.need(","));
            return number_operand(line, insn.imm);
    }
    return {};
}

}  // namespace skep::isa::assembler
