// SPDX-License-Identifier: Apache-2.0
#include "program/needs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <utility>

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
    Collector(const object::ObjectSpec& spec, const object::LinkedProgram& program, Personality personality,
              const AdaptedProgram* adapted)
        : spec_(spec),
          program_(program),
          adapted_(adapted),
          code_(adapted != nullptr ? adapted->program.code : program.code) {
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
        out_.attach = meaning && meaning->type == out_.type ? meaning->attach : platform::default_attach(out_.type);
        add(Need::Kind::Type, out_.type, fmt::format("program type {}", platform::program_type_name(out_.type)));
        maps();
        SKEP_TRY(calls());
        follow();
        SKEP_TRY(instructions());
        features();
        fields();
        types();
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
        for (const NeedSite& known : need.sites)
            if (known.insn == insn) return;
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

    std::optional<HelperId> helper_of(uint32_t number) const {
        HelperId id{};
        if (out_.personality == Personality::Linux)
            return platform::helper_from_linux(number, &id) ? std::optional(id) : std::nullopt;
        if (const auto own = platform::windows_helper_of_type(out_.type, number)) return own;
        return platform::helper_from_windows(number, &id) ? std::optional(id) : std::nullopt;
    }

    void call(InsnIndex insn, uint32_t number) {
        const auto id = helper_of(number);
        if (!id) {
            at(add(Need::Kind::Helper, UnknownNumber{number}, fmt::format("helper number {:#x}", number)), insn);
            return;
        }
        has_tail_calls_ |= *id == HelperId::TailCall;
        at(add(Need::Kind::Helper, *id, fmt::format("helper {}", platform::helper_name(*id))), insn);
    }

    /// Decodes the code, and names the helpers for the data flow.
    Result<void> calls() {
        bindings_.resize(code_.size());
        for (InsnIndex insn = 0; insn < code_.size();) {
            SKEP_ASSIGN(const Insn decoded, isa::decode(code_, insn));
            insns_.push_back({insn, decoded});
            if (decoded.row().operation == Operation::Call) {
                const auto id = helper_of(static_cast<uint32_t>(decoded.imm));
                bindings_[insn].kind = BindingKind::Helper;
                // Setsockopt: a helper of which nothing is known.
                bindings_[insn].helper = static_cast<uint16_t>(id.value_or(HelperId::Setsockopt));
            }
            insn += decoded.slots();
        }
        return {};
    }

    /// Finds what can be reached, and what reaches the context.
    void follow() {
        reached_.assign(code_.size(), false);
        const auto visit = [&](InsnIndex insn, const Insn& decoded,
                               std::span<const ContextValue> registers) -> Result<void> {
            const isa::Row& row = decoded.row();
            reached_[insn] = true;
            if (row.is_memory()) {
                const ContextValue base = registers[row.writes_memory() ? decoded.dst : decoded.src];
                if (base.kind == ContextValue::Kind::Context)
                    accesses_.push_back({insn, int64_t{base.offset} + decoded.offset});
            }
            const bool redirects = bindings_[insn].kind == BindingKind::Helper &&
                                   bindings_[insn].helper == static_cast<uint16_t>(HelperId::RedirectMap);
            if (redirects && registers[3].kind == ContextValue::Kind::Number)
                misses_.push_back({insn, registers[3].offset});
            return {};
        };
        const object::LinkedProgram& program = adapted_ != nullptr ? adapted_->program : program_;
        if (const auto done = follow_context(program, bindings_, map_sizes_, visit); !done) {
            reached_.assign(code_.size(), true);
            out_.unread.push_back("the accesses to its context were not all found: " + done.error().summary());
        }
    }

    Result<void> instructions() {
        for (const auto& [insn, decoded] : insns_) {
            const isa::Row& row = decoded.row();
            if (row.operation == Operation::CallLocal) has_local_calls_ = true;
            if (!reached_[insn]) continue;
            switch (row.operation) {
                case Operation::Call: call(insn, static_cast<uint32_t>(decoded.imm)); break;
                case Operation::CallKfunc:
                    at(add(Need::Kind::Kfunc, Kfunc{}, fmt::format("kernel function {}", extern_name(decoded))), insn);
                    break;
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
                case Operation::CallLocal:
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
        for (const auto& [insn, offset] : accesses_) {
            const platform::FieldRow* field =
                offset < 0 || offset > UINT16_MAX
                    ? nullptr
                    : platform::find_context_field(*context, out_.personality, static_cast<uint32_t>(offset), out_.type,
                                                   out_.attach);
            const char* structure = platform::context_type_name(*context, out_.personality);
            if (field == nullptr)
                at(add(Need::Kind::Field, UnknownNumber{static_cast<uint32_t>(offset)},
                       fmt::format("byte {} of {}", offset, structure)),
                   insn);
            else
                at(add(Need::Kind::Field, field->id, fmt::format("field {} of {}", field->name, structure)), insn);
        }
    }

    /// What CO-RE asks the platform's types for.
    void types() {
        if (adapted_ == nullptr) return;
        for (const CoreUse& use : adapted_->uses) {
            if (!reached_[use.insn]) continue;
            Need& need =
                use.field ? add(Need::Kind::Field, *use.field, use.name) : add(Need::Kind::Field, TypePart{}, use.name);
            need.absent |= use.absent;
            at(need, use.insn);
        }
        for (const std::string& type : adapted_->unknown_types)
            out_.unread.push_back(
                fmt::format("CO-RE asks about {}, which is in no table: what depends on it is looked at both ways "
                            "(--btf gives a kernel's types)",
                            type));
    }

    // ---- verdicts

    /// Where the number that the program returns may be: registers, and 4-byte words of the frame.
    struct Places {
        isa::RegisterSet registers = 0;
        std::bitset<128> words;
        bool operator==(const Places&) const = default;
    };
    static constexpr int frame_bytes = 512;

    /// The words of the frame that a load or store by r10 touches; none where it is no such access.
    static std::bitset<128> words_of(const Insn& insn) {
        const isa::Row& row = insn.row();
        std::bitset<128> words;
        const int from = insn.offset + frame_bytes;
        const int bytes = static_cast<int>(row.access_bytes());
        if ((row.writes_memory() ? insn.dst : insn.src) != isa::frame_register || from < 0 || from % 4 != 0 ||
            (bytes != 4 && bytes != 8) || from + bytes > frame_bytes)
            return words;
        for (int at = from; at < from + bytes; at += 4) words.set(static_cast<size_t>(at / 4));
        return words;
    }

    /// A verdict of the program's system that has no number on the other one, nor one with the same effect.
    std::optional<platform::Verdict> own_verdict() const {
        const auto can_say = [&](Personality p, platform::Verdict verdict) {
            for (uint64_t number = 0; number < 16; ++number)
                if (platform::outcome_of(out_.type, p, number, UINT32_MAX).verdict == verdict) return true;
            return false;
        };
        const Personality other = out_.personality == Personality::Linux ? Personality::Windows : Personality::Linux;
        for (const platform::Verdict verdict : platform::verdicts_of(out_.type)) {
            const auto near = platform::nearest_verdict(verdict);
            if (near && !near->same_effect && can_say(out_.personality, verdict) && !can_say(other, verdict))
                return verdict;
        }
        return std::nullopt;
    }

    void says(InsnIndex at, uint64_t number) {
        const platform::Verdict verdict = platform::outcome_of(out_.type, out_.personality, number, UINT32_MAX).verdict;
        this->at(add(Need::Kind::Verdict, verdict, fmt::format("verdict {}", platform::verdict_name(verdict))), at);
    }

    /// Constants that reach an exit of the program in r0, by whatever moves, spills and functions of its own, and those
    /// that redirect_map answers where the map has nothing.
    void verdicts() {
        if (platform::verdicts_of(out_.type).empty() || program_.subprograms.empty()) return;
        std::vector<Places> before(code_.size() + 1);
        std::vector<bool> answers(program_.subprograms.size());  // functions whose result the program returns
        answers.front() = true;
        const auto sub_of = [&](InsnIndex at) {
            size_t sub = 0;
            while (sub + 1 < program_.subprograms.size() && at >= program_.subprograms[sub].end) ++sub;
            return sub;
        };
        std::vector<size_t> subs(code_.size());
        for (const auto& [at, insn] : insns_) subs[at] = sub_of(at);
        const auto after_of = [&](InsnIndex at, const Insn& insn) {
            const isa::Row& row = insn.row();
            Places after;
            if (row.is_exit()) {
                if (answers[subs[at]]) after.registers = isa::register_bit(0);
                return after;
            }
            const auto join = [&](int64_t to) {
                const object::Subprogram& sub = program_.subprograms[subs[at]];
                if (to < sub.start || to >= sub.end || !reached_[static_cast<size_t>(to)]) return;
                after.registers |= before[static_cast<size_t>(to)].registers;
                after.words |= before[static_cast<size_t>(to)].words;
            };
            if (!row.ends_path()) join(int64_t{at} + insn.slots());
            if (row.is_jump()) join(isa::target_of(insn, at));
            return after;
        };
        for (bool changed = true; changed;) {  // places only become more
            changed = false;
            for (auto place = insns_.rbegin(); place != insns_.rend(); ++place) {
                const auto& [at, insn] = *place;
                if (!reached_[at]) continue;
                const isa::Row& row = insn.row();
                const Places after = after_of(at, insn);
                Places now = after;
                const bool wanted = (after.registers & isa::register_bit(insn.dst)) != 0;
                if (row.is_exit()) {
                } else if (row.operation == Operation::CallLocal && (after.registers & isa::register_bit(0)) != 0) {
                    const int64_t callee = isa::target_of(insn, at);
                    if (callee >= 0 && callee < static_cast<int64_t>(code_.size())) {
                        const size_t sub = subs[static_cast<size_t>(callee)];
                        changed |= !answers[sub];
                        answers[sub] = true;
                    }
                    now.registers &= static_cast<isa::RegisterSet>(~isa::register_bit(0));
                } else if (row.form == isa::Form::StoreSrc && (words_of(insn) & after.words).any()) {
                    now.registers |= isa::register_bit(insn.src);
                    now.words &= ~words_of(insn);
                } else if (row.form == isa::Form::StoreImm) {
                    now.words &= ~words_of(insn);
                } else if (isa::RegisterSet written = isa::writes_of(insn); written != 0) {
                    now.registers &= static_cast<isa::RegisterSet>(~written);
                    if (wanted && row.form == isa::Form::MovSrc) now.registers |= isa::register_bit(insn.src);
                    if (wanted && row.form == isa::Form::LoadMem) now.words |= words_of(insn);
                }
                if (now == before[at]) continue;
                before[at] = now;
                changed = true;
            }
        }
        for (const auto& [at, insn] : insns_) {
            if (!reached_[at]) continue;
            const Places after = after_of(at, insn);
            const isa::Row& row = insn.row();
            const bool wanted = (after.registers & isa::register_bit(insn.dst)) != 0;
            if (row.form == isa::Form::MovImm && wanted)
                says(at, row.insn_class() == isa::Class::Alu ? static_cast<uint32_t>(insn.imm)
                                                             : static_cast<uint64_t>(int64_t{insn.imm}));
            if (row.form == isa::Form::WideImm64 && wanted) says(at, insn.imm64());
            if (row.form == isa::Form::StoreImm && (words_of(insn) & after.words).any())
                says(at, static_cast<uint64_t>(int64_t{insn.imm}));
        }
        // What is computed is not followed: say so where it may be a verdict that the other system cannot stand in for.
        const auto own = own_verdict();
        for (const auto& [at, insn] : insns_) {
            if (!own || !reached_[at]) continue;
            const isa::Row& row = insn.row();
            const isa::RegisterSet wanted = after_of(at, insn).registers & isa::writes_of(insn);
            const bool followed = row.form == isa::Form::MovImm || row.form == isa::Form::MovSrc ||
                                  row.form == isa::Form::WideImm64 || row.operation == Operation::CallLocal ||
                                  (row.form == isa::Form::LoadMem && words_of(insn).any());
            if (wanted == 0 || row.is_exit() || followed) continue;
            Need place;
            this->at(place, at);
            const NeedSite& site = place.sites.front();
            out_.unread.push_back(fmt::format(
                "the verdict is computed at instruction {}{}: whether it is {}, which "
                "only {} has, is not followed",
                at,
                site.source_file.empty() ? std::string() : fmt::format(" ({}:{})", site.source_file, site.source_line),
                platform::verdict_name(*own), out_.personality == Personality::Linux ? "Linux" : "eBPF for Windows"));
            break;
        }
        constexpr int32_t miss_mask = 3;  // the low bits of redirect_map's flags are what it answers on a miss
        for (const auto& [at, flags] : misses_) says(at, static_cast<uint64_t>(flags & miss_mask));
    }

    const object::ObjectSpec& spec_;
    const object::LinkedProgram& program_;  ///< as compiled
    const AdaptedProgram* adapted_;
    const isa::Code& code_;  ///< as the platform sees it
    ProgramNeeds out_;
    std::vector<isa::PlacedInsn> insns_;
    std::vector<Binding> bindings_;
    std::vector<MapSizes> map_sizes_;
    std::vector<bool> reached_;
    std::vector<std::pair<InsnIndex, int64_t>> accesses_;  ///< of the context, by its bytes
    std::vector<std::pair<InsnIndex, int32_t>> misses_;    ///< calls of redirect_map with constant flags
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
            // An attach type of Linux may lack what its program type has.
            const bool lacks_under_attach =
                p.personality == Personality::Linux && needs.personality == Personality::Linux &&
                needs.attach != platform::AttachType::None &&
                (platform::helper(*id).users & platform::program_type_bit(needs.type)) != 0 &&
                !platform::helper_allowed(*id, needs.type, needs.attach);
            if (lacks_under_attach && p.helper_for_any(*id) != nullptr) {
                out.since = linux_since(platform::helper(*id).since);
                out.nearest = fmt::format("it exists there, but not for programs attached to {}",
                                          platform::attach_type_name(needs.attach));
                return out;
            }
            if (p.binds) {
                // Who may call it there is what the program's own system says.
                const bool may = needs.personality == Personality::Windows
                                     ? platform::windows_helper_number(*id, needs.type) != 0
                                     : (platform::linux_users(*id) & platform::program_type_bit(needs.type)) != 0;
                if (may && p.helper_for_any(*id) != nullptr) return std::nullopt;
            } else if (p.helper_for(*id, needs.type) != nullptr) {
                return std::nullopt;
            }
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
            if (id == nullptr) {
                if (std::holds_alternative<TypePart>(need.what) && !need.absent) return std::nullopt;
                return out;
            }
            if (p.has(*id) && !need.absent) return std::nullopt;
            const platform::FieldRow& row = platform::context_field(*id);
            if (row.linux_bytes == 0)
                out.since = "eBPF for Windows";
            else if (const auto since = platform::field_since(row); !since.empty())
                out.since = linux_since(since);
            else if (windows)
                out.since = "Linux";
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
            if (const auto near = platform::nearest_verdict(verdict))
                out.nearest = fmt::format("{}: {}", platform::verdict_name(near->verdict), near->text);
            return out;
        }
    }
    return std::nullopt;
}

}  // namespace

Result<ProgramNeeds> needs_of(const object::ObjectSpec& spec, const object::LinkedProgram& program,
                              Personality personality, std::optional<ProgramType> type, const AdaptedProgram* adapted) {
    return Collector(spec, program, personality, adapted).run(type);
}

Judgement judge(const ProgramNeeds& needs, const platform::Platform& platform) {
    Judgement out;
    for (const Need& need : needs.needs)
        if (auto missing = missing_of(need, needs, platform)) {
            const auto* verdict = std::get_if<platform::Verdict>(&need.what);
            const auto near = verdict != nullptr ? platform::nearest_verdict(*verdict) : std::nullopt;
            (near && near->same_effect ? out.replaced : out.missing).push_back(std::move(*missing));
        }
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
