// SPDX-License-Identifier: Apache-2.0
// Maps that hold maps or programs, and every attribute that .maps knows.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct inner {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} inner_a SEC(".maps"), inner_b SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 8);
    __type(key, __u32);
    __array(values, struct inner);
} outer SEC(".maps") = {.values = {[1] = &inner_a, [5] = &inner_b}};

struct {
    __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
    __uint(max_entries, 8);
    __uint(key_size, 16);
    __uint(value_size, 4);
    __array(values, struct inner);
} outer_hash SEC(".maps");

int called(struct xdp_md *ctx);

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 4);
    __uint(key_size, 4);
    __array(values, int(void *));
} jumps SEC(".maps") = {.values = {[2] = (void *)&called}};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 64);
    __uint(map_flags, BPF_F_NUMA_NODE);
    __uint(numa_node, 1);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
    __type(key, __u16);
    __type(value, __u8);
} pinned SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
    __uint(max_entries, 100);
    __uint(map_extra, 3);
    __type(value, __u32);
} bloom SEC(".maps");

SEC("xdp")
int called(struct xdp_md *ctx) { return XDP_DROP; }

SEC("xdp")
int caller(struct xdp_md *ctx) {
    __u32 key = 1;
    void *map = bpf_map_lookup_elem(&outer, &key);
    bpf_map_update_elem(&bloom, &key, &key, 0);
    bpf_map_delete_elem(&pinned, &key);
    if (map && bpf_map_lookup_elem(map, &key)) bpf_tail_call(ctx, &jumps, 2);
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
