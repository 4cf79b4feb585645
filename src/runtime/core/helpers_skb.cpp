// SPDX-License-Identifier: Apache-2.0
// Helpers of tc and socket-filter programs (net/core/filter.c). Packets are linear here.
#include <string.h>

#include "platform/host_context.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime::helpers {

namespace {

using platform::HostSkb;

constexpr uint32_t ethernet_header = 14;
constexpr uint32_t largest_offset = INT32_MAX;
constexpr uint64_t store_recompute = 1, store_invalidate_hash = 2;  // BPF_F_RECOMPUTE_CSUM, BPF_F_INVALIDATE_HASH

HostSkb& skb_of(uint64_t ctx) { return *pointer<HostSkb>(ctx); }

/// The place of `size` bytes from `base` + `offset` on, or null if they are not all in the packet.
uint8_t* find(const HostSkb& skb, uint8_t* base, int64_t offset, uint32_t size) {
    const int64_t length = skb.packet.data_end - base;
    if (base + 0 > skb.packet.data_end || offset < 0 || offset + int64_t{size} > length) return nullptr;
    return base + offset;
}

/// Whether data points at the link-layer header: for tc it does; socket filters get the packet from its network header.
bool at_mac(const Run& run) { return run.type != platform::ProgramType::SocketFilter; }

uint8_t* network_header(const Run& run, const HostSkb& skb) {
    return at_mac(run) ? skb.packet.data + ethernet_header : skb.packet.data;
}

uint8_t* mac_header(const Run& run, const HostSkb& skb) {
    return at_mac(run) ? skb.packet.data : skb.packet.data - ethernet_header;
}

}  // namespace

SKEP_HELPER(skb_load_bytes) {
    const HostSkb& skb = skb_of(r1);
    const uint32_t offset = static_cast<uint32_t>(r2), size = static_cast<uint32_t>(r4);
    const uint8_t* at = offset > largest_offset ? nullptr : find(skb, skb.packet.data, offset, size);
    if (at == nullptr) {
        memset(pointer<void>(r3), 0, size);
        return result(Errc::BadAddress);
    }
    memcpy(pointer<void>(r3), at, size);
    return 0;
}

SKEP_HELPER(skb_load_bytes_relative) {
    const Run& run = run_of(context);
    const HostSkb& skb = skb_of(r1);
    const uint32_t offset = static_cast<uint32_t>(r2), size = static_cast<uint32_t>(r4);
    const uint8_t* at = nullptr;
    if (offset <= 0xffff && r5 <= 1) {
        uint8_t* base = r5 == 0 ? mac_header(run, skb) : network_header(run, skb);
        at = find(skb, base, offset, size);
    }
    if (at == nullptr) {
        memset(pointer<void>(r3), 0, size);
        return result(Errc::BadAddress);
    }
    memcpy(pointer<void>(r3), at, size);
    return 0;
}

SKEP_HELPER(skb_store_bytes) {
    HostSkb& skb = skb_of(r1);
    const uint32_t offset = static_cast<uint32_t>(r2), size = static_cast<uint32_t>(r4);
    if ((r5 & ~(store_recompute | store_invalidate_hash)) != 0) return result(Errc::InvalidArgument);
    if (offset > largest_offset) return result(Errc::BadAddress);
    uint8_t* at = find(skb, skb.packet.data, offset, size);
    if (at == nullptr) return result(Errc::BadAddress);
    memcpy(at, pointer<const void>(r3), size);
    if ((r5 & store_invalidate_hash) != 0) skb.hash = 0;
    return 0;
}

/// Packets are linear already: only the length is checked (bpf_try_make_writable). 0 means the whole head.
SKEP_HELPER(skb_pull_data) {
    const HostSkb& skb = skb_of(r1);
    const uint32_t size = static_cast<uint32_t>(r2);
    const int64_t length = skb.packet.data_end - skb.packet.data;
    return int64_t{size} > length ? result(Errc::NoMemory) : 0;
}

namespace {

// RFC 9669 leaves the meaning of negative offsets to the platform; Linux': linux/filter.h.
constexpr int32_t network_offset = -0x100000;     // SKF_NET_OFF
constexpr int32_t link_layer_offset = -0x200000;  // SKF_LL_OFF

/// bpf_skb_load_helper_*, bpf_internal_load_pointer_neg_helper: the big-endian value, or all ones.
uint64_t load(skep_runtime_context* context, uint64_t ctx, uint64_t where, uint32_t size) {
    const Run& run = run_of(context);
    HostSkb& skb = skb_of(ctx);
    const int32_t offset = static_cast<int32_t>(where);
    const uint8_t* at = nullptr;
    if (offset >= 0) {
        at = find(skb, skb.packet.data, offset, size);
    } else if (offset >= network_offset) {
        at = find(skb, network_header(run, skb), int64_t{offset} - network_offset, size);
    } else if (offset >= link_layer_offset) {
        at = find(skb, mac_header(run, skb), int64_t{offset} - link_layer_offset, size);
    }
    if (at == nullptr) return UINT64_MAX;
    uint64_t value = 0;
    for (uint32_t i = 0; i < size; ++i) value = value << 8 | at[i];
    return value;
}

}  // namespace

SKEP_HELPER(packet_load1) { return load(context, r1, r2, 1); }
SKEP_HELPER(packet_load2) { return load(context, r1, r2, 2); }
SKEP_HELPER(packet_load4) { return load(context, r1, r2, 4); }

}  // namespace skep::runtime::helpers
