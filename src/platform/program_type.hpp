// SPDX-License-Identifier: Apache-2.0
// Program types: their words and numbers (program_type.def), and the section names that stand for them (sections.def).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "platform/names.hpp"

namespace skep::platform {

/// bpftool's word for the type ("sched_cls"); static storage.
constexpr const char* program_type_name(ProgramType type) {
    switch (type) {
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since) \
    case ProgramType::name: return text;
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    }
    return "?";
}

/// The type's number in linux/bpf.h; 0 if Linux has none.
constexpr uint32_t program_type_linux_id(ProgramType type) {
    switch (type) {
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since) \
    case ProgramType::name: return linux_id;
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    }
    return 0;
}

/// The type of a number of linux/bpf.h.
std::optional<ProgramType> program_type_from_linux(uint32_t id);

/// The type of a word ("xdp", "sched_cls"); also the short words that bpftool and libbpf accept ("tc", "classifier",
/// "action", "socket").
std::optional<ProgramType> program_type_from_name(std::string_view name);

/// What a section name stands for.
struct SectionMeaning {
    ProgramType type;
    AttachType attach;

    bool operator==(const SectionMeaning&) const = default;
};

/// The meaning of a program's section, without or with its leading '?'; nothing for a name no system knows.
std::optional<SectionMeaning> section_meaning(std::string_view section);

}  // namespace skep::platform
