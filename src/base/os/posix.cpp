// SPDX-License-Identifier: Apache-2.0
// os.hpp on Linux.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.hpp"
#include "base/os.hpp"
#include "base/os/heap.hpp"

namespace {

using namespace skep;

/// What the kernel said about membarrier (0: not asked, 1: registered, 2: not there): once per process, as the
/// registration itself is.
uint32_t membarrier_state = 0;

size_t round_to_pages(size_t bytes) {
    const size_t page = skep_os_page_size();
    return bytes > SIZE_MAX - (page - 1) ? SIZE_MAX : (bytes + page - 1) & ~(page - 1);
}

uint64_t clock_ns(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

/// The number after the last '-' or ',' of /sys/devices/system/cpu/possible ("0-7"), plus one; 0 if unreadable.
uint32_t possible_cpus() {
    const int file = open("/sys/devices/system/cpu/possible", O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    char text[256];
    const ssize_t length = read(file, text, sizeof text);
    close(file);
    uint32_t number = 0;
    for (ssize_t i = 0; i < length; ++i) {
        if (text[i] >= '0' && text[i] <= '9')
            number = number * 10 + static_cast<uint32_t>(text[i] - '0');
        else if (text[i] == '-' || text[i] == ',')
            number = 0;
        if (number > 1u << 16) return 0;
    }
    return length > 0 ? number + 1 : 0;
}

}  // namespace

extern "C" {

size_t skep_os_page_size(void) { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

void* skep_os_pages_alloc(size_t bytes) {
    if (bytes == 0 || os_allocation_fails()) return nullptr;
    void* pages = mmap(nullptr, round_to_pages(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? nullptr : pages;
}

int skep_os_pages_protect_rx(void* pages, size_t bytes) {
    __builtin___clear_cache(static_cast<char*>(pages), static_cast<char*>(pages) + bytes);
    return mprotect(pages, round_to_pages(bytes), PROT_READ | PROT_EXEC) == 0 ? 0 : errno;
}

void skep_os_pages_free(void* pages, size_t bytes) {
    if (pages != nullptr) munmap(pages, round_to_pages(bytes));
}

int64_t skep_os_shm_create(const char* name, size_t bytes) {
    if (bytes > SIZE_MAX / 2) return -ENOMEM;
    if (os_allocation_fails()) return -ENOMEM;
    const int file = memfd_create(name, MFD_CLOEXEC);
    if (file < 0) return -errno;
    if (ftruncate(file, static_cast<off_t>(bytes)) != 0) {
        const int why = errno;
        close(file);
        return -why;
    }
    return file;
}

void skep_os_shm_close(int64_t handle) {
    if (handle >= 0) close(static_cast<int>(handle));
}

void* skep_os_shm_map(int64_t handle, size_t bytes) {
    if (os_allocation_fails()) return nullptr;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(handle), 0);
    return memory == MAP_FAILED ? nullptr : memory;
}

void* skep_os_shm_map_ring(int64_t handle, size_t head, size_t ring) {
    if (ring > SIZE_MAX / 4 || head > SIZE_MAX / 4 || os_allocation_fails()) return nullptr;
    const size_t whole = head + 2 * ring;
    const int file = static_cast<int>(handle);
    void* place = mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) return nullptr;
    auto* base = static_cast<char*>(place);
    const int rights = PROT_READ | PROT_WRITE;
    const off_t after_head = static_cast<off_t>(head);
    if (mmap(base, head + ring, rights, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED ||
        mmap(base + head + ring, ring, rights, MAP_SHARED | MAP_FIXED, file, after_head) == MAP_FAILED) {
        munmap(place, whole);
        return nullptr;
    }
    return place;
}

void skep_os_shm_unmap(void* memory, size_t bytes) {
    if (memory != nullptr) munmap(memory, bytes);
}

void skep_os_shm_unmap_ring(void* memory, size_t head, size_t ring) {
    if (memory != nullptr) munmap(memory, head + 2 * ring);
}

size_t skep_os_shm_granularity(void) { return skep_os_page_size(); }

uint64_t skep_os_monotonic_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
uint64_t skep_os_boot_ns(void) { return clock_ns(CLOCK_BOOTTIME); }
uint64_t skep_os_coarse_ns(void) { return clock_ns(CLOCK_MONOTONIC_COARSE); }
uint64_t skep_os_tai_ns(void) { return clock_ns(CLOCK_TAI); }

uint32_t skep_os_cpu_count(void) {
    if (const uint32_t possible = possible_cpus(); possible != 0) return possible;
    const long configured = sysconf(_SC_NPROCESSORS_CONF);
    return configured > 0 ? static_cast<uint32_t>(configured) : 1;
}

uint32_t skep_os_cpu(void) {
    const int cpu = sched_getcpu();
    return cpu < 0 ? 0 : static_cast<uint32_t>(cpu);
}

uint32_t skep_os_numa_node(void) {
    unsigned cpu = 0, node = 0;
    return syscall(SYS_getcpu, &cpu, &node, nullptr) == 0 ? node : 0;
}

int skep_os_heavy_barrier(void) {
    uint32_t state = atomic::load_acquire(&membarrier_state);
    if (state == 0) {
        state = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 ? 1 : 2;
        atomic::store_release(&membarrier_state, state);
    }
    if (state != 1) return 0;
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0 ? 1 : 0;
}

void skep_os_yield(void) { sched_yield(); }

int skep_os_wait(const uint32_t* word, uint32_t expected, uint64_t timeout_ns) {
    timespec limit{};
    limit.tv_sec = static_cast<time_t>(timeout_ns / 1000000000u);
    limit.tv_nsec = static_cast<long>(timeout_ns % 1000000000u);
    const bool forever = timeout_ns == UINT64_MAX;
    if (syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, forever ? nullptr : &limit, nullptr, 0) == 0) return 0;
    return errno == ETIMEDOUT ? ETIMEDOUT : 0;
}

void skep_os_wake(const uint32_t* word, uint32_t count) {
    const int most = count > INT_MAX ? INT_MAX : static_cast<int>(count);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, most, nullptr, nullptr, 0);
}

void skep_os_random(void* out, size_t bytes) {
    auto* to = static_cast<char*>(out);
    while (bytes > 0) {
        const ssize_t got = getrandom(to, bytes, 0);
        if (got < 0 && errno != EINTR) abort();  // cannot happen since Linux 3.17; predictable bytes would be worse
        if (got > 0) to += got, bytes -= static_cast<size_t>(got);
    }
}

}  // extern "C"
