// SPDX-License-Identifier: Apache-2.0
// Arithmetic on numeric facts: one function per RFC 9669 operation, at both widths.
//
// The 64-bit operations take and give Num<Word>. The 32-bit ones are computed on the low halves alone and zero-extended
// (RFC 9669 section 4.1). For + - * & | ^ and left shifts the low half of the 64-bit result depends on the low halves
// only, so the half's answer refines the word's.
// Every function F here makes the same claim:  x in gamma(a), y in gamma(b)  =>  f(x, y) in gamma(F(a, b)),
// and says why. Checked: alu_test.cpp, against enumerated sets at 8 and 4 bits and sampled members at 64.
#pragma once

#include <algorithm>
#include <bit>

#include "verifier/num/num.hpp"

namespace skep::verifier::num {

/// What is known of a word without its half: the operand of an operation at one width.
template <typename Word>
struct Part {
    Tnum<Word> bits;
    Arc<Word> range;

    static constexpr Part unknown() { return {Tnum<Word>::unknown(), Arc<Word>::full()}; }
    static constexpr Part constant(const Word& v) { return {Tnum<Word>::constant(v), Arc<Word>::constant(v)}; }
    constexpr bool contains(const Word& x) const { return bits.contains(x) && range.contains(x); }
};

/// Plain integers of a word type, for loops over bits and exact arithmetic.
constexpr uint64_t to_uint(uint64_t x) { return x; }
constexpr uint64_t to_uint(uint32_t x) { return x; }
template <unsigned N>
constexpr uint64_t to_uint(SmallWord<N> x) {
    return x.bits;
}
template <typename Word>
constexpr int64_t to_int(const Word& x) {
    constexpr unsigned unused = 64 - bits_of<Word>;
    return static_cast<int64_t>(to_uint(x) << unused) >> unused;
}

template <typename Word>
constexpr Part<Word> join(const Part<Word>& a, const Part<Word>& b) {
    return {join(a.bits, b.bits), join(a.range, b.range)};
}

namespace part {

template <typename Word>
constexpr Part<Word> add(const Part<Word>& a, const Part<Word>& b) {
    return {num::add(a.bits, b.bits), num::add(a.range, b.range)};
}
template <typename Word>
constexpr Part<Word> sub(const Part<Word>& a, const Part<Word>& b) {
    return {num::sub(a.bits, b.bits), num::sub(a.range, b.range)};
}

/// Because: x & y is at most either operand.
template <typename Word>
constexpr Part<Word> bit_and(const Part<Word>& a, const Part<Word>& b) {
    const Word high = std::min(umax(a.range), umax(b.range));
    return {num::bit_and(a.bits, b.bits), Arc<Word>::range(word<Word>(0), high)};
}
/// Because: x | y is at least either operand.
template <typename Word>
constexpr Part<Word> bit_or(const Part<Word>& a, const Part<Word>& b) {
    const Word least = std::max(umin(a.range), umin(b.range));
    return {num::bit_or(a.bits, b.bits), Arc<Word>::range(least, all_ones<Word>())};
}
template <typename Word>
constexpr Part<Word> bit_xor(const Part<Word>& a, const Part<Word>& b) {
    return {num::bit_xor(a.bits, b.bits), Arc<Word>::full()};
}

/// Whether an unsigned product of two numbers fits the word.
template <typename Word>
constexpr bool product_fits(const Word& x, const Word& y) {
    const uint64_t limit = to_uint(all_ones<Word>());
    return to_uint(x) == 0 || to_uint(y) <= limit / to_uint(x);
}

/// Claim: x in gamma(a) => x * c in gamma. Because: multiplying by c stretches the circle's steps by |c|; a negative c
///        turns the direction round.
template <typename Word>
constexpr Arc<Word> mul_const(const Arc<Word>& a, const Word& c) {
    const bool negative = to_int(c) < 0;
    const Word magnitude = negative ? word<Word>(0) - c : c;
    if (!product_fits(a.length, magnitude)) return Arc<Word>::full();
    const Word length = a.length * magnitude;
    const Word base = a.base * c;
    return {negative ? base - length : base, length};
}

/// Because: a constant factor is mul_const; else unsigned products are monotone while none overflows, and so are
///          signed ones of magnitudes below half the word's bits: the extremes are at the corners.
template <typename Word>
constexpr Part<Word> mul(const Part<Word>& a, const Part<Word>& b) {
    Part<Word> out{num::mul(a.bits, b.bits), Arc<Word>::full()};
    if (b.range.is_constant()) {
        out.range = mul_const(a.range, b.range.base);
    } else if (a.range.is_constant()) {
        out.range = mul_const(b.range, a.range.base);
    } else if (product_fits(umax(a.range), umax(b.range))) {
        out.range = Arc<Word>::range(umin(a.range) * umin(b.range), umax(a.range) * umax(b.range));
    } else {
        constexpr int64_t small = int64_t{1} << (bits_of<Word> / 2 - 1);
        const int64_t al = to_int(smin(a.range)), ah = to_int(smax(a.range));
        const int64_t bl = to_int(smin(b.range)), bh = to_int(smax(b.range));
        if (-small <= al && ah <= small && -small <= bl && bh <= small) {
            const int64_t low = std::min(std::min(al * bl, al * bh), std::min(ah * bl, ah * bh));
            const int64_t high = std::max(std::max(al * bl, al * bh), std::max(ah * bl, ah * bh));
            out.range = {word<Word>(static_cast<uint64_t>(low)),
                         word<Word>(static_cast<uint64_t>(high) - static_cast<uint64_t>(low))};
        }
    }
    return out;
}

template <typename Word>
constexpr Part<Word> from_range(const Word& low_bound, const Word& high_bound) {
    const Arc<Word> range = Arc<Word>::range(low_bound, high_bound);
    return {of_arc(range), range};
}

/// Unsigned division; by zero gives zero (RFC 9669 section 4.1).
/// Because: x / y grows with x and falls with y; y = 0 adds the one value 0.
template <typename Word>
constexpr Part<Word> div(const Part<Word>& a, const Part<Word>& b) {
    const Word one = word<Word>(1);
    const Word high = umax(a.range) / std::max(one, umin(b.range));
    const bool may_be_zero = b.contains(word<Word>(0));
    const Word divisor = umax(b.range);
    const Word least = may_be_zero || divisor == word<Word>(0) ? word<Word>(0) : umin(a.range) / divisor;
    return from_range(least, b.range == Arc<Word>::constant(word<Word>(0)) ? word<Word>(0) : high);
}

/// Unsigned remainder; by zero leaves x (RFC 9669 section 4.1).
/// Because: x % y is at most x and below y; 2^k keeps the low bits; y = 0 adds x itself.
template <typename Word>
constexpr Part<Word> mod(const Part<Word>& a, const Part<Word>& b) {
    const Word zero = word<Word>(0);
    const Word one = word<Word>(1);
    if (b.range.is_constant()) {
        const Word c = b.range.base;
        if (c == zero) return a;
        if ((c & (c - one)) == zero) return bit_and(a, Part<Word>::constant(c - one));
        if (umax(a.range) < c) return a;
    }
    const Word divisor = umax(b.range);
    const Word below = divisor == zero ? zero : divisor - one;
    Part<Word> out = from_range(zero, std::min(umax(a.range), below));
    if (b.contains(zero)) out = join(out, a);
    return out;
}

/// Signed division and remainder, truncating toward zero (RFC 9669 section 4.1): by a constant divisor.
/// Because: division by a positive constant is monotone in x; by -1 it is negation, which wraps for the least number
///          as the instruction does; by another negative one it falls with x.
template <typename Word>
constexpr Part<Word> sdiv(const Part<Word>& a, const Part<Word>& b) {
    if (!b.range.is_constant()) return Part<Word>::unknown();
    const Word c = b.range.base;
    if (c == word<Word>(0)) return Part<Word>::constant(word<Word>(0));
    if (c == all_ones<Word>()) return sub(Part<Word>::constant(word<Word>(0)), a);
    const int64_t divisor = to_int(c);
    int64_t low_end = to_int(smin(a.range)) / divisor;
    int64_t high_end = to_int(smax(a.range)) / divisor;
    if (low_end > high_end) std::swap(low_end, high_end);
    const Word base = word<Word>(static_cast<uint64_t>(low_end));
    return {Tnum<Word>::unknown(), {base, word<Word>(static_cast<uint64_t>(high_end)) - base}};
}
/// Because: |x smod c| < |c| and at most |x|, with the sign of x; the least number by -1 gives 0.
template <typename Word>
constexpr Part<Word> smod(const Part<Word>& a, const Part<Word>& b) {
    if (!b.range.is_constant()) return Part<Word>::unknown();
    const Word c = b.range.base;
    if (c == word<Word>(0)) return a;
    const Word magnitude = to_int(c) < 0 ? word<Word>(0) - c : c;  // of the least number: itself, as unsigned
    const Word most = magnitude - word<Word>(1);
    const Word zero = word<Word>(0);
    const int64_t x_low = to_int(smin(a.range)), x_high = to_int(smax(a.range));
    const Word up = x_high <= 0 ? zero : std::min(most, word<Word>(static_cast<uint64_t>(x_high)));
    const Word down = x_low >= 0 ? zero : std::min(most, zero - word<Word>(static_cast<uint64_t>(x_low)));
    return {Tnum<Word>::unknown(), {zero - down, up + down}};
}

enum class Shift : uint8_t { Left, Right, ArithmeticRight };

template <typename Word>
constexpr Part<Word> shift_const(Shift kind, const Part<Word>& a, unsigned k) {
    switch (kind) {
        case Shift::Left: return {shl_const(a.bits, k), shl_const(a.range, k)};
        case Shift::Right: return {shr_const(a.bits, k), shr_const(a.range, k)};
        case Shift::ArithmeticRight: return {sar_const(a.bits, k), sar_const(a.range, k)};
    }
    return Part<Word>::unknown();
}

/// Shift by a set of amounts; the amount is taken modulo the width (RFC 9669 section 4.1).
/// Because: it is the join over every amount the operand can hold.
template <typename Word>
constexpr Part<Word> shift(Shift kind, const Part<Word>& a, const Part<Word>& b) {
    constexpr unsigned mask = bits_of<Word> - 1;
    static_assert((bits_of<Word> & mask) == 0 || bits_of<Word> < 16);
    bool first = true;
    Part<Word> out = Part<Word>::unknown();
    // An amount k is possible if some value with these low bits is: the tnum decides that; the range only when it is
    // too short to run through every residue.
    const bool short_range = to_uint(b.range.length) < bits_of<Word>;
    for (unsigned k = 0; k < bits_of<Word>; ++k) {
        const Word amount = word<Word>(k);
        const Word residue_mask = word<Word>(mask);
        if (((amount ^ b.bits.value) & ~b.bits.mask & residue_mask) != word<Word>(0)) continue;
        if (short_range && ((amount - b.range.base) & residue_mask) > b.range.length) continue;
        const Part<Word> one = shift_const(kind, a, k);
        out = first ? one : join(out, one);
        first = false;
    }
    return out;
}

/// Sign extension of the low N bits.
/// Because: if the low N bits, as an arc of N bits, do not cross from the largest to the least signed number, sign
///          extension keeps their distances; else it spans at most the N-bit range.
template <typename Word>
constexpr Part<Word> sign_extend(const Part<Word>& a, unsigned n) {
    if (n >= bits_of<Word>) return a;
    const Word field = shl(word<Word>(1), n) - word<Word>(1);
    const Word sign = shl(word<Word>(1), n - 1);
    const auto extended = [&](const Word& x) { return ((x & field) ^ sign) - sign; };
    Part<Word> out;
    out.bits = {extended(a.bits.value), extended(a.bits.mask)};
    out.bits.value = out.bits.value & ~out.bits.mask;
    if ((a.bits.mask & sign) == word<Word>(0)) {
        const Word upper = ~field;
        out.bits.value =
            (a.bits.value & sign) == word<Word>(0) ? (a.bits.value & field) : (a.bits.value & field) | upper;
        out.bits.mask = a.bits.mask & field;
    }
    out.range = {word<Word>(0) - sign, field};
    if (a.range.length <= field) {
        const Word start = extended(a.range.base), stop = extended(a.range.end());
        if (to_int(start) <= to_int(stop) && stop - start == a.range.length) out.range = {start, a.range.length};
    }
    return out;
}

/// Byte order reversed in the low `bytes` bytes, zero-extended. Because: bits only change place.
template <typename Word>
constexpr Part<Word> byte_swap(const Part<Word>& a, unsigned bytes) {
    const auto swapped = [&](const Word& x) {
        Word out = word<Word>(0);
        for (unsigned i = 0; i < bytes; ++i) {
            out = out | shl(shr(x, 8 * i) & word<Word>(0xff), 8 * (bytes - 1 - i));
        }
        return out;
    };
    const Tnum<Word> bits{swapped(a.bits.value), swapped(a.bits.mask)};
    return {bits, to_arc(bits)};
}

/// The low `n` bits, zero-extended (n < W).
template <typename Word>
constexpr Part<Word> zero_extend_bits(const Part<Word>& a, unsigned n) {
    return bit_and(a, Part<Word>::constant(shl(word<Word>(1), n) - word<Word>(1)));
}

}  // namespace part

/// The two operands an operation at a width sees.
template <typename Word>
constexpr Part<Word> wide_part(const Num<Word>& n) {
    return {n.bits, n.wide};
}
template <typename Word>
constexpr Part<Half<Word>> low_part(const Num<Word>& n) {
    return {low(n.bits), n.narrow};
}

/// A 64-bit result: what the operation says of the word, and, where the low half of the result depends on the low
/// halves only, what it says of them. Never empty: operations are total.
template <typename Word>
constexpr Num<Word> from_parts(const Part<Word>& wide, const Part<Half<Word>>* low_half) {
    Num<Word> n{wide.bits, wide.range, Arc<Half<Word>>::full()};
    if (low_half != nullptr) {
        n.narrow = low_half->range;
        const auto bits = meet(low(n.bits), low_half->bits);
        if (bits.some) n.bits = with_low(n.bits, bits.value);
    }
    const auto reduced = reduce(n);
    return reduced ? *reduced : n;
}

/// A 32-bit result: zero-extended.
template <typename Word>
constexpr Num<Word> from_low(const Part<Half<Word>>& low_half) {
    Num<Word> n = zero_extend<Word>(low_half.bits, low_half.range);
    return n;
}

}  // namespace skep::verifier::num
