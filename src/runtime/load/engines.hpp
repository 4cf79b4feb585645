// SPDX-License-Identifier: Apache-2.0
// The engines of this build behind one choice. Which ones there are is decided by the files that are built, not by
// conditions in code (DESIGN.md section 4).
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "engine/engine.hpp"

namespace skep::runtime {

enum class EngineKind : uint8_t { Interpreter, Jit };

/// "interp", "jit"; static storage.
const char* engine_name(EngineKind kind);
/// Nothing for a word that names no engine.
std::optional<EngineKind> engine_from_name(std::string_view name);

/// The engines of this build, the preferred one first; may be empty.
std::vector<EngineKind> available_engines();

/// Errors: Unavailable when this build has no such engine, else the engine's own.
Result<std::unique_ptr<engine::CompiledCode>> compile_with(EngineKind kind, const ExecutableProgram& program,
                                                           const engine::LinkTable& link);

}  // namespace skep::runtime
