// SPDX-License-Identifier: Apache-2.0
// A switch in a loop: a little machine with sixteen operations whose code is the packet.
#include "bench.h"

BENCH(dispatch) {
    uint64_t a = 1, b = 2, c = 3;
    ROLLED for (int i = 0; i < 1024; i++) {
        uint8_t byte = p[i], operand = byte >> 4;
        switch (byte & 15) {
            case 0: a += operand; break;
            case 1: b ^= a; break;
            case 2: c -= b; break;
            case 3: a = b + operand; break;
            case 4: b = a * 5; break;
            case 5: c = c << 3 ^ operand; break;
            case 6: a ^= c >> 5; break;
            case 7: b += c; break;
            case 8: c += a & 255; break;
            case 9: a = ~a; break;
            case 10: b -= operand; break;
            case 11: c |= operand; break;
            case 12: a += b; break;
            case 13: b = b >> 1 | 1; break;
            case 14: c ^= b + a; break;
            default: a = a * 3 + 1; break;
        }
    }
    return (uint32_t)(a + b * 3 + c * 7);
}
