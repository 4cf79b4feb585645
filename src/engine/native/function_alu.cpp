// SPDX-License-Identifier: Apache-2.0
// Arithmetic (RFC 9669 section 4.1, 4.2).
#include "engine/native/function_writer.hpp"

namespace skep::engine::native {

Result<void> FunctionWriter::write_alu(const Walk& walk, const Node& node) {
    const isa::Insn& insn = node.insn;
    const isa::Row& row = node.row();
    const bool is32 = row.insn_class() == isa::Class::Alu;
    Function::Walk after = walk;
    f_.step(after, node);
    if (after.known[insn.dst].kind == Known::Kind::Stack) {
        assign(node, insn.dst, {frame_at(after.known[insn.dst].value), CType::Pointer, false});
        return {};
    }
    using enum Operation;
    switch (row.operation) {
        case Mov: {
            if (row.form == Form::MovImm) {
                const std::string text = is32 ? number32(static_cast<uint32_t>(insn.imm)) : number64(insn.imm);
                assign(node, insn.dst, {text, is32 || insn.imm >= 0 ? CType::U32 : CType::U64});
            } else {
                const Expression from = reg(walk, insn.src);
                assign(node, insn.dst, is32 ? Expression{as32(from), CType::U32, false} : from);
            }
            return {};
        }
        case Add:
        case Sub:
            if (!is32) {
                write_sum(walk, node);
                return {};
            }
            [[fallthrough]];
        case Mul:
        case Or:
        case And:
        case Xor: binary(walk, node, operator_of(row.operation)); return {};
        case Div: divide(walk, node, "div", "/"); return {};
        case Mod: divide(walk, node, "mod", "%"); return {};
        case Sdiv: divide(walk, node, "sdiv", nullptr); return {};
        case Smod: divide(walk, node, "smod", nullptr); return {};
        case Lsh:
        case Rsh:
        case Arsh: shift(walk, node); return {};
        case Neg: {
            const Expression dst = reg(walk, insn.dst);
            assign(node, insn.dst, {"0u - " + (is32 ? as32(dst) : as64(dst)), is32 ? CType::U32 : CType::U64, false});
            return {};
        }
        case Movsx8: extend(walk, node, 8); return {};
        case Movsx16: extend(walk, node, 16); return {};
        case Movsx32: extend(walk, node, 32); return {};
        case Le16: assign(node, insn.dst, {"(uint16_t)" + as64(reg(walk, insn.dst)), CType::U32, false}); return {};
        case Le32: assign(node, insn.dst, {as32(reg(walk, insn.dst)), CType::U32, false}); return {};
        case Le64: assign(node, insn.dst, {as64(reg(walk, insn.dst)), CType::U64, false}); return {};
        case Be16:
        case Bswap16: {
            const std::string from = "(uint16_t)" + as64(reg(walk, insn.dst));
            assign(node, insn.dst, {"(uint32_t)__builtin_bswap16(" + from + ")", CType::U32, false});
            return {};
        }
        case Be32:
        case Bswap32:
            assign(node, insn.dst, {"__builtin_bswap32(" + as32(reg(walk, insn.dst)) + ")", CType::U32});
            return {};
        case Be64:
        case Bswap64:
            assign(node, insn.dst, {"__builtin_bswap64(" + as64(reg(walk, insn.dst)) + ")", CType::U64});
            return {};
        case AddrSpaceCast: assign(node, insn.dst, reg(walk, insn.src)); return {};
        case Jump:
        case JumpEq:
        case JumpGt:
        case JumpGe:
        case JumpSet:
        case JumpNe:
        case JumpSgt:
        case JumpSge:
        case JumpLt:
        case JumpLe:
        case JumpSlt:
        case JumpSle:
        case MayGoto:
        case Call:
        case CallLocal:
        case CallKfunc:
        case CallX:
        case Exit:
        case LdImm64:
        case LdMapFd:
        case LdMapValue:
        case LdBtfId:
        case LdFunc:
        case LdMapIdx:
        case LdMapIdxValue:
        case Load:
        case LoadSigned:
        case Store:
        case LoadPacket:
        case LoadAcquire:
        case StoreRelease:
        case AtomicAdd:
        case AtomicOr:
        case AtomicAnd:
        case AtomicXor:
        case AtomicFetchAdd:
        case AtomicFetchOr:
        case AtomicFetchAnd:
        case AtomicFetchXor:
        case AtomicXchg:
        case AtomicCmpxchg: break;
    }
    return fail(node, Errc::BadInstruction, "no arithmetic");
}

std::string FunctionWriter::operand(const Walk& walk, const Node& node, bool is32) {
    const isa::Insn& insn = node.insn;
    if (!node.row().has_src()) return is32 ? number32(static_cast<uint32_t>(insn.imm)) : number64(insn.imm);
    const Expression src = reg(walk, insn.src);
    return is32 ? as32(src) : as64(src);
}

void FunctionWriter::binary(const Walk& walk, const Node& node, const char* op) {
    const bool is32 = node.row().insn_class() == isa::Class::Alu;
    const Expression dst = reg(walk, node.insn.dst);
    assign(node, node.insn.dst,
           {fmt::format("{} {} {}", is32 ? as32(dst) : as64(dst), op, operand(walk, node, is32)),
            is32 ? CType::U32 : CType::U64, false});
}

void FunctionWriter::write_sum(const Walk& walk, const Node& node) {
    const isa::Insn& insn = node.insn;
    const bool minus = node.row().operation == Operation::Sub;
    const Expression dst = reg(walk, insn.dst);
    const bool to_pointer = (node.live_after & location_bit(insn.dst)) != 0 &&
                            c_type(f_.types(f_.defined_web(node, insn.dst))) == CType::Pointer;
    if (!to_pointer) return binary(walk, node, minus ? "-" : "+");
    if (!node.row().has_src()) {
        if (dst.type != CType::Pointer) return binary(walk, node, minus ? "-" : "+");
        const int64_t offset = minus ? -int64_t{insn.imm} : int64_t{insn.imm};
        return assign(node, insn.dst, {plus(wrapped(dst), offset), CType::Pointer, false});
    }
    const Expression src = reg(walk, insn.src);
    if (dst.type == CType::Pointer && src.type != CType::Pointer) {
        const std::string text = fmt::format("{} {} {}", wrapped(dst), minus ? "-" : "+", wrapped(src));
        return assign(node, insn.dst, {text, CType::Pointer, false});
    }
    if (dst.type != CType::Pointer && src.type == CType::Pointer && !minus)
        return assign(node, insn.dst, {wrapped(src) + " + " + wrapped(dst), CType::Pointer, false});
    binary(walk, node, minus ? "-" : "+");
}

void FunctionWriter::divide(const Walk& walk, const Node& node, const char* function, const char* op) {
    const isa::Insn& insn = node.insn;
    const bool is32 = node.row().insn_class() == isa::Class::Alu;
    const Expression dst = reg(walk, insn.dst);
    const std::string left = is32 ? as32(dst) : as64(dst), right = operand(walk, node, is32);
    const CType type = is32 ? CType::U32 : CType::U64;
    const Facts& facts = program_.source.program->facts();
    const bool safe = node.row().has_src() ? node.at < facts.size() && facts[node.at].divisor_non_zero
                                           : (is32 ? static_cast<uint32_t>(insn.imm) != 0 : insn.imm != 0);
    if (safe && op != nullptr) return assign(node, insn.dst, {left + " " + op + " " + right, type, false});
    assign(node, insn.dst, {fmt::format("{}{}({}, {})", function, is32 ? 32 : 64, left, right), type});
}

void FunctionWriter::shift(const Walk& walk, const Node& node) {
    const isa::Insn& insn = node.insn;
    const bool is32 = node.row().insn_class() == isa::Class::Alu;
    const unsigned mask = is32 ? 31 : 63;
    const Expression dst = reg(walk, insn.dst);
    const std::string left = is32 ? as32(dst) : as64(dst);
    std::string count;
    if (node.row().has_src()) {
        const Expression src = reg(walk, insn.src);
        count = fmt::format("({} & {}u)", src.type == CType::Pointer ? as64(src) : wrapped(src), mask);
    } else {
        count = fmt::format("{}", static_cast<uint32_t>(insn.imm) & mask);
    }
    const CType type = is32 ? CType::U32 : CType::U64;
    if (node.row().operation == Operation::Arsh) {
        assign(node, insn.dst,
               {fmt::format("arsh{}({}, {}{})", is32 ? 32 : 64, left, node.row().has_src() ? "(unsigned)" : "", count),
                type});
    } else {
        const char* op = node.row().operation == Operation::Lsh ? "<<" : ">>";
        assign(node, insn.dst, {fmt::format("{} {} {}", left, op, count), type, false});
    }
}

void FunctionWriter::extend(const Walk& walk, const Node& node, unsigned bits) {
    const bool is32 = node.row().insn_class() == isa::Class::Alu;
    const std::string from = as64(reg(walk, node.insn.src));
    const std::string text = fmt::format("(int{}_t){}", bits, from);
    if (is32) return assign(node, node.insn.dst, {"(uint32_t)" + text, CType::U32, false});
    assign(node, node.insn.dst, {"(uint64_t)" + text, CType::U64, false});
}

}  // namespace skep::engine::native
