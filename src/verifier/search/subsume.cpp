// SPDX-License-Identifier: Apache-2.0
#include "verifier/search/subsume.hpp"

#include <algorithm>

#include "verifier/state/numbers.hpp"

namespace skep::verifier {

namespace {

/// The value of a cell as one form: whole, or all bytes constant.
std::optional<Val> cell_value(const Cell& cell) {
    if (cell.is_whole()) return cell.val;
    uint64_t word = 0;
    for (unsigned i = 0; i < 8; ++i) {
        if (cell.kind[i] != Byte::Const) return {};
        word |= uint64_t{cell.detail[i]} << (8 * i);
    }
    return Val::constant(word);
}

/// Walks both states side by side and finds, for each symbol of the general one, the form of the special one it stands
/// for.
class Matching {
  public:
    Matching(const State& general, const State& special) : t_(general), s_(special), sigma_(general.symbols.size()) {}

    bool run() { return same_shape() && match_locations() && match_deferred() && check_symbols() && check_relations(); }

  private:
    bool same_shape() const {
        if (t_.at != s_.at || t_.frames.size() != s_.frames.size() || t_.references.size() != s_.references.size() ||
            t_.callbacks.size() != s_.callbacks.size() || t_.lock.has_value() != s_.lock.has_value() ||
            (t_.set & ~s_.set) != 0) {
            return false;
        }
        for (size_t i = 0; i < t_.frames.size(); ++i) {
            const Frame &t = t_.frames[i], &s = s_.frames[i];
            if (t.function != s.function || t.kind != s.kind || t.call != s.call || (t.saved_set & ~s.saved_set) != 0) {
                return false;
            }
        }
        return true;
    }

    bool match_locations() {
        for (size_t i = 0; i < t_.frames.size(); ++i) {
            if (!match_symbol(t_.frames[i].base, s_.frames[i].base)) return false;
        }
        if (t_.packet != no_sym && (s_.packet == no_sym || !match_symbol(t_.packet, s_.packet))) return false;
        for (unsigned r = 0; r < t_.regs.size(); ++r) {
            if (t_.is_set(r) && !match(t_.regs[r], s_.regs[r])) return false;
        }
        for (size_t i = 0; i < t_.frames.size(); ++i) {
            const Frame &t = t_.frames[i], &s = s_.frames[i];
            for (unsigned k = 0; k < 4; ++k) {
                if ((t.saved_set >> k & 1) != 0 && !match(t.saved[k], s.saved[k])) return false;
            }
            if (!match_stack(t, s)) return false;
        }
        for (size_t i = 0; i < t_.references.size(); ++i) {
            if (t_.references[i].acquired != s_.references[i].acquired ||
                !match_symbol(t_.references[i].base, s_.references[i].base)) {
                return false;
            }
        }
        if (t_.lock && (t_.lock->offset != s_.lock->offset || !match_symbol(t_.lock->base, s_.lock->base)))
            return false;
        for (size_t i = 0; i < t_.callbacks.size(); ++i) {
            const CallbackLoop &t = t_.callbacks[i], &s = s_.callbacks[i];
            if (t.call != s.call || t.helper != s.helper || t.function != s.function || t.map != s.map ||
                !match(t.context, s.context) || !match(t.rounds, s.rounds)) {
                return false;
            }
        }
        for (const Ghost& ghost : t_.ghosts) {
            const auto found =
                std::find_if(s_.ghosts.begin(), s_.ghosts.end(), [&](const Ghost& g) { return g.cut == ghost.cut; });
            if (found == s_.ghosts.end() || !match(ghost.measure, found->measure)) return false;
        }
        return true;
    }

    bool match_stack(const Frame& t, const Frame& s) {
        if (t.stack == nullptr || t.stack == s.stack) {
            if (t.stack == nullptr) return true;
        }
        for (size_t i = 0; i < t.stack->size(); ++i) {
            const Cell& general = (*t.stack)[i];
            if (general.is_unset()) continue;
            if (s.stack == nullptr || i >= s.stack->size()) return false;
            const Cell& special = (*s.stack)[i];
            if (general.is_whole()) {
                const auto value = cell_value(special);
                if (!value || !match(general.val, *value)) return false;
                continue;
            }
            bool parts = false;
            std::optional<uint64_t> word;  // what the parts are, where they are constants
            if (std::ranges::none_of(special.kind, [](Byte b) { return b == Byte::Part; })) word = 0;
            for (unsigned b = 0; b < 8; ++b) {
                const bool same = general.kind[b] == special.kind[b] && general.detail[b] == special.detail[b];
                switch (general.kind[b]) {
                    case Byte::Unset: break;
                    case Byte::Misc:
                        if (special.kind[b] == Byte::Unset) return false;
                        break;
                    case Byte::Const: {
                        const bool constant =
                            special.kind[b] == Byte::Part && special.val.is_constant() &&
                            static_cast<uint8_t>(special.val.k >> (8 * special.detail[b])) == general.detail[b];
                        if (!same && !constant) return false;
                        break;
                    }
                    case Byte::Part:
                        if (special.kind[b] == Byte::Const && word)
                            *word |= uint64_t{special.detail[b]} << (8 * general.detail[b]);
                        else if (!same)
                            return false;
                        parts = true;
                        break;
                }
            }
            if (parts && !match(general.val, word ? Val::constant(*word) : special.val)) return false;
        }
        return true;
    }

    bool match_symbol(Sym t, Sym s) { return bind(t, Val::symbol(s)); }

    bool bind(Sym t, const Val& v) {
        if (sigma_[t]) return *sigma_[t] == v;
        const Region& general = t_[t].region;
        if (general.kind != RegionKind::None) {
            if (!v.is_shifted_symbol() || v.k != 0) return false;
            const Region& special = s_[v.a.sym].region;
            Region same = special;
            same.nullable = general.nullable;
            same.alive = general.alive;
            same.length = general.length;
            same.meta = general.meta;
            if (!(same == general) || (special.nullable && !general.nullable) || (general.alive && !special.alive)) {
                return false;
            }
            sigma_[t] = v;
            if (general.length != no_sym && !match_symbol(general.length, special.length)) return false;
            if (general.meta != no_sym && !match_symbol(general.meta, special.meta)) return false;
            return true;
        }
        if (is_tainted(s_, v)) return false;
        sigma_[t] = v;
        return true;
    }

    /// general form = special form, under the substitution being built.
    bool match(const Val& t, const Val& s) {
        if (t.is_constant()) return s == t || (!is_tainted(s_, s) && number_of(s_, s) == Num::constant(t.k));
        const auto pt = pointer_of(t_, t);
        if (pt) {
            const auto ps = pointer_of(s_, s);
            return ps && bind(pt->base, Val::symbol(ps->base)) && match(pt->offset, ps->offset);
        }
        if (t.is_single() && (t.a.factor == 1 || t.a.factor == -1)) {
            const auto value = multiply(plus(s, 0 - t.k), t.a.factor);
            return value && bind(t.a.sym, *value);
        }
        if (t.is_single() && !sigma_[t.a.sym]) {
            if (const auto value = divide(plus(s, 0 - t.k), t.a.factor)) return bind(t.a.sym, *value);
        }
        deferred_.push_back({t, s});
        return true;
    }

    /// s / factor where every part divides exactly; as the integers modulo 2^64 factor * result = s.
    static std::optional<Val> divide(const Val& s, int32_t factor) {
        const auto k = static_cast<int64_t>(s.k);
        if (k % factor != 0 || s.a.factor % factor != 0 || s.b.factor % factor != 0) return {};
        Val out = s;
        out.k = static_cast<uint64_t>(k / factor);
        out.a.factor /= factor, out.b.factor /= factor;
        return out;
    }

    std::optional<Val> told(const Val& t) const {
        Val out = Val::constant(t.k);
        for (const Term* term : {&t.a, &t.b}) {
            if (term->factor == 0) continue;
            if (!sigma_[term->sym]) return {};
            const auto part = multiply(*sigma_[term->sym], term->factor);
            if (!part) return {};
            const auto sum = add(out, *part);
            if (!sum) return {};
            out = *sum;
        }
        return out;
    }

    bool match_deferred() {
        for (const auto& [t, s] : deferred_) {
            if (t.b.factor != 0) {  // one of two symbols still open, once
                const bool open_a = !sigma_[t.a.sym], open_b = !sigma_[t.b.sym];
                if (open_a != open_b) {
                    const Term& open = open_a ? t.a : t.b;
                    const Term& closed = open_a ? t.b : t.a;
                    if (open.factor == 1 || open.factor == -1) {
                        const auto known = told(Val{t.k, closed, {}});
                        const auto rest = known ? subtract(s, *known) : std::nullopt;
                        const auto value = rest ? multiply(*rest, open.factor) : std::nullopt;
                        if (!value || !bind(open.sym, *value)) return false;
                        continue;
                    }
                }
            }
            const auto value = told(t);
            if (!value || *value != s) return false;
        }
        return true;
    }

    bool check_symbols() {
        for (Sym i = 0; i < t_.symbols.size(); ++i) {
            if (!sigma_[i]) return false;  // compact() leaves none without a location
            const Symbol& symbol = t_[i];
            if (symbol.is_base()) {
                if (symbol.def.any() && !(s_[sigma_[i]->a.sym].def == symbol.def)) return false;
                continue;
            }
            if (!num::subset(number_of(s_, *sigma_[i]), symbol.num)) return false;
            if (symbol.def.any() && !definition_holds(symbol.def, *sigma_[i])) return false;
        }
        return true;
    }

    bool definition_holds(const Definition& def, const Val& value) const {
        const auto x = told(def.x), y = told(def.y);
        if (!x || !y) return false;
        if (value.is_shifted_symbol() && value.k == 0 &&
            s_[value.a.sym].def == Definition{def.operation, def.is32, *x, *y}) {
            return true;
        }
        const Num nx = number_of(s_, *x), ny = number_of(s_, *y);
        if (value.is_constant()) {
            return nx.is_constant() && ny.is_constant() &&
                   alu_number(def.operation, def.is32, nx, ny) == Num::constant(value.k);
        }
        if (def.operation == isa::Operation::Add && !def.is32) return add(*x, *y) == value;
        if (def.operation == isa::Operation::Mov && def.is32) return nx.umax() <= 0xffffffff && *x == value;
        return false;
    }

    bool check_relations() const {
        for (const Relation& r : t_.relations) {
            const auto bound = upper_difference(s_, *sigma_[r.x], *sigma_[r.y]);
            if (!bound || *bound > r.c) return false;
        }
        return true;
    }

    const State& t_;
    const State& s_;
    std::vector<std::optional<Val>> sigma_;
    std::vector<std::pair<Val, Val>> deferred_;
};

}  // namespace

bool subsumes(const State& general, const State& special) { return Matching(general, special).run(); }

}  // namespace skep::verifier
