// SPDX-License-Identifier: Apache-2.0
// Three hash functions over the packet: FNV-1a by bytes, a Murmur-like mix by words, a xxHash-like one by double words.
#include "bench.h"

INLINE uint32_t rotl32(uint32_t x, int k) { return x << k | x >> (32 - k); }
INLINE uint64_t rotl64(uint64_t x, int k) { return x << k | x >> (64 - k); }

BENCH(hash) {
    uint32_t fnv = 2166136261u;
    ROLLED for (int i = 0; i < 512; i++) fnv = (fnv ^ p[i]) * 16777619u;

    uint32_t h = 0x9747b28c;
    const uint32_t *words = (const uint32_t *)p;
    ROLLED for (int i = 0; i < BENCH_BYTES / 4; i++) {
        uint32_t k = words[i] * 0xcc9e2d51;
        k = rotl32(k, 15) * 0x1b873593;
        h = rotl32(h ^ k, 13) * 5 + 0xe6546b64;
    }

    uint64_t a = 0x9e3779b185ebca87ull, b = 0xc2b2ae3d27d4eb4full;
    const uint64_t *doubles = (const uint64_t *)p;
    ROLLED for (int i = 0; i < BENCH_BYTES / 8; i += 2) {
        a = rotl64(a + doubles[i] * 0xc2b2ae3d27d4eb4full, 31) * 0x9e3779b185ebca87ull;
        b = rotl64(b + doubles[i + 1] * 0xc2b2ae3d27d4eb4full, 29) * 0x9e3779b185ebca87ull;
    }
    a = rotl64(a, 1) + rotl64(b, 7);
    a ^= a >> 33;
    return fnv ^ h ^ (uint32_t)a ^ (uint32_t)(a >> 32);
}
