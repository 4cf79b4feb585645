// SPDX-License-Identifier: Apache-2.0
// The context and the objects that its fields and helpers lead to: access by table (platform/contexts.def).
#include "platform/context.hpp"

#include "platform/program_type.hpp"
#include "verifier/rules/executor.hpp"

namespace skep::verifier {

namespace {

using platform::FieldKind;
using platform::FieldRow;

constexpr uint64_t largest_packet = 0xffffff;  // bytes in one piece; Linux allocates no larger linear buffer
constexpr uint64_t largest_meta = 255;         // XDP and skb metadata (kernel: xdp_metalen_invalid)

bool is_packet_part(FieldKind kind) {
    return kind == FieldKind::Packet || kind == FieldKind::PacketEnd || kind == FieldKind::PacketMeta;
}

}  // namespace

/// The packet as it lies now: one region until a helper may move it, however often its ends are read.
Val Executor::packet_address(FieldKind what) {
    if (s.packet == no_sym) {
        Region region;
        region.kind = RegionKind::Packet;
        region.writable = platform::packet_access(subject_.program->type) == platform::PacketAccess::ReadWrite;
        region.length = new_symbol(s, unsigned_range(0, largest_packet), at_);
        region.meta = new_symbol(s, unsigned_range(0, largest_meta), at_);
        s.packet = new_region(s, region, at_);
    }
    // A certificate need not tell the metadata's length; it is there nevertheless.
    if (s[s.packet].region.meta == no_sym) {
        const Sym meta = new_symbol(s, unsigned_range(0, largest_meta), at_);
        s[s.packet].region.meta = meta;
    }
    const Val data = Val::symbol(s.packet);
    if (what == FieldKind::PacketEnd) return *add(data, Val::symbol(s[s.packet].region.length));
    if (what == FieldKind::PacketMeta) return *subtract(data, Val::symbol(s[s.packet].region.meta));
    return data;
}

void Executor::kill_packets() {
    for (Symbol& symbol : s.symbols) {
        if (symbol.region.kind == RegionKind::Packet) symbol.region.alive = false;
    }
    s.packet = no_sym;
}

/// Finds the field of a context access and asks the table. The binding, by which the engines translate the access, must
/// say the same.
const FieldRow* Executor::context_field(const Target& t, unsigned bytes, bool store, int reg, bool sign_extend) {
    const BoundProgram& program = *subject_.program;
    const auto context = platform::context_of(program.type);
    if (!context) return fail(Rule::NotModelled, "the context of this program type is not modelled"), nullptr;
    const std::string type = platform::context_type_name(*context, program.personality);
    if (!t.constant) {
        return fail(Rule::ContextModified,
                    "the offset into the context is not one number: " + describe(t.pointer.offset), reg,
                    "a constant offset"),
               nullptr;
    }
    const int64_t offset = *t.constant;
    const std::string range =
        "bytes [" + std::to_string(offset) + ", " + std::to_string(offset + bytes - 1) + "] of " + type;
    const FieldRow* field =
        offset < 0 || offset > UINT16_MAX
            ? nullptr
            : platform::find_context_field(*context, program.personality, static_cast<uint32_t>(offset), program.type,
                                           program.attach);
    if (field == nullptr) return fail(Rule::ContextAccess, "there is no field at " + range, reg), nullptr;
    if (field->hole != nullptr) {
        const bool unknown = std::string_view(field->hole).find("not modelled") != std::string_view::npos;
        return fail(unknown ? Rule::NotModelled : Rule::ContextAccess,
                    std::string("`") + field->name + "` of " + type + ": " + field->hole, reg),
               nullptr;
    }
    if (!platform::context_access_fits(*field, program.personality, static_cast<uint32_t>(offset), bytes, store)) {
        return fail(Rule::ContextAccess,
                    "`" + std::string(field->name) + "` cannot be " + (store ? "written" : "read") + " as " + range,
                    reg, "an access of the whole field"),
               nullptr;
    }
    const bool allowed = store ? field->writable_by(program.type, program.attach, program.personality)
                               : field->readable_by(program.type, program.attach, program.personality);
    if (!allowed) {
        return fail(Rule::ContextAccess,
                    "`" + std::string(field->name) + "` of " + type + " may not be " + (store ? "written" : "read") +
                        " by this program type",
                    reg),
               nullptr;
    }
    if (sign_extend && field->kind != FieldKind::Scalar) {
        return fail(Rule::ContextAccess, std::string("`") + field->name + "` is an address and cannot be sign-extended",
                    reg),
               nullptr;
    }
    const Binding& binding = program.bindings[at_];
    if (binding.kind != BindingKind::Context || binding.context.field != static_cast<uint16_t>(field->id)) {
        return fail(Rule::NotModelled,
                    "the instruction reaches the context only on some ways, or different fields of it", reg, {}, {},
                    "read the context through the pointer the program got in r1"),
               nullptr;
    }
    return field;
}

bool Executor::load_context(const Target& t, unsigned bytes, bool sign_extend, unsigned dst) {
    const FieldRow* field = context_field(t, bytes, false, insn_.src, sign_extend);
    if (field == nullptr) return false;
    Val v;
    const auto object = [&](platform::ContextKind kind, bool nullable, bool writable) {
        Region region;
        region.kind = RegionKind::Object;
        region.type = static_cast<uint8_t>(kind);
        region.nullable = nullable;
        region.writable = writable;
        v = Val::symbol(new_region(s, region, at_));
    };
    switch (field->kind) {
        case FieldKind::Scalar: {
            v = fresh(loaded_number(bytes));
            if (sign_extend) {
                const isa::Operation op = bytes == 1   ? isa::Operation::Movsx8
                                          : bytes == 2 ? isa::Operation::Movsx16
                                                       : isa::Operation::Movsx32;
                const Num n = number(v);
                v = fresh(alu_number(op, false, n, n));
            }
            break;
        }
        case FieldKind::Packet:
        case FieldKind::PacketEnd:
        case FieldKind::PacketMeta: v = packet_address(field->kind); break;
        case FieldKind::Socket: object(platform::ContextKind::Socket, false, false); break;
        case FieldKind::SocketOrNull: object(platform::ContextKind::Socket, true, false); break;
        case FieldKind::SockCommonOrNull: object(platform::ContextKind::SockCommon, true, false); break;
        case FieldKind::FlowKeys: object(platform::ContextKind::FlowKeys, false, true); break;
        case FieldKind::TracepointBuffer:
            return fail(Rule::NotModelled, "the record of a writable tracepoint is not modelled", insn_.src);
    }
    write(dst, v);
    return next(), true;
}

bool Executor::store_context(const Target& t, unsigned bytes, int reg) {
    return context_field(t, bytes, true, reg) != nullptr;
}

const FieldRow* Executor::object_field(const Target& t, unsigned bytes, bool store, int reg) {
    const auto kind = static_cast<platform::ContextKind>(t.region.type);
    const std::string type = platform::context_type_name(kind, platform::Personality::Linux);
    if (!t.constant) return fail(Rule::ObjectAccess, "the offset into " + type + " is not one number", reg), nullptr;
    const int64_t offset = *t.constant;
    const FieldRow* field =
        offset < 0 || offset > UINT16_MAX
            ? nullptr
            : platform::find_context_field(kind, platform::Personality::Linux, static_cast<uint32_t>(offset));
    const bool flow_keys = kind == platform::ContextKind::FlowKeys;
    if (field == nullptr || field->hole != nullptr || (store && !flow_keys) ||
        !platform::context_access_fits(*field, platform::Personality::Linux, static_cast<uint32_t>(offset), bytes,
                                       store)) {
        return fail(Rule::ObjectAccess,
                    "bytes [" + std::to_string(offset) + ", " + std::to_string(offset + bytes - 1) + "] of " + type +
                        " cannot be " + (store ? "written" : "read"),
                    reg),
               nullptr;
    }
    return field;
}

bool Executor::load_object(const Target& t, unsigned bytes, unsigned dst) {
    const FieldRow* field = object_field(t, bytes, false, insn_.src);
    if (field == nullptr) return false;
    if (is_packet_part(field->kind) || field->kind != FieldKind::Scalar) {
        return fail(Rule::NotModelled, std::string("`") + field->name + "` leads to an object that is not modelled");
    }
    write(dst, fresh(loaded_number(bytes)));
    return next(), true;
}

}  // namespace skep::verifier
