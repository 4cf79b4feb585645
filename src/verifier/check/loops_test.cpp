// SPDX-License-Identifier: Apache-2.0
#include "verifier/check/loops.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

#include "verifier/state/numbers.hpp"

namespace skep::verifier {
namespace {

using check::Bounds;
using check::Edge;
using check::exit_node;

/// A disjunct of cut `cut` whose measure is in [low, high], at slot `cut`.
Disjunct measured(uint32_t cut, int64_t low, int64_t high) {
    Disjunct d;
    d.cut = cut;
    d.state.at.insn = cut;
    d.measured = true;
    d.measure = Val::symbol(new_symbol(d.state, signed_range(low, high), no_insn));
    return d;
}
Disjunct plain(uint32_t cut) {
    Disjunct d;
    d.cut = cut;
    d.state.at.insn = cut;
    return d;
}
Disjunct before_round(uint32_t call, uint64_t rounds) {
    Disjunct d;
    d.cut = call;
    d.state.at = {call, Phase::CallbackHead};
    d.state.callbacks.push_back({.call = call, .context = {}, .rounds = Val::constant(rounds)});
    return d;
}

Bounds bounds(std::vector<Disjunct> disjuncts, const std::vector<Edge>& edges, std::vector<uint32_t> roots = {0}) {
    Certificate c;
    c.disjuncts = std::move(disjuncts);
    return check::bound_runs(c, roots, edges);
}

Edge edge(uint32_t from, uint32_t to, uint64_t instructions, uint64_t decrease = 0) {
    return {from, to, instructions, 0, decrease, false};
}

TEST(Loops, AStraightLineCostsItsLongestWay) {
    // 0 -> 1 -> 3, 0 -> 2 -> 3, 3 ends
    const Bounds b = bounds({plain(0), plain(1), plain(2), plain(3)},
                            {edge(0, 1, 5), edge(0, 2, 7), edge(1, 3, 10), edge(2, 3, 1), edge(3, exit_node, 2)});
    EXPECT_TRUE(b.ends);
    EXPECT_EQ(b.instructions, 17u);
    EXPECT_TRUE(b.trips.empty());
}

TEST(Loops, ACountedLoopCostsItsVisits) {
    // The head is visited with measure 9, 8, ... 0: nine rounds of 3, then out.
    const Bounds b = bounds({plain(0), measured(1, 0, 9)}, {edge(0, 1, 2), edge(1, 1, 3, 1), edge(1, exit_node, 4)});
    EXPECT_TRUE(b.ends);
    EXPECT_EQ(b.instructions, 2u + 9 * 3 + 4);
    EXPECT_EQ(b.trips.at(1), 10u);
}

TEST(Loops, AStepOfTwoHalvesTheVisits) {
    const Bounds b = bounds({measured(0, 0, 9)}, {edge(0, 0, 3, 2), edge(0, exit_node, 1)});
    EXPECT_EQ(b.instructions, 4 * 3u + 1);
    EXPECT_EQ(b.trips.at(0), 5u);
}

TEST(Loops, ACircleWithoutProgressIsRefused) {
    EXPECT_FALSE(bounds({plain(0), plain(1)}, {edge(0, 1, 1), edge(1, 0, 1), edge(1, exit_node, 1)}).ends);
    EXPECT_FALSE(bounds({measured(0, 0, 9)}, {edge(0, 0, 1), edge(0, exit_node, 1)}).ends);
    EXPECT_FALSE(bounds({plain(0)}, {edge(0, 0, 1, 1)}).ends) << "an unmeasured disjunct";
    // One of two ways back proves nothing.
    EXPECT_FALSE(bounds({measured(0, 0, 9), plain(1)}, {edge(0, 0, 1, 1), edge(0, 1, 1), edge(1, 0, 1)}).ends);
    // A circle that does not pass the measured cut.
    EXPECT_FALSE(bounds({measured(0, 0, 9), plain(1), plain(2)},
                        {edge(0, 1, 1), edge(1, 2, 1), edge(2, 1, 1), edge(2, 0, 1, 1), edge(0, exit_node, 1)})
                     .ends);
}

TEST(Loops, AllDisjunctsOfACutCountTogether) {
    // Two disjuncts of one cut, each other's successor: measures in [0, 3] and [4, 9] together give ten visits.
    const std::vector<Edge> edges{edge(0, 1, 1, 1), edge(1, 0, 1, 1), edge(0, 0, 1, 1), edge(0, exit_node, 1)};
    EXPECT_EQ(bounds({measured(5, 0, 3), measured(5, 4, 9)}, edges).instructions, 10u);
    EXPECT_FALSE(bounds({measured(5, 0, 3), plain(5)}, edges).ends) << "one of them has no measure";
}

TEST(Loops, NestedLoopsMultiply) {
    // Outer head 0 (10 visits), inner head 1 (5 visits a stay), entered anew each time.
    const Bounds b = bounds({measured(0, 0, 9), measured(1, 0, 4)},
                            {edge(0, 1, 2), edge(1, 1, 3, 1), edge(1, 0, 4, 1), edge(0, exit_node, 1)});
    EXPECT_TRUE(b.ends);
    EXPECT_EQ(b.instructions, 9 * (2 + 4 * 3 + 4) + 1u);
    EXPECT_EQ(b.trips.at(0), 10u);
    EXPECT_EQ(b.trips.at(1), 50u);
}

TEST(Loops, ALoopMayBeEnteredAndLeftAnywhere) {
    // 0 -> 2 enters the circle 1 -> 2 -> 1 beside its head 1.
    const Bounds b = bounds({plain(0), measured(1, 0, 2), plain(2)},
                            {edge(0, 2, 10), edge(1, 2, 3), edge(2, 1, 4, 1), edge(2, exit_node, 5)});
    EXPECT_TRUE(b.ends);
    // 10, then 4 to the head, two rounds of 3 + 4, then 3 and out by 5.
    EXPECT_EQ(b.instructions, 10u + 4 + 2 * 7 + 3 + 5);
}

TEST(Loops, ACallbackRunsItsRounds) {
    const auto round = [](uint32_t from, uint32_t to, uint64_t n) { return Edge{from, to, n, 0, 0, true}; };
    const Bounds b = bounds({plain(0), before_round(3, 100)}, {edge(0, 1, 5), round(1, 1, 7), edge(1, exit_node, 2)});
    EXPECT_TRUE(b.ends);
    EXPECT_EQ(b.instructions, 5u + 100 * 7 + 2);
    // A circle that begins a new call every time makes no progress by rounds.
    EXPECT_FALSE(bounds({plain(0), before_round(3, 100)}, {edge(0, 1, 5), round(1, 1, 7), edge(1, 0, 2)}).ends);
    // Told under another cut, it is the same callback still.
    std::vector<Disjunct> two{plain(0), before_round(3, 100), before_round(3, 100)};
    two[2].cut = 99;
    EXPECT_FALSE(bounds(two, {edge(0, 2, 1), edge(2, 1, 1), round(1, 1, 7), edge(1, 0, 2), round(2, 1, 1)}).ends);
}

TEST(Loops, RangesOfAllWordsSaturate) {
    const Bounds b = bounds({measured(0, INT64_MIN, INT64_MAX)}, {edge(0, 0, 3, 1), edge(0, exit_node, 1)});
    EXPECT_TRUE(b.ends);
    EXPECT_EQ(b.instructions, UINT64_MAX);
}

TEST(Loops, HelperCallsAreCountedBeside) {
    Edge back = edge(1, 1, 3, 1);
    back.helper_calls = 2;
    EXPECT_EQ(bounds({plain(0), measured(1, 0, 9)}, {edge(0, 1, 2), back, edge(1, exit_node, 4)}).helper_calls, 18u);
}

/// Against a walk that keeps every counter: random graphs with random measures, longest runs by exhaustive search.
TEST(Loops, BoundEveryRunOfRandomGraphs) {
    std::mt19937_64 engine(7);
    const auto below = [&](uint64_t n) { return engine() % n; };
    unsigned ended = 0;
    for (int n = 0; n < 3000; ++n) {
        const auto size = static_cast<uint32_t>(2 + below(4));
        std::vector<Disjunct> disjuncts;
        for (uint32_t i = 0; i < size; ++i) {
            disjuncts.push_back(below(2) == 0 ? measured(i, 0, static_cast<int64_t>(below(3))) : plain(i));
        }
        std::vector<Edge> edges;
        for (uint32_t i = 0; i < size; ++i) {
            for (uint64_t k = 1 + below(2); k > 0; --k) {
                const auto to = static_cast<uint32_t>(below(size));
                edges.push_back(edge(i, to, 1 + below(9), disjuncts[to].measured && below(4) != 0 ? 1 : 0));
            }
            if (below(2) == 0) edges.push_back(edge(i, exit_node, 1 + below(9)));
        }
        const Bounds b = bounds(disjuncts, edges);
        if (!b.ends) continue;
        ++ended;
        // A run may take any value of a measure on arrival that the edge's promise allows. The ghost is what the edge
        // compares with; where there is none, no promise binds.
        struct At {
            uint32_t d;
            uint64_t cost;
            std::vector<int64_t> ghosts;
        };
        std::vector<At> open;
        const auto arrive = [&](uint32_t d, uint64_t cost, std::vector<int64_t> ghosts, uint64_t decrease) {
            if (!disjuncts[d].measured) return open.push_back({d, cost, ghosts});
            const int64_t high = smax_of(disjuncts[d].state[0].num);
            const int64_t most = decrease == 0 || ghosts[d] < 0 ? high : std::min(high, ghosts[d] - 1);
            if (decrease != 0 && ghosts[d] < 0) return;  // a proof needs a ghost: this edge has not been met so
            if (most < 0) return;
            ghosts[d] = most;  // the longest runs take the largest
            open.push_back({d, cost, ghosts});
        };
        arrive(0, 0, std::vector<int64_t>(size, -1), 0);
        uint64_t longest = 0;
        for (int budget = 20000; !open.empty() && budget > 0; --budget) {
            const At at = open.back();
            open.pop_back();
            for (const Edge& e : edges) {
                if (e.from != at.d) continue;
                if (e.to == exit_node)
                    longest = std::max(longest, at.cost + e.instructions);
                else
                    arrive(e.to, at.cost + e.instructions, at.ghosts, e.decrease);
            }
        }
        EXPECT_LE(longest, b.instructions) << n;
    }
    EXPECT_GT(ended, 500u);
}

}  // namespace
}  // namespace skep::verifier
