// SPDX-License-Identifier: Apache-2.0
#include "tests/driver/core_selftest.h"

#include <string.h>

#include <initializer_list>

#include "base/atomic.hpp"
#include "base/lane.hpp"
#include "base/os.hpp"
#include "maps/testing_def.hpp"

namespace {

using namespace skep;
using maps::Map;
using maps::testing::def_of;
using platform::MapType;

class Checks {
  public:
    explicit Checks(skep_selftest_result* result) : result_(result) {}
    bool expect(bool holds, uint32_t line) {
        ++result_->checks;
        if (holds) return true;
        if (result_->failures++ == 0) result_->first_failed_line = line;
        return false;
    }

  private:
    skep_selftest_result* result_;
};

#define EXPECT(condition) checks.expect((condition), __LINE__)

bool is(Status status, Errc code) { return errno_of(status.code) == errno_of(code); }

/// A map for a scope; null if it could not be made.
class Made {
  public:
    Made(Lanes* lanes, const maps::MapDef& def) { status_ = maps::create(def, {lanes, 1}, nullptr, &map_); }
    ~Made() {
        if (map_ != nullptr) map_->release();
    }
    Made(const Made&) = delete;
    Made& operator=(const Made&) = delete;
    Map* get() const { return map_; }
    Status status() const { return status_; }

  private:
    Map* map_ = nullptr;
    Status status_;
};

void check_array(Checks& checks, Lanes* lanes, uint32_t lane) {
    for (const MapType type : {MapType::Array, MapType::PercpuArray}) {
        Made made(lanes, def_of(type, 4, 8, 5));
        Map* map = made.get();
        if (!EXPECT(map != nullptr)) return;
        for (uint32_t i = 0; i < 5; ++i) {
            const uint64_t value = i + 100;
            EXPECT(map->update(&i, &value, 0, lane).ok());
            EXPECT(*static_cast<uint64_t*>(map->lookup(&i, lane)) == value);
        }
        const uint32_t outside = 5;
        const uint64_t value = 1;
        EXPECT(map->lookup(&outside, lane) == nullptr);
        EXPECT(is(map->update(&outside, &value, 0, lane), Errc::TooBig));
        EXPECT(is(map->remove(&outside, lane), Errc::InvalidArgument));
        EXPECT(map->layout().max_entries == 5);
    }
    EXPECT(is(Made(lanes, def_of(MapType::Array, 8, 8, 5)).status(), Errc::InvalidArgument));
}

void check_hash(Checks& checks, Lanes* lanes, uint32_t lane, MapType type, uint32_t key_size, uint32_t value_size) {
    constexpr uint32_t entries = 300;
    const bool lru = type == MapType::LruHash || type == MapType::LruPercpuHash;
    Made made(lanes, def_of(type, key_size, value_size, entries));
    Map* map = made.get();
    if (!EXPECT(map != nullptr)) return;
    uint8_t key[32] = {}, next[32] = {}, value[32] = {};
    for (uint32_t i = 0; i < entries; ++i) {
        memcpy(key, &i, sizeof i);
        memcpy(value, &i, sizeof i);
        EXPECT(map->update(key, value, maps::update_noexist, lane).ok());
        EXPECT(is(map->update(key, value, maps::update_noexist, lane), Errc::Exists));
    }
    EXPECT(map->size() == entries);
    for (uint32_t i = 0; i < entries; ++i) {
        memcpy(key, &i, sizeof i);
        const void* found = map->lookup(key, lane);
        EXPECT(found != nullptr && memcmp(found, &i, sizeof i) == 0);
    }
    uint32_t seen = 0;
    Status status = map->next_key(nullptr, key, lane);
    while (status.ok() && seen <= entries) {
        ++seen;
        status = map->next_key(key, next, lane);
        memcpy(key, next, key_size);
    }
    EXPECT(seen == entries && is(status, Errc::NotFound));
    memset(key, 0, sizeof key);
    for (uint32_t i = entries; i < 2 * entries; ++i) {
        memcpy(key, &i, sizeof i);
        EXPECT(is(map->update(key, value, 0, lane), lru ? Errc::Ok : Errc::TooBig));
    }
    EXPECT(map->size() == entries);
    uint32_t removed = 0;
    for (uint32_t i = 0; i < 2 * entries; ++i) {
        memcpy(key, &i, sizeof i);
        const bool there = map->lookup(key, lane) != nullptr;
        EXPECT(is(map->remove(key, lane), there ? Errc::Ok : Errc::NotFound));
        removed += there;
    }
    EXPECT(removed == entries && map->size() == 0);
}

void check_queue_and_stack(Checks& checks, Lanes* lanes, uint32_t lane) {
    for (const MapType type : {MapType::Queue, MapType::Stack}) {
        Made made(lanes, def_of(type, 0, 4, 3));
        Map* map = made.get();
        if (!EXPECT(map != nullptr)) return;
        for (uint32_t i = 1; i <= 3; ++i) EXPECT(map->push(&i, 0, lane).ok());
        uint32_t value = 4;
        EXPECT(is(map->push(&value, 0, lane), Errc::TooBig));
        EXPECT(map->peek(&value, lane).ok() && value == (type == MapType::Queue ? 1u : 3u));
        for (uint32_t i = 1; i <= 3; ++i)
            EXPECT(map->pop(&value, lane).ok() && value == (type == MapType::Queue ? i : 4 - i));
        EXPECT(is(map->pop(&value, lane), Errc::NotFound));
    }
}

void check_lpm_trie(Checks& checks, Lanes* lanes, uint32_t lane) {
    Made made(lanes, def_of(MapType::LpmTrie, 8, 4, 4, maps::flag_no_prealloc));
    Map* map = made.get();
    if (!EXPECT(map != nullptr)) return;
    struct Key {
        uint32_t prefix;
        uint8_t address[4];
    };
    const Key wide{8, {10, 0, 0, 0}}, narrow{24, {10, 1, 2, 0}}, host{32, {10, 1, 2, 3}}, other{32, {11, 0, 0, 1}};
    const uint32_t one = 1, two = 2;
    EXPECT(map->update(&wide, &one, 0, lane).ok());
    EXPECT(map->update(&narrow, &two, 0, lane).ok());
    const void* found = map->lookup(&host, lane);
    EXPECT(found != nullptr && memcmp(found, &two, 4) == 0);
    EXPECT(map->lookup(&other, lane) == nullptr);
    EXPECT(map->remove(&narrow, lane).ok());
    found = map->lookup(&host, lane);
    EXPECT(found != nullptr && memcmp(found, &one, 4) == 0);
}

/// Two maps that every thread changes at once: a counter per lane, and a hash where each thread owns its keys.
struct Shared {
    Lanes* lanes;
    Map* counters;
    Map* keys;
    uint32_t threads;
    uint64_t failures;
};

constexpr uint32_t shared_rounds = 3000;
constexpr uint32_t keys_each = 32;

}  // namespace

extern "C" {

void skep_selftest_maps(skep_selftest_result* result) {
    Checks checks(result);
    Lanes* lanes = Lanes::create(2);
    if (!EXPECT(lanes != nullptr)) return;
    const uint32_t lane = lanes->acquire();
    check_array(checks, lanes, lane);
    for (const MapType type : {MapType::Hash, MapType::PercpuHash, MapType::LruHash, MapType::LruPercpuHash}) {
        check_hash(checks, lanes, lane, type, 4, 8);
        check_hash(checks, lanes, lane, type, 8, 4);
        check_hash(checks, lanes, lane, type, 20, 24);
    }
    check_queue_and_stack(checks, lanes, lane);
    check_lpm_trie(checks, lanes, lane);
    result->map_types += 9;

    // Failing allocations leave nothing half made.
    for (uint64_t n = 1; n < 20; ++n) {
        skep_os_fail_allocation(n);
        Made made(lanes, def_of(MapType::Hash, 8, 16, 100));
        skep_os_fail_allocation(0);
        if (made.get() != nullptr) break;
        EXPECT(is(made.status(), Errc::NoMemory));
    }
    lanes->release(lane);
    lanes->destroy();
}

void* skep_selftest_shared_make(uint32_t threads) {
    auto* shared = static_cast<Shared*>(skep_os_alloc(sizeof(Shared), alignof(Shared)));
    if (shared == nullptr) return nullptr;
    shared->threads = threads;
    shared->lanes = Lanes::create(2);
    if (shared->lanes == nullptr) return nullptr;
    const maps::MapEnv env{shared->lanes, 1};
    if (!maps::create(def_of(MapType::PercpuArray, 4, 8, 1), env, nullptr, &shared->counters).ok()) return nullptr;
    if (!maps::create(def_of(MapType::Hash, 8, 16, threads * keys_each), env, nullptr, &shared->keys).ok())
        return nullptr;
    return shared;
}

void skep_selftest_shared_run(void* opaque, uint32_t thread) {
    auto* shared = static_cast<Shared*>(opaque);
    bool present[keys_each] = {};
    uint64_t failures = 0, random = thread;
    for (uint32_t round = 0; round < shared_rounds; ++round) {
        LaneGuard guard(*shared->lanes);
        const uint32_t zero = 0;
        ++*static_cast<uint64_t*>(shared->counters->lookup(&zero, guard.lane()));
        random = random * 6364136223846793005u + 1442695040888963407u;
        const uint32_t mine = static_cast<uint32_t>(random >> 40) % keys_each;
        const uint64_t key = uint64_t{thread} << 32 | mine, value[2] = {key, round};
        if ((random >> 63) != 0) {
            failures += !is(shared->keys->update(&key, value, maps::update_noexist, guard.lane()),
                            present[mine] ? Errc::Exists : Errc::Ok);
            present[mine] = true;
        } else {
            failures += !is(shared->keys->remove(&key, guard.lane()), present[mine] ? Errc::Ok : Errc::NotFound);
            present[mine] = false;
        }
    }
    uint64_t kept = 0;
    {
        LaneGuard guard(*shared->lanes);
        for (uint32_t i = 0; i < keys_each; ++i) {
            const uint64_t key = uint64_t{thread} << 32 | i;
            failures += (shared->keys->lookup(&key, guard.lane()) != nullptr) != present[i];
            kept += present[i];
            if (present[i]) failures += !shared->keys->remove(&key, guard.lane()).ok();
        }
    }
    failures += kept == 0;  // a test that never keeps a key shows nothing
    atomic::add_ordered(&shared->failures, failures);
}

void skep_selftest_shared_finish(void* opaque, skep_selftest_result* result) {
    auto* shared = static_cast<Shared*>(opaque);
    Checks checks(result);
    uint64_t total = 0;
    {
        LaneGuard guard(*shared->lanes);
        const uint32_t zero = 0;
        for (uint32_t lane = 0; lane < shared->lanes->count(); ++lane)
            total += *static_cast<uint64_t*>(shared->counters->lookup_percpu(&zero, lane, guard.lane()));
    }
    EXPECT(total == uint64_t{shared->threads} * shared_rounds);
    EXPECT(shared->failures == 0);
    EXPECT(shared->keys->size() == 0);
    result->threads = shared->threads;
    shared->counters->release();
    shared->keys->release();
    shared->lanes->destroy();
    skep_os_free(shared, sizeof(Shared));
}

}  // extern "C"
