// SPDX-License-Identifier: Apache-2.0
// One source text for every engine: an XDP program that works on the first BENCH_BYTES of its packet, and for the host
// a function with the same body. BENCH(name) { ... } gets `uint8_t *p`, those bytes, and `end`, one past the packet,
// and returns 32 bits.
#pragma once

typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef int int32_t;

#define BENCH_BYTES 2048
#define INLINE static inline __attribute__((always_inline, unused))
#define UNUSED(x) (void)(x)
#define NOINLINE static __attribute__((noinline))

#ifdef __bpf__

struct xdp_md {
    uint32_t data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

#define BENCH(name)                                                        \
    INLINE uint32_t name##_body(uint8_t* p, const uint8_t* end);           \
    __attribute__((section("xdp"), used)) int name(struct xdp_md* ctx) {   \
        uint8_t* p = (uint8_t*)(unsigned long)ctx->data;                   \
        const uint8_t* end = (const uint8_t*)(unsigned long)ctx->data_end; \
        if (p + BENCH_BYTES > end) return 0;                               \
        return (int)name##_body(p, end);                                   \
    }                                                                      \
    INLINE uint32_t name##_body(uint8_t* p, const uint8_t* end)

#else

#define BENCH(name)                                              \
    INLINE uint32_t name##_body(uint8_t* p, const uint8_t* end); \
    uint32_t native_##name(uint8_t* p, const uint8_t* end) {     \
        if (p + BENCH_BYTES > end) return 0;                     \
        return name##_body(p, end);                              \
    }                                                            \
    INLINE uint32_t name##_body(uint8_t* p, const uint8_t* end)

#endif

/// Hides where a value comes from, so that no engine's compiler makes branches of its bits or joins its checks with
/// others'.
#define OPAQUE(value) __asm__ volatile("" : "+r"(value))

/// A loop that the compiler may not unroll: the kernel's verifier walks every copy.
#define ROLLED _Pragma("clang loop unroll(disable)")
