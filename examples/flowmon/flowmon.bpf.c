// SPDX-License-Identifier: MIT OR GPL-2.0-only
// A flow monitor: packets and bytes of each flow in both directions, an event with the first bytes of every new flow.
// For XDP, which both systems have; with FLOWMON_TC for tc, which sees outgoing packets, too, on Linux.
// (Perf events may be sent by GPL-compatible programs only, hence the licence of this file.)
#include "../packet.h"

#ifdef FLOWMON_TC
#define SECTION "tc"
#define CONTEXT struct __sk_buff
#define LET_PASS 0 // TC_ACT_OK
#else
#define SECTION "xdp"
#define CONTEXT struct xdp_md
#define LET_PASS XDP_PASS
#endif
#define SAMPLE_BYTES 64

struct flow_key {
	struct address low, high; // the lower address first, so that both directions are one flow
	__u16 low_port, high_port;
	__u16 vlan;
	__u8 family;
	__u8 protocol;
};

struct flow {
	__u64 packets[2]; // [0] sent by low, [1] sent by high
	__u64 bytes[2];
	__u32 tcp_flags;  // every flag that was seen
	__u32 first_by_high;
};

struct new_flow {
	struct flow_key key;
	__u32 length; // of the packet; its first bytes follow the event
};

struct totals {
	__u64 packets, bytes, flows, not_ip, cut;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} new_flows SEC(".maps");

// Nobody reads it: it brings the event's type into the object's BTF.
const struct new_flow *new_flow_type __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct totals);
} totals SEC(".maps");

// Whether the sender is the flow's high end: the one with the larger address, then the larger port.
static __always_inline int is_high(const struct packet *p)
{
	const __be32 *sources = (const void *)&p->source, *destinations = (const void *)&p->destination;

	for (int i = 0; i < 4; i++) {
		__u32 source = bpf_ntohl(sources[i]), destination = bpf_ntohl(destinations[i]);

		if (source != destination)
			return source > destination;
	}
	return p->source_port > p->destination_port;
}

// Fills the key; whether the sender is the flow's high end. Not inlined, for the sake of the 512 bytes of stack.
static __noinline int make_key(struct flow_key *key, const struct packet *p)
{
	int by_high = is_high(p);

	key->low = by_high ? p->destination : p->source;
	key->high = by_high ? p->source : p->destination;
	key->low_port = by_high ? p->destination_port : p->source_port;
	key->high_port = by_high ? p->source_port : p->destination_port;
	key->vlan = p->vlan;
	key->family = p->family;
	key->protocol = p->protocol;
	return by_high;
}

static __noinline void announce(CONTEXT *ctx, const struct flow_key *key, __u32 length)
{
	struct new_flow event = {.key = *key, .length = length};
	__u64 sample = length < SAMPLE_BYTES ? length : SAMPLE_BYTES;

	bpf_perf_event_output(ctx, &new_flows, (sample << 32) | BPF_F_CURRENT_CPU, &event, sizeof(event));
}

// How long the packet is, with its headers in one piece from ctx->data on.
static __always_inline __u32 ready_packet(CONTEXT *ctx)
{
#ifdef FLOWMON_TC
	// A packet may lie in pieces; the headers must be in the first.
	__u32 wanted = 128, length = ctx->len;

	bpf_skb_pull_data(ctx, length < wanted ? length : wanted);
	return length;
#else
	return (void *)(long)ctx->data_end - (void *)(long)ctx->data;
#endif
}

SEC(SECTION)
int flowmon(CONTEXT *ctx)
{
	__u32 zero = 0, length = ready_packet(ctx);
	struct packet packet = {};
	struct flow_key key = {};
	struct totals *total;
	struct flow *flow;
	int kind, by_high;

	kind = read_packet(&packet, (void *)(long)ctx->data, (void *)(long)ctx->data_end);

	total = bpf_map_lookup_elem(&totals, &zero);
	if (!total)
		return LET_PASS;
	total->packets += 1;
	total->bytes += length;
	if (kind != PACKET_IP) {
		if (kind == PACKET_OTHER)
			total->not_ip += 1;
		else
			total->cut += 1;
		return LET_PASS;
	}

	by_high = make_key(&key, &packet);
	flow = bpf_map_lookup_elem(&flows, &key);
	if (flow) {
		__sync_fetch_and_add(&flow->packets[by_high & 1], 1);
		__sync_fetch_and_add(&flow->bytes[by_high & 1], length);
		flow->tcp_flags |= packet.tcp_flags;
		return LET_PASS;
	}
	struct flow first = {.tcp_flags = packet.tcp_flags, .first_by_high = by_high};

	first.packets[0] = !by_high;
	first.packets[1] = by_high;
	first.bytes[0] = by_high ? 0 : length;
	first.bytes[1] = by_high ? length : 0;
	if (!bpf_map_update_elem(&flows, &key, &first, BPF_NOEXIST)) {
		total->flows += 1;
		announce(ctx, &key, length);
	}
	return LET_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
