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

/// The context of cgroup_sock_addr programs: Linux' struct bpf_sock_addr byte for byte, then what only Windows has or
/// says in other numbers.
struct HostSockAddr {
    uint8_t linux_layout[72];
    uint32_t windows_family;  ///< user_family in Windows' numbers
    uint16_t msg_src_port;    ///< network byte order
    uint16_t reserved;        ///< zero
    uint32_t compartment_id;
    uint32_t redirect_room;
    uint64_t interface_luid;
    uint8_t* redirect_context;  ///< where sock_addr_set_redirect_context leaves its bytes; null: it is refused
    uint32_t redirect_bytes;    ///< how many are there
    uint32_t reserved1;         ///< zero
    uint64_t socket_cookie;     ///< names the socket as long as it lives; 0: there is none
};

/// The context of sock_ops programs, likewise: struct bpf_sock_ops first. Windows has one place for an address of
/// either family, and ports as two bytes in network byte order.
struct HostSockOps {
    uint8_t linux_layout[224];
    uint32_t windows_op;
    uint32_t windows_family;
    uint32_t local_address[4];
    uint32_t windows_local_port;
    uint32_t remote_address[4];
    uint32_t windows_remote_port;
    uint32_t compartment_id;
    uint8_t protocol, protocol_zero[3];
    uint64_t interface_luid;
    uint64_t flow_id;
    uint64_t socket_cookie;  ///< as in HostSockAddr
};

/// The context of eBPF for Windows' bind programs; the packet is the application's name.
struct HostBind {
    HostPacket packet;
    uint64_t process_id;
    uint8_t socket_address[16];
    uint32_t operation;  ///< 0 bind, 1 post-bind, 2 unbind
    uint8_t socket_address_length;
    uint8_t protocol;
    uint8_t reserved[2];  ///< zero
};

/// Text that a helper copies out. The bytes are the hook's.
struct HostText {
    const uint8_t* data;
    uint64_t bytes;
};

/// The context of eBPF for Windows' process programs; the packet is the command line, UTF-16.
struct HostProcess {
    HostPacket packet;
    uint64_t process_id;
    uint64_t parent_process_id;
    uint64_t creating_process_id;
    uint64_t creating_thread_id;
    uint64_t creation_time;  ///< 100 ns since 1601-01-01
    uint64_t exit_time;
    uint32_t exit_code;
    uint32_t token_sid_size;
    uint8_t operation;  ///< 0 create, 1 delete
    uint8_t token_sid[68];
    uint8_t reserved[3];  ///< zero
    HostText image_path, account_name, account_domain;
};

}  // namespace skep::platform
