// SPDX-License-Identifier: Apache-2.0
// What every body of os.hpp keeps, on whichever host this runs.
#include "base/os.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "base/atomic.hpp"

namespace {

TEST(Os, MemoryIsZeroedAndAligned) {
    for (const size_t align : {1u, 16u, 64u, 4096u}) {
        for (const size_t bytes : {1u, 100u, 100000u}) {
            auto* memory = static_cast<uint8_t*>(skep_os_alloc(bytes, align));
            ASSERT_NE(memory, nullptr);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % (align < 16 ? 16 : align), 0u);
            for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(memory[i], 0);
            memset(memory, 0xff, bytes);
            skep_os_free(memory, bytes);
        }
    }
    skep_os_free(nullptr, 0);
}

TEST(Os, AbsurdSizesGiveNull) {
    EXPECT_EQ(skep_os_alloc(SIZE_MAX, 16), nullptr);
    EXPECT_EQ(skep_os_alloc(SIZE_MAX / 2, 64), nullptr);
    EXPECT_EQ(skep_os_alloc(64, 48), nullptr) << "no power of two";
}

TEST(Os, TheNthAllocationFailsOnce) {
    skep_os_fail_allocation(2);
    void* first = skep_os_alloc(8, 8);
    void* second = skep_os_alloc(8, 8);
    void* third = skep_os_alloc(8, 8);
    skep_os_fail_allocation(0);
    EXPECT_NE(first, nullptr);
    EXPECT_EQ(second, nullptr);
    EXPECT_NE(third, nullptr);
    skep_os_free(first, 8);
    skep_os_free(third, 8);
}

TEST(Os, PagesAreWrittenThenRun) {
#if defined(__x86_64__)
    const uint8_t code[] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov eax, 42; ret
#elif defined(__aarch64__)
    const uint8_t code[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};  // mov w0, 42; ret
#else
    GTEST_SKIP() << "no code for this processor";
    const uint8_t code[] = {0};
#endif
    // Not at the very start: a sanitizer reads what stands before a function that is called by pointer.
    constexpr size_t before = 64, bytes = before + sizeof code;
    auto* pages = static_cast<uint8_t*>(skep_os_pages_alloc(bytes));
    ASSERT_NE(pages, nullptr);
    memcpy(pages + before, code, sizeof code);
    ASSERT_EQ(skep_os_pages_protect_rx(pages, bytes), 0);
    EXPECT_EQ(reinterpret_cast<int (*)()>(pages + before)(), 42);
    skep_os_pages_free(pages, bytes);
}

TEST(Os, ARingSeesItsEndAgainAtItsStart) {
    const size_t unit = skep_os_shm_granularity();
    for (const size_t head : {unit, 2 * unit}) {
        for (const size_t ring : {unit, 4 * unit}) {
            const int64_t handle = skep_os_shm_create("test", head + ring);
            ASSERT_GE(handle, 0);
            auto* base = static_cast<uint8_t*>(skep_os_shm_map_ring(handle, head, ring));
            ASSERT_NE(base, nullptr);
            base[0] = 1;
            base[head] = 2;
            base[head + ring - 1] = 3;
            EXPECT_EQ(base[head + ring], 2);
            EXPECT_EQ(base[head + 2 * ring - 1], 3);
            memcpy(base + head + ring - 3, "wrapped", 7);
            EXPECT_EQ(memcmp(base + head, "pped", 4), 0);
            auto* plain = static_cast<uint8_t*>(skep_os_shm_map(handle, head + ring));
            ASSERT_NE(plain, nullptr);
            EXPECT_EQ(plain[0], 1);
            EXPECT_EQ(memcmp(plain + head, "pped", 4), 0);
            skep_os_shm_unmap(plain, head + ring);
            skep_os_shm_unmap_ring(base, head, ring);
            skep_os_shm_close(handle);
        }
    }
}

TEST(Os, ClocksAdvance) {
    for (const auto clock : {skep_os_monotonic_ns, skep_os_boot_ns, skep_os_tai_ns, skep_os_coarse_ns}) {
        const uint64_t before = clock();
        EXPECT_GT(before, 0u);
        EXPECT_GE(clock(), before);
    }
    EXPECT_GT(skep_os_tai_ns(), 1600000000ull * 1000000000ull) << "counted from 1970";
}

TEST(Os, SleepersWakeWhenTheWordChangesOrTheTimeIsOver) {
    const uint32_t still = 5;
    EXPECT_EQ(skep_os_wait(&still, 4, UINT64_MAX), 0) << "another value: no sleep";
    int result = 0;
    for (int i = 0; i < 100 && result == 0; ++i) result = skep_os_wait(&still, 5, 1000000);
    EXPECT_EQ(result, 110);

    uint32_t word = 0;
    std::thread waker([&] {
        skep::atomic::store_release(&word, 1u);
        skep_os_wake(&word, UINT32_MAX);
    });
    while (skep::atomic::load_acquire(&word) == 0) skep_os_wait(&word, 0, UINT64_MAX);
    waker.join();
}

TEST(Os, ProcessorsAndRandomBytes) {
    EXPECT_GE(skep_os_cpu_count(), 1u);
    (void)skep_os_cpu();
    (void)skep_os_numa_node();
    const int first = skep_os_heavy_barrier();
    EXPECT_EQ(skep_os_heavy_barrier(), first) << "a host has it or not";
    uint64_t a[4] = {}, b[4] = {};
    skep_os_random(a, sizeof a);
    skep_os_random(b, sizeof b);
    EXPECT_NE(memcmp(a, b, sizeof a), 0);
}

}  // namespace
