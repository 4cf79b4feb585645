// SPDX-License-Identifier: Apache-2.0
// A bound program's way through the verifier, for whoever loads it.
#pragma once

#include <cstddef>
#include <vector>

#include "base/result.hpp"
#include "object/object_spec.hpp"
#include "program/executable_program.hpp"

namespace skep::runtime {

/// Verifies. Errors: those of make_subject; Rejected (unsafe, or against the platform's policy) and Undecided (not
/// proved, a limit, not modelled), naming rule, place and reason.
Result<ExecutableProgram> verify_program(const object::ObjectSpec& spec, BoundProgram bound,
                                         std::vector<std::byte>* certificate = nullptr);

}  // namespace skep::runtime
