// SPDX-License-Identifier: Apache-2.0
// The engines that were built, one pair of files each: interpreter_present.cpp or interpreter_absent.cpp (production);
// the compiler says itself whether it is there (jit.cpp).
#pragma once

#include "runtime/load/engines.hpp"

namespace skep::runtime::room {

bool interpreter_available();
Result<std::unique_ptr<engine::CompiledCode>> compile_for_interpreter(const ExecutableProgram& program,
                                                                      const engine::LinkTable& link);
bool jit_available();
Result<std::unique_ptr<engine::CompiledCode>> compile_for_jit(const ExecutableProgram& program,
                                                              const engine::LinkTable& link);

}  // namespace skep::runtime::room
