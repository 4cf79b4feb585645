// SPDX-License-Identifier: Apache-2.0
// What the tests of the map types share: lanes and a map for a scope, and rows of creation rules. Included by tests
// only.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/os.hpp"
#include "maps/testing_def.hpp"

namespace skep::maps::testing {

using platform::MapType;

/// Lanes for a scope.
class TestLanes {
  public:
    explicit TestLanes(uint32_t count = 4) : lanes_(Lanes::create(count)) {}
    ~TestLanes() { lanes_->destroy(); }
    TestLanes(const TestLanes&) = delete;
    TestLanes& operator=(const TestLanes&) = delete;
    Lanes& operator*() { return *lanes_; }
    Lanes* operator->() { return lanes_; }
    MapEnv env(uint64_t seed = 0x5eed) { return {lanes_, seed}; }

  private:
    Lanes* lanes_;
};

/// The only reference to a map, for a scope.
class OwnedMap {
  public:
    OwnedMap() = default;
    explicit OwnedMap(Map* map) : map_(map) {}
    OwnedMap(OwnedMap&& other) noexcept : map_(other.map_) { other.map_ = nullptr; }
    OwnedMap& operator=(OwnedMap&&) = delete;
    ~OwnedMap() {
        if (map_ != nullptr) map_->release();
    }
    Map* operator->() const { return map_; }
    Map* get() const { return map_; }
    explicit operator bool() const { return map_ != nullptr; }

  private:
    Map* map_ = nullptr;
};

inline OwnedMap make_map(TestLanes& lanes, const MapDef& def, const Map* inner = nullptr) {
    Map* map = nullptr;
    const Status status = create(def, lanes.env(), inner, &map);
    EXPECT_EQ(status.to_errno(), 0) << "create failed: " << errno_name(status.code);
    return OwnedMap(map);
}

inline std::string errno_text(Status status) { return errno_name(status.code); }

/// One row of a type's creation rules: what bpf(BPF_MAP_CREATE) answers, as an errno's name ("0": made).
struct CreateRow {
    const char* name;
    MapDef def;
    const char* result;
};

inline void expect_create(TestLanes& lanes, const std::vector<CreateRow>& rows, const Map* inner = nullptr) {
    for (const CreateRow& row : rows) {
        Map* map = nullptr;
        const Status status = create(row.def, lanes.env(), inner, &map);
        EXPECT_EQ(errno_text(status), row.result) << row.name;
        EXPECT_EQ(map != nullptr, status.ok()) << row.name;
        if (map != nullptr) map->release();
    }
}

/// Fails the first, second, ... allocation of create() until one run needs none that fails: each failure must be
/// NoMemory, leave nothing behind (the leak checker sees it) and the last run a map.
inline void expect_create_survives_failing_allocations(TestLanes& lanes, const MapDef& def,
                                                       const Map* inner = nullptr) {
    for (uint64_t n = 1; n < 1000; ++n) {
        skep_os_fail_allocation(n);
        Map* map = nullptr;
        const Status status = create(def, lanes.env(), inner, &map);
        skep_os_fail_allocation(0);
        if (status.ok()) {
            ASSERT_NE(map, nullptr);
            map->release();
            EXPECT_GT(n, 1u) << "a map that allocates nothing?";
            return;
        }
        ASSERT_EQ(errno_text(status), "ENOMEM") << "allocation " << n;
        ASSERT_EQ(map, nullptr);
    }
    FAIL() << "creation still fails after 1000 allocations";
}

}  // namespace skep::maps::testing
