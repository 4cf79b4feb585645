// SPDX-License-Identifier: Apache-2.0
// `skep verify`: the verdict on every program of an object, and why.
#include <charconv>

#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/target_options.hpp"
#include "cli/verify/examine.hpp"
#include "platform/program_type.hpp"
#include "program/personality.hpp"

namespace skep::cli {

namespace {

Result<VerifyOptions> options_from(const Arguments& arguments, const TargetOptions& target) {
    VerifyOptions options;
    options.time_again = arguments.flag("stats");
    if (const auto type = arguments.text("type")) {
        options.bind.type = platform::program_type_from_name(*type);
        if (!options.bind.type)
            return Error(Errc::InvalidArgument, fmt::format("there is no program type \"{}\"", *type), {},
                         "say xdp, sched_cls, socket_filter, kprobe, ... as bpftool does");
    }
    options.bind.personality = personality_from_name(arguments.text_or("personality", ""));
    options.platform = target.platform;
    if (options.platform && options.platform->binds) options.platform.reset();  // what this host runs: `skep check`
    if (arguments.text("timeout")) {
        SKEP_ASSIGN(const uint64_t seconds, arguments.number_in("timeout", 1, 1'000'000, 1));
        options.verifier.time_budget_ns = seconds * 1'000'000'000;
    }
    if (const auto cost = arguments.number("cost-limit")) options.verifier.cost_limit = *cost;
    if (const auto insn = arguments.number("why-safe"))
        options.why_safe = static_cast<isa::InsnIndex>(std::min<uint64_t>(*insn, UINT32_MAX));
    return options;
}

Result<int> run_verify(const Arguments& arguments, Output& output) {
    const std::string path = *arguments.text("OBJECT");
    SKEP_ASSIGN(TargetOptions wanted, target_options(arguments));
    SKEP_ASSIGN(VerifyOptions options, options_from(arguments, wanted));
    SKEP_ASSIGN(object::ObjectSpec spec, read_object_file(path));
    if (!options.bind.personality && find_personality(spec).evidence.empty()) {
        // No helper, context access or section says whose it is, so it is safe on both systems or on none.
        options.bind.personality = platform::Personality::Linux;
    }
    SKEP_ASSIGN(const std::vector<uint32_t> chosen,
                chosen_programs(spec, arguments.text("program"), arguments.text("section")));
    const auto certificate = arguments.text("certificate");
    if (certificate && chosen.size() != 1)
        return Error(Errc::InvalidArgument, "a certificate is about one program", {}, "name it with --program");
    if (options.why_safe && chosen.size() != 1)
        return Error(Errc::InvalidArgument, "--why-safe is about one program", {}, "name it with --program");
    SKEP_ASSIGN(
        runtime::TargetTypes target,
        target_types(arguments,
                     settle_personality(spec, options.bind.personality).value_or(platform::Personality::Linux)));
    target.config = std::move(wanted.config);
    std::vector<Examined> programs;
    for (const uint32_t index : chosen) programs.push_back(examine(spec, index, options, target));
    if (certificate && programs.front().verdict == verifier::Verdict::Accepted)
        SKEP_TRY(write_file(*certificate, programs.front().certificate));
    const PrintOptions print{arguments.flag("all"), arguments.flag("trace"), arguments.flag("stats")};
    if (const auto& proof = programs.front().proof) {
        if (!*proof) return proof->error();
        if (output.json) {
            output.print(proof_json(programs.front().program, **proof));
        } else {
            output.out(proof_text(programs.front().program, **proof, print, output));
        }
        return 0;
    }
    if (arguments.flag("sarif")) {
        output.print(verdict_sarif(spec, programs, print));
    } else if (output.json) {
        output.print(verdict_json(spec, programs, print));
    } else {
        output.out(verdict_text(spec, programs, print, output));
    }
    return exit_code_of(programs);
}

constexpr PositionalSpec positionals[] = {{"OBJECT", "an eBPF object file"}};
constexpr OptionSpec options[] = {
    {"-p,--program", Kind::Text, "NAME", "only this program"},
    {"-s,--section", Kind::Text, "NAME", "only the programs of this section"},
    {"--type", Kind::Text, "TYPE", "the program type, where the section's name does not say it"},
    {"--personality", Kind::Choice, "linux|windows",
     "whose headers the object was compiled against, if that cannot be told"},
    {"--platform", Kind::Text, "NAME",
     "helpers, maps and fields that this platform lacks are refused: linux-6.12, ..."},
    SKEP_KERNEL_CONFIG_OPTIONS,
    {"--btf", Kind::File, "FILE",
     "BTF that CO-RE relocations are resolved against (the running kernel's), or hooks: the contexts as our hooks lay "
     "them out"},
    {"--sarif", Kind::Flag, "", "the result as a SARIF 2.1.0 log"},
    {"--all", Kind::Flag, "", "every failure, not only the first cause"},
    {"--trace", Kind::Flag, "", "the whole way to the failure, and what is known there"},
    {"--stats", Kind::Flag, "", "figures of the search"},
    {"--certificate", Kind::Output, "FILE", "writes the proof of an accepted program, for check-certificate"},
    {"--why-safe", Kind::Number, "INSN", "the proof of one instruction of an accepted program, in words"},
    {"--timeout", Kind::Number, "SECONDS", "ends the search with LIMIT"},
    {"--cost-limit", Kind::Number, "N", "refuses programs that may execute more instructions in one run"},
};
constexpr Example examples[] = {
    {"skep verify prog.o", "one line for each program, the reasons for those that are refused"},
    {"skep verify prog.o --program xdp_main --certificate xdp_main.cert", "the proof, to be checked elsewhere"},
    {"skep verify prog.o --program xdp_main --why-safe 12",
     "what is known at instruction 12, and where it was learned"},
    {"skep verify prog.o --platform linux-5.15 --json", "against what Linux 5.15 has, as JSON"},
};

}  // namespace

extern const Command verify_command;
constinit const Command verify_command = {
    "verify",
    "proves programs safe, or says why not",
    "The words of a verdict:\n"
    "  ACCEPTED      every run is safe, and ends after the stated number of instructions\n"
    "  UNSAFE        some run does harm: the way to it is printed\n"
    "  POLICY        the platform does not allow it\n"
    "  UNPROVEN      neither proved nor refuted: what is missing is printed\n"
    "  LIMIT         the search used up its budget\n"
    "  NOT MODELLED  it uses a feature that the verifier does not know\n"
    "\n"
    "Ends with 0 if all are accepted, 1 if one is unsafe or against policy, 3 if one is undecided (the last three\n"
    "words), 4 if the input cannot be read. Every code is explained in docs/verifier.",
    positionals,
    options,
    examples,
    run_verify};

}  // namespace skep::cli
