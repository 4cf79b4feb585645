// SPDX-License-Identifier: Apache-2.0
#include "maps/ringbuf.hpp"

#include <atomic>
#include <thread>

#include "maps/kernel_limits.hpp"
#include "maps/testing.hpp"

namespace skep::maps {
namespace {

using namespace testing;

MapDef ring_def(uint32_t bytes, uint32_t flags = 0, uint32_t key = 0, uint32_t value = 0) {
    return def_of(MapType::Ringbuf, key, value, bytes, flags);
}

struct Seen {
    std::vector<std::string> records;
    size_t stop_after = SIZE_MAX;

    static int each(void* self, const void* data, uint32_t size) {
        auto* seen = static_cast<Seen*>(self);
        seen->records.emplace_back(static_cast<const char*>(data), size);
        return seen->records.size() == seen->stop_after;
    }
};

std::vector<std::string> drain(Ringbuf& ring) {
    Seen seen;
    EXPECT_EQ(errno_text(ring.consume(Seen::each, &seen, UINT64_MAX, nullptr)), "0");
    return seen.records;
}

TEST(Ringbuf, IsCreatedByTheKernelsRules) {
    TestLanes lanes;
    expect_create(lanes, {
                             {"one page", ring_def(4096), "0"},
                             {"64 KiB", ring_def(65536), "0"},
                             {"no size", ring_def(0), "EINVAL"},
                             {"half a page", ring_def(2048), "EINVAL"},
                             {"three pages", ring_def(3 * 4096), "EINVAL"},
                             {"one byte more than a page", ring_def(4097), "EINVAL"},
                             {"a key", ring_def(4096, 0, 4, 0), "EINVAL"},
                             {"a value", ring_def(4096, 0, 0, 4), "EINVAL"},
                             {"flags: numa node", ring_def(4096, flag_numa_node), "0"},
                             {"flags: read-only", ring_def(4096, flag_rdonly), "EINVAL"},
                             {"flags: mmapable", ring_def(4096, flag_mmapable), "EINVAL"},
                             {"flags: no preallocation", ring_def(4096, flag_no_prealloc), "EINVAL"},
                         });
    expect_create_survives_failing_allocations(lanes, ring_def(4096));
}

TEST(Ringbuf, HasNoElements) {
    TestLanes lanes;
    auto map = make_map(lanes, ring_def(4096));
    LaneGuard guard(*lanes);
    char byte = 0;
    EXPECT_EQ(map->lookup(&byte, guard.lane()), nullptr);
    EXPECT_EQ(errno_text(map->read(&byte, &byte, guard.lane())), "ENOTSUPP");
    EXPECT_EQ(errno_text(map->write(&byte, &byte, 0, guard.lane())), "ENOTSUPP");
    EXPECT_EQ(errno_text(map->user_remove(&byte, guard.lane())), "ENOTSUPP");
    EXPECT_EQ(errno_text(map->user_next_key(nullptr, &byte, guard.lane())), "ENOTSUPP");
    EXPECT_EQ(errno_text(map->push(&byte, 0, guard.lane())), "EOPNOTSUPP");
}

TEST(Ringbuf, TakesARecordUpToWhatFits) {
    TestLanes lanes;
    auto map = make_map(lanes, ring_def(4096));
    Ringbuf& ring = *Ringbuf::of(map.get());
    struct Row {
        const char* name;
        uint64_t size, flags;
        bool fits;
    };
    // Header and padding included, a record may have at most 4088 bytes: a ring is never quite full.
    const Row rows[] = {
        {"nothing", 0, 0, true},
        {"one byte", 1, 0, true},
        {"the largest", 4080, 0, true},
        {"one more", 4081, 0, false},
        {"as large as the ring", 4096, 0, false},
        {"above RINGBUF_MAX_RECORD_SZ", uint64_t{UINT32_MAX} / 4 + 1, 0, false},
        {"a size that overflows", UINT64_MAX, 0, false},
        {"flags", 8, rb_no_wakeup, false},
    };
    for (const Row& row : rows) {
        void* sample = ring.reserve(row.size, row.flags);
        EXPECT_EQ(sample != nullptr, row.fits) << row.name;
        if (sample != nullptr) {
            ring.discard(sample, 0);
            EXPECT_TRUE(drain(ring).empty());
        }
    }
}

TEST(Ringbuf, HandsOutSubmittedRecordsInOrder) {
    TestLanes lanes;
    auto map = make_map(lanes, ring_def(4096));
    Ringbuf& ring = *Ringbuf::of(map.get());
    void* first = ring.reserve(5, 0);
    void* second = ring.reserve(3, 0);
    void* third = ring.reserve(8, 0);
    ASSERT_TRUE(first && second && third);
    memcpy(first, "first", 5);
    memcpy(third, "thirdish", 8);
    ring.submit(third, 0);
    EXPECT_TRUE(drain(ring).empty()) << "the first is still busy";
    EXPECT_FALSE(ring.wait(0));
    ring.submit(first, 0);
    EXPECT_TRUE(ring.wait(0));
    EXPECT_EQ(drain(ring), std::vector<std::string>{"first"}) << "the second is still busy";
    ring.discard(second, 0);
    EXPECT_EQ(drain(ring), std::vector<std::string>{"thirdish"}) << "the second was discarded";
    EXPECT_EQ(errno_text(ring.output("x", 1, 0)), "0");
    EXPECT_EQ(errno_text(ring.output("x", 1, rb_no_wakeup | rb_force_wakeup)), "0");
    EXPECT_EQ(errno_text(ring.output("x", 1, 4)), "EINVAL");
    EXPECT_EQ(errno_text(ring.output("x", 5000, 0)), "EAGAIN");
    Seen one{.records = {}, .stop_after = 1};
    uint64_t records = 0;
    EXPECT_TRUE(ring.consume(Seen::each, &one, UINT64_MAX, &records).ok());
    EXPECT_EQ(records, 1u) << "the callback ended it";
    EXPECT_TRUE(ring.consume(Seen::each, &one, 0, &records).ok());
    EXPECT_EQ(records, 0u);
    EXPECT_EQ(drain(ring).size(), 1u);
}

TEST(Ringbuf, AnswersQueries) {
    TestLanes lanes;
    auto map = make_map(lanes, ring_def(8192));
    Ringbuf& ring = *Ringbuf::of(map.get());
    EXPECT_EQ(ring.query(rb_ring_size), 8192u);
    EXPECT_EQ(ring.query(rb_avail_data), 0u);
    void* sample = ring.reserve(17, 0);
    EXPECT_EQ(ring.query(rb_avail_data), 32u) << "busy records count, as in the kernel";
    EXPECT_EQ(ring.query(rb_prod_pos), 32u);
    EXPECT_EQ(ring.query(rb_cons_pos), 0u);
    ring.submit(sample, 0);
    EXPECT_EQ(drain(ring).size(), 1u);
    EXPECT_EQ(ring.query(rb_cons_pos), 32u);
    EXPECT_EQ(ring.query(rb_avail_data), 0u);
    EXPECT_EQ(ring.query(4), 0u);
}

// A reader that knows only the kernel's layout: maps the memory itself and walks the records by hand.
TEST(Ringbuf, LaysItsMemoryOutAsTheKernelDoes) {
    TestLanes lanes;
    auto map = make_map(lanes, ring_def(4096));
    Ringbuf& ring = *Ringbuf::of(map.get());
    uint64_t bytes = 0;
    const int64_t handle = map->shared_memory(&bytes);
    ASSERT_GE(handle, 0);
    const size_t head = ring.data_offset();
    auto* seen = static_cast<uint8_t*>(skep_os_shm_map_ring(handle, head, static_cast<size_t>(bytes) - head));
    ASSERT_NE(seen, nullptr);
    if (skep_os_shm_granularity() == kernel_page_bytes) {
        EXPECT_EQ(ring.producer_offset(), 4096u);
        EXPECT_EQ(ring.data_offset(), 8192u);
        EXPECT_EQ(bytes, 8192u + 4096u);
    }
    auto* consumer = reinterpret_cast<uint64_t*>(seen + ring.consumer_offset());
    auto* producer = reinterpret_cast<uint64_t*>(seen + ring.producer_offset());
    const uint64_t mask = bytes - head - 1;
    auto word = [&](uint64_t position, size_t at) {
        uint32_t value;
        memcpy(&value, seen + head + (position & mask) + at, 4);
        return value;
    };

    void* sample = ring.reserve(5, 0);
    EXPECT_EQ(*producer, 16u);
    EXPECT_EQ(word(0, 0), 5u | 1u << 31) << "busy";
    EXPECT_EQ(word(0, 4), head / 4096) << "pages from the start of the mapping";
    memcpy(sample, "hello", 5);
    ring.submit(sample, 0);
    EXPECT_EQ(word(0, 0), 5u);
    EXPECT_EQ(memcmp(seen + head + 8, "hello", 5), 0);
    ring.discard(ring.reserve(9, 0), 0);
    EXPECT_EQ(word(16, 0), 9u | 1u << 30) << "discarded";
    *consumer = *producer;
    EXPECT_EQ(ring.query(rb_avail_data), 0u);

    // Laps of records that straddle the end: each must be readable in one piece through the second mapping.
    for (int i = 0; i < 1000; ++i) {
        const std::string text(1 + i * 37 % 900, static_cast<char>('a' + i % 26));
        ASSERT_TRUE(ring.output(text.data(), text.size(), 0).ok()) << i;
        ASSERT_EQ(word(*consumer, 0), text.size());
        ASSERT_EQ(memcmp(seen + head + (*consumer & mask) + 8, text.data(), text.size()), 0);
        *consumer += round_up_8(text.size() + 8);
        ASSERT_EQ(*consumer, *producer);
    }
    skep_os_shm_unmap_ring(seen, head, static_cast<size_t>(bytes) - head);
}

TEST(Ringbuf, SurvivesAClientThatScribbles) {
    TestLanes lanes;
    auto map = make_map(lanes, ring_def(4096));
    Ringbuf& ring = *Ringbuf::of(map.get());
    uint64_t bytes = 0;
    const int64_t handle = map->shared_memory(&bytes);
    auto* seen = static_cast<uint8_t*>(skep_os_shm_map(handle, static_cast<size_t>(bytes)));
    ASSERT_NE(seen, nullptr);
    auto* consumer = reinterpret_cast<uint64_t*>(seen);
    auto* producer = reinterpret_cast<uint64_t*>(seen + ring.producer_offset());
    for (const uint64_t position : {uint64_t{8}, uint64_t{3}, uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 7}) {
        *consumer = position;
        for (int i = 0; i < 600; ++i) {
            void* sample = ring.reserve(8, 0);
            if (sample == nullptr) break;  // it may be given, as in the kernel, but must lie inside
            memset(sample, 0xee, 8);
            ring.discard(sample, 0);
        }
    }
    *consumer = *producer;
    void* sample = ring.reserve(24, 0);
    ASSERT_NE(sample, nullptr);
    const uint64_t data_bytes = bytes - ring.data_offset();
    memset(seen + ring.data_offset() + *consumer % data_bytes, 0xff, 8);  // the header of a busy record
    ring.submit(sample, 0);
    Seen none;
    EXPECT_EQ(errno_text(ring.consume(Seen::each, &none, UINT64_MAX, nullptr)), "EBADMSG");
    EXPECT_TRUE(none.records.empty());
    *producer = UINT64_MAX;
    *consumer += 5;
    EXPECT_EQ(errno_text(ring.consume(Seen::each, &none, 1, nullptr)), "EBADMSG");
    skep_os_shm_unmap(seen, static_cast<size_t>(bytes));
}

TEST(Ringbuf, WakesByTheKernelsRules) {
    struct Bell : Listener {
        int rung = 0;
    } bell;
    bell.notify = [](Listener* self) { ++static_cast<Bell*>(self)->rung; };
    TestLanes lanes;
    auto map = make_map(lanes, ring_def(4096));
    Ringbuf& ring = *Ringbuf::of(map.get());
    ring.listen(&bell);
    struct Row {
        const char* name;
        bool drain_before;
        uint64_t flags;
        int rings;
    };
    const Row rows[] = {
        {"the reader waits for this one", true, 0, 1},
        {"the reader is behind", false, 0, 0},
        {"behind, but forced", false, rb_force_wakeup, 1},
        {"waits, but not now", true, rb_no_wakeup, 0},
        {"waits, both flags", true, rb_no_wakeup | rb_force_wakeup, 1},
    };
    for (const Row& row : rows) {
        if (row.drain_before) drain(ring);
        bell.rung = 0;
        ASSERT_TRUE(ring.output("x", 1, row.flags).ok());
        EXPECT_EQ(bell.rung, row.rings) << row.name;
    }
    ring.listen(nullptr);
    drain(ring);
    bell.rung = 0;
    ASSERT_TRUE(ring.output("x", 1, 0).ok());
    EXPECT_EQ(bell.rung, 0);
}

TEST(Ringbuf, ReservationsComeBackByAddressAndAreNeverLeftBehind) {
    TestLanes lanes;
    auto one = make_map(lanes, ring_def(4096));
    auto two = make_map(lanes, ring_def(4096));
    auto array = make_map(lanes, {.type = MapType::Array, .key_size = 4, .value_size = 4, .max_entries = 1});
    RingReservations held;
    EXPECT_EQ(held.reserve(*array.get(), 8, 0), nullptr) << "no ring";
    void* a = held.reserve(*one.get(), 8, 0);
    void* b = held.reserve(*two.get(), 8, 0);
    void* c = held.reserve(*one.get(), 8, 0);
    memcpy(a, "aaaaaaaa", 8);
    memcpy(b, "bbbbbbbb", 8);
    EXPECT_EQ(held.count(), 3u);
    EXPECT_TRUE(held.submit(a, 0));
    EXPECT_FALSE(held.submit(a, 0)) << "twice";
    EXPECT_FALSE(held.discard(static_cast<uint8_t*>(b) + 8, 0)) << "no such sample";
    EXPECT_TRUE(held.submit(b, 0));
    EXPECT_EQ(drain(*Ringbuf::of(one.get())), std::vector<std::string>{"aaaaaaaa"});
    EXPECT_EQ(drain(*Ringbuf::of(two.get())), std::vector<std::string>{"bbbbbbbb"});
    held.discard_all();
    EXPECT_EQ(held.count(), 0u);
    EXPECT_FALSE(held.submit(c, 0));
    ASSERT_TRUE(Ringbuf::of(one.get())->output("after", 5, 0).ok());
    EXPECT_EQ(drain(*Ringbuf::of(one.get())), std::vector<std::string>{"after"}) << "nothing stands in the way";

    for (uint32_t i = 0; i < RingReservations::most; ++i) ASSERT_NE(held.reserve(*one.get(), 8, 0), nullptr) << i;
    EXPECT_EQ(held.reserve(*one.get(), 8, 0), nullptr) << "a run holds so many and no more";
    held.discard_all();
}

// Several producers, one reader that sleeps: each producer's records arrive complete, in its order, none lost. More
// threads than processors, so that producers are preempted anywhere.
void race(uint32_t producers, uint32_t ring_bytes, uint64_t each) {
    TestLanes lanes(producers + 1);
    auto map = make_map(lanes, ring_def(ring_bytes));
    Ringbuf& ring = *Ringbuf::of(map.get());
    std::vector<std::thread> threads;
    for (uint32_t who = 0; who < producers; ++who) {
        threads.emplace_back([&, who] {
            for (uint64_t i = 0; i < each;) {
                LaneGuard guard(*lanes);
                const uint64_t words = 2 + (i * 7 + who) % 9;
                auto* sample = static_cast<uint64_t*>(ring.reserve(words * 8, 0));
                if (sample == nullptr) {
                    std::this_thread::yield();
                    continue;
                }
                if (i % 5 == 4 && (i & 1)) {
                    ring.discard(sample, 0);
                } else {
                    sample[0] = who;
                    for (uint64_t w = 1; w < words; ++w) sample[w] = i;
                    ring.submit(sample, 0);
                }
                ++i;
            }
        });
    }
    struct State {
        std::vector<uint64_t> next;
        uint64_t bad = 0;
    } state{.next = std::vector<uint64_t>(producers), .bad = 0};
    auto skip = [](uint64_t i) { return i % 5 == 4 && (i & 1); };
    auto done = [&] {
        for (uint64_t next : state.next)
            if (next < each) return false;
        return true;
    };
    auto record = [](void* context, const void* data, uint32_t size) {
        auto* s = static_cast<State*>(context);
        const auto* words = static_cast<const uint64_t*>(data);
        const uint64_t who = words[0];
        if (who >= s->next.size()) return s->bad++, 0;
        uint64_t expected = s->next[who];
        if (expected % 5 == 4 && (expected & 1)) ++expected;
        s->bad += size != (2 + (expected * 7 + who) % 9) * 8;
        for (uint32_t w = 1; w < size / 8; ++w) s->bad += words[w] != expected;
        s->next[who] = expected + 1;
        return 0;
    };
    while (!done()) {
        ring.wait(1000000000);
        ASSERT_TRUE(ring.consume(record, &state, UINT64_MAX, nullptr).ok());
        for (uint64_t& next : state.next)
            if (next + 1 == each && skip(next)) ++next;  // the last one of this producer is discarded
        ASSERT_EQ(state.bad, 0u);
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(ring.query(rb_avail_data) == 0 || drain(ring).empty(), true);
}

TEST(Ringbuf, LosesNothingWithOneProducer) { race(1, 4096, 20000); }
TEST(Ringbuf, LosesNothingWithTwoProducers) { race(2, 65536, 20000); }
TEST(Ringbuf, LosesNothingWithMoreProducersThanProcessors) { race(8, 8192, 4000); }

}  // namespace
}  // namespace skep::maps
