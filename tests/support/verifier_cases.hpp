// SPDX-License-Identifier: Apache-2.0
// Programs with their expected verdicts as text, for tests/verifier/*.cases and the pages of docs/verifier. A case:
//
//     case: four bytes of the packet after a check of four
//     type: xdp                                   program type, xdp if left out
//     licence: MIT                                GPL if left out
//     map: flows hash key=4 value=16 entries=8 lock=0 timer=8 kptr=8 flags=0x80
//     map: outer array_of_maps entries=2 inner=flows
//     data: table 01 02 03 04                     read-only data, frozen
//     option: no-unset-stack                      or no-leaks, cost-limit=N, steps=N, memory=N: policy and budgets
//     rule: V0207                                 accepted: the rule that it is just inside of
//     expect: unsafe V0207                        or accept, unproven, policy, limit, undecided + code, refuse + code
//     why-safe: 3                                 accepted: whose proof is told (tests/verifier/messages)
//     insn: 3                                     the instruction that the failure names; any if left out
//     cost: 5                                     accepted: the bound on executed instructions
//     asm:
//       r2 = *(u32 *)(r1 + 0)                     the dialect of `skep asm`, and
//       r1 = map flows                            a map; r1 = data table + 2: read-only data
//       call map_lookup_elem                      a helper by its name
//     fn_callback:                                a label that begins with fn_ begins a function; global_ a global one
//
// A case ends where the next begins. Lines outside asm that begin with # are comments.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "object/object_spec.hpp"
#include "platform/names.hpp"
#include "verifier/rules/subject.hpp"

namespace skep::testing {

struct VerifierCase {
    std::string file;
    size_t line = 0;
    std::string name;
    std::string type = "xdp";
    std::string licence = "GPL";
    std::vector<std::string> maps;  ///< as written
    std::vector<std::string> data;
    verifier::Options options{.step_budget = 50'000};  // of programs of a few instructions
    std::string expect;  ///< "accept", "unsafe", "unproven", "refuse", "policy", "limit", "undecided"
    std::string code;    ///< "V0207"; empty for accept
    std::string rule;    ///< the rule that an accepted one is just inside of; "" if none is named
    std::optional<uint32_t> insn;
    std::optional<uint64_t> cost;
    std::optional<uint32_t> why_safe;
    std::string text;  ///< assembler
};

/// Errors: Syntax, with file and line.
Result<std::vector<VerifierCase>> parse_cases(std::string_view text, const std::string& file);

/// The cases in the ```skep blocks of a page of documentation.
Result<std::vector<VerifierCase>> parse_page(std::string_view text, const std::string& file);

struct CaseProgram {
    object::ObjectSpec spec;
    object::LinkedProgram linked;
    platform::ProgramType type{};
};

/// Assembles a case into an object's parts. Errors: Syntax.
Result<CaseProgram> build_case(const VerifierCase& one);

}  // namespace skep::testing
