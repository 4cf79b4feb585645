// SPDX-License-Identifier: Apache-2.0
// The platforms a command may speak of: the built-in ones, and those of --platform-file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "platform/platforms/platform.hpp"

namespace skep::cli {

class PlatformSet {
  public:
    /// Built-in platforms; `file`, if not empty, adds one (docs/platforms/platform-file.md). Errors: CannotRead,
    /// Syntax, InvalidArgument naming the part that is wrong.
    static Result<PlatformSet> open(const std::string& file);

    std::span<const platform::Platform> all() const { return platforms_; }
    /// Errors: Unresolved, listing the names.
    Result<const platform::Platform*> find(std::string_view name) const;
    /// "a,b,c"; empty: all of them. Errors: as find().
    Result<std::vector<const platform::Platform*>> choose(std::string_view names) const;

  private:
    std::vector<platform::Platform> platforms_;
};

}  // namespace skep::cli
