// SPDX-License-Identifier: Apache-2.0
// A load balancer for TCP and UDP over IPv4 in XDP. Packets to a virtual address get the address of a backend, chosen by
// rendezvous hashing of the client, and leave by the interface they came from; answers of backends get the virtual
// address back. Checksums are updated from the bytes that change, not computed anew.
#include "../packet.h"

#define MAX_BACKENDS 64
#define BACKENDS_PER_SERVICE 16

struct ipv4 {
	__u8 bytes[4]; // in network byte order
} __attribute__((aligned(4)));

struct endpoint {
	struct ipv4 address;
	__u16 port;
	__u8 protocol;
	__u8 pad;
};

struct service {
	__u32 number;
	__u32 first_backend; // in `backends`
	__u32 backend_count; // at most BACKENDS_PER_SERVICE
};

struct backend {
	struct ipv4 address;
	__u16 port;
	__u8 mac[6];
	__u32 drained; // not zero: no new clients
};

// What a backend's answer is matched with.
struct session_key {
	struct ipv4 client, backend;
	__u16 client_port, backend_port;
	__u32 protocol;
};

struct session {
	struct ipv4 address; // of the service
	__u16 port;
	__u8 client_mac[6];
};

struct counter {
	__u64 packets, bytes;
};

enum total {
	TOTAL_PASSED,
	TOTAL_FORWARDED,
	TOTAL_RETURNED,
	TOTAL_NO_BACKEND,
	TOTAL_COUNT,
};

const volatile __u32 hash_seed = 0x5bd1e995;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct endpoint);
	__type(value, struct service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct session_key);
	__type(value, struct session);
} sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct counter);
} per_backend SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TOTAL_COUNT);
	__type(key, enum total);
	__type(value, struct counter);
} totals SEC(".maps");

// The headers of one packet, all inside it.
struct headers {
	struct ethhdr *eth;
	struct iphdr *ip;
	__be16 *ports;       // source, destination
	__sum16 *checksum;   // of the transport header
	int may_be_unsummed; // UDP: a checksum of zero means there is none
};

static __always_inline int find_headers(struct headers *h, void *data, void *end)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return 0;
	// Options and fragments are left alone: their ports are elsewhere.
	if (ip->ihl != 5 || (ip->frag_off & bpf_htons(0x3fff)))
		return 0;
	h->eth = eth;
	h->ip = ip;
	if (ip->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = (void *)(ip + 1);

		if ((void *)(tcp + 1) > end)
			return 0;
		h->ports = &tcp->source;
		h->checksum = &tcp->check;
		h->may_be_unsummed = 0;
		return 1;
	}
	if (ip->protocol == IPPROTO_UDP) {
		struct udphdr *udp = (void *)(ip + 1);

		if ((void *)(udp + 1) > end)
			return 0;
		h->ports = &udp->source;
		h->checksum = &udp->check;
		h->may_be_unsummed = 1;
		return 1;
	}
	return 0;
}

// RFC 1624, equation 3, with the folded sum of bpf_csum_diff(): what a checksum becomes when `from` becomes `to`.
static __always_inline __sum16 updated(__sum16 checksum, __be32 *from, __u32 from_bytes, __be32 *to, __u32 to_bytes)
{
	__u32 sum = bpf_csum_diff(from, from_bytes, to, to_bytes, (__u16)~checksum);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline __be32 word_of(const struct ipv4 *address)
{
	return *(const __be32 *)address;
}

static __always_inline struct ipv4 ipv4_of(__be32 word)
{
	struct ipv4 address;

	__builtin_memcpy(&address, &word, sizeof(address));
	return address;
}

// Replaces an address and a port, and mends both checksums.
static __always_inline void rewrite(struct headers *h, __be32 *address, const struct ipv4 *new_address, __be16 *port,
				    __u16 new_port)
{
	__be32 from[2] = {*address, *port};
	__be32 to[2] = {word_of(new_address), bpf_htons(new_port)};

	h->ip->check = updated(h->ip->check, from, 4, to, 4);
	if (!h->may_be_unsummed || *h->checksum) {
		__sum16 sum = updated(*h->checksum, from, 8, to, 8);

		*h->checksum = h->may_be_unsummed && !sum ? 0xffff : sum;
	}
	*address = to[0];
	*port = to[1];
}

static __always_inline void send_to(struct headers *h, const __u8 *mac)
{
	__builtin_memcpy(h->eth->h_source, h->eth->h_dest, ETH_ALEN);
	__builtin_memcpy(h->eth->h_dest, mac, ETH_ALEN);
}

// murmur3's finisher over the client and a backend.
static __always_inline __u32 score(__be32 client, __u16 port, __be32 backend, __u16 backend_port)
{
	__u32 h = hash_seed ^ client;

	h = (h ^ (h >> 16)) * 0x85ebca6b;
	h ^= ((__u32)port << 16) | backend_port;
	h = (h ^ (h >> 13)) * 0xc2b2ae35;
	h ^= backend;
	h = (h ^ (h >> 16)) * 0x85ebca6b;
	return h ^ (h >> 13);
}

// The backend with the highest score; a backend that comes or goes moves its own clients only.
static __always_inline struct backend *choose(const struct service *service, __be32 client, __u16 port, __u32 *chosen)
{
	struct backend *best = 0;
	__u32 best_score = 0;

	for (__u32 i = 0; i < BACKENDS_PER_SERVICE; i++) {
		__u32 number = service->first_backend + i;
		struct backend *backend;
		__u32 s;

		if (i >= service->backend_count)
			break;
		backend = bpf_map_lookup_elem(&backends, &number);
		if (!backend || !backend->port || backend->drained)
			continue;
		s = score(client, port, word_of(&backend->address), backend->port);
		if (best && s <= best_score)
			continue;
		best = backend;
		best_score = s;
		*chosen = number;
	}
	return best;
}

static __always_inline int count(enum total which, __u64 bytes, int verdict)
{
	struct counter *counter = bpf_map_lookup_elem(&totals, &which);

	if (counter) {
		counter->packets += 1;
		counter->bytes += bytes;
	}
	return verdict;
}

SEC("xdp")
int balancer(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u64 bytes = end - data;
	struct headers h;
	struct service *service;
	struct session *session;

	if (!find_headers(&h, data, end))
		return count(TOTAL_PASSED, bytes, XDP_PASS);

	__u16 source_port = bpf_ntohs(h.ports[0]), destination_port = bpf_ntohs(h.ports[1]);
	struct endpoint to = {
		.address = ipv4_of(h.ip->daddr),
		.port = destination_port,
		.protocol = h.ip->protocol,
	};

	service = bpf_map_lookup_elem(&services, &to);
	if (service) {
		__u32 number = 0;
		struct backend *backend = choose(service, h.ip->saddr, source_port, &number);
		struct counter *counter;

		if (!backend)
			return count(TOTAL_NO_BACKEND, bytes, XDP_DROP);

		struct session_key key = {
			.client = ipv4_of(h.ip->saddr),
			.backend = backend->address,
			.client_port = source_port,
			.backend_port = backend->port,
			.protocol = h.ip->protocol,
		};
		struct session value = {.address = to.address, .port = to.port};

		__builtin_memcpy(value.client_mac, h.eth->h_source, ETH_ALEN);
		bpf_map_update_elem(&sessions, &key, &value, BPF_ANY);
		rewrite(&h, &h.ip->daddr, &backend->address, &h.ports[1], backend->port);
		send_to(&h, backend->mac);
		counter = bpf_map_lookup_elem(&per_backend, &number);
		if (counter) {
			counter->packets += 1;
			counter->bytes += bytes;
		}
		return count(TOTAL_FORWARDED, bytes, XDP_TX);
	}

	struct session_key key = {
		.client = ipv4_of(h.ip->daddr),
		.backend = ipv4_of(h.ip->saddr),
		.client_port = destination_port,
		.backend_port = source_port,
		.protocol = h.ip->protocol,
	};

	session = bpf_map_lookup_elem(&sessions, &key);
	if (!session)
		return count(TOTAL_PASSED, bytes, XDP_PASS);
	rewrite(&h, &h.ip->saddr, &session->address, &h.ports[0], session->port);
	send_to(&h, session->client_mac);
	return count(TOTAL_RETURNED, bytes, XDP_TX);
}

char LICENSE[] SEC("license") = "Apache-2.0";
