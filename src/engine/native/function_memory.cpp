// SPDX-License-Identifier: Apache-2.0
// Loads, stores and atomic operations (RFC 9669 section 5); fields of the context.
#include "engine/native/function_writer.hpp"

namespace skep::engine::native {

Result<void> FunctionWriter::write_memory(const Walk& walk, const Node& node) {
    const isa::Insn& insn = node.insn;
    const isa::Row& row = node.row();
    if (node.at < bound_.bindings.size() && bound_.bindings[node.at].kind == BindingKind::Context)
        return write_context(walk, node, bound_.bindings[node.at].context);
    if (node.slot != 0) return write_slot(walk, node);
    const unsigned bytes = row.access_bytes(), bits = bytes * 8;
    const unsigned base = row.form == Form::LoadMem ? insn.src : insn.dst;
    if (walk.known[base].kind == Known::Kind::Stack) {
        const int64_t from = walk.known[base].value + insn.offset;
        if (from < -int64_t{SKEP_FRAME_BYTES} || from + bytes > 0) {
            line(fmt::format("run->fault = 4u; run->fault_insn = {}u; return 0;", node.at));
            for (LocationSet left = node.defs & node.live_after; left != 0; left &= left - 1)
                assign(node, static_cast<unsigned>(std::countr_zero(left)), {"0", CType::U32});
            return {};
        }
    }
    if (row.is_atomic() || row.operation == Operation::LoadAcquire || row.operation == Operation::StoreRelease)
        return write_atomic(walk, node);
    const Place at = place(walk, base, insn.offset);
    const char* shared = at.is_private ? "" : "SHARED_";
    if (row.form != Form::LoadMem) {
        std::string value;
        if (row.form == Form::StoreImm)
            value = bytes == 8 ? number64(insn.imm) : number32(static_cast<uint32_t>(insn.imm));
        else
            value = bytes == 8 ? as64(reg(walk, insn.src)) : as32(reg(walk, insn.src));
        line(fmt::format("{}STORE{}({}, {});", shared, bits, at.text, value));
        return {};
    }
    const std::string load = fmt::format("{}LOAD{}({})", shared, bits, at.text);
    if (row.operation == Operation::LoadSigned)
        assign(node, insn.dst, {fmt::format("(uint64_t)(int{}_t){}", bits, load), CType::U64, false});
    else
        assign(node, insn.dst, {load, bytes == 8 ? CType::U64 : CType::U32});
    return {};
}

Result<void> FunctionWriter::write_slot(const Walk& walk, const Node& node) {
    const isa::Insn& insn = node.insn;
    const isa::Row& row = node.row();
    const unsigned bytes = row.access_bytes(), bits = bytes * 8;
    if (row.form == Form::LoadMem) {
        const Expression value = variable(walk.web[node.slot]);
        if (row.operation == Operation::LoadSigned)
            assign(node, insn.dst, {fmt::format("(uint64_t)(int{}_t){}", bits, as64(value)), CType::U64, false});
        else
            assign(node, insn.dst, value);
        return {};
    }
    if (row.form == Form::StoreImm) {
        const uint32_t low = static_cast<uint32_t>(insn.imm) & (bytes >= 4 ? UINT32_MAX : (1u << bits) - 1);
        assign(node, node.slot,
               bytes == 8 ? Expression{number64(insn.imm), CType::U64} : Expression{number32(low), CType::U32});
        return {};
    }
    const Expression value = reg(walk, insn.src);
    if (bytes == 8)
        assign(node, node.slot, value);
    else if (bytes == 4)
        assign(node, node.slot, {as32(value), CType::U32, false});
    else
        assign(node, node.slot, {fmt::format("(uint{}_t){}", bits, as64(value)), CType::U32, false});
    return {};
}

Result<void> FunctionWriter::write_atomic(const Walk& walk, const Node& node) {
    const isa::Insn& insn = node.insn;
    const isa::Row& row = node.row();
    const unsigned bits = row.access_bytes() * 8;
    const unsigned base = row.form == Form::LoadMem ? insn.src : insn.dst;
    const Place where = place(walk, base, insn.offset);
    const std::string at =
        bits == 8 ? fmt::format("(uint8_t *)({})", where.text) : fmt::format("(skep_word{} *)({})", bits, where.text);
    const bool wide = bits == 64;
    const CType type = wide ? CType::U64 : CType::U32;
    const auto value = [&] { return wide ? as64(reg(walk, insn.src)) : as32(reg(walk, insn.src)); };
    const auto narrow = [&] {
        return bits < 32 ? fmt::format("(uint{}_t){}", bits, as64(reg(walk, insn.src))) : value();
    };
    const auto modify = [&](const char* name) {
        line(fmt::format("(void)__atomic_fetch_{}({}, {}, __ATOMIC_RELAXED);", name, at, value()));
    };
    const auto fetch = [&](const char* name) {
        assign_or_do(node, insn.src, {fmt::format("fetch_{}{}({}, {})", name, bits, at, value()), type});
    };
    switch (row.operation) {
        case Operation::LoadAcquire:
            assign_or_do(node, insn.dst, {fmt::format("__atomic_load_n({}, __ATOMIC_ACQUIRE)", at), type});
            return {};
        case Operation::StoreRelease:
            line(fmt::format("__atomic_store_n({}, {}, __ATOMIC_RELEASE);", at, narrow()));
            return {};
        case Operation::AtomicAdd: modify("add"); return {};
        case Operation::AtomicOr: modify("or"); return {};
        case Operation::AtomicAnd: modify("and"); return {};
        case Operation::AtomicXor: modify("xor"); return {};
        case Operation::AtomicFetchAdd:
            assign_or_do(node, insn.src,
                         {fmt::format("__atomic_fetch_add({}, {}, __ATOMIC_SEQ_CST)", at, value()), type});
            return {};
        case Operation::AtomicFetchOr: fetch("or"); return {};
        case Operation::AtomicFetchAnd: fetch("and"); return {};
        case Operation::AtomicFetchXor: fetch("xor"); return {};
        case Operation::AtomicXchg:
            assign_or_do(node, insn.src,
                         {fmt::format("__atomic_exchange_n({}, {}, __ATOMIC_SEQ_CST)", at, value()), type});
            return {};
        case Operation::AtomicCmpxchg: {
            const Expression r0 = reg(walk, 0);
            assign_or_do(node, 0,
                         {fmt::format("cmpxchg{}({}, {}, {})", bits, at, wide ? as64(r0) : as32(r0), value()), type});
            return {};
        }
        default: return fail(node, Errc::BadInstruction, "no atomic operation");
    }
}

void FunctionWriter::assign_or_do(const Node& node, unsigned location, const Expression& value) {
    if (node.live_after & location_bit(location)) return assign(node, location, value);
    line("(void)" + value.text + ";");
}

Result<void> FunctionWriter::write_context(const Walk& walk, const Node& node, const ContextAccess& access) {
    const isa::Insn& insn = node.insn;
    const isa::Row& row = node.row();
    const unsigned host = access.host_bytes, bits = host * 8;
    const bool power = host == 1 || host == 2 || host == 4 || host == 8;
    if (!power || access.part_offset >= 8 || access.access_bytes == 0 || access.access_bytes > 8 || row.is_atomic() ||
        row.operation == Operation::LoadAcquire || row.operation == Operation::StoreRelease)
        return fail(node, Errc::BadInstruction, "the context access is not well-formed",
                    fmt::format("{} bytes from byte {} of a field of {} bytes", access.access_bytes, access.part_offset,
                                access.host_bytes));
    const std::string at = plus("ctx", access.host_offset);
    if (row.form == Form::LoadMem) {
        if (access.pointer) {
            assign(node, insn.dst, {fmt::format("LOADP({})", at), CType::Pointer});
            return {};
        }
        std::string value = fmt::format("LOAD{}({})", bits, at);
        const unsigned shift = access.part_offset * 8u, wanted = access.access_bytes * 8u;
        if (access.byte_swap && host > 1) value = fmt::format("__builtin_bswap{}({})", bits, value);
        if (shift != 0) value = fmt::format("((uint64_t){} >> {})", value, shift);
        if (wanted + shift < bits) value = fmt::format("((uint64_t){} & {:#x}u)", value, (uint64_t{1} << wanted) - 1);
        const bool is_wide = host == 8 || shift != 0 || wanted + shift < bits;
        if (row.operation == Operation::LoadSigned)
            assign(node, insn.dst, {fmt::format("sext({}, {})", value, 64 - wanted), CType::U64});
        else
            assign(node, insn.dst, {value, is_wide ? CType::U64 : CType::U32});
        return {};
    }
    std::string value = row.form == Form::StoreImm ? number64(insn.imm) : as64(reg(walk, insn.src));
    const unsigned shift = access.part_offset * 8u, wanted = access.access_bytes * 8u;
    const std::string load = fmt::format("LOAD{}({})", bits, at);
    if (shift != 0 || wanted < bits) {  // keep the rest of the field
        const uint64_t mask = (wanted >= 64 ? UINT64_MAX : (uint64_t{1} << wanted) - 1) << shift;
        const std::string old = access.byte_swap && host > 1 ? fmt::format("__builtin_bswap{}({})", bits, load) : load;
        value = fmt::format("((({} << {}) & {:#x}u) | ((uint64_t){} & {:#x}u))", value, shift, mask, old, ~mask);
    }
    if (access.byte_swap && host > 1) value = fmt::format("__builtin_bswap{0}((uint{0}_t){1})", bits, value);
    line(fmt::format("STORE{}({}, {});", bits, at, value));
    return {};
}

}  // namespace skep::engine::native
