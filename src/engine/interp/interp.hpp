// SPDX-License-Identifier: Apache-2.0
// The interpreter: the plain engine that need only be right, with which the others are compared. Development builds
// only; a production build does not contain this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/engine.hpp"

namespace skep::engine::interp {

/// Memory that a checked program may touch, besides its own stack and (through bindings) its context.
struct Region {
    uint64_t base = 0;
    uint64_t bytes = 0;
};

/// How instructions are dispatched. Both are made from the same handlers and always built and tested.
enum class Dispatch : uint8_t {
    Threaded,  ///< computed goto where the compiler has it, else Switch
    Switch,
};

struct Options {
    Dispatch dispatch = Dispatch::Threaded;
    /// Whether neighbouring instructions share handlers (fused.def). Only threaded programs without a step limit and
    /// without checks do: those count and check one instruction at a time.
    bool fuse = true;
    /// Instructions that one run may execute, callbacks included; then it ends with SKEP_FAULT_STEP_LIMIT. 0: no limit.
    uint64_t step_limit = 0;
    /// Whether every load and store must lie in the program's stack or in `regions`; one that does not ends the run
    /// with SKEP_FAULT_BAD_ACCESS. The whole stack then starts zeroed. For programs that nobody verified.
    bool check_accesses = false;
    std::vector<Region> regions;
};

/// Predecodes a program. The code refers to what `table` points to, not to `program`. It runs as engine.hpp says; calls
/// nest up to SKEP_FRAME_DEPTH frames of SKEP_FRAME_BYTES, counted in run.frames together with those of callbacks.
/// The value of a function reference is the callee's InsnIndex. callx takes such a value, or else the number of a
/// helper, as the callx of bpf_conformance does.
/// Errors: Unavailable (a helper or map that `table` has not), Unsupported (kernel functions and variables, results of
/// the Windows personality), BadInstruction (a map index outside `table`), those of isa::decode.
Result<std::unique_ptr<CompiledCode>> compile(const ExecutableProgram& program, const LinkTable& table,
                                              const Options& options = {});

}  // namespace skep::engine::interp
