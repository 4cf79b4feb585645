// SPDX-License-Identifier: Apache-2.0
// What is verified, and against what: a bound program, its maps in canonical words, and the platform's options.
// Built once from an object; the same on every machine, so the certificate's subject digest is taken of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "object/object_spec.hpp"
#include "program/bound_program.hpp"

namespace skep::verifier {

/// A part of a map's value that programs may touch only through its helpers.
enum class SpecialKind : uint8_t { SpinLock, Timer, NotModelled };
struct SpecialField {
    SpecialKind kind = SpecialKind::NotModelled;
    uint32_t offset = 0;  ///< bytes in the value
    uint32_t size = 0;
    std::string type;  ///< its C type, for messages

    bool operator==(const SpecialField&) const = default;
};

struct MapInfo {
    std::string name;
    platform::MapType type = platform::MapType::Array;
    uint32_t key_size = 0;
    uint32_t value_size = 0;
    uint32_t max_entries = 0;           ///< 0: the loader chooses
    uint32_t flags = 0;                 ///< BPF_F_* of the map's definition
    bool read_only = false;             ///< programs may not write
    std::vector<std::byte> constant;    ///< frozen data (.rodata): all value_size bytes, which loads fold; else empty
    uint16_t inner = UINT16_MAX;        ///< maps of maps: index in Subject::maps of the template
    std::vector<SpecialField> special;  ///< by offset
    bool has_btf = false;               ///< its value's type is known, so `special` is complete

    bool operator==(const MapInfo&) const = default;
};

struct Options {
    uint32_t disjuncts = 8;                        ///< K: states kept per join
    uint64_t step_budget = 1'000'000;              ///< abstract steps; all attempts take 11/8 of it, and 80 for each
                                                   ///< instruction, up to 8.75 times as many; then LIMIT
    uint64_t memory_budget = uint64_t{160} << 20;  ///< bytes of kept states and structure; then LIMIT
    uint64_t time_budget_ns = 0;                   ///< wall clock of the search, 0 unlimited; then LIMIT
    uint64_t cost_limit = UINT64_MAX;              ///< policy: most instructions a run may take
    bool allow_pointer_leaks = true;  ///< policy (linux, privileged): addresses may be stored where others read them
    bool allow_unset_stack = true;    ///< policy (linux, privileged): unset stack bytes may be read
};

struct Subject {
    std::shared_ptr<const BoundProgram> program;
    std::vector<MapInfo> maps;  ///< first one per LinkedProgram::maps, then the templates of maps of maps
    Options options;

    const object::LinkedProgram& linked() const { return program->linked; }
    /// The subprogram that holds the instruction. Requires: inside the code.
    uint16_t function_at(isa::InsnIndex insn) const;
};

/// Errors: Unsupported, naming the map, field or function that is not modelled; Rejected where a map has what no
/// program of this type may use.
Result<Subject> make_subject(const object::ObjectSpec& spec, std::shared_ptr<const BoundProgram> program,
                             const Options& options = {});

}  // namespace skep::verifier
