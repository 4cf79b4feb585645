// SPDX-License-Identifier: Apache-2.0
// Platforms: what a host offers, as tables (DESIGN.md section 3). The built-in ones are read off the .def files; a
// user's file extends one of them (platform_file in the cli).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "platform/names.hpp"
#include "platform/program_type.hpp"

namespace skep::platform {

/// A kernel version, "6.12". 0.0 is before all others: what has no version exists since ever, or by its own column.
struct Version {
    uint16_t major = 0;
    uint16_t minor = 0;

    auto operator<=>(const Version&) const = default;
    std::string to_string() const;
    /// Nothing for text that is no "N.M".
    static std::optional<Version> parse(std::string_view text);
};

/// What programs need of a platform beyond helpers, maps and fields; rows in features.def.
enum class FeatureId : uint8_t {
#define FEATURE(name, text, linux_since, windows, skep) name,
#include "platform/platforms/features.def"
#undef FEATURE
};

struct FeatureRow {
    FeatureId id;
    const char* text;
    const char* linux_since;  ///< "": no Linux takes it
    bool windows;
    bool skep;
};
const FeatureRow& feature(FeatureId id);
inline constexpr size_t feature_count = 0
#define FEATURE(name, text, linux_since, windows, skep) +1
#include "platform/platforms/features.def"
#undef FEATURE
    ;

struct PlatformType {
    ProgramType type;
    uint32_t id = 0;  ///< the platform's number
    std::string since;
};
struct PlatformHelper {
    std::string name;  ///< canonical, without "bpf_"
    uint32_t id = 0;   ///< the platform's number
    std::optional<HelperId> canonical;
    std::string since;
    ProgramSet users = every_program_type;  ///< program types that may call it
};
struct PlatformMap {
    MapType type;
    uint32_t id = 0;
    std::string since;
};
struct PlatformField {
    ContextKind context;
    FieldId field;
    std::string structure;  ///< "struct xdp_md"
    std::string name;
    uint16_t offset = 0;  ///< bytes, in the platform's layout
    uint16_t bytes = 0;
    std::string since;  ///< "" with the context itself
};
struct PlatformKfunc {
    std::string name;
    std::string since;
};
/// A value of the kernel's configuration that the platform decides (kconfig.def), as in the kernel's own file of it.
struct PlatformKconfig {
    std::string name;
    std::string value;
};
struct PlatformSection {
    std::string text;  ///< without a trailing "/..."
    ProgramType type;
};

/// One host's offer. Everything in it exists there; what is not in it does not.
struct Platform {
    std::string name;
    std::string title;
    std::string source;
    Personality personality = Personality::Linux;  ///< whose numbers programs for it are compiled with
    Version version;                               ///< Linux platforms; else 0.0
    bool binds = false;                            ///< takes objects of both personalities as they are
    std::vector<PlatformType> types;
    std::vector<PlatformHelper> helpers;  ///< by number
    std::vector<PlatformMap> maps;
    std::vector<PlatformField> fields;
    std::vector<PlatformKfunc> kfuncs;
    std::vector<PlatformSection> sections;
    std::vector<FeatureId> features;
    std::vector<PlatformKconfig> kconfig;

    bool has(ProgramType type) const;
    bool has(MapType type) const;
    bool has(FieldId field) const;
    bool has(FeatureId feature) const;
    bool has_kfunc(std::string_view name) const;
    /// The helper that stands for `id` in programs of `type`; null if there is none. Where a number belongs to certain
    /// types, theirs goes first.
    const PlatformHelper* helper_for(HelperId id, ProgramType type) const;
    /// The same, whatever the program type.
    const PlatformHelper* helper_for_any(HelperId id) const;
};

/// What skep itself offers, told by the floors above that know.
struct HostOffer {
    std::function<bool(HelperId)> helper = [](HelperId) { return false; };
    std::function<bool(MapType)> map = [](MapType) { return false; };
    std::function<bool(ProgramType)> type = [](ProgramType) { return false; };
};

/// The built-in platforms, in the order of platforms.def. "skep" holds what `offer` says.
std::vector<Platform> builtin_platforms(const HostOffer& offer);

/// Which program types may call a helper on Linux and skep. Types whose helpers are in no table yet are in every set:
/// for them only a helper's version can be told.
ProgramSet linux_users(HelperId id);

/// When Linux got a context field; "" with the context itself, or before Linux 5.4.
std::string_view field_since(const FieldRow& row);
/// When Linux got a kernel function; "" for one in no table.
std::string_view kfunc_since(std::string_view name);
/// When Linux got it; "" never.
std::string_view program_type_since(ProgramType type);
std::string_view map_type_since(MapType type);
/// The type's number on eBPF for Windows; 0 if it has none.
uint32_t program_type_windows_id(ProgramType type);
uint32_t map_type_windows_id(MapType type);

/// The helper of a number that belongs to one program type on eBPF for Windows (0x10000 and above); nothing if there is
/// none.
std::optional<HelperId> windows_helper_of_type(ProgramType type, uint32_t id);
/// That system's own word for it ("sock_ops_get_flow_id"), static storage; empty if there is none.
std::string_view windows_helper_word(ProgramType type, uint32_t id);
/// The number of `id` in programs of `type` on eBPF for Windows, general or the type's own; 0 if there is none.
uint32_t windows_helper_number(HelperId id, ProgramType type);

/// Whether programs of a type, loaded for an attach type, may call the helper where the personality is at home. eBPF
/// for Windows lets every type call the general ones.
bool helper_callable(Personality personality, HelperId id, ProgramType type, AttachType attach);

/// Whether the helper's errors are minus an ebpf_result there (ebpf_result.hpp). Not those of the string and memory
/// helpers, which speak errno on both systems, and not results that are no status.
bool windows_result_is_mapped(HelperId id);

}  // namespace skep::platform
