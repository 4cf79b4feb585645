// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "base/atomic.hpp"
#include "maps/testing.hpp"

namespace skep::maps {
namespace {

using namespace testing;

constexpr MapDef array_def{.type = MapType::Array, .key_size = 4, .value_size = 12, .max_entries = 5};

constexpr DefsOf with{MapType::Array};

TEST(Array, IsCreatedByTheKernelsRules) {
    TestLanes lanes;
    expect_create(lanes,
                  {
                      {"smallest", with(4, 1, 1), "0"},
                      {"no entries", with(4, 1, 0), "EINVAL"},
                      {"no value", with(4, 0, 1), "EINVAL"},
                      {"key of 3 bytes", with(3, 1, 1), "EINVAL"},
                      {"key of 8 bytes", with(8, 1, 1), "EINVAL"},
                      {"largest power of two of entries", with(4, 1, 1u << 16), "0"},
                      {"value size above INT_MAX", with(4, 0x80000000u, 1), "E2BIG"},
                      {"entries that round up past 2^32", with(4, 1, 0x80000001u), "E2BIG"},
                      {"flags: mmapable", with(4, 8, 3, flag_mmapable), "0"},
                      {"flags: inner map", with(4, 8, 3, flag_inner_map), "0"},
                      {"flags: numa node", with(4, 8, 3, flag_numa_node), "0"},
                      {"flags: read-only for users", with(4, 8, 3, flag_rdonly), "0"},
                      {"flags: write-only for users", with(4, 8, 3, flag_wronly), "0"},
                      {"flags: closed to users", with(4, 8, 3, flag_rdonly | flag_wronly), "EINVAL"},
                      {"flags: read-only for programs", with(4, 8, 3, flag_rdonly_prog), "0"},
                      {"flags: closed to programs", with(4, 8, 3, flag_rdonly_prog | flag_wronly_prog), "EINVAL"},
                      {"flags: no preallocation", with(4, 8, 3, flag_no_prealloc), "EINVAL"},
                      {"flags: zero seed", with(4, 8, 3, flag_zero_seed), "EINVAL"},
                      {"flags: preserve elements", with(4, 8, 3, flag_preserve_elems), "EINVAL"},
                      {"flags: unknown", with(4, 8, 3, 1u << 31), "EINVAL"},
                      {"map_extra", with(4, 8, 3, 0, 1), "EINVAL"},
                  });
}

TEST(Array, ElementsExistAndAreZero) {
    TestLanes lanes;
    auto map = make_map(lanes, array_def);
    LaneGuard guard(*lanes);
    for (uint32_t i = 0; i < 5; ++i) {
        const auto* value = static_cast<const uint8_t*>(map->lookup(&i, guard.lane()));
        ASSERT_NE(value, nullptr) << i;
        for (int byte = 0; byte < 12; ++byte) EXPECT_EQ(value[byte], 0);
    }
    const uint32_t outside = 5;
    EXPECT_EQ(map->lookup(&outside, guard.lane()), nullptr);
    char buffer[12];
    EXPECT_EQ(errno_text(map->read(&outside, buffer, guard.lane())), "ENOENT");
    EXPECT_EQ(map->size(), 5u);
}

TEST(Array, IsNotWrittenByUsersOnceFrozen) {
    TestLanes lanes;
    auto map = make_map(lanes, array_def);
    LaneGuard guard(*lanes);
    const uint32_t index = 1;
    const char before[12] = "before", after[12] = "after";
    ASSERT_TRUE(map->write(&index, before, update_any, guard.lane()).ok());
    map->freeze();
    EXPECT_EQ(errno_text(map->write(&index, after, update_any, guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(map->user_remove(&index, guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(map->lookup_and_delete(&index, nullptr, guard.lane())), "EPERM");
    char out[12] = {};
    ASSERT_TRUE(map->read(&index, out, guard.lane()).ok());
    EXPECT_STREQ(out, before);
    // Programs are another matter: BPF_F_RDONLY_PROG's.
    EXPECT_EQ(errno_text(map->update(&index, after, update_any, guard.lane())), "0");
}

TEST(Array, UpdatesByTheKernelsRules) {
    TestLanes lanes;
    auto map = make_map(lanes, array_def);
    LaneGuard guard(*lanes);
    const char value[12] = "hello world";
    struct Row {
        const char* name;
        uint32_t index;
        uint64_t flags;
        const char* result;
    };
    for (const Row& row : std::initializer_list<Row>{{"any", 0, update_any, "0"},
                                                     {"exist", 4, update_exist, "0"},
                                                     {"noexist", 0, update_noexist, "EEXIST"},
                                                     {"just outside", 5, update_any, "E2BIG"},
                                                     {"outside before noexist", 5, update_noexist, "E2BIG"},
                                                     {"unknown flag", 0, 3, "EINVAL"},
                                                     {"unknown flag before outside", 5, 8, "EINVAL"},
                                                     {"lock without a lock", 0, update_lock, "EINVAL"}}) {
        EXPECT_EQ(errno_text(map->update(&row.index, value, row.flags, guard.lane())), row.result) << row.name;
        EXPECT_EQ(errno_text(map->write(&row.index, value, row.flags, guard.lane())), row.result) << row.name;
    }
    uint32_t index = 4;
    char out[12] = {};
    ASSERT_TRUE(map->read(&index, out, guard.lane()).ok());
    EXPECT_STREQ(out, value);
    index = 3;
    ASSERT_TRUE(map->read(&index, out, guard.lane()).ok());
    EXPECT_STREQ(out, "");
}

TEST(Array, ElementsCannotBeDeleted) {
    TestLanes lanes;
    auto map = make_map(lanes, array_def);
    LaneGuard guard(*lanes);
    const uint32_t index = 0;
    char value[12];
    EXPECT_EQ(errno_text(map->remove(&index, guard.lane())), "EINVAL");
    EXPECT_EQ(errno_text(map->lookup_and_delete(&index, value, guard.lane())), "ENOTSUPP");
    EXPECT_EQ(errno_text(map->push(value, 0, guard.lane())), "EOPNOTSUPP");
}

TEST(Array, KeysComeInIndexOrder) {
    TestLanes lanes;
    auto map = make_map(lanes, array_def);
    LaneGuard guard(*lanes);
    uint32_t next = 77;
    ASSERT_TRUE(map->next_key(nullptr, &next, guard.lane()).ok());
    EXPECT_EQ(next, 0u);
    for (uint32_t i = 0; i < 4; ++i) {
        ASSERT_TRUE(map->next_key(&i, &next, guard.lane()).ok());
        EXPECT_EQ(next, i + 1);
    }
    uint32_t index = 4;
    EXPECT_EQ(errno_text(map->next_key(&index, &next, guard.lane())), "ENOENT");
    index = 5;
    ASSERT_TRUE(map->next_key(&index, &next, guard.lane()).ok());
    EXPECT_EQ(next, 0u);
}

TEST(Array, HonoursTheAccessFlagsOfUsers) {
    TestLanes lanes;
    MapDef def = array_def;
    def.flags = flag_rdonly;
    auto read_only = make_map(lanes, def);
    def.flags = flag_wronly;
    auto write_only = make_map(lanes, def);
    LaneGuard guard(*lanes);
    const uint32_t index = 0;
    char value[12] = {};
    EXPECT_EQ(errno_text(read_only->write(&index, value, 0, guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(read_only->user_remove(&index, guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(read_only->read(&index, value, guard.lane())), "0");
    EXPECT_EQ(errno_text(read_only->update(&index, value, 0, guard.lane())), "0") << "programs may";
    EXPECT_EQ(errno_text(write_only->read(&index, value, guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(write_only->user_next_key(nullptr, value, guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(write_only->write(&index, value, 0, guard.lane())), "0");
}

TEST(Array, ItsLayoutIsWhereItsElementsAre) {
    TestLanes lanes;
    auto map = make_map(lanes, array_def);
    LaneGuard guard(*lanes);
    const MapLayout layout = map->layout();
    EXPECT_EQ(layout.kind, MapLayoutKind::Array);
    EXPECT_EQ(layout.max_entries, 5u);
    EXPECT_EQ(layout.mask, 7u);
    EXPECT_EQ(layout.stride, 16u);
    for (uint32_t i = 0; i < 5; ++i)
        EXPECT_EQ(map->lookup(&i, guard.lane()), layout.base + (i & layout.mask) * layout.stride);
    layout.base[(UINT32_MAX & layout.mask) * layout.stride + layout.stride - 1] = 1;  // what speculation may reach
    EXPECT_EQ(map->direct_value(), nullptr) << "five elements";
    MapDef one = array_def;
    one.max_entries = 1;
    auto global = make_map(lanes, one);
    EXPECT_EQ(global->direct_value(), global->layout().base);
}

TEST(Array, MmapableMemoryIsTheClientsToo) {
    TestLanes lanes;
    MapDef def = array_def;
    def.flags = flag_mmapable;
    auto map = make_map(lanes, def);
    LaneGuard guard(*lanes);
    uint64_t bytes = 0;
    const int64_t handle = map->shared_memory(&bytes);
    ASSERT_GE(handle, 0);
    EXPECT_EQ(bytes % skep_os_shm_granularity(), 0u);
    ASSERT_GE(bytes, 5 * 16u);
    auto* seen = static_cast<uint8_t*>(skep_os_shm_map(handle, static_cast<size_t>(bytes)));
    ASSERT_NE(seen, nullptr);
    const uint32_t index = 3;
    ASSERT_TRUE(map->update(&index, "abcdefghijk", 0, guard.lane()).ok());
    EXPECT_STREQ(reinterpret_cast<const char*>(seen + 3 * 16), "abcdefghijk");
    skep_os_shm_unmap(seen, static_cast<size_t>(bytes));

    uint64_t none = 1;
    EXPECT_LT(make_map(lanes, array_def)->shared_memory(&none), 0);
    EXPECT_EQ(none, 0u);
}

TEST(Array, SurvivesFailingAllocations) {
    TestLanes lanes;
    expect_create_survives_failing_allocations(lanes, array_def);
    MapDef shared = array_def;
    shared.flags = flag_mmapable;
    expect_create_survives_failing_allocations(lanes, shared);
}

TEST(Array, WordsAreNeverTorn) {
    TestLanes lanes;
    auto map = make_map(lanes, {.type = MapType::Array, .key_size = 4, .value_size = 8, .max_entries = 1});
    const uint32_t index = 0;
    std::thread writer([&] {
        LaneGuard guard(*lanes);
        for (uint64_t i = 0; i < 20000; ++i) {
            const uint64_t value = (i & 1) ? ~uint64_t{0} : 0;
            EXPECT_TRUE(map->update(&index, &value, 0, guard.lane()).ok());
        }
    });
    LaneGuard guard(*lanes);
    for (int i = 0; i < 20000; ++i) {
        uint64_t value = 1;
        ASSERT_TRUE(map->read(&index, &value, guard.lane()).ok());
        ASSERT_TRUE(value == 0 || value == ~uint64_t{0});
    }
    writer.join();
}

}  // namespace
}  // namespace skep::maps
