// SPDX-License-Identifier: Apache-2.0
// The instruction set: the table insn.def as types, and the codec read off it. Everything here is pure and (save the
// errors) constexpr.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "isa/slot.hpp"

namespace skep::isa {

/// Every instruction, one enumerator per row of insn.def.
enum class Op : uint8_t {
#define INSN(name, opcode, src_reg, offset, imm, form, operation, text, mnemonic, group, since) name,
#include "isa/insn.def"
#undef INSN
};

/// Which fields are operands, and how the text is laid out.
enum class Form : uint8_t {
    DstImm,         ///< dst op= imm
    DstSrc,         ///< dst op= src
    MovImm,         ///< dst = imm
    MovSrc,         ///< dst = src, or dst = (s8)src
    MovSrcImm,      ///< dst = op(src, imm)
    Dst,            ///< dst = op dst
    Target,         ///< goto +offset
    TargetImm,      ///< goto +imm
    JumpImm,        ///< if dst op imm goto +offset
    JumpSrc,        ///< if dst op src goto +offset
    CallImm,        ///< call of number imm
    CallTarget,     ///< call of the function at +imm
    CallDst,        ///< call of the function whose address is in dst
    None,           ///< no operand
    WideImm64,      ///< dst = the 64 bits of imm and next_imm
    WideImm,        ///< dst = what imm names; next_imm is zero
    WideImmNext,    ///< dst = what imm and next_imm name
    WideTarget,     ///< dst = the function at +imm; next_imm is zero
    LoadMem,        ///< dst = *(src + offset)
    StoreImm,       ///< *(dst + offset) = imm
    StoreSrc,       ///< *(dst + offset) = src
    PacketAbs,      ///< r0 = packet[imm]
    PacketInd,      ///< r0 = packet[src + imm]
    Atomic,         ///< *(dst + offset) op= src
    AtomicFetch,    ///< the same, src = the value before
    AtomicCmpxchg,  ///< if *(dst + offset) == r0 it becomes src; r0 = the value before
};

/// What happens, whatever the width and the kind of operand.
enum class Operation : uint8_t {
    // Arithmetic
    Add,
    Sub,
    Mul,
    Div,
    Sdiv,
    Or,
    And,
    Lsh,
    Rsh,
    Neg,
    Mod,
    Smod,
    Xor,
    Mov,
    Movsx8,
    Movsx16,
    Movsx32,
    Arsh,  //
    Le16,
    Le32,
    Le64,
    Be16,
    Be32,
    Be64,
    Bswap16,
    Bswap32,
    Bswap64,
    AddrSpaceCast,
    // Control
    Jump,
    JumpEq,
    JumpGt,
    JumpGe,
    JumpSet,
    JumpNe,
    JumpSgt,
    JumpSge,
    JumpLt,
    JumpLe,
    JumpSlt,
    JumpSle,
    MayGoto,  //
    Call,
    CallLocal,
    CallKfunc,
    CallX,
    Exit,
    // Wide loads, by the RFC's src_reg 0 to 6
    LdImm64,
    LdMapFd,
    LdMapValue,
    LdBtfId,
    LdFunc,
    LdMapIdx,
    LdMapIdxValue,
    // Memory
    Load,
    LoadSigned,
    Store,
    LoadPacket,
    LoadAcquire,
    StoreRelease,  //
    AtomicAdd,
    AtomicOr,
    AtomicAnd,
    AtomicXor,
    AtomicFetchAdd,
    AtomicFetchOr,
    AtomicFetchAnd,
    AtomicFetchXor,  //
    AtomicXchg,
    AtomicCmpxchg,
};

// Groups of operations as case labels, for switches that treat a group as one: `SKEP_CASES_ATOMICS: return atomic();`.
// A new operation joins its group here, or a compiler names every switch that has to answer for it.
// clang-format off
#define SKEP_CASES_CONDITIONAL_JUMPS \
    case ::skep::isa::Operation::JumpEq: case ::skep::isa::Operation::JumpGt: \
    case ::skep::isa::Operation::JumpGe: case ::skep::isa::Operation::JumpSet: \
    case ::skep::isa::Operation::JumpNe: case ::skep::isa::Operation::JumpSgt: \
    case ::skep::isa::Operation::JumpSge: case ::skep::isa::Operation::JumpLt: \
    case ::skep::isa::Operation::JumpLe: case ::skep::isa::Operation::JumpSlt: \
    case ::skep::isa::Operation::JumpSle
#define SKEP_CASES_CALLS \
    case ::skep::isa::Operation::Call: case ::skep::isa::Operation::CallLocal: \
    case ::skep::isa::Operation::CallKfunc: case ::skep::isa::Operation::CallX
#define SKEP_CASES_WIDE_LOADS \
    case ::skep::isa::Operation::LdImm64: case ::skep::isa::Operation::LdMapFd: \
    case ::skep::isa::Operation::LdMapValue: case ::skep::isa::Operation::LdBtfId: \
    case ::skep::isa::Operation::LdFunc: case ::skep::isa::Operation::LdMapIdx: \
    case ::skep::isa::Operation::LdMapIdxValue
#define SKEP_CASES_ATOMICS \
    case ::skep::isa::Operation::AtomicAdd: case ::skep::isa::Operation::AtomicOr: \
    case ::skep::isa::Operation::AtomicAnd: case ::skep::isa::Operation::AtomicXor: \
    case ::skep::isa::Operation::AtomicFetchAdd: case ::skep::isa::Operation::AtomicFetchOr: \
    case ::skep::isa::Operation::AtomicFetchAnd: case ::skep::isa::Operation::AtomicFetchXor: \
    case ::skep::isa::Operation::AtomicXchg: case ::skep::isa::Operation::AtomicCmpxchg
#define SKEP_CASES_BYTE_ORDER \
    case ::skep::isa::Operation::Le16: case ::skep::isa::Operation::Le32: \
    case ::skep::isa::Operation::Le64: case ::skep::isa::Operation::Be16: \
    case ::skep::isa::Operation::Be32: case ::skep::isa::Operation::Be64: \
    case ::skep::isa::Operation::Bswap16: case ::skep::isa::Operation::Bswap32: \
    case ::skep::isa::Operation::Bswap64
// clang-format on

/// RFC 9669 section 2.4. `none`: in no group, an addition of Linux.
enum class Group : uint8_t { base32, base64, divmul32, divmul64, atomic32, atomic64, packet, callx, none };

/// Where an instruction is specified first.
enum class Since : uint8_t { rfc9669, linux_6_9, linux_6_15, llvm_19 };

/// The low three bits of the opcode (RFC 9669 section 3.2).
enum class Class : uint8_t { Ld, Ldx, St, Stx, Alu, Jmp, Jmp32, Alu64 };

/// What a row asks of one field.
struct Pin {
    bool operand = false;  ///< any value, an operand
    int32_t value = 0;     ///< else exactly this one

    constexpr bool accepts(int32_t v) const { return operand || v == value; }
    /// Whether some value is accepted by both.
    constexpr bool overlaps(Pin other) const { return operand || other.operand || value == other.value; }
    bool operator==(const Pin&) const = default;
};

constexpr unsigned register_count = 11;  ///< r0 to r10
constexpr unsigned frame_register = 10;

/// A set of registers: bit n is rn.
using RegisterSet = uint16_t;
constexpr RegisterSet register_bit(unsigned reg) { return static_cast<RegisterSet>(1u << (reg & 15)); }
constexpr RegisterSet caller_saved = 0x3f;  ///< r0 to r5: gone after any call

/// One row of insn.def.
struct Row {
    Op op{};
    std::string_view name;
    uint8_t opcode = 0;
    Pin src_reg, offset, imm;
    Form form{};
    Operation operation{};
    std::string_view text, mnemonic;
    Group group{};
    Since since{};

    constexpr Class insn_class() const { return static_cast<Class>(opcode & 7); }
    /// 8-byte slots: 2 for a wide load, else 1.
    constexpr unsigned slots() const { return is_wide() ? 2 : 1; }
    constexpr bool is_wide() const {
        return form == Form::WideImm64 || form == Form::WideImm || form == Form::WideImmNext ||
               form == Form::WideTarget;
    }
    /// Whether next_imm is an operand.
    constexpr bool has_next_imm() const { return form == Form::WideImm64 || form == Form::WideImmNext; }
    /// Whether dst_reg is an operand; else it is zero.
    constexpr bool has_dst() const {
        switch (form) {
            case Form::Target:
            case Form::TargetImm:
            case Form::CallImm:
            case Form::CallTarget:
            case Form::None:
            case Form::PacketAbs:
            case Form::PacketInd: return false;
            case Form::DstImm:
            case Form::DstSrc:
            case Form::MovImm:
            case Form::MovSrc:
            case Form::MovSrcImm:
            case Form::Dst:
            case Form::JumpImm:
            case Form::JumpSrc:
            case Form::CallDst:
            case Form::WideImm64:
            case Form::WideImm:
            case Form::WideImmNext:
            case Form::WideTarget:
            case Form::LoadMem:
            case Form::StoreImm:
            case Form::StoreSrc:
            case Form::Atomic:
            case Form::AtomicFetch:
            case Form::AtomicCmpxchg: return true;
        }
        return false;
    }
    constexpr bool has_src() const { return src_reg.operand; }

    /// Whether it is arithmetic: classes ALU and ALU64.
    constexpr bool is_alu() const { return insn_class() == Class::Alu || insn_class() == Class::Alu64; }
    /// goto, gotol, may_goto or a conditional jump; not calls.
    constexpr bool is_jump() const {
        return form == Form::Target || form == Form::TargetImm || is_conditional_compare();
    }
    /// Whether the next instruction may follow a jump not taken (comparisons and may_goto).
    constexpr bool is_conditional() const { return is_conditional_compare() || operation == Operation::MayGoto; }
    constexpr bool is_conditional_compare() const { return form == Form::JumpImm || form == Form::JumpSrc; }
    constexpr bool is_call() const {
        return form == Form::CallImm || form == Form::CallTarget || form == Form::CallDst;
    }
    constexpr bool is_exit() const { return operation == Operation::Exit; }
    /// Whether the instruction after it is never reached from it: goto, gotol, exit.
    constexpr bool ends_path() const { return is_exit() || (is_jump() && !is_conditional()); }

    /// Whether it reads or writes memory through a register (packet loads are not meant).
    constexpr bool is_memory() const { return reads_memory() || writes_memory(); }
    constexpr bool is_atomic() const {
        return form == Form::Atomic || form == Form::AtomicFetch || form == Form::AtomicCmpxchg;
    }
    constexpr bool reads_memory() const { return form == Form::LoadMem || is_atomic(); }
    constexpr bool writes_memory() const { return form == Form::StoreImm || form == Form::StoreSrc || is_atomic(); }
    constexpr bool is_packet_load() const { return form == Form::PacketAbs || form == Form::PacketInd; }
    /// Bytes of the memory or packet access: 1, 2, 4 or 8; 0 if there is none.
    constexpr unsigned access_bytes() const {
        if (!is_memory() && !is_packet_load()) return 0;
        constexpr unsigned bytes[] = {4, 2, 1, 8};  // RFC 9669 section 5: W, H, B, DW
        return bytes[(opcode >> 3) & 3];
    }
    /// Bits of the arithmetic or comparison: 32 or 64; of a memory access its width; 64 for everything else.
    constexpr unsigned width_bits() const {
        if (access_bytes() != 0) return access_bytes() * 8;
        return insn_class() == Class::Alu || insn_class() == Class::Jmp32 ? 32 : 64;
    }
    /// Whether it takes its operands as signed numbers (sdiv, smod, arsh, movsx, ldsx, signed comparisons).
    constexpr bool is_signed() const {
        switch (operation) {
            case Operation::Sdiv:
            case Operation::Smod:
            case Operation::Arsh:
            case Operation::Movsx8:
            case Operation::Movsx16:
            case Operation::Movsx32:
            case Operation::LoadSigned:
            case Operation::JumpSgt:
            case Operation::JumpSge:
            case Operation::JumpSlt:
            case Operation::JumpSle: return true;
            case Operation::Add:
            case Operation::Sub:
            case Operation::Mul:
            case Operation::Div:
            case Operation::Or:
            case Operation::And:
            case Operation::Lsh:
            case Operation::Rsh:
            case Operation::Neg:
            case Operation::Mod:
            case Operation::Xor:
            case Operation::Mov:
            SKEP_CASES_BYTE_ORDER:
            case Operation::AddrSpaceCast:
            case Operation::Jump:
            case Operation::JumpEq:
            case Operation::JumpGt:
            case Operation::JumpGe:
            case Operation::JumpSet:
            case Operation::JumpNe:
            case Operation::JumpLt:
            case Operation::JumpLe:
            case Operation::MayGoto:
            SKEP_CASES_CALLS:
            case Operation::Exit:
            SKEP_CASES_WIDE_LOADS:
            case Operation::Load:
            case Operation::Store:
            case Operation::LoadPacket:
            case Operation::LoadAcquire:
            case Operation::StoreRelease:
            SKEP_CASES_ATOMICS:
                return false;
        }
        return false;
    }
};

namespace detail {

constexpr Pin any{true, 0};
constexpr Pin is(int32_t value) { return Pin{false, value}; }

inline constexpr Row table[] = {
#define INSN(name, opcode, src_reg, offset, imm, form, operation, text, mnemonic, group, since)       \
    Row{Op::name, #name,    opcode,       src_reg,     offset, imm, Form::form, Operation::operation, \
        text,     mnemonic, Group::group, Since::since},
#include "isa/insn.def"
#undef INSN
};

}  // namespace detail

constexpr size_t op_count = std::size(detail::table);

/// Every row, in the order of Op.
constexpr std::span<const Row> rows() { return detail::table; }
constexpr const Row& row_of(Op op) { return detail::table[static_cast<size_t>(op)]; }
constexpr std::string_view name_of(Op op) { return row_of(op).name; }

namespace detail {

constexpr uint8_t no_row = 0xff;
static_assert(op_count < no_row);

/// Rows by opcode: the first one of each, and the next one with the same opcode.
struct OpcodeIndex {
    std::array<uint8_t, 256> first{};
    std::array<uint8_t, op_count> next{};
};

consteval OpcodeIndex index_by_opcode() {
    OpcodeIndex index;
    index.first.fill(no_row);
    for (size_t i = op_count; i-- > 0;) {
        index.next[i] = index.first[table[i].opcode];
        index.first[table[i].opcode] = static_cast<uint8_t>(i);
    }
    return index;
}
inline constexpr OpcodeIndex opcode_index = index_by_opcode();

/// The table's promise: no two rows accept the same slot.
consteval bool rows_are_disjoint() {
    for (size_t i = 0; i < op_count; ++i) {
        for (size_t j = opcode_index.next[i]; j != no_row; j = opcode_index.next[j]) {
            if (table[i].src_reg.overlaps(table[j].src_reg) && table[i].offset.overlaps(table[j].offset) &&
                table[i].imm.overlaps(table[j].imm)) {
                return false;
            }
        }
    }
    return true;
}
static_assert(rows_are_disjoint(), "two rows of insn.def accept the same encoding");

/// The fields that a form names, and no others, are operands.
consteval bool forms_match_fields() {
    for (const Row& row : table) {
        bool src = false, offset = false, imm = false;
        switch (row.form) {
            case Form::DstImm:
            case Form::MovImm:
            case Form::TargetImm:
            case Form::CallImm:
            case Form::CallTarget:
            case Form::WideImm64:
            case Form::WideImm:
            case Form::WideImmNext:
            case Form::WideTarget:
            case Form::PacketAbs: imm = true; break;
            case Form::DstSrc:
            case Form::MovSrc: src = true; break;
            case Form::MovSrcImm:
            case Form::PacketInd: src = imm = true; break;
            case Form::Target: offset = true; break;
            case Form::JumpImm:
            case Form::StoreImm: offset = imm = true; break;
            case Form::JumpSrc:
            case Form::LoadMem:
            case Form::StoreSrc:
            case Form::Atomic:
            case Form::AtomicFetch:
            case Form::AtomicCmpxchg: src = offset = true; break;
            case Form::Dst:
            case Form::CallDst:
            case Form::None: break;
        }
        if (row.src_reg.operand != src || row.offset.operand != offset || row.imm.operand != imm) return false;
    }
    return true;
}
static_assert(forms_match_fields(), "a row of insn.def pins an operand of its form, or leaves another field free");

}  // namespace detail

/// One decoded instruction. Fields that are no operands of its row are zero, whatever the row pins them to, so equal
/// instructions compare equal.
struct Insn {
    Op op = Op::Exit;
    uint8_t dst = 0;  ///< register number, at most 10
    uint8_t src = 0;
    int16_t offset = 0;
    int32_t imm = 0;
    int32_t next_imm = 0;  ///< imm of the second slot of a wide load

    constexpr const Row& row() const { return row_of(op); }
    constexpr unsigned slots() const { return row().slots(); }
    /// The 64-bit immediate of a wide load.
    constexpr uint64_t imm64() const {
        return static_cast<uint32_t>(imm) | static_cast<uint64_t>(static_cast<uint32_t>(next_imm)) << 32;
    }
    constexpr void set_imm64(uint64_t value) {
        imm = static_cast<int32_t>(static_cast<uint32_t>(value));
        next_imm = static_cast<int32_t>(static_cast<uint32_t>(value >> 32));
    }

    bool operator==(const Insn&) const = default;
};
static_assert(sizeof(Insn) == 16);

/// An instruction and the index of its first slot.
struct PlacedInsn {
    InsnIndex index = 0;
    Insn insn;

    bool operator==(const PlacedInsn&) const = default;
};

namespace detail {

/// A row's pins as one comparison: the slot's bits under `mask` are `value`.
struct Pattern {
    uint64_t mask = 0, value = 0;
};

consteval std::array<Pattern, op_count> make_patterns() {
    std::array<Pattern, op_count> out;
    for (size_t i = 0; i < op_count; ++i) {
        const Row& row = table[i];
        Slot mask{.opcode = 0xff}, value{.opcode = row.opcode};
        if (!row.src_reg.operand) mask.set_src_reg(0xf), value.set_src_reg(static_cast<uint8_t>(row.src_reg.value));
        if (!row.offset.operand) mask.offset = -1, value.offset = static_cast<int16_t>(row.offset.value);
        if (!row.imm.operand) mask.imm = -1, value.imm = row.imm.value;
        out[i] = {std::bit_cast<uint64_t>(mask), std::bit_cast<uint64_t>(value)};
    }
    return out;
}
inline constexpr std::array<Pattern, op_count> patterns = make_patterns();

/// Index of the row that accepts the slot, or no_row.
constexpr uint8_t find(const Slot& slot) {
    uint64_t bits = 0;
    if consteval {
        bits = std::bit_cast<uint64_t>(slot);
    } else {
        std::memcpy(&bits, &slot, sizeof bits);  // one load, where compilers make eight of bit_cast
    }
    uint8_t i = opcode_index.first[slot.opcode];
    while (i != no_row && (bits & patterns[i].mask) != patterns[i].value) i = opcode_index.next[i];
    return i;
}

}  // namespace detail

/// The row that accepts a slot's opcode, src_reg, offset and imm; null if there is none. Looks at nothing else.
constexpr const Row* match(const Slot& slot) {
    const uint8_t i = detail::find(slot);
    return i == detail::no_row ? nullptr : &detail::table[i];
}

/// The same without a look at the row.
constexpr std::optional<Op> op_of(const Slot& slot) {
    const uint8_t i = detail::find(slot);
    if (i == detail::no_row) return std::nullopt;
    return static_cast<Op>(i);
}

/// Whether any row has this opcode.
constexpr bool is_known_opcode(uint8_t opcode) { return detail::opcode_index.first[opcode] != detail::no_row; }

/// The instruction at slot `at`. Errors: UnknownOpcode (no row has the opcode), BadInstruction (a field holds a value
/// that no row of the opcode accepts; a register above r10; a damaged second slot), Truncated (`at` or the second slot
/// lies outside).
Result<Insn> decode(std::span<const Slot> code, InsnIndex at);

/// Every instruction of a program in order. Errors: as decode.
Result<std::vector<PlacedInsn>> decode_all(std::span<const Slot> code);

struct Encoded {
    std::array<Slot, 2> slots;
    unsigned count = 1;
};

/// The slots of an instruction. Fields that are no operands of its row are ignored.
constexpr Encoded encode(const Insn& insn) {
    const Row& row = insn.row();
    Encoded out;
    Slot& first = out.slots[0];
    first.opcode = row.opcode;
    if (row.has_dst()) first.set_dst_reg(insn.dst);
    first.set_src_reg(row.src_reg.operand ? insn.src : static_cast<uint8_t>(row.src_reg.value));
    first.offset = row.offset.operand ? insn.offset : static_cast<int16_t>(row.offset.value);
    first.imm = row.imm.operand ? insn.imm : row.imm.value;
    out.count = row.slots();
    if (row.has_next_imm()) out.slots[1].imm = insn.next_imm;
    return out;
}

/// Appends the slots of `insn`.
inline void append(Code& code, const Insn& insn) {
    const Encoded encoded = encode(insn);
    code.insert(code.end(), encoded.slots.begin(), encoded.slots.begin() + encoded.count);
}

/// Where a jump, a local call or a function reference at slot `at` leads: an InsnIndex that may lie outside the
/// program. Requires: row().is_jump(), or the form is CallTarget or WideTarget. The distance counts from the slot after
/// `at`, also for the two slots of a function reference (kernel/bpf/verifier.c, BPF_PSEUDO_FUNC).
constexpr int64_t target_of(const Insn& insn, InsnIndex at) {
    const bool by_offset = insn.row().offset.operand;
    return int64_t{at} + 1 + (by_offset ? int64_t{insn.offset} : int64_t{insn.imm});
}

/// Registers whose value it uses. Calls: r1 to r5, whatever the callee takes.
constexpr RegisterSet reads_of(const Insn& insn) {
    const RegisterSet dst = register_bit(insn.dst);
    const RegisterSet src = register_bit(insn.src);
    constexpr RegisterSet arguments = 0x3e;
    switch (insn.row().form) {
        case Form::DstImm:
        case Form::Dst:
        case Form::JumpImm:
        case Form::StoreImm: return dst;
        case Form::DstSrc:
        case Form::JumpSrc:
        case Form::StoreSrc:
        case Form::Atomic:
        case Form::AtomicFetch: return static_cast<RegisterSet>(dst | src);
        case Form::AtomicCmpxchg: return static_cast<RegisterSet>(dst | src | register_bit(0));
        case Form::MovSrc:
        case Form::MovSrcImm:
        case Form::LoadMem: return src;
        case Form::CallImm:
        case Form::CallTarget: return arguments;
        case Form::CallDst: return static_cast<RegisterSet>(arguments | dst);
        case Form::PacketAbs: return register_bit(6);
        case Form::PacketInd: return static_cast<RegisterSet>(register_bit(6) | src);
        case Form::None: return insn.row().is_exit() ? register_bit(0) : RegisterSet{0};
        case Form::MovImm:
        case Form::Target:
        case Form::TargetImm:
        case Form::WideImm64:
        case Form::WideImm:
        case Form::WideImmNext:
        case Form::WideTarget: return 0;
    }
    return 0;
}

/// Registers whose value it changes or destroys.
constexpr RegisterSet writes_of(const Insn& insn) {
    switch (insn.row().form) {
        case Form::DstImm:
        case Form::DstSrc:
        case Form::MovImm:
        case Form::MovSrc:
        case Form::MovSrcImm:
        case Form::Dst:
        case Form::LoadMem:
        case Form::WideImm64:
        case Form::WideImm:
        case Form::WideImmNext:
        case Form::WideTarget: return register_bit(insn.dst);
        case Form::AtomicFetch: return register_bit(insn.src);
        case Form::AtomicCmpxchg: return register_bit(0);
        case Form::CallImm:
        case Form::CallTarget:
        case Form::CallDst:
        case Form::PacketAbs:
        case Form::PacketInd: return caller_saved;
        case Form::Target:
        case Form::TargetImm:
        case Form::JumpImm:
        case Form::JumpSrc:
        case Form::None:
        case Form::StoreImm:
        case Form::StoreSrc:
        case Form::Atomic: return 0;
    }
    return 0;
}

/// "base32" and so on; static storage.
std::string_view group_name(Group group);
/// "RFC 9669", "Linux 6.9" and so on; static storage.
std::string_view since_name(Since since);

}  // namespace skep::isa
