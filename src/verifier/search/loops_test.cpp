// SPDX-License-Identifier: Apache-2.0
#include "verifier/search/loops.hpp"

#include <gtest/gtest.h>

#include <string>

namespace skep::verifier {
namespace {

using isa::InsnIndex;

/// By slot what may come next; slots that are not named go on to the one after. The last one ends.
std::vector<Successors> graph(InsnIndex size, std::initializer_list<std::pair<InsnIndex, Successors>> jumps) {
    std::vector<Successors> next(size);
    for (InsnIndex at = 0; at + 1 < size; ++at) next[at] = {{at + 1}, 1};
    for (const auto& [at, to] : jumps) next[at] = to;
    return next;
}

/// "head{body}" of each loop.
std::string loops(const std::vector<Successors>& next, std::vector<InsnIndex> starts = {0}) {
    std::string out;
    for (const LoopShape& loop : find_loop_shapes(next, starts)) {
        out += std::to_string(loop.head) + "{";
        for (InsnIndex i = 0; i < loop.body.size(); ++i)
            if (loop.body[i]) out += (out.back() == '{' ? "" : " ") + std::to_string(loop.first + i);
        out += "}";
    }
    return out;
}

TEST(LoopShapes, CodeThatOnlyGoesForwardHasNone) { EXPECT_EQ(loops(graph(5, {{1, {{2, 4}, 2}}, {2, {{4}, 1}}})), ""); }

TEST(LoopShapes, ALoopIsWhatCanBeReachedFromItsHeadAndBack) {
    EXPECT_EQ(loops(graph(5, {{2, {{3, 1}, 2}}})), "1{1 2}");
    EXPECT_EQ(loops(graph(5, {{2, {{3, 2}, 2}}})), "2{2}");
    EXPECT_EQ(loops(graph(4, {{3, {{0}, 1}}})), "0{0 1 2 3}");
}

TEST(LoopShapes, TheHeadIsWhereTheLoopIsEnteredWhereverItsJumpsBackLead) {
    // Entered at its test (4), turned round: 0: goto 4; 1..3: body; 4: if goto 1; 5: exit.
    EXPECT_EQ(loops(graph(6, {{0, {{4}, 1}}, {4, {{5, 1}, 2}}})), "4{1 2 3 4}");
}

TEST(LoopShapes, AnInnerLoopHoldsNothingOfTheOneAroundItAlone) {
    // As clang lays out `for (...) for (...)`: 0: goto 3; 1: outer step, if -> 3, else 8; 3: inner start; goto 6;
    // 5: inner step, if -> 6, else goto 1; 6: body, if -> 5; 7: goto 5.
    const auto next = graph(9, {{0, {{3}, 1}},
                                {1, {{2, 3}, 2}},
                                {2, {{8}, 1}},
                                {4, {{6}, 1}},
                                {5, {{1, 6}, 2}},
                                {6, {{7, 5}, 2}},
                                {7, {{5}, 1}}});
    EXPECT_EQ(loops(next), "3{1 3 4 5 6 7}6{5 6 7}");
}

TEST(LoopShapes, LoopsSideBySideAreTwo) {
    EXPECT_EQ(loops(graph(6, {{1, {{2, 0}, 2}}, {4, {{5, 3}, 2}}})), "3{3 4}0{0 1}");
    EXPECT_EQ(loops(graph(6, {{1, {{2, 0}, 2}}, {2, {}}, {4, {{5, 3}, 2}}}), {0, 3}), "0{0 1}3{3 4}");
}

TEST(LoopShapes, ALoopThatIsEnteredAtTwoPlacesHasTheFirstOfThemForItsHead) {
    EXPECT_EQ(loops(graph(5, {{0, {{1, 2}, 2}}, {3, {{4, 1}, 2}}})), "1{1 2 3}");
}

TEST(LoopShapes, NestsAreTakenApartDownToTheDeepestThatCounts) {
    // n heads, then n jumps back, innermost first.
    const auto nest = [](InsnIndex n) {
        std::vector<Successors> next = graph(2 * n + 1, {});
        for (InsnIndex i = 0; i < n; ++i) next[2 * n - 1 - i] = {{2 * n - i, i}, 2};
        return find_loop_shapes(next, std::vector<InsnIndex>{0}).size();
    };
    EXPECT_EQ(nest(1), 1u);
    EXPECT_EQ(nest(20), 20u);
    EXPECT_EQ(nest(deepest_nest), deepest_nest);
    EXPECT_EQ(nest(deepest_nest + 1), deepest_nest);
}

}  // namespace
}  // namespace skep::verifier
