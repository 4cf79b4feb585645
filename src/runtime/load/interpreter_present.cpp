// SPDX-License-Identifier: Apache-2.0
#include "engine/interp/interp.hpp"
#include "runtime/load/engine_room.hpp"

namespace skep::runtime::room {

bool interpreter_available() { return true; }

Result<std::unique_ptr<engine::CompiledCode>> compile_for_interpreter(const ExecutableProgram& program,
                                                                      const engine::LinkTable& link) {
    return engine::interp::compile(program, link);
}

}  // namespace skep::runtime::room
