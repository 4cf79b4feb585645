// SPDX-License-Identifier: Apache-2.0
// What a fuzzer asserts: its door's promises, not only that nothing crashes.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <source_location>

/// Ends the process with the place of a promise that does not hold; `what` is the promise, where its text does not say
/// it.
inline void require(bool holds, const char* what = "", std::source_location at = std::source_location::current()) {
    if (holds) return;
    std::fprintf(stderr, "%s:%u: broken promise %s\n", at.file_name(), static_cast<unsigned>(at.line()), what);
    std::abort();
}
