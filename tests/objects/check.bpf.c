// SPDX-License-Identifier: Apache-2.0
// Programs for `skep check`: one that needs much of Linux, one that needs nothing special.
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

SEC("xdp")
int task(struct xdp_md *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 queue = ctx->rx_queue_index + BPF_CORE_READ(task, pid);
	__u64 *count = bpf_map_lookup_elem(&seen, &queue);

	return count ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int plain(struct xdp_md *ctx)
{
	__u32 key = ctx->ingress_ifindex;
	__u64 one = 1, *count = bpf_map_lookup_elem(&seen, &key);

	if ((void *)(long)ctx->data + 14 > (void *)(long)ctx->data_end)
		return XDP_DROP;
	if (!count)
		return bpf_map_update_elem(&seen, &key, &one, BPF_NOEXIST) ? XDP_DROP : XDP_PASS;
	*count += 1;
	return XDP_PASS;
}

SEC("xdp")
int gives_up(struct xdp_md *ctx)
{
	__u32 key = ctx->ingress_ifindex;
	__u64 *count = bpf_map_lookup_elem(&seen, &key);

	if (!count)
		return XDP_ABORTED;
	return *count & 1 ? XDP_TX : XDP_PASS;
}

// What guards itself: by the helper's number, by the field, by the release.
struct xdp_md___later {
	__u32 egress_ifindex;
} __attribute__((preserve_access_index));

struct nowhere___yet {
	int it;
} __attribute__((preserve_access_index));

extern int LINUX_KERNEL_VERSION __kconfig;

SEC("xdp/devmap")
int guarded(struct xdp_md *ctx)
{
	struct xdp_md___later *later = (void *)ctx;
	__u64 bytes = 0;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_xdp_load_bytes))
		bpf_xdp_load_bytes(ctx, 0, &bytes, sizeof(bytes));
	if (bpf_core_field_exists(later->egress_ifindex))
		bytes += later->egress_ifindex;
	return bytes & 1 ? XDP_DROP : XDP_PASS;
}

SEC("xdp/devmap")
int unguarded(struct xdp_md *ctx)
{
	struct xdp_md___later *later = (void *)ctx;

	return later->egress_ifindex == 7 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int by_release(struct xdp_md *ctx)
{
	__u64 bytes = 0;

	if (LINUX_KERNEL_VERSION >= ((5 << 16) | (18 << 8)))
		bpf_xdp_load_bytes(ctx, 0, &bytes, sizeof(bytes));
	return bytes & 1 ? XDP_DROP : XDP_PASS;
}

// No table has that type: both ways count, but on eBPF for Windows it is surely not there.
SEC("xdp")
int either_way(struct xdp_md *ctx)
{
	__u64 bytes = 0;

	if (bpf_core_type_exists(struct nowhere___yet))
		bpf_xdp_load_bytes(ctx, 0, &bytes, sizeof(bytes));
	else
		bytes = bpf_xdp_get_buff_len(ctx);
	return bytes & 1 ? XDP_DROP : XDP_PASS;
}

// Verdicts that no constant in r0 shows: in a register over calls, of a function, in the flags of redirect_map.
SEC("xdp")
int keeps(struct xdp_md *ctx)
{
	int verdict = XDP_ABORTED;
	__u32 key = 0;

	for (key = 0; key < 3; key++) {
		__u64 *count = bpf_map_lookup_elem(&seen, &key);

		if (count)
			verdict = *count == 7 ? XDP_TX : XDP_PASS;
	}
	return verdict;
}

static __attribute__((noinline)) int fate(__u64 *count)
{
	return *count == 7 ? XDP_ABORTED : XDP_DROP;
}

SEC("xdp")
int asks(struct xdp_md *ctx)
{
	__u32 key = ctx->ingress_ifindex;
	__u64 *count = bpf_map_lookup_elem(&seen, &key);

	return count ? fate(count) : XDP_PASS;
}

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

SEC("xdp")
int misses(struct xdp_md *ctx)
{
	return bpf_redirect_map(&sockets, ctx->ingress_ifindex, 0);
}

SEC("xdp")
int falls_back(struct xdp_md *ctx)
{
	return bpf_redirect_map(&sockets, ctx->ingress_ifindex, XDP_PASS);
}

// Never says it: the number is compared only, and its own function's result is not returned.
SEC("xdp")
int never(struct xdp_md *ctx)
{
	__u32 key = ctx->ingress_ifindex;
	__u64 *count = bpf_map_lookup_elem(&seen, &key);

	if (count && fate(count) == XDP_ABORTED)
		return XDP_DROP;
	return XDP_PASS;
}

// An attach type may not do all that its program type may.
SEC("cgroup/connect4")
int knows_result(struct bpf_sock_addr *ctx)
{
	return bpf_get_retval() == 0;
}

SEC("cgroup/getpeername4")
int learns_no_result(struct bpf_sock_addr *ctx)
{
	bpf_get_retval();
	return 1;
}

// Linux 5.7 has the helper; it came to classifiers after 6.12.
SEC("tc")
int names_netns(struct __sk_buff *skb)
{
	return bpf_get_netns_cookie(skb) & 1 ? 2 : 0;
}

SEC("cgroup/connect6")
int may_name_netns(struct bpf_sock_addr *ctx)
{
	return bpf_get_netns_cookie(ctx) & 1;
}

char LICENSE[] SEC("license") = "GPL";
