// SPDX-License-Identifier: Apache-2.0
// Where a command writes, and what it may assume of the reader. Tests hand in one that collects.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace skep::cli {

class Json;

struct Output {
    std::function<void(std::string_view)> out;  ///< results
    std::function<void(std::string_view)> err;  ///< errors, warnings, progress
    /// Sends `out` on its way. 0, or the errno that kept something from arriving.
    std::function<int()> flush = [] { return 0; };
    bool json = false;        ///< results and errors as JSON on `out`
    bool pretty = false;      ///< JSON with line breaks
    bool colour_out = false;  ///< escape sequences allowed on `out`
    bool colour_err = false;
    bool progress = false;  ///< `out` is a terminal that somebody watches

    /// Writes to the process' own streams. Colour only on a terminal and without NO_COLOR.
    static Output standard();

    /// One JSON value and a newline on `out`.
    void print(const Json& value) const;
    /// The error as a user sees it: text on `err`, or {"error": ...} on `out`.
    void print(const Error& error) const;
    /// "warning: ..." on `err`.
    void warn(std::string_view text) const;
    /// Bold text where colour is allowed on `out`.
    std::string heading(std::string_view text) const;
};

/// The error as JSON: code, errno, what, why, hint, where.
Json error_json(const Error& error);

}  // namespace skep::cli
