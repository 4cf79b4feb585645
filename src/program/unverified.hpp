// SPDX-License-Identifier: Apache-2.0
// The way past the verifier, for conformance vectors and tests of the engines in development builds. Its maker lives in
// the library skep_unverified, which a production build does not contain.
#pragma once

#include "base/result.hpp"
#include "program/executable_program.hpp"

namespace skep {

class UnverifiedProgram {
  public:
    /// Checks only what every engine relies on to stay inside the program: each slot decodes, every branch, call and
    /// function reference lands on an instruction's first slot inside the program, and no path runs off the end.
    /// Says nothing about memory. `facts`, one per slot or none, are believed: a wrong one makes wrong code. Errors:
    /// UnknownOpcode, BadInstruction, InvalidArgument (bindings or facts of another number of slots).
    static Result<ExecutableProgram> make(BoundProgram bound, Facts facts = {});
};

}  // namespace skep
