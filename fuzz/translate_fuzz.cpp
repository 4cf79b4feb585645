// SPDX-License-Identifier: Apache-2.0
// Arbitrary files through the doors that tell personalities apart: detection never crashes and gives a reason where it
// decides nothing; what binds names a helper for each call; a translated object is one that reads, links and binds
// under the other personality, or there was a reason.
//
// seeds: build/*/tests/objects/*.o build/*/examples/*.o
#include <cstdint>

#include "object/link.hpp"
#include "platform/platforms/platform.hpp"
#include "program/bind.hpp"
#include "program/needs.hpp"
#include "program/personality.hpp"
#include "program/translate.hpp"
#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace skep;
    using platform::Personality;
    static const std::vector<platform::Platform> platforms = platform::builtin_platforms({});
    const Bytes file = std::as_bytes(std::span(data, size));
    const auto spec = object::read_object(file, "input");
    if (!spec) return 0;
    const PersonalityFinding finding = find_personality(*spec);
    require(finding.personality.has_value() || !finding.reason.empty());
    for (const Personality from : {Personality::Linux, Personality::Windows}) {
        for (size_t i = 0; i < spec->programs.size(); ++i) {
            const auto linked = object::link(*spec, i);
            if (!linked) continue;
            const auto needs = needs_of(*spec, *linked, from);
            if (needs) {
                for (const platform::Platform& p : platforms) {
                    const Judgement judgement = judge(*needs, p);
                    require((judgement.fit == Fit::Cannot) == !judgement.missing.empty());
                }
            }
            const auto bound = bind(*spec, *linked, {.personality = from});
            if (bound) require(bound->personality == from && bound->bindings.size() == linked->code.size());
        }
        for (const platform::Platform& target : platforms) {
            if (target.personality == from || target.binds) continue;
            if (from == Personality::Windows && target.name != "linux-6.12") continue;
            const auto done = translate(file, *spec, from, target);
            if (!done) {
                require(!done.error().what().empty());
                continue;
            }
            const auto again = object::read_object(done->file, "translated");
            require(again.ok());
            require(find_personality(*again).personality == target.personality);
            for (size_t i = 0; i < again->programs.size(); ++i) {
                const auto linked = object::link(*again, i);
                require(linked.ok() && bind(*again, *linked).ok());
            }
        }
    }
    return 0;
}
