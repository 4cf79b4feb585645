// SPDX-License-Identifier: Apache-2.0
// Text to instructions. One instruction or `label:` a line; comments from `#`, `;` or `//` to the end of the line;
// numbers decimal or 0x hexadecimal.
//
// Canonical (see disasm.hpp) accepts also: w registers or r registers for narrow loads and stores, a label in place of
// a distance (`goto done`, `call helper_function`), `r1 = some_function ll` for a function's address. A name in angle
// brackets after a number is a note and not looked at, save on `call`, where <kfunc> means a call by BTF id and any
// other a program-local call.
// Conformance: a text with `-- asm` sections, as in the suite's .data files, is read from those sections alone.
#pragma once

#include <string_view>

#include "isa/disasm.hpp"

namespace skep::isa {

struct Assembly {
    Code code;
    Labels labels;
};

/// Most slots that the assembler makes (the kernel's own limit for a program).
constexpr size_t max_assembled_slots = 1'000'000;

/// Errors: Syntax (with line, column, the line itself and a caret), LimitExceeded. An error and code exclude each
/// other.
Result<Assembly> assemble_labelled(std::string_view text, Dialect dialect = Dialect::Canonical);
Result<Code> assemble(std::string_view text, Dialect dialect = Dialect::Canonical);

}  // namespace skep::isa
