// SPDX-License-Identifier: Apache-2.0
// Programs for Windows of which everything exists on Linux, too: what `skep translate` must keep. Their answers are in
// Windows' numbers, whichever system runs them.
#include <skep/bpf/windows.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 32);
	__type(key, uint32_t);
	__type(value, int64_t);
} answers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH); // 4: on Linux a perf event array
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, uint64_t);
} small SEC(".maps");

struct network {
	uint32_t prefix_bits;
	uint8_t address[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE); // without flags, which Linux demands
	__uint(max_entries, 8);
	__type(key, struct network);
	__type(value, uint64_t);
} networks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, uint32_t);
	__type(value, uint32_t);
} stages SEC(".maps");

uint64_t seen;
const volatile uint32_t step = 1;

static __attribute__((noinline)) int store(uint32_t number, int64_t value)
{
	int64_t *slot = bpf_map_lookup_elem(&answers, &number);

	if (!slot)
		return -1;
	*slot = value;
	return 0;
}

SEC("xdp/answers")
int results(xdp_md_t *ctx)
{
	struct network key = {.prefix_bits = 8, .address = {10}};
	uint32_t one = 1, two = 2;
	uint64_t value = 7, *found;
	int64_t length = ctx->data_end - ctx->data;
#ifdef PRINT
	char format[] = "seen %d";
#endif

	asm volatile("" : "+r"(length)); // Linux lets nobody add to data_end
	seen += step;
	if (store(0, bpf_map_delete_elem(&small, &two)))                       // -19
		return XDP_DROP;
	store(1, bpf_map_update_elem(&small, &one, &value, BPF_ANY));          // 0
	store(2, bpf_map_update_elem(&small, &one, &value, BPF_NOEXIST));      // -26
	store(3, bpf_map_update_elem(&small, &two, &value, BPF_ANY));          // -29
	store(4, bpf_map_update_elem(&networks, &key, &value, BPF_ANY));       // 0
	key.prefix_bits = 32;
	found = bpf_map_lookup_elem(&networks, &key);
	store(5, found ? (int64_t)*found : -1);                                // 7
	store(6, bpf_tail_call(ctx, &stages, 0));                              // -6
	store(7, bpf_ringbuf_output(&events, &value, sizeof(value), 0));       // 0
#ifdef PRINT
	bpf_trace_printk3(format, sizeof(format), 3); // Linux has one helper for all numbers of arguments
#endif
	for (uint32_t i = 0; i < 40; i++)
		value += i;
	store(8, (int64_t)value + length);
	store(9, bpf_xdp_adjust_head(ctx, 4096) < 0);                          // 1
	return XDP_PASS;
}

// Every number an xdp program can answer with, by the packet's first byte; and numbers that mean nothing.
SEC("xdp")
int verdicts(xdp_md_t *ctx)
{
	uint8_t *data = ctx->data, *end = ctx->data_end;

	if (data + 1 > end)
		return XDP_DROP;
	return data[0];
}

SEC("xdp")
int constant(xdp_md_t *ctx)
{
	return ctx->ingress_ifindex == 7 ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
