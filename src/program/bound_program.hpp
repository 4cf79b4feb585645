// SPDX-License-Identifier: Apache-2.0
// A linked program with its meaning (DESIGN.md section 3 and 7b.1): binding annotates, so every InsnIndex is still the
// author's from ELF to engine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "isa/insn.hpp"
#include "object/linked_program.hpp"
#include "platform/names.hpp"

namespace skep {

/// What a context access really does. The program speaks its personality's layout; `host_offset` and `host_bytes` are
/// those of the canonical host struct of the program type (platform/contexts.def).
struct ContextAccess {
    uint16_t field = 0;        ///< canonical field (platform::FieldId)
    uint16_t host_offset = 0;  ///< bytes into the host context
    uint8_t host_bytes = 0;    ///< width of the host field: 1, 2, 4 or 8
    uint8_t part_offset = 0;   ///< first byte of the field that a narrow load reads (little-endian count)
    uint8_t access_bytes = 0;  ///< bytes the program loads or stores: a load zero-extends them (ldsx: sign-extends)
    bool pointer = false;      ///< a packet pointer: loaded whole (host_bytes) whatever access_bytes is
    bool byte_swap = false;    ///< the host field is in the other byte order

    bool operator==(const ContextAccess&) const = default;
};

enum class BindingKind : uint8_t {
    None,     ///< means what the instruction set says
    Context,  ///< a load from or a store to the context
    Helper,   ///< a call of a helper: `helper` is canonical, whatever number the instruction holds
    Problem,  ///< has no meaning: BoundProgram::problems says why; engines end the run here (SKEP_FAULT_BAD_CALL)
};

/// Why an instruction has no meaning. It counts only if the instruction is ever executed.
struct BindProblem {
    enum class Kind : uint8_t {
        Refused,      ///< breaks a rule whatever path leads there: bad context access, helper, licence
        NotModelled,  ///< uses what skep does not know (kernel functions, kernel variables): nothing is said of it
        Unclear,      ///< may or may not be a context access: context_access() binds it once that is proved
    };
    isa::InsnIndex at = 0;
    Kind kind = Kind::Refused;
    Errc code = Errc::Rejected;
    std::string what, why, hint;

    bool operator==(const BindProblem&) const = default;
};

struct Binding {
    BindingKind kind = BindingKind::None;
    platform::ResultMap result = platform::ResultMap::Same;  ///< how the canonical result becomes the personality's
    uint16_t helper = 0;                                     ///< platform::HelperId
    ContextAccess context;

    bool operator==(const Binding&) const = default;
};

/// What a program needs of a map, in canonical words.
struct MapUse {
    uint32_t map = 0;  ///< index into ObjectSpec::maps
    platform::MapType type = platform::MapType::Array;

    bool operator==(const MapUse&) const = default;
};

struct BoundProgram {
    object::LinkedProgram linked;
    platform::Personality personality = platform::Personality::Linux;
    platform::ProgramType type = platform::ProgramType::SocketFilter;
    platform::AttachType attach = platform::AttachType::None;
    std::vector<Binding> bindings;  ///< one per slot
    std::vector<MapUse> maps;       ///< one per LinkedProgram::maps
    bool sleepable = false;         ///< loaded as a program that may sleep
    bool gpl_compatible = false;    ///< the object's licence is one that Linux takes for GPL-compatible
    /// By instruction, at most one each. Unless BindOptions::keep_problems, none of them can be reached.
    std::vector<BindProblem> problems = {};

    /// The problem at an instruction whose binding is BindingKind::Problem.
    const BindProblem* problem_at(isa::InsnIndex at) const;

    bool operator==(const BoundProgram&) const = default;
};

}  // namespace skep
