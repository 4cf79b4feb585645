// SPDX-License-Identifier: Apache-2.0
#include "verifier/check/inclusion.hpp"

#include <algorithm>

#include "verifier/state/numbers.hpp"

namespace skep::verifier::check {

bool Inclusion::holds(State& s, const State& t) {
    s_ = &s;
    t_ = &t;
    why_ = "";
    sigma_.assign(t.symbols.size(), Val{});
    is_bound_.assign(t.symbols.size(), false);
    is_taken_.assign(s.symbols.size(), false);
    pending_.clear();
    return pair_locations() && pair_resources() && solve() && facts_hold();
}

std::optional<Val> Inclusion::image(const Val& form) const {
    Val out = Val::constant(form.k);
    for (const Term* term : {&form.a, &form.b}) {
        if (term->factor == 0) continue;
        if (!bound(term->sym)) return {};
        const auto scaled = multiply(sigma_[term->sym], term->factor);
        if (!scaled) return {};
        const auto sum = add(out, *scaled);
        if (!sum) return {};
        out = *sum;
    }
    return out;
}

bool Inclusion::pair_locations() {
    const State &s = *s_, &t = *t_;
    if (!(s.at == t.at)) return no("another place");
    if (s.frames.size() != t.frames.size()) return no("another call depth");
    if ((t.set & ~s.set) != 0) return no("a register has no value");
    // Frames first: their bases are symbols on both sides.
    for (size_t i = 0; i < t.frames.size(); ++i) {
        pair(Val::symbol(t.frames[i].base), Val::symbol(s.frames[i].base));
    }
    for (unsigned r = 0; r < t.regs.size(); ++r) {
        if ((t.set >> r & 1) != 0) pair(t.regs[r], s.regs[r]);
    }
    for (size_t i = 0; i < t.frames.size(); ++i) {
        if (!pair_frame(t.frames[i], s.frames[i])) return false;
    }
    return true;
}

bool Inclusion::pair_frame(const Frame& t, const Frame& s) {
    if (t.function != s.function || t.kind != s.kind || t.call != s.call) return no("another call chain");
    if ((t.saved_set & ~s.saved_set) != 0) return no("a saved register has no value");
    for (unsigned i = 0; i < t.saved.size(); ++i) {
        if ((t.saved_set >> i & 1) != 0) pair(t.saved[i], s.saved[i]);
    }
    if (t.stack == nullptr) return true;
    const Cell unset;
    // s_'s symbols may grow meanwhile, its frames do not move.
    for (size_t i = 0; i < t.stack->size(); ++i) {
        const bool there = s.stack != nullptr && i < s.stack->size();
        if (!pair_cell((*t.stack)[i], there ? (*s.stack)[i] : unset)) return false;
    }
    return true;
}

namespace {

/// The byte's value where it is one number in every run.
std::optional<uint8_t> known_byte(const State& s, const Cell& cell, unsigned i) {
    if (cell.kind[i] == Byte::Const) return cell.detail[i];
    if (cell.kind[i] != Byte::Part) return {};
    const auto bits = number_of(s, cell.val).bits;
    const unsigned shift = 8u * cell.detail[i];
    if ((bits.mask >> shift & 0xff) != 0) return {};
    return static_cast<uint8_t>(bits.value >> shift);
}

}  // namespace

bool Inclusion::take_unset() {
    took_unset_ = true;
    return options_.allow_unset_stack && options_.allow_pointer_leaks;
}

bool Inclusion::pair_cell(const Cell& t, const Cell& s) {
    // An unset byte can be read as a number where the platform allows it; under no-leak rules it must then not hide an
    // address. Without such reads it can only be overwritten.
    const bool may_read_unset = options_.allow_unset_stack;
    const bool tainted = s.has_part() && is_tainted(*s_, s.val);
    bool parts_agree = t.has_part();
    for (unsigned i = 0; i < 8; ++i) {
        switch (t.kind[i]) {
            case Byte::Unset:
                if (may_read_unset && !options_.allow_pointer_leaks && s.kind[i] == Byte::Part && tainted) {
                    return no("an address in a stack byte that is told as unset");
                }
                break;
            case Byte::Misc:
                if (s.kind[i] == Byte::Unset && !take_unset()) return no("a stack byte is not written");
                // Where addresses may become visible, a byte of one is some number: nothing is claimed of it, and an
                // access through a number is refused.
                if (s.kind[i] == Byte::Part && tainted && !options_.allow_pointer_leaks) {
                    return no("a stack byte is part of an address");
                }
                break;
            case Byte::Const:
                if (known_byte(*s_, s, i) != t.detail[i]) return no("a stack byte has another value");
                break;
            case Byte::Part: parts_agree = parts_agree && s.kind[i] == Byte::Part && s.detail[i] == t.detail[i]; break;
        }
    }
    if (!t.has_part()) return true;
    if (parts_agree) {
        pair(t.val, s.val);
        return true;
    }
    // A word or parts of one in t, single bytes in s: the word that they make, by a symbol of its own. Claim: with this
    // word for t.val, each byte that t tells as a part of it is s's byte. Because: each part is named once, and that
    // byte of the word is made s's; t says nothing of the others, so that they may be zero.
    if (tainted) return no("a stack cell is not one value");
    Num made = Num::unknown();
    made.bits = {0, 0};
    unsigned named = 0;
    for (unsigned i = 0; i < 8; ++i) {
        if (t.kind[i] != Byte::Part) continue;
        const unsigned part = t.detail[i];
        if (part >= 8 || (named >> part & 1) != 0) return no("a stack cell is not one value");
        named |= 1u << part;
        if (s.kind[i] == Byte::Unset && !take_unset()) return no("a stack byte is not written");
        if (const auto byte = known_byte(*s_, s, i))
            made.bits.value |= uint64_t{*byte} << (8 * part);
        else
            made.bits.mask |= uint64_t{0xff} << (8 * part);
    }
    const auto reduced = num::reduce(made);
    if (reduced) made = *reduced;
    if (made.is_constant()) {
        pair(t.val, Val::constant(made.umin()));
        return true;
    }
    if (s_->symbols.size() + 1 >= no_sym) return no("too many symbols");
    pair(t.val, Val::symbol(new_symbol(*s_, made, no_insn)));
    is_taken_.push_back(false);
    return true;
}

bool Inclusion::pair_resources() {
    const State &s = *s_, &t = *t_;
    if (s.callbacks.size() != t.callbacks.size()) return no("another chain of callbacks");
    for (size_t i = 0; i < t.callbacks.size(); ++i) {
        const CallbackLoop &from = s.callbacks[i], &to = t.callbacks[i];
        if (from.call != to.call || from.helper != to.helper || from.function != to.function || from.map != to.map) {
            return no("another chain of callbacks");
        }
        pair(to.context, from.context);
        pair(to.rounds, from.rounds);
    }
    for (const Ghost& ghost : t.ghosts) {
        const auto from = std::ranges::find(s.ghosts, ghost.cut, &Ghost::cut);
        if (from == s.ghosts.end()) return no("a loop's measure is not kept");
        pair(ghost.measure, from->measure);
    }
    if (t.packet != no_sym) {
        if (s.packet == no_sym) return no("the packet is not known");
        pair(Val::symbol(t.packet), Val::symbol(s.packet));
    }
    // What moves the packet kills t.packet and nothing else: no other region may be a living packet.
    for (size_t i = 0; i < t.symbols.size(); ++i) {
        const Region& region = t.symbols[i].region;
        if (region.kind == RegionKind::Packet && region.alive && i != t.packet) return no("a second packet");
    }
    if (s.lock.has_value() != t.lock.has_value()) return no("a lock is held on one side only");
    if (t.lock) {
        if (s.lock->offset != t.lock->offset) return no("another lock");
        pair(Val::symbol(t.lock->base), Val::symbol(s.lock->base));
    }
    if (s.references.size() != t.references.size()) return no("other references are held");
    return true;
}

bool Inclusion::solve() {
    for (bool last = false;; last = true) {
        bool progress = true;
        while (progress && !pending_.empty()) {
            progress = false;
            size_t kept = 0;
            work_ += pending_.size();
            for (size_t i = 0; i < pending_.size(); ++i) {  // grows: a packet brings its lengths
                const Pair p = pending_[i];
                switch (unify(p, last)) {
                    case Unified::Yes: progress = true; break;
                    case Unified::Later: pending_[kept++] = p; break;
                    case Unified::No: return no(*why_ != 0 ? why_ : "a value is another one");
                }
            }
            pending_.resize(kept);
        }
        if (pending_.empty()) break;
        if (last) return no("a value's symbols are not determined");
    }
    // References: they are as many, and each of t's is one of s's that no other one is.
    std::vector<bool> matched(s_->references.size(), false);
    for (const Reference& reference : t_->references) {
        if (!bound(reference.base)) return no("a reference that nothing points to");
        const Val& base = sigma_[reference.base];
        size_t i = 0;
        while (i < matched.size() && (matched[i] || base != Val::symbol(s_->references[i].base))) ++i;
        if (i == matched.size()) return no("a reference is not held");
        matched[i] = true;
    }
    return true;
}

Inclusion::Unified Inclusion::unify(const Pair& p, bool last) {
    // What is left of s's form when t's bound terms are taken away.
    std::optional<Val> rest = plus(p.s, uint64_t{0} - p.t.k);
    const Term* open[2] = {};
    unsigned count = 0;
    for (const Term* term : {&p.t.a, &p.t.b}) {
        if (term->factor == 0) continue;
        if (!bound(term->sym)) {
            open[count++] = term;
            continue;
        }
        const auto scaled = multiply(sigma_[term->sym], term->factor);
        rest = scaled && rest ? subtract(*rest, *scaled) : std::nullopt;
    }
    if (!rest) return Unified::No;
    if (count == 0) return equal(*rest, Val{}) ? Unified::Yes : Unified::No;
    if (count == 2) {
        // A pointer with an unknown offset: its base is the base. Else, when nothing else determines them, term by
        // term.
        const auto pointer = pointer_of(*s_, *rest);
        for (unsigned i = 0; i < 2; ++i) {
            const Term &base = *open[i], &other = *open[1 - i];
            if (!(*t_)[base.sym].is_base() || (*t_)[other.sym].is_base() || base.factor != 1 || !pointer) continue;
            if (!bind(base.sym, Val::symbol(pointer->base))) return Unified::No;
            return unify({Val{0, other, {}}, pointer->offset}, last);
        }
        if (!last) return Unified::Later;
        if (open[0]->factor != rest->a.factor || open[1]->factor != rest->b.factor) return Unified::No;
        if (!bind(open[0]->sym, Val::symbol(rest->a.sym)) || !bind(open[1]->sym, Val::symbol(rest->b.sym))) {
            return Unified::No;
        }
        return unify(p, last);
    }
    const int64_t factor = open[0]->factor;
    if (factor == 1) return bind(open[0]->sym, *rest) ? Unified::Yes : Unified::No;
    if (factor == -1) {
        const auto negated = multiply(*rest, -1);
        return negated && bind(open[0]->sym, *negated) ? Unified::Yes : Unified::No;
    }
    // Some other place may determine it; else a form that gives the rest when multiplied.
    if (!last) return Unified::Later;
    const auto k = static_cast<int64_t>(rest->k);
    if (k % factor != 0 || rest->a.factor % factor != 0 || rest->b.factor % factor != 0) return Unified::No;
    Val quotient = *rest;
    quotient.k = static_cast<uint64_t>(k / factor);
    quotient.a.factor = static_cast<int32_t>(rest->a.factor / factor);
    quotient.b.factor = static_cast<int32_t>(rest->b.factor / factor);
    return bind(open[0]->sym, quotient) ? Unified::Yes : Unified::No;
}

bool Inclusion::bind(Sym t, const Val& form) {
    const Symbol& symbol = (*t_)[t];
    if (!symbol.is_base()) {
        if (is_tainted(*s_, form)) return no("an address where a number is told");
    } else if (form == Val::constant(0)) {
        const bool named = std::ranges::any_of(t_->references, [&](const Reference& r) { return r.base == t; });
        if (!symbol.region.nullable || symbol.region.owned || named) return no("null where an address is told");
    } else {
        if (!form.is_shifted_symbol() || form.k != 0) return no("a number where an address is told");
        if (!region_fits(t, form.a.sym)) return no("another kind of memory");
        if (is_taken_[form.a.sym]) return no("two addresses are one");
        is_taken_[form.a.sym] = true;
    }
    sigma_[t] = form;
    is_bound_[t] = true;
    return true;
}

/// Whether everything that T allows with a region is allowed with S's, and the same must be given back.
bool Inclusion::region_fits(Sym t_sym, Sym s_sym) {
    const Region &t = (*t_)[t_sym].region, &s = (*s_)[s_sym].region;
    if (t.kind != s.kind || t.type != s.type || t.map != s.map || t.frame != s.frame || t.size != s.size ||
        t.owned != s.owned || t.read_only_data != s.read_only_data) {
        return false;
    }
    if ((s.nullable && !t.nullable) || (t.alive && !s.alive) || (t.writable && !s.writable)) return false;
    if ((t.length != no_sym) != (s.length != no_sym) || (t.meta != no_sym && s.meta == no_sym)) return false;
    if (t.length != no_sym) pair(Val::symbol(t.length), Val::symbol(s.length));
    if (t.meta != no_sym) pair(Val::symbol(t.meta), Val::symbol(s.meta));
    return true;
}

bool Inclusion::facts_hold() {
    const State& t = *t_;
    work_ += t.symbols.size() + 64 * t.relations.size();
    for (size_t i = 0; i < t.symbols.size(); ++i) {
        const Sym sym = static_cast<Sym>(i);
        if (!bound(sym)) {
            // Nothing that is known of t's runs holds it: any word that satisfies it will do.
            if (t[sym].is_base()) return no("memory that nothing points to");
            sigma_[sym] = Val::constant(t[sym].num.umin());
            is_bound_[sym] = true;
        }
        if (!num::subset(number_of(*s_, sigma_[sym]), t[sym].num)) return no("a number is outside its bounds");
    }
    for (size_t i = 0; i < t.symbols.size(); ++i) {
        if (t.symbols[i].def.any() && !defined_alike(static_cast<Sym>(i))) return no("a value is defined otherwise");
    }
    for (const Relation& r : t.relations) {
        const auto difference = upper_difference(*s_, sigma_[r.x], sigma_[r.y]);
        if (!difference || *difference > r.c) return no("a relation between values is not known");
    }
    return true;
}

bool Inclusion::equal(const Val& x, const Val& y) const {
    if (x == y) return true;
    const auto difference = subtract(x, y);
    return difference && number_of(*s_, *difference) == Num::constant(0);
}

/// Claim: true only if sigma(t) is op(sigma(x), sigma(y)) in every run of S, for t's definition op(x, y).
/// Because: S defines it so; or both are the same form, by the operation's meaning on forms or where it changes
///          nothing; or both are the same constant.
bool Inclusion::defined_alike(Sym t) const {
    using isa::Operation;
    const Definition& def = (*t_)[t].def;
    const auto x = image(def.x), y = image(def.y);
    if (!x || !y) return false;
    const Val& value = sigma_[t];
    if (value.is_shifted_symbol() && value.k == 0) {
        const Definition& known = (*s_)[value.a.sym].def;
        if (known.operation == def.operation && known.is32 == def.is32 && equal(known.x, *x) && equal(known.y, *y)) {
            return true;
        }
    }
    const Num nx = number_of(*s_, *x), ny = number_of(*s_, *y);
    std::optional<Val> told;
    if (!def.is32) {
        if (def.operation == Operation::Add) told = add(*x, *y);
        if (def.operation == Operation::Sub) told = subtract(*x, *y);
        if (def.operation == Operation::Mul && y->is_constant()) told = multiply(*x, static_cast<int64_t>(y->k));
        if (def.operation == Operation::Movsx32 && smin_of(nx) >= INT32_MIN && smax_of(nx) <= INT32_MAX) told = x;
        if (def.operation == Operation::And && y->is_constant() && ((nx.bits.value | nx.bits.mask) & ~y->k) == 0) {
            told = x;
        }
    } else if (def.operation == Operation::Mov && nx.umax() <= UINT32_MAX) {
        told = x;  // zero extension
    }
    if (told && equal(value, *told)) return true;
    const Num result = alu_number(def.operation, def.is32, nx, ny), mine = number_of(*s_, value);
    return result.is_constant() && mine.is_constant() && result.umin() == mine.umin();
}

}  // namespace skep::verifier::check
