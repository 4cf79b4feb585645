// SPDX-License-Identifier: Apache-2.0
#include "verifier/check/decode.hpp"

namespace skep::verifier::check {

namespace {

using isa::Insn;
using isa::Op;
using isa::Slot;

/// Fields of an opcode, RFC 9669 section 3.2.
enum Class : unsigned { LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64 };
constexpr unsigned class_of(const Slot& s) { return s.opcode & 7; }
constexpr unsigned code_of(const Slot& s) { return s.opcode >> 4; }        // arithmetic and jumps
constexpr bool source_is_x(const Slot& s) { return (s.opcode & 8) != 0; }  // arithmetic and jumps
constexpr unsigned mode_of(const Slot& s) { return s.opcode >> 5; }        // loads and stores
enum Mode : unsigned { IMM = 0, ABS = 1, IND = 2, MEM = 3, MEMSX = 4, ATOMIC = 6 };
enum Size : unsigned { W, H, B, DW };
constexpr unsigned size_of(const Slot& s) { return s.opcode >> 3 & 3; }

/// One operation at 32 and 64 bits, with an immediate and with a register.
struct Family {
    Op k32, x32, k64, x64;
    Op pick(bool wide, bool x) const { return wide ? (x ? x64 : k64) : (x ? x32 : k32); }
};

/// What is an operand of the instruction; every other field must be zero, or is what selected the operation.
struct Shape {
    Op op{};
    bool dst = false, src = false, offset = false, imm = false, next_imm = false, wide = false;
};
using Found = std::optional<Shape>;

/// RFC 9669 section 4.1, table 3.
Found arithmetic(const Slot& s) {
    const bool wide = class_of(s) == ALU64, x = source_is_x(s);
    const auto found = [&](const Family& family, bool offset_fits) -> Found {
        if (!offset_fits || (x ? s.imm != 0 : s.src_reg() != 0)) return {};
        return Shape{.op = family.pick(wide, x), .dst = true, .src = x, .imm = !x};
    };
    const auto plain = [&](const Family& family) { return found(family, s.offset == 0); };
    const auto is_signed = [&](const Family& no, const Family& yes) {
        return s.offset == 1 ? found(yes, true) : plain(no);
    };
    switch (code_of(s)) {
        case 0x0: return plain({Op::Add32K, Op::Add32X, Op::Add64K, Op::Add64X});
        case 0x1: return plain({Op::Sub32K, Op::Sub32X, Op::Sub64K, Op::Sub64X});
        case 0x2: return plain({Op::Mul32K, Op::Mul32X, Op::Mul64K, Op::Mul64X});
        case 0x3:
            return is_signed({Op::Div32K, Op::Div32X, Op::Div64K, Op::Div64X},
                             {Op::Sdiv32K, Op::Sdiv32X, Op::Sdiv64K, Op::Sdiv64X});
        case 0x4: return plain({Op::Or32K, Op::Or32X, Op::Or64K, Op::Or64X});
        case 0x5: return plain({Op::And32K, Op::And32X, Op::And64K, Op::And64X});
        case 0x6: return plain({Op::Lsh32K, Op::Lsh32X, Op::Lsh64K, Op::Lsh64X});
        case 0x7: return plain({Op::Rsh32K, Op::Rsh32X, Op::Rsh64K, Op::Rsh64X});
        case 0x8:  // NEG has no second operand
            if (x || s.src_reg() != 0 || s.offset != 0 || s.imm != 0) return {};
            return Shape{.op = wide ? Op::Neg64 : Op::Neg32, .dst = true};
        case 0x9:
            return is_signed({Op::Mod32K, Op::Mod32X, Op::Mod64K, Op::Mod64X},
                             {Op::Smod32K, Op::Smod32X, Op::Smod64K, Op::Smod64X});
        case 0xa: return plain({Op::Xor32K, Op::Xor32X, Op::Xor64K, Op::Xor64X});
        case 0xb: {  // MOV; MOVSX is MOV from a register with the width in offset
            if (x && s.offset != 0) {
                // Linux: 1 in offset is the cast between address spaces, which imm names.
                if (wide && s.offset == 1) {
                    return Shape{.op = Op::AddrSpaceCast, .dst = true, .src = true, .imm = true};
                }
                if (s.imm != 0) return {};
                const Shape moved{.dst = true, .src = true};
                const auto with = [&](Op op) {
                    Shape shape = moved;
                    shape.op = op;
                    return Found(shape);
                };
                if (s.offset == 8) return with(wide ? Op::Movsx64X8 : Op::Movsx32X8);
                if (s.offset == 16) return with(wide ? Op::Movsx64X16 : Op::Movsx32X16);
                if (s.offset == 32 && wide) return with(Op::Movsx64X32);
                return {};
            }
            return plain({Op::Mov32K, Op::Mov32X, Op::Mov64K, Op::Mov64X});
        }
        case 0xc: return plain({Op::Arsh32K, Op::Arsh32X, Op::Arsh64K, Op::Arsh64X});
        case 0xd: {  // END, section 4.2: imm is the width; in class ALU the source bit says to which order
            if (s.src_reg() != 0 || s.offset != 0 || (wide && x)) return {};
            const bool swap = wide, big = x;
            const auto width = [&](Op to_little, Op to_big, Op swapped) {
                return Found(Shape{.op = swap ? swapped : big ? to_big : to_little, .dst = true});
            };
            if (s.imm == 16) return width(Op::Le16, Op::Be16, Op::Bswap16);
            if (s.imm == 32) return width(Op::Le32, Op::Be32, Op::Bswap32);
            if (s.imm == 64) return width(Op::Le64, Op::Be64, Op::Bswap64);
            return {};
        }
        default: return {};
    }
}

/// RFC 9669 section 4.3, table 4.
Found jump(const Slot& s) {
    const bool wide = class_of(s) == JMP, x = source_is_x(s);
    const auto compare = [&](const Family& family) -> Found {
        if (x ? s.imm != 0 : s.src_reg() != 0) return {};
        return Shape{.op = family.pick(wide, x), .dst = true, .src = x, .offset = true, .imm = !x};
    };
    const bool bare = !x && s.src_reg() == 0;
    switch (code_of(s)) {
        case 0x0:  // JA by offset, in class JMP32 by imm
            if (!bare) return {};
            if (wide) return s.imm == 0 ? Found(Shape{.op = Op::Ja, .offset = true}) : Found();
            return s.offset == 0 ? Found(Shape{.op = Op::JaLong, .imm = true}) : Found();
        case 0x1: return compare({Op::Jeq32K, Op::Jeq32X, Op::Jeq64K, Op::Jeq64X});
        case 0x2: return compare({Op::Jgt32K, Op::Jgt32X, Op::Jgt64K, Op::Jgt64X});
        case 0x3: return compare({Op::Jge32K, Op::Jge32X, Op::Jge64K, Op::Jge64X});
        case 0x4: return compare({Op::Jset32K, Op::Jset32X, Op::Jset64K, Op::Jset64X});
        case 0x5: return compare({Op::Jne32K, Op::Jne32X, Op::Jne64K, Op::Jne64X});
        case 0x6: return compare({Op::Jsgt32K, Op::Jsgt32X, Op::Jsgt64K, Op::Jsgt64X});
        case 0x7: return compare({Op::Jsge32K, Op::Jsge32X, Op::Jsge64K, Op::Jsge64X});
        case 0x8:  // CALL, section 4.3.1: src_reg says by what; with a register only LLVM and gcc know it
            if (!wide || s.offset != 0) return {};
            if (x) return s.src_reg() == 0 && s.imm == 0 ? Found(Shape{.op = Op::CallX, .dst = true}) : Found();
            if (s.src_reg() == 0) return Shape{.op = Op::Call, .imm = true};
            if (s.src_reg() == 1) return Shape{.op = Op::CallLocal, .imm = true};
            if (s.src_reg() == 2) return Shape{.op = Op::CallKfunc, .imm = true};
            return {};
        case 0x9:
            if (!wide || !bare || s.offset != 0 || s.imm != 0) return {};
            return Shape{.op = Op::Exit};
        case 0xa: return compare({Op::Jlt32K, Op::Jlt32X, Op::Jlt64K, Op::Jlt64X});
        case 0xb: return compare({Op::Jle32K, Op::Jle32X, Op::Jle64K, Op::Jle64X});
        case 0xc: return compare({Op::Jslt32K, Op::Jslt32X, Op::Jslt64K, Op::Jslt64X});
        case 0xd: return compare({Op::Jsle32K, Op::Jsle32X, Op::Jsle64K, Op::Jsle64X});
        case 0xe:  // Linux: may_goto (JCOND)
            if (!wide || !bare || s.imm != 0) return {};
            return Shape{.op = Op::MayGoto, .offset = true};
        default: return {};
    }
}

/// One of four operations by size, in the order W, H, B, DW.
Op by_size(const Slot& s, Op w, Op h, Op b, Op dw) {
    switch (size_of(s)) {
        case W: return w;
        case H: return h;
        case B: return b;
        default: return dw;
    }
}

/// RFC 9669 sections 5.4 and 5.5.
Found load_special(const Slot& s) {
    const bool no_offset = s.offset == 0;
    if (mode_of(s) == IMM) {
        if (size_of(s) != DW || !no_offset) return {};
        switch (s.src_reg()) {
            case 0: return Shape{.op = Op::LdImm64, .dst = true, .imm = true, .next_imm = true, .wide = true};
            case 1: return Shape{.op = Op::LdMapFd, .dst = true, .imm = true, .wide = true};
            case 2: return Shape{.op = Op::LdMapValue, .dst = true, .imm = true, .next_imm = true, .wide = true};
            case 3: return Shape{.op = Op::LdBtfId, .dst = true, .imm = true, .next_imm = true, .wide = true};
            case 4: return Shape{.op = Op::LdFunc, .dst = true, .imm = true, .wide = true};
            case 5: return Shape{.op = Op::LdMapIdx, .dst = true, .imm = true, .wide = true};
            case 6: return Shape{.op = Op::LdMapIdxValue, .dst = true, .imm = true, .next_imm = true, .wide = true};
            default: return {};
        }
    }
    if (size_of(s) == DW || !no_offset) return {};
    if (mode_of(s) == ABS && s.src_reg() == 0) {
        return Shape{.op = by_size(s, Op::LdAbsW, Op::LdAbsH, Op::LdAbsB, Op{}), .imm = true};
    }
    if (mode_of(s) == IND) {
        return Shape{.op = by_size(s, Op::LdIndW, Op::LdIndH, Op::LdIndB, Op{}), .src = true, .imm = true};
    }
    return {};
}

/// RFC 9669 sections 5.1 and 5.2.
Found load(const Slot& s) {
    Shape shape{.dst = true, .src = true, .offset = true};
    if (s.imm != 0) return {};
    if (mode_of(s) == MEM) {
        shape.op = by_size(s, Op::LdxW, Op::LdxH, Op::LdxB, Op::LdxDw);
        return shape;
    }
    if (mode_of(s) == MEMSX && size_of(s) != DW) {
        shape.op = by_size(s, Op::LdxsxW, Op::LdxsxH, Op::LdxsxB, Op{});
        return shape;
    }
    return {};
}

Found store_imm(const Slot& s) {
    if (mode_of(s) != MEM || s.src_reg() != 0) return {};
    return Shape{.op = by_size(s, Op::StW, Op::StH, Op::StB, Op::StDw), .dst = true, .offset = true, .imm = true};
}

/// RFC 9669 sections 5.1 and 5.3: imm is the atomic operation. Linux: 0x100 and 0x110 are load-acquire and
/// store-release, of every size.
Found store(const Slot& s) {
    Shape shape{.dst = true, .src = true, .offset = true};
    if (mode_of(s) == MEM) {
        if (s.imm != 0) return {};
        shape.op = by_size(s, Op::StxW, Op::StxH, Op::StxB, Op::StxDw);
        return shape;
    }
    if (mode_of(s) != ATOMIC) return {};
    if (s.imm == 0x100) {
        shape.op = by_size(s, Op::LoadAcquireW, Op::LoadAcquireH, Op::LoadAcquireB, Op::LoadAcquireDw);
        return shape;
    }
    if (s.imm == 0x110) {
        shape.op = by_size(s, Op::StoreReleaseW, Op::StoreReleaseH, Op::StoreReleaseB, Op::StoreReleaseDw);
        return shape;
    }
    if (size_of(s) != W && size_of(s) != DW) return {};
    const auto with = [&](Op op32, Op op64) {
        shape.op = size_of(s) == W ? op32 : op64;
        return Found(shape);
    };
    // The simple operations have the codes of table 3 in bits 4 to 7; bit 0 is FETCH.
    switch (s.imm) {
        case 0x00: return with(Op::AtomicAdd32, Op::AtomicAdd64);
        case 0x40: return with(Op::AtomicOr32, Op::AtomicOr64);
        case 0x50: return with(Op::AtomicAnd32, Op::AtomicAnd64);
        case 0xa0: return with(Op::AtomicXor32, Op::AtomicXor64);
        case 0x01: return with(Op::AtomicFetchAdd32, Op::AtomicFetchAdd64);
        case 0x41: return with(Op::AtomicFetchOr32, Op::AtomicFetchOr64);
        case 0x51: return with(Op::AtomicFetchAnd32, Op::AtomicFetchAnd64);
        case 0xa1: return with(Op::AtomicFetchXor32, Op::AtomicFetchXor64);
        case 0xe1: return with(Op::AtomicXchg32, Op::AtomicXchg64);
        case 0xf1: return with(Op::AtomicCmpxchg32, Op::AtomicCmpxchg64);
        default: return {};
    }
}

Found shape_of(const Slot& s) {
    switch (class_of(s)) {
        case LD: return load_special(s);
        case LDX: return load(s);
        case ST: return store_imm(s);
        case STX: return store(s);
        case ALU:
        case ALU64: return arithmetic(s);
        default: return jump(s);
    }
}

}  // namespace

std::optional<Insn> decode(std::span<const Slot> code, isa::InsnIndex at) {
    constexpr unsigned registers = 11;  // r0 to r10, section 2.3
    const Slot& slot = code[at];
    const Found shape = shape_of(slot);
    if (!shape || slot.dst_reg() >= registers || (shape->src && slot.src_reg() >= registers)) return {};
    if (!shape->dst && slot.dst_reg() != 0) return {};
    Insn insn;
    insn.op = shape->op;
    if (shape->dst) insn.dst = slot.dst_reg();
    if (shape->src) insn.src = slot.src_reg();
    if (shape->offset) insn.offset = slot.offset;
    if (shape->imm) insn.imm = slot.imm;
    if (shape->wide) {
        if (code.size() - at < 2) return {};
        const Slot& second = code[at + 1];
        if (second.opcode != 0 || second.regs != 0 || second.offset != 0) return {};
        if (!shape->next_imm && second.imm != 0) return {};
        insn.next_imm = second.imm;
    }
    return insn;
}

}  // namespace skep::verifier::check
