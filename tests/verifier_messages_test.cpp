// SPDX-License-Identifier: Apache-2.0
// What `skep verify` says, word by word: each tests/verifier/messages/*.golden is a case, a line of dashes, and the
// message. `verifier_messages_test --update` writes what is said now; a change is reviewed as what users will read.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "cli/verify/examine.hpp"
#include "program/bind.hpp"
#include "support/golden.hpp"
#include "support/verifier_cases.hpp"
#include "verifier/verify.hpp"

namespace skep {
namespace {

using testing::contents;
using testing::VerifierCase;

std::filesystem::path folder() { return std::filesystem::path(SKEP_SOURCE_DIR) / "tests/verifier/messages"; }

/// What the command prints of a case: the message, or with `why-safe` the proof.
std::string said(const VerifierCase& one) {
    auto program = testing::build_case(one);
    if (!program) return program.error().to_string() + "\n";
    cli::Output output;
    cli::VerifyOptions options;
    options.bind.type = program->type;
    options.verifier = one.options;
    options.why_safe = one.why_safe;
    const cli::Examined got = cli::examine(program->spec, program->linked, options);
    if (got.proof && *got.proof) return cli::proof_text("prog", **got.proof, {}, output);
    if (got.diagnostics.empty()) return std::string(verifier::verdict_word(got.verdict)) + "\n";
    return cli::diagnostic_text(got.diagnostics.front(), {}, output);
}

class Messages : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(Messages, AreWhatIsSaid) {
    const testing::Golden golden(GetParam());
    const auto cases = testing::parse_cases(golden.input, GetParam().filename().string());
    ASSERT_TRUE(cases.ok()) << cases.error().to_string();
    ASSERT_EQ(cases->size(), 1u);
    const std::string now = said(cases->front());
    if (now.find("a production build has no interpreter") != std::string::npos)
        GTEST_SKIP() << "a production build replays nothing";
    testing::expect_golden(GetParam(), golden, now);
    const std::string& code = cases->front().code;
    EXPECT_NE(now.find(code.empty() ? "instruction" : "[" + code + "]"), std::string::npos)
        << "another code than expected";
}

std::vector<std::filesystem::path> files() { return testing::golden_files(folder()); }

INSTANTIATE_TEST_SUITE_P(Goldens, Messages, ::testing::ValuesIn(files()), testing::golden_name);

TEST(Goldens, ShowAnInputThatWasReplayedForMostOfWhatIsUnsafe) {
    size_t unsafe = 0, replayed = 0;
    for (const auto& path : files()) {
        const std::string text = contents(path);
        if (text.find("  UNSAFE\n") == std::string::npos || text.find("  input: ") == std::string::npos) continue;
        ++unsafe;
        const bool says_why = text.find("not replayed: ") != std::string::npos;
        const bool ran = text.find("replayed in the interpreter: ") != std::string::npos;
        EXPECT_NE(says_why, ran) << path;
        replayed += ran ? 1 : 0;
    }
    EXPECT_GE(unsafe, 20u);
    EXPECT_GE(replayed * 10, unsafe * 9) << replayed << " of " << unsafe;
}

TEST(Goldens, AreManyAndOfManyCodes) {
    std::set<std::string> codes;
    size_t messages = 0;
    for (const auto& path : files()) {
        const std::string text = contents(path);
        const size_t at = text.find("error[");
        if (at == std::string::npos) continue;
        ++messages;
        codes.insert(text.substr(at + 6, 5));
    }
    EXPECT_GE(messages, 60u);
    EXPECT_GE(codes.size(), 40u);
}

}  // namespace
}  // namespace skep

int main(int argc, char** argv) { return skep::testing::golden_main(argc, argv); }
