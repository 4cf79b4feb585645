// SPDX-License-Identifier: Apache-2.0
// `skep check-certificate`: the checker alone.
#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/table.hpp"
#include "cli/verify/examine.hpp"
#include "platform/program_type.hpp"
#include "program/personality.hpp"

namespace skep::cli {

namespace {

Result<int> run_check_certificate(const Arguments& arguments, Output& output) {
    const std::string path = *arguments.text("OBJECT");
    SKEP_ASSIGN(object::ObjectSpec spec, read_object_file(path));
    const std::string certificate_path = *arguments.text("CERTIFICATE");
    SKEP_ASSIGN(const std::vector<std::byte> certificate, read_file(certificate_path));
    SKEP_ASSIGN(const std::vector<uint32_t> chosen, chosen_programs(spec, arguments.text("program"), std::nullopt));
    if (chosen.size() != 1)
        return Error(Errc::InvalidArgument, "a certificate is about one program", {}, "name it with --program");
    VerifyOptions options;
    if (const auto type = arguments.text("type")) {
        options.bind.type = platform::program_type_from_name(*type);
        if (!options.bind.type)
            return Error(Errc::InvalidArgument, fmt::format("there is no program type \"{}\"", *type), {},
                         "say xdp, sched_cls, socket_filter, kprobe, ... as bpftool does");
    }
    SKEP_ASSIGN(runtime::TargetTypes target,
                target_types(arguments, settle_personality(spec, std::nullopt).value_or(platform::Personality::Linux)));
    SKEP_ASSIGN(const verifier::Subject subject, prepare_subject(spec, chosen.front(), options, target));
    Result<ExecutableProgram> checked = verifier::check_certificate(subject, certificate);
    // What is wrong is wrong with the certificate: it may be none, or one of another program.
    if (!checked) return std::move(checked).error().in_file(certificate_path).in_function(subject.linked().name);
    const CostBound& cost = checked->cost();
    if (output.json) {
        output.print(Json::object()
                         .set("program", subject.linked().name)
                         .set("valid", true)
                         .set("certificate_bytes", certificate.size())
                         .set("cost", Json::object()
                                          .set("instructions", cost.instructions)
                                          .set("helper_calls", cost.helper_calls)
                                          .set("stack_bytes", cost.stack_bytes)));
    } else {
        output.out(fmt::format("{}: the certificate holds; a run takes at most {} instructions and {} helper calls\n",
                               output.heading(subject.linked().name), grouped(cost.instructions),
                               grouped(cost.helper_calls)));
    }
    return exit_done;
}

constexpr PositionalSpec positionals[] = {{"OBJECT", "an eBPF object file"},
                                          {"CERTIFICATE", "what skep verify --certificate wrote"}};
constexpr OptionSpec options[] = {
    {"-p,--program", Kind::Text, "NAME", "which program, if the object has several"},
    {"--type", Kind::Text, "TYPE", "the program type, where the section's name does not say it"},
    {"--btf", Kind::File, "FILE",
     "BTF that CO-RE relocations are resolved against (the running kernel's), or hooks: the contexts as our hooks lay "
     "them out"},
};
constexpr Example examples[] = {{"skep check-certificate prog.o prog.cert", "is it a proof that the program is safe?"}};

}  // namespace

extern const Command check_certificate_command;
constinit const Command check_certificate_command = {
    "check-certificate",
    "checks the proof that a program is safe",
    "Runs the checker alone: it believes nothing in the certificate, and needs no search. Ends with 1 if it does not\n"
    "hold for this program.",
    positionals,
    options,
    examples,
    run_check_certificate};

}  // namespace skep::cli
