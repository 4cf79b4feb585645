// SPDX-License-Identifier: Apache-2.0
// CO-RE matching: what a record's question (where is this field, how large is this type, ...) is answered with on a
// target's BTF. Semantics are libbpf's (relo_core.c): flavours ("name___x") are ignored, anonymous structs looked
// through, several candidates must agree. Rewriting the instruction is object/relocate.cpp's matter.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "btf/btf.hpp"
#include "btf/btf_ext.hpp"

namespace skep::btf {

struct CoreAnswer {
    /// The target has no such thing, and the question is not whether it has: the instruction must not be reached.
    bool absent = false;
    bool check_before = true;  ///< the instruction must hold `before`, else the record is damaged
    uint64_t before = 0;       ///< the answer on the local types
    uint64_t after = 0;        ///< the answer on the target
    // Byte offsets of fields that are no bit fields: the widths of the field. A load or store is widened or narrowed
    // with it, unless that would change what it means.
    uint32_t before_bytes = 0;
    uint32_t after_bytes = 0;
    bool resizable = true;

    bool operator==(const CoreAnswer&) const = default;
};

/// `name` without its flavour: "task_struct___v5" is "task_struct".
std::string_view essential_name(std::string_view name);

/// Target types that still come into question for a local type. What one record finds narrows the choice for the next
/// ones, as in libbpf: all fields of a type must come from one target type. Start empty, keep for one program.
using Candidates = std::unordered_map<TypeId, std::vector<TypeId>>;

/// Answers one record. Errors: Malformed (the record does not describe a place in the local type), Unresolved (several
/// target types match and give different answers), Unsupported.
Result<CoreAnswer> answer(const Btf& local, const CoreRecord& record, const Btf& target,
                          Candidates* candidates = nullptr);

}  // namespace skep::btf
