// SPDX-License-Identifier: Apache-2.0
// Builds the built-in platforms from the tables.
#include "platform/platforms/platform.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace skep::platform {
namespace {

struct TypeRow {
    ProgramType type;
    uint32_t linux_id, windows_id;
    const char* since;
};
constexpr TypeRow type_rows[] = {
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted) \
    {ProgramType::name, linux_id, windows_id, since},
#include "platform/program_type.def"
#undef PROGRAM_TYPE
};

struct MapRow {
    MapType type;
    uint32_t linux_id, windows_id;
    const char* since;
};
constexpr MapRow map_rows[] = {
#define MAP_TYPE(name, text, linux_id, windows_id, since) {MapType::name, linux_id, windows_id, since},
#include "platform/map_type.def"
#undef MAP_TYPE
};

constexpr FeatureRow feature_rows[] = {
#define FEATURE(name, text, linux_since, windows, skep) {FeatureId::name, text, linux_since, windows, skep},
#include "platform/platforms/features.def"
#undef FEATURE
};

struct WindowsHelperRow {
    ProgramType type;
    uint32_t id;
    const char* name;
    HelperId helper;
};
constexpr WindowsHelperRow windows_helper_rows[] = {
#define WINDOWS_HELPER(type, id, name, helper) {ProgramType::type, id, name, HelperId::helper},
#include "platform/windows_helpers.def"
#undef WINDOWS_HELPER
};

struct FieldSince {
    std::string_view structure, field, since;
};
constexpr FieldSince field_since_rows[] = {
#define FIELD_SINCE(structure, field, since) {structure, field, since},
#include "platform/platforms/field_since.def"
#undef FIELD_SINCE
};

struct KfuncRow {
    std::string_view name, since;
};
constexpr KfuncRow kfunc_rows[] = {
#define KFUNC(name, since) {name, since},
#include "platform/platforms/kfuncs.def"
#undef KFUNC
};

struct KconfigRow {
    std::string_view name, since, value;
    bool own;  ///< skep's alone
};
constexpr KconfigRow kconfig_rows[] = {
#define VERSION ""
#define KCONFIG(name, since, value) {name, since, value, false},
#define OWN_KCONFIG(name, value) {name, "", value, true},
#include "platform/platforms/kconfig.def"
#undef OWN_KCONFIG
#undef KCONFIG
#undef VERSION
};

struct SectionRow {
    std::string_view text;
    ProgramType type;
};
constexpr SectionRow section_rows[] = {
#define SECTION(text, match, type, attach, sleepable) {text, ProgramType::type},
#include "platform/sections.def"
#undef SECTION
};

/// Sections that eBPF for Windows' loader knows, or the words before the first '/'.
constexpr std::string_view windows_sections[] = {
    "xdp",
    "bind",
    "sockops",
    "process",
    "netevent_monitor",
    "sample_ext",
    "cgroup/connect4",
    "cgroup/connect6",
    "cgroup/recv_accept4",
    "cgroup/recv_accept6",
    "cgroup/connect_authorization4",
    "cgroup/connect_authorization6",
    "cgroup/bind4",
    "cgroup/bind6",
    "cgroup/listen4",
    "cgroup/listen6",
};

bool exists(std::string_view since, Version version) {
    const auto first = Version::parse(since);
    return first && *first <= version;
}

bool only_windows_names(const SectionRow& row) {
    if (program_type_linux_id(row.type) == 0) return true;
    return row.text.starts_with("cgroup/recv_accept") || row.text.starts_with("cgroup/connect_authorization") ||
           row.text.starts_with("cgroup/listen");
}

/// Whether some program that `p` runs can read the field there. Nothing stands behind a pointer that is never null.
bool readable_here(const Platform& p, const FieldRow& row) {
    if (row.hole != nullptr || row.kind == FieldKind::Socket || row.kind == FieldKind::FlowKeys ||
        row.kind == FieldKind::TracepointBuffer)
        return false;
    return std::ranges::any_of(p.types, [&](const PlatformType& t) {
        return context_of(t.type) == row.context && (row.readers & program_type_bit(t.type)) != 0;
    });
}

/// The program types whose programs may call a helper when they come from eBPF for Windows.
ProgramSet windows_users(HelperId id) {
    ProgramSet users = 0;
    for (const TypeRow& row : type_rows)
        if (row.windows_id != 0 && windows_helper_number(id, row.type) != 0) users |= program_type_bit(row.type);
    return users;
}

/// Fills in what the Linux columns say: everything up to `version` that `offer` wants.
void fill_linux(Platform& p, Version version, const HostOffer* offer) {
    for (const TypeRow& row : type_rows) {
        const bool there = offer != nullptr ? offer->type(row.type) : exists(row.since, version);
        if (there) p.types.push_back({row.type, row.linux_id, row.since});
    }
    for (uint16_t i = 0; i < helper_count; ++i) {
        const auto id = static_cast<HelperId>(i);
        const HelperRow& row = helper(id);
        const bool callable = row.linux_id != 0 || (offer != nullptr && windows_users(id) != 0);
        if (!callable) continue;
        const bool there = offer != nullptr ? offer->helper(id) : exists(row.since, version);
        ProgramSet users = (row.linux_id != 0 ? linux_users(id) : 0) | (offer != nullptr ? windows_users(id) : 0);
        for (const TypeRow& type : type_rows)  // no release here is newer
            if (offer == nullptr && !helper_allowed_in_6_12(id, type.type)) users &= ~program_type_bit(type.type);
        if (there) p.helpers.push_back({row.name, row.linux_id, id, row.since, users});
    }
    for (const MapRow& row : map_rows) {
        const bool there = offer != nullptr ? offer->map(row.type) : exists(row.since, version);
        if (there) p.maps.push_back({row.type, row.linux_id, row.since});
    }
    for (const FieldRow& row : context_fields()) {
        const bool visible = row.linux_bytes != 0 || (offer != nullptr && row.windows_bytes != 0);
        if (!visible || row.hole != nullptr || (offer != nullptr && !readable_here(p, row))) continue;
        const std::string_view since = field_since(row);
        if (offer == nullptr && !since.empty() && !exists(since, version)) continue;
        const Personality as = row.linux_bytes != 0 ? Personality::Linux : Personality::Windows;
        p.fields.push_back({row.context, row.id, context_type_name(row.context, as), row.name, row.offset(as),
                            row.bytes(as), std::string(since)});
    }
    for (const KfuncRow& row : kfunc_rows)
        if (offer == nullptr && exists(row.since, version))
            p.kfuncs.push_back({std::string(row.name), std::string(row.since)});
    for (const SectionRow& row : section_rows) {
        if (offer == nullptr && only_windows_names(row)) continue;
        if (p.has(row.type)) p.sections.push_back({std::string(row.text), row.type});
    }
    for (const FeatureRow& row : feature_rows)
        if (offer != nullptr ? row.skep : exists(row.linux_since, version)) p.features.push_back(row.id);
    // Programs on skep are told that it is Linux 6.12.
    const Version told = offer != nullptr ? Version{6, 12} : version;
    for (const KconfigRow& row : kconfig_rows) {
        if (row.own && offer == nullptr) continue;
        std::string value(row.value);
        if (row.value.empty())
            value = fmt::to_string(told.major << 16 | told.minor << 8);
        else if (!row.since.empty() && !exists(row.since, told))
            value = row.value == "y" ? "n" : "0";
        p.kconfig.push_back({std::string(row.name), std::move(value)});
    }
}

void fill_windows(Platform& p) {
    for (const TypeRow& row : type_rows)
        if (row.windows_id != 0) p.types.push_back({row.type, row.windows_id, ""});
    for (uint16_t i = 0; i < helper_count; ++i) {
        const auto id = static_cast<HelperId>(i);
        if (helper(id).windows_id != 0)
            p.helpers.push_back({helper(id).name, helper(id).windows_id, id, "", every_program_type});
    }
    for (const WindowsHelperRow& row : windows_helper_rows)
        p.helpers.push_back({row.name, row.id, row.helper, "", program_type_bit(row.type)});
    std::ranges::stable_sort(p.helpers, {}, &PlatformHelper::id);
    for (const MapRow& row : map_rows)
        if (row.windows_id != 0) p.maps.push_back({row.type, row.windows_id, ""});
    for (const FieldRow& row : context_fields()) {
        if (row.windows_bytes == 0 || row.hole != nullptr) continue;
        p.fields.push_back({row.context, row.id, context_type_name(row.context, Personality::Windows), row.name,
                            row.windows_offset, row.windows_bytes, ""});
    }
    std::ranges::stable_sort(
        p.fields, {}, [](const PlatformField& f) { return std::pair(static_cast<unsigned>(f.context), f.offset); });
    for (const std::string_view text : windows_sections)
        if (const auto meaning = section_meaning(text)) p.sections.push_back({std::string(text), meaning->type});
    for (const FeatureRow& row : feature_rows)
        if (row.windows) p.features.push_back(row.id);
}

}  // namespace

std::string Version::to_string() const { return fmt::format("{}.{}", major, minor); }

std::optional<Version> Version::parse(std::string_view text) {
    Version version;
    const char* const end = text.data() + text.size();
    const auto [dot, bad_major] = std::from_chars(text.data(), end, version.major);
    if (bad_major != std::errc{} || dot == end || *dot != '.') return std::nullopt;
    const auto [last, bad_minor] = std::from_chars(dot + 1, end, version.minor);
    if (bad_minor != std::errc{} || last != end) return std::nullopt;
    return version;
}

const FeatureRow& feature(FeatureId id) { return feature_rows[static_cast<uint8_t>(id)]; }

bool Platform::has(ProgramType type) const {
    return std::ranges::find(types, type, &PlatformType::type) != types.end();
}
bool Platform::has(MapType type) const { return std::ranges::find(maps, type, &PlatformMap::type) != maps.end(); }
bool Platform::has(FieldId field) const {
    return std::ranges::find(fields, field, &PlatformField::field) != fields.end();
}
bool Platform::has(FeatureId feature) const { return std::ranges::find(features, feature) != features.end(); }
bool Platform::has_kfunc(std::string_view kfunc) const {
    return std::ranges::find(kfuncs, kfunc, &PlatformKfunc::name) != kfuncs.end();
}

const PlatformHelper* Platform::helper_for(HelperId id, ProgramType type) const {
    const PlatformHelper* general = nullptr;
    for (const PlatformHelper& row : helpers) {
        if (row.canonical != id || (row.users & program_type_bit(type)) == 0) continue;
        if (row.users != every_program_type) return &row;
        general = &row;
    }
    return general;
}

const PlatformHelper* Platform::helper_for_any(HelperId id) const {
    for (const PlatformHelper& row : helpers)
        if (row.canonical == id) return &row;
    return nullptr;
}

std::vector<Platform> builtin_platforms(const HostOffer& offer) {
    std::vector<Platform> all;
    const auto add = [&](const char* name, Personality personality, Version version, const char* title,
                         const char* source) {
        Platform p;
        p.name = name;
        p.title = title;
        p.source = source;
        p.personality = personality;
        p.version = version;
        if (personality == Personality::Windows) {
            fill_windows(p);
        } else if (version == Version{}) {
            p.binds = true;
            fill_linux(p, version, &offer);
        } else {
            fill_linux(p, version, nullptr);
        }
        all.push_back(std::move(p));
    };
#define PLATFORM(name, personality, major, minor, title, source) \
    add(name, Personality::personality, Version{major, minor}, title, source);
#include "platform/platforms/platforms.def"
#undef PLATFORM
    return all;
}

ProgramSet linux_users(HelperId id) {
    // Types that no row of the table names are not in it yet.
    static const ProgramSet tabled = [] {
        ProgramSet all = 0;
        for (uint16_t i = 0; i < helper_count; ++i) all |= helper(static_cast<HelperId>(i)).users;
        return all;
    }();
    static const ProgramSet linux = [] {
        ProgramSet all = 0;
        for (const TypeRow& row : type_rows)
            if (row.linux_id != 0) all |= program_type_bit(row.type);
        return all;
    }();
    return helper(id).users | (linux & ~tabled);
}

std::string_view field_since(const FieldRow& row) {
    const std::string_view structure = context_type_name(row.context, Personality::Linux);
    for (const FieldSince& known : field_since_rows)
        if (known.structure == structure && known.field == row.name) return known.since;
    return {};
}

std::string_view kfunc_since(std::string_view name) {
    for (const KfuncRow& row : kfunc_rows)
        if (row.name == name) return row.since;
    return {};
}

std::string_view program_type_since(ProgramType type) { return type_rows[static_cast<uint8_t>(type)].since; }
std::string_view map_type_since(MapType type) { return map_rows[static_cast<uint8_t>(type)].since; }
uint32_t program_type_windows_id(ProgramType type) { return type_rows[static_cast<uint8_t>(type)].windows_id; }
uint32_t map_type_windows_id(MapType type) { return map_rows[static_cast<uint8_t>(type)].windows_id; }

std::optional<HelperId> windows_helper_of_type(ProgramType type, uint32_t id) {
    for (const WindowsHelperRow& row : windows_helper_rows)
        if (row.type == type && row.id == id) return row.helper;
    return std::nullopt;
}

std::string_view windows_helper_word(ProgramType type, uint32_t id) {
    for (const WindowsHelperRow& row : windows_helper_rows)
        if (row.type == type && row.id == id) return row.name;
    return {};
}

uint32_t windows_helper_number(HelperId id, ProgramType type) {
    for (const WindowsHelperRow& row : windows_helper_rows)
        if (row.type == type && row.helper == id) return row.id;
    return helper(id).windows_id;
}

bool helper_callable(Personality personality, HelperId id, ProgramType type, AttachType attach) {
    if (personality == Personality::Linux) return helper_allowed(id, type, attach);
    return windows_helper_number(id, type) != 0;
}

bool windows_result_is_mapped(HelperId id) {
    if (id == HelperId::TailCall) return true;  // one that failed says why; Linux says nothing
    const HelperRow& row = helper(id);
    if (row.windows_id == 0 && row.linux_id == 0) return false;  // Windows' own words already
    if (row.linux_id == 0 && row.result != ResultKind::Status) return false;
    return row.result == ResultKind::Status || id == HelperId::CsumDiff;
}

}  // namespace skep::platform
