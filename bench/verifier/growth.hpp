// SPDX-License-Identifier: Apache-2.0
// How the verifier's work grows with the program.
#pragma once

#include <cstdint>
#include <string_view>

namespace skep::growth {

struct GrowthOptions {
    std::string_view family;  ///< only this one
    uint32_t most = UINT32_MAX;
    bool json = false;
};

/// The families that use up the budget: what they take, and the hot spot. False: something was not LIMIT.
bool run_limits(const GrowthOptions& options);

/// One line per family and size, and the exponent fitted to search and check together: over instructions, or over
/// rounds for loops. False: something was not accepted.
bool run_growth(const GrowthOptions& options);

}  // namespace skep::growth
