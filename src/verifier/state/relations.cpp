// SPDX-License-Identifier: Apache-2.0
// Differences between forms, and what a new fact says of everything that hangs together with it.
#include <algorithm>
#include <array>
#include <limits>

#include "verifier/state/numbers.hpp"
#include "verifier/state/state.hpp"

namespace skep::verifier {

namespace {

__extension__ using Wide = __int128;  // sums of a few products of 64-bit words by 32-bit factors
constexpr Wide two_to_64 = Wide{1} << 64;

/// An integer expression over the symbols' signed words: sum of factor * symbol + k. It is congruent modulo 2^64 to the
/// form it was made of, and stays so under every rewriting done here.
struct Expression {
    struct Part {
        Sym sym;
        int64_t factor;
    };
    std::array<Part, 6> parts{};
    unsigned count = 0;
    Wide k = 0;

    bool add(Sym sym, int64_t factor) {
        for (unsigned i = 0; i < count; ++i) {
            if (parts[i].sym != sym) continue;
            parts[i].factor += factor;
            if (parts[i].factor == 0) parts[i] = parts[--count];
            return true;
        }
        if (count == parts.size()) return false;
        parts[count++] = {sym, factor};
        return true;
    }
    bool add(const Val& v, int64_t factor) {
        k += Wide{static_cast<int64_t>(v.k)} * factor;
        return (v.a.factor == 0 || add(v.a.sym, v.a.factor * factor)) &&
               (v.b.factor == 0 || add(v.b.sym, v.b.factor * factor));
    }
};

Wide low_end(const State& s, const Expression& e) {
    Wide sum = e.k;
    for (unsigned i = 0; i < e.count; ++i) {
        const Num& n = s[e.parts[i].sym].num;
        sum += Wide{e.parts[i].factor} * (e.parts[i].factor > 0 ? smin_of(n) : smax_of(n));
    }
    return sum;
}

/// x - y over the symbols' signed words: facts and chains of up to `steps` relations.
Wide symbol_difference(const State& s, Sym x, Sym y, unsigned steps) {
    if (x == y) return 0;
    Wide best = Wide{smax_of(s[x].num)} - smin_of(s[y].num);
    if (steps == 0) return best;
    for (const Relation& r : s.relations) {
        if (r.x != x) continue;
        const Wide rest = r.y == y ? Wide{0} : symbol_difference(s, r.y, y, steps - 1);  // depth 3 at most
        best = std::min(best, r.c + rest);
    }
    return best;
}

/// Upper end: pairs of +f and -f are taken together through the relations, greedily; the rest by facts.
Wide high_end(const State& s, Expression e) {
    Wide sum = e.k;
    for (bool found = true; found && !s.relations.empty();) {
        found = false;
        for (unsigned i = 0; i < e.count && !found; ++i) {
            for (unsigned j = 0; j < e.count && !found; ++j) {
                if (e.parts[i].factor <= 0 || e.parts[j].factor >= 0) continue;
                const int64_t f = std::min(e.parts[i].factor, -e.parts[j].factor);
                const Sym x = e.parts[i].sym, y = e.parts[j].sym;
                const Wide plain = Wide{smax_of(s[x].num)} - smin_of(s[y].num);
                const Wide related = symbol_difference(s, x, y, 3);
                if (related >= plain) continue;
                sum += f * related;
                e.add(x, -f);
                e.add(y, f);
                found = true;
            }
        }
    }
    for (unsigned i = 0; i < e.count; ++i) {
        const Num& n = s[e.parts[i].sym].num;
        sum += Wide{e.parts[i].factor} * (e.parts[i].factor > 0 ? smax_of(n) : smin_of(n));
    }
    return sum;
}

}  // namespace

// Claim: the result bounds signed(x) - signed(y) from above in every concrete state inside s.
// Because: D := signed(x) - signed(y) <= hi by the facts. Every expression E tried is congruent to D modulo 2^64 and
//          lies in [low_end, high_end]. So D = E + m 2^64; m >= 1 would need low_end + 2^64 <= D <= hi, which is
//          excluded before E is used; hence m <= 0 and D <= E <= high_end.
std::optional<int64_t> upper_difference(const State& s, const Val& x, const Val& y) {
    const Num nx = number_of(s, x), ny = number_of(s, y);
    const Wide hi = Wide{smax_of(nx)} - smin_of(ny);
    Wide best = hi;
    const auto consider = [&](const Expression& e) {
        if (low_end(s, e) + two_to_64 > hi) best = std::min(best, high_end(s, e));
    };
    Expression plain;
    if (plain.add(x, 1) && plain.add(y, -1)) {
        consider(plain);
        // Told through the definition of one of its symbols, where that is a sum.
        for (unsigned i = 0; i < plain.count; ++i) {
            const auto [sym, factor] = plain.parts[i];
            const Definition& def = s[sym].def;
            if (def.operation != isa::Operation::Add || def.is32) continue;
            Expression told = plain;
            if (told.add(sym, -factor) && told.add(def.x, factor) && told.add(def.y, factor)) consider(told);
        }
    }
    if (best > std::numeric_limits<int64_t>::max()) return {};
    if (best < std::numeric_limits<int64_t>::min()) return std::numeric_limits<int64_t>::min();
    return static_cast<int64_t>(best);
}

void add_relation(State& s, const Val& x, const Val& y, int64_t c) {
    if (!x.is_shifted_symbol() || !y.is_shifted_symbol() || x.a.sym == y.a.sym) return;
    // The relation is on the symbols: both forms must be their symbol's signed word plus a signed k, without wrap.
    const auto exact = [&](const Val& v) {
        const Num& n = s[v.a.sym].num;
        int64_t end = 0;
        const auto k = static_cast<int64_t>(v.k);
        return !__builtin_add_overflow(smin_of(n), k, &end) && !__builtin_add_overflow(smax_of(n), k, &end);
    };
    if (!exact(x) || !exact(y)) return;
    const Wide wide = Wide{c} - static_cast<int64_t>(x.k) + static_cast<int64_t>(y.k);
    if (wide > std::numeric_limits<int64_t>::max() || wide < std::numeric_limits<int64_t>::min()) return;
    const Relation made{x.a.sym, y.a.sym, static_cast<int64_t>(wide)};
    if (Wide{smax_of(s[made.x].num)} - smin_of(s[made.y].num) <= wide) return;  // the facts say it already
    for (Relation& r : s.relations) {
        if (r.x != made.x || r.y != made.y) continue;
        r.c = std::min(r.c, made.c);
        return;
    }
    if (s.relations.size() == max_relations)
        s.relations.erase(s.relations.begin());  // the oldest goes: it is forgotten
    s.relations.push_back(made);
}

namespace {

/// What a definition's value says of its first operand. Claim: if def's value is in `value`, x is in the result.
Num first_operand(const State& s, const Definition& def, const Num& value) {
    using isa::Operation;
    Num n = Num::unknown();
    const bool constant = def.y.is_constant();
    if (def.operation == Operation::Mov && def.is32) {
        n.bits = num::with_low(n.bits, num::low(value.bits));
        n.narrow = value.narrow;
    } else if (def.operation == Operation::Movsx32 && !def.is32) {
        n.bits = num::with_low(n.bits, num::low(value.bits));
        n.narrow = value.narrow;
    } else if (def.operation == Operation::And && constant) {
        const uint64_t kept = def.is32 ? def.y.k & 0xffffffff : def.y.k;
        n.bits = {value.bits.value & kept, value.bits.mask | ~kept};
        n.bits.value &= ~n.bits.mask;
    } else if (def.operation == Operation::Rsh && constant && !def.is32) {
        // v = x >> k: x = v 2^k + rest with rest < 2^k.
        const unsigned k = def.y.k & 63;
        const uint64_t rest = (uint64_t{1} << k) - 1;
        const uint64_t largest = ~uint64_t{0} >> k;
        const uint64_t low = std::min(value.umin(), largest), high = std::min(value.umax(), largest);
        return unsigned_range(low << k, (high << k) | rest);
    } else if (def.operation == Operation::Lsh && constant && !def.is32) {
        // v = x 2^k without loss if x < 2^(64-k).
        const unsigned k = def.y.k & 63;
        const Num x = number_of(s, def.x);
        if (k == 0 || (x.umax() >> (64 - k)) != 0) return n;
        const uint64_t round_up = (uint64_t{1} << k) - 1;
        const uint64_t low = value.umin() > ~round_up ? ~uint64_t{0} >> k : (value.umin() + round_up) >> k;
        return unsigned_range(std::min(low, value.umax() >> k), value.umax() >> k);
    } else if (def.operation == Operation::Add && !def.is32) {
        return subtract_numbers(value, number_of(s, def.y));
    } else if (def.operation == Operation::Add && def.is32) {
        n.narrow = num::sub(value.narrow, number_of(s, def.y).narrow);
    } else if (def.operation == Operation::Sub && def.is32) {
        n.narrow = num::add(value.narrow, number_of(s, def.y).narrow);
    }
    const auto reduced = num::reduce(n);
    return reduced ? *reduced : n;
}

/// Facts still to be met. Bounded: what does not fit is not learnt, which is sound.
class Agenda {
  public:
    void push(Sym sym) {
        for (unsigned i = done_; i < count_; ++i) {
            if (queue_[i] == sym) return;
        }
        if (count_ < queue_.size()) queue_[count_++] = sym;
    }
    std::optional<Sym> pop() { return done_ < count_ ? std::optional(queue_[done_++]) : std::nullopt; }

  private:
    std::array<Sym, 24> queue_{};
    unsigned done_ = 0, count_ = 0;
};

/// Meets one symbol. False: empty. Notes in `agenda` if something was learnt.
bool meet_symbol(State& s, Sym sym, const Num& fact, Agenda& agenda) {
    const auto met = num::meet(s[sym].num, fact);
    if (!met) return false;
    if (*met == s[sym].num || !num::subset(*met, s[sym].num)) return true;
    s[sym].num = *met;
    agenda.push(sym);
    return true;
}

bool meet_value(State& s, const Val& v, const Num& fact, Agenda& agenda) {
    if (v.is_constant()) return fact.contains(v.k);
    for (const Term* term : {&v.a, &v.b}) {
        if (term->factor == 0) continue;
        const Term& other = term == &v.a ? v.b : v.a;
        // factor * sym = fact - k - other
        Num rest = v.k == 0 ? fact : subtract_numbers(fact, Num::constant(v.k));
        if (other.factor != 0) rest = subtract_numbers(rest, scale_number(s[other.sym].num, other.factor));
        if (term->factor == 1) {
            if (!meet_symbol(s, term->sym, rest, agenda)) return false;
        } else if (term->factor == -1) {
            if (!meet_symbol(s, term->sym, scale_number(rest, -1), agenda)) return false;
        } else {
            // Only where the product does not wrap as a signed number: then sym is in [low/f, high/f].
            const Num& n = s[term->sym].num;
            const Wide f = term->factor;
            const Wide one = f * smin_of(n), two = f * smax_of(n);
            const Wide limit = Wide{1} << 63;
            if (std::min(one, two) < -limit || std::max(one, two) >= limit) continue;
            const auto floor_div = [](Wide a, Wide b) {
                const Wide q = a / b;
                return (a % b != 0 && ((a < 0) != (b < 0))) ? q - 1 : q;
            };
            Wide low = smin_of(rest), high = smax_of(rest);
            if (f < 0) std::swap(low, high);
            const Wide least = -floor_div(-low, f), most = floor_div(high, f);
            if (least > most) return false;
            if (!meet_symbol(s, term->sym, signed_range(static_cast<int64_t>(least), static_cast<int64_t>(most)),
                             agenda)) {
                return false;
            }
        }
    }
    return true;
}

bool spread(State& s, Agenda& agenda) {
    while (const auto next = agenda.pop()) {
        const Sym sym = *next;
        const Definition def = s[sym].def;
        if (def.any()) {
            if (!meet_value(s, def.x, first_operand(s, def, s[sym].num), agenda)) return false;
            if (def.operation == isa::Operation::Add && !def.is32) {
                const Num rest = subtract_numbers(s[sym].num, number_of(s, def.x));
                if (!meet_value(s, def.y, rest, agenda)) return false;
            }
        }
        for (size_t i = 0; i < s.symbols.size(); ++i) {
            const Definition& over = s.symbols[i].def;
            if (!over.any() || !(over.x.mentions(sym) || over.y.mentions(sym))) continue;
            const Num value = alu_number(over.operation, over.is32, number_of(s, over.x), number_of(s, over.y));
            if (!meet_symbol(s, static_cast<Sym>(i), value, agenda)) return false;
        }
        for (size_t i = 0; i < s.relations.size(); ++i) {
            const Relation r = s.relations[i];
            if (r.x != sym && r.y != sym) continue;
            int64_t most = 0, least = 0;  // x <= y + c, y >= x - c
            if (!__builtin_add_overflow(smax_of(s[r.y].num), r.c, &most)) {
                if (most < smin_of(s[r.x].num)) return false;
                if (most < smax_of(s[r.x].num) &&
                    !meet_symbol(s, r.x, signed_range(smin_of(s[r.x].num), most), agenda)) {
                    return false;
                }
            }
            if (!__builtin_sub_overflow(smin_of(s[r.x].num), r.c, &least)) {
                if (least > smax_of(s[r.y].num)) return false;
                if (least > smin_of(s[r.y].num) &&
                    !meet_symbol(s, r.y, signed_range(least, smax_of(s[r.y].num)), agenda)) {
                    return false;
                }
            }
        }
    }
    return true;
}

}  // namespace

bool refine_symbol(State& s, Sym sym, const Num& fact) {
    Agenda agenda;
    return meet_symbol(s, sym, fact, agenda) && spread(s, agenda);
}

bool refine_value(State& s, const Val& v, const Num& fact) {
    Agenda agenda;
    return meet_value(s, v, fact, agenda) && spread(s, agenda);
}

}  // namespace skep::verifier
