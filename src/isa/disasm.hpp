// SPDX-License-Identifier: Apache-2.0
// Instructions as text, in either dialect. What is printed here assembles to the same instruction (assemble.hpp).
//
// Canonical: what `llvm-objdump -d --mcpu=v4` prints, character for character, save that a tab is a blank. What
// llvm-objdump leaves out is added in angle brackets at the end of the line, where it puts its own label names:
//     call 0x3 <local>              a program-local call (src_reg 1), or <name> where a label is known
//     call 0x3 <kfunc>              a call by BTF id (src_reg 2)
//     ld_pseudo r1, 0x2, 0x5 <+0x8> next_imm of a wide load that is no 64-bit number
//     r0 = *(u8 *)skb[r3] <+0x7>    imm of an indirect packet load
// Conformance: the dialect of the public bpf_conformance suite, with words of our own for what that suite lacks.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "isa/insn.hpp"

namespace skep::isa {

enum class Dialect : uint8_t { Canonical, Conformance };

/// Names of places in a program. An ordered map, so that listings are deterministic.
using Labels = std::map<InsnIndex, std::string>;

/// One instruction without a newline. `at` is its slot: it matters only for naming targets that `labels` knows.
std::string disassemble(const Insn& insn, InsnIndex at, const Labels& labels = {},
                        Dialect dialect = Dialect::Canonical);

/// `given` and a label for every other target of a jump, call or function reference: L5 for a jump to slot 5, func_7
/// for a function at slot 7. Targets that are no instruction's first slot get none. Requires: `insns` in order.
Labels label_targets(std::span<const PlacedInsn> insns, const Labels& given = {});

/// A whole program, one instruction a line, with label lines; assembles to the same code. Errors: those of decode.
Result<std::string> disassemble_program(std::span<const Slot> code, const Labels& given = {},
                                        Dialect dialect = Dialect::Canonical);

}  // namespace skep::isa
