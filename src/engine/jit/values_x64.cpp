// SPDX-License-Identifier: Apache-2.0
// Put-off values: the rules of translator_x64.hpp.
#include "engine/jit/translator_x64.hpp"

namespace skep::engine::jit {

namespace {

constexpr bool fits32(int64_t value) { return value >= INT32_MIN && value <= INT32_MAX; }
constexpr Width width(bool w32) { return w32 ? Width::W32 : Width::W64; }

}  // namespace

void Translator::set_value(unsigned reg, const Value& value) {
    if (last_key_.reg == reg) last_key_.reg = no_reg;
    if (value.is_copy() && value.base == reg && (!value.w32 || (upper_zero_ >> reg & 1))) {
        value_[reg].kind = Value::Kind::Home;  // its home, unchanged all the while
        put_off_ &= ~(1u << reg);
        return;
    }
    value_[reg] = value;
    put_off_ |= 1u << reg;
}

void Translator::set_const(unsigned reg, uint64_t constant, uint16_t map) {
    Value value;
    value.kind = Value::Kind::Const;
    value.constant = constant;
    value.map = map;
    set_value(reg, value);
}

void Translator::reset_values() {
    put_off_ = 0;
    upper_zero_ = 0;
    for (Value& value : value_) value.kind = Value::Kind::Home;
    last_key_.reg = no_reg;
    last_key_.constant = false;
}

bool Translator::upper_zero(const Value& value) const {
    switch (value.kind) {
        case Value::Kind::Home: return false;
        case Value::Kind::Const: return value.constant <= UINT32_MAX;
        case Value::Kind::Sum: return value.w32 || (value.is_copy() && (upper_zero_ >> value.base & 1));
        case Value::Kind::Shl: return value.w32;
        case Value::Kind::Shr: return value.w32 || value.shift >= 32 || (upper_zero_ >> value.base & 1);
        case Value::Kind::Sext: return value.w32;
        case Value::Kind::Zext: return true;
    }
    return false;
}

bool Translator::upper_zero(unsigned reg) const {
    if (put_off_ >> reg & 1) return upper_zero(value_[reg]);
    return upper_zero_ >> reg & 1;
}

void Translator::flush_readers_of(uint32_t homes, uint32_t among) {
    uint32_t left = among;
    while (left != 0) {
        const auto reg = static_cast<unsigned>(std::countr_zero(left));
        left &= left - 1;
        if (!(put_off_ >> reg & 1) || (value_[reg].refs() & homes) == 0) continue;
        if (wanted(reg)) {
            flush(reg);
        } else {
            set_home(reg, false);
        }
    }
}

void Translator::compute(unsigned reg) {
    flush_readers(1u << reg, reg);
    const Value v = value_[reg];
    const Gp dst = home(reg);
    const Width w = width(v.w32);
    switch (v.kind) {
        case Value::Kind::Home: break;
        case Value::Kind::Const: load_const(dst, v.constant); break;
        case Value::Kind::Sum: {
            if (v.index == no_reg) {
                const Gp base = home(v.base);
                if (v.disp == 0) {
                    const bool narrow = v.w32 || (upper_zero_ >> v.base & 1);
                    if (base != dst || v.w32) e_.mov(width(narrow), dst, base);
                } else if (base == dst) {
                    if (v.disp == 128)
                        e_.alu_imm(Alu::Sub, w, dst, -128);  // one byte of immediate instead of four
                    else
                        e_.alu_imm(Alu::Add, w, dst, v.disp);
                } else {
                    e_.lea(w, dst, {base, Gp::None, 0, v.disp});
                }
                break;
            }
            const Gp index = home(v.index);
            if (v.base == no_reg) {
                if (v.shift == 1)
                    e_.lea(w, dst, {index, index, 0, v.disp});
                else if (index == dst && v.disp == 0)
                    e_.shift_imm(Shift::Shl, w, dst, v.shift);
                else
                    e_.lea(w, dst, {Gp::None, index, v.shift, v.disp});
                break;
            }
            const Gp base = home(v.base);
            if (v.disp == 0 && v.shift == 0 && base == dst)
                e_.alu(Alu::Add, w, dst, index);
            else if (v.disp == 0 && v.shift == 0 && index == dst)
                e_.alu(Alu::Add, w, dst, base);
            else
                e_.lea(w, dst, {base, index, v.shift, v.disp});
            break;
        }
        case Value::Kind::Shl:
        case Value::Kind::Shr:
            if (home(v.base) != dst) e_.mov(w, dst, home(v.base));
            e_.shift_imm(v.kind == Value::Kind::Shl ? Shift::Shl : Shift::Shr, w, dst, v.shift);
            break;
        case Value::Kind::Sext: e_.sign_extend(static_cast<Width>(v.bits / 8), w, dst, home(v.base)); break;
        case Value::Kind::Zext: e_.zero_extend(static_cast<Width>(v.bits / 8), dst, home(v.base)); break;
    }
    const bool zero = upper_zero(v);
    const uint8_t key = last_key_.reg;
    set_home(reg, zero);
    last_key_.reg = key;  // the value did not change
}

void Translator::flush_live(HalfSet live) {
    uint32_t left = put_off_ & (live | live >> 16) & 0x7ff;
    while (left != 0) {
        const auto reg = static_cast<unsigned>(std::countr_zero(left));
        left &= left - 1;
        flush(reg);
    }
}

Gp Translator::modify(unsigned reg) {
    define(reg);
    flush(reg);
    return home(reg);
}

/// Whether the values of these registers read no home but their own: see the second invariant.
bool Translator::read_themselves(uint32_t left) const {
    while (left != 0) {
        const auto reg = static_cast<unsigned>(std::countr_zero(left));
        left &= left - 1;
        if (value_[reg].refs() & ~(1u << reg)) return false;
    }
    return true;
}

Value Translator::as_sum(unsigned reg, bool w32) {
    if (put_off_ >> reg & 1) {
        const Value& v = value_[reg];
        if (v.kind == Value::Kind::Sum && (w32 || !v.w32)) return v;
        if (v.is_copy() && (upper_zero_ >> v.base & 1)) {
            Value plain = v;
            plain.w32 = false;
            return plain;
        }
        flush(reg);
    }
    Value sum;
    sum.kind = Value::Kind::Sum;
    sum.base = static_cast<uint8_t>(reg);
    return sum;
}

void Translator::settle_put_off(unsigned reg, bool w32, bool imm) {
    if (imm && immediate(reg, w32)) return;
    const Value& v = value_[reg];
    if (v.is_copy() && (w32 || !v.w32 || (upper_zero_ >> v.base & 1))) return;
    flush(reg);
}

void Translator::settle_put_off_address(unsigned reg, int32_t offset) {
    const Value& v = value_[reg];
    if (v.kind == Value::Kind::Sum && fits32(int64_t{v.disp} + offset) &&
        (!v.w32 || (v.is_copy() && (upper_zero_ >> v.base & 1))))
        return;
    flush(reg);
}

Mem Translator::address(unsigned reg, int32_t offset) const {
    if (!(put_off_ >> reg & 1)) return {home(reg), Gp::None, 0, offset};
    const Value& v = value_[reg];
    Mem mem;
    if (v.base != no_reg) mem.base = home(v.base);
    if (v.index != no_reg) {
        mem.index = home(v.index);
        mem.scale = v.shift;
    }
    mem.disp = v.disp + offset;
    if (mem.base == Gp::None && mem.scale == 1) {
        mem.base = mem.index;
        mem.scale = 0;
    }
    return mem;
}

}  // namespace skep::engine::jit
