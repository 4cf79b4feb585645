// SPDX-License-Identifier: Apache-2.0
// All that `skep run` shows: verdicts, maps of several kinds, globals, events, printed lines, tail calls, callbacks,
// redirection, a packet that changes its size. tests/command/run_test.py knows what comes out.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct event {
    __u32 number;
    __u16 size;
    char name[6];
};
const struct event *event_type __attribute__((unused));  // keeps the type in BTF

struct stats {
    __u64 packets;
    __u64 bytes;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, struct stats);
} totals SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, __u32);
    __type(value, struct stats);
} by_size SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(key_size, 4);
    __uint(value_size, 4);
} samples SEC(".maps");

int second_stage(struct xdp_md *ctx);

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 2);
    __uint(key_size, 4);
    __array(values, int(struct xdp_md *));
} stages SEC(".maps") = {.values = {[1] = (void *)&second_stage}};

__u64 seen;
__u32 looped;       // callbacks
__u64 steps;        // nanoseconds between two looks at the clock, summed
__u32 last_number;  // of the generator
const volatile __u32 redirect_to = 7;

static long count_up(__u32 index, void *context) {
    looped += 1;
    return index == 2;
}

SEC("xdp")
int second_stage(struct xdp_md *ctx) {
    void *data = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    if (data + 20 > end) return XDP_ABORTED;
    switch (*((__u8 *)data + 14)) {
        case 1: return XDP_DROP;
        case 2: return bpf_redirect(redirect_to, 0);
        case 3: return bpf_xdp_adjust_head(ctx, 4) == 0 ? XDP_TX : XDP_ABORTED;
        default: return XDP_PASS;
    }
}

SEC("xdp")
int entry(struct xdp_md *ctx) {
    __u32 size = ctx->data_end - ctx->data;
    __u32 key = size > 100;
    seen += 1;
    struct stats *total = bpf_map_lookup_elem(&totals, &key);
    if (total) {
        total->packets += 1;
        total->bytes += size;
    }
    struct stats fresh = {1, size};
    struct stats *known = bpf_map_lookup_elem(&by_size, &size);
    if (known) {
        known->packets += 1;
        known->bytes += size;
    } else {
        bpf_map_update_elem(&by_size, &size, &fresh, BPF_ANY);
    }
    struct event event = {seen, size, "event"};
    bpf_ringbuf_output(&events, &event, sizeof(event), 0);
    bpf_perf_event_output(ctx, &samples, BPF_F_CURRENT_CPU | (4ULL << 32), &event, sizeof(event));
    __u64 before = bpf_ktime_get_ns();
    steps += bpf_ktime_get_ns() - before;
    last_number = bpf_get_prandom_u32();
    bpf_loop(5, count_up, 0, 0);
    bpf_printk("packet %d has %d bytes\n", (__u32)seen, size);
    bpf_tail_call(ctx, &stages, 1);
    return XDP_ABORTED;
}
