// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "maps/map_in_map.hpp"
#include "maps/testing.hpp"

namespace skep::maps {
namespace {

using namespace testing;

constexpr DefsOf outer_def{MapType::HashOfMaps};

constexpr MapDef inner_def{.type = MapType::Array, .key_size = 4, .value_size = 8, .max_entries = 2};

TEST(HashOfMaps, IsCreatedByTheKernelsRules) {
    TestLanes lanes;
    auto inner = make_map(lanes, inner_def);
    auto outer = make_map(lanes, outer_def(4, 4, 2), inner.get());
    expect_create(lanes,
                  {
                      {"smallest", outer_def(1, 4, 1), "0"},
                      {"value of 8 bytes", outer_def(4, 8, 1), "EINVAL"},
                      {"no value", outer_def(4, 0, 1), "EINVAL"},
                      {"no key", outer_def(0, 4, 1), "EINVAL"},
                      {"no entries", outer_def(4, 4, 0), "EINVAL"},
                      {"flags: no preallocation", outer_def(4, 4, 1, flag_no_prealloc), "0"},
                      {"flags: inner map", outer_def(4, 4, 1, flag_inner_map), "EINVAL"},
                      {"flags: mmapable", outer_def(4, 4, 1, flag_mmapable), "EINVAL"},
                  },
                  inner.get());
    expect_create(lanes, {{"no template", outer_def(4, 4, 1), "EINVAL"}});
    expect_create(lanes, {{"two levels", outer_def(4, 4, 1), "EINVAL"}}, outer.get());
    expect_create_survives_failing_allocations(lanes, outer_def(4, 4, 3), inner.get());
}

TEST(HashOfMaps, IsWrittenByTheKernelsRules) {
    TestLanes lanes;
    auto one = make_map(lanes, inner_def);
    auto two = make_map(lanes, inner_def);
    MapDef longer_def = inner_def;
    longer_def.max_entries = 3;
    auto longer = make_map(lanes, longer_def);
    one->set_id(101);
    two->set_id(102);
    auto outer = make_map(lanes, outer_def(8, 4, 2), one.get());
    struct Row {
        const char* name;
        uint64_t key;
        Map* inner;  // null: delete
        uint64_t flags;
        const char* result;
        uint32_t id;  // read afterwards; 0: nothing there
    };
    const Row rows[] = {
        {"not if absent", 7, one.get(), update_exist, "ENOENT", 0},
        {"another shape", 7, longer.get(), update_any, "EINVAL", 0},
        {"insert", 7, one.get(), update_noexist, "0", 101},
        {"not if present", 7, two.get(), update_noexist, "EEXIST", 101},
        {"replace", 7, two.get(), update_exist, "0", 102},
        {"unknown flags", 7, one.get(), 3, "EINVAL", 102},
        {"second", 8, two.get(), update_any, "0", 102},
        {"full", 9, one.get(), update_any, "E2BIG", 0},
        {"replaced although full", 8, one.get(), update_any, "0", 101},
        {"delete", 7, nullptr, 0, "0", 0},
        {"delete twice", 7, nullptr, 0, "ENOENT", 0},
        {"place again", 9, one.get(), update_any, "0", 101},
    };
    for (const Row& row : rows) {
        LaneGuard guard(*lanes);
        const Status status = row.inner == nullptr
                                  ? outer->user_remove(&row.key, guard.lane())
                                  : write_inner(*outer.get(), &row.key, row.inner, row.flags, guard.lane());
        EXPECT_EQ(errno_text(status), row.result) << row.name;
        uint32_t id = 0;
        EXPECT_EQ(errno_text(outer->read(&row.key, &id, guard.lane())), row.id == 0 ? "ENOENT" : "0") << row.name;
        EXPECT_EQ(id, row.id) << row.name;
        const Map* expected = row.id == 0 ? nullptr : row.id == 101 ? one.get() : two.get();
        EXPECT_EQ(outer->lookup(&row.key, guard.lane()), expected) << row.name;
    }
    LaneGuard guard(*lanes);
    std::set<uint64_t> keys;
    uint64_t key = 0;
    const void* from = nullptr;
    while (outer->next_key(from, &key, guard.lane()).ok()) {
        ASSERT_TRUE(keys.insert(key).second);
        from = &key;
    }
    EXPECT_EQ(keys, (std::set<uint64_t>{8, 9}));
    const uint32_t number = 101;
    EXPECT_EQ(errno_text(outer->update(&key, &number, 0, guard.lane())), "EINVAL") << "programs only look up";
    EXPECT_EQ(errno_text(outer->write(&key, &number, 0, guard.lane())), "EINVAL");
}

TEST(HashOfMaps, InnerMapsOutliveTheirReplacementWhileALaneIsHeld) {
    TestLanes lanes;
    auto model = make_map(lanes, inner_def);
    auto outer = make_map(lanes, outer_def(4, 4, 4), model.get());
    std::atomic<bool> stop = false;
    std::atomic<uint32_t> looked = 0;
    std::thread program([&] {
        std::mt19937 random(1);
        while (!stop) {
            LaneGuard guard(*lanes);
            const uint32_t key = random() % 8, index = 0;
            auto* inner = static_cast<Map*>(outer->lookup(&key, guard.lane()));
            if (inner == nullptr) continue;
            ++looked;
            auto* value = static_cast<const uint64_t*>(inner->lookup(&index, guard.lane()));
            ASSERT_NE(value, nullptr);
            ASSERT_EQ(__atomic_load_n(value, __ATOMIC_RELAXED), 1000u + key) << "another key's map, or freed memory";
        }
    });
    std::mt19937 random(2);
    for (int i = 0; i < 4000 || looked < 4000; ++i) {
        LaneGuard guard(*lanes);
        const uint32_t key = random() % 8, index = 0;
        if (random() % 3 == 0) {
            (void)outer->user_remove(&key, guard.lane());
            continue;
        }
        const uint64_t value = 1000 + key;
        auto inner = make_map(lanes, inner_def);
        ASSERT_TRUE(inner->update(&index, &value, 0, guard.lane()).ok());
        const Status status = write_inner(*outer.get(), &key, inner.get(), 0, guard.lane());
        ASSERT_TRUE(status.ok() || errno_text(status) == "E2BIG");
    }
    stop = true;
    program.join();
}

}  // namespace
}  // namespace skep::maps
