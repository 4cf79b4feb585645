// SPDX-License-Identifier: Apache-2.0
#include "engine/jit/jit.hpp"
#include "runtime/load/engine_room.hpp"

namespace skep::runtime::room {

bool jit_available() { return engine::jit::available(); }

Result<std::unique_ptr<engine::CompiledCode>> compile_for_jit(const ExecutableProgram& program,
                                                              const engine::LinkTable& link) {
    return engine::jit::compile(program, link);
}

}  // namespace skep::runtime::room
