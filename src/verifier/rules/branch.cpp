// SPDX-License-Identifier: Apache-2.0
// Conditional jumps: what is known on each side (design 3.3, 3.4).
#include <algorithm>

#include "verifier/rules/executor.hpp"

namespace skep::verifier {

namespace {

using isa::Operation;
using num::Compare;

std::optional<Compare> compare_of(Operation op) {
    switch (op) {
        case Operation::JumpEq: return Compare::Eq;
        case Operation::JumpNe: return Compare::Ne;
        case Operation::JumpGt: return Compare::Gt;
        case Operation::JumpGe: return Compare::Ge;
        case Operation::JumpLt: return Compare::Lt;
        case Operation::JumpLe: return Compare::Le;
        case Operation::JumpSgt: return Compare::Sgt;
        case Operation::JumpSge: return Compare::Sge;
        case Operation::JumpSlt: return Compare::Slt;
        case Operation::JumpSle: return Compare::Sle;
        case Operation::JumpSet:
            return Compare::Set;
            // clang-format off
        case Operation::Add: case Operation::Sub: case Operation::Mul: case Operation::Div: case Operation::Sdiv:
        case Operation::Or: case Operation::And: case Operation::Lsh: case Operation::Rsh: case Operation::Neg:
        case Operation::Mod: case Operation::Smod: case Operation::Xor: case Operation::Mov: case Operation::Movsx8:
        case Operation::Movsx16: case Operation::Movsx32: case Operation::Arsh: SKEP_CASES_BYTE_ORDER: case Operation::AddrSpaceCast:
        case Operation::Jump: case Operation::MayGoto: SKEP_CASES_CALLS: case Operation::Exit: SKEP_CASES_WIDE_LOADS: case Operation::Load: case Operation::LoadSigned:
        case Operation::Store: case Operation::LoadPacket: case Operation::LoadAcquire: case Operation::StoreRelease:
        SKEP_CASES_ATOMICS: return {};
            // clang-format on
    }
    return {};
}

bool is_unsigned_order(Compare c) {
    return c == Compare::Lt || c == Compare::Le || c == Compare::Gt || c == Compare::Ge;
}
bool is_signed_order(Compare c) {
    return c == Compare::Slt || c == Compare::Sle || c == Compare::Sgt || c == Compare::Sge;
}

/// The same comparison as x <= y + c over the integers: {swap, c}.
struct Order {
    bool swap;
    int64_t c;
};
Order order_of(Compare c) {
    switch (c) {
        case Compare::Lt:
        case Compare::Slt: return {false, -1};
        case Compare::Le:
        case Compare::Sle: return {false, 0};
        case Compare::Gt:
        case Compare::Sgt: return {true, -1};
        case Compare::Ge:
        case Compare::Sge: return {true, 0};
        case Compare::Eq:
        case Compare::Ne:
        case Compare::Set:
        case Compare::NotSet: break;
    }
    return {false, 0};
}

bool at_most(const State& s, const Val& x, const Val& y, int64_t c) {
    const auto bound = upper_difference(s, x, y);
    return bound && *bound <= c;
}

/// A symbol that turns out to be one number is told as that number. Lengths of packets keep their symbol.
void fold(State& s, const Val& v) {
    for (const Term* term : {&v.a, &v.b}) {
        if (term->factor == 0) continue;
        const Sym sym = term->sym;
        if (s[sym].is_base() || !s[sym].num.is_constant()) continue;
        const auto is_length = [&](const Symbol& other) {
            return other.region.length == sym || other.region.meta == sym;
        };
        if (std::any_of(s.symbols.begin(), s.symbols.end(), is_length)) continue;
        replace_symbol(s, sym, Val::constant(s[sym].num.umin()));
    }
}

/// Numbers, 64 bits wide.
bool assume_numbers(State& s, Compare c, Val x, Val y, isa::InsnIndex at) {
    const bool both = !x.is_constant() && !y.is_constant();  // then a relation may be learnt, which is between symbols
    x = name_terms(s, x, at, both);
    y = name_terms(s, y, at, both);
    const Num nx = number_of(s, x), ny = number_of(s, y);
    // Signed order, or unsigned order of numbers that are not negative: an order of integers.
    const bool integers = is_signed_order(c) || (is_unsigned_order(c) && smin_of(nx) >= 0 && smin_of(ny) >= 0);
    if (integers) {
        const Order order = order_of(c);
        const Val& small = order.swap ? y : x;
        const Val& large = order.swap ? x : y;
        if (at_most(s, large, small, -order.c - 1)) return false;  // small > large + c is known
    } else if (c == Compare::Eq) {
        if (at_most(s, x, y, -1) || at_most(s, y, x, -1)) return false;
    } else if (c == Compare::Ne) {
        const auto difference = subtract(x, y);
        if (difference && difference->is_constant() && difference->k == 0) return false;
    }
    const auto refined = num::refine(c, nx, ny);
    if (!refined) return false;
    if (!refine_value(s, x, refined->first) || !refine_value(s, y, refined->second)) return false;
    if (!x.is_constant() && !y.is_constant()) {
        const bool still = is_signed_order(c) ||
                           (is_unsigned_order(c) && smin_of(number_of(s, x)) >= 0 && smin_of(number_of(s, y)) >= 0);
        if (still) {
            const Order order = order_of(c);
            add_relation(s, order.swap ? y : x, order.swap ? x : y, order.c);
        } else if (c == Compare::Eq) {
            add_relation(s, x, y, 0);
            add_relation(s, y, x, 0);
        } else if (c == Compare::Ne) {
            if (at_most(s, x, y, 0)) add_relation(s, x, y, -1);
            if (at_most(s, y, x, 0)) add_relation(s, y, x, -1);
        }
    }
    fold(s, x);
    fold(s, y);
    return true;
}

/// Whether the form, read as a signed word, is in the window in which base + offset does not wrap.
bool in_window(const State& s, const Val& offset) {
    const Num n = number_of(s, offset);
    return smin_of(n) >= -(int64_t{1} << 12) && smax_of(n) <= (int64_t{1} << 40);
}

}  // namespace

bool assume_null(State& s, Sym base) {
    std::erase_if(s.references, [&](const Reference& r) { return r.base == base; });
    if (s.packet == base) s.packet = no_sym;
    return replace_symbol(s, base, Val::constant(0));
}

bool assume(State& s, Compare c, Val x, Val y, bool is32, isa::InsnIndex at) {
    const bool tainted_x = is_tainted(s, x), tainted_y = is_tainted(s, y);
    if (!tainted_x && !tainted_y) {
        if (!is32) return assume_numbers(s, c, x, y, at);
        const Num nx = number_of(s, x), ny = number_of(s, y);
        // Halves that are the whole numbers, in an order that does not see the sign of a half.
        const uint64_t limit = is_signed_order(c) ? 0x7fffffff : 0xffffffff;
        if (nx.umax() <= limit && ny.umax() <= limit) return assume_numbers(s, c, x, y, at);
        const auto refined = num::refine_low(c, nx, ny);
        if (!refined) return false;
        return refine_value(s, x, refined->first) && refine_value(s, y, refined->second);
    }
    if (is32) return true;  // half of an address says nothing
    const auto px = pointer_of(s, x), py = pointer_of(s, y);
    if (px && py && px->base == py->base) {
        // The same region: the order of the addresses is the order of the offsets, in the window.
        if (c == Compare::Set || c == Compare::NotSet || is_signed_order(c)) return true;
        if (!in_window(s, px->offset) || !in_window(s, py->offset)) return true;
        Compare order = c;
        if (c == Compare::Lt) order = Compare::Slt;
        if (c == Compare::Le) order = Compare::Sle;
        if (c == Compare::Gt) order = Compare::Sgt;
        if (c == Compare::Ge) order = Compare::Sge;
        return assume_numbers(s, order, px->offset, py->offset, at);
    }
    if (px && py && c == Compare::Eq) {
        // One is not null, so the equal other one is not.
        for (const auto& [mine, theirs] : {std::pair(*px, *py), std::pair(*py, *px)}) {
            Symbol& symbol = s[mine.base];
            const bool exact = mine.offset == Val::constant(0);
            if (!exact || !symbol.region.nullable || s[theirs.base].region.nullable || !in_window(s, theirs.offset))
                continue;
            if (smin_of(number_of(s, theirs.offset)) <= -(int64_t{1} << 12)) continue;
            symbol.region.nullable = false;
            if (!refine_symbol(s, mine.base, unsigned_range(uint64_t{1} << 12, ~uint64_t{0}))) return false;
        }
        return true;
    }
    // An address and the number 0.
    const Val& address = px ? x : y;
    const Val& other = px ? y : x;
    const auto pointer = px ? px : py;
    if (!pointer || !other.is_constant() || other.k != 0) return true;
    if (c == Compare::Gt && !px)
        c = Compare::Lt;  // 0 > p is p < 0, and so on
    else if (c == Compare::Lt && !px)
        c = Compare::Gt;
    const bool null = c == Compare::Eq || (c == Compare::Le && px) || (c == Compare::Ge && !px);
    const bool not_null = c == Compare::Ne || c == Compare::Gt;
    const Region& region = s[pointer->base].region;
    if (address == Val::symbol(pointer->base) && region.nullable) {
        if (null) return assume_null(s, pointer->base);
        if (not_null) {
            s[pointer->base].region.nullable = false;
            return refine_symbol(s, pointer->base, unsigned_range(uint64_t{1} << 12, ~uint64_t{0}));
        }
        return true;
    }
    if (null && !region.nullable && in_window(s, pointer->offset))
        return smin_of(number_of(s, pointer->offset)) <= -(1 << 12);
    return true;
}

/// Whether nobody learns an address from the order of the two: numbers, null or not, places in one region.
bool Executor::comparison_tells_nothing(const Val& x, const Val& y) const {
    if (!is_tainted(s, x) && !is_tainted(s, y)) return true;
    const auto px = pointer_of(s, x), py = pointer_of(s, y);
    if (px && py) return px->base == py->base;
    const Val& other = px ? y : x;
    return (px || py) && row_.width_bits() == 64 && other == Val::constant(0);
}

bool Executor::jump() {
    const auto target = static_cast<isa::InsnIndex>(isa::target_of(insn_, at_));
    const Place taken{target, Phase::Normal};
    if (row_.operation == Operation::Jump) {
        s.at = taken;
        return true;
    }
    if (row_.operation == Operation::MayGoto) return fail(Rule::NotModelled, "may_goto is not modelled");
    const Compare c = *compare_of(row_.operation);  // jump() gets jumps only
    const bool is32 = row_.width_bits() == 32;
    Val x, y;
    if (!read(insn_.dst, x)) return false;
    if (row_.has_src()) {
        if (!read(insn_.src, y)) return false;
    } else {
        y = Val::constant(static_cast<uint64_t>(int64_t{insn_.imm}) & (is32 ? 0xffffffff : ~uint64_t{0}));
    }
    if (!subject_.options.allow_pointer_leaks && !comparison_tells_nothing(x, y)) {
        return fail(Rule::PointerCompare,
                    "the branch tells how " + describe(is_tainted(s, x) ? x : y) + " compares with " +
                        describe(is_tainted(s, x) ? y : x),
                    insn_.dst, "a comparison with 0, or with an address in the same region");
    }
    if (taken.insn == at_ + 1) return next(), true;  // both ways lead to the same place
    State other = s;
    other.at = taken;
    const bool may_take = assume(other, c, x, y, is32, at_);
    const bool may_pass = assume(s, num::opposite(c), x, y, is32, at_);
    if (!may_take && !may_pass) {
        out_.flow = Flow::Dead;
        return true;
    }
    if (!may_pass) {
        s = std::move(other);
        out_.taken = true;
        return true;
    }
    next();
    if (may_take) {
        out_.other = std::move(other);
        out_.flow = Flow::Fork;
    }
    return true;
}

}  // namespace skep::verifier
