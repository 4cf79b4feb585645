// SPDX-License-Identifier: Apache-2.0
// os.hpp for a host that has nothing: no memory, one processor, time that stands still. The kernel-core gate links the
// core against it to show that nothing else is needed; a real kernel brings bodies of its own (tests/driver has one).
#include "base/os.hpp"
#include "base/os_process.hpp"

extern "C" {

void* skep_os_alloc(size_t, size_t) { return nullptr; }
void skep_os_free(void*, size_t) {}
void skep_os_fail_allocation(uint64_t) {}

size_t skep_os_copy_nofault(void*, const void*, size_t) { return 0; }

size_t skep_os_page_size(void) { return 4096; }
void* skep_os_pages_alloc(size_t) { return nullptr; }
int skep_os_pages_protect_rx(void*, size_t) { return 12; }
void skep_os_pages_free(void*, size_t) {}

int64_t skep_os_shm_create(const char*, size_t) { return -12; }
void skep_os_shm_close(int64_t) {}
void* skep_os_shm_map(int64_t, size_t) { return nullptr; }
void* skep_os_shm_map_ring(int64_t, size_t, size_t) { return nullptr; }
void skep_os_shm_unmap(void*, size_t) {}
void skep_os_shm_unmap_ring(void*, size_t, size_t) {}
size_t skep_os_shm_granularity(void) { return 4096; }

uint64_t skep_os_monotonic_ns(void) { return 0; }
uint64_t skep_os_boot_ns(void) { return 0; }
uint64_t skep_os_coarse_ns(void) { return 0; }
uint64_t skep_os_tai_ns(void) { return 0; }

uint32_t skep_os_cpu_count(void) { return 1; }
uint32_t skep_os_cpu(void) { return 0; }
uint32_t skep_os_numa_node(void) { return 0; }

void skep_os_current_process(struct skep_os_process* out) { *out = {}; }

int skep_os_heavy_barrier(void) { return 0; }
void skep_os_yield(void) {}
int skep_os_wait(const uint32_t*, uint32_t, uint64_t) { return 0; }
void skep_os_wake(const uint32_t*, uint32_t) {}

void skep_os_random(void* out, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) static_cast<volatile unsigned char*>(out)[i] = 0;
}

}  // extern "C"
