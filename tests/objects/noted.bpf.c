// SPDX-License-Identifier: Apache-2.0
// A program as a newcomer writes it (docs/guide.md): one source, compiled once, run on both systems. Beside libbpf's
// headers a note says that the numbers are Linux'; with SKEP_WINDOWS the other system's header says it by itself.
#ifdef SKEP_WINDOWS
#include <skep/bpf/windows.h>
#else
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <skep/bpf/note.h>

SKEP_BPF_PERSONALITY(SKEP_BPF_LINUX);
#endif

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, unsigned int);
	__type(value, unsigned long long);
} refused SEC(".maps");

// Names are asked of 10.0.0.1 alone.
SEC("cgroup/connect4")
int names(struct bpf_sock_addr *ctx)
{
	unsigned int address = ctx->user_ip4;
	unsigned long long one = 1, *count;

	if (ctx->protocol != 17 || ctx->user_port != bpf_htons(53) || address == bpf_htonl(0x0a000001))
		return 1;
#ifdef PRINT
	bpf_printk("asked %x", bpf_ntohl(address));
#endif
	count = bpf_map_lookup_elem(&refused, &address);
	if (count)
		*count += 1;
	else
		bpf_map_update_elem(&refused, &address, &one, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
