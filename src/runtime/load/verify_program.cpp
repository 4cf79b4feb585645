// SPDX-License-Identifier: Apache-2.0
#include "runtime/load/verify_program.hpp"

#include <fmt/format.h>

#include "verifier/report/diagnostic.hpp"
#include "verifier/verify.hpp"

namespace skep::runtime {

Result<ExecutableProgram> verify_program(const object::ObjectSpec& spec, BoundProgram bound,
                                         std::vector<std::byte>* certificate) {
    const std::string name = bound.linked.name;
    SKEP_ASSIGN(const verifier::Subject subject,
                verifier::make_subject(spec, std::make_shared<const BoundProgram>(std::move(bound))));
    verifier::Report report = verifier::verify(subject);
    if (report.verdict == verifier::Verdict::Accepted && report.executable) {
        if (certificate != nullptr) *certificate = std::move(report.certificate);
        return *std::move(report.executable);
    }
    const bool no = report.verdict == verifier::Verdict::Unsafe || report.verdict == verifier::Verdict::Policy;
    const Errc code = no ? Errc::Rejected : Errc::Undecided;
    const std::string hint = fmt::format("skep verify {} --program {} says more", spec.file, name);
    if (report.failures.empty()) {
        return Error(code, fmt::format("program \"{}\" is not accepted: {}", name, verdict_word(report.verdict)), {},
                     hint);
    }
    const verifier::Diagnostic d = verifier::explain(spec, subject, report.failures.front());
    Where where;
    where.section = subject.linked().section;
    where.function = d.place.function;
    if (d.place.insn != verifier::no_insn) where.insn = d.place.insn;
    where.insn_text = d.place.insn_text;
    if (d.place.source) {
        where.source_file = d.place.source->file;
        where.source_line = d.place.source->line;
        where.source_column = d.place.source->column;
    }
    std::string why = fmt::format("{} {}: {}", verdict_word(d.verdict), d.code, d.what);
    if (!d.needs.empty()) why += fmt::format("; needed: {}", d.needs);
    if (!d.known.empty()) why += fmt::format("; known: {}", d.known);
    return Error(code, std::move(where), fmt::format("program \"{}\" is not accepted: {}", name, d.title),
                 std::move(why), hint);
}

}  // namespace skep::runtime
