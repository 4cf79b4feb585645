// SPDX-License-Identifier: Apache-2.0
// The canonical contexts that hooks fill and engines read: plain structs with host pointers. What a program sees of
// them, in its personality's layout, is contexts.def. Usable in the kernel-capable core.
#pragma once

#include <stdint.h>

namespace skep::platform {

/// A linear packet in a buffer with room on both sides. First member of every packet context, so that helpers common to
/// all of them need not know which one they got.
/// Invariant: head <= data_meta <= data <= data_end <= end; data_meta == data where there is no metadata.
struct HostPacket {
    uint8_t* data;
    uint8_t* data_end;  ///< one past the last byte
    uint8_t* data_meta;
    uint8_t* head;  ///< first byte of the buffer: how far the packet may grow at its front
    uint8_t* end;   ///< one past the buffer: how far the packet may grow at its tail
};

/// The context of xdp programs (struct xdp_md of Linux, xdp_md_t of Windows).
struct HostXdp {
    HostPacket packet;
    uint32_t ingress_ifindex;
    uint32_t rx_queue_index;
    uint32_t egress_ifindex;
    uint32_t reserved;  ///< zero
};

/// The context of tc and socket-filter programs (struct __sk_buff of Linux). Widths are those of the kernel's own
/// sk_buff where these are narrower than the program's view, so that a store and a load back give the kernel's answer;
/// behind each of them lie zeros up to the program's width, so that a load needs no second rule.
/// Invariant: every *_zero is 0.
struct HostSkb {
    HostPacket packet;
    uint32_t len;  ///< bytes from data to data_end; whoever moves an end keeps it
    uint8_t pkt_type, pkt_type_zero[3];
    uint32_t mark;
    uint32_t vlan_present;  ///< 0 or 1
    uint32_t priority;
    uint32_t ingress_ifindex;
    uint32_t ifindex;
    uint32_t hash;
    uint32_t napi_id;
    uint32_t wire_len;
    uint16_t gso_segs, gso_segs_zero;
    uint16_t gso_size, gso_size_zero;
    uint32_t cb[5];  ///< free for programs
    uint16_t queue_mapping, queue_mapping_zero;
    uint16_t protocol, protocol_zero;  ///< EtherType in network byte order, as a little-endian host reads it
    uint16_t vlan_tci, vlan_tci_zero;
    uint16_t vlan_proto, vlan_proto_zero;  ///< network byte order
    uint16_t tc_index, tc_index_zero;
    uint16_t tc_classid, tc_classid_zero;
    uint32_t reserved1;  ///< zero
    uint64_t tstamp;     ///< ns
    uint64_t hwtstamp;   ///< ns
    uint8_t tstamp_type;
    uint8_t reserved[7];  ///< zero
    void* sk;             ///< null: no hook of ours has sockets
};

}  // namespace skep::platform
