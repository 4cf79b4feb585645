// SPDX-License-Identifier: Apache-2.0
// CO-RE: rewrites the numbers that a program was compiled with (field offsets, sizes, type ids, enumerator values) into
// those of a target's BTF. The only place where that happens (DESIGN.md section 2).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "btf/btf.hpp"
#include "btf/core.hpp"
#include "object/linked_program.hpp"

namespace skep::object {

/// The helper number of the call that stands where code asks for something that the target has not: libbpf's number, so
/// that whoever reads a log recognises it. No system has such a helper. Reachable, it must be refused; behind a check
/// that is never true it is dead code, and the program is good.
constexpr int32_t absent_helper = 195896080;

/// Applies every record of program.core_relocations. `local` is the object's BTF; `target` what the program will run
/// against. Instructions whose relocation has no match become a call of absent_helper (both slots of a wide load), as
/// libbpf has it, so that code guarded by an existence check still loads. Runs once: the records stay, and say what was
/// done. `answers`, where not null, gets what the target answered, one per record.
/// Errors: Malformed (a record or instruction that makes no sense), Unresolved (ambiguous matches).
Result<void> relocate(LinkedProgram& program, const btf::Btf& local, const btf::Btf& target,
                      std::vector<btf::CoreAnswer>* answers = nullptr);

/// The same with the answers that an earlier relocate() gave, for who has not its target any more.
/// Errors: Malformed, also for another number of answers than records.
Result<void> relocate(LinkedProgram& program, std::span<const btf::CoreAnswer> answers);

}  // namespace skep::object
