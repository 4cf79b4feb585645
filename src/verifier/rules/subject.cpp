// SPDX-License-Identifier: Apache-2.0
// Builds the subject of a verification: maps in canonical words, with the parts of their values that only helpers may
// touch.
#include "verifier/rules/subject.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "isa/insn.hpp"
#include "platform/program_type.hpp"

namespace skep::verifier {

namespace {

// A value with more special fields than the kernel would ever take (BTF_FIELDS_MAX is 11) is hostile or a mistake.
constexpr size_t max_special = 256;
constexpr size_t max_pending = 1u << 16;

/// Types that Linux treats as special by their name (btf_get_field_type); a struct that contains one keeps it special.
struct SpecialName {
    std::string_view name;
    SpecialKind kind;
};
constexpr SpecialName special_names[] = {
    {"bpf_spin_lock", SpecialKind::SpinLock},        {"bpf_timer", SpecialKind::Timer},
    {"bpf_res_spin_lock", SpecialKind::NotModelled}, {"bpf_wq", SpecialKind::NotModelled},
    {"bpf_list_head", SpecialKind::NotModelled},     {"bpf_list_node", SpecialKind::NotModelled},
    {"bpf_rb_root", SpecialKind::NotModelled},       {"bpf_rb_node", SpecialKind::NotModelled},
    {"bpf_refcount", SpecialKind::NotModelled},      {"bpf_task_work", SpecialKind::NotModelled},
};
/// Type tags that make a pointer a kernel pointer of a map value (btf_find_kptr).
constexpr std::string_view pointer_tags[] = {"kptr", "kptr_untrusted", "kptr_ref", "percpu_kptr", "uptr"};

/// Finds the special fields of one type. Two passes: which types hold one at all, then the way to each of them; so the
/// work is bounded by the number of types and of fields, however structs and arrays nest.
class Walk {
  public:
    Walk(const btf::Btf& btf, std::vector<SpecialField>& out) : btf_(btf), out_(out) {}

    /// False: more than max_special fields.
    bool run(btf::TypeId root) {
        collect(root);
        std::vector<Item> pending;
        if (holds_.contains(btf_.strip(root))) pending.push_back({btf_.strip(root), 0, false});
        while (!pending.empty()) {
            const Item item = pending.back();
            pending.pop_back();
            if (item.offset > UINT32_MAX) continue;
            if (const auto kind = special(item.type)) {
                if (out_.size() == max_special) return false;
                found(item, *kind);
                continue;
            }
            const bool shared = item.shared || btf_.type(item.type).kind == btf::Kind::Union;
            const auto part = [&](btf::TypeId type, uint64_t offset) {
                type = btf_.strip(type);
                if (holds_.contains(type)) pending.push_back({type, item.offset + offset, shared});
            };
            const btf::Type& type = btf_.type(item.type);
            if (type.kind == btf::Kind::Array) {
                if (type.count > max_special) return false;
                const uint64_t size = btf_.size_of(type.type).value_or(0);
                for (uint32_t i = 0; i < type.count; ++i) part(type.type, i * size);
            }
            for (const btf::Member& m : btf_.members(type)) part(m.type, m.bit_offset / 8);
            for (const btf::SectionVariable& v : btf_.variables(type)) part(btf_.type(v.type).type, v.offset);
            if (pending.size() > max_pending) return false;
        }
        std::ranges::sort(out_, {}, [](const SpecialField& f) { return std::pair(f.offset, f.size); });
        // One lock and one timer a value (kernel: btf_find_field_one, seen_mask); to more nobody gives a meaning.
        bool lock = false, timer = false;
        for (SpecialField& field : out_) {
            if (field.kind == SpecialKind::SpinLock && std::exchange(lock, true)) field.kind = SpecialKind::NotModelled;
            if (field.kind == SpecialKind::Timer && std::exchange(timer, true)) field.kind = SpecialKind::NotModelled;
        }
        return true;
    }

  private:
    struct Item {
        btf::TypeId type = 0;  ///< stripped
        uint64_t offset = 0;
        bool shared = false;  ///< inside a union: its bytes have another meaning too
    };

    /// Calls `part` for each type that a value of the type contains.
    template <typename Part>
    void parts_of(btf::TypeId id, Part part) const {
        const btf::Type& type = btf_.type(id);
        if (type.kind == btf::Kind::Array && type.count != 0) part(btf_.strip(type.type));
        for (const btf::Member& m : btf_.members(type)) part(btf_.strip(m.type));
        for (const btf::SectionVariable& v : btf_.variables(type)) {
            if (btf_.type(v.type).kind == btf::Kind::Var) part(btf_.strip(btf_.type(v.type).type));
        }
    }

    /// Fills holds_ with the types below `root` that are special or hold something special.
    void collect(btf::TypeId root) {
        std::vector<btf::TypeId> order{btf_.strip(root)};
        std::unordered_set<btf::TypeId> seen{order.front()};
        for (size_t next = 0; next < order.size(); ++next) {
            if (special(order[next])) {
                holds_.insert(order[next]);
                continue;
            }
            parts_of(order[next], [&](btf::TypeId part) {
                if (seen.insert(part).second) order.push_back(part);
            });
        }
        // Values nest at most max_nesting deep (Btf::parse), so this ends.
        for (bool more = !holds_.empty(); more;) {
            more = false;
            for (size_t i = order.size(); i-- > 0;) {
                if (holds_.contains(order[i])) continue;
                bool holds = false;
                parts_of(order[i], [&](btf::TypeId part) { holds = holds || holds_.contains(part); });
                if (holds) more = holds_.insert(order[i]).second;
            }
        }
    }

    std::optional<SpecialKind> special(btf::TypeId id) const {
        const btf::Type& type = btf_.type(id);
        if (type.kind == btf::Kind::Struct || type.kind == btf::Kind::Union) {
            for (const SpecialName& row : special_names) {
                if (btf_.name(id) == row.name) return row.kind;
            }
        }
        if (type.kind == btf::Kind::Ptr && pointer_tag(id) != 0) return SpecialKind::NotModelled;
        return std::nullopt;
    }

    /// The tag that makes a pointer special: clang puts it between the pointer and what it points to. 0: none.
    btf::TypeId pointer_tag(btf::TypeId pointer) const {
        btf::TypeId to = btf_.type(pointer).type;
        for (uint32_t i = 0; i < btf::max_nesting; ++i) {
            const btf::Type& type = btf_.type(to);
            if (type.kind == btf::Kind::TypeTag && std::ranges::count(pointer_tags, btf_.name(to)) != 0) return to;
            if (type.kind != btf::Kind::TypeTag && type.kind != btf::Kind::Const && type.kind != btf::Kind::Volatile &&
                type.kind != btf::Kind::Restrict) {
                break;
            }
            to = type.type;
        }
        return 0;
    }

    void found(const Item& item, SpecialKind kind) {
        const uint64_t size = btf_.size_of(item.type).value_or(0);
        std::string text = btf_.type_text(item.type);
        if (btf_.type(item.type).kind == btf::Kind::Ptr) {
            text += fmt::format("__{}", btf_.name(pointer_tag(item.type)));
        }
        // A misplaced field is none that a helper takes.
        const uint32_t align = kind == SpecialKind::SpinLock ? 4 : 8;
        if (item.shared || item.offset % align != 0) kind = SpecialKind::NotModelled;
        out_.push_back(
            {kind, static_cast<uint32_t>(item.offset), static_cast<uint32_t>(size != 0 ? size : 8), std::move(text)});
    }

    const btf::Btf& btf_;
    std::vector<SpecialField>& out_;
    std::unordered_set<btf::TypeId> holds_;
};

/// A declaration tag of the program itself: "exception_callback:name" names a function that runs when it throws.
bool has_exceptions(const object::ObjectSpec& spec, const object::LinkedProgram& program) {
    if (spec.btf == nullptr || program.func_types.empty() || program.func_types[0] == 0) return false;
    for (btf::TypeId id = 1; id < spec.btf->type_count(); ++id) {
        const btf::Type& type = spec.btf->type(id);
        if (type.kind == btf::Kind::DeclTag && type.type == program.func_types[0] &&
            spec.btf->name(id).starts_with("exception_callback:"))
            return true;
    }
    return false;
}

/// Whether a function of the program takes a dynamic pointer, by its prototype in BTF.
bool takes_dynptr(const object::ObjectSpec& spec, const object::LinkedProgram& program) {
    if (spec.btf == nullptr) return false;
    const btf::Btf& btf = *spec.btf;
    for (const uint32_t function : program.func_types) {
        if (function == 0) continue;
        const btf::Type& proto = btf.type(btf.strip(btf.type(function).type));
        for (const btf::Param& param : btf.params(proto)) {
            const btf::Type& pointer = btf.type(btf.strip(param.type));
            if (pointer.kind == btf::Kind::Ptr && btf.name(btf.strip(pointer.type)) == "bpf_dynptr") return true;
        }
    }
    return false;
}

/// Fields that Linux lets no program of the type have in its maps (check_map_prog_compatibility): programs that run
/// anywhere, in interrupts too, could wait for themselves. Null: no objection.
const char* forbidden_field(platform::ProgramType type, SpecialKind kind) {
    using platform::ProgramType;
    const bool tracing = type == ProgramType::Kprobe || type == ProgramType::Tracepoint ||
                         type == ProgramType::PerfEvent || type == ProgramType::RawTracepoint ||
                         type == ProgramType::RawTracepointWritable;
    switch (kind) {
        case SpecialKind::SpinLock: return tracing || type == ProgramType::SocketFilter ? "spin locks" : nullptr;
        case SpecialKind::Timer: return tracing ? "timers" : nullptr;
        case SpecialKind::NotModelled: return nullptr;
    }
    return nullptr;
}

/// Whether values of maps of the type may hold such a field; Linux makes no other maps with them (map_check_btf).
bool may_hold(platform::MapType type, SpecialKind kind) {
    using enum platform::MapType;
    switch (kind) {
        case SpecialKind::SpinLock:
            return type == Hash || type == Array || type == CgroupStorage || type == SkStorage ||
                   type == InodeStorage || type == TaskStorage || type == CgrpStorage;
        case SpecialKind::Timer: return type == Hash || type == LruHash || type == Array;
        case SpecialKind::NotModelled: return true;
    }
    return false;
}

/// The first instruction that names map `index`.
isa::InsnIndex first_use(const object::LinkedProgram& program, size_t index) {
    for (isa::InsnIndex at = 0; at < program.code.size();) {
        const Result<isa::Insn> insn = isa::decode(program.code, at);
        if (!insn) break;
        const isa::Operation operation = insn->row().operation;
        const bool map = operation == isa::Operation::LdMapFd || operation == isa::Operation::LdMapValue;
        if (map && static_cast<size_t>(static_cast<uint32_t>(insn->imm)) == index) return at;
        at += insn->slots();
    }
    return 0;
}

Result<MapInfo> describe(const object::ObjectSpec& spec, const object::MapSpec& map, platform::MapType type) {
    MapInfo info;
    info.name = map.name;
    info.type = type;
    info.key_size = map.key_size;
    info.value_size = map.value_size;
    info.max_entries = map.max_entries;
    info.flags = map.flags;
    constexpr uint32_t flag_rdonly_prog = 1u << 7;  // BPF_F_RDONLY_PROG
    info.read_only = map.read_only || (map.flags & flag_rdonly_prog) != 0;
    // Only .rodata is filled in before the program is loaded and frozen then. What .kconfig will hold is the loader's
    // matter, and what a map made read-only by its flags holds, the user's.
    constexpr size_t most_zeros = 1u << 20;
    if (map.origin == object::MapOrigin::Data && map.read_only &&
        (map.initial.size() == map.value_size || map.value_size <= most_zeros)) {
        info.constant = map.initial;
        info.constant.resize(map.value_size);
    }
    if (map.value_type != 0 && spec.btf != nullptr && map.value_type < spec.btf->type_count()) {
        if (!Walk(*spec.btf, info.special).run(map.value_type)) {
            return Error(Errc::Unsupported, Where{.file = spec.file},
                         fmt::format("the value type of map \"{}\" has too many special fields", map.name),
                         fmt::format("{} has more than {}", spec.btf->type_text(map.value_type), max_special));
        }
        for (SpecialField& field : info.special) {
            if (!may_hold(type, field.kind)) field.kind = SpecialKind::NotModelled;
            if (uint64_t{field.offset} + field.size > info.value_size) {
                return Error(Errc::Malformed, Where{.file = spec.file},
                             fmt::format("the value type of map \"{}\" is larger than its values", map.name),
                             fmt::format("{} at offset {} of {} bytes", field.type, field.offset, info.value_size));
            }
        }
        info.has_btf = true;
    }
    return info;
}

}  // namespace

uint16_t Subject::function_at(isa::InsnIndex insn) const {
    const auto& subprograms = linked().subprograms;
    const auto after = std::ranges::upper_bound(subprograms, insn, {}, &object::Subprogram::start);
    return static_cast<uint16_t>(after == subprograms.begin() ? 0 : after - subprograms.begin() - 1);
}

Result<Subject> make_subject(const object::ObjectSpec& spec, std::shared_ptr<const BoundProgram> program,
                             const Options& options) {
    Subject subject;
    subject.options = options;
    const size_t count = program->maps.size();
    if (count * 2 >= UINT16_MAX || program->linked.subprograms.size() >= UINT16_MAX) {
        return Error(Errc::LimitExceeded, Where{.file = spec.file},
                     fmt::format("program \"{}\" has too many maps or functions", program->linked.name),
                     fmt::format("{} maps, {} functions", count, program->linked.subprograms.size()));
    }
    if (has_exceptions(spec, program->linked)) {
        return Error(Errc::Unsupported, Where{.file = spec.file, .section = program->linked.section},
                     fmt::format("program \"{}\" throws exceptions, which are not modelled", program->linked.name),
                     "it has the declaration tag exception_callback");
    }
    if (takes_dynptr(spec, program->linked)) {
        return Error(Errc::Unsupported, Where{.file = spec.file, .section = program->linked.section},
                     "a function takes a dynamic pointer (struct bpf_dynptr), which is not modelled");
    }
    for (const MapUse& use : program->maps) {
        SKEP_ASSIGN(MapInfo info, describe(spec, spec.maps[use.map], use.type));
        for (const SpecialField& field : info.special) {
            const char* what = forbidden_field(program->type, field.kind);
            if (what == nullptr) continue;
            const isa::InsnIndex at = first_use(program->linked, subject.maps.size());
            return Error(
                Errc::Rejected, Where{.file = spec.file, .section = program->linked.section, .insn = at},
                fmt::format("{} programs cannot use maps with {}", platform::program_type_name(program->type), what),
                fmt::format("map \"{}\" has a {} in its values", info.name, field.type));
        }
        subject.maps.push_back(std::move(info));
    }
    for (size_t i = 0; i < count; ++i) {
        const object::MapSpec& outer = spec.maps[program->maps[i].map];
        if (outer.inner.empty()) continue;
        const object::MapSpec& inner = outer.inner.front();
        if (!inner.unsupported.empty()) {
            return Error(Errc::Unsupported, Where{.file = spec.file},
                         fmt::format("the inner map of \"{}\" is not supported", outer.name), inner.unsupported);
        }
        platform::MapType type{};
        const bool known = program->personality == platform::Personality::Windows
                               ? platform::map_type_from_windows(inner.type, &type)
                               : platform::map_type_from_linux(inner.type, &type);
        if (!known) {
            return Error(Errc::Unsupported, Where{.file = spec.file},
                         fmt::format("the inner map of \"{}\" has a type nobody defines", outer.name),
                         fmt::format("map type {}", inner.type));
        }
        subject.maps[i].inner = static_cast<uint16_t>(subject.maps.size());
        SKEP_ASSIGN(MapInfo info, describe(spec, inner, type));
        subject.maps.push_back(std::move(info));
    }
    subject.program = std::move(program);
    return subject;
}

}  // namespace skep::verifier
