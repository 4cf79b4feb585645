// SPDX-License-Identifier: Apache-2.0
// The just-in-time compiler of builds and processors that have none.
#include "engine/jit/jit.hpp"

namespace skep::engine::jit {

bool available() { return false; }

Result<std::unique_ptr<CompiledCode>> compile(const ExecutableProgram&, const LinkTable&, const JitOptions&) {
    return Error{Errc::Unavailable, "this build has no just-in-time compiler", "it generates code for x86-64 only",
                 "use --engine interp, or a native module"};
}

}  // namespace skep::engine::jit
