// SPDX-License-Identifier: Apache-2.0
// Twenty-four more programs with one mistake each, written the way people write: several declarations on a line, casts, inlined
// functions, an `if` without braces, headers found by arithmetic on data.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
struct icmphdr { __u8 type, code; __be16 checksum; __be32 rest; };
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
struct conf { __u32 on; __u32 ports[16]; char name[16]; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, struct conf); } confs SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } counts SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64[4]); } scratch SEC(".maps");
struct hdr { __be16 type; __u8 len; __u8 data[5]; } __attribute__((packed));

static __always_inline int parse_udp(struct iphdr *ip, void *end) {
    struct udphdr *udp = (void *)ip + sizeof(*ip);
    return udp->dest == bpf_htons(53);  // BUG
}
SEC("xdp") int a_inline(struct xdp_md *ctx) {
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct iphdr *ip = data + 14;
    if ((void *)(ip + 1) > end) return XDP_PASS;
    return parse_udp(ip, end) ? XDP_DROP : XDP_PASS;
}
SEC("xdp") int a_data_plus(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    void *data = (void *)(long)ctx->data;
    struct ethhdr *eth = data;
    if (data + sizeof(*eth) > data_end) return XDP_ABORTED;
    struct iphdr *iph = data + sizeof(*eth);
    __u32 src = iph->saddr;  // BUG
    return src & 1 ? XDP_DROP : XDP_PASS;
}
SEC("xdp") int a_cast(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    void *data = (void *)(long)ctx->data;
    __u16 proto = *(__u16 *)(data + 12);  // BUG
    return proto == 8 ? XDP_DROP : XDP_PASS;
}
SEC("xdp") int a_memcpy(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    __u8 mac[6];
    if ((void *)eth + 4 > data_end) return XDP_PASS;
    __builtin_memcpy(mac, eth->h_dest, 6);  // BUG
    return mac[0] ^ mac[5] ? XDP_DROP : XDP_PASS;
}
SEC("xdp") int a_swap(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = (void *)(long)ctx->data;
    __u8 t = eth->h_dest[0];  // BUG
    eth->h_dest[0] = eth->h_source[0];
    eth->h_source[0] = t;
    return (void *)eth > data_end ? XDP_DROP : XDP_TX;
}
SEC("xdp") int a_icmp(struct xdp_md *ctx) {
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = data + sizeof(*eth);
    struct icmphdr *icmp = data + sizeof(*eth) + sizeof(*ip);
    if ((void *)(ip + 1) > data_end) return XDP_PASS;
    if (ip->protocol != IPPROTO_ICMP) return XDP_PASS;
    return icmp->type == 8 ? XDP_DROP : XDP_PASS;  // BUG
}
SEC("xdp") int a_loop_opts(struct xdp_md *ctx) {
    void *data_end = (void *)(long)ctx->data_end;
    struct hdr *h = (void *)(long)ctx->data;
    int n = 0;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 6; i++) {
        n += h->len;  // BUG
        h++;
    }
    return n & 1;
}
SEC("tc") int a_skb(struct __sk_buff *skb) {
    void *data = (void *)(long)skb->data;
    void *end = (void *)(long)skb->data_end;
    struct tcphdr *th = data + 34;
    if (data + 34 > end) return TC_ACT_OK;
    if (th->syn) return TC_ACT_SHOT;  // BUG
    return TC_ACT_OK;
}
SEC("xdp") int b_port(struct xdp_md *ctx) {
    __u32 key = 0;
    struct conf *c = bpf_map_lookup_elem(&confs, &key);
    if (!c) return XDP_PASS;
    __u32 i = bpf_get_prandom_u32();
    c->ports[i]++;  // BUG
    return XDP_PASS;
}
SEC("xdp") int b_port_le(struct xdp_md *ctx) {
    __u32 key = 0;
    struct conf *c = bpf_map_lookup_elem(&confs, &key);
    if (!c) return XDP_PASS;
    __u32 i = bpf_get_prandom_u32();
    if (i <= 20)
        c->ports[i] = 1;  // BUG
    return XDP_PASS;
}
SEC("xdp") int b_count(struct xdp_md *ctx) {
    __u32 key = 1;
    __u64 *n = bpf_map_lookup_elem(&counts, &key);
    __sync_fetch_and_add(n, 1);  // BUG
    return XDP_PASS;
}
SEC("xdp") int b_count2(struct xdp_md *ctx) {
    __u32 key = 1;
    __u64 *n = bpf_map_lookup_elem(&counts, &key);
    (*n)++;  // BUG
    return XDP_PASS;
}
SEC("xdp") int b_pass(struct xdp_md *ctx) {
    __u32 key = 1;
    __u64 *n = bpf_map_lookup_elem(&counts, &key);
    bpf_map_update_elem(&counts, &key, n, 0);  // BUG
    return XDP_PASS;
}
SEC("xdp") int b_arr(struct xdp_md *ctx) {
    __u32 key = 0;
    __u64 *v = bpf_map_lookup_elem(&scratch, &key);
    if (!v) return XDP_PASS;
    v[4] = 1;  // BUG
    return XDP_PASS;
}
SEC("xdp") int b_arr_idx(struct xdp_md *ctx) {
    __u32 key = 0;
    __u64 *v = bpf_map_lookup_elem(&scratch, &key);
    if (!v) return XDP_PASS;
    v[ctx->rx_queue_index] = 1;  // BUG
    return XDP_PASS;
}
SEC("xdp") int b_local(struct xdp_md *ctx) {
    volatile __u32 a[8] = {0};
    __u32 i = ctx->ingress_ifindex;
    if (i > 8) return XDP_PASS;
    a[i] = 5;  // BUG
    return a[0];
}
SEC("xdp") int c_leak(struct xdp_md *ctx) {
    __u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);
    if (!e) return XDP_PASS;
    if (ctx->ingress_ifindex == 3) return XDP_DROP;  // BUG
    *e = 1;
    bpf_ringbuf_submit(e, 0);
    return XDP_PASS;
}
SEC("xdp") int c_after(struct xdp_md *ctx) {
    __u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);
    if (!e) return XDP_PASS;
    bpf_ringbuf_discard(e, 0);
    *e = 1;  // BUG
    return XDP_PASS;
}
SEC("xdp") int c_null_submit(struct xdp_md *ctx) {
    __u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);
    bpf_ringbuf_submit(e, 0);  // BUG
    return XDP_PASS;
}
SEC("tc") int d_stale(struct __sk_buff *skb) {
    void *data = (void *)(long)skb->data;
    void *data_end = (void *)(long)skb->data_end;
    struct ethhdr *eth = data;
    if (data + sizeof(*eth) > data_end) return TC_ACT_OK;
    bpf_skb_pull_data(skb, 64);
    if (eth->h_proto == bpf_htons(ETH_P_IP)) return TC_ACT_SHOT;  // BUG
    return TC_ACT_OK;
}
SEC("tc") int d_stale2(struct __sk_buff *skb) {
    void *data = (void *)(long)skb->data;
    void *data_end = (void *)(long)skb->data_end;
    struct iphdr *ip = data + 14;
    if ((void *)(ip + 1) > data_end) return TC_ACT_OK;
    if (bpf_skb_store_bytes(skb, 0, "a", 1, 0)) return TC_ACT_SHOT;
    ip->ttl = 3;  // BUG
    return TC_ACT_OK;
}
SEC("tc") int e_size(struct __sk_buff *skb) {
    char buf[32];
    int len = skb->len;
    if (len > 32) return TC_ACT_OK;
    if (bpf_skb_load_bytes(skb, 0, buf, len) < 0) return TC_ACT_OK;  // BUG
    return buf[0];
}
SEC("tc") int e_big(struct __sk_buff *skb) {
    char buf[32];
    if (bpf_skb_load_bytes(skb, 0, buf, sizeof(buf) + 500) < 0) return TC_ACT_OK;  // BUG
    return buf[0];
}
SEC("xdp") int f_loop(struct xdp_md *ctx) {
    __u64 n = bpf_ktime_get_ns(), s = 0;
#pragma clang loop unroll(disable)
    for (__u64 i = 0; i < n; i++)  // BUG
        s += bpf_get_prandom_u32();
    return s & 1;
}
