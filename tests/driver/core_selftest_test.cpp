// SPDX-License-Identifier: Apache-2.0
// The core's own test, which the driver runs in the kernel (tests/driver), here in a process.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "driver/core_selftest.h"

namespace {

TEST(CoreSelftest, EveryMapTypeAlone) {
    skep_selftest_result result{};
    skep_selftest_maps(&result);
    EXPECT_GT(result.checks, 1000u);
    EXPECT_EQ(result.failures, 0u) << "first at core_selftest.cpp:" << result.first_failed_line;
}

TEST(CoreSelftest, MapsSharedByThreads) {
    constexpr uint32_t count = 8;
    skep_selftest_result result{};
    void* shared = skep_selftest_shared_make(count);
    ASSERT_NE(shared, nullptr);
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < count; ++t) threads.emplace_back(skep_selftest_shared_run, shared, t);
    for (auto& thread : threads) thread.join();
    skep_selftest_shared_finish(shared, &result);
    EXPECT_EQ(result.threads, count);
    EXPECT_EQ(result.failures, 0u) << "first at core_selftest.cpp:" << result.first_failed_line;
}

}  // namespace
