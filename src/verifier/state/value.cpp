// SPDX-License-Identifier: Apache-2.0
#include "verifier/state/value.hpp"

#include <array>
#include <limits>
#include <utility>

namespace skep::verifier {

namespace {

/// Up to four terms, like ones added, in canonical order.
class Sum {
  public:
    void add(const Term& term) {
        if (term.factor == 0) return;
        for (unsigned i = 0; i < count_; ++i) {
            if (terms_[i].first == term.sym) {
                terms_[i].second += term.factor;
                return;
            }
        }
        terms_[count_++] = {term.sym, term.factor};
    }
    std::optional<Val> form(uint64_t k) const {
        Val out = Val::constant(k);
        for (unsigned i = 0; i < count_; ++i) {
            const auto [sym, factor] = terms_[i];
            if (factor == 0) continue;
            if (factor < std::numeric_limits<int32_t>::min() || factor > std::numeric_limits<int32_t>::max()) return {};
            if (out.b.factor != 0) return {};
            (out.a.factor == 0 ? out.a : out.b) = {sym, static_cast<int32_t>(factor)};
        }
        if (out.b.factor != 0 && out.b.sym < out.a.sym) std::swap(out.a, out.b);
        return out;
    }

  private:
    std::array<std::pair<Sym, int64_t>, 4> terms_{};
    unsigned count_ = 0;
};

}  // namespace

std::optional<Val> add(const Val& x, const Val& y) {
    if (y.is_constant()) return plus(x, y.k);
    if (x.is_constant()) return plus(y, x.k);
    Sum sum;
    sum.add(x.a), sum.add(x.b), sum.add(y.a), sum.add(y.b);
    return sum.form(x.k + y.k);
}

std::optional<Val> subtract(const Val& x, const Val& y) {
    if (y.is_constant()) return plus(x, 0 - y.k);
    const auto negated = multiply(y, -1);
    if (!negated) return {};
    return add(x, *negated);
}

std::optional<Val> multiply(const Val& x, int64_t factor) {
    if (factor == 0) return Val::constant(0);
    Val out = x;
    out.k = x.k * static_cast<uint64_t>(factor);
    for (Term* term : {&out.a, &out.b}) {
        if (term->factor == 0) continue;
        int64_t product = 0;
        if (__builtin_mul_overflow(int64_t{term->factor}, factor, &product)) return {};
        if (product < std::numeric_limits<int32_t>::min() || product > std::numeric_limits<int32_t>::max()) return {};
        term->factor = static_cast<int32_t>(product);
    }
    return out;
}

std::optional<Val> substitute(const Val& x, Sym s, const Val& by) {
    for (const Term* term : {&x.a, &x.b}) {
        if (term->factor == 0 || term->sym != s) continue;
        const Term& kept = term == &x.a ? x.b : x.a;
        const auto replaced = multiply(by, term->factor);
        if (!replaced) return {};
        return add(Val{x.k, kept, {}}, *replaced);
    }
    return x;
}

}  // namespace skep::verifier
