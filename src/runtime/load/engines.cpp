// SPDX-License-Identifier: Apache-2.0
#include "runtime/load/engines.hpp"

#include "runtime/load/engine_room.hpp"

namespace skep::runtime {

const char* engine_name(EngineKind kind) {
    switch (kind) {
        case EngineKind::Interpreter: return "interp";
        case EngineKind::Jit: return "jit";
    }
    return "?";
}

std::optional<EngineKind> engine_from_name(std::string_view name) {
    for (const EngineKind kind : {EngineKind::Interpreter, EngineKind::Jit})
        if (name == engine_name(kind)) return kind;
    return std::nullopt;
}

std::vector<EngineKind> available_engines() {
    std::vector<EngineKind> list;
    if (room::jit_available()) list.push_back(EngineKind::Jit);
    if (room::interpreter_available()) list.push_back(EngineKind::Interpreter);
    return list;
}

Result<std::unique_ptr<engine::CompiledCode>> compile_with(EngineKind kind, const ExecutableProgram& program,
                                                           const engine::LinkTable& link) {
    switch (kind) {
        case EngineKind::Interpreter: return room::compile_for_interpreter(program, link);
        case EngineKind::Jit: return room::compile_for_jit(program, link);
    }
    return Error(Errc::InvalidArgument, "no such engine");
}

}  // namespace skep::runtime
