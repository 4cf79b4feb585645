// SPDX-License-Identifier: Apache-2.0
// Arithmetic (RFC 9669 section 4.1 and 4.2), save division.
#include "engine/jit/translator_x64.hpp"

namespace skep::engine::jit {

namespace {

using isa::Operation;

constexpr bool fits32(int64_t value) { return value >= INT32_MIN && value <= INT32_MAX; }
constexpr Width width(bool w32) { return w32 ? Width::W32 : Width::W64; }

/// The result of an operation on constants; nothing for those that are not worth it.
std::optional<uint64_t> evaluate(Operation operation, bool w32, uint64_t a, uint64_t b) {
    const unsigned mask = w32 ? 31 : 63;
    if (w32) {
        a = static_cast<uint32_t>(a);
        b = static_cast<uint32_t>(b);
    }
    const auto count = static_cast<unsigned>(b) & mask;
    std::optional<uint64_t> r;
    if (operation == Operation::Add) r = a + b;
    if (operation == Operation::Sub) r = a - b;
    if (operation == Operation::Mul) r = a * b;
    if (operation == Operation::Or) r = a | b;
    if (operation == Operation::And) r = a & b;
    if (operation == Operation::Xor) r = a ^ b;
    if (operation == Operation::Lsh) r = a << count;
    if (operation == Operation::Rsh) r = a >> count;
    if (operation == Operation::Arsh)
        r = w32 ? static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(a)) >> count)
                : static_cast<uint64_t>(static_cast<int64_t>(a) >> count);
    if (r && w32) r = static_cast<uint32_t>(*r);
    return r;
}

constexpr uint64_t sign_extended(int32_t imm) { return static_cast<uint64_t>(static_cast<int64_t>(imm)); }

}  // namespace

bool Translator::fold_constants(const Node& node) {
    if (!(put_off_ >> node.dst & 1) || value_[node.dst].kind != Value::Kind::Const) return false;
    uint64_t operand;
    if (node.has_imm)
        operand = sign_extended(node.imm);
    else if ((put_off_ >> node.src & 1) && value_[node.src].kind == Value::Kind::Const)
        operand = value_[node.src].constant;
    else
        return false;
    const auto result = evaluate(node.operation, node.is32, value_[node.dst].constant, operand);
    if (!result) return false;
    set_const(node.dst, *result);
    return true;
}

void Translator::alu(uint32_t at, const Node& node) {
    if (!live_after(node.dst)) return;  // nobody reads it; its home keeps serving the readers of the old value
    switch (node.operation) {
        case Operation::Mov: return mov(node);
        case Operation::Movsx8:
        case Operation::Movsx16:
        case Operation::Movsx32:
            return extend(node);
        SKEP_CASES_BYTE_ORDER:
            return byte_order(node);
        case Operation::Div:
        case Operation::Sdiv:
        case Operation::Mod:
        case Operation::Smod: return divide(at, node);
        case Operation::Add:
            if (!fold_constants(node)) add(node);
            return;
        case Operation::Sub:
            if (!fold_constants(node)) subtract(node);
            return;
        case Operation::Mul:
            if (!fold_constants(node)) multiply(node);
            return;
        case Operation::Or:
        case Operation::And:
        case Operation::Xor:
            if (!fold_constants(node)) bitwise(node);
            return;
        case Operation::Lsh:
        case Operation::Rsh:
        case Operation::Arsh:
            if (!fold_constants(node)) shift(node);
            return;
        case Operation::Neg:
            e_.neg(width(node.is32), modify(node.dst));
            set_home(node.dst, node.is32);
            return;
        case Operation::AddrSpaceCast: {
            // Without arenas both spaces are one: a cast to or from space 0 keeps the address.
            Node plain = node;
            plain.operation = Operation::Mov;
            plain.is32 = false;
            plain.has_imm = false;
            return mov(plain);
        }
        case Operation::Jump:
        SKEP_CASES_CONDITIONAL_JUMPS:
        case Operation::MayGoto:
        SKEP_CASES_CALLS:
        case Operation::Exit:
        SKEP_CASES_WIDE_LOADS:
        case Operation::Load:
        case Operation::LoadSigned:
        case Operation::Store:
        case Operation::LoadPacket:
        case Operation::LoadAcquire:
        case Operation::StoreRelease:
        SKEP_CASES_ATOMICS:
            return;  // no arithmetic: translate() sends them elsewhere
    }
}

void Translator::mov(const Node& node) {
    if (node.has_imm) {
        set_const(node.dst, node.is32 ? static_cast<uint32_t>(node.imm) : sign_extended(node.imm));
        return;
    }
    // Where nobody reads the upper half, a 32-bit move may copy it too.
    const bool w32 = node.is32 && (live_after_ & high_half(node.dst)) != 0;
    if ((put_off_ >> node.src & 1) && value_[node.src].kind == Value::Kind::Const) {
        const uint64_t constant = value_[node.src].constant;
        const uint16_t map = node.is32 ? no_map : value_[node.src].map;
        set_const(node.dst, node.is32 ? static_cast<uint32_t>(constant) : constant, map);
        return;
    }
    if (put_off_ >> node.src & 1) {
        Value v = value_[node.src];
        const bool narrow = v.kind == Value::Kind::Sum || v.kind == Value::Kind::Shl;  // lower half from lower halves
        if ((!w32 || upper_zero(v) || narrow) && may_read(v.refs(), node.dst)) {
            if (w32 && !upper_zero(v)) v.w32 = true;
            if (v.kind == Value::Kind::Shl && v.w32 && v.shift >= 32) {
                set_const(node.dst, 0);
                return;
            }
            set_value(node.dst, v);
            return;
        }
        flush(node.src);
    }
    Value v;
    v.kind = Value::Kind::Sum;
    v.base = node.src;
    v.w32 = w32 && !(upper_zero_ >> node.src & 1);
    set_value(node.dst, v);
}

void Translator::add_constant(unsigned dst, int64_t constant, bool w32) {
    Value v = as_sum(dst, w32);
    v.w32 = w32;
    const int64_t disp = w32 ? static_cast<int32_t>(static_cast<uint32_t>(v.disp) + static_cast<uint32_t>(constant))
                             : int64_t{v.disp} + constant;
    if (fits32(disp)) {
        v.disp = static_cast<int32_t>(disp);
        set_value(dst, v);
        return;
    }
    const Gp gp = modify(dst);
    if (fits32(constant)) {
        e_.alu_imm(Alu::Add, Width::W64, gp, static_cast<int32_t>(constant));
    } else {
        e_.mov_imm(abi_.scratch[0], static_cast<uint64_t>(constant));
        e_.alu(Alu::Add, Width::W64, gp, abi_.scratch[0]);
    }
    set_home(dst, false);
}

void Translator::add(const Node& node) {
    const bool w32 = node.is32;
    if (node.has_imm) return add_constant(node.dst, node.imm, w32);
    if (const auto imm = immediate(node.src, w32)) return add_constant(node.dst, *imm, w32);
    if (rotate(node)) return;

    const bool big = (put_off_ >> node.src & 1) && value_[node.src].kind == Value::Kind::Const;
    if (!big && node.src != node.dst) {
        Value right = as_sum(node.src, w32);
        if (!may_read(right.refs(), node.dst)) {
            flush(node.src);
            right = as_sum(node.src, w32);
        }
        Value left;
        if (immediate(node.dst, w32)) {
            left.kind = Value::Kind::Sum;
            left.disp = *immediate(node.dst, w32);
        } else {
            left = as_sum(node.dst, w32);
            right = as_sum(node.src, w32);  // bringing dst home may have changed it
        }
        // At most two registers, one of them scaled.
        struct Term {
            uint8_t reg, shift;
        };
        std::array<Term, 4> terms{};
        unsigned count = 0;
        for (const Value& v : {left, right}) {
            if (v.base != no_reg) terms[count++] = {v.base, 0};
            if (v.index != no_reg) terms[count++] = {v.index, v.shift};
        }
        const int64_t disp =
            w32 ? static_cast<int32_t>(static_cast<uint32_t>(left.disp) + static_cast<uint32_t>(right.disp))
                : int64_t{left.disp} + right.disp;
        const bool two = count == 2 && (terms[0].shift == 0 || terms[1].shift == 0);
        if (fits32(disp) && (count == 1 || two) && may_read(right.refs(), node.dst)) {
            Value v;
            v.kind = Value::Kind::Sum;
            v.w32 = w32;
            v.disp = static_cast<int32_t>(disp);
            if (count == 1 && terms[0].shift == 0) {
                v.base = terms[0].reg;
            } else if (count == 1) {
                v.index = terms[0].reg;
                v.shift = terms[0].shift;
            } else {
                const unsigned base = terms[0].shift == 0 ? 0 : 1;
                // The frame pointer's and dst's own home are the better bases: add needs one of them.
                v.base = terms[base].reg;
                v.index = terms[1 - base].reg;
                v.shift = terms[1 - base].shift;
            }
            set_value(node.dst, v);
            return;
        }
    }
    alu_generic(Alu::Add, node);
}

void Translator::subtract(const Node& node) {
    const bool w32 = node.is32;
    if (node.has_imm) return add_constant(node.dst, -int64_t{node.imm}, w32);
    if (const auto imm = immediate(node.src, w32)) return add_constant(node.dst, -int64_t{*imm}, w32);
    alu_generic(Alu::Sub, node);
}

void Translator::alu_generic(Alu op, const Node& node) {
    const Width w = width(node.is32);
    const Gp dst = modify(node.dst);
    if (node.has_imm) {
        e_.alu_imm(op, w, dst, node.imm);
    } else if (const auto imm = immediate(node.src, node.is32)) {
        e_.alu_imm(op, w, dst, *imm);
    } else {
        settle(node.src, node.is32, false);
        e_.alu(op, w, dst, fetch(node.src, node.is32));
    }
    set_home(node.dst, node.is32);
}

void Translator::shift_left(unsigned dst, unsigned count, bool w32) {
    if (count == 0) {
        if (w32) add_constant(dst, 0, true);
        return;
    }
    Value v = as_sum(dst, w32);
    const bool one = (v.base == no_reg) != (v.index == no_reg);
    const unsigned shift = (v.index == no_reg ? 0u : v.shift) + count;
    if (one && shift <= 3 && fits32(int64_t{v.disp} << count)) {
        if (v.index == no_reg) v.index = v.base;
        v.base = no_reg;
        v.shift = static_cast<uint8_t>(shift);
        v.disp = w32 ? static_cast<int32_t>(static_cast<uint32_t>(v.disp) << count)
                     : static_cast<int32_t>(int64_t{v.disp} * (int64_t{1} << count));
        v.w32 = w32;
        set_value(dst, v);
        return;
    }
    if (!v.is_copy()) {
        flush(dst);
        v = as_sum(dst, w32);
    }
    v.kind = Value::Kind::Shl;
    v.shift = static_cast<uint8_t>(count);
    v.w32 = w32;
    set_value(dst, v);
}

void Translator::multiply(const Node& node) {
    const bool w32 = node.is32;
    std::optional<int32_t> imm;
    if (node.has_imm)
        imm = node.imm;
    else
        imm = immediate(node.src, w32);
    if (!imm) {
        alu_generic(Alu::Imul, node);
        return;
    }
    const uint64_t factor = w32 ? static_cast<uint32_t>(*imm) : sign_extended(*imm);
    if (factor == 0) return set_const(node.dst, 0);
    if (std::has_single_bit(factor)) {
        shift_left(node.dst, static_cast<unsigned>(std::countr_zero(factor)), w32);
        return;
    }
    if (factor == 3 || factor == 5 || factor == 9) {
        Value v = as_sum(node.dst, w32);
        if (v.is_copy()) {
            v.index = v.base;
            v.shift = factor == 3 ? 1 : factor == 5 ? 2 : 3;
            v.w32 = w32;
            set_value(node.dst, v);
            return;
        }
    }
    define(node.dst);
    settle(node.dst, w32, false);
    const Gp src = fetch(node.dst, w32);
    e_.imul3(width(w32), home(node.dst), src, *imm);
    set_home(node.dst, w32);
}

/// x << k and x >> (width - k) joined by or, xor or add are a rotation, if both halves are still put off.
bool Translator::rotate(const Node& node) {
    if (node.has_imm || node.src == node.dst) return false;
    const unsigned bits = node.is32 ? 32 : 64;
    struct Half {
        uint8_t base;
        int left;  // count of a left shift; negative for a right one
    };
    const auto half = [&](unsigned reg) -> std::optional<Half> {
        if (!(put_off_ >> reg & 1)) return std::nullopt;
        const Value& v = value_[reg];
        if (v.kind == Value::Kind::Shl && (node.is32 || !v.w32)) return Half{v.base, v.shift};
        if (v.kind == Value::Kind::Sum && v.base == no_reg && v.index != no_reg && v.disp == 0 && v.shift != 0 &&
            (node.is32 || !v.w32))
            return Half{v.index, v.shift};
        if (v.kind == Value::Kind::Shr && (v.w32 == node.is32 || (node.is32 && (upper_zero_ >> v.base & 1))))
            return Half{v.base, -int{v.shift}};
        return std::nullopt;
    };
    const auto a = half(node.dst), b = half(node.src);
    if (!a || !b || a->base != b->base || (a->left > 0) == (b->left > 0)) return false;
    const int left = a->left > 0 ? a->left : b->left;
    const int right = a->left > 0 ? -b->left : -a->left;
    if (left + right != static_cast<int>(bits)) return false;
    const uint8_t base = a->base;
    if (base != node.dst && (put_off_ >> base & 1)) return false;  // flushing below might write its home

    needed_ = live_after_;
    define(node.dst);
    const Gp dst = home(node.dst), src = home(base);
    const Width w = width(node.is32);
    const auto count = static_cast<uint8_t>(left);
    if (dst == src) {
        e_.shift_imm(Shift::Rol, w, dst, count);
    } else if (features_.bmi2) {
        e_.rorx(w, dst, src, static_cast<uint8_t>(bits - count));
    } else {
        e_.mov(w, dst, src);
        e_.shift_imm(Shift::Rol, w, dst, count);
    }
    set_home(node.dst, node.is32);
    return true;
}

void Translator::bitwise(const Node& node) {
    const bool w32 = node.is32;
    if (node.operation != Operation::And && rotate(node)) return;
    std::optional<int32_t> imm;
    if (node.has_imm)
        imm = node.imm;
    else
        imm = immediate(node.src, w32);
    if (node.operation == Operation::And && imm) {
        if (*imm == 0) return set_const(node.dst, 0);
        if (*imm == -1) {
            if (w32) add_constant(node.dst, 0, true);
            return;
        }
        if (*imm == 0xff || *imm == 0xffff) {
            Value v = as_sum(node.dst, true);
            if (!v.is_copy()) {
                flush(node.dst);
                v = as_sum(node.dst, true);
            }
            v.kind = Value::Kind::Zext;
            v.bits = *imm == 0xff ? 8 : 16;
            v.w32 = false;
            set_value(node.dst, v);
            return;
        }
    }
    const Alu op = node.operation == Operation::And ? Alu::And : node.operation == Operation::Or ? Alu::Or : Alu::Xor;
    const bool left_zero = upper_zero(node.dst), right_zero = imm ? *imm >= 0 : upper_zero(node.src);
    const bool zero = w32 || (node.operation == Operation::And ? left_zero || right_zero : left_zero && right_zero);
    // A mask that keeps the upper half out needs no 64-bit operation.
    if (!w32 && imm && *imm >= 0 && node.operation == Operation::And) {
        e_.alu_imm(op, Width::W32, modify(node.dst), *imm);
    } else {
        alu_generic(op, node);
    }
    set_home(node.dst, zero);
}

void Translator::shift(const Node& node) {
    const bool w32 = node.is32;
    std::optional<int32_t> imm;
    if (node.has_imm)
        imm = node.imm;
    else
        imm = immediate(node.src, true);
    if (!imm) return shift_by_register(node);
    const auto count = static_cast<uint8_t>(static_cast<uint32_t>(*imm) & (w32 ? 31 : 63));
    if (node.operation == Operation::Lsh) return shift_left(node.dst, count, w32);
    if (count == 0) {
        if (w32) add_constant(node.dst, 0, true);
        return;
    }
    const bool arithmetic = node.operation == Operation::Arsh;

    // A shift up and down again is an extension.
    if ((put_off_ >> node.dst & 1) && value_[node.dst].kind == Value::Kind::Shl && value_[node.dst].w32 == w32) {
        Value v = value_[node.dst];
        const unsigned kept = (w32 ? 32u : 64u) - v.shift;
        if ((kept == 8 || kept == 16 || kept == 32) && count <= v.shift && (!w32 || kept != 32)) {
            const auto rest = static_cast<unsigned>(v.shift - count);
            v.shift = 0;
            if (arithmetic) {
                v.kind = Value::Kind::Sext;
                v.bits = static_cast<uint8_t>(kept);
            } else if (kept == 32) {
                v.kind = Value::Kind::Sum;
                v.w32 = !(upper_zero_ >> v.base & 1);
                v.disp = 0;
                v.index = no_reg;
            } else {
                v.kind = Value::Kind::Zext;
                v.bits = static_cast<uint8_t>(kept);
                v.w32 = false;
            }
            if (rest != 0 && (arithmetic || kept != 32 || v.w32)) {
                set_value(node.dst, v);
                flush(node.dst);
            } else {
                set_value(node.dst, v);
            }
            if (rest != 0) shift_left(node.dst, rest, w32);
            return;
        }
    }
    if (!arithmetic) {
        const bool copy = !(put_off_ >> node.dst & 1) || value_[node.dst].is_copy();
        if (!copy) flush(node.dst);
        Value v = as_sum(node.dst, w32);
        if (v.is_copy()) {
            v.kind = Value::Kind::Shr;
            v.shift = count;
            v.w32 = w32;
            set_value(node.dst, v);
            return;
        }
    }
    e_.shift_imm(arithmetic ? Shift::Sar : Shift::Shr, width(w32), modify(node.dst), count);
    set_home(node.dst, w32 || (!arithmetic && count >= 32));
}

void Translator::shift_by_register(const Node& node) {
    const Width w = width(node.is32);
    const Shift op = node.operation == Operation::Lsh   ? Shift::Shl
                     : node.operation == Operation::Rsh ? Shift::Shr
                                                        : Shift::Sar;
    if (features_.bmi2) {
        define(node.dst);
        if (node.src != node.dst) settle(node.src, true, false);
        settle(node.dst, node.is32, false);
        if (node.src != node.dst) settle(node.src, true, false);
        const Gp from = fetch(node.dst, node.is32);
        const Gp count = node.src == node.dst ? from : fetch(node.src, true);
        e_.shiftx(op, w, home(node.dst), from, count);
        set_home(node.dst, node.is32);
        return;
    }
    const Gp dst = modify(node.dst);
    settle(node.src, true, false);
    const Gp count = fetch(node.src, true);
    const Gp scratch = abi_.scratch[0], saved = abi_.scratch[1];
    if (count == Gp::Rcx && dst != Gp::Rcx) {
        e_.shift_cl(op, w, dst);
    } else {
        // The count has to be in cl, which is some register's home.
        const Gp work = dst == Gp::Rcx ? scratch : dst;
        if (dst == Gp::Rcx)
            e_.mov(Width::W64, scratch, dst);
        else
            e_.mov(Width::W64, saved, Gp::Rcx);
        if (count != Gp::Rcx) e_.mov(Width::W32, Gp::Rcx, count);
        e_.shift_cl(op, w, work);
        e_.mov(Width::W64, Gp::Rcx, dst == Gp::Rcx ? scratch : saved);
    }
    set_home(node.dst, node.is32);
}

void Translator::extend(const Node& node) {
    Value v = as_sum(node.src, true);
    if (!v.is_copy() || !may_read(v.refs(), node.dst)) {
        flush(node.src);
        v = as_sum(node.src, true);
    }
    v.kind = Value::Kind::Sext;
    v.bits = node.operation == Operation::Movsx8 ? 8 : node.operation == Operation::Movsx16 ? 16 : 32;
    v.w32 = node.is32;
    set_value(node.dst, v);
}

void Translator::byte_order(const Node& node) {
    using enum Operation;
    const Operation op = node.operation;
    if (op == Le64) return;
    const Gp dst = modify(node.dst);
    if (op == Le16) {
        e_.zero_extend(Width::W16, dst, dst);
    } else if (op == Le32) {
        if (!upper_zero(node.dst)) e_.mov(Width::W32, dst, dst);
    } else if (op == Be16 || op == Bswap16) {
        e_.shift_imm(Shift::Rol, Width::W16, dst, 8);
        e_.zero_extend(Width::W16, dst, dst);
    } else if (op == Be32 || op == Bswap32) {
        e_.bswap(Width::W32, dst);
    } else {
        e_.bswap(Width::W64, dst);
    }
    set_home(node.dst, op != Be64 && op != Bswap64);
}

}  // namespace skep::engine::jit
