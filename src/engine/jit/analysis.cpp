// SPDX-License-Identifier: Apache-2.0
#include "engine/jit/analysis.hpp"

#include <algorithm>
#include <array>

#include "platform/helper.hpp"
#include "skep/runtime_context.h"

namespace skep::engine::jit {

namespace {

using isa::Form;
using isa::Operation;

/// Steps per instruction of the liveness iteration before it gives up and calls everything live; loop nests need few.
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

/// How what is live before an instruction follows from what is live after it:
///   before = (after & ~kill) | always | (if_read where after meets `result`) | (if_high where it meets its upper half)
/// An arithmetic instruction whose result nobody reads uses nothing: the translator leaves it out.
struct Flow {
    HalfSet kill = 0, always = 0, result = 0, if_read = 0, if_high = 0;

    HalfSet before(HalfSet after) const {
        HalfSet in = (after & ~kill) | always;
        if (after & result) in |= if_read;
        if (after & result & 0xffff0000) in |= if_high;
        return in;
    }
};

/// How an instruction uses its operands.
enum class Use : uint8_t {
    Carry,      ///< lower halves make the lower half; upper halves count for the upper half only
    Left,       ///< a shift to the left
    Right,      ///< every bit of dst, the lower half of src
    Whole,      ///< every bit of both
    Copy,       ///< dst = src
    CopyLow,    ///< dst from the lower half of src
    CopyWhole,  ///< dst from every bit of src
    OwnLow,     ///< dst from its own lower half
    OwnWhole,   ///< dst from all of itself
    Constant,   ///< dst from nothing
    Load,
    Store,
    Atomic,
    Cmpxchg,
    Packet,
    Compare,
    Call,
    CallX,
    Exit,
    Nothing,
};

Use use_of(Operation operation) {
    using enum Operation;
    switch (operation) {
        case Add:
        case Sub:
        case Mul:
        case Or:
        case And:
        case Xor:
        case Neg: return Use::Carry;
        case Lsh: return Use::Left;
        case Rsh:
        case Arsh: return Use::Right;
        case Div:
        case Sdiv:
        case Mod:
        case Smod: return Use::Whole;
        case Mov: return Use::Copy;
        case Movsx8:
        case Movsx16:
        case Movsx32: return Use::CopyLow;
        case AddrSpaceCast: return Use::CopyWhole;
        case Le16:
        case Le32:
        case Be16:
        case Be32:
        case Bswap16:
        case Bswap32: return Use::OwnLow;
        case Le64:
        case Be64:
        case Bswap64: return Use::OwnWhole;
        case LdImm64:
        case LdMapFd:
        case LdMapValue:
        case LdBtfId:
        case LdFunc:
        case LdMapIdx:
        case LdMapIdxValue: return Use::Constant;
        case Operation::Load:
        case LoadSigned:
        case LoadAcquire: return Use::Load;
        case Operation::Store:
        case StoreRelease: return Use::Store;
        case LoadPacket: return Use::Packet;
        case AtomicAdd:
        case AtomicOr:
        case AtomicAnd:
        case AtomicXor:
        case AtomicFetchAdd:
        case AtomicFetchOr:
        case AtomicFetchAnd:
        case AtomicFetchXor:
        case AtomicXchg: return Use::Atomic;
        case AtomicCmpxchg: return Use::Cmpxchg;
        case Jump:
        case MayGoto: return Use::Nothing;
        case JumpEq:
        case JumpGt:
        case JumpGe:
        case JumpSet:
        case JumpNe:
        case JumpSgt:
        case JumpSge:
        case JumpLt:
        case JumpLe:
        case JumpSlt:
        case JumpSle: return Use::Compare;
        case Operation::Call:
        case CallLocal:
        case CallKfunc: return Use::Call;
        case Operation::CallX: return Use::CallX;
        case Operation::Exit: return Use::Exit;
    }
    return Use::Nothing;
}

constexpr bool is_jump(Operation operation) { return operation >= Operation::Jump && operation <= Operation::MayGoto; }
constexpr bool is_conditional(Operation operation) {
    return operation >= Operation::JumpEq && operation <= Operation::MayGoto;
}
static_assert(Operation::Jump < Operation::JumpEq && Operation::JumpEq < Operation::JumpSle &&
              Operation::JumpSle < Operation::MayGoto);

uint16_t traits_of(const isa::Row& row) {
    using enum Operation;
    const Operation op = row.operation;
    unsigned traits = 0;
    if (op == Div || op == Sdiv || op == Mod || op == Smod) traits |= has_divisions;
    if ((op == Lsh || op == Rsh || op == Arsh) && row.has_src()) traits |= has_shifts_by_register;
    if (row.form == Form::AtomicFetch) traits |= has_fetches;
    if (op == Call || op == CallKfunc) traits |= has_helper_calls;
    if (op == CallX) traits |= has_helper_calls | has_local_calls | has_function_refs;  // it may be either
    if (op == CallLocal) traits |= has_local_calls;
    if (op == LdFunc) traits |= has_function_refs;
    if (op == MayGoto) traits |= has_may_goto;
    if (op == LoadPacket) traits |= has_packet_loads;
    return static_cast<uint16_t>(traits);
}

/// What a row of the instruction table comes to, looked up once.
struct Shape {
    Node node;
    Use use = Use::Nothing;
    uint16_t traits = 0;
    bool has_target = false, target_by_offset = false, is_helper_call = false;
};

const std::array<Shape, isa::op_count>& shapes() {
    static const auto table = [] {
        std::array<Shape, isa::op_count> out;
        for (size_t i = 0; i < out.size(); ++i) {
            const isa::Row& row = isa::rows()[i];
            Shape& shape = out[i];
            shape.node.op = row.op;
            shape.node.operation = row.operation;
            shape.node.slots = static_cast<uint8_t>(row.slots());
            shape.node.bytes = static_cast<uint8_t>(row.is_call() ? 5 : row.access_bytes());
            shape.node.is32 = !row.is_memory() && row.width_bits() == 32;
            shape.node.has_imm = !row.has_src();
            shape.use = use_of(row.operation);
            shape.traits = traits_of(row);
            shape.has_target = row.is_jump() || row.form == Form::CallTarget || row.form == Form::WideTarget;
            shape.target_by_offset = row.offset.operand;
            shape.is_helper_call = row.op == isa::Op::Call;
        }
        return out;
    }();
    return table;
}

Flow flow_of(const Node& node, Use use) {
    Flow flow;
    const HalfSet dst = both_halves(node.dst);
    const HalfSet src_low = node.has_imm ? 0 : low_half(node.src);
    const HalfSet src_both = node.has_imm ? 0 : both_halves(node.src);
    flow.kill = flow.result = dst;
    switch (use) {
        case Use::Carry: {
            const HalfSet src = node.operation == Operation::Neg ? 0 : src_low;
            flow.if_read = low_half(node.dst) | src;
            if (!node.is32) flow.if_high = high_half(node.dst) | src << 16;
            return flow;
        }
        case Use::Left: {
            flow.if_read = low_half(node.dst) | src_low;
            const bool from_low = node.has_imm && (node.imm & 63) >= 32;
            if (!node.is32 && !from_low) flow.if_high = high_half(node.dst);
            return flow;
        }
        case Use::Right: flow.if_read = (node.is32 ? low_half(node.dst) : dst) | src_low; return flow;
        case Use::Whole: flow.if_read = node.is32 ? low_half(node.dst) | src_low : dst | src_both; return flow;
        case Use::Copy:
            flow.if_read = src_low;
            if (!node.is32) flow.if_high = src_low << 16;
            return flow;
        case Use::CopyLow: flow.if_read = src_low; return flow;
        case Use::CopyWhole: flow.if_read = both_halves(node.src); return flow;
        case Use::OwnLow: flow.if_read = low_half(node.dst); return flow;
        case Use::OwnWhole: flow.if_read = dst; return flow;
        case Use::Constant: return flow;
        case Use::Load: flow.always = both_halves(node.src); return flow;
        case Use::Store:
            flow.kill = flow.result = 0;
            flow.always = dst | (node.bytes == 8 ? src_both : src_low);
            return flow;
        case Use::Atomic:
            flow.kill = flow.result = 0;
            flow.always = dst | src_both;
            return flow;
        case Use::Cmpxchg:
            flow.kill = flow.result = 0;
            flow.always = dst | src_both | both_halves(0);
            return flow;
        case Use::Packet:
            flow.kill = caller_saved_halves;
            flow.result = 0;
            flow.always = both_halves(6) | src_low;
            return flow;
        case Use::Compare:
            flow.kill = flow.result = 0;
            flow.always = node.is32 ? low_half(node.dst) | src_low : dst | src_both;
            return flow;
        case Use::Call:
            flow.kill = caller_saved_halves;
            flow.result = 0;
            flow.always = arguments(node.bytes);
            return flow;
        case Use::CallX:
            flow.kill = caller_saved_halves;
            flow.result = 0;
            flow.always = arguments(5) | dst;
            return flow;
        case Use::Exit:
            flow.kill = all_halves;
            flow.result = 0;
            flow.always = both_halves(0);
            return flow;
        case Use::Nothing: flow.kill = flow.result = 0; return flow;
    }
    return flow;
}

class Analyser {
  public:
    explicit Analyser(const BoundProgram& program) : program_(program), code_(program.linked.code) {}

    Result<Analysis> run() {
        SKEP_TRY(decode());
        SKEP_TRY(find_functions());
        find_depth();
        find_liveness();
        return std::move(out_);
    }

  private:
    Result<void> decode() {
        const auto count = static_cast<uint32_t>(code_.size());
        const auto& table = shapes();
        out_.nodes.resize(count);
        out_.flags.assign(count, 0);
        flows_.resize(count);
        traits_.resize(count);
        first_source_.assign(count, UINT32_MAX);
        for (uint32_t i = 0; i < count;) {
            const isa::Slot& slot = code_[i];
            const isa::Row* row = isa::match(slot);
            if (row == nullptr || slot.dst_reg() > 10 || slot.src_reg() > 10 || i + row->slots() > count) {
                auto good = isa::decode(code_, i);  // for its words
                if (!good) return std::move(good).error();
                return Error{Errc::BadInstruction, Where{.insn = i}, "the instruction cannot be decoded"};
            }
            const Shape& shape = table[static_cast<size_t>(row->op)];
            Node& node = out_.nodes[i];
            node = shape.node;
            node.dst = slot.dst_reg();
            if (!node.has_imm) node.src = slot.src_reg();
            node.offset = slot.offset;
            node.imm = slot.imm;
            unsigned traits = shape.traits;
            if (shape.is_helper_call) {
                const bool bound = i < program_.bindings.size() && program_.bindings[i].kind == BindingKind::Helper;
                node.target = bound ? program_.bindings[i].helper : no_helper;
                if (bound) node.bytes = argument_count(program_.bindings[i]);
                if (node.target == tail_call_helper) traits |= has_tail_calls;
            }
            if (shape.has_target) {
                const int64_t target =
                    int64_t{i} + 1 + (shape.target_by_offset ? int64_t{slot.offset} : int64_t{slot.imm});
                if (target < 0 || target >= int64_t{count}) return leaves(i);
                node.target = static_cast<uint32_t>(target);
                mark_target(i, node);
            }
            traits_[i] = static_cast<uint16_t>(traits);
            flows_[i] = flow_of(node, shape.use);
            i += node.slots;
            if (node.slots == 2) {
                node.next_imm = code_[i - 1].imm;
                out_.nodes[i - 1].slots = 0;
            }
        }
        return {};
    }

    void mark_target(uint32_t at, const Node& node) {
        if (is_jump(node.operation)) {
            out_.flags[node.target] |= slot_leader;
            first_source_[node.target] = std::min(first_source_[node.target], at);
            if (node.target <= at) out_.flags[node.target] |= slot_loop_head;
        } else {
            out_.flags[node.target] |= slot_function | slot_leader;
            if (node.target == 0) out_.calls_main = true;
        }
    }

    static Error leaves(uint32_t at) {
        return Error{Errc::BadInstruction, Where{.insn = at}, "a jump or call leaves the program or its function"};
    }

    Result<void> find_functions() {
        const auto count = static_cast<uint32_t>(code_.size());
        out_.flags[0] |= slot_function | slot_leader;
        for (const auto& subprogram : program_.linked.subprograms)
            if (subprogram.start < count) out_.flags[subprogram.start] |= slot_function | slot_leader;
        for (uint32_t start = 0; start < count;) {
            Function function{.start = start, .end = start};
            uint32_t last = start, low = count, high = 0;
            unsigned used = 0, traits = 0;
            uint32_t i = start;
            do {
                const Node& node = out_.nodes[i];
                if (node.slots != 0) {
                    last = i;
                    used |= 1u << node.dst | 1u << node.src;
                    traits |= traits_[i];
                    if (is_jump(node.operation)) {
                        low = std::min(low, node.target);
                        high = std::max(high, node.target);
                    }
                }
                ++i;
            } while (i < count && !(out_.flags[i] & slot_function));
            if (traits & has_packet_loads) used |= 1u << 6;
            function.end = i;
            function.used = static_cast<uint16_t>(used);
            function.traits = static_cast<uint16_t>(traits);
            if (low < start || high >= i) return leaves(start);
            const Operation ending = out_.nodes[last].operation;
            if (ending != Operation::Exit && ending != Operation::Jump) return leaves(last);
            out_.traits |= function.traits;
            out_.functions.push_back(function);
            start = i;
        }
        if (out_.traits & has_function_refs) out_.calls_main = true;  // by callx, for all that is known
        return {};
    }

    size_t function_of(uint32_t slot) const {
        const auto after = std::upper_bound(out_.functions.begin(), out_.functions.end(), slot,
                                            [](uint32_t s, const Function& f) { return s < f.start; });
        return static_cast<size_t>(after - out_.functions.begin()) - 1;
    }

    /// Frames under each function, by as many rounds as frames are allowed: one more that changes something is too
    /// deep.
    void find_depth() {
        if (out_.traits & has_function_refs) out_.deep = true;
        if (!(out_.traits & has_local_calls) || out_.deep) return;
        std::vector<std::pair<size_t, size_t>> calls;  // caller, callee
        for (size_t f = 0; f < out_.functions.size(); ++f) {
            if (!out_.functions[f].has(has_local_calls)) continue;
            for (uint32_t i = out_.functions[f].start; i < out_.functions[f].end; ++i)
                if (out_.nodes[i].operation == Operation::CallLocal && out_.nodes[i].slots != 0)
                    calls.emplace_back(f, function_of(out_.nodes[i].target));
        }
        std::vector<unsigned> depth(out_.functions.size(), 1);
        for (unsigned round = 0; round <= SKEP_FRAME_DEPTH; ++round) {
            bool changed = false;
            for (const auto& [caller, callee] : calls) {
                if (depth[caller] > depth[callee]) continue;
                depth[caller] = depth[callee] + 1;
                changed = true;
            }
            if (!changed) break;
        }
        out_.deep = *std::max_element(depth.begin(), depth.end()) > SKEP_FRAME_DEPTH;
    }

    /// Once backward over the code; then, while a loop's head needs more than its latch saw, from that latch upward as
    /// far as anything changes and is jumped to.
    void find_liveness() {
        const auto count = static_cast<uint32_t>(code_.size());
        out_.live_in.assign(count + 1, 0);
        HalfSet* const live = out_.live_in.data();
        const Node* const nodes = out_.nodes.data();
        struct Latch {
            uint32_t at;
            HalfSet seen;  ///< live at the head when the latch was last looked at
        };
        std::vector<Latch> latches;  // from the end of the code to its start
        const auto live_before = [&](uint32_t at, HalfSet after) {
            const Node& node = nodes[at];
            if (is_jump(node.operation)) after = live[node.target] | (is_conditional(node.operation) ? after : 0);
            return flows_[at].before(after);
        };
        HalfSet next = 0;
        for (uint32_t i = count; i-- > 0;) {
            if (nodes[i].slots == 0) continue;
            if (is_jump(nodes[i].operation) && nodes[i].target <= i) latches.push_back({i, 0});
            live[i] = next = live_before(i, next);
        }
        uint64_t budget = uint64_t{count} * max_sweeps;
        for (bool again = true; again;) {
            again = false;
            for (Latch& latch : latches) {
                const HalfSet head = live[nodes[latch.at].target];
                if (head == latch.seen) continue;
                latch.seen = head;
                again = true;
                next = live[latch.at + 1];
                uint32_t reach = latch.at;  // a jump from here on leads to something that changed
                for (uint32_t i = latch.at + 1; i-- > 0;) {
                    if (nodes[i].slots == 0) continue;
                    next = live_before(i, next);
                    if (next == live[i]) {
                        if (i <= reach) break;
                        continue;
                    }
                    live[i] = next;
                    if (out_.flags[i] & slot_leader) reach = std::min(reach, first_source_[i]);
                    if (--budget == 0) {
                        std::fill(out_.live_in.begin(), out_.live_in.end(), all_halves);
                        return;
                    }
                }
            }
        }
    }

    const BoundProgram& program_;
    const isa::Code& code_;
    Analysis out_;
    std::vector<Flow> flows_;
    std::vector<uint16_t> traits_;
    std::vector<uint32_t> first_source_;  ///< per slot: the first jump to it
};

}  // namespace

Result<Analysis> analyse(const ExecutableProgram& program) {
    if (program.bound().linked.code.empty()) return Error{Errc::BadInstruction, "the program has no instructions"};
    return Analyser(program.bound()).run();
}

}  // namespace skep::engine::jit
