// SPDX-License-Identifier: Apache-2.0
// Bit operations on words: population count, reversal, parity, leading zeros, Gray code, Morton order, a xorshift.
#include "bench.h"

INLINE uint32_t population(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555ull;
    x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
    return (uint32_t)(x * 0x0101010101010101ull >> 56);
}
INLINE uint32_t reverse(uint32_t x) {
    x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
    x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
    x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
    return __builtin_bswap32(x);
}
INLINE uint32_t leading_zeros(uint32_t x) {
    uint32_t n = 0;
    if (x == 0) return 32;
    if (!(x & 0xffff0000)) n += 16, x <<= 16;
    if (!(x & 0xff000000)) n += 8, x <<= 8;
    if (!(x & 0xf0000000)) n += 4, x <<= 4;
    if (!(x & 0xc0000000)) n += 2, x <<= 2;
    if (!(x & 0x80000000)) n += 1;
    return n;
}
INLINE uint64_t spread(uint64_t x) {
    x &= 0xffffffff;
    x = (x | x << 16) & 0x0000ffff0000ffffull;
    x = (x | x << 8) & 0x00ff00ff00ff00ffull;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0full;
    x = (x | x << 2) & 0x3333333333333333ull;
    return (x | x << 1) & 0x5555555555555555ull;
}

BENCH(bits) {
    const uint64_t *doubles = (const uint64_t *)p;
    uint64_t state = 88172645463325252ull, result = 0;
    ROLLED for (int i = 0; i < BENCH_BYTES / 8; i++) {
        uint64_t x = doubles[i];
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        result += population(x) + reverse((uint32_t)x) + leading_zeros((uint32_t)(x >> (i & 31)));
        result ^= spread(x) ^ spread(x >> 32) << 1 ^ state;
        result += x ^ x >> 1;
    }
    return (uint32_t)(result ^ result >> 32);
}
