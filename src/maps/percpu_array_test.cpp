// SPDX-License-Identifier: Apache-2.0
// What percpu_array shares with the other per-CPU types is in percpu_hash_test.cpp.
#include "maps/testing.hpp"

namespace skep::maps {
namespace {

using namespace testing;

constexpr DefsOf with{MapType::PercpuArray};

TEST(PercpuArray, IsCreatedByTheKernelsRules) {
    TestLanes lanes;
    expect_create(lanes,
                  {
                      {"smallest", with(4, 1, 1), "0"},
                      {"no entries", with(4, 1, 0), "EINVAL"},
                      {"no value", with(4, 0, 1), "EINVAL"},
                      {"key of 8 bytes", with(8, 1, 1), "EINVAL"},
                      {"largest value", with(4, 32768, 1), "0"},
                      {"value above the per-CPU unit", with(4, 32769, 1), "E2BIG"},
                      {"entries that round up past 2^32", with(4, 1, 0x80000001u), "E2BIG"},
                      {"flags: mmapable", with(4, 8, 3, flag_mmapable), "EINVAL"},
                      {"flags: inner map", with(4, 8, 3, flag_inner_map), "EINVAL"},
                      {"flags: numa node", with(4, 8, 3, flag_numa_node), "EINVAL"},
                      {"flags: preserve elements", with(4, 8, 3, flag_preserve_elems), "EINVAL"},
                      {"flags: read-only for programs", with(4, 8, 3, flag_rdonly_prog), "0"},
                      {"flags: closed to programs", with(4, 8, 3, flag_rdonly_prog | flag_wronly_prog), "EINVAL"},
                      {"flags: no preallocation", with(4, 8, 3, flag_no_prealloc), "EINVAL"},
                  });
}

TEST(PercpuArray, FollowsTheArraysRules) {
    TestLanes lanes;
    auto map = make_map(lanes, with(4, 8, 3));
    LaneGuard guard(*lanes);
    std::vector<uint64_t> values(map->user_value_size() / 8, 5);
    uint32_t index = 3, next = 0;
    EXPECT_EQ(errno_text(map->write(&index, values.data(), 0, guard.lane())), "E2BIG");
    EXPECT_EQ(errno_text(map->update(&index, values.data(), 0, guard.lane())), "E2BIG");
    EXPECT_EQ(errno_text(map->read(&index, values.data(), guard.lane())), "ENOENT");
    EXPECT_EQ(map->lookup(&index, guard.lane()), nullptr);
    index = 2;
    EXPECT_EQ(errno_text(map->write(&index, values.data(), update_noexist, guard.lane())), "EEXIST");
    EXPECT_EQ(errno_text(map->write(&index, values.data(), 3, guard.lane())), "EINVAL");
    EXPECT_EQ(errno_text(map->write(&index, values.data(), update_lock, guard.lane())), "EINVAL");
    EXPECT_EQ(errno_text(map->write(&index, values.data(), update_exist, guard.lane())), "0");
    EXPECT_EQ(errno_text(map->remove(&index, guard.lane())), "EINVAL");
    EXPECT_EQ(errno_text(map->lookup_and_delete(&index, values.data(), guard.lane())), "ENOTSUPP");
    EXPECT_EQ(errno_text(map->next_key(&index, &next, guard.lane())), "ENOENT");
}

TEST(PercpuArray, ItsLayoutIsWhereItsElementsAre) {
    TestLanes lanes;
    auto map = make_map(lanes, with(4, 12, 5));
    const MapLayout layout = map->layout();
    EXPECT_EQ(layout.kind, MapLayoutKind::PercpuArray);
    EXPECT_EQ(layout.mask, 7u);
    EXPECT_EQ(layout.lane_stride % 64, 0u);
    for (uint32_t lane = 0; lane < lanes->count(); ++lane)
        for (uint32_t i = 0; i < 5; ++i)
            EXPECT_EQ(map->lookup(&i, lane), layout.base + lane * layout.lane_stride + i * layout.stride);
    layout.base[lanes->count() * layout.lane_stride - 1] = 1;  // the last byte there is
}

TEST(PercpuArray, SurvivesFailingAllocations) {
    TestLanes lanes;
    expect_create_survives_failing_allocations(lanes, with(4, 12, 10));
}

}  // namespace
}  // namespace skep::maps
