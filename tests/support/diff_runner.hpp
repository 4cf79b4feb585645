// SPDX-License-Identifier: Apache-2.0
// Runs a program on the interpreter and on the JIT and tells the first difference.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "program/bound_program.hpp"

namespace skep::testing {

/// How the JIT is asked to compile.
struct DiffVariant {
    bool other_convention = false;
    bool extensions = true;
    bool inline_lookups = true;
};

/// Nothing when both engines agree in r0, fault, frames, context and map; else what differs, with the program's text.
/// The interpreter checks every access: a program of make_diff_program that leaves its memory is a difference too.
std::optional<std::string> find_difference(const BoundProgram& program, const DiffVariant& variant, uint64_t seed);

struct NativeOutcome {
    std::optional<std::string> unavailable;  ///< no native modules can be built here: why
    std::optional<std::string> difference;
};

/// Where compilers do not run, images come from a machine where they do: one file per batch in a folder.
struct NativePlan {
    std::string compiler;     ///< empty: the target's default
    std::string write_to;     ///< makes this file for `target`, and runs nothing
    std::string target;       ///< "windows-x86_64"
    std::string read_from;    ///< takes this file instead of compiling
    std::string kept_images;  ///< module::DirectOptions::kept_images
};

/// The same for interpreter, JIT (where this build has one) and native modules: all programs in one image.
NativeOutcome find_native_difference(const std::vector<BoundProgram>& programs, const std::vector<uint64_t>& seeds,
                                     const NativePlan& plan);

}  // namespace skep::testing
