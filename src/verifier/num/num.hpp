// SPDX-License-Identifier: Apache-2.0
// What is known of one 64-bit value: a tnum, an arc of the whole word and an arc of its low half, kept in agreement.
//
// gamma(n) = { x : x in bits, x in wide, low(x) in narrow }. The three views inform each other in reduce(), which is
// also where a contradiction is found: no value is left, so the path is dead (never "unknown": contradictory bounds are
// a fact, not an accident).
#pragma once

#include <optional>

#include "verifier/num/arc.hpp"
#include "verifier/num/tnum.hpp"
#include "verifier/num/word.hpp"

namespace skep::verifier::num {

/// The low half of a word type, and the way between the two.
template <typename Word>
struct HalfOf;
template <>
struct HalfOf<uint64_t> {
    using Type = uint32_t;
    static constexpr uint32_t low(uint64_t x) { return static_cast<uint32_t>(x); }
    static constexpr uint64_t extend(uint32_t x) { return x; }
};
template <unsigned N>
struct HalfOf<SmallWord<N>> {
    static_assert(N % 2 == 0);
    using Type = SmallWord<N / 2>;
    static constexpr Type low(SmallWord<N> x) { return Type(x.bits); }
    static constexpr SmallWord<N> extend(Type x) { return SmallWord<N>(x.bits); }
};

template <typename Word>
using Half = typename HalfOf<Word>::Type;
template <typename Word>
constexpr Half<Word> low(const Word& x) {
    return HalfOf<Word>::low(x);
}
template <typename Word>
constexpr Word extend(const Half<Word>& x) {
    return HalfOf<Word>::extend(x);
}

template <typename Word>
struct Num {
    Tnum<Word> bits;
    Arc<Word> wide;
    Arc<Half<Word>> narrow;

    static constexpr Num unknown() { return {Tnum<Word>::unknown(), Arc<Word>::full(), Arc<Half<Word>>::full()}; }
    static constexpr Num constant(const Word& v) {
        return {Tnum<Word>::constant(v), Arc<Word>::constant(v), Arc<Half<Word>>::constant(low(v))};
    }
    constexpr bool contains(const Word& x) const {
        return bits.contains(x) && wide.contains(x) && narrow.contains(low(x));
    }
    constexpr bool is_constant() const { return wide.is_constant(); }
    constexpr Word umin() const { return num::umin(wide); }
    constexpr Word umax() const { return num::umax(wide); }
    constexpr Word smin() const { return num::smin(wide); }
    constexpr Word smax() const { return num::smax(wide); }

    friend constexpr bool operator==(const Num&, const Num&) = default;
};

/// The low half of the bits, and the bits with another low half.
template <typename Word>
constexpr Tnum<Half<Word>> low(const Tnum<Word>& t) {
    return {low(t.value), low(t.mask)};
}
template <typename Word>
constexpr Tnum<Word> with_low(const Tnum<Word>& t, const Tnum<Half<Word>>& l) {
    const Word upper = ~extend<Word>(all_ones<Half<Word>>());
    return {(t.value & upper) | extend<Word>(l.value), (t.mask & upper) | extend<Word>(l.mask)};
}

/// Claim:   x in gamma(a)  =>  low(x) in gamma(truncate(a)).
/// Because: fewer than 2^S consecutive values keep distinct, consecutive low halves; more reach all of them.
template <typename Word>
constexpr Arc<Half<Word>> truncate(const Arc<Word>& a) {
    const Word all = extend<Word>(all_ones<Half<Word>>());
    return select<Half<Word>>(a.length >= all, Arc<Half<Word>>::full(), Arc<Half<Word>>{low(a.base), low(a.length)});
}

/// Both ends of the wide arc moved inwards until their low halves lie in the narrow one.
/// Claim:   x in gamma(a) and low(x) in gamma(q)  =>  some and x in gamma(value); none iff there is no such x.
/// Because: from an end whose low half lies outside q, the next value with a low half in q is the distance to q's near
///          end away, counted in the half's circle; nothing on the way qualifies.
template <typename Word>
constexpr Maybe<Word, Arc<Word>> tighten(const Arc<Word>& a, const Arc<Half<Word>>& q) {
    const Word zero = word<Word>(0);
    const BoolOf<Word> base_in = q.contains(low(a.base));
    const Word up = ite(base_in, zero, extend<Word>(q.base - low(a.base)));
    const BoolOf<Word> end_in = q.contains(low(a.end()));
    const Word down = ite(end_in, zero, extend<Word>(low(a.end()) - q.end()));
    const BoolOf<Word> some = both(up <= a.length, down <= a.length - up);
    return {some, {a.base + up, a.length - up - down}};
}

/// The three views brought into agreement, or nothing if no value is left.
/// Claim:   x in gamma(n)  =>  the result is there and x in its gamma; gamma(reduce(n)) is a subset of gamma(n).
/// Because: each step replaces a component by its meet with what another component implies (meet, of_arc, trim,
///          truncate, tighten: each proved), and every replacement is checked to shrink.
/// Ends:    each round only shrinks components; four rounds suffice at test width, and stopping early is sound.
template <typename Word>
constexpr std::optional<Num<Word>> reduce(Num<Word> n) {
    using H = Half<Word>;
    for (int round = 0; round < 4; ++round) {
        const Num<Word> before = n;
        const auto from_wide = meet(n.bits, of_arc(n.wide));
        if (!from_wide.some) return std::nullopt;
        const Maybe<H, Tnum<H>> low_bits = meet(low(from_wide.value), of_arc(n.narrow));
        if (!low_bits.some) return std::nullopt;
        n.bits = with_low(from_wide.value, low_bits.value);
        const auto wide = trim(n.wide, n.bits);
        if (!wide.some) return std::nullopt;
        n.wide = wide.value;
        const auto narrow = trim(n.narrow, low_bits.value);
        if (!narrow.some) return std::nullopt;
        n.narrow = narrow.value;
        const auto met = meet(n.narrow, truncate(n.wide));
        if (!met.some) return std::nullopt;
        // Two pieces: meet may answer the other arc, which would trade one fact for another. Keep what we have.
        if (subset(met.value, n.narrow)) n.narrow = met.value;
        const auto tight = tighten(n.wide, n.narrow);
        if (!tight.some) return std::nullopt;
        n.wide = tight.value;
        if (n == before) break;
    }
    return n;
}

template <typename Word>
constexpr bool subset(const Num<Word>& a, const Num<Word>& b) {
    return subset(a.bits, b.bits) && subset(a.wide, b.wide) && subset(a.narrow, b.narrow);
}

/// Claim:   x in gamma(a) or x in gamma(b)  =>  x in gamma(join(a, b)). Because: component by component.
template <typename Word>
constexpr Num<Word> join(const Num<Word>& a, const Num<Word>& b) {
    const Num<Word> joined{join(a.bits, b.bits), join(a.wide, b.wide), join(a.narrow, b.narrow)};
    const auto reduced = reduce(joined);
    return reduced ? *reduced : joined;  // never empty: it includes two non-empty sets
}

/// Claim:   x in both  =>  the result is there and has x.
template <typename Word>
constexpr std::optional<Num<Word>> meet(const Num<Word>& a, const Num<Word>& b) {
    const auto bits = meet(a.bits, b.bits);
    const auto wide = meet(a.wide, b.wide);
    const auto narrow = meet(a.narrow, b.narrow);
    if (!bits.some || !wide.some || !narrow.some) return std::nullopt;
    return reduce(Num<Word>{bits.value, wide.value, narrow.value});
}

/// Everything that follows from unsigned bounds. Requires: low_bound <= high_bound.
template <typename Word>
constexpr Num<Word> unsigned_range(const Word& low_bound, const Word& high_bound) {
    Num<Word> n = Num<Word>::unknown();
    n.wide = Arc<Word>::range(low_bound, high_bound);
    const auto reduced = reduce(n);
    return reduced ? *reduced : n;
}

/// A result of an operation on the low halves, zero-extended.
template <typename Word>
constexpr Num<Word> zero_extend(const Tnum<Half<Word>>& bits, const Arc<Half<Word>>& narrow) {
    const Num<Word> n{with_low(Tnum<Word>::constant(word<Word>(0)), bits),
                      Arc<Word>::range(extend<Word>(umin(narrow)), extend<Word>(umax(narrow))), narrow};
    const auto reduced = reduce(n);
    return reduced ? *reduced : n;
}

}  // namespace skep::verifier::num
