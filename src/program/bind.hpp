// SPDX-License-Identifier: Apache-2.0
// Binding: what every number of a linked program means, as a side table (DESIGN.md section 3 and 7b.1). It adds and
// moves no instruction.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "object/linked_program.hpp"
#include "object/object_spec.hpp"
#include "platform/names.hpp"
#include "program/bound_program.hpp"

namespace skep {

struct BindOptions {
    std::optional<platform::ProgramType> type = {};         ///< nothing: what the section name stands for
    std::optional<platform::AttachType> attach = {};        ///< nothing: what the section name stands for
    std::optional<platform::Personality> personality = {};  ///< nothing: by the object's evidence
};

/// Gives each instruction of `program` (link()ed from `spec`) its meaning: helper numbers become canonical helpers,
/// packet loads the helper that does them, map type numbers canonical types, and loads and stores through a register
/// that certainly holds the context become accesses of canonical fields.
/// Errors, each naming the program and, where one is at fault, the instruction and its source line:
///   Unsupported  program type, personality, kernel function or variable that is not modelled
///   Unresolved   no program type can be told; a helper or map type number nobody defines
///   NotPermitted a GPL-only helper in an object without a GPL-compatible licence
///   Rejected     a helper, context access or packet load that the program type does not have
///   Undecided    an access whose base may or may not be the context
///   UnknownOpcode, BadInstruction  as isa::decode; a jump or call that leaves its function or the program
Result<BoundProgram> bind(const object::ObjectSpec& spec, const object::LinkedProgram& program,
                          const BindOptions& options = {});

/// Whether a licence string is one that Linux takes for GPL-compatible (license_is_gpl_compatible).
bool is_gpl_compatible(std::string_view license);

}  // namespace skep
