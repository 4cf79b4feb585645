// SPDX-License-Identifier: Apache-2.0
// Internet checksums (RFC 1071), as net/core/filter.c and include/net/checksum.h compute them: results are equal bit by
// bit, because a one's complement sum of not only zeros is never 0 in either.
#include <string.h>

#include "platform/host_context.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime::helpers {

namespace {

uint32_t csum_add(uint32_t a, uint32_t b) {
    const uint32_t sum = a + b;
    return sum + (sum < b ? 1 : 0);
}

uint32_t csum_sub(uint32_t a, uint32_t b) { return csum_add(a, ~b); }

/// csum_partial: bytes in memory order, a last odd byte as the low half of a word.
uint32_t csum_partial(const uint8_t* bytes, uint32_t size, uint32_t sum) {
    uint64_t wide = sum;
    for (; size >= 4; size -= 4, bytes += 4) {
        uint32_t word = 0;
        memcpy(&word, bytes, 4);
        wide += word;  // at most 2^30 words: no overflow of 64 bits
    }
    uint32_t rest = 0;
    memcpy(&rest, bytes, size);
    wide += rest;
    while (wide >> 32 != 0) wide = (wide & 0xffffffffu) + (wide >> 32);
    return static_cast<uint32_t>(wide);
}

uint16_t from32to16(uint32_t sum) {
    sum += sum >> 16 | sum << 16;
    return static_cast<uint16_t>(sum >> 16);
}

uint16_t csum_fold(uint32_t sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~sum);
}

uint16_t csum16_add(uint16_t a, uint16_t b) {
    const uint16_t sum = static_cast<uint16_t>(a + b);
    return static_cast<uint16_t>(sum + (sum < b ? 1 : 0));
}

uint16_t replace_by_diff(uint16_t old, uint32_t diff) { return csum_fold(csum_add(diff, ~static_cast<uint32_t>(old))); }

uint16_t replace2(uint16_t old, uint16_t from, uint16_t to) {
    const uint16_t without = csum16_add(static_cast<uint16_t>(~old), static_cast<uint16_t>(~from));
    return static_cast<uint16_t>(~csum16_add(without, to));
}

uint16_t replace4(uint16_t old, uint32_t from, uint32_t to) {
    return csum_fold(csum_add(csum_sub(~static_cast<uint32_t>(old), from), to));
}

constexpr uint64_t header_field_mask = 0xf;      // BPF_F_HDR_FIELD_MASK
constexpr uint64_t pseudo_header = 1u << 4;      // BPF_F_PSEUDO_HDR
constexpr uint64_t mark_mangled_zero = 1u << 5;  // BPF_F_MARK_MANGLED_0
constexpr uint64_t mark_enforce = 1u << 6;       // BPF_F_MARK_ENFORCE
constexpr uint64_t over_ipv6 = 1u << 7;          // BPF_F_IPV6
constexpr uint16_t mangled_zero = 0xffff;        // CSUM_MANGLED_0

/// The checksum at `offset` of the packet, or null if it is not all there, odd or too far.
uint8_t* checksum_at(uint64_t ctx, uint32_t offset) {
    const auto& packet = *pointer<const platform::HostPacket>(ctx);
    if (offset > 0xffff || (offset & 1) != 0) return nullptr;
    const size_t length = static_cast<size_t>(packet.data_end - packet.data);
    return offset + size_t{2} <= length ? packet.data + offset : nullptr;
}

uint16_t load16(const uint8_t* at) {
    uint16_t value;
    memcpy(&value, at, 2);
    return value;
}

}  // namespace

SKEP_HELPER(csum_diff) {
    const uint32_t from_size = static_cast<uint32_t>(r2), to_size = static_cast<uint32_t>(r4);
    // Sizes that are no multiple of 4 are taken since Linux 6.13; older kernels answer EINVAL.
    const uint8_t* from = pointer<const uint8_t>(r1);
    const uint8_t* to = pointer<const uint8_t>(r3);
    uint32_t sum = static_cast<uint32_t>(r5);
    if (from_size != 0 && to_size != 0) {
        sum = csum_sub(csum_partial(to, to_size, sum), csum_partial(from, from_size, 0));
    } else if (to_size != 0) {
        sum = csum_partial(to, to_size, sum);
    } else if (from_size != 0) {
        sum = ~csum_partial(from, from_size, ~sum);
    }
    return from32to16(sum);
}

SKEP_HELPER(l3_csum_replace) {
    const uint64_t flags = r5;
    if ((flags & ~header_field_mask) != 0) return result(Errc::InvalidArgument);
    uint8_t* at = checksum_at(r1, static_cast<uint32_t>(r2));
    if (at == nullptr) return result(Errc::BadAddress);
    uint16_t sum = load16(at);
    switch (flags & header_field_mask) {
        case 0:
            if (r3 != 0) return result(Errc::InvalidArgument);
            sum = replace_by_diff(sum, static_cast<uint32_t>(r4));
            break;
        case 2: sum = replace2(sum, static_cast<uint16_t>(r3), static_cast<uint16_t>(r4)); break;
        case 4: sum = replace4(sum, static_cast<uint32_t>(r3), static_cast<uint32_t>(r4)); break;
        default: return result(Errc::InvalidArgument);
    }
    memcpy(at, &sum, 2);
    return 0;
}

/// The packet's own checksum state is "none" here (CHECKSUM_NONE), so pseudo_header changes nothing but is accepted.
SKEP_HELPER(l4_csum_replace) {
    const uint64_t flags = r5;
    constexpr uint64_t known = header_field_mask | pseudo_header | mark_mangled_zero | mark_enforce | over_ipv6;
    if ((flags & ~known) != 0) return result(Errc::InvalidArgument);
    uint8_t* at = checksum_at(r1, static_cast<uint32_t>(r2));
    if (at == nullptr) return result(Errc::BadAddress);
    uint16_t sum = load16(at);
    const bool mark = (flags & mark_mangled_zero) != 0;
    if (mark && (flags & mark_enforce) == 0 && sum == 0) return 0;  // UDP without a checksum stays so
    switch (flags & header_field_mask) {
        case 0:
            if (r3 != 0) return result(Errc::InvalidArgument);
            sum = replace_by_diff(sum, static_cast<uint32_t>(r4));
            break;
        case 2: sum = replace4(sum, static_cast<uint16_t>(r3), static_cast<uint16_t>(r4)); break;
        case 4: sum = replace4(sum, static_cast<uint32_t>(r3), static_cast<uint32_t>(r4)); break;
        default: return result(Errc::InvalidArgument);
    }
    if (mark && sum == 0) sum = mangled_zero;
    memcpy(at, &sum, 2);
    return 0;
}

}  // namespace skep::runtime::helpers
