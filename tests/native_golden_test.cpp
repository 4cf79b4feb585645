// SPDX-License-Identifier: Apache-2.0
// The C that programs become, word by word: each tests/native/*.golden is a case (support/verifier_cases.hpp), a line
// of dashes, and the text of its own; common.golden is what stands around it in all of them.
// `native_golden_test --update` writes what is emitted now; a change is reviewed as code. And all of it compiles
// without a warning, by every compiler that is here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/native/emit.hpp"
#include "module/build.hpp"
#include "module/os/process.hpp"
#include "program/bind.hpp"
#include "runtime/load/verify_program.hpp"
#include "support/verifier_cases.hpp"

namespace skep {
namespace {

constexpr const char* dashes = "----\n";
/// The last function of what all texts have before their own part, and the first line of what they have behind it.
constexpr const char* last_common = "SKEP_INLINE uint64_t cmpxchg64(";
constexpr const char* first_behind = "/* What a compiler may call";
bool update = false;

std::filesystem::path folder() { return std::filesystem::path(SKEP_SOURCE_DIR) / "tests/native"; }

std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

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
    std::vector<std::filesystem::path> all;
    for (const auto& entry : std::filesystem::directory_iterator(folder()))
        if (entry.path().extension() == ".golden" && entry.path().stem() != "common") all.push_back(entry.path());
    std::ranges::sort(all);
    return all;
}

class NativeGolden : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(NativeGolden, IsWhatIsEmitted) {
    const std::string text = contents(GetParam());
    const size_t cut = std::min(text.find(dashes), text.size());
    const std::string input = text.substr(0, cut);
    const auto whole = emitted(input, GetParam().filename().string());
    ASSERT_TRUE(whole.ok()) << whole.error().to_string();
    const std::string own = parts_of(*whole).own;
    ASSERT_FALSE(own.empty());
    if (update) {
        std::ofstream(GetParam(), std::ios::binary) << input << dashes << own;
        return;
    }
    EXPECT_EQ(text.substr(std::min(cut + std::strlen(dashes), text.size())), own);
}

INSTANTIATE_TEST_SUITE_P(Programs, NativeGolden, ::testing::ValuesIn(files()), [](const auto& info) {
    std::string name = info.param.stem().string();
    std::ranges::replace(name, '-', '_');
    return name;
});

TEST(NativeGoldens, AreTwentyAndDifferInTheirOwnPartsOnly) {
    EXPECT_GE(files().size(), 20u);
    std::string before;
    for (const auto& path : files()) {
        const std::string text = contents(path);
        const auto whole = emitted(text.substr(0, text.find(dashes)), path.filename().string());
        ASSERT_TRUE(whole.ok()) << whole.error().to_string();
        const std::string common = parts_of(*whole).common;
        if (before.empty()) before = common;
        EXPECT_EQ(before, common) << path;
    }
    if (update) std::ofstream(folder() / "common.golden", std::ios::binary) << before;
    EXPECT_EQ(contents(folder() / "common.golden"), before);
}

TEST(NativeGoldens, CompileWithoutAWarning) {
    const auto place = module::make_private_folder();
    ASSERT_TRUE(place.ok());
    std::vector<std::string> units;
    for (const auto& path : files()) {
        const std::string text = contents(path);
        const auto whole = emitted(text.substr(0, text.find(dashes)), path.filename().string());
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

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    skep::update = argc > 1 && std::strcmp(argv[1], "--update") == 0;
    return RUN_ALL_TESTS();
}
