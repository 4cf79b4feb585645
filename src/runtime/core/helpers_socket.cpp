// SPDX-License-Identifier: Apache-2.0
// Helpers about the socket behind a context (net/core/filter.c). Hooks that have sockets name them in the context; no
// packet here belongs to one.
#include "platform/host_context.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime::helpers {

/// bpf_get_socket_cookie_sock_addr, _sock_ops; for packets the kernel's answer where skb->sk is null.
SKEP_HELPER(get_socket_cookie) {
    const platform::ProgramType type = run_of(context).type;
    if (type == platform::ProgramType::CgroupSockAddr) return pointer<const platform::HostSockAddr>(r1)->socket_cookie;
    if (type == platform::ProgramType::SockOps) return pointer<const platform::HostSockOps>(r1)->socket_cookie;
    return 0;
}

}  // namespace skep::runtime::helpers
