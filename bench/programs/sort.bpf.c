// SPDX-License-Identifier: Apache-2.0
// Sorting: odd-even transposition of 64 words, in place at the end of the packet.
#include "bench.h"

BENCH(sort) {
    uint32_t *values = (uint32_t *)(p + BENCH_BYTES - 256);
    const uint32_t *words = (const uint32_t *)p;
    ROLLED for (int i = 0; i < 64; i++) values[i] = words[i * 7];
    ROLLED for (int round = 0; round < 64; round++) {
        ROLLED for (int i = round & 1; i < 63; i += 2) {
            uint32_t a = values[i], b = values[i + 1];
            if (a > b) {
                values[i] = b;
                values[i + 1] = a;
            }
        }
    }
    uint32_t result = 0;
    ROLLED for (int i = 0; i < 64; i++) result = result * 31 + values[i];
    return result;
}
