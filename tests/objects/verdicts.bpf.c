// SPDX-License-Identifier: Apache-2.0
// Verdicts that the two systems do not share, for translation: the last byte of an address is what the program returns.
#ifdef SKEP_WINDOWS
#include <skep/bpf/windows.h>
#define NUMBER(ctx) ((ctx)->user_ip4 >> 24)
#define REPLY(ctx) ((unsigned long long)(ctx)->local_port << 32 | 5)
#else
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#define NUMBER(ctx) ((ctx)->user_ip4 >> 24 & 3)
#define REPLY(ctx) ((ctx)->family == 2)
#endif

SEC("cgroup/bind4")
unsigned long long binds(struct bpf_sock_addr *ctx)
{
	return NUMBER(ctx);
}

SEC("sockops")
unsigned long long replies(struct bpf_sock_ops *ctx)
{
	return REPLY(ctx);
}

#ifdef SKEP_WINDOWS
/* All 64 bits are set: Windows looks at the lower half, Linux' verifier at all. */
SEC("cgroup/connect4")
unsigned long long connects(struct bpf_sock_addr *ctx)
{
	return (unsigned long long)ctx->user_ip4 << 32 | NUMBER(ctx);
}
#endif

char LICENSE[] __attribute__((section("license"), used)) = "GPL";
