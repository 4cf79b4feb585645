// SPDX-License-Identifier: Apache-2.0
// Counts without atomic instructions where each CPU has its own copy, and with them where all share one.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u64);
} own SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, __u64);
} own_by_key SEC(".maps");

__u64 shared;
__u64 cpus_seen;

SEC("xdp")
int count(struct xdp_md *ctx) {
    __u32 key = 1;
    __u64 one = 1;
    __u64 *value = bpf_map_lookup_elem(&own, &key);
    if (value) *value += 1;
    value = bpf_map_lookup_elem(&own_by_key, &key);
    if (value)
        *value += 1;
    else
        bpf_map_update_elem(&own_by_key, &key, &one, BPF_NOEXIST);
    __sync_fetch_and_add(&shared, 1);
    __sync_fetch_and_or(&cpus_seen, 1ULL << (bpf_get_smp_processor_id() & 63));
    return XDP_PASS;
}
