// SPDX-License-Identifier: Apache-2.0
// The context table, built from contexts.def.
#include "platform/context.hpp"

#include <array>
#include <iterator>

namespace skep::platform {
namespace {

using HostOfXdp = HostXdp;
using HostOfSkb = HostSkb;
using HostOfSockAddr = HostSockAddr;
using HostOfSockOps = HostSockOps;
using HostOfBind = HostBind;
using HostOfProcess = HostProcess;

// Names for the rows' sets only.
namespace sets {
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted) \
    constexpr ProgramSet name = program_type_bit(ProgramType::name);
#include "platform/program_type.def"
#undef PROGRAM_TYPE
constexpr ProgramSet Tc = SchedCls | SchedAct;
constexpr ProgramSet Lwt = LwtIn | LwtOut | LwtXmit | LwtSeg6local;
constexpr ProgramSet AnySkb = SocketFilter | Tc | CgroupSkb | Lwt | SkSkb;
constexpr ProgramSet Any = every_program_type;

/// Where a number lies: for each personality in its own structure, and in the host's.
struct Place {
    uint16_t offset, bytes;
};

/// A row as contexts.def has it: any attach type, the same number for both personalities.
constexpr FieldRow row_of(ContextKind context, FieldId id, const char* name, Place in_linux, Place in_windows,
                          Place host, bool hosted, FieldKind kind, ProgramSet readers, ProgramSet writers,
                          FieldAccess access, const char* hole = nullptr) {
    return {context,
            id,
            name,
            in_linux.offset,
            in_linux.bytes,
            in_windows.offset,
            in_windows.bytes,
            host.offset,
            host.bytes,
            host.offset,
            host.bytes,
            FieldValues::Same,
            hosted,
            kind,
            readers,
            writers,
            every_attach_type,
            every_attach_type,
            every_attach_type,
            every_attach_type,
            access,
            hole};
}

// clang-format off
#define IN_HOST(context, member) {static_cast<uint16_t>(offsetof(HostOf##context, member)), static_cast<uint16_t>(sizeof(HostOf##context::member))}
constexpr FieldRow plain_rows[] = {
#define CONTEXT_FIELD(context, name, text, l_off, l_bytes, w_off, w_bytes, member, kind, readers, writers, access) \
    row_of(ContextKind::context, FieldId::context##name, text, {l_off, l_bytes}, {w_off, w_bytes}, IN_HOST(context, member), true, \
           FieldKind::kind, readers, writers, FieldAccess::access),
#define REMOTE_FIELD(context, name, text, l_off, l_bytes, kind, readers, writers, access) \
    row_of(ContextKind::context, FieldId::context##name, text, {l_off, l_bytes}, {0, 0}, {l_off, l_bytes}, false, \
           FieldKind::kind, readers, writers, FieldAccess::access),
#define WINDOWS_ONLY(context, name, text, w_off, w_bytes, member, kind, readers, writers, access) \
    row_of(ContextKind::context, FieldId::context##name, text, {0, 0}, {w_off, w_bytes}, IN_HOST(context, member), false, \
           FieldKind::kind, readers, writers, FieldAccess::access),
#define CONTEXT_HOLE(context, name, text, l_off, l_bytes, reason) \
    row_of(ContextKind::context, FieldId::context##name, text, {l_off, l_bytes}, {0, 0}, {0, 0}, false, \
           FieldKind::Scalar, 0, 0, FieldAccess::Whole, reason),
// clang-format on
#include "platform/contexts.def"
};
}  // namespace sets

namespace attaches {
#define ATTACH_TYPE(name, text, linux_id) constexpr AttachSet name = attach_bit(AttachType::name);
#include "platform/attach_type.def"
#undef ATTACH_TYPE
constexpr AttachSet Any = every_attach_type;
constexpr AttachSet Inet4 = Bind4 | Connect4 | Sendmsg4 | Recvmsg4 | Getpeername4 | Getsockname4;
constexpr AttachSet Inet6 = Bind6 | Connect6 | Sendmsg6 | Recvmsg6 | Getpeername6 | Getsockname6;

constexpr size_t row_count = std::size(sets::plain_rows);
constexpr std::array<FieldRow, row_count> with_attach_types() {
    std::array<FieldRow, row_count> out{};
    for (size_t i = 0; i < row_count; ++i) out[i] = sets::plain_rows[i];
#define FIELD_ATTACH(context, name, read, write)                                 \
    out[static_cast<size_t>(FieldId::context##name)].read_attach = read;         \
    out[static_cast<size_t>(FieldId::context##name)].write_attach = write;       \
    out[static_cast<size_t>(FieldId::context##name)].windows_read_attach = read; \
    out[static_cast<size_t>(FieldId::context##name)].windows_write_attach = write;
#include "platform/contexts.def"
#define WINDOWS_FIELD(context, name, offset, width)                           \
    out[static_cast<size_t>(FieldId::context##name)].windows_offset = offset; \
    out[static_cast<size_t>(FieldId::context##name)].windows_bytes = width;
#define WINDOWS_VIEW(context, name, offset, width, member, how)                                               \
    out[static_cast<size_t>(FieldId::context##name)].windows_offset = offset;                                 \
    out[static_cast<size_t>(FieldId::context##name)].windows_bytes = width;                                   \
    out[static_cast<size_t>(FieldId::context##name)].windows_host_offset = offsetof(HostOf##context, member); \
    out[static_cast<size_t>(FieldId::context##name)].windows_host_bytes = sizeof(HostOf##context::member);    \
    out[static_cast<size_t>(FieldId::context##name)].values = FieldValues::how;
#define WINDOWS_ATTACH(context, name, read, write)                               \
    out[static_cast<size_t>(FieldId::context##name)].windows_read_attach = read; \
    out[static_cast<size_t>(FieldId::context##name)].windows_write_attach = write;
#include "platform/windows_fields.def"
    return out;
}
}  // namespace attaches

constexpr std::array<FieldRow, attaches::row_count> rows = attaches::with_attach_types();

}  // namespace

std::span<const FieldRow> context_fields() { return rows; }

const FieldRow& context_field(FieldId id) { return rows[static_cast<uint16_t>(id)]; }

const char* context_type_name(ContextKind context, Personality personality) {
    switch (context) {
        case ContextKind::Xdp: return personality == Personality::Linux ? "struct xdp_md" : "xdp_md_t";
        case ContextKind::Skb: return "struct __sk_buff";
        case ContextKind::Sock:
        case ContextKind::Socket:
        case ContextKind::SockCommon: return "struct bpf_sock";
        case ContextKind::SockAddr:
            return personality == Personality::Linux ? "struct bpf_sock_addr" : "bpf_sock_addr_t";
        case ContextKind::SockOps: return personality == Personality::Linux ? "struct bpf_sock_ops" : "bpf_sock_ops_t";
        case ContextKind::SkMsg: return "struct sk_msg_md";
        case ContextKind::SkReuseport: return "struct sk_reuseport_md";
        case ContextKind::SkLookup: return "struct bpf_sk_lookup";
        case ContextKind::CgroupDevice: return "struct bpf_cgroup_dev_ctx";
        case ContextKind::CgroupSysctl: return "struct bpf_sysctl";
        case ContextKind::CgroupSockopt: return "struct bpf_sockopt";
        case ContextKind::Registers: return "struct pt_regs";
        case ContextKind::TraceRecord: return "the tracepoint's record";
        case ContextKind::PerfEvent: return "struct bpf_perf_event_data";
        case ContextKind::RawTracepoint:
        case ContextKind::RawTracepointWritable: return "struct bpf_raw_tracepoint_args";
        case ContextKind::Syscall: return "the caller's context";
        case ContextKind::LircMode2: return "the sample (__u32)";
        case ContextKind::Bind: return "bind_md_t";
        case ContextKind::Process: return "process_md_t";
        case ContextKind::TcpSock: return "struct bpf_tcp_sock";
        case ContextKind::XdpSock: return "struct bpf_xdp_sock";
        case ContextKind::FlowKeys: return "struct bpf_flow_keys";
    }
    return "?";
}

std::span<const FieldRow> fields_of(ContextKind context) {
    size_t first = 0;
    while (first < rows.size() && rows[first].context != context) ++first;
    size_t end = first;
    while (end < rows.size() && rows[end].context == context) ++end;
    return std::span(rows).subspan(first, end - first);
}

bool context_is_memory(ContextKind context) {
    switch (context) {
        case ContextKind::Registers:
        case ContextKind::TraceRecord:
        case ContextKind::RawTracepoint:
        case ContextKind::RawTracepointWritable:
        case ContextKind::LircMode2:
        case ContextKind::CgroupDevice:
        case ContextKind::Syscall: return true;
        case ContextKind::Xdp:
        case ContextKind::Skb:
        case ContextKind::Sock:
        case ContextKind::SockAddr:
        case ContextKind::SockOps:
        case ContextKind::SkMsg:
        case ContextKind::SkReuseport:
        case ContextKind::SkLookup:
        case ContextKind::CgroupSysctl:
        case ContextKind::CgroupSockopt:
        case ContextKind::PerfEvent:
        case ContextKind::Bind:
        case ContextKind::Process:
        case ContextKind::Socket:
        case ContextKind::SockCommon:
        case ContextKind::TcpSock:
        case ContextKind::XdpSock:
        case ContextKind::FlowKeys: return false;
    }
    return false;
}

const FieldRow* find_context_field(ContextKind context, Personality personality, uint32_t offset) {
    for (const FieldRow& row : fields_of(context)) {
        const uint32_t start = row.offset(personality);
        if (offset >= start && offset - start < row.bytes(personality)) return &row;
    }
    return nullptr;
}

const FieldRow* find_context_field(ContextKind context, Personality personality, uint32_t offset, ProgramType type,
                                   AttachType attach) {
    const FieldRow* first = nullptr;
    for (const FieldRow& row : fields_of(context)) {
        const uint32_t start = row.offset(personality);
        if (offset < start || offset - start >= row.bytes(personality)) continue;
        if (row.readable_by(type, attach, personality)) return &row;
        if (first == nullptr) first = &row;
    }
    return first;
}

bool context_access_fits(const FieldRow& field, Personality personality, uint32_t offset, uint32_t bytes, bool store) {
    const uint32_t part = offset - field.offset(personality);
    const uint32_t width = field.bytes(personality);
    const bool exact = part == 0 && bytes == width;
    const bool inside = bytes <= width - part && offset % bytes == 0;
    switch (field.access) {
        case FieldAccess::Whole: return exact;
        case FieldAccess::Narrow: return store ? exact : inside;
        case FieldAccess::Bytes: return inside;
        case FieldAccess::NarrowStart: return exact || (!store && inside && part == 0);
        case FieldAccess::Port: return !store && (inside || (part == 0 && bytes == 4));
        case FieldAccess::Halves: return !store && inside && bytes >= 2;
        case FieldAccess::WholeWords: return inside && bytes == 4;
        case FieldAccess::Longs: return inside && bytes == 8;
        case FieldAccess::Words: return inside && (store ? bytes == 4 : bytes <= 4);
        case FieldAccess::WideWords: return inside && (!store || bytes >= 4);
    }
    return false;
}

uint32_t context_bytes(ContextKind context, Personality personality) {
    uint32_t end = 0;
    for (const FieldRow& row : rows) {
        if (row.context != context || row.bytes(personality) == 0) continue;
        const uint32_t field_end = uint32_t{row.offset(personality)} + row.bytes(personality);
        end = field_end > end ? field_end : end;
    }
    return (end + 7) / 8 * 8;
}

uint32_t host_context_bytes(ContextKind context) {
    switch (context) {
        case ContextKind::Xdp: return sizeof(HostXdp);
        case ContextKind::Skb: return sizeof(HostSkb);
        case ContextKind::SockAddr: return sizeof(HostSockAddr);
        case ContextKind::SockOps: return sizeof(HostSockOps);
        case ContextKind::Bind: return sizeof(HostBind);
        case ContextKind::Process: return sizeof(HostProcess);
        case ContextKind::Sock:
        case ContextKind::SkMsg:
        case ContextKind::SkReuseport:
        case ContextKind::SkLookup:
        case ContextKind::CgroupDevice:
        case ContextKind::CgroupSysctl:
        case ContextKind::CgroupSockopt:
        case ContextKind::Registers:
        case ContextKind::TraceRecord:
        case ContextKind::PerfEvent:
        case ContextKind::RawTracepoint:
        case ContextKind::RawTracepointWritable:
        case ContextKind::Syscall:
        case ContextKind::LircMode2:
        case ContextKind::Socket:
        case ContextKind::SockCommon:
        case ContextKind::TcpSock:
        case ContextKind::XdpSock:
        case ContextKind::FlowKeys: return context_bytes(context, Personality::Linux);
    }
    return 0;
}

}  // namespace skep::platform
