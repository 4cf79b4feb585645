// SPDX-License-Identifier: Apache-2.0
// What every variable may hold: bits that only grow, over all functions of a program together.
// Claim:   a variable whose bits are private addresses (is_private) holds, whenever it is used as an address, one in
//          the packet or in a stack frame of this run.
// Because: an address of another kind enters a variable only by a definition below, each of which adds the bit of its
//          kind or, where nothing is known, type_int64; and sums keep the bits of the side that is an address.
#include "engine/native/function.hpp"
#include "platform/context.hpp"

namespace skep::engine::native {

using isa::Form;
using isa::Operation;
using platform::HelperId;

uint8_t Function::types_of(const Walk& walk, unsigned reg) const {
    switch (walk.known[reg].kind) {
        case Known::Kind::Stack: return type_stack;
        case Known::Kind::Map: return type_int64;
        case Known::Kind::Number:
            if (walk.known[reg].value == 0) return type_null;
            return walk.known[reg].value > 0 && walk.known[reg].value <= UINT32_MAX ? type_int32 : type_int64;
        case Known::Kind::Nothing: break;
    }
    const uint32_t web = walk.web[reg];
    return web == UINT32_MAX ? uint8_t{type_null} : types(web);
}

bool Function::add_types(uint32_t web, uint8_t types) {
    uint8_t& own = types_[find(web)];
    const uint8_t before = own;
    own |= types;
    return own != before;
}

namespace {

/// A number that an immediate, sign-extended to 64 bits, stands for.
uint8_t types_of_number(int64_t value) {
    if (value == 0) return type_null;
    return value > 0 && value <= int64_t{UINT32_MAX} ? type_int32 : type_int64;
}

uint8_t sum(uint8_t left, uint8_t right, bool minus) {
    if (left == 0 || right == 0) return 0;  // not known yet
    const bool left_address = (left & type_pointers) != 0, right_address = (right & type_pointers) != 0;
    if (left_address && right_address) return type_int64;
    // A variable that is both an address and a number passes both on: it is an address to nobody.
    if (left_address) return left & ~type_null;
    if (right_address) return minus ? uint8_t{type_int64} : static_cast<uint8_t>(right & ~type_null);
    return type_int64;
}

/// Whether a pointer field of a context leads to the run's own packet.
bool leads_to_packet(const ContextAccess& access) {
    using platform::ContextKind;
    using platform::FieldKind;
    const platform::FieldRow& row = platform::context_field(static_cast<platform::FieldId>(access.field));
    if (row.context != ContextKind::Xdp && row.context != ContextKind::Skb) return false;
    return row.kind == FieldKind::Packet || row.kind == FieldKind::PacketEnd || row.kind == FieldKind::PacketMeta;
}

uint8_t types_of_result(platform::ResultKind kind) {
    using platform::ResultKind;
    if (kind == ResultKind::MapValueOrNull || kind == ResultKind::RecordOrNull) return type_shared | type_null;
    return kind == ResultKind::MapValue ? type_shared : type_int64;
}

}  // namespace

uint8_t Function::result_types_of(const Walk& walk, const Node& node, unsigned location,
                                  std::span<Function> functions) const {
    const isa::Insn& insn = node.insn;
    const isa::Row& row = node.row();
    if (location >= register_locations) {  // a store into a slot
        const unsigned bytes = row.access_bytes();
        if (row.form == Form::StoreImm) {
            if (bytes == 8) return types_of_number(insn.imm);
            return insn.imm == 0 ? type_null : type_int32;
        }
        return bytes == 8 ? types_of(walk, insn.src) : uint8_t{type_int32};
    }
    if (row.is_call()) {
        if (location != 0) return type_null;  // destroyed
        if (row.form == Form::CallTarget) return functions[node.target].result_types;
        if (row.form == Form::CallImm && node.helper >= 0)
            return types_of_result(platform::helper(static_cast<HelperId>(node.helper)).result);
        return type_int64;
    }
    if (row.is_packet_load()) return location == 0 ? type_int32 : type_null;
    if (row.is_memory()) {
        const unsigned bytes = row.access_bytes();
        if (row.form != Form::LoadMem) return bytes == 4 ? type_int32 : type_int64;
        const auto& bindings = program.bound().bindings;
        if (node.at < bindings.size() && bindings[node.at].kind == BindingKind::Context) {
            const ContextAccess& access = bindings[node.at].context;
            if (access.pointer) return uint8_t{leads_to_packet(access) ? type_packet : type_int64};
            return row.operation == Operation::LoadSigned || access.access_bytes > 4 ? type_int64 : type_int32;
        }
        if (row.operation == Operation::LoadSigned) return type_int64;
        if (bytes < 8) return type_int32;
        if (node.slot != 0 && walk.web[node.slot] != UINT32_MAX) return types(walk.web[node.slot]);
        return type_int64;
    }
    if (row.operation == Operation::LdImm64) return types_of_number(static_cast<int64_t>(insn.imm64()));
    if (row.operation == Operation::LdFunc) return type_int32;
    if (row.operation == Operation::LdMapValue) return type_shared;
    if (!row.is_alu()) return type_int64;
    const bool is32 = row.insn_class() == isa::Class::Alu;
    if (row.operation == Operation::Mov) {
        if (row.form == Form::MovImm)
            return is32 ? uint8_t{insn.imm == 0 ? type_null : type_int32} : types_of_number(insn.imm);
        if (!is32) return types_of(walk, insn.src);
        return type_int32;
    }
    // Byte order conversions of the class ALU may give 64 bits.
    if (row.operation == Operation::Le64 || row.operation == Operation::Be64 || row.operation == Operation::Bswap64)
        return type_int64;
    if (row.operation == Operation::Le16 || row.operation == Operation::Le32 || row.operation == Operation::Be16 ||
        row.operation == Operation::Be32 || row.operation == Operation::Bswap16 || row.operation == Operation::Bswap32)
        return type_int32;
    if (is32) return type_int32;
    const uint8_t left = types_of(walk, insn.dst);
    if (row.operation == Operation::Add || row.operation == Operation::Sub) {
        KnownRegisters after = walk.known;
        step_known(after, node);
        if (after[insn.dst].kind == Known::Kind::Stack) return type_stack;
        const uint8_t right = row.has_src() ? types_of(walk, insn.src) : uint8_t{type_int64};
        return sum(left, right, row.operation == Operation::Sub);
    }
    if (row.operation == Operation::And && !row.has_src() && insn.imm >= 0) return type_int32;
    if (row.operation == Operation::Rsh && !row.has_src() && (insn.imm & 63) >= 32) return type_int32;
    return type_int64;
}

bool Function::infer(std::span<Function> functions) {
    bool changed = false;
    const Block& entry = blocks[0];
    for (LocationSet left = entry.live_in; left != 0; left &= left - 1) {
        const auto location = static_cast<unsigned>(std::countr_zero(left));
        uint8_t types = type_null;
        if (is_main && !referred) {
            if (location == 1) types = type_context;
        } else if (location >= 1 && location <= 5) {
            types = argument_types[location];
        }
        changed |= add_types(live_in_web(entry, location), types);
    }
    for (const uint32_t b : order_) {
        Walk walk = enter(blocks[b]);
        for (uint32_t i = blocks[b].start; i < blocks[b].end; ++i) {
            const Node& node = nodes_[i];
            if (node.row().form == Form::CallTarget) {
                Function& callee = functions[node.target];
                for (unsigned reg = 1; reg <= 5; ++reg) {
                    if (!(callee.entry_live >> reg & 1)) continue;
                    const uint8_t types = types_of(walk, reg);
                    changed |= (callee.argument_types[reg] | types) != callee.argument_types[reg];
                    callee.argument_types[reg] |= types;
                }
            }
            if (node.row().is_exit()) {
                const uint8_t types = types_of(walk, 0);
                changed |= (result_types | types) != result_types;
                result_types |= types;
            }
            const LocationSet defined = node.defs & node.live_after;
            for (LocationSet left = defined; left != 0; left &= left - 1) {
                const auto location = static_cast<unsigned>(std::countr_zero(left));
                const uint8_t types = result_types_of(walk, node, location, functions);
                changed |= add_types(defined_web(node, location), types);
            }
            step(walk, node);
        }
    }
    return changed;
}

}  // namespace skep::engine::native
