// SPDX-License-Identifier: Apache-2.0
// The arrays of objects: prog_array, array_of_maps, perf_event_array.
#include <atomic>
#include <thread>

#include "maps/map_in_map.hpp"
#include "maps/perf_event_array.hpp"
#include "maps/prog_array.hpp"
#include "maps/testing.hpp"

namespace skep::maps {
namespace {

using namespace testing;

/// A program object that counts; freed after the epoch, as the runtime's are.
struct TestProgram : ProgramObject {
    std::atomic<int> references = 1;

    explicit TestProgram(uint32_t number, uint64_t kind = 1) {
        id = number;
        compatible = kind;
        on_retain = [](ProgramObject* self) { ++static_cast<TestProgram*>(self)->references; };
        on_release = [](ProgramObject* self) { --static_cast<TestProgram*>(self)->references; };
    }
};

class ObjectArrays : public ::testing::TestWithParam<MapType> {};
INSTANTIATE_TEST_SUITE_P(All, ObjectArrays,
                         ::testing::Values(MapType::ProgArray, MapType::ArrayOfMaps, MapType::PerfEventArray),
                         [](const auto& info) { return platform::map_type_name(info.param); });

TEST_P(ObjectArrays, AreCreatedByTheKernelsRules) {
    TestLanes lanes;
    auto inner = make_map(lanes, def_of(MapType::Array, 4, 4, 2));
    const MapType type = GetParam();
    expect_create(lanes,
                  {
                      {"smallest", def_of(type, 4, 4, 1), "0"},
                      {"no entries", def_of(type, 4, 4, 0), "EINVAL"},
                      {"key of 8 bytes", def_of(type, 8, 4, 1), "EINVAL"},
                      {"value of 8 bytes", def_of(type, 4, 8, 1), "EINVAL"},
                      {"no value", def_of(type, 4, 0, 1), "EINVAL"},
                      {"too many", def_of(type, 4, 4, 0x80000001u), "E2BIG"},
                      {"flags: numa node", def_of(type, 4, 4, 1, flag_numa_node), "0"},
                      {"flags: read-only for users", def_of(type, 4, 4, 1, flag_rdonly), "0"},
                      {"flags: read-only for programs", def_of(type, 4, 4, 1, flag_rdonly_prog), "EINVAL"},
                      {"flags: write-only for programs", def_of(type, 4, 4, 1, flag_wronly_prog), "EINVAL"},
                      {"flags: mmapable", def_of(type, 4, 4, 1, flag_mmapable), "EINVAL"},
                      {"flags: inner map", def_of(type, 4, 4, 1, flag_inner_map), "EINVAL"},
                      {"flags: preserve elements", def_of(type, 4, 4, 1, flag_preserve_elems),
                       type == MapType::PerfEventArray ? "0" : "EINVAL"},
                      {"flags: no preallocation", def_of(type, 4, 4, 1, flag_no_prealloc), "EINVAL"},
                  },
                  inner.get());
    expect_create_survives_failing_allocations(lanes, def_of(type, 4, 4, 3), inner.get());
}

TEST_P(ObjectArrays, ProgramsAndNumbersCannotWriteThem) {
    TestLanes lanes;
    auto inner = make_map(lanes, def_of(MapType::Array, 4, 4, 2));
    auto map = make_map(lanes, def_of(GetParam(), 4, 4, 3), inner.get());
    LaneGuard guard(*lanes);
    const uint32_t index = 0, number = 1;
    EXPECT_EQ(map->lookup(&index, guard.lane()), nullptr);
    EXPECT_EQ(errno_text(map->update(&index, &number, 0, guard.lane())), "EINVAL");
    EXPECT_EQ(errno_text(map->write(&index, &number, 0, guard.lane())), "EINVAL");
    EXPECT_EQ(errno_text(map->remove(&index, guard.lane())), "ENOENT");
    const uint32_t outside = 3;
    EXPECT_EQ(errno_text(map->remove(&outside, guard.lane())), "E2BIG");
    uint32_t next = 9;
    EXPECT_EQ(errno_text(map->next_key(nullptr, &next, guard.lane())), "0");
    EXPECT_EQ(next, 0u) << "empty slots are keys too";
    const uint32_t last = 2;
    EXPECT_EQ(errno_text(map->next_key(&last, &next, guard.lane())), "ENOENT");
    EXPECT_EQ(map->size(), 0u);
}

TEST(ProgArray, HoldsPrograms) {
    TestLanes lanes;
    auto map = make_map(lanes, def_of(MapType::ProgArray, 4, 4, 3));
    ProgArray& array = *ProgArray::of(map.get());
    TestProgram one(101), two(102), stranger(103, 2);
    LaneGuard guard(*lanes);
    struct Row {
        const char* name;
        uint32_t index;
        TestProgram* program;
        uint64_t flags;
        const char* result;
    };
    for (const Row& row : std::initializer_list<Row>{{"put", 2, &one, update_any, "0"},
                                                     {"replace", 2, &two, update_any, "0"},
                                                     {"BPF_EXIST", 2, &one, update_exist, "EINVAL"},
                                                     {"BPF_NOEXIST", 1, &one, update_noexist, "EINVAL"},
                                                     {"outside", 3, &one, update_any, "E2BIG"},
                                                     {"flags before index", 3, &one, update_exist, "EINVAL"},
                                                     {"another kind", 1, &stranger, update_any, "EINVAL"},
                                                     {"the same twice", 0, &two, update_any, "0"}})
        EXPECT_EQ(errno_text(array.set(&row.index, row.program, row.flags)), row.result) << row.name;
    EXPECT_EQ(one.references, 1);
    EXPECT_EQ(two.references, 3);
    EXPECT_EQ(stranger.references, 1);
    EXPECT_EQ(array.at(2), &two);
    EXPECT_EQ(array.at(1), nullptr);
    EXPECT_EQ(array.at(3), nullptr);
    EXPECT_EQ(array.at(UINT32_MAX), nullptr);
    uint32_t key = 2, id = 0;
    EXPECT_EQ(errno_text(map->read(&key, &id, guard.lane())), "0");
    EXPECT_EQ(id, 102u);
    key = 1;
    EXPECT_EQ(errno_text(map->read(&key, &id, guard.lane())), "ENOENT");
    key = 3;
    EXPECT_EQ(errno_text(map->read(&key, &id, guard.lane())), "ENOENT");
    key = 2;
    EXPECT_EQ(errno_text(map->remove(&key, guard.lane())), "0");
    EXPECT_EQ(two.references, 2);
    EXPECT_TRUE(array.claim(1));
    EXPECT_FALSE(array.claim(2));
    array.clear();
    EXPECT_EQ(two.references, 1);
    EXPECT_EQ(map->size(), 0u);
}

TEST(ProgArray, LetsGoOfItsProgramsWhenItGoes) {
    TestProgram program(1);
    {
        TestLanes lanes;
        auto map = make_map(lanes, def_of(MapType::ProgArray, 4, 4, 3));
        const uint32_t index = 1;
        ASSERT_TRUE(ProgArray::of(map.get())->set(&index, &program, 0).ok());
        EXPECT_EQ(program.references, 2);
    }
    EXPECT_EQ(program.references, 1);
}

TEST(ArrayOfMaps, TakesOnlyMapsLikeItsTemplate) {
    TestLanes lanes;
    auto inner = make_map(lanes, def_of(MapType::Array, 4, 8, 4));
    auto flexible = make_map(lanes, def_of(MapType::Array, 4, 8, 4, flag_inner_map));
    auto hash_like = make_map(lanes, def_of(MapType::Queue, 0, 8, 4));
    struct Row {
        const char* name;
        const Map* model;
        MapDef def;
        const char* result;
    };
    const Row rows[] = {
        {"equal", inner.get(), def_of(MapType::Array, 4, 8, 4), "0"},
        {"a longer array", inner.get(), def_of(MapType::Array, 4, 8, 5), "EINVAL"},
        {"another value", inner.get(), def_of(MapType::Array, 4, 4, 4), "EINVAL"},
        {"other flags", inner.get(), def_of(MapType::Array, 4, 8, 4, flag_mmapable), "EINVAL"},
        {"another type", inner.get(), def_of(MapType::Stack, 0, 8, 4), "EINVAL"},
        {"BPF_F_INNER_MAP, longer", flexible.get(), def_of(MapType::Array, 4, 8, 5, flag_inner_map), "0"},
        {"BPF_F_INNER_MAP on one side", flexible.get(), def_of(MapType::Array, 4, 8, 4), "EINVAL"},
        {"no array, longer", hash_like.get(), def_of(MapType::Queue, 0, 8, 99), "0"},
    };
    for (const Row& row : rows) {
        auto outer = make_map(lanes, def_of(MapType::ArrayOfMaps, 4, 4, 2), row.model);
        auto candidate = make_map(lanes, row.def);
        LaneGuard guard(*lanes);
        const uint32_t index = 1;
        EXPECT_EQ(errno_text(write_inner(*outer.get(), &index, candidate.get(), 0, guard.lane())), row.result)
            << row.name;
        EXPECT_EQ(outer->lookup(&index, guard.lane()),
                  std::string(row.result) == "0" ? static_cast<void*>(candidate.get()) : nullptr)
            << row.name;
    }
}

TEST(ArrayOfMaps, RefusesTemplatesAsTheKernelDoes) {
    TestLanes lanes;
    auto array = make_map(lanes, def_of(MapType::Array, 4, 8, 4));
    auto outer = make_map(lanes, def_of(MapType::ArrayOfMaps, 4, 4, 2), array.get());
    auto programs = make_map(lanes, def_of(MapType::ProgArray, 4, 4, 2));
    auto ring = make_map(lanes, def_of(MapType::Ringbuf, 0, 0, 4096));
    const MapDef def = def_of(MapType::ArrayOfMaps, 4, 4, 2);
    expect_create(lanes, {{"none", def, "EINVAL"}});
    expect_create(lanes, {{"two levels", def, "EINVAL"}}, outer.get());
    expect_create(lanes, {{"programs", def, "ENOTSUPP"}}, programs.get());
    expect_create(lanes, {{"a ring", def, "0"}}, ring.get());
    LaneGuard guard(*lanes);
    const uint32_t index = 0;
    EXPECT_EQ(errno_text(write_inner(*array.get(), &index, array.get(), 0, guard.lane())), "EOPNOTSUPP");
}

TEST(ArrayOfMaps, IsReadByNumberAndWrittenByMap) {
    TestLanes lanes;
    auto one = make_map(lanes, def_of(MapType::Array, 4, 8, 4));
    auto outer = make_map(lanes, def_of(MapType::ArrayOfMaps, 4, 4, 2), one.get());
    one->set_id(77);
    LaneGuard guard(*lanes);
    uint32_t key = 1, id = 0;
    EXPECT_EQ(errno_text(write_inner(*outer.get(), &key, one.get(), update_exist, guard.lane())), "EINVAL");
    EXPECT_EQ(errno_text(write_inner(*outer.get(), &key, one.get(), update_any, guard.lane())), "0");
    EXPECT_EQ(errno_text(outer->read(&key, &id, guard.lane())), "0");
    EXPECT_EQ(id, 77u);
    key = 2;
    EXPECT_EQ(errno_text(write_inner(*outer.get(), &key, one.get(), update_any, guard.lane())), "E2BIG");
    EXPECT_EQ(errno_text(outer->read(&key, &id, guard.lane())), "ENOENT");
    key = 1;
    EXPECT_EQ(errno_text(outer->user_remove(&key, guard.lane())), "0");
    EXPECT_EQ(outer->lookup(&key, guard.lane()), nullptr);
    EXPECT_EQ(errno_text(outer->read(&key, &id, guard.lane())), "ENOENT");
}

// A program may hold an inner map that the user has just replaced and let go of: it must stay until the lane is free.
TEST(ArrayOfMaps, InnerMapsOutliveTheirReplacementWhileALaneIsHeld) {
    TestLanes lanes;
    const MapDef inner_def = def_of(MapType::Array, 4, 8, 4);
    auto model = make_map(lanes, inner_def);
    auto outer = make_map(lanes, def_of(MapType::ArrayOfMaps, 4, 4, 1), model.get());
    std::atomic<bool> stop = false;
    std::atomic<uint32_t> looked = 0;
    std::thread program([&] {
        const uint32_t index = 0;
        while (!stop) {
            LaneGuard guard(*lanes);
            auto* inner = static_cast<Map*>(outer->lookup(&index, guard.lane()));
            if (inner == nullptr) continue;
            ++looked;
            auto* value = static_cast<const uint64_t*>(inner->lookup(&index, guard.lane()));
            ASSERT_NE(value, nullptr);
            ASSERT_EQ(__atomic_load_n(value, __ATOMIC_RELAXED), 42u) << "freed under the program's feet";
        }
    });
    for (int i = 0; i < 2000 || looked < 2000; ++i) {
        LaneGuard guard(*lanes);
        const uint32_t index = 0;
        const uint64_t value = 42;
        auto inner = make_map(lanes, inner_def);
        ASSERT_TRUE(inner->update(&index, &value, 0, guard.lane()).ok());
        ASSERT_TRUE(write_inner(*outer.get(), &index, inner.get(), 0, guard.lane()).ok());
    }
    stop = true;
    program.join();
}

TEST(PerfEventArray, AnswersByTheKernelsRules) {
    TestLanes lanes(2);
    auto map = make_map(lanes, def_of(MapType::PerfEventArray, 4, 4, 3));
    PerfEventArray& array = *PerfEventArray::of(map.get());
    PerfBuffer* buffer = nullptr;
    ASSERT_TRUE(PerfBuffer::create(&*lanes, {.lane = 0, .pages = 1}, &buffer).ok());
    uint32_t key = 0;
    EXPECT_EQ(errno_text(array.set(&key, buffer, update_exist)), "EINVAL");
    EXPECT_EQ(errno_text(array.set(&key, buffer, 0)), "0");
    key = 3;
    EXPECT_EQ(errno_text(array.set(&key, buffer, 0)), "E2BIG");
    const uint32_t lane = lanes->acquire() == 0 ? 0 : 1;  // either: the answers below name lanes explicitly
    uint32_t id;
    key = 0;
    EXPECT_EQ(errno_text(map->read(&key, &id, lane)), "ENOTSUPP");
    struct Row {
        const char* name;
        uint64_t flags;
        uint64_t packet_bytes;
        uint32_t lane;
        const char* result;
    };
    const Row rows[] = {
        {"the current lane", perf_current_cpu, 0, 0, "0"},
        {"by index", 0, 0, 0, "0"},
        {"index outside", 3, 0, 0, "E2BIG"},
        {"nothing opened", 1, 0, 0, "ENOENT"},
        {"nothing opened for this lane", perf_current_cpu, 0, 1, "ENOENT"},
        {"another lane's buffer", 0, 0, 1, "EOPNOTSUPP"},
        {"four bytes of the packet", uint64_t{4} << 32 | perf_current_cpu, 4, 0, "0"},
        {"five of four bytes", uint64_t{5} << 32 | perf_current_cpu, 4, 0, "EFAULT"},
        {"unknown flag", uint64_t{1} << 52, 4, 0, "EINVAL"},
    };
    for (const Row& row : rows)
        EXPECT_EQ(errno_text(array.output(row.flags, "data", 4, "pack", row.packet_bytes, row.lane)), row.result)
            << row.name;
    lanes->release(lane);
    EXPECT_EQ(map->size(), 1u);
    array.close_all();
    EXPECT_EQ(map->size(), 0u);
    buffer->release();

    auto keeps = make_map(lanes, def_of(MapType::PerfEventArray, 4, 4, 3, flag_preserve_elems));
    ASSERT_TRUE(PerfBuffer::create(&*lanes, {.lane = 0, .pages = 1}, &buffer).ok());
    EXPECT_EQ(errno_text(PerfEventArray::of(keeps.get())->set(&key, buffer, 0)), "0");
    PerfEventArray::of(keeps.get())->close_all();
    EXPECT_EQ(keeps->size(), 1u);
    buffer->release();
}

}  // namespace
}  // namespace skep::maps
