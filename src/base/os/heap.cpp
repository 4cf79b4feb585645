// SPDX-License-Identifier: Apache-2.0
#include "base/os/heap.hpp"

#include <stdlib.h>

#include "base/atomic.hpp"
#include "base/os.hpp"

namespace skep {
namespace {

/// More than any host has to give for one object. Asking calloc is no substitute: under overcommit it says yes to what
/// cannot be, and under a sanitizer it ends the process instead of saying no.
constexpr size_t largest_allocation = SIZE_MAX > UINT32_MAX ? static_cast<size_t>(uint64_t{1} << 38) : SIZE_MAX / 2;

uint64_t fail_countdown = 0;  // of tests: outlives a call, because the C interface has no object to keep it in

}  // namespace

bool os_allocation_fails() {
    uint64_t left = atomic::load(&fail_countdown);
    while (left != 0) {
        if (atomic::compare_exchange(&fail_countdown, &left, left - 1)) return left == 1;
    }
    return false;
}

}  // namespace skep

extern "C" {

void* skep_os_alloc(size_t bytes, size_t align) {
    if (skep::os_allocation_fails()) return nullptr;
    if (align < 16) align = 16;
    if ((align & (align - 1)) != 0 || bytes > skep::largest_allocation || align > skep::largest_allocation)
        return nullptr;
    // calloc gives huge blocks as untouched zero pages; the word before the block remembers where its own began.
    void* raw = calloc(1, bytes + align + sizeof(void*));
    if (raw == nullptr) return nullptr;
    const uintptr_t at = (reinterpret_cast<uintptr_t>(raw) + sizeof(void*) + align - 1) & ~(uintptr_t{align} - 1);
    reinterpret_cast<void**>(at)[-1] = raw;
    return reinterpret_cast<void*>(at);
}

void skep_os_free(void* memory, size_t) {
    if (memory != nullptr) free(static_cast<void**>(memory)[-1]);
}

void skep_os_fail_allocation(uint64_t n) { skep::atomic::store(&skep::fail_countdown, n); }

}  // extern "C"
