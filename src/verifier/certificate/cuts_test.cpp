// SPDX-License-Identifier: Apache-2.0
#include "verifier/certificate/cuts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "isa/assemble.hpp"

namespace skep::verifier {
namespace {

struct Row {
    const char* name;
    const char* text;
    std::vector<isa::InsnIndex> starts;  ///< of the subprograms
    std::vector<isa::InsnIndex> cuts;
};

TEST(Cuts, AreTheJoinsLoopHeadsAndReturnPoints) {
    const Row rows[] = {
        {"straight line", "r0 = 0\nexit\n", {0}, {}},
        {"one side of a branch", "if r1 == 0 goto +1\nexit\nr0 = 0\nexit\n", {0}, {}},
        {"the two sides meet", "r0 = 0\nif r1 == 0 goto +1\nr0 = 1\nexit\n", {0}, {3}},
        {"a jump to the next instruction alone is no join", "r0 = 0\ngoto +0\nexit\n", {0}, {}},
        {"a branch to the next instruction is one", "r0 = 0\nif r1 == 0 goto +0\nexit\n", {0}, {2}},
        {"a loop's head", "r0 = 4\nr0 += -1\nif r0 != 0 goto -2\nexit\n", {0}, {1}},
        {"the entry as a loop's head", "r1 += -1\nif r1 != 0 goto -2\nexit\n", {0}, {0}},
        {"after a local call", "call f\nexit\nf:\nr0 = 0\nexit\n", {0, 2}, {1}},
        {"a wide instruction takes two slots", "r1 = 1 ll\nif r1 == 0 goto +1\nr1 = 2\nexit\n", {0}, {4}},
    };
    for (const Row& row : rows) {
        const auto code = isa::assemble(row.text);
        ASSERT_TRUE(code) << row.name << ": " << code.error().to_string();
        object::LinkedProgram program;
        program.code = *code;
        for (size_t i = 0; i < row.starts.size(); ++i) {
            const auto end = i + 1 < row.starts.size() ? row.starts[i + 1] : program.code.size();
            program.subprograms.push_back({"f", row.starts[i], static_cast<isa::InsnIndex>(end)});
        }
        EXPECT_THAT(cut_places(program), testing::ElementsAreArray(row.cuts)) << row.name;
    }
}

TEST(Cuts, ComeAfterManyBranchesWithoutOne) {
    std::string text = "r0 = 0\n";
    for (unsigned i = 0; i < 3 * most_branches; ++i) text += "if r1 > 7 goto out\n";
    const auto code = isa::assemble(text + "exit\nout:\nexit\n");
    ASSERT_TRUE(code);
    object::LinkedProgram program;
    program.code = *code;
    program.subprograms = {{"f", 0, static_cast<isa::InsnIndex>(code->size())}};
    EXPECT_THAT(cut_places(program), testing::ElementsAre(most_branches + 1, 2 * most_branches + 1,
                                                          3 * most_branches + 1, 3 * most_branches + 2));
}

}  // namespace
}  // namespace skep::verifier
