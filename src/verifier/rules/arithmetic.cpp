// SPDX-License-Identifier: Apache-2.0
// Arithmetic: linear where it can be, a defined symbol where not (design 2.2, 3.3).
#include "verifier/rules/executor.hpp"

namespace skep::verifier {

namespace {

using isa::Operation;

constexpr uint64_t low_half = 0xffffffff;

/// The linear form of an operation over the integers, if it has one. Whether the result wraps at 32 bits is the
/// caller's matter.
std::optional<Val> linear(Operation operation, const Val& x, const Val& y) {
    switch (operation) {
        case Operation::Add: return add(x, y);
        case Operation::Sub: return subtract(x, y);
        case Operation::Neg: return multiply(x, -1);
        case Operation::Mul: {
            const Val& constant = y.is_constant() ? y : x;
            if (!constant.is_constant()) return {};
            return multiply(y.is_constant() ? x : y, static_cast<int64_t>(constant.k));
        }
        case Operation::Lsh:
            if (!y.is_constant() || y.k > 30) return {};
            return multiply(x, int64_t{1} << y.k);
        case Operation::Xor:
            if (!y.is_constant() || y.k != ~uint64_t{0}) return {};
            if (const auto negated = multiply(x, -1)) return plus(*negated, ~uint64_t{0});  // ~x = -x - 1
            return {};
            // clang-format off
        case Operation::Div: case Operation::Sdiv: case Operation::Or: case Operation::And: case Operation::Rsh:
        case Operation::Mod: case Operation::Smod: case Operation::Mov: case Operation::Movsx8: case Operation::Movsx16:
        case Operation::Movsx32: case Operation::Arsh: SKEP_CASES_BYTE_ORDER: case Operation::AddrSpaceCast: case Operation::Jump:
        SKEP_CASES_CONDITIONAL_JUMPS: case Operation::MayGoto:
        SKEP_CASES_CALLS:
        case Operation::Exit: SKEP_CASES_WIDE_LOADS:
        case Operation::Load: case Operation::LoadSigned: case Operation::Store: case Operation::LoadPacket:
        case Operation::LoadAcquire: case Operation::StoreRelease: SKEP_CASES_ATOMICS: return {};
            // clang-format on
    }
    return {};
}

bool is_division(Operation op) {
    return op == Operation::Div || op == Operation::Mod || op == Operation::Sdiv || op == Operation::Smod;
}
bool is_shift(Operation op) { return op == Operation::Lsh || op == Operation::Rsh || op == Operation::Arsh; }
bool is_sign_extension(Operation op) {
    return op == Operation::Movsx8 || op == Operation::Movsx16 || op == Operation::Movsx32;
}
bool is_byte_order(Operation op) { return op >= Operation::Le16 && op <= Operation::Bswap64; }

/// Because: no bit is set in both, so no carry: x | y = x ^ y = x + y.
bool disjoint_bits(const Num& x, const Num& y) {
    return ((x.bits.value | x.bits.mask) & (y.bits.value | y.bits.mask)) == 0;
}

/// Whether `x op y` over the integers is the 32-bit result for zero-extended operands: it stays in [0, 2^32 - 1].
bool stays_in_half(const State& s, Operation op, const Val& x, const Val& y, const Num& nx, const Num& ny) {
    if (op == Operation::Add) return nx.umax() + ny.umax() <= low_half;
    if (op == Operation::Sub) {
        if (nx.umin() >= ny.umax()) return true;
        const auto difference = upper_difference(s, y, x);
        return difference && *difference <= 0;
    }
    if (op == Operation::Mul) return nx.umax() == 0 || ny.umax() <= low_half / nx.umax();
    if (op == Operation::Lsh) return ny.is_constant() && ny.umax() < 32 && nx.umax() <= (low_half >> ny.umax());
    return false;
}

}  // namespace

Val Executor::zero_extended(const Val& v, unsigned bits) {
    const Num n = number(v);
    const uint64_t mask = bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
    if (n.umax() <= mask) return n.is_constant() ? Val::constant(n.umin()) : v;
    if (v.is_constant()) return Val::constant(v.k & mask);
    const Definition def = bits == 32 ? Definition{Operation::Mov, true, v, {}}
                                      : Definition{Operation::And, false, v, Val::constant(mask)};
    const Num result =
        bits == 32 ? alu_number(Operation::Mov, true, n, n) : alu_number(Operation::And, false, n, Num::constant(mask));
    return Val::symbol(defined_symbol(s, def, result, at_));
}

bool Executor::arithmetic() {
    const bool is32 = row_.width_bits() == 32 && !is_byte_order(row_.operation);
    const Operation op = row_.operation;
    Val y = Val::constant(0);
    const bool immediate = !row_.has_src();
    if (immediate && !is_byte_order(op)) {
        // RFC 9669 section 4.1: imm is sign-extended, then cut to the width.
        y = Val::constant(static_cast<uint64_t>(int64_t{insn_.imm}) & (is32 ? low_half : ~uint64_t{0}));
    } else if (!immediate && !read(insn_.src, y)) {
        return false;
    }
    if (op == Operation::AddrSpaceCast) return fail(Rule::NotModelled, "address spaces (arenas) are not modelled");
    if (op == Operation::Mov || is_sign_extension(op)) {
        if (op == Operation::Mov) return move(y, is32);
        if (is_tainted(s, y)) {
            return fail(Rule::PointerArithmetic,
                        "r" + std::to_string(insn_.src) +
                            " holds an address, and part of it is "
                            "sign-extended",
                        insn_.src);
        }
        const Num n = number(y);
        const Num result = alu_number(op, is32, n, n);
        if (result == n) {  // the same number: nothing is cut or extended
            const unsigned bits = op == Operation::Movsx8 ? 8 : op == Operation::Movsx16 ? 16 : 32;
            const int64_t limit = int64_t{1} << (bits - 1);
            if (smin_of(n) >= (is32 ? 0 : -limit) && smax_of(n) < limit) return write(insn_.dst, y), next(), true;
        }
        write(insn_.dst, result.is_constant() ? Val::constant(result.umin())
                                              : Val::symbol(defined_symbol(s, {op, is32, y, {}}, result, at_)));
        return next(), true;
    }
    Val x;
    if (!read(insn_.dst, x)) return false;
    if (immediate && is_division(op) && insn_.imm == 0) {
        return fail(Rule::ZeroDivision, "the divisor is the constant 0", -1, {}, {}, "divide by a value that is not 0");
    }
    if (immediate && is_shift(op) && (insn_.imm < 0 || static_cast<unsigned>(insn_.imm) >= row_.width_bits())) {
        return fail(Rule::ShiftTooFar, "the shift is by " + std::to_string(insn_.imm) + ", the width is " +
                                           std::to_string(row_.width_bits()) + " bits");
    }
    if (is_tainted(s, x) || is_tainted(s, y)) return pointer_arithmetic(x, y, is32);
    return number_arithmetic(x, y, is32);
}

bool Executor::move(const Val& y, bool is32) {
    if (!is32) {
        write(insn_.dst, y);
    } else if (is_tainted(s, y)) {
        if (!subject_.options.allow_pointer_leaks) {
            return fail(Rule::PointerArithmetic, "half of an address is copied", insn_.src);
        }
        write(insn_.dst, fresh(unsigned_range(0, low_half)));  // some number: nothing is claimed of it
    } else {
        write(insn_.dst, zero_extended(y, 32));
    }
    return next(), true;
}

// Claim: the form is the address modulo 2^64. Whether it may be used is asked where it is used: an access needs its
//        offset, read as a signed word, inside the region, and then base + offset does not wrap (State: base symbols).
bool Executor::pointer_arithmetic(const Val& x, const Val& y, bool is32) {
    const Operation op = row_.operation;
    const bool leaks = subject_.options.allow_pointer_leaks;
    const bool left = is_tainted(s, x), right = is_tainted(s, y);
    const int reg = left ? insn_.dst : insn_.src;
    for (const Val* v : {&x, &y}) {
        const auto pointer = pointer_of(s, *v);
        if (!pointer) continue;
        const Region& region = s[pointer->base].region;
        if (region.nullable && left && right && op == Operation::Sub && leaks && !is32) {
            return write(insn_.dst, fresh(Num::unknown())), next(), true;  // a number of which nothing is known
        }
        if (region.nullable) {
            return fail(Rule::NullableArithmetic,
                        "r" + std::to_string(reg) + " is a pointer that may be null (" + describe(*v) + ")", reg,
                        "a pointer that is not null", {}, "compare it with 0 first");
        }
        const bool fixed =
            region.kind == RegionKind::Map || region.kind == RegionKind::Function || region.kind == RegionKind::Object;
        if (fixed && !(op == Operation::Sub && leaks && left && right)) {
            return fail(Rule::PointerArithmetic, "arithmetic on " + describe(*v), reg);
        }
    }
    const auto refused = [&](const std::string& why) {
        return fail(Rule::PointerArithmetic, why + " (" + describe(left ? x : y) + ")", reg, {}, {},
                    "only a number may be added to or subtracted from an address");
    };
    if (is32 && !(op == Operation::Sub && leaks)) return refused("32-bit arithmetic on an address");
    if (is32) return write(insn_.dst, fresh(unsigned_range(0, low_half))), next(), true;
    const bool complement = op == Operation::Xor && y.is_constant() && y.k == ~uint64_t{0};
    const bool forms = op == Operation::Add || op == Operation::Sub || (leaks && (op == Operation::Neg || complement));
    if (!forms) {
        if (leaks && is_byte_order(op)) return write(insn_.dst, fresh(Num::unknown())), next(), true;
        return refused("arithmetic that is neither + nor - on an address");
    }
    const auto plain = [&](const Val& v) { return pointer_of(s, v).has_value(); };
    if (op == Operation::Add && plain(x) && plain(y)) return refused("two addresses are added");
    if (op == Operation::Sub && plain(y) && !left) return refused("an address is subtracted from a number");
    auto form = linear(op, x, y);
    if (!form) {
        // Too many unknowns: the numbers of both operands become one.
        const auto px = pointer_of(s, x), py = pointer_of(s, y);
        if (px && !right) {
            const auto offset = linear(op, px->offset, y);
            const Val sum = offset ? *offset : fresh(alu_number(op, false, number(px->offset), number(y)));
            form = linear(Operation::Add, Val::symbol(px->base), name_terms(s, sum, at_));
        } else if (py && !left) {
            const auto offset = add(x, py->offset);
            const Val sum = offset ? *offset : fresh(add_numbers(number(x), number(py->offset)));
            form = linear(Operation::Add, Val::symbol(py->base), name_terms(s, sum, at_));
        } else if (px && py && px->base == py->base) {
            form = subtract(px->offset, py->offset);
            if (!form) form = fresh(subtract_numbers(number(px->offset), number(py->offset)));
        }
    }
    if (!form && !leaks) return refused("a number that would no longer be known to be made of addresses");
    write(insn_.dst, form ? *form : fresh(Num::unknown()));
    return next(), true;
}

bool Executor::number_arithmetic(const Val& x, const Val& y, bool is32) {
    const Operation op = row_.operation;
    const Val a = is32 ? zero_extended(x, 32) : x;
    const Val b = is32 ? zero_extended(y, 32) : y;
    const Num nx = number(a), ny = number(b);
    if (is_division(op)) out_.notes.divisor_non_zero = !ny.contains(0);
    const Num result = alu_number(op, is32, nx, ny);
    out_.notes.upper_half_zero = result.umax() <= low_half;
    const auto done = [&](const Val& v) { return write(insn_.dst, v), next(), true; };
    if (result.is_constant()) return done(Val::constant(result.umin()));

    if ((op == Operation::Or || op == Operation::Xor || op == Operation::Add) && disjoint_bits(nx, ny)) {
        if (const auto form = add(a, b)) return done(*form);
    }
    if (op == Operation::And && ny.is_constant()) {
        const uint64_t mask = ny.umin();
        if (((nx.bits.value | nx.bits.mask) & ~mask) == 0) return done(a);  // no bit is cleared
    }
    if (!is32) {
        if (const auto form = linear(op, a, ny.is_constant() ? Val::constant(ny.umin()) : b)) return done(*form);
        if (op == Operation::Add || op == Operation::Sub) {  // too many unknowns: name the sums
            const Val na = name_terms(s, a, at_), nb = name_terms(s, b, at_);
            if (const auto form = linear(op, na, nb)) return done(*form);
        }
    } else if (op == Operation::Add && ny.is_constant() && (ny.umin() >> 31) != 0 &&
               nx.umin() >= (uint64_t{1} << 32) - ny.umin()) {
        return done(plus(a, ny.umin() - (uint64_t{1} << 32)));  // a negative constant, and no borrow
    } else if (stays_in_half(s, op, a, b, nx, ny)) {
        if (const auto form = linear(op, a, ny.is_constant() ? Val::constant(ny.umin()) : b)) return done(*form);
    }
    // x << 32 >> 32 is an extension of the low half.
    if ((op == Operation::Rsh || op == Operation::Arsh) && !is32 && ny.is_constant() && ny.umin() == 32 &&
        a.is_shifted_symbol() && a.k == 0) {
        const Definition shifted = s[a.a.sym].def;
        if (shifted.operation == Operation::Lsh && !shifted.is32 && shifted.y == Val::constant(32)) {
            if (op == Operation::Rsh) return done(zero_extended(shifted.x, 32));
            const Num inner = number(shifted.x);
            const Num extended = alu_number(Operation::Movsx32, false, inner, inner);
            return done(Val::symbol(defined_symbol(s, {Operation::Movsx32, false, shifted.x, {}}, extended, at_)));
        }
    }
    return done(
        Val::symbol(defined_symbol(s, {op, is32, a, ny.is_constant() ? Val::constant(ny.umin()) : b}, result, at_)));
}

}  // namespace skep::verifier
