// SPDX-License-Identifier: Apache-2.0
// Every comparison at both widths: no pair that satisfies it is lost, and what it must tell is told.
#include "verifier/num/refine.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace skep::verifier::num {
namespace {

using W = SmallWord<8>;
using N = Num<W>;

constexpr Compare all_compares[] = {Compare::Eq,  Compare::Ne,  Compare::Lt,  Compare::Le,
                                    Compare::Gt,  Compare::Ge,  Compare::Slt, Compare::Sle,
                                    Compare::Sgt, Compare::Sge, Compare::Set, Compare::NotSet};

bool holds(Compare compare, uint64_t x, uint64_t y, unsigned bits) {
    const auto sign = [&](uint64_t v) { return static_cast<int64_t>(v << (64 - bits)) >> (64 - bits); };
    switch (compare) {
        case Compare::Eq: return x == y;
        case Compare::Ne: return x != y;
        case Compare::Lt: return x < y;
        case Compare::Le: return x <= y;
        case Compare::Gt: return x > y;
        case Compare::Ge: return x >= y;
        case Compare::Slt: return sign(x) < sign(y);
        case Compare::Sle: return sign(x) <= sign(y);
        case Compare::Sgt: return sign(x) > sign(y);
        case Compare::Sge: return sign(x) >= sign(y);
        case Compare::Set: return (x & y) != 0;
        case Compare::NotSet: return (x & y) == 0;
    }
    return false;
}

std::vector<N> operands() {
    std::mt19937 random(1);
    std::vector<N> out{N::unknown(), N::constant(W(0)), N::constant(W(255)), N::constant(W(128)), N::constant(W(127))};
    while (out.size() < 24) {
        const unsigned v = random(), m = random() & random();
        const N n{random() % 3 == 0 ? Tnum<W>::unknown() : Tnum<W>{W(v & ~m), W(m)},
                  {W(random()), W(random() % 2 == 0 ? random() % 9 : random())},
                  random() % 3 != 0 ? Arc<Half<W>>::full() : Arc<Half<W>>{Half<W>(random()), Half<W>(random())}};
        if (const auto reduced = reduce(n)) out.push_back(*reduced);
    }
    return out;
}

TEST(Refine, LosesNoPairAndNeverGrows) {
    const std::vector<N> all = operands();
    uint64_t dead = 0, missed = 0, pairs = 0;
    for (const Compare compare : all_compares) {
        for (const bool low_half : {false, true}) {
            for (const N& a : all) {
                for (const N& b : all) {
                    const auto refined = low_half ? refine_low(compare, a, b) : refine(compare, a, b);
                    bool any = false;
                    for (uint64_t x = 0; x < 256; ++x) {
                        if (!a.contains(W(x))) continue;
                        for (uint64_t y = 0; y < 256; ++y) {
                            if (!b.contains(W(y))) continue;
                            const bool true_here =
                                low_half ? holds(compare, x & 15, y & 15, 4) : holds(compare, x, y, 8);
                            if (!true_here) continue;
                            any = true;
                            ASSERT_TRUE(refined) << "a satisfiable comparison called dead";
                            ASSERT_TRUE(refined->first.contains(W(x)) && refined->second.contains(W(y)));
                        }
                    }
                    ++pairs;
                    dead += refined ? 0 : 1;
                    missed += refined && !any;
                    if (refined) {
                        ASSERT_TRUE(subset(refined->first, a)) << static_cast<int>(compare);
                        ASSERT_TRUE(subset(refined->second, b)) << static_cast<int>(compare);
                    }
                }
            }
        }
    }
    EXPECT_GT(dead, pairs / 20);
    EXPECT_LT(missed, pairs / 50) << "contradictions not found, of " << pairs;
}

TEST(Refine, TheOppositeHoldsExactlyElsewhere) {
    for (const Compare compare : all_compares) {
        for (uint64_t x = 0; x < 256; x += 7) {
            for (uint64_t y = 0; y < 256; y += 5) {
                ASSERT_NE(holds(compare, x, y, 8), holds(opposite(compare), x, y, 8));
            }
        }
    }
}

TEST(Refine, KeepsWhatProgramsRelyOn) {
    using N64 = Num<uint64_t>;
    const auto below_16 = refine(Compare::Lt, N64::unknown(), N64::constant(16));
    ASSERT_TRUE(below_16);
    EXPECT_EQ(below_16->first.umax(), 15u);
    EXPECT_EQ(below_16->first.bits.mask, 15u);
    const auto not_zero = refine(Compare::Ne, N64::unknown(), N64::constant(0));
    ASSERT_TRUE(not_zero);
    EXPECT_FALSE(not_zero->first.contains(0));
    const auto low_below = refine_low(Compare::Lt, N64::unknown(), N64::constant(16));
    ASSERT_TRUE(low_below);
    EXPECT_EQ(umax(low_below->first.narrow), 15u);
    EXPECT_EQ(low_below->first.umax(), 0xffffffff'0000000fu);
    EXPECT_FALSE(refine(Compare::Gt, N64::constant(3), N64::constant(3)));
    const auto positive = refine(Compare::Sge, N64::unknown(), N64::constant(0));
    ASSERT_TRUE(positive);
    EXPECT_EQ(positive->first.umax(), 0x7fffffff'ffffffffu);
}

}  // namespace
}  // namespace skep::verifier::num
