// SPDX-License-Identifier: Apache-2.0
// The families at small sizes: accepted, and the number of abstract steps grows no faster than the program does. Steps
// are the same on every machine; times are the benchmark's matter.
#include <gtest/gtest.h>

#include "families.hpp"
#include "verifier/verify.hpp"

namespace skep::growth {
namespace {

class Growth : public ::testing::TestWithParam<Family> {};

verifier::Report report_of(const Family& family, uint32_t n) {
    const auto subject = subject_of(family, n);
    if (!subject) {
        ADD_FAILURE() << subject.error().to_string();
        return {};
    }
    verifier::Report report = verifier::verify(*subject);
    EXPECT_EQ(report.verdict, verifier::Verdict::Accepted)
        << family.name << " " << n << ": " << (report.failures.empty() ? "" : report.failures.front().what);
    return report;
}

TEST_P(Growth, IsAcceptedAtTheFirstAttemptInStepsProportionalToItsSize) {
    const Family& family = GetParam();
    const uint32_t larger = family.name == std::string("precise") ? 40 : family.tested * 4;
    const verifier::Statistics small = report_of(family, family.tested).statistics;
    const verifier::Statistics large = report_of(family, larger).statistics;
    EXPECT_EQ(small.attempts, 1u);
    EXPECT_EQ(large.attempts, 1u);
    if (family.by_rounds) {
        EXPECT_LE(large.steps, small.steps + small.steps / 4);
        EXPECT_LE(large.checked_steps, small.checked_steps + small.checked_steps / 4);
        return;
    }
    // A fifth above proportional is room for what comes once, such as the first states at each join.
    EXPECT_LE(large.steps * small.instructions * 5, small.steps * large.instructions * 6);
    EXPECT_LE(large.checked_steps * small.instructions * 5, small.checked_steps * large.instructions * 6);
}

std::string name_of(const ::testing::TestParamInfo<Family>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Families, Growth, ::testing::ValuesIn(families().begin(), families().end()), name_of);

// What is undecided for want of budget says where it went.

TEST(Limit, OfManyContextsNamesAFunctionNearTheirEnd) {
    const Family& tree = exhausting()[0];
    const auto subject = subject_of(tree, tree.tested);
    ASSERT_TRUE(subject.ok()) << subject.error().to_string();
    const verifier::Report report = verifier::verify(*subject);
    EXPECT_EQ(report.verdict, verifier::Verdict::Limit);
    ASSERT_EQ(report.failures.size(), 1u);
    const verifier::Failure& failure = report.failures.front();
    EXPECT_EQ(verifier::rule_kind(failure.rule), verifier::RuleKind::Limit);
    EXPECT_GE(failure.insn, 2u + 5 * (3 * tree.tested + 3)) << failure.known;  // in the last two functions
    EXPECT_NE(failure.known.find("the hot spot is function `f6`"), std::string::npos) << failure.known;
    EXPECT_EQ(report.statistics.attempts, 5u);
}

TEST(Limit, OfALoopNamesTheLoop) {
    const Family* loop = nullptr;
    for (const Family& family : families()) {
        if (family.name == std::string("counted_loop")) loop = &family;
    }
    ASSERT_NE(loop, nullptr);
    auto subject = subject_of(*loop, 1000);
    ASSERT_TRUE(subject.ok()) << subject.error().to_string();
    subject->options.step_budget = 10;
    const verifier::Report report = verifier::verify(*subject);
    EXPECT_EQ(report.verdict, verifier::Verdict::Limit);
    ASSERT_EQ(report.failures.size(), 1u);
    EXPECT_EQ(report.failures.front().insn, 9u) << report.failures.front().known;
    EXPECT_NE(report.failures.front().known.find("the head of the loop from 9 to 15"), std::string::npos)
        << report.failures.front().known;
}

TEST(Limit, OfMemoryComesBeforeItIsTaken) {
    const Family* slots = nullptr;
    for (const Family& family : families()) {
        if (family.name == std::string("stack_slots")) slots = &family;
    }
    ASSERT_NE(slots, nullptr);
    auto subject = subject_of(*slots, 200);
    ASSERT_TRUE(subject.ok()) << subject.error().to_string();
    subject->options.memory_budget = 1 << 20;
    const verifier::Report report = verifier::verify(*subject);
    EXPECT_EQ(report.verdict, verifier::Verdict::Limit);
    ASSERT_EQ(report.failures.size(), 1u);
    EXPECT_EQ(report.failures.front().rule, verifier::Rule::MemoryLimit);
    EXPECT_LE(report.statistics.peak_state_bytes, (1u << 20) + (1u << 16));  // one state more
}

TEST(FittedExponent, IsThePowerOfAPower) {
    const double x[] = {1, 2, 4, 8}, linear[] = {3, 6, 12, 24}, square[] = {1, 4, 16, 64}, flat[] = {7, 7, 7, 7};
    EXPECT_NEAR(fitted_exponent(x, linear), 1.0, 1e-9);
    EXPECT_NEAR(fitted_exponent(x, square), 2.0, 1e-9);
    EXPECT_NEAR(fitted_exponent(x, flat), 0.0, 1e-9);
}

}  // namespace
}  // namespace skep::growth
