// SPDX-License-Identifier: Apache-2.0
// What the run-time core asks of its host: C-callable, non-throwing (DESIGN.md 7b.9). One body per host in base/os/:
// posix.cpp, win32.cpp, and kernel_stub.cpp for the kernel-core gate. Nothing in the core reaches a system by another
// way.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

// Memory. Zero-filled, at least 16-byte aligned; null when there is none (never an exception, never an abort).
void* skep_os_alloc(size_t bytes, size_t align);
void skep_os_free(void* memory, size_t bytes);
/// Makes the n-th allocation from now fail once (n >= 1; 0 turns it off), so that tests reach every failure branch.
void skep_os_fail_allocation(uint64_t n);

/// Copies from an address that a program made up: stops where nothing readable is mapped, and never faults. Returns the
/// bytes copied, from the start (as the kernel's copy_from_kernel_nofault).
size_t skep_os_copy_nofault(void* out, const void* source, size_t bytes);

// Pages. Sizes are rounded up to skep_os_page_size(). Never writable and executable at once.
size_t skep_os_page_size(void);
void* skep_os_pages_alloc(size_t bytes);
/// Read-write to read-execute, instruction cache synchronised. 0, or a Linux errno.
int skep_os_pages_protect_rx(void* pages, size_t bytes);
void skep_os_pages_free(void* pages, size_t bytes);

// Shared memory. A handle (>= 0) to `bytes` bytes (a memfd on Linux, a section on Windows), or minus a Linux errno.
int64_t skep_os_shm_create(const char* name, size_t bytes);
void skep_os_shm_close(int64_t handle);
/// Maps the whole object; null on failure.
void* skep_os_shm_map(int64_t handle, size_t bytes);
/// Maps `head` bytes once, then the `ring` bytes that follow them twice in a row, so that a record never wraps.
/// Requires: both are multiples of the allocation granularity (skep_os_shm_granularity()).
void* skep_os_shm_map_ring(int64_t handle, size_t head, size_t ring);
void skep_os_shm_unmap(void* memory, size_t bytes);
void skep_os_shm_unmap_ring(void* memory, size_t head, size_t ring);
size_t skep_os_shm_granularity(void);

// Time, in nanoseconds.
uint64_t skep_os_monotonic_ns(void);  ///< CLOCK_MONOTONIC: not counting suspend
uint64_t skep_os_boot_ns(void);       ///< CLOCK_BOOTTIME
uint64_t skep_os_coarse_ns(void);     ///< CLOCK_MONOTONIC_COARSE
uint64_t skep_os_tai_ns(void);        ///< CLOCK_TAI

// Processors.
uint32_t skep_os_cpu_count(void);  ///< possible CPUs, at least 1
uint32_t skep_os_cpu(void);        ///< the CPU the caller runs on now; only a hint
uint32_t skep_os_numa_node(void);

/// A barrier on every running thread of the process at the caller's cost, so that the other side needs only a compiler
/// barrier. Returns 1 if the host has it; 0 where it has not: then both sides must use a full fence.
int skep_os_heavy_barrier(void);
/// Lets another thread run.
void skep_os_yield(void);

/// Sleeps until *word no longer holds `expected`, somebody wakes, or the time is over (ns; UINT64_MAX: for ever).
/// May wake without reason. 0, or 110 (ETIMEDOUT).
int skep_os_wait(const uint32_t* word, uint32_t expected, uint64_t timeout_ns);
void skep_os_wake(const uint32_t* word, uint32_t count);

/// Fills with unpredictable bytes.
void skep_os_random(void* out, size_t bytes);

}  // extern "C"
