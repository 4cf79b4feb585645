/* SPDX-License-Identifier: Apache-2.0 */
/* What the example programs know of packets: a cursor that never passes the packet's end, and one parser for
 * Ethernet, up to two VLAN tags, IPv4, IPv6 and the ports of TCP and UDP. */
#ifndef SKEP_EXAMPLES_PACKET_H
#define SKEP_EXAMPLES_PACKET_H

/* One source for both systems: with SKEP_WINDOWS every number is that of eBPF for Windows. */
#ifdef SKEP_WINDOWS
#include <linux/types.h>

#include <skep/bpf/windows.h>
#else
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#endif
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>

#define MAX_VLAN_TAGS 2
#define MAX_IPV6_EXTENSIONS 4

struct vlan_tag {
    __be16 tci;
    __be16 protocol;
};

/* In network byte order; IPv4: the first four bytes, the rest zero. Aligned, so that copies are words. */
struct address {
    __u8 bytes[16];
} __attribute__((aligned(4)));

enum packet_kind {
    PACKET_OTHER, /* not IP: nothing below is set */
    PACKET_IP,
    PACKET_CUT, /* a header does not fit into the packet */
};

struct packet {
    struct address source, destination;
    __u16 source_port, destination_port; /* zero unless `has_ports` */
    __u16 vlan;                          /* number of the outer tag, zero without one */
    __u8 family;                         /* 4 or 6 */
    __u8 protocol;                       /* IPPROTO_* */
    __u8 tcp_flags;
    __u8 has_ports;
    __u8 fragment; /* not the first one: there is no transport header */
    __u8 pad;
};

static __always_inline int read_ports(struct packet* p, void* cursor, void* end) {
    if (p->protocol == IPPROTO_TCP) {
        struct tcphdr* tcp = cursor;

        if ((void*)(tcp + 1) > end) return PACKET_CUT;
        p->source_port = bpf_ntohs(tcp->source);
        p->destination_port = bpf_ntohs(tcp->dest);
        p->tcp_flags = ((__u8*)tcp)[13];
        p->has_ports = 1;
    } else if (p->protocol == IPPROTO_UDP) {
        struct udphdr* udp = cursor;

        if ((void*)(udp + 1) > end) return PACKET_CUT;
        p->source_port = bpf_ntohs(udp->source);
        p->destination_port = bpf_ntohs(udp->dest);
        p->has_ports = 1;
    }
    return PACKET_IP;
}

static __always_inline int read_ipv4(struct packet* p, void* cursor, void* end) {
    struct iphdr* ip = cursor;
    __u32 header;

    if ((void*)(ip + 1) > end) return PACKET_CUT;
    header = ip->ihl * 4;
    if (header < sizeof(*ip) || cursor + header > end) return PACKET_CUT;
    p->family = 4;
    p->protocol = ip->protocol;
    __builtin_memcpy(p->source.bytes, &ip->saddr, 4);
    __builtin_memcpy(p->destination.bytes, &ip->daddr, 4);
    p->fragment = (ip->frag_off & bpf_htons(0x1fff)) != 0;
    if (p->fragment) return PACKET_IP;
    return read_ports(p, cursor + header, end);
}

static __always_inline int read_ipv6(struct packet* p, void* cursor, void* end) {
    struct ipv6hdr* ip = cursor;

    if ((void*)(ip + 1) > end) return PACKET_CUT;
    p->family = 6;
    p->protocol = ip->nexthdr;
    __builtin_memcpy(p->source.bytes, &ip->saddr, 16);
    __builtin_memcpy(p->destination.bytes, &ip->daddr, 16);
    cursor = ip + 1;
    for (int i = 0; i < MAX_IPV6_EXTENSIONS; i++) {
        struct {
            __u8 next, length;
            __be16 offset;
        }* extension = cursor;
        __u8 kind = p->protocol;

        if (kind != IPPROTO_HOPOPTS && kind != IPPROTO_ROUTING && kind != IPPROTO_DSTOPTS && kind != IPPROTO_FRAGMENT)
            break;
        if ((void*)(extension + 1) > end) return PACKET_CUT;
        p->protocol = extension->next;
        if (kind == IPPROTO_FRAGMENT) {
            p->fragment = (extension->offset & bpf_htons(0xfff8)) != 0;
            if (p->fragment) return PACKET_IP;
            cursor += 8;
        } else {
            cursor += (extension->length + 1) * 8;
        }
    }
    return read_ports(p, cursor, end);
}

/* Reads the headers of [data, end) into *p, which must be zero. */
static __always_inline int read_packet(struct packet* p, void* data, void* end) {
    struct ethhdr* eth = data;
    void* cursor = eth + 1;
    __be16 protocol;

    if (cursor > end) return PACKET_CUT;
    protocol = eth->h_proto;
    for (int i = 0; i < MAX_VLAN_TAGS; i++) {
        struct vlan_tag* tag = cursor;

        if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD)) break;
        if ((void*)(tag + 1) > end) return PACKET_CUT;
        if (i == 0) p->vlan = bpf_ntohs(tag->tci) & 0xfff;
        protocol = tag->protocol;
        cursor = tag + 1;
    }
    if (protocol == bpf_htons(ETH_P_IP)) return read_ipv4(p, cursor, end);
    if (protocol == bpf_htons(ETH_P_IPV6)) return read_ipv6(p, cursor, end);
    return PACKET_OTHER;
}

#endif
