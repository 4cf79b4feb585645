// SPDX-License-Identifier: Apache-2.0
#include "program/needs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "isa/disasm.hpp"
#include "isa/insn.hpp"
#include "platform/platforms/nearest.hpp"
#include "platform/program_type.hpp"
#include "program/context_flow.hpp"

namespace skep {
namespace {

using isa::Insn;
using isa::InsnIndex;
using isa::Operation;
using platform::FeatureId;
using platform::HelperId;
using platform::MapType;
using platform::Personality;
using platform::ProgramType;

class Collector {
  public:
    Collector(const object::ObjectSpec& spec, const object::LinkedProgram& program, Personality personality)
        : spec_(spec), program_(program) {
        out_.program = program.name;
        out_.section = program.section;
        out_.personality = personality;
    }

    Result<ProgramNeeds> run(std::optional<ProgramType> asked) {
        const auto meaning = platform::section_meaning(program_.section);
        if (!asked && !meaning)
            return Error(Errc::Unresolved, Where{.section = program_.section, .function = program_.name},
                         fmt::format("section \"{}\" stands for no program type", program_.section),
                         "no system's loader knows this section name", "name the type with --type");
        out_.type = asked ? *asked : meaning->type;
        add(Need::Kind::Type, out_.type, fmt::format("program type {}", platform::program_type_name(out_.type)));
        maps();
        SKEP_TRY(instructions());
        features();
        fields();
        verdicts();
        return std::move(out_);
    }

  private:
    template <typename What>
    Need& add(Need::Kind kind, What what, std::string name) {
        for (Need& known : out_.needs)
            if (known.kind == kind && known.what == decltype(known.what)(what) && known.name == name) return known;
        out_.needs.push_back({kind, what, std::move(name), {}, 0});
        return out_.needs.back();
    }

    void at(Need& need, InsnIndex insn) const {
        if (++need.count > kept_sites) return;
        NeedSite site;
        site.insn = insn;
        if (const auto decoded = isa::decode(program_.code, insn)) site.insn_text = isa::disassemble(*decoded, insn);
        InsnIndex start = 0;
        for (const object::Subprogram& sub : program_.subprograms) {
            if (insn < sub.start || insn >= sub.end) continue;
            site.function = sub.name;
            start = sub.start;
        }
        const auto after = std::ranges::upper_bound(program_.lines, insn, {}, &object::SourceLine::insn);
        if (after != program_.lines.begin() && std::prev(after)->insn >= start) {
            site.source_file = std::prev(after)->file;
            site.source_line = std::prev(after)->line;
            site.source_text = std::prev(after)->text;
        }
        need.sites.push_back(std::move(site));
    }

    void maps() {
        for (const uint32_t index : program_.maps) {
            const object::MapSpec& map = spec_.maps[index];
            map_sizes_.push_back({map.key_size, map.value_size});
            if (map.origin == object::MapOrigin::Data) {
                const bool plain = map.name == ".data" || map.name == ".rodata" || map.name == ".bss";
                add(Need::Kind::Feature, FeatureId::GlobalData, platform::feature(FeatureId::GlobalData).text);
                if (!plain && !map.name.starts_with(".rodata.str") && !map.name.starts_with(".rodata.cst"))
                    add(Need::Kind::Feature, FeatureId::CustomData, fmt::format("data section \"{}\"", map.name));
                continue;
            }
            if (map.origin == object::MapOrigin::Kconfig) continue;
            map_type(map, map.name);
            if (!map.inner.empty()) map_type(map.inner.front(), map.inner.front().name);
        }
    }

    void map_type(const object::MapSpec& map, const std::string& name) {
        MapType type{};
        const bool known = out_.personality == Personality::Linux ? platform::map_type_from_linux(map.type, &type)
                                                                  : platform::map_type_from_windows(map.type, &type);
        if (known)
            add(Need::Kind::Map, type, fmt::format("map type {} (map \"{}\")", platform::map_type_name(type), name));
        else
            add(Need::Kind::Map, UnknownNumber{map.type}, fmt::format("map type {} (map \"{}\")", map.type, name));
    }

    std::string extern_name(const Insn& insn) const {
        const auto index = static_cast<size_t>(insn.imm);
        const bool known = index < program_.externs.size() && program_.externs[index] < spec_.externs.size();
        return known ? spec_.externs[program_.externs[index]].name : fmt::format("number {}", insn.imm);
    }

    void want(FeatureId id, InsnIndex insn) { at(add(Need::Kind::Feature, id, platform::feature(id).text), insn); }

    void call(InsnIndex insn, uint32_t number) {
        HelperId id{};
        bool known = false;
        if (out_.personality == Personality::Linux) {
            known = platform::helper_from_linux(number, &id);
        } else if (const auto own = platform::windows_helper_of_type(out_.type, number)) {
            id = *own;
            known = true;
        } else {
            known = platform::helper_from_windows(number, &id);
        }
        bindings_[insn].kind = BindingKind::Helper;
        if (!known) {
            // For the data flow: a helper of which nothing is known.
            bindings_[insn].helper = static_cast<uint16_t>(HelperId::Setsockopt);
            at(add(Need::Kind::Helper, UnknownNumber{number}, fmt::format("helper number {:#x}", number)), insn);
            return;
        }
        bindings_[insn].helper = static_cast<uint16_t>(id);
        has_tail_calls_ |= id == HelperId::TailCall;
        at(add(Need::Kind::Helper, id, fmt::format("helper {}", platform::helper_name(id))), insn);
    }

    Result<void> instructions() {
        bindings_.resize(program_.code.size());
        for (InsnIndex insn = 0; insn < program_.code.size();) {
            SKEP_ASSIGN(const Insn decoded, isa::decode(program_.code, insn));
            const isa::Row& row = decoded.row();
            switch (row.operation) {
                case Operation::Call: call(insn, static_cast<uint32_t>(decoded.imm)); break;
                case Operation::CallKfunc:
                    at(add(Need::Kind::Kfunc, Kfunc{}, fmt::format("kernel function {}", extern_name(decoded))), insn);
                    break;
                case Operation::CallLocal: has_local_calls_ = true; break;
                case Operation::LdBtfId: want(FeatureId::KernelVariables, insn); break;
                case Operation::LdFunc: want(FeatureId::FunctionRefs, insn); break;
                case Operation::CallX: want(FeatureId::Callx, insn); break;
                case Operation::MayGoto: want(FeatureId::MayGoto, insn); break;
                case Operation::AddrSpaceCast: want(FeatureId::Arena, insn); break;
                case Operation::LoadAcquire:
                case Operation::StoreRelease: want(FeatureId::OrderedAtomics, insn); break;
                case Operation::LoadPacket: want(FeatureId::PacketLoads, insn); break;
                case Operation::AtomicOr:
                case Operation::AtomicAnd:
                case Operation::AtomicXor:
                case Operation::AtomicFetchAdd:
                case Operation::AtomicFetchOr:
                case Operation::AtomicFetchAnd:
                case Operation::AtomicFetchXor:
                case Operation::AtomicXchg:
                case Operation::AtomicCmpxchg: want(FeatureId::FetchAtomics, insn); break;
                case Operation::Movsx8:
                case Operation::Movsx16:
                case Operation::Movsx32:
                case Operation::Sdiv:
                case Operation::Smod:
                case Operation::LoadSigned:
                case Operation::Bswap16:
                case Operation::Bswap32:
                case Operation::Bswap64: want(FeatureId::Isa4, insn); break;
                case Operation::Add:
                case Operation::Sub:
                case Operation::Mul:
                case Operation::Div:
                case Operation::Or:
                case Operation::And:
                case Operation::Lsh:
                case Operation::Rsh:
                case Operation::Neg:
                case Operation::Mod:
                case Operation::Xor:
                case Operation::Mov:
                case Operation::Arsh:
                case Operation::Le16:
                case Operation::Le32:
                case Operation::Le64:
                case Operation::Be16:
                case Operation::Be32:
                case Operation::Be64:
                case Operation::Jump:
                case Operation::JumpEq:
                case Operation::JumpGt:
                case Operation::JumpGe:
                case Operation::JumpSet:
                case Operation::JumpNe:
                case Operation::JumpSgt:
                case Operation::JumpSge:
                case Operation::JumpLt:
                case Operation::JumpLe:
                case Operation::JumpSlt:
                case Operation::JumpSle:
                case Operation::Exit:
                case Operation::LdImm64:
                case Operation::LdMapFd:
                case Operation::LdMapValue:
                case Operation::LdMapIdx:
                case Operation::LdMapIdxValue:
                case Operation::Load:
                case Operation::Store:
                case Operation::AtomicAdd: break;
            }
            if (row.form == isa::Form::TargetImm) want(FeatureId::Isa4, insn);
            if (row.insn_class() == isa::Class::Jmp32 && row.is_conditional_compare()) want(FeatureId::Jmp32, insn);
            insn += decoded.slots();
        }
        return {};
    }

    void features() {
        if (has_local_calls_)
            add(Need::Kind::Feature, FeatureId::LocalCalls, platform::feature(FeatureId::LocalCalls).text);
        if (has_local_calls_ && has_tail_calls_)
            add(Need::Kind::Feature, FeatureId::TailAndLocal, platform::feature(FeatureId::TailAndLocal).text);
        if (!program_.core_relocations.empty()) {
            Need& need = add(Need::Kind::Feature, FeatureId::Core, platform::feature(FeatureId::Core).text);
            for (const btf::CoreRecord& record : program_.core_relocations) at(need, record.insn);
        }
        for (const uint32_t index : program_.externs)
            if (spec_.externs[index].kind == object::ExternKind::Kconfig)
                add(Need::Kind::Feature, FeatureId::Kconfig,
                    fmt::format("kernel configuration {}", spec_.externs[index].name));
    }

    void fields() {
        const auto context = platform::context_of(out_.type);
        if (!context) {
            out_.unread.push_back(
                fmt::format("the context of {} programs is in no table yet: its fields are not checked",
                            platform::program_type_name(out_.type)));
            return;
        }
        const auto meaning = platform::section_meaning(program_.section);
        const platform::AttachType attach =
            meaning && meaning->type == out_.type ? meaning->attach : platform::default_attach(out_.type);
        const auto visit = [&](InsnIndex insn, const Insn& decoded,
                               std::span<const ContextValue> registers) -> Result<void> {
            const isa::Row& row = decoded.row();
            if (!row.is_memory()) return {};
            const ContextValue base = registers[row.writes_memory() ? decoded.dst : decoded.src];
            if (base.kind != ContextValue::Kind::Context) return {};
            const int64_t offset = int64_t{base.offset} + decoded.offset;
            const platform::FieldRow* field =
                offset < 0 || offset > UINT16_MAX
                    ? nullptr
                    : platform::find_context_field(*context, out_.personality, static_cast<uint32_t>(offset), out_.type,
                                                   attach);
            const char* structure = platform::context_type_name(*context, out_.personality);
            if (field == nullptr)
                at(add(Need::Kind::Field, UnknownNumber{static_cast<uint32_t>(offset)},
                       fmt::format("byte {} of {}", offset, structure)),
                   insn);
            else
                at(add(Need::Kind::Field, field->id, fmt::format("field {} of {}", field->name, structure)), insn);
            return {};
        };
        if (const auto done = follow_context(program_, bindings_, map_sizes_, visit); !done)
            out_.unread.push_back("the accesses to its context were not all found: " + done.error().summary());
    }

    /// Constants that reach an exit of the program in r0, by some path that says nothing else.
    void verdicts() {
        if (platform::verdicts_of(out_.type).empty() || program_.subprograms.empty()) return;
        const object::Subprogram& entry = program_.subprograms.front();
        std::vector<std::pair<InsnIndex, Insn>> insns;
        for (InsnIndex at = entry.start; at < entry.end;) {
            const auto decoded = isa::decode(program_.code, at);
            if (!decoded) return;
            insns.emplace_back(at, *decoded);
            at += decoded->slots();
        }
        // Whether r0, as it is before an instruction, may be what is returned: backwards until nothing changes.
        std::vector<bool> returned(program_.code.size() + 1);
        constexpr int most_rounds = 64;
        for (int round = 0, changed = 1; changed != 0 && round < most_rounds; ++round) {
            changed = 0;
            for (auto place = insns.rbegin(); place != insns.rend(); ++place) {
                const auto& [at, insn] = *place;
                const isa::Row& row = insn.row();
                bool now = row.is_exit();
                if ((isa::writes_of(insn) & isa::register_bit(0)) == 0 && !now) {
                    if (!row.ends_path() && at + insn.slots() < entry.end) now = returned[at + insn.slots()];
                    const int64_t target = row.is_jump() ? isa::target_of(insn, at) : -1;
                    if (target >= entry.start && target < entry.end) now = now || returned[static_cast<size_t>(target)];
                }
                if (now == returned[at]) continue;
                returned[at] = now;
                changed = 1;
            }
        }
        for (const auto& [at, insn] : insns) {
            const bool constant = insn.op == isa::Op::Mov64K || insn.op == isa::Op::Mov32K;
            if (!constant || insn.dst != 0 || !returned[at + insn.slots()]) continue;
            const uint64_t number =
                insn.op == isa::Op::Mov32K ? static_cast<uint32_t>(insn.imm) : static_cast<uint64_t>(int64_t{insn.imm});
            const platform::Verdict verdict =
                platform::outcome_of(out_.type, out_.personality, number, UINT32_MAX).verdict;
            this->at(add(Need::Kind::Verdict, verdict, fmt::format("verdict {}", platform::verdict_name(verdict))), at);
        }
    }

    const object::ObjectSpec& spec_;
    const object::LinkedProgram& program_;
    ProgramNeeds out_;
    std::vector<Binding> bindings_;
    std::vector<MapSizes> map_sizes_;
    bool has_local_calls_ = false;
    bool has_tail_calls_ = false;
};

std::string linux_since(std::string_view version) {
    return version.empty() ? std::string() : fmt::format("Linux {}", version);
}

/// What of `need` the platform lacks; nothing if it has it.
std::optional<Missing> missing_of(const Need& need, const ProgramNeeds& needs, const platform::Platform& p) {
    const bool windows = p.personality == Personality::Windows;
    Missing out{&need, {}, {}};
    switch (need.kind) {
        case Need::Kind::Type: {
            const auto type = std::get<ProgramType>(need.what);
            if (p.has(type)) return std::nullopt;
            out.since = platform::program_type_linux_id(type) != 0 ? linux_since(platform::program_type_since(type))
                                                                   : "eBPF for Windows";
            if (type == ProgramType::SchedCls && p.has(ProgramType::Xdp)) out.nearest = "xdp (ingress only)";
            if (type == ProgramType::Bind && p.has(ProgramType::CgroupSockAddr))
                out.nearest = "cgroup/bind4, cgroup/bind6";
            if (type == ProgramType::Process && p.has(ProgramType::Tracepoint))
                out.nearest = "tracepoint/sched/sched_process_exec (sees, cannot refuse)";
            return out;
        }
        case Need::Kind::Helper: {
            const auto* id = std::get_if<HelperId>(&need.what);
            if (id == nullptr) return out;
            if (p.helper_for(*id, needs.type) != nullptr) return std::nullopt;
            if (platform::equal_helper(p, *id, needs.type)) return std::nullopt;
            const platform::HelperRow& row = platform::helper(*id);
            out.since = row.linux_id != 0 ? linux_since(row.since) : "eBPF for Windows";
            if (p.helper_for_any(*id) != nullptr)
                out.nearest =
                    fmt::format("it exists there, but not for {} programs", platform::program_type_name(needs.type));
            else
                out.nearest = platform::nearest_helper(p, *id, needs.type);
            return out;
        }
        case Need::Kind::Map: {
            const auto* type = std::get_if<MapType>(&need.what);
            if (type == nullptr) return out;
            if (p.has(*type)) return std::nullopt;
            out.since = linux_since(platform::map_type_since(*type));
            out.nearest = platform::nearest_map(p, *type);
            return out;
        }
        case Need::Kind::Field: {
            const auto* id = std::get_if<platform::FieldId>(&need.what);
            if (id == nullptr) return out;
            if (p.has(*id)) return std::nullopt;
            const platform::FieldRow& row = platform::context_field(*id);
            if (row.linux_bytes == 0)
                out.since = "eBPF for Windows";
            else if (const auto since = platform::field_since(row); !since.empty())
                out.since = linux_since(since);
            else if (windows)
                out.since = linux_since(platform::program_type_since(needs.type));
            out.nearest = platform::nearest_field(p, row);
            return out;
        }
        case Need::Kind::Kfunc: {
            const std::string_view name =
                std::string_view(need.name).substr(std::string_view("kernel function ").size());
            if (p.has_kfunc(name)) return std::nullopt;
            out.since = linux_since(platform::kfunc_since(name));
            if (out.since.empty() && !windows && !p.binds)
                out.nearest = "in no table: the kernel's own BTF has the last word";
            return out;
        }
        case Need::Kind::Feature: {
            const auto id = std::get<FeatureId>(need.what);
            if (p.has(id)) return std::nullopt;
            out.since = linux_since(platform::feature(id).linux_since);
            out.nearest = platform::nearest_feature(id);
            return out;
        }
        case Need::Kind::Verdict: {
            const auto verdict = std::get<platform::Verdict>(need.what);
            if (p.binds || needs.personality == p.personality) return std::nullopt;
            for (uint64_t number = 0; number < 16; ++number)
                if (platform::outcome_of(needs.type, p.personality, number, UINT32_MAX).verdict == verdict)
                    return std::nullopt;
            out.since = needs.personality == Personality::Linux ? "Linux" : "eBPF for Windows";
            // As `skep translate` has it: a verdict that lets through becomes one that does.
            out.nearest = platform::verdict_name(
                verdict == platform::Verdict::SockAddrProceedHard
                    ? platform::Verdict::SockAddrProceed
                    : platform::outcome_of(needs.type, p.personality, UINT32_MAX, UINT32_MAX).verdict);
            return out;
        }
    }
    return std::nullopt;
}

}  // namespace

Result<ProgramNeeds> needs_of(const object::ObjectSpec& spec, const object::LinkedProgram& program,
                              Personality personality, std::optional<ProgramType> type) {
    return Collector(spec, program, personality).run(type);
}

Judgement judge(const ProgramNeeds& needs, const platform::Platform& platform) {
    Judgement out;
    for (const Need& need : needs.needs)
        if (auto missing = missing_of(need, needs, platform))
            (need.kind == Need::Kind::Verdict ? out.replaced : out.missing).push_back(std::move(*missing));
    if (!out.missing.empty()) {
        out.fit = Fit::Cannot;
        // Without its program type the rest says little.
        if (out.missing.front().need->kind == Need::Kind::Type) out.missing.resize(1);
    } else if (needs.personality != platform.personality) {
        out.fit = Fit::AfterBinding;
    }
    return out;
}

}  // namespace skep
