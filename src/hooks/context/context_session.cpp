// SPDX-License-Identifier: Apache-2.0
#include "hooks/context/context_session.hpp"

#include <cstring>

#include "platform/context.hpp"
#include "platform/program_type.hpp"

namespace skep::hooks {

namespace {

using platform::FieldId;

uint32_t linux_word(std::span<const std::byte> context, FieldId id, unsigned word = 0) {
    uint32_t value = 0;
    std::memcpy(&value, context.data() + platform::context_field(id).host_offset + 4 * size_t{word}, 4);
    return value;
}

uint32_t windows_family(uint32_t family) { return family == 10 ? 23 : family; }
uint32_t network_port(uint32_t port) { return (port >> 8 & 0xff) | (port & 0xff) << 8; }
/// BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, PASSIVE_ESTABLISHED_CB, STATE_CB; others never reach a program there.
uint32_t windows_op(uint32_t op) { return op == 4 ? 0 : op == 5 ? 1 : op == 10 ? 2 : UINT32_MAX; }

}  // namespace

void fill_windows_view(platform::ProgramType type, std::span<std::byte> context) {
    if (type == platform::ProgramType::CgroupSockAddr) {
        platform::HostSockAddr host;
        std::memcpy(&host, context.data(), sizeof host);
        host.windows_family = windows_family(linux_word(context, FieldId::SockAddrUserFamily));
        std::memcpy(context.data(), &host, sizeof host);
    }
    if (type != platform::ProgramType::SockOps) return;
    platform::HostSockOps host;
    std::memcpy(&host, context.data(), sizeof host);
    const uint32_t family = linux_word(context, FieldId::SockOpsFamily);
    host.windows_op = windows_op(linux_word(context, FieldId::SockOpsOp));
    host.windows_family = windows_family(family);
    for (unsigned i = 0; i < 4; ++i) {
        const bool ip6 = family == 10;
        host.local_address[i] =
            ip6 || i == 0 ? linux_word(context, ip6 ? FieldId::SockOpsLocalIp6 : FieldId::SockOpsLocalIp4, i) : 0;
        host.remote_address[i] =
            ip6 || i == 0 ? linux_word(context, ip6 ? FieldId::SockOpsRemoteIp6 : FieldId::SockOpsRemoteIp4, i) : 0;
    }
    host.windows_local_port = network_port(linux_word(context, FieldId::SockOpsLocalPort));
    host.windows_remote_port = linux_word(context, FieldId::SockOpsRemotePort) >> 16;
    std::memcpy(context.data(), &host, sizeof host);
}

Result<std::unique_ptr<ContextSession>> ContextSession::open(Lanes& lanes, platform::ProgramType type,
                                                             platform::Personality personality,
                                                             const runtime::Chance& chance, const runtime::LogSink& log,
                                                             void* observer) {
    if (platform::program_type_host(type) != platform::HostedBy::Contexts)
        return Error(Errc::InvalidArgument, "programs of this type do not run on contexts that a file describes");
    std::unique_ptr<ContextSession> session(new ContextSession(lanes, personality));
    session->run_.init(type, lanes.acquire());
    session->run_.chance = chance;
    session->run_.log = log;
    session->run_.observer = observer;
    return session;
}

ContextResult ContextSession::run(const skep_entry& entry, std::span<std::byte> context) {
    run_.start();
    ContextResult result;
    result.r0 = entry.function(context.data(), &run_.context, entry.self);
    run_.finish();
    result.fault = run_.context.fault;
    result.verdict = platform::outcome_of(run_.type, personality_, result.r0, 0).verdict;
    lanes_->quiesce(lane());
    return result;
}

}  // namespace skep::hooks
