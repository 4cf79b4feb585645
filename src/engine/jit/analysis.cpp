// SPDX-License-Identifier: Apache-2.0
#include "engine/jit/analysis.hpp"

#include <algorithm>
#include <array>
#include <optional>

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
/// Each set is a constant, or follows from the operands: their halves are given as those of r0 and shifted.
struct Flow {
    HalfSet result = 0;            ///< of dst; killed as well
    HalfSet kill = 0, always = 0;  ///< constants
    HalfSet always_dst = 0, always_src = 0;
    HalfSet read_dst = 0, read_src = 0;  ///< if_read
    HalfSet high_dst = 0, high_src = 0;  ///< if_high
    bool is_jump = false, falls_through = true, counts_arguments = false, is_left_shift = false;
    uint16_t traits = 0;
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
        case Bswap64:
            return Use::OwnWhole;
        SKEP_CASES_WIDE_LOADS:
            return Use::Constant;
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
        case MayGoto:
            return Use::Nothing;
        SKEP_CASES_CONDITIONAL_JUMPS:
            return Use::Compare;
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

Flow flow_of(const isa::Row& row, bool is32, bool has_imm, unsigned bytes) {
    Flow flow;
    constexpr HalfSet low = low_half(0), both = both_halves(0);
    const HalfSet src_low = has_imm ? 0 : low, src_both = has_imm ? 0 : both;
    flow.traits = traits_of(row);
    flow.is_jump = is_jump(row.operation);
    flow.falls_through = !flow.is_jump || is_conditional(row.operation);
    flow.result = both;
    switch (use_of(row.operation)) {
        case Use::Carry: {
            const HalfSet src = row.operation == Operation::Neg ? 0 : src_low;
            flow.read_dst = low;
            flow.read_src = src;
            if (!is32) flow.high_dst = low << 16, flow.high_src = src << 16;
            return flow;
        }
        case Use::Left:
            flow.read_dst = low;
            flow.read_src = src_low;
            if (!is32) flow.high_dst = low << 16;
            flow.is_left_shift = !is32 && has_imm;
            return flow;
        case Use::Right:
            flow.read_dst = is32 ? low : both;
            flow.read_src = src_low;
            return flow;
        case Use::Whole:
            flow.read_dst = is32 ? low : both;
            flow.read_src = is32 ? src_low : src_both;
            return flow;
        case Use::Copy:
            flow.read_src = src_low;
            if (!is32) flow.high_src = src_low << 16;
            return flow;
        case Use::CopyLow: flow.read_src = src_low; return flow;
        case Use::CopyWhole: flow.read_src = both; return flow;
        case Use::OwnLow: flow.read_dst = low; return flow;
        case Use::OwnWhole: flow.read_dst = both; return flow;
        case Use::Constant: return flow;
        case Use::Load: flow.always_src = both; return flow;
        case Use::Store:
            flow.result = 0;
            flow.always_dst = both;
            flow.always_src = bytes == 8 ? src_both : src_low;
            return flow;
        case Use::Cmpxchg: flow.always = both_halves(0); [[fallthrough]];
        case Use::Atomic:
            flow.result = 0;
            flow.always_dst = both;
            flow.always_src = src_both;
            return flow;
        case Use::Packet:
            flow.result = 0;
            flow.kill = caller_saved_halves;
            flow.always = both_halves(6);
            flow.always_src = src_low;
            return flow;
        case Use::Compare:
            flow.result = 0;
            flow.always_dst = is32 ? low : both;
            flow.always_src = is32 ? src_low : src_both;
            return flow;
        case Use::Call:
            flow.result = 0;
            flow.kill = caller_saved_halves;
            flow.counts_arguments = true;
            return flow;
        case Use::CallX:
            flow.result = 0;
            flow.kill = caller_saved_halves;
            flow.always = arguments(5);
            flow.always_dst = both;
            return flow;
        case Use::Exit:
            flow.result = 0;
            flow.kill = all_halves;
            flow.always = both_halves(0);
            return flow;
        case Use::Nothing: flow.result = 0; return flow;
    }
    return flow;
}

/// What a row of the instruction table comes to, looked up once.
struct Shape {
    Node node;
    bool has_target = false, target_by_offset = false, is_helper_call = false;
    uint8_t src_mask = 0;  ///< 0 where src is no operand
};

struct Tables {
    std::array<Shape, isa::op_count> shapes;
    std::array<Flow, isa::op_count> flows;
    std::array<uint16_t, isa::op_count>
        other_width;  ///< of arithmetic: the row of the same in 64 or 32 bits, or itself
};

uint16_t row_of_other_width(size_t of) {
    const isa::Row& row = isa::rows()[of];
    if (!row.is_alu()) return static_cast<uint16_t>(of);
    for (size_t i = 0; i < isa::op_count; ++i) {
        const isa::Row& other = isa::rows()[i];
        if (other.operation == row.operation && other.is_alu() && other.form == row.form &&
            other.width_bits() != row.width_bits())
            return static_cast<uint16_t>(i);
    }
    return static_cast<uint16_t>(of);
}

const Tables& tables() {
    static const Tables made = [] {
        Tables out;
        for (size_t i = 0; i < isa::op_count; ++i) {
            const isa::Row& row = isa::rows()[i];
            Shape& shape = out.shapes[i];
            shape.node.op = row.op;
            shape.node.operation = row.operation;
            shape.node.slots = static_cast<uint8_t>(row.slots() & 3);
            shape.node.bytes = static_cast<uint8_t>((row.is_call() ? 5 : row.access_bytes()) & 15);
            shape.node.is32 = !row.is_memory() && row.width_bits() == 32;
            shape.node.has_imm = !row.has_src();
            shape.has_target = row.is_jump() || row.form == Form::CallTarget || row.form == Form::WideTarget;
            shape.target_by_offset = row.offset.operand;
            shape.is_helper_call = row.op == isa::Op::Call;
            shape.src_mask = row.has_src() ? 0xf : 0;
            out.flows[i] = flow_of(row, shape.node.is32, shape.node.has_imm, shape.node.bytes);
            out.other_width[i] = row_of_other_width(i);
        }
        return out;
    }();
    return made;
}

class Analyser {
  public:
    explicit Analyser(const ExecutableProgram& program)
        : program_(program.bound()), code_(program.bound().linked.code) {
        out_.facts = program.facts();
    }

    Result<Analysis> run() {
        get_memory();
        SKEP_TRY(decode());
        SKEP_TRY(sweep());
        find_depth();
        settle_loops();
        return std::move(out_);
    }

  private:
    void get_memory() {
        const size_t count = code_.size();
        const size_t bytes = count * (sizeof(Node) + sizeof(HalfSet) + 2 * sizeof(uint32_t) + 1) + sizeof(HalfSet);
        out_.memory = std::make_unique_for_overwrite<std::byte[]>(bytes);
        std::byte* at = out_.memory.get();
        const auto take = [&at]<typename T>(std::span<T>& part, size_t n) {
            part = {reinterpret_cast<T*>(at), n};
            std::uninitialized_default_construct_n(part.data(), n);
            at += n * sizeof(T);
        };
        take(out_.nodes, count);
        take(out_.live_in, count + 1);
        take(first_source_, count);
        take(out_.labels, count);
        take(out_.flags, count);
        std::ranges::fill(first_source_, UINT32_MAX);
        std::ranges::fill(out_.labels, UINT32_MAX);
        std::ranges::fill(out_.flags, uint8_t{0});
    }

    Result<void> decode() {
        const auto count = static_cast<uint32_t>(code_.size());
        const isa::Slot* const code = code_.data();
        Node* const nodes = out_.nodes.data();
        for (uint32_t i = 0; i < count;) {
            const isa::Slot& slot = code[i];
            const std::optional<isa::Op> op = isa::op_of(slot);
            if (!op || slot.dst_reg() > 10 || slot.src_reg() > 10) return undecodable(i);
            const Shape& shape = tables_.shapes[static_cast<size_t>(*op)];
            const uint32_t at = i++;
            Node& node = nodes[at];
            node = shape.node;
            node.dst = slot.dst_reg();
            node.src = slot.src_reg() & shape.src_mask;
            node.offset = slot.offset;
            node.imm = slot.imm;
            if (at < program_.bindings.size() && program_.bindings[at].kind == BindingKind::Problem)
                out_.problems = true;
            if (shape.is_helper_call) {
                const bool bound = at < program_.bindings.size() && program_.bindings[at].kind == BindingKind::Helper;
                node.target = bound ? program_.bindings[at].helper : no_helper;
                if (bound) node.bytes = argument_count(program_.bindings[at]) & 15;
            }
            if (node.slots == 2) {
                if (i == count) return undecodable(at);
                node.target = static_cast<uint32_t>(code[i].imm);
                Node second = node;
                second.slots = 0;
                nodes[i++] = second;
            }
            if (shape.has_target) {
                const int64_t target =
                    int64_t{at} + 1 + (shape.target_by_offset ? int64_t{slot.offset} : int64_t{slot.imm});
                if (target < 0 || target >= int64_t{count}) return leaves(at);
                node.target = static_cast<uint32_t>(target);
                mark_target(at, node);
            }
            const Fact* known = out_.fact(at);
            if (known != nullptr && known->result_constant) become_constant(node, known->key);
            if (known != nullptr && known->upper_half_zero) change_width(node);
        }
        return {};
    }

    Error undecodable(uint32_t at) const {
        auto good = isa::decode(code_, at);  // for its words
        if (!good) return std::move(good).error();
        return Error{Errc::BadInstruction, Where{.insn = at}, "the instruction cannot be decoded"};
    }

    /// A move of what the result always is; whatever the instruction read, it reads no more.
    void become_constant(Node& node, uint32_t value) {
        const uint8_t dst = node.dst;
        node = tables_.shapes[static_cast<size_t>(isa::Op::Mov32K)].node;
        node.dst = dst;
        node.imm = static_cast<int32_t>(value);
    }

    /// In the width in which it is the least work, where both widths do the same (Fact::upper_half_zero). Sums, shifts
    /// to the left and moves stay 64-bit, so that an address may take them in.
    void change_width(Node& node) {
        using enum Operation;
        const auto op = static_cast<size_t>(node.op);
        const Shape& other = tables_.shapes[tables_.other_width[op]];
        if (node.is32 != (node.operation == Mov) || node.has_imm != other.node.has_imm) return;
        const bool one_half = node.operation == Mov || node.operation == Mul || node.operation == And ||
                              node.operation == Or || node.operation == Xor || node.operation == Div ||
                              node.operation == Mod;
        if (!one_half || (node.operation == Mov && node.has_imm)) return;
        node.op = other.node.op;
        node.is32 = other.node.is32;
    }

    void mark_target(uint32_t at, const Node& node) {
        if (is_jump(node.operation)) {
            // Nobody comes from a jump that is not executed or not taken.
            const Fact* known = out_.fact(at);
            if (known != nullptr && (!known->reachable || known->branch_never)) return;
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

    HalfSet live_before(uint32_t at, HalfSet after) const {
        const Node& node = out_.nodes[at];
        const Flow& flow = tables_.flows[static_cast<size_t>(node.op)];
        if (const Fact* known = out_.fact(at)) {
            if (!known->reachable) return 0;
            if (known->branch_never) return after;
            if (known->branch_always) return out_.live_in[node.target];
        }
        if (flow.is_jump) after = out_.live_in[node.target] | (flow.falls_through ? after : 0);
        const unsigned dst = node.dst, src = node.src;
        const HalfSet result = flow.result << dst;
        const HalfSet met = after & result;
        HalfSet in = (after & ~(result | flow.kill)) | flow.always | flow.always_dst << dst | flow.always_src << src;
        const HalfSet read = flow.read_dst << dst | flow.read_src << src;
        HalfSet high = flow.high_dst << dst | flow.high_src << src;
        if (flow.is_left_shift && (node.imm & 32)) high = 0;  // the upper half comes from the lower one
        if (flow.counts_arguments) in |= arguments(node.bytes);
        in |= met != 0 ? read : 0;
        in |= met >> 16 != 0 ? high : 0;
        return in;
    }

    /// Once backward over the code: what is live, as far as no loop counts, and what each function has in it.
    Result<void> sweep() {
        const auto count = static_cast<uint32_t>(code_.size());
        out_.flags[0] |= slot_function | slot_leader;
        for (const auto& subprogram : program_.linked.subprograms)
            if (subprogram.start < count) out_.flags[subprogram.start] |= slot_function | slot_leader;
        const Node* const nodes = out_.nodes.data();
        const uint8_t* const flags = out_.flags.data();
        HalfSet* const live = out_.live_in.data();
        live[count] = 0;
        HalfSet next = 0;
        uint32_t end = count, last = count, low = count, high = 0;
        unsigned used = 0, traits = 0;
        std::optional<Error> wrong;  // the first in the program is the last one met
        for (uint32_t i = count; i-- > 0;) {
            const Node& node = nodes[i];
            if (node.slots != 0) {
                const Flow& flow = tables_.flows[static_cast<size_t>(node.op)];
                if (last == count) last = i;
                used |= 1u << node.dst | 1u << node.src;
                traits |= flow.traits;
                if (flow.is_jump) {
                    low = std::min(low, node.target);
                    high = std::max(high, node.target);
                    if (node.target <= i) {
                        latches_.push_back({i, 0});
                        live[node.target] = 0;  // not looked at yet
                    }
                } else if (flow.counts_arguments && node.operation == Operation::Call &&
                           node.target == tail_call_helper) {
                    traits |= has_tail_calls;
                }
                next = live_before(i, next);
            }
            live[i] = next;
            if (!(flags[i] & slot_function)) continue;
            if (traits & has_packet_loads) used |= 1u << 6;
            const Operation ending = last == count ? Operation::Call : nodes[last].operation;
            if (ending != Operation::Exit && ending != Operation::Jump) wrong = leaves(last);
            if (low < i || high >= end) wrong = leaves(i);
            out_.traits |= static_cast<uint16_t>(traits);
            out_.functions.push_back(
                {.start = i, .end = end, .used = static_cast<uint16_t>(used), .traits = static_cast<uint16_t>(traits)});
            end = i;
            last = low = count;
            high = used = traits = 0;
        }
        if (wrong) return *std::move(wrong);
        std::ranges::reverse(out_.functions);
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

    /// While a loop's head needs more than its latch saw: from that latch upward, as far as anything changes and is
    /// jumped to.
    void settle_loops() {
        const Node* const nodes = out_.nodes.data();
        HalfSet* const live = out_.live_in.data();
        uint64_t budget = uint64_t{code_.size()} * max_sweeps;
        for (bool again = true; again;) {
            again = false;
            for (Latch& latch : latches_) {
                const HalfSet head = live[nodes[latch.at].target];
                if (head == latch.seen) continue;
                latch.seen = head;
                again = true;
                HalfSet next = live[latch.at + 1];
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
                        std::ranges::fill(out_.live_in, all_halves);
                        return;
                    }
                }
            }
        }
    }

    /// A jump backward (from the end of the code to its start).
    struct Latch {
        uint32_t at;
        HalfSet seen;  ///< live at the head when the latch was last looked at
    };

    const BoundProgram& program_;
    const isa::Code& code_;
    Analysis out_;
    const Tables& tables_ = tables();
    std::vector<Latch> latches_;
    std::span<uint32_t> first_source_;  ///< per slot: the first jump to it
};

}  // namespace

Result<Analysis> analyse(const ExecutableProgram& program) {
    if (program.bound().linked.code.empty()) return Error{Errc::BadInstruction, "the program has no instructions"};
    return Analyser(program).run();
}

}  // namespace skep::engine::jit
