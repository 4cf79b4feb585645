// SPDX-License-Identifier: Apache-2.0
// Arbitrary objects, asked whose they are: never a crash, the same answer twice, an answer where the evidence is of one
// side, and a reason with what to pass where there is none.
//
// seeds: build/*/tests/objects/*.o build/*/examples/*.o build/*/examples/windows/*.o
#include <cstdint>

#include "object_mutator.hpp"
#include "program/personality.hpp"
#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace skep;
    using platform::Personality;
    const auto spec = object::read_object(std::as_bytes(std::span(data, size)), "input");
    if (!spec) return 0;
    const PersonalityFinding finding = find_personality(*spec);
    size_t of[2] = {};
    bool marks_are_over = false;
    for (const PersonalityEvidence& evidence : finding.evidence) {
        require(!evidence.text.empty(), "evidence is words");
        require(!(evidence.mark && marks_are_over), "marks come first");
        marks_are_over |= !evidence.mark;
        ++of[static_cast<size_t>(evidence.personality)];
    }
    require(of[0] <= 16 && of[1] <= 16, "evidence is bounded");
    if (of[0] != 0 && of[1] != 0) require(!finding.personality, "a conflict is not decided");
    if (of[0] != 0 && of[1] == 0) require(finding.personality == Personality::Linux);
    if (of[1] != 0 && of[0] == 0) require(finding.personality == Personality::Windows);
    require(finding.personality.has_value() == finding.reason.empty(), "a reason exactly where nothing is decided");
    const PersonalityFinding again = find_personality(*spec);
    require(again.personality == finding.personality && again.evidence == finding.evidence, "the same answer twice");

    const auto settled = settle_personality(*spec, std::nullopt);
    require(settled.ok() == finding.personality.has_value());
    if (settled)
        require(*settled == *finding.personality);
    else
        require(settled.error().code() == Errc::Undecided && !settled.error().why().empty() &&
                settled.error().hint().find("--personality") != std::string::npos);
    for (const Personality asked : {Personality::Linux, Personality::Windows})
        require(settle_personality(*spec, asked).value_or(Personality::Linux) == asked, "who says it is heard");
    return 0;
}
