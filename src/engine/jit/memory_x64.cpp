// SPDX-License-Identifier: Apache-2.0
// Loads, stores and atomic operations (RFC 9669 section 5). Every access has exactly the instruction's width, save
// stores of constants to the frame, which nobody else can see: neighbours are joined, so that a key that is built in
// pieces and read whole does not stall in the store buffer.
#include "engine/jit/translator_x64.hpp"

namespace skep::engine::jit {

namespace {

using isa::Operation;

constexpr bool fits32(int64_t value) { return value >= INT32_MIN && value <= INT32_MAX; }

/// The width a byte-order instruction swaps, 0 for every other one.
unsigned swapped_bytes(Operation operation) {
    if (operation == Operation::Be16 || operation == Operation::Bswap16) return 2;
    if (operation == Operation::Be32 || operation == Operation::Bswap32) return 4;
    if (operation == Operation::Be64 || operation == Operation::Bswap64) return 8;
    return 0;
}

}  // namespace

void Translator::load(uint32_t at, const Node& node) {
    flush_stores();
    if (const Binding* bound = binding(at); bound != nullptr && bound->kind == BindingKind::Context)
        return load_context(node, bound->context);
    define(node.dst);
    settle_address(node.src, node.offset);
    const Mem mem = address(node.src, node.offset);
    const Gp dst = home(node.dst);
    const auto width = static_cast<Width>(node.bytes);
    if (node.operation == Operation::LoadSigned) {
        e_.load_signed(width, dst, mem);
        set_home(node.dst, false);
        return;
    }
    const uint32_t next = at + 1;
    if (!is_leader(next) && analysis_.nodes[next].dst == node.dst && node.bytes > 1 &&
        swapped_bytes(analysis_.nodes[next].operation) == node.bytes) {
        if (node.bytes == 2) {
            e_.load(width, dst, mem);
            e_.shift_imm(Shift::Rol, Width::W16, dst, 8);
        } else if (features_.movbe) {
            e_.load_swapped(width, dst, mem);
        } else {
            e_.load(width, dst, mem);
            e_.bswap(width, dst);
        }
        next_ = next + 1;
    } else {
        e_.load(width, dst, mem);
    }
    set_home(node.dst, node.bytes < 8);
}

/// `access.host_bytes` bytes at the host's offset; the part that the program asked for, in the machine's byte order.
void Translator::load_context(const Node& node, const ContextAccess& access) {
    define(node.dst);
    settle_address(node.src, access.host_offset + access.part_offset);
    const Gp dst = home(node.dst);
    unsigned bytes = access.host_bytes;
    if (access.pointer || access.byte_swap) {
        e_.load(static_cast<Width>(access.host_bytes), dst, address(node.src, access.host_offset));
    } else {
        bytes = std::min<unsigned>(access.access_bytes, static_cast<unsigned>(access.host_bytes - access.part_offset));
        if (!std::has_single_bit(bytes)) bytes = std::bit_floor(bytes);
        e_.load(static_cast<Width>(bytes), dst, address(node.src, access.host_offset + access.part_offset));
    }
    if (!access.pointer && access.byte_swap) {
        if (access.host_bytes == 2)
            e_.shift_imm(Shift::Rol, Width::W16, dst, 8);
        else if (access.host_bytes >= 4)
            e_.bswap(static_cast<Width>(access.host_bytes), dst);
        if (access.part_offset != 0)
            e_.shift_imm(Shift::Shr, Width::W64, dst, static_cast<uint8_t>(8 * access.part_offset));
        if (access.access_bytes < access.host_bytes) e_.zero_extend(static_cast<Width>(access.access_bytes), dst, dst);
    }
    if (node.operation == Operation::LoadSigned && !access.pointer) {
        if (access.access_bytes < 8) e_.sign_extend(static_cast<Width>(access.access_bytes), Width::W64, dst, dst);
        set_home(node.dst, false);
        return;
    }
    set_home(node.dst, bytes < 8 || (!access.pointer && access.access_bytes < 8));
}

void Translator::store_context(const Node& node, const ContextAccess& access) {
    const auto bytes =
        std::min<unsigned>(access.access_bytes, static_cast<unsigned>(access.host_bytes - access.part_offset));
    const int32_t offset = access.host_offset + access.part_offset;
    const Gp scratch = abi_.scratch[0];
    if (!node.has_imm) settle(node.src, bytes < 8, false);
    settle_address(node.dst, offset);
    if (node.has_imm)
        e_.mov_imm(scratch, static_cast<uint64_t>(int64_t{node.imm}));
    else
        e_.mov(Width::W64, scratch, fetch(node.src, bytes < 8));
    if (access.access_bytes < access.host_bytes || access.byte_swap) {
        // A program's store is zero-extended to the host's field, as a load of it is.
        if (access.access_bytes < 8) e_.zero_extend(static_cast<Width>(access.access_bytes), scratch, scratch);
    }
    if (access.byte_swap) {
        if (bytes == 2)
            e_.shift_imm(Shift::Rol, Width::W16, scratch, 8);
        else if (bytes >= 4)
            e_.bswap(static_cast<Width>(bytes), scratch);
    }
    e_.store(static_cast<Width>(bytes), address(node.dst, offset), scratch);
}

std::optional<Mem> Translator::frame_address(unsigned reg, int32_t offset) const {
    const uint8_t frame = isa::frame_register;
    if (reg == frame) return Mem{home(frame), Gp::None, 0, offset};
    if (!(put_off_ >> reg & 1)) return std::nullopt;
    const Value& v = value_[reg];
    if (v.kind != Value::Kind::Sum || v.w32 || v.base != frame || v.index != no_reg) return std::nullopt;
    if (!fits32(int64_t{v.disp} + offset)) return std::nullopt;
    return Mem{home(frame), Gp::None, 0, v.disp + offset};
}

void Translator::store(uint32_t at, const Node& node) {
    if (const Binding* bound = binding(at); bound != nullptr && bound->kind == BindingKind::Context) {
        flush_stores();
        return store_context(node, bound->context);
    }
    const auto width = static_cast<Width>(node.bytes);
    std::optional<uint64_t> constant;
    if (node.has_imm)
        constant = static_cast<uint64_t>(int64_t{node.imm});
    else if ((put_off_ >> node.src & 1) && value_[node.src].kind == Value::Kind::Const)
        constant = value_[node.src].constant;

    const auto frame = frame_address(node.dst, node.offset);
    if (frame && constant && frame->disp >= -512 && frame->disp + node.bytes <= 0) {
        hold_store(frame->disp, node.bytes, *constant);
        last_key_ = {
            .disp = frame->disp, .reg = no_reg, .constant = node.bytes == 4, .value = static_cast<uint32_t>(*constant)};
        return;
    }
    // A store that cannot touch the bytes held back may go ahead of them.
    if (!frame || (frame->disp + node.bytes > held_.word && frame->disp < held_.word + 8)) flush_stores();
    const bool immediate_store = constant && (node.bytes < 8 || fits32(static_cast<int64_t>(*constant)));
    if (immediate_store) {
        settle_address(node.dst, node.offset);
        e_.store_imm(width, address(node.dst, node.offset), static_cast<int32_t>(static_cast<uint32_t>(*constant)));
        last_key_ = {};
        return;
    }
    const bool w32 = node.bytes < 8;
    settle(node.src, w32, false);
    settle_address(node.dst, node.offset);
    e_.store(width, address(node.dst, node.offset), fetch(node.src, w32));
    last_key_ = {};
    if (frame && node.bytes == 4) {
        last_key_.disp = frame->disp;
        last_key_.reg = node.src;
    }
}

void Translator::hold_store(int32_t disp, unsigned bytes, uint64_t value) {
    for (unsigned i = 0; i < bytes; ++i) {
        const int32_t at = disp + static_cast<int32_t>(i);
        const int32_t word = at & ~7;
        if (held_.mask != 0 && held_.word != word) flush_stores();
        held_.word = word;
        held_.mask |= static_cast<uint8_t>(1u << (at - word));
        held_.bytes[static_cast<size_t>(at - word)] = static_cast<uint8_t>(value >> (8 * i));
    }
}

void Translator::write_held_stores() {
    unsigned left = held_.mask;
    held_.mask = 0;
    while (left != 0) {
        const auto start = static_cast<unsigned>(std::countr_zero(left));
        // The widest aligned piece that is all there.
        unsigned bytes = 8;
        while (start % bytes != 0 || ((left >> start) & ((1u << bytes) - 1)) != (1u << bytes) - 1) bytes /= 2;
        uint64_t value = 0;
        for (unsigned i = 0; i < bytes; ++i) value |= uint64_t{held_.bytes[start + i]} << (8 * i);
        const Mem mem{home(isa::frame_register), Gp::None, 0, held_.word + static_cast<int32_t>(start)};
        if (bytes == 8 && !fits32(static_cast<int64_t>(value))) {
            e_.mov_imm(abi_.scratch[0], value);
            e_.store(Width::W64, mem, abi_.scratch[0]);
        } else {
            e_.store_imm(static_cast<Width>(bytes), mem, static_cast<int32_t>(static_cast<uint32_t>(value)));
        }
        left &= ~(((1u << bytes) - 1) << start);
    }
}

void Translator::atomic(const Node& node) {
    flush_stores();
    last_key_ = {};
    const auto width = static_cast<Width>(node.bytes);
    const bool w32 = node.bytes == 4;
    const bool plain = node.operation == Operation::AtomicAdd || node.operation == Operation::AtomicOr ||
                       node.operation == Operation::AtomicAnd || node.operation == Operation::AtomicXor;
    const Alu op = node.operation == Operation::AtomicAdd                                                  ? Alu::Add
                   : node.operation == Operation::AtomicOr || node.operation == Operation::AtomicFetchOr   ? Alu::Or
                   : node.operation == Operation::AtomicAnd || node.operation == Operation::AtomicFetchAnd ? Alu::And
                                                                                                           : Alu::Xor;
    if (plain) {
        settle(node.src, w32, false);
        settle_address(node.dst, node.offset);
        e_.lock_alu(op, width, address(node.dst, node.offset), fetch(node.src, w32));
        return;
    }
    if (node.operation == Operation::AtomicCmpxchg) {
        modify(0);
        settle(node.src, w32, false);
        settle_address(node.dst, node.offset);
        e_.lock_cmpxchg(width, address(node.dst, node.offset), fetch(node.src, w32));
        // When it succeeds the processor leaves rax alone, its upper half too.
        if (w32) e_.mov(Width::W32, Gp::Rax, Gp::Rax);
        set_home(0, w32);
        return;
    }
    const Gp src = modify(node.src);
    settle_address(node.dst, node.offset);
    Mem mem = address(node.dst, node.offset);
    if (node.operation == Operation::AtomicFetchAdd) {
        e_.lock_xadd(width, mem, src);
    } else if (node.operation == Operation::AtomicXchg) {
        e_.xchg_mem(width, mem, src);
    } else {
        const Gp s0 = abi_.scratch[0], s1 = abi_.scratch[1], s2 = abi_.scratch[2];
        const auto uses = [&mem](Gp gp) { return mem.base == gp || mem.index == gp; };
        if (uses(Gp::Rax) || uses(src)) {
            e_.lea(Width::W64, s0, mem);
            mem = {s0, Gp::None, 0, 0};
        }
        // rax has to hold the value compared with; src's home serves for the new value until it gets the old one.
        const Gp fresh = src == Gp::Rax ? s1 : src;
        if (src != Gp::Rax) e_.mov(Width::W64, s1, Gp::Rax);
        e_.mov(Width::W64, s2, src);
        e_.load(width, Gp::Rax, mem);
        const Label again = e_.new_label();
        e_.bind(again);
        e_.mov(Width::W64, fresh, s2);
        e_.alu(op, width, fresh, Gp::Rax);
        e_.lock_cmpxchg(width, mem, fresh);
        e_.jump_if(Cond::NotEqual, again);
        if (src != Gp::Rax) {
            e_.mov(width, src, Gp::Rax);
            e_.mov(Width::W64, Gp::Rax, s1);
        } else if (w32) {
            e_.mov(Width::W32, Gp::Rax, Gp::Rax);
        }
    }
    set_home(node.src, w32);
}

}  // namespace skep::engine::jit
