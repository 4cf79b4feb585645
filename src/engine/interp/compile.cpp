// SPDX-License-Identifier: Apache-2.0
// From an executable program to micro-operations: numbers resolved, bindings applied, one Micro per slot.
#include <fmt/format.h>

#include "engine/interp/code.hpp"
#include "isa/disasm.hpp"
#include "platform/ebpf_result.hpp"
#include "platform/helper.hpp"

namespace skep::engine::interp {
namespace {

using isa::Insn;
using isa::InsnIndex;
using isa::Operation;

class Predecoder {
  public:
    Predecoder(const BoundProgram& bound, const LinkTable& table, Code& code)
        : bound_(bound), table_(table), code_(code) {}

    Result<void> run() {
        const isa::Code& slots = bound_.linked.code;
        code_.micros.resize(slots.size());
        code_.function_starts.resize(slots.size());
        for (const object::Subprogram& s : bound_.linked.subprograms) code_.function_starts[s.start] = true;
        for (InsnIndex at = 0; at < slots.size();) {
            SKEP_ASSIGN(const Insn insn, isa::decode(slots, at));
            SKEP_TRY(one(at, insn));
            at += insn.slots();
        }
        return {};
    }

  private:
    Error fail(InsnIndex at, const Insn& insn, Errc code, std::string what, std::string why,
               std::string hint = {}) const {
        return Error{code, Where{.insn = at, .insn_text = isa::disassemble(insn, at)}, std::move(what), std::move(why),
                     std::move(hint)};
    }

    Result<void> one(InsnIndex at, const Insn& insn) {
        const isa::Row& row = insn.row();
        Micro& micro = code_.micros[at];
        micro.handler = static_cast<Handler>(insn.op);  // the rows come first in Handler
        micro.dst = insn.dst;
        micro.src = insn.src;
        micro.jump = row.form == isa::Form::TargetImm || row.form == isa::Form::CallTarget ? insn.imm : insn.offset;
        micro.imm = insn.imm;

        const Binding& binding = bound_.bindings[at];
        if (binding.kind != BindingKind::Problem && row.is_packet_load()) {
            SKEP_ASSIGN(const skep_helper_fn helper, find_helper(at, insn, packet_helper(row)));
            micro.jump = insn.imm;
            micro.imm = static_cast<int64_t>(reinterpret_cast<uintptr_t>(helper));
            return {};
        }
        switch (binding.kind) {
            case BindingKind::None: break;
            case BindingKind::Context: return context(at, insn, binding.context, micro);
            case BindingKind::Helper: return helper_call(at, insn, binding, micro);
            case BindingKind::Problem: micro.handler = Handler::Invalid; return {};
        }
        if (row.operation == Operation::Call) {
            return fail(at, insn, Errc::Unresolved, "the helper call has no meaning",
                        fmt::format("binding gave number {} no canonical helper", insn.imm));
        }
        if (row.operation == Operation::CallKfunc || row.operation == Operation::LdBtfId) {
            return fail(at, insn, Errc::Unsupported, "kernel functions and variables are not available",
                        "they exist in a kernel's BTF only");
        }
        if (row.is_wide()) return wide(at, insn, micro);
        return {};
    }

    static platform::HelperId packet_helper(const isa::Row& row) {
        if (row.access_bytes() == 1) return platform::HelperId::PacketLoad1;
        if (row.access_bytes() == 2) return platform::HelperId::PacketLoad2;
        return platform::HelperId::PacketLoad4;
    }

    Result<skep_helper_fn> find_helper(InsnIndex at, const Insn& insn, platform::HelperId id,
                                       platform::ResultMap result = platform::ResultMap::Same) const {
        const size_t index = platform::helper_index(static_cast<uint16_t>(id), result);
        if (index >= table_.helpers.size() || table_.helpers[index] == nullptr) {
            const bool named = static_cast<size_t>(id) < platform::helper_count;
            const std::string name = named ? platform::helper(id).name : "?";
            return fail(at, insn, Errc::Unavailable, fmt::format("helper {} is not available here", name),
                        "this host offers no such function");
        }
        return table_.helpers[index];
    }

    Result<void> helper_call(InsnIndex at, const Insn& insn, const Binding& binding, Micro& micro) const {
        const auto id = static_cast<platform::HelperId>(binding.helper);
        SKEP_ASSIGN(const skep_helper_fn helper, find_helper(at, insn, id, binding.result));
        if (id == platform::HelperId::TailCall) micro.handler = Handler::TailCall;
        micro.imm = static_cast<int64_t>(reinterpret_cast<uintptr_t>(helper));
        return {};
    }

    Result<void> context(InsnIndex at, const Insn& insn, const ContextAccess& access, Micro& micro) const {
        const isa::Row& row = insn.row();
        const bool power =
            access.host_bytes == 1 || access.host_bytes == 2 || access.host_bytes == 4 || access.host_bytes == 8;
        if (!power || access.part_offset >= 8 || access.access_bytes == 0 || access.access_bytes > 8) {
            return fail(at, insn, Errc::BadInstruction, "the context access is not well-formed",
                        fmt::format("{} bytes from byte {} of a field of {} bytes", access.access_bytes,
                                    access.part_offset, access.host_bytes));
        }
        ContextField field;
        field.host_offset = access.host_offset;
        field.host_bytes = access.host_bytes;
        field.part_offset = access.part_offset;
        field.access_bytes = access.access_bytes;
        field.byte_swap = access.byte_swap;
        field.sign_extend = row.operation == Operation::LoadSigned;
        micro.imm = field.pack();
        if (row.form == isa::Form::LoadMem && access.pointer) {
            micro.handler = Handler::ContextPointer;
            micro.imm = access.host_offset;
        } else if (row.form == isa::Form::LoadMem) {
            micro.handler = Handler::ContextLoad;
        } else if (row.form == isa::Form::StoreSrc) {
            micro.handler = Handler::ContextStore;
        } else if (row.form == isa::Form::StoreImm) {
            micro.handler = Handler::ContextStoreImm;
            micro.jump = insn.imm;
        } else {
            return fail(at, insn, Errc::BadInstruction, "only loads and stores reach the context",
                        "an atomic operation on a context field has no meaning");
        }
        return {};
    }

    Result<void> map_index(InsnIndex at, const Insn& insn, size_t size, bool present) const {
        if (static_cast<uint32_t>(insn.imm) >= size) {
            return fail(at, insn, Errc::BadInstruction, "the instruction refers to a map that is not there",
                        fmt::format("map {} of {}", insn.imm, size));
        }
        if (!present) {
            return fail(at, insn, Errc::Unavailable, "the map is not available in this way",
                        "it was not created, or its values cannot be accessed directly");
        }
        return {};
    }

    Result<void> wide(InsnIndex at, const Insn& insn, Micro& micro) const {
        const auto index = static_cast<uint32_t>(insn.imm);
        const Operation operation = insn.row().operation;
        if (operation == Operation::LdImm64) {
            micro.imm = static_cast<int64_t>(insn.imm64());
        } else if (operation == Operation::LdFunc) {
            micro.imm = isa::target_of(insn, at);
        } else if (operation == Operation::LdMapFd) {
            const auto maps = table_.maps;
            SKEP_TRY(map_index(at, insn, maps.size(), index < maps.size() && maps[index] != nullptr));
            micro.imm = static_cast<int64_t>(reinterpret_cast<uintptr_t>(maps[index]));
        } else if (operation == Operation::LdMapValue) {
            const auto values = table_.map_values;
            SKEP_TRY(map_index(at, insn, values.size(), index < values.size() && values[index] != nullptr));
            const uint64_t base = reinterpret_cast<uintptr_t>(values[index]);
            micro.imm = static_cast<int64_t>(base + static_cast<uint32_t>(insn.next_imm));
        } else {  // LdMapIdx, LdMapIdxValue; LdBtfId was refused before
            return fail(at, insn, Errc::Unsupported, "a map reference through a descriptor array is left",
                        "loading replaces them by indices of the program's maps");
        }
        return {};
    }

    const BoundProgram& bound_;
    const LinkTable& table_;
    Code& code_;
};

static_assert(static_cast<size_t>(Handler::ContextLoad) == isa::op_count, "rows first, in the order of isa::Op");

}  // namespace

Result<std::unique_ptr<CompiledCode>> compile(const ExecutableProgram& program, const LinkTable& table,
                                              const Options& options) {
    auto code = std::make_unique<Code>();
    code->options = options;
    code->checked = options.step_limit != 0 || options.check_accesses;
    code->clears_frames = program.clears_frames();
    SKEP_TRY(Predecoder(program.bound(), table, *code).run());
    if (has_threaded_loop && options.dispatch == Dispatch::Threaded && options.fuse && !code->checked) {
        fuse(code->micros);
    }
    return std::unique_ptr<CompiledCode>(std::move(code));
}

}  // namespace skep::engine::interp
