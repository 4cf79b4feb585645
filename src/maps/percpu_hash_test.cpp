// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "maps/testing.hpp"

namespace skep::maps {
namespace {

using namespace testing;

class PercpuTypes : public ::testing::TestWithParam<MapType> {
  protected:
    TestLanes lanes{3};
    MapDef def(uint32_t value_size, uint32_t flags = 0) const { return def_of(GetParam(), 4, value_size, 4, flags); }
};

INSTANTIATE_TEST_SUITE_P(All, PercpuTypes,
                         ::testing::Values(MapType::PercpuArray, MapType::PercpuHash, MapType::LruPercpuHash),
                         [](const auto& info) { return std::string(platform::map_type_name(info.param)); });

TEST_P(PercpuTypes, UsersSeeAllLanesEachRoundedUpToEight) {
    EXPECT_EQ(make_map(lanes, def(1))->user_value_size(), 24u);
    EXPECT_EQ(make_map(lanes, def(8))->user_value_size(), 24u);
    EXPECT_EQ(make_map(lanes, def(9))->user_value_size(), 48u);
}

TEST_P(PercpuTypes, EachLaneHasItsOwnCopy) {
    auto map = make_map(lanes, def(12));
    const uint32_t key = 2;
    uint32_t held[3];
    for (uint32_t& lane : held) lane = lanes->acquire();
    uint64_t user[6] = {10, 11, 20, 21, 30, 31}, out[6] = {};
    ASSERT_TRUE(map->write(&key, user, 0, held[0]).ok());
    for (uint32_t lane = 0; lane < 3; ++lane) {
        uint64_t first = 0;
        memcpy(&first, map->lookup(&key, lane), 8);
        EXPECT_EQ(first, 10 * (lane + 1));
        EXPECT_EQ(map->lookup_percpu(&key, lane, 0), map->lookup(&key, lane));
    }
    EXPECT_EQ(map->lookup_percpu(&key, 3, 0), nullptr) << "no such lane";
    const uint64_t mine[2] = {77, 78};
    ASSERT_TRUE(map->update(&key, mine, update_exist, 1).ok());
    ASSERT_TRUE(map->read(&key, out, 0).ok());
    EXPECT_EQ(out[0], 10u);
    EXPECT_EQ(out[2], 77u);
    EXPECT_EQ(static_cast<uint32_t>(out[3]), 78u);
    EXPECT_EQ(out[4], 30u);
    for (const uint32_t lane : held) lanes->release(lane);
}

TEST_P(PercpuTypes, ANewKeyIsZeroInTheOtherLanes) {
    auto map = make_map(lanes, def(8));
    LaneGuard guard(*lanes);
    uint64_t user[3] = {1, 2, 3};
    const uint32_t first = 0, second = 1;
    ASSERT_TRUE(map->write(&first, user, 0, guard.lane()).ok());
    (void)map->remove(&first, guard.lane());  // an array refuses; a hash recycles the element
    const uint64_t value = 9;
    ASSERT_TRUE(map->update(&second, &value, 0, guard.lane()).ok());
    ASSERT_TRUE(map->read(&second, user, guard.lane()).ok());
    for (uint32_t lane = 0; lane < 3; ++lane) EXPECT_EQ(user[lane], lane == guard.lane() ? 9u : 0u);
}

TEST_P(PercpuTypes, SumsOverLanesAreExactWithFourTimesMoreThreads) {
    auto map = make_map(lanes, def(8));
    constexpr uint32_t thread_count = 12, rounds = 1000;
    const uint32_t key = 3;
    {
        LaneGuard guard(*lanes);
        const uint64_t zero[3] = {};
        ASSERT_TRUE(map->write(&key, zero, 0, guard.lane()).ok());
    }
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < thread_count; ++t) {
        threads.emplace_back([&] {
            for (uint32_t i = 0; i < rounds; ++i) {
                LaneGuard guard(*lanes);
                auto* counter = static_cast<uint64_t*>(map->lookup(&key, guard.lane()));
                ASSERT_NE(counter, nullptr);
                *counter += 1;  // plainly, as a program would: the lane is ours alone
                if (i % 50 == 0) std::this_thread::yield();
            }
        });
    }
    for (auto& thread : threads) thread.join();
    uint64_t sums[3] = {};
    LaneGuard guard(*lanes);
    ASSERT_TRUE(map->read(&key, sums, guard.lane()).ok());
    EXPECT_EQ(sums[0] + sums[1] + sums[2], uint64_t{thread_count} * rounds);
}

}  // namespace
}  // namespace skep::maps
