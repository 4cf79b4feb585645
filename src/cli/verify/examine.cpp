// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/examine.hpp"

#include "cli/verify/example.hpp"

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "cli/command.hpp"
#include "isa/insn.hpp"
#include "platform/program_type.hpp"

namespace skep::cli {

namespace {

using verifier::Failure;
using verifier::Rule;
using verifier::Subject;
using verifier::Verdict;

/// What the named platform lacks, in the order of the program: policy, whatever the verifier thinks of the rest.
std::vector<Failure> missing_on(const platform::Platform& platform, const Subject& subject) {
    std::vector<Failure> missing;
    const BoundProgram& program = *subject.program;
    const auto add = [&](Rule rule, isa::InsnIndex at, std::string what) {
        Failure failure;
        failure.rule = rule;
        failure.insn = at;
        failure.certain = true;
        failure.what = std::move(what);
        failure.hint = "`skep check` lists everything that a platform lacks";
        missing.push_back(std::move(failure));
    };
    if (!platform.has(program.type)) {
        add(Rule::WrongProgramType, 0,
            fmt::format("{} has no program type {}", platform.name, platform::program_type_name(program.type)));
    }
    for (isa::InsnIndex at = 0; at < program.bindings.size(); ++at) {
        const Binding& binding = program.bindings[at];
        if (binding.kind == BindingKind::Helper) {
            const auto id = static_cast<platform::HelperId>(binding.helper);
            const Result<isa::Insn> insn = isa::decode(program.linked.code, at);
            const bool call = insn && insn->row().operation == isa::Operation::Call;
            if (call && platform.helper_for(id, program.type) == nullptr) {
                add(Rule::UnknownHelper, at,
                    fmt::format("{} has no helper {} for {} programs", platform.name, platform::helper_name(id),
                                platform::program_type_name(program.type)));
            }
        } else if (binding.kind == BindingKind::Context) {
            const auto field = static_cast<platform::FieldId>(binding.context.field);
            if (!platform.has(field)) {
                add(Rule::ContextAccess, at,
                    fmt::format("{} has no context field {}", platform.name, platform::context_field(field).name));
            }
        }
    }
    for (const MapUse& use : program.maps) {
        if (!platform.has(use.type)) {
            add(Rule::WrongProgramType, 0,
                fmt::format("{} has no map type {}", platform.name, platform::map_type_name(use.type)));
        }
    }
    return missing;
}

int exit_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::Accepted: return exit_done;
        case Verdict::Unsafe:
        case Verdict::Policy: return exit_no;
        case Verdict::Unproven:
        case Verdict::Limit:
        case Verdict::NotModelled: return exit_undecided;
    }
    return exit_undecided;
}

}  // namespace

int Examined::exit_code() const { return unreadable ? exit_unavailable : exit_of(verdict); }

int exit_code_of(const std::vector<Examined>& programs) {
    int worst = exit_done;
    const auto rank = [](int code) {
        if (code == exit_no) return 3;
        if (code == exit_unavailable) return 2;
        return code == exit_undecided ? 1 : 0;
    };
    for (const Examined& one : programs) {
        if (rank(one.exit_code()) > rank(worst)) worst = one.exit_code();
    }
    return worst;
}

Result<std::vector<uint32_t>> chosen_programs(const object::ObjectSpec& spec, const std::optional<std::string>& program,
                                              const std::optional<std::string>& section) {
    // "?xdp" and "xdp" are one section to whoever names it.
    const auto bare = [](std::string_view name) { return name.starts_with('?') ? name.substr(1) : name; };
    std::vector<uint32_t> chosen;
    for (uint32_t i = 0; i < spec.programs.size(); ++i) {
        const object::ProgramSpec& one = spec.programs[i];
        if (program && one.name != *program) continue;
        if (section && bare(one.section) != bare(*section)) continue;
        if (!program && !section && !one.autoload) continue;
        chosen.push_back(i);
    }
    if (!chosen.empty()) return chosen;
    std::string what = "the object has no program to verify";
    if (program) what = fmt::format("there is no program \"{}\"", *program);
    if (section) what += fmt::format(" in section \"{}\"", *section);
    return Error(Errc::Unresolved, std::move(what), {}, "skep inspect lists the object's programs").in_file(spec.file);
}

Result<Subject> prepare_subject(object::ObjectSpec& spec, uint32_t index, const VerifyOptions& options,
                                runtime::TargetTypes& target) {
    SKEP_ASSIGN(const object::LinkedProgram linked, runtime::link_program(spec, index, target));
    BindOptions bind_options = options.bind;
    bind_options.keep_problems = true;
    SKEP_ASSIGN(BoundProgram bound, bind(spec, linked, bind_options));
    return verifier::make_subject(spec, std::make_shared<const BoundProgram>(std::move(bound)), options.verifier);
}

namespace {

/// Files an error of linking or binding under a rule, where it is about one.
void refuse(Examined& out, const object::ObjectSpec& spec, Error error, const object::LinkedProgram* program) {
    error = std::move(error).in_file(spec.file).in_section(out.section).in_function(out.program);
    if (const auto verdict = verifier::verdict_of(error)) {
        out.verdict = *verdict;
        out.diagnostics.push_back(verifier::explain(error, program));
    } else {
        out.unreadable = std::move(error);
    }
}

}  // namespace

Examined examine(object::ObjectSpec& spec, uint32_t index, const VerifyOptions& options, runtime::TargetTypes& target) {
    Result<object::LinkedProgram> linked = runtime::link_program(spec, index, target);
    if (linked) {
        Examined out = examine(spec, *linked, options);
        out.program = spec.programs[index].name;
        out.section = spec.programs[index].section;
        return out;
    }
    Examined out;
    out.program = spec.programs[index].name;
    out.section = spec.programs[index].section;
    refuse(out, spec, std::move(linked).error(), nullptr);
    return out;
}

Examined examine(const object::ObjectSpec& spec, const object::LinkedProgram& linked, const VerifyOptions& options) {
    Examined out;
    out.program = linked.name;
    out.section = linked.section;
    BindOptions bind_options = options.bind;
    bind_options.keep_problems = true;
    Result<BoundProgram> bound = bind(spec, linked, bind_options);
    if (!bound) {
        refuse(out, spec, std::move(bound).error(), &linked);
        return out;
    }
    Result<Subject> subject =
        verifier::make_subject(spec, std::make_shared<const BoundProgram>(*std::move(bound)), options.verifier);
    if (!subject) {
        refuse(out, spec, std::move(subject).error(), &linked);
        return out;
    }
    if (options.platform) {
        const std::vector<Failure> missing = missing_on(*options.platform, *subject);
        for (const Failure& failure : missing) out.diagnostics.push_back(verifier::explain(spec, *subject, failure));
        if (!missing.empty()) {
            out.verdict = Verdict::Policy;
            return out;
        }
    }
    const auto run = [&] {
        const auto before = std::chrono::steady_clock::now();
        verifier::Report report = verifier::verify(*subject);
        const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - before;
        return std::pair(static_cast<uint64_t>(took.count()), std::move(report));
    };
    auto [elapsed, report] = run();
    if (options.time_again && elapsed < 10'000'000) {
        // All figures are of one run: the faster one.
        if (auto again = run(); again.first < elapsed) std::tie(elapsed, report) = std::move(again);
    }
    out.elapsed_ns = elapsed;
    out.verdict = report.verdict;
    out.statistics = report.statistics;
    if (report.executable) out.cost = report.executable->cost();
    out.certificate = std::move(report.certificate);
    if (options.why_safe && out.verdict == Verdict::Accepted)
        out.proof = verifier::why_safe(*subject, out.certificate, *options.why_safe);
    for (const Failure& failure : report.failures) {
        verifier::Diagnostic diagnostic = verifier::explain(spec, *subject, failure);
        if (const auto example = find_example(*subject, failure)) {
            diagnostic.example = example->input;
            diagnostic.example.push_back(example->outcome);
            diagnostic.replayed = example->replayed;
            // Not proved before; the run shows it.
            if (example->replayed && diagnostic.verdict == Verdict::Unproven) {
                diagnostic.verdict = Verdict::Unsafe;
                out.verdict = Verdict::Unsafe;
            }
        }
        out.diagnostics.push_back(std::move(diagnostic));
    }
    return out;
}

}  // namespace skep::cli
