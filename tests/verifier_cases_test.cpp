// SPDX-License-Identifier: Apache-2.0
// Every case under tests/verifier and in the pages of docs/verifier has the verdict that it states; every rule has its
// page. `verifier_cases_test FILTER` runs the cases whose file or name contains the word.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "program/bind.hpp"
#include "support/verifier_cases.hpp"
#include "verifier/report/diagnostic.hpp"
#include "verifier/verify.hpp"

namespace skep {
namespace {

using testing::VerifierCase;
using verifier::Diagnostic;
using verifier::Verdict;

std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::filesystem::path root() { return SKEP_SOURCE_DIR; }

std::vector<std::filesystem::path> files_in(const char* folder, const char* extension) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(root() / folder)) {
        if (entry.path().extension() == extension) files.push_back(entry.path());
    }
    std::ranges::sort(files);
    return files;
}

struct Answer {
    Verdict verdict = Verdict::NotModelled;
    std::optional<Diagnostic> first;
    CostBound cost;
    std::string complaint;  ///< the certificate is not confirmed
};

Answer answer(const testing::CaseProgram& program, const verifier::Options& policy) {
    Answer out;
    BindOptions options;
    options.type = program.type;
    options.keep_problems = true;
    const auto refuse = [&](const Error& error) {
        out.first = verifier::explain(error, &program.linked);
        out.verdict = out.first->verdict;
    };
    Result<BoundProgram> bound = bind(program.spec, program.linked, options);
    if (!bound) {
        refuse(bound.error());
        return out;
    }
    auto subject =
        verifier::make_subject(program.spec, std::make_shared<const BoundProgram>(*std::move(bound)), policy);
    if (!subject) {
        refuse(subject.error());
        return out;
    }
    const verifier::Report report = verifier::verify(*subject);
    out.verdict = report.verdict;
    if (!report.failures.empty()) out.first = verifier::explain(program.spec, *subject, report.failures.front());
    if (report.verdict == Verdict::Accepted) {
        if (report.executable) out.cost = report.executable->cost();
        const auto checked = verifier::check_certificate(*subject, report.certificate);
        if (!checked) out.complaint = checked.error().to_string();
    }
    return out;
}

std::string told(const Answer& answer) {
    std::string text = verifier::verdict_word(answer.verdict);
    if (answer.first) {
        const Diagnostic& d = *answer.first;
        text += fmt::format(" {} ({}) at instruction {}: {}\n  what:  {}\n  needs: {}\n  known: {}", d.code, d.title,
                            d.place.insn, d.place.insn_text, d.what, d.needs, d.known);
    }
    return text;
}

bool as_expected(const VerifierCase& one, const Answer& answer) {
    if (one.expect == "accept") {
        return answer.verdict == Verdict::Accepted && answer.complaint.empty() &&
               (!one.cost || *one.cost == answer.cost.instructions);
    }
    if (!answer.first || answer.first->code != one.code) return false;
    if (one.insn && *one.insn != answer.first->place.insn) return false;
    if (one.expect == "unsafe") return answer.verdict == Verdict::Unsafe;
    if (one.expect == "unproven") return answer.verdict == Verdict::Unproven;
    if (one.expect == "refuse") return answer.verdict == Verdict::Unsafe || answer.verdict == Verdict::Unproven;
    if (one.expect == "policy") return answer.verdict == Verdict::Policy;
    if (one.expect == "limit") return answer.verdict == Verdict::Limit;
    return answer.verdict == Verdict::NotModelled;
}

/// What tests/verifier/known.txt says of a case; "" if it is not listed there.
std::string known_gap(const VerifierCase& one) {
    static const std::string list = contents(root() / "tests/verifier/known.txt");
    const std::string key = fmt::format("{}: {} | ", one.file, one.name);
    const size_t at = list.find("\n" + key);
    if (at == std::string::npos) return {};
    const size_t begin = at + 1 + key.size();
    return list.substr(begin, list.find('\n', begin) - begin);
}

void run(const VerifierCase& one) {
    const auto program = testing::build_case(one);
    ASSERT_TRUE(program.ok()) << program.error().to_string();
    const Answer got = answer(*program, one.options);
    if (const std::string gap = known_gap(one); !gap.empty()) {
        // A gap may err on the side of refusing alone.
        EXPECT_TRUE(one.expect == "accept" || got.verdict != Verdict::Accepted || gap.starts_with("accepted: "))
            << one.file << ":" << one.line << ": " << one.name << " is accepted";
        if (as_expected(one, got)) {
            ADD_FAILURE() << "tests/verifier/known.txt lists " << one.name << ", which holds now: unlist it";
        } else {
            GTEST_SKIP() << gap;
        }
        return;
    }
    EXPECT_TRUE(as_expected(one, got)) << one.file << ":" << one.line << ": " << one.name
                                       << "\n  expected: " << one.expect << " " << one.code
                                       << (one.cost ? fmt::format(", cost {}", *one.cost) : "")
                                       << "\n  got: " << told(got) << "\n"
                                       << got.complaint
                                       << (one.cost ? fmt::format("  cost {}", got.cost.instructions) : "");
}

class Case : public ::testing::Test {
  public:
    explicit Case(VerifierCase one) : one_(std::move(one)) {}
    void TestBody() override { run(one_); }

  private:
    VerifierCase one_;
};

void add(const std::string& suite, std::vector<VerifierCase> cases) {
    std::map<std::string, int> used;
    for (VerifierCase& one : cases) {
        std::string name = one.name;
        for (char& c : name) {
            if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
        }
        if (used[name]++ != 0) name += fmt::format("_{}", used[name]);
        const std::string file = one.file;
        const int line = static_cast<int>(one.line);
        ::testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, file.c_str(), line,
                                [one = std::move(one)]() -> ::testing::Test* { return new Case(one); });
    }
}

std::set<std::string> codes() {
    std::set<std::string> all;
#define RULE(name, code, kind, title) all.insert(code);
#include "verifier/rules/rule.def"
#undef RULE
    return all;
}

std::vector<VerifierCase> corpus() {
    std::vector<VerifierCase> all;
    for (const auto& path : files_in("tests/verifier", ".cases")) {
        auto cases = testing::parse_cases(contents(path), path.filename().string());
        if (!cases) {
            ADD_FAILURE() << cases.error().to_string();
            continue;
        }
        all.insert(all.end(), cases->begin(), cases->end());
    }
    return all;
}

TEST(VerifierPages, EveryRuleHasItsPageAndEveryPageItsRule) {
    std::set<std::string> pages;
    for (const auto& path : files_in("docs/verifier", ".md")) {
        const std::string name = path.stem().string();
        if (name.size() != 5 || name[0] != 'V') continue;
        pages.insert(name);
        const std::string text = contents(path);
        EXPECT_TRUE(text.starts_with("# " + name)) << path;
        for (const char* part : {"## Refused", "## How to fix", "## Linux"})
            EXPECT_NE(text.find(part), std::string::npos) << path << " has no part " << part;
    }
    EXPECT_EQ(pages, codes());
}

TEST(VerifierCorpus, EveryRuleHasAProgramJustInsideAndOneJustOutside) {
    // The rules that no program text of this size reaches, on either side.
    const std::map<std::string, std::string> unreachable = {
        {"V0903", "80,000 places times calling contexts: a program of thousands of instructions"},
        {"V0990", "a bug of the search: no program is known"},
    };
    // What is not modelled has no other side: what is modelled is all the rest.
    const std::set<std::string> one_side = {"V0910"};
    std::set<std::string> outside, inside;
    size_t accepted = 0;
    std::vector<VerifierCase> all = corpus();
    const size_t count = all.size();
    for (const VerifierCase& one : all) {
        accepted += one.expect == "accept" ? 1 : 0;
        EXPECT_TRUE(one.code.empty() || codes().contains(one.code)) << one.name << ": " << one.code;
        EXPECT_TRUE(one.rule.empty() || (codes().contains(one.rule) && one.expect == "accept")) << one.name;
    }
    for (const auto& path : files_in("docs/verifier", ".md")) {
        auto cases = testing::parse_page(contents(path), path.filename().string());
        ASSERT_TRUE(cases.ok()) << cases.error().to_string();
        for (VerifierCase& one : *cases) {
            if (one.name == path.stem().string() + ", just inside") one.rule = path.stem().string();
            all.push_back(std::move(one));
        }
    }
    for (const VerifierCase& one : all) {
        if (!known_gap(one).empty()) continue;  // it does not hold, so it shows nothing
        if (!one.code.empty()) outside.insert(one.code);
        if (!one.rule.empty()) inside.insert(one.rule);
    }
    for (const std::string& code : codes()) {
        if (unreachable.contains(code)) {
            EXPECT_FALSE(outside.contains(code)) << code << " is reached: unlist it";
            continue;
        }
        EXPECT_TRUE(outside.contains(code)) << code << " has no program just outside";
        EXPECT_TRUE(one_side.contains(code) || inside.contains(code)) << code << " has no program just inside";
    }
    EXPECT_GE(count, 400u);
    EXPECT_GE(accepted, count / 4);
}

}  // namespace
}  // namespace skep

int main(int argc, char** argv) {
    for (const auto& path : skep::files_in("tests/verifier", ".cases")) {
        auto cases = skep::testing::parse_cases(skep::contents(path), path.filename().string());
        if (!cases) {
            fmt::print(stderr, "{}\n", cases.error().to_string());
            return 1;
        }
        skep::add("VerifierCase_" + path.stem().string(), *std::move(cases));
    }
    for (const auto& path : skep::files_in("docs/verifier", ".md")) {
        auto cases = skep::testing::parse_page(skep::contents(path), path.filename().string());
        if (!cases) {
            fmt::print(stderr, "{}\n", cases.error().to_string());
            return 1;
        }
        skep::add("VerifierPage_" + path.stem().string(), *std::move(cases));
    }
    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
