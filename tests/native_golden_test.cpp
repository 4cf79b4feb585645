// SPDX-License-Identifier: Apache-2.0
// The C that programs become, word by word: each tests/native/*.golden is a case (support/verifier_cases.hpp), a line
// of dashes, and the text of its own; common.golden is what stands around it in all of them.
// `native_golden_test --update` writes what is emitted now; a change is reviewed as code. And all of it compiles
// without a warning, by every compiler that is here.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "engine/native/emit.hpp"
#include "module/build.hpp"
#include "module/os/process.hpp"
#include "program/bind.hpp"
#include "runtime/load/verify_program.hpp"
#include "support/golden.hpp"
#include "support/verifier_cases.hpp"

namespace skep {
namespace {

using testing::contents, testing::Golden;
/// The last function of what all texts have before their own part, and the first line of what they have behind it.
constexpr const char* last_common = "SKEP_INLINE uint64_t cmpxchg64(";
constexpr const char* first_behind = "/* What a compiler may call";

std::filesystem::path folder() { return std::filesystem::path(SKEP_SOURCE_DIR) / "tests/native"; }

/// A text's own part, and what stands before and behind it in all texts (but for the first line, which names a file).
struct Parts {
    std::string own, common;
};
Parts parts_of(const std::string& text) {
    const size_t first = text.find('\n') + 1, end = text.find("\n}\n", text.find(last_common));
    if (end == std::string::npos) return {"", text};
    const size_t behind = std::min(text.find(first_behind), text.size());
    return {text.substr(end + 4, behind - (end + 4)), text.substr(first, end + 4 - first) + text.substr(behind)};
}

/// The whole C text of a case. Errors: those of every step.
Result<std::string> emitted(const std::string& input, const std::string& file) {
    SKEP_ASSIGN(const auto cases, testing::parse_cases(input, file));
    if (cases.size() != 1) return Error(Errc::Syntax, "a golden holds one case").in_file(file);
    SKEP_ASSIGN(const testing::CaseProgram program, testing::build_case(cases.front()));
    BindOptions options;
    options.type = program.type;
    SKEP_ASSIGN(const BoundProgram bound, bind(program.spec, program.linked, options));
    SKEP_ASSIGN(const ExecutableProgram executable, runtime::verify_program(program.spec, bound));
    std::vector<uint32_t> order, indices;
    for (const MapUse& use : bound.maps) order.push_back(use.map);
    std::ranges::sort(order);
    order.erase(std::unique(order.begin(), order.end()), order.end());
    for (const MapUse& use : bound.maps)
        indices.push_back(static_cast<uint32_t>(std::ranges::lower_bound(order, use.map) - order.begin()));
    const BoundProgram* const list[] = {&bound};
    SKEP_ASSIGN(const module::Contract contract, module::contract_of(program.spec, list, order));
    engine::native::ModuleSource source;
    source.title = file;
    source.programs.push_back({"skep_entry_0", &executable, indices});
    for (const module::MapNeed& need : contract.maps) source.maps.push_back(module::map_shape(need));
    const ExecutableProgram* const programs[] = {&executable};
    source.helpers = engine::native::used_helpers(programs);
    return engine::native::emit_c(source);
}

std::vector<std::filesystem::path> files() {
    auto all = testing::golden_files(folder());
    std::erase_if(all, [](const auto& path) { return path.stem() == "common"; });
    return all;
}

class NativeGolden : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(NativeGolden, IsWhatIsEmitted) {
    const Golden golden(GetParam());
    const auto whole = emitted(golden.input, GetParam().filename().string());
    ASSERT_TRUE(whole.ok()) << whole.error().to_string();
    const std::string own = parts_of(*whole).own;
    ASSERT_FALSE(own.empty());
    testing::expect_golden(GetParam(), golden, own);
}

INSTANTIATE_TEST_SUITE_P(Programs, NativeGolden, ::testing::ValuesIn(files()), testing::golden_name);

TEST(NativeGoldens, AreTwentyAndDifferInTheirOwnPartsOnly) {
    EXPECT_GE(files().size(), 20u);
    std::string before;
    for (const auto& path : files()) {
        const auto whole = emitted(Golden(path).input, path.filename().string());
        ASSERT_TRUE(whole.ok()) << whole.error().to_string();
        const std::string common = parts_of(*whole).common;
        if (before.empty()) before = common;
        EXPECT_EQ(before, common) << path;
    }
    if (testing::update_goldens) std::ofstream(folder() / "common.golden", std::ios::binary) << before;
    EXPECT_EQ(contents(folder() / "common.golden"), before);
}

TEST(NativeGoldens, CompileWithoutAWarning) {
    const auto place = module::make_private_folder();
    ASSERT_TRUE(place.ok());
    std::vector<std::string> units;
    for (const auto& path : files()) {
        const auto whole = emitted(Golden(path).input, path.filename().string());
        ASSERT_TRUE(whole.ok()) << whole.error().to_string();
        units.push_back(path.stem().string() + ".c");
        std::ofstream(*place + "/" + units.back()) << *whole;
    }
    int tried = 0;
    for (const char* compiler : {"gcc", "clang-19", "x86_64-w64-mingw32-gcc-posix", "aarch64-linux-gnu-gcc"}) {
        module::ProcessRequest request;
        request.words = {compiler};
        for (const char* flag : engine::native::required_flags()) request.words.emplace_back(flag);
        for (const char* flag : {"-O2", "-fPIC", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c"})
            request.words.emplace_back(flag);
        request.words.insert(request.words.end(), units.begin(), units.end());
        request.folder = *place;
        request.environment = {"LC_ALL=C"};
        const auto result = module::run_process(request);
        if (!result.ok()) continue;  // not installed
        ++tried;
        EXPECT_EQ(result->exit_code, 0) << compiler << ": " << result->text;
    }
    module::remove_folder(*place);
    if (tried == 0) GTEST_SKIP() << "there is no C compiler here";
}

}  // namespace
}  // namespace skep

int main(int argc, char** argv) { return skep::testing::golden_main(argc, argv); }
