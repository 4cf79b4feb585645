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
    std::optional<bool> sleepable = {};                     ///< nothing: what the section name stands for
    /// For whoever verifies the result: an instruction without a meaning becomes BindingKind::Problem and an element of
    /// BoundProgram::problems instead of an error, since only a proof can say whether it is ever executed. Without it,
    /// so do only those that control flow certainly does not reach: code behind a comparison of two constants, which is
    /// how authors guard what a kernel may lack (CO-RE existence, the address of a weak kernel function).
    bool keep_problems = false;
};

/// Gives each instruction of `program` (link()ed from `spec`) its meaning: helper numbers become canonical helpers,
/// packet loads the helper that does them, map type numbers canonical types, and loads and stores through a register
/// that certainly holds the context become accesses of canonical fields.
/// Program types that nothing here runs are bound like others; their context accesses carry the personality's own
/// offsets. Errors, each naming the program and, where one is at fault, the instruction and its source line:
/// - what skep does not know, so nothing is said of the program:
///   Unsupported  program type whose context is not modelled, personality; kernel function or variable *
///   Undecided    an access whose base may or may not be the context *
/// - what is wrong with the program:
///   Unresolved   no program type can be told; a map type or helper * number nobody defines; a
///                CO-RE relocation that found no match *
///   NotPermitted a GPL-only helper in an object without a GPL-compatible licence *
///   Rejected     a helper, context access or packet load that the program type does not have *
///   UnknownOpcode, BadInstruction  as isa::decode; a jump or call that leaves its function or the program
/// With BindOptions::keep_problems, those marked * are kept in BoundProgram::problems.
Result<BoundProgram> bind(const object::ObjectSpec& spec, const object::LinkedProgram& program,
                          const BindOptions& options = {});

/// What the memory access at instruction `at` of a bound program does when its base register holds the context plus
/// `base` bytes. For whoever proved that where binding could not tell.
/// Errors: Rejected, as bind(); the place carries the instruction only.
Result<ContextAccess> context_access(const BoundProgram& program, isa::InsnIndex at, const isa::Insn& insn,
                                     int64_t base);

/// Whether a licence string is one that Linux takes for GPL-compatible (license_is_gpl_compatible).
bool is_gpl_compatible(std::string_view license);

}  // namespace skep
