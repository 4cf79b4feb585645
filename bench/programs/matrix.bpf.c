// SPDX-License-Identifier: Apache-2.0
// Matrices: a product of two of 8 x 8 words, and a convolution of 3 x 3 over 32 x 32 bytes.
#include "bench.h"

BENCH(matrix) {
    const uint32_t *left = (const uint32_t *)p, *right = (const uint32_t *)(p + 256);
    uint32_t product[64];
    ROLLED for (int row = 0; row < 8; row++) {
        ROLLED for (int column = 0; column < 8; column++) {
            uint32_t sum = 0;
            for (int k = 0; k < 8; k++) sum += left[row * 8 + k] * right[k * 8 + column];
            product[(row * 8 + column) & 63] = sum;
        }
    }
    uint32_t result = 0;
    ROLLED for (int i = 0; i < 64; i++) result = result * 33 + product[i];
    const uint8_t *image = p + 512;
    ROLLED for (int y = 0; y < 30; y++) {
        ROLLED for (int x = 0; x < 30; x++) {
            const uint8_t *at = image + y * 32 + x;
            int32_t edge = at[0] + 2 * at[1] + at[2] - at[64] - 2 * at[65] - at[66];
            result += (uint32_t)(edge < 0 ? -edge : edge);
        }
    }
    return result;
}
