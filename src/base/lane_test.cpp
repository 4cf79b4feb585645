// SPDX-License-Identifier: Apache-2.0
#include "base/lane.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/os.hpp"

namespace skep {
namespace {

struct Object : Retired {
    std::atomic<int>* freed = nullptr;
    Lanes* lanes = nullptr;
    Object* inner = nullptr;
};

void free_object(Retired* self) {
    auto* object = static_cast<Object*>(self);
    if (object->inner != nullptr) object->lanes->retire(object->inner, free_object);
    object->freed->fetch_add(1);
    delete object;
}

TEST(Lanes, CountIsWhatWasAskedForWithinItsLimits) {
    for (const auto& [asked, got] :
         std::vector<std::pair<uint32_t, uint32_t>>{{1, 1}, {7, 7}, {4096, 4096}, {4097, 4096}}) {
        Lanes* lanes = Lanes::create(asked);
        EXPECT_EQ(lanes->count(), got);
        lanes->destroy();
    }
    Lanes* lanes = Lanes::create(0);
    EXPECT_EQ(lanes->count(), skep_os_cpu_count());
    lanes->destroy();
}

TEST(Lanes, EachIsHeldOnceAtATime) {
    Lanes* lanes = Lanes::create(3);
    const uint32_t a = lanes->acquire(), b = lanes->acquire(), c = lanes->acquire();
    EXPECT_EQ((1u << a) | (1u << b) | (1u << c), 7u);
    lanes->release(b);
    EXPECT_EQ(lanes->acquire(), b);
    for (uint32_t lane : {a, b, c}) lanes->release(lane);
    lanes->destroy();
}

// Per-lane sums are plain variables: were a lane ever held twice, an addition would be lost (and TSan would see it).
TEST(Lanes, FourTimesMoreThreadsThanLanesSumExactly) {
    constexpr uint32_t lane_count = 3, thread_count = 4 * lane_count, rounds = 2000;
    Lanes* lanes = Lanes::create(lane_count);
    struct alignas(64) Sum {
        uint64_t value = 0;
    };
    std::vector<Sum> sums(lane_count);
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < thread_count; ++t) {
        threads.emplace_back([&] {
            for (uint32_t i = 0; i < rounds; ++i) {
                LaneGuard guard(*lanes);
                sums[guard.lane()].value += 1;
                if (i % 64 == 0) std::this_thread::yield();
            }
        });
    }
    for (auto& thread : threads) thread.join();
    uint64_t total = 0;
    for (const Sum& sum : sums) total += sum.value;
    EXPECT_EQ(total, uint64_t{thread_count} * rounds);
    lanes->destroy();
}

/// Retires a new object, which counts itself in `freed` when it goes.
void retire_one(Lanes& lanes, std::atomic<int>& freed) {
    auto* object = new Object;
    object->freed = &freed;
    lanes.retire(object, free_object);
}

TEST(Epoch, WhatIsRetiredWhileNobodyRunsGoesAtOnce) {
    Lanes* lanes = Lanes::create(2);
    std::atomic<int> freed = 0;
    retire_one(*lanes, freed);
    EXPECT_EQ(freed, 1);
    lanes->destroy();
}

TEST(Epoch, NothingIsFreedWhileALaneFromBeforeIsHeld) {
    Lanes* lanes = Lanes::create(2);
    std::atomic<int> freed = 0;
    const uint32_t holder = lanes->acquire();
    for (int i = 0; i < 100; ++i) {
        retire_one(*lanes, freed);
        lanes->release(lanes->acquire());
    }
    EXPECT_EQ(freed, 0);
    lanes->release(holder);
    lanes->drain();
    EXPECT_EQ(freed, 100);
    lanes->destroy();
}

TEST(Epoch, AQuiescentHolderHoldsNothingBack) {
    Lanes* lanes = Lanes::create(2);
    std::atomic<int> freed = 0;
    const uint32_t holder = lanes->acquire();
    retire_one(*lanes, freed);
    lanes->quiesce(holder);
    lanes->drain();
    EXPECT_EQ(freed, 1);
    lanes->release(holder);
    lanes->destroy();
}

TEST(Epoch, ALaneTakenAfterARetirementDoesNotHoldItBack) {
    Lanes* lanes = Lanes::create(3);
    std::atomic<int> freed = 0;
    const uint32_t before = lanes->acquire();
    retire_one(*lanes, freed);
    const uint32_t after = lanes->acquire();
    lanes->release(before);
    lanes->drain();
    EXPECT_EQ(freed, 1);
    lanes->release(after);
    lanes->destroy();
}

TEST(Epoch, FreeingMayRetireMore) {
    Lanes* lanes = Lanes::create(1);
    std::atomic<int> freed = 0;
    Object* chain = nullptr;
    for (int i = 0; i < 1000; ++i) {
        auto* object = new Object;
        object->freed = &freed;
        object->lanes = lanes;
        object->inner = chain;
        chain = object;
    }
    lanes->retire(chain, free_object);
    lanes->destroy();
    EXPECT_EQ(freed, 1000);
}

TEST(Epoch, ReleasesOfLanesFreeWhatIsLeftOver) {
    Lanes* lanes = Lanes::create(2);
    std::atomic<int> freed = 0;
    const uint32_t holder = lanes->acquire();
    retire_one(*lanes, freed);
    lanes->release(holder);
    for (int i = 0; i < 100000 && freed == 0; ++i) lanes->release(lanes->acquire());
    EXPECT_EQ(freed, 1);
    lanes->destroy();
}

// Readers follow a published pointer inside their lane; a writer replaces it and retires the old one, which poisons it.
TEST(Epoch, ReadersNeverSeeAFreedObject) {
    struct Cell : Retired {
        std::atomic<uint64_t> value = 42;
    };
    Lanes* lanes = Lanes::create(3);
    std::atomic<Cell*> published = new Cell;
    std::atomic<bool> stop = false;
    std::vector<std::thread> readers;
    for (int r = 0; r < 3; ++r) {
        readers.emplace_back([&] {
            for (int i = 0; i < 20000 && !stop; ++i) {
                LaneGuard guard(*lanes);
                for (int k = 0; k < 4; ++k) {
                    ASSERT_EQ(published.load(std::memory_order_acquire)->value.load(std::memory_order_relaxed), 42u);
                    if (k == 2) lanes->quiesce(guard.lane());
                }
            }
        });
    }
    for (int i = 0; i < 5000; ++i) {
        Cell* old = published.exchange(new Cell, std::memory_order_acq_rel);
        lanes->retire(old, [](Retired* self) {
            auto* cell = static_cast<Cell*>(self);
            cell->value.store(0, std::memory_order_relaxed);
            delete cell;
        });
        if (i % 128 == 0) lanes->drain();
    }
    for (auto& reader : readers) reader.join();
    delete published.load();
    lanes->destroy();
}

TEST(Lanes, CreationSurvivesFailingAllocations) {
    for (uint64_t n = 1; n <= 3; ++n) {
        skep_os_fail_allocation(n);
        EXPECT_EQ(Lanes::create(4), nullptr) << n;
    }
    skep_os_fail_allocation(4);
    Lanes* lanes = Lanes::create(4);
    skep_os_fail_allocation(0);
    ASSERT_NE(lanes, nullptr);
    lanes->destroy();
}

}  // namespace
}  // namespace skep
