// SPDX-License-Identifier: Apache-2.0
// Helpers of xdp programs, and redirection (net/core/filter.c). The buffer's limits are HostPacket's head and end: the
// hook lays them where the kernel's xdp_frame ends and its skb_shared_info begins.
#include <string.h>

#include "platform/host_context.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime::helpers {

namespace {

using platform::HostPacket;

constexpr int64_t ethernet_header = 14;  // ETH_HLEN
constexpr int64_t largest_metadata = 255;

HostPacket& packet_of(uint64_t ctx) { return *pointer<HostPacket>(ctx); }

/// bpf_xdp_pointer: 0 and the place, or the error.
Errc find(const HostPacket& packet, uint32_t offset, uint32_t size, uint8_t** out) {
    if (offset > 0xffff || size > 0xffff) return Errc::BadAddress;
    const int64_t length = packet.data_end - packet.data;
    if (int64_t{offset} + size > length) return Errc::InvalidArgument;
    *out = packet.data + offset;
    return Errc::Ok;
}

}  // namespace

SKEP_HELPER(xdp_adjust_head) {
    HostPacket& p = packet_of(r1);
    const int64_t offset = static_cast<int32_t>(r2);
    const int64_t metadata = p.data - p.data_meta;
    const int64_t from = p.data - p.head, length = p.data_end - p.data;
    if (from + offset < metadata || offset > length - ethernet_header) return result(Errc::InvalidArgument);
    if (metadata != 0) memmove(p.data_meta + offset, p.data_meta, static_cast<size_t>(metadata));
    p.data_meta += offset;
    p.data += offset;
    return 0;
}

SKEP_HELPER(xdp_adjust_tail) {
    HostPacket& p = packet_of(r1);
    const int64_t offset = static_cast<int32_t>(r2);
    if (offset > p.end - p.data_end) return result(Errc::InvalidArgument);
    if (p.data_end - p.data + offset < ethernet_header) return result(Errc::InvalidArgument);
    if (offset > 0) memset(p.data_end, 0, static_cast<size_t>(offset));
    p.data_end += offset;
    return 0;
}

SKEP_HELPER(xdp_adjust_meta) {
    HostPacket& p = packet_of(r1);
    const int64_t offset = static_cast<int32_t>(r2);
    const int64_t metadata = p.data - p.data_meta - offset;
    if (p.data_meta - p.head + offset < 0 || metadata < 0) return result(Errc::InvalidArgument);
    if (metadata % 4 != 0 || metadata > largest_metadata) return result(Errc::AccessDenied);
    p.data_meta += offset;
    return 0;
}

SKEP_HELPER(xdp_load_bytes) {
    uint8_t* at = nullptr;
    const uint32_t size = static_cast<uint32_t>(r4);
    const Errc found = find(packet_of(r1), static_cast<uint32_t>(r2), size, &at);
    if (found != Errc::Ok) return result(found);
    memcpy(pointer<void>(r3), at, size);
    return 0;
}

SKEP_HELPER(xdp_store_bytes) {
    uint8_t* at = nullptr;
    const uint32_t size = static_cast<uint32_t>(r4);
    const Errc found = find(packet_of(r1), static_cast<uint32_t>(r2), size, &at);
    if (found != Errc::Ok) return result(found);
    memcpy(at, pointer<const void>(r3), size);
    return 0;
}

SKEP_HELPER(xdp_get_buff_len) {
    const HostPacket& p = packet_of(r1);
    return static_cast<uint64_t>(p.data_end - p.data);
}

namespace {

// Verdicts as the Linux personality's programs know them; the hook maps r0 like any other.
constexpr uint64_t xdp_aborted = 0, xdp_redirect = 4, xdp_action_mask = 3;
constexpr uint64_t tc_act_shot = 2, tc_act_redirect = 7;
constexpr uint64_t redirect_ingress = 1;                // BPF_F_INGRESS
constexpr uint64_t redirect_broadcast = 1u << 3;        // BPF_F_BROADCAST
constexpr uint64_t redirect_exclude_ingress = 1u << 4;  // BPF_F_EXCLUDE_INGRESS

}  // namespace

/// bpf_xdp_redirect, bpf_redirect.
SKEP_HELPER(redirect) {
    Run& run = run_of(context);
    const bool xdp = run.type == platform::ProgramType::Xdp;
    if (xdp && r2 != 0) return xdp_aborted;
    if (!xdp && (r2 & ~redirect_ingress) != 0) return tc_act_shot;
    run.redirect = {};
    run.redirect.kind = runtime::Redirect::Kind::Interface;
    run.redirect.index = run.redirect.value = static_cast<uint32_t>(r1);
    run.redirect.flags = r2;
    return xdp ? xdp_redirect : tc_act_redirect;
}

/// bpf_xdp_redirect_map, __bpf_xdp_redirect_map.
SKEP_HELPER(redirect_map) {
    Run& run = run_of(context);
    maps::Map* map = pointer<maps::Map>(r1);
    const uint32_t key = static_cast<uint32_t>(r2);
    // Only devmaps know the two flags; the stand-ins for all such maps (runtime/load) take them too, which no program
    // that the verifier saw can tell apart.
    const uint64_t known = xdp_action_mask | redirect_broadcast | redirect_exclude_ingress;
    if ((r3 & ~known) != 0) return xdp_aborted;
    const void* entry = map->lookup(&key, context->lane);
    uint32_t value = 0;
    if (entry != nullptr) memcpy(&value, entry, sizeof(value));
    const bool set = value != 0;  // an unset slot reads as zero: no interface, queue size or socket is 0
    if (!set && (r3 & redirect_broadcast) == 0) {
        run.redirect = {};
        return r3 & xdp_action_mask;
    }
    run.redirect.kind = runtime::Redirect::Kind::Map;
    run.redirect.map = map;
    run.redirect.index = key;
    run.redirect.value = value;
    run.redirect.flags = r3;
    return xdp_redirect;
}

}  // namespace skep::runtime::helpers
