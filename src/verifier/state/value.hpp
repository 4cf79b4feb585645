// SPDX-License-Identifier: Apache-2.0
// What a register or stack slot holds, as the verifier knows it: a linear form over symbols, exact modulo 2^64.
// Facts live on the symbols (state.hpp), so every copy, spill and `+ constant` of a value shares what is learnt of it.
#pragma once

#include <cstdint>
#include <optional>

namespace skep::verifier {

/// Index into State::symbols.
using Sym = uint16_t;
constexpr Sym no_sym = 0xffff;

/// One unknown times a constant. `factor` 0 means "no term", and then `sym` is no_sym.
struct Term {
    Sym sym = no_sym;
    int32_t factor = 0;

    bool operator==(const Term&) const = default;
};

/// k + a·s + b·t modulo 2^64. Canonical: a.sym < b.sym, factors are not zero, `b` is empty if `a` is. Equal forms are
/// equal words, whatever the symbols stand for.
struct Val {
    uint64_t k = 0;
    Term a, b;

    static constexpr Val constant(uint64_t value) { return {value, {}, {}}; }
    static constexpr Val symbol(Sym s, int32_t factor = 1) { return {0, {s, factor}, {}}; }

    constexpr bool is_constant() const { return a.factor == 0; }
    /// Exactly one symbol.
    constexpr bool is_single() const { return a.factor != 0 && b.factor == 0; }
    /// One symbol, once: its facts are the value's, moved by k.
    constexpr bool is_shifted_symbol() const { return a.factor == 1 && b.factor == 0; }
    constexpr bool mentions(Sym s) const { return (a.factor != 0 && a.sym == s) || (b.factor != 0 && b.sym == s); }
    constexpr bool same_terms(const Val& other) const { return a == other.a && b == other.b; }

    bool operator==(const Val&) const = default;
};
static_assert(sizeof(Val) == 24);

/// Claim: where a form is returned, it equals the sum, product or difference of the operands modulo 2^64, for every
/// value of the symbols. Nothing is returned where the result has more than two symbols or a factor leaves int32.
/// Because: the integers modulo 2^64 are a commutative ring; like terms are added, constants are added modulo 2^64.
std::optional<Val> add(const Val& x, const Val& y);
std::optional<Val> subtract(const Val& x, const Val& y);
std::optional<Val> multiply(const Val& x, int64_t factor);
/// x with symbol `s` replaced by `by`.
std::optional<Val> substitute(const Val& x, Sym s, const Val& by);

/// x moved by a constant.
constexpr Val plus(const Val& x, uint64_t k) { return {x.k + k, x.a, x.b}; }

}  // namespace skep::verifier
