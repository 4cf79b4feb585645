// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "maps/kernel_limits.hpp"
#include "maps/testing.hpp"

namespace skep::maps {
namespace {

using namespace testing;

constexpr DefsOf lpm_def{MapType::LpmTrie, flag_no_prealloc};

struct Key {
    uint32_t bits = 0;
    uint8_t data[256] = {};
};

/// "10.1.0.0/16" as a key.
Key v4(const std::string& text) {
    Key key;
    unsigned a, b, c, d, bits = 32;
    const int fields = sscanf(text.c_str(), "%u.%u.%u.%u/%u", &a, &b, &c, &d, &bits);
    EXPECT_GE(fields, 4) << text;
    key.bits = bits;
    const unsigned bytes[4] = {a, b, c, d};
    for (int i = 0; i < 4; ++i) key.data[i] = static_cast<uint8_t>(bytes[i]);
    return key;
}

std::string text_of(const Key& key) {
    std::string text;
    for (int i = 0; i < 4; ++i) text += (i ? "." : "") + std::to_string(key.data[i]);
    return text + "/" + std::to_string(key.bits);
}

/// What a lookup says, as a number; -1 for nothing.
int64_t look_up(Map& map, const Key& key, uint32_t lane) {
    const void* value = map.lookup(&key, lane);
    if (value == nullptr) return -1;
    uint32_t number;
    memcpy(&number, value, sizeof number);
    return number;
}

TEST(LpmTrie, IsCreatedByTheKernelsRules) {
    TestLanes lanes;
    constexpr uint32_t np = flag_no_prealloc;
    expect_create(
        lanes, {
                   {"IPv4", lpm_def(8, 4, 1), "0"},
                   {"smallest", lpm_def(5, 1, 1), "0"},
                   {"key too small", lpm_def(4, 1, 1), "EINVAL"},
                   {"largest key", lpm_def(260, 1, 1), "0"},
                   {"key too large", lpm_def(261, 1, 1), "EINVAL"},
                   {"no value", lpm_def(8, 0, 1), "EINVAL"},
                   {"largest value", lpm_def(8, kmalloc_max_bytes - 260 - 24, 1), "0"},
                   {"value too large", lpm_def(8, kmalloc_max_bytes - 260 - 23, 1), "EINVAL"},
                   {"no entries", lpm_def(8, 4, 0), "EINVAL"},
                   {"any number of entries", lpm_def(8, 4, UINT32_MAX), "0"},
                   {"preallocated", lpm_def(8, 4, 1, 0), "EINVAL"},
                   {"flags: numa node", lpm_def(8, 4, 1, np | flag_numa_node), "0"},
                   {"flags: read-only for programs", lpm_def(8, 4, 1, np | flag_rdonly_prog), "0"},
                   {"flags: closed to programs", lpm_def(8, 4, 1, np | flag_rdonly_prog | flag_wronly_prog), "EINVAL"},
                   {"flags: mmapable", lpm_def(8, 4, 1, np | flag_mmapable), "EINVAL"},
                   {"flags: zero seed", lpm_def(8, 4, 1, np | flag_zero_seed), "EINVAL"},
               });
    expect_create_survives_failing_allocations(lanes, lpm_def(8, 4, 10));
}

TEST(LpmTrie, FindsTheLongestPrefix) {
    TestLanes lanes;
    auto map = make_map(lanes, lpm_def(8, 4, 20));
    LaneGuard guard(*lanes);
    struct Entry {
        const char* prefix;
        uint32_t value;
    };
    for (const Entry& entry : std::initializer_list<Entry>{{"0.0.0.0/0", 1},
                                                           {"192.168.0.0/16", 2},
                                                           {"192.168.0.0/24", 3},
                                                           {"192.168.128.0/24", 4},
                                                           {"192.168.1.0/24", 5},
                                                           {"192.168.1.77/32", 6},
                                                           {"10.0.0.0/7", 7},
                                                           {"255.255.255.255/32", 8},
                                                           {"128.0.0.0/1", 9}}) {
        const Key key = v4(entry.prefix);
        ASSERT_TRUE(map->update(&key, &entry.value, 0, guard.lane()).ok()) << entry.prefix;
    }
    struct Row {
        const char* key;
        int64_t value;
    };
    for (const Row& row : std::initializer_list<Row>{{"1.2.3.4", 1},
                                                     {"192.168.0.1", 3},
                                                     {"192.168.1.76", 5},
                                                     {"192.168.1.77", 6},
                                                     {"192.168.1.78", 5},
                                                     {"192.168.2.1", 2},
                                                     {"192.169.0.0", 9},
                                                     {"192.167.255.255", 9},
                                                     {"127.255.255.255", 1},
                                                     {"11.255.0.0", 7},
                                                     {"12.0.0.0", 1},
                                                     {"255.255.255.255", 8},
                                                     {"255.255.255.254", 9},
                                                     {"192.168.1.77/31", 5},  // a shorter key sees shorter prefixes
                                                     {"192.168.1.0/24", 5},
                                                     {"192.168.1.0/23", 2},
                                                     {"192.168.1.0/0", 1},
                                                     {"192.168.1.77/33", -1}}) {
        EXPECT_EQ(look_up(*map.get(), v4(row.key), guard.lane()), row.value) << row.key;
    }
}

TEST(LpmTrie, UpdatesAndDeletesByTheKernelsRules) {
    TestLanes lanes;
    auto map = make_map(lanes, lpm_def(8, 4, 3));
    LaneGuard guard(*lanes);
    struct Row {
        const char* name;
        const char* key;
        int64_t value;  // -1: delete
        uint64_t flags;
        const char* result;
        uint64_t size;
    };
    const Row rows[] = {
        {"insert", "10.0.0.0/8", 1, update_any, "0", 1},
        {"insert if absent", "10.1.0.0/16", 2, update_noexist, "0", 2},
        {"not if present", "10.1.0.0/16", 3, update_noexist, "EEXIST", 2},
        {"nor with other bits behind the prefix", "10.1.9.9/16", 3, update_noexist, "EEXIST", 2},
        {"replace if present", "10.1.0.0/16", 4, update_exist, "0", 2},
        {"not if absent", "10.2.0.0/16", 5, update_exist, "ENOENT", 2},
        {"a fork is no prefix", "10.0.0.0/14", 5, update_exist, "ENOENT", 2},
        {"third", "10.2.0.0/16", 6, update_any, "0", 3},
        {"full", "10.3.0.0/16", 7, update_any, "ENOSPC", 3},
        {"replaced although full", "10.2.0.0/16", 8, update_any, "0", 3},
        {"unknown flags", "10.2.0.0/16", 9, 3, "EINVAL", 3},
        {"BPF_F_LOCK", "10.2.0.0/16", 9, update_lock, "EINVAL", 3},
        {"too many bits", "10.2.0.0/33", 9, update_any, "EINVAL", 3},
        {"delete too many bits", "10.2.0.0/33", -1, 0, "EINVAL", 3},
        {"delete what is absent", "10.2.0.0/15", -1, 0, "ENOENT", 3},
        {"delete a fork", "10.0.0.0/14", -1, 0, "ENOENT", 3},
        {"delete what is longer", "10.2.0.0/17", -1, 0, "ENOENT", 3},
        {"delete", "10.0.0.0/8", -1, 0, "0", 2},
        {"delete twice", "10.0.0.0/8", -1, 0, "ENOENT", 2},
        {"place again", "0.0.0.0/0", 10, update_any, "0", 3},
    };
    for (const Row& row : rows) {
        const Key key = v4(row.key);
        const auto value = static_cast<uint32_t>(row.value);
        const Status status =
            row.value < 0 ? map->remove(&key, guard.lane()) : map->update(&key, &value, row.flags, guard.lane());
        EXPECT_EQ(errno_text(status), row.result) << row.name;
        EXPECT_EQ(map->size(), row.size) << row.name;
    }
    EXPECT_EQ(look_up(*map.get(), v4("10.1.2.3"), guard.lane()), 4);
    EXPECT_EQ(look_up(*map.get(), v4("10.9.2.3"), guard.lane()), 10);
    char value[4];
    const Key key = v4("10.1.0.0/16");
    EXPECT_EQ(errno_text(map->lookup_and_delete(&key, value, guard.lane())), "ENOTSUPP");
}

TEST(LpmTrie, KeysComeInPostOrder) {
    TestLanes lanes;
    auto map = make_map(lanes, lpm_def(8, 4, 20));
    LaneGuard guard(*lanes);
    Key next;
    EXPECT_EQ(errno_text(map->next_key(nullptr, &next, guard.lane())), "ENOENT");
    const uint32_t value = 0;
    // The example of kernel/bpf/lpm_trie.c, and a default route behind it all.
    for (const char* text :
         {"192.168.0.0/16", "0.0.0.0/0", "192.168.0.0/24", "192.168.128.0/24", "192.168.1.0/24", "192.168.1.99/32"}) {
        const Key key = v4(text);
        ASSERT_TRUE(map->update(&key, &value, 0, guard.lane()).ok());
    }
    std::vector<std::string> order;
    const void* from = nullptr;
    while (map->next_key(from, &next, guard.lane()).ok()) {
        order.push_back(text_of(next));
        from = &next;
        ASSERT_LT(order.size(), 20u);
    }
    EXPECT_EQ(order, (std::vector<std::string>{"192.168.0.0/24", "192.168.1.99/32", "192.168.1.0/24",
                                               "192.168.128.0/24", "192.168.0.0/16", "0.0.0.0/0"}));
    for (const char* absent : {"10.0.0.0/8", "192.168.0.0/23", "192.168.0.0/17", "1.1.1.1/40"}) {
        const Key key = v4(absent);
        ASSERT_TRUE(map->next_key(&key, &next, guard.lane()).ok()) << absent;
        EXPECT_EQ(text_of(next), "192.168.0.0/24") << "an absent key starts from the first: " << absent;
    }
}

/// The plain model: every prefix in a map, the longest found by trying all lengths.
class Model {
  public:
    explicit Model(uint32_t data_bytes) : bytes_(data_bytes) {}

    static std::string masked(const Key& key, uint32_t bits, uint32_t bytes) {
        std::string data(reinterpret_cast<const char*>(key.data), bytes);
        for (uint32_t i = 0; i < bytes * 8; ++i)
            if (i >= bits) data[i / 8] = static_cast<char>(data[i / 8] & ~(0x80 >> i % 8));
        return data;
    }
    using Id = std::pair<uint32_t, std::string>;
    Id id(const Key& key) const { return {key.bits, masked(key, key.bits, bytes_)}; }

    static bool contains(const Id& prefix, const Key& key) {
        const uint32_t whole = prefix.first / 8, rest = prefix.first % 8;
        if (prefix.first > key.bits || memcmp(prefix.second.data(), key.data, whole) != 0) return false;
        return rest == 0 || ((static_cast<uint8_t>(prefix.second[whole]) ^ key.data[whole]) >> (8 - rest)) == 0;
    }
    int64_t find(const Key& key) const {
        int64_t longest = -1, value = -1;
        for (const auto& [prefix, its_value] : prefixes) {
            if (int64_t{prefix.first} <= longest || !contains(prefix, key)) continue;
            longest = prefix.first;
            value = its_value;
        }
        return value;
    }

    std::map<Id, uint32_t> prefixes;

  private:
    uint32_t bytes_;
};

struct Shape {
    const char* name;
    uint32_t data_bytes;
    uint32_t max_entries;
    uint32_t different_bytes;  ///< values each byte takes: few make prefixes nest and tables fill
    uint32_t shortest;
};

class LpmTrieAgainstModel : public ::testing::TestWithParam<Shape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, LpmTrieAgainstModel,
                         ::testing::Values(Shape{"ipv4_dense_small_root", 4, 300, 3, 0},
                                           Shape{"ipv4_dense_large_root", 4, 2000, 3, 0},
                                           Shape{"ipv4_long_prefixes", 4, 2000, 2, 22},
                                           Shape{"ipv4_scattered", 4, 2000, 256, 8}, Shape{"one_byte", 1, 500, 256, 0},
                                           Shape{"ipv6", 16, 600, 2, 0}, Shape{"eleven_bytes", 11, 300, 2, 60},
                                           Shape{"largest", 256, 100, 2, 1900}),
                         [](const auto& info) { return info.param.name; });

TEST_P(LpmTrieAgainstModel, AgreesAfterEveryStep) {
    const Shape shape = GetParam();
    const auto seed = static_cast<uint32_t>(::testing::UnitTest::GetInstance()->random_seed() + 20240);
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    TestLanes lanes;
    auto map = make_map(lanes, lpm_def(4 + shape.data_bytes, 4, shape.max_entries));
    LaneGuard guard(*lanes);
    Model model(shape.data_bytes);
    const uint32_t max_bits = shape.data_bytes * 8;

    auto random_key = [&](uint32_t shortest) {
        Key key;
        for (uint32_t i = 0; i < shape.data_bytes; ++i)
            key.data[i] = static_cast<uint8_t>(random() % shape.different_bytes * (256 / shape.different_bytes));
        key.bits = shortest + random() % (max_bits - shortest + 1);
        return key;
    };
    const int steps = shape.data_bytes > 16 ? 1500 : shape.max_entries > 1000 ? 6000 : 8000;
    for (int step = 0; step < steps; ++step) {
        const Key key = random_key(shape.shortest);
        const uint32_t value = random();
        const bool present = model.prefixes.contains(model.id(key));
        // Phases of growing and of shrinking, down to nothing.
        const bool growing = step % 3000 < 2000;
        if (random() % 100 < (growing ? 80u : 10u)) {
            const uint64_t flags = random() % 3;
            const char* expected = present && flags == update_noexist                       ? "EEXIST"
                                   : !present && flags == update_exist                      ? "ENOENT"
                                   : !present && model.prefixes.size() == shape.max_entries ? "ENOSPC"
                                                                                            : "0";
            ASSERT_EQ(errno_text(map->update(&key, &value, flags, guard.lane())), expected) << step;
            if (std::string(expected) == "0") model.prefixes[model.id(key)] = value;
        } else if (!model.prefixes.empty() && random() % 8 != 0) {
            auto victim = model.prefixes.lower_bound(model.id(key));
            if (victim == model.prefixes.end()) victim = model.prefixes.begin();
            Key there;
            there.bits = victim->first.first;
            memcpy(there.data, victim->first.second.data(), shape.data_bytes);
            ASSERT_TRUE(map->remove(&there, guard.lane()).ok()) << step;
            model.prefixes.erase(victim);
        } else {
            ASSERT_EQ(errno_text(map->remove(&key, guard.lane())), present ? "0" : "ENOENT") << step;
            if (present) model.prefixes.erase(model.id(key));
        }
        ASSERT_EQ(map->size(), model.prefixes.size());
        for (int i = 0; i < 6; ++i) {
            Key probe = i < 4 ? random_key(0) : key;
            if (i % 2 == 0) probe.bits = max_bits;
            ASSERT_EQ(look_up(*map.get(), probe, guard.lane()), model.find(probe)) << step;
        }
        if (step % 997 != 0) continue;
        // All keys come exactly once, each after every longer prefix inside it.
        std::vector<Model::Id> order;
        Key next;
        const void* from = nullptr;
        while (map->next_key(from, &next, guard.lane()).ok()) {
            order.push_back(model.id(next));
            from = &next;
            ASSERT_LE(order.size(), model.prefixes.size());
        }
        ASSERT_EQ(order.size(), model.prefixes.size());
        for (size_t i = 1; i < order.size(); ++i) {
            Key later;
            later.bits = order[i].first;
            memcpy(later.data, order[i].second.data(), shape.data_bytes);
            const bool contains = order[i - 1] != order[i] && Model::contains(order[i - 1], later);
            ASSERT_FALSE(contains) << "a shorter prefix came before a longer one inside it";
        }
        std::ranges::sort(order);
        ASSERT_EQ(std::ranges::adjacent_find(order), order.end()) << "a key came twice";
    }
}

// Whichever allocation of an update fails, the map answers as before it.
TEST(LpmTrie, FailingAllocationsChangeNothing) {
    std::mt19937 random(7);
    TestLanes lanes;
    for (const uint32_t max_entries : {400u, 4000u}) {
        auto map = make_map(lanes, lpm_def(8, 4, max_entries));
        Model model(4);
        int failures = 0;
        for (int step = 0; step < 400; ++step) {
            LaneGuard guard(*lanes);
            Key key;
            for (int i = 0; i < 4; ++i) key.data[i] = static_cast<uint8_t>(random() % 2);
            key.bits = 14 + random() % 19;
            const auto value = static_cast<uint32_t>(step);
            for (uint64_t n = 1;; ++n) {
                skep_os_fail_allocation(n);
                const Status status = map->update(&key, &value, 0, guard.lane());
                skep_os_fail_allocation(0);
                if (status.ok()) break;
                ASSERT_EQ(errno_text(status), "ENOMEM");
                ++failures;
                for (int probe = 0; probe < 16; ++probe) {
                    Key at;
                    at.bits = 32;
                    for (int i = 0; i < 4; ++i) at.data[i] = static_cast<uint8_t>(random() % 2);
                    ASSERT_EQ(look_up(*map.get(), at, guard.lane()), model.find(at));
                }
            }
            model.prefixes[model.id(key)] = value;
        }
        EXPECT_GT(failures, 400) << "every update allocates at least its node";
        // Deleting must work without memory.
        LaneGuard guard(*lanes);
        skep_os_fail_allocation(1);
        for (const auto& [id, value] : model.prefixes) {
            Key key;
            key.bits = id.first;
            memcpy(key.data, id.second.data(), 4);
            ASSERT_TRUE(map->remove(&key, guard.lane()).ok());
        }
        skep_os_fail_allocation(0);
        EXPECT_EQ(map->size(), 0u);
    }
}

// Readers run while prefixes come and go. A /8 and some /24 stay throughout: each answer must be one that was right at
// some moment of the lookup, and values are never freed memory (each holds its prefix' own mark).
TEST(LpmTrie, ReadersSeeOldOrNewNeverBetween) {
    TestLanes lanes;
    auto map = make_map(lanes, lpm_def(8, 8, 4000));
    auto value_of = [](const Key& key) {
        return uint64_t{key.bits} << 32 | uint32_t{key.data[0]} << 24 | uint32_t{key.data[1]} << 16 |
               uint32_t{key.data[2]} << 8 | key.data[3];
    };
    auto put = [&](const Key& key, uint32_t lane) {
        const uint64_t value = value_of(key);
        return map->update(&key, &value, 0, lane);
    };
    {
        LaneGuard guard(*lanes);
        ASSERT_TRUE(put(v4("10.0.0.0/8"), guard.lane()).ok());
        for (int i = 0; i < 16; i += 2) {
            Key key = v4("10.1.0.0/24");
            key.data[2] = static_cast<uint8_t>(i);
            ASSERT_TRUE(put(key, guard.lane()).ok());
        }
    }
    std::atomic<bool> stop = false;
    std::vector<std::thread> readers;
    for (int r = 0; r < 2; ++r) {
        readers.emplace_back([&, r] {
            std::mt19937 random(static_cast<uint32_t>(r));
            while (!stop) {
                LaneGuard guard(*lanes);
                for (int i = 0; i < 32; ++i) {
                    Key key = v4("10.1.0.0");
                    key.data[2] = static_cast<uint8_t>(random() % 16);
                    key.data[3] = static_cast<uint8_t>(random() % 4);
                    const void* found = map->lookup(&key, guard.lane());
                    ASSERT_NE(found, nullptr);
                    uint64_t value;
                    memcpy(&value, found, 8);
                    const auto bits = static_cast<uint32_t>(value >> 32);
                    const uint32_t address = static_cast<uint32_t>(value_of(key));
                    ASSERT_TRUE(bits == 8 || (bits >= 16 && bits <= 32)) << bits;
                    ASSERT_EQ((address ^ static_cast<uint32_t>(value)) >> (32 - bits) >> 0, 0u);
                    if (key.data[2] % 2 == 0) {
                        ASSERT_GE(bits, 24u) << "the /24 that always stays";
                    }
                }
            }
        });
    }
    std::mt19937 random(99);
    for (int step = 0; step < 20000; ++step) {
        LaneGuard guard(*lanes);
        Key key = v4("10.1.0.0");
        key.data[2] = static_cast<uint8_t>(random() % 16);
        key.data[3] = static_cast<uint8_t>(random() % 4);
        key.bits = random() % 4 == 0 ? 16 + random() % 8 : 25 + random() % 8;
        for (uint32_t bit = key.bits; bit < 32; ++bit)
            key.data[bit / 8] = static_cast<uint8_t>(key.data[bit / 8] & ~(0x80u >> bit % 8));
        if (random() % 2)
            ASSERT_TRUE(put(key, guard.lane()).ok());
        else
            (void)map->remove(&key, guard.lane());
    }
    stop = true;
    for (std::thread& reader : readers) reader.join();
}

// The only long prefix of a slot, of every length: addresses just inside and just outside, as what covers the slot
// comes, is replaced and goes, and when a second long one comes and goes.
TEST(LpmTrie, APrefixAloneInItsSlotEndsWhereItEnds) {
    TestLanes lanes;
    for (const uint32_t max_entries : {300u, 2000u}) {
        for (uint32_t bits = 17; bits <= 32; ++bits) {
            auto map = make_map(lanes, lpm_def(8, 4, max_entries));
            LaneGuard guard(*lanes);
            const uint32_t size = bits == 32 ? 1 : uint32_t{1} << (32 - bits);
            const uint32_t first = 0x0a01'4444u & ~(size - 1), last = first + (size - 1);
            const uint32_t before = bits == 17 ? last + 2 : first - 1;  // still inside the /16
            auto key_of = [](uint32_t address, uint32_t length) {
                Key key;
                key.bits = length;
                for (int i = 0; i < 4; ++i) key.data[i] = static_cast<uint8_t>(address >> (24 - 8 * i));
                return key;
            };
            auto put = [&](const Key& key, uint32_t value) {
                ASSERT_TRUE(map->update(&key, &value, 0, guard.lane()).ok());
            };
            auto expect = [&](int64_t inside, int64_t outside, const char* when) {
                EXPECT_EQ(look_up(*map.get(), key_of(first, 32), guard.lane()), inside) << when << " /" << bits;
                EXPECT_EQ(look_up(*map.get(), key_of(last, 32), guard.lane()), inside) << when << " /" << bits;
                EXPECT_EQ(look_up(*map.get(), key_of(before, 32), guard.lane()), outside) << when << " /" << bits;
                EXPECT_EQ(look_up(*map.get(), key_of(last + 1, 32), guard.lane()), outside) << when << " /" << bits;
            };
            const Key prefix = key_of(first, bits), wide = key_of(0x0a00'0000, 8), slot = key_of(0x0a01'0000, 16);
            const Key second = key_of(0x0a01'ff00, 24);
            put(prefix, 1);
            expect(1, -1, "alone");
            put(wide, 2);
            expect(1, 2, "a /8 came");
            put(slot, 3);
            expect(1, 3, "a /16 came");
            put(slot, 4);
            expect(1, 4, "the /16 was replaced");
            put(prefix, 5);
            expect(5, 4, "the prefix was replaced");
            put(second, 6);
            expect(5, 4, "a second one came");
            ASSERT_TRUE(map->remove(&slot, guard.lane()).ok());
            expect(5, 2, "the /16 went");
            ASSERT_TRUE(map->remove(&second, guard.lane()).ok());
            expect(5, 2, "the second one went");
            ASSERT_TRUE(map->remove(&wide, guard.lane()).ok());
            expect(5, -1, "the /8 went");
            ASSERT_TRUE(map->remove(&prefix, guard.lane()).ok());
            expect(-1, -1, "all went");
        }
    }
}

// Longer prefixes come to a slot until it is a table, and go: what covers it stays in sight for an address that none of
// them contains.
TEST(LpmTrie, ACoverStaysInSightWhileItsSlotChangesShape) {
    TestLanes lanes;
    auto map = make_map(lanes, lpm_def(8, 4, 4000));
    auto put = [&](const Key& key) {
        LaneGuard guard(*lanes);
        ASSERT_TRUE(map->update(&key, &key.bits, 0, guard.lane()).ok());
    };
    put(v4("10.1.0.0/16"));
    std::atomic<bool> stop = false;
    std::vector<std::thread> readers;
    for (int r = 0; r < 2; ++r) {
        readers.emplace_back([&] {
            const Key key = v4("10.1.7.200");
            while (!stop) {
                LaneGuard guard(*lanes);
                for (int i = 0; i < 256; ++i) ASSERT_EQ(look_up(*map.get(), key, guard.lane()), 16);
            }
        });
    }
    std::vector<Key> longer;
    for (const char* text : {"10.1.7.0/25", "10.1.7.128/26", "10.1.7.224/27", "10.1.9.0/24", "10.1.7.192/29"})
        longer.push_back(v4(text));
    std::mt19937 random(3);
    for (int round = 0; round < 3000; ++round) {
        std::ranges::shuffle(longer, random);
        for (const Key& key : longer) put(key);
        std::ranges::shuffle(longer, random);
        LaneGuard guard(*lanes);
        for (const Key& key : longer) ASSERT_TRUE(map->remove(&key, guard.lane()).ok());
    }
    stop = true;
    for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace skep::maps
