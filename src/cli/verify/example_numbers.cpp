// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/example_numbers.hpp"

#include <algorithm>

namespace skep::cli {

using namespace verifier;

Assignment::Assignment(const State& s, unsigned attempt, Random& random) : s_(s), attempt_(attempt), random_(random) {
    values_.resize(s.symbols.size());
    for (const Symbol& symbol : s.symbols) {
        if (symbol.region.kind != RegionKind::Packet) continue;
        if (symbol.region.length != no_sym) lengths_.push_back(symbol.region.length);
        if (symbol.region.meta != no_sym) values_[symbol.region.meta] = s[symbol.region.meta].num.umin();
    }
}

uint64_t Assignment::of(Sym sym, unsigned depth) {
    if (values_[sym]) return *values_[sym];
    const Symbol& symbol = s_[sym];
    uint64_t value = 0;
    if (symbol.is_base()) {
        value = 0;  // addresses cancel out, or do not matter
    } else if (symbol.def.any() && depth < 64) {
        const Num x = Num::constant(of(symbol.def.x, depth + 1)), y = Num::constant(of(symbol.def.y, depth + 1));
        value = alu_number(symbol.def.operation, symbol.def.is32, x, y).umin();
    } else {
        value = draw(sym, symbol.num);
    }
    values_[sym] = value;
    return value;
}

uint64_t Assignment::of(const Val& v, unsigned depth) {
    uint64_t sum = v.k;
    for (const Term& t : {v.a, v.b}) {
        if (t.factor != 0) sum += of(t.sym, depth) * static_cast<uint64_t>(int64_t{t.factor});
    }
    return sum;
}

bool Assignment::consistent() {
    for (Sym sym = 0; sym < s_.symbols.size(); ++sym) {
        if (!s_[sym].is_base() && !s_[sym].num.contains(of(sym))) return false;
    }
    return std::ranges::all_of(s_.relations, [&](const Relation& r) {
        if (s_[r.x].is_base() || s_[r.y].is_base()) return true;
        const auto x = static_cast<int64_t>(of(r.x)), y = static_cast<int64_t>(of(r.y));
        if (y > 0 && x < INT64_MIN + y) return true;  // less than any word
        if (y < 0 && x > INT64_MAX + y) return false;
        return x - y <= r.c;
    });
}

uint64_t Assignment::draw(Sym sym, const Num& n) {
    // The first ones are the extremes that most mistakes show at: short packets, large numbers.
    const bool length = std::ranges::find(lengths_, sym) != lengths_.end();
    uint64_t wish = 0;
    uint64_t how = attempt_ < 4 ? attempt_ : random_.below(6);
    if (length && how != 2 && random_.below(4) != 0) how = 0;
    switch (how) {
        case 0: wish = n.umin(); break;
        case 1: wish = length ? n.umin() : n.umax(); break;
        case 2: wish = length ? n.umax() & 0xffff : n.umin(); break;
        case 3: wish = length ? n.umin() : n.wide.base; break;
        case 4: wish = n.umin() + random_.below(80); break;
        default:
            wish = n.wide.base + (n.wide.length == UINT64_MAX ? random_.word() : random_.below(n.wide.length + 1));
            break;
    }
    for (unsigned i = 0; i < 16; ++i) {
        const uint64_t fits = (wish & n.bits.mask) | n.bits.value;
        if (n.contains(fits)) return fits;
        wish = n.wide.base + random_.below(n.wide.length == UINT64_MAX ? 0 : n.wide.length + 1);
    }
    return n.umin();
}

}  // namespace skep::cli
