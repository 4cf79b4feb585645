// SPDX-License-Identifier: Apache-2.0
// String search: a byte in a text, a word of three letters in any case, and the letters that two texts
// share. Counters start at numbers from the packet: the kernel's verifier takes constants for different states and walks
// every combination..
#include "bench.h"

INLINE uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

BENCH(search) {
    const uint32_t *words = (const uint32_t *)p;
    uint32_t found = words[500], places = words[501], newlines = words[502], same = words[503];
    ROLLED for (int i = 0; i < 768; i++) {
        if (lower(p[i]) != 'g') continue;
        if (lower(p[i + 1]) != 'e') continue;
        if (lower(p[i + 2]) != 't') continue;
        found++;
        places += i;
    }
    ROLLED for (int i = 0; i < 768; i++) {
        if (p[1024 + i] == '\n') newlines++;
    }
    ROLLED for (int i = 0; i < 512; i++) {
        if (lower(p[i]) == lower(p[i + 768])) same++;
    }
    return found + (places << 8) + (newlines << 18) + same;
}
