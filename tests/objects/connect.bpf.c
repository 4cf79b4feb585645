// SPDX-License-Identifier: Apache-2.0
// Programs about addresses, from one source for both systems: with SKEP_WINDOWS every number and offset is Windows'.
#ifdef SKEP_WINDOWS
#include <skep/bpf/windows.h>
typedef struct bpf_sock_addr address_t;
#define PORT(ctx) ((ctx)->user_port)
#define FAMILY(ctx) ((ctx)->family)
#define AF_INET6 23
#define LOCAL_PORT(ctx) NETWORK_PORT((ctx)->local_port)
#define REMOTE_PORT(ctx) NETWORK_PORT((ctx)->remote_port)
#else
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
typedef struct bpf_sock_addr address_t;
#define PORT(ctx) ((ctx)->user_port)
#define FAMILY(ctx) ((ctx)->user_family)
#define AF_INET6 10
#define LOCAL_PORT(ctx) ((ctx)->local_port)
#define REMOTE_PORT(ctx) NETWORK_PORT((ctx)->remote_port >> 16)
#endif

#define NETWORK_PORT(port) ((unsigned short)((port) >> 8 | ((port) & 0xff) << 8))

// Refuses port 25 to anybody but 10.0.0.1, sends port 8080 to 80, lets the rest through.
SEC("cgroup/connect4")
int connect4(address_t *ctx)
{
	unsigned int address = ctx->user_ip4, port = PORT(ctx);

	if (FAMILY(ctx) != 2)
		return 0;
	if (port == NETWORK_PORT(25))
		return address == 0x0100000a;
	if (port == NETWORK_PORT(8080))
		PORT(ctx) = NETWORK_PORT(80);
	return 1;
}

SEC("cgroup/connect6")
int connect6(address_t *ctx)
{
	return FAMILY(ctx) == AF_INET6 && ctx->user_ip6[3] == 0x01000000 && ctx->user_ip6[0] == 0 && ctx->protocol == 6;
}

// Answers 1 for IPv6 from port 80 to port 443.
SEC("sockops")
int ports(struct bpf_sock_ops *ctx)
{
	return ctx->family == AF_INET6 && LOCAL_PORT(ctx) == 80 && REMOTE_PORT(ctx) == 443;
}

// Lets one socket through; all 64 bits of its name count.
SEC("cgroup/connect4")
int one_socket(address_t *ctx)
{
	return bpf_get_socket_cookie(ctx) == 0x500000007ull;
}

// Answers the lower half of the socket's name.
SEC("sockops")
int socket_name(struct bpf_sock_ops *ctx)
{
	return (int)bpf_get_socket_cookie(ctx);
}

char LICENSE[] SEC("license") = "GPL";
