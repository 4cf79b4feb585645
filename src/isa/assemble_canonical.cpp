// SPDX-License-Identifier: Apache-2.0
// The canonical dialect, which is llvm-objdump's: what disasm.hpp prints, and a little more (assemble.hpp).
#include <fmt/format.h>

#include "isa/assemble_operands.hpp"

namespace skep::isa::assembler {
namespace {

Result<void> set(Insn& insn, Op op) {
    insn.op = op;
    return {};
}

template <typename Predicate>
Result<void> pick(const Line& line, Insn& insn, Predicate wanted) {
    const Row* row = find_row(wanted);
    if (row == nullptr) return line.fail(0, "no instruction has this combination of operation and width");
    insn.op = row->op;
    return {};
}

Result<void> conditional_jump(Line& line, Insn& insn, Destination& target) {
    SKEP_ASSIGN(const Register left, line.need_reg());
    insn.dst = left.number;
    const std::string_view sign = line.eat_text([](const Row& row) { return row.is_conditional_compare(); });
    if (sign.empty()) return line.expected("a comparison");
    const size_t column = line.column();
    const auto right = line.reg();
    if (right) {
        if (right->bits != left.bits) return line.fail(column, "both registers must have the same width");
        insn.src = right->number;
    } else {
        SKEP_ASSIGN(const Number n, line.number_value());
        SKEP_ASSIGN(insn.imm, imm32(line, n, left.bits == 64));
    }
    SKEP_TRY(pick(line, insn, [&](const Row& row) {
        return row.form == (right ? Form::JumpSrc : Form::JumpImm) && row.text == sign && row.width_bits() == left.bits;
    }));
    SKEP_TRY(line.need("goto"));
    return destination(line, target);
}

Result<void> call(Line& line, Insn& insn, Destination& target) {
    if (!line.at_number()) {
        insn.op = Op::CallLocal;
        return destination(line, target);
    }
    SKEP_ASSIGN(const Number n, line.number_value());
    SKEP_ASSIGN(insn.imm, imm32(line, n, false));
    SKEP_ASSIGN(const std::string_view kind, note(line));
    insn.op = kind.empty() ? Op::Call : kind == "kfunc" ? Op::CallKfunc : Op::CallLocal;
    return {};
}

/// `u32 *)` after its opening parenthesis; the type.
Result<std::string_view> type_and_star(Line& line) {
    const std::string_view type = line.word();
    if (type.empty()) return line.expected("a type, u8 to u64 or s8 to s32");
    SKEP_TRY(line.need("*"));
    SKEP_TRY(line.need(")"));
    return type;
}

/// `(r1 + 0x4)`, the parentheses only if asked for.
Result<void> address(Line& line, uint8_t& reg, int16_t& offset, bool parentheses) {
    if (parentheses) SKEP_TRY(line.need("("));
    SKEP_ASSIGN(const Register r, line.need_reg64());
    reg = r.number;
    if (line.peek() == '+' || line.peek() == '-') {
        SKEP_ASSIGN(const Number n, line.number_value());
        if (!n.fits(16, true)) return line.fail(n.column, "the offset does not fit in 16 bits");
        offset = static_cast<int16_t>(n.bits());
    }
    if (parentheses) SKEP_TRY(line.need(")"));
    return {};
}

Result<void> locked(Line& line, Insn& insn) {
    SKEP_TRY(line.need("*"));
    SKEP_TRY(line.need("("));
    SKEP_ASSIGN(const std::string_view type, type_and_star(line));
    SKEP_TRY(address(line, insn.dst, insn.offset, true));
    const std::string_view sign = line.eat_text([](const Row& row) { return row.form == Form::Atomic; });
    if (sign.empty()) return line.expected("+=, |=, &= or ^=");
    SKEP_ASSIGN(const Register r, line.need_reg());
    insn.src = r.number;
    return pick(line, insn, [&](const Row& row) {
        return row.form == Form::Atomic && row.text == sign && type == (row.width_bits() == 64 ? "u64" : "u32");
    });
}

Result<void> pseudo_load(Line& line, Insn& insn) {
    SKEP_ASSIGN(const Register r, line.need_reg64());
    insn.dst = r.number;
    SKEP_TRY(line.need(","));
    SKEP_ASSIGN(const Number kind, line.number_value());
    SKEP_TRY(line.need(","));
    SKEP_ASSIGN(const Number n, line.number_value());
    SKEP_ASSIGN(insn.imm, imm32(line, n, false));
    const size_t column = line.column();
    SKEP_ASSIGN(insn.next_imm, note_number(line));
    const Row* row = find_row([&](const Row& candidate) {
        return candidate.is_wide() && candidate.form != Form::WideImm64 &&
               candidate.src_reg.value == static_cast<int64_t>(kind.bits());
    });
    if (row == nullptr) return line.fail(kind.column, "pseudo loads are numbered 1 to 6");
    insn.op = row->op;
    if (insn.next_imm != 0 && !row->has_next_imm()) return line.fail(column, "this load has no second number");
    return {};
}

Result<void> store(Line& line, Insn& insn) {
    SKEP_TRY(line.need("*"));
    SKEP_TRY(line.need("("));
    SKEP_ASSIGN(const std::string_view type, type_and_star(line));
    SKEP_TRY(address(line, insn.dst, insn.offset, true));
    SKEP_TRY(line.need("="));
    const auto r = line.reg();
    if (r) {
        insn.src = r->number;
    } else {
        SKEP_ASSIGN(const Number n, line.number_value());
        SKEP_ASSIGN(insn.imm, imm32(line, n, type == "u64"));
    }
    return pick(line, insn, [&](const Row& row) {
        return row.operation == Operation::Store && row.form == (r ? Form::StoreSrc : Form::StoreImm) &&
               row.text == type;
    });
}

Result<void> packet_load(Line& line, Insn& insn, Register left, std::string_view type) {
    if (left.number != 0) return line.fail(left.column, "packet loads go to r0");
    insn.dst = 0;
    SKEP_TRY(line.need("["));
    const auto r = line.reg();
    if (r) {
        insn.src = r->number;
        SKEP_TRY(line.need("]"));
        SKEP_ASSIGN(insn.imm, note_number(line));
    } else {
        SKEP_ASSIGN(const Number n, line.number_value());
        SKEP_ASSIGN(insn.imm, imm32(line, n, false));
        SKEP_TRY(line.need("]"));
    }
    return pick(line, insn, [&](const Row& row) {
        return row.form == (r ? Form::PacketInd : Form::PacketAbs) && row.text == type;
    });
}

Result<void> address_space_cast(Line& line, Insn& insn) {
    SKEP_TRY(line.need("("));
    SKEP_ASSIGN(const Register r, line.need_reg64());
    insn.src = r.number;
    SKEP_TRY(line.need(","));
    SKEP_ASSIGN(const Number to, line.number_value());
    SKEP_TRY(line.need(","));
    SKEP_ASSIGN(const Number from, line.number_value());
    SKEP_TRY(line.need(")"));
    if (to.bits() > 0xffff) return line.fail(to.column, "an address space has 16 bits");
    if (from.bits() > 0xffff) return line.fail(from.column, "an address space has 16 bits");
    insn.op = Op::AddrSpaceCast;
    insn.imm = static_cast<int32_t>(static_cast<uint32_t>(to.bits() << 16 | from.bits()));
    return {};
}

Result<void> atomic_fetch(Line& line, Insn& insn, Register left, std::string_view word, size_t start) {
    SKEP_TRY(line.need("("));
    std::string_view type;
    if (line.eat("(")) {
        SKEP_ASSIGN(type, type_and_star(line));
        SKEP_TRY(address(line, insn.dst, insn.offset, true));
    } else {
        SKEP_TRY(address(line, insn.dst, insn.offset, false));
    }
    const Row* row = find_row([&](const Row& candidate) {
        return candidate.is_atomic() && candidate.text == word &&
               (type.empty()
                    ? candidate.operation == Operation::AtomicXchg || candidate.operation == Operation::AtomicCmpxchg
                    : type == (candidate.width_bits() == 64 ? "u64" : "u32"));
    });
    if (row == nullptr) return line.fail(start, "this atomic operation has no such form");
    insn.op = row->op;
    SKEP_TRY(line.need(","));
    if (row->form == Form::AtomicCmpxchg) {
        SKEP_ASSIGN(const Register expected, line.need_reg());
        if (expected.number != 0 || left.number != 0) {
            return line.fail(expected.column, "the value compared with, and the result, are in r0");
        }
        SKEP_TRY(line.need(","));
    }
    SKEP_ASSIGN(const Register source, line.need_reg());
    insn.src = source.number;
    if (row->form == Form::AtomicFetch && source.number != left.number) {
        return line.fail(source.column, "the value before comes back in the source register",
                         "name the same register twice");
    }
    return line.need(")");
}

/// What stands right of `rN =` and is no number.
Result<void> value(Line& line, Insn& insn, Destination& target, Register left) {
    const size_t start = line.column();
    if (const auto right = line.reg()) {
        if (right->bits != left.bits) return line.fail(start, "both registers must have the same width");
        insn.src = right->number;
        return pick(line, insn, [&](const Row& row) {
            return row.form == Form::MovSrc && row.operation == Operation::Mov && row.width_bits() == left.bits;
        });
    }
    if (line.eat("(")) {  // (s8)r1
        const std::string_view type = line.word();
        SKEP_TRY(line.need(")"));
        SKEP_ASSIGN(const Register right, line.need_reg());
        if (right.bits != left.bits) return line.fail(right.column, "both registers must have the same width");
        insn.src = right.number;
        const Row* row = find_row([&](const Row& candidate) {
            return candidate.form == Form::MovSrc && candidate.text == type && candidate.width_bits() == left.bits;
        });
        if (row == nullptr) return line.fail(start, "sign extension is from s8, s16, or s32 into an r register");
        insn.op = row->op;
        return {};
    }
    if (line.eat("*")) {
        SKEP_TRY(line.need("("));
        SKEP_ASSIGN(const std::string_view type, type_and_star(line));
        if (line.eat("skb")) return packet_load(line, insn, left, type);
        SKEP_TRY(address(line, insn.src, insn.offset, true));
        return pick(line, insn, [&](const Row& row) {
            return (row.operation == Operation::Load || row.operation == Operation::LoadSigned) && row.text == type;
        });
    }
    const std::string_view word = line.word();
    if (word.empty()) return line.expected("a value");
    if (word == row_of(Op::AddrSpaceCast).text) return address_space_cast(line, insn);
    if (word == "load_acquire") {
        SKEP_TRY(line.need("("));
        SKEP_TRY(line.need("("));
        SKEP_ASSIGN(const std::string_view type, type_and_star(line));
        SKEP_TRY(address(line, insn.src, insn.offset, true));
        SKEP_TRY(line.need(")"));
        return pick(line, insn,
                    [&](const Row& row) { return row.operation == Operation::LoadAcquire && row.text == type; });
    }
    // be16 r1, bswap32 r1
    if (const Row* row = find_row([&](const Row& candidate) {
            return candidate.form == Form::Dst && candidate.operation != Operation::Neg && candidate.text == word;
        })) {
        SKEP_ASSIGN(const Register right, line.need_reg());
        if (right.number != left.number) {
            return line.fail(right.column, "byte order is changed in place", "name the same register twice");
        }
        insn.op = row->op;
        return {};
    }
    // atomic_fetch_add((u64 *)(r1 + 0x0), r2), xchg_64(r1 + 0x0, r2), cmpxchg_64(r1 + 0x0, r0, r2)
    if (find_row([&](const Row& row) { return row.is_atomic() && row.text == word; }) != nullptr) {
        return atomic_fetch(line, insn, left, word, start);
    }
    if (line.eat("ll")) {
        insn.op = Op::LdFunc;
        target.label = word;
        target.column = start;
        return {};
    }
    return line.fail(start, fmt::format("{} is no value", word));
}

Result<void> assignment(Line& line, Insn& insn, Destination& target, Register left) {
    insn.dst = left.number;
    const std::string_view sign = line.eat_text(
        [](const Row& row) { return row.is_alu() && (row.form == Form::DstImm || row.form == Form::MovImm); });
    if (sign.empty()) return line.expected("an assignment such as = or +=");
    if (sign == "=" && !line.at_number()) return value(line, insn, target, left);
    const size_t column = line.column();
    if (const auto right = line.reg()) {
        if (right->bits != left.bits) return line.fail(column, "both registers must have the same width");
        insn.src = right->number;
        return pick(line, insn, [&](const Row& row) {
            return row.form == Form::DstSrc && row.text == sign && row.width_bits() == left.bits;
        });
    }
    if (sign == "=" && line.peek() == '-') {  // a number, or a negated register
        const size_t mark = line.mark();
        line.eat("-");
        if (const auto right = line.reg()) {
            if (right->number != left.number || right->bits != left.bits) {
                return line.fail(column, "only a register's own negative can be assigned", "write rN = -rN");
            }
            return pick(line, insn, [&](const Row& row) {
                return row.operation == Operation::Neg && row.width_bits() == left.bits;
            });
        }
        line.back(mark);
    }
    SKEP_ASSIGN(const Number n, line.number_value());
    if (sign == "=" && line.eat("ll")) {
        if (left.bits != 64) return line.fail(left.column, "a 64-bit number needs an r register");
        if (n.negative && n.magnitude > uint64_t{1} << 63) return line.fail(n.column, "the number is too small");
        insn.op = Op::LdImm64;
        insn.set_imm64(n.bits());
        return {};
    }
    SKEP_ASSIGN(insn.imm, imm32(line, n, left.bits == 64));
    return pick(line, insn, [&](const Row& row) {
        return row.is_alu() && (row.form == Form::DstImm || row.form == Form::MovImm) && row.text == sign &&
               row.width_bits() == left.bits;
    });
}

}  // namespace

Result<void> canonical_statement(Line& line, Insn& insn, Destination& target) {
    if (line.eat("exit")) return set(insn, Op::Exit);
    if (line.eat("if")) return conditional_jump(line, insn, target);
    if (line.eat("call")) return call(line, insn, target);
    if (line.eat("callx")) {
        insn.op = Op::CallX;
        SKEP_ASSIGN(const Register r, line.need_reg64());
        insn.dst = r.number;
        return {};
    }
    if (line.eat("lock")) return locked(line, insn);
    if (line.eat("ld_pseudo")) return pseudo_load(line, insn);
    if (line.eat("store_release")) {
        SKEP_TRY(line.need("("));
        SKEP_TRY(line.need("("));
        SKEP_ASSIGN(const std::string_view type, type_and_star(line));
        SKEP_TRY(address(line, insn.dst, insn.offset, true));
        SKEP_TRY(line.need(","));
        SKEP_ASSIGN(const Register r, line.need_reg());
        insn.src = r.number;
        SKEP_TRY(line.need(")"));
        return pick(line, insn,
                    [&](const Row& row) { return row.operation == Operation::StoreRelease && row.text == type; });
    }
    if (line.peek() == '*') return store(line, insn);
    const size_t start = line.column();
    if (const auto r = line.reg()) return assignment(line, insn, target, *r);
    // goto, gotol, may_goto: the words of the forms that only have a target
    const std::string_view word = line.word();
    const Row* row = find_row([&](const Row& candidate) {
        return (candidate.form == Form::Target || candidate.form == Form::TargetImm) && candidate.text == word;
    });
    if (row == nullptr) return line.fail(start, "this is no instruction");
    insn.op = row->op;
    return destination(line, target);
}

}  // namespace skep::isa::assembler
