// SPDX-License-Identifier: Apache-2.0
// The steps from an object's program to one that can be bound, shared by whoever loads or only verifies it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "btf/btf.hpp"
#include "btf/core.hpp"
#include "object/linked_program.hpp"
#include "object/object_spec.hpp"
#include "runtime/load/kernel_config.hpp"

namespace skep::runtime {

/// What a target's types answered to the CO-RE records of programs, by their names, in the records' order.
using CoreAnswers = std::map<std::string, std::vector<btf::CoreAnswer>>;

/// What a program is adapted to. The BTF that CO-RE records are resolved against is made when the first program asks,
/// and kept for the others.
struct TargetTypes {
    std::function<Result<std::shared_ptr<const btf::Btf>>()> open;  ///< empty: there is none
    std::shared_ptr<const btf::Btf> types = nullptr;
    /// Not null: earlier answers, which take the place of types (native modules carry them).
    const CoreAnswers* recorded = nullptr;
    CoreAnswers answers = {};  ///< what was answered, of every program with records that was linked
    KernelConfig config = {};  ///< nothing: skep's own
    KernelValues told = {};    ///< what the programs that were linked were told of it
};

/// Links program `index` of `spec`, resolves its CO-RE records, and fills in the kernel configuration that it reads.
/// Requires: index < spec.programs.size().
/// Errors: those of link, relocate and TargetTypes::open; Unavailable if there are records and no types; those of
/// fill_kernel_config.
Result<object::LinkedProgram> link_program(object::ObjectSpec& spec, uint32_t index, TargetTypes& target);

}  // namespace skep::runtime
