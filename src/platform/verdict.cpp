// SPDX-License-Identifier: Apache-2.0
// Look-ups in verdict.def.
#include "platform/verdict.hpp"

#include <algorithm>

namespace skep::platform {
namespace {

enum class Family : uint8_t { Xdp, Tc, Socket, SockAddr, SockOps, Bind, Process };

constexpr int64_t none = INT64_MIN;
constexpr uint8_t C = 1, A = 2;  // classifiers, actions

struct VerdictRow {
    Family family;
    Verdict verdict;
    const char* text;
    int64_t linux_number, windows_number;
    uint8_t by;
};

constexpr VerdictRow rows[] = {
#define VERDICT(family, name, text, linux_number, windows_number, by) \
    {Family::family, Verdict::family##name, text, linux_number, windows_number, by},
#include "platform/verdict.def"
#undef VERDICT
};

constexpr Verdict xdp_verdicts[] = {Verdict::XdpAborted, Verdict::XdpDrop, Verdict::XdpPass, Verdict::XdpTx,
                                    Verdict::XdpRedirect};
constexpr Verdict cls_verdicts[] = {Verdict::TcUnspec, Verdict::TcOk,       Verdict::TcShot,
                                    Verdict::TcStolen, Verdict::TcRedirect, Verdict::TcTrap};
constexpr Verdict act_verdicts[] = {Verdict::TcUnspec, Verdict::TcOk,   Verdict::TcReclassify,
                                    Verdict::TcShot,   Verdict::TcPipe, Verdict::TcRedirect};
constexpr Verdict socket_verdicts[] = {Verdict::SocketDrop, Verdict::SocketKeep};
constexpr Verdict address_verdicts[] = {Verdict::SockAddrReject, Verdict::SockAddrProceed,
                                        Verdict::SockAddrProceedHard};
constexpr Verdict sock_ops_verdicts[] = {Verdict::SockOpsReply};
constexpr Verdict bind_verdicts[] = {Verdict::BindPermitSoft, Verdict::BindDeny, Verdict::BindRedirect,
                                     Verdict::BindPermitHard};
constexpr Verdict process_verdicts[] = {Verdict::ProcessAllow, Verdict::ProcessRefuse};

Verdict find(Family family, Personality personality, int64_t number, uint8_t by, Verdict otherwise) {
    for (const VerdictRow& row : rows) {
        const int64_t n = personality == Personality::Linux ? row.linux_number : row.windows_number;
        if (row.family == family && n == number && (by == 0 || (row.by & by) != 0)) return row.verdict;
    }
    return otherwise;
}

}  // namespace

const char* verdict_name(Verdict verdict) { return rows[static_cast<uint8_t>(verdict)].text; }

Outcome outcome_of(ProgramType type, Personality personality, uint64_t r0, uint32_t packet_bytes) {
    const auto low = static_cast<uint32_t>(r0);  // the kernel's bpf_prog_run returns u32
    if (type == ProgramType::Xdp) {              // bpf_warn_invalid_xdp_action, then as aborted
        // A number that means nothing: the kernel aborts, eBPF for Windows drops.
        const Verdict otherwise = personality == Personality::Linux ? Verdict::XdpAborted : Verdict::XdpDrop;
        return {find(Family::Xdp, personality, low, 0, otherwise)};
    }
    if (type == ProgramType::SocketFilter) {  // sk_filter_trim_cap
        if (low == 0) return {Verdict::SocketDrop};
        return {Verdict::SocketKeep, std::min(low, packet_bytes)};
    }
    if (type == ProgramType::CgroupSockAddr) {  // Linux' bind hooks: bit 1 is a flag beside the verdict
        const uint32_t number = personality == Personality::Linux ? low & 1 : low;
        return {find(Family::SockAddr, personality, number, 0, Verdict::SockAddrReject)};
    }
    if (type == ProgramType::SockOps) return {Verdict::SockOpsReply};
    if (type == ProgramType::Bind) return {find(Family::Bind, personality, low, 0, Verdict::BindDeny)};
    if (type == ProgramType::Process) return {find(Family::Process, personality, low, 0, Verdict::ProcessRefuse)};
    const uint8_t by = type == ProgramType::SchedAct ? A : C;
    return {find(Family::Tc, personality, static_cast<int32_t>(low), by, Verdict::TcUnspec)};
}

std::span<const Verdict> verdicts_of(ProgramType type) {
    if (type == ProgramType::Xdp) return xdp_verdicts;
    if (type == ProgramType::SchedCls) return cls_verdicts;
    if (type == ProgramType::SchedAct) return act_verdicts;
    if (type == ProgramType::SocketFilter) return socket_verdicts;
    if (type == ProgramType::CgroupSockAddr) return address_verdicts;
    if (type == ProgramType::SockOps) return sock_ops_verdicts;
    if (type == ProgramType::Bind) return bind_verdicts;
    if (type == ProgramType::Process) return process_verdicts;
    return {};
}

bool lets_pass(Verdict verdict) {
    switch (verdict) {
        case Verdict::XdpPass:
        case Verdict::TcUnspec:
        case Verdict::TcOk:
        case Verdict::TcReclassify:
        case Verdict::TcPipe:
        case Verdict::SocketKeep:
        case Verdict::SockAddrProceed:
        case Verdict::SockAddrProceedHard:
        case Verdict::SockOpsReply:
        case Verdict::BindPermitSoft:
        case Verdict::BindRedirect:
        case Verdict::BindPermitHard:
        case Verdict::ProcessAllow: return true;
        case Verdict::XdpAborted:
        case Verdict::XdpDrop:
        case Verdict::XdpTx:
        case Verdict::XdpRedirect:
        case Verdict::TcShot:
        case Verdict::TcStolen:
        case Verdict::TcQueued:
        case Verdict::TcRepeat:
        case Verdict::TcRedirect:
        case Verdict::TcTrap:
        case Verdict::SockAddrReject:
        case Verdict::BindDeny:
        case Verdict::ProcessRefuse:
        case Verdict::SocketDrop: return false;
    }
    return false;
}

}  // namespace skep::platform
