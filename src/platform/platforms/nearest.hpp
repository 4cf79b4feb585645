// SPDX-License-Identifier: Apache-2.0
// What stands nearest to something a platform lacks (nearest.def, and rules of thumb for maps, fields and features).
#pragma once

#include <optional>
#include <string>

#include "platform/platforms/platform.hpp"
#include "platform/verdict.hpp"

namespace skep::platform {

/// The helper of `platform` that is the same as `id` under another name.
std::optional<HelperId> equal_helper(const Platform& platform, HelperId id, ProgramType type);

/// What stands nearest to a verdict that one system cannot say.
struct NearVerdict {
    Verdict verdict;
    bool same_effect;  ///< what is judged fares no differently
    const char* text;  ///< what is different; static storage
};
std::optional<NearVerdict> nearest_verdict(Verdict verdict);

/// One clause for people ("ringbuf_output: copies a record that lies elsewhere first"), or empty.
std::string nearest_helper(const Platform& platform, HelperId id, ProgramType type);
std::string nearest_map(const Platform& platform, MapType type);
std::string nearest_field(const Platform& platform, const FieldRow& row);
std::string nearest_feature(FeatureId id);

}  // namespace skep::platform
