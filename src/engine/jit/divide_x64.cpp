// SPDX-License-Identifier: Apache-2.0
// Division and remainder (RFC 9669 section 4.1): by 0 the quotient is 0 and the remainder the dividend; the least
// negative number by -1 is itself, remainder 0. By constants: shifts, masks, and multiplication by the reciprocal
// (Granlund and Montgomery, "Division by Invariant Integers using Multiplication").
#include "engine/jit/translator_x64.hpp"

namespace skep::engine::jit {

namespace {

using isa::Operation;

constexpr Width width(bool w32) { return w32 ? Width::W32 : Width::W64; }

/// x / divisor == ((x * (2^bits + factor)) >> bits) >> shift for `wide`, else (x * factor >> bits) >> shift, for every
/// x of `bits` bits.
struct Reciprocal {
    uint64_t factor = 0;
    unsigned shift = 0;
    bool wide = false;
};

__extension__ using Wide128 = unsigned __int128;

/// Requires: divisor is no power of two and below 2^31; bits is 32 or 64.
Reciprocal reciprocal_of(uint64_t divisor, unsigned bits) {
    // l = ceil(log2 divisor); m = floor(2^(bits + l) / divisor) + 1 has bits + 1 bits and always works. Halving it
    // while the error allows keeps it within `bits` when possible.
    const auto l = static_cast<unsigned>(std::bit_width(divisor));  // not a power of two: bit_width is the ceiling
    const Wide128 one = 1;
    Wide128 low = (one << (bits + l)) / divisor;
    Wide128 high = ((one << (bits + l)) + (one << l)) / divisor;
    unsigned shift = l;
    while (shift > 0 && (low >> 1) < (high >> 1)) {
        low >>= 1;
        high >>= 1;
        --shift;
    }
    Reciprocal r;
    r.wide = (high >> bits) != 0;
    r.factor = static_cast<uint64_t>(high);
    if (bits == 32) r.factor = static_cast<uint32_t>(r.factor);
    r.shift = shift;
    return r;
}

}  // namespace

bool Translator::divide_by_constant(const Node& node, uint64_t divisor) {
    const bool w32 = node.is32;
    const bool is_signed = node.operation == Operation::Sdiv || node.operation == Operation::Smod;
    const bool remainder = node.operation == Operation::Mod || node.operation == Operation::Smod;
    const Width w = width(w32);
    const uint64_t minus_one = w32 ? UINT32_MAX : UINT64_MAX;
    if (divisor == 0) {
        if (!remainder)
            set_const(node.dst, 0);
        else if (w32)
            add_constant(node.dst, 0, true);
        return true;
    }
    if (divisor == 1 || (is_signed && divisor == minus_one)) {
        if (remainder) {
            set_const(node.dst, 0);
        } else if (divisor == 1) {
            if (w32) add_constant(node.dst, 0, true);
        } else {
            e_.neg(w, modify(node.dst));
            set_home(node.dst, w32);
        }
        return true;
    }
    if (is_signed) return false;
    if (std::has_single_bit(divisor)) {
        const auto count = static_cast<unsigned>(std::countr_zero(divisor));
        Node plain = node;
        plain.has_imm = true;
        if (!remainder) {
            plain.operation = Operation::Rsh;
            plain.imm = static_cast<int32_t>(count);
            shift(plain);
        } else if (divisor - 1 <= INT32_MAX || w32) {
            plain.operation = Operation::And;
            plain.imm = static_cast<int32_t>(static_cast<uint32_t>(divisor - 1));
            bitwise(plain);
        } else {
            const Gp dst = modify(node.dst);
            e_.mov_imm(abi_.scratch[0], divisor - 1);
            e_.alu(Alu::And, Width::W64, dst, abi_.scratch[0]);
            set_home(node.dst, false);
        }
        return true;
    }
    if (divisor > INT32_MAX) return false;

    const bool narrow = w32 || upper_zero(node.dst);
    const Gp s0 = abi_.scratch[0], s1 = abi_.scratch[1], s2 = abi_.scratch[2];
    const auto imm = static_cast<int32_t>(divisor);
    if (narrow) {
        const Reciprocal r = reciprocal_of(divisor, 32);
        const Gp dst = modify(node.dst);
        e_.mov(Width::W32, s0, dst);
        if (r.factor <= INT32_MAX) {
            e_.imul3(Width::W64, s0, s0, static_cast<int32_t>(r.factor));
        } else {
            e_.mov_imm(s1, r.factor);
            e_.alu(Alu::Imul, Width::W64, s0, s1);
        }
        if (r.wide) {
            // (x + t) >> shift with the carry: t = x * factor >> 32; ((x - t) >> 1) + t) >> (shift - 1)
            e_.shift_imm(Shift::Shr, Width::W64, s0, 32);
            e_.mov(Width::W32, s1, dst);
            e_.alu(Alu::Sub, Width::W32, s1, s0);
            e_.shift_imm(Shift::Shr, Width::W32, s1, 1);
            e_.alu(Alu::Add, Width::W32, s0, s1);
            if (r.shift > 1) e_.shift_imm(Shift::Shr, Width::W32, s0, static_cast<uint8_t>(r.shift - 1));
        } else {
            e_.shift_imm(Shift::Shr, Width::W64, s0, static_cast<uint8_t>(32 + r.shift));
        }
        if (remainder) {
            e_.imul3(Width::W32, s0, s0, imm);
            e_.alu(Alu::Sub, Width::W32, dst, s0);
        } else {
            e_.mov(Width::W32, dst, s0);
        }
        set_home(node.dst, true);
        return true;
    }
    if (!features_.bmi2) return false;
    const Reciprocal r = reciprocal_of(divisor, 64);
    const Gp dst = modify(node.dst);
    if (dst != Gp::Rdx) {
        e_.mov(Width::W64, s1, Gp::Rdx);
        e_.mov(Width::W64, Gp::Rdx, dst);
    }
    e_.mov_imm(s0, r.factor);
    e_.mulx(Width::W64, s0, s0, s0);  // both halves to one register: the upper one stays
    if (r.wide) {
        e_.mov(Width::W64, s2, Gp::Rdx);
        e_.alu(Alu::Sub, Width::W64, s2, s0);
        e_.shift_imm(Shift::Shr, Width::W64, s2, 1);
        e_.alu(Alu::Add, Width::W64, s0, s2);
        if (r.shift > 1) e_.shift_imm(Shift::Shr, Width::W64, s0, static_cast<uint8_t>(r.shift - 1));
    } else if (r.shift != 0) {
        e_.shift_imm(Shift::Shr, Width::W64, s0, static_cast<uint8_t>(r.shift));
    }
    if (dst != Gp::Rdx) e_.mov(Width::W64, Gp::Rdx, s1);
    if (remainder) {
        e_.imul3(Width::W64, s0, s0, imm);
        e_.alu(Alu::Sub, Width::W64, dst, s0);
    } else {
        e_.mov(Width::W64, dst, s0);
    }
    set_home(node.dst, false);
    return true;
}

void Translator::divide(uint32_t at, const Node& node) {
    const bool w32 = node.is32;
    const bool is_signed = node.operation == Operation::Sdiv || node.operation == Operation::Smod;
    const bool remainder = node.operation == Operation::Mod || node.operation == Operation::Smod;
    std::optional<uint64_t> constant;
    if (node.has_imm)
        constant = static_cast<uint64_t>(int64_t{node.imm});
    else if ((put_off_ >> node.src & 1) && value_[node.src].kind == Value::Kind::Const)
        constant = value_[node.src].constant;
    if (constant && w32) constant = static_cast<uint32_t>(*constant);
    if (constant && divide_by_constant(node, *constant)) return;

    // Numbers below 2^32 divide faster as such.
    bool narrow = w32;
    if (!w32 && !is_signed && upper_zero(node.dst) && (constant ? *constant <= UINT32_MAX : upper_zero(node.src)))
        narrow = true;
    const Width w = width(narrow);
    const Gp s0 = abi_.scratch[0], s1 = abi_.scratch[1], s2 = abi_.scratch[2];
    const Gp dst = modify(node.dst);
    Gp divisor = s0;
    if (!constant) {
        settle(node.src, w32, false);
        divisor = fetch(node.src, w32);
    }
    const Fact* known = fact(at);
    const bool zero_possible = !constant && !(known != nullptr && known->divisor_non_zero);
    const Label zero = e_.new_label(), minus_one = e_.new_label(), done = e_.new_label();
    if (zero_possible) {
        e_.alu(Alu::Test, w, divisor, divisor);
        e_.jump_if(Cond::Equal, zero);
    }
    const bool minus_one_possible = is_signed && !constant;
    if (minus_one_possible) {
        e_.alu_imm(Alu::Cmp, w, divisor, -1);
        e_.jump_if(Cond::Equal, minus_one);
    }
    if (constant) {
        e_.mov_imm(s0, *constant);
    } else if (divisor == Gp::Rax || divisor == Gp::Rdx) {
        e_.mov(Width::W64, s0, divisor);
        divisor = s0;
    }
    if (dst != Gp::Rax) e_.mov(Width::W64, s1, Gp::Rax);
    if (dst != Gp::Rdx) e_.mov(Width::W64, s2, Gp::Rdx);
    if (dst != Gp::Rax) e_.mov(w, Gp::Rax, dst);
    if (is_signed)
        e_.cdq_cqo(w);
    else
        e_.zero(Gp::Rdx);
    e_.wide(is_signed ? Wide::Idiv : Wide::Div, w, divisor);
    const Gp result = remainder ? Gp::Rdx : Gp::Rax;
    if (dst != result) e_.mov(w, dst, result);
    if (dst != Gp::Rax) e_.mov(Width::W64, Gp::Rax, s1);
    if (dst != Gp::Rdx) e_.mov(Width::W64, Gp::Rdx, s2);
    if (zero_possible || minus_one_possible) {
        e_.jump(done);
        if (minus_one_possible) {
            e_.bind(minus_one);
            if (remainder)
                e_.zero(dst);
            else
                e_.neg(w, dst);
            if (zero_possible) e_.jump(done);
        }
        if (zero_possible) {
            e_.bind(zero);
            if (!remainder)
                e_.zero(dst);
            else if (w32)
                e_.mov(Width::W32, dst, dst);
        }
        e_.bind(done);
    }
    set_home(node.dst, narrow);
}

}  // namespace skep::engine::jit
