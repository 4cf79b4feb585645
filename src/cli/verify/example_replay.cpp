// SPDX-License-Identifier: Apache-2.0
// The way to a failure is executed once more on abstract states, and every value that comes from outside (loads from
// the packet, from maps, from the context; results of helpers) is noted with what the way demands of it
// (example_way.cpp). Numbers that fit are drawn (example_numbers.cpp); those that do what the failure says are laid out
// in memory, and the interpreter, told which memory the program may touch, runs the program on them
// (example_memory.cpp). Only what the interpreter confirms is called replayed.
#include <fmt/format.h>

#include "cli/verify/example.hpp"
#include "cli/verify/example_memory.hpp"
#include "cli/verify/example_numbers.hpp"
#include "cli/verify/example_way.hpp"

namespace skep::cli {

namespace {

constexpr unsigned most_draws = 3000;
constexpr unsigned most_runs = 60;

ReplayedExample search(Way& way) {
    ReplayedExample out;
    if (const std::string why = way.prepare(); !why.empty()) {
        out.outcome = "not replayed: " + why;
        return out;
    }
    Attempt attempt(way);
    Random random;
    unsigned runs = 0;
    for (unsigned draw = 0; draw < most_draws && runs < most_runs && attempt.unsuited().empty(); ++draw) {
        Assignment numbers(way.end(), draw, random);
        if (!numbers.consistent() || !way.breaks(numbers)) continue;
        ++runs;
        if (!attempt.lay_out(numbers) || !attempt.interpret()) continue;
        out.replayed = true;
        out.input = attempt.describe(numbers);
        out.outcome = attempt.told();
        return out;
    }
    if (!attempt.unsuited().empty()) {
        out.outcome = "not replayed: " + attempt.unsuited();
    } else {
        out.outcome = runs == 0 ? "not replayed: no input was found that takes this way"
                                : fmt::format("not replayed: none of {} inputs that were tried does it", runs);
    }
    return out;
}

}  // namespace

std::optional<ReplayedExample> find_example(const verifier::Subject& subject, const verifier::Failure& failure) {
    if (verifier::rule_kind(failure.rule) != verifier::RuleKind::Safety || failure.state == nullptr) return {};
    Way way(subject, failure);
    ReplayedExample out = search(way);
    // What is only not proved needs no word on an input that was not found.
    if (!out.replayed && !failure.certain) return {};
    return out;
}

}  // namespace skep::cli
