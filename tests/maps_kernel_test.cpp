// SPDX-License-Identifier: Apache-2.0
// Our maps against the running kernel's of the same type: the same operations, the same errno, the same result. Needs
// root on Linux; elsewhere it is skipped, and says so.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/lane.hpp"
#include "base/os.hpp"
#include "maps/map.hpp"

#if defined(__linux__) && __has_include(<linux/bpf.h>)
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace skep::maps {
namespace {

using platform::MapType;
using Bytes = std::vector<uint8_t>;

int64_t bpf(int command, bpf_attr* attr) {
    const long result = syscall(__NR_bpf, command, attr, sizeof *attr);
    return result < 0 ? -errno : result;
}

int64_t kernel_create(const MapDef& def) {
    bpf_attr attr{};
    attr.map_type = platform::map_type_linux_id(def.type);
    attr.key_size = def.key_size;
    attr.value_size = def.value_size;
    attr.max_entries = def.max_entries;
    attr.map_flags = def.flags;
    attr.numa_node = def.numa_node;
    attr.map_extra = def.map_extra;
    return bpf(BPF_MAP_CREATE, &attr);
}

/// A map of the kernel and one of ours, made alike. Every operation is done on both; results must agree.
class Pair {
  public:
    Pair(Lanes& lanes, const MapDef& def) : lanes_(&lanes), def_(def) {
        descriptor_ = kernel_create(def);
        ours_status_ = create(def, {&lanes, 1}, nullptr, &ours_);
    }
    ~Pair() {
        if (descriptor_ >= 0) close(static_cast<int>(descriptor_));
        if (ours_ != nullptr) ours_->release();
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;

    /// Both made, or both refused with the same errno.
    void expect_created_alike(const std::string& where) const {
        EXPECT_EQ(ours_status_.to_errno(), descriptor_ < 0 ? descriptor_ : 0) << where;
    }
    bool usable() const { return descriptor_ >= 0 && ours_ != nullptr; }
    size_t value_bytes() const { return ours_->user_value_size(); }
    Map& ours() { return *ours_; }

    int64_t update(const Bytes& key, const Bytes& value, uint64_t flags, const std::string& where) {
        bpf_attr attr = about(key);
        attr.value = address(value);
        attr.flags = flags;
        LaneGuard guard(*lanes_);
        return agree(bpf(BPF_MAP_UPDATE_ELEM, &attr), ours_->write(key.data(), value.data(), flags, guard.lane()),
                     "update " + where);
    }
    int64_t lookup(const Bytes& key, const std::string& where) {
        return read(BPF_MAP_LOOKUP_ELEM, key, "lookup " + where);
    }
    int64_t lookup_and_delete(const Bytes& key, const std::string& where) {
        return read(BPF_MAP_LOOKUP_AND_DELETE_ELEM, key, "lookup_and_delete " + where);
    }
    int64_t remove(const Bytes& key, const std::string& where) {
        bpf_attr attr = about(key);
        LaneGuard guard(*lanes_);
        return agree(bpf(BPF_MAP_DELETE_ELEM, &attr), ours_->user_remove(key.data(), guard.lane()), "delete " + where);
    }
    /// The order is each one's own, so only whether there is a next key is compared, unless `exact`.
    int64_t next_key(const Bytes* key, bool exact, const std::string& where) {
        Bytes theirs(def_.key_size), mine(def_.key_size);
        bpf_attr attr{};
        attr.map_fd = static_cast<uint32_t>(descriptor_);
        attr.key = key == nullptr ? 0 : address(*key);
        attr.next_key = address(theirs);
        LaneGuard guard(*lanes_);
        const int64_t result = agree(
            bpf(BPF_MAP_GET_NEXT_KEY, &attr),
            ours_->user_next_key(key == nullptr ? nullptr : key->data(), mine.data(), guard.lane()), "next " + where);
        if (result == 0 && exact) {
            EXPECT_EQ(mine, theirs) << where;
        }
        return result;
    }
    void expect_equal_contents(const std::string& where) {
        const auto [theirs, mine] = keys();
        EXPECT_EQ(mine, theirs) << where;
        for (const Bytes& key : theirs) lookup(key, where);
    }
    /// All keys of the kernel's map and of ours.
    std::pair<std::set<Bytes>, std::set<Bytes>> keys() {
        std::set<Bytes> theirs, mine;
        Bytes key(def_.key_size), next(def_.key_size);
        bpf_attr attr{};
        attr.map_fd = static_cast<uint32_t>(descriptor_);
        attr.next_key = address(next);
        while (bpf(BPF_MAP_GET_NEXT_KEY, &attr) == 0 && theirs.insert(next).second) {
            key = next;
            attr.key = address(key);
        }
        LaneGuard guard(*lanes_);
        Status status = ours_->user_next_key(nullptr, next.data(), guard.lane());
        while (status.ok() && mine.insert(next).second) {
            key = next;
            status = ours_->user_next_key(key.data(), next.data(), guard.lane());
        }
        return {theirs, mine};
    }

  private:
    static uint64_t address(const Bytes& bytes) { return reinterpret_cast<uintptr_t>(bytes.data()); }
    bpf_attr about(const Bytes& key) const {
        bpf_attr attr{};
        attr.map_fd = static_cast<uint32_t>(descriptor_);
        attr.key = address(key);
        return attr;
    }
    static int64_t agree(int64_t theirs, Status mine, const std::string& where) {
        EXPECT_EQ(mine.to_errno(), theirs) << where;
        return theirs;
    }
    int64_t read(int command, const Bytes& key, const std::string& where) {
        Bytes theirs(value_bytes(), 0xaa), mine(value_bytes(), 0xaa);
        bpf_attr attr = about(key);
        attr.value = address(theirs);
        LaneGuard guard(*lanes_);
        const Status status = command == BPF_MAP_LOOKUP_ELEM
                                  ? ours_->read(key.data(), mine.data(), guard.lane())
                                  : ours_->lookup_and_delete(key.data(), mine.data(), guard.lane());
        const int64_t result = agree(bpf(command, &attr), status, where);
        if (result == 0) {
            EXPECT_EQ(mine, theirs) << where;
        }
        return result;
    }

    Lanes* lanes_;
    MapDef def_;
    int64_t descriptor_ = -1;
    Map* ours_ = nullptr;
    Status ours_status_;
};

class MapsAndKernel : public ::testing::Test {
  protected:
    void SetUp() override {
        const int64_t probe = kernel_create({.type = MapType::Array, .key_size = 4, .value_size = 4, .max_entries = 1});
        if (probe < 0) GTEST_SKIP() << "bpf(2) is not for us here: " << strerror(static_cast<int>(-probe));
        close(static_cast<int>(probe));
        lanes_ = Lanes::create(0);  // as many lanes as the kernel has CPUs, so per-CPU values have one size
    }
    void TearDown() override {
        if (lanes_ != nullptr) lanes_->destroy();
    }
    Lanes* lanes_ = nullptr;
};

const MapType six_types[] = {MapType::Array,      MapType::PercpuArray, MapType::Hash,
                             MapType::PercpuHash, MapType::LruHash,     MapType::LruPercpuHash};

// Every pairing of a type with sizes at and beyond their limits, and with each flag alone and with one other.
TEST_F(MapsAndKernel, CreateTheSameMapsAndRefuseTheSame) {
    const uint32_t key_sizes[] = {0, 1, 3, 4, 5, 8, 64, 512};
    const uint32_t value_sizes[] = {0, 1, 7, 8, 32760, 32761, 32768, 32769};
    const uint32_t entries[] = {0, 1, 2, 3, 7};
    for (const MapType type : six_types) {
        for (const uint32_t key_size : key_sizes) {
            for (const uint32_t value_size : value_sizes) {
                for (const uint32_t max_entries : entries) {
                    Pair pair(
                        *lanes_,
                        {.type = type, .key_size = key_size, .value_size = value_size, .max_entries = max_entries});
                    pair.expect_created_alike(std::string(map_type_name(type)) + " key " + std::to_string(key_size) +
                                              " value " + std::to_string(value_size) + " entries " +
                                              std::to_string(max_entries));
                }
            }
        }
        for (uint32_t first = 0; first < 20; ++first) {
            for (uint32_t second = first; second < 20; ++second) {
                const uint32_t flags = 1u << first | 1u << second;
                // Not a flag of the map: a token's descriptor follows, and the kernel first looks at everything else.
                if ((flags & 1u << 16) != 0) continue;
                Pair pair(*lanes_, {.type = type, .key_size = 4, .value_size = 8, .max_entries = 4, .flags = flags});
                pair.expect_created_alike(std::string(map_type_name(type)) + " flags " + std::to_string(flags));
            }
        }
    }
}

TEST_F(MapsAndKernel, RefuseTheSameHugeMaps) {
    for (const MapType type : six_types) {
        const bool hash = type != MapType::Array && type != MapType::PercpuArray;
        const std::string name = map_type_name(type);
        for (const uint32_t max_entries : {(1u << 31) + 1, UINT32_MAX}) {
            if (!hash) continue;  // what the kernel says of huge arrays depends on its speculation settings
            Pair(*lanes_, {.type = type, .key_size = 4, .value_size = 8, .max_entries = max_entries})
                .expect_created_alike(name + " entries " + std::to_string(max_entries));
        }
        for (const uint32_t value_size : {4194256u - 5, 4194256u - 4, 4194304u, 0x7fffffffu, 0x80000000u, UINT32_MAX}) {
            if (!hash && value_size < 0x80000000u) continue;
            Pair(*lanes_, {.type = type, .key_size = 4, .value_size = value_size, .max_entries = 1})
                .expect_created_alike(name + " value " + std::to_string(value_size));
        }
        Pair(*lanes_, {.type = type, .key_size = 4, .value_size = 8, .max_entries = 1, .map_extra = 1})
            .expect_created_alike(name + " with map_extra");
    }
}

struct Shape {
    MapType type;
    uint32_t key_size, value_size, max_entries, flags;
};

TEST_F(MapsAndKernel, AnswerRandomOperationsAlike) {
    constexpr uint32_t seed = 2026;
    const Shape shapes[] = {
        {MapType::Array, 4, 1, 1, 0},         {MapType::Array, 4, 12, 9, 0},
        {MapType::Array, 4, 8, 16, 1u << 10}, {MapType::PercpuArray, 4, 8, 5, 0},
        {MapType::PercpuArray, 4, 13, 8, 0},  {MapType::Hash, 4, 8, 20, 0},
        {MapType::Hash, 4, 8, 20, 1},         {MapType::Hash, 1, 1, 100, 0},
        {MapType::Hash, 7, 3, 33, 0},         {MapType::Hash, 16, 40, 33, 1},
        {MapType::Hash, 33, 64, 10, 0},       {MapType::Hash, 8, 16, 1, 0},
        {MapType::PercpuHash, 4, 8, 20, 0},   {MapType::PercpuHash, 10, 9, 20, 1},
        {MapType::Hash, 4, 8, 20, 1u << 3},   {MapType::Hash, 4, 8, 20, 1u << 4},
        {MapType::Array, 4, 8, 4, 1u << 3},   {MapType::PercpuArray, 4, 8, 4, 1u << 4},
    };
    for (const Shape& shape : shapes) {
        const bool array = shape.type == MapType::Array || shape.type == MapType::PercpuArray;
        Pair pair(*lanes_, {.type = shape.type,
                            .key_size = shape.key_size,
                            .value_size = shape.value_size,
                            .max_entries = shape.max_entries,
                            .flags = shape.flags});
        ASSERT_TRUE(pair.usable()) << map_type_name(shape.type);
        std::mt19937 random(seed);
        for (int step = 0; step < 2500; ++step) {
            const std::string where = std::string(map_type_name(shape.type)) + " key " +
                                      std::to_string(shape.key_size) + " value " + std::to_string(shape.value_size) +
                                      " flags " + std::to_string(shape.flags) + ", seed " + std::to_string(seed) +
                                      ", step " + std::to_string(step);
            // A few more keys than there is room for, told apart by their last bytes as well as by their first.
            Bytes key(shape.key_size, 0), value(pair.value_bytes());
            const uint32_t number = random() % (shape.max_entries + shape.max_entries / 3 + 2);
            memcpy(key.data() + (shape.key_size > 4 && (number & 1) != 0 ? shape.key_size - 4 : 0), &number,
                   std::min<size_t>(4, shape.key_size));
            for (uint8_t& byte : value) byte = static_cast<uint8_t>(random());
            const uint64_t flag_choices[] = {0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 1ull << 40};
            switch (random() % 8) {
                case 0:
                case 1:
                case 2: pair.update(key, value, flag_choices[random() % std::size(flag_choices)], where); break;
                case 3:
                case 4: pair.lookup(key, where); break;
                case 5: pair.remove(key, where); break;
                case 6: pair.lookup_and_delete(key, where); break;
                case 7:
                    // After a key that is there, whether one follows depends on the order; else not.
                    if (array)
                        pair.next_key(&key, true, where);
                    else if (pair.lookup(key, where) != 0)
                        pair.next_key(&key, false, where);
                    pair.next_key(nullptr, array, where);
                    break;
            }
            if (::testing::Test::HasFailure()) return;
        }
        pair.expect_equal_contents(map_type_name(shape.type));
    }
}

// Which key goes is each one's own choice: compared are the errnos around a key just touched, and the limits.
TEST_F(MapsAndKernel, ForgetWithinTheSameRules) {
    for (const MapType type : {MapType::LruHash, MapType::LruPercpuHash}) {
        for (const uint32_t flags : {0u, uint32_t{flag_no_common_lru}}) {
            constexpr uint32_t entries = 500;
            Pair pair(*lanes_, {.type = type, .key_size = 4, .value_size = 12, .max_entries = entries, .flags = flags});
            ASSERT_TRUE(pair.usable());
            const Bytes value(pair.value_bytes(), 3);
            for (uint32_t i = 0; i < 4 * entries; ++i) {
                const std::string where = std::string(map_type_name(type)) + " key " + std::to_string(i);
                Bytes key(4);
                memcpy(key.data(), &i, 4);
                EXPECT_EQ(pair.update(key, value, BPF_EXIST, where), -ENOENT);
                EXPECT_EQ(pair.update(key, value, 3, where), -EINVAL);
                EXPECT_EQ(pair.update(key, value, BPF_F_LOCK, where), -EINVAL);
                EXPECT_EQ(pair.update(key, value, BPF_NOEXIST, where), 0);
                EXPECT_EQ(pair.update(key, value, BPF_NOEXIST, where), -EEXIST);
                EXPECT_EQ(pair.lookup(key, where), 0);
                EXPECT_EQ(pair.update(key, value, BPF_EXIST, where), 0);
                if (i % 5 == 0) {
                    EXPECT_EQ(i % 2 == 0 ? pair.remove(key, where) : pair.lookup_and_delete(key, where), 0);
                    EXPECT_EQ(pair.remove(key, where), -ENOENT);
                }
                ASSERT_FALSE(HasFailure());
            }
            const auto [theirs, mine] = pair.keys();
            EXPECT_LE(theirs.size(), entries);
            EXPECT_LE(mine.size(), entries);
            EXPECT_GT(mine.size(), entries / 2) << "forgets too much";
        }
    }
}

// Tries, queues, stacks, rings and the arrays of objects, by the same means.

TEST_F(MapsAndKernel, CreateTheSameTriesQueuesRingsAndObjectArrays) {
    const MapType types[] = {MapType::LpmTrie, MapType::Queue,     MapType::Stack,
                             MapType::Ringbuf, MapType::ProgArray, MapType::PerfEventArray};
    for (const MapType type : types) {
        const std::string name = map_type_name(type);
        for (const uint32_t flags : {0u, uint32_t{flag_no_prealloc}}) {
            for (const uint32_t key_size : {0u, 1u, 4u, 5u, 8u, 20u, 260u, 261u}) {
                for (const uint32_t value_size : {0u, 1u, 4u, 8u, 4194304u - 260 - 24, 4194304u, 4194305u}) {
                    for (const uint32_t max_entries : {0u, 1u, 3u, 2048u, 4096u, 4097u, 12288u}) {
                        if (uint64_t{value_size} * max_entries > 16u << 20) continue;
                        Pair(*lanes_, {.type = type,
                                       .key_size = key_size,
                                       .value_size = value_size,
                                       .max_entries = max_entries,
                                       .flags = flags})
                            .expect_created_alike(name + " key " + std::to_string(key_size) + " value " +
                                                  std::to_string(value_size) + " entries " +
                                                  std::to_string(max_entries) + " flags " + std::to_string(flags));
                    }
                }
            }
        }
        for (uint32_t first = 0; first < 19; ++first) {
            for (uint32_t second = first; second < 19; ++second) {
                const uint32_t flags = 1u << first | 1u << second;
                if ((flags & 1u << 16) != 0) continue;  // a token's descriptor follows, as above
                const bool ring = type == MapType::Ringbuf;
                const bool keyless = ring || type == MapType::Queue || type == MapType::Stack;
                Pair(*lanes_, {.type = type,
                               .key_size = keyless                    ? 0u
                                           : type == MapType::LpmTrie ? 8u
                                                                      : 4u,
                               .value_size = ring ? 0u : 4u,
                               .max_entries = ring ? 4096u : 4u,
                               .flags = flags})
                    .expect_created_alike(name + " flags " + std::to_string(flags));
            }
        }
    }
}

TEST_F(MapsAndKernel, FindTheSamePrefixesInTheSameOrder) {
    constexpr uint32_t seed = 2027;
    struct TrieShape {
        uint32_t data_bytes, max_entries, bytes_differ;
    };
    for (const TrieShape& shape : {TrieShape{4, 60, 3}, TrieShape{4, 2000, 2}, TrieShape{1, 40, 256},
                                   TrieShape{16, 50, 2}, TrieShape{7, 30, 2}}) {
        Pair pair(*lanes_, {.type = MapType::LpmTrie,
                            .key_size = 4 + shape.data_bytes,
                            .value_size = 8,
                            .max_entries = shape.max_entries,
                            .flags = flag_no_prealloc});
        ASSERT_TRUE(pair.usable());
        std::mt19937 random(seed);
        for (int step = 0; step < 4000; ++step) {
            const std::string where = "trie of " + std::to_string(shape.data_bytes) + " bytes, seed " +
                                      std::to_string(seed) + ", step " + std::to_string(step);
            Bytes key(4 + shape.data_bytes), value(8);
            const uint32_t bits = random() % (shape.data_bytes * 8 + 2);  // one too many, too
            memcpy(key.data(), &bits, 4);
            for (uint32_t i = 0; i < shape.data_bytes; ++i)
                key[4 + i] = static_cast<uint8_t>(random() % shape.bytes_differ * (256 / shape.bytes_differ));
            for (uint8_t& byte : value) byte = static_cast<uint8_t>(random());
            const uint64_t flag_choices[] = {0, 0, 0, 0, 0, 1, 2, 3, 4, 1ull << 40};
            switch (random() % 8) {
                case 0:
                case 1:
                case 2: pair.update(key, value, flag_choices[random() % std::size(flag_choices)], where); break;
                case 3:
                case 4: pair.lookup(key, where); break;
                case 5: pair.remove(key, where); break;
                case 6: pair.lookup_and_delete(key, where); break;
                case 7:
                    pair.next_key(&key, true, where);
                    pair.next_key(nullptr, true, where);
                    break;
            }
            if (HasFailure()) return;
        }
        pair.expect_equal_contents("trie");
    }
}

TEST_F(MapsAndKernel, QueueAndStackAlike) {
    constexpr uint32_t seed = 2028;
    for (const MapType type : {MapType::Queue, MapType::Stack}) {
        for (const uint32_t flags : {0u, uint32_t{flag_rdonly}, uint32_t{flag_wronly}}) {
            Pair pair(*lanes_, {.type = type, .key_size = 0, .value_size = 12, .max_entries = 5, .flags = flags});
            ASSERT_TRUE(pair.usable());
            std::mt19937 random(seed);
            for (int step = 0; step < 3000; ++step) {
                const std::string where = std::string(map_type_name(type)) + " flags " + std::to_string(flags) +
                                          ", seed " + std::to_string(seed) + ", step " + std::to_string(step);
                Bytes value(12);
                for (uint8_t& byte : value) byte = static_cast<uint8_t>(random());
                const uint64_t flag_choices[] = {0, 0, 0, 1, 2, 3, 8};
                switch (random() % 8) {
                    case 0:
                    case 1:
                    case 2: pair.update({}, value, flag_choices[random() % std::size(flag_choices)], where); break;
                    case 3:
                    case 4: pair.lookup({}, where); break;
                    case 5:
                    case 6: pair.lookup_and_delete({}, where); break;
                    case 7: pair.remove({}, where); break;
                }
                if (HasFailure()) return;
            }
        }
    }
}

TEST_F(MapsAndKernel, HaveTheSameRulesForKeysWithoutElements) {
    for (const MapType type : {MapType::ProgArray, MapType::PerfEventArray}) {
        Pair pair(*lanes_, {.type = type, .key_size = 4, .value_size = 4, .max_entries = 3});
        ASSERT_TRUE(pair.usable());
        for (uint32_t index = 0; index < 5; ++index) {
            Bytes key(4);
            memcpy(key.data(), &index, 4);
            const std::string where = std::string(map_type_name(type)) + " index " + std::to_string(index);
            pair.lookup(key, where);
            pair.remove(key, where);
            pair.next_key(&key, true, where);
            pair.lookup_and_delete(key, where);
        }
        pair.next_key(nullptr, true, map_type_name(type));
    }
    Pair ring(*lanes_, {.type = MapType::Ringbuf, .key_size = 0, .value_size = 0, .max_entries = 4096});
    ASSERT_TRUE(ring.usable());
    ring.lookup({}, "ring");
    ring.remove({}, "ring");
    ring.update({}, {}, 0, "ring");
}

}  // namespace
}  // namespace skep::maps

#else

TEST(MapsAndKernel, AnswerAlike) { GTEST_SKIP() << "this host has no bpf(2)"; }

#endif
