// SPDX-License-Identifier: Apache-2.0
// The machine word that the numeric domains are written over. One text serves three: uint64_t and uint32_t in the
// shipped verifier, SmallWord<N> for exhaustive tests, and a symbolic word in the Z3 proofs (tests/proofs). Therefore
// the domains never branch on a word: they compare to a Bool and choose with ite().
#pragma once

#include <cstdint>

namespace skep::verifier::num {

/// A word of N bits (N <= 16), arithmetic modulo 2^N; only for tests.
template <unsigned N>
struct SmallWord {
    static_assert(N >= 1 && N <= 16);
    uint32_t bits = 0;

    constexpr SmallWord() = default;
    constexpr explicit SmallWord(uint64_t value) : bits(static_cast<uint32_t>(value) & mask) {}
    static constexpr uint32_t mask = (1u << N) - 1;

    friend constexpr SmallWord operator+(SmallWord a, SmallWord b) { return SmallWord(a.bits + b.bits); }
    friend constexpr SmallWord operator-(SmallWord a, SmallWord b) { return SmallWord(uint64_t{a.bits} - b.bits); }
    friend constexpr SmallWord operator*(SmallWord a, SmallWord b) { return SmallWord(uint64_t{a.bits} * b.bits); }
    friend constexpr SmallWord operator/(SmallWord a, SmallWord b) {
        return SmallWord(b.bits == 0 ? 0 : a.bits / b.bits);
    }
    friend constexpr SmallWord operator&(SmallWord a, SmallWord b) { return SmallWord(a.bits & b.bits); }
    friend constexpr SmallWord operator|(SmallWord a, SmallWord b) { return SmallWord(a.bits | b.bits); }
    friend constexpr SmallWord operator^(SmallWord a, SmallWord b) { return SmallWord(a.bits ^ b.bits); }
    friend constexpr SmallWord operator~(SmallWord a) { return SmallWord(~uint64_t{a.bits}); }
    friend constexpr bool operator==(SmallWord, SmallWord) = default;
    friend constexpr bool operator<(SmallWord a, SmallWord b) { return a.bits < b.bits; }
    friend constexpr bool operator<=(SmallWord a, SmallWord b) { return a.bits <= b.bits; }
    friend constexpr bool operator>(SmallWord a, SmallWord b) { return a.bits > b.bits; }
    friend constexpr bool operator>=(SmallWord a, SmallWord b) { return a.bits >= b.bits; }
};

/// What a word type offers; specialised beside each word type.
template <typename Word>
struct WordTraits;

template <>
struct WordTraits<uint64_t> {
    static constexpr unsigned bits = 64;
    using Bool = bool;
    static constexpr uint64_t constant(uint64_t value) { return value; }
};

template <>
struct WordTraits<uint32_t> {
    static constexpr unsigned bits = 32;
    using Bool = bool;
    static constexpr uint32_t constant(uint64_t value) { return static_cast<uint32_t>(value); }
};

template <unsigned N>
struct WordTraits<SmallWord<N>> {
    static constexpr unsigned bits = N;
    using Bool = bool;
    static constexpr SmallWord<N> constant(uint64_t value) { return SmallWord<N>(value); }
};

template <typename Word>
constexpr unsigned bits_of = WordTraits<Word>::bits;
template <typename Word>
using BoolOf = typename WordTraits<Word>::Bool;

/// The constant `value` modulo 2^bits.
template <typename Word>
constexpr Word word(uint64_t value) {
    return WordTraits<Word>::constant(value);
}
template <typename Word>
constexpr Word all_ones() {
    return ~word<Word>(0);
}
/// The sign bit alone.
template <typename Word>
constexpr Word sign_bit() {
    return word<Word>(uint64_t{1} << (bits_of<Word> - 1));
}

/// Connectives that evaluate both sides.
constexpr bool both(bool a, bool b) { return a && b; }
constexpr bool either(bool a, bool b) { return a || b; }
constexpr bool negate(bool a) { return !a; }

/// `condition ? a : b`, evaluating both: the only choice the domains make.
template <typename T>
constexpr T ite(bool condition, const T& a, const T& b) {
    return condition ? a : b;
}

/// Shifts by a known amount below the width.
constexpr uint64_t shl(uint64_t x, unsigned k) { return x << k; }
constexpr uint32_t shl(uint32_t x, unsigned k) { return x << k; }
constexpr uint64_t shr(uint64_t x, unsigned k) { return x >> k; }
constexpr uint32_t shr(uint32_t x, unsigned k) { return x >> k; }
template <unsigned N>
constexpr SmallWord<N> shl(SmallWord<N> x, unsigned k) {
    return SmallWord<N>(uint64_t{x.bits} << k);
}
template <unsigned N>
constexpr SmallWord<N> shr(SmallWord<N> x, unsigned k) {
    return SmallWord<N>(x.bits >> k);
}

/// Signed order, by moving the sign bit's half to the top.
template <typename Word>
constexpr BoolOf<Word> signed_less(const Word& a, const Word& b) {
    return (a ^ sign_bit<Word>()) < (b ^ sign_bit<Word>());
}
template <typename Word>
constexpr BoolOf<Word> signed_less_equal(const Word& a, const Word& b) {
    return (a ^ sign_bit<Word>()) <= (b ^ sign_bit<Word>());
}

/// Arithmetic shift right by a known amount below the width.
template <typename Word>
constexpr Word sar(const Word& x, unsigned k) {
    const Word s = shr(sign_bit<Word>(), k);
    return ((shr(x, k)) ^ s) - s;
}

/// A value that may be absent: the abstract bottom.
template <typename Word, typename T>
struct Maybe {
    BoolOf<Word> some;
    T value;
};

}  // namespace skep::verifier::num
