// SPDX-License-Identifier: Apache-2.0
// What verification takes on real objects: from decoded instructions to facts, certificate and self-check included, on
// one thread, with the running kernel's verifier beside it.
#pragma once

#include <string>
#include <vector>

namespace skep::growth {

struct SpeedOptions {
    std::vector<std::string> paths;  ///< objects, and folders of objects; each is a line of the table
    bool kernel = true;
    bool json = false;
};

/// Prints the table.
bool run_speed(const SpeedOptions& options);

}  // namespace skep::growth
