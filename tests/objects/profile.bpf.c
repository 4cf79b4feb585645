// SPDX-License-Identifier: Apache-2.0
// What docs/standard/elf-profile.md speaks of, in one object that every loader should take: a map defined by BTF,
// variables of each kind, a subprogram, and a program that nobody asked for (and that no verifier lets pass).
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

const volatile int limit = 3;
int step = 2;
int seen;

static __attribute__((noinline)) int twice(int x)
{
	return x * 2 + seen;
}

SEC("xdp")
int entry(struct xdp_md *ctx)
{
	__u32 key = 1;
	__u64 *counter = bpf_map_lookup_elem(&counters, &key);

	if (counter)
		*counter += step;
	step = limit;
	seen++;
	return twice(ctx->data_end - ctx->data) & 1 ? XDP_PASS : XDP_DROP;
}

SEC("?xdp/asleep")
int asleep(struct xdp_md *ctx)
{
	return *(int *)(long)ctx->data; /* nobody asked where the packet ends */
}

char LICENSE[] SEC("license") = "GPL";
