// SPDX-License-Identifier: Apache-2.0
#include "isa/disasm.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace skep::isa {
namespace {

/// A signed number as llvm-objdump prints it: 0x5, -0x5; the least value has no positive twin, hence the unsigned step.
std::string hex(int64_t value) {
    if (value >= 0) return fmt::format("{:#x}", value);
    return fmt::format("-{:#x}", uint64_t{0} - static_cast<uint64_t>(value));
}

/// The same with an explicit plus.
std::string signed_hex(int64_t value) { return value < 0 ? hex(value) : "+" + hex(value); }

/// `name` in angle brackets with a leading blank, or nothing.
std::string annotation(std::string_view name) { return name.empty() ? "" : fmt::format(" <{}>", name); }

std::string_view target_label(const Insn& insn, InsnIndex at, const Labels& labels) {
    const int64_t target = target_of(insn, at);
    if (target < 0 || target > UINT32_MAX) return {};
    const auto found = labels.find(static_cast<InsnIndex>(target));
    return found == labels.end() ? std::string_view{} : std::string_view(found->second);
}

/// (r1 + 0x4)
std::string address(unsigned reg, int16_t offset) {
    return offset < 0 ? fmt::format("r{} - {:#x}", reg, -int{offset}) : fmt::format("r{} + {:#x}", reg, int{offset});
}

/// Registers of memory accesses up to 32 bits are written w (llvm-objdump with ALU32).
char letter(unsigned bits) { return bits <= 32 ? 'w' : 'r'; }

std::string canonical(const Insn& insn, InsnIndex at, const Labels& labels) {
    const Row& row = insn.row();
    const unsigned bits = row.width_bits();
    const char r = letter(bits);
    switch (row.form) {
        case Form::DstImm:
        case Form::MovImm: return fmt::format("{}{} {} {}", r, insn.dst, row.text, hex(insn.imm));
        case Form::DstSrc: return fmt::format("{}{} {} {}{}", r, insn.dst, row.text, r, insn.src);
        case Form::MovSrc:
            if (row.operation == Operation::Mov) return fmt::format("{}{} = {}{}", r, insn.dst, r, insn.src);
            return fmt::format("{}{} = ({}){}{}", r, insn.dst, row.text, r, insn.src);
        case Form::MovSrcImm:
            return fmt::format("r{} = {}(r{}, {:#x}, {:#x})", insn.dst, row.text, insn.src,
                               static_cast<uint32_t>(insn.imm) >> 16, static_cast<uint32_t>(insn.imm) & 0xffff);
        case Form::Dst:
            if (row.operation == Operation::Neg) return fmt::format("{}{} = -{}{}", r, insn.dst, r, insn.dst);
            return fmt::format("r{} = {} r{}", insn.dst, row.text, insn.dst);
        case Form::Target:
            return fmt::format("{} {}{}", row.text, signed_hex(insn.offset),
                               annotation(target_label(insn, at, labels)));
        case Form::TargetImm:
            return fmt::format("{} {}{}", row.text, signed_hex(insn.imm), annotation(target_label(insn, at, labels)));
        case Form::JumpImm:
            return fmt::format("if {}{} {} {} goto {}{}", r, insn.dst, row.text, hex(insn.imm), signed_hex(insn.offset),
                               annotation(target_label(insn, at, labels)));
        case Form::JumpSrc:
            return fmt::format("if {}{} {} {}{} goto {}{}", r, insn.dst, row.text, r, insn.src, signed_hex(insn.offset),
                               annotation(target_label(insn, at, labels)));
        case Form::CallImm:
            return fmt::format("call {}{}", hex(insn.imm), row.operation == Operation::CallKfunc ? " <kfunc>" : "");
        case Form::CallTarget: {
            const std::string_view label = target_label(insn, at, labels);
            return fmt::format("call {} <{}>", hex(insn.imm), label.empty() || label == "kfunc" ? "local" : label);
        }
        case Form::CallDst: return fmt::format("callx r{}", insn.dst);
        case Form::None: return std::string(row.text);
        case Form::WideImm64: return fmt::format("r{} = {} ll", insn.dst, hex(static_cast<int64_t>(insn.imm64())));
        case Form::WideImm:
        case Form::WideTarget:
            return fmt::format("ld_pseudo r{}, {:#x}, {:#x}", insn.dst, row.src_reg.value,
                               static_cast<uint32_t>(insn.imm));
        case Form::WideImmNext:
            return fmt::format("ld_pseudo r{}, {:#x}, {:#x}{}", insn.dst, row.src_reg.value,
                               static_cast<uint32_t>(insn.imm),
                               insn.next_imm == 0 ? "" : annotation(signed_hex(insn.next_imm)));
        case Form::LoadMem:
            if (row.operation == Operation::LoadAcquire) {
                return fmt::format("{}{} = load_acquire(({} *)({}))", r, insn.dst, row.text,
                                   address(insn.src, insn.offset));
            }
            return fmt::format("{}{} = *({} *)({})", row.operation == Operation::LoadSigned ? 'r' : r, insn.dst,
                               row.text, address(insn.src, insn.offset));
        case Form::StoreImm:
            return fmt::format("*({} *)({}) = {}", row.text, address(insn.dst, insn.offset), hex(insn.imm));
        case Form::StoreSrc:
            if (row.operation == Operation::StoreRelease) {
                return fmt::format("store_release(({} *)({}), {}{})", row.text, address(insn.dst, insn.offset), r,
                                   insn.src);
            }
            return fmt::format("*({} *)({}) = {}{}", row.text, address(insn.dst, insn.offset), r, insn.src);
        case Form::PacketAbs: return fmt::format("r0 = *({} *)skb[{}]", row.text, hex(insn.imm));
        case Form::PacketInd:
            return fmt::format("r0 = *({} *)skb[r{}]{}", row.text, insn.src,
                               insn.imm == 0 ? "" : annotation(signed_hex(insn.imm)));
        case Form::Atomic:
            return fmt::format("lock *(u{} *)({}) {} {}{}", bits, address(insn.dst, insn.offset), row.text, r,
                               insn.src);
        case Form::AtomicFetch:
            if (row.operation == Operation::AtomicXchg) {
                return fmt::format("{}{} = {}({}, {}{})", r, insn.src, row.text, address(insn.dst, insn.offset), r,
                                   insn.src);
            }
            return fmt::format("{}{} = {}((u{} *)({}), {}{})", r, insn.src, row.text, bits,
                               address(insn.dst, insn.offset), r, insn.src);
        case Form::AtomicCmpxchg:
            return fmt::format("{}0 = {}({}, {}0, {}{})", r, row.text, address(insn.dst, insn.offset), r, r, insn.src);
    }
    return {};
}

std::string conformance_target(const Insn& insn, InsnIndex at, const Labels& labels, int32_t distance) {
    const std::string_view label = target_label(insn, at, labels);
    return label.empty() ? fmt::format("{:+}", distance) : std::string(label);
}

std::string conformance(const Insn& insn, InsnIndex at, const Labels& labels) {
    const Row& row = insn.row();
    const std::string_view m = row.mnemonic;
    const auto memory = [&](unsigned reg) {
        return insn.offset == 0 ? fmt::format("[%r{}]", reg) : fmt::format("[%r{}{:+}]", reg, int{insn.offset});
    };
    switch (row.form) {
        case Form::DstImm:
        case Form::MovImm: return fmt::format("{} %r{}, {}", m, insn.dst, hex(insn.imm));
        case Form::DstSrc:
        case Form::MovSrc: return fmt::format("{} %r{}, %r{}", m, insn.dst, insn.src);
        case Form::MovSrcImm: return fmt::format("{} %r{}, %r{}, {}", m, insn.dst, insn.src, hex(insn.imm));
        case Form::Dst:
        case Form::CallDst: return fmt::format("{} %r{}", m, insn.dst);
        case Form::Target: return fmt::format("{} {}", m, conformance_target(insn, at, labels, insn.offset));
        case Form::TargetImm:
        case Form::CallTarget: return fmt::format("{} {}", m, conformance_target(insn, at, labels, insn.imm));
        case Form::JumpImm:
            return fmt::format("{} %r{}, {}, {}", m, insn.dst, hex(insn.imm),
                               conformance_target(insn, at, labels, insn.offset));
        case Form::JumpSrc:
            return fmt::format("{} %r{}, %r{}, {}", m, insn.dst, insn.src,
                               conformance_target(insn, at, labels, insn.offset));
        case Form::CallImm: return fmt::format("{} {}", m, hex(insn.imm));
        case Form::None: return std::string(m);
        case Form::WideImm64: return fmt::format("{} %r{}, {:#x}", m, insn.dst, insn.imm64());
        case Form::WideImm: return fmt::format("{} %r{}, {}", m, insn.dst, hex(insn.imm));
        case Form::WideImmNext: return fmt::format("{} %r{}, {}, {}", m, insn.dst, hex(insn.imm), hex(insn.next_imm));
        case Form::WideTarget:
            return fmt::format("{} %r{}, {}", m, insn.dst, conformance_target(insn, at, labels, insn.imm));
        case Form::LoadMem: return fmt::format("{} %r{}, {}", m, insn.dst, memory(insn.src));
        case Form::StoreImm: return fmt::format("{} {}, {}", m, memory(insn.dst), hex(insn.imm));
        case Form::StoreSrc:
        case Form::Atomic:
        case Form::AtomicFetch:
        case Form::AtomicCmpxchg: return fmt::format("{} {}, %r{}", m, memory(insn.dst), insn.src);
        case Form::PacketAbs: return fmt::format("{} {}", m, hex(insn.imm));
        case Form::PacketInd: return fmt::format("{} %r{}, {}", m, insn.src, hex(insn.imm));
    }
    return {};
}

}  // namespace

std::string disassemble(const Insn& insn, InsnIndex at, const Labels& labels, Dialect dialect) {
    switch (dialect) {
        case Dialect::Canonical: return canonical(insn, at, labels);
        case Dialect::Conformance: return conformance(insn, at, labels);
    }
    return {};
}

Labels label_targets(std::span<const PlacedInsn> insns, const Labels& given) {
    Labels labels = given;
    const auto begins = [&](int64_t slot) {
        const auto found = std::lower_bound(insns.begin(), insns.end(), slot,
                                            [](const PlacedInsn& p, int64_t s) { return int64_t{p.index} < s; });
        return found != insns.end() && int64_t{found->index} == slot;
    };
    // Functions first: a function that is also jumped to keeps its function's name.
    for (const bool functions : {true, false}) {
        for (const auto& [at, insn] : insns) {
            const Form form = insn.row().form;
            const bool function = form == Form::CallTarget || form == Form::WideTarget;
            if (function ? !functions : functions || !insn.row().is_jump()) continue;
            const int64_t target = target_of(insn, at);
            if (!begins(target)) continue;
            labels.try_emplace(static_cast<InsnIndex>(target), fmt::format("{}{}", functions ? "func_" : "L", target));
        }
    }
    return labels;
}

Result<std::string> disassemble_program(std::span<const Slot> code, const Labels& given, Dialect dialect) {
    SKEP_ASSIGN(const std::vector<PlacedInsn> insns, decode_all(code));
    const Labels labels = label_targets(insns, given);
    std::string text;
    for (const auto& [at, insn] : insns) {
        if (const auto label = labels.find(at); label != labels.end()) text += fmt::format("{}:\n", label->second);
        text += fmt::format("    {}\n", disassemble(insn, at, labels, dialect));
    }
    return text;
}

}  // namespace skep::isa
