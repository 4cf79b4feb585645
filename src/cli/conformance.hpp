// SPDX-License-Identifier: Apache-2.0
// Running one program of the public bpf_conformance suite: the core of `skep conformance` and of the plugin that the
// suite's own runner calls. Development builds only: nobody verifies these programs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "isa/slot.hpp"

namespace skep::cli {

enum class ConformanceEngine : uint8_t { Interp, Jit, Native };

/// Bytes from pairs of hexadecimal digits with any blanks between them. Errors: Syntax.
Result<std::vector<std::byte>> parse_hex(std::string_view text);

/// Slots from bytes, eight little-endian ones each. Errors: Truncated.
Result<isa::Code> slots_of(Bytes bytes);

/// Runs `code` with r1 = the address of `memory` (0 if it is empty), r2 = its size in bytes, r10 = the end of a
/// 512-byte stack; helper 5 does nothing and returns 0. Returns r0 of exit. The interpreter keeps the program inside
/// `memory` and its stack; the others do not. Errors: those of UnverifiedProgram::make and of the engine; BadAddress,
/// LimitExceeded, BadInstruction when the run ends with a fault. `kept_images`: module::DirectOptions.
Result<uint64_t> run_conformance(std::span<const isa::Slot> code, MutableBytes memory, ConformanceEngine engine,
                                 const std::string& kept_images = {});

}  // namespace skep::cli
