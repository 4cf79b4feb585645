// SPDX-License-Identifier: Apache-2.0
// Arbitrary objects, translated for the other system: refused with a reason, or the output opens, links, resolves its
// own CO-RE records, binds for the target without a word of help, and has every program that the original had, which
// verifies if the original did.
//
// seeds: build/*/tests/objects/*.o build/*/examples/*.o build/*/examples/windows/*.o
#include <cstdint>
#include <memory>
#include <optional>

#include "object/link.hpp"
#include "object/relocate.hpp"
#include "object_mutator.hpp"
#include "platform/platforms/platform.hpp"
#include "program/bind.hpp"
#include "program/personality.hpp"
#include "program/translate.hpp"
#include "require.hpp"
#include "verifier/verify.hpp"

using namespace skep;

namespace {

using platform::Personality;

// Steps of the verifier for an original, and for its translation, which is longer. Slots keep hostile programs short.
constexpr uint64_t steps = 20'000, steps_translated = 400'000;
constexpr size_t most_slots = 2000, most_verified = 4;

/// What a program comes to. Nothing: it does not even get to the verifier.
std::optional<verifier::Verdict> verdict_of(const object::ObjectSpec& spec, size_t program,
                                            std::optional<Personality> personality, uint64_t budget) {
    auto linked = object::link(spec, program);
    if (!linked || linked->code.size() > most_slots * (budget / steps)) return std::nullopt;
    // Against its own types: whatever the target's are, records and instructions have to fit each other.
    if (!linked->core_relocations.empty() && !object::relocate(*linked, *spec.btf, *spec.btf)) return std::nullopt;
    auto bound = bind(spec, *linked, {.personality = personality, .keep_problems = true});
    if (!bound) return std::nullopt;
    verifier::Options options;
    options.step_budget = budget;
    options.memory_budget = uint64_t{64} << 20;
    const auto subject = verifier::make_subject(spec, std::make_shared<const BoundProgram>(*std::move(bound)), options);
    if (!subject) return std::nullopt;
    return verifier::verify(*subject).verdict;
}

void check_output(const object::ObjectSpec& spec, Personality from, const Translation& done, Personality to) {
    const auto again = object::read_object(done.file, "translated");
    require(again.ok(), "the output is an object");
    require(find_personality(*again).personality == to, "and says whose it is");
    require(again->programs.size() == spec.programs.size(), "with all programs");
    require(again->maps.size() == spec.maps.size() && again->globals.size() == spec.globals.size(),
            "with all maps and variables");
    require((again->btf == nullptr) == (spec.btf == nullptr) && again->btf_ext == spec.btf_ext,
            "with its types and lines");
    for (size_t i = 0; i < again->programs.size(); ++i) {
        require(again->find_program(spec.programs[i].name) != object::no_index);
        const auto linked = object::link(*again, i);
        require(linked.ok() && bind(*again, *linked).ok(), "each links and binds");
        if (i >= most_verified) continue;
        if (verdict_of(spec, i, from, steps) != verifier::Verdict::Accepted) continue;
        const auto verdict = verdict_of(*again, i, std::nullopt, steps_translated);
        // A limit says nothing: what was put in costs steps.
        require(verdict == verifier::Verdict::Accepted || verdict == verifier::Verdict::Limit,
                "what verified verifies translated");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::vector<platform::Platform> platforms = platform::builtin_platforms({});
    const Bytes file = std::as_bytes(std::span(data, size));
    const auto spec = object::read_object(file, "input");
    if (!spec) return 0;
    for (const Personality from : {Personality::Linux, Personality::Windows}) {
        for (const platform::Platform& target : platforms) {
            if (target.personality == from || target.binds) continue;
            if (from == Personality::Windows && target.name != "linux-6.12") continue;
            const auto done = translate(file, *spec, from, target);
            if (done)
                check_output(*spec, from, *done, target.personality);
            else
                require(!done.error().what().empty(), "a refusal says what");
        }
    }
    return 0;
}
