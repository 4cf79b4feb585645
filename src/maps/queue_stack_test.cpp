// SPDX-License-Identifier: Apache-2.0
// Queue and stack: one table of operations, two columns of answers.
#include <atomic>
#include <thread>

#include "maps/kernel_limits.hpp"
#include "maps/testing.hpp"

namespace skep::maps {
namespace {

using namespace testing;

class QueueAndStack : public ::testing::TestWithParam<MapType> {};
INSTANTIATE_TEST_SUITE_P(Both, QueueAndStack, ::testing::Values(MapType::Queue, MapType::Stack),
                         [](const auto& info) { return platform::map_type_name(info.param); });

TEST_P(QueueAndStack, IsCreatedByTheKernelsRules) {
    TestLanes lanes;
    const MapType type = GetParam();
    expect_create(
        lanes, {
                   {"smallest", def_of(type, 0, 1, 1), "0"},
                   {"no entries", def_of(type, 0, 1, 0), "EINVAL"},
                   {"no value", def_of(type, 0, 0, 1), "EINVAL"},
                   {"a key", def_of(type, 4, 4, 1), "EINVAL"},
                   {"largest value", def_of(type, 0, kmalloc_max_bytes, 1), "0"},
                   {"value too large", def_of(type, 0, kmalloc_max_bytes + 1, 1), "E2BIG"},
                   {"more bytes than an address says", def_of(type, 0, kmalloc_max_bytes, ~0u), "ENOMEM"},
                   {"flags: numa node", def_of(type, 0, 4, 1, flag_numa_node), "0"},
                   {"flags: read-only for users", def_of(type, 0, 4, 1, flag_rdonly), "0"},
                   {"flags: write-only for programs", def_of(type, 0, 4, 1, flag_wronly_prog), "0"},
                   {"flags: closed to programs", def_of(type, 0, 4, 1, flag_wronly_prog | flag_rdonly_prog), "EINVAL"},
                   {"flags: no preallocation", def_of(type, 0, 4, 1, flag_no_prealloc), "EINVAL"},
                   {"flags: mmapable", def_of(type, 0, 4, 1, flag_mmapable), "EINVAL"},
               });
}

TEST_P(QueueAndStack, KeepsItsOrderAndItsBounds) {
    const bool stack = GetParam() == MapType::Stack;
    struct Row {
        const char* name;
        const char* operation;  // "push" or "pop" or "peek"
        uint64_t flags_or_zero;
        uint32_t value;  // pushed
        const char* result;
        uint32_t from_queue, from_stack;  // what pop and peek see
    };
    const Row rows[] = {
        {"pop of nothing zeroes", "pop", 0, 0, "ENOENT", 0, 0},
        {"peek of nothing zeroes", "peek", 0, 0, "ENOENT", 0, 0},
        {"first", "push", update_any, 11, "0", 0, 0},
        {"second", "push", update_exist, 22, "0", 0, 0},
        {"BPF_NOEXIST means nothing", "push", update_noexist, 99, "EINVAL", 0, 0},
        {"nor do both", "push", 3, 99, "EINVAL", 0, 0},
        {"nor BPF_F_LOCK", "push", update_lock, 99, "EINVAL", 0, 0},
        {"third fills it", "push", update_any, 33, "0", 0, 0},
        {"full", "push", update_any, 99, "E2BIG", 0, 0},
        {"peek leaves it", "peek", 0, 0, "0", 11, 33},
        {"peek again", "peek", 0, 0, "0", 11, 33},
        {"BPF_EXIST drops the oldest", "push", update_exist, 44, "0", 0, 0},
        {"after that", "pop", 0, 0, "0", 22, 44},
        {"place again", "push", update_any, 55, "0", 0, 0},
        {"pop", "pop", 0, 0, "0", 33, 55},
        {"pop", "pop", 0, 0, "0", 44, 33},
        {"pop the last", "pop", 0, 0, "0", 55, 22},
        {"empty again", "pop", 0, 0, "ENOENT", 0, 0},
    };
    TestLanes lanes;
    auto map = make_map(lanes, def_of(GetParam(), 0, 4, 3));
    LaneGuard guard(*lanes);
    int line = 0;
    for (const Row& row : rows) {
        SCOPED_TRACE(::testing::Message() << "row " << line++ << ": " << row.name);
        uint32_t seen = 0xdeadbeef;
        const std::string operation = row.operation;
        if (operation == "push") {
            EXPECT_EQ(errno_text(map->push(&row.value, row.flags_or_zero, guard.lane())), row.result);
            continue;
        }
        const Status status = operation == "pop" ? map->pop(&seen, guard.lane()) : map->peek(&seen, guard.lane());
        EXPECT_EQ(errno_text(status), row.result);
        EXPECT_EQ(seen, stack ? row.from_stack : row.from_queue);
    }
    EXPECT_EQ(map->size(), 0u);
}

TEST_P(QueueAndStack, HasNoKeys) {
    TestLanes lanes;
    auto map = make_map(lanes, def_of(GetParam(), 0, 4, 3));
    LaneGuard guard(*lanes);
    uint32_t word = 0;
    EXPECT_EQ(map->lookup(nullptr, guard.lane()), nullptr);
    EXPECT_EQ(errno_text(map->update(nullptr, &word, 0, guard.lane())), "EINVAL");
    EXPECT_EQ(errno_text(map->remove(nullptr, guard.lane())), "EINVAL");
    EXPECT_EQ(errno_text(map->next_key(nullptr, &word, guard.lane())), "EINVAL");
}

TEST_P(QueueAndStack, GivesUsersPeekPushAndPop) {
    TestLanes lanes;
    auto map = make_map(lanes, def_of(GetParam(), 0, 4, 2));
    auto read_only = make_map(lanes, def_of(GetParam(), 0, 4, 2, flag_rdonly));
    auto write_only = make_map(lanes, def_of(GetParam(), 0, 4, 2, flag_wronly));
    LaneGuard guard(*lanes);
    uint32_t value = 7, seen = 0;
    EXPECT_EQ(errno_text(map->write(nullptr, &value, update_any, guard.lane())), "0");
    EXPECT_EQ(errno_text(map->read(nullptr, &seen, guard.lane())), "0");
    EXPECT_EQ(seen, 7u);
    EXPECT_EQ(map->size(), 1u);
    EXPECT_EQ(errno_text(map->lookup_and_delete(nullptr, &seen, guard.lane())), "0");
    EXPECT_EQ(map->size(), 0u);
    EXPECT_EQ(errno_text(read_only->write(nullptr, &value, 0, guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(read_only->lookup_and_delete(nullptr, &seen, guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(read_only->read(nullptr, &seen, guard.lane())), "ENOENT");
    EXPECT_EQ(errno_text(write_only->read(nullptr, &seen, guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(write_only->write(nullptr, &value, 0, guard.lane())), "0");
}

TEST_P(QueueAndStack, SurvivesFailingAllocations) {
    TestLanes lanes;
    expect_create_survives_failing_allocations(lanes, def_of(GetParam(), 0, 12, 5));
}

// Each value holds its number twice: a torn one would show, and every number must come out exactly once.
TEST_P(QueueAndStack, LosesAndInventsNothingBetweenThreads) {
    TestLanes lanes;
    auto map = make_map(lanes, def_of(GetParam(), 0, 16, 64));
    constexpr uint64_t each = 4000;
    std::vector<std::atomic<uint8_t>> seen(2 * each);
    std::atomic<uint64_t> taken = 0;
    std::vector<std::thread> threads;
    for (uint64_t who = 0; who < 2; ++who) {
        threads.emplace_back([&, who] {
            for (uint64_t i = 0; i < each;) {
                LaneGuard guard(*lanes);
                const uint64_t value[2] = {who * each + i, who * each + i};
                if (map->push(value, 0, guard.lane()).ok()) ++i;
            }
        });
        threads.emplace_back([&] {
            while (taken < 2 * each) {
                LaneGuard guard(*lanes);
                uint64_t value[2];
                if (!map->pop(value, guard.lane()).ok()) continue;
                EXPECT_EQ(value[0], value[1]);
                ++seen[value[0]];
                ++taken;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (uint64_t i = 0; i < 2 * each; ++i) EXPECT_EQ(seen[i], 1) << i;
}

}  // namespace
}  // namespace skep::maps
