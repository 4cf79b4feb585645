// SPDX-License-Identifier: Apache-2.0
// Packet parsing: sixteen frames of 128 bytes, Ethernet, up to two VLAN tags, IPv4 with options or IPv6, TCP with its
// options or UDP; a flow hash of each.
#include "bench.h"

#define FRAME 128
INLINE uint16_t be16(const uint8_t *at) { return (uint16_t)__builtin_bswap16(*(const uint16_t *)at); }
INLINE uint32_t be32(const uint8_t *at) { return __builtin_bswap32(*(const uint32_t *)at); }

INLINE uint32_t parse_frame(const uint8_t *frame, const uint8_t *end) {
    uint32_t at = 12, hash = 0, protocol;
    uint16_t type = be16(frame + 12);
    if (type == 0x8100) {
        at = 16;
        type = be16(frame + 16);
    }
    at += 2;
    const uint8_t *ip = frame + at;
    uint32_t l4;
    if (type == 0x0800) {
        uint32_t header = (ip[0] & 15) * 4;
        if ((ip[0] >> 4) != 4 || header < 20) return 1;
        if (be16(ip + 6) & 0x1fff) return 2;
        protocol = ip[9];
        hash = be32(ip + 12) * 31 + be32(ip + 16);
        l4 = at + header;
    } else if (type == 0x86dd) {
        if ((ip[0] >> 4) != 6) return 3;
        protocol = ip[6];
        for (int i = 8; i < 40; i += 4) hash = hash * 31 + be32(ip + i);
        l4 = at + 40;
    } else {
        return 4;
    }
    if (l4 > FRAME - 20) return 5;
    const uint8_t *segment = frame + l4;
    OPAQUE(segment);
    if (segment + 64 > end) return 6;
    uint16_t source = be16(segment), target = be16(segment + 2);
    hash += (uint32_t)source << 16 | target;
    if (protocol == 17) return hash ^ be16(segment + 4);
    if (protocol != 6) return hash;
    uint32_t offset = 20, options = (segment[12] >> 4) * 4;
    ROLLED for (int i = 0; i < 6; i++) {
        if (offset + 4 > options || offset > 36) break;
        const uint8_t *option = segment + (offset & 63);
        OPAQUE(option);
        if (option + 4 > end) break;
        uint8_t kind = option[0];
        if (kind == 0) break;
        if (kind == 1) {
            offset += 1;
            continue;
        }
        if (kind == 2) hash ^= be16(option + 2);
        offset += option[1] & 15;
    }
    return hash + segment[13];
}

BENCH(parse) {
    uint32_t result = 0;
    ROLLED for (int i = 0; i < BENCH_BYTES / FRAME - 1; i++) result = result * 17 + parse_frame(p + i * FRAME, end);
    return result;
}
