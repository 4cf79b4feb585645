// SPDX-License-Identifier: Apache-2.0
// One xdp program per question to the Windows personality; answers go into `answers` by number
// (tests/command/windows_test.py says what they must be). Compiled with that system's numbers.
#include <skep/bpf/windows.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 32);
	__type(key, uint32_t);
	__type(value, int64_t);
} answers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, uint64_t);
} small SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, uint32_t);
	__type(value, uint32_t);
} stages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__type(value, uint32_t);
} line SEC(".maps");

static __always_inline void answer(uint32_t number, int64_t value)
{
	int64_t *slot = bpf_map_lookup_elem(&answers, &number);

	if (slot)
		*slot = value;
}

SEC("xdp")
int results(xdp_md_t *ctx)
{
	uint32_t one = 1, two = 2, out = 0;
	uint64_t value = 7, *taken;

	answer(0, bpf_map_delete_elem(&small, &one));                        // not there: -19
	answer(1, bpf_map_update_elem(&small, &one, &value, BPF_EXIST));     // not there: -19
	answer(2, bpf_map_update_elem(&small, &one, &value, BPF_NOEXIST));   // 0
	answer(3, bpf_map_update_elem(&small, &one, &value, BPF_NOEXIST));   // there: -26
	answer(4, bpf_map_update_elem(&small, &two, &value, BPF_ANY));       // full: -29
	answer(5, bpf_map_update_elem(&small, &one, &value, 9));             // flags: -6
	taken = bpf_map_lookup_and_delete_elem(&small, &one);
	answer(6, taken ? (int64_t)*taken : -1);                             // 7
	answer(7, bpf_map_lookup_and_delete_elem(&small, &one) != 0);        // 0: gone
	answer(8, bpf_map_pop_elem(&line, &out));                            // empty: -19
	answer(9, bpf_map_push_elem(&line, &two, 0));                        // 0
	answer(10, bpf_map_push_elem(&line, &two, 0));                       // full: -29
	answer(11, bpf_xdp_adjust_head(ctx, 4096));                          // beyond the packet: -6
	answer(13, bpf_tail_call(ctx, &stages, 0));                          // nothing there: -6
	return XDP_PASS;
}

SEC("xdp")
int strings(xdp_md_t *ctx)
{
	char to[8] = "ab", from[8] = "xyz";

	answer(0, bpf_strncat_s(to, sizeof(to), from, sizeof(from)));  // 0
	answer(1, bpf_strnlen_s(to, sizeof(to)));                      // 5
	answer(2, bpf_strncpy_s(to, 3, from, 3));                      // no room: 34, positive there too
	answer(3, bpf_strnlen_s(to, sizeof(to)));                      // 0
	answer(4, bpf_memcpy_s(to, 2, from, 4));                       // 34
	answer(5, bpf_memcpy_s(to, sizeof(to), from, sizeof(from)));   // 0
	answer(6, bpf_memcmp_s(to, 3, from, 3));                       // 0
	from[1] = 'a';
	answer(7, bpf_memcmp_s(to, 3, from, 3));                       // 1
	bpf_memset(to, sizeof(to), 0x41);
	answer(8, to[7]);                                              // 65
	answer(9, bpf_is_current_admin(ctx));
	answer(10, (int64_t)bpf_get_current_pid_tgid());
	return XDP_PASS;
}

// Every number an xdp program can answer with, by the packet's first byte.
SEC("xdp")
int verdicts(xdp_md_t *ctx)
{
	uint8_t *data = ctx->data, *end = ctx->data_end;

	if (data + 1 > end)
		return XDP_DROP;
	return data[0];
}

SEC("xdp")
int prints(xdp_md_t *ctx)
{
	bpf_printk("no value");
	bpf_printk("%d value", 1);
	bpf_printk("%d %d values", 2, 3);
	bpf_printk("%u %x %d values", bpf_htons(0x0100), bpf_htonl(0x12345678), (int)(ctx->data_end - ctx->data));
	return XDP_PASS;
}

SEC("xdp")
int view(xdp_md_t *ctx)
{
	answer(0, (int64_t)(ctx->data_end - ctx->data));
	answer(1, ctx->ingress_ifindex);
	answer(2, (int64_t)((uint64_t)ctx->data - ctx->data_meta));
	if (bpf_xdp_adjust_head(ctx, 14) == 0)
		answer(3, (int64_t)(ctx->data_end - ctx->data));
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Apache-2.0";
