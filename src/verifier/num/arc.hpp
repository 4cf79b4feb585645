// SPDX-License-Identifier: Apache-2.0
// Circular intervals: the set {base, base+1, ..., base+length} modulo 2^W. One arc stands for what a signed and an
// unsigned range say together, and never loses a bound by wrapping.
//
// gamma(arc) = { x : x - base <= length }. There is no empty arc; what can be empty returns Maybe.
// Every function here is proved over 64 bits by tests/proofs/num_proof.cpp from this very text (a symbolic word type),
// and compared with the best possible answer for all arcs over 5 bits in arc_test.cpp.
#pragma once

#include "verifier/num/word.hpp"

namespace skep::verifier::num {

template <typename Word>
struct Arc {
    Word base;
    Word length;  ///< members minus one

    static constexpr Arc full() { return {word<Word>(0), all_ones<Word>()}; }
    static constexpr Arc constant(const Word& value) { return {value, word<Word>(0)}; }
    /// Unsigned range. Requires: low <= high.
    static constexpr Arc range(const Word& low, const Word& high) { return {low, high - low}; }

    constexpr Word end() const { return base + length; }
    constexpr BoolOf<Word> contains(const Word& x) const { return (x - base) <= length; }
    constexpr BoolOf<Word> is_full() const { return length == all_ones<Word>(); }
    constexpr BoolOf<Word> is_constant() const { return length == word<Word>(0); }
    /// Whether it runs over 2^W - 1 to 0.
    constexpr BoolOf<Word> wraps() const { return length > all_ones<Word>() - base; }

    friend constexpr bool operator==(const Arc&, const Arc&) = default;
};

/// ite over arcs.
template <typename Word>
constexpr Arc<Word> select(BoolOf<Word> condition, const Arc<Word>& a, const Arc<Word>& b) {
    return {ite(condition, a.base, b.base), ite(condition, a.length, b.length)};
}

/// Claim:   subset(a, b)  <=>  gamma(a) subset of gamma(b).
/// Because: seen from b's base, a starts at d; it stays inside iff d and d + length do, without going round.
template <typename Word>
constexpr BoolOf<Word> subset(const Arc<Word>& a, const Arc<Word>& b) {
    const Word d = a.base - b.base;
    // b full accepts everything, also an a that goes round past b's own end.
    return either(b.length == all_ones<Word>(), both(d <= b.length, a.length <= b.length - d));
}

/// Claim:   x in gamma(a) and x in gamma(b)  =>  some and x in gamma(value); none only if the meet is empty.
/// Because: two arcs overlap in no piece, one or two. One piece is an arc and is returned exactly. Of two pieces no arc
///          is exact without the gap between; the shorter of the two arcs covers both.
/// Loses:   two-piece meets (a rotated signed-and-unsigned range).
template <typename Word>
constexpr Maybe<Word, Arc<Word>> meet(const Arc<Word>& a, const Arc<Word>& b) {
    const Word d = b.base - a.base;
    const Word e = a.base - b.base;
    const BoolOf<Word> b_starts_in_a = d <= a.length;
    const BoolOf<Word> a_starts_in_b = e <= b.length;
    const auto smaller = [](const Word& x, const Word& y) { return ite(x < y, x, y); };
    // Where b starts inside a: from there to the nearer end. The subtraction is meaningful only under its condition.
    const Arc<Word> from_b{b.base, smaller(b.length, a.length - d)};
    const Arc<Word> from_a{a.base, smaller(a.length, b.length - e)};
    const Arc<Word> shorter = select<Word>(a.length <= b.length, a, b);
    const Arc<Word> one_piece = select<Word>(b_starts_in_a, from_b, from_a);
    const BoolOf<Word> two = both(b_starts_in_a, a_starts_in_b);
    Arc<Word> value = select<Word>(two, shorter, one_piece);
    value = select<Word>(subset(b, a), b, value);
    value = select<Word>(subset(a, b), a, value);
    return {either(b_starts_in_a, a_starts_in_b), value};
}

/// Claim:   gamma(a) and gamma(b) subset of gamma(join(a, b)).
/// Because: the result is checked to include both before it is chosen, else it is full.
/// Best:    of the arcs that include both, one of the shortest.
template <typename Word>
constexpr Arc<Word> join(const Arc<Word>& a, const Arc<Word>& b) {
    const Arc<Word> from_a{a.base, b.end() - a.base};
    const Arc<Word> from_b{b.base, a.end() - b.base};
    const BoolOf<Word> a_ok = both(subset(a, from_a), subset(b, from_a));
    const BoolOf<Word> b_ok = both(subset(a, from_b), subset(b, from_b));
    const BoolOf<Word> use_a = both(a_ok, either(negate(b_ok), from_a.length <= from_b.length));
    Arc<Word> value = select<Word>(use_a, from_a, select<Word>(b_ok, from_b, Arc<Word>::full()));
    value = select<Word>(subset(b, a), a, value);
    return select<Word>(subset(a, b), b, value);
}

/// Claim:   x in gamma(a), y in gamma(b)  =>  x + y in gamma(add(a, b)).
/// Because: x = a.base + i, y = b.base + j with i <= a.length, j <= b.length; i + j <= the sum of lengths, which is
///          returned unless it leaves the word, where every value is possible.
template <typename Word>
constexpr Arc<Word> add(const Arc<Word>& a, const Arc<Word>& b) {
    const BoolOf<Word> overflow = a.length > all_ones<Word>() - b.length;
    return select<Word>(overflow, Arc<Word>::full(), Arc<Word>{a.base + b.base, a.length + b.length});
}

/// Claim:   x in gamma(a), y in gamma(b)  =>  x - y in gamma(sub(a, b)).
/// Because: as add, with b's members counted down from its end.
template <typename Word>
constexpr Arc<Word> sub(const Arc<Word>& a, const Arc<Word>& b) {
    const BoolOf<Word> overflow = a.length > all_ones<Word>() - b.length;
    return select<Word>(overflow, Arc<Word>::full(), Arc<Word>{a.base - b.end(), a.length + b.length});
}

/// Claim:   x in gamma(a)  =>  ~x in gamma(complement(a)).
/// Because: ~x = -1 - x turns the arc round.
template <typename Word>
constexpr Arc<Word> complement(const Arc<Word>& a) {
    return {~a.end(), a.length};
}

/// Smallest and largest member as unsigned numbers.
template <typename Word>
constexpr Word umin(const Arc<Word>& a) {
    return ite(a.wraps(), word<Word>(0), a.base);
}
template <typename Word>
constexpr Word umax(const Arc<Word>& a) {
    return ite(a.wraps(), all_ones<Word>(), a.end());
}
/// Smallest and largest member as two's complement numbers: the same after turning the circle by half.
template <typename Word>
constexpr Word smin(const Arc<Word>& a) {
    return umin(Arc<Word>{a.base + sign_bit<Word>(), a.length}) + sign_bit<Word>();
}
template <typename Word>
constexpr Word smax(const Arc<Word>& a) {
    return umax(Arc<Word>{a.base + sign_bit<Word>(), a.length}) + sign_bit<Word>();
}

/// Claim:   x in gamma(a), 0 <= k < W  =>  x << k in gamma(shl(a, k)).
/// Because: the members lie 2^k apart inside (length << k), which is exact if no bit of length is lost.
template <typename Word>
constexpr Arc<Word> shl_const(const Arc<Word>& a, unsigned k) {
    const Word length = shl(a.length, k);
    return select<Word>(shr(length, k) == a.length, Arc<Word>{shl(a.base, k), length}, Arc<Word>::full());
}

/// Claim:   x in gamma(a)  =>  x >> k (logical) in gamma(shr_const(a, k)).
/// Because: >> is monotone on unsigned numbers, so the extremes of the unsigned range bound the result.
template <typename Word>
constexpr Arc<Word> shr_const(const Arc<Word>& a, unsigned k) {
    return Arc<Word>::range(shr(umin(a), k), shr(umax(a), k));
}

/// Claim:   x in gamma(a)  =>  x >> k (arithmetic) in gamma(sar_const(a, k)).
/// Because: it is monotone on signed numbers.
template <typename Word>
constexpr Arc<Word> sar_const(const Arc<Word>& a, unsigned k) {
    const Word low = sar(smin(a), k);
    return {low, sar(smax(a), k) - low};
}

}  // namespace skep::verifier::num
