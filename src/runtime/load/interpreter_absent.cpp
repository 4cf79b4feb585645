// SPDX-License-Identifier: Apache-2.0
#include "runtime/load/engine_room.hpp"

namespace skep::runtime::room {

bool interpreter_available() { return false; }

Result<std::unique_ptr<engine::CompiledCode>> compile_for_interpreter(const ExecutableProgram&,
                                                                      const engine::LinkTable&) {
    return Error(Errc::Unavailable, "this build has no interpreter",
                 "an interpreter in a privileged address space is a risk: production builds run compiled code only",
                 "use --engine jit");
}

}  // namespace skep::runtime::room
