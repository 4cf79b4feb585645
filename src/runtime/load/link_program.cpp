// SPDX-License-Identifier: Apache-2.0
#include "runtime/load/link_program.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "object/link.hpp"
#include "object/relocate.hpp"

namespace skep::runtime {

namespace {

/// The kernel configuration values of linux-6.12, the platform that skep stands for; weak ones that are not here are 0.
constexpr std::pair<std::string_view, uint64_t> kernel_configuration[] = {
    {"LINUX_KERNEL_VERSION", 6u << 16 | 12u << 8},
    {"CONFIG_HZ", 250},
};

/// Fills in the kernel configuration that the program reads. Kernel variables and functions are bind()'s to refuse.
Result<void> configure(object::ObjectSpec& spec, const object::LinkedProgram& program) {
    for (const uint32_t index : program.externs) {
        const object::ExternSpec& wanted = spec.externs[index];
        if (wanted.kind != object::ExternKind::Kconfig) continue;
        bool found = wanted.weak;
        uint64_t value = 0;
        for (const auto& [name, number] : kernel_configuration) {
            if (name != wanted.name) continue;
            found = true;
            value = number;
        }
        if (!found) {
            return Error(Errc::Unresolved, fmt::format("the kernel configuration value {} is not known", wanted.name),
                         "no kernel runs this program; only what a weak declaration allows can be left out",
                         "declare it __weak to have it read as zero")
                .in_function(program.name);
        }
        std::vector<std::byte>& bytes = spec.maps[wanted.map].initial;
        const size_t size = std::min<size_t>(wanted.size, 8);
        if (bytes.size() < size_t{wanted.offset} + size) bytes.resize(size_t{wanted.offset} + size);
        for (size_t i = 0; i < size; ++i) bytes[wanted.offset + i] = static_cast<std::byte>(value >> (8 * i));
    }
    return {};
}

}  // namespace

Result<object::LinkedProgram> link_program(object::ObjectSpec& spec, uint32_t index, TargetTypes& target) {
    SKEP_ASSIGN(object::LinkedProgram linked, object::link(spec, index));
    if (!linked.core_relocations.empty() && target.recorded != nullptr) {
        const auto found = target.recorded->find(linked.name);
        SKEP_TRY(
            object::relocate(linked, found != target.recorded->end() ? found->second : std::vector<btf::CoreAnswer>()));
        if (found != target.recorded->end()) target.answers[linked.name] = found->second;
    } else if (!linked.core_relocations.empty()) {
        if (target.types == nullptr && target.open) {
            SKEP_ASSIGN(target.types, target.open());
        }
        if (target.types == nullptr) {
            return Error(Errc::Unavailable,
                         "the program has CO-RE relocations and there is nothing to resolve them against", {},
                         "give the types of the kernel it is for with --btf FILE")
                .in_function(linked.name);
        }
        std::vector<btf::CoreAnswer>& answers = target.answers[linked.name];
        answers.clear();
        SKEP_TRY(object::relocate(linked, *spec.btf, *target.types, &answers));
    }
    SKEP_TRY(configure(spec, linked));
    return linked;
}

}  // namespace skep::runtime
