// SPDX-License-Identifier: Apache-2.0
// The text of one function. Internal to engine/native.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/native/function.hpp"

namespace skep::engine::native {

/// What all functions of a program share while they are written.
struct ProgramText {
    const ModuleSource& module;
    const ProgramSource& source;
    std::span<Node> nodes;
    std::span<Function> functions;
    std::string prefix;           ///< of function names
    bool counts_frames = false;   ///< calls may nest too deep, or reach nothing: nobody verified the program
    bool callback_state = false;  ///< the program is entered through a wrapper that sets run->call_back
};

/// `static uint64_t p0_name(...)` without body; arguments r1 to r5 are those that the function reads.
std::string signature_of(const ProgramText& program, const Function& function);
/// The call with r1 to r5 as given; unread ones are left out.
std::string call_of(const ProgramText& program, const Function& function, std::span<const std::string> arguments);
std::string name_of(const ProgramText& program, const Function& function);

/// The whole function. Errors as emit_c.
Result<std::string> function_text(const ProgramText& program, const Function& function);

/// A tree of comparisons of one variable with constants, as the cases of a switch (compare_tree.cpp).
struct CompareTree {
    struct Case {
        uint64_t value = 0;
        uint32_t block = 0;
    };
    std::vector<Case> cases;       ///< those that do not lead to `otherwise`
    uint32_t otherwise = 0;        ///< block
    std::vector<uint32_t> inside;  ///< blocks that are part of the tree alone
    unsigned reg = 0;
    bool is32 = false;
};
/// Whether the comparison that ends `block` is the root of a tree worth a switch. `entries`: per block, how many blocks
/// lead to it.
bool find_compare_tree(const Function& function, std::span<const Node> nodes, uint32_t block,
                       std::span<const uint32_t> entries, CompareTree* out);

}  // namespace skep::engine::native
