// SPDX-License-Identifier: Apache-2.0
// Contexts and the kernel objects that fields and helpers lead to: canonical fields and how a program of a personality
// and type may touch them; rows in contexts.def.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "platform/host_context.hpp"
#include "platform/names.hpp"

namespace skep::platform {

/// What a table of fields describes: a context that programs get in r1, or an object that a pointer leads to.
enum class ContextKind : uint8_t {
    Xdp,
    Skb,
    Sock,  ///< struct bpf_sock, as cgroup_sock programs get it
    SockAddr,
    SockOps,
    SkMsg,
    SkReuseport,
    SkLookup,
    CgroupDevice,
    CgroupSysctl,
    CgroupSockopt,
    Registers,    ///< struct pt_regs of x86-64
    TraceRecord,  ///< a tracepoint's record
    PerfEvent,
    RawTracepoint,  ///< the tracepoint's arguments, a u64 each
    RawTracepointWritable,
    Syscall,  ///< whatever the caller of the program passed
    LircMode2,
    Bind,     ///< bind_md_t of eBPF for Windows
    Process,  ///< process_md_t of eBPF for Windows
    // Objects. No program starts with one of these in r1.
    Socket,      ///< struct bpf_sock behind a pointer to a full socket
    SockCommon,  ///< struct bpf_sock behind a pointer that may be a request or time-wait socket
    TcpSock,     ///< struct bpf_tcp_sock
    XdpSock,     ///< struct bpf_xdp_sock
    FlowKeys,    ///< struct bpf_flow_keys
};

/// What a load of a field gives.
enum class FieldKind : uint8_t {
    Scalar,
    Packet,            ///< first byte of the packet (also of a socket option's or a message's bytes)
    PacketEnd,         ///< one past its last byte
    PacketMeta,        ///< first byte of the metadata before the packet
    Socket,            ///< a full socket (ContextKind::Socket), never null, not to be released
    SocketOrNull,      ///< likewise, or null
    SockCommonOrNull,  ///< any socket (ContextKind::SockCommon), or null
    FlowKeys,          ///< ContextKind::FlowKeys, read and write
    TracepointBuffer,  ///< the record of a writable tracepoint: read and write at constant offsets
};

/// Which accesses a field allows, each aligned to its own width (the offset counted from the context's start).
enum class FieldAccess : uint8_t {
    Whole,        ///< full width only
    Narrow,       ///< loads of the full width or less; stores of the full width
    NarrowStart,  ///< as Narrow, but narrower loads only of its first bytes
    Port,         ///< a 2-byte number followed by zeros: loads of 2 bytes or less, and of 4 from its start
    Halves,       ///< loads of 2 or 4 bytes
    Bytes,        ///< loads and stores of 1, 2, 4 or 8 bytes inside it: an array
    Words,        ///< an array of 4-byte words: loads of 4 bytes or less; stores of 4
    WideWords,    ///< as Words, and loads and stores of 8 bytes
    WholeWords,   ///< an array of 4-byte words: loads and stores of 4 bytes
    Longs,        ///< an array of 8-byte words: loads and stores of 8 bytes
};

/// Canonical fields, named context + field ("XdpIngressIfindex").
enum class FieldId : uint16_t {
#define CONTEXT_FIELD(context, name, text, l_off, l_bytes, w_off, w_bytes, member, kind, readers, writers, access) \
    context##name,
#define REMOTE_FIELD(context, name, text, l_off, l_bytes, kind, readers, writers, access) context##name,
#define WINDOWS_ONLY(context, name, text, w_off, w_bytes, member, kind, readers, writers, access) context##name,
#define CONTEXT_HOLE(context, name, text, l_off, l_bytes, reason) context##name,
#include "platform/contexts.def"
};

/// How the numbers of a field that both systems have belong together.
enum class FieldValues : uint8_t {
    Same,
    Family,    ///< AF_INET6 is 10 on Linux, 23 on Windows
    SockOp,    ///< BPF_SOCK_OPS_* on Linux; 0 active, 1 passive connection, 2 deleted on Windows
    HostPort,  ///< host byte order on Linux, two bytes in network byte order on Windows
    HighPort,  ///< network byte order on both: the upper half of the number on Linux, the lower on Windows
    Address,   ///< one place for both families on Windows
};

/// One row of the table. Offsets and widths in bytes.
struct FieldRow {
    ContextKind context;
    FieldId id;
    const char* name;  ///< static storage
    uint16_t linux_offset;
    uint16_t linux_bytes;
    uint16_t windows_offset;
    uint16_t windows_bytes;  ///< 0: this personality has no such field
    uint16_t host_offset;
    uint16_t host_bytes;           ///< 0: a hole
    uint16_t windows_host_offset;  ///< where the number that Windows' programs see is kept; mostly the same place
    uint16_t windows_host_bytes;
    FieldValues values;
    bool hosted;  ///< false: no host struct has it; host_* repeat the Linux personality's
    FieldKind kind;
    ProgramSet readers;  ///< of a field of a context; an object's fields may be read by whoever has the pointer
    ProgramSet writers;
    AttachSet read_attach;   ///< readers only under these attach types
    AttachSet write_attach;  ///< writers only under these
    AttachSet windows_read_attach, windows_write_attach;
    FieldAccess access;
    const char* hole;  ///< why nobody may touch it, or null

    constexpr uint16_t offset(Personality personality) const {
        return personality == Personality::Linux ? linux_offset : windows_offset;
    }
    constexpr uint16_t bytes(Personality personality) const {
        return personality == Personality::Linux ? linux_bytes : windows_bytes;
    }
    constexpr uint16_t offset_in_host(Personality personality) const {
        return personality == Personality::Linux ? host_offset : windows_host_offset;
    }
    constexpr uint16_t bytes_in_host(Personality personality) const {
        return personality == Personality::Linux ? host_bytes : windows_host_bytes;
    }
    constexpr bool readable_by(ProgramType type, AttachType attach, Personality personality) const {
        const AttachSet under = personality == Personality::Linux ? read_attach : windows_read_attach;
        return (readers & program_type_bit(type)) != 0 && (under & attach_bit(attach)) != 0;
    }
    constexpr bool writable_by(ProgramType type, AttachType attach, Personality personality) const {
        const AttachSet under = personality == Personality::Linux ? write_attach : windows_write_attach;
        return (writers & program_type_bit(type)) != 0 && (under & attach_bit(attach)) != 0;
    }
};

/// Every row, contexts one after the other, each sorted by its Linux offset; what Linux has not comes last.
std::span<const FieldRow> context_fields();
const FieldRow& context_field(FieldId id);

/// The rows of one context or object.
std::span<const FieldRow> fields_of(ContextKind context);

/// The context of a program type; nothing for a type whose context is not modelled.
constexpr std::optional<ContextKind> context_of(ProgramType type) {
    using enum ContextKind;
    constexpr auto NotModelled = std::optional<ContextKind>();
    switch (type) {
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted) \
    case ProgramType::name: return context;
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    }
    return NotModelled;
}

/// Whether helpers take a pointer into the context as memory, at a constant offset and where a program may load (or
/// store) itself: contexts that the kernel does not rewrite (no convert_ctx_access).
bool context_is_memory(ContextKind context);

/// "struct xdp_md", "struct __sk_buff": the C type programs know it by.
const char* context_type_name(ContextKind context, Personality personality);

/// Bytes of the whole context in the personality's layout.
uint32_t context_bytes(ContextKind context, Personality personality);

/// Bytes of the context as hooks fill it and engines read it (host_context.hpp), in either personality.
uint32_t host_context_bytes(ContextKind context);

/// The field that covers byte `offset` of the personality's layout; null for padding and beyond the end.
const FieldRow* find_context_field(ContextKind context, Personality personality, uint32_t offset);
/// Likewise; of fields that share their place the one that such programs may read, if any.
const FieldRow* find_context_field(ContextKind context, Personality personality, uint32_t offset, ProgramType type,
                                   AttachType attach);

/// Whether an access of `bytes` bytes at `offset` is one the field allows by its shape, whoever the user is.
/// Requires: the offset lies in the field.
bool context_access_fits(const FieldRow& field, Personality personality, uint32_t offset, uint32_t bytes, bool store);

}  // namespace skep::platform
