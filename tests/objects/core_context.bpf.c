// SPDX-License-Identifier: Apache-2.0
// One program for both systems' structures: fields of its context are found by name (CO-RE), wherever the target has
// them and however wide they are there; what only one system has is asked for first.
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct xdp_md {
	__u32 rx_queue_index;
	__u32 ingress_ifindex;
} __attribute__((preserve_access_index));

__u32 ifindex, queue = 77, size, offset;

SEC("xdp")
int adapts(struct xdp_md *ctx)
{
	ifindex = ctx->ingress_ifindex;
	offset = bpf_core_field_offset(ctx->ingress_ifindex);
	size = bpf_core_type_size(struct xdp_md);
	if (bpf_core_field_exists(ctx->rx_queue_index))
		queue = ctx->rx_queue_index;
	return 3; // tx, on both systems
}

SEC("xdp")
int insists(struct xdp_md *ctx)
{
	queue = ctx->rx_queue_index;
	return 3;
}
