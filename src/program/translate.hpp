// SPDX-License-Identifier: Apache-2.0
// From an object of one personality to an object of the other: the file a system's own loader wants, where skep itself
// would bind (`skep translate`).
#pragma once

#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "object/object_spec.hpp"
#include "platform/names.hpp"
#include "platform/platforms/platform.hpp"

namespace skep {

/// What was changed, for people.
struct TranslationReport {
    uint32_t programs = 0;
    uint32_t helper_numbers = 0;
    uint32_t context_accesses = 0;
    uint32_t verdicts = 0;  ///< exits that map their number, or constants exchanged
    uint32_t results = 0;   ///< calls whose errors are mapped
    uint32_t map_types = 0;
    uint32_t slots_added = 0;
    /// Verdicts that the target cannot say, with what they become there: "prog: verdict aborted becomes drop".
    std::vector<std::string> replaced;
};

struct Translation {
    std::vector<std::byte> file;
    TranslationReport report;
};

/// Rewrites the object `file`, from which `spec` was read, into one for `target`, a platform of the other personality
/// than `from`. The result was read, linked and bound again under the target's personality.
/// Errors, each with the instruction and the source line where one is concerned: Rejected for what has no equivalent
/// there; Unsupported for what cannot be rewritten yet; those of link() and bind().
Result<Translation> translate(Bytes file, const object::ObjectSpec& spec, platform::Personality from,
                              const platform::Platform& target);

}  // namespace skep
