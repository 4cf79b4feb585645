// SPDX-License-Identifier: Apache-2.0
#include "engine/jit/translator_x64.hpp"

#include <fmt/format.h>

namespace skep::engine::jit {

namespace {

/// Jump targets of loops start here in their cache line.
constexpr uint32_t loop_alignment = 16;
constexpr uint32_t function_alignment = 16;
constexpr unsigned code_prefix = 16;

/// Whether translating it may fail.
constexpr bool fails(isa::Operation operation) {
    using enum isa::Operation;
    return operation == Call || operation == CallKfunc || operation == CallX || operation == LoadPacket ||
           (operation >= LdImm64 && operation <= LdMapIdxValue);
}

}  // namespace

Translator::Translator(const ExecutableProgram& program, const LinkTable& link, const JitOptions& options,
                       const Analysis& analysis, EmitterX64& emitter)
    : program_(program),
      bindings_(program.bound().bindings),
      link_(link),
      options_(options),
      analysis_(analysis),
      e_(emitter),
      abi_(abi_of(options.convention)),
      features_(options.processor_extensions ? Features::host() : Features{}),
      labels_(analysis.labels) {}

Result<void> Translator::run() {
    const bool refs = analysis_.traits & has_function_refs;
    // What only a program that nobody verified can do: nest too deep, call what is no function, run what has no
    // meaning.
    can_fault_ = !program_.verified() && (analysis_.deep || analysis_.problems);
    wrapped_ = refs || analysis_.calls_main || can_fault_;
    needs_run_ = wrapped_ || analysis_.problems || (analysis_.traits & (has_helper_calls | has_packet_loads));
    // A compiler's check of indirect calls reads the bytes before a function: let there be some.
    for (unsigned i = 0; i < code_prefix; ++i) e_.trap();
    for (size_t i = 0; i < analysis_.functions.size(); ++i) function_labels_.push_back(e_.new_label());
    if (refs) table_ = e_.new_label();
    if (wrapped_) {
        call_back_ = e_.new_label();
        emit_entry_wrapper();
        emit_call_back();
    } else {
        entry_ = function_labels_[0];
    }
    for (size_t i = 0; i < analysis_.functions.size(); ++i) {
        e_.align(function_alignment);
        e_.bind(function_labels_[i]);
        SKEP_TRY(translate_function(analysis_.functions[i]));
    }
    emit_function_table();
    emit_helper_table();
    return {};
}

Result<void> Translator::translate_function(const Function& function) {
    function_ = &function;
    frame_ = make_frame(function, !wrapped_ && function.start == 0);
    abort_ = e_.new_label();
    abort_used_ = false;
    next_ = function.start;
    held_.mask = 0;
    reset_values();
    prologue(frame_, function);
    bool reached = true;
    for (uint32_t at = function.start; at < function.end; ++at) {
        const Node& node = analysis_.nodes[at];
        if (node.slots == 0 || at < next_) continue;
        if (analysis_.flags[at] & slot_leader) {
            if (reached) {
                flush_stores();
                needed_ = analysis_.live_in[at];
                arrive(at);
            }
            reset_values();
            held_.mask = 0;
            if (analysis_.flags[at] & slot_loop_head) e_.align(loop_alignment);
            e_.bind(label_of(at));
            reached = true;
            // Of a register whose upper half somebody reads, the home holds what the register holds.
            if (const Fact* known = fact(at)) upper_zero_ = known->narrow & (analysis_.live_in[at] >> 16) & 0x3ff;
        } else if (!reached) {
            continue;  // nobody gets here
        }
        if (const Fact* known = fact(at); known != nullptr && !known->reachable) {
            reached = false;
            continue;
        }
        const uint32_t after = at + node.slots;
        live_after_ = analysis_.live_in[after];
        needed_ = live_after_ | analysis_.live_in[at];
        if (node.operation >= isa::Operation::JumpEq && node.operation <= isa::Operation::MayGoto)
            needed_ |= analysis_.live_in[node.target];
        next_ = after;
        if (const Binding* bound = binding(at); bound != nullptr && bound->kind == BindingKind::Problem) {
            // Ends the run, also where it was proved that nobody gets here.
            flush_stores();
            fault_always(SKEP_FAULT_BAD_CALL, at);
            reached = false;
            continue;
        }
        if (fails(node.operation)) {
            SKEP_TRY(translate_call_or_address(at, node));
        } else {
            translate(at, node);
        }
        if (node.operation == isa::Operation::Jump || node.operation == isa::Operation::Exit || skip_unreachable_)
            reached = false;
        if (const Fact* known = fact(at); known != nullptr && known->branch_always) reached = false;
        skip_unreachable_ = false;
    }
    emit_cold();
    return {};
}

void Translator::translate(uint32_t at, const Node& node) {
    using enum isa::Operation;
    switch (node.operation) {
        case Add:
        case Sub:
        case Mul:
        case Div:
        case Sdiv:
        case Or:
        case And:
        case Lsh:
        case Rsh:
        case Neg:
        case Mod:
        case Smod:
        case Xor:
        case Mov:
        case Movsx8:
        case Movsx16:
        case Movsx32:
        case Arsh:
        SKEP_CASES_BYTE_ORDER:
        case AddrSpaceCast: return alu(at, node);
        case Jump:
            return jump(node.target, at);
        SKEP_CASES_CONDITIONAL_JUMPS:
            return conditional(at, node);
        case MayGoto: return may_goto(at, node);
        case CallLocal: return local_call(at, node);
        case Exit: return exit_program();
        case Load:
        case LoadSigned:
        case LoadAcquire: return load(at, node);  // loads acquire and stores release on x86
        case Store:
        case StoreRelease:
            return store(at, node);
        SKEP_CASES_ATOMICS:
            return atomic(node);
        case Call:
        case CallKfunc:
        case CallX:
        case LoadPacket:
        SKEP_CASES_WIDE_LOADS:
            return;  // translate_call_or_address()
    }
}

/// What may lack its helper or map.
Result<void> Translator::translate_call_or_address(uint32_t at, const Node& node) {
    using enum isa::Operation;
    if (node.operation == Call) return helper_call(at, node);
    if (node.operation == CallX) return call_by_number(at, node);
    if (node.operation == LoadPacket) return packet_load(at, node);
    if (node.operation == CallKfunc)
        return Error{Errc::Unsupported, Where{.insn = at}, "calls by BTF id (kernel functions) are not supported"};
    return wide_load(at, node);
}

Result<void> Translator::wide_load(uint32_t at, const Node& node) {
    using enum isa::Operation;
    const auto imm = static_cast<uint32_t>(node.imm);
    if (node.operation == LdImm64) {
        set_const(node.dst, imm | uint64_t{node.target} << 32);
    } else if (node.operation == LdFunc) {
        set_const(node.dst, node.target);
    } else if (node.operation == LdMapFd || node.operation == LdMapIdx) {
        if (imm >= link_.maps.size())
            return Error{Errc::BadInstruction, Where{.insn = at}, fmt::format("map {} is not linked", imm)};
        set_const(node.dst, reinterpret_cast<uint64_t>(link_.maps[imm]),
                  imm < no_map ? static_cast<uint16_t>(imm) : no_map);
    } else if (node.operation == LdMapValue || node.operation == LdMapIdxValue) {
        if (imm >= link_.map_values.size())
            return Error{Errc::BadInstruction, Where{.insn = at}, fmt::format("map {} is not linked", imm)};
        if (link_.map_values[imm] == nullptr)
            return Error{Errc::Unavailable, Where{.insn = at},
                         fmt::format("the values of map {} cannot be reached directly", imm)};
        set_const(node.dst, reinterpret_cast<uint64_t>(link_.map_values[imm]) + node.target);
    } else {
        return Error{Errc::Unsupported, Where{.insn = at},
                     "kernel variables (wide loads of a BTF id) are not supported"};
    }
    return {};
}

}  // namespace skep::engine::jit
