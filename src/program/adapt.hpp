// SPDX-License-Identifier: Apache-2.0
// A program as a platform would see it, for who asks what it needs there (needs.hpp): what CO-RE asks of the platform's
// types and what it reads of the kernel's configuration become numbers, so that code behind a check that is never true
// there counts for nothing. The result is looked at, never run: offsets of context fields are those of the program's
// own system, whatever the platform's layout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "btf/btf.hpp"
#include "object/linked_program.hpp"
#include "object/object_spec.hpp"
#include "platform/context.hpp"

namespace skep {

/// Bytes of a map's value that every program finds there.
struct KnownBytes {
    uint32_t map = 0;  ///< index in ObjectSpec::maps
    uint32_t offset = 0;
    std::vector<std::byte> bytes;
};

struct AdaptTarget {
    const btf::Btf* own = nullptr;    ///< the contexts of the program's own system
    const btf::Btf* types = nullptr;  ///< what is there
    bool complete = false;            ///< what `types` has not is not there; else nobody here can tell
    std::vector<KnownBytes> known = {};
};

/// An instruction that asks the target's types for something.
struct CoreUse {
    isa::InsnIndex insn = 0;
    std::string name;                                       ///< "field pid of struct task_struct"
    std::optional<platform::FieldId> field = std::nullopt;  ///< of a context of the tables
    bool absent = false;                                    ///< the target has it not
};

struct AdaptedProgram {
    object::LinkedProgram program;           ///< instruction indices as before
    std::vector<CoreUse> uses;               ///< what the code's offsets do not tell; by instruction
    std::vector<std::string> unknown_types;  ///< named in CO-RE records, not in `types`: each once
};

/// Requires: `spec.btf` if the program has CO-RE records.
/// Errors: those of btf::answer and object::relocate.
Result<AdaptedProgram> adapt(const object::ObjectSpec& spec, const object::LinkedProgram& program,
                             platform::Personality personality, const AdaptTarget& target);

}  // namespace skep
