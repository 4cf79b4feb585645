// SPDX-License-Identifier: Apache-2.0
// Memory: a copy, a fill, a comparison and an exclusive or of buffers, by bytes, words and double words.
#include "bench.h"

BENCH(memory) {
    uint64_t *doubles = (uint64_t *)p;
    uint32_t *words = (uint32_t *)p;
    uint32_t differences = 0;
    ROLLED for (int i = 0; i < 64; i++) doubles[i + 192] = doubles[i];
    ROLLED for (int i = 0; i < 128; i++) words[i + 256] = words[i + 128] ^ 0x5a5a5a5a;
    ROLLED for (int i = 0; i < 256; i++) p[i + 1024 + 256] = p[i + 512] + 1;
    ROLLED for (int i = 0; i < 512; i++) differences += p[i] != p[i + 1536];
    uint64_t sum = 0;
    ROLLED for (int i = 128; i < 256; i++) sum = sum * 3 + doubles[i];
    return differences ^ (uint32_t)sum ^ (uint32_t)(sum >> 32);
}
