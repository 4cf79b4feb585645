// SPDX-License-Identifier: Apache-2.0
#include "runtime/load/engine_room.hpp"

namespace skep::runtime::room {

bool jit_available() { return false; }

Result<std::unique_ptr<engine::CompiledCode>> compile_for_jit(const ExecutableProgram&, const engine::LinkTable&) {
    return Error(Errc::Unavailable, "this build has no code generator for this processor", {}, "use --engine interp");
}

}  // namespace skep::runtime::room
