// SPDX-License-Identifier: Apache-2.0
// A 64-bit word whose value is a Z3 term: the numeric domains, instantiated with it, become formulas of themselves.
#pragma once

#include <z3++.h>

#include <cstdint>
#include <vector>

#include "verifier/num/word.hpp"

namespace skep::verifier::num {

/// The one context of a proof program; set before any word is made.
inline z3::context& proof_context() {
    static z3::context context;
    return context;
}

struct SymBool {
    z3::expr e;
};

/// One way through the choices of a lemma. A choice forks the proof: each side is proved by itself under its condition,
/// so no query holds an if-then-else (with them, 64-bit queries do not end). The same condition is chosen once.
class Path {
  public:
    static Path& current() {
        static Path path;
        return path;
    }
    void start() {
        next_ = 0;
        conditions_.clear();
    }
    bool choose(const z3::expr& condition) {
        const z3::expr c = condition.simplify();
        if (c.is_true() || c.is_false()) return c.is_true();
        for (const z3::expr& known : conditions_) {
            if (z3::eq(known, c)) return true;
            if (z3::eq(known, (!c).simplify())) return false;
        }
        if (next_ == choices_.size()) choices_.push_back(true);
        const bool taken = choices_[next_++];
        conditions_.push_back(taken ? c : (!c).simplify());
        return taken;
    }
    /// Turns to the next path; false after the last one.
    bool advance() {
        choices_.resize(next_);
        while (!choices_.empty() && !choices_.back()) choices_.pop_back();
        if (choices_.empty()) return false;
        choices_.back() = false;
        return true;
    }
    const std::vector<z3::expr>& conditions() const { return conditions_; }

  private:
    std::vector<bool> choices_;
    size_t next_ = 0;
    std::vector<z3::expr> conditions_;
};

template <unsigned N>
struct SymWord {
    z3::expr e;

    SymWord() : e(proof_context().bv_val(0, N)) {}
    explicit SymWord(const z3::expr& expr) : e(expr) {}
    static SymWord fresh(const char* name) { return SymWord(proof_context().bv_const(name, N)); }

    friend SymWord operator+(const SymWord& a, const SymWord& b) { return SymWord(a.e + b.e); }
    friend SymWord operator-(const SymWord& a, const SymWord& b) { return SymWord(a.e - b.e); }
    friend SymWord operator*(const SymWord& a, const SymWord& b) { return SymWord(a.e * b.e); }
    friend SymWord operator&(const SymWord& a, const SymWord& b) { return SymWord(a.e & b.e); }
    friend SymWord operator|(const SymWord& a, const SymWord& b) { return SymWord(a.e | b.e); }
    friend SymWord operator^(const SymWord& a, const SymWord& b) { return SymWord(a.e ^ b.e); }
    friend SymWord operator~(const SymWord& a) { return SymWord(~a.e); }
    friend SymBool operator==(const SymWord& a, const SymWord& b) { return {a.e == b.e}; }
    friend SymBool operator<(const SymWord& a, const SymWord& b) { return {z3::ult(a.e, b.e)}; }
    friend SymBool operator<=(const SymWord& a, const SymWord& b) { return {z3::ule(a.e, b.e)}; }
    friend SymBool operator>(const SymWord& a, const SymWord& b) { return {z3::ugt(a.e, b.e)}; }
    friend SymBool operator>=(const SymWord& a, const SymWord& b) { return {z3::uge(a.e, b.e)}; }
};

template <unsigned N>
struct WordTraits<SymWord<N>> {
    static constexpr unsigned bits = N;
    using Bool = SymBool;
    static SymWord<N> constant(uint64_t value) { return SymWord<N>(proof_context().bv_val(value, N)); }
};

inline SymBool both(const SymBool& a, const SymBool& b) { return {a.e && b.e}; }
inline SymBool either(const SymBool& a, const SymBool& b) { return {a.e || b.e}; }
inline SymBool negate(const SymBool& a) { return {!a.e}; }
inline SymBool implies(const SymBool& a, const SymBool& b) { return {z3::implies(a.e, b.e)}; }
inline SymBool same(const SymBool& a, const SymBool& b) { return {a.e == b.e}; }

template <unsigned N>
SymWord<N> ite(const SymBool& c, const SymWord<N>& a, const SymWord<N>& b) {
    return Path::current().choose(c.e) ? a : b;
}
template <unsigned N>
SymWord<N> shl(const SymWord<N>& x, unsigned k) {
    return SymWord<N>(z3::shl(x.e, proof_context().bv_val(k, N)));
}
template <unsigned N>
SymWord<N> shr(const SymWord<N>& x, unsigned k) {
    return SymWord<N>(z3::lshr(x.e, proof_context().bv_val(k, N)));
}

}  // namespace skep::verifier::num
