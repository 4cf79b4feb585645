// SPDX-License-Identifier: Apache-2.0
// Tail calls, loops and walks over maps, with native functions in place of programs and callbacks; programs as objects.
#include "runtime/core/program.hpp"

#include <functional>

#include "base/os.hpp"
#include "maps/prog_array.hpp"
#include "runtime/core/testing.hpp"

namespace skep::runtime {
namespace {

using namespace testing;
using platform::MapType;

constexpr int64_t einval = -22, e2big = -7, enotsupp = -524;

using Callback = std::function<uint64_t(uint64_t, uint64_t, uint64_t, uint64_t)>;

void set_callback(TestRun& run, const Callback& callback) {
    run.run.context.call_back_self = &callback;
    run.run.context.call_back = [](skep_runtime_context* context, uint64_t, uint64_t r1, uint64_t r2, uint64_t r3,
                                   uint64_t r4, uint64_t) {
        return (*static_cast<const Callback*>(context->call_back_self))(r1, r2, r3, r4);
    };
}

class Fixture : public ::testing::Test {
  protected:
    ~Fixture() override {
        for (maps::Map* map : maps_) map->release();
        lanes_->drain();
        lanes_->destroy();
    }
    maps::Map* make(MapType type, uint32_t key, uint32_t value, uint32_t entries) {
        maps::MapDef def;
        def.type = type;
        def.key_size = key;
        def.value_size = value;
        def.max_entries = entries;
        maps::Map* map = nullptr;
        EXPECT_TRUE(maps::create(def, {lanes_, 1}, nullptr, &map).ok());
        maps_.push_back(map);
        return map;
    }
    Program* program(uint32_t id, int* freed = nullptr, ProgramType type = ProgramType::Xdp) {
        ProgramDef def;
        def.id = id;
        def.name = "test";
        def.type = type;
        def.entry.self = reinterpret_cast<const void*>(uintptr_t{id});
        def.code = freed;
        def.free_code = [](void* code) {
            if (code != nullptr) ++*static_cast<int*>(code);
        };
        def.maps = maps_.data();
        def.map_count = static_cast<uint32_t>(maps_.size());
        Program* made = nullptr;
        EXPECT_TRUE(Program::create(*lanes_, def, &made).ok());
        return made;
    }

    Lanes* lanes_ = Lanes::create(2);
    std::vector<maps::Map*> maps_;
};

using TailCall = Fixture;

TEST_F(TailCall, GivesTheEntryOfAFilledSlotAtMostThirtyThreeTimes) {
    maps::Map* array = make(MapType::ProgArray, 4, 4, 4);
    Program* target = program(7);
    const uint32_t slot = 2;
    ASSERT_TRUE(maps::ProgArray::of(array)->set(&slot, target->object(), 0).ok());
    {
        const LaneGuard lane(*lanes_);
        TestRun run;
        for (const uint64_t index : {0u, 1u, 3u, 4u, 0xffffffffu}) {
            EXPECT_EQ(run.call(HelperId::TailCall, 0, address(array), index), 0) << index;
            EXPECT_EQ(run.run.context.tail_calls, 0u);
        }
        for (uint32_t i = 1; i <= SKEP_TAIL_CALL_LIMIT; ++i) {
            // The index has 32 bits: what stands above is not looked at.
            const int64_t r0 = run.call(HelperId::TailCall, 0, address(array), slot | uint64_t{i} << 32);
            ASSERT_NE(r0, 0) << i;
            EXPECT_EQ(reinterpret_cast<const skep_entry*>(r0)->self, reinterpret_cast<const void*>(uintptr_t{7}));
        }
        EXPECT_EQ(run.call(HelperId::TailCall, 0, address(array), slot), 0);
        run.run.start();
        EXPECT_NE(run.call(HelperId::TailCall, 0, address(array), slot), 0);
        EXPECT_EQ(run.call(HelperId::TailCall, 0, address(make(MapType::Array, 4, 4, 1)), 0), 0);
    }
    maps::ProgArray::of(array)->clear();
    target->release();
}

TEST_F(TailCall, JoinsOnlyProgramsOfOneKind) {
    maps::Map* array = make(MapType::ProgArray, 4, 4, 4);
    Program* xdp = program(1);
    Program* tc = program(2, nullptr, ProgramType::SchedCls);
    const uint32_t slot = 0;
    EXPECT_TRUE(maps::ProgArray::of(array)->set(&slot, xdp->object(), 0).ok());
    EXPECT_FALSE(maps::ProgArray::of(array)->set(&slot, tc->object(), 0).ok());
    maps::ProgArray::of(array)->clear();
    xdp->release();
    tc->release();
}

using Programs = Fixture;

TEST_F(Programs, AreFreedOnceAfterTheLastReferenceAndTheEpoch) {
    maps::Map* array = make(MapType::ProgArray, 4, 4, 1);
    maps_.clear();  // the program shall not hold the array that holds it
    int freed = 0;
    Program* one = program(1, &freed);
    const uint32_t slot = 0;
    ASSERT_TRUE(maps::ProgArray::of(array)->set(&slot, one->object(), 0).ok());
    one->release();
    EXPECT_EQ(freed, 0);
    {
        const LaneGuard lane(*lanes_);
        maps::ProgArray::of(array)->clear();
        EXPECT_EQ(freed, 0) << "somebody may still be tail-calling it";
    }
    lanes_->drain();
    EXPECT_EQ(freed, 1);
    maps_ = {array};
}

TEST_F(Programs, SurviveFailingAllocations) {
    make(MapType::Array, 4, 4, 1);
    ProgramDef def;
    def.maps = maps_.data();
    def.map_count = 1;
    for (uint64_t n = 1; n <= 2; ++n) {
        skep_os_fail_allocation(n);
        Program* made = nullptr;
        EXPECT_EQ(Program::create(*lanes_, def, &made).code, Errc::NoMemory) << n;
        EXPECT_EQ(made, nullptr);
    }
    skep_os_fail_allocation(0);
}

TEST(Loop, CallsUntilTheCountOrAOne) {
    const struct {
        uint64_t count, stop, flags;
        int64_t result;
        uint64_t calls;
    } rows[] = {
        {0, 99, 0, 0, 0},
        {5, 99, 0, 5, 5},
        {5, 0, 0, 1, 1},
        {5, 4, 0, 5, 5},
        {5, 2, 0, 3, 3},
        {5, 99, 1, einval, 0},
        {(1u << 23) + 1, 99, 0, e2big, 0},
        {uint64_t{1} << 32 | 2, 99, 0, 2, 2},
    };
    for (const auto& row : rows) {
        TestRun run;
        uint64_t calls = 0;
        const Callback callback = [&](uint64_t index, uint64_t argument, uint64_t, uint64_t) -> uint64_t {
            EXPECT_EQ(index, calls);
            EXPECT_EQ(argument, 42u);
            ++calls;
            return index == row.stop ? 1 : 0;
        };
        set_callback(run, callback);
        EXPECT_EQ(run.call(HelperId::Loop, row.count, 0, 42, row.flags), row.result) << row.count;
        EXPECT_EQ(calls, row.calls) << row.count;
    }
    TestRun run;
    uint64_t calls = 0;
    const Callback callback = [&](uint64_t, uint64_t, uint64_t, uint64_t) -> uint64_t { return ++calls, 0; };
    set_callback(run, callback);
    EXPECT_EQ(run.call(HelperId::Loop, 1u << 23, 0, 0, 0), 1 << 23);
    EXPECT_EQ(calls, 1u << 23);
}

TEST(Loop, EndsWithAFaultOfItsCallback) {
    TestRun run;
    const Callback callback = [&](uint64_t index, uint64_t, uint64_t, uint64_t) -> uint64_t {
        if (index == 3) run.run.context.fault = SKEP_FAULT_BAD_ACCESS;
        return 0;
    };
    set_callback(run, callback);
    EXPECT_EQ(run.call(HelperId::Loop, 100, 0, 0, 0), 4);
}

using ForEachMapElem = Fixture;

TEST_F(ForEachMapElem, VisitsEveryIndexOfAnArray) {
    for (const MapType type : {MapType::Array, MapType::PercpuArray}) {
        maps::Map* map = make(type, 4, 8, 5);
        const LaneGuard lane(*lanes_);
        TestRun run;
        run.run.context.lane = lane.lane();
        std::vector<uint32_t> keys;
        const Callback callback = [&](uint64_t self, uint64_t key, uint64_t value, uint64_t) -> uint64_t {
            EXPECT_EQ(self, address(map));
            EXPECT_NE(value, 0u);
            keys.push_back(*pointer<const uint32_t>(key));
            return keys.size() == 4;
        };
        set_callback(run, callback);
        EXPECT_EQ(run.call(HelperId::ForEachMapElem, address(map), 0, 0, 0), 4);
        EXPECT_EQ(keys, (std::vector<uint32_t>{0, 1, 2, 3}));
        EXPECT_EQ(run.call(HelperId::ForEachMapElem, address(map), 0, 0, 1), einval);
    }
}

TEST_F(ForEachMapElem, VisitsEveryElementOfAHashOnceAlsoWhenTheCallbackDeletesIt) {
    for (const bool deletes : {false, true}) {
        maps::Map* map = make(MapType::Hash, 4, 8, 64);
        const LaneGuard lane(*lanes_);
        for (uint32_t key = 0; key < 50; ++key) {
            const uint64_t value = key;
            ASSERT_TRUE(map->update(&key, &value, 0, lane.lane()).ok());
        }
        TestRun run;
        run.run.context.lane = lane.lane();
        std::vector<int> seen(50);
        const Callback callback = [&](uint64_t, uint64_t key, uint64_t value, uint64_t) -> uint64_t {
            const uint32_t number = *pointer<const uint32_t>(key);
            EXPECT_EQ(*pointer<const uint64_t>(value), number);
            ++seen.at(number);
            if (deletes) {
                EXPECT_TRUE(map->remove(&number, lane.lane()).ok());
            }
            return 0;
        };
        set_callback(run, callback);
        EXPECT_EQ(run.call(HelperId::ForEachMapElem, address(map), 0, 0, 0), 50);
        EXPECT_EQ(seen, std::vector<int>(50, 1));
        EXPECT_EQ(map->size(), deletes ? 0u : 50u);
    }
}

TEST_F(ForEachMapElem, KnowsNoWayThroughOtherMaps) {
    const LaneGuard lane(*lanes_);
    TestRun run;
    EXPECT_EQ(run.call(HelperId::ForEachMapElem, address(make(MapType::Queue, 0, 8, 4)), 0, 0, 0), enotsupp);
}

TEST(Chance, FollowsFromTheSeedAlone) {
    TestRun one, same, other;
    one.run.chance = same.run.chance = Chance::from_seed(5);
    other.run.chance = Chance::from_seed(6);
    const auto all = [](TestRun& run) {
        std::vector<int64_t> values;
        for (const HelperId id : {HelperId::KtimeGetNs, HelperId::KtimeGetBootNs, HelperId::KtimeGetCoarseNs,
                                  HelperId::Jiffies64, HelperId::GetPrandomU32, HelperId::GetPrandomU32})
            values.push_back(run.call(id));
        return values;
    };
    const std::vector<int64_t> values = all(one);
    EXPECT_EQ(values, all(same));
    EXPECT_NE(values, all(other));
    EXPECT_EQ(values[1] - values[0], 1000);
    EXPECT_EQ(values[2] - values[1], 1000);
    EXPECT_NE(values[4], values[5]);
    EXPECT_EQ(one.call(HelperId::GetSmpProcessorId), 0);
    EXPECT_EQ(one.call(HelperId::GetNumaNodeId), 0);
}

TEST(Chance, OfTheHostIsItsClockAndUnpredictable) {
    TestRun one, two;
    one.run.chance = Chance::from_host();
    two.run.chance = Chance::from_host();
    const int64_t before = static_cast<int64_t>(skep_os_monotonic_ns());
    const int64_t now = one.call(HelperId::KtimeGetNs);
    EXPECT_GE(now, before);
    EXPECT_GE(one.call(HelperId::KtimeGetNs), now);
    bool differ = false;
    for (int i = 0; i < 8; ++i)
        differ = differ || one.call(HelperId::GetPrandomU32) != two.call(HelperId::GetPrandomU32);
    EXPECT_TRUE(differ);
    one.run.context.lane = 3;
    EXPECT_EQ(one.call(HelperId::GetSmpProcessorId), 3);
}

TEST(Helpers, AreAllThatTheHeaderLists) {
    size_t offered = 0;
    for (size_t i = 0; i < helper_functions_count; ++i) offered += helper_functions()[i] != nullptr;
    size_t listed = 0;
#define SKEP_COUNT(id, name) ++listed;
    SKEP_HELPERS(SKEP_COUNT)
#undef SKEP_COUNT
    EXPECT_EQ(offered, listed);
}

}  // namespace
}  // namespace skep::runtime
