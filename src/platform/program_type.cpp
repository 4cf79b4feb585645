// SPDX-License-Identifier: Apache-2.0
// Look-ups in program_type.def and sections.def.
#include "platform/program_type.hpp"

#include <cstddef>

namespace skep::platform {
namespace {

enum class Match : uint8_t { Exact, Under, Begin };

struct SectionRow {
    std::string_view text;
    Match match;
    SectionMeaning meaning;
};

constexpr SectionRow section_rows[] = {
#define SECTION(text, match, type, attach) {text, Match::match, {ProgramType::type, AttachType::attach}},
#include "platform/sections.def"
#undef SECTION
};

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
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since) \
    if (id == linux_id) return ProgramType::name;
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    return std::nullopt;
}

std::optional<ProgramType> program_type_from_name(std::string_view word) {
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since) \
    if (word == text) return ProgramType::name;
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    if (word == "tc" || word == "classifier" || word == "tcx") return ProgramType::SchedCls;
    if (word == "action") return ProgramType::SchedAct;
    if (word == "socket") return ProgramType::SocketFilter;
    return std::nullopt;
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
