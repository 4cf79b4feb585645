// SPDX-License-Identifier: Apache-2.0
// Binding: the numbers by a pass over the instructions, the context accesses by the data flow of context_flow.hpp.
#include "program/bind.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "isa/insn.hpp"
#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "platform/program_type.hpp"
#include "program/context_flow.hpp"

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
using Kind = ContextValue::Kind;

class Binder {
  public:
    Binder(const object::ObjectSpec& spec, const object::LinkedProgram& program, const BindOptions& options)
        : spec_(spec), options_(options) {
        bound_.linked = program;
    }

    Result<BoundProgram> run() {
        SKEP_TRY(settle_personality());
        SKEP_TRY(settle_type());
        SKEP_TRY(bind_maps());
        SKEP_TRY(bind_numbers());
        const auto visit = [this](InsnIndex at, const Insn& insn, std::span<const ContextValue> registers) {
            return this->visit(at, insn, registers);
        };
        if (auto done = follow_context(bound_.linked, bound_.bindings, map_sizes_, visit); !done)
            return placed(std::move(done).error());
        return std::move(bound_);
    }

  private:
    const object::LinkedProgram& linked() const { return bound_.linked; }
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

    Result<void> settle_personality();
    Result<void> settle_type();
    Result<void> bind_maps();
    Result<void> bind_numbers();
    Result<void> bind_helper(InsnIndex at, const Insn& insn);
    Result<void> bind_packet_load(InsnIndex at, const Insn& insn);
    Result<void> visit(InsnIndex at, const Insn& insn, std::span<const ContextValue> registers);
    Result<void> bind_access(InsnIndex at, const Insn& insn, ContextValue base);
    Result<void> check_arguments(InsnIndex at, const HelperRow& row, std::span<const ContextValue> registers) const;
    std::string field_list(bool store) const;

    const object::ObjectSpec& spec_;
    const BindOptions& options_;
    BoundProgram bound_;
    ContextKind context_ = ContextKind::Xdp;
    uint8_t type_bit_ = 0;
    uint8_t context_user_ = 0;
    std::vector<MapSizes> map_sizes_;
};

Result<void> Binder::settle_personality() {
    const bool windows = options_.personality ? *options_.personality == Personality::Windows : spec_.ebpf_for_windows;
    if (windows)
        return fail(Errc::Unsupported, "objects of eBPF for Windows are not supported yet",
                    options_.personality ? "the personality was asked for"
                                         : "the object carries the mark of its headers, section \".ebpf_for_windows\"",
                    "compile it against Linux' headers (linux/bpf.h, bpf/bpf_helpers.h)");
    bound_.personality = Personality::Linux;
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
    } else if (bound_.type == platform::ProgramType::Xdp) {
        bound_.attach = platform::AttachType::Xdp;
    }
    const auto context = platform::context_of(bound_.type);
    if (!context)
        return fail(Errc::Unsupported, fmt::format("program type {} is not supported yet", type_name()),
                    fmt::format("section \"{}\" stands for it", linked().section),
                    "supported are xdp, sched_cls, sched_act and socket_filter");
    context_ = *context;
    type_bit_ = platform::program_type_bit(bound_.type);
    context_user_ = platform::context_user(bound_.type, bound_.attach);
    return {};
}

Result<void> Binder::bind_maps() {
    for (uint32_t index : linked().maps) {
        const object::MapSpec& map = spec_.maps[index];
        platform::MapType type{};
        if (!platform::map_type_from_linux(map.type, &type))
            return fail(Errc::Unresolved, fmt::format("map \"{}\" has a type nobody defines", map.name),
                        fmt::format("map type {} is not in linux/bpf.h", map.type));
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
        if (operation == Operation::Call) SKEP_TRY(bind_helper(at, insn));
        if (operation == Operation::LoadPacket) SKEP_TRY(bind_packet_load(at, insn));
        if (operation == Operation::CallKfunc)
            return fail_at(at, Errc::Unsupported, fmt::format("kernel function \"{}\" is not available", extern_name()),
                           "functions of a kernel's BTF exist in that kernel only", "use a helper instead");
        if (operation == Operation::LdBtfId)
            return fail_at(at, Errc::Unsupported, fmt::format("kernel variable \"{}\" is not available", extern_name()),
                           "variables of a kernel's BTF exist in that kernel only");
        at += insn.slots();
    }
    return {};
}

Result<void> Binder::bind_helper(InsnIndex at, const Insn& insn) {
    HelperId id{};
    if (!platform::helper_from_linux(static_cast<uint32_t>(insn.imm), &id))
        return fail_at(at, Errc::Unresolved, fmt::format("call of an unknown helper, number {}", insn.imm),
                       "Linux defines helpers 1 to 211 and no further ones will come");
    const HelperRow& row = platform::helper(id);
    if ((row.users & type_bit_) == 0) {
        const char* hint = "";
        if (id == HelperId::SkbLoadBytes || id == HelperId::SkbStoreBytes) {
            hint = type_bit_ == platform::program_type_bit(platform::ProgramType::Xdp)
                       ? "xdp programs have xdp_load_bytes and xdp_store_bytes"
                       : "";
        } else if (id == HelperId::ProbeRead || id == HelperId::ProbeReadStr) {
            hint = "use probe_read_kernel or probe_read_kernel_str";
        }
        return fail_at(at, Errc::Rejected, fmt::format("{} programs may not call helper {}", type_name(), row.name),
                       fmt::format("helper {} (number {}) is not available to this program type", row.name, insn.imm),
                       hint);
    }
    if (row.licence == platform::Licence::Gpl && !is_gpl_compatible(spec_.license.value_or(""))) {
        return fail_at(at, Errc::NotPermitted,
                       fmt::format("helper {} may be called by GPL-compatible programs only", row.name),
                       spec_.license ? fmt::format("the object's licence is \"{}\"", *spec_.license)
                                     : std::string("the object has no licence section"),
                       "if it is yours to say: char LICENSE[] SEC(\"license\") = \"Dual MIT/GPL\";");
    }
    Binding& binding = bound_.bindings[at];
    binding.kind = BindingKind::Helper;
    binding.helper = static_cast<uint16_t>(id);
    return {};
}

Result<void> Binder::bind_packet_load(InsnIndex at, const Insn& insn) {
    if (context_ != ContextKind::Skb)  // may_access_skb
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
    if (row.operation == Operation::Call)
        return check_arguments(at, platform::helper(static_cast<HelperId>(bound_.bindings[at].helper)), registers);
    return {};
}

Result<void> Binder::bind_access(InsnIndex at, const Insn& insn, ContextValue base) {
    const isa::Row& row = insn.row();
    const bool store = row.writes_memory();
    const int64_t offset = int64_t{base.offset} + insn.offset;
    const uint32_t bytes = row.access_bytes();
    const char* type = platform::context_type_name(context_, bound_.personality);
    const std::string access = fmt::format("{} of {} byte{} at offset {} of {}", store ? "store" : "load", bytes,
                                           bytes == 1 ? "" : "s", offset, type);
    if (base.offset != 0)
        return fail_at(
            at, Errc::Rejected,
            fmt::format("the context pointer was moved by {} bytes before this {}", base.offset,
                        store ? "store" : "load"),
            "a context access takes its offset from the instruction alone (kernel: check_ptr_off_reg)",
            "access the field through the context pointer itself; a barrier_var(ctx) keeps clang from moving it");
    const FieldRow* field = nullptr;
    if (offset >= 0 && offset < platform::context_bytes(context_, bound_.personality))
        field = platform::find_context_field(context_, bound_.personality, static_cast<uint32_t>(offset));
    const auto reject = [&](std::string why) {
        return fail_at(at, Errc::Rejected, access + " is not allowed", std::move(why), field_list(store));
    };
    if (field == nullptr) return reject("no field is there");
    if (field->hole != nullptr) return reject(fmt::format("field {}: {}", field->name, field->hole));
    if (row.is_atomic()) return reject("atomic operations do not work on the context");
    if (row.operation == Operation::LoadAcquire || row.operation == Operation::StoreRelease)
        return reject("ordered loads and stores do not work on the context");
    if ((field->readers & context_user_) == 0)
        return reject(fmt::format("{} programs may not read field {}", type_name(), field->name));
    if (store && (field->writers & context_user_) == 0)
        return reject(fmt::format("{} programs may only read field {}", type_name(), field->name));
    if (!platform::context_access_fits(*field, bound_.personality, static_cast<uint32_t>(offset), bytes, store)) {
        const char* narrower =
            field->access == platform::FieldAccess::Whole || store ? "whole" : "whole or aligned parts";
        return reject(fmt::format("field {} is {} bytes at offset {}; accesses: {}", field->name,
                                  field->bytes(bound_.personality), field->offset(bound_.personality), narrower));
    }
    const bool pointer = field->kind != FieldKind::Scalar;
    if (row.operation == Operation::LoadSigned && pointer)
        return reject(fmt::format("field {} is a pointer and cannot be sign-extended", field->name));

    const uint32_t part = static_cast<uint32_t>(offset) - field->offset(bound_.personality);
    ContextAccess& out = bound_.bindings[at].context;
    bound_.bindings[at].kind = BindingKind::Context;
    out.field = static_cast<uint16_t>(field->id);
    out.host_offset = field->host_offset;
    out.host_bytes = field->host_bytes;
    out.part_offset = static_cast<uint8_t>(part);
    out.access_bytes = static_cast<uint8_t>(bytes);
    out.pointer = pointer;
    if (!store && !pointer) {
        // convert_ctx_accesses() takes a part out of a field only if the part is narrower than the kernel's own field:
        // of a 16-bit protocol, the u16 at either half of the program's 32 bits is the protocol.
        if (bytes >= field->host_bytes) out.part_offset = 0;
        // A narrower host field is followed by zeros up to the program's width (host_context.hpp): loads take these
        // along.
        out.host_bytes = std::max(out.host_bytes, field->bytes(bound_.personality));
    }
    if (field->access == platform::FieldAccess::Bytes) {  // an array: the part is a field of its own
        out.host_offset = static_cast<uint16_t>(field->host_offset + part);
        out.host_bytes = static_cast<uint8_t>(bytes);
        out.part_offset = 0;
    }
    return {};
}

Result<void> Binder::check_arguments(InsnIndex at, const HelperRow& row,
                                     std::span<const ContextValue> registers) const {
    for (size_t n = 0; n < 5; ++n) {
        const ArgKind kind = row.args[n];
        const ContextValue value = registers[n + 1];
        if (kind == ArgKind::None || kind == ArgKind::Scalar || kind == ArgKind::Size || kind == ArgKind::SizeOrZero ||
            kind == ArgKind::CallbackContext)
            continue;
        if (value.kind == Kind::Maybe)
            return fail_at(at, Errc::Undecided, fmt::format("r{} may or may not point into the context", n + 1),
                           fmt::format("argument {} of helper {} must be known", n + 1, row.name));
        const bool context = value.kind == Kind::Context;
        if (kind == ArgKind::Ctx && !(context && value.offset == 0))
            return fail_at(at, Errc::Rejected, fmt::format("helper {} needs the context in r{}", row.name, n + 1),
                           context ? fmt::format("it holds the context plus {}", value.offset)
                                   : std::string("what it holds is not the context"));
        if (kind != ArgKind::Ctx && kind != ArgKind::Other && context)
            return fail_at(at, Errc::Rejected, fmt::format("helper {} cannot work on the context", row.name),
                           fmt::format("argument {} points into it; its bytes are not memory", n + 1),
                           "copy the fields to the stack first");
    }
    return {};
}

/// "readable: data (offset 0, 4 bytes), ..." for this program.
std::string Binder::field_list(bool store) const {
    std::string list;
    for (const FieldRow& field : platform::context_fields()) {
        const uint8_t users = store ? field.writers : field.readers;
        if (field.context != context_ || (users & context_user_) == 0) continue;
        list += fmt::format("{}{} ({}, {})", list.empty() ? "" : ", ", field.name, field.offset(bound_.personality),
                            field.bytes(bound_.personality));
    }
    if (list.empty()) return fmt::format("{} programs may not write to their context", type_name());
    return fmt::format("{} (offset, bytes): {}", store ? "writable" : "readable", list);
}

}  // namespace

bool is_gpl_compatible(std::string_view license) {
    for (std::string_view known :
         {"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}) {
        if (license == known) return true;
    }
    return false;
}

Result<BoundProgram> bind(const object::ObjectSpec& spec, const object::LinkedProgram& program,
                          const BindOptions& options) {
    return Binder(spec, program, options).run();
}

}  // namespace skep
