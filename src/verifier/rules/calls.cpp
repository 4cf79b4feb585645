// SPDX-License-Identifier: Apache-2.0
// Calls of the program's own functions, callbacks, and the ways out (design 2.4b, 2.8). Calls are followed: a frame is
// pushed, its callee executed with what is known of the caller.
#include "platform/limits.hpp"
#include "platform/program_type.hpp"
#include "verifier/rules/executor.hpp"

namespace skep::verifier {

namespace {
constexpr unsigned first_saved = 6;  // r6 to r9 are the caller's (RFC 9669 section 2)
}

/// Pushes a frame for `function`; r6 to r9 are put aside, the callee starts without them.
void Executor::push_frame(uint16_t function, FrameKind kind) {
    Frame frame;
    frame.function = function;
    frame.kind = kind;
    frame.call = at_;
    for (unsigned i = 0; i < frame.saved.size(); ++i) {
        if (!s.is_set(first_saved + i)) continue;
        frame.saved[i] = s.regs[first_saved + i];
        frame.saved_set = static_cast<uint8_t>(frame.saved_set | 1u << i);
        s.unset_reg(first_saved + i);
    }
    s.unset_reg(0);
    Region region;
    region.kind = RegionKind::Stack;
    region.frame = static_cast<uint16_t>(s.frames.size());
    frame.base = new_region(s, region, at_);
    s.frames.push_back(std::move(frame));
    s.at = {subject_.linked().subprograms[function].start, Phase::Normal};
}

/// Undoes push_frame: the caller's r6 to r9 come back, r1 to r5 are gone, the callee's stack is no more.
void Executor::pop_frame() {
    Frame& frame = s.frames.back();
    s[frame.base].region.alive = false;
    for (unsigned i = 0; i < frame.saved.size(); ++i) {
        if ((frame.saved_set >> i & 1) != 0) {
            s.set_reg(first_saved + i, frame.saved[i]);
        } else {
            s.unset_reg(first_saved + i);
        }
    }
    for (unsigned r = 1; r < first_saved; ++r) s.unset_reg(r);
    s.frames.pop_back();
}

bool Executor::call_local() {
    if (s.frames.size() >= platform::limits::call_frames) {
        return fail(Rule::CallDepth, "the call would be number " + std::to_string(s.frames.size() + 1) +
                                         " in the chain, at most " + std::to_string(platform::limits::call_frames) +
                                         " are allowed");
    }
    const auto target = static_cast<isa::InsnIndex>(isa::target_of(insn_, at_));
    const uint16_t function = subject_.function_at(target);
    if (s.lock && subject_.linked().subprograms[function].global) {
        return fail(Rule::LockHeld, "a global function is called while the lock taken at instruction " +
                                        std::to_string(s.lock->taken) + " is held");
    }
    push_frame(function, FrameKind::Call);
    return true;
}

bool Executor::leave() {
    if (s.frames.size() == 1) return leave_program();
    const Frame& frame = s.frames.back();
    const isa::InsnIndex call = frame.call;
    if (frame.kind == FrameKind::Call) {
        if (s.is_set(0) && s.reg(0).mentions(frame.base)) {
            return fail(Rule::StackReturned, "r0 holds " + describe(s.reg(0)) + ", in the frame that ends here", 0);
        }
        pop_frame();
        s.at = {call + 1, Phase::Normal};
        return true;
    }
    Val result;
    if (!read(0, result, "the callback's return value")) return false;
    const Num n = number(result);
    if (is_tainted(s, result) || n.umax() > 1) {
        return fail(Rule::CallbackReturn, "the callback returns " + describe(result), 0, "0 (go on) or 1 (stop)",
                    describe(result));
    }
    // The helper goes on with its own work.
    if (s.lock && !nothing_held("end of the callback")) return false;
    pop_frame();
    s.unset_reg(0);
    s.at = {call, Phase::CallbackHead};
    out_.callback_round = true;
    return true;
}

void Executor::return_from_tail_call() {
    const isa::InsnIndex call = s.frames.back().call;
    kill_packets();
    pop_frame();
    write(0, fresh(Num::unknown()));
    s.at = {call + 1, Phase::Normal};
}

bool Executor::nothing_held(const char* where) {
    if (s.lock) {
        return fail(
            Rule::LockLeak,
            std::string("a lock taken at instruction ") + std::to_string(s.lock->taken) + " is held at the " + where,
            -1, {}, {}, "call bpf_spin_unlock() on every way");
    }
    if (s.references.empty()) return true;
    const Reference& open = s.references.front();
    fail(Rule::ReferenceLeak,
         "what instruction " + std::to_string(open.acquired) + " acquired (" + describe(Val::symbol(open.base)) +
             ") is not released at the " + where,
         -1, {}, {}, "release it on every way that ends here");
    failure().origin = open.acquired;
    return false;
}

bool Executor::leave_program() {
    if (!nothing_held("end of the program")) return false;
    Val result;
    if (!read(0, result, "the return value")) return false;
    if (s.frames.front().function != 0) {  // a timer's function, which nothing calls
        if (is_tainted(s, result) || number(result) != Num::constant(0))
            return fail(Rule::CallbackReturn, "the timer's function returns " + describe(result), 0, "0",
                        describe(result));
        out_.flow = Flow::Exit;
        return true;
    }
    const auto range =
        platform::result_range(subject_.program->type, subject_.program->attach, subject_.program->personality);
    if (is_tainted(s, result) && (!range.any || !subject_.options.allow_pointer_leaks)) {
        return fail(Rule::ReturnPointer, "r0 holds " + describe(result) + " at the end of the program", 0, "a number");
    }
    if (!range.any) {
        const Num n = number(result);
        if (smin_of(n) < range.min || smax_of(n) > range.max) {
            const std::string wanted = "[" + std::to_string(range.min) + ", " + std::to_string(range.max) + "]";
            return fail(Rule::ReturnRange, "the program returns " + describe(result), 0, "a number in " + wanted,
                        describe(result));
        }
    }
    out_.flow = Flow::Exit;
    return true;
}

/// Before each round of a helper that calls back: the helper may be done, or call once more. How often is bounded by
/// the loop's rounds; that this bound is used up is the checker's matter (Outcome::callback_round).
bool Executor::callback_round() {
    const CallbackLoop loop = s.callbacks.back();
    const Num rounds = number(loop.rounds);
    std::optional<State> entered;
    if (rounds.umax() != 0) {
        entered = s;
        Outcome inner_out;
        Executor inner(subject_, *entered, insn_, inner_out);
        inner.enter_callback(loop);
    }
    s.callbacks.pop_back();
    for (unsigned r = 1; r < first_saved; ++r) s.unset_reg(r);
    write(0, fresh(Num::unknown()));
    next();
    if (entered) {
        out_.other = std::move(entered);
        out_.flow = Flow::Fork;
    }
    return true;
}

/// The arguments as the kernel's set_*_callback_state functions give them.
void Executor::enter_callback(const CallbackLoop& loop) {
    push_frame(loop.function, FrameKind::Callback);
    for (unsigned r = 1; r < first_saved; ++r) s.unset_reg(r);
    if (loop.map == no_map) {
        // loop: index, context
        const Num rounds = number(loop.rounds);
        write(1, fresh(unsigned_range(0, rounds.umax() == 0 ? 0 : rounds.umax() - 1)));
        write(2, loop.context);
        return;
    }
    give_map_element(loop.map);
    write(4, loop.context);
}

void Executor::give_map_element(uint16_t map) {
    const MapInfo& info = subject_.maps[map];
    Region region;
    region.kind = RegionKind::Map;
    region.map = map;
    region.writable = false;
    write(1, Val::symbol(new_region(s, region, at_)));
    region.kind = RegionKind::MapKey;
    region.size = info.key_size;
    write(2, Val::symbol(new_region(s, region, at_)));
    write(3, Val::symbol(new_region(s, value_region(subject_, map), at_)));
}

}  // namespace skep::verifier
