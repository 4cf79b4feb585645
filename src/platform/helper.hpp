// SPDX-License-Identifier: Apache-2.0
// Canonical helpers: ids, names, prototypes; rows in helper.def. Usable in the kernel-capable core.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "platform/names.hpp"

namespace skep::platform {

/// Canonical helpers. The values are dense from 0 and index LinkTable::helpers; they are nobody's ABI: what leaves the
/// process speaks of helpers by name.
enum class HelperId : uint16_t {
#define HELPER(name, text, linux_id, windows_id, since, licence, users, effects, result, r1, r2, r3, r4, r5) name,
#include "platform/helper.def"
#undef HELPER
};

inline constexpr size_t helper_count = 0
#define HELPER(name, text, linux_id, windows_id, since, licence, users, effects, result, r1, r2, r3, r4, r5) +1
#include "platform/helper.def"
#undef HELPER
    ;

/// What an argument register must hold. Memory sizes are bytes. "size follows": the next argument is its size.
enum class ArgKind : uint8_t {
    None,             ///< not an argument
    Scalar,           ///< any initialised value, read as a number (the kernel's ARG_ANYTHING)
    ConstMapPtr,      ///< a map
    MapKey,           ///< readable memory of the map's key_size
    MapValue,         ///< readable memory of the map's value_size
    MapValueOrNull,   ///< likewise, or null
    MapValueOut,      ///< writable memory of the map's value_size, need not be initialised
    Ctx,              ///< the program's context, unmodified
    CtxOrNull,        ///< likewise, or null
    MemIn,            ///< readable memory, size follows
    MemInOrNull,      ///< readable memory or null (then the size is 0), size follows
    MemOut,           ///< writable memory that need not be initialised, size follows
    MemOutOrNull,     ///< likewise, or null
    MemInOut,         ///< readable and writable memory, size follows
    Size,             ///< size of the memory before it, at least 1
    SizeOrZero,       ///< size of the memory before it
    RecordSize,       ///< a constant: size of the memory that the call returns
    Record,           ///< a reserved ring-buffer record, from its first byte
    Func,             ///< a function of this program
    CallbackContext,  ///< what the callback gets: a stack pointer, or null
    ConstString,      ///< a NUL-terminated string in a read-only map value
    I64Out,           ///< 8 writable bytes, 8-aligned
    U64Out,           ///< 8 writable bytes, 8-aligned
    U32InOut,         ///< 4 readable and writable bytes, 4-aligned
    In20,             ///< 20 readable bytes (an IPv4 or TCP header)
    In40,             ///< 40 readable bytes (an IPv6 header)
    SpinLock,         ///< a bpf_spin_lock in a map value
    Timer,            ///< a bpf_timer in a map value
    SockCommon,       ///< a pointer to any socket
    Socket,           ///< a pointer to a full socket
    SocketOrNull,     ///< likewise, or null
    Dynptr,           ///< a bpf_dynptr on the stack: not modelled
    Kptr,             ///< a kernel pointer in a map value, or what goes there: not modelled
    BtfObject,        ///< a pointer to an object of the kernel's BTF: not modelled
    Anything,         ///< whatever is there, set or not: taken along only if the format asks for it
    Other,            ///< not modelled
};

/// What r0 holds after the call.
enum class ResultKind : uint8_t {
    Void,              ///< nothing a program may read
    Scalar,            ///< any number
    Status,            ///< a number; by contract 0 or a negative errno, which no proof may rest on
    MapValueOrNull,    ///< a value of the map in the first ConstMapPtr argument (maps of maps: the inner map), or null
    MapValue,          ///< a value of that map
    RecordOrNull,      ///< writable memory of the RecordSize argument, or null
    SocketOrNull,      ///< a full socket (ContextKind::Socket), or null
    SockCommonOrNull,  ///< any socket (ContextKind::SockCommon), or null
    TcpSockOrNull,     ///< ContextKind::TcpSock, or null
    BtfObject,         ///< an object of the kernel's BTF: not modelled
    Other,             ///< not modelled
};

/// A narrower range that a Scalar or Status result keeps (do_refine_retval_range).
enum class ResultBound : uint8_t {
    None,
    SizeArgument,  ///< [-limits::largest_errno, the largest value of its Size argument]
    CpuNumber,     ///< [0, number of possible CPUs)
};

/// What a call does besides its result, beyond what its arguments say.
namespace helper_effect {
inline constexpr uint16_t Packet =
    1;  ///< may move or change the packet: packet pointers die (bpf_helper_changes_pkt_data)
inline constexpr uint16_t Acquire = 2;    ///< the result (or the lock) must be released on every path
inline constexpr uint16_t Release = 4;    ///< releases what its argument names
inline constexpr uint16_t Callback = 8;   ///< calls a function of the program, before it returns
inline constexpr uint16_t TailCall = 16;  ///< does not come back when it succeeds
inline constexpr uint16_t Chance = 32;    ///< the result depends on time, chance or the host: fixed by --deterministic
inline constexpr uint16_t PacketArguments = 64;  ///< memory arguments may lie in the packet (pkt_access)
inline constexpr uint16_t Sleeps = 128;          ///< may sleep: only sleepable programs, outside locks
inline constexpr uint16_t Later = 256;           ///< the function it gets is called after the program ended
inline constexpr uint16_t Cast = 512;  ///< the result is its argument by another type: it dies when that is released
}  // namespace helper_effect

enum class Licence : uint8_t { Any, Gpl };

/// One row of the table.
struct HelperRow {
    const char* name;  ///< canonical name, without "bpf_"; static storage
    uint32_t linux_id;
    uint32_t windows_id;
    const char* since;  ///< first Linux version that has it, "" for none
    Licence licence;
    ProgramSet users;  ///< the types that may call it, some only under some attach types: helper_allowed()
    uint16_t effects;  ///< helper_effect bits
    ResultKind result;
    ArgKind args[5];
};

namespace detail {
// Names for the tables' sets only; legend in helper.def.
namespace helper_sets {
constexpr ProgramSet of(ProgramType type) { return program_type_bit(type); }
inline constexpr ProgramSet S = of(ProgramType::SocketFilter);
inline constexpr ProgramSet T = of(ProgramType::SchedCls) | of(ProgramType::SchedAct);
inline constexpr ProgramSet X = of(ProgramType::Xdp);
inline constexpr ProgramSet K = of(ProgramType::Kprobe);
inline constexpr ProgramSet Tp = of(ProgramType::Tracepoint);
inline constexpr ProgramSet Rt = of(ProgramType::RawTracepoint) | of(ProgramType::RawTracepointWritable);
inline constexpr ProgramSet Pe = of(ProgramType::PerfEvent);
inline constexpr ProgramSet Cs = of(ProgramType::CgroupSkb);
inline constexpr ProgramSet Ck = of(ProgramType::CgroupSock);
inline constexpr ProgramSet Ca = of(ProgramType::CgroupSockAddr);
inline constexpr ProgramSet Cd = of(ProgramType::CgroupDevice);
inline constexpr ProgramSet Cy = of(ProgramType::CgroupSysctl);
inline constexpr ProgramSet Co = of(ProgramType::CgroupSockopt);
inline constexpr ProgramSet Li = of(ProgramType::LwtIn);
inline constexpr ProgramSet Lo = of(ProgramType::LwtOut);
inline constexpr ProgramSet Lx = of(ProgramType::LwtXmit);
inline constexpr ProgramSet L6 = of(ProgramType::LwtSeg6local);
inline constexpr ProgramSet So = of(ProgramType::SockOps);
inline constexpr ProgramSet Ss = of(ProgramType::SkSkb);
inline constexpr ProgramSet Sm = of(ProgramType::SkMsg);
inline constexpr ProgramSet Sr = of(ProgramType::SkReuseport);
inline constexpr ProgramSet Sl = of(ProgramType::SkLookup);
inline constexpr ProgramSet Fd = of(ProgramType::FlowDissector);
inline constexpr ProgramSet Lr = of(ProgramType::LircMode2);
inline constexpr ProgramSet Sy = of(ProgramType::Syscall);
inline constexpr ProgramSet Lwt = Li | Lo | Lx | L6;
inline constexpr ProgramSet Probe = K | Tp | Rt | Pe;
inline constexpr ProgramSet Trace = Probe | Sy;
inline constexpr ProgramSet Hook = Ck | Ca | Cd | Cy | Co;
inline constexpr ProgramSet SkBase = S | T | X | Cs | Ca | So | Ss | Sm | Fd | Lwt | Sl;
inline constexpr ProgramSet All = SkBase | Hook | Trace | Sr;
}  // namespace helper_sets
constexpr HelperRow helper_row(const char* name, uint32_t linux_id, uint32_t windows_id, const char* since,
                               Licence licence, ProgramSet users, uint16_t effects, ResultKind result, ArgKind r1,
                               ArgKind r2, ArgKind r3, ArgKind r4, ArgKind r5) {
    return {name, linux_id, windows_id, since, licence, users, effects, result, {r1, r2, r3, r4, r5}};
}
struct HelperTable {
    HelperRow rows[helper_count];
};
constexpr HelperTable make_helper_table() {
    using namespace helper_effect;
    using namespace helper_sets;
    return {{
#define HELPER(name, text, linux_id, windows_id, since, licence, users, effects, result, r1, r2, r3, r4, r5)         \
    helper_row(text, linux_id, windows_id, since, Licence::licence, users, effects, ResultKind::result, ArgKind::r1, \
               ArgKind::r2, ArgKind::r3, ArgKind::r4, ArgKind::r5),
#include "platform/helper.def"
#undef HELPER
    }};
}
inline constexpr HelperTable helper_table = make_helper_table();
}  // namespace detail

/// The row of a helper.
constexpr const HelperRow& helper(HelperId id) { return detail::helper_table.rows[static_cast<uint16_t>(id)]; }

namespace detail {
struct HelperForType {
    HelperId id;
    ProgramSet users;
    HelperRow row;
};
struct HelperUnderAttach {
    HelperId id;
    ProgramType type;
    AttachSet attach;
};
struct HelperLater {
    HelperId id;
    ProgramSet users;
};
constexpr HelperRow another_prototype(HelperId id, Licence licence, ResultKind result, ArgKind r1, ArgKind r2,
                                      ArgKind r3, ArgKind r4, ArgKind r5) {
    const HelperRow& row = helper(id);
    return {row.name,  row.linux_id, row.windows_id, row.since,           licence,
            row.users, row.effects,  result,         {r1, r2, r3, r4, r5}};
}
namespace helper_sets {
inline constexpr HelperForType for_type[] = {
#define HELPER_FOR(name, users, licence, result, r1, r2, r3, r4, r5)                                                \
    {HelperId::name, users,                                                                                         \
     another_prototype(HelperId::name, Licence::licence, ResultKind::result, ArgKind::r1, ArgKind::r2, ArgKind::r3, \
                       ArgKind::r4, ArgKind::r5)},
#include "platform/helper_rules.def"
};
inline constexpr HelperLater later[] = {
#define HELPER_LATER(name, users) {HelperId::name, users},
#include "platform/helper_rules.def"
};
}  // namespace helper_sets
namespace attach_sets {
#define ATTACH_TYPE(name, text, linux_id) inline constexpr AttachSet name = attach_bit(AttachType::name);
#include "platform/attach_type.def"
#undef ATTACH_TYPE
inline constexpr HelperUnderAttach under_attach[] = {
#define HELPER_ATTACH(name, type, attach) {HelperId::name, ProgramType::type, attach},
#include "platform/helper_rules.def"
};
}  // namespace attach_sets

template <typename T, typename... Ts>
constexpr bool one_of(T value, Ts... set) {
    return ((value == set) || ...);
}
/// From the map's side.
constexpr bool map_takes_helper(MapType map, HelperId id) {
    using enum HelperId;
    switch (map) {
#define MAP_ONLY(type, ...) \
    case MapType::type: return one_of(id, __VA_ARGS__);
#include "platform/helper_rules.def"
        case MapType::Hash:
        case MapType::Array:
        case MapType::PercpuHash:
        case MapType::PercpuArray:
        case MapType::LruHash:
        case MapType::LruPercpuHash:
        case MapType::LpmTrie:
        case MapType::StructOps:
        case MapType::Arena: return true;
    }
    return false;
}
/// From the helper's side.
constexpr bool helper_wants_map(HelperId id, MapType map) {
    using enum MapType;
#define HELPER_MAPS(name, ...) \
    if (id == HelperId::name) return one_of(map, __VA_ARGS__);
#include "platform/helper_rules.def"
    return true;
}
}  // namespace detail

/// The row as programs of a type see it: a few prototypes depend on the program type.
constexpr const HelperRow& helper_for(HelperId id, ProgramType type) {
    for (const detail::HelperForType& other : detail::helper_sets::for_type)
        if (other.id == id && (other.users & program_type_bit(type)) != 0) return other.row;
    return helper(id);
}

/// Whether programs of a type, loaded for an attach type, may call the helper. Licence and sleeping are other
/// questions.
constexpr bool helper_allowed(HelperId id, ProgramType type, AttachType attach) {
    if ((helper(id).users & program_type_bit(type)) == 0) return false;
    for (const detail::HelperUnderAttach& rule : detail::attach_sets::under_attach)
        if (rule.id == id && rule.type == type) return (rule.attach & attach_bit(attach)) != 0;
    return true;
}

/// Whether Linux 6.12 already lets the program type call a helper that helper_allowed() does.
constexpr bool helper_allowed_in_6_12(HelperId id, ProgramType type) {
    for (const detail::HelperLater& rule : detail::helper_sets::later)
        if (rule.id == id && (rule.users & program_type_bit(type)) != 0) return false;
    return true;
}

/// Whether programs of the type may put sockets into a sockmap or sockhash, or delete them, by map_update_elem and
/// map_delete_elem (may_update_sockmap).
constexpr bool may_update_sockmap(HelperId id, ProgramType type) {
    using namespace detail::helper_sets;
    const ProgramSet who = S | T | X | Sr | Fd | Sl | (id == HelperId::MapDeleteElem ? So : 0);
    return (who & program_type_bit(type)) != 0;
}

/// Whether the helper and maps of a type go together in programs of a type (check_map_func_compatibility).
constexpr bool helper_takes_map(HelperId id, MapType map, ProgramType type) {
    if (!detail::map_takes_helper(map, id) || !detail::helper_wants_map(id, map)) return false;
    if ((map == MapType::Sockmap || map == MapType::Sockhash) &&
        (id == HelperId::MapUpdateElem || id == HelperId::MapDeleteElem))
        return may_update_sockmap(id, type);
    return true;
}

/// What map_lookup_elem gives for maps of a type, or null.
enum class LookupResult : uint8_t {
    Value,          ///< the element's value
    ReadOnlyValue,  ///< likewise, and programs may not write it
    InnerMap,       ///< a map
    Socket,         ///< a full socket, acquired: to be released
    XdpSock,        ///< ContextKind::XdpSock, not to be released
};
constexpr LookupResult lookup_result(MapType map) {
    switch (map) {
        case MapType::ArrayOfMaps:
        case MapType::HashOfMaps: return LookupResult::InnerMap;
        case MapType::Sockmap:
        case MapType::Sockhash: return LookupResult::Socket;
        case MapType::Xskmap: return LookupResult::XdpSock;
        case MapType::Devmap:
        case MapType::DevmapHash: return LookupResult::ReadOnlyValue;
        case MapType::Hash:
        case MapType::Array:
        case MapType::ProgArray:
        case MapType::PerfEventArray:
        case MapType::PercpuHash:
        case MapType::PercpuArray:
        case MapType::StackTrace:
        case MapType::CgroupArray:
        case MapType::LruHash:
        case MapType::LruPercpuHash:
        case MapType::LpmTrie:
        case MapType::Cpumap:
        case MapType::CgroupStorage:
        case MapType::ReuseportSockarray:
        case MapType::PercpuCgroupStorage:
        case MapType::Queue:
        case MapType::Stack:
        case MapType::SkStorage:
        case MapType::StructOps:
        case MapType::Ringbuf:
        case MapType::InodeStorage:
        case MapType::TaskStorage:
        case MapType::BloomFilter:
        case MapType::UserRingbuf:
        case MapType::CgrpStorage:
        case MapType::Arena: return LookupResult::Value;
    }
    return LookupResult::Value;
}

/// The range its result keeps.
constexpr ResultBound helper_result_bound(HelperId id) {
#define HELPER_BOUND(name, bound) \
    if (id == HelperId::name) return ResultBound::bound;
#include "platform/helper_rules.def"
    return ResultBound::None;
}

/// How a helper calls the function it gets. The function returns 0 or 1 (1: no further call), a timer's 0.
enum class CallbackKind : uint8_t {
    None,
    MapElement,    ///< (map, key, value, context), once per element
    Index,         ///< (index, context), up to limits::loop_iterations times
    TimerElement,  ///< (map, key, value), after the program ended
    NotModelled,
};
constexpr CallbackKind helper_callback(HelperId id) {
#define HELPER_CALLBACK(name, callback) \
    if (id == HelperId::name) return CallbackKind::callback;
#include "platform/helper_rules.def"
    return CallbackKind::None;
}

/// Whether the argument and result kinds of a row are all modelled; nobody may accept a call otherwise.
constexpr bool helper_modelled(const HelperRow& row) {
    if (row.result == ResultKind::Other || row.result == ResultKind::BtfObject) return false;
    for (const ArgKind kind : row.args) {
        if (kind == ArgKind::Other || kind == ArgKind::BtfObject || kind == ArgKind::Kptr || kind == ArgKind::Dynptr)
            return false;
    }
    return true;
}

/// Canonical name without "bpf_"; static storage.
constexpr const char* helper_name(HelperId id) { return helper(id).name; }

/// The helper of a number in linux/bpf.h. False if there is none.
constexpr bool helper_from_linux(uint32_t id, HelperId* out) {
    for (uint16_t i = 0; id != 0 && i < helper_count; ++i) {
        if (detail::helper_table.rows[i].linux_id != id) continue;
        *out = static_cast<HelperId>(i);
        return true;
    }
    return false;
}

/// The helper of a general number of eBPF for Windows. False if there is none.
constexpr bool helper_from_windows(uint32_t id, HelperId* out) {
    for (uint16_t i = 0; id != 0 && i < helper_count; ++i) {
        if (detail::helper_table.rows[i].windows_id != id) continue;
        *out = static_cast<HelperId>(i);
        return true;
    }
    return false;
}

}  // namespace skep::platform
