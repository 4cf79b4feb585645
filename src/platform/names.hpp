// SPDX-License-Identifier: Apache-2.0
// The canonical vocabulary: personalities, program types, attach types, map types, result mappings (DESIGN.md section
// 3). Usable in the kernel-capable core.
#pragma once

#include <cstdint>

#include "platform/map_type.hpp"

namespace skep::platform {

/// The ABI an object was compiled against.
enum class Personality : uint8_t { Linux, Windows };

/// Canonical program types; rows in program_type.def.
enum class ProgramType : uint8_t {
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted) name,
#include "platform/program_type.def"
#undef PROGRAM_TYPE
};

inline constexpr unsigned program_type_count = 0
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted) +1
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    ;

/// A set of program types, one bit each: who may call a helper, read a field.
using ProgramSet = uint64_t;
static_assert(program_type_count <= 64);
constexpr ProgramSet program_type_bit(ProgramType type) { return ProgramSet{1} << static_cast<unsigned>(type); }
inline constexpr ProgramSet every_program_type = ~ProgramSet{0};

/// Canonical attach types that change what a program may do or return; rows in attach_type.def.
enum class AttachType : uint8_t {
    None,  ///< nothing that changes the rules
#define ATTACH_TYPE(name, text, linux_id) name,
#include "platform/attach_type.def"
#undef ATTACH_TYPE
};

inline constexpr unsigned attach_type_count = 1
#define ATTACH_TYPE(name, text, linux_id) +1
#include "platform/attach_type.def"
#undef ATTACH_TYPE
    ;

/// A set of attach types, one bit each.
using AttachSet = uint64_t;
static_assert(attach_type_count <= 64);
constexpr AttachSet attach_bit(AttachType attach) { return AttachSet{1} << static_cast<unsigned>(attach); }
inline constexpr AttachSet every_attach_type = ~AttachSet{0};

/// How a helper's canonical result (Linux' numbers) becomes the personality's.
enum class ResultMap : uint8_t { Same, EbpfResult };

}  // namespace skep::platform
