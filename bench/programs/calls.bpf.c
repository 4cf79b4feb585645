// SPDX-License-Identifier: Apache-2.0
// Calls of functions, three deep, with values kept across them.
#include "bench.h"

NOINLINE uint64_t mix(uint64_t a, uint64_t b) { return (a ^ b) * 0x9e3779b97f4a7c15ull; }
NOINLINE uint64_t twice(uint64_t a, uint64_t b, uint64_t c) { return mix(a, b) + mix(b, c) + a; }
NOINLINE uint64_t clamp(uint64_t x, uint64_t low, uint64_t high) {
    if (x < low) return low;
    if (x > high) return high;
    return x;
}
NOINLINE uint64_t step(uint64_t state, uint64_t word, uint32_t i) {
    uint64_t left = twice(state, word, i);
    uint64_t right = clamp(word, state >> 8, state | 0xffff);
    return left ^ right;
}

BENCH(calls) {
    const uint64_t *doubles = (const uint64_t *)p;
    uint64_t state = 1;
    ROLLED for (uint32_t i = 0; i < BENCH_BYTES / 8; i++) state = step(state, doubles[i], i) + (state >> 3);
    return (uint32_t)(state ^ state >> 32);
}
