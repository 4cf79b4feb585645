// SPDX-License-Identifier: Apache-2.0
#include "cli/check/adapted_needs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "platform/context_types.hpp"
#include "program/adapt.hpp"
#include "runtime/load/kernel_config.hpp"

namespace skep::cli {

namespace {

Result<std::shared_ptr<const btf::Btf>> parsed(const std::vector<std::byte>& bytes) {
    SKEP_ASSIGN(btf::Btf types, btf::Btf::parse(bytes));
    return std::make_shared<const btf::Btf>(std::move(types));
}

bool reads_configuration(const object::ObjectSpec& spec, const object::LinkedProgram& program) {
    return std::ranges::any_of(program.externs,
                               [&](uint32_t index) { return spec.externs[index].kind == object::ExternKind::Kconfig; });
}

/// The values that the platform decides. What it does not goes into `notes`.
std::vector<KnownBytes> configuration_of(const object::ObjectSpec& spec, const object::LinkedProgram& program,
                                         const platform::Platform& platform, std::vector<std::string>& notes) {
    const runtime::KernelConfig config = runtime::KernelConfig::of(platform);
    object::ObjectSpec copy = spec;
    std::vector<KnownBytes> known;
    std::string undecided;
    for (const uint32_t index : program.externs) {
        const object::ExternSpec& wanted = spec.externs[index];
        if (wanted.kind != object::ExternKind::Kconfig) continue;
        object::LinkedProgram one;
        one.externs = {index};
        const bool decided = config.find(wanted.name) != nullptr;
        if (!decided) undecided += fmt::format("{}{}", undecided.empty() ? "" : ", ", wanted.name);
        if (!decided) continue;
        if (!runtime::fill_kernel_config(copy, one, config)) {
            notes.push_back(fmt::format("{} has another type there than the program declares", wanted.name));
            continue;
        }
        const std::vector<std::byte>& value = copy.maps[wanted.map].initial;
        known.push_back(
            {wanted.map, wanted.offset, {value.begin() + wanted.offset, value.begin() + wanted.offset + wanted.size}});
    }
    if (!undecided.empty() && !config.values.empty())
        notes.push_back(
            fmt::format("whoever builds a kernel decides {}: what depends on it is looked at both ways", undecided));
    return known;
}

}  // namespace

Result<const AdaptedNeeds::Types*> AdaptedNeeds::types_of(const platform::Platform& platform) {
    for (const auto& known : types_)
        if (known->platform == &platform) return known.get();
    if (own_ == nullptr) {
        SKEP_ASSIGN(own_, parsed(platform::context_types(personality_)));
    }
    auto made = std::make_unique<Types>();
    made->platform = &platform;
    if (kernel_ != nullptr && platform.personality == platform::Personality::Linux) {
        made->types = kernel_;
        made->complete = true;
    } else {
        // skep lays contexts out as the program's own system does. No kernel's structures are in the tables, and eBPF
        // for Windows shows programs no others than those.
        SKEP_ASSIGN(made->types,
                    parsed(platform::context_types(platform, platform.binds ? personality_ : platform.personality)));
        made->complete = platform.personality == platform::Personality::Windows;
    }
    types_.push_back(std::move(made));
    return types_.back().get();
}

Result<std::vector<std::shared_ptr<const ProgramNeeds>>> AdaptedNeeds::of(
    const object::LinkedProgram& program, std::span<const platform::Platform* const> platforms) {
    std::vector<std::shared_ptr<const ProgramNeeds>> out;
    const bool core = !program.core_relocations.empty() && spec_.btf != nullptr;
    const bool configured = reads_configuration(spec_, program);
    if (!core && !configured) {
        SKEP_ASSIGN(ProgramNeeds needs, needs_of(spec_, program, personality_, type_));
        out.assign(platforms.size(), std::make_shared<const ProgramNeeds>(std::move(needs)));
        return out;
    }
    for (const platform::Platform* platform : platforms) {
        SKEP_ASSIGN(const Types* types, types_of(*platform));
        std::vector<std::string> notes;
        AdaptTarget target{own_.get(), types->types.get(), types->complete, {}};
        if (configured) target.known = configuration_of(spec_, program, *platform, notes);
        SKEP_ASSIGN(const AdaptedProgram adapted, adapt(spec_, program, personality_, target));
        SKEP_ASSIGN(ProgramNeeds needs, needs_of(spec_, program, personality_, type_, &adapted));
        needs.unread.insert(needs.unread.end(), notes.begin(), notes.end());
        out.push_back(std::make_shared<const ProgramNeeds>(std::move(needs)));
    }
    return out;
}

}  // namespace skep::cli
