// SPDX-License-Identifier: Apache-2.0
// Where the context pointer goes: a forward data flow over the instruction stream that tells, for every reachable
// instruction, which registers certainly hold the context, may hold it, or certainly do not.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <span>

#include "base/result.hpp"
#include "isa/insn.hpp"
#include "object/linked_program.hpp"
#include "program/bound_program.hpp"

namespace skep {

/// What one register or stack slot holds. Claims are about every path that reaches the instruction, whatever its
/// branches decide; only equality of two constants is decided here. A path ends at a Problem. A store whose place in a
/// frame is not known is taken not to overwrite a spilled context (context_flow.cpp says why that does no harm).
struct ContextValue {
    enum class Kind : uint8_t {
        Unset,     ///< nothing was ever stored here
        Other,     ///< neither the context nor an address in a stack frame
        Number,    ///< the constant `offset`
        Map,       ///< the map LinkedProgram::maps[offset]
        Function,  ///< the address of subprogram `offset`
        Context,   ///< the context plus `offset` bytes
        Stack,     ///< the frame of subprogram `owner`: its r10 plus `offset`
        AnyStack,  ///< perhaps an address in the frame of `owner` (any_owner: of any), else Other
        Maybe,     ///< perhaps derived from the context
    };
    static constexpr uint16_t any_owner = 0xffff;

    Kind kind = Kind::Unset;
    uint8_t reserved = 0;
    uint16_t owner = 0;
    int32_t offset = 0;

    constexpr ContextValue() = default;
    constexpr ContextValue(Kind k, uint16_t of, int32_t at) : kind(k), owner(of), offset(at) {}
    constexpr bool operator==(const ContextValue& other) const {
        return std::bit_cast<uint64_t>(*this) == std::bit_cast<uint64_t>(other);
    }
};

/// Sizes of one map of the program, in bytes.
struct MapSizes {
    uint32_t key_bytes = 0;
    uint32_t value_bytes = 0;
};

/// Called once per reachable instruction, in order; `registers` is the state before it. An error ends the walk.
using ContextVisitor =
    std::function<Result<void>(isa::InsnIndex at, const isa::Insn& insn, std::span<const ContextValue> registers)>;

/// Runs the data flow to its fixpoint, then visits. The entry function gets the context in r1. Functions are joined
/// over all their callers; a function's frame is seen by those it calls as the join over the calls that let its address
/// out. Requires: `bindings` names the helper of every helper call; one element of `maps` per LinkedProgram::maps.
/// Errors: as isa::decode; BadInstruction where a jump or call leaves its function, or a function runs off its end;
/// LimitExceeded; what `visit` returns. The place carries the instruction only.
/// Memory: about 600 bytes per jump target.
Result<void> follow_context(const object::LinkedProgram& program, std::span<const Binding> bindings,
                            std::span<const MapSizes> maps, const ContextVisitor& visit);

}  // namespace skep
