// SPDX-License-Identifier: Apache-2.0
// Families of programs that grow with a number n: what the verifier's time is measured against. Each is safe for every
// n, so each must be accepted.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "isa/insn.hpp"
#include "platform/names.hpp"
#include "verifier/rules/subject.hpp"

namespace skep::growth {

/// A program under construction, function by function. One array map of one-byte steps: value_bytes in a value.
struct Built {
    isa::Code code;
    std::vector<isa::InsnIndex> functions{0};  ///< first slots
};

struct Family {
    const char* name;
    const char* what;  ///< what n counts
    platform::ProgramType type;
    Built (*make)(uint32_t n);
    std::vector<uint32_t> sizes;  ///< what the benchmark runs, ascending
    uint32_t tested = 0;          ///< a small n for the tests
    bool by_rounds = false;       ///< n is a number of rounds: time must not depend on it
};

std::span<const Family> families();
/// Families that use up the budget: each must end with LIMIT.
std::span<const Family> exhausting();

constexpr uint32_t value_bytes = 4096;  ///< of the one map that the families use

/// The program bound as its type, on Linux.
Result<verifier::Subject> subject_of(const Family& family, uint32_t n);

/// The exponent of the power of x that fits y best: the slope of log y over log x, by least squares.
/// Requires: as many x as y, at least two different, all above zero.
double fitted_exponent(std::span<const double> x, std::span<const double> y);

}  // namespace skep::growth
