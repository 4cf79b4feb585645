// SPDX-License-Identifier: Apache-2.0
#include "maps/perf_buffer.hpp"

#include <atomic>
#include <thread>

#include "maps/kernel_limits.hpp"
#include "maps/testing.hpp"

namespace skep::maps {
namespace {

using namespace testing;

/// The only reference to a buffer, for a scope.
class OwnedBuffer {
  public:
    OwnedBuffer(TestLanes& lanes, const PerfOptions& options) {
        EXPECT_TRUE(PerfBuffer::create(&*lanes, options, &buffer_).ok());
    }
    ~OwnedBuffer() { buffer_->release(); }
    OwnedBuffer(const OwnedBuffer&) = delete;
    OwnedBuffer& operator=(const OwnedBuffer&) = delete;
    PerfBuffer* operator->() { return buffer_; }

  private:
    PerfBuffer* buffer_ = nullptr;
};

struct Seen {
    std::vector<std::string> samples;
    std::vector<uint64_t> lost;
    PerfSink sink{this,
                  [](void* self, const void* data, uint32_t size) {
                      static_cast<Seen*>(self)->samples.emplace_back(static_cast<const char*>(data), size);
                      return 0;
                  },
                  [](void* self, uint64_t count) { static_cast<Seen*>(self)->lost.push_back(count); }};
};

TEST(PerfBuffer, WantsAPowerOfTwoOfPages) {
    TestLanes lanes;
    struct Row {
        uint32_t pages;
        const char* result;
    };
    for (const Row& row : std::initializer_list<Row>{
             {1, "0"}, {2, "0"}, {64, "0"}, {0, "EINVAL"}, {3, "EINVAL"}, {1u << 20, "EINVAL"}, {1u << 31, "EINVAL"}}) {
        PerfBuffer* buffer = nullptr;
        EXPECT_EQ(errno_text(PerfBuffer::create(&*lanes, {.pages = row.pages}, &buffer)), row.result) << row.pages;
        if (buffer != nullptr) buffer->release();
    }
    for (uint64_t n = 1;; ++n) {
        skep_os_fail_allocation(n);
        PerfBuffer* buffer = nullptr;
        const Status status = PerfBuffer::create(&*lanes, {.pages = 2}, &buffer);
        skep_os_fail_allocation(0);
        if (status.ok()) {
            EXPECT_EQ(n, 4u) << "object, memory, mapping";
            buffer->release();
            break;
        }
        ASSERT_EQ(errno_text(status), "ENOMEM");
    }
}

// A reader that knows only the kernel's layout.
TEST(PerfBuffer, LaysItsRecordsOutAsTheKernelDoes) {
    TestLanes lanes;
    OwnedBuffer buffer(lanes, {.lane = 0, .pages = 1});
    uint64_t bytes = 0;
    const int64_t handle = buffer->shared_memory(&bytes);
    ASSERT_GE(handle, 0);
    auto* page = static_cast<uint8_t*>(skep_os_shm_map(handle, static_cast<size_t>(bytes)));
    ASSERT_NE(page, nullptr);
    auto word64 = [&](size_t at) {
        uint64_t value;
        memcpy(&value, page + at, 8);
        return value;
    };
    const uint64_t data_offset = word64(1040), data_size = word64(1048);
    EXPECT_EQ(data_offset + data_size, bytes);
    if (skep_os_shm_granularity() == kernel_page_bytes) {
        EXPECT_EQ(data_offset, 4096u);
        EXPECT_EQ(data_size, 4096u);
    }
    ASSERT_TRUE(buffer->output("hello", 5, "packet", 6).ok());
    // 8 header + 4 raw size + 11 bytes = 23 -> 24; the raw size counts one byte of padding.
    EXPECT_EQ(word64(1024), 24u);
    const uint8_t expected[24] = {9,   0,   0,   0,   0,   0,   24,  0,   12,  0,   0,   0,
                                  'h', 'e', 'l', 'l', 'o', 'p', 'a', 'c', 'k', 'e', 't', 0};
    EXPECT_EQ(memcmp(page + data_offset, expected, sizeof expected), 0);
    skep_os_shm_unmap(page, static_cast<size_t>(bytes));
}

TEST(PerfBuffer, CountsWhatIsLostAndTellsTheReader) {
    TestLanes lanes;
    OwnedBuffer buffer(lanes, {.lane = 0, .pages = 1});
    uint64_t bytes = 0;
    buffer->shared_memory(&bytes);
    const std::string big(1000, 'x');  // 8 + 4 + 1000 + 4 of padding: 1016 bytes
    uint64_t fitted = 0;
    while (buffer->output(big.data(), big.size(), nullptr, 0).ok()) ++fitted;
    EXPECT_GE(fitted, 4u);
    EXPECT_EQ(errno_text(buffer->output(big.data(), big.size(), nullptr, 0)), "ENOSPC");
    EXPECT_EQ(buffer->lost(), 2u);
    Seen seen;
    uint64_t samples = 0;
    ASSERT_TRUE(buffer->consume(seen.sink, 2, &samples).ok());
    EXPECT_EQ(samples, 2u);
    ASSERT_TRUE(buffer->output("next", 4, nullptr, 0).ok());
    EXPECT_EQ(buffer->lost(), 0u);
    ASSERT_TRUE(buffer->consume(seen.sink, UINT64_MAX, &samples).ok());
    EXPECT_EQ(seen.samples.size(), fitted + 1);
    EXPECT_EQ(seen.lost, std::vector<uint64_t>{2});
    EXPECT_EQ(seen.samples.back(), std::string("next", 4)) << "4 + 4 needs no padding";
    EXPECT_EQ(errno_text(buffer->output(big.data(), 65536, nullptr, 0)), "E2BIG");
    EXPECT_EQ(errno_text(buffer->output(big.data(), UINT64_MAX, big.data(), 2)), "E2BIG");
}

TEST(PerfBuffer, AddsTheTimeWhenAskedTo) {
    TestLanes lanes;
    OwnedBuffer buffer(lanes, {.lane = 0, .pages = 1, .sample_time = true});
    ASSERT_TRUE(buffer->output("abcd", 4, nullptr, 0).ok());
    Seen seen;
    ASSERT_TRUE(buffer->consume(seen.sink, UINT64_MAX, nullptr).ok());
    EXPECT_EQ(seen.samples, std::vector<std::string>{"abcd"});
}

TEST(PerfBuffer, WakesByEventsOrByWatermark) {
    struct Bell : Listener {
        int rung = 0;
    } bell;
    bell.notify = [](Listener* self) { ++static_cast<Bell*>(self)->rung; };
    TestLanes lanes;
    OwnedBuffer third(lanes, {.lane = 0, .pages = 1, .wakeup_events = 3});
    third->listen(&bell);
    for (int i = 1; i <= 7; ++i) {
        ASSERT_TRUE(third->output("x", 1, nullptr, 0).ok());
        EXPECT_EQ(bell.rung, i / 3) << i;
    }
    bell.rung = 0;
    OwnedBuffer mark(lanes, {.lane = 0, .pages = 1, .wakeup_events = 0, .watermark_bytes = 40});
    mark->listen(&bell);
    for (int i = 1; i <= 6; ++i) {  // records of 16 bytes: above 40 with the third
        ASSERT_TRUE(mark->output("x", 1, nullptr, 0).ok());
        EXPECT_EQ(bell.rung, i / 3) << i;
    }
}

TEST(PerfBuffer, SurvivesAReaderThatScribbles) {
    TestLanes lanes;
    OwnedBuffer buffer(lanes, {.lane = 0, .pages = 1});
    uint64_t bytes = 0;
    const int64_t handle = buffer->shared_memory(&bytes);
    auto* page = static_cast<uint8_t*>(skep_os_shm_map(handle, static_cast<size_t>(bytes)));
    ASSERT_NE(page, nullptr);
    auto* tail = reinterpret_cast<uint64_t*>(page + 1032);
    for (const uint64_t lie : {uint64_t{8}, uint64_t{1} << 50}) {
        *tail = lie;
        EXPECT_EQ(errno_text(buffer->output("x", 1, nullptr, 0)), "ENOSPC") << lie;
    }
    *tail = 0;
    ASSERT_TRUE(buffer->output("x", 1, nullptr, 0).ok());
    uint64_t data_offset;
    memcpy(&data_offset, page + 1040, 8);
    Seen seen;
    struct Row {
        const char* name;
        uint32_t type;
        uint16_t size;
        uint32_t raw;
    };
    for (const Row& row : std::initializer_list<Row>{{"no size", 9, 0, 4},
                                                     {"shorter than its head", 9, 8, 4},
                                                     {"uneven", 9, 17, 4},
                                                     {"beyond the head", 9, 1024, 4},
                                                     {"raw beyond the record", 9, 16, 5}}) {
        *tail = 24;  // behind the lost record, whose 24 bytes come first
        uint8_t* record = page + data_offset + 24;
        memcpy(record, &row.type, 4);
        memcpy(record + 6, &row.size, 2);
        memcpy(record + 8, &row.raw, 4);
        EXPECT_EQ(errno_text(buffer->consume(seen.sink, UINT64_MAX, nullptr)), "EBADMSG") << row.name;
    }
    EXPECT_TRUE(seen.samples.empty());
    skep_os_shm_unmap(page, static_cast<size_t>(bytes));
}

TEST(PerfBuffer, LosesNothingUncountedBetweenThreads) {
    TestLanes lanes(1);
    OwnedBuffer buffer(lanes, {.lane = 0, .pages = 2});
    constexpr uint64_t all = 30000;
    std::thread producer([&] {
        for (uint64_t i = 0; i < all; ++i) {
            LaneGuard guard(*lanes);
            uint64_t sample[5] = {i, i, i, i, i};
            (void)buffer->output(sample, 8 * (1 + i % 5) - 4, nullptr, 0);
        }
        // The last one must get through, so that the reader hears of all that were lost.
        for (bool told = false; !told;) {
            LaneGuard guard(*lanes);
            const uint64_t last = all;
            told = buffer->output(&last, 8, nullptr, 0).ok();
        }
    });
    struct State {
        uint64_t next = 0, seen = 0, lost = 0, bad = 0;
        bool ended = false;
    } state;
    const PerfSink sink{&state,
                        [](void* context, const void* data, uint32_t size) {
                            auto* s = static_cast<State*>(context);
                            uint64_t i;
                            memcpy(&i, data, 8 < size ? 8 : size);
                            if (size == 4) {
                                uint32_t low;
                                memcpy(&low, data, 4);
                                i = low;
                            }
                            s->bad += i < s->next;
                            s->next = i + 1;
                            s->ended = i == all;
                            ++s->seen;
                            return 0;
                        },
                        [](void* context, uint64_t count) { static_cast<State*>(context)->lost += count; }};
    while (!state.ended) {
        buffer->wait(1000000000);
        ASSERT_TRUE(buffer->consume(sink, UINT64_MAX, nullptr).ok());
    }
    producer.join();
    EXPECT_EQ(state.bad, 0u);
    EXPECT_GE(state.seen + state.lost, all + 1);
}

}  // namespace
}  // namespace skep::maps
