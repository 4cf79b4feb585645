// SPDX-License-Identifier: Apache-2.0
// An input on which a refused program does harm, and its replay in the interpreter. Development builds look for one
// (example_replay.cpp); a production build has no interpreter and says so (example_refused.cpp). CMake picks one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "object/object_spec.hpp"
#include "verifier/rules/failure.hpp"
#include "verifier/rules/subject.hpp"

namespace skep::cli {

struct ReplayedExample {
    bool replayed = false;           ///< the interpreter ran it, and it did what the failure says
    std::vector<std::string> input;  ///< what the run is given, a line each
    std::string outcome;             ///< what the run did, or why there is no run
};

/// Looks for an input that takes the failure's way and breaks its rule there. Bounded work: a fraction of a second.
/// Nothing for failures that no input could show (limits, policy, what is refused by its shape).
std::optional<ReplayedExample> find_example(const verifier::Subject& subject, const verifier::Failure& failure);

}  // namespace skep::cli
