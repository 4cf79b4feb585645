// SPDX-License-Identifier: Apache-2.0
// Program types: their words and numbers (program_type.def), the section names that stand for them (sections.def), what
// they may return (result_range.def) and how they attach (attach_type.def).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "platform/names.hpp"

namespace skep::platform {

/// bpftool's word for the type ("sched_cls"); static storage.
constexpr const char* program_type_name(ProgramType type) {
    switch (type) {
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted) \
    case ProgramType::name: return text;
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    }
    return "?";
}

/// The type's number in linux/bpf.h; 0 if Linux has none.
constexpr uint32_t program_type_linux_id(ProgramType type) {
    switch (type) {
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted) \
    case ProgramType::name: return linux_id;
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    }
    return 0;
}

/// What of ours runs programs of a type.
enum class HostedBy : uint8_t {
    Nobody,    ///< they can be bound and verified, not run
    Packets,   ///< hooks that have packets
    Contexts,  ///< contexts that a file describes
};
constexpr HostedBy program_type_host(ProgramType type) {
    switch (type) {
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted) \
    case ProgramType::name: return HostedBy::hosted;
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    }
    return HostedBy::Nobody;
}

/// Whether a hook of ours has contexts for programs of the type by itself.
constexpr bool program_type_hosted(ProgramType type) { return program_type_host(type) == HostedBy::Packets; }

/// The type of a number of linux/bpf.h.
std::optional<ProgramType> program_type_from_linux(uint32_t id);

/// The type of a word ("xdp", "sched_cls"); also the short words that bpftool and libbpf accept ("tc", "classifier",
/// "action", "socket").
std::optional<ProgramType> program_type_from_name(std::string_view name);

/// bpftool's word for the attach type ("cgroup_inet4_connect"), "none" for None; static storage.
constexpr const char* attach_type_name(AttachType attach) {
    switch (attach) {
        case AttachType::None: return "none";
#define ATTACH_TYPE(name, text, linux_id) \
    case AttachType::name: return text;
#include "platform/attach_type.def"
#undef ATTACH_TYPE
    }
    return "?";
}

/// The number for expected_attach_type in linux/bpf.h; 0 for None.
constexpr uint32_t attach_type_linux_id(AttachType attach) {
    switch (attach) {
        case AttachType::None: return 0;
#define ATTACH_TYPE(name, text, linux_id) \
    case AttachType::name: return linux_id;
#include "platform/attach_type.def"
#undef ATTACH_TYPE
    }
    return 0;
}

/// The attach type of a word of attach_type.def.
std::optional<AttachType> attach_type_from_name(std::string_view name);

/// The attach types that programs of a type are loaded for; just None where it makes no difference.
AttachSet attach_types_of(ProgramType type);

/// What the loader takes for a program of this type that names no attach type (bpf_prog_load_fixup_attach_type); None
/// where it does not matter or the program must name one.
AttachType default_attach(ProgramType type);

/// What a section name stands for.
struct SectionMeaning {
    ProgramType type;
    AttachType attach;
    bool sleepable = false;  ///< may sleep, so may call helpers that do

    bool operator==(const SectionMeaning&) const = default;
};

/// The meaning of a program's section, without or with its leading '?'; nothing for a name no system knows.
std::optional<SectionMeaning> section_meaning(std::string_view section);

/// What a program may leave in r0 when it exits.
struct ResultRange {
    bool any = true;  ///< every number; else those of [min, max] as a signed 64-bit number
    int64_t min = 0;
    int64_t max = 0;

    bool operator==(const ResultRange&) const = default;
};

/// The range for a program type at an attach type. Types whose context is not modelled have only the ranges that do not
/// depend on the kernel's BTF.
ResultRange result_range(ProgramType type, AttachType attach, Personality personality);

/// What programs of a type may do to a packet through pointers (may_access_direct_pkt_data).
enum class PacketAccess : uint8_t {
    None,       ///< they get no packet pointers
    Read,       ///< loads only, and memory arguments of helpers marked PacketArguments
    ReadWrite,  ///< also stores
};
PacketAccess packet_access(ProgramType type);

}  // namespace skep::platform
