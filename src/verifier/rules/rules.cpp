// SPDX-License-Identifier: Apache-2.0
#include "verifier/rules/rules.hpp"

#include "platform/context.hpp"
#include "verifier/rules/executor.hpp"

namespace skep::verifier {

bool Executor::fail(Rule rule, std::string what, int reg, std::string needs, std::string known, std::string hint) {
    Failure failure;
    failure.rule = rule;
    failure.insn = at_;
    failure.reg = reg;
    failure.certain = !s.lossy;
    failure.what = std::move(what);
    failure.needs = std::move(needs);
    failure.known = std::move(known);
    failure.hint = std::move(hint);
    out_.failure = std::move(failure);
    out_.flow = Flow::Failed;
    return false;
}

bool Executor::read(unsigned reg, Val& v, const char* role) {
    if (!s.is_set(reg)) {
        return fail(
            role != nullptr ? Rule::UnsetRegister : Rule::UnsetRegister,
            "r" + std::to_string(reg) + (role != nullptr ? std::string(" (") + role + ")" : std::string()) +
                " has no value here",
            static_cast<int>(reg), "a value written before, on every way", {},
            reg >= 1 && reg <= 5 ? "calls leave nothing in r1 to r5; keep values in r6 to r9 or on the stack" : "");
    }
    v = s.reg(reg);
    return true;
}

std::string Executor::describe(const Val& v) const { return skep::verifier::describe(subject_, s, v); }

namespace {

/// Whether an instruction changes r10, which nobody may.
bool writes_frame_register(const isa::Insn& insn) {
    return (isa::writes_of(insn) & isa::register_bit(isa::frame_register)) != 0;
}

}  // namespace

void Executor::run() {
    if (s.at.phase == Phase::CallbackHead) {
        callback_round();
        return;
    }
    if (writes_frame_register(insn_)) {
        fail(Rule::FramePointerWritten, "r10 is read-only", isa::frame_register);
        return;
    }
    using isa::Operation;
    if (row_.is_alu()) {
        arithmetic();
        return;
    }
    switch (row_.operation) {
        case Operation::Jump:
        SKEP_CASES_CONDITIONAL_JUMPS:
        case Operation::MayGoto: jump(); return;
        case Operation::Call: call_helper(); return;
        case Operation::CallLocal: call_local(); return;
        case Operation::CallKfunc:
            fail(Rule::NotModelled, "calls of kernel functions (kfuncs) are not modelled");
            return;
        case Operation::CallX: fail(Rule::NotModelled, "calls through a register are not modelled"); return;
        case Operation::Exit:
            leave();
            return;
        SKEP_CASES_WIDE_LOADS:
            wide_load();
            return;
        case Operation::Load:
        case Operation::LoadSigned:
        case Operation::LoadAcquire: load(); return;
        case Operation::Store:
        case Operation::StoreRelease: store(); return;
        case Operation::LoadPacket:
            packet_load();
            return;
        SKEP_CASES_ATOMICS:
            atomic();
            return;
        case Operation::Add:
        case Operation::Sub:
        case Operation::Mul:
        case Operation::Div:
        case Operation::Sdiv:
        case Operation::Or:
        case Operation::And:
        case Operation::Lsh:
        case Operation::Rsh:
        case Operation::Neg:
        case Operation::Mod:
        case Operation::Smod:
        case Operation::Xor:
        case Operation::Mov:
        case Operation::Movsx8:
        case Operation::Movsx16:
        case Operation::Movsx32:
        case Operation::Arsh:
        SKEP_CASES_BYTE_ORDER:
        case Operation::AddrSpaceCast: break;  // is_alu() above
    }
}

Outcome Rules::step(State& s, const isa::Insn& insn) const {
    Outcome out;
    Executor(subject_, s, insn, out).run();
    return out;
}

State Rules::entry_state() const {
    State s;
    Region stack;
    stack.kind = RegionKind::Stack;
    Frame frame;
    frame.base = new_region(s, stack, no_insn);
    s.frames.push_back(frame);
    Region context;
    context.kind = RegionKind::Context;
    s.set_reg(1, Val::symbol(new_region(s, context, no_insn)));
    s.at = {0, Phase::Normal};
    return s;
}

State Rules::callback_state(uint16_t function, uint16_t map) const {
    State s;
    Region stack;
    stack.kind = RegionKind::Stack;
    Frame frame;
    frame.function = function;
    frame.base = new_region(s, stack, no_insn);
    s.frames.push_back(frame);
    const isa::Insn none{};
    Outcome out;
    s.at = {subject_.linked().subprograms[function].start, Phase::Normal};
    Executor(subject_, s, none, out).give_element(map);
    return s;
}

std::string describe(const Num& n) {
    if (n.is_constant()) return std::to_string(static_cast<int64_t>(n.umin()));
    const bool is_signed = n.umax() == UINT64_MAX || (n.umin() >> 63) != (n.umax() >> 63);
    if (is_signed && smin_of(n) == INT64_MIN && smax_of(n) == INT64_MAX) return "any number";
    return is_signed ? std::to_string(smin_of(n)) + ".." + std::to_string(smax_of(n))
                     : std::to_string(n.umin()) + ".." + std::to_string(n.umax());
}

std::string describe(const Subject& subject, const State& s, const Val& v) {
    const auto pointer = pointer_of(s, v);
    if (!pointer) {
        if (is_tainted(s, v)) return "a number made of addresses";
        const Num n = number_of(s, v);
        const std::string text = describe(n);
        return n.is_constant() ? "the number " + text : text == "any number" ? text : "a number, " + text;
    }
    const Region& region = s[pointer->base].region;
    std::string name;
    switch (region.kind) {
        case RegionKind::None: name = "number"; break;
        case RegionKind::Context: name = "the context"; break;
        case RegionKind::Stack: name = region.frame + 1u == s.frames.size() ? "r10" : "a caller's stack"; break;
        case RegionKind::Packet: name = "the packet"; break;
        case RegionKind::MapValue: name = "a value of map `" + subject.maps[region.map].name + "`"; break;
        case RegionKind::MapKey: name = "a key of map `" + subject.maps[region.map].name + "`"; break;
        case RegionKind::Memory: name = "memory of " + std::to_string(region.size) + " bytes"; break;
        case RegionKind::Map: name = "map `" + subject.maps[region.map].name + "`"; break;
        case RegionKind::Function: name = "function `" + subject.linked().subprograms[region.map].name + "`"; break;
        case RegionKind::Object:
            name = platform::context_type_name(static_cast<platform::ContextKind>(region.type),
                                               platform::Personality::Linux);
            break;
    }
    const Num offset = number_of(s, pointer->offset);
    if (!offset.is_constant()) {
        name += " + " + describe(offset);
    } else if (offset.umin() != 0) {
        const int64_t k = static_cast<int64_t>(offset.umin());
        name += k < 0 ? " - " + std::to_string(-k) : " + " + std::to_string(k);
    }
    if (region.nullable) name += " or null";
    if (!region.alive) name += " (no longer valid)";
    return name;
}

}  // namespace skep::verifier
