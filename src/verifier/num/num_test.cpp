// SPDX-License-Identifier: Apache-2.0
// The product of the three views, exhaustively at 6 and 3 bits against the sets they stand for.
#include "verifier/num/num.hpp"

#include <gtest/gtest.h>

#include <random>

namespace skep::verifier::num {
namespace {

constexpr unsigned width = 6;
constexpr unsigned count = 1u << width;
using W = SmallWord<width>;
using H = SmallWord<width / 2>;
using N = Num<W>;
using Set = uint64_t;

template <typename Domain>
Set gamma(const Domain& d) {
    Set set = 0;
    for (unsigned x = 0; x < count; ++x) set |= d.contains(W(x)) ? Set{1} << x : 0;
    return set;
}

Set gamma_low(const Arc<H>& q) {
    Set set = 0;
    for (unsigned x = 0; x < count; ++x) set |= q.contains(H(x)) ? Set{1} << x : 0;
    return set;
}

/// Calls f with every arc of the word; `step` thins them out.
template <typename F>
void each_arc(unsigned step, F f) {
    for (unsigned b = 0; b < count; b += step) {
        for (unsigned l = 0; l < count; l += step) f(Arc<W>{W(b), W(l)});
    }
}

TEST(Num, TruncateHoldsEveryLowHalf) {
    each_arc(1, [](const Arc<W>& a) {
        const Arc<H> q = truncate(a);
        for (unsigned x = 0; x < count; ++x) {
            if (a.contains(W(x))) {
                ASSERT_TRUE(q.contains(H(x)));
            }
        }
    });
}

TEST(Num, TightenKeepsWhatBothHoldAndIsEmptyOnlyThen) {
    each_arc(1, [](const Arc<W>& a) {
        for (unsigned b = 0; b < 8; ++b) {
            for (unsigned l = 0; l < 8; ++l) {
                const Arc<H> q{H(b), H(l)};
                const Set both = gamma(a) & gamma_low(q);
                const auto tight = tighten(a, q);
                ASSERT_EQ(tight.some, both != 0);
                if (tight.some) {
                    ASSERT_EQ(both & ~gamma(tight.value), 0u);
                    ASSERT_TRUE(q.contains(low(tight.value.base)) && q.contains(low(tight.value.end())));
                }
            }
        }
    });
}

/// Every tnum with a grid of arcs: some seven hundred thousand products.
TEST(Num, ReduceLosesNoMemberAndFindsEveryContradiction) {
    uint64_t products = 0, empty = 0, missed = 0;
    each_arc(7, [&](const Arc<W>& a) {
        const Set wide = gamma(a);
        for (unsigned v = 0; v < count; ++v) {
            for (unsigned m = 0; m < count; m += 1) {
                if ((v & m) != 0) continue;
                const Tnum<W> t{W(v), W(m)};
                const Set bits = gamma(t) & wide;
                for (unsigned b = 0; b < 8; b += 2) {
                    for (unsigned l = 0; l < 8; l += 3) {
                        const N n{t, a, {H(b), H(l)}};
                        const Set set = bits & gamma_low(n.narrow);
                        const auto reduced = reduce(n);
                        ++products;
                        if (!reduced) {
                            ASSERT_EQ(set, 0u) << "lost a member";
                            ++empty;
                            continue;
                        }
                        missed += set == 0;
                        const Set after = gamma(*reduced);
                        ASSERT_EQ(set & ~after, 0u) << "lost a member";
                        ASSERT_EQ(after & ~set, 0u) << "grew";
                    }
                }
            }
        }
    });
    EXPECT_GT(products, 500'000u);
    EXPECT_GT(empty, 0u);
    EXPECT_EQ(missed, 0u) << "of " << products;
}

TEST(Num, JoinAndMeetIncludeAndAgreeWithSets) {
    std::mt19937 random(7);
    const auto any = [&] {
        for (;;) {
            const unsigned v = random() % count, m = random() % count;
            const N n{{W(v & ~m), W(m)}, {W(random()), W(random())}, {H(random()), H(random())}};
            if (const auto reduced = reduce(n)) return *reduced;
        }
    };
    for (int i = 0; i < 50'000; ++i) {
        const N a = any(), b = any();
        const N j = join(a, b);
        ASSERT_EQ((gamma(a) | gamma(b)) & ~gamma(j), 0u);
        ASSERT_TRUE(subset(a, j) || (gamma(a) & ~gamma(j)) == 0);
        const auto m = meet(a, b);
        if (!m) {
            ASSERT_EQ(gamma(a) & gamma(b), 0u);
        } else {
            ASSERT_EQ(gamma(a) & gamma(b) & ~gamma(*m), 0u);
        }
        if (subset(a, b)) {
            ASSERT_EQ(gamma(a) & ~gamma(b), 0u);
        }
    }
}

TEST(Num, FullWidthKnowsConstantsAndRanges) {
    using N64 = Num<uint64_t>;
    EXPECT_TRUE(N64::constant(7).is_constant());
    const N64 r = unsigned_range<uint64_t>(16, 31);
    EXPECT_EQ(r.bits.value, 16u);
    EXPECT_EQ(r.bits.mask, 15u);
    EXPECT_EQ(r.narrow.base, 16u);
    EXPECT_EQ(r.umax(), 31u);
    const auto both = meet(r, N64{Tnum<uint64_t>{0, ~uint64_t{7}}, Arc<uint64_t>::full(), Arc<uint32_t>::full()});
    ASSERT_TRUE(both);
    EXPECT_EQ(both->umin(), 16u);
    EXPECT_EQ(both->umax(), 24u);
}

}  // namespace
}  // namespace skep::verifier::num
