// SPDX-License-Identifier: Apache-2.0
// Jumps and exit (RFC 9669 section 4.3).
#include "engine/jit/translator_x64.hpp"

namespace skep::engine::jit {

namespace {

using isa::Operation;

Cond condition(Operation operation) {
    using enum Operation;
    if (operation == JumpEq) return Cond::Equal;
    if (operation == JumpNe || operation == JumpSet) return Cond::NotEqual;
    if (operation == JumpGt) return Cond::Above;
    if (operation == JumpGe) return Cond::AboveEqual;
    if (operation == JumpLt) return Cond::Below;
    if (operation == JumpLe) return Cond::BelowEqual;
    if (operation == JumpSgt) return Cond::Greater;
    if (operation == JumpSge) return Cond::GreaterEqual;
    if (operation == JumpSlt) return Cond::Less;
    return Cond::LessEqual;
}

/// The condition with its operands exchanged.
Cond exchanged(Cond cond) {
    switch (cond) {
        case Cond::Above: return Cond::Below;
        case Cond::AboveEqual: return Cond::BelowEqual;
        case Cond::Below: return Cond::Above;
        case Cond::BelowEqual: return Cond::AboveEqual;
        case Cond::Greater: return Cond::Less;
        case Cond::GreaterEqual: return Cond::LessEqual;
        case Cond::Less: return Cond::Greater;
        case Cond::LessEqual: return Cond::GreaterEqual;
        case Cond::Overflow:
        case Cond::NotOverflow:
        case Cond::Equal:
        case Cond::NotEqual:
        case Cond::Sign:
        case Cond::NotSign:
        case Cond::Parity:
        case Cond::NotParity: return cond;
    }
    return cond;
}

}  // namespace

Label Translator::label_of(uint32_t slot) {
    if (labels_[slot] == no_label) labels_[slot] = e_.new_label();
    return labels_[slot];
}

void Translator::jump(uint32_t target, uint32_t at) {
    flush_stores();
    arrive(target);
    if (target != at + 1) e_.jump(label_of(target));
}

/// Emits the comparison of a conditional jump; the condition under which it is taken. Requires: nothing that is flushed
/// after it is wanted.
Cond Translator::compare(const Node& node) {
    const bool w32 = node.is32;
    const Width w = w32 ? Width::W32 : Width::W64;
    const Operands operands = settle_operands(node);
    const bool test = node.operation == Operation::JumpSet;
    const Gp a = fetch(operands.left, w32);
    if (!operands.imm) {
        e_.alu(test ? Alu::Test : Alu::Cmp, w, a, fetch(operands.right, w32));
    } else if (*operands.imm == 0 && !test) {
        e_.alu(Alu::Test, w, a, a);
    } else if (test && !w32 && *operands.imm > 0) {
        e_.alu_imm(Alu::Test, Width::W32, a, *operands.imm);
    } else {
        e_.alu_imm(test ? Alu::Test : Alu::Cmp, w, a, *operands.imm);
    }
    return operands.cond;
}

/// Brings the operands of a comparison where compare() finds them without emitting anything more.
Translator::Operands Translator::settle_operands(const Node& node) {
    const bool w32 = node.is32;
    Operands out{.left = node.dst, .right = node.src, .imm = {}, .cond = condition(node.operation)};
    if (node.has_imm) {
        out.imm = node.imm;
    } else {
        out.imm = immediate(out.right, w32);
        if (!out.imm && immediate(out.left, w32)) {  // a constant goes to the right
            std::swap(out.left, out.right);
            out.cond = exchanged(out.cond);
            out.imm = immediate(out.right, w32);
        }
    }
    settle(out.left, w32, false);
    if (!out.imm) {
        settle(out.right, w32, false);
        settle(out.left, w32, false);
    }
    return out;
}

/// A jump over one move is a conditional move, as the C compiler meant it: `dst = taken ? dst : value`.
bool Translator::select(uint32_t at, const Node& node) {
    const uint32_t next = at + 1;
    if (is_leader(next)) return false;
    const Node& move = analysis_.nodes[next];
    if (move.operation != Operation::Mov) return false;
    bool jumps = false;
    if (node.target != at + 2) {
        if (is_leader(at + 2)) return false;
        const Node& second = analysis_.nodes[at + 2];
        if (second.operation != Operation::Jump || second.target != node.target) return false;
        jumps = true;
    }
    const HalfSet live = analysis_.live_in[node.target];
    const unsigned dst = move.dst;
    const auto finish = [&] {
        next_ = jumps ? at + 3 : at + 2;
        if (jumps) jump(node.target, at + 2);
        skip_unreachable_ = jumps;
        return true;
    };
    if ((live & both_halves(dst)) == 0) {
        arrive(node.target);
        return finish();
    }

    // Constants 0 and 1: the condition itself.
    const auto constant_of = [&](unsigned reg) -> std::optional<uint64_t> {
        if (!(put_off_ >> reg & 1) || value_[reg].kind != Value::Kind::Const) return std::nullopt;
        return value_[reg].constant;
    };
    const std::optional<uint64_t> taken = constant_of(dst);
    std::optional<uint64_t> other = constant_of(move.src);
    if (move.has_imm)
        other = move.is32 ? static_cast<uint32_t>(move.imm) : static_cast<uint64_t>(int64_t{move.imm});
    else if (other && move.is32)
        other = static_cast<uint32_t>(*other);
    const bool boolean = taken && other && *taken <= 1 && *other <= 1 && *taken != *other;
    needed_ |= live;
    if (boolean) {
        flush_live(live & ~both_halves(dst));
        // As a constant it would be compared without its home; but its home is what setcc is about to make.
        const bool is_operand = dst == node.dst || (!node.has_imm && dst == node.src);
        settle_operands(node);
        if (!is_operand) {
            define(dst);
            set_home(dst, true);
            const Operands operands = settle_operands(node);
            const Gp gp = home(dst);
            const bool compared =
                fetch(operands.left, node.is32) == gp || (!operands.imm && fetch(operands.right, node.is32) == gp);
            if (!compared) e_.zero(gp);
            const Cond cond = compare(node);
            e_.setcc(*taken == 1 ? cond : negate(cond), gp);
            if (compared) e_.zero_extend(Width::W8, gp, gp);
            return finish();
        }
    }
    arrive(node.target);
    Gp source = abi_.scratch[0];
    const bool upper_matters = (live & high_half(dst)) != 0;
    Width w = Width::W64;
    if (!move.has_imm && !other) settle(move.src, move.is32, false);
    settle_operands(node);
    define(dst);
    flush(dst);
    settle_operands(node);
    if (!move.has_imm && !other) settle(move.src, move.is32, false);
    if (other) {
        if (!upper_matters) w = Width::W32;
        load_const(source, w == Width::W32 ? static_cast<uint32_t>(*other) : *other);
    } else if (!move.is32) {
        source = fetch(move.src, false);
    } else if (!upper_matters || upper_zero(dst)) {
        source = fetch(move.src, true);
        w = Width::W32;
    } else {
        e_.mov(Width::W32, source, fetch(move.src, true));
    }
    const bool zero = upper_zero(dst) && (w == Width::W32 || move.is32 || (other && *other <= UINT32_MAX));
    const Cond cond = compare(node);
    e_.cmov(negate(cond), w, home(dst), source);
    set_home(dst, zero);
    return finish();
}

void Translator::conditional(uint32_t at, const Node& node) {
    flush_stores();
    if (const Fact* known = fact(at)) {
        if (known->branch_always) return jump(node.target, at);
        if (known->branch_never) return;
    }
    if (select(at, node)) return;
    uint32_t target = node.target;
    bool inverted = false;
    if (target == at + 2 && !is_leader(at + 1) && analysis_.nodes[at + 1].operation == Operation::Jump) {
        // A jump over a jump is the second one under the opposite condition.
        target = analysis_.nodes[at + 1].target;
        inverted = true;
        needed_ |= analysis_.live_in[target];
        next_ = at + 2;
    }
    arrive(target);
    if (is_leader(next_)) arrive(next_);
    if (target == next_) return;
    const Cond cond = compare(node);
    e_.jump_if(inverted ? negate(cond) : cond, label_of(target));
}

void Translator::may_goto(uint32_t at, const Node& node) {
    flush_stores();
    arrive(node.target);
    if (is_leader(at + 1)) arrive(at + 1);
    // Once below zero the budget stays there: 2^63 more executions do not fit into a life.
    e_.alu_store_imm(Alu::Sub, Width::W64, {Gp::Rsp, Gp::None, 0, static_cast<int32_t>(frame_.may_goto)}, 1);
    e_.jump_if(Cond::Sign, label_of(node.target));
}

void Translator::exit_program() {
    held_.mask = 0;  // the frame dies here
    flush(0);
    epilogue(frame_);
}

}  // namespace skep::engine::jit
