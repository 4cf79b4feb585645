// SPDX-License-Identifier: Apache-2.0
// Atomic access to plain memory, for the core: map values are memory of programs, so their words cannot be
// std::atomic objects. Every word is naturally aligned and at most 8 bytes wide, so nothing here ever takes a lock.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1  // gcc's word for it
#endif
#endif

namespace skep::atomic {

template <typename T>
T load(const T* p) {
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}
template <typename T>
T load_acquire(const T* p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
template <typename T>
void store(T* p, T value) {
    __atomic_store_n(p, value, __ATOMIC_RELAXED);
}
template <typename T>
void store_release(T* p, T value) {
    __atomic_store_n(p, value, __ATOMIC_RELEASE);
}
template <typename T>
T add(T* p, T value) {
    return __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
}
/// Sequentially consistent fetch-and-add.
template <typename T>
T add_ordered(T* p, T value) {
    return __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST);
}
template <typename T>
T exchange(T* p, T value) {
    return __atomic_exchange_n(p, value, __ATOMIC_ACQ_REL);
}
/// Sequentially consistent; `*expected` gets what was there on failure.
template <typename T>
bool compare_exchange(T* p, T* expected, T desired) {
    return __atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/// Keeps the compiler, and only the compiler, from moving accesses across.
inline void compiler_fence() { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

/// Orders everything before against everything after, store-load included.
inline void full_fence() {
#if defined(__SANITIZE_THREAD__)
    compiler_fence();  // the sanitizer models no fences, and gcc refuses to compile one with it
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/// Orders reads before against reads and writes after: between the body of an optimistic read and its check.
inline void acquire_fence() {
#if defined(__SANITIZE_THREAD__)
    compiler_fence();
#else
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

/// Orders reads and writes before against writes after: the writer's side of an optimistic read.
inline void release_fence() {
#if defined(__SANITIZE_THREAD__)
    compiler_fence();
#else
    __atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

/// Tells the processor that this is a spin loop.
inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

namespace detail {
template <typename T>
T load_private(const uint8_t* p) {
    T value;
    memcpy(&value, p, sizeof value);
    return value;
}
template <typename T>
void store_private(uint8_t* p, T value) {
    memcpy(p, &value, sizeof value);
}
}  // namespace detail

/// Copies `bytes` from private memory (any alignment) to shared memory aligned to 8: whole 8-byte words, then a tail of
/// 4, 2 and 1, none of them ever torn.
inline void copy_to_shared(void* shared, const void* source, size_t bytes) {
    auto* to = static_cast<uint8_t*>(shared);
    auto* from = static_cast<const uint8_t*>(source);
    for (; bytes >= 8; bytes -= 8, to += 8, from += 8)
        store(reinterpret_cast<uint64_t*>(to), detail::load_private<uint64_t>(from));
    if (bytes & 4) {
        store(reinterpret_cast<uint32_t*>(to), detail::load_private<uint32_t>(from));
        to += 4, from += 4;
    }
    if (bytes & 2) {
        store(reinterpret_cast<uint16_t*>(to), detail::load_private<uint16_t>(from));
        to += 2, from += 2;
    }
    if (bytes & 1) store(to, *from);
}

/// The other way round.
inline void copy_from_shared(void* target, const void* shared, size_t bytes) {
    auto* to = static_cast<uint8_t*>(target);
    auto* from = static_cast<const uint8_t*>(shared);
    for (; bytes >= 8; bytes -= 8, to += 8, from += 8)
        detail::store_private(to, load(reinterpret_cast<const uint64_t*>(from)));
    if (bytes & 4) {
        detail::store_private(to, load(reinterpret_cast<const uint32_t*>(from)));
        to += 4, from += 4;
    }
    if (bytes & 2) {
        detail::store_private(to, load(reinterpret_cast<const uint16_t*>(from)));
        to += 2, from += 2;
    }
    if (bytes & 1) *to = load(from);
}

/// Whether `bytes` of shared memory aligned to 8 equal the private ones.
inline bool equals_shared(const void* shared, const void* other, size_t bytes) {
    auto* a = static_cast<const uint8_t*>(shared);
    auto* b = static_cast<const uint8_t*>(other);
    for (; bytes >= 8; bytes -= 8, a += 8, b += 8)
        if (load(reinterpret_cast<const uint64_t*>(a)) != detail::load_private<uint64_t>(b)) return false;
    if (bytes & 4) {
        if (load(reinterpret_cast<const uint32_t*>(a)) != detail::load_private<uint32_t>(b)) return false;
        a += 4, b += 4;
    }
    if (bytes & 2) {
        if (load(reinterpret_cast<const uint16_t*>(a)) != detail::load_private<uint16_t>(b)) return false;
        a += 2, b += 2;
    }
    return !(bytes & 1) || load(a) == *b;
}

}  // namespace skep::atomic
