// SPDX-License-Identifier: Apache-2.0
#include "object/relocate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "btf/core.hpp"
#include "isa/insn.hpp"

namespace skep::object {

namespace {

isa::Slot absent_insn() { return isa::encode({.op = isa::Op::Call, .imm = absent_helper}).slots[0]; }

/// The same load or store at another width; null if there is none.
const isa::Row* resized(const isa::Row& row, uint32_t bytes) {
    for (const isa::Row& other : isa::rows()) {
        if (other.form == row.form && other.operation == row.operation && other.access_bytes() == bytes) return &other;
    }
    return nullptr;
}

struct Patcher {
    LinkedProgram& program;
    const btf::CoreRecord& record;

    Error bad(std::string what, std::string why) const {
        Where where;
        where.section = program.section;
        where.function = program.name;
        where.insn = record.insn;
        const auto after = std::ranges::upper_bound(program.lines, record.insn, {}, &SourceLine::insn);
        if (after != program.lines.begin()) {
            where.source_file = std::prev(after)->file;
            where.source_line = std::prev(after)->line;
            where.source_column = std::prev(after)->column;
        }
        return Error(Errc::Malformed, std::move(where), std::move(what), std::move(why));
    }

    Error mismatch(uint64_t holds, uint64_t expected) const {
        return bad("a CO-RE relocation does not fit its instruction",
                   fmt::format("the instruction holds {}, the object's types say {}", static_cast<int64_t>(holds),
                               static_cast<int64_t>(expected)));
    }

    /// libbpf: bpf_core_patch_insn
    Result<void> apply(const btf::CoreAnswer& a) {
        if (record.insn >= program.code.size()) {
            return bad("a CO-RE relocation lies outside the program",
                       fmt::format("the program has {} slots", program.code.size()));
        }
        isa::Slot& slot = program.code[record.insn];
        const isa::Row* row = isa::match(slot);
        if (row == nullptr)
            return bad("a CO-RE relocation of an unknown instruction", fmt::format("{:#x}", slot.opcode));
        if (row->is_wide() && record.insn + 1 >= program.code.size()) {
            return bad("a CO-RE relocation of half an instruction", "the program ends inside a wide load");
        }
        if (a.absent) {
            if (row->is_wide()) program.code[record.insn + 1] = absent_insn();
            slot = absent_insn();
            return {};
        }
        if (row->is_memory()) {
            if (a.check_before && static_cast<uint16_t>(slot.offset) != static_cast<uint16_t>(a.before)) {
                return mismatch(static_cast<uint16_t>(slot.offset), a.before);
            }
            if (a.after > static_cast<uint64_t>(std::numeric_limits<int16_t>::max())) {
                return bad("a field lies too far into its type for a load or store",
                           fmt::format("offset {} on the target, at most {} fits", a.after,
                                       std::numeric_limits<int16_t>::max()));
            }
            if (!a.resizable) {
                // Reads another number than the author meant (a sign, half of a struct): must not be reached.
                slot = absent_insn();
                return {};
            }
            slot.offset = static_cast<int16_t>(a.after);
            if (a.before_bytes != a.after_bytes) {
                if (row->access_bytes() != a.before_bytes) {
                    return bad("a load or store of another width than its field",
                               fmt::format("{} bytes, the field has {}", row->access_bytes(), a.before_bytes));
                }
                const isa::Row* other = resized(*row, a.after_bytes);
                if (other == nullptr) {
                    return bad("a field has a width that no load or store has",
                               fmt::format("{} bytes on the target", a.after_bytes));
                }
                slot.opcode = other->opcode;
            }
            return {};
        }
        if (row->form == isa::Form::WideImm64) {
            isa::Slot& next = program.code[record.insn + 1];
            const uint64_t holds = static_cast<uint32_t>(slot.imm) | uint64_t{static_cast<uint32_t>(next.imm)} << 32;
            if (a.check_before && holds != a.before) return mismatch(holds, a.before);
            slot.imm = static_cast<int32_t>(static_cast<uint32_t>(a.after));
            next.imm = static_cast<int32_t>(static_cast<uint32_t>(a.after >> 32));
            return {};
        }
        if (row->form == isa::Form::DstImm || row->form == isa::Form::MovImm) {
            if (a.check_before && static_cast<uint32_t>(slot.imm) != static_cast<uint32_t>(a.before)) {
                return mismatch(static_cast<uint32_t>(slot.imm), a.before);
            }
            slot.imm = static_cast<int32_t>(static_cast<uint32_t>(a.after));
            return {};
        }
        return bad("a CO-RE relocation of an instruction that holds no number", std::string(row->name));
    }
};

}  // namespace

Result<void> relocate(LinkedProgram& program, const btf::Btf& local, const btf::Btf& target,
                      std::vector<btf::CoreAnswer>* answers) {
    btf::Candidates candidates;
    for (const btf::CoreRecord& record : program.core_relocations) {
        auto found = btf::answer(local, record, target, &candidates);
        if (!found)
            return std::move(found).error().in_section(program.section).in_function(program.name).at_insn(record.insn);
        Patcher patcher{program, record};
        SKEP_TRY(patcher.apply(*found));
        if (answers != nullptr) answers->push_back(*found);
    }
    return {};
}

Result<void> relocate(LinkedProgram& program, std::span<const btf::CoreAnswer> answers) {
    if (answers.size() != program.core_relocations.size())
        return Error(Errc::Malformed, "the answers to the CO-RE relocations are not this program's",
                     fmt::format("{} answers, {} relocations", answers.size(), program.core_relocations.size()))
            .in_function(program.name);
    for (size_t i = 0; i < answers.size(); ++i) {
        Patcher patcher{program, program.core_relocations[i]};
        SKEP_TRY(patcher.apply(answers[i]));
    }
    return {};
}

}  // namespace skep::object
