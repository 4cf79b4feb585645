// SPDX-License-Identifier: Apache-2.0
#include "engine/jit/analysis.hpp"

#include <algorithm>

#include "platform/helper.hpp"

namespace skep::engine::jit {

namespace {

using isa::Form;
using isa::Operation;

/// Sweeps of the liveness iteration before it gives up and calls everything live; deep loop nests need few.
constexpr int max_sweeps = 12;

constexpr auto tail_call_helper = static_cast<uint32_t>(platform::HelperId::TailCall);

uint8_t argument_count(const Binding& binding) {
    if (binding.kind != BindingKind::Helper || binding.helper >= platform::helper_count) return 5;
    const auto& row = platform::helper(static_cast<platform::HelperId>(binding.helper));
    uint8_t count = 0;
    for (uint8_t i = 0; i < 5; ++i) {
        if (row.args[i] == platform::ArgKind::Other) return 5;
        if (row.args[i] != platform::ArgKind::None) count = static_cast<uint8_t>(i + 1);
    }
    return count;
}

HalfSet arguments(unsigned count) {
    const HalfSet low = ((HalfSet{1} << count) - 1) << 1;
    return low | low << 16;
}

constexpr HalfSet caller_saved_halves = 0x003f003f;

/// What is live before `node` when `out` is live after it. An arithmetic instruction whose result nobody reads uses
/// nothing: the translator leaves it out.
HalfSet before(const Node& node, HalfSet out) {
    const HalfSet dst = both_halves(node.dst);
    const HalfSet src_low = node.has_imm ? 0 : low_half(node.src);
    const HalfSet src_both = node.has_imm ? 0 : both_halves(node.src);
    switch (node.operation) {
        case Operation::Add:
        case Operation::Sub:
        case Operation::Mul:
        case Operation::Or:
        case Operation::And:
        case Operation::Xor:
        case Operation::Neg: {
            if ((out & dst) == 0) return out;
            const HalfSet src = node.operation == Operation::Neg ? 0 : src_low;
            HalfSet in = (out & ~dst) | low_half(node.dst) | src;
            // The upper half of a result needs upper halves; carries only go up.
            if (!node.is32 && (out & high_half(node.dst))) in |= high_half(node.dst) | src << 16;
            return in;
        }
        case Operation::Lsh: {
            if ((out & dst) == 0) return out;
            HalfSet in = (out & ~dst) | low_half(node.dst) | src_low;
            const bool from_low = node.has_imm && (node.imm & 63) >= 32;
            if (!node.is32 && !from_low && (out & high_half(node.dst))) in |= high_half(node.dst);
            return in;
        }
        case Operation::Rsh:
        case Operation::Arsh:
            if ((out & dst) == 0) return out;
            return (out & ~dst) | (node.is32 ? low_half(node.dst) : dst) | src_low;
        case Operation::Div:
        case Operation::Sdiv:
        case Operation::Mod:
        case Operation::Smod:
            if ((out & dst) == 0) return out;
            return (out & ~dst) | (node.is32 ? low_half(node.dst) | src_low : dst | src_both);
        case Operation::Mov:
            if ((out & dst) == 0) return out;
            if (node.is32 || (out & high_half(node.dst)) == 0) return (out & ~dst) | src_low;
            return (out & ~dst) | src_both;
        case Operation::Movsx8:
        case Operation::Movsx16:
        case Operation::Movsx32:
            if ((out & dst) == 0) return out;
            return (out & ~dst) | src_low;
        case Operation::AddrSpaceCast:
            if ((out & dst) == 0) return out;
            return (out & ~dst) | both_halves(node.src);
        case Operation::Le16:
        case Operation::Le32:
        case Operation::Be16:
        case Operation::Be32:
        case Operation::Bswap16:
        case Operation::Bswap32:
            if ((out & dst) == 0) return out;
            return (out & ~dst) | low_half(node.dst);
        case Operation::Le64:
        case Operation::Be64:
        case Operation::Bswap64: return (out & dst) == 0 ? out : out | dst;
        case Operation::LdImm64:
        case Operation::LdMapFd:
        case Operation::LdMapValue:
        case Operation::LdBtfId:
        case Operation::LdFunc:
        case Operation::LdMapIdx:
        case Operation::LdMapIdxValue: return out & ~dst;
        case Operation::Load:
        case Operation::LoadSigned:
        case Operation::LoadAcquire: return (out & ~dst) | both_halves(node.src);
        case Operation::Store:
        case Operation::StoreRelease:
            if (node.has_imm) return out | dst;
            return out | dst | (node.bytes == 8 ? both_halves(node.src) : low_half(node.src));
        case Operation::LoadPacket: return (out & ~caller_saved_halves) | both_halves(6) | src_low;
        case Operation::AtomicAdd:
        case Operation::AtomicOr:
        case Operation::AtomicAnd:
        case Operation::AtomicXor: return out | dst | src_both;
        case Operation::AtomicFetchAdd:
        case Operation::AtomicFetchOr:
        case Operation::AtomicFetchAnd:
        case Operation::AtomicFetchXor:
        case Operation::AtomicXchg: return out | dst | src_both;
        case Operation::AtomicCmpxchg: return out | dst | src_both | both_halves(0);
        case Operation::Jump: return out;
        case Operation::MayGoto: return out;
        case Operation::JumpEq:
        case Operation::JumpGt:
        case Operation::JumpGe:
        case Operation::JumpSet:
        case Operation::JumpNe:
        case Operation::JumpSgt:
        case Operation::JumpSge:
        case Operation::JumpLt:
        case Operation::JumpLe:
        case Operation::JumpSlt:
        case Operation::JumpSle: return out | (node.is32 ? low_half(node.dst) | src_low : dst | src_both);
        case Operation::Call:
        case Operation::CallLocal:
        case Operation::CallKfunc: return (out & ~caller_saved_halves) | arguments(node.bytes);
        case Operation::CallX: return (out & ~caller_saved_halves) | arguments(5) | both_halves(node.dst);
        case Operation::Exit: return both_halves(0);
    }
    return all_halves;
}

bool is_conditional(const Node& node) {
    return node.operation >= Operation::JumpEq && node.operation <= Operation::MayGoto;
}
bool is_jump(const Node& node) { return node.operation >= Operation::Jump && node.operation <= Operation::MayGoto; }
static_assert(Operation::Jump < Operation::JumpEq && Operation::JumpEq < Operation::JumpSle &&
              Operation::JumpSle < Operation::MayGoto);

Result<void> decode(const BoundProgram& program, Analysis& out) {
    const auto& code = program.linked.code;
    const auto count = static_cast<uint32_t>(code.size());
    out.nodes.resize(count);
    out.flags.assign(count, 0);
    for (uint32_t i = 0; i < count;) {
        const isa::Slot& slot = code[i];
        const isa::Row* row = isa::match(slot);
        if (row == nullptr || slot.dst_reg() > 10 || slot.src_reg() > 10 || i + row->slots() > count) {
            auto good = isa::decode(code, i);  // for its words
            if (!good) return std::move(good).error();
            return Error{Errc::BadInstruction, Where{.insn = i}, "the instruction cannot be decoded"};
        }
        Node& node = out.nodes[i];
        node.op = row->op;
        node.operation = row->operation;
        node.dst = slot.dst_reg();
        node.src = row->src_reg.operand ? slot.src_reg() : uint8_t{0};
        node.slots = static_cast<uint8_t>(row->slots());
        node.bytes = static_cast<uint8_t>(row->access_bytes());
        node.is32 = !row->is_memory() && row->width_bits() == 32;
        node.has_imm = !row->src_reg.operand;
        node.offset = slot.offset;
        node.imm = slot.imm;
        if (row->is_call()) {
            node.bytes = 5;
            if (row->op == isa::Op::Call) {
                const bool bound = i < program.bindings.size() && program.bindings[i].kind == BindingKind::Helper;
                node.target = bound ? program.bindings[i].helper : no_helper;
                if (bound) node.bytes = argument_count(program.bindings[i]);
            }
        }
        if (row->is_jump() || row->form == Form::CallTarget || row->form == Form::WideTarget) {
            const int64_t target = int64_t{i} + 1 + (row->offset.operand ? int64_t{slot.offset} : int64_t{slot.imm});
            if (target < 0 || target >= int64_t{count})
                return Error{Errc::BadInstruction, Where{.insn = i}, "a jump or call leaves the program"};
            node.target = static_cast<uint32_t>(target);
        }
        if (row->slots() == 2) {
            node.next_imm = code[i + 1].imm;
            out.nodes[i + 1].slots = 0;
            i += 2;
        } else {
            i += 1;
        }
    }
    return {};
}

void find_functions(const BoundProgram& program, Analysis& out) {
    const auto count = static_cast<uint32_t>(out.nodes.size());
    out.flags[0] |= slot_function | slot_leader;
    for (const auto& subprogram : program.linked.subprograms)
        if (subprogram.start < count) out.flags[subprogram.start] |= slot_function | slot_leader;
    for (uint32_t i = 0; i < count; ++i) {
        const Node& node = out.nodes[i];
        if (node.slots == 0) continue;
        if (node.operation == Operation::CallLocal || node.operation == Operation::LdFunc) {
            out.flags[node.target] |= slot_function | slot_leader;
            if (node.target == 0) out.calls_main = true;
        }
        if (node.operation == Operation::LdFunc || node.operation == Operation::CallX) {
            out.has_function_refs = true;
            if (node.operation == Operation::CallX) out.calls_main = true;
        }
        if (is_jump(node)) {
            out.flags[node.target] |= slot_leader;
            if (node.target <= i) out.flags[node.target] |= slot_loop_head;
        }
    }
    for (uint32_t i = 0; i < count; ++i) {
        if (!(out.flags[i] & slot_function)) continue;
        if (!out.functions.empty()) out.functions.back().end = i;
        out.functions.push_back({.start = i, .end = count});
    }
}

void describe(Function& function, Analysis& out) {
    uint32_t last = function.start;
    for (uint32_t i = function.start; i < function.end; ++i) {
        const Node& node = out.nodes[i];
        if (node.slots == 0) continue;
        last = i;
        function.used |= static_cast<uint16_t>(1u << node.dst);
        if (!node.has_imm) function.used |= static_cast<uint16_t>(1u << node.src);
        if (is_jump(node) && (node.target < function.start || node.target >= function.end)) out.crossing = true;
        const Operation op = node.operation;
        function.divides |=
            op == Operation::Div || op == Operation::Sdiv || op == Operation::Mod || op == Operation::Smod;
        function.shifts |= (op == Operation::Lsh || op == Operation::Rsh || op == Operation::Arsh) && !node.has_imm;
        function.atomics |= op == Operation::AtomicFetchOr || op == Operation::AtomicFetchAnd ||
                            op == Operation::AtomicFetchXor || op == Operation::AtomicFetchAdd ||
                            op == Operation::AtomicXchg;
        function.helper_calls |= op == Operation::Call || op == Operation::CallKfunc;
        function.tail_calls |= op == Operation::Call && node.target == tail_call_helper;
        function.helper_calls |= op == Operation::CallX;  // it may be one
        function.local_calls |= op == Operation::CallLocal || op == Operation::CallX;
        function.may_goto |= op == Operation::MayGoto;
        if (op == Operation::LoadPacket) {
            function.packet_loads = true;
            function.used |= 1u << 6;
        }
    }
    const Node& node = out.nodes[last];
    const bool ends = node.operation == Operation::Exit || node.operation == Operation::Jump;
    if (!ends && function.end < out.nodes.size()) out.crossing = true;
}

void find_liveness(Analysis& out) {
    const auto count = static_cast<uint32_t>(out.nodes.size());
    out.live_in.assign(count + 1, 0);
    for (int sweep = 0; sweep < max_sweeps; ++sweep) {
        bool again = false;
        HalfSet next = 0;
        for (uint32_t i = count; i-- > 0;) {
            const Node& node = out.nodes[i];
            if (node.slots == 0) continue;
            HalfSet after = next;
            if (node.operation == Operation::Jump)
                after = out.live_in[node.target];
            else if (is_conditional(node))
                after |= out.live_in[node.target];
            next = before(node, after);
            if (next != out.live_in[i]) {
                again |= (out.flags[i] & slot_loop_head) != 0;
                out.live_in[i] = next;
            }
        }
        if (!again) return;
    }
    std::fill(out.live_in.begin(), out.live_in.end(), all_halves);
}

}  // namespace

Result<Analysis> analyse(const ExecutableProgram& program) {
    Analysis out;
    const BoundProgram& bound = program.bound();
    if (bound.linked.code.empty()) return Error{Errc::BadInstruction, "the program has no instructions"};
    SKEP_TRY(decode(bound, out));
    find_functions(bound, out);
    for (Function& function : out.functions) describe(function, out);
    if (out.crossing) return Error{Errc::BadInstruction, "a path leaves its function other than by call and exit"};
    find_liveness(out);
    return out;
}

}  // namespace skep::engine::jit
