// SPDX-License-Identifier: Apache-2.0
// What a taken branch tells of its two operands (RFC 9669 section 4.3), at both widths.
//
// Every refinement R makes the same claim:  x in gamma(a), y in gamma(b), and the comparison holds of x and y
//   =>  R is there, x in its first and y in its second fact.  Nothing: the comparison can hold of no such pair.
// Checked: refine_test.cpp, every pair of members at 8 and 4 bits.
#pragma once

#include <optional>
#include <utility>

#include "verifier/num/alu.hpp"
#include "verifier/num/num.hpp"

namespace skep::verifier::num {

enum class Compare : uint8_t { Eq, Ne, Lt, Le, Gt, Ge, Slt, Sle, Sgt, Sge, Set, NotSet };

/// The comparison that holds exactly where `c` does not.
constexpr Compare opposite(Compare c) {
    switch (c) {
        case Compare::Eq: return Compare::Ne;
        case Compare::Ne: return Compare::Eq;
        case Compare::Lt: return Compare::Ge;
        case Compare::Le: return Compare::Gt;
        case Compare::Gt: return Compare::Le;
        case Compare::Ge: return Compare::Lt;
        case Compare::Slt: return Compare::Sge;
        case Compare::Sle: return Compare::Sgt;
        case Compare::Sgt: return Compare::Sle;
        case Compare::Sge: return Compare::Slt;
        case Compare::Set: return Compare::NotSet;
        case Compare::NotSet: return Compare::Set;
    }
    return c;
}

namespace part {

template <typename Word>
using Pair = std::pair<Part<Word>, Part<Word>>;

/// The part cut to a range, or nothing.
template <typename Word>
constexpr std::optional<Part<Word>> within(const Part<Word>& a, const Arc<Word>& range) {
    const auto met = meet(a.range, range);
    if (!met.some) return std::nullopt;
    // Where the meet has two pieces the shorter arc may be `range`, which forgets a.range: keep what lies inside it.
    const Arc<Word> kept = subset(met.value, a.range) ? met.value : a.range;
    const auto trimmed = trim(kept, a.bits);
    if (!trimmed.some) return std::nullopt;
    return Part<Word>{a.bits, trimmed.value};
}

/// The part without the number k. Because: only an arc's end can be left out and still be an arc; of the full circle,
/// any number can.
template <typename Word>
constexpr std::optional<Part<Word>> without(const Part<Word>& a, const Word& k) {
    const Word one = word<Word>(1);
    if (!a.range.contains(k)) return a;
    if (a.range.is_constant()) return std::nullopt;
    Arc<Word> range = a.range;
    if (range.is_full()) {
        range = {k + one, range.length - one};
    } else if (range.base == k) {
        range = {range.base + one, range.length - one};
    } else if (range.end() == k) {
        range.length = range.length - one;
    }
    const auto trimmed = trim(range, a.bits);
    if (!trimmed.some) return std::nullopt;
    return Part<Word>{a.bits, trimmed.value};
}

/// x < y (or x <= y), unsigned after adding `turn` to both: 0 for the unsigned order, the sign bit for the signed one.
/// Because: x is below the largest y, y above the smallest x.
template <typename Word>
constexpr std::optional<Pair<Word>> below(const Part<Word>& a, const Part<Word>& b, const Word& turn, bool or_equal) {
    const Word zero = word<Word>(0);
    const Word one = word<Word>(1);
    const Word largest = umax(Arc<Word>{b.range.base + turn, b.range.length});
    const Word smallest = umin(Arc<Word>{a.range.base + turn, a.range.length});
    if (!or_equal && (largest == zero || smallest == all_ones<Word>())) return std::nullopt;
    const Word high = or_equal ? largest : largest - one;
    const Word low_bound = or_equal ? smallest : smallest + one;
    const auto x = within(a, Arc<Word>{zero - turn, high});
    const auto y = within(b, Arc<Word>{low_bound - turn, all_ones<Word>() - low_bound});
    if (!x || !y) return std::nullopt;
    return Pair<Word>{*x, *y};
}

/// x & y != 0. Because: x must have a bit that y may have; if only one such bit is open it is set.
template <typename Word>
constexpr std::optional<Part<Word>> some_bit_of(const Part<Word>& a, const Part<Word>& b) {
    const Word possible = b.bits.value | b.bits.mask;
    if ((a.bits.value & possible) != word<Word>(0)) return a;
    const Word open = a.bits.mask & possible;
    if (open == word<Word>(0)) return std::nullopt;
    if ((open & (open - word<Word>(1))) != word<Word>(0)) return a;
    const Part<Word> out{{a.bits.value | open, a.bits.mask & ~open}, a.range};
    const auto trimmed = trim(out.range, out.bits);
    if (!trimmed.some) return std::nullopt;
    return Part<Word>{out.bits, trimmed.value};
}

/// x & y == 0. Because: x has none of the bits that y surely has.
template <typename Word>
constexpr std::optional<Part<Word>> no_bit_of(const Part<Word>& a, const Part<Word>& b) {
    if ((a.bits.value & b.bits.value) != word<Word>(0)) return std::nullopt;
    const Part<Word> out{{a.bits.value, a.bits.mask & ~b.bits.value}, a.range};
    const auto trimmed = trim(out.range, out.bits);
    if (!trimmed.some) return std::nullopt;
    return Part<Word>{out.bits, trimmed.value};
}

template <typename Word>
constexpr std::optional<Pair<Word>> refine(Compare compare, const Part<Word>& a, const Part<Word>& b) {
    const Word unsigned_order = word<Word>(0);
    const Word signed_order = sign_bit<Word>();
    const auto swapped = [](std::optional<Pair<Word>> p) {
        if (p) std::swap(p->first, p->second);
        return p;
    };
    const auto pair = [](std::optional<Part<Word>> x, std::optional<Part<Word>> y) -> std::optional<Pair<Word>> {
        if (!x || !y) return std::nullopt;
        return Pair<Word>{*x, *y};
    };
    switch (compare) {
        case Compare::Eq: {
            const auto bits = meet(a.bits, b.bits);
            if (!bits.some) return std::nullopt;
            const auto x = within(Part<Word>{bits.value, a.range}, b.range);
            const auto y = within(Part<Word>{bits.value, b.range}, a.range);
            return pair(x, y);
        }
        case Compare::Ne: {
            const auto x = b.range.is_constant() ? without(a, b.range.base) : std::optional(a);
            const auto y = a.range.is_constant() ? without(b, a.range.base) : std::optional(b);
            return pair(x, y);
        }
        case Compare::Lt: return below(a, b, unsigned_order, false);
        case Compare::Le: return below(a, b, unsigned_order, true);
        case Compare::Gt: return swapped(below(b, a, unsigned_order, false));
        case Compare::Ge: return swapped(below(b, a, unsigned_order, true));
        case Compare::Slt: return below(a, b, signed_order, false);
        case Compare::Sle: return below(a, b, signed_order, true);
        case Compare::Sgt: return swapped(below(b, a, signed_order, false));
        case Compare::Sge: return swapped(below(b, a, signed_order, true));
        case Compare::Set: return pair(some_bit_of(a, b), some_bit_of(b, a));
        case Compare::NotSet: return pair(no_bit_of(a, b), no_bit_of(b, a));
    }
    return std::nullopt;
}

}  // namespace part

template <typename Word>
using NumPair = std::pair<Num<Word>, Num<Word>>;

/// The 64-bit comparison holds.
template <typename Word>
constexpr std::optional<NumPair<Word>> refine(Compare compare, const Num<Word>& a, const Num<Word>& b) {
    const auto refined = part::refine(compare, wide_part(a), wide_part(b));
    if (!refined) return std::nullopt;
    Num<Word> x = a, y = b;
    x.bits = refined->first.bits;
    x.wide = refined->first.range;
    y.bits = refined->second.bits;
    y.wide = refined->second.range;
    if (compare == Compare::Eq) {  // equal words have equal halves
        const auto halves = part::refine(Compare::Eq, low_part(a), low_part(b));
        if (!halves) return std::nullopt;
        x.narrow = halves->first.range;
        y.narrow = halves->second.range;
    }
    const auto rx = reduce(x), ry = reduce(y);
    if (!rx || !ry) return std::nullopt;
    return NumPair<Word>{*rx, *ry};
}

/// The 32-bit comparison holds of the low halves.
template <typename Word>
constexpr std::optional<NumPair<Word>> refine_low(Compare compare, const Num<Word>& a, const Num<Word>& b) {
    const auto refined = part::refine(compare, low_part(a), low_part(b));
    if (!refined) return std::nullopt;
    Num<Word> x = a, y = b;
    x.bits = with_low(x.bits, refined->first.bits);
    x.narrow = refined->first.range;
    y.bits = with_low(y.bits, refined->second.bits);
    y.narrow = refined->second.range;
    const auto rx = reduce(x), ry = reduce(y);
    if (!rx || !ry) return std::nullopt;
    return NumPair<Word>{*rx, *ry};
}

}  // namespace skep::verifier::num
