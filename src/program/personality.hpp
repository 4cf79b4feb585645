// SPDX-License-Identifier: Apache-2.0
// Which system's headers an object was compiled against (DESIGN.md section 3), told by evidence.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "object/object_spec.hpp"
#include "platform/names.hpp"

namespace skep {

/// One observation and whom it speaks for.
struct PersonalityEvidence {
    platform::Personality personality;
    bool mark = false;  ///< put there to say so: our note, or the mark of eBPF for Windows' headers
    std::string text;   ///< one clause: "section \"bind\" exists on Windows only"

    bool operator==(const PersonalityEvidence&) const = default;
};

struct PersonalityFinding {
    std::optional<platform::Personality> personality;  ///< nothing: refused, `reason` says why
    std::vector<PersonalityEvidence> evidence;         ///< marks first
    std::string reason;
};

/// "linux", "windows".
const char* personality_name(platform::Personality personality);
std::optional<platform::Personality> personality_from_name(std::string_view name);

/// Looks at marks, sections, BTF types, helper numbers and the widths of context accesses. A mark decides, unless a
/// program could not exist under it; without one, evidence of one side decides. Evidence of both is a conflict. With no
/// evidence at all, an object is linux where the systems agree on what it means; where they do not (an xdp verdict), it
/// stays undecided.
PersonalityFinding find_personality(const object::ObjectSpec& spec);

/// The personality that was asked for, else the one found. Specs that were made in memory (no sections) speak Linux.
/// Errors: Undecided, naming the evidence and what to pass.
Result<platform::Personality> settle_personality(const object::ObjectSpec& spec,
                                                 std::optional<platform::Personality> asked);

}  // namespace skep
