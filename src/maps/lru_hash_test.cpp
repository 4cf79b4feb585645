// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <set>
#include <thread>

#include "maps/testing.hpp"

namespace skep::maps {
namespace {

using namespace testing;

class LruTypes : public ::testing::TestWithParam<MapType> {
  protected:
    TestLanes lanes{4};
    MapDef def(uint32_t max_entries, uint32_t value_size = 8, uint32_t flags = 0) const {
        return def_of(GetParam(), 4, value_size, max_entries, flags);
    }
};

INSTANTIATE_TEST_SUITE_P(All, LruTypes, ::testing::Values(MapType::LruHash, MapType::LruPercpuHash),
                         [](const auto& info) { return std::string(platform::map_type_name(info.param)); });

TEST_P(LruTypes, AreNeverFull) {
    for (const uint32_t entries : {1u, 2u, 3u, 17u, 256u}) {
        for (const uint32_t value_size : {8u, 24u}) {
            auto map = make_map(lanes, def(entries, value_size));
            LaneGuard guard(*lanes);
            const uint64_t value[3] = {};
            for (uint32_t key = 0; key < 10 * entries; ++key) {
                ASSERT_EQ(errno_text(map->update(&key, value, update_noexist, guard.lane())), "0") << key;
                ASSERT_NE(map->lookup(&key, guard.lane()), nullptr) << "the newest key is there";
                ASSERT_LE(map->size(), entries);
            }
            EXPECT_EQ(map->size(), entries);
        }
    }
}

TEST_P(LruTypes, KeepWhatIsLookedUp) {
    auto map = make_map(lanes, def(100));
    LaneGuard guard(*lanes);
    const uint64_t value = 1;
    for (uint32_t key = 0; key < 100; ++key) ASSERT_TRUE(map->update(&key, &value, 0, guard.lane()).ok());
    // Twenty keys in use, and a stream of others ten times the map's size.
    for (uint32_t fresh = 1000; fresh < 2000; ++fresh) {
        for (uint32_t key = 0; key < 20; ++key)
            ASSERT_NE(map->lookup(&key, guard.lane()), nullptr) << key << " before " << fresh;
        ASSERT_TRUE(map->update(&fresh, &value, 0, guard.lane()).ok());
    }
    uint32_t old = 0;
    for (uint32_t key = 20; key < 100; ++key) old += map->lookup(&key, guard.lane()) != nullptr;
    EXPECT_EQ(old, 0u) << "what nobody looked up went first";
}

TEST_P(LruTypes, AUsersReadIsNoUse) {
    auto map = make_map(lanes, def(16));
    LaneGuard guard(*lanes);
    const uint64_t value = 1;
    std::vector<uint64_t> out(map->user_value_size() / 8);
    uint32_t key = 0;
    for (; key < 16; ++key) ASSERT_TRUE(map->update(&key, &value, 0, guard.lane()).ok());
    const uint32_t watched = 0;
    bool gone = false;
    for (; key < 64 && !gone; ++key) {
        gone = !map->read(&watched, out.data(), guard.lane()).ok();
        ASSERT_TRUE(map->update(&key, &value, 0, guard.lane()).ok());
    }
    EXPECT_TRUE(gone);
}

TEST_P(LruTypes, NothingIsForgottenForAnUpdateThatFails) {
    auto map = make_map(lanes, def(8));
    LaneGuard guard(*lanes);
    const uint64_t value = 1;
    for (uint32_t key = 0; key < 8; ++key) ASSERT_TRUE(map->update(&key, &value, 0, guard.lane()).ok());
    const uint32_t present = 3, absent = 99;
    EXPECT_EQ(errno_text(map->update(&present, &value, update_noexist, guard.lane())), "EEXIST");
    EXPECT_EQ(errno_text(map->update(&absent, &value, update_exist, guard.lane())), "ENOENT");
    for (uint32_t key = 0; key < 8; ++key) EXPECT_NE(map->lookup(&key, guard.lane()), nullptr) << key;
}

TEST_P(LruTypes, OwnListsRoundTheEntriesToTheLanes) {
    EXPECT_EQ(make_map(lanes, def(9, 8, flag_no_common_lru))->def().max_entries, 12u);
    EXPECT_EQ(make_map(lanes, def(12, 8, flag_no_common_lru))->def().max_entries, 12u);
    EXPECT_EQ(make_map(lanes, def(1, 8, flag_no_common_lru))->def().max_entries, 4u);
    EXPECT_EQ(make_map(lanes, def(9))->def().max_entries, 9u);
}

TEST_P(LruTypes, DeletedElementsAreUsedBeforeAnythingIsForgotten) {
    auto map = make_map(lanes, def(64));
    const uint32_t a = lanes->acquire(), b = lanes->acquire();
    const uint64_t value = 1;
    for (uint32_t key = 0; key < 64; ++key) ASSERT_TRUE(map->update(&key, &value, 0, a).ok());
    for (uint32_t key = 0; key < 10; ++key) ASSERT_TRUE(map->remove(&key, a).ok());
    for (uint32_t key = 100; key < 110; ++key) ASSERT_TRUE(map->update(&key, &value, 0, b).ok());
    for (uint32_t key = 10; key < 64; ++key) EXPECT_NE(map->lookup(&key, b), nullptr) << key;
    lanes->release(a);
    lanes->release(b);
}

TEST_P(LruTypes, InsertsFromManyThreadsNeverFail) {
    for (const uint32_t entries : {8u, 100u}) {
        for (const uint32_t value_size : {8u, 24u}) {
            auto map = make_map(lanes, def(entries, value_size));
            std::vector<std::thread> threads;
            for (uint32_t t = 0; t < 6; ++t) {
                threads.emplace_back([&, t] {
                    for (uint32_t i = 0; i < 2000; ++i) {
                        LaneGuard guard(*lanes);
                        const uint32_t key = (i * 7 + t * 13) % (entries * 3);
                        const uint64_t value[3] = {key, key, key};
                        ASSERT_EQ(errno_text(map->update(&key, value, 0, guard.lane())), "0");
                        std::vector<uint64_t> out(map->user_value_size() / 8, 0);
                        if (map->read(&key, out.data(), guard.lane()).ok() && GetParam() == MapType::LruHash) {
                            ASSERT_EQ(out[0], key) << "another key's value";
                        }
                        (void)map->lookup(&key, guard.lane());
                        if (i % 31 == 0) (void)map->remove(&key, guard.lane());
                    }
                });
            }
            for (auto& thread : threads) thread.join();
            EXPECT_LE(map->size(), entries);
            LaneGuard guard(*lanes);
            std::set<uint32_t> keys;
            uint32_t key = 0, next = 0;
            Status status = map->next_key(nullptr, &key, guard.lane());
            while (status.ok() && keys.insert(key).second) {
                status = map->next_key(&key, &next, guard.lane());
                key = next;
            }
            EXPECT_EQ(errno_text(status), "ENOENT") << "a key twice";
            EXPECT_EQ(keys.size(), map->size());
        }
    }
}

}  // namespace
}  // namespace skep::maps
