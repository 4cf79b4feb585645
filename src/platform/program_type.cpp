// SPDX-License-Identifier: Apache-2.0
// Look-ups in program_type.def, attach_type.def, sections.def and result_range.def.
#include "platform/program_type.hpp"

#include <cstddef>

namespace skep::platform {
namespace {

enum class Match : uint8_t { Exact, Under, Begin };
enum class Sleeps : uint8_t { No, Sleepable };

struct SectionRow {
    std::string_view text;
    Match match;
    SectionMeaning meaning;
};

constexpr SectionRow section_rows[] = {
#define SECTION(text, match, type, attach, sleepable) \
    {text, Match::match, {ProgramType::type, AttachType::attach, Sleeps::sleepable == Sleeps::Sleepable}},
#include "platform/sections.def"
#undef SECTION
};

struct RangeRow {
    ProgramType type;
    AttachSet attach;
    int64_t min, max;
};

// The attach types by name, for the rows' sets only.
namespace sets {
#define ATTACH_TYPE(name, text, linux_id) constexpr AttachSet name = attach_bit(AttachType::name);
#include "platform/attach_type.def"
#undef ATTACH_TYPE

constexpr RangeRow range_rows[] = {
#define RESULT_RANGE(type, attach, min, max) {ProgramType::type, attach, min, max},
#include "platform/result_range.def"
#undef RESULT_RANGE
};

constexpr AttachSet none = attach_bit(AttachType::None);

constexpr AttachSet attach_types(ProgramType type) {
    switch (type) {
        case ProgramType::CgroupSkb: return none | CgroupIngress | CgroupEgress;
        case ProgramType::CgroupSock: return SockCreate | SockRelease | PostBind4 | PostBind6;
        case ProgramType::CgroupSockAddr:
            return Bind4 | Bind6 | Connect4 | Connect6 | ConnectUnix | Sendmsg4 | Sendmsg6 | SendmsgUnix | Recvmsg4 |
                   Recvmsg6 | RecvmsgUnix | Getpeername4 | Getpeername6 | GetpeernameUnix | Getsockname4 |
                   Getsockname6 | GetsocknameUnix;
        case ProgramType::CgroupSockopt: return Getsockopt | Setsockopt;
        case ProgramType::SkSkb: return none | StreamParser | StreamVerdict | SkSkbVerdict;
        case ProgramType::SkReuseport: return ReuseportSelect | ReuseportMigrate;
        case ProgramType::SkLookup: return SkLookup;
        case ProgramType::Xdp: return none | Xdp | XdpDevmap | XdpCpumap;
        case ProgramType::SchedCls: return none | TcIngress | TcEgress | NetkitPrimary | NetkitPeer;
        case ProgramType::Kprobe: return none | KprobeMulti | KprobeSession | UprobeMulti;
        case ProgramType::Tracing: return TraceRawTp | Fentry | Fexit | ModifyReturn | Iter;
        case ProgramType::Lsm: return LsmMac | LsmCgroup;
        case ProgramType::Netfilter: return Netfilter;
        case ProgramType::SocketFilter:
        case ProgramType::SchedAct:
        case ProgramType::Tracepoint:
        case ProgramType::PerfEvent:
        case ProgramType::LwtIn:
        case ProgramType::LwtOut:
        case ProgramType::LwtXmit:
        case ProgramType::SockOps:
        case ProgramType::CgroupDevice:
        case ProgramType::SkMsg:
        case ProgramType::RawTracepoint:
        case ProgramType::LwtSeg6local:
        case ProgramType::LircMode2:
        case ProgramType::FlowDissector:
        case ProgramType::CgroupSysctl:
        case ProgramType::RawTracepointWritable:
        case ProgramType::StructOps:
        case ProgramType::Ext:
        case ProgramType::Syscall:
        case ProgramType::Bind:
        case ProgramType::Netevent:
        case ProgramType::Process:
        case ProgramType::Sample: return none;
    }
    return none;
}
}  // namespace sets

bool matches(const SectionRow& row, std::string_view section) {
    if (!section.starts_with(row.text)) return false;
    if (section.size() == row.text.size()) return true;
    const char next = section[row.text.size()];
    switch (row.match) {
        case Match::Exact: return false;
        case Match::Under: return next == '/';
        case Match::Begin: return next == '/' || next == '_';
    }
    return false;
}

}  // namespace

std::optional<ProgramType> program_type_from_linux(uint32_t id) {
    if (id == 0) return std::nullopt;
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted) \
    if (id == linux_id) return ProgramType::name;
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    return std::nullopt;
}

std::optional<ProgramType> program_type_from_name(std::string_view word) {
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted) \
    if (word == text) return ProgramType::name;
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    if (word == "tc" || word == "classifier" || word == "tcx") return ProgramType::SchedCls;
    if (word == "action") return ProgramType::SchedAct;
    if (word == "socket") return ProgramType::SocketFilter;
    return std::nullopt;
}

std::optional<AttachType> attach_type_from_name(std::string_view word) {
    for (unsigned i = 1; i < attach_type_count; ++i)
        if (word == attach_type_name(static_cast<AttachType>(i))) return static_cast<AttachType>(i);
    return std::nullopt;
}

AttachSet attach_types_of(ProgramType type) { return sets::attach_types(type); }

AttachType default_attach(ProgramType type) {
    if (type == ProgramType::CgroupSock) return AttachType::SockCreate;
    if (type == ProgramType::SkReuseport) return AttachType::ReuseportSelect;
    if (type == ProgramType::SkLookup) return AttachType::SkLookup;
    if (type == ProgramType::Xdp) return AttachType::Xdp;
    if (type == ProgramType::Netfilter) return AttachType::Netfilter;
    return AttachType::None;
}

ResultRange result_range(ProgramType type, AttachType attach, Personality personality) {
    if (personality == Personality::Windows) return {};  // what means nothing there, the hook reads as a refusal
    for (const RangeRow& row : sets::range_rows)
        if (row.type == type && (row.attach & attach_bit(attach)) != 0) return {false, row.min, row.max};
    return {};
}

PacketAccess packet_access(ProgramType type) {
    switch (type) {
        case ProgramType::LwtIn:
        case ProgramType::LwtOut:
        case ProgramType::LwtSeg6local:
        case ProgramType::SkReuseport:
        case ProgramType::FlowDissector:
        case ProgramType::CgroupSkb:
        case ProgramType::Bind:
        case ProgramType::Process: return PacketAccess::Read;
        case ProgramType::SchedCls:
        case ProgramType::SchedAct:
        case ProgramType::Xdp:
        case ProgramType::LwtXmit:
        case ProgramType::SkSkb:
        case ProgramType::SkMsg:
        case ProgramType::CgroupSockopt: return PacketAccess::ReadWrite;
        case ProgramType::SocketFilter:
        case ProgramType::Kprobe:
        case ProgramType::Tracepoint:
        case ProgramType::PerfEvent:
        case ProgramType::CgroupSock:
        case ProgramType::SockOps:
        case ProgramType::CgroupDevice:
        case ProgramType::RawTracepoint:
        case ProgramType::CgroupSockAddr:
        case ProgramType::LircMode2:
        case ProgramType::CgroupSysctl:
        case ProgramType::RawTracepointWritable:
        case ProgramType::Tracing:
        case ProgramType::StructOps:
        case ProgramType::Ext:
        case ProgramType::Lsm:
        case ProgramType::SkLookup:
        case ProgramType::Syscall:
        case ProgramType::Netfilter:
        case ProgramType::Netevent:
        case ProgramType::Sample: return PacketAccess::None;
    }
    return PacketAccess::None;
}

std::optional<SectionMeaning> section_meaning(std::string_view section) {
    if (section.starts_with('?')) section.remove_prefix(1);
    const SectionRow* best = nullptr;
    for (const SectionRow& row : section_rows) {
        if (matches(row, section) && (best == nullptr || row.text.size() > best->text.size())) best = &row;
    }
    if (best == nullptr) return std::nullopt;
    return best->meaning;
}

}  // namespace skep::platform
