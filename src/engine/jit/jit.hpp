// SPDX-License-Identifier: Apache-2.0
// The just-in-time compiler: one native function per program, made in two linear passes over its instructions with a
// fixed register map (asmjit's Assembler underneath). Pages are written, then made executable, never both.
#pragma once

#include <memory>

#include "base/result.hpp"
#include "engine/engine.hpp"

namespace skep::engine::jit {

/// The calling convention that generated code is called by and calls helpers by.
enum class CallingConvention : uint8_t { SysV, Windows };

#ifdef _WIN32
constexpr CallingConvention host_convention = CallingConvention::Windows;
#else
constexpr CallingConvention host_convention = CallingConvention::SysV;
#endif

struct JitOptions {
    /// Convention of skep_entry_fn, skep_helper_fn and call_back; another one than the host's is for tests.
    CallingConvention convention = host_convention;
    /// Use instructions beyond the x86-64 baseline that this processor has (BMI2, MOVBE).
    bool processor_extensions = true;
    /// Inline lookups in arrays and per-CPU arrays where LinkTable::layouts describes them.
    bool inline_lookups = true;
};

/// Whether this build can compile at all.
bool available();

/// Compiles `program` against `link`; the result may be entered by any number of threads at once. Whatever `link`
/// points to must outlive the code. callx takes the value of a function reference and, in a program that nobody
/// verified, else the number of a helper. Errors: Unavailable (no code generator for this processor; a helper or map
/// values that `link` has not), Unsupported (kernel functions and variables, results of the Windows personality),
/// BadInstruction (a map index outside `link`), those of isa::decode, NoMemory, AccessDenied (the host forbids new
/// code).
Result<std::unique_ptr<CompiledCode>> compile(const ExecutableProgram& program, const LinkTable& link,
                                              const JitOptions& options = {});

}  // namespace skep::engine::jit
