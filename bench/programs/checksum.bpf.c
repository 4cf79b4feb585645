// SPDX-License-Identifier: Apache-2.0
// Internet checksum of the packet by 16-bit words, of sixteen headers, and an Adler-32.
#include "bench.h"

INLINE uint16_t fold(uint64_t sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

BENCH(checksum) {
    const uint16_t *halves = (const uint16_t *)p;
    uint64_t sum = 0;
    ROLLED for (int i = 0; i < BENCH_BYTES / 2; i++) sum += halves[i];
    uint32_t result = fold(sum);
    ROLLED for (int i = 0; i < 16; i++) {
        const uint32_t *header = (const uint32_t *)(p + i * 128 + 14 + 2);
        uint64_t s = 0;
        for (int k = 0; k < 5; k++) s += header[k];
        result = result * 3 + fold(s);
    }
    uint32_t a = 1, b = 0;
    ROLLED for (int i = 0; i < 512; i++) {
        a += p[i];
        b += a;
    }
    return result ^ (b % 65521 << 16 | a % 65521);
}
