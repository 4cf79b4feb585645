// SPDX-License-Identifier: Apache-2.0
// Interpreter, JIT and native modules agree on random programs: those of engine_diff_test, built in batches by the
// host's C compiler. script/native-diff runs many of them, and a sample where no compiler runs.
//   SKEP_NATIVE_PROGRAMS  how many (default 200)
//   SKEP_DIFF_FIRST       the first number (default 0)
//   SKEP_NATIVE_CC        the C compiler (default: the target's first one that is there)
//   SKEP_KEPT_IMAGES      a folder of images built before: the same programs are then built once
//   SKEP_NATIVE_WRITE     a folder: writes the batches' images there for SKEP_NATIVE_TARGET, and runs nothing
//   SKEP_NATIVE_READ      a folder: takes the batches' images from there
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "support/diff_generator.hpp"
#include "support/diff_runner.hpp"

namespace skep::testing {
namespace {

uint64_t from_environment(const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(NativeDiff, InterpJitAndNativeModulesAgree) {
    const uint64_t first = from_environment("SKEP_DIFF_FIRST", 0);
    const uint64_t count = from_environment("SKEP_NATIVE_PROGRAMS", 200);
    const auto text = [](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value != nullptr ? value : "");
    };
    const std::string write = text("SKEP_NATIVE_WRITE"), read = text("SKEP_NATIVE_READ");
    constexpr uint64_t batch = 200;
    for (uint64_t at = first; at < first + count; at += batch) {
        std::vector<BoundProgram> programs;
        std::vector<uint64_t> seeds;
        for (uint64_t i = at; i < std::min(at + batch, first + count); ++i) {
            Choices choices(i);
            programs.push_back(make_diff_program(choices));
            seeds.push_back(i);
        }
        NativePlan plan;
        plan.compiler = text("SKEP_NATIVE_CC");
        plan.kept_images = text("SKEP_KEPT_IMAGES");
        const std::string file = "/" + std::to_string(at) + ".image";
        if (!write.empty()) {
            plan.write_to = write + file;
            plan.target = text("SKEP_NATIVE_TARGET");
        }
        if (!read.empty()) plan.read_from = read + file;
        const NativeOutcome outcome = find_native_difference(programs, seeds, plan);
        if (outcome.unavailable) GTEST_SKIP() << *outcome.unavailable;
        ASSERT_FALSE(outcome.difference) << "programs from " << at << ": " << *outcome.difference;
    }
}

}  // namespace
}  // namespace skep::testing
