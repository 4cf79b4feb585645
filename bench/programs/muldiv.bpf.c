// SPDX-License-Identifier: Apache-2.0
// Multiplication and division: by constants, by variables, 32 and 64 bits; a greatest common divisor and a modular power.
#include "bench.h"

BENCH(muldiv) {
    uint64_t sum = 0;
    const uint32_t *words = (const uint32_t *)p;
    ROLLED for (int i = 0; i < 256; i++) {
        uint32_t x = words[i];
        sum += x / 10 + x % 1000;
        sum += (uint64_t)x * 2654435761u >> 7;
        sum += x / ((words[i + 256] & 0xffff) | 1);
    }
    uint64_t power = 1, base = sum | 1;
    ROLLED for (int i = 0; i < 32; i++) {
        if (sum >> i & 1) power = power * base % 4294967291u;
        base = base * base % 4294967291u;
    }
    ROLLED for (int i = 0; i < 64; i++) {
        uint32_t a = words[i] | 1, b = words[i + 64] | 1;
        ROLLED for (int step = 0; step < 8; step++) {
            uint32_t rest = a % b;
            if (rest == 0) break;
            a = b;
            b = rest;
        }
        sum += b;
    }
    return (uint32_t)(sum ^ sum >> 32 ^ power);
}
