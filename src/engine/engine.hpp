// SPDX-License-Identifier: Apache-2.0
// What every engine offers: executable code made from an ExecutableProgram and from nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.hpp"
#include "program/executable_program.hpp"
#include "program/map_layout.hpp"
#include "skep/runtime_context.h"

namespace skep::engine {

/// The addresses that code is compiled against. The spans are read during compile only; what they point to must outlive
/// the code. Indices: helpers by platform::HelperId, the others by BoundProgram::maps.
struct LinkTable {
    std::span<const skep_helper_fn> helpers;  ///< null where the host does not offer it: compiling a call to it fails
    std::span<void* const> maps;              ///< what the program sees as the map (r1 of the map helpers)
    std::span<const MapLayout> layouts;       ///< may be empty: nothing is inlined
    std::span<uint8_t* const> map_values;  ///< base of value 0 for wide loads of src_reg 2; null: not direct-accessible
};

/// Compiled code. Owns its memory; immutable, so any number of threads may run it at once.
class CompiledCode {
  public:
    CompiledCode() = default;
    virtual ~CompiledCode() = default;
    CompiledCode(const CompiledCode&) = delete;
    CompiledCode& operator=(const CompiledCode&) = delete;

    /// How to enter it; also what a tail call jumps to. Valid as long as this object.
    virtual skep_entry entry() const = 0;
    /// Bytes of native code (of predecoded instructions for the interpreter).
    virtual size_t code_bytes() const = 0;
    /// The native code for `skep prog dump jited`; empty for the interpreter.
    virtual std::span<const std::byte> native_code() const { return {}; }
};

/// Runs `code` once: r1 = context. Requires: `run` holds a lane and its tables are those the code was linked with.
inline uint64_t run(const CompiledCode& code, void* context, skep_runtime_context& run) {
    const skep_entry entry = code.entry();
    return entry.function(context, &run, entry.self);
}

}  // namespace skep::engine
