// SPDX-License-Identifier: Apache-2.0
// Random programs that the verifier accepts, run on inputs of chance: every state that a run is in is one that the
// certificate describes, every access lies inside its region, no run takes more than the cost, every fact holds.
// SKEP_CONTAIN_SECONDS, SKEP_CONTAIN_SEED: long runs by hand (script/fuzz verifier).
// Built with a seeded verifier (tests/seeded): SKEP_SEEDED_BUG is the bug to wake; the run must find it.
// SKEP_CONTAIN_PROGRAM: one program, printed, with the reason if it is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <set>

#include <fmt/format.h>

#include "isa/disasm.hpp"
#include "program/bind.hpp"
#include "support/containment.hpp"
#include "support/safe_generator.hpp"
#include "verifier/verify.hpp"
#ifdef SKEP_SEEDED_BUGS
#include "verifier/seeded.hpp"
#endif

namespace skep {
namespace {

using testing::Containment;
using testing::RunResult;
using testing::SafeProgram;

constexpr uint64_t steps_of_a_run = 4000;

std::optional<uint64_t> given(const char* name) {
    const char* text = std::getenv(name);
    if (text == nullptr || *text == '\0') return {};
    return std::strtoull(text, nullptr, 0);
}

std::string listing(const object::LinkedProgram& linked) {
    auto text = isa::disassemble_program(linked.code);
    return text ? *text : std::string("?");
}

struct Counts {
    uint64_t programs = 0, unbound = 0, accepted = 0, runs = 0, ended = 0, instructions = 0, variable = 0;
    uint64_t compared = 0;
    std::vector<uint64_t> per_program;
    std::set<isa::Op> rows;
    std::set<uint16_t> helpers;
    std::map<std::string, uint64_t> refused;

    void print() {
        std::ranges::sort(per_program);
        const uint64_t median = per_program.empty() ? 0 : per_program[per_program.size() / 2];
        fmt::print("programs {}, not bound {}, accepted {} ({:.0f} %), with computed offsets {} ({:.0f} %)\n", programs,
                   unbound, accepted,
                   100.0 * static_cast<double>(accepted) / static_cast<double>(std::max<uint64_t>(programs, 1)),
                   variable,
                   100.0 * static_cast<double>(variable) / static_cast<double>(std::max<uint64_t>(accepted, 1)));
        fmt::print("runs {}, to their end {}; instructions {}, median of a program {}; states compared {}\n", runs,
                   ended, instructions, median, compared);
        fmt::print("rows of the instruction table executed {} of {}; helpers {}\n", rows.size(), isa::op_count,
                   helpers.size());
    }
};

Result<verifier::Subject> subject_of(const SafeProgram& program) {
    BindOptions options;
    options.type = program.type;
    options.keep_problems = true;
    SKEP_ASSIGN(BoundProgram bound, bind(testing::safe_spec(), program.linked, options));
    verifier::Options policy;
    policy.step_budget = 60'000;
    return verifier::make_subject(testing::safe_spec(), std::make_shared<const BoundProgram>(std::move(bound)), policy);
}

/// One program: verified and, if accepted, run. What is wrong, or nothing.
std::string examine(uint64_t seed, uint64_t number, Counts& counts, bool tell) {
    testing::Choices choices(seed * 0x9e3779b97f4a7c15 + number);
    const SafeProgram program = testing::make_safe_program(choices);
    ++counts.programs;
    auto subject = subject_of(program);
    if (tell) fmt::print("{}\n", listing(program.linked));
    if (!subject) {
        ++counts.unbound;
        ++counts.refused[subject.error().to_string().substr(0, 60)];
        if (tell) fmt::print("{}\n", subject.error().to_string());
        return {};
    }
    const verifier::Report report = verifier::verify(*subject);
    if (report.verdict != verifier::Verdict::Accepted) {
        if (!report.failures.empty()) ++counts.refused[verifier::rule_code(report.failures[0].rule)];
        if (tell && !report.failures.empty())
            fmt::print("refused at {}: {} (needs {}, known {})\n", report.failures[0].insn, report.failures[0].what,
                       report.failures[0].needs, report.failures[0].known);
        return {};
    }
    const std::string about = fmt::format("seed {} program {}", seed, number);
    const auto certificate = verifier::decode_certificate(*subject, report.certificate);
    if (!certificate) return about + ": the certificate cannot be decoded: " + certificate.error().to_string();
    ++counts.accepted;
    Containment containment(*subject, *certificate, *report.executable);
    uint64_t instructions = 0;
    for (uint64_t i = 0; i < 12 && (i < 4 || instructions < 400); ++i) {
        const RunResult run = containment.run(seed + 1000 * number + i, steps_of_a_run);
        ++counts.runs;
        counts.ended += run.ended;
        instructions += run.instructions;
        if (!run.miss) continue;
        const auto insn = isa::decode(program.linked.code, run.at);
        return fmt::format("{} run {}: instruction {} ({}): {}\ntype {}\n{}", about, i, run.at,
                           insn ? isa::disassemble(*insn, run.at) : "?", *run.miss, static_cast<int>(program.type),
                           listing(program.linked));
    }
    counts.instructions += instructions;
    counts.per_program.push_back(instructions);
    counts.compared += containment.compared();
    const auto& executed = containment.executed();
    counts.variable += std::ranges::any_of(program.variable, [&](isa::InsnIndex at) { return executed[at]; });
    for (isa::InsnIndex at = 0; at < executed.size(); ++at) {
        if (!executed[at]) continue;
        counts.rows.insert(isa::decode(program.linked.code, at)->op);
        const Binding& binding = subject->program->bindings[at];
        if (binding.kind == BindingKind::Helper) counts.helpers.insert(binding.helper);
    }
    return {};
}

TEST(VerifierContainment, EveryStateOfARunIsInsideTheCertificate) {
#ifdef SKEP_SEEDED_BUGS
    verifier::seeded_bug = static_cast<unsigned>(given("SKEP_SEEDED_BUG").value_or(0));
#endif
    const uint64_t seed = given("SKEP_CONTAIN_SEED").value_or(1);
    const auto one = given("SKEP_CONTAIN_PROGRAM");
    const auto seconds = given("SKEP_CONTAIN_SECONDS");
    Counts counts;
    if (one) {
        EXPECT_EQ(examine(seed, *one, counts, true), "");
        return;
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto over = [&](uint64_t number) {
        if (!seconds) return number >= 300;
        return std::chrono::steady_clock::now() - begin >= std::chrono::seconds(*seconds);
    };
    for (uint64_t number = 0; !over(number); ++number) {
        const std::string wrong = examine(seed, number, counts, false);
        if (!wrong.empty()) {
            ADD_FAILURE() << wrong;
            break;
        }
    }
    counts.print();
    for (const auto& [what, times] : counts.refused) fmt::print("  refused {} x {}\n", times, what);
    if (!seconds) {
        // A run that accepts next to nothing, or computes no offsets, shows nothing.
        EXPECT_GE(counts.accepted * 4, counts.programs);
        EXPECT_GE(counts.variable * 10, counts.accepted * 3);
    }
}

}  // namespace
}  // namespace skep
