// SPDX-License-Identifier: Apache-2.0
// The rules of kernel/bpf/hashtab.c, for every type built on it; what is particular to per-CPU and LRU types is in
// their own tests.
#include <map>
#include <random>
#include <set>
#include <thread>

#include "base/atomic.hpp"
#include "maps/testing.hpp"

namespace skep::maps {
namespace {

using namespace testing;

bool is_lru(MapType type) { return type == MapType::LruHash || type == MapType::LruPercpuHash; }

class HashTypes : public ::testing::TestWithParam<MapType> {
  protected:
    TestLanes lanes;
    MapType type = GetParam();
    MapDef def(uint32_t key_size, uint32_t value_size, uint32_t max_entries, uint32_t flags = 0) const {
        return def_of(type, key_size, value_size, max_entries, flags);
    }
};

INSTANTIATE_TEST_SUITE_P(All, HashTypes,
                         ::testing::Values(MapType::Hash, MapType::PercpuHash, MapType::LruHash,
                                           MapType::LruPercpuHash),
                         [](const auto& info) { return std::string(platform::map_type_name(info.param)); });

TEST_P(HashTypes, AreCreatedByTheKernelsRules) {
    const bool lru = is_lru(type), percpu = is_percpu(type);
    expect_create(lanes,
                  {
                      {"smallest", def(1, 1, 1), "0"},
                      {"no key", def(0, 1, 1), "EINVAL"},
                      {"no value", def(1, 0, 1), "EINVAL"},
                      {"no entries", def(1, 1, 0), "EINVAL"},
                      {"key and value just below the largest element", def(4194256 - 9, 8, 1), "0"},
                      {"key and value at the largest element", def(4194256 - 8, 8, 1), "E2BIG"},
                      {"value of 32768", def(4, 32768, 1), "0"},
                      {"value of 32769", def(4, 32769, 1), percpu ? "E2BIG" : "0"},
                      {"more than 2^27 entries", def(4, 8, (1u << 27) + 1), "E2BIG"},
                      {"entries past 2^31", def(4, 8, 0x80000001u), "E2BIG"},
                      {"flags: no preallocation", def(4, 8, 8, flag_no_prealloc), lru ? "ENOTSUPP" : "0"},
                      {"flags: own lists", def(4, 8, 8, flag_no_common_lru), lru ? "0" : "EINVAL"},
                      {"flags: numa node", def(4, 8, 8, flag_numa_node), percpu ? "EINVAL" : "0"},
                      {"flags: numa node and own lists", def(4, 8, 8, flag_numa_node | flag_no_common_lru), "EINVAL"},
                      {"flags: zero seed", def(4, 8, 8, flag_zero_seed), "0"},
                      {"flags: closed to programs", def(4, 8, 8, flag_rdonly_prog | flag_wronly_prog), "EINVAL"},
                      {"flags: closed to users", def(4, 8, 8, flag_rdonly | flag_wronly), "EINVAL"},
                      {"flags: mmapable", def(4, 8, 8, flag_mmapable), "EINVAL"},
                      {"flags: inner map", def(4, 8, 8, flag_inner_map), "EINVAL"},
                      {"flags: unknown", def(4, 8, 8, 1u << 30), "EINVAL"},
                  });
}

TEST_P(HashTypes, UpdateByTheKernelsRules) {
    for (const uint32_t value_size : {8u, 12u}) {
        auto map = make_map(lanes, def(4, value_size, 4));
        LaneGuard guard(*lanes);
        const uint64_t value[2] = {1, 2};
        struct Row {
            const char* name;
            uint32_t key;
            uint64_t flags;
            const char* result;
        };
        for (const Row& row : std::initializer_list<Row>{{"exist, absent", 1, update_exist, "ENOENT"},
                                                         {"noexist, absent", 1, update_noexist, "0"},
                                                         {"noexist, present", 1, update_noexist, "EEXIST"},
                                                         {"exist, present", 1, update_exist, "0"},
                                                         {"any, present", 1, update_any, "0"},
                                                         {"any, absent", 2, update_any, "0"},
                                                         {"unknown flag", 1, 3, "EINVAL"},
                                                         {"lock without a lock", 1, update_lock, "EINVAL"},
                                                         {"unknown flag, absent", 9, 8, "EINVAL"}}) {
            EXPECT_EQ(errno_text(map->update(&row.key, value, row.flags, guard.lane())), row.result) << row.name;
        }
        EXPECT_EQ(map->size(), 2u);
    }
}

TEST_P(HashTypes, AFullMapRefusesNewKeysUnlessItMayForget) {
    for (const uint32_t flags : {0u, uint32_t{flag_no_prealloc}}) {
        if (is_lru(type) && flags != 0) continue;
        for (const uint32_t value_size : {8u, 20u}) {
            auto map = make_map(lanes, def(4, value_size, 100, flags));
            LaneGuard guard(*lanes);
            const uint64_t value[3] = {};
            for (uint32_t key = 0; key < 100; ++key)
                ASSERT_EQ(errno_text(map->update(&key, value, 0, guard.lane())), "0") << key;
            EXPECT_EQ(map->size(), 100u);
            const uint32_t one_more = 100, present = 99;
            EXPECT_EQ(errno_text(map->update(&present, value, update_any, guard.lane())), "0")
                << "replacing is no new key";
            EXPECT_EQ(errno_text(map->update(&present, value, update_noexist, guard.lane())), "EEXIST");
            EXPECT_EQ(errno_text(map->update(&one_more, value, update_exist, guard.lane())), "ENOENT");
            EXPECT_EQ(errno_text(map->update(&one_more, value, 0, guard.lane())), is_lru(type) ? "0" : "E2BIG");
            EXPECT_EQ(map->size(), 100u);
            const uint32_t victim = 50;
            if (is_lru(type)) continue;
            ASSERT_TRUE(map->remove(&victim, guard.lane()).ok());
            EXPECT_EQ(errno_text(map->update(&one_more, value, 0, guard.lane())), "0");
        }
    }
}

TEST_P(HashTypes, ElementsFreedOnOneLaneServeEveryLane) {
    auto map = make_map(lanes, def(4, 8, 16));
    const uint32_t a = lanes->acquire(), b = lanes->acquire();
    const uint64_t value = 1;
    for (uint32_t key = 0; key < 16; ++key) ASSERT_TRUE(map->update(&key, &value, 0, a).ok());
    for (uint32_t key = 0; key < 16; ++key) ASSERT_TRUE(map->remove(&key, a).ok());
    for (uint32_t key = 100; key < 116; ++key) EXPECT_EQ(errno_text(map->update(&key, &value, update_noexist, b)), "0");
    EXPECT_EQ(map->size(), 16u);
    lanes->release(a);
    lanes->release(b);
}

TEST_P(HashTypes, DeleteAndLookupAndDelete) {
    auto map = make_map(lanes, def(4, 12, 4));
    LaneGuard guard(*lanes);
    std::vector<uint8_t> value(map->user_value_size()), out(value.size());
    for (size_t i = 0; i < value.size(); ++i) value[i] = static_cast<uint8_t>(i);
    const uint32_t key = 7;
    EXPECT_EQ(errno_text(map->remove(&key, guard.lane())), "ENOENT");
    EXPECT_EQ(errno_text(map->lookup_and_delete(&key, out.data(), guard.lane())), "ENOENT");
    ASSERT_TRUE(map->write(&key, value.data(), 0, guard.lane()).ok());
    EXPECT_EQ(errno_text(map->lookup_and_delete(&key, out.data(), guard.lane())), "0");
    EXPECT_EQ(out, value);
    EXPECT_EQ(map->lookup(&key, guard.lane()), nullptr);
    ASSERT_TRUE(map->write(&key, value.data(), 0, guard.lane()).ok());
    EXPECT_EQ(errno_text(map->remove(&key, guard.lane())), "0");
    EXPECT_EQ(errno_text(map->remove(&key, guard.lane())), "ENOENT");
    EXPECT_EQ(errno_text(map->read(&key, out.data(), guard.lane())), "ENOENT");
    EXPECT_EQ(errno_text(map->push(value.data(), 0, guard.lane())), "EOPNOTSUPP");
    EXPECT_EQ(map->layout().kind, MapLayoutKind::Opaque);
}

TEST_P(HashTypes, KeysComeOnceEachAndAMissingOneStartsOver) {
    auto map = make_map(lanes, def(8, 8, 500));
    LaneGuard guard(*lanes);
    uint64_t next = 0;
    EXPECT_EQ(errno_text(map->next_key(nullptr, &next, guard.lane())), "ENOENT") << "empty";
    std::set<uint64_t> expected, seen;
    const std::vector<uint8_t> value(map->user_value_size());
    for (uint64_t i = 0; i < 500; ++i) {
        const uint64_t key = i * 0x123456789u;
        expected.insert(key);
        ASSERT_TRUE(map->write(&key, value.data(), 0, guard.lane()).ok());
    }
    uint64_t key = 0;
    ASSERT_TRUE(map->next_key(nullptr, &key, guard.lane()).ok());
    const uint64_t first = key;
    do {
        EXPECT_TRUE(seen.insert(key).second) << key;
        if (!map->next_key(&key, &next, guard.lane()).ok()) break;
        key = next;
    } while (seen.size() <= 500);
    EXPECT_EQ(seen, expected);
    const uint64_t absent = 5;
    ASSERT_TRUE(map->next_key(&absent, &next, guard.lane()).ok());
    EXPECT_EQ(next, first);
}

TEST_P(HashTypes, HonourTheAccessFlagsOfUsers) {
    auto read_only = make_map(lanes, def(4, 8, 4, flag_rdonly));
    auto write_only = make_map(lanes, def(4, 8, 4, flag_wronly));
    LaneGuard guard(*lanes);
    const uint32_t key = 1;
    std::vector<uint8_t> value(read_only->user_value_size());
    EXPECT_EQ(errno_text(read_only->update(&key, value.data(), 0, guard.lane())), "0") << "programs may";
    EXPECT_EQ(errno_text(read_only->write(&key, value.data(), 0, guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(read_only->user_remove(&key, guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(read_only->lookup_and_delete(&key, value.data(), guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(read_only->read(&key, value.data(), guard.lane())), "0");
    EXPECT_EQ(errno_text(write_only->write(&key, value.data(), 0, guard.lane())), "0");
    EXPECT_EQ(errno_text(write_only->read(&key, value.data(), guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(write_only->lookup_and_delete(&key, value.data(), guard.lane())), "EPERM");
    EXPECT_EQ(errno_text(write_only->user_remove(&key, guard.lane())), "0");
}

TEST_P(HashTypes, SurviveFailingAllocations) {
    expect_create_survives_failing_allocations(lanes, def(4, 12, 10));
    if (!is_lru(type)) expect_create_survives_failing_allocations(lanes, def(4, 12, 10, flag_no_prealloc));
}

// Random operations against std::map, for every shape a key can have and tables small enough to overflow chunks.
TEST_P(HashTypes, BehaveAsAMapWouldForEveryKeySize) {
    constexpr uint32_t seed = 7;
    std::mt19937 random(seed);
    for (const uint32_t key_size : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 9u, 12u, 16u, 17u, 40u, 100u}) {
        for (const uint32_t value_size : {1u, 4u, 8u, 13u}) {
            const uint32_t entries = key_size == 1 ? 256 : 1 + random() % 200;
            const uint32_t flags = !is_lru(type) && (random() & 1) != 0 ? uint32_t{flag_no_prealloc} : 0;
            auto map = make_map(lanes, def(key_size, value_size, entries, flags));
            LaneGuard guard(*lanes);
            std::map<std::vector<uint8_t>, std::vector<uint8_t>> model;
            const std::string where = "seed " + std::to_string(seed) + ", key of " + std::to_string(key_size) +
                                      ", value of " + std::to_string(value_size);
            for (int step = 0; step < 3000; ++step) {
                std::vector<uint8_t> key(key_size, 0), value(map->user_value_size(), 0), out(value.size());
                // An LRU map never forgets what fits.
                const uint32_t distinct = is_lru(type) ? entries : entries + entries / 4 + 1;
                const uint32_t number = key_size == 1 ? random() % 256 : random() % distinct;
                memcpy(key.data() + (key_size > 4 ? random() % 2 * (key_size - 4) : 0), &number,
                       std::min<size_t>(key_size, 4));
                if (is_lru(type) && !model.contains(key) && model.size() == entries) continue;
                for (uint8_t& byte : value) byte = static_cast<uint8_t>(random());
                for (size_t at = 0; is_percpu(type) && at < value.size(); at += 8)
                    std::fill(value.begin() + static_cast<long>(at + std::min(value_size, 8u)),
                              value.begin() + static_cast<long>(at + 8), uint8_t{0});
                const bool present = model.contains(key);
                switch (random() % 4) {
                    case 0: {
                        const uint64_t how = random() % 3;
                        const char* expected = how == update_noexist && present      ? "EEXIST"
                                               : how == update_exist && !present     ? "ENOENT"
                                               : !present && model.size() == entries ? "E2BIG"
                                                                                     : "0";
                        ASSERT_EQ(errno_text(map->write(key.data(), value.data(), how, guard.lane())), expected)
                            << where;
                        if (expected[0] == '0') model[key] = value;
                        break;
                    }
                    case 1:
                        ASSERT_EQ(errno_text(map->remove(key.data(), guard.lane())), present ? "0" : "ENOENT") << where;
                        model.erase(key);
                        break;
                    case 2:
                        ASSERT_EQ(errno_text(map->lookup_and_delete(key.data(), out.data(), guard.lane())),
                                  present ? "0" : "ENOENT")
                            << where;
                        if (present) {
                            ASSERT_EQ(out, model[key]) << where;
                        }
                        model.erase(key);
                        break;
                    case 3:
                        ASSERT_EQ(errno_text(map->read(key.data(), out.data(), guard.lane())), present ? "0" : "ENOENT")
                            << where;
                        if (present) {
                            ASSERT_EQ(out, model[key]) << where;
                        }
                        ASSERT_EQ(map->lookup(key.data(), guard.lane()) != nullptr, present) << where;
                        break;
                }
            }
            ASSERT_EQ(map->size(), model.size()) << where;
        }
    }
}

// Keys that stay are always found, whole, while others come and go beside them and their own values are replaced.
TEST_P(HashTypes, ReadersFindWhatStaysWhileWritersChurn) {
    for (const uint32_t key_size : {8u, 24u}) {
        constexpr uint32_t kept = 24, rounds = 3000;
        // Room for everything: an LRU map must not forget the kept keys.
        auto map = make_map(lanes, def(key_size, 24, 64));
        auto key_bytes = [&](uint64_t number) {
            std::vector<uint64_t> key(3, number);
            return key;
        };
        {
            LaneGuard guard(*lanes);
            for (uint32_t k = 0; k < kept; ++k) {
                const std::vector<uint64_t> value(map->user_value_size() / 8, 1);
                ASSERT_TRUE(map->write(key_bytes(k).data(), value.data(), 0, guard.lane()).ok());
            }
        }
        std::vector<std::thread> threads;
        for (uint64_t t = 0; t < 2; ++t) {
            threads.emplace_back([&, t] {
                std::mt19937 random(static_cast<uint32_t>(t));
                for (uint32_t i = 0; i < rounds; ++i) {
                    LaneGuard guard(*lanes);
                    const std::vector<uint64_t> value(map->user_value_size() / 8, i);
                    const auto mine = key_bytes(1000 + t * 16 + random() % 16);
                    if (random() & 1)
                        EXPECT_TRUE(map->write(mine.data(), value.data(), 0, guard.lane()).ok());
                    else
                        (void)map->remove(mine.data(), guard.lane());
                    EXPECT_TRUE(
                        map->write(key_bytes(random() % kept).data(), value.data(), update_exist, guard.lane()).ok());
                }
            });
        }
        for (uint64_t t = 0; t < 2; ++t) {
            threads.emplace_back([&, t] {
                std::mt19937 random(static_cast<uint32_t>(100 + t));
                std::vector<uint64_t> out(map->user_value_size() / 8);
                for (uint32_t i = 0; i < rounds; ++i) {
                    LaneGuard guard(*lanes);
                    const auto key = key_bytes(random() % kept);
                    ASSERT_NE(map->lookup(key.data(), guard.lane()), nullptr);
                    ASSERT_TRUE(map->read(key.data(), out.data(), guard.lane()).ok());
                    if (!is_percpu(type)) {
                        for (const uint64_t word : out) ASSERT_EQ(word, out[0]) << "a mixture of two values";
                    }
                    std::vector<uint64_t> next(3);
                    if (map->next_key(key.data(), next.data(), guard.lane()).ok() && key_size == 24) {
                        ASSERT_TRUE(next[0] == next[1] && next[1] == next[2]) << "a mixture of two keys";
                    }
                }
            });
        }
        for (auto& thread : threads) thread.join();
        LaneGuard guard(*lanes);
        uint64_t found = 0;
        for (uint32_t k = 0; k < kept; ++k) found += map->lookup(key_bytes(k).data(), guard.lane()) != nullptr;
        EXPECT_EQ(found, kept);
    }
}

// Every thread owns its keys, and all share chunks, locks and free elements: nothing is lost, nothing left over.
TEST_P(HashTypes, ThreadsWithTheirOwnKeysDoNotDisturbEachOther) {
    constexpr uint32_t thread_count = 6, keys_each = 20, rounds = 3000;
    for (const uint32_t flags : {0u, uint32_t{flag_no_prealloc}}) {
        if (is_lru(type) && flags != 0) continue;
        auto map = make_map(lanes, def(8, 16, thread_count * keys_each, flags));
        std::vector<std::thread> threads;
        std::vector<std::set<uint64_t>> owned(thread_count);
        for (uint64_t t = 0; t < thread_count; ++t) {
            threads.emplace_back([&, t] {
                std::mt19937 random(static_cast<uint32_t>(t));
                for (uint32_t i = 0; i < rounds; ++i) {
                    LaneGuard guard(*lanes);
                    const uint64_t key = t * 1000 + random() % keys_each;
                    const uint64_t value[2] = {key, i};
                    const bool present = owned[t].contains(key);
                    if (random() & 1) {
                        ASSERT_EQ(errno_text(map->update(&key, value, update_noexist, guard.lane())),
                                  present ? "EEXIST" : "0");
                        owned[t].insert(key);
                    } else {
                        ASSERT_EQ(errno_text(map->remove(&key, guard.lane())), present ? "0" : "ENOENT");
                        owned[t].erase(key);
                    }
                }
            });
        }
        for (auto& thread : threads) thread.join();
        uint64_t expected = 0;
        LaneGuard guard(*lanes);
        for (uint64_t t = 0; t < thread_count; ++t) {
            expected += owned[t].size();
            for (uint64_t k = t * 1000; k < t * 1000 + keys_each; ++k)
                EXPECT_EQ(map->lookup(&k, guard.lane()) != nullptr, owned[t].contains(k)) << k;
        }
        EXPECT_EQ(map->size(), expected);
    }
}

TEST_P(HashTypes, AnUpdateNeverReachesTheNextKeyOfARecycledElement) {
    constexpr uint32_t rounds = 20000;
    for (const uint32_t key_size : {4u, 6u, 8u, 12u}) {
        // One element for both keys, so it is recycled each time.
        auto map = make_map(lanes, def(key_size, 8, 1));
        const uint32_t updated[3] = {1, 1, 1}, checked[3] = {2, 2, 2};
        const uint64_t foreign = 1, own = 2;
        uint32_t done = 0;
        std::thread updater([&] {
            while (atomic::load(&done) == 0) {
                LaneGuard guard(*lanes);
                (void)map->update(updated, &foreign, update_exist, guard.lane());
            }
        });
        uint32_t wrong = 0;
        std::vector<uint64_t> copies(map->user_value_size() / 8);
        for (uint32_t i = 0; i < rounds; ++i) {
            LaneGuard guard(*lanes);
            EXPECT_TRUE(map->update(updated, &own, update_any, guard.lane()).ok());
            EXPECT_TRUE(map->remove(updated, guard.lane()).ok());
            EXPECT_TRUE(map->update(checked, &own, update_any, guard.lane()).ok());
            for (int look = 0; look < 4; ++look) {
                EXPECT_TRUE(map->read(checked, copies.data(), guard.lane()).ok());
                for (const uint64_t copy : copies) wrong += copy == foreign;
            }
            EXPECT_TRUE(map->remove(checked, guard.lane()).ok());
        }
        atomic::store(&done, 1u);
        updater.join();
        EXPECT_EQ(wrong, 0u) << "keys of " << key_size << " bytes";
    }
}

TEST(Hash, UpdatesASmallValueInPlaceAndReplacesALargeOne) {
    TestLanes lanes;
    const uint32_t key = 1;
    const uint64_t value[2] = {5, 6};
    LaneGuard guard(*lanes);
    for (const uint32_t size : {1u, 2u, 4u, 8u, 3u, 12u, 16u}) {
        auto map = make_map(lanes, def_of(MapType::Hash, 4, size, 4));
        ASSERT_TRUE(map->update(&key, value, 0, guard.lane()).ok());
        const void* before = map->lookup(&key, guard.lane());
        ASSERT_TRUE(map->update(&key, value, 0, guard.lane()).ok());
        const bool in_place = size == 1 || size == 2 || size == 4 || size == 8;
        EXPECT_EQ(map->lookup(&key, guard.lane()) == before, in_place) << size;
    }
}

TEST(Hash, ValuesAreAlignedToEight) {
    TestLanes lanes;
    LaneGuard guard(*lanes);
    for (const uint32_t key_size : {1u, 4u, 6u, 9u}) {
        auto map = make_map(lanes, def_of(MapType::Hash, key_size, 5, 64));
        for (uint64_t i = 0; i < 50; ++i) {
            const uint64_t key[2] = {i, 0}, value = 0;
            ASSERT_TRUE(map->update(key, &value, 0, guard.lane()).ok());
            EXPECT_EQ(reinterpret_cast<uintptr_t>(map->lookup(key, guard.lane())) % 8, 0u);
        }
    }
}

TEST(Hash, GrowsOnDemandAndReportsWhenMemoryIsOut) {
    TestLanes lanes;
    auto map = make_map(lanes, def_of(MapType::Hash, 8, 1000, 100000, flag_no_prealloc));
    LaneGuard guard(*lanes);
    const std::vector<uint8_t> value(1000);
    uint64_t key = 0, refused = 0;
    for (; key < 2000; ++key) {
        skep_os_fail_allocation(key % 3 == 0 ? 1 : 0);
        const Status status = map->update(&key, value.data(), 0, guard.lane());
        if (!status.ok()) {
            ASSERT_EQ(errno_text(status), "ENOMEM");
            ++refused;
        }
    }
    skep_os_fail_allocation(0);
    EXPECT_GT(refused, 0u);
    EXPECT_EQ(map->size(), 2000 - refused);
}

TEST(Hash, AZeroSeedOrderIsTheSameEveryTime) {
    TestLanes lanes;
    LaneGuard guard(*lanes);
    auto order = [&](uint32_t flags, uint64_t env_seed) {
        Map* raw = nullptr;
        EXPECT_TRUE(create(def_of(MapType::Hash, 4, 4, 64, flags), lanes.env(env_seed), nullptr, &raw).ok());
        OwnedMap map(raw);
        for (uint32_t i = 0; i < 64; ++i) EXPECT_TRUE(map->update(&i, &i, 0, guard.lane()).ok());
        std::vector<uint32_t> keys(1);
        if (!map->next_key(nullptr, keys.data(), guard.lane()).ok()) return keys;
        for (uint32_t next = 0; map->next_key(&keys.back(), &next, guard.lane()).ok();) keys.push_back(next);
        EXPECT_EQ(keys.size(), 64u);
        return keys;
    };
    EXPECT_EQ(order(flag_zero_seed, 1), order(flag_zero_seed, 2));
    EXPECT_EQ(order(0, 1), order(0, 1));
    EXPECT_NE(order(0, 1), order(0, 2));
    EXPECT_NE(order(0, 0), order(0, 0)) << "no seed given: drawn per map";
}

}  // namespace
}  // namespace skep::maps
