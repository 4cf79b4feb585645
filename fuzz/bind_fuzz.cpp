// SPDX-License-Identifier: Apache-2.0
// Arbitrary objects, bound as either system's: never a crash; what binds has a meaning for each call, and a place in
// the host's context for each context access; keeping problems for the verifier changes no other meaning; each platform
// either has what the program needs, or what it lacks is named.
//
// seeds: build/*/tests/objects/*.o build/*/examples/*.o build/*/examples/windows/*.o
#include <algorithm>
#include <cstdint>

#include "object/link.hpp"
#include "object_mutator.hpp"
#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "platform/platforms/platform.hpp"
#include "program/bind.hpp"
#include "program/needs.hpp"
#include "program/personality.hpp"
#include "require.hpp"

using namespace skep;

namespace {

void check_bound(const object::ObjectSpec& spec, const BoundProgram& bound) {
    const isa::Code& code = bound.linked.code;
    require(bound.bindings.size() == code.size(), "a binding for each slot");
    require(bound.maps.size() == bound.linked.maps.size());
    for (const MapUse& use : bound.maps) require(use.map < spec.maps.size());
    require(std::ranges::adjacent_find(bound.problems, std::ranges::greater_equal{}, &BindProblem::at) ==
                bound.problems.end(),
            "problems ascend, one an instruction");
    for (const BindProblem& problem : bound.problems) {
        require(!problem.what.empty() && problem.code != Errc::Ok, "a problem says what");
        require(problem.at < code.size() && bound.bindings[problem.at].kind == BindingKind::Problem);
    }
    const auto insns = isa::decode_all(code);
    require(insns.ok(), "what binds decodes");
    for (const auto& [at, insn] : *insns) {
        const Binding& binding = bound.bindings[at];
        switch (binding.kind) {
            case BindingKind::None:
                require(insn.row().operation != isa::Operation::Call || !insn.row().imm.operand, "calls mean a helper");
                break;
            case BindingKind::Helper: require(binding.helper < platform::helper_count); break;
            case BindingKind::Problem: require(bound.problem_at(at) != nullptr, "a problem is explained"); break;
            case BindingKind::Context: {
                require(insn.row().is_memory(), "only loads and stores are of the context");
                const auto& access = binding.context;
                const auto& field = platform::context_field(static_cast<platform::FieldId>(access.field));
                require(access.part_offset + access.access_bytes <= 64 && access.access_bytes != 0);
                if (!field.hosted) break;
                const uint32_t bytes = platform::host_context_bytes(field.context);
                require(access.host_offset + access.host_bytes <= bytes, "inside the host's context");
                break;
            }
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using platform::Personality;
    static const std::vector<platform::Platform> platforms = platform::builtin_platforms({});
    const auto spec = object::read_object(std::as_bytes(std::span(data, size)), "input");
    if (!spec) return 0;
    for (size_t i = 0; i < spec->programs.size() && i < 32; ++i) {
        const auto linked = object::link(*spec, i);
        if (!linked) continue;
        if (const auto found = settle_personality(*spec, std::nullopt); !found) {
            const auto bound = bind(*spec, *linked);
            require(!bound.ok(), "nothing is guessed");
        }
        for (const Personality from : {Personality::Linux, Personality::Windows}) {
            if (const auto needs = needs_of(*spec, *linked, from)) {
                for (const platform::Platform& p : platforms) {
                    const Judgement judgement = judge(*needs, p);
                    require((judgement.fit == Fit::Cannot) == !judgement.missing.empty());
                    for (const Missing& missing : judgement.missing) require(!missing.need->name.empty());
                }
            }
            const auto strict = bind(*spec, *linked, {.personality = from});
            const auto lenient = bind(*spec, *linked, {.personality = from, .keep_problems = true});
            for (const auto* bound : {&strict, &lenient}) {
                if (*bound) {
                    require((*bound)->personality == from);
                    check_bound(*spec, **bound);
                } else {
                    require(!bound->error().what().empty(), "a refusal says what");
                }
            }
            if (strict) {
                require(lenient.ok() && lenient->type == strict->type && lenient->maps == strict->maps);
                require(lenient->bindings == strict->bindings, "problems aside, the meaning is one");
            }
        }
    }
    return 0;
}
