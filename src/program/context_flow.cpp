// SPDX-License-Identifier: Apache-2.0
// The data flow behind binding.
//
// Lattice, per register and per 8-byte stack slot: Unset below everything; the exact kinds; AnyStack above what is or
// may be a frame address; Maybe on top. Claim: what is Context(o) at an instruction is the entry's r1 plus o on every
// path there; what is neither Context nor Maybe is not derived from it. Because: transfer() copies exact values only
// through moves, constant sums and whole-slot spills, everything else that touched the context becomes Maybe, and
// joins of unequal values go up; a branch is left out only if two constants decide it. Memory other than frames holds
// no context: the verifier lets no program store it there and load it back as a pointer. Loses: other branch
// conditions, frames of recursive calls (which verification refuses).
// One guess is made: a store of no context somewhere into a frame, nobody here knows where, leaves a spilled context as
// it is, and a load from somewhere in a frame does not give it. The verifier knows where; it refuses an access whose
// binding disagrees with what the pointer leads to (binding_agrees, context_field), so a wrong guess costs a program
// that Maybe would have cost too.
#include "program/context_flow.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "platform/helper.hpp"

namespace skep {
namespace {

using isa::Form;
using isa::Insn;
using isa::InsnIndex;
using isa::Operation;
using Kind = ContextValue::Kind;
using platform::ArgKind;
using platform::HelperId;

constexpr ContextValue other{Kind::Other, 0, 0};
constexpr ContextValue maybe{Kind::Maybe, 0, 0};
constexpr int32_t frame_bytes = 512;
constexpr size_t frame_slots = frame_bytes / 8;
constexpr int32_t offset_limit = 1 << 29;
constexpr uint64_t unknown_size = UINT64_MAX;

using Frame = std::array<ContextValue, frame_slots>;

bool is_context(ContextValue v) { return v.kind == Kind::Context || v.kind == Kind::Maybe; }
bool is_stack(ContextValue v) { return v.kind == Kind::Stack || v.kind == Kind::AnyStack; }
uint16_t join_owner(uint16_t a, uint16_t b) { return a == b ? a : ContextValue::any_owner; }

ContextValue join(ContextValue a, ContextValue b) {
    if (a == b || b.kind == Kind::Unset) return a;
    if (a.kind == Kind::Unset) return b;
    if (is_context(a) || is_context(b)) return maybe;
    if (is_stack(a) && is_stack(b)) return {Kind::AnyStack, join_owner(a.owner, b.owner), 0};
    if (is_stack(a)) return {Kind::AnyStack, a.owner, 0};
    if (is_stack(b)) return {Kind::AnyStack, b.owner, 0};
    return other;
}

/// Joins `from` into `into`; whether it changed.
bool raise(ContextValue& into, ContextValue from) {
    const ContextValue joined = join(into, from);
    if (joined == into) return false;
    into = joined;
    return true;
}

/// A frame that states share until one of them changes it. Nothing is in it at first.
class Slots {
  public:
    ContextValue operator[](size_t slot) const { return frame_ ? (*frame_)[slot] : ContextValue{}; }
    bool any() const { return frame_ != nullptr; }
    void set(size_t slot, ContextValue value) {
        if ((*this)[slot] != value) own()[slot] = value;
    }
    bool raise(size_t slot, ContextValue value) {
        const ContextValue joined = join((*this)[slot], value);
        if (joined == (*this)[slot]) return false;
        own()[slot] = joined;
        return true;
    }
    bool raise(const Slots& from) {
        if (frame_ == from.frame_ || !from.any()) return false;
        bool changed = false;
        for (size_t slot = 0; slot < frame_slots; ++slot) changed |= raise(slot, from[slot]);
        return changed;
    }

  private:
    Frame& own() {
        if (!frame_) {
            frame_ = std::make_shared<Frame>();
        } else if (frame_.use_count() > 1) {
            frame_ = std::make_shared<Frame>(*frame_);
        }
        return *frame_;
    }
    std::shared_ptr<Frame> frame_;
};

struct State {
    std::array<ContextValue, isa::register_count> regs{};
    Slots slots;
};

/// What arithmetic that is not followed exactly makes of its operands.
ContextValue taint(ContextValue a, ContextValue b) {
    if (is_context(a) || is_context(b)) return maybe;
    if (is_stack(a)) return {Kind::AnyStack, is_stack(b) ? join_owner(a.owner, b.owner) : a.owner, 0};
    if (is_stack(b)) return {Kind::AnyStack, b.owner, 0};
    return other;
}

ContextValue number(int64_t value) {
    if (value <= -offset_limit || value >= offset_limit) return other;
    return {Kind::Number, 0, static_cast<int32_t>(value)};
}

/// base + delta, exact where base is.
ContextValue moved(ContextValue base, int64_t delta) {
    const int64_t offset = base.offset + delta;
    const bool fits = offset > -offset_limit && offset < offset_limit;
    if (base.kind == Kind::Number) return number(offset);
    if ((base.kind == Kind::Context || base.kind == Kind::Stack) && fits)
        return {base.kind, base.owner, static_cast<int32_t>(offset)};
    return taint(base, other);
}

bool writes_memory(ArgKind kind) {
    switch (kind) {
        case ArgKind::MapValueOut:
        case ArgKind::MemOut:
        case ArgKind::MemOutOrNull:
        case ArgKind::MemInOut:
        case ArgKind::I64Out:
        case ArgKind::U64Out:
        case ArgKind::U32InOut:
        case ArgKind::Dynptr:
        case ArgKind::Other: return true;
        case ArgKind::None:
        case ArgKind::Scalar:
        case ArgKind::ConstMapPtr:
        case ArgKind::MapKey:
        case ArgKind::MapValue:
        case ArgKind::MapValueOrNull:
        case ArgKind::Ctx:
        case ArgKind::CtxOrNull:
        case ArgKind::MemIn:
        case ArgKind::MemInOrNull:
        case ArgKind::Size:
        case ArgKind::SizeOrZero:
        case ArgKind::RecordSize:
        case ArgKind::Record:
        case ArgKind::Func:
        case ArgKind::CallbackContext:
        case ArgKind::ConstString:
        case ArgKind::In20:
        case ArgKind::In40:
        case ArgKind::SpinLock:
        case ArgKind::Timer:
        case ArgKind::SockCommon:
        case ArgKind::Socket:
        case ArgKind::SocketOrNull:
        case ArgKind::Kptr:
        case ArgKind::Anything:
        case ArgKind::BtfObject: return false;
    }
    return true;
}

/// Whether a jump is taken, as far as constants tell: what guards code against a kernel that lacks something compares
/// a constant (CO-RE, a weak address) with 0. Never undoes itself: constants only become less known.
enum class Branch : uint8_t { Never, Always, Either };

Branch decide(const Insn& insn, const State& state) {
    const isa::Row& row = insn.row();
    if (row.operation == Operation::Jump) return Branch::Always;
    if (row.operation != Operation::JumpEq && row.operation != Operation::JumpNe) return Branch::Either;
    const ContextValue a = state.regs[insn.dst];
    const ContextValue b = row.form == Form::JumpSrc ? state.regs[insn.src] : number(insn.imm);
    if (a.kind != Kind::Number || b.kind != Kind::Number) return Branch::Either;
    // Both lie in 30 bits and a sign: equal as 32-bit numbers only if equal as 64-bit ones.
    return (a.offset == b.offset) == (row.operation == Operation::JumpEq) ? Branch::Always : Branch::Never;
}

constexpr uint32_t no_block = UINT32_MAX;

class Flow {
  public:
    Flow(const object::LinkedProgram& program, std::span<const Binding> bindings, std::span<const MapSizes> maps)
        : program_(program), bindings_(bindings), maps_(maps) {}

    Result<void> prepare();
    Result<void> solve();
    Result<void> visit(const ContextVisitor& visitor);

  private:
    struct Block {
        InsnIndex start = 0;
        uint16_t sub = 0;
        bool queued = false;
        std::unique_ptr<State> in;
    };
    struct Sub {
        ContextValue result;         ///< r0 at its exits
        Frame published;             ///< its frame as its callees may see it
        Frame written;               ///< what others stored into its frame
        Frame touched;               ///< what others stored somewhere into it
        std::set<uint32_t> callers;  ///< blocks that call it
        std::set<uint32_t> readers;  ///< blocks that what is published or written was read in
        bool address_taken = false;
    };

    Error bad(InsnIndex at, std::string what, std::string why) const {
        return Error{Errc::BadInstruction, Where{.insn = at}, std::move(what), std::move(why)};
    }
    Result<uint16_t> sub_at(InsnIndex at, int64_t target) const;

    void enqueue(uint32_t block) {
        if (blocks_[block].queued) return;
        blocks_[block].queued = true;
        queue_.push({rank_[blocks_[block].sub], block});
    }
    void enqueue_readers(size_t owner) {
        for (const uint32_t block : subs_[owner].readers) enqueue(block);
    }
    void rank_functions(const std::vector<std::vector<uint16_t>>& callees);
    void flow_to(InsnIndex start, const State& state);
    void run_block(uint32_t block, const ContextVisitor* visitor);

    void transfer(const Insn& insn, InsnIndex at, uint32_t block, State& state);
    ContextValue load(const State& state, ContextValue base, int64_t offset, unsigned bytes);
    void store(State& state, ContextValue base, int64_t offset, unsigned bytes, ContextValue value);
    void scribble(State& state, ContextValue base, uint64_t bytes);
    /// Whether the place of a store into a frame is known to the slot.
    enum class Place : uint8_t { Known, Unknown };
    void weaken(State& state, uint16_t owner, size_t first, size_t last, ContextValue value, Place place);
    void enter(uint16_t callee, std::span<const ContextValue, 5> args, uint32_t block);
    void call_helper(HelperId id, uint32_t block, State& state);
    void publish(const State& state);
    void absorb(State& state);

    const object::LinkedProgram& program_;
    std::span<const Binding> bindings_;
    std::span<const MapSizes> maps_;
    std::vector<Insn> insns_;         ///< by slot; second slots of wide loads are not looked at
    std::vector<uint32_t> block_of_;  ///< by slot; no_block where no block starts
    std::vector<Block> blocks_;
    std::vector<Sub> subs_;
    std::vector<uint16_t> rank_;  ///< by function: callees before callers
    /// Functions before those that call them, so that a caller is looked at again once for all its callees; in a
    /// function the block that comes first: loops settle before what follows them is looked at.
    using Turn = std::pair<uint16_t, uint32_t>;
    std::priority_queue<Turn, std::vector<Turn>, std::greater<>> queue_;
    uint16_t sub_ = 0;    ///< of the block that runs
    uint32_t block_ = 0;  ///< that one
    std::optional<Error> error_;
};

Result<uint16_t> Flow::sub_at(InsnIndex at, int64_t target) const {
    const auto& subs = program_.subprograms;
    const auto found =
        std::ranges::lower_bound(subs, target, {}, [](const object::Subprogram& s) { return int64_t{s.start}; });
    if (found == subs.end() || int64_t{found->start} != target)
        return bad(at, "call or function reference leads to no function",
                   fmt::format("slot {} is not the first one of a function", target));
    return static_cast<uint16_t>(found - subs.begin());
}

Result<void> Flow::prepare() {
    const auto& subs = program_.subprograms;
    if (subs.empty() || subs.size() >= ContextValue::any_owner)
        return Error{Errc::LimitExceeded, fmt::format("program has {} functions", subs.size()),
                     "1 to 65534 can be followed"};
    InsnIndex covered = 0;
    for (const object::Subprogram& sub : subs) {
        if (sub.start != covered || sub.end <= sub.start || sub.end > program_.code.size())
            return bad(sub.start, fmt::format("function \"{}\" is empty or does not follow the one before", sub.name),
                       {});
        covered = sub.end;
    }
    if (covered != program_.code.size()) return bad(covered, "code behind the last function", {});

    const size_t slots = program_.code.size();
    insns_.resize(slots);
    block_of_.assign(slots, no_block);
    subs_.resize(subs.size());
    std::vector<bool> first(slots), leader(slots);
    std::vector<std::pair<InsnIndex, InsnIndex>> jumps;
    std::vector<std::vector<uint16_t>> callees(subs.size());
    for (size_t s = 0; s < subs.size(); ++s) {
        leader[subs[s].start] = true;
        for (InsnIndex at = subs[s].start; at < subs[s].end;) {
            SKEP_ASSIGN(const Insn insn, isa::decode(program_.code, at));
            insns_[at] = insn;
            first[at] = true;
            const isa::Row& row = insn.row();
            const InsnIndex next = at + insn.slots();
            if (next > subs[s].end) return bad(at, "wide instruction runs over the end of its function", {});
            if (row.is_jump()) {
                const int64_t target = isa::target_of(insn, at);
                if (target < int64_t{subs[s].start} || target >= int64_t{subs[s].end})
                    return bad(at, "jump leaves its function",
                               fmt::format("slot {} is outside [{}, {}) of \"{}\"", target, subs[s].start, subs[s].end,
                                           subs[s].name));
                leader[static_cast<size_t>(target)] = true;
                jumps.emplace_back(at, static_cast<InsnIndex>(target));
            }
            if (row.operation == Operation::CallLocal || row.operation == Operation::LdFunc) {
                SKEP_ASSIGN(const uint16_t callee, sub_at(at, isa::target_of(insn, at)));
                if (row.operation == Operation::LdFunc) subs_[callee].address_taken = true;
                callees[s].push_back(callee);
            }
            if ((row.is_jump() || row.is_exit()) && next < subs[s].end) leader[next] = true;
            if (next == subs[s].end && !row.ends_path())
                return bad(at, fmt::format("function \"{}\" runs off its end", subs[s].name),
                           "its last instruction is neither exit nor goto");
            at = next;
        }
    }
    for (const auto& [from, to] : jumps) {
        if (!first[to]) return bad(from, "jump into the middle of a wide instruction", {});
    }
    for (size_t s = 0; s < subs.size(); ++s) {
        for (InsnIndex at = subs[s].start; at < subs[s].end; ++at) {
            if (!leader[at]) continue;
            block_of_[at] = static_cast<uint32_t>(blocks_.size());
            blocks_.push_back({at, static_cast<uint16_t>(s), false, nullptr});
        }
    }
    rank_functions(callees);
    return {};
}

/// Post-order of the call graph; where functions call each other in a circle, one of the orders there are.
void Flow::rank_functions(const std::vector<std::vector<uint16_t>>& callees) {
    rank_.assign(callees.size(), 0);
    std::vector<bool> seen(callees.size());
    std::vector<std::pair<uint16_t, size_t>> open;
    uint16_t done = 0;
    for (size_t first = 0; first < callees.size(); ++first) {
        if (seen[first]) continue;
        seen[first] = true;
        open.emplace_back(static_cast<uint16_t>(first), 0);
        while (!open.empty()) {
            auto& [sub, next] = open.back();
            if (next == callees[sub].size()) {
                rank_[sub] = done++;
                open.pop_back();
                continue;
            }
            const uint16_t callee = callees[sub][next++];
            if (seen[callee]) continue;
            seen[callee] = true;
            open.emplace_back(callee, 0);
        }
    }
}

Result<void> Flow::solve() {
    State entry;
    entry.regs.fill(other);
    entry.regs[1] = {Kind::Context, 0, 0};
    entry.regs[isa::frame_register] = {Kind::Stack, 0, 0};
    flow_to(0, entry);
    while (!queue_.empty()) {
        const uint32_t block = queue_.top().second;
        queue_.pop();
        blocks_[block].queued = false;
        run_block(block, nullptr);
    }
    return {};
}

Result<void> Flow::visit(const ContextVisitor& visitor) {
    for (uint32_t block = 0; block < blocks_.size(); ++block) {
        if (!blocks_[block].in) continue;
        run_block(block, &visitor);
        if (error_) return *std::move(error_);
    }
    return {};
}

void Flow::flow_to(InsnIndex start, const State& state) {
    Block& block = blocks_[block_of_[start]];
    if (!block.in) {
        block.in = std::make_unique<State>(state);
        enqueue(block_of_[start]);
        return;
    }
    bool changed = false;
    for (size_t r = 0; r < state.regs.size(); ++r) changed |= raise(block.in->regs[r], state.regs[r]);
    changed |= block.in->slots.raise(state.slots);
    if (changed) enqueue(block_of_[start]);
}

void Flow::run_block(uint32_t block, const ContextVisitor* visitor) {
    State state = *blocks_[block].in;
    sub_ = blocks_[block].sub;
    block_ = block;
    for (InsnIndex at = blocks_[block].start;;) {
        const Insn& insn = insns_[at];
        const isa::Row& row = insn.row();
        if (visitor != nullptr) {
            if (auto said = (*visitor)(at, insn, state.regs); !said) {
                error_ = std::move(said).error();
                return;
            }
        }
        if (bindings_[at].kind == BindingKind::Problem) return;  // whatever runs it ends there
        transfer(insn, at, block, state);
        const Branch taken = row.is_jump() ? decide(insn, state) : Branch::Never;
        if (taken != Branch::Never) flow_to(static_cast<InsnIndex>(isa::target_of(insn, at)), state);
        if (row.is_exit()) {
            ContextValue result = state.regs[0];
            if (is_stack(result) && result.owner == sub_) result = other;  // dangling
            if (raise(subs_[sub_].result, result)) {
                for (uint32_t caller : subs_[sub_].callers) enqueue(caller);
            }
        }
        if (row.ends_path() || taken == Branch::Always) return;
        at += insn.slots();
        if (block_of_[at] != no_block) {
            flow_to(at, state);
            return;
        }
    }
}

void Flow::transfer(const Insn& insn, InsnIndex at, uint32_t block, State& state) {
    auto& regs = state.regs;
    const isa::Row& row = insn.row();
    const bool wide = row.insn_class() == isa::Class::Alu64;
    switch (row.form) {
        case Form::MovImm: regs[insn.dst] = wide || insn.imm >= 0 ? number(insn.imm) : other; return;
        case Form::MovSrc: {
            const ContextValue from = regs[insn.src];
            const bool small = from.kind == Kind::Number && from.offset >= 0;
            const bool exact = row.operation == Operation::Mov && (wide || small);
            regs[insn.dst] = exact ? from : taint(from, other);
            return;
        }
        case Form::DstImm:
            if (wide && row.operation == Operation::Add) {
                regs[insn.dst] = moved(regs[insn.dst], insn.imm);
            } else if (wide && row.operation == Operation::Sub) {
                regs[insn.dst] = moved(regs[insn.dst], -int64_t{insn.imm});
            } else {
                regs[insn.dst] = taint(regs[insn.dst], other);
            }
            return;
        case Form::DstSrc: {
            const ContextValue a = regs[insn.dst], b = regs[insn.src];
            if (wide && row.operation == Operation::Add && b.kind == Kind::Number) {
                regs[insn.dst] = moved(a, b.offset);
            } else if (wide && row.operation == Operation::Add && a.kind == Kind::Number) {
                regs[insn.dst] = moved(b, a.offset);
            } else if (wide && row.operation == Operation::Sub && b.kind == Kind::Number) {
                regs[insn.dst] = moved(a, -int64_t{b.offset});
            } else if (wide && row.operation == Operation::Sub && a.kind == b.kind &&
                       (a.kind == Kind::Context || a.kind == Kind::Stack)) {
                regs[insn.dst] = other;  // a distance
            } else {
                regs[insn.dst] = taint(a, b);
            }
            return;
        }
        case Form::MovSrcImm: regs[insn.dst] = taint(regs[insn.src], other); return;
        case Form::Dst: regs[insn.dst] = taint(regs[insn.dst], other); return;
        case Form::WideImm64: regs[insn.dst] = number(static_cast<int64_t>(insn.imm64())); return;
        case Form::WideTarget: {
            const auto callee = sub_at(at, isa::target_of(insn, at));
            regs[insn.dst] = callee ? ContextValue{Kind::Function, 0, *callee} : other;
            return;
        }
        case Form::WideImm:
        case Form::WideImmNext: {
            const bool map =
                row.operation == Operation::LdMapFd && insn.imm >= 0 && static_cast<size_t>(insn.imm) < maps_.size();
            regs[insn.dst] = map ? ContextValue{Kind::Map, 0, insn.imm} : other;
            return;
        }
        case Form::LoadMem: {
            ContextValue value = load(state, regs[insn.src], insn.offset, row.access_bytes());
            if (row.operation == Operation::LoadSigned) value = taint(value, other);
            regs[insn.dst] = value;
            return;
        }
        case Form::StoreImm:
            store(state, regs[insn.dst], insn.offset, row.access_bytes(),
                  row.access_bytes() == 8 ? number(insn.imm) : other);
            return;
        case Form::StoreSrc: store(state, regs[insn.dst], insn.offset, row.access_bytes(), regs[insn.src]); return;
        case Form::Atomic:
        case Form::AtomicFetch:
        case Form::AtomicCmpxchg: {
            const ContextValue before = taint(load(state, regs[insn.dst], insn.offset, row.access_bytes()), other);
            const ContextValue put = taint(regs[insn.src], before);
            store(state, regs[insn.dst], insn.offset, row.access_bytes(), put);
            if (row.form == Form::AtomicFetch) regs[insn.src] = before;
            if (row.form == Form::AtomicCmpxchg) regs[0] = before;
            return;
        }
        case Form::PacketAbs:
        case Form::PacketInd:
            for (size_t r = 0; r <= 5; ++r) regs[r] = other;
            return;
        case Form::CallImm:
            if (row.operation == Operation::Call) {
                call_helper(static_cast<HelperId>(bindings_[at].helper), block, state);
            }
            for (size_t r = 0; r <= 5; ++r) regs[r] = other;
            return;
        case Form::CallTarget:
        case Form::CallDst: {
            const std::array<ContextValue, 5> args{regs[1], regs[2], regs[3], regs[4], regs[5]};
            ContextValue result;
            publish(state);
            if (row.form == Form::CallTarget) {
                const auto callee = sub_at(at, isa::target_of(insn, at));
                enter(*callee, args, block);
                result = subs_[*callee].result;
            } else if (regs[insn.dst].kind == Kind::Function) {
                enter(static_cast<uint16_t>(regs[insn.dst].offset), args, block);
                result = subs_[static_cast<size_t>(regs[insn.dst].offset)].result;
            } else {
                for (size_t s = 0; s < subs_.size(); ++s) {
                    if (!subs_[s].address_taken) continue;
                    enter(static_cast<uint16_t>(s), args, block);
                    raise(result, subs_[s].result);
                }
            }
            absorb(state);
            for (size_t r = 1; r <= 5; ++r) regs[r] = other;
            regs[0] = result;
            return;
        }
        case Form::Target:
        case Form::TargetImm:
        case Form::JumpImm:
        case Form::JumpSrc:
        case Form::None: return;
    }
}

/// The value loaded from base + offset.
ContextValue Flow::load(const State& state, ContextValue base, int64_t offset, unsigned bytes) {
    const auto slot_of = [&](uint16_t owner, size_t slot) {
        if (owner == sub_) return state.slots[slot];
        subs_[owner].readers.insert(block_);
        const Sub& sub = subs_[owner];
        const ContextValue value = join(sub.published[slot], sub.written[slot]);
        return value.kind == Kind::Context ? value : join(value, sub.touched[slot]);
    };
    if (base.kind == Kind::Stack) {
        const int64_t low = base.offset + offset + frame_bytes;
        if (low < 0 || low + bytes > frame_bytes) return other;  // refused by verification
        const auto first = static_cast<size_t>(low / 8), last = static_cast<size_t>((low + bytes - 1) / 8);
        const bool whole = low % 8 == 0 && bytes == 8;
        ContextValue value = slot_of(base.owner, first);
        if (last != first) value = taint(value, slot_of(base.owner, last));
        if (!whole) return taint(value, other);
        return value.kind == Kind::Unset ? other : value;
    }
    if (base.kind == Kind::AnyStack) {
        ContextValue value = other;
        for (size_t owner = 0; owner < subs_.size(); ++owner) {
            if (base.owner != ContextValue::any_owner && base.owner != owner) continue;
            for (size_t slot = 0; slot < frame_slots; ++slot) {
                const ContextValue held = slot_of(static_cast<uint16_t>(owner), slot);
                if (!is_context(held)) raise(value, held);
            }
        }
        return value;
    }
    return other;
}

void Flow::store(State& state, ContextValue base, int64_t offset, unsigned bytes, ContextValue value) {
    if (base.kind == Kind::AnyStack) {
        weaken(state, base.owner, 0, frame_slots - 1, value, Place::Unknown);
        return;
    }
    if (base.kind != Kind::Stack) return;  // other memory; a base that may be the context is the visitor's error
    const int64_t low = base.offset + offset + frame_bytes;
    if (low < 0 || low + bytes > frame_bytes) return;
    const auto first = static_cast<size_t>(low / 8), last = static_cast<size_t>((low + bytes - 1) / 8);
    if (base.owner == sub_ && first == last && low % 8 == 0 && bytes == 8) {
        state.slots.set(first, value);
        return;
    }
    weaken(state, base.owner, first, last, bytes == 8 ? value : taint(value, other), Place::Known);
}

/// Something of `bytes` bytes that is not the context may have been written at `base`.
void Flow::scribble(State& state, ContextValue base, uint64_t bytes) {
    if (base.kind == Kind::AnyStack) weaken(state, base.owner, 0, frame_slots - 1, other, Place::Unknown);
    if (base.kind != Kind::Stack || bytes == 0) return;
    const int64_t low = std::max<int64_t>(int64_t{base.offset} + frame_bytes, 0);
    if (low >= frame_bytes) return;
    const uint64_t room = static_cast<uint64_t>(frame_bytes - low);
    const uint64_t length = std::min(bytes, room);
    weaken(state, base.owner, static_cast<size_t>(low / 8),
           static_cast<size_t>((low + static_cast<int64_t>(length) - 1) / 8), other,
           bytes == unknown_size ? Place::Unknown : Place::Known);
}

/// The slots first..last of the owner's frame may now hold `value`.
void Flow::weaken(State& state, uint16_t owner, size_t first, size_t last, ContextValue value, Place place) {
    const bool spares = place == Place::Unknown && !is_context(value);
    for (size_t s = 0; s < subs_.size(); ++s) {
        if (owner != ContextValue::any_owner && owner != s) continue;
        bool changed = false;
        for (size_t slot = first; slot <= last; ++slot) {
            if (s == sub_) {
                if (!spares || state.slots[slot].kind != Kind::Context) state.slots.raise(slot, value);
            } else {
                changed |= raise(spares ? subs_[s].touched[slot] : subs_[s].written[slot], value);
            }
        }
        if (changed) enqueue_readers(s);
    }
}

/// Before a call: what callees may see of the running function's frame, if its address can reach them.
void Flow::publish(const State& state) {
    const auto out = [&](ContextValue v) { return is_stack(v) || v.kind == Kind::Maybe; };
    bool escapes = std::any_of(state.regs.begin() + 1, state.regs.begin() + 6, out);
    if (!state.slots.any()) return;  // nothing to see
    for (size_t slot = 0; slot < frame_slots && !escapes; ++slot) escapes = out(state.slots[slot]);
    if (!escapes) return;
    bool changed = false;
    for (size_t slot = 0; slot < frame_slots; ++slot) changed |= raise(subs_[sub_].published[slot], state.slots[slot]);
    if (changed) enqueue_readers(sub_);
}

/// After a call: what callees may have stored into the running function's frame.
void Flow::absorb(State& state) {
    subs_[sub_].readers.insert(block_);
    for (size_t slot = 0; slot < frame_slots; ++slot) {
        state.slots.raise(slot, subs_[sub_].written[slot]);
        if (state.slots[slot].kind != Kind::Context) state.slots.raise(slot, subs_[sub_].touched[slot]);
    }
}

void Flow::enter(uint16_t callee, std::span<const ContextValue, 5> args, uint32_t block) {
    subs_[callee].callers.insert(block);
    State state;
    state.regs.fill(other);
    std::ranges::copy(args, state.regs.begin() + 1);
    state.regs[isa::frame_register] = {Kind::Stack, callee, 0};
    flow_to(program_.subprograms[callee].start, state);
}

void Flow::call_helper(HelperId id, uint32_t block, State& state) {
    const platform::HelperRow& row = platform::helper(id);
    auto& regs = state.regs;
    const bool unmodelled = !platform::helper_modelled(row);
    for (size_t n = 0; n < 5; ++n) {
        const ContextValue arg = regs[n + 1];
        if (unmodelled) {
            scribble(state, arg, unknown_size);
            continue;
        }
        if (!writes_memory(row.args[n])) continue;
        uint64_t bytes = unknown_size;
        if (n < 4 && (row.args[n + 1] == ArgKind::Size || row.args[n + 1] == ArgKind::SizeOrZero)) {
            if (regs[n + 2].kind == Kind::Number && regs[n + 2].offset >= 0) {
                bytes = static_cast<uint64_t>(regs[n + 2].offset);
            }
        } else if (row.args[n] == ArgKind::MapValueOut && regs[1].kind == Kind::Map) {
            bytes = maps_[static_cast<size_t>(regs[1].offset)].value_bytes;
        } else if (row.args[n] == ArgKind::U32InOut) {
            bytes = 4;
        } else if (row.args[n] == ArgKind::I64Out || row.args[n] == ArgKind::U64Out) {
            bytes = 8;
        } else if (row.args[n] == ArgKind::Dynptr) {
            bytes = 16;
        }
        scribble(state, arg, bytes);
    }
    if ((row.effects & platform::helper_effect::Callback) == 0) return;

    std::array<ContextValue, 5> args;
    args.fill(other);
    size_t function = 0;
    ContextValue context = other;
    for (size_t n = 0; n < 5; ++n) {
        if (row.args[n] == ArgKind::Func) function = n + 1;
        if (row.args[n] == ArgKind::CallbackContext) context = regs[n + 1];
    }
    args[id == HelperId::ForEachMapElem ? 3 : 1] = context;  // (map, key, value, context) or (index, context)
    publish(state);
    for (size_t s = 0; s < subs_.size(); ++s) {
        const bool known = regs[function].kind == Kind::Function;
        if (known ? static_cast<size_t>(regs[function].offset) == s : subs_[s].address_taken)
            enter(static_cast<uint16_t>(s), args, block);
    }
    absorb(state);
}

}  // namespace

Result<void> follow_context(const object::LinkedProgram& program, std::span<const Binding> bindings,
                            std::span<const MapSizes> maps, const ContextVisitor& visit) {
    Flow flow(program, bindings, maps);
    SKEP_TRY(flow.prepare());
    SKEP_TRY(flow.solve());
    return flow.visit(visit);
}

}  // namespace skep
