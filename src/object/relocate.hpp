// SPDX-License-Identifier: Apache-2.0
// CO-RE: rewrites the numbers that a program was compiled with (field offsets, sizes, type ids, enumerator values) into
// those of a target's BTF. The only place where that happens (DESIGN.md section 2).
#pragma once

#include "base/result.hpp"
#include "btf/btf.hpp"
#include "object/linked_program.hpp"

namespace skep::object {

/// Applies every record of program.core_relocations. `local` is the object's BTF; `target` what the program will run
/// against. Instructions whose relocation has no match are turned into a call of an invalid helper, as libbpf does, so
/// that code guarded by an existence check still loads. Runs once: the records stay, and say what was done.
/// Errors: Malformed (a record or instruction that makes no sense), Unresolved (ambiguous matches).
Result<void> relocate(LinkedProgram& program, const btf::Btf& local, const btf::Btf& target);

}  // namespace skep::object
