// SPDX-License-Identifier: Apache-2.0
#include "verifier/search/join.hpp"

#include <algorithm>
#include <bit>

#include "verifier/state/numbers.hpp"

namespace skep::verifier {

namespace {

bool same_frames(const State& a, const State& b) {
    if (a.at != b.at || a.frames.size() != b.frames.size() || a.references.size() != b.references.size() ||
        a.callbacks.size() != b.callbacks.size() || a.lock.has_value() != b.lock.has_value()) {
        return false;
    }
    for (size_t i = 0; i < a.frames.size(); ++i) {
        const Frame &x = a.frames[i], &y = b.frames[i];
        if (x.function != y.function || x.kind != y.kind || x.call != y.call) return false;
    }
    for (size_t i = 0; i < a.references.size(); ++i) {
        if (a.references[i].acquired != b.references[i].acquired) return false;
    }
    for (size_t i = 0; i < a.callbacks.size(); ++i) {
        const CallbackLoop &x = a.callbacks[i], &y = b.callbacks[i];
        if (x.call != y.call || x.function != y.function || x.map != y.map) return false;
    }
    return !a.lock || a.lock->offset == b.lock->offset;
}

/// Regions that one region can stand for: nullable and dead are the looser ones.
bool joinable(const Region& a, const Region& b) {
    Region same = b;
    same.nullable = a.nullable;
    same.alive = a.alive;
    same.length = a.length;
    same.meta = a.meta;
    return same == a && (a.length == no_sym) == (b.length == no_sym) && (a.meta == no_sym) == (b.meta == no_sym);
}

Num widened(const Num& old, const Num& joined, const Widening& widening) {
    Num out = joined;
    if (!num::subset(joined.wide, old.wide)) {
        const auto& t = widening.thresholds;
        const bool plain = !old.wide.wraps() && !joined.wide.wraps();
        if (widening.far || t.empty()) {
            out.wide = num::Arc<uint64_t>::full();
            if (plain && joined.umin() == old.umin()) out.wide = num::Arc<uint64_t>::range(old.umin(), UINT64_MAX);
            // Known low bits would cut the ends off again, and sums leave what is cut off: it would grow for ever.
            out.bits = num::Tnum<uint64_t>::unknown();
        } else if (plain) {
            uint64_t low = joined.umin(), high = joined.umax();
            if (low < old.umin()) low = *std::prev(std::upper_bound(t.begin(), t.end(), low));
            if (high > old.umax()) high = *std::lower_bound(t.begin(), t.end(), high);
            out.wide = num::Arc<uint64_t>::range(low, high);
        } else {
            const auto less = [](uint64_t a, uint64_t b) { return static_cast<int64_t>(a) < static_cast<int64_t>(b); };
            int64_t low = smin_of(joined), high = smax_of(joined);
            int64_t next_low = INT64_MIN, next_high = INT64_MAX;
            for (const uint64_t word : t) {
                const auto k = static_cast<int64_t>(word);
                if (k <= low && k > next_low) next_low = k;
                if (k >= high && k < next_high) next_high = k;
            }
            (void)less;
            if (low < smin_of(old)) low = next_low;
            if (high > smax_of(old)) high = next_high;
            out.wide = {static_cast<uint64_t>(low), static_cast<uint64_t>(high) - static_cast<uint64_t>(low)};
        }
    }
    if (!num::subset(joined.narrow, old.narrow)) out.narrow = num::Arc<uint32_t>::full();
    if (!num::subset(joined.bits, old.bits) && joined.bits.mask != 0) {
        // What stays is the alignment: bits below the lowest unknown one.
        const uint64_t known = (uint64_t{1} << std::countr_zero(joined.bits.mask)) - 1;
        out.bits = {joined.bits.value & known, ~known};
    }
    const auto reduced = num::reduce(out);
    return reduced ? *reduced : out;
}

class Joining {
  public:
    Joining(const State& a, const State& b, const Widening& widening)
        : a_(a), b_(b), widening_(widening), widens_(widening.on) {}

    std::optional<State> run() {
        if (!same_frames(a_, b_)) return {};
        out_.at = a_.at;
        out_.lossy = true;
        for (size_t i = 0; i < a_.frames.size(); ++i) {
            Frame frame = a_.frames[i];
            frame.stack = nullptr;
            frame.saved = {};
            frame.saved_set = 0;
            const auto base = merge_base(a_.frames[i].base, b_.frames[i].base);
            if (!base) return {};
            frame.base = *base;
            out_.frames.push_back(std::move(frame));
        }
        if (a_.packet != no_sym && b_.packet != no_sym) {
            if (const auto base = merge_base(a_.packet, b_.packet)) out_.packet = *base;
        }
        for (size_t i = 0; i < a_.references.size(); ++i) {
            const auto base = merge_base(a_.references[i].base, b_.references[i].base);
            if (!base) return {};
            out_.references.push_back({*base, a_.references[i].acquired});
        }
        if (a_.lock) {
            const auto base = merge_base(a_.lock->base, b_.lock->base);
            if (!base) return {};
            out_.lock = *a_.lock;
            out_.lock->base = *base;
        }
        link_steps();
        if (!merge_locations()) return {};
        keep_definitions();
        keep_relations();
        compact(out_);
        return std::move(out_);
    }

  private:
    struct Pair {
        Val a, b;
        Sym sym;
    };

    bool widens(unsigned reg) const { return widening_.on && (widening_.kept >> reg & 1) == 0; }

    std::optional<Sym> merge_base(Sym a, Sym b) {
        for (const auto& [x, y, sym] : bases_) {
            if (x == a && y == b) return sym;
            if (x == a || y == b) {
                // One region on one side is two on the other: only what is not owned may be told apart.
                if (a_[a].region.owned || b_[b].region.owned) return {};
            }
        }
        const Region &ra = a_[a].region, &rb = b_[b].region;
        if (ra.kind == RegionKind::None || !joinable(ra, rb)) return {};
        Region region = ra;
        region.nullable = ra.nullable || rb.nullable;
        region.alive = ra.alive && rb.alive;
        if (ra.kind == RegionKind::Object && ra.length != no_sym) {
            const auto parent = merge_base(ra.length, rb.length);
            if (!parent) return {};
            region.length = *parent;
        } else if (ra.length != no_sym) {
            region.length = plain_symbol(ra.length, rb.length);
        }
        if (ra.meta != no_sym) region.meta = plain_symbol(ra.meta, rb.meta);
        const Sym sym = new_region(out_, region, a_[a].origin);
        if (a_[a].def == b_[b].def) out_[sym].def = a_[a].def;
        bases_.push_back({a, b, sym});
        return sym;
    }

    Sym plain_symbol(Sym a, Sym b) {
        const Val va = Val::symbol(a), vb = Val::symbol(b);
        for (const Pair& p : pairs_) {
            if (p.a == va && p.b == vb) return p.sym;
        }
        return make_pair(va, vb);
    }

    Sym make_pair(const Val& a, const Val& b) {
        const Num na = number_of(a_, a), nb = number_of(b_, b);
        Num n = num::join(na, nb);
        if (widens_ && !num::subset(nb, na)) {
            const Num joined = n;
            n = widened(na, joined, widening_);
            if (!widening_.far) n = stop_at_users(a, na, joined, n);
        }
        const isa::InsnIndex origin = a.is_single() ? a_[a.a.sym].origin : b.is_single() ? b_[b.a.sym].origin : no_insn;
        const Sym sym = new_symbol(out_, n, origin);
        out_[sym].lossy = true;
        pairs_.push_back({a, b, sym});
        return sym;
    }

    /// What is told in a widened symbol is compared with something too: it stops where the first of them does.
    Num stop_at_users(const Val& unit, const Num& old, const Num& joined, const Num& wide) const {
        const auto& t = widening_.thresholds;
        if (t.empty() || old.wide.wraps() || joined.wide.wraps() || wide.wide.wraps()) return wide;
        uint64_t high = wide.umax();
        for (const User& user : users_) {
            const auto f = static_cast<uint64_t>(user.factor);
            uint64_t value = 0;
            if (user.unit != unit || __builtin_mul_overflow(joined.umax(), f, &value) ||
                __builtin_add_overflow(value, user.k, &value)) {
                continue;
            }
            high = std::min(high, (*std::lower_bound(t.begin(), t.end(), value) - user.k) / f);
        }
        if (high >= wide.umax() || high < joined.umax()) return wide;
        Num out = wide;
        out.wide = num::Arc<uint64_t>::range(wide.umin(), high);
        const auto reduced = num::reduce(out);
        return reduced ? *reduced : wide;
    }

    /// (a, b) as factor * N + k of a pair that is there; `whole`: as N + k or k - N.
    std::optional<Val> linked(const Val& a, const Val& b, bool whole = false) const {
        unsigned tries = 0;
        for (size_t i = pairs_.size(); i-- > 0 && tries < 24; ++tries) {
            const Pair& p = pairs_[i];
            const auto factor = factor_between(p, a, b);
            if (!factor || (whole && *factor != 1 && *factor != -1)) continue;
            if (!same_terms(p.a, *factor, a) || !same_terms(p.b, *factor, b)) continue;
            const auto f = static_cast<uint64_t>(int64_t{*factor});
            const uint64_t ka = a.k - p.a.k * f, kb = b.k - p.b.k * f;
            if (ka != kb) continue;
            return plus(Val::symbol(p.sym, *factor), ka);
        }
        return {};
    }

    /// Whether v - factor * p is a constant.
    static bool same_terms(const Val& p, int64_t factor, const Val& v) {
        return p.a.sym == v.a.sym && p.b.sym == v.b.sym && p.a.factor * factor == v.a.factor &&
               p.b.factor * factor == v.b.factor;
    }

    static std::optional<int32_t> factor_between(const Pair& p, const Val& a, const Val& b) {
        int64_t over = 0, under = 0;
        if (p.a.a.factor != 0) {
            over = a.a.factor, under = p.a.a.factor;
        } else if (p.b.a.factor != 0) {
            over = b.a.factor, under = p.b.a.factor;
        } else {
            if (!a.is_constant() || !b.is_constant()) return {};
            over = static_cast<int64_t>(a.k - b.k), under = static_cast<int64_t>(p.a.k - p.b.k);
        }
        if (under == 0 || over == 0 || over % under != 0) return {};
        const int64_t factor = over / under;
        if (factor > INT32_MAX || factor < INT32_MIN) return {};
        return static_cast<int32_t>(factor);
    }

    /// Relations are between symbols: a place in the packet is told in one of its own, so that what is known of the
    /// length behind it is kept. In loops the counter says more, unless each round makes sure of the same length.
    bool wants_own(const Pointer& pa, const Pointer& pb) const {
        if (!widening_.places) return false;
        const Region &ra = a_[pa.base].region, &rb = b_[pb.base].region;
        if (ra.kind != RegionKind::Packet || rb.kind != RegionKind::Packet) return false;
        if (!widening_.head) return true;
        const auto room_a = upper_difference(a_, pa.offset, Val::symbol(ra.length));
        const auto room_b = upper_difference(b_, pb.offset, Val::symbol(rb.length));
        return room_a && room_a == room_b;
    }

    Val merge_number(const Val& a, const Val& b, bool whole = false) {
        if (a.is_constant() && a == b) return a;
        if (const auto form = linked(a, b, whole)) return *form;
        if (whole) return Val::symbol(make_pair(a, b));
        // A multiple of something: the something gets the symbol, so that others can be told in it.
        const int32_t fa = a.is_single() ? a.a.factor : 0, fb = b.is_single() ? b.a.factor : 0;
        const int32_t f = fa != 0 ? fa : fb;
        if (f != 0 && f != 1 && (fa == 0 || fb == 0 || fa == fb) && f != INT32_MIN) {
            const uint64_t k = fa != 0 ? a.k : b.k;
            const auto part = [&](const Val& v, int32_t factor) -> std::optional<Val> {
                if (factor != 0) return v.k == k ? std::optional(Val::symbol(v.a.sym)) : std::nullopt;
                const auto rest = static_cast<int64_t>(v.k - k);
                if (!v.is_constant() || rest % f != 0) return {};
                return Val::constant(static_cast<uint64_t>(rest / f));
            };
            const auto pa = part(a, fa), pb = part(b, fb);
            if (pa && pb) {
                if (const auto form = linked(*pa, *pb)) {
                    if (const auto scaled = multiply(*form, f)) return plus(*scaled, k);
                }
                return plus(Val::symbol(make_pair(*pa, *pb), f), k);
            }
        }
        return Val::symbol(make_pair(a, b));
    }

    /// Nothing: an address on one side only, or of other things.
    std::optional<Val> merge(const Val& a, const Val& b) {
        const auto pa = pointer_of(a_, a), pb = pointer_of(b_, b);
        if (pa && pb) {
            const auto base = merge_base(pa->base, pb->base);
            if (!base) return {};
            const bool whole = wants_own(*pa, *pb);
            const Val offset = merge_number(pa->offset, pb->offset, whole);
            if (a_[pa->base].region.kind == RegionKind::Packet && offset.is_shifted_symbol() && places_.size() < 16)
                places_.push_back(offset.a.sym);
            return add(Val::symbol(*base), offset);
        }
        if (is_tainted(a_, a) || is_tainted(b_, b)) return {};
        return merge_number(a, b);
    }

    /// Locations that differ by a constant: those that differ least get their symbol first, so that the others can be
    /// told as multiples (a counter and what it counts in steps).
    void link_steps() {
        struct Found {
            Val first, second;
            bool widens, whole;
        };
        std::vector<Found> found;
        uint64_t least = 0;   // distance between two constants
        bool uneven = false;  // some distance is no multiple of it
        const auto look = [&](const Val& a, const Val& b) {
            const auto pa = pointer_of(a_, a), pb = pointer_of(b_, b);
            const Val& x = pa ? pa->offset : a;
            const Val& y = pb ? pb->offset : b;
            const bool alike = x.a.factor == y.a.factor && x.b.factor == y.b.factor;
            if (pa.has_value() != pb.has_value() || !alike || x.k == y.k || (!pa && is_tainted(a_, x)) ||
                (!pb && is_tainted(b_, y))) {
                return;
            }
            const auto step = static_cast<int64_t>(y.k - x.k);
            const int32_t f = x.a.factor;
            if (pa && wants_own(*pa, *pb)) {
                found.push_back({x, y, widens_, true});
                return;
            }
            if (x.is_single() && x.a == y.a && f > 1 && step % f == 0) {
                // A multiple of something that moves evenly: the something.
                const Val unit = Val::symbol(x.a.sym);
                found.push_back({unit, plus(unit, static_cast<uint64_t>(step / f)), widens_, false});
                users_.push_back({unit, f, x.k});
                return;
            }
            found.push_back({x, y, widens_, false});
            if (!widening_.head || !x.is_constant() || step < 1 || step > INT32_MAX) return;
            users_.push_back({Val::constant(0), static_cast<int32_t>(step), x.k});
            const auto distance = static_cast<uint64_t>(step);
            const uint64_t small = std::min(least, distance), large = std::max(least, distance);
            uneven = uneven || (small != 0 && large % small != 0);
            least = small != 0 ? small : large;
        };
        for (unsigned r = 0; r < a_.regs.size(); ++r) {
            widens_ = widens(r);
            if (a_.is_set(r) && b_.is_set(r)) look(a_.regs[r], b_.regs[r]);
        }
        widens_ = widening_.on;
        for (size_t f = 0; f < a_.frames.size(); ++f) {
            const Frame &x = a_.frames[f], &y = b_.frames[f];
            for (unsigned i = 0; i < 4; ++i) {
                if ((x.saved_set & y.saved_set) >> i & 1) look(x.saved[i], y.saved[i]);
            }
            if (x.stack == nullptr || y.stack == nullptr || x.stack == y.stack) continue;
            for (size_t i = 0; i < x.stack->size() && i < y.stack->size(); ++i) {
                if ((*x.stack)[i].is_whole() && (*y.stack)[i].is_whole()) look((*x.stack)[i].val, (*y.stack)[i].val);
            }
        }
        // Strides of which none is a multiple of the other (arrays of different elements): told in the rounds.
        if (uneven) found.push_back({Val::constant(0), Val::constant(1), widening_.on, false});
        const auto gap = [](const Found& p) {
            const auto d = static_cast<int64_t>(p.first.k - p.second.k);
            return d < 0 ? uint64_t{0} - static_cast<uint64_t>(d) : static_cast<uint64_t>(d);
        };
        std::stable_sort(found.begin(), found.end(), [&](const auto& l, const auto& r) { return gap(l) < gap(r); });
        for (const Found& f : found) {
            widens_ = f.widens;
            if (!linked(f.first, f.second, f.whole)) make_pair(f.first, f.second);
        }
        widens_ = widening_.on;
    }

    bool merge_locations() {
        for (unsigned r = 0; r < a_.regs.size(); ++r) {
            if (!a_.is_set(r) || !b_.is_set(r)) continue;
            widens_ = widens(r);
            if (const auto v = merge(a_.regs[r], b_.regs[r])) out_.set_reg(r, *v);
        }
        widens_ = widening_.on;
        for (size_t f = 0; f < a_.frames.size(); ++f) {
            const Frame &x = a_.frames[f], &y = b_.frames[f];
            Frame& out = out_.frames[f];
            for (unsigned i = 0; i < 4; ++i) {
                if (((x.saved_set & y.saved_set) >> i & 1) == 0) continue;
                if (const auto v = merge(x.saved[i], y.saved[i])) {
                    out.saved[i] = *v;
                    out.saved_set = static_cast<uint8_t>(out.saved_set | 1u << i);
                }
            }
            if (x.stack == nullptr || y.stack == nullptr) continue;
            Stack stack;
            for (size_t i = 0; i < x.stack->size() && i < y.stack->size(); ++i) {
                stack.push_back(merge_cell((*x.stack)[i], (*y.stack)[i]));
            }
            out.own_stack() = std::move(stack);
        }
        for (size_t i = 0; i < a_.callbacks.size(); ++i) {
            CallbackLoop loop = a_.callbacks[i];
            const auto context = merge(loop.context, b_.callbacks[i].context);
            const auto rounds = merge(loop.rounds, b_.callbacks[i].rounds);
            if (!context || !rounds) return false;
            loop.context = *context, loop.rounds = *rounds;
            out_.callbacks.push_back(loop);
        }
        for (const Ghost& ghost : a_.ghosts) {
            const auto other =
                std::find_if(b_.ghosts.begin(), b_.ghosts.end(), [&](const Ghost& g) { return g.cut == ghost.cut; });
            if (other == b_.ghosts.end()) continue;
            if (const auto v = merge(ghost.measure, other->measure)) out_.ghosts.push_back({ghost.cut, *v});
        }
        return true;
    }

    Cell merge_cell(const Cell& a, const Cell& b) {
        Cell out;
        const auto whole = [](const Cell& c) -> std::optional<Val> {
            if (c.is_whole()) return c.val;
            uint64_t word = 0;
            for (unsigned i = 0; i < 8; ++i) {
                if (c.kind[i] != Byte::Const) return {};
                word |= uint64_t{c.detail[i]} << (8 * i);
            }
            return Val::constant(word);
        };
        const auto wa = whole(a), wb = whole(b);
        if (wa && wb && (a.is_whole() || b.is_whole())) {
            if (const auto v = merge(*wa, *wb)) {
                out.set_whole(*v);
                return out;
            }
        }
        for (const unsigned low : {4u, 0u}) {  // a number of four bytes
            const auto va = half_of(a_, a, low), vb = half_of(b_, b, low);
            if (!va || !vb || (*va == *vb && va->is_constant())) continue;
            out.val = merge_number(*va, *vb);
            for (unsigned i = 0; i < 4; ++i)
                out.kind[low + i] = Byte::Part, out.detail[low + i] = static_cast<uint8_t>(i);
            for (unsigned i = 0; i < 4; ++i) {
                const unsigned k = (low ^ 4) + i;
                const bool constant =
                    a.kind[k] == Byte::Const && b.kind[k] == Byte::Const && a.detail[k] == b.detail[k];
                if (a.kind[k] == Byte::Unset || b.kind[k] == Byte::Unset) continue;
                out.kind[k] = constant ? Byte::Const : Byte::Misc;
                out.detail[k] = constant ? a.detail[k] : 0;
            }
            return out;
        }
        std::optional<Val> part;
        bool part_tried = false;
        for (unsigned i = 0; i < 8; ++i) {
            if (a.kind[i] == Byte::Unset || b.kind[i] == Byte::Unset) continue;
            if (a.kind[i] == Byte::Const && b.kind[i] == Byte::Const && a.detail[i] == b.detail[i]) {
                out.kind[i] = Byte::Const, out.detail[i] = a.detail[i];
                continue;
            }
            out.kind[i] = Byte::Misc;
            if (a.kind[i] != Byte::Part || b.kind[i] != Byte::Part || a.detail[i] != b.detail[i]) continue;
            if (!part_tried) part = merge(a.val, b.val), part_tried = true;
            if (part && !(is_tainted(out_, *part) && !(a.is_whole() && b.is_whole()))) {
                out.kind[i] = Byte::Part, out.detail[i] = a.detail[i];
            }
        }
        if (out.has_part()) out.val = *part;
        return out;
    }

    /// A definition stays if both sides have it over forms that are paired.
    void keep_definitions() {
        const auto paired = [&](const Val& a, const Val& b) -> std::optional<Val> {
            if (a.is_constant() && a == b) return a;
            return linked(a, b);
        };
        const size_t count = pairs_.size();
        for (size_t i = 0; i < count; ++i) {
            const Pair p = pairs_[i];
            if (!p.a.is_shifted_symbol() || p.a.k != 0 || !p.b.is_shifted_symbol() || p.b.k != 0) continue;
            const Definition &da = a_[p.a.a.sym].def, &db = b_[p.b.a.sym].def;
            if (!da.any() || da.operation != db.operation || da.is32 != db.is32) continue;
            const auto x = paired(da.x, db.x), y = paired(da.y, db.y);
            if (x && y && !x->mentions(p.sym) && !y->mentions(p.sym)) out_[p.sym].def = {da.operation, da.is32, *x, *y};
        }
    }

    void keep_relations() {
        const auto touches = [](const Val& v, Sym s) { return v.is_shifted_symbol() && v.a.sym == s; };
        const auto related = [&](const State& s, const Val& x, const Val& y) {
            return std::ranges::any_of(s.relations,
                                       [&](const Relation& r) { return touches(x, r.x) && touches(y, r.y); });
        };
        const auto consider = [&](const Pair& x, const Pair& y) {
            if (x.sym == y.sym || out_.relations.size() >= max_relations) return;
            for (const Relation& r : out_.relations) {
                if (r.x == x.sym && r.y == y.sym) return;
            }
            const auto ua = upper_difference(a_, x.a, y.a), ub = upper_difference(b_, x.b, y.b);
            if (!ua || !ub) return;
            // A bound that grows is given up, but the first one that a comparison made is none that grows: before, the
            // facts said it, while the values were small.
            if (widening_.on && *ub > *ua && (related(a_, x.a, y.a) || !related(b_, x.b, y.b))) return;
            add_relation(out_, Val::symbol(x.sym), Val::symbol(y.sym), std::max(*ua, *ub));
        };
        // Offsets that are constants on each side stand in no relation there, but together with the packet's length the
        // facts of each side may say more than the joined facts. Places in the packet first.
        if (out_.packet != no_sym) {
            const Sym length = out_[out_.packet].region.length;
            const auto is_length = [&](const Pair& p) { return p.sym == length; };
            const auto found = std::find_if(pairs_.begin(), pairs_.end(), is_length);
            if (found != pairs_.end()) {
                const Pair whole = *found;
                for (const Pair& p : pairs_) {
                    if (std::ranges::count(places_, p.sym) != 0) consider(p, whole);
                }
                for (size_t i = 0; i < pairs_.size() && i < 16; ++i) consider(pairs_[i], whole);
            }
        }
        const auto carry = [&](const State& s, Val Pair::* side) {
            for (const Relation& r : s.relations) {
                for (const Pair& x : pairs_) {
                    if (!touches(x.*side, r.x)) continue;
                    for (const Pair& y : pairs_) {
                        if (touches(y.*side, r.y)) consider(x, y);
                    }
                }
            }
        };
        carry(a_, &Pair::a);
        carry(b_, &Pair::b);
    }

    const State& a_;
    const State& b_;
    const Widening& widening_;
    bool widens_;  ///< what is merged now
    State out_;
    struct Bases {
        Sym a, b, sym;
    };
    /// A location that is told as factor * unit + k.
    struct User {
        Val unit;
        int32_t factor;
        uint64_t k;
    };
    std::vector<Bases> bases_;
    std::vector<Pair> pairs_;
    std::vector<User> users_;
    std::vector<Sym> places_;  ///< offsets of pointers into the packet
};

}  // namespace

std::optional<Val> half_of(const State& s, const Cell& cell, unsigned low) {
    bool constant = true, parts = true;
    uint64_t word = 0;
    for (unsigned i = 0; i < 4; ++i) {
        constant = constant && cell.kind[low + i] == Byte::Const;
        parts = parts && cell.kind[low + i] == Byte::Part && cell.detail[low + i] == i;
        word |= uint64_t{cell.detail[low + i]} << (8 * i);
    }
    if (constant) return Val::constant(word);
    if (!parts || is_tainted(s, cell.val) || number_of(s, cell.val).umax() > UINT32_MAX) return {};
    return cell.val;
}

std::optional<unsigned> distance(const State& a, const State& b) {
    if (!same_frames(a, b)) return {};
    unsigned sum = 0;
    const auto compare = [&](const Val& x, const Val& y) {
        const auto px = pointer_of(a, x), py = pointer_of(b, y);
        if (px.has_value() != py.has_value()) {
            sum += 64;
        } else if (px) {
            if (!joinable(a[px->base].region, b[py->base].region))
                sum += 64;
            else if (a[px->base].region.nullable != b[py->base].region.nullable)
                sum += 32;
            else if (px->offset != py->offset)
                sum += 4;
            // How far behind it the packet is known to go on.
            if (a[px->base].region.kind == RegionKind::Packet && b[py->base].region.kind == RegionKind::Packet) {
                const auto room = [](const State& s, const Pointer& p) {
                    const auto length = static_cast<uint64_t>(smin_of(s[s[p.base].region.length].num));
                    return length - static_cast<uint64_t>(smax_of(number_of(s, p.offset)));
                };
                if (room(a, *px) != room(b, *py)) sum += 4;
            }
        } else if (x.is_constant() != y.is_constant()) {
            sum += 3;
        } else if (x.is_constant() && x.k != y.k) {
            sum += 4;
        } else if (!x.is_constant() && number_of(a, x) != number_of(b, y)) {
            sum += 1;
        }
    };
    for (unsigned r = 0; r < a.regs.size(); ++r) {
        const bool one_only = ((a.set ^ b.set) >> r & 1) != 0;
        if (one_only) {
            sum += 16;
        } else if (a.is_set(r)) {
            compare(a.regs[r], b.regs[r]);
        }
    }
    for (size_t f = 0; f < a.frames.size(); ++f) {
        const Frame &x = a.frames[f], &y = b.frames[f];
        for (unsigned i = 0; i < 4; ++i) {
            if (((x.saved_set ^ y.saved_set) >> i & 1) != 0)
                sum += 16;
            else if ((x.saved_set >> i & 1) != 0)
                compare(x.saved[i], y.saved[i]);
        }
        if (x.stack == y.stack) continue;
        if (x.stack == nullptr || y.stack == nullptr) {
            sum += 8;
            continue;
        }
        for (size_t i = 0; i < x.stack->size() && i < y.stack->size(); ++i) {
            const Cell &cx = (*x.stack)[i], &cy = (*y.stack)[i];
            if (cx.is_whole() && cy.is_whole())
                compare(cx.val, cy.val);
            else if (cx.is_whole() != cy.is_whole() && (cx.is_unset() || cy.is_unset()))
                sum += 8;
            else if (cx.kind != cy.kind || cx.detail != cy.detail)
                sum += 1;
        }
    }
    return sum;
}

std::optional<State> join(const State& old, const State& arriving, const Widening& widening) {
    return Joining(old, arriving, widening).run();
}

}  // namespace skep::verifier
