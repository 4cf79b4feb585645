// SPDX-License-Identifier: Apache-2.0
// Interpreter against JIT on programs drawn from the fuzzer's bytes: any difference in r0, fault or memory is a
// finding. `script/fuzz diff --programs N` runs the same comparison over the programs numbered 0 to N - 1 instead.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "support/diff_generator.hpp"
#include "support/diff_runner.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 16) return 0;
    const uint8_t flags = data[0];
    const skep::testing::DiffVariant variant{
        .other_convention = (flags & 1) != 0, .extensions = (flags & 2) == 0, .inline_lookups = (flags & 4) == 0};
    skep::testing::Choices choices(std::span(data + 1, size - 1));
    const skep::BoundProgram program = skep::testing::make_diff_program(choices);
    if (const auto difference = skep::testing::find_difference(program, variant, size)) {
        std::fputs(difference->c_str(), stderr);
        std::abort();
    }
    return 0;
}
