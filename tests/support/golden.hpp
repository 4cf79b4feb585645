// SPDX-License-Identifier: Apache-2.0
// Goldens: an input, a line of dashes, and what is made of it. A test that compares them rewrites them with --update;
// the change is reviewed as what users will read.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace skep::testing {

constexpr const char* dashes = "----\n";
/// Whether the test was called with --update.
inline bool update_goldens = false;

inline std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// A golden's input, and what is expected of it; all input where there are no dashes.
struct Golden {
    std::string input, expected;

    explicit Golden(const std::filesystem::path& path) {
        const std::string text = contents(path);
        const size_t cut = std::min(text.find(dashes), text.size());
        input = text.substr(0, cut);
        expected = text.substr(std::min(cut + std::strlen(dashes), text.size()));
    }
};

/// Compares, or with --update writes.
inline void expect_golden(const std::filesystem::path& path, const Golden& golden, const std::string& now) {
    if (update_goldens) {
        std::ofstream(path, std::ios::binary) << golden.input << dashes << now;
        return;
    }
    EXPECT_EQ(golden.expected, now);
}

/// The goldens of a folder, sorted.
inline std::vector<std::filesystem::path> golden_files(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> all;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() == ".golden") all.push_back(entry.path());
    std::ranges::sort(all);
    return all;
}

/// The name of the test of a golden.
inline std::string golden_name(const ::testing::TestParamInfo<std::filesystem::path>& info) {
    std::string name = info.param.stem().string();
    for (char& c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    return name;
}

inline int golden_main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    update_goldens = argc > 1 && std::strcmp(argv[1], "--update") == 0;
    return RUN_ALL_TESTS();
}

}  // namespace skep::testing
