// SPDX-License-Identifier: Apache-2.0
// An XDP firewall: addresses by longest prefix, ports by exact match, a SYN guard per source, counters, events.
#include "../packet.h"

enum reason {
	REASON_PASS,           // no rule said otherwise
	REASON_NOT_IP,         // ARP and the like: passed
	REASON_ALLOWED_PORT,   // a port rule lets it in, whatever follows
	REASON_BLOCKED_SOURCE, // the source lies in a blocked network
	REASON_BLOCKED_PORT,   // a port rule keeps it out
	REASON_SYN_LIMIT,      // the source opened too many connections
	REASON_CUT,            // headers do not fit into the packet
	REASON_COUNT,
};

enum port_action {
	PORT_ALLOW = 1,
	PORT_DROP = 2,
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

struct network4 {
	__u32 prefix_bits;
	__u8 address[4];
};

struct network6 {
	__u32 prefix_bits;
	__u8 address[16];
};

struct port_key {
	__u16 port;
	__u8 protocol;
	__u8 pad;
};

struct event {
	__u64 time_ns;
	enum reason reason;
	__u32 rule; // number of the network's rule, zero without one
	struct address source, destination;
	__u16 source_port, destination_port;
	__u16 length;
	__u8 family;
	__u8 protocol;
};

// Loaders may change these before the program is loaded.
const volatile __u32 syn_limit = 64;      // connections a source may open; 0: any number
const volatile __u32 report_drops = 1;    // send an event for each dropped packet
const volatile __u32 drop_cut_packets = 1;

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
#ifndef SKEP_WINDOWS
	__uint(map_flags, BPF_F_NO_PREALLOC);
#endif
	__uint(max_entries, 1024);
	__type(key, struct network4);
	__type(value, __u32);
} blocked4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
#ifndef SKEP_WINDOWS
	__uint(map_flags, BPF_F_NO_PREALLOC);
#endif
	__uint(max_entries, 1024);
	__type(key, struct network6);
	__type(value, __u32);
} blocked6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct port_key);
	__type(value, __u32);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct address);
	__type(value, __u32);
} syns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASON_COUNT);
	__type(key, enum reason);
	__type(value, struct counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

// Nobody reads it: it brings the event's type into the object's BTF, so that readers can show events by field names.
const struct event *event_type __attribute__((unused));

static __always_inline __u32 *find_network(const struct packet *p)
{
	if (p->family == 4) {
		struct network4 key = {.prefix_bits = 32};

		__builtin_memcpy(key.address, p->source.bytes, 4);
		return bpf_map_lookup_elem(&blocked4, &key);
	}
	struct network6 key = {.prefix_bits = 128};

	__builtin_memcpy(key.address, p->source.bytes, 16);
	return bpf_map_lookup_elem(&blocked6, &key);
}

static __always_inline int opens_too_many(const struct packet *p)
{
	__u32 one = 1, *count;

	// SYN without ACK
	if (!syn_limit || p->protocol != IPPROTO_TCP || (p->tcp_flags & 0x12) != 0x02)
		return 0;
	count = bpf_map_lookup_elem(&syns, &p->source);
	if (!count) {
		bpf_map_update_elem(&syns, &p->source, &one, BPF_ANY);
		return 0;
	}
	if (*count >= syn_limit)
		return 1;
	__sync_fetch_and_add(count, 1);
	return 0;
}

static __always_inline enum reason judge(const struct packet *p, __u32 *rule)
{
	struct port_key key = {.port = p->destination_port, .protocol = p->protocol};
	__u32 *action, *network;

	network = find_network(p);
	if (network) {
		*rule = *network;
		return REASON_BLOCKED_SOURCE;
	}
	action = p->has_ports ? bpf_map_lookup_elem(&ports, &key) : 0;
	if (action && *action == PORT_DROP)
		return REASON_BLOCKED_PORT;
	if (opens_too_many(p))
		return REASON_SYN_LIMIT;
	return action && *action == PORT_ALLOW ? REASON_ALLOWED_PORT : REASON_PASS;
}

static __always_inline void report(const struct packet *p, enum reason reason, __u32 rule, __u64 length)
{
	// Copied into the ring: both systems have that; room in the ring itself (bpf_ringbuf_reserve) only Linux lends.
	struct event event = {
		.time_ns = bpf_ktime_get_ns(),
		.reason = reason,
		.rule = rule,
		.source = p->source,
		.destination = p->destination,
		.source_port = p->source_port,
		.destination_port = p->destination_port,
		.length = length,
		.family = p->family,
		.protocol = p->protocol,
	};

	bpf_ringbuf_output(&events, &event, sizeof(event), 0);
}

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct packet packet = {};
	enum reason reason = REASON_PASS;
	__u32 rule = 0;
	struct counter *counter;
	int drop;

	switch (read_packet(&packet, data, end)) {
	case PACKET_OTHER:
		reason = REASON_NOT_IP;
		break;
	case PACKET_CUT:
		reason = REASON_CUT;
		break;
	default:
		reason = judge(&packet, &rule);
	}
	drop = reason >= REASON_BLOCKED_SOURCE && (reason != REASON_CUT || drop_cut_packets);

	counter = bpf_map_lookup_elem(&counters, &reason);
	if (counter) {
		counter->packets += 1;
		counter->bytes += end - data;
	}
	if (drop && report_drops)
		report(&packet, reason, rule, end - data);
	return drop ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Apache-2.0";
