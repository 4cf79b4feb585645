// SPDX-License-Identifier: Apache-2.0
#include "program/unverified.hpp"
#include "runtime/load/unverified.hpp"

namespace skep::runtime {

bool unverified_programs_possible() { return true; }

Result<ExecutableProgram> make_unverified(BoundProgram bound) { return UnverifiedProgram::make(std::move(bound)); }

}  // namespace skep::runtime
