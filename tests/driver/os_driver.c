/* SPDX-License-Identifier: Apache-2.0 */
/* os.hpp in a Windows driver, as much of it as the core's own test needs: pool memory, time, waiting. No pages, no
 * shared memory (so no ring buffer and no mmapable array), and random bytes that only a test may use. */
#include <ntddk.h>
#include <stdint.h>

void* skep_os_alloc(size_t bytes, size_t align);
void skep_os_free(void* memory, size_t bytes);
void skep_os_fail_allocation(uint64_t n);

#define POOL_TAG 'pekS'
#define LARGEST_ALLOCATION ((size_t)1 << 32)

static volatile LONG64 fail_countdown;

static int allocation_fails(void) {
    LONG64 left = fail_countdown;
    while (left != 0) {
        const LONG64 seen = __sync_val_compare_and_swap(&fail_countdown, left, left - 1);
        if (seen == left) return left == 1;
        left = seen;
    }
    return 0;
}

/* What the compiler may call by itself. */
void* memset(void* out, int byte, size_t bytes) {
    volatile unsigned char* to = out;
    for (size_t i = 0; i < bytes; ++i) to[i] = (unsigned char)byte;
    return out;
}

void* memcpy(void* out, const void* in, size_t bytes) {
    volatile unsigned char* to = out;
    const unsigned char* from = in;
    for (size_t i = 0; i < bytes; ++i) to[i] = from[i];
    return out;
}

void* memmove(void* out, const void* in, size_t bytes) {
    volatile unsigned char* to = out;
    const unsigned char* from = in;
    if ((uintptr_t)out <= (uintptr_t)in) return memcpy(out, in, bytes);
    while (bytes-- > 0) to[bytes] = from[bytes];
    return out;
}

int memcmp(const void* a, const void* b, size_t bytes) {
    const volatile unsigned char *x = a, *y = b;
    for (size_t i = 0; i < bytes; ++i)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}

void* skep_os_alloc(size_t bytes, size_t align) {
    if (allocation_fails() || bytes > LARGEST_ALLOCATION || align > LARGEST_ALLOCATION) return NULL;
    if (align < 16) align = 16;
    char* raw = ExAllocatePoolWithTag(NonPagedPool, bytes + align + sizeof(void*), POOL_TAG);
    if (raw == NULL) return NULL;
    const uintptr_t at = ((uintptr_t)raw + sizeof(void*) + align - 1) & ~((uintptr_t)align - 1);
    ((void**)at)[-1] = raw;
    return memset((void*)at, 0, bytes);
}

void skep_os_free(void* memory, size_t bytes) {
    (void)bytes;
    if (memory != NULL) ExFreePoolWithTag(((void**)memory)[-1], POOL_TAG);
}

void skep_os_fail_allocation(uint64_t n) { fail_countdown = (LONG64)n; }

size_t skep_os_copy_nofault(void* out, const void* source, size_t bytes) {
    (void)out, (void)source, (void)bytes;
    return 0;
}

size_t skep_os_page_size(void) { return 4096; }
void* skep_os_pages_alloc(size_t bytes) {
    (void)bytes;
    return NULL;
}
int skep_os_pages_protect_rx(void* pages, size_t bytes) {
    (void)pages, (void)bytes;
    return 12;
}
void skep_os_pages_free(void* pages, size_t bytes) { (void)pages, (void)bytes; }

int64_t skep_os_shm_create(const char* name, size_t bytes) {
    (void)name, (void)bytes;
    return -12;
}
void skep_os_shm_close(int64_t handle) { (void)handle; }
void* skep_os_shm_map(int64_t handle, size_t bytes) {
    (void)handle, (void)bytes;
    return NULL;
}
void* skep_os_shm_map_ring(int64_t handle, size_t head, size_t ring) {
    (void)handle, (void)head, (void)ring;
    return NULL;
}
void skep_os_shm_unmap(void* memory, size_t bytes) { (void)memory, (void)bytes; }
void skep_os_shm_unmap_ring(void* memory, size_t head, size_t ring) { (void)memory, (void)head, (void)ring; }
size_t skep_os_shm_granularity(void) { return 65536; }

static uint64_t counter_ns(void) {
    LARGE_INTEGER frequency;
    const LARGE_INTEGER now = KeQueryPerformanceCounter(&frequency);
    const uint64_t ticks = (uint64_t)now.QuadPart, per_second = (uint64_t)frequency.QuadPart;
    return ticks / per_second * 1000000000u + ticks % per_second * 1000000000u / per_second;
}
uint64_t skep_os_monotonic_ns(void) { return counter_ns(); }
uint64_t skep_os_boot_ns(void) { return counter_ns(); }
uint64_t skep_os_coarse_ns(void) { return counter_ns(); }
uint64_t skep_os_tai_ns(void) { return counter_ns(); }

/* The exported functions: the inline ones of the header read the processor's block, which Wine does not have. */
__declspec(dllimport) ULONG NTAPI KeQueryActiveProcessorCountEx(USHORT group);
__declspec(dllimport) ULONG NTAPI KeGetCurrentProcessorNumberEx(PPROCESSOR_NUMBER number);
uint32_t skep_os_cpu_count(void) {
    const ULONG count = KeQueryActiveProcessorCountEx(0xffff);
    return count != 0 ? count : 1;
}
uint32_t skep_os_cpu(void) { return KeGetCurrentProcessorNumberEx(NULL); }
uint32_t skep_os_numa_node(void) { return 0; }

int skep_os_heavy_barrier(void) { return 0; }

static void sleep_us(LONGLONG us) {
    LARGE_INTEGER delay;
    delay.QuadPart = -10 * us;
    KeDelayExecutionThread(KernelMode, FALSE, &delay);
}
void skep_os_yield(void) { sleep_us(0); }
/* May wake without reason, says os.hpp: so a short sleep will do. */
int skep_os_wait(const uint32_t* word, uint32_t expected, uint64_t timeout_ns) {
    (void)timeout_ns;
    if (*(const volatile uint32_t*)word == expected) sleep_us(1000);
    return 0;
}
void skep_os_wake(const uint32_t* word, uint32_t count) { (void)word, (void)count; }

/* A driver's programs run in whatever process was interrupted; the tests ask nothing of it. */
void skep_os_current_process(void* out) { RtlZeroMemory(out, 40); /* struct skep_os_process */ }

void skep_os_random(void* out, size_t bytes) {
    unsigned char* to = out;
    uint64_t state = counter_ns();
    for (size_t i = 0; i < bytes; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        to[i] = (unsigned char)(state >> 56);
    }
}
