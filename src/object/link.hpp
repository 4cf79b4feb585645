// SPDX-License-Identifier: Apache-2.0
// Linking: one instruction stream per program (linked_program.hpp says how references look in it).
#pragma once

#include <cstddef>

#include "base/result.hpp"
#include "object/linked_program.hpp"
#include "object/object_spec.hpp"

namespace skep::object {

/// The entry function and every function it reaches by calls and references, in order of first mention (breadth first),
/// with all references resolved inside the stream. Deterministic. Functions may call each other in circles; that is
/// for the verifier to judge.
/// LinkedProgram::externs also names the kernel configuration values the program reads: whoever loads the program must
/// provide each extern or refuse the program.
/// Requires: program_index < spec.programs.size().
/// Errors: Malformed, Unresolved, Unsupported; each names file, section, function, instruction and source line.
Result<LinkedProgram> link(const ObjectSpec& spec, size_t program_index);

}  // namespace skep::object
