// SPDX-License-Identifier: Apache-2.0
// Random programs that the verifier accepts, run on inputs of chance: every state that a run is in is one that the
// certificate describes, every access lies inside its region, no run takes more than the cost, every fact holds.
// Long runs (script/fuzz verifier): SKEP_CONTAIN_SECONDS, or SKEP_CONTAIN_ACCEPTED: until so many different programs
// were accepted; SKEP_CONTAIN_SEED, SKEP_CONTAIN_JOBS (threads). SKEP_CONTAIN_PROGRAM: one program, printed, with the
// reason if it is refused. Built over a copy of the verifier with bugs and mutants asleep in it (tests/seeded):
// SKEP_SEEDED_BUG is the bug to wake, which the run must find; SKEP_MUTANTS=FIRST-LAST are mutants of the search, of
// which each must change some certificate, and none may bring in a wrong one.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_set>

#include <fmt/format.h>

#include "isa/disasm.hpp"
#include "platform/program_type.hpp"
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

constexpr uint64_t steps_of_a_run = 1500, runs_of_a_program = 8, enough_instructions = 150;

std::optional<uint64_t> given(const char* name) {
    const char* text = std::getenv(name);
    if (text == nullptr || *text == '\0') return {};
    return std::strtoull(text, nullptr, 0);
}

std::string listing(const object::LinkedProgram& linked) {
    auto text = isa::disassemble_program(linked.code);
    return text ? *text : std::string("?");
}

/// Rows of the instruction table that no accepted program can have: refused as not modelled.
constexpr isa::Op not_modelled[] = {isa::Op::AddrSpaceCast, isa::Op::MayGoto,  isa::Op::CallKfunc,    isa::Op::CallX,
                                    isa::Op::LdBtfId,       isa::Op::LdMapIdx, isa::Op::LdMapIdxValue};

/// The prototypes of Linux' helpers that are modelled and that a program type with a modelled context may call. A
/// helper that some types know by another prototype counts once per prototype.
std::map<const platform::HelperRow*, platform::HelperId> prototypes() {
    std::map<const platform::HelperRow*, platform::HelperId> out;
    for (uint16_t i = 0; i < platform::helper_count; ++i) {
        const auto id = static_cast<platform::HelperId>(i);
        if (platform::helper_callback(id) == platform::CallbackKind::NotModelled) continue;
        for (unsigned t = 0; t < 64; ++t) {
            const auto type = static_cast<platform::ProgramType>(t);
            if (platform::program_type_linux_id(type) == 0 || !platform::context_of(type)) continue;
            const platform::HelperRow& row = platform::helper_for(id, type);
            if (row.linux_id == 0 || !platform::helper_modelled(row)) continue;
            for (unsigned a = 0; a < 64; ++a) {
                const bool attaches = (platform::attach_types_of(type) >> a & 1) != 0;
                if (attaches && platform::helper_allowed(id, type, static_cast<platform::AttachType>(a)))
                    out.emplace(&row, id);
            }
        }
    }
    return out;
}

struct Counts {
    uint64_t programs = 0, unbound = 0, accepted = 0, runs = 0, ended = 0, instructions = 0, variable = 0;
    uint64_t compared = 0;
    std::map<uint64_t, uint64_t> per_program;  ///< executed instructions: so many programs
    std::set<isa::Op> rows;
    std::set<const platform::HelperRow*> helpers;
    std::set<platform::ProgramType> types;
    std::map<std::string, uint64_t> refused;

    void add(const Counts& other) {
        programs += other.programs, unbound += other.unbound, accepted += other.accepted, runs += other.runs;
        ended += other.ended, instructions += other.instructions, variable += other.variable;
        compared += other.compared;
        for (const auto& [n, times] : other.per_program) per_program[n] += times;
        rows.insert(other.rows.begin(), other.rows.end());
        helpers.insert(other.helpers.begin(), other.helpers.end());
        types.insert(other.types.begin(), other.types.end());
        for (const auto& [what, times] : other.refused) refused[what] += times;
    }
    uint64_t median() const {
        uint64_t seen = 0;
        for (const auto& [n, times] : per_program) {
            seen += times;
            if (2 * seen >= accepted) return n;
        }
        return 0;
    }
    void print() const {
        const auto share = [](uint64_t part, uint64_t of) {
            return 100.0 * static_cast<double>(part) / static_cast<double>(std::max<uint64_t>(of, 1));
        };
        fmt::print(
            "programs {}, not bound {}; different ones accepted {} ({:.0f} %), with accesses at computed offsets "
            "{} ({:.0f} %)\n",
            programs, unbound, accepted, share(accepted, programs), variable, share(variable, accepted));
        fmt::print("runs {}, to their end {}; instructions {}, median of a program {}; states compared {}\n", runs,
                   ended, instructions, median(), compared);
        const auto all = prototypes();
        fmt::print(
            "rows of the instruction table executed {} of {} (and {} not modelled); program types {}; helper "
            "prototypes called {} of {}\n",
            rows.size(), isa::op_count - std::size(not_modelled), std::size(not_modelled), types.size(), helpers.size(),
            all.size());
        for (const isa::Row& row : isa::rows()) {
            if (!rows.contains(row.op) && std::ranges::find(not_modelled, row.op) == std::end(not_modelled))
                fmt::print("  not executed: {} {}\n", row.text, row.mnemonic);
        }
        for (const auto& [row, id] : all) {
            if (!helpers.contains(row)) fmt::print("  not called: {}\n", platform::helper_name(id));
        }
        for (const auto& [what, times] : refused) fmt::print("  refused {} x {}\n", times, what);
    }
};

/// Programs seen so far, over all threads.
class Seen {
  public:
    /// Whether it is a new one.
    bool add(const SafeProgram& program) {
        uint64_t hash = static_cast<uint64_t>(program.type) * 64 + static_cast<uint64_t>(program.attach);
        for (const isa::Slot& slot : program.linked.code) {
            uint64_t word = 0;
            static_assert(sizeof slot == sizeof word);
            std::memcpy(&word, &slot, sizeof word);
            hash = (hash ^ word) * 0x9e3779b97f4a7c15;
            hash ^= hash >> 29;
        }
        const std::lock_guard hold(lock_);
        return hashes_.insert(hash).second;
    }

  private:
    std::mutex lock_;
    std::unordered_set<uint64_t> hashes_;
};

SafeProgram program_of(uint64_t seed, uint64_t number) {
    testing::Choices choices(seed * 0x9e3779b97f4a7c15 + number);
    return testing::make_safe_program(choices);
}

/// Runs an accepted program: what is wrong, or nothing.
std::string contained(const SafeProgram& program, const verifier::Subject& subject, const verifier::Report& report,
                      const std::string& about, uint64_t seed, Counts& counts) {
    const auto certificate = verifier::decode_certificate(subject, report.certificate);
    if (!certificate) return about + ": the certificate cannot be decoded: " + certificate.error().to_string();
    Containment containment(subject, *certificate, *report.executable);
    uint64_t instructions = 0;
    for (uint64_t i = 0; i < runs_of_a_program && (i < 2 || instructions < enough_instructions); ++i) {
        const RunResult run = containment.run(seed + i, steps_of_a_run);
        ++counts.runs;
        counts.ended += run.ended;
        instructions += run.instructions;
        if (!run.miss) continue;
        const auto insn = isa::decode(program.linked.code, run.at);
        return fmt::format("{} run {}: instruction {} ({}): {}\ntype {}\n{}", about, i, run.at,
                           insn ? isa::disassemble(*insn, run.at) : "?", *run.miss, static_cast<int>(program.type),
                           listing(program.linked));
    }
    ++counts.accepted;
    counts.instructions += instructions;
    ++counts.per_program[instructions];
    counts.compared += containment.compared();
    const auto& executed = containment.executed();
    counts.variable += std::ranges::any_of(program.variable, [&](isa::InsnIndex at) { return executed[at]; });
    counts.types.insert(program.type);
    for (isa::InsnIndex at = 0; at < executed.size(); ++at) {
        if (!executed[at]) continue;
        counts.rows.insert(isa::decode(program.linked.code, at)->op);
        const Binding& binding = subject.program->bindings[at];
        if (binding.kind != BindingKind::Helper) continue;
        const auto& row = platform::helper_for(static_cast<platform::HelperId>(binding.helper), program.type);
        if (row.linux_id != 0) counts.helpers.insert(&row);
    }
    return {};
}

/// One program: verified and, if accepted and new, run. What is wrong, or nothing.
std::string examine(uint64_t seed, uint64_t number, Seen& seen, Counts& counts, bool tell) {
    const SafeProgram program = program_of(seed, number);
    ++counts.programs;
    auto subject = testing::safe_subject(program);
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
    if (!seen.add(program)) return {};
    return contained(program, *subject, report, fmt::format("seed {} program {}", seed, number), seed + 1000 * number,
                     counts);
}

TEST(VerifierContainment, EveryStateOfARunIsInsideTheCertificate) {
#ifdef SKEP_SEEDED_BUGS
    if (given("SKEP_MUTANTS")) GTEST_SKIP() << "only mutants are asked for";
    verifier::seeded_bug = static_cast<unsigned>(given("SKEP_SEEDED_BUG").value_or(0));
#endif
    const uint64_t seed = given("SKEP_CONTAIN_SEED").value_or(1);
    const auto one = given("SKEP_CONTAIN_PROGRAM");
    const auto seconds = given("SKEP_CONTAIN_SECONDS"), wanted = given("SKEP_CONTAIN_ACCEPTED");
    const uint64_t jobs = given("SKEP_CONTAIN_JOBS").value_or(1);
    Seen seen;
    Counts counts;
    if (one) {
        EXPECT_EQ(examine(seed, *one, seen, counts, true), "");
        return;
    }
    const auto begin = std::chrono::steady_clock::now();
    std::atomic<uint64_t> next = 0, accepted = 0;
    std::atomic<bool> stop = false;
    const auto over = [&](uint64_t number) {
        if (wanted && accepted >= *wanted) return true;
        if (!seconds) return !wanted && number >= 300;
        return std::chrono::steady_clock::now() - begin >= std::chrono::seconds(*seconds);
    };
    std::mutex lock;
    const auto work = [&] {
        Counts own;
        std::string wrong;
        while (!stop && wrong.empty()) {
            const uint64_t number = next++;
            if (over(number)) break;
            const uint64_t before = own.accepted;
            wrong = examine(seed, number, seen, own, false);
            accepted += own.accepted - before;
            if (jobs == 1 && wanted && own.accepted != before && own.accepted % 100'000 == 0)
                fmt::print("{} accepted, {} instructions\n", own.accepted, own.instructions);
        }
        const std::lock_guard hold(lock);
        counts.add(own);
        if (!wrong.empty()) {
            stop = true;
            ADD_FAILURE() << wrong;
        }
    };
    std::vector<std::thread> threads;
    for (uint64_t i = 1; i < jobs; ++i) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    counts.print();
    fmt::print("{:.0f} s, {} thread{}\n", took.count(), jobs, jobs == 1 ? "" : "s");
    if (stop) return;
    // A run that accepts next to nothing, or computes no offsets, shows nothing.
    EXPECT_GE(counts.accepted * 4, counts.programs);
    EXPECT_GE(counts.variable * 10, counts.accepted * 3);
    EXPECT_GE(counts.median(), 100u);
    if (wanted.value_or(0) < 100'000) return;
    EXPECT_GE(counts.instructions, *wanted * 100);
    EXPECT_EQ(counts.rows.size(), isa::op_count - std::size(not_modelled));
    EXPECT_EQ(counts.helpers.size(), prototypes().size());
}

TEST(VerifierContainment, RowsThatNoRunReachesAreNotModelled) {
    for (const isa::Op op : not_modelled) {
        SafeProgram program;
        isa::append(program.linked.code, {.op = isa::Op::Mov64K});
        isa::append(program.linked.code, {.op = op});
        isa::append(program.linked.code, {.op = isa::Op::Exit});
        const auto end = static_cast<isa::InsnIndex>(program.linked.code.size());
        program.linked.subprograms.push_back({.name = "f", .start = 0, .end = end});
        for (uint32_t i = 0; i < testing::safe_spec().maps.size(); ++i) program.linked.maps.push_back(i);
        const auto subject = testing::safe_subject(program);
        if (!subject) continue;
        EXPECT_NE(verifier::verify(*subject).verdict, verifier::Verdict::Accepted) << isa::row_of(op).mnemonic;
    }
}

#ifdef SKEP_SEEDED_BUGS
/// The search with one mutant awake, over programs that are accepted without it: what the checker lets through is run.
TEST(VerifierContainment, MutantsOfTheSearchBringInNothingWrong) {
    const char* range = std::getenv("SKEP_MUTANTS");
    if (range == nullptr) GTEST_SKIP() << "SKEP_MUTANTS=FIRST-LAST";
    unsigned first = 0, last = 0;
    ASSERT_EQ(std::sscanf(range, "%u-%u", &first, &last), 2);
    const uint64_t seed = given("SKEP_CONTAIN_SEED").value_or(1);
    const uint64_t wanted = given("SKEP_CONTAIN_ACCEPTED").value_or(3000);
    struct Known {
        SafeProgram program;
        verifier::Subject subject;
        std::vector<std::byte> certificate;
        uint32_t refused = 0;  ///< certificates of earlier attempts
    };
    std::vector<Known> known;
    verifier::seeded_bug = 0;
    for (uint64_t number = 0; known.size() < wanted; ++number) {
        SafeProgram program = program_of(seed, number);
        auto subject = testing::safe_subject(program);
        if (!subject) continue;
        verifier::Report report = verifier::verify(*subject);
        if (report.verdict == verifier::Verdict::Accepted)
            known.push_back(
                {std::move(program), std::move(*subject), std::move(report.certificate), report.statistics.refused});
    }
    for (const verifier::Mutant& mutant : verifier::mutants) {
        if (mutant.number < first || mutant.number > last) continue;
        uint64_t changed = 0, no = 0, accepted = 0, lost = 0;
        Counts counts;
        for (size_t i = 0; i < known.size(); ++i) {
            const Known& k = known[i];
            verifier::seeded_bug = mutant.number;
            const verifier::Report report = verifier::verify(k.subject);
            verifier::seeded_bug = 0;
            // Some programs' first certificates are refused without a mutant too.
            const uint32_t more = report.statistics.refused - std::min(report.statistics.refused, k.refused);
            no += more;
            const bool in = report.verdict == verifier::Verdict::Accepted;
            changed += more != 0 || (in && report.certificate != k.certificate);
            if (!in) {
                ++lost;
                continue;
            }
            ++accepted;
            if (report.certificate == k.certificate) continue;  // run before
            const std::string wrong =
                contained(k.program, k.subject, report, fmt::format("mutant {} program {}", mutant.number, i),
                          seed + 1000 * i, counts);
            if (!wrong.empty()) ADD_FAILURE() << wrong;
        }
        fmt::print(
            "mutant {} ({}): {} certificates changed, the checker said no {} times; {} programs accepted and "
            "{} run again ({} instructions), {} lost: {}\n",
            mutant.number, mutant.kind, changed, no, accepted, counts.accepted, counts.instructions, lost,
            mutant.change);
        std::fflush(stdout);
        EXPECT_GT(changed, 0u) << "mutant " << mutant.number << " changes nothing";
    }
}
#endif

}  // namespace
}  // namespace skep
