// SPDX-License-Identifier: Apache-2.0
// The canonical vocabulary: personalities, program types, attach types, map types, result mappings (DESIGN.md section
// 3).
#pragma once

#include <cstdint>

#include "platform/map_type.hpp"

namespace skep::platform {

/// The ABI an object was compiled against.
enum class Personality : uint8_t { Linux, Windows };

/// Canonical program types; rows in program_type.def.
enum class ProgramType : uint8_t {
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since) name,
#include "platform/program_type.def"
#undef PROGRAM_TYPE
};

/// Canonical attach types that change what a program may do.
enum class AttachType : uint8_t { None, Xdp, XdpDevmap, XdpCpumap, TcIngress, TcEgress };

/// How a helper's canonical result (Linux' numbers) becomes the personality's.
enum class ResultMap : uint8_t { Same, EbpfResult };

}  // namespace skep::platform
