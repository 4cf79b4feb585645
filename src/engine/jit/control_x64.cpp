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

void Translator::conditional(uint32_t at, const Node& node) {
    flush_stores();
    if (const Fact* known = fact(at)) {
        if (known->branch_always) return jump(node.target, at);
        if (known->branch_never) return;
    }
    arrive(node.target);
    if (is_leader(at + 1)) arrive(at + 1);
    if (node.target == at + 1) return;

    const bool w32 = node.is32;
    const Width w = w32 ? Width::W32 : Width::W64;
    Cond cond = condition(node.operation);
    const bool test = node.operation == Operation::JumpSet;
    unsigned left = node.dst, right = node.src;
    std::optional<int32_t> imm;
    if (node.has_imm) {
        imm = node.imm;
    } else {
        imm = immediate(right, w32);
        if (!imm && immediate(left, w32)) {  // a constant goes to the right
            std::swap(left, right);
            cond = exchanged(cond);
            imm = immediate(right, w32);
        }
    }
    settle(left, w32, false);
    if (!imm) {
        settle(right, w32, false);
        settle(left, w32, false);
    }
    const Gp a = fetch(left, w32);
    if (imm) {
        if (*imm == 0 && !test)
            e_.alu(Alu::Test, w, a, a);
        else if (test && !w32 && *imm > 0)
            e_.alu_imm(Alu::Test, Width::W32, a, *imm);
        else
            e_.alu_imm(test ? Alu::Test : Alu::Cmp, w, a, *imm);
    } else {
        e_.alu(test ? Alu::Test : Alu::Cmp, w, a, fetch(right, w32));
    }
    e_.jump_if(cond, label_of(node.target));
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
