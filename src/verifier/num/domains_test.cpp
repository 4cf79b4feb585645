// SPDX-License-Identifier: Apache-2.0
// Arcs and tnums against the sets they stand for, exhaustively at a small width.
#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "verifier/num/arc.hpp"
#include "verifier/num/tnum.hpp"

namespace skep::verifier::num {
namespace {

constexpr unsigned width = 4;
constexpr unsigned count = 1u << width;
using W = SmallWord<width>;
using A = Arc<W>;
using T = Tnum<W>;
using Set = uint32_t;  // bit x: x is a member

template <typename Domain>
Set gamma(const Domain& d) {
    Set set = 0;
    for (unsigned x = 0; x < count; ++x) set |= d.contains(W(x)) ? 1u << x : 0u;
    return set;
}

std::vector<A> all_arcs() {
    std::vector<A> arcs;
    for (unsigned b = 0; b < count; ++b) {
        for (unsigned l = 0; l < count; ++l) arcs.push_back({W(b), W(l)});
    }
    return arcs;
}

std::vector<T> all_tnums() {
    std::vector<T> tnums;
    for (unsigned v = 0; v < count; ++v) {
        for (unsigned m = 0; m < count; ++m) {
            if ((v & m) == 0) tnums.push_back({W(v), W(m)});
        }
    }
    return tnums;
}

/// The image of two sets under a concrete operation.
template <typename Op>
Set image(Set a, Set b, Op op) {
    Set out = 0;
    for (unsigned x = 0; x < count; ++x) {
        if ((a >> x & 1) == 0) continue;
        for (unsigned y = 0; y < count; ++y) {
            if ((b >> y & 1) != 0) out |= 1u << op(W(x), W(y)).bits;
        }
    }
    return out;
}

bool includes(Set outer, Set inner) { return (inner & ~outer) == 0; }

template <typename Domain>
std::vector<Set> sets_of(const std::vector<Domain>& domains) {
    std::vector<Set> sets;
    for (const Domain& d : domains) sets.push_back(gamma(d));
    return sets;
}

/// Members of the smallest of `sets` that includes `set`.
unsigned best_size(const std::vector<Set>& sets, Set set) {
    unsigned best = count;
    for (const Set g : sets) {
        if (includes(g, set)) best = std::min(best, static_cast<unsigned>(std::popcount(g)));
    }
    return best;
}

/// Members of the shortest arc around a set; the yardstick of "best".
unsigned best_arc_size(Set set) {
    static const std::vector<Set> arcs = sets_of(all_arcs());
    return best_size(arcs, set);
}

unsigned best_tnum_size(Set set) {
    static const std::vector<Set> tnums = sets_of(all_tnums());
    return best_size(tnums, set);
}

unsigned size_of(Set set) { return static_cast<unsigned>(std::popcount(set)); }

TEST(Arc, SubsetIsInclusionOfSets) {
    for (const A& a : all_arcs()) {
        for (const A& b : all_arcs()) ASSERT_EQ(subset(a, b), includes(gamma(b), gamma(a)));
    }
}

TEST(Arc, MeetIsExactUnlessItHasTwoPieces) {
    unsigned exact = 0, loose = 0;
    for (const A& a : all_arcs()) {
        for (const A& b : all_arcs()) {
            const Set both = gamma(a) & gamma(b);
            const auto m = meet(a, b);
            ASSERT_EQ(m.some, both != 0);
            if (!m.some) continue;
            ASSERT_TRUE(includes(gamma(m.value), both));
            ASSERT_TRUE(includes(gamma(a), gamma(m.value)) || includes(gamma(b), gamma(m.value)));
            gamma(m.value) == both ? ++exact : ++loose;
            if (size_of(both) == best_arc_size(both)) {
                ASSERT_EQ(gamma(m.value), both);
            }
        }
    }
    EXPECT_GT(exact, loose);
}

TEST(Arc, JoinIncludesBothAndIsShortest) {
    for (const A& a : all_arcs()) {
        for (const A& b : all_arcs()) {
            const Set u = gamma(a) | gamma(b);
            const Set j = gamma(join(a, b));
            ASSERT_TRUE(includes(j, u));
            ASSERT_EQ(size_of(j), best_arc_size(u));
        }
    }
}

TEST(Arc, AddAndSubAreBest) {
    for (const A& a : all_arcs()) {
        for (const A& b : all_arcs()) {
            ASSERT_EQ(gamma(add(a, b)), image(gamma(a), gamma(b), [](W x, W y) { return x + y; }));
            ASSERT_EQ(gamma(sub(a, b)), image(gamma(a), gamma(b), [](W x, W y) { return x - y; }));
        }
    }
}

TEST(Arc, BoundsAreTheExtremeMembers) {
    for (const A& a : all_arcs()) {
        unsigned low = count, high = 0;
        int slow = count, shigh = -static_cast<int>(count);
        for (unsigned x = 0; x < count; ++x) {
            if (!a.contains(W(x))) continue;
            low = std::min(low, x);
            high = std::max(high, x);
            const int s = x >= count / 2 ? static_cast<int>(x) - static_cast<int>(count) : static_cast<int>(x);
            slow = std::min(slow, s);
            shigh = std::max(shigh, s);
        }
        ASSERT_EQ(umin(a).bits, low);
        ASSERT_EQ(umax(a).bits, high);
        ASSERT_EQ(smin(a), W(static_cast<uint64_t>(slow)));
        ASSERT_EQ(smax(a), W(static_cast<uint64_t>(shigh)));
    }
}

TEST(Arc, ShiftsAndComplementInclude) {
    for (const A& a : all_arcs()) {
        for (unsigned k = 0; k < width; ++k) {
            for (unsigned x = 0; x < count; ++x) {
                if (!a.contains(W(x))) continue;
                ASSERT_TRUE(shl_const(a, k).contains(shl(W(x), k)));
                ASSERT_TRUE(shr_const(a, k).contains(shr(W(x), k)));
                ASSERT_TRUE(sar_const(a, k).contains(sar(W(x), k)));
                ASSERT_TRUE(complement(a).contains(~W(x)));
            }
        }
    }
}

TEST(Tnum, LatticeOperationsAreExact) {
    for (const T& a : all_tnums()) {
        for (const T& b : all_tnums()) {
            ASSERT_EQ(subset(a, b), includes(gamma(b), gamma(a)));
            const Set both = gamma(a) & gamma(b);
            const auto m = meet(a, b);
            ASSERT_EQ(m.some, both != 0);
            if (m.some) {
                ASSERT_EQ(gamma(m.value), both);
            }
            const Set u = gamma(a) | gamma(b);
            ASSERT_TRUE(includes(gamma(join(a, b)), u));
            ASSERT_EQ(size_of(gamma(join(a, b))), best_tnum_size(u));
        }
    }
}

TEST(Tnum, ArithmeticIncludesAndBitwiseIsBest) {
    for (const T& a : all_tnums()) {
        for (const T& b : all_tnums()) {
            const Set ga = gamma(a), gb = gamma(b);
            const Set sum = image(ga, gb, [](W x, W y) { return x + y; });
            const Set difference = image(ga, gb, [](W x, W y) { return x - y; });
            ASSERT_EQ(size_of(gamma(add(a, b))), best_tnum_size(sum));
            ASSERT_TRUE(includes(gamma(add(a, b)), sum));
            ASSERT_EQ(size_of(gamma(sub(a, b))), best_tnum_size(difference));
            ASSERT_TRUE(includes(gamma(sub(a, b)), difference));
            ASSERT_TRUE(includes(gamma(mul(a, b)), image(ga, gb, [](W x, W y) { return x * y; })));
            ASSERT_EQ(gamma(bit_and(a, b)), image(ga, gb, [](W x, W y) { return x & y; }));
            ASSERT_EQ(gamma(bit_or(a, b)), image(ga, gb, [](W x, W y) { return x | y; }));
            ASSERT_EQ(gamma(bit_xor(a, b)), image(ga, gb, [](W x, W y) { return x ^ y; }));
        }
    }
}

TEST(Tnum, ShiftsAreBest) {
    for (const T& a : all_tnums()) {
        for (unsigned k = 0; k < width; ++k) {
            ASSERT_EQ(gamma(shl_const(a, k)), image(gamma(a), 1, [&](W x, W) { return shl(x, k); }));
            ASSERT_EQ(gamma(shr_const(a, k)), image(gamma(a), 1, [&](W x, W) { return shr(x, k); }));
            const Set shifted = image(gamma(a), 1, [&](W x, W) { return sar(x, k); });  // sign bits agree: not a tnum
            ASSERT_TRUE(includes(gamma(sar_const(a, k)), shifted));
            ASSERT_EQ(size_of(gamma(sar_const(a, k))), best_tnum_size(shifted));
        }
        ASSERT_EQ(gamma(complement(a)), image(gamma(a), 1, [](W x, W) { return ~x; }));
    }
}

TEST(Tnum, NeighboursAreTheNearestMembers) {
    for (const T& t : all_tnums()) {
        for (unsigned z = 0; z < count; ++z) {
            const auto above = least_at_or_above(t, W(z));
            const auto below = largest_at_or_below(t, W(z));
            unsigned want_above = count, want_below = count;
            for (unsigned x = 0; x < count; ++x) {
                if (!t.contains(W(x))) continue;
                if (x >= z && want_above == count) want_above = x;
                if (x <= z) want_below = x;
            }
            ASSERT_EQ(above.some, want_above != count);
            if (above.some) {
                ASSERT_EQ(above.value.bits, want_above);
            }
            ASSERT_EQ(below.some, want_below != count);
            if (below.some) {
                ASSERT_EQ(below.value.bits, want_below);
            }
        }
    }
}

TEST(Tnum, TrimMovesBothEndsToMembers) {
    for (const A& a : all_arcs()) {
        for (const T& t : all_tnums()) {
            const Set both = gamma(a) & gamma(t);
            const auto trimmed = trim(a, t);
            ASSERT_EQ(trimmed.some, both != 0);
            if (!trimmed.some) continue;
            ASSERT_TRUE(includes(gamma(trimmed.value), both));
            ASSERT_TRUE(t.contains(trimmed.value.base));
            ASSERT_TRUE(t.contains(trimmed.value.end()));
        }
    }
}

TEST(Tnum, OfArcIsBest) {
    for (const A& a : all_arcs()) {
        ASSERT_TRUE(includes(gamma(of_arc(a)), gamma(a)));
        // An arc that wraps may still share low bits with nothing: only unknown is claimed for it.
        if (!a.wraps()) {
            ASSERT_EQ(size_of(gamma(of_arc(a))), best_tnum_size(gamma(a)));
        }
    }
}

}  // namespace
}  // namespace skep::verifier::num
