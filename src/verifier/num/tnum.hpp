// SPDX-License-Identifier: Apache-2.0
// Tristate numbers (Linux' tnum): each bit is known 0, known 1 or unknown.
//
// gamma(t) = { x : x & ~mask == value }. Invariant: value & mask == 0; there is no empty tnum.
// Proved and tested as arc.hpp says.
#pragma once

#include "verifier/num/arc.hpp"
#include "verifier/num/word.hpp"

namespace skep::verifier::num {

template <typename Word>
struct Tnum {
    Word value;  ///< the known ones
    Word mask;   ///< the unknown bits

    static constexpr Tnum unknown() { return {word<Word>(0), all_ones<Word>()}; }
    static constexpr Tnum constant(const Word& v) { return {v, word<Word>(0)}; }

    constexpr BoolOf<Word> contains(const Word& x) const { return (x & ~mask) == value; }
    constexpr BoolOf<Word> is_constant() const { return mask == word<Word>(0); }
    constexpr Word umin() const { return value; }
    constexpr Word umax() const { return value | mask; }

    friend constexpr bool operator==(const Tnum&, const Tnum&) = default;
};

template <typename Word>
constexpr Tnum<Word> select(BoolOf<Word> condition, const Tnum<Word>& a, const Tnum<Word>& b) {
    return {ite(condition, a.value, b.value), ite(condition, a.mask, b.mask)};
}

/// Claim:   subset(a, b)  <=>  gamma(a) subset of gamma(b).
/// Because: each bit unknown in a must be unknown in b, each other bit unknown in b or of the same value.
template <typename Word>
constexpr BoolOf<Word> subset(const Tnum<Word>& a, const Tnum<Word>& b) {
    return both((a.mask & ~b.mask) == word<Word>(0), (a.value & ~b.mask) == b.value);
}

/// Claim:   some iff the meet is not empty, and then gamma(value) is the meet exactly.
template <typename Word>
constexpr Maybe<Word, Tnum<Word>> meet(const Tnum<Word>& a, const Tnum<Word>& b) {
    const Word mask = a.mask & b.mask;
    return {((a.value ^ b.value) & ~a.mask & ~b.mask) == word<Word>(0), {(a.value | b.value) & ~mask, mask}};
}

/// Claim:   the least tnum that includes both.
template <typename Word>
constexpr Tnum<Word> join(const Tnum<Word>& a, const Tnum<Word>& b) {
    const Word mask = a.mask | b.mask | (a.value ^ b.value);
    return {a.value & ~mask, mask};
}

/// Claim:   x in gamma(a), y in gamma(b)  =>  x + y in gamma(add(a, b)).
/// Because: the carry into a bit is the same for all members where the sums with all unknown bits 0 and all 1 agree
///          (Vishwanathan et al., CGO 2022; kernel/bpf/tnum.c tnum_add).
template <typename Word>
constexpr Tnum<Word> add(const Tnum<Word>& a, const Tnum<Word>& b) {
    const Word values = a.value + b.value;
    const Word mask = ((a.mask + b.mask + values) ^ values) | a.mask | b.mask;
    return {values & ~mask, mask};
}

/// As add, for the borrow (tnum_sub).
template <typename Word>
constexpr Tnum<Word> sub(const Tnum<Word>& a, const Tnum<Word>& b) {
    const Word values = a.value - b.value;
    const Word mask = ((values + a.mask) ^ (values - b.mask)) | a.mask | b.mask;
    return {values & ~mask, mask};
}

/// Claim (and, or, xor, complement): the best tnum of the bitwise result. Because: bits are independent.
template <typename Word>
constexpr Tnum<Word> bit_and(const Tnum<Word>& a, const Tnum<Word>& b) {
    const Word value = a.value & b.value;
    return {value, (a.value | a.mask) & (b.value | b.mask) & ~value};
}
template <typename Word>
constexpr Tnum<Word> bit_or(const Tnum<Word>& a, const Tnum<Word>& b) {
    const Word value = a.value | b.value;
    return {value, (a.mask | b.mask) & ~value};
}
template <typename Word>
constexpr Tnum<Word> bit_xor(const Tnum<Word>& a, const Tnum<Word>& b) {
    const Word mask = a.mask | b.mask;
    return {(a.value ^ b.value) & ~mask, mask};
}
template <typename Word>
constexpr Tnum<Word> complement(const Tnum<Word>& a) {
    return {~(a.value | a.mask), a.mask};
}

/// Shifts by a known amount below W: bit by bit, so exact; the arithmetic one copies the sign's knowledge (best, but
/// copies of an unknown sign are no longer known to agree).
template <typename Word>
constexpr Tnum<Word> shl_const(const Tnum<Word>& a, unsigned k) {
    return {shl(a.value, k), shl(a.mask, k)};
}
template <typename Word>
constexpr Tnum<Word> shr_const(const Tnum<Word>& a, unsigned k) {
    return {shr(a.value, k), shr(a.mask, k)};
}
template <typename Word>
constexpr Tnum<Word> sar_const(const Tnum<Word>& a, unsigned k) {
    return {sar(a.value, k), sar(a.mask, k)};
}

/// One step of the multiplication: what bit i of `a` adds.
/// Claim:   x in gamma(a), y in gamma(b)  =>  ((x >> i) & 1) * (y << i) - ((a.value >> i) & 1) * (b.value << i) is a
///          member of the returned tnum.
/// Because: bit known 1: the rest is y's unknown part, shifted; unknown: nothing or all of y; known 0: nothing.
template <typename Word>
constexpr Tnum<Word> mul_step(const Tnum<Word>& a, const Tnum<Word>& b, unsigned i) {
    const Word bit = shl(word<Word>(1), i);
    const BoolOf<Word> one = (a.value & bit) == bit;
    const BoolOf<Word> open = (a.mask & bit) == bit;
    const Word zero = word<Word>(0);
    return {zero, ite(one, shl(b.mask, i), ite(open, shl(b.value | b.mask, i), zero))};
}

/// Claim:   x in gamma(a), y in gamma(b)  =>  x * y in gamma(mul(a, b)).
/// Because: x * y is a.value * b.value plus the sum of the steps' remainders, each inside its tnum; add is sound.
template <typename Word>
constexpr Tnum<Word> mul(const Tnum<Word>& a, const Tnum<Word>& b) {
    Tnum<Word> sum = Tnum<Word>::constant(word<Word>(0));
    for (unsigned i = 0; i < bits_of<Word>; ++i) sum = add(sum, mul_step(a, b, i));
    return add(Tnum<Word>::constant(a.value * b.value), sum);
}

/// Claim:   x in gamma(a) as an arc  =>  x in gamma(of_arc(a)).
/// Because: the unsigned numbers between two share the leading bits the two share.
template <typename Word>
constexpr Tnum<Word> of_arc(const Arc<Word>& a) {
    Word below = a.base ^ a.end();  // every bit from the highest differing one downwards
    for (unsigned k = 1; k < bits_of<Word>; k *= 2) below = below | shr(below, k);
    return select<Word>(a.wraps(), Tnum<Word>::unknown(), Tnum<Word>{a.base & ~below, below});
}

/// Claim:   the arc of the least and the largest member.
template <typename Word>
constexpr Arc<Word> to_arc(const Tnum<Word>& t) {
    return {t.value, t.mask};
}

/// The least member that is not below z, if any.
/// Because: with c the known bits in which z disagrees and h the highest of them: if the member has bit h set, keeping
///          z above h and the least below it is already larger; if it has it clear, an unknown bit above h that z has
///          clear must be set first, the lowest such, keeping z above it.
template <typename Word>
constexpr Maybe<Word, Word> least_at_or_above(const Tnum<Word>& t, const Word& z) {
    const Word zero = word<Word>(0);
    const Word one = word<Word>(1);
    const Word clash = (z ^ t.value) & ~t.mask;
    Word k = clash;  // 2^(h+1) - 1
    for (unsigned s = 1; s < bits_of<Word>; s *= 2) k = k | shr(k, s);
    const Word h = k ^ shr(k, 1);
    const Word up = (z & ~k) | (t.value & k);
    const Word candidates = t.mask & ~z & ~k;
    const Word p = candidates & (zero - candidates);
    const Word carried = (z & ~(p + p - one)) | p | (t.value & (p - one));
    const BoolOf<Word> exact = clash == zero;
    const BoolOf<Word> by_value = (t.value & h) == h;
    return {either(exact, either(by_value, negate(candidates == zero))), ite(exact, z, ite(by_value, up, carried))};
}

/// The largest member that is not above z, if any: the mirror image.
template <typename Word>
constexpr Maybe<Word, Word> largest_at_or_below(const Tnum<Word>& t, const Word& z) {
    const Maybe<Word, Word> mirrored = least_at_or_above(complement(t), ~z);
    return {mirrored.some, ~mirrored.value};
}

/// Both ends of the arc moved inwards to members of the tnum.
/// Claim:   x in gamma(a) and x in gamma(t)  =>  some and x in gamma(value); none iff there is no such x.
/// Because: the first member met walking from the base is the least one at or above it, or, having gone round, the
///          least of all; dually for the end.
/// Proof:   exhaustive at small width; over 64 bits Z3 has not decided it within a minute a path (script/prove trim).
template <typename Word>
constexpr Maybe<Word, Arc<Word>> trim(const Arc<Word>& a, const Tnum<Word>& t) {
    const Maybe<Word, Word> first = least_at_or_above(t, a.base);
    const Maybe<Word, Word> last = largest_at_or_below(t, a.end());
    const Word start = ite(first.some, first.value, t.umin());
    const Word stop = ite(last.some, last.value, t.umax());
    const Word d = start - a.base;
    const Word f = a.end() - stop;
    const BoolOf<Word> some = both(d <= a.length, f <= a.length - d);
    return {some, {start, a.length - d - f}};
}

}  // namespace skep::verifier::num
