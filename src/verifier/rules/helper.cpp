// SPDX-License-Identifier: Apache-2.0
// Calls of helpers: by the prototype, every argument; then the effects, then the result (design 2.10).
#include "platform/helper.hpp"

#include <algorithm>

#include "object/relocate.hpp"
#include "platform/context.hpp"
#include "platform/limits.hpp"
#include "platform/platforms/platform.hpp"
#include "verifier/rules/helper_call.hpp"

namespace skep::verifier {

using platform::ArgKind;
using platform::HelperId;
using platform::ResultKind;
namespace effect = platform::helper_effect;

bool Executor::call_helper() {
    const BoundProgram& program = *subject_.program;
    const Binding& binding = program.bindings[at_];
    if (binding.kind == BindingKind::Problem) return bind_problem();
    if (binding.kind != BindingKind::Helper) return fail(Rule::NotModelled, "the call names no helper");
    const auto id = static_cast<HelperId>(binding.helper);
    const platform::HelperRow& row = platform::helper_for(id, program.type);
    const std::string name = std::string("bpf_") + row.name;
    if (!platform::helper_callable(program.personality, id, program.type, program.attach)) {
        return fail(Rule::UnknownHelper, name + " may not be called by this program type");
    }
    if (!platform::helper_modelled(row)) return fail(Rule::NotModelled, name + " is not modelled");
    // A timer's function runs by itself, where nobody may wait.
    const bool by_itself = s.frames.front().function != 0;
    if ((row.effects & effect::Sleeps) != 0 && (!program.sleepable || by_itself)) {
        if (by_itself) return fail(Rule::SleepableOnly, name + " may sleep, a timer's function may not");
        return fail(Rule::SleepableOnly, name + " may sleep, this program may not", -1, {}, {},
                    "load the program as a sleepable one (section name with `.s`)");
    }
    const bool unlocks = (row.effects & effect::Release) != 0 && row.args[0] == ArgKind::SpinLock;
    if (s.lock && !unlocks) {
        const bool locks = row.args[0] == ArgKind::SpinLock;
        return fail(locks ? Rule::LockTwice : Rule::LockHeld, name + " is called while the lock taken at instruction " +
                                                                  std::to_string(s.lock->taken) + " is held");
    }
    out_.notes.helper_call = true;
    HelperCall call{*this, id, row, name};
    return call.run();
}

bool Executor::bind_problem() {
    const BindProblem* problem = subject_.program->problem_at(at_);
    if (problem == nullptr) return fail(Rule::NotModelled, "the instruction has no meaning on this platform");
    // A packet load with the context in r6 has nothing wrong but the program type.
    const auto r6 = s.is_set(6) ? pointer_of(s, s.reg(6)) : std::nullopt;
    const bool holds_context = r6 && s[r6->base].region.kind == RegionKind::Context && r6->offset == Val::constant(0);
    const Rule rule = problem->kind == BindProblem::Kind::NotModelled        ? Rule::NotModelled
                      : problem->code == Errc::NotPermitted                  ? Rule::Licence
                      : row_.is_call() && insn_.imm == object::absent_helper ? Rule::AbsentOnTarget
                      : row_.is_call()                                       ? Rule::UnknownHelper
                      : row_.is_packet_load() && holds_context               ? Rule::WrongProgramType
                                                                             : Rule::ContextAccess;
    return fail(rule, problem->what, -1, problem->why, {}, problem->hint);
}

bool HelperCall::run() {
    for (unsigned i = 0; i < 5; ++i) {
        if (row.args[i] == ArgKind::None) break;
        if (!argument(i)) return false;
    }
    return finish();
}

bool HelperCall::argument(unsigned i) {
    const ArgKind kind = row.args[i];
    const unsigned reg = i + 1;
    State& s = x.s;
    if (kind == ArgKind::Anything) {
        if (x.subject_.options.allow_pointer_leaks || !s.is_set(reg) || !is_tainted(s, s.reg(reg))) return true;
        return x.fail(Rule::PointerLeak, "an address is passed to " + name, static_cast<int>(reg));
    }
    if (!s.is_set(reg)) {
        return x.fail(
            Rule::ArgumentUnset,
            "argument " + std::to_string(reg) + " of " + name + " (r" + std::to_string(reg) + ") has no value",
            static_cast<int>(reg), {}, {}, "set r" + std::to_string(reg) + " before the call");
    }
    const Val v = s.reg(reg);
    switch (kind) {
        case ArgKind::None:
        case ArgKind::Anything: return true;
        case ArgKind::Scalar:
            if (is_tainted(s, v) && !x.subject_.options.allow_pointer_leaks) {
                return x.fail(Rule::PointerLeak, "an address is passed to " + name, static_cast<int>(reg));
            }
            return true;
        case ArgKind::ConstMapPtr: return map_argument(reg, v);
        case ArgKind::MapKey: return fixed_memory(reg, v, map_info().key_size, Access::Read) && note_key(v);
        case ArgKind::MapValue: return fixed_memory(reg, v, map_info().value_size, Access::Read);
        case ArgKind::MapValueOrNull: return is_null(v) || fixed_memory(reg, v, map_info().value_size, Access::Read);
        case ArgKind::MapValueOut: return fixed_memory(reg, v, map_info().value_size, Access::Write);
        case ArgKind::CtxOrNull:
            if (is_null(v)) return true;
            return context_argument(reg, v);
        case ArgKind::Ctx: return context_argument(reg, v);
        case ArgKind::MemIn: return sized_memory(i, v, Access::Read, false);
        case ArgKind::MemInOrNull: return sized_memory(i, v, Access::Read, true);
        case ArgKind::MemOut: return sized_memory(i, v, Access::Write, false);
        case ArgKind::MemOutOrNull: return sized_memory(i, v, Access::Write, true);
        case ArgKind::MemInOut:
            return (fills_target() || sized_memory(i, v, Access::Read, false)) &&
                   sized_memory(i, v, Access::Write, false);
        case ArgKind::Size:
        case ArgKind::SizeOrZero: return true;  // with the memory before it
        case ArgKind::RecordSize: {
            const Num n = x.number(v);
            if (is_tainted(s, v) || !n.is_constant() || n.umin() > UINT32_MAX) {
                return wrong(Rule::ArgumentConstant, reg, v, "a constant size");
            }
            record_size = static_cast<uint32_t>(n.umin());
            return true;
        }
        case ArgKind::Record: return record_argument(reg, v);
        case ArgKind::Func: {
            const auto p = pointer_of(s, v);
            if (!p || s[p->base].region.kind != RegionKind::Function || v != Val::symbol(p->base)) {
                return wrong(Rule::CallbackShape, reg, v, "a function of this program");
            }
            function = s[p->base].region.map;
            if (function == 0) return wrong(Rule::CallbackShape, reg, v, "a function other than the program itself");
            return true;
        }
        case ArgKind::CallbackContext: {
            const auto p = pointer_of(s, v);
            if (!is_null(v) && !(p && s[p->base].region.kind == RegionKind::Stack && s[p->base].region.alive)) {
                return wrong(Rule::ArgumentType, reg, v, "a pointer to the stack, or 0");
            }
            return true;
        }
        case ArgKind::ConstString: return string_argument(reg, v);
        case ArgKind::I64Out:
        case ArgKind::U64Out: return fixed_memory(reg, v, 8, Access::Write) && aligned(reg, v, 8);
        case ArgKind::U32InOut:
            return fixed_memory(reg, v, 4, Access::Read) && fixed_memory(reg, v, 4, Access::Write) &&
                   aligned(reg, v, 4);
        case ArgKind::In20: return fixed_memory(reg, v, 20, Access::Read);
        case ArgKind::In40: return fixed_memory(reg, v, 40, Access::Read);
        case ArgKind::SpinLock: return special_argument(reg, v, SpecialKind::SpinLock);
        case ArgKind::Timer: return special_argument(reg, v, SpecialKind::Timer);
        case ArgKind::SocketOrNull:
            if (is_null(v)) return true;
            return socket_argument(reg, v, false);
        case ArgKind::SockCommon: return socket_argument(reg, v, true);
        case ArgKind::Socket: return socket_argument(reg, v, false);
        case ArgKind::Dynptr:
        case ArgKind::Kptr:
        case ArgKind::BtfObject:
        case ArgKind::Other: return x.fail(Rule::NotModelled, name + " is not modelled");
    }
    return false;
}

/// memcpy_s and memmove_s leave what lies behind the copied bytes as it was, so their target is read as well, unless
/// the copy covers all of it. Because: both are nonzero sizes of real memory, and then exactly r4 bytes are written.
bool HelperCall::fills_target() {
    if (id != HelperId::MemcpyS && id != HelperId::MemmoveS) return false;
    if (!x.s.is_set(2) || !x.s.is_set(4)) return false;
    const Num room = x.number(x.s.reg(2)), count = x.number(x.s.reg(4));
    return room.is_constant() && count.is_constant() && room.umin() == count.umin();
}

bool HelperCall::finish() {
    State& s = x.s;
    if ((row.effects & effect::Release) != 0 && released == no_sym && !lock_base) {
        return x.fail(Rule::NotOwned, name + " releases nothing that was acquired");
    }
    if (lock_base && (row.effects & effect::Acquire) != 0) {
        s.lock = SpinLock{*lock_base, lock_offset, x.at_};
    } else if (lock_base && (row.effects & effect::Release) != 0) {
        if (!s.lock || s.lock->base != *lock_base || s.lock->offset != lock_offset) {
            return x.fail(Rule::LockNotHeld, s.lock ? "this is not the lock that is held" : "no lock is held", 1);
        }
        s.lock.reset();
    }
    if (released != no_sym) x.release(released);
    if ((row.effects & effect::TailCall) != 0) {
        if (!x.nothing_held("tail call")) return false;
        if (std::any_of(s.frames.begin(), s.frames.end(),
                        [](const Frame& f) { return f.kind == FrameKind::Callback; })) {
            return x.fail(Rule::TailCallInside, "a callback makes a tail call");
        }
        // Inside a function, the program that takes over ends where the function would: its caller goes on, with any
        // number in r0 and a packet that may have moved.
        if (s.frames.size() > 1) {
            State other = s;
            Outcome unused;
            Executor(x.subject_, other, x.insn_, unused).return_from_tail_call();
            out().other = std::move(other);
            out().flow = Flow::Fork;
        }
    }
    if ((row.effects & effect::Packet) != 0) x.kill_packets();
    if ((row.effects & effect::Later) != 0) {
        out().notes.later_function = function;
        out().notes.later_map = value_map;
    }
    if ((row.effects & effect::Callback) != 0 && (row.effects & effect::Later) == 0) return begin_callback();
    const Num size = has_size ? x.number(size_value) : Num::constant(0);
    for (unsigned r = 1; r < 6; ++r) s.unset_reg(r);
    return result(size) && (x.next(), true);
}

bool HelperCall::begin_callback() {
    State& s = x.s;
    if (s.frames.size() >= platform::limits::call_frames) {
        return x.fail(Rule::CallDepth, "the callback would be in frame " + std::to_string(s.frames.size() + 1));
    }
    CallbackLoop loop;
    loop.call = x.at_;
    loop.helper = static_cast<uint16_t>(id);
    loop.function = function;
    if (id == HelperId::Loop) {
        const Num rounds = x.number(s.reg(1));
        const uint64_t most = std::min<uint64_t>(rounds.umax() & 0xffffffff, platform::limits::loop_iterations);
        const bool exact = rounds.umax() <= platform::limits::loop_iterations && !is_tainted(s, s.reg(1));
        loop.rounds =
            exact ? s.reg(1) : Val::constant(rounds.umax() > 0xffffffff ? platform::limits::loop_iterations : most);
        loop.context = s.reg(3);
        const Num flags = x.number(s.reg(4));
        if (!flags.is_constant() || flags.umin() != 0)
            return x.fail(Rule::ArgumentConstant, "the flags of " + name + " must be 0", 4);
    } else if (id == HelperId::ForEachMapElem) {
        loop.map = map;
        // A hash may be walked while it changes: how many elements a walk meets is bounded by the helper only in time.
        loop.rounds = Val::constant(std::max<uint64_t>(x.subject_.maps[map].max_entries, 1));
        loop.context = s.reg(3);
    } else {
        return x.fail(Rule::NotModelled, name + " is not modelled");
    }
    s.callbacks.push_back(loop);
    for (unsigned r = 0; r < 6; ++r) s.unset_reg(r);
    s.at = {x.at_, Phase::CallbackHead};
    return true;
}

bool HelperCall::result(const Num& size) {
    State& s = x.s;
    Region region;
    region.nullable = true;
    bool pointer = true;
    bool acquires = (row.effects & effect::Acquire) != 0;
    switch (row.result) {
        case ResultKind::Void:
            // A tail call that failed: Linux says nothing, eBPF for Windows an error.
            if (x.subject_.program->bindings[x.at_].result != platform::ResultMap::EbpfResult) {
                s.unset_reg(0);
                return true;
            }
            pointer = false;
            break;
        case ResultKind::Scalar:
        case ResultKind::Status: pointer = false; break;
        case ResultKind::MapValueOrNull:
        case ResultKind::MapValue:
            if (id == HelperId::MapLookupElem &&
                platform::lookup_result(map_info().type) == platform::LookupResult::Socket) {
                region.kind = RegionKind::Object;
                region.type = static_cast<uint8_t>(platform::ContextKind::Socket);
                acquires = true;
            } else if (id == HelperId::MapLookupElem &&
                       platform::lookup_result(map_info().type) == platform::LookupResult::XdpSock) {
                region.kind = RegionKind::Object;
                region.type = static_cast<uint8_t>(platform::ContextKind::XdpSock);
            } else if (platform::lookup_result(map_info().type) == platform::LookupResult::InnerMap) {
                if (map_info().inner == UINT16_MAX) {  // nothing says what its maps are
                    return x.fail(Rule::NotModelled, "the inner maps of `" + map_info().name + "` are not known");
                }
                region.kind = RegionKind::Map;
                region.map = map_info().inner;
                region.writable = false;
            } else {
                region = value_region(x.subject_, map);
                // An inner map may have another number of entries than its template (kernel: array_map_meta_equal).
                constexpr uint32_t any_entries = 1u << 12;  // BPF_F_INNER_MAP
                const bool array = map_info().type == platform::MapType::Array && id == HelperId::MapLookupElem &&
                                   (map_info().flags & any_entries) == 0;
                const bool found = array && key && *key < map_info().max_entries;
                region.nullable = row.result == ResultKind::MapValueOrNull && !found;
                // A key that is only bounded gives no address by the rules, as Linux has them; the engines know better.
                const bool bounded = array && key_inside && row.result == ResultKind::MapValueOrNull;
                if (found || bounded) x.out_.notes.result_non_null = true;
            }
            if (row.result == ResultKind::MapValue) region.nullable = false;
            if (platform::lookup_result(map_info().type) == platform::LookupResult::ReadOnlyValue)
                region.writable = false;
            break;
        case ResultKind::RecordOrNull:
            region.kind = RegionKind::Memory;
            region.size = record_size;
            break;
        case ResultKind::SocketOrNull:
            region.kind = RegionKind::Object;
            region.type = static_cast<uint8_t>(platform::ContextKind::Socket);
            break;
        case ResultKind::SockCommonOrNull:
            region.kind = RegionKind::Object;
            region.type = static_cast<uint8_t>(platform::ContextKind::SockCommon);
            break;
        case ResultKind::TcpSockOrNull:
            region.kind = RegionKind::Object;
            region.type = static_cast<uint8_t>(platform::ContextKind::TcpSock);
            break;
        case ResultKind::BtfObject:
        case ResultKind::Other: return x.fail(Rule::NotModelled, name + " is not modelled");
    }
    if (!pointer) {
        Num n = Num::unknown();
        switch (platform::helper_result_bound(id)) {
            case platform::ResultBound::None: break;
            case platform::ResultBound::SizeArgument:
                if (has_size && size.umax() <= INT32_MAX) {
                    n = signed_range(-platform::limits::largest_errno, static_cast<int64_t>(size.umax()));
                }
                break;
            case platform::ResultBound::CpuNumber: n = unsigned_range(0, UINT16_MAX); break;
        }
        x.write(0, x.fresh(n));
        return true;
    }
    if (region.kind == RegionKind::Object) region.writable = false;
    region.owned = acquires;
    // Casts give the same socket in another shape (kernel: is_ptr_cast_function).
    const bool cast = (row.effects & effect::Cast) != 0;
    if (region.kind == RegionKind::Object && cast) region.length = socket;
    const Sym base = new_region(s, region, x.at_);
    if (acquires) s.references.push_back({base, x.at_});
    x.write(0, Val::symbol(base));
    return true;
}

}  // namespace skep::verifier
