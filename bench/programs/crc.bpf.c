// SPDX-License-Identifier: Apache-2.0
// CRC-32 by bits and CRC-16 by nibbles with a table on the stack.
#include "bench.h"

BENCH(crc) {
    uint32_t crc = ~0u;
    ROLLED for (int i = 0; i < 512; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            uint32_t low = crc & 1;
            OPAQUE(low);
            crc = crc >> 1 ^ low * 0xedb88320u;
        }
    }
    uint16_t table[16];
    ROLLED for (int i = 0; i < 16; i++) {
        uint16_t entry = (uint16_t)i;
        for (int bit = 0; bit < 4; bit++) {
            uint32_t low = entry & 1;
            OPAQUE(low);
            entry = (uint16_t)(entry >> 1 ^ low * 0xa001);
        }
        table[i] = entry;
    }
    uint16_t small = 0xffff;
    ROLLED for (int i = 512; i < 1536; i++) {
        small ^= p[i];
        small = (uint16_t)(small >> 4 ^ table[small & 15]);
        small = (uint16_t)(small >> 4 ^ table[small & 15]);
    }
    return ~crc ^ small;
}
