// SPDX-License-Identifier: Apache-2.0
// Binding: the numbers by a pass over the instructions, the context accesses by the data flow of context_flow.hpp.
#include "program/bind.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "isa/insn.hpp"
#include "object/relocate.hpp"
#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "platform/platforms/platform.hpp"
#include "platform/program_type.hpp"
#include "program/context_flow.hpp"
#include "program/personality.hpp"

namespace skep {
namespace {

using isa::Insn;
using isa::InsnIndex;
using isa::Operation;
using platform::ArgKind;
using platform::ContextKind;
using platform::FieldKind;
using platform::FieldRow;
using platform::HelperId;
using platform::HelperRow;
using platform::Personality;
using platform::ProgramSet;
using platform::ProgramType;
using Kind = ContextValue::Kind;

/// Who touches the context.
struct ContextUser {
    ContextKind context;
    platform::ProgramType type;
    platform::AttachType attach;
    Personality personality;

    const char* type_name() const { return platform::program_type_name(type); }
    bool reads(const FieldRow& field) const { return field.readable_by(type, attach, personality); }
    bool writes(const FieldRow& field) const { return field.writable_by(type, attach, personality); }

    /// "xdp programs", "cgroup_sock programs attached to cgroup_inet_sock_create".
    std::string users(bool by_attach) const {
        if (!by_attach) return fmt::format("{} programs", type_name());
        return fmt::format("{} programs attached to {}", type_name(), platform::attach_type_name(attach));
    }

    /// "readable: data (offset 0, 4 bytes), ..." for this program.
    std::string field_list(bool store) const {
        std::string list;
        for (const FieldRow& field : platform::fields_of(context)) {
            if (field.bytes(personality) == 0 || !(store ? writes(field) : reads(field))) continue;
            list += fmt::format("{}{} ({}, {})", list.empty() ? "" : ", ", field.name, field.offset(personality),
                                field.bytes(personality));
        }
        if (list.empty()) return fmt::format("{} programs may not write to their context", type_name());
        return fmt::format("{} (offset, bytes): {}", store ? "writable" : "readable", list);
    }
};

Result<ContextAccess> access_of(const ContextUser& user, InsnIndex at, const Insn& insn, int64_t base) {
    const auto fail = [&](std::string what, std::string why, std::string hint) {
        return Error{Errc::Rejected, Where{.insn = at}, std::move(what), std::move(why), std::move(hint)};
    };
    const isa::Row& row = insn.row();
    const bool store = row.writes_memory();
    const int64_t offset = base + insn.offset;
    const uint32_t bytes = row.access_bytes();
    const std::string access =
        fmt::format("{} of {} byte{} at offset {} of {}", store ? "store" : "load", bytes, bytes == 1 ? "" : "s",
                    offset, platform::context_type_name(user.context, user.personality));
    const auto reject = [&](std::string why) {
        return fail(access + " is not allowed", std::move(why), user.field_list(store));
    };
    if (base != 0)
        return fail(
            fmt::format("the context pointer was moved by {} bytes before this {}", base, store ? "store" : "load"),
            "a context access takes its offset from the instruction alone (kernel: check_ptr_off_reg)",
            "access the field through the context pointer itself; a barrier_var(ctx) keeps clang from moving "
            "it");
    const FieldRow* field = nullptr;
    if (offset >= 0 && offset < platform::context_bytes(user.context, user.personality))
        field = platform::find_context_field(user.context, user.personality, static_cast<uint32_t>(offset), user.type,
                                             user.attach);
    if (field == nullptr) return reject("no field is there");
    if (field->hole != nullptr) return reject(fmt::format("field {}: {}", field->name, field->hole));
    if (row.is_atomic()) return reject("atomic operations do not work on the context");
    if (row.operation == Operation::LoadAcquire || row.operation == Operation::StoreRelease)
        return reject("ordered loads and stores do not work on the context");
    const ProgramSet type_bit = platform::program_type_bit(user.type);
    if (!store && !user.reads(*field))
        return reject(
            fmt::format("{} may not read field {}", user.users((field->readers & type_bit) != 0), field->name));
    if (store && !user.writes(*field)) {
        if (!user.reads(*field))
            return reject(
                fmt::format("{} may not read field {}", user.users((field->readers & type_bit) != 0), field->name));
        return reject(
            fmt::format("{} may only read field {}", user.users((field->writers & type_bit) != 0), field->name));
    }
    if (!platform::context_access_fits(*field, user.personality, static_cast<uint32_t>(offset), bytes, store)) {
        const char* narrower =
            field->access == platform::FieldAccess::Whole || store ? "whole" : "whole or aligned parts";
        return reject(fmt::format("field {} is {} bytes at offset {}; accesses: {}", field->name,
                                  field->bytes(user.personality), field->offset(user.personality), narrower));
    }
    const bool pointer = field->kind != FieldKind::Scalar;
    if (row.operation == Operation::LoadSigned && pointer)
        return reject(fmt::format("field {} is a pointer and cannot be sign-extended", field->name));

    const uint32_t part = static_cast<uint32_t>(offset) - field->offset(user.personality);
    ContextAccess out;
    out.field = static_cast<uint16_t>(field->id);
    out.host_offset = field->offset_in_host(user.personality);
    out.access_bytes = static_cast<uint8_t>(bytes);
    out.pointer = pointer;
    switch (field->access) {
        case platform::FieldAccess::Bytes:  // an array: the part is a field of its own
        case platform::FieldAccess::Words:
        case platform::FieldAccess::WideWords:
        case platform::FieldAccess::WholeWords:
        case platform::FieldAccess::Longs:
            out.host_offset = static_cast<uint16_t>(out.host_offset + part);
            out.host_bytes = static_cast<uint8_t>(bytes);
            return out;
        case platform::FieldAccess::Whole:
        case platform::FieldAccess::Narrow:
        case platform::FieldAccess::NarrowStart:
        case platform::FieldAccess::Halves:
        case platform::FieldAccess::Port: break;
    }
    const uint16_t host_bytes = field->bytes_in_host(user.personality);
    out.host_bytes = static_cast<uint8_t>(host_bytes);
    out.part_offset = static_cast<uint8_t>(part);
    if (!store && !pointer) {
        // convert_ctx_accesses() takes a part out of a field only if the part is narrower than the kernel's own field:
        // of a 16-bit protocol, the u16 at either half of the program's 32 bits is the protocol.
        if (bytes >= host_bytes) out.part_offset = 0;
        // A narrower host field is followed by zeros up to the program's width (host_context.hpp): loads take these
        // along.
        out.host_bytes = std::max(out.host_bytes, static_cast<uint8_t>(field->bytes(user.personality)));
    }
    return out;
}

class Binder {
  public:
    Binder(const object::ObjectSpec& spec, const object::LinkedProgram& program, const BindOptions& options)
        : spec_(spec), options_(options) {
        bound_.linked = program;
    }

    Result<BoundProgram> run() {
        SKEP_TRY(settle_personality());
        SKEP_TRY(settle_type());
        bound_.gpl_compatible = is_gpl_compatible(spec_.license.value_or(""));
        SKEP_TRY(bind_maps());
        SKEP_TRY(bind_numbers());
        const auto visit = [this](InsnIndex at, const Insn& insn, std::span<const ContextValue> registers) {
            return reached(at, insn, registers);
        };
        if (auto done = follow_context(bound_.linked, bound_.bindings, map_sizes_, visit); !done)
            return placed(std::move(done).error());
        std::ranges::sort(bound_.problems, {}, &BindProblem::at);
        return std::move(bound_);
    }

  private:
    const object::LinkedProgram& linked() const { return bound_.linked; }
    bool is_windows() const { return bound_.personality == Personality::Windows; }
    const char* type_name() const { return platform::program_type_name(bound_.type); }

    /// Adds file, section, function and source line.
    Error placed(Error error) const {
        Where& where = error.where();
        if (where.file.empty()) where.file = spec_.file;
        if (where.section.empty()) where.section = linked().section;
        if (!where.insn) {
            if (where.function.empty()) where.function = linked().name;
            return error;
        }
        const InsnIndex at = *where.insn;
        InsnIndex function_start = 0;
        for (const object::Subprogram& sub : linked().subprograms) {
            if (at < sub.start || at >= sub.end) continue;
            if (where.function.empty()) where.function = sub.name;
            function_start = sub.start;
        }
        const auto& lines = linked().lines;
        const auto after = std::ranges::upper_bound(lines, at, {}, &object::SourceLine::insn);
        if (after != lines.begin() && std::prev(after)->insn >= function_start && where.source_file.empty()) {
            where.source_file = std::prev(after)->file;
            where.source_line = std::prev(after)->line;
            where.source_column = std::prev(after)->column;
        }
        return error;
    }
    Error fail(Errc code, std::string what, std::string why = {}, std::string hint = {}) const {
        return placed(Error{code, Where{}, std::move(what), std::move(why), std::move(hint)});
    }
    Error fail_at(InsnIndex at, Errc code, std::string what, std::string why = {}, std::string hint = {}) const {
        return placed(Error{code, Where{.insn = at}, std::move(what), std::move(why), std::move(hint)});
    }

    /// Makes a problem of an instruction's error.
    void keep(InsnIndex at, Result<void> done) {
        if (done || bound_.bindings[at].kind == BindingKind::Problem) return;
        const Error& error = done.error();
        BindProblem problem{at, BindProblem::Kind::Refused, error.code(), error.what(), error.why(), error.hint()};
        if (error.code() == Errc::Unsupported) problem.kind = BindProblem::Kind::NotModelled;
        if (error.code() == Errc::Undecided) problem.kind = BindProblem::Kind::Unclear;
        bound_.bindings[at].kind = BindingKind::Problem;
        bound_.problems.push_back(std::move(problem));
    }

    /// What is certainly not reached may have any problem; what may be, only if somebody will prove that it is not.
    Result<void> reached(InsnIndex at, const Insn& insn, std::span<const ContextValue> registers) {
        if (const BindProblem* p = bound_.problem_at(at); p != nullptr && !options_.keep_problems)
            return fail_at(at, p->code, p->what, p->why, p->hint);
        if (bound_.bindings[at].kind == BindingKind::Problem) return {};
        auto done = visit(at, insn, registers);
        if (!options_.keep_problems) return done;
        keep(at, std::move(done));
        return {};
    }

    Result<void> settle_personality();
    Result<void> settle_type();
    Result<void> bind_maps();
    Result<void> bind_numbers();
    Result<void> bind_helper(InsnIndex at, const Insn& insn);
    Result<void> bind_windows_helper(InsnIndex at, const Insn& insn);
    Result<void> bind_packet_load(InsnIndex at, const Insn& insn);
    Result<void> visit(InsnIndex at, const Insn& insn, std::span<const ContextValue> registers);
    Result<void> bind_access(InsnIndex at, const Insn& insn, ContextValue base);
    Result<void> check_arguments(InsnIndex at, const HelperRow& row, std::span<const ContextValue> registers) const;

    const object::ObjectSpec& spec_;
    const BindOptions& options_;
    BoundProgram bound_;
    ContextUser user_{};
    std::vector<MapSizes> map_sizes_;
};

Result<void> Binder::settle_personality() {
    auto settled = skep::settle_personality(spec_, options_.personality);
    if (!settled) return placed(std::move(settled).error());
    bound_.personality = *settled;
    return {};
}

Result<void> Binder::settle_type() {
    const auto meaning = platform::section_meaning(linked().section);
    if (!options_.type && !meaning)
        return fail(Errc::Unresolved, fmt::format("section \"{}\" stands for no program type", linked().section),
                    "no system's loader knows this section name",
                    "name the type (--type xdp), or use a section name such as \"xdp\", \"tc\" or \"socket\"");
    bound_.type = options_.type ? *options_.type : meaning->type;
    if (options_.attach) {
        bound_.attach = *options_.attach;
    } else if (meaning && meaning->type == bound_.type) {
        bound_.attach = meaning->attach;
    } else {
        bound_.attach = platform::default_attach(bound_.type);
    }
    bound_.sleepable = options_.sleepable.value_or(meaning && meaning->type == bound_.type && meaning->sleepable);
    if (is_windows() && platform::program_type_windows_id(bound_.type) == 0)
        return fail(Errc::Rejected, fmt::format("eBPF for Windows has no program type {}", type_name()),
                    fmt::format("the object was compiled for Windows, and section \"{}\" stands for that type",
                                linked().section),
                    "pass --personality linux if that is wrong");
    if (!is_windows() && platform::program_type_linux_id(bound_.type) == 0)
        return fail(
            Errc::Rejected, fmt::format("Linux has no program type {}", type_name()),
            fmt::format("the object was compiled for Linux, and section \"{}\" stands for that type", linked().section),
            "pass --personality windows if that is wrong");
    const auto context = platform::context_of(bound_.type);
    if (!context)
        return fail(Errc::Unsupported, fmt::format("program type {} is not supported yet", type_name()),
                    "what such a program gets is typed by a kernel's BTF or by another program, which is not modelled",
                    "supported are the types whose context linux/bpf.h defines, xdp, tc, cgroup and kprobe among them");
    if ((platform::attach_types_of(bound_.type) & platform::attach_bit(bound_.attach)) == 0)
        return fail(Errc::Unresolved,
                    fmt::format("{} programs need one of their attach types, not {}", type_name(),
                                platform::attach_type_name(bound_.attach)),
                    "what the program may do and return depends on it", "use a section name that says it");
    user_ = {*context, bound_.type, bound_.attach, bound_.personality};
    return {};
}

Result<void> Binder::bind_maps() {
    for (uint32_t index : linked().maps) {
        const object::MapSpec& map = spec_.maps[index];
        platform::MapType type{};
        const bool known = is_windows() ? platform::map_type_from_windows(map.type, &type)
                                        : platform::map_type_from_linux(map.type, &type);
        if (!known)
            return fail(Errc::Unresolved, fmt::format("map \"{}\" has a type nobody defines", map.name),
                        is_windows() ? fmt::format("map type {} is none of eBPF for Windows", map.type)
                                     : fmt::format("map type {} is not in linux/bpf.h", map.type));
        bound_.maps.push_back({index, type});
        map_sizes_.push_back({map.key_size, map.value_size});
    }
    return {};
}

Result<void> Binder::bind_numbers() {
    bound_.bindings.resize(linked().code.size());
    for (InsnIndex at = 0; at < linked().code.size();) {
        auto decoded = isa::decode(linked().code, at);
        if (!decoded) return placed(std::move(decoded).error());
        const Insn& insn = *decoded;
        const auto extern_name = [&] {
            const auto index = static_cast<size_t>(insn.imm);
            const bool known = index < linked().externs.size() && linked().externs[index] < spec_.externs.size();
            return known ? spec_.externs[linked().externs[index]].name : fmt::format("number {}", insn.imm);
        };
        const Operation operation = insn.row().operation;
        Result<void> done;
        if (operation == Operation::Call) done = bind_helper(at, insn);
        if (operation == Operation::LoadPacket) done = bind_packet_load(at, insn);
        if (operation == Operation::CallKfunc)
            done = fail_at(at, Errc::Unsupported, fmt::format("kernel function \"{}\" is not available", extern_name()),
                           "functions of a kernel's BTF exist in that kernel only",
                           "use a helper, or declare it __weak and call it only where bpf_ksym_exists() says so");
        if (operation == Operation::LdBtfId)
            done = fail_at(at, Errc::Unsupported, fmt::format("kernel variable \"{}\" is not available", extern_name()),
                           "variables of a kernel's BTF exist in that kernel only",
                           "declare it __weak, and use it only if its address is not null");
        keep(at, std::move(done));
        at += insn.slots();
    }
    return {};
}

/// A number of eBPF for Windows: the program type's own from 0x10000 on, else a general one, which every type has. Its
/// results are minus an ebpf_result, save those of the string and memory helpers, which are errno-like there too.
Result<void> Binder::bind_windows_helper(InsnIndex at, const Insn& insn) {
    HelperId id{};
    const auto number = static_cast<uint32_t>(insn.imm);
    if (const auto own = platform::windows_helper_of_type(bound_.type, number)) {
        id = *own;
    } else if (!platform::helper_from_windows(number, &id)) {
        return fail_at(
            at, Errc::Unresolved, fmt::format("call of an unknown helper, number {:#x}", number),
            fmt::format("eBPF for Windows defines helpers 1 to 35, and from 0x10000 on some for each program "
                        "type; for {} there is no such one",
                        type_name()),
            "pass --personality linux if the object was compiled for Linux");
    }
    Binding& binding = bound_.bindings[at];
    binding.kind = BindingKind::Helper;
    binding.helper = static_cast<uint16_t>(id);
    if (platform::windows_result_is_mapped(id)) binding.result = platform::ResultMap::EbpfResult;
    return {};
}

Result<void> Binder::bind_helper(InsnIndex at, const Insn& insn) {
    if (insn.imm == object::absent_helper)
        return fail_at(at, Errc::Unresolved, "the target's types have not what this instruction asks for",
                       "its CO-RE relocation found no match",
                       "guard it: bpf_core_field_exists(), bpf_core_type_exists(), bpf_core_enum_value_exists()");
    if (is_windows()) return bind_windows_helper(at, insn);
    HelperId id{};
    if (!platform::helper_from_linux(static_cast<uint32_t>(insn.imm), &id))
        return fail_at(at, Errc::Unresolved, fmt::format("call of an unknown helper, number {}", insn.imm),
                       "Linux defines helpers 1 to 211 and no further ones will come");
    const HelperRow& row = platform::helper_for(id, bound_.type);
    bound_.bindings[at].helper = static_cast<uint16_t>(id);
    if (!platform::helper_allowed(id, bound_.type, bound_.attach)) {
        const char* hint = "";
        if (id == HelperId::SkbLoadBytes || id == HelperId::SkbStoreBytes) {
            hint = bound_.type == ProgramType::Xdp ? "xdp programs have xdp_load_bytes and xdp_store_bytes" : "";
        } else if (id == HelperId::ProbeRead || id == HelperId::ProbeReadStr) {
            hint = "use probe_read_kernel or probe_read_kernel_str";
        }
        return fail_at(at, Errc::Rejected, fmt::format("{} programs may not call helper {}", type_name(), row.name),
                       fmt::format("helper {} (number {}) is not available to this program type", row.name, insn.imm),
                       hint);
    }
    if (row.licence == platform::Licence::Gpl && !bound_.gpl_compatible) {
        return fail_at(at, Errc::NotPermitted,
                       fmt::format("helper {} may be called by GPL-compatible programs only", row.name),
                       spec_.license ? fmt::format("the object's licence is \"{}\"", *spec_.license)
                                     : std::string("the object has no licence section"),
                       "if it is yours to say: char LICENSE[] SEC(\"license\") = \"Dual MIT/GPL\";");
    }
    bound_.bindings[at].kind = BindingKind::Helper;
    return {};
}

Result<void> Binder::bind_packet_load(InsnIndex at, const Insn& insn) {
    if (bound_.type != ProgramType::SocketFilter && bound_.type != ProgramType::SchedCls &&
        bound_.type != ProgramType::SchedAct)  // may_access_skb
        return fail_at(at, Errc::Rejected, fmt::format("{} programs have no packet loads", type_name()),
                       "the instruction group \"packet\" works on socket buffers only",
                       "read through the data and data_end pointers of the context");
    HelperId id = HelperId::PacketLoad4;
    if (insn.row().access_bytes() == 1) id = HelperId::PacketLoad1;
    if (insn.row().access_bytes() == 2) id = HelperId::PacketLoad2;
    bound_.bindings[at].kind = BindingKind::Helper;
    bound_.bindings[at].helper = static_cast<uint16_t>(id);
    return {};
}

Result<void> Binder::visit(InsnIndex at, const Insn& insn, std::span<const ContextValue> registers) {
    const isa::Row& row = insn.row();
    if (row.is_memory()) {
        const unsigned base = row.writes_memory() ? insn.dst : insn.src;
        const ContextValue value = registers[base];
        if (value.kind == Kind::Maybe)
            return fail_at(at, Errc::Undecided, fmt::format("r{} may or may not point into the context", base),
                           "on some path here it was made from the context by other means than adding constants",
                           "keep the context pointer in one variable and do not compute with it");
        if (value.kind == Kind::Context) return bind_access(at, insn, value);
        return {};
    }
    if (row.is_packet_load()) {
        const ContextValue value = registers[6];
        if (value.kind == Kind::Context && value.offset == 0) return {};
        return fail_at(at, value.kind == Kind::Maybe ? Errc::Undecided : Errc::Rejected,
                       "a packet load needs the context in r6", "RFC 9669 section 5.5: r6 is its implicit input");
    }
    if (row.operation == Operation::Call && bound_.bindings[at].kind == BindingKind::Helper)
        return check_arguments(at, platform::helper_for(static_cast<HelperId>(bound_.bindings[at].helper), bound_.type),
                               registers);
    return {};
}

Result<void> Binder::bind_access(InsnIndex at, const Insn& insn, ContextValue base) {
    auto access = access_of(user_, at, insn, base.offset);
    if (!access) return placed(std::move(access).error());
    bound_.bindings[at].kind = BindingKind::Context;
    bound_.bindings[at].context = *access;
    return {};
}

Result<void> Binder::check_arguments(InsnIndex at, const HelperRow& row,
                                     std::span<const ContextValue> registers) const {
    for (size_t n = 0; n < 5; ++n) {
        const ArgKind kind = row.args[n];
        const ContextValue value = registers[n + 1];
        if (kind == ArgKind::None || kind == ArgKind::Scalar || kind == ArgKind::Size || kind == ArgKind::SizeOrZero ||
            kind == ArgKind::CallbackContext || kind == ArgKind::Anything)
            continue;
        if (value.kind == Kind::Maybe) {
            // A call means the same either way. Whoever verifies it looks at each argument for himself.
            if (options_.keep_problems) continue;
            return fail_at(at, Errc::Undecided, fmt::format("r{} may or may not point into the context", n + 1),
                           fmt::format("argument {} of helper {} must be known", n + 1, row.name));
        }
        const bool context = value.kind == Kind::Context;
        if ((kind == ArgKind::Ctx && !(context && value.offset == 0)) ||
            (kind == ArgKind::CtxOrNull && context && value.offset != 0))
            return fail_at(at, Errc::Rejected, fmt::format("helper {} needs the context in r{}", row.name, n + 1),
                           context ? fmt::format("it holds the context plus {}", value.offset)
                                   : std::string("what it holds is not the context"));
        const bool memory = kind == ArgKind::MemIn || kind == ArgKind::MemInOrNull || kind == ArgKind::MemOut ||
                            kind == ArgKind::MemOutOrNull || kind == ArgKind::MemInOut;
        if (context && memory && value.offset == 0 && platform::context_is_memory(user_.context)) continue;
        if (kind != ArgKind::Ctx && kind != ArgKind::CtxOrNull && kind != ArgKind::Other && context)
            return fail_at(at, Errc::Rejected, fmt::format("helper {} cannot work on the context", row.name),
                           fmt::format("argument {} points into it; its bytes are not memory", n + 1),
                           "copy the fields to the stack first");
    }
    return {};
}

}  // namespace

bool is_gpl_compatible(std::string_view license) {
    for (std::string_view known :
         {"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}) {
        if (license == known) return true;
    }
    return false;
}

const BindProblem* BoundProgram::problem_at(isa::InsnIndex at) const {
    const auto found = std::ranges::lower_bound(problems, at, {}, &BindProblem::at);
    return found != problems.end() && found->at == at ? &*found : nullptr;
}

Result<ContextAccess> context_access(const BoundProgram& program, InsnIndex at, const Insn& insn, int64_t base) {
    const auto context = platform::context_of(program.type);
    if (!context) return Error{Errc::Unsupported, Where{.insn = at}, "the program type's context is not modelled"};
    return access_of({*context, program.type, program.attach, program.personality}, at, insn, base);
}

Result<BoundProgram> bind(const object::ObjectSpec& spec, const object::LinkedProgram& program,
                          const BindOptions& options) {
    return Binder(spec, program, options).run();
}

}  // namespace skep
