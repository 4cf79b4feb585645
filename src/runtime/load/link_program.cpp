// SPDX-License-Identifier: Apache-2.0
#include "runtime/load/link_program.hpp"

#include <fmt/format.h>

#include "object/link.hpp"
#include "object/relocate.hpp"

namespace skep::runtime {

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
    SKEP_TRY(fill_kernel_config(spec, linked, target.config, &target.told));
    return linked;
}

}  // namespace skep::runtime
