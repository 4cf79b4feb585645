// SPDX-License-Identifier: Apache-2.0
// Fifty programs with one mistake each, at the line that is marked. tests/command/messages_test.py asks whether the first line that
// `skep verify` reports is that one, and whether the program is accepted once the printed fix is pasted.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct stats {
    __u64 packets;
    __u64 bytes;
    __u32 kinds[8];
};
struct locked {
    struct bpf_spin_lock lock;
    __u64 value;
};
struct event {
    __u64 time;
    __u32 kind;
    __u32 size;
};

#define MAP(name, map_type, key_type, value_type, entries) \
    struct {                                               \
        __uint(type, map_type);                            \
        __uint(max_entries, entries);                      \
        __type(key, key_type);                             \
        __type(value, value_type);                         \
    } name SEC(".maps")
MAP(flows, BPF_MAP_TYPE_HASH, __u32, struct stats, 64);
MAP(totals, BPF_MAP_TYPE_ARRAY, __u32, struct stats, 8);
MAP(percpu, BPF_MAP_TYPE_PERCPU_HASH, __u32, __u64, 64);
MAP(recent, BPF_MAP_TYPE_LRU_HASH, __u64, __u32, 64);
MAP(guarded, BPF_MAP_TYPE_HASH, __u32, struct locked, 8);
struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} ring SEC(".maps");

__u32 table[16];
static const volatile __u32 limits[4] = {1, 2, 3, 4};

// ---- packets

SEC("xdp") int packet_ethernet(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    if (eth->h_proto == bpf_htons(ETH_P_IP))  // BUG
        return XDP_DROP;
    return (void *)eth > data_end ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int packet_start_alone(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    if ((void *)eth > data_end) return XDP_PASS;
    if (eth->h_proto == bpf_htons(ETH_P_IP))  // BUG
        return XDP_DROP;
    return XDP_PASS;
}

SEC("xdp") int packet_ip(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    if ((void *)(eth + 1) > data_end) return XDP_PASS;
    struct iphdr *ip = (void *)(eth + 1);
    if (ip->protocol == IPPROTO_TCP)  // BUG
        return XDP_DROP;
    return XDP_PASS;
}

SEC("xdp") int packet_ip_too_short(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)ip + 12 > data_end) return XDP_PASS;
    if (ip->saddr == 0x0100007f)  // BUG
        return XDP_DROP;
    return XDP_PASS;
}

SEC("xdp") int packet_tcp_options(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct iphdr *ip = (void *)(long)ctx->data;
    if ((void *)(ip + 1) > data_end) return XDP_PASS;
    struct tcphdr *tcp = (void *)ip + ip->ihl * 4;
    if (tcp->dest == bpf_htons(80))  // BUG
        return XDP_DROP;
    return XDP_PASS;
}

SEC("xdp") int packet_wrong_pointer(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct iphdr *ip = (void *)(long)ctx->data;
    if ((void *)(ip + 1) > data_end) return XDP_PASS;
    struct udphdr *udp = (void *)(ip + 1);
    if ((void *)udp > data_end) return XDP_PASS;
    if (udp->dest == bpf_htons(53))  // BUG
        return XDP_DROP;
    return XDP_PASS;
}

SEC("xdp") int packet_write(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct iphdr *ip = (void *)(long)ctx->data;
    if ((void *)ip + 8 > data_end) return XDP_PASS;
    ip->ttl = 1;  // BUG
    return XDP_PASS;
}

SEC("xdp") int packet_ipv6(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct ipv6hdr *ip = (void *)(long)ctx->data + 14;
    if ((void *)ip + 20 > data_end) return XDP_PASS;
    if (ip->daddr.s6_addr32[3] == 1)  // BUG
        return XDP_DROP;
    return XDP_PASS;
}

SEC("xdp") int packet_byte(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    __u8 *bytes = (void *)(long)ctx->data;
    if ((void *)bytes + 20 > data_end) return XDP_PASS;
    return bytes[20] == 7 ? XDP_DROP : XDP_PASS;  // BUG
}

SEC("xdp") int packet_index(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    __u8 *bytes = (void *)(long)ctx->data;
    if ((void *)bytes + 20 > data_end) return XDP_PASS;
    __u32 index = bytes[0];
    return bytes[index] == 7 ? XDP_DROP : XDP_PASS;  // BUG
}

SEC("tc") int packet_tc(struct __sk_buff *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    if (eth->h_proto == bpf_htons(ETH_P_ARP))  // BUG
        return TC_ACT_SHOT;
    return (void *)eth > data_end ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc") int packet_tc_ports(struct __sk_buff *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct iphdr *ip = (void *)(long)ctx->data + 14;
    if ((void *)(ip + 1) > data_end) return TC_ACT_OK;
    __u16 *ports = (void *)ip + 20;
    if (ports[1] == bpf_htons(22))  // BUG
        return TC_ACT_SHOT;
    return TC_ACT_OK;
}

SEC("xdp") int packet_moved(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    if ((void *)(eth + 1) > data_end) return XDP_PASS;
    if (bpf_xdp_adjust_head(ctx, -8)) return XDP_DROP;
    eth->h_proto = 0;  // BUG
    return XDP_PASS;
}

SEC("xdp") int packet_moved_unchecked(struct xdp_md *ctx) {
    if (bpf_xdp_adjust_head(ctx, -8)) return XDP_DROP;
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    eth->h_proto = 0;  // BUG
    return (void *)eth > data_end ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int packet_loop(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    __u8 *bytes = (void *)(long)ctx->data;
    __u32 sum = 0;
    if ((void *)(bytes + 16) > data_end) return XDP_PASS;
#pragma clang loop unroll(disable)
    for (__u32 i = 0; i < 20; i++) {
        sum += bytes[i];  // BUG
    }
    return sum & 1;
}

// ---- pointers that may be null

SEC("xdp") int null_read(struct xdp_md *ctx) {
    __u32 key = ctx->ingress_ifindex;
    struct stats *value = bpf_map_lookup_elem(&flows, &key);
    return value->packets > 5 ? XDP_DROP : XDP_PASS;  // BUG
}

SEC("xdp") int null_add(struct xdp_md *ctx) {
    __u32 key = ctx->ingress_ifindex;
    struct stats *value = bpf_map_lookup_elem(&flows, &key);
    value->packets++;  // BUG
    return XDP_PASS;
}

SEC("xdp") int null_array(struct xdp_md *ctx) {
    __u32 key = ctx->rx_queue_index;
    struct stats *value = bpf_map_lookup_elem(&totals, &key);
    value->bytes = 1;  // BUG
    return XDP_PASS;
}

SEC("xdp") int null_behind_the_array(struct xdp_md *ctx) {
    __u32 key = 8;
    struct stats *value = bpf_map_lookup_elem(&totals, &key);
    value->bytes = 1;  // BUG
    return XDP_PASS;
}

SEC("xdp") int null_pointer_to_number(struct xdp_md *ctx) {
    __u32 key = ctx->ingress_ifindex;
    __u64 *count = bpf_map_lookup_elem(&percpu, &key);
    *count += 1;  // BUG
    return XDP_PASS;
}

SEC("xdp") int null_wrong_test(struct xdp_md *ctx) {
    __u32 key = ctx->ingress_ifindex;
    struct stats *value = bpf_map_lookup_elem(&flows, &key);
    key++;
    struct stats *other = bpf_map_lookup_elem(&flows, &key);
    if (!value) return XDP_PASS;
    other->packets = value->packets;  // BUG
    return XDP_PASS;
}

SEC("xdp") int null_after_update(struct xdp_md *ctx) {
    __u64 key = ctx->ingress_ifindex;
    __u32 one = 1;
    bpf_map_update_elem(&recent, &key, &one, BPF_ANY);
    __u32 *mark = bpf_map_lookup_elem(&recent, &key);
    *mark = 2;  // BUG
    return XDP_PASS;
}

SEC("xdp") int null_record(struct xdp_md *ctx) {
    struct event *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
    event->time = bpf_ktime_get_ns();  // BUG
    bpf_ringbuf_submit(event, 0);
    return XDP_PASS;
}

SEC("tc") int null_socket(struct __sk_buff *ctx) {
    struct bpf_sock_tuple tuple = {};
    struct bpf_sock *sk = bpf_sk_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
    __u32 family = sk->family;  // BUG
    bpf_sk_release(sk);
    return family == 2 ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("tc") int null_lock(struct __sk_buff *ctx) {
    __u32 key = ctx->ifindex;
    struct locked *entry = bpf_map_lookup_elem(&guarded, &key);
    entry->value = 1;  // BUG
    return TC_ACT_OK;
}

static __noinline __u64 read_packets(struct stats *value) {
    return value->packets;  // BUG
}

SEC("xdp") int null_argument(struct xdp_md *ctx) {
    __u32 key = ctx->ingress_ifindex;
    return read_packets(bpf_map_lookup_elem(&flows, &key)) > 5 ? XDP_DROP : XDP_PASS;
}

// ---- indices

SEC("xdp") int index_global(struct xdp_md *ctx) {
    __u32 i = ctx->rx_queue_index;
    table[i] = 1;  // BUG
    return XDP_PASS;
}

SEC("xdp") int index_one_too_far(struct xdp_md *ctx) {
    __u32 i = ctx->rx_queue_index;
    if (i > 16) return XDP_PASS;
    table[i] = 1;  // BUG
    return XDP_PASS;
}

SEC("xdp") int index_value(struct xdp_md *ctx) {
    __u32 key = 1, i = ctx->rx_queue_index;
    struct stats *value = bpf_map_lookup_elem(&flows, &key);
    if (!value) return XDP_PASS;
    value->kinds[i] += 1;  // BUG
    return XDP_PASS;
}

SEC("xdp") int index_value_mask(struct xdp_md *ctx) {
    __u32 key = 1, i = ctx->rx_queue_index & 15;
    struct stats *value = bpf_map_lookup_elem(&flows, &key);
    if (!value) return XDP_PASS;
    value->kinds[i] += 1;  // BUG
    return XDP_PASS;
}

SEC("xdp") int index_constant_table(struct xdp_md *ctx) {
    __u32 i = ctx->rx_queue_index;
    return limits[i] > 2 ? XDP_DROP : XDP_PASS;  // BUG
}

SEC("xdp") int index_stack(struct xdp_md *ctx) {
    volatile __u8 buffer[16] = {};
    __u32 i = ctx->rx_queue_index;
    buffer[i] = 1;  // BUG
    return buffer[0];
}

SEC("xdp") int index_signed(struct xdp_md *ctx) {
    __s32 i = ctx->rx_queue_index;
    if (i >= 16) return XDP_PASS;
    table[i] = 1;  // BUG
    return XDP_PASS;
}

// ---- helpers

SEC("tc") int size_unbounded(struct __sk_buff *ctx) {
    __u8 buffer[64];
    __u32 size = ctx->len;
    if (bpf_skb_load_bytes(ctx, 0, buffer, size)) return TC_ACT_OK;  // BUG
    return buffer[0] == 7 ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc") int size_too_large(struct __sk_buff *ctx) {
    __u8 buffer[16];
    if (bpf_skb_load_bytes(ctx, 0, buffer, 512 + 1)) return TC_ACT_OK;  // BUG
    return buffer[0] == 7 ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc") int size_maybe_zero(struct __sk_buff *ctx) {
    __u8 buffer[64];
    __u32 size = ctx->len;
    if (size > sizeof(buffer)) return TC_ACT_OK;
    if (bpf_skb_load_bytes(ctx, 0, buffer, size)) return TC_ACT_OK;  // BUG
    return buffer[0] == 7 ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("xdp") int record_size(struct xdp_md *ctx) {
    void *record = bpf_ringbuf_reserve(&ring, ctx->rx_queue_index, 0);  // BUG
    if (record) bpf_ringbuf_discard(record, 0);
    return XDP_PASS;
}

SEC("xdp") int wrong_helper(struct xdp_md *ctx) {
    __u32 value = 0;
    bpf_skb_load_bytes(ctx, 0, &value, sizeof(value));  // BUG
    return value == 7 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int past_record(struct xdp_md *ctx) {
    struct event *event = bpf_ringbuf_reserve(&ring, 8, 0);
    if (!event) return XDP_PASS;
    event->kind = 1;  // BUG
    bpf_ringbuf_submit(event, 0);
    return XDP_PASS;
}

// ---- resources

SEC("xdp") int record_forgotten(struct xdp_md *ctx) {
    struct event *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
    if (!event) return XDP_PASS;
    event->time = 1;
    return XDP_PASS;  // BUG
}

SEC("xdp") int record_after_submit(struct xdp_md *ctx) {
    struct event *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
    if (!event) return XDP_PASS;
    bpf_ringbuf_submit(event, 0);
    event->time = 1;  // BUG
    return XDP_PASS;
}

SEC("xdp") int record_twice(struct xdp_md *ctx) {
    struct event *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
    if (!event) return XDP_PASS;
    bpf_ringbuf_submit(event, 0);
    bpf_ringbuf_submit(event, 0);  // BUG
    return XDP_PASS;
}

SEC("tc") int socket_after_release(struct __sk_buff *ctx) {
    struct bpf_sock_tuple tuple = {};
    struct bpf_sock *sk = bpf_sk_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
    if (!sk) return TC_ACT_OK;
    bpf_sk_release(sk);
    return sk->family == 2 ? TC_ACT_SHOT : TC_ACT_OK;  // BUG
}

SEC("tc") int lock_helper(struct __sk_buff *ctx) {
    __u32 key = 0;
    struct locked *entry = bpf_map_lookup_elem(&guarded, &key);
    if (!entry) return TC_ACT_OK;
    bpf_spin_lock(&entry->lock);
    entry->value = bpf_ktime_get_ns();  // BUG
    bpf_spin_unlock(&entry->lock);
    return TC_ACT_OK;
}

SEC("tc") int lock_kept(struct __sk_buff *ctx) {
    __u32 key = 0;
    struct locked *entry = bpf_map_lookup_elem(&guarded, &key);
    if (!entry) return TC_ACT_OK;
    bpf_spin_lock(&entry->lock);
    entry->value = 1;
    return TC_ACT_OK;  // BUG
}

SEC("tc") int lock_bytes(struct __sk_buff *ctx) {
    __u32 key = 0;
    struct locked *entry = bpf_map_lookup_elem(&guarded, &key);
    if (!entry) return TC_ACT_OK;
    *(volatile __u32 *)&entry->lock = 0;  // BUG
    return TC_ACT_OK;
}

// ---- the rest

SEC("xdp") int constant_written(struct xdp_md *ctx) {
    ((volatile __u32 *)limits)[1] = 7;  // BUG
    return XDP_PASS;
}

SEC("tc") int context_field(struct __sk_buff *ctx) {
    ctx->len = 5;  // BUG
    return TC_ACT_OK;
}

SEC("socket") int context_data(struct __sk_buff *ctx) {
    return ctx->data != 0;  // BUG
}

SEC("xdp") int endless(struct xdp_md *ctx) {
    while (bpf_get_prandom_u32() != 5) {  // BUG
    }
    return XDP_PASS;
}
