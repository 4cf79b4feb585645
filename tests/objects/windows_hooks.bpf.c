// SPDX-License-Identifier: Apache-2.0
// Programs of the types that eBPF for Windows has beside xdp; each leaves in `seen` what its context said.
#include <skep/bpf/windows.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, uint32_t);
	__type(value, uint64_t);
} seen SEC(".maps");

static __always_inline void see(uint32_t number, uint64_t value)
{
	uint64_t *slot = bpf_map_lookup_elem(&seen, &number);

	if (slot)
		*slot = value;
}

#define LAST_CHARACTER(start, end) ((start) + 2 <= (end) ? *(start) : 0)

// Ports below 1024 are for process 4 only; port 8080 becomes 80; the rest is nobody's business.
SEC("bind")
int binds(bind_md_t *ctx)
{
	uint16_t port = (uint16_t)(ctx->socket_address[2] << 8 | ctx->socket_address[3]);
	uint8_t *start = ctx->app_id_start, *end = ctx->app_id_end;

	see(0, start + 2 <= end ? start[0] : 0);
	see(1, ctx->socket_address_length);
	see(2, ctx->operation);
	see(3, ctx->protocol);
	if (ctx->operation != BIND_OPERATION_BIND)
		return BIND_PERMIT_SOFT;
	if (port == 8080) {
		ctx->socket_address[2] = 0;
		ctx->socket_address[3] = 80;
		return BIND_REDIRECT;
	}
	if (port < 1024)
		return ctx->process_id == 4 ? BIND_PERMIT_HARD : BIND_DENY;
	return BIND_PERMIT_SOFT;
}

// Nobody but the account "root" may start what begins with an x.
SEC("process")
int processes(process_md_t *ctx)
{
	uint8_t *start = ctx->command_start, *end = ctx->command_end;
	uint8_t path[32], account[16];
	int bytes = bpf_process_get_image_path(ctx, path, sizeof(path));

	see(0, ctx->process_id);
	see(1, ctx->parent_process_id);
	see(2, ctx->creating_process_id);
	see(3, ctx->creating_thread_id);
	see(4, ctx->creation_time);
	see(5, ctx->exit_time);
	see(6, ctx->exit_code);
	see(7, ctx->token_sid_size);
	see(8, ctx->token_sid[67]);
	see(9, (uint64_t)(int64_t)bytes);
	see(10, bytes > 0 ? path[0] : 0);
	if (ctx->operation != 0)
		return 0;
	if (start + 2 > end || start[0] != 'x')
		return 0;
	bytes = bpf_process_get_account_name(ctx, account, sizeof(account));
	if (bytes == 8 && account[0] == 'r' && account[2] == 'o' && account[4] == 'o' && account[6] == 't')
		return 0;
	return (int)0xc0000022; // STATUS_ACCESS_DENIED
}

SEC("sockops")
int connections(bpf_sock_ops_t *ctx)
{
	see(0, ctx->op);
	see(1, ctx->family);
	see(2, ctx->local_ip6[0]);
	see(3, ctx->local_ip6[3]);
	see(4, ctx->local_port);
	see(5, ctx->remote_ip6[0]);
	see(6, ctx->remote_ip6[3]);
	see(7, ctx->remote_port);
	see(8, ctx->protocol);
	see(9, ctx->compartment_id);
	see(10, ctx->interface_luid);
	see(11, bpf_sock_ops_get_flow_id(ctx));
	see(12, bpf_get_socket_cookie(ctx));
	return 0;
}

// Every field; the address decides, and a redirected connection tells where it wanted to go.
SEC("cgroup/connect6")
int connects6(bpf_sock_addr_t *ctx)
{
	uint8_t wanted[2];

	see(0, ctx->family);
	see(1, ctx->msg_src_ip6[3]);
	see(2, ctx->msg_src_port);
	see(3, ctx->user_ip6[0]);
	see(4, ctx->user_ip6[3]);
	see(5, ctx->user_port);
	see(6, ctx->protocol);
	see(7, ctx->compartment_id);
	see(8, ctx->interface_luid);
	if (ctx->user_port != 0x901f) // 8080
		return ctx->user_ip6[0] == 0 ? BPF_SOCK_ADDR_VERDICT_PROCEED_HARD : 7;
	wanted[0] = 0x1f;
	wanted[1] = 0x90;
	see(9, (uint64_t)(int64_t)bpf_sock_addr_set_redirect_context(ctx, wanted, sizeof(wanted)));
	ctx->user_port = 0x5000;
	ctx->user_ip6[3] = 0x01000000;
	return BPF_SOCK_ADDR_VERDICT_PROCEED_SOFT;
}

SEC("cgroup/recv_accept4")
int accepts4(bpf_sock_addr_t *ctx)
{
	see(0, ctx->family);
	see(1, ctx->msg_src_ip4);
	see(2, ctx->user_ip4);
	see(3, bpf_get_socket_cookie(ctx));
	return ctx->user_ip4 == 0x0100007f;
}

char LICENSE[] SEC("license") = "Apache-2.0";
