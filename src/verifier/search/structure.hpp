// SPDX-License-Identifier: Apache-2.0
// What the search knows of a program before it executes anything: decoded instructions, the shape of its functions,
// loops, and what is read later. One linear pass each; nothing here is trusted by the checker.
#pragma once

#include <optional>
#include <vector>

#include "verifier/rules/failure.hpp"
#include "verifier/rules/subject.hpp"

namespace skep::verifier {

/// A place in a frame whose value may show that a loop makes progress: a register, or a stack cell.
struct Candidate {
    uint8_t reg = 0xff;  ///< 0 to 9; 0xff: a cell
    uint16_t cell = 0;
    uint8_t bytes = 8, low = 0;  ///< of the cell: all, or four from byte `low`

    bool operator==(const Candidate&) const = default;
};

constexpr size_t most_candidates = 8;

struct Loop {
    isa::InsnIndex head = 0;
    isa::InsnIndex first = 0;           ///< lowest slot of the body
    std::vector<bool> body;             ///< per slot from `first` to the highest one of the body
    std::vector<Candidate> candidates;  ///< for a measure, at most most_candidates
    uint32_t outer = UINT32_MAX;        ///< index of the loop around it; UINT32_MAX none
    uint16_t writes = 0;                ///< registers that the body writes
    uint16_t moves = 0;                 ///< of these, those that it counts or shrinks
    std::vector<uint64_t> compared;     ///< ascending: what counters of it and of loops around it are compared with

    bool holds(isa::InsnIndex insn) const { return insn >= first && insn - first < body.size() && body[insn - first]; }
};

/// Bit r: register r is read later. Cells of the own frame likewise, bit i: cell i.
struct Live {
    uint16_t regs = 0;
    uint64_t cells = 0;
};

struct Structure {
    std::vector<isa::Insn> code;     ///< by slot; the second slot of a wide load holds what the first does
    std::vector<bool> is_cut;        ///< by slot (certificate/cuts.hpp)
    std::vector<uint16_t> function;  ///< by slot
    std::vector<Live> live;          ///< by slot: before the instruction
    /// By slot: what a later address, comparison, argument or result is computed from. The number in a live place that
    /// is not in here may be anything.
    std::vector<Live> demand;
    std::vector<Loop> loops;
    std::vector<uint32_t> loop_at;     ///< by slot: index of the loop whose head it is; UINT32_MAX none
    std::vector<uint32_t> inner_loop;  ///< by slot: index of the smallest loop that holds it; UINT32_MAX none
    std::vector<uint32_t> order;       ///< by slot: reverse post-order in its function, a loop's exits after its body
    std::vector<uint64_t> thresholds;  ///< ascending: constants that comparisons use, and type limits
    uint64_t instructions = 0;
    bool shares_frame = false;  ///< a function is given an address in its caller's frame
};

struct StructureResult {
    Structure structure;
    std::optional<Failure> failure;
};

/// `keep_cells`: every stack cell counts as read everywhere.
StructureResult read_structure(const Subject& subject, bool keep_cells = false);

}  // namespace skep::verifier
