// SPDX-License-Identifier: Apache-2.0
#include "support/diff_generator.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "isa/insn.hpp"
#include "platform/helper.hpp"

namespace skep::testing {

namespace {

using isa::Form;
using isa::Insn;
using isa::Op;
using isa::Operation;
using platform::HelperId;

constexpr int context_half = diff_context_bytes / 2;
constexpr int stack_low = -96;   // the program's own bytes: [stack_low, stack_high)
constexpr int stack_high = -32;  // above: the context's address, loop counters, a spilled register
constexpr int context_slot = -8;
constexpr int spill_slot = -16;
constexpr int counter_slots = -24;  // and -32
constexpr unsigned max_functions = 3;
constexpr unsigned max_loop_depth = 2;

/// What is known of a register.
struct State {
    enum class Kind : uint8_t {
        Number,   ///< the same in every engine; addresses of the context and of map values are
        Context,  ///< the context's address + offset
        Stack,    ///< r10 + offset
        Value,    ///< a map value's address + offset
        Junk,     ///< not to be read
    } kind = Kind::Junk;
    int offset = 0;

    bool operator==(const State&) const = default;
    bool is_number() const { return kind != Kind::Stack && kind != Kind::Junk; }
    bool is_pointer() const { return kind == Kind::Context || kind == Kind::Stack || kind == Kind::Value; }
};
using States = std::array<State, 11>;

constexpr State number{State::Kind::Number, 0};

class Generator {
  public:
    explicit Generator(Choices& choices) : choices_(choices) {}

    BoundProgram make() {
        functions_ = 1 + choices_.below(max_functions);
        std::vector<isa::InsnIndex> starts;
        for (current_ = 0; current_ < functions_; ++current_) {
            starts.push_back(here());
            function();
        }
        for (const auto& [at, callee] : calls_)
            code_[at].imm = static_cast<int32_t>(starts[callee]) - static_cast<int32_t>(at) - 1;
        BoundProgram program;
        program.linked.name = "diff";
        for (size_t i = 0; i < starts.size(); ++i) {
            const isa::InsnIndex end = i + 1 < starts.size() ? starts[i + 1] : here();
            program.linked.subprograms.push_back({.name = "f", .start = starts[i], .end = end});
        }
        program.linked.maps = {0};
        program.linked.code = std::move(code_);
        bindings_.resize(program.linked.code.size());
        program.bindings = std::move(bindings_);
        program.maps = {{.map = 0, .type = platform::MapType::Array}};
        return program;
    }

  private:
    isa::InsnIndex here() const { return static_cast<isa::InsnIndex>(code_.size()); }
    void emit(const Insn& insn) { isa::append(code_, insn); }
    void call(HelperId helper) {
        bindings_.resize(here() + 1);
        bindings_[here()].kind = BindingKind::Helper;
        bindings_[here()].helper = static_cast<uint16_t>(helper);
        emit({.op = Op::Call, .imm = static_cast<int32_t>(platform::helper(helper).linux_id)});
        after_call();
    }
    void after_call() {
        for (size_t reg = 1; reg <= 5; ++reg) states_[reg] = {};
        states_[0] = number;
    }

    int32_t constant() {
        static constexpr int32_t edges[] = {0,  1,  2,  3,   5,    7,    8,     9,          15,        16,
                                            31, 32, 33, 63,  64,   100,  127,   128,        255,       256,
                                            -1, -2, -8, -16, -128, -129, 65535, 0x7fffffff, INT32_MIN, 1000003};
        if (choices_.chance(3)) return static_cast<int32_t>(choices_.word());
        return edges[choices_.below(std::size(edges))];
    }
    /// A register that may be written here: not one a loop holds on to.
    uint8_t any_target() {
        auto reg = static_cast<uint8_t>(choices_.below(10));
        while (pinned_ >> reg & 1) reg = static_cast<uint8_t>((reg + 1) % 10);
        return reg;
    }
    /// A register with a number; one is made if the first few tries find none.
    uint8_t any_number() {
        for (int tries = 0; tries < 4; ++tries) {
            const auto reg = static_cast<uint8_t>(choices_.below(10));
            if (states_[reg].is_number()) return reg;
        }
        const uint8_t reg = any_target();
        if (!states_[reg].is_number()) {
            emit({.op = Op::Mov64K, .dst = reg, .imm = constant()});
            states_[reg] = number;
        }
        return reg;
    }
    /// The same, and it may be written.
    uint8_t any_number_target() {
        const uint8_t reg = any_target();
        if (!states_[reg].is_number()) {
            emit({.op = choices_.chance(2) ? Op::Mov64K : Op::Mov32K, .dst = reg, .imm = constant()});
            states_[reg] = number;
        }
        return reg;
    }
    /// A pointer with `bytes` bytes at register + *offset.
    uint8_t any_pointer(unsigned bytes, int16_t* offset, bool aligned) {
        uint8_t reg = 10;
        for (int tries = 0; tries < 4; ++tries) {
            const auto candidate = static_cast<uint8_t>(choices_.below(11));
            if (states_[candidate].is_pointer()) {
                reg = candidate;
                break;
            }
        }
        if (reg == 10 && choices_.chance(2)) {
            reg = any_target();
            emit({.op = Op::LdxDw, .dst = reg, .src = 10, .offset = context_slot});
            states_[reg] = {State::Kind::Context, 0};
            if (choices_.chance(2)) {
                const int move = static_cast<int>(choices_.below(64));
                emit({.op = Op::Add64K, .dst = reg, .imm = move});
                states_[reg].offset = move;
            }
        }
        int low = 0, high = context_half;
        if (states_[reg].kind == State::Kind::Stack) low = stack_low, high = stack_high;
        if (states_[reg].kind == State::Kind::Value) high = diff_map_value_bytes;
        int at = low + static_cast<int>(choices_.below(static_cast<uint32_t>(high - low) - bytes + 1));
        if (aligned) at &= ~static_cast<int>(bytes - 1);  // low is a multiple of 8
        *offset = static_cast<int16_t>(at - states_[reg].offset);
        return reg;
    }

    // ---- single instructions

    const isa::Row& any_row(Form form) {
        static const auto by_form = [] {
            std::array<std::vector<const isa::Row*>, 32> lists;
            for (const isa::Row& row : isa::rows()) lists[static_cast<size_t>(row.form)].push_back(&row);
            return lists;
        }();
        const auto& rows = by_form[static_cast<size_t>(form)];
        return *rows[choices_.below(static_cast<uint32_t>(rows.size()))];
    }

    void arithmetic() {
        static constexpr Form forms[] = {Form::DstImm, Form::DstSrc, Form::DstImm, Form::DstSrc,
                                         Form::MovImm, Form::MovSrc, Form::Dst,    Form::MovSrcImm};
        const isa::Row& row = any_row(forms[choices_.below(std::size(forms))]);
        Insn insn{.op = row.op, .imm = constant()};
        if (row.form == Form::MovSrcImm) insn.imm = choices_.chance(2) ? 1 : 1 << 16;
        if (row.form == Form::Dst) insn.imm = 0;
        if (row.has_src()) insn.src = any_number();
        const bool reads = row.form == Form::DstImm || row.form == Form::DstSrc || row.form == Form::Dst;
        insn.dst = reads ? any_number_target() : any_target();
        if (row.has_src() && !states_[insn.src].is_number()) insn.src = insn.dst;
        if (row.has_src() && !states_[insn.src].is_number()) return;
        emit(insn);
        states_[insn.dst] = number;
    }
    void pointer_move() {
        const auto source = static_cast<uint8_t>(choices_.below(11));
        if (!states_[source].is_pointer()) return;
        const uint8_t target = any_target();
        emit({.op = Op::Mov64X, .dst = target, .src = source});
        states_[target] = states_[source];
        if (choices_.chance(2)) {
            const int move = static_cast<int>(choices_.below(40)) - 20;
            const bool up = choices_.chance(2);
            emit({.op = up ? Op::Add64K : Op::Sub64K, .dst = target, .imm = up ? move : -move});
            states_[target].offset += move;
        }
    }
    void memory() {
        static constexpr Form forms[] = {Form::LoadMem, Form::LoadMem,     Form::StoreImm,     Form::StoreSrc,
                                         Form::Atomic,  Form::AtomicFetch, Form::AtomicCmpxchg};
        const isa::Row& row = any_row(forms[choices_.below(std::size(forms))]);
        const bool ordered = row.operation == Operation::LoadAcquire || row.operation == Operation::StoreRelease;
        if (row.form == Form::AtomicCmpxchg && (!states_[0].is_number() || (pinned_ & 1))) return;
        Insn insn{.op = row.op};
        if (row.form == Form::StoreImm) insn.imm = constant();
        if (row.form == Form::StoreSrc || row.form == Form::Atomic || row.form == Form::AtomicCmpxchg)
            insn.src = any_number();
        if (row.form == Form::AtomicFetch) insn.src = any_number_target();
        const uint8_t pointer = any_pointer(row.access_bytes(), &insn.offset, row.is_atomic() || ordered);
        if (row.form == Form::LoadMem) {
            insn.src = pointer;
            insn.dst = any_target();
            emit(insn);
            states_[insn.dst] = number;
            return;
        }
        insn.dst = pointer;
        // Bringing a pointer into a register may have taken the operand's.
        if (row.has_src() && !states_[insn.src].is_number()) return;
        emit(insn);
        if (row.form == Form::AtomicFetch) states_[insn.src] = number;
        if (row.form == Form::AtomicCmpxchg) states_[0] = number;
    }
    void wide() {
        const uint8_t target = any_target();
        Insn insn{.op = Op::LdImm64, .dst = target};
        insn.set_imm64(choices_.word() >> choices_.below(64));
        emit(insn);
        states_[target] = number;
    }

    // ---- what engines fold

    void idiom() {
        const uint8_t a = any_number(), b = any_target();
        if (a == b || (pinned_ >> a & 1)) return;
        const bool w32 = choices_.chance(2);
        const int bits = w32 ? 32 : 64;
        const Op mov = w32 ? Op::Mov32X : Op::Mov64X, left = w32 ? Op::Lsh32K : Op::Lsh64K,
                 right = w32 ? Op::Rsh32K : Op::Rsh64K, arithmetic_right = w32 ? Op::Arsh32K : Op::Arsh64K;
        switch (choices_.below(6)) {
            case 0: {  // rotation
                const int k = 1 + static_cast<int>(choices_.below(static_cast<uint32_t>(bits - 1)));
                static constexpr Op joins64[] = {Op::Or64X, Op::Xor64X, Op::Add64X};
                static constexpr Op joins32[] = {Op::Or32X, Op::Xor32X, Op::Add32X};
                const uint32_t join = choices_.below(3);
                emit({.op = mov, .dst = b, .src = a});
                states_[b] = number;
                if (choices_.chance(2)) {
                    emit({.op = right, .dst = b, .imm = bits - k});
                    if (choices_.chance(4)) arithmetic();
                    emit({.op = left, .dst = a, .imm = k});
                } else {
                    emit({.op = left, .dst = b, .imm = k});
                    if (choices_.chance(4)) arithmetic();
                    emit({.op = right, .dst = a, .imm = bits - k});
                }
                const bool into_a = choices_.chance(2);
                if (!states_[a].is_number() || !states_[b].is_number()) return;
                emit({.op = w32 ? joins32[join] : joins64[join], .dst = into_a ? a : b, .src = into_a ? b : a});
                states_[a] = states_[b] = number;
                return;
            }
            case 1: {  // extension by two shifts
                static constexpr int kept[] = {8, 16, 32};
                const int up = bits - kept[choices_.below(w32 ? 2 : 3)];
                emit({.op = left, .dst = a, .imm = up});
                if (choices_.chance(4)) arithmetic();
                if (!states_[a].is_number()) return;
                emit({.op = choices_.chance(2) ? right : arithmetic_right,
                      .dst = a,
                      .imm = up - static_cast<int>(choices_.below(4))});
                states_[a] = number;
                return;
            }
            case 2: {  // an element of an array in the context
                const int shift = static_cast<int>(choices_.below(4));
                emit({.op = Op::And64K, .dst = a, .imm = 7});
                if (choices_.chance(2)) emit({.op = Op::Mov32X, .dst = a, .src = a});
                emit({.op = Op::Lsh64K, .dst = a, .imm = shift});
                emit({.op = Op::LdxDw, .dst = b, .src = 10, .offset = context_slot});
                emit({.op = Op::Add64X, .dst = b, .src = a});
                emit({.op = choices_.chance(2) ? Op::LdxDw : Op::LdxB, .dst = b, .src = b, .offset = 16});
                states_[a] = states_[b] = number;
                return;
            }
            case 3: {  // a field in network order
                static constexpr Op loads[] = {Op::LdxH, Op::LdxW, Op::LdxDw}, swaps[] = {Op::Be16, Op::Be32, Op::Be64};
                const uint32_t size = choices_.below(3);
                Insn insn{.op = loads[size], .dst = b};
                insn.src = any_pointer(2u << size, &insn.offset, false);
                if (pinned_ >> b & 1) return;
                emit(insn);
                states_[b] = number;
                emit({.op = swaps[choices_.chance(4) ? choices_.below(3) : size], .dst = b});
                return;
            }
            case 4: {  // a key built of constants
                int at = stack_low + 8 * static_cast<int>(choices_.below((stack_high - stack_low) / 8));
                const int end = at + 8;
                while (at < end) {
                    static constexpr Op stores[] = {Op::StB, Op::StH, Op::StW};
                    const uint32_t size = choices_.below(3);
                    if (at + (1 << size) > end) continue;
                    emit({.op = stores[size], .dst = 10, .offset = static_cast<int16_t>(at), .imm = constant()});
                    at += 1 << size;
                    if (choices_.chance(6)) memory();
                }
                return;
            }
            default: {  // the lower half, extended
                emit({.op = Op::Mov32X, .dst = b, .src = a});
                if (choices_.chance(2)) emit({.op = Op::Add64K, .dst = b, .imm = constant()});
                if (choices_.chance(2)) emit({.op = Op::Lsh64K, .dst = b, .imm = static_cast<int>(choices_.below(4))});
                emit({.op = Op::Add64X, .dst = a, .src = b});
                states_[a] = states_[b] = number;
                return;
            }
        }
    }

    // ---- control

    static States join(const States& a, const States& b) {
        States out;
        for (size_t reg = 0; reg < out.size(); ++reg) {
            if (a[reg] == b[reg])
                out[reg] = a[reg];
            else if (a[reg].is_number() && b[reg].is_number())
                out[reg] = number;
        }
        return out;
    }
    void patch(isa::InsnIndex at) { code_[at].offset = static_cast<int16_t>(here() - at - 1); }

    void branch(unsigned depth) {
        if (choices_.chance(12)) {
            const isa::InsnIndex at = here();
            emit({.op = Op::MayGoto});
            const States before = states_;
            block(depth + 1);
            states_ = join(before, states_);
            patch(at);
            return;
        }
        const isa::Row& row = any_row(choices_.chance(2) ? Form::JumpImm : Form::JumpSrc);
        Insn insn{.op = row.op, .dst = any_number(), .imm = row.form == Form::JumpImm ? constant() : 0};
        if (row.form == Form::JumpSrc) insn.src = any_number();
        if (!states_[insn.dst].is_number()) return;
        const isa::InsnIndex at = here();
        emit(insn);
        const States before = states_;
        if (choices_.chance(8)) {  // select: one move skipped
            const uint8_t reg = any_target();
            const bool copies = states_[insn.dst].is_number() && choices_.chance(2);
            if (copies)
                emit({.op = choices_.chance(2) ? Op::Mov64X : Op::Mov32X, .dst = reg, .src = insn.dst});
            else
                emit({.op = Op::Mov64K, .dst = reg, .imm = constant()});
            states_[reg] = number;
            states_ = join(before, states_);
            patch(at);
            return;
        }
        block(depth + 1);
        if (choices_.chance(2)) {
            const isa::InsnIndex end = here();
            const bool far = choices_.chance(4);
            emit({.op = far ? Op::JaLong : Op::Ja});
            const States first = states_;
            patch(at);
            states_ = before;
            block(depth + 1);
            states_ = join(first, states_);
            if (far)
                code_[end].imm = static_cast<int32_t>(here() - end - 1);
            else
                patch(end);
        } else {
            states_ = join(before, states_);
            patch(at);
        }
    }

    void loop(unsigned depth) {
        if (loop_depth_ >= max_loop_depth) return;
        const int times = 1 + static_cast<int>(choices_.below(4));
        const unsigned pinned_before = pinned_;
        // The counter is a register that the body keeps, or a slot of the stack.
        const bool in_register = choices_.chance(2) && std::popcount(pinned_) < 3;
        uint8_t counter = 0;
        const auto slot = static_cast<int16_t>(counter_slots - 8 * static_cast<int>(loop_depth_));
        if (in_register) {
            counter = static_cast<uint8_t>(6 + choices_.below(4));
            while (pinned_ >> counter & 1) counter = static_cast<uint8_t>(6 + (counter - 5) % 4);
            emit({.op = Op::Mov64K, .dst = counter, .imm = times});
            pinned_ |= 1u << counter;
            states_[counter] = number;
        } else {
            emit({.op = Op::StDw, .dst = 10, .offset = slot, .imm = times});
        }
        // What the body may rely on holds in every round: numbers stay numbers if they are made to at its end.
        const States entry = states_;
        for (size_t reg = 0; reg < 10; ++reg)
            if (states_[reg].is_pointer() && !(pinned_ >> reg & 1))
                states_[reg] = states_[reg].is_number() ? number : State{};
        const States head_states = states_;
        const isa::InsnIndex head = here();
        ++loop_depth_;
        block(depth + 1);
        --loop_depth_;
        for (uint8_t reg = 0; reg < 10; ++reg)
            if (head_states[reg].is_number() && !states_[reg].is_number()) {
                emit({.op = Op::Mov64K, .dst = reg, .imm = 1});
                states_[reg] = number;
            }
        if (in_register) {
            emit({.op = Op::Add64K, .dst = counter, .imm = -1});
            const bool w32 = choices_.chance(2);
            emit({.op = w32 ? Op::Jne32K : Op::Jne64K, .dst = counter});
        } else {
            uint8_t reg = any_target();
            emit({.op = Op::LdxDw, .dst = reg, .src = 10, .offset = slot});
            emit({.op = Op::Sub64K, .dst = reg, .imm = 1});
            emit({.op = Op::StxDw, .dst = 10, .src = reg, .offset = slot});
            states_[reg] = number;
            emit({.op = Op::Jne64K, .dst = reg});
        }
        code_.back().offset = static_cast<int16_t>(static_cast<int32_t>(head) - static_cast<int32_t>(here()));
        pinned_ = pinned_before;
        // After at least one round.
        for (size_t reg = 0; reg < 10; ++reg)
            if (states_[reg].is_pointer() && !(states_[reg] == entry[reg] && (pinned_ >> reg & 1)))
                states_[reg] = states_[reg].is_number() ? number : State{};
    }

    void prepare_arguments(unsigned first) {
        for (uint8_t reg = static_cast<uint8_t>(first); reg <= 5; ++reg) {
            if (states_[reg].is_number()) continue;
            emit({.op = Op::Mov64K, .dst = reg, .imm = constant()});
            states_[reg] = number;
        }
    }
    bool pinned_arguments() const { return (pinned_ & 0x3f) != 0; }

    void call_something() {
        if (pinned_arguments()) return;
        const bool callees = current_ + 1 < functions_;
        switch (choices_.below(5)) {
            case 0:
                prepare_arguments(1);
                call(HelperId::CsumDiff);
                return;
            case 1: return lookup();
            case 2: {
                if (choices_.chance(2)) return packet();
                prepare_arguments(1);
                call(HelperId::CsumDiff);
                return;
            }
            case 3: {  // a function, directly or by its number
                if (!callees) return;
                const unsigned callee = current_ + 1 + choices_.below(functions_ - current_ - 1);
                prepare_arguments(2);
                emit({.op = Op::LdxDw, .dst = 1, .src = 10, .offset = context_slot});
                if (choices_.chance(3)) {
                    const auto reg = static_cast<uint8_t>(choices_.chance(2) ? 0 : 6);
                    if (pinned_ >> reg & 1) return;
                    calls_.push_back({here(), callee});
                    emit({.op = Op::LdFunc, .dst = reg});
                    emit({.op = Op::CallX, .dst = reg});
                    states_[reg] = number;
                } else {
                    calls_.push_back({here(), callee});
                    emit({.op = Op::CallLocal});
                }
                after_call();
                return;
            }
            default: {  // a callback
                if (!callees) return;
                const unsigned callee = current_ + 1 + choices_.below(functions_ - current_ - 1);
                calls_.push_back({here(), callee});
                emit({.op = Op::LdFunc, .dst = 1});
                emit({.op = Op::Mov64K, .dst = 2, .imm = static_cast<int>(choices_.below(4))});
                emit({.op = Op::LdxDw, .dst = 3, .src = 10, .offset = context_slot});
                prepare_arguments(4);
                call(HelperId::Loop);
                return;
            }
        }
    }
    void packet() {
        if (!states_[6].is_number()) {
            if (pinned_ >> 6 & 1) return;
            emit({.op = Op::Mov64K, .dst = 6, .imm = 0});
            states_[6] = number;
        }
        const isa::Row& row = any_row(choices_.chance(2) ? Form::PacketAbs : Form::PacketInd);
        Insn insn{.op = row.op, .imm = static_cast<int>(choices_.below(60))};
        if (row.form == Form::PacketInd) {
            insn.src = any_number_target();
            emit({.op = Op::And64K, .dst = insn.src, .imm = 15});
            states_[insn.src] = number;
        }
        bindings_.resize(here() + 1);
        emit(insn);
        after_call();
    }
    void lookup() {
        const auto key =
            static_cast<int16_t>(stack_low + 4 * static_cast<int>(choices_.below((stack_high - stack_low) / 4)));
        switch (choices_.below(3)) {
            case 0: emit({.op = Op::StW, .dst = 10, .offset = key, .imm = static_cast<int>(choices_.below(7))}); break;
            case 1: {
                const uint8_t reg = any_number_target();
                emit({.op = Op::And64K, .dst = reg, .imm = 7});
                emit({.op = Op::StxW, .dst = 10, .src = reg, .offset = key});
                states_[reg] = number;
                break;
            }
            default: break;  // whatever lies there
        }
        emit({.op = Op::LdMapFd, .dst = 1});
        emit({.op = Op::Mov64X, .dst = 2, .src = 10});
        emit({.op = Op::Add64K, .dst = 2, .imm = key});
        call(HelperId::MapLookupElem);
        const isa::InsnIndex at = here();
        const bool other_way = choices_.chance(4);
        isa::InsnIndex skip = 0;
        if (other_way) {
            emit({.op = Op::Jne64K, .dst = 0, .offset = 1});
            skip = here();
            emit({.op = Op::Ja});
        } else {
            emit({.op = Op::Jeq64K, .dst = 0});
        }
        const States before = states_;
        states_[0] = {State::Kind::Value, 0};
        for (uint32_t i = choices_.below(4); i > 0; --i) memory();
        states_ = join(before, states_);
        for (State& state : states_)
            if (state.kind == State::Kind::Value) state = number;
        patch(other_way ? skip : at);
    }

    void block(unsigned depth) {
        const uint32_t count = 1 + choices_.below(depth == 0 ? 14 : 6);
        for (uint32_t i = 0; i < count && here() < 400; ++i) {
            switch (choices_.below(16)) {
                case 0:
                case 1:
                case 2:
                case 3:
                case 4: arithmetic(); break;
                case 5:
                case 6:
                case 7: memory(); break;
                case 8: pointer_move(); break;
                case 9: wide(); break;
                case 10:
                case 11: idiom(); break;
                case 12:
                case 13:
                    if (depth < 4) branch(depth);
                    break;
                case 14:
                    if (depth < 3) loop(depth);
                    break;
                default: call_something(); break;
            }
        }
    }

    void function() {
        states_ = {};
        pinned_ = 0;
        states_[10] = {State::Kind::Stack, 0};
        states_[1] = {State::Kind::Context, 0};
        if (current_ != 0) {
            for (size_t reg = 2; reg <= 5; ++reg) states_[reg] = number;
            // A callback gets the context in r2: swap it in where the number of a round is no address.
            emit({.op = Op::Jgt64K, .dst = 1, .offset = 1, .imm = 100});
            emit({.op = Op::Mov64X, .dst = 1, .src = 2});
        }
        emit({.op = Op::StxDw, .dst = 10, .src = 1, .offset = context_slot});
        for (int at = stack_low; at < stack_high; at += 8)
            emit({.op = Op::StDw, .dst = 10, .offset = static_cast<int16_t>(at), .imm = constant()});
        for (uint8_t reg : {0, 2, 3, 4, 5, 6, 7, 8, 9}) {
            if (states_[reg].is_number()) continue;
            if (choices_.chance(3)) continue;  // stays junk
            if (choices_.chance(3))
                emit({.op = Op::LdxDw, .dst = reg, .src = 1, .offset = static_cast<int16_t>(8 * choices_.below(16))});
            else
                emit({.op = Op::Mov64K, .dst = reg, .imm = constant()});
            states_[reg] = number;
        }
        block(0);
        if (choices_.chance(2)) block(0);
        leave();
    }

    /// Every number goes to the context's second half; r0 is one of them.
    void leave() {
        const bool nine = states_[9].is_number();
        if (nine) emit({.op = Op::StxDw, .dst = 10, .src = 9, .offset = spill_slot});
        emit({.op = Op::LdxDw, .dst = 9, .src = 10, .offset = context_slot});
        for (uint8_t reg = 0; reg < 9; ++reg) {
            if (!states_[reg].is_number()) continue;
            emit({.op = Op::StxDw,
                  .dst = 9,
                  .src = reg,
                  .offset = static_cast<int16_t>(context_half + 80 * static_cast<int>(current_) + 8 * reg)});
        }
        if (nine) {
            emit({.op = Op::LdxDw, .dst = 1, .src = 10, .offset = spill_slot});
            emit({.op = Op::StxDw,
                  .dst = 9,
                  .src = 1,
                  .offset = static_cast<int16_t>(context_half + 80 * static_cast<int>(current_) + 72)});
        }
        if (!states_[0].is_number()) emit({.op = Op::Mov64K, .dst = 0, .imm = 0});
        emit({.op = Op::Exit});
    }

    Choices& choices_;
    isa::Code code_;
    std::vector<Binding> bindings_;
    struct Call {
        isa::InsnIndex at;
        unsigned callee;
    };
    std::vector<Call> calls_;
    States states_;
    unsigned pinned_ = 0;  ///< registers that loops hold on to
    unsigned loop_depth_ = 0;
    unsigned functions_ = 1;
    unsigned current_ = 0;
};

}  // namespace

uint64_t Choices::word() {
    if (from_bytes_) {
        uint64_t value = 0;
        for (int i = 0; i < 8 && !bytes_.empty(); ++i) {
            value = value << 8 | bytes_.front();
            bytes_ = bytes_.subspan(1);
        }
        return value;
    }
    // splitmix64
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

uint32_t Choices::below(uint32_t bound) {
    if (!from_bytes_) return static_cast<uint32_t>((word() >> 32) % bound);
    // One byte is enough for most choices and keeps a fuzzer's mutations local.
    uint32_t value = 0;
    for (uint32_t left = bound - 1; left != 0 && !bytes_.empty(); left >>= 8) {
        value = value << 8 | bytes_.front();
        bytes_ = bytes_.subspan(1);
    }
    return value % bound;
}

BoundProgram make_diff_program(Choices& choices) { return Generator(choices).make(); }

}  // namespace skep::testing
