// SPDX-License-Identifier: Apache-2.0
#include "program/adapt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/bytes.hpp"
#include "btf/core.hpp"
#include "isa/insn.hpp"
#include "object/relocate.hpp"
#include "platform/context_types.hpp"

namespace skep {
namespace {

using btf::CoreKind;
using isa::Insn;
using isa::InsnIndex;
using isa::Operation;

/// The type behind typedefs and qualifiers, and the first named member on the access path; empty where there is none.
std::string_view member_of(const btf::Btf& types, const btf::CoreRecord& record) {
    std::string_view path = types.string(record.access_off);
    btf::TypeId at = types.strip(record.type);
    size_t colon = path.find(':');  // the first number counts whole objects
    while (colon != std::string_view::npos) {
        path.remove_prefix(colon + 1);
        colon = path.find(':');
        uint32_t index = 0;
        const std::string_view number = path.substr(0, colon);
        std::from_chars(number.data(), number.data() + number.size(), index);
        const btf::Type& type = types.type(at);
        if ((type.kind != btf::Kind::Struct && type.kind != btf::Kind::Union) || index >= types.members(type).size())
            return {};
        const btf::Member& member = types.members(type)[index];
        if (const std::string_view name = types.string(member.name_off); !name.empty()) return name;
        at = types.strip(member.type);
    }
    return {};
}

/// The context of the tables that a type of this name is.
std::optional<platform::ContextKind> context_named(std::string_view name) {
    for (const platform::FieldRow& row : platform::context_fields())
        for (const auto p : {platform::Personality::Linux, platform::Personality::Windows})
            if (platform::context_struct_name(row.context, p) == name) return row.context;
    return std::nullopt;
}

class Adapter {
  public:
    Adapter(const object::ObjectSpec& spec, const object::LinkedProgram& program, platform::Personality personality,
            const AdaptTarget& target)
        : spec_(spec), personality_(personality), target_(target) {
        out_.program = program;
    }

    Result<AdaptedProgram> run() {
        const std::vector<btf::CoreRecord> records = out_.program.core_relocations;
        for (const btf::CoreRecord& record : records) SKEP_TRY(ask(record));
        out_.program.core_relocations = applied_;
        SKEP_TRY(object::relocate(out_.program, answers_));
        out_.program.core_relocations = records;
        for (const InsnIndex insn : unknown_) forget(insn);
        configuration();
        return std::move(out_);
    }

  private:
    Result<void> ask(const btf::CoreRecord& record) {
        const btf::Btf& local = *spec_.btf;
        if (record.kind == CoreKind::TypeIdLocal) return {};
        const btf::Type& type = local.type(record.type);
        const std::string_view name = btf::essential_name(local.name(record.type));
        const auto context = context_named(name);
        const bool offset = record.kind == CoreKind::FieldByteOffset;
        if (!target_.complete && target_.types->find(type.kind, name) == 0) {
            std::string text = std::string(local.type_text(record.type));
            if (std::ranges::find(out_.unknown_types, text) == out_.unknown_types.end())
                out_.unknown_types.push_back(std::move(text));
            if (!offset) unknown_.push_back(record.insn);
            return {};
        }
        SKEP_ASSIGN(btf::CoreAnswer there, answer(local, record, *target_.types, &candidates_));
        CoreUse use;
        use.insn = record.insn;
        use.absent = there.absent;
        const std::string_view member = member_of(local, record);
        use.name = member.empty() ? std::string(local.type_text(record.type))
                                  : fmt::format("field {} of {}", member, local.type_text(record.type));
        if (context && !member.empty()) use.field = platform::field_named(*context, member, personality_);
        if (use.field)  // without its flavour
            use.name = fmt::format("field {} of {}", platform::context_field(*use.field).name,
                                   platform::context_type_name(*context, personality_));
        if (offset && context) {
            // Where its own system has the field: what the offset means is looked up there.
            SKEP_ASSIGN(there, answer(local, record, *target_.own, &own_candidates_));
        }
        const bool asks = use.absent || there.absent;
        if (asks) out_.uses.push_back(std::move(use));
        if (there.absent) {
            unknown_.push_back(record.insn);
            return {};
        }
        applied_.push_back(record);
        answers_.push_back(there);
        return {};
    }

    /// Makes the instruction one of which nothing is known: not what it leaves, nor what it touches.
    void forget(InsnIndex at) {
        const auto insn = isa::decode(out_.program.code, at);
        if (!insn) return;
        const bool stores = insn->row().is_memory() && insn->row().writes_memory();
        for (uint32_t slot = 0; slot < insn->slots(); ++slot)
            out_.program.code[at + slot] =
                isa::encode(stores ? Insn{.op = isa::Op::Ja} : Insn{.op = isa::Op::Neg64, .dst = insn->dst}).slots[0];
    }

    // ---- the kernel's configuration

    /// What a program finds at an offset of one of its maps.
    std::optional<uint64_t> known(uint32_t map, int64_t offset, unsigned bytes) const {
        if (map >= out_.program.maps.size()) return std::nullopt;
        for (const KnownBytes& k : target_.known) {
            if (k.map != out_.program.maps[map] || offset < k.offset ||
                offset + bytes > int64_t{k.offset} + static_cast<int64_t>(k.bytes.size()))
                continue;
            uint64_t value = 0;
            for (unsigned i = 0; i < bytes; ++i)
                value |= std::to_integer<uint64_t>(k.bytes[static_cast<size_t>(offset - k.offset) + i]) << (8 * i);
            return value;
        }
        return std::nullopt;
    }

    /// A value is loaded, moved about a little and compared, in a row: the comparison becomes a jump or none.
    void configuration() {
        if (target_.known.empty()) return;
        const auto all = isa::decode_all(out_.program.code);
        if (!all) return;
        std::vector<bool> entered(out_.program.code.size() + 1);
        for (const auto& [at, insn] : *all) {
            const int64_t to = insn.row().is_jump() ? isa::target_of(insn, at) : -1;
            if (to >= 0 && to < static_cast<int64_t>(entered.size())) entered[static_cast<size_t>(to)] = true;
        }
        for (size_t i = 0; i + 1 < all->size(); ++i) {
            const Insn& address = (*all)[i].insn;
            if (address.row().operation != Operation::LdMapValue) continue;
            const auto& [at, load] = (*all)[i + 1];
            if (load.row().operation != Operation::Load || load.src != address.dst || entered[at]) continue;
            if (const auto value = known(static_cast<uint32_t>(address.imm), int64_t{address.next_imm} + load.offset,
                                         load.row().access_bytes()))
                follow(*all, i + 2, entered, load.dst, *value);
        }
    }

    void follow(const std::vector<isa::PlacedInsn>& all, size_t i, const std::vector<bool>& entered, uint8_t reg,
                uint64_t value) {
        for (; i < all.size(); ++i) {
            const auto& [at, insn] = all[i];
            const isa::Row& row = insn.row();
            if (entered[at]) return;
            const bool wide = row.insn_class() == isa::Class::Alu64 || row.insn_class() == isa::Class::Jmp;
            if (row.form == isa::Form::JumpImm) {
                if (insn.dst != reg) return;
                const bool taken = compare(row.operation, wide, value, static_cast<uint64_t>(int64_t{insn.imm}));
                out_.program.code[at] =
                    isa::encode({.op = isa::Op::Ja, .offset = taken ? insn.offset : int16_t{0}}).slots[0];
                return;
            }
            if (row.is_jump() || row.is_call() || row.ends_path()) return;
            if (row.form == isa::Form::MovSrc && insn.src == reg && row.operation == Operation::Mov) {
                if (!wide) value = static_cast<uint32_t>(value);
                reg = insn.dst;
                continue;
            }
            if ((isa::writes_of(insn) & isa::register_bit(reg)) == 0) continue;
            const auto shift = static_cast<unsigned>(insn.imm) & (wide ? 63u : 31u);
            if (row.form != isa::Form::DstImm) return;
            if (row.operation == Operation::And)
                value &= static_cast<uint64_t>(int64_t{insn.imm});
            else if (row.operation == Operation::Lsh)
                value <<= shift;
            else if (row.operation == Operation::Rsh)
                value = wide ? value >> shift : static_cast<uint32_t>(value) >> shift;
            else if (row.operation == Operation::Arsh && wide)
                value = static_cast<uint64_t>(static_cast<int64_t>(value) >> shift);
            else
                return;
            if (!wide) value = static_cast<uint32_t>(value);
        }
    }

    static bool compare(Operation how, bool wide, uint64_t a, uint64_t b) {
        if (!wide) {
            a = static_cast<uint32_t>(a);
            b = static_cast<uint32_t>(b);
        }
        const auto sign = [&](uint64_t v) {
            return wide ? static_cast<int64_t>(v) : int64_t{static_cast<int32_t>(static_cast<uint32_t>(v))};
        };
        if (how == Operation::JumpEq) return a == b;
        if (how == Operation::JumpNe) return a != b;
        if (how == Operation::JumpGt) return a > b;
        if (how == Operation::JumpGe) return a >= b;
        if (how == Operation::JumpLt) return a < b;
        if (how == Operation::JumpLe) return a <= b;
        if (how == Operation::JumpSgt) return sign(a) > sign(b);
        if (how == Operation::JumpSge) return sign(a) >= sign(b);
        if (how == Operation::JumpSlt) return sign(a) < sign(b);
        if (how == Operation::JumpSle) return sign(a) <= sign(b);
        return (a & b) != 0;  // JumpSet
    }

    const object::ObjectSpec& spec_;
    platform::Personality personality_;
    const AdaptTarget& target_;
    AdaptedProgram out_;
    std::vector<btf::CoreRecord> applied_;
    std::vector<btf::CoreAnswer> answers_;
    std::vector<InsnIndex> unknown_;
    btf::Candidates candidates_, own_candidates_;
};

}  // namespace

Result<AdaptedProgram> adapt(const object::ObjectSpec& spec, const object::LinkedProgram& program,
                             platform::Personality personality, const AdaptTarget& target) {
    return Adapter(spec, program, personality, target).run();
}

}  // namespace skep
