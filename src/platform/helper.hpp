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
    MapValueOut,      ///< writable memory of the map's value_size, need not be initialised
    Ctx,              ///< the program's context, unmodified
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
    I64Out,           ///< 8 writable bytes
    U64Out,           ///< 8 writable bytes
    U32InOut,         ///< 4 readable and writable bytes
    SpinLock,         ///< a bpf_spin_lock in a map value
    Timer,            ///< a bpf_timer in a map value
    Dynptr,           ///< a bpf_dynptr on the stack
    Socket,           ///< a socket that an earlier call returned
    Other,            ///< not modelled
};

/// What r0 holds after the call.
enum class ResultKind : uint8_t {
    Void,            ///< nothing a program may read
    Scalar,          ///< any number
    Status,          ///< 0, or a negative errno
    MapValueOrNull,  ///< a value of the map in r1 (for maps of maps: the inner map), or null
    RecordOrNull,    ///< writable memory of the RecordSize argument, or null
    SocketOrNull,    ///< a socket, or null
    Other,           ///< not modelled
};

/// What a call does besides its result, beyond what its arguments say.
namespace helper_effect {
inline constexpr uint8_t Packet =
    1;  ///< may move or change the packet: packet pointers die (bpf_helper_changes_pkt_data)
inline constexpr uint8_t Acquire = 2;    ///< the result (or the lock) must be released on every path
inline constexpr uint8_t Release = 4;    ///< releases what its argument names
inline constexpr uint8_t Callback = 8;   ///< calls a function of the program
inline constexpr uint8_t TailCall = 16;  ///< does not come back when it succeeds
inline constexpr uint8_t Chance = 32;    ///< the result depends on time, chance or the host: fixed by --deterministic
}  // namespace helper_effect

enum class Licence : uint8_t { Any, Gpl };

/// One row of the table.
struct HelperRow {
    const char* name;  ///< canonical name, without "bpf_"; static storage
    uint32_t linux_id;
    uint32_t windows_id;
    const char* since;  ///< first Linux version that has it, "" for none
    Licence licence;
    uint8_t users;    ///< program_type_bit() of the types that may call it
    uint8_t effects;  ///< helper_effect bits
    ResultKind result;
    ArgKind args[5];
};

/// The bit of a program type in HelperRow::users and the context tables; 0 for a type that is not modelled.
constexpr uint8_t program_type_bit(ProgramType type) {
    if (type == ProgramType::SocketFilter) return 1;
    if (type == ProgramType::SchedCls || type == ProgramType::SchedAct) return 2;
    if (type == ProgramType::Xdp) return 4;
    return 0;
}

namespace detail {
inline constexpr uint8_t S = 1, T = 2, X = 4, ST = S | T, TX = T | X, All = S | T | X;
constexpr HelperRow helper_row(const char* name, uint32_t linux_id, uint32_t windows_id, const char* since,
                               Licence licence, uint8_t users, uint8_t effects, ResultKind result, ArgKind r1,
                               ArgKind r2, ArgKind r3, ArgKind r4, ArgKind r5) {
    return {name, linux_id, windows_id, since, licence, users, effects, result, {r1, r2, r3, r4, r5}};
}
struct HelperTable {
    HelperRow rows[helper_count];
};
constexpr HelperTable make_helper_table() {
    using namespace helper_effect;
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
