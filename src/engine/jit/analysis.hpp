// SPDX-License-Identifier: Apache-2.0
// What code generation must know of a program before the first byte: its instructions decoded, where control flow
// joins, which registers are live, what each function needs of its frame. The same for every processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "isa/insn.hpp"
#include "program/executable_program.hpp"

namespace skep::engine::jit {

/// Registers of which some half is meant: bit n is the lower 32 bits of rn, bit n + 16 its upper 32 bits.
using HalfSet = uint32_t;
constexpr HalfSet low_half(unsigned reg) { return HalfSet{1} << reg; }
constexpr HalfSet high_half(unsigned reg) { return HalfSet{0x10000} << reg; }
constexpr HalfSet both_halves(unsigned reg) { return HalfSet{0x10001} << reg; }
constexpr HalfSet all_halves = 0x07ff07ff;

/// One decoded instruction, in the shape the translator asks for.
struct Node {
    isa::Op op = isa::Op::Exit;
    isa::Operation operation = isa::Operation::Exit;
    uint8_t dst = 0;
    uint8_t src = 0;
    uint8_t bytes : 4 = 0;     ///< width of a memory access; arguments of a call
  uint8_t slots : 2 = 1;       ///< 2 for a wide load; 0 for the second slot of one
    bool is32 : 1 = false;     ///< arithmetic or comparison of the lower halves
    bool has_imm : 1 = false;  ///< the second operand is imm
    int16_t offset = 0;
    int32_t imm = 0;
    /// Of jumps, local calls and function references: a slot. Of helper calls: the canonical id. Of other wide loads:
    /// next_imm.
    uint32_t target = 0;
};
static_assert(sizeof(Node) == 16, "a program's nodes are to stay in the nearest caches");

/// Node::target of a call that is bound to no helper.
constexpr uint32_t no_helper = UINT32_MAX;

/// What stands at a slot; bits.
enum SlotFlags : uint8_t {
    slot_leader = 1,     ///< control flow may come from elsewhere than the slot before
    slot_loop_head = 2,  ///< a jump goes back to it
    slot_function = 4,   ///< a function starts here
};

/// What a function has in it; bits.
enum FunctionTraits : uint16_t {
    has_helper_calls = 1,
    has_local_calls = 2,
    has_tail_calls = 4,
    has_may_goto = 8,
    has_divisions = 16,  ///< needs the hidden operands of a division or a long multiplication
    has_fetches = 32,    ///< atomic operations that give the value before
    has_packet_loads = 64,
    has_shifts_by_register = 128,
    has_function_refs = 256,  ///< LdFunc or callx
};

/// A function: the slots [start, end).
struct Function {
    uint32_t start = 0;
    uint32_t end = 0;
    uint16_t used = 0;    ///< registers that occur in it
    uint16_t traits = 0;  ///< FunctionTraits

    bool has(unsigned mask) const { return (traits & mask) != 0; }
    bool calls() const { return has(has_helper_calls | has_local_calls | has_packet_loads); }
};

struct Analysis {
    std::span<Node> nodes;       ///< one per slot
    std::span<uint8_t> flags;    ///< SlotFlags
    std::span<HalfSet> live_in;  ///< one per slot and one more: what may be read from here on
    std::span<uint32_t> labels;  ///< one per slot, for the translator: UINT32_MAX at first
    std::vector<Function> functions;
    std::unique_ptr<std::byte[]> memory;  ///< behind the spans

    const Fact* fact(uint32_t at) const { return at < facts.size() ? &facts[at] : nullptr; }

    uint16_t traits = 0;          ///< of all functions together
    bool calls_main = false;      ///< function 0 is called or referred to from inside
    std::span<const Fact> facts;  ///< one per slot, or none
    bool deep = false;            ///< calls may nest deeper than SKEP_FRAME_DEPTH, for all that the code shows
    bool problems = false;        ///< has an instruction without a meaning (BindingKind::Problem)
};

/// Requires nothing of `program` but what UnverifiedProgram::make checks. Errors: UnknownOpcode, BadInstruction.
Result<Analysis> analyse(const ExecutableProgram& program);

}  // namespace skep::engine::jit
