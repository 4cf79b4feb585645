// SPDX-License-Identifier: Apache-2.0
// From a program of an object to a verdict and what is to be said of it: what `skep verify` prints.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/json.hpp"
#include "cli/output.hpp"
#include "object/object_spec.hpp"
#include "platform/platforms/platform.hpp"
#include "program/bind.hpp"
#include "runtime/load/link_program.hpp"
#include "verifier/report/diagnostic.hpp"
#include "verifier/report/why_safe.hpp"
#include "verifier/verify.hpp"

namespace skep::cli {

struct VerifyOptions {
    BindOptions bind;
    verifier::Options verifier;
    bool time_again = false;  ///< what took less than 10 ms is timed twice: the first run also pages the code in
    std::optional<platform::Platform> platform;  ///< what must exist there; nothing: whatever skep knows
    std::optional<isa::InsnIndex> why_safe;      ///< whose proof is to be told
};

/// One program's verdict.
struct Examined {
    std::string program, section;
    std::optional<Error> unreadable;  ///< the input is damaged: there is no verdict
    verifier::Verdict verdict = verifier::Verdict::NotModelled;
    std::vector<verifier::Diagnostic> diagnostics;  ///< the root cause first
    CostBound cost;                                 ///< if accepted
    verifier::Statistics statistics;
    std::vector<std::byte> certificate;                  ///< if accepted
    std::optional<Result<verifier::SafetyProof>> proof;  ///< if accepted and VerifyOptions::why_safe
    uint64_t elapsed_ns = 0;                             ///< from decoded instructions to facts

    /// 0 accepted, 1 unsafe or policy, 3 undecided, 4 unreadable.
    int exit_code() const;
};

/// Links, binds and verifies program `index`. Requires: index < spec.programs.size().
Examined examine(object::ObjectSpec& spec, uint32_t index, const VerifyOptions& options, runtime::TargetTypes& target);

/// The same of a program that is linked already.
Examined examine(const object::ObjectSpec& spec, const object::LinkedProgram& linked, const VerifyOptions& options);

/// The steps before verification. Errors: those of link_program, bind and make_subject.
Result<verifier::Subject> prepare_subject(object::ObjectSpec& spec, uint32_t index, const VerifyOptions& options,
                                          runtime::TargetTypes& target);

/// Programs that the options --program and --section name, or all that the object loads by default.
/// Errors: Unresolved.
Result<std::vector<uint32_t>> chosen_programs(const object::ObjectSpec& spec, const std::optional<std::string>& program,
                                              const std::optional<std::string>& section);

/// The worst of all: 1, then 4, then 3, then 0.
int exit_code_of(const std::vector<Examined>& programs);

struct PrintOptions {
    bool all = false;    ///< every failure, not only the root cause
    bool trace = false;  ///< the whole way, and what is known before the instruction
    bool stats = false;
};

std::string verdict_text(const object::ObjectSpec& spec, const std::vector<Examined>& programs,
                         const PrintOptions& options, const Output& output);
Json verdict_json(const object::ObjectSpec& spec, const std::vector<Examined>& programs, const PrintOptions& options);
/// A log of SARIF 2.1.0 (OASIS).
Json verdict_sarif(const object::ObjectSpec& spec, const std::vector<Examined>& programs, const PrintOptions& options);
/// The proof of one instruction of an accepted program.
std::string proof_text(const std::string& program, const verifier::SafetyProof& proof, const PrintOptions& options,
                       const Output& output);
Json proof_json(const std::string& program, const verifier::SafetyProof& proof);
/// Parts that several texts share: "parse.c:88:14  in parse_tcp, instruction 230: ...", and the lines around it.
std::string where_line(const verifier::CodePlace& place);
std::string excerpt(const verifier::CodePlace& place, const std::vector<verifier::SourceText>& around,
                    const Output& output);
Json place_json(const verifier::CodePlace& place);
std::string diagnostic_text(const verifier::Diagnostic& diagnostic, const PrintOptions& options, const Output& output);

}  // namespace skep::cli
