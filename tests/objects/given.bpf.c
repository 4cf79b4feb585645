// SPDX-License-Identifier: Apache-2.0
// A program that does nothing unless --map-init gives it maps, a program to go on with and the values of its variables.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct counters {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u64);
} counters_a SEC(".maps"), counters_b SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 4);
    __type(key, __u32);
    __array(values, struct counters);
} by_index SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
    __uint(max_entries, 4);
    __type(key, __u64);
    __array(values, struct counters);
} by_name SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 2);
    __uint(key_size, 4);
    __uint(value_size, 4);
} next SEC(".maps");

volatile __u32 place = 9;
const volatile __u64 name = 0;
__u32 started;

static void count(void *map, __u32 key) {
    __u64 *value = map ? bpf_map_lookup_elem(map, &key) : 0;
    if (value) __sync_fetch_and_add(value, 1);
}

SEC("xdp")
int first(struct xdp_md *ctx) {
    __u32 key = place;
    __u64 wanted = name;
    ++started;
    count(bpf_map_lookup_elem(&by_index, &key), 0);
    count(bpf_map_lookup_elem(&by_name, &wanted), 1);
    bpf_tail_call(ctx, &next, 1);
    return XDP_PASS;
}

SEC("xdp")
int second(struct xdp_md *ctx) { return XDP_DROP; }

char LICENSE[] SEC("license") = "GPL";
