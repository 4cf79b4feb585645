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
// Names for the table's sets only: one or two letters per program type.
namespace helper_sets {
constexpr ProgramSet of(ProgramType type) { return program_type_bit(type); }
inline constexpr ProgramSet S = of(ProgramType::SocketFilter);
inline constexpr ProgramSet T = of(ProgramType::SchedCls) | of(ProgramType::SchedAct);
inline constexpr ProgramSet X = of(ProgramType::Xdp);
inline constexpr ProgramSet ST = S | T, TX = T | X, All = S | T | X;
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

/// The row as programs of a type see it: a few prototypes depend on the program type.
constexpr const HelperRow& helper_for(HelperId id, ProgramType) { return helper(id); }

/// Whether programs of a type, loaded for an attach type, may call the helper. Licence and sleeping are other
/// questions.
constexpr bool helper_allowed(HelperId id, ProgramType type, AttachType) {
    return (helper(id).users & program_type_bit(type)) != 0;
}

/// Whether the helper and maps of a type go together (check_map_func_compatibility).
constexpr bool helper_takes_map(HelperId, MapType) { return true; }

/// The range its result keeps.
constexpr ResultBound helper_result_bound(HelperId) { return ResultBound::None; }

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
