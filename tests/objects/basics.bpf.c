// SPDX-License-Identifier: Apache-2.0
// One of everything that ordinary programs use: two programs, maps, every kind of global, static and global
// subprograms, a callback by address. Compiled by clang and by GCC.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct flow {
    __u32 packets;
    __u64 bytes;
    char name[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, struct flow);
} flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} events SEC(".maps");

int counter;
static int hidden = 7;
__u64 started = 0x1122334455667788;
const volatile int limit = 3;
const char *names[2] = {"one", "two"};

static __attribute__((noinline)) int add_hidden(int x) {
    hidden += x;
    return x * limit;
}

__attribute__((noinline)) int both(int x) { return add_hidden(x) + counter; }

static long count_up(__u32 index, void *context) {
    counter++;
    return 0;
}

SEC("xdp")
int first(struct xdp_md *ctx) {
    __u32 key = 1;
    struct flow *flow = bpf_map_lookup_elem(&flows, &key);
    if (flow) flow->packets++;
    bpf_loop(3, count_up, 0, 0);
    bpf_ringbuf_output(&events, &key, sizeof(key), 0);
    return both(2) + add_hidden(1) + (int)started;
}

SEC("?tc")
int second(struct __sk_buff *skb) { return both(1); }

SEC("socket")
int third(struct __sk_buff *skb) { return names[counter & 1][0]; }

char LICENSE[] SEC("license") = "GPL";
