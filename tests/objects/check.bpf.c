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

char LICENSE[] SEC("license") = "GPL";
