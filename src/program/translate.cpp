// SPDX-License-Identifier: Apache-2.0
// Translation of one object. Meaning comes from binding, so that this cannot disagree with what our own hooks do; all
// changes of the file go through object::Editor.
#include "program/translate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "btf/core.hpp"
#include "btf/edit.hpp"
#include "isa/disasm.hpp"
#include "isa/insn.hpp"
#include "object/editor.hpp"
#include "object/link.hpp"
#include "platform/context.hpp"
#include "platform/ebpf_result.hpp"
#include "platform/platforms/nearest.hpp"
#include "program/bind.hpp"
#include "program/needs.hpp"
#include "program/personality.hpp"

namespace skep {
namespace {

using isa::Insn;
using isa::InsnIndex;
using isa::Op;
using isa::Operation;
using platform::HelperId;
using platform::Personality;
using platform::Platform;
using platform::ProgramType;

// ---- instructions put in. Distances count from the next instruction.

Insn mov(uint8_t dst, int32_t imm) { return {.op = Op::Mov64K, .dst = dst, .imm = imm}; }
Insn go(int16_t distance) { return {.op = Op::Ja, .offset = distance}; }
Insn if_low_equal(uint8_t reg, int32_t imm, int16_t distance) {
    return {.op = Op::Jeq32K, .dst = reg, .offset = distance, .imm = imm};
}
Insn if_not_equal(uint8_t reg, int32_t imm, int16_t distance) {
    return {.op = Op::Jne64K, .dst = reg, .offset = distance, .imm = imm};
}
Insn if_signed_above(uint8_t reg, int32_t imm, int16_t distance) {
    return {.op = Op::Jsgt64K, .dst = reg, .offset = distance, .imm = imm};
}

/// A program type's verdict numbers, from one system to the other. Numbers in no row become `otherwise`.
struct VerdictMap {
    std::vector<std::pair<int32_t, int32_t>> rows;
    int32_t otherwise = 0;
    bool whole = false;  ///< the target compares all 64 bits of r0, the program's own system 32

    int32_t of(uint32_t number) const {
        for (const auto& [from, to] : rows)
            if (static_cast<uint32_t>(from) == number) return to;
        return otherwise;
    }
};

std::optional<VerdictMap> verdict_map(ProgramType type, platform::AttachType attach, Personality from) {
    const bool linux = from == Personality::Linux;
    if (type == ProgramType::Xdp) {
        VerdictMap map;
        map.rows = {{1, 2}, {2, 1}, {3, 3}, {4, 4}};
        map.otherwise = linux ? 2 : 1;  // aborted drops, and what Windows does not know drops
        return map;
    }
    if (type == ProgramType::CgroupSockAddr && !linux) return VerdictMap{{{0, 0}, {1, 1}, {2, 1}}, 0, true};
    // Bit 1 is a flag beside Linux' verdict (BPF_RET_BIND_NO_CAP_NET_BIND_SERVICE), and a verdict of Windows'.
    if (attach == platform::AttachType::Bind4 || attach == platform::AttachType::Bind6)
        return VerdictMap{{{0, 0}, {1, 1}, {2, 0}, {3, 1}}, 0};
    // Windows' take any number, Linux' 0 and 1.
    if (type == ProgramType::SockOps && !linux) return VerdictMap{{{0, 0}, {1, 1}}, 1, true};
    if (type == ProgramType::CgroupSockAddr || type == ProgramType::SockOps) return VerdictMap{};  // the same numbers
    return std::nullopt;
}

/// r0 = map(r0), as comparisons: fits every loader since -mcpu=v3.
std::vector<Insn> verdict_code(const VerdictMap& map) {
    std::vector<Insn> code;
    std::vector<std::pair<int32_t, int32_t>> changed;
    std::vector<size_t> to_end;
    if (map.whole) code.push_back({.op = Op::Mov32X, .dst = 0, .src = 0});
    for (const auto& [from, to] : map.rows) {
        if (from != to) {
            changed.emplace_back(from, to);
        } else {
            to_end.push_back(code.size());
            code.push_back(if_low_equal(0, from, 0));
        }
    }
    for (const auto& [from, to] : changed) {  // if w0 == from { r0 = to; goto end }
        code.push_back({.op = Op::Jne32K, .dst = 0, .offset = 2, .imm = from});
        code.push_back(mov(0, to));
        to_end.push_back(code.size());
        code.push_back(go(0));
    }
    code.push_back(mov(0, map.otherwise));
    for (const size_t at : to_end) code[at].offset = static_cast<int16_t>(code.size() - at - 1);
    return code;
}

/// r0 of a helper, from the target's error numbers to the program's own.
std::vector<Insn> result_code(Personality program) {
    std::map<int32_t, int32_t> pairs;  // as the target says it, as the program reads it
    for (const platform::EbpfResultRow& row : platform::ebpf_result_rows) {
        if (program == Personality::Windows)
            pairs.emplace(-row.errno_number, -row.number);
        else
            pairs.emplace(-row.number, -row.errno_number);
    }
    std::vector<Insn> code;
    std::vector<size_t> to_end;
    to_end.push_back(code.size());
    code.push_back(if_signed_above(0, -1, 0));
    for (const auto& [from, to] : pairs) {
        code.push_back(if_not_equal(0, from, 2));
        code.push_back(mov(0, to));
        to_end.push_back(code.size());
        code.push_back(go(0));
    }
    code.push_back(mov(0, program == Personality::Windows ? -platform::ebpf_result_failed : -22));
    for (const size_t at : to_end) code[at].offset = static_cast<int16_t>(code.size() - at - 1);
    return code;
}

/// A loaded number in register `reg`, from the target's to the program's own. Nothing where no code can tell.
std::optional<std::vector<Insn>> value_code(platform::FieldValues values, Personality program, uint8_t reg) {
    using platform::FieldValues;
    const bool windows = program == Personality::Windows;
    switch (values) {
        case FieldValues::Same: return std::vector<Insn>{};
        case FieldValues::Family: {
            constexpr int32_t linux_ip6 = 10, windows_ip6 = 23;
            const Insn skip{.op = Op::Jne32K, .dst = reg, .offset = 1, .imm = windows ? linux_ip6 : windows_ip6};
            return std::vector<Insn>{skip, mov(reg, windows ? windows_ip6 : linux_ip6)};
        }
        case FieldValues::HostPort: return std::vector<Insn>{{.op = Op::Be16, .dst = reg}};
        case FieldValues::HighPort:
            return std::vector<Insn>{{.op = windows ? Op::Rsh32K : Op::Lsh32K, .dst = reg, .imm = 16}};
        case FieldValues::SockOp:
        case FieldValues::Address: return std::nullopt;
    }
    return std::nullopt;
}

std::optional<Op> load_op(unsigned bytes) {
    switch (bytes) {
        case 1: return Op::LdxB;
        case 2: return Op::LdxH;
        case 4: return Op::LdxW;
        case 8: return Op::LdxDw;
        default: return std::nullopt;
    }
}

std::optional<Op> store_op(unsigned bytes, bool immediate) {
    switch (bytes) {
        case 1: return immediate ? Op::StB : Op::StxB;
        case 2: return immediate ? Op::StH : Op::StxH;
        case 4: return immediate ? Op::StW : Op::StxW;
        case 8: return immediate ? Op::StDw : Op::StxDw;
        default: return std::nullopt;
    }
}

/// Contexts whose structures both systems have, under one name.
struct ContextType {
    std::string_view name;
    platform::ContextKind context;
};
constexpr ContextType context_types[] = {
    {"xdp_md", platform::ContextKind::Xdp},
    {"bpf_sock_addr", platform::ContextKind::SockAddr},
    {"bpf_sock_ops", platform::ContextKind::SockOps},
};

/// What becomes of one instruction of the file.
struct SlotEdit {
    std::optional<Insn> replace;
    std::vector<Insn> before, after;
    bool operator==(const SlotEdit&) const = default;
};

class Translator {
  public:
    Translator(Bytes file, const object::ObjectSpec& spec, Personality from, const Platform& target)
        : file_(file), spec_(spec), from_(from), target_(target) {}

    Result<Translation> run() {
        if (target_.personality == from_)
            return Error(Errc::InvalidArgument, Where{.file = spec_.file},
                         fmt::format("the object is {} already", personality_name(from_)), {}, "nothing is to be done");
        SKEP_ASSIGN(object::Editor editor, object::Editor::open(file_, spec_));
        editor_ = &editor;
        for (const object::ProgramSpec& program : spec_.programs) entries_.insert(program.function);
        for (size_t i = 0; i < spec_.programs.size(); ++i) SKEP_TRY(program(i));
        if (report_.programs == 0)
            return Error(Errc::Unresolved, Where{.file = spec_.file}, "the object has no program");
        apply();
        SKEP_TRY(types_and_maps());
        SKEP_TRY(marks());
        SKEP_ASSIGN(std::vector<std::byte> out, editor.finish());
        SKEP_TRY(check(out));
        return Translation{std::move(out), report_};
    }

  private:
    /// The first thing that the target lacks; how many more there are is told.
    Error no_equivalent(const ProgramNeeds& needs, const std::vector<Missing>& all) const {
        const Missing& missing = all.front();
        Where where;
        where.file = spec_.file;
        where.section = needs.section;
        where.function = needs.program;
        if (!missing.need->sites.empty()) {
            const NeedSite& site = missing.need->sites.front();
            where.insn = site.insn;
            where.insn_text = site.insn_text;
            where.function = site.function;
            where.source_file = site.source_file;
            where.source_line = site.source_line;
        }
        std::string hint = missing.nearest.empty() ? "" : "nearest there: " + missing.nearest;
        if (all.size() > 1)
            hint += fmt::format("{}it lacks {} more: skep check {} --platform {} lists them", hint.empty() ? "" : "; ",
                                all.size() - 1, spec_.file, target_.name);
        std::string why;
        if (missing.since.starts_with("Linux"))
            why = fmt::format("it exists since {}", missing.since);
        else if (!missing.since.empty())
            why = fmt::format("{} alone has it", missing.since);
        return Error(Errc::Rejected, std::move(where), fmt::format("{} has no {}", target_.name, missing.need->name),
                     std::move(why), std::move(hint));
    }

    Error at_insn(const object::LinkedProgram& linked, InsnIndex insn, Errc code, std::string what,
                  std::string why = {}, std::string hint = {}) const {
        Where where{.file = spec_.file, .section = linked.section, .function = linked.name, .insn = insn};
        if (const auto decoded = isa::decode(linked.code, insn)) where.insn_text = isa::disassemble(*decoded, insn);
        const auto after = std::ranges::upper_bound(linked.lines, insn, {}, &object::SourceLine::insn);
        if (after != linked.lines.begin()) {
            where.source_file = std::prev(after)->file;
            where.source_line = std::prev(after)->line;
        }
        return Error(code, std::move(where), std::move(what), std::move(why), std::move(hint));
    }

    /// The function of the file that became `sub`: by its name, and its size where several have that.
    Result<uint32_t> function_of(const object::LinkedProgram& linked, const object::Subprogram& sub) const {
        uint32_t found = object::no_index;
        for (uint32_t f = 0; f < spec_.functions.size(); ++f) {
            const object::FunctionSpec& function = spec_.functions[f];
            if (function.name != sub.name || function.end - function.start != sub.end - sub.start) continue;
            if (found != object::no_index)
                return at_insn(linked, sub.start, Errc::Unsupported,
                               fmt::format("there are two functions {}", sub.name), {}, "give them different names");
            found = f;
        }
        if (found == object::no_index)
            return at_insn(linked, sub.start, Errc::Unsupported,
                           fmt::format("function {} is not in the file", sub.name));
        return found;
    }

    /// Where a slot of the linked program stands in the file. Requires: functions_ are those of `linked`.
    std::pair<uint32_t, uint32_t> place(const object::LinkedProgram& linked, InsnIndex at) const {
        for (size_t i = 0; i < linked.subprograms.size(); ++i) {
            const object::Subprogram& sub = linked.subprograms[i];
            if (at < sub.start || at >= sub.end) continue;
            const object::FunctionSpec& function = spec_.functions[functions_[i]];
            return {function.section, function.start + (at - sub.start)};
        }
        return {0, 0};
    }

    Result<void> note(const object::LinkedProgram& linked, InsnIndex at, SlotEdit edit) {
        const auto [found, added] = edits_.emplace(place(linked, at), edit);
        if (!added && found->second != edit)
            return at_insn(linked, at, Errc::Unsupported, "the instruction would have to mean two things",
                           "two programs with other types share this function",
                           "give each program a function of its own");
        return {};
    }

    Result<void> program(size_t index) {
        SKEP_ASSIGN(const object::LinkedProgram linked, object::link(spec_, index));
        SKEP_ASSIGN(const ProgramNeeds needs, needs_of(spec_, linked, from_));
        const Judgement judgement = judge(needs, target_);
        if (judgement.fit == Fit::Cannot) return no_equivalent(needs, judgement.missing);
        SKEP_TRY(no_context_by_name(linked));
        SKEP_ASSIGN(const BoundProgram bound, bind(spec_, linked, {.personality = from_}));
        ++report_.programs;
        for (const Missing& verdict : judgement.replaced)
            report_.replaced.push_back(fmt::format("{} says {}, which {} cannot: it becomes {}", linked.name,
                                                   verdict.need->name.substr(verdict.need->name.find(' ') + 1),
                                                   target_.name, verdict.nearest));
        functions_.clear();
        for (const object::Subprogram& sub : linked.subprograms) {
            SKEP_ASSIGN(const uint32_t function, function_of(linked, sub));
            functions_.push_back(function);
        }
        for (size_t s = 1; s < linked.subprograms.size(); ++s)
            if (entries_.contains(functions_[s]))
                return at_insn(linked, linked.subprograms[s].start, Errc::Unsupported,
                               fmt::format("program {} is called as a function", linked.subprograms[s].name),
                               "its verdict would be mapped for the caller, too", "call a static function from both");
        std::vector<bool> leaders(linked.code.size() + 1);
        SKEP_ASSIGN(const std::vector<isa::PlacedInsn> insns, isa::decode_all(linked.code));
        for (const auto& [at, insn] : insns) {
            if (!insn.row().is_jump()) continue;
            const int64_t target = isa::target_of(insn, at);
            if (target >= 0 && target < static_cast<int64_t>(leaders.size()))
                leaders[static_cast<size_t>(target)] = true;
        }
        const auto verdicts = verdict_map(bound.type, bound.attach, from_);
        if (!verdicts)
            return Error(Errc::Unsupported, Where{.file = spec_.file, .section = linked.section},
                         fmt::format("verdicts of {} programs cannot be translated yet",
                                     platform::program_type_name(bound.type)));
        const InsnIndex main_end = linked.subprograms.front().end;
        for (size_t i = 0; i < insns.size(); ++i) {
            const auto& [at, insn] = insns[i];
            const Binding& binding = bound.bindings[at];
            if (binding.kind == BindingKind::Helper && insn.row().operation == Operation::Call)
                SKEP_TRY(helper(linked, bound, insns, i));
            if (binding.kind == BindingKind::Context) SKEP_TRY(access(linked, insns, i, leaders, binding.context));
            if (insn.row().is_exit() && at < main_end && !verdicts->rows.empty()) {
                ++report_.verdicts;
                const Insn* before = i > 0 && !leaders[at] ? &insns[i - 1].insn : nullptr;
                const bool constant =
                    before != nullptr && (before->op == Op::Mov64K || before->op == Op::Mov32K) && before->dst == 0;
                if (constant) {
                    Insn other = *before;
                    other.imm = verdicts->of(static_cast<uint32_t>(before->imm));
                    SKEP_TRY(note(linked, insns[i - 1].index, {.replace = other, .before = {}, .after = {}}));
                } else {
                    SKEP_TRY(note(linked, at, {.replace = {}, .before = verdict_code(*verdicts), .after = {}}));
                }
            }
        }
        return {};
    }

    /// CO-RE records of a context's type name members by their place in it, and contexts() writes that type anew.
    Result<void> no_context_by_name(const object::LinkedProgram& linked) const {
        for (const btf::CoreRecord& record : linked.core_relocations) {
            const std::string_view name = btf::essential_name(spec_.btf->name(spec_.btf->strip(record.type)));
            if (std::ranges::find(context_types, name, &ContextType::name) != std::end(context_types))
                return at_insn(linked, record.insn, Errc::Unsupported,
                               fmt::format("what struct {} looks like is asked for by name (CO-RE)", name),
                               "the other system's structure has other members, in another order",
                               "declare the context without preserve_access_index; skep run and skep verify resolve "
                               "such records as they are");
        }
        return {};
    }

    /// Whether somebody may read r0 after the instruction at insns[i].
    static bool result_is_read(std::span<const isa::PlacedInsn> insns, size_t from) {
        std::vector<bool> seen(insns.size());
        std::vector<size_t> open{from + 1};
        const auto index_of = [&](int64_t slot) {
            const auto at =
                std::ranges::lower_bound(insns, slot, {}, [](const isa::PlacedInsn& p) { return int64_t{p.index}; });
            return static_cast<size_t>(at - insns.begin());
        };
        while (!open.empty()) {
            const size_t i = open.back();
            open.pop_back();
            if (i >= insns.size() || seen[i]) continue;
            seen[i] = true;
            const Insn& insn = insns[i].insn;
            if ((isa::reads_of(insn) & isa::register_bit(0)) != 0) return true;
            if ((isa::writes_of(insn) & isa::register_bit(0)) != 0) continue;
            if (insn.row().is_jump()) open.push_back(index_of(isa::target_of(insn, insns[i].index)));
            if (!insn.row().ends_path()) open.push_back(i + 1);
        }
        return false;
    }

    Result<void> helper(const object::LinkedProgram& linked, const BoundProgram& bound,
                        std::span<const isa::PlacedInsn> insns, size_t i) {
        const auto& [at, insn] = insns[i];
        auto id = static_cast<HelperId>(bound.bindings[at].helper);
        SlotEdit edit;
        const platform::PlatformHelper* there = target_.helper_for(id, bound.type);
        if (there == nullptr) {
            const auto equal = platform::equal_helper(target_, id, bound.type);
            if (!equal)
                return at_insn(linked, at, Errc::Rejected,
                               fmt::format("{} has no helper {}", target_.name, platform::helper_name(id)), {},
                               platform::nearest_helper(target_, id, bound.type));
            // The same helper with more arguments: those that the program did not give are nothing.
            const auto& mine = platform::helper(id).args;
            const auto& theirs = platform::helper(*equal).args;
            for (uint8_t n = 0; n < 5; ++n)
                if (mine[n] == platform::ArgKind::None && theirs[n] != platform::ArgKind::None)
                    edit.before.push_back(mov(static_cast<uint8_t>(n + 1), 0));
            id = *equal;
            there = target_.helper_for(id, bound.type);
        }
        if (static_cast<uint32_t>(insn.imm) != there->id) {
            Insn other = insn;
            other.imm = static_cast<int32_t>(there->id);
            edit.replace = other;
            ++report_.helper_numbers;
        }
        if (id == HelperId::TailCall) {
            // Linux leaves nothing to read behind one that failed; Windows' programs mostly ask for "negative".
            if (from_ == Personality::Windows && result_is_read(insns, i)) {
                edit.after = {mov(0, -platform::ebpf_result_invalid_argument)};
                ++report_.results;
            }
        } else if (platform::windows_result_is_mapped(id) && result_is_read(insns, i)) {
            edit.after = result_code(from_);
            ++report_.results;
        }
        if (edit == SlotEdit{}) return {};
        return note(linked, at, std::move(edit));
    }

    /// Whether the register certainly holds a number below 2^bits before insns[i], by the instructions just before.
    static bool is_small(std::span<const isa::PlacedInsn> insns, size_t i, const std::vector<bool>& leaders,
                         uint8_t reg, uint32_t bytes) {
        while (i > 0 && !leaders[insns[i].index]) {
            const Insn& insn = insns[--i].insn;
            if (insn.row().is_jump() || insn.row().ends_path()) return false;
            if ((isa::writes_of(insn) & isa::register_bit(reg)) == 0) continue;
            const bool constant = insn.op == Op::Mov64K || insn.op == Op::Mov32K;
            return constant && insn.imm >= 0 && static_cast<uint64_t>(insn.imm) < uint64_t{1} << (8 * bytes);
        }
        return false;
    }

    Result<void> access(const object::LinkedProgram& linked, std::span<const isa::PlacedInsn> insns, size_t index,
                        const std::vector<bool>& leaders, const ContextAccess& access) {
        const auto& [at, insn] = insns[index];
        const platform::FieldRow& field = platform::context_field(static_cast<platform::FieldId>(access.field));
        const uint32_t offset = field.offset(target_.personality), bytes = field.bytes(target_.personality);
        const uint32_t mine = field.bytes(from_);
        if (bytes == 0)
            return at_insn(linked, at, Errc::Rejected, fmt::format("{} has no field {}", target_.name, field.name), {},
                           platform::nearest_field(target_, field));
        const isa::Row& row = insn.row();
        const auto part = static_cast<uint32_t>(insn.offset) - field.offset(from_);
        Insn other = insn;
        other.offset = static_cast<int16_t>(offset + part);
        if (mine != bytes) {
            const bool whole = part == 0 && row.access_bytes() == mine;
            const bool load = row.operation == Operation::Load, store = row.operation == Operation::Store;
            // A wider store takes along what stands above the number: it must be known to be nothing.
            const bool fits = load || bytes < mine || row.form == isa::Form::StoreImm ||
                              is_small(insns, index, leaders, insn.src, mine);
            const auto op = load ? load_op(bytes) : store_op(bytes, row.form == isa::Form::StoreImm);
            if (!whole || !op || !(load || store) || !fits)
                return at_insn(linked, at, Errc::Unsupported,
                               fmt::format("a part of field {} cannot be translated", field.name),
                               fmt::format("it has {} bytes here and {} there", mine, bytes), "load the whole field");
            other.op = *op;
        }
        ++report_.context_accesses;
        SlotEdit edit;
        if (other != insn) edit.replace = other;
        if (field.values != platform::FieldValues::Same) {
            if (row.operation != Operation::Load || part != 0 || row.access_bytes() != mine)
                return at_insn(linked, at, Errc::Unsupported,
                               fmt::format("a part of field {} cannot be translated", field.name),
                               "the systems say it in different numbers", "load the whole field");
            auto code = value_code(field.values, from_, insn.dst);
            if (!code)
                return at_insn(linked, at, Errc::Rejected,
                               fmt::format("field {} has no equal number in {}", field.name, target_.name),
                               field.values == platform::FieldValues::Address
                                   ? "which address it is depends on the family there"
                                   : "the systems call programs at other moments",
                               "bind it instead: skep run takes it as it is");
            edit.after = *std::move(code);
        }
        if (edit == SlotEdit{}) return {};
        return note(linked, at, std::move(edit));
    }

    void apply() {
        for (const auto& [where, edit] : edits_) {
            if (edit.replace) editor_->replace(where.first, where.second, *edit.replace);
            if (!edit.before.empty()) editor_->insert_before(where.first, where.second, edit.before);
            if (!edit.after.empty()) editor_->insert_after(where.first, where.second, edit.after);
            report_.slots_added += static_cast<uint32_t>(edit.before.size() + edit.after.size());
        }
    }

    // ---- maps and BTF

    uint32_t section_named(std::string_view name) const {
        for (uint32_t i = 1; i < spec_.sections.size(); ++i)
            if (spec_.sections[i].name == name) return i;
        return 0;
    }

    Result<uint32_t> map_number(const object::MapSpec& map) {
        platform::MapType type{};
        const bool known = from_ == Personality::Linux ? platform::map_type_from_linux(map.type, &type)
                                                       : platform::map_type_from_windows(map.type, &type);
        const auto there = std::ranges::find(target_.maps, type, &platform::PlatformMap::type);
        if (!known || there == target_.maps.end())
            return Error(Errc::Rejected, Where{.file = spec_.file, .section = map.section},
                         fmt::format("{} has no map type {} (map \"{}\")", target_.name,
                                     known ? platform::map_type_name(type) : fmt::to_string(map.type), map.name),
                         {}, known ? platform::nearest_map(target_, type) : "");
        if (there->id != map.type) ++report_.map_types;
        return there->id;
    }

    Result<void> types_and_maps() {
        for (const object::MapSpec& map : spec_.maps) {
            if (map.origin == object::MapOrigin::Legacy)
                return Error(Errc::Unsupported, Where{.file = spec_.file, .section = map.section},
                             fmt::format("map \"{}\" cannot be translated", map.name),
                             "records of the section \"maps\" are laid out differently on the two systems",
                             "declare it in .maps");
        }
        const uint32_t section = section_named(".BTF");
        if (section == 0 || spec_.btf == nullptr) {
            for (const object::MapSpec& map : spec_.maps)
                if (map.origin == object::MapOrigin::Btf)
                    return Error(Errc::Unsupported, Where{.file = spec_.file}, "maps without BTF cannot be translated");
            return {};
        }
        SKEP_ASSIGN(btf::BtfEditor types, btf::BtfEditor::open(editor_->contents(section)));
        SKEP_TRY(maps(types));
        contexts(types);
        forget_mark(types);
        editor_->set_contents(section, types.finish());
        return {};
    }

    btf::TypeId integer(btf::BtfEditor& types, uint32_t bytes) {
        auto& known = integers_[bytes];
        if (known != 0) return known;
        const btf::Btf& btf = *spec_.btf;
        for (btf::TypeId id = 1; id < btf.type_count(); ++id) {
            const btf::Type& type = btf.type(id);
            if (type.kind == btf::Kind::Int && type.size == bytes && !type.int_signed && !type.int_char)
                return known = id;
        }
        constexpr std::string_view names[] = {"unsigned char", "unsigned short", "unsigned int", "unsigned long long"};
        return known = types.add_integer(names[bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3], bytes);
    }

    Result<void> maps(btf::BtfEditor& types) {
        const btf::Btf& btf = *spec_.btf;
        const btf::TypeId maps = btf.find(btf::Kind::Datasec, ".maps");
        if (maps == 0) return {};
        const auto variables = btf.variables(btf.type(maps));
        for (uint32_t v = 0; v < variables.size(); ++v) {
            const std::string_view name = btf.name(variables[v].type);
            const uint32_t index = spec_.find_map(name);
            if (index == object::no_index) continue;
            const object::MapSpec& map = spec_.maps[index];
            const btf::TypeId definition = btf.strip(btf.type(variables[v].type).type);
            SKEP_ASSIGN(const uint32_t number, map_number(map));
            SKEP_TRY(define(types, definition, map, number, maps, v));
            for (const object::MapSpec& inner : map.inner) {
                SKEP_ASSIGN(const uint32_t inside, map_number(inner));
                for (const btf::Member& member : btf.members(btf.type(definition))) {
                    if (btf.string(member.name_off) != "values") continue;
                    const btf::TypeId pointer = btf.strip(btf.type(btf.strip(member.type)).type);
                    const btf::TypeId type = btf.strip(btf.type(pointer).type);
                    SKEP_TRY(define(types, type, inner, inside, 0, 0));
                }
            }
        }
        return {};
    }

    /// The members "type" and "map_flags" of one map's definition.
    Result<void> define(btf::BtfEditor& types, btf::TypeId definition, const object::MapSpec& map, uint32_t number,
                        btf::TypeId section, uint32_t variable) {
        constexpr uint32_t no_prealloc = 1;
        const btf::Btf& btf = *spec_.btf;
        const auto pointer_to_array = [&](uint32_t count) {
            return types.add_pointer(types.add_array(integer(types, 4), integer(types, 4), count));
        };
        platform::MapType type{};
        (void)platform::map_type_from_linux(number, &type);
        // Linux makes such a map with BPF_F_NO_PREALLOC only; Windows has no flags.
        const bool needs_flag = target_.personality == Personality::Linux && type == platform::MapType::LpmTrie;
        bool has_flags = false;
        const auto members = btf.members(btf.type(definition));
        for (uint32_t m = 0; m < members.size(); ++m) {
            const std::string_view name = btf.string(members[m].name_off);
            if (name == "type" && number != map.type) types.set_member_type(definition, m, pointer_to_array(number));
            if (name != "map_flags") continue;
            has_flags = true;
            if (target_.personality == Personality::Windows && map.flags != 0) {
                if (map.flags != no_prealloc)
                    return Error(
                        Errc::Rejected, Where{.file = spec_.file, .section = map.section},
                        fmt::format("map \"{}\" has flags {:#x}, and {} has none", map.name, map.flags, target_.name));
                types.set_member_type(definition, m, pointer_to_array(0));
            }
            if (needs_flag && map.flags != no_prealloc)
                types.set_member_type(definition, m, pointer_to_array(no_prealloc));
        }
        if (!needs_flag || has_flags) return {};
        // The larger definition moves to the section's end.
        if (section == 0)
            return Error(Errc::Unsupported, Where{.file = spec_.file, .section = map.section},
                         fmt::format("the inner map of \"{}\" needs flags on Linux", map.name));
        const uint32_t data = map.section_index;
        for (uint32_t s = 0; s < spec_.symbols.size(); ++s) {
            const object::SymbolSpec& symbol = spec_.symbols[s];
            if (symbol.section != data || symbol.name != map.name || symbol.kind == object::SymbolKind::Section)
                continue;
            const uint64_t at = (editor_->contents(data).size() + 7) / 8 * 8;
            const uint32_t bytes = btf.type(definition).size + 8;
            editor_->patch(data, at, std::vector<std::byte>(bytes));
            editor_->move_symbol(s, at, bytes);
            // Maps may share one definition.
            if (std::ranges::find(grown_, definition) == grown_.end()) {
                types.add_member(definition, "map_flags", pointer_to_array(no_prealloc), 8);
                grown_.push_back(definition);
            }
            types.set_variable(section, variable, static_cast<uint32_t>(at), bytes);
            if (types.size(section) != 0) types.set_size(section, static_cast<uint32_t>(at + bytes));
            return {};
        }
        return Error(Errc::Unsupported, Where{.file = spec_.file, .section = map.section},
                     fmt::format("map \"{}\" has no symbol", map.name));
    }

    /// Structs of contexts get the target's members, so that type information says what the code does.
    void contexts(btf::BtfEditor& types) {
        const btf::Btf& btf = *spec_.btf;
        for (btf::TypeId id = 1; id < btf.type_count(); ++id) {
            const btf::Kind kind = btf.type(id).kind;
            for (const ContextType& row : context_types) {
                if (kind == btf::Kind::Typedef && btf.name(id) == fmt::format("{}_t", row.name) &&
                    target_.personality == Personality::Linux)
                    types.set_name(id, fmt::format("{}_ctx", row.name));
                if (kind != btf::Kind::Struct || btf.name(id) != row.name) continue;
                std::vector<btf::NewMember> members;
                uint32_t end = 0;
                std::vector<const platform::FieldRow*> fields;
                for (const platform::FieldRow& field : platform::fields_of(row.context))
                    if (field.bytes(target_.personality) != 0) fields.push_back(&field);
                std::ranges::stable_sort(fields, {},
                                         [&](const platform::FieldRow* f) { return f->offset(target_.personality); });
                for (const platform::FieldRow* field : fields) {
                    const uint32_t offset = field->offset(target_.personality),
                                   bytes = field->bytes(target_.personality);
                    if (offset < end) continue;  // a union's other member
                    btf::TypeId type = 0;
                    if (field->kind != platform::FieldKind::Scalar && bytes == 8)
                        type = types.add_pointer(0);
                    else if (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8)
                        type = integer(types, bytes);
                    else
                        type = types.add_array(integer(types, 4), integer(types, 4), bytes / 4);
                    // The address family has a name of its own on each system.
                    const bool family = field->id == platform::FieldId::SockAddrUserFamily &&
                                        target_.personality == Personality::Windows;
                    members.push_back({family ? "family" : field->name, type, offset});
                    end = offset + bytes;
                }
                if (!members.empty()) types.set_struct(id, (end + 7) / 8 * 8, members);
            }
        }
    }

    /// The variable behind Windows' mark: a data section that is gone must not be described.
    void forget_mark(btf::BtfEditor& types) {
        if (target_.personality == Personality::Windows) return;
        const btf::TypeId id = spec_.btf->find(btf::Kind::Datasec, ".ebpf_for_windows");
        if (id != 0) types.blank(id);
    }

    Result<void> marks() {
        const bool windows = target_.personality == Personality::Windows;
        const uint32_t note = section_named(".note.skep"), mark = section_named(".ebpf_for_windows");
        const uint32_t which = windows ? 2 : 1;
        if (note != 0) {
            std::byte word[4];
            store_le(word, which);
            editor_->patch(note, 20, word);
        } else {
            std::vector<std::byte> bytes(24);
            store_le(bytes.data(), uint32_t{5});
            store_le(bytes.data() + 4, uint32_t{4});
            store_le(bytes.data() + 8, uint32_t{1});
            std::ranges::copy(as_bytes("skep"), bytes.begin() + 12);
            store_le(bytes.data() + 20, which);
            editor_->add(".note.skep", std::move(bytes));
        }
        if (windows && mark == 0) editor_->add(".ebpf_for_windows", {std::byte{1}});
        if (!windows && mark != 0) editor_->drop(mark);
        return {};
    }

    /// The result once through the front door.
    Result<void> check(Bytes out) const {
        const auto say = [&](Error error) {
            return Error(Errc::Unsupported, error.where(), "the translated object is not in order: " + error.what(),
                         error.why(), error.hint());
        };
        auto spec = object::read_object(out, spec_.file);
        if (!spec) return say(std::move(spec).error());
        auto settled = settle_personality(*spec, std::nullopt);
        if (!settled) return say(std::move(settled).error());
        if (*settled != target_.personality)
            return Error(Errc::Unsupported, Where{.file = spec_.file},
                         "the translated object does not look like the target's");
        const auto lost = [&](std::string_view what) {
            return say(Error(Errc::Malformed, Where{.file = spec_.file}, fmt::format("it has lost {}", what)));
        };
        if (spec->maps.size() != spec_.maps.size()) return lost("a map");
        if (spec->globals.size() != spec_.globals.size()) return lost("a variable");
        if (spec->programs.size() != spec_.programs.size()) return lost("a program");
        for (size_t i = 0; i < spec->programs.size(); ++i) {
            auto linked = object::link(*spec, i);
            if (!linked) return say(std::move(linked).error());
            SKEP_ASSIGN(const object::LinkedProgram original, object::link(spec_, i));
            if (linked->name != original.name || linked->subprograms.size() != original.subprograms.size() ||
                linked->maps.size() != original.maps.size() || linked->externs.size() != original.externs.size() ||
                linked->lines.size() != original.lines.size() ||
                linked->core_relocations.size() != original.core_relocations.size())
                return lost(fmt::format("a part of program {}", original.name));
            if (auto bound = bind(*spec, *linked); !bound) return say(std::move(bound).error());
        }
        return {};
    }

    Bytes file_;
    const object::ObjectSpec& spec_;
    Personality from_;
    const Platform& target_;
    object::Editor* editor_ = nullptr;
    std::map<std::pair<uint32_t, uint32_t>, SlotEdit> edits_;
    std::set<uint32_t> entries_;
    std::vector<uint32_t> functions_;  ///< of the program in hand, per subprogram: index into ObjectSpec::functions
    std::map<uint32_t, btf::TypeId> integers_;
    std::vector<btf::TypeId> grown_;  ///< map definitions that got the member map_flags
    TranslationReport report_;
};

}  // namespace

Result<Translation> translate(Bytes file, const object::ObjectSpec& spec, Personality from, const Platform& target) {
    return Translator(file, spec, from, target).run();
}

}  // namespace skep
