// SPDX-License-Identifier: Apache-2.0
#include "verifier/state/state.hpp"

#include <algorithm>

#include "verifier/state/locations.hpp"
#include "verifier/state/numbers.hpp"

namespace skep::verifier {

Stack& Frame::own_stack() {
    // A stack is written through a frame that is its only owner; sharing is by copying the frame.
    if (stack == nullptr) {
        stack = std::make_shared<Stack>();
    } else if (stack.use_count() > 1) {
        stack = std::make_shared<Stack>(*stack);
    }
    return const_cast<Stack&>(*stack);  // made non-const by make_shared
}

Sym new_symbol(State& s, const Num& num, isa::InsnIndex origin) {
    Symbol symbol;
    symbol.num = num;
    symbol.origin = origin;
    s.symbols.push_back(std::move(symbol));
    return static_cast<Sym>(s.symbols.size() - 1);
}

Sym new_region(State& s, const Region& region, isa::InsnIndex origin) {
    // Addresses keep away from both ends of the address space (design 2.2), so that an offset in [-2^12, 2^40] from a
    // base never wraps, and no address is null.
    constexpr uint64_t lowest = uint64_t{1} << 12;
    constexpr uint64_t highest = uint64_t{0} - (uint64_t{1} << 41);
    const Sym sym = new_symbol(s, unsigned_range(region.nullable ? 0 : lowest, highest), origin);
    s[sym].region = region;
    return sym;
}

Sym defined_symbol(State& s, const Definition& def, const Num& num, isa::InsnIndex origin) {
    for (size_t i = s.symbols.size(); i-- > 0;) {
        if (s.symbols[i].def == def) return static_cast<Sym>(i);
    }
    const Sym sym = new_symbol(s, num, origin);
    s[sym].def = def;
    return sym;
}

Num number_of(const State& s, const Val& v) {
    if (v.is_constant()) return Num::constant(v.k);
    Num n = scale_number(s[v.a.sym].num, v.a.factor);
    if (v.b.factor != 0) n = add_numbers(n, scale_number(s[v.b.sym].num, v.b.factor));
    if (v.k != 0) n = add_numbers(n, Num::constant(v.k));
    return n;
}

std::optional<Pointer> pointer_of(const State& s, const Val& v) {
    const bool a = v.a.factor != 0 && s[v.a.sym].is_base();
    const bool b = v.b.factor != 0 && s[v.b.sym].is_base();
    if (a == b) return {};
    const Term& base = a ? v.a : v.b;
    if (base.factor != 1) return {};
    return Pointer{base.sym, Val{v.k, a ? v.b : v.a, {}}};
}

bool is_tainted(const State& s, const Val& v) {
    return (v.a.factor != 0 && s[v.a.sym].is_base()) || (v.b.factor != 0 && s[v.b.sym].is_base());
}

Val name_terms(State& s, const Val& v, isa::InsnIndex at, bool scaled) {
    const bool one = v.b.factor == 0;
    if (is_tainted(s, v) || v.is_constant() || (one && (v.a.factor == 1 || !scaled))) return v;
    const Val terms{0, v.a, v.b};
    const Definition def{isa::Operation::Add, false, Val{0, v.a, {}}, Val{0, v.b, {}}};
    const Sym sym = defined_symbol(s, def, number_of(s, terms), at);
    change_forms(s, [&](Val& form) {
        if (form.same_terms(terms)) {
            form = plus(Val::symbol(sym), form.k);
            return true;
        }
        // base + factor * symbol: the same term beside an address
        if (!one || form.b.factor == 0) return false;
        Term& term = form.a == v.a ? form.a : form.b;
        if (term != v.a) return false;
        term = {sym, 1};
        if (form.b.sym < form.a.sym) std::swap(form.a, form.b);
        return true;
    });
    return plus(Val::symbol(sym), v.k);
}

bool replace_symbol(State& s, Sym sym, const Val& by) {
    // A form that cannot be told with the replacement is forgotten: a fresh unknown stands for it.
    const auto replaced = [&](Val& form) {
        if (!form.mentions(sym)) return false;
        const auto changed = substitute(form, sym, by);
        form = changed ? *changed : Val::symbol(new_symbol(s, Num::unknown(), no_insn));
        return true;
    };
    change_forms(s, replaced);
    for (size_t i = 0; i < s.symbols.size(); ++i) {
        Definition& def = s.symbols[i].def;
        if (!def.any() || !(def.x.mentions(sym) || def.y.mentions(sym))) continue;
        const auto x = substitute(def.x, sym, by), y = substitute(def.y, sym, by);
        if (x && y) {
            def.x = *x, def.y = *y;
        } else {
            def = {};
        }
    }
    std::erase_if(s.relations, [&](const Relation& r) { return r.x == sym || r.y == sym; });
    return true;
}

namespace {

/// Numbers symbols in the order they are asked for.
class Numbering {
  public:
    explicit Numbering(size_t count) : number_(count, no_sym) { order_.reserve(count); }
    void use(Sym sym) {
        if (sym == no_sym || number_[sym] != no_sym) return;
        number_[sym] = static_cast<Sym>(order_.size());
        order_.push_back(sym);
    }
    void use(const Val& v) {
        if (v.a.factor != 0) use(v.a.sym);
        if (v.b.factor != 0) use(v.b.sym);
    }
    bool knows(Sym sym) const { return number_[sym] != no_sym; }
    bool knows(const Val& v) const {
        return (v.a.factor == 0 || knows(v.a.sym)) && (v.b.factor == 0 || knows(v.b.sym));
    }
    Sym operator()(Sym sym) const { return sym == no_sym ? no_sym : number_[sym]; }
    bool rename(Val& v) const {
        if (v.a.factor != 0) v.a.sym = number_[v.a.sym];
        if (v.b.factor != 0) v.b.sym = number_[v.b.sym];
        if (v.b.factor != 0 && v.b.sym < v.a.sym) std::swap(v.a, v.b);
        return true;
    }
    const std::vector<Sym>& order() const { return order_; }
    /// Every symbol is used, and has its number already.
    bool is_identity() const {
        for (size_t i = 0; i < order_.size(); ++i) {
            if (order_[i] != i) return false;
        }
        return order_.size() == number_.size();
    }

  private:
    std::vector<Sym> number_, order_;
};

/// Relations through a symbol that goes away: x - z <= a and z - y <= b give x - y <= a + b.
void compose_through(std::vector<Relation>& relations, Sym z) {
    const std::vector<Relation> before = relations;
    std::erase_if(relations, [&](const Relation& r) { return r.x == z || r.y == z; });
    for (const Relation& left : before) {
        if (left.y != z) continue;
        for (const Relation& right : before) {
            if (right.x != z || left.x == right.y || relations.size() >= max_relations) continue;
            int64_t c = 0;
            if (__builtin_add_overflow(left.c, right.c, &c)) continue;
            const auto same = [&](const Relation& r) { return r.x == left.x && r.y == right.y; };
            const auto known = std::find_if(relations.begin(), relations.end(), same);
            if (known == relations.end()) {
                relations.push_back({left.x, right.y, c});
            } else {
                known->c = std::min(known->c, c);
            }
        }
    }
}

}  // namespace

void compact(State& s) {
    Numbering number(s.symbols.size());
    each_form(s, [&](const Val& v) { number.use(v); });
    number.use(s.packet);
    if (s.lock) number.use(s.lock->base);
    for (const Reference& reference : s.references) number.use(reference.base);
    for (size_t i = 0; i < number.order().size(); ++i) {  // grows: a packet brings its lengths
        const Region region = s[number.order()[i]].region;
        number.use(region.length);
        number.use(region.meta);
    }

    for (size_t i = 0; i < s.relations.size();) {
        const Relation r = s.relations[i];
        if (number.knows(r.x) && number.knows(r.y)) {
            ++i;
        } else {
            compose_through(s.relations, number.knows(r.x) ? r.y : r.x);
            i = 0;
        }
    }
    const auto finish = [&s] {
        for (unsigned r = 0; r < s.regs.size(); ++r) {
            if (!s.is_set(r)) s.regs[r] = {};
        }
    };
    const auto sort_relations = [&s] {
        std::sort(s.relations.begin(), s.relations.end(), [](const Relation& l, const Relation& r) {
            return l.x != r.x ? l.x < r.x : l.y != r.y ? l.y < r.y : l.c < r.c;
        });
    };
    if (number.is_identity()) {  // as it comes out of here, and often still is at the next join
        sort_relations();
        finish();
        return;
    }
    for (Relation& r : s.relations) r = {number(r.x), number(r.y), r.c};
    sort_relations();

    std::vector<Symbol> symbols;
    symbols.reserve(number.order().size());
    for (const Sym old : number.order()) {
        Symbol symbol = s[old];
        if (symbol.def.any()) {
            if (number.knows(symbol.def.x) && number.knows(symbol.def.y)) {
                number.rename(symbol.def.x);
                number.rename(symbol.def.y);
            } else {
                symbol.def = {};
            }
        }
        symbol.region.length = number(symbol.region.length);
        symbol.region.meta = number(symbol.region.meta);
        symbols.push_back(std::move(symbol));
    }
    s.symbols = std::move(symbols);

    change_forms(s, [&](Val& v) { return number.rename(v); });
    for (Frame& frame : s.frames) frame.base = number(frame.base);
    s.packet = number(s.packet);
    if (s.lock) s.lock->base = number(s.lock->base);
    for (Reference& reference : s.references) reference.base = number(reference.base);
    finish();
}

}  // namespace skep::verifier
