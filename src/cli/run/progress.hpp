// SPDX-License-Identifier: Apache-2.0
// A bar for work that takes longer than a moment, on a terminal only.
#pragma once

#include <cstdint>
#include <string_view>

#include "cli/output.hpp"

namespace skep::cli {

class Progress {
  public:
    /// `total` 0: unknown, only the count is shown.
    Progress(const Output& output, uint64_t total);
    /// Takes the bar away.
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// Draws at most ten times a second, and not in the first half second.
    void at(uint64_t done, uint64_t count, std::string_view unit);

  private:
    const Output& output_;
    uint64_t total_;
    uint64_t next_ns_ = 0;
    bool drawn_ = false;
};

}  // namespace skep::cli
