// SPDX-License-Identifier: Apache-2.0
// Whether, and how, a program may run that no verifier has seen: yes in development builds (unverified_allowed.cpp), no
// in production (unverified_refused.cpp); CMake picks one.
#pragma once

#include "base/result.hpp"
#include "program/executable_program.hpp"

namespace skep::runtime {

bool unverified_programs_possible();
/// Errors: Unavailable in a production build, else those of UnverifiedProgram::make.
Result<ExecutableProgram> make_unverified(BoundProgram bound);

}  // namespace skep::runtime
