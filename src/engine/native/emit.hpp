// SPDX-License-Identifier: Apache-2.0
// From executable programs to C: the first half of a native module (DESIGN.md section 4). The text is a whole
// translation unit that needs <stdint.h> and nothing else, reaches its host through skep_module_instance and
// skep_runtime_context alone, and has no writable data. How it is built is the module floor's matter.
//
// What makes the code fast is that pointers stay pointers and what is private stays plain (design/engines.md section
// 1); what makes it right is that memory which others may write is accessed by single volatile accesses of the
// instruction's own width, so no compiler reads it twice.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "platform/helper.hpp"
#include "program/executable_program.hpp"
#include "program/map_layout.hpp"

namespace skep::engine::native {

/// A map as the code knows it. Of the layout only what follows from the map's definition is used: kind, max_entries,
/// mask and stride; where it lies is asked of the instance.
struct MapShape {
    std::string name;
    uint32_t key_bytes = 0;    ///< 0: unknown
    uint32_t value_bytes = 0;  ///< 0: unknown
    MapLayout layout;          ///< Opaque: lookups are calls
};

struct ProgramSource {
    std::string symbol;  ///< of the entry function; a C identifier
    const ExecutableProgram* program = nullptr;
    std::vector<uint32_t> maps;  ///< per BoundProgram::maps: index into ModuleSource::maps
};

struct ModuleSource {
    std::string title;  ///< first line of the text
    std::vector<ProgramSource> programs;
    std::vector<MapShape> maps;
    /// The order of skep_module_instance::helpers; holds at least what used_helpers() gives.
    std::vector<platform::HelperId> helpers;
};

/// The helpers that a program's code calls, sorted by canonical name.
std::vector<platform::HelperId> used_helpers(std::span<const ExecutableProgram* const> programs);

/// The options every compiler of the text must get: what C leaves undefined and the code relies on.
/// -fno-strict-overflow: pointers are base + integer offset, and may be formed outside their object.
std::span<const char* const> required_flags();

/// The C text, the same for the same input. Errors, with the place: Unavailable (a helper that is not in the table),
/// Unsupported (kernel functions and variables, results of the Windows personality), BadInstruction (a map index
/// outside the tables, a damaged binding), those of isa::decode.
Result<std::string> emit_c(const ModuleSource& source);

}  // namespace skep::engine::native
