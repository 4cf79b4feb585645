// SPDX-License-Identifier: Apache-2.0
#include "btf/core.hpp"

#include <fmt/format.h>

#include <charconv>
#include <unordered_map>

namespace skep::btf {

namespace {

constexpr size_t max_accesses = 64;     // libbpf: BPF_CORE_SPEC_MAX_LEN
constexpr uint32_t compat_levels = 32;  // libbpf: bpf_core_types_are_compat
constexpr uint32_t match_levels = 16;   // libbpf: bpf_core_types_match

/// One step from a type to a part of it: a member (`name` not empty) or an array element.
struct Access {
    TypeId type = 0;  ///< the struct, union or array that is stepped into; enum: the enum
    uint32_t index = 0;
    std::string_view name;
};

/// A place in a type.
struct Spec {
    TypeId root = 0;
    std::vector<Access> accesses;
    uint64_t bit_offset = 0;
};

bool is_field(CoreKind kind) { return kind <= CoreKind::FieldRshiftU64; }
bool is_enumval(CoreKind kind) { return kind == CoreKind::EnumvalExists || kind == CoreKind::EnumvalValue; }
bool is_composite(const Type& t) { return t.kind == Kind::Struct || t.kind == Kind::Union; }
bool is_enum(const Type& t) { return t.kind == Kind::Enum || t.kind == Kind::Enum64; }
bool kinds_agree(const Type& a, const Type& b) { return a.kind == b.kind || (is_enum(a) && is_enum(b)); }

Error damaged(const Btf& local, const CoreRecord& record, std::string why) {
    return Error(Errc::Malformed,
                 fmt::format("CO-RE relocation {} of {} at \"{}\" makes no sense", core_kind_name(record.kind),
                             local.type_text(record.type), local.string(record.access_off).substr(0, 64)),
                 std::move(why));
}

class Matcher {
  public:
    Matcher(const Btf& local, const CoreRecord& record, const Btf& target, Candidates* known)
        : local_(local), target_(target), record_(record), known_(known) {}

    Result<CoreAnswer> run() {
        SKEP_ASSIGN(spec_, local_spec());
        if (record_.kind == CoreKind::TypeIdLocal) {
            CoreAnswer same;
            same.check_before = false;
            same.before = same.after = spec_.root;
            return same;
        }
        const std::string_view name = essential_name(local_.name(record_.type));
        if (name.empty()) return damaged(local_, record_, "its local type has no name to look for");

        std::optional<Spec> found;
        CoreAnswer result;
        std::vector<TypeId> candidates, matching;
        if (known_ != nullptr && known_->contains(record_.type)) {
            candidates = known_->at(record_.type);
        } else {
            candidates = find_candidates(name);
        }
        for (const TypeId candidate : candidates) {
            const std::optional<Spec> matched = match(candidate);
            if (!matched) continue;
            matching.push_back(candidate);
            SKEP_ASSIGN(const CoreAnswer one, evaluate(&*matched));
            if (!found) {
                found = matched;
                result = one;
            } else if (found->bit_offset != matched->bit_offset || result.absent != one.absent ||
                       result.after != one.after) {
                return Error(Errc::Unresolved,
                             fmt::format("CO-RE relocation {} of {} is ambiguous", core_kind_name(record_.kind),
                                         local_.type_text(record_.type)),
                             fmt::format("types {} and {} of the target match, and one gives {}, the other {}",
                                         found->root, matched->root, result.after, one.after),
                             "describe more of the type, so that only one matches");
            }
        }
        // Where nothing matches, nothing is learnt: the question may be whether there is such a thing.
        if (known_ != nullptr) (*known_)[record_.type] = matching.empty() ? std::move(candidates) : std::move(matching);
        if (found) return result;
        return evaluate(nullptr);
    }

  private:
    /// The record's access string as numbers.
    Result<std::vector<uint32_t>> indices() const {
        std::vector<uint32_t> out;
        std::string_view text = local_.string(record_.access_off);
        const char* at = text.data();
        const char* end = at + text.size();
        for (;;) {
            uint32_t value = 0;
            const auto [next, error] = std::from_chars(at, end, value);
            if (error != std::errc{}) return damaged(local_, record_, "its access string is no list of numbers");
            out.push_back(value);
            if (next == end) return out;
            if (*next != ':' || out.size() == max_accesses) {
                return damaged(local_, record_, "its access string is no list of at most 64 numbers");
            }
            at = next + 1;
        }
    }

    Result<Spec> local_spec() const {
        Spec spec;
        spec.root = record_.type;
        SKEP_ASSIGN(const std::vector<uint32_t> steps, indices());
        TypeId id = local_.strip(record_.type);
        if (!is_field(record_.kind)) {
            const Type& t = local_.type(id);
            if (!is_enumval(record_.kind)) {
                if (steps.size() != 1 || steps[0] != 0) return damaged(local_, record_, "a type has no parts here");
                return spec;
            }
            const auto values = local_.enumerators(t);
            if (steps.size() != 1 || steps[0] >= values.size()) {
                return damaged(local_, record_, "there is no such enumerator");
            }
            spec.accesses.push_back({id, steps[0], local_.string(values[steps[0]].name_off)});
            return spec;
        }
        const auto advance = [&](uint64_t index, TypeId element) {
            const auto size = local_.size_of(element);
            if (!size || (*size != 0 && index > UINT32_MAX / *size)) return false;
            spec.bit_offset += index * *size * 8;
            return true;
        };
        if (!advance(steps[0], id)) return damaged(local_, record_, "its type has no size");
        spec.accesses.push_back({id, steps[0], {}});
        for (size_t i = 1; i < steps.size(); ++i) {
            id = local_.strip(id);
            const Type& t = local_.type(id);
            if (is_composite(t)) {
                const auto members = local_.members(t);
                if (steps[i] >= members.size()) return damaged(local_, record_, "there is no such member");
                const Member& m = members[steps[i]];
                spec.bit_offset += m.bit_offset;
                if (m.name_off != 0) spec.accesses.push_back({id, steps[i], local_.string(m.name_off)});
                id = m.type;
            } else if (t.kind == Kind::Array) {
                if (steps[i] >= t.count && !is_flexible(local_, spec)) {
                    return damaged(local_, record_, "the array is not that long");
                }
                if (!advance(steps[i], t.type)) return damaged(local_, record_, "the array's element has no size");
                spec.accesses.push_back({id, steps[i], {}});
                id = t.type;
            } else {
                return damaged(local_, record_, fmt::format("{} has no parts", local_.type_text(id)));
            }
        }
        return spec;
    }

    /// Whether the last step went to the last member of a struct, an array of no declared length.
    static bool is_flexible(const Btf& btf, const Spec& spec) {
        if (spec.accesses.empty() || spec.accesses.back().name.empty()) return false;
        const Access& last = spec.accesses.back();
        const Type& t = btf.type(last.type);
        if (!is_composite(t) || last.index + 1 != t.count) return false;
        const Type& array = btf.type(btf.strip(btf.members(t)[last.index].type));
        return array.kind == Kind::Array && array.count == 0;
    }

    std::vector<TypeId> find_candidates(std::string_view name) const {
        std::vector<TypeId> out;
        const Type& wanted = local_.type(record_.type);
        const auto add = [&](std::span<const TypeId> ids) {
            for (const TypeId id : ids) {
                if (kinds_agree(wanted, target_.type(id)) && essential_name(target_.name(id)) == name)
                    out.push_back(id);
            }
        };
        add(target_.named(name));
        add(target_.named_from(fmt::format("{}___", name)));
        return out;
    }

    /// The local place, looked for in a target type.
    std::optional<Spec> match(TypeId root) {
        Spec out;
        out.root = root;
        if (record_.kind == CoreKind::TypeMatches) {
            memo_.clear();
            return types_match(record_.type, root, false, match_levels) ? std::optional(out) : std::nullopt;
        }
        if (is_enumval(record_.kind)) {
            const TypeId id = target_.strip(root);
            const auto values = target_.enumerators(target_.type(id));
            const std::string_view wanted = essential_name(spec_.accesses[0].name);
            for (uint32_t i = 0; i < values.size(); ++i) {
                const std::string_view name = target_.string(values[i].name_off);
                if (essential_name(name) == wanted) {
                    out.accesses.push_back({id, i, name});
                    return out;
                }
            }
            return std::nullopt;
        }
        if (!is_field(record_.kind)) {
            return types_compatible(record_.type, root, compat_levels) ? std::optional(out) : std::nullopt;
        }
        TypeId id = root;
        for (size_t i = 0; i < spec_.accesses.size(); ++i) {
            const Access& step = spec_.accesses[i];
            id = target_.strip(id);
            if (!step.name.empty()) {
                const Member& local_member = local_.members(local_.type(step.type))[step.index];
                const std::optional<TypeId> next = find_member(step.name, local_member.type, id, out);
                if (!next) return std::nullopt;
                id = *next;
                continue;
            }
            TypeId element = id;
            if (i > 0) {
                const Type& array = target_.type(id);
                if (array.kind != Kind::Array) return std::nullopt;
                if (step.index >= array.count && !is_flexible(target_, out)) return std::nullopt;
                element = array.type;
            }
            const auto size = target_.size_of(element);
            if (!size || (*size != 0 && step.index > UINT32_MAX / *size)) return std::nullopt;
            out.bit_offset += uint64_t{step.index} * *size * 8;
            out.accesses.push_back({id, step.index, {}});
            id = element;
        }
        return out;
    }

    /// The member of this name in a struct or, depth first in order, in the anonymous structs inside it. Its type must
    /// be compatible. Adds the step to `out`.
    std::optional<TypeId> find_member(std::string_view name, TypeId local_type, TypeId target_id, Spec& out) {
        struct Level {
            TypeId id;
            uint32_t next;
            uint64_t bit_offset;
        };
        std::vector<Level> stack{{target_id, 0, out.bit_offset}};
        uint64_t steps = 0;
        while (!stack.empty()) {
            Level& level = stack.back();
            const Type& t = target_.type(level.id);
            const auto members = target_.members(t);
            if (level.next >= members.size() || ++steps > max_member_steps) {
                stack.pop_back();
                continue;
            }
            const uint32_t index = level.next++;
            const Member& m = members[index];
            if (m.name_off == 0) {
                // Nested by value: at most max_nesting levels.
                stack.push_back({target_.strip(m.type), 0, level.bit_offset + m.bit_offset});
            } else if (target_.string(m.name_off) == name) {
                if (!fields_compatible(local_type, m.type)) return std::nullopt;
                out.bit_offset = level.bit_offset + m.bit_offset;
                out.accesses.push_back({level.id, index, target_.string(m.name_off)});
                return m.type;
            }
        }
        return std::nullopt;
    }

    bool names_agree_or_anonymous(const Type& local, const Type& target) const {
        const std::string_view a = essential_name(local_.string(local.name_off));
        const std::string_view b = essential_name(target_.string(target.name_off));
        return a.empty() || b.empty() || a == b;
    }

    /// libbpf: bpf_core_fields_are_compat
    bool fields_compatible(TypeId local_id, TypeId target_id) const {
        for (uint32_t level = 0; level < max_nesting; ++level) {
            const Type& a = local_.type(local_.strip(local_id));
            const Type& b = target_.type(target_.strip(target_id));
            if (is_composite(a) && is_composite(b)) return true;
            if (!kinds_agree(a, b)) return false;
            switch (a.kind) {
                case Kind::Ptr:
                case Kind::Float: return true;
                case Kind::Fwd:
                case Kind::Enum:
                case Kind::Enum64: return names_agree_or_anonymous(a, b);
                case Kind::Int: return a.int_offset == 0 && b.int_offset == 0;
                case Kind::Array:
                    local_id = a.type;
                    target_id = b.type;
                    continue;
                case Kind::Void:
                case Kind::Struct:
                case Kind::Union:
                case Kind::Typedef:
                case Kind::Volatile:
                case Kind::Const:
                case Kind::Restrict:
                case Kind::Func:
                case Kind::FuncProto:
                case Kind::Var:
                case Kind::Datasec:
                case Kind::DeclTag:
                case Kind::TypeTag: return false;
            }
        }
        return false;
    }

    /// libbpf: bpf_core_types_are_compat. Calls itself for parameters only, at most `levels` deep; the number of pairs
    /// looked at is bounded as a whole.
    bool types_compatible(TypeId local_id, TypeId target_id, uint32_t levels) {
        if (!kinds_agree(local_.type(local_id), target_.type(target_id)) && levels == compat_levels) return false;
        while (levels-- > 0 && pairs_++ < max_pairs) {
            const Type& a = local_.type(local_.strip(local_id));
            const Type& b = target_.type(target_.strip(target_id));
            if (!kinds_agree(a, b)) return false;
            switch (a.kind) {
                case Kind::Void:
                case Kind::Struct:
                case Kind::Union:
                case Kind::Enum:
                case Kind::Enum64:
                case Kind::Fwd: return true;
                case Kind::Int: return a.int_offset == 0 && b.int_offset == 0;
                case Kind::Ptr:
                case Kind::Array: break;
                case Kind::FuncProto: {
                    const auto p = local_.params(a);
                    const auto q = target_.params(b);
                    if (p.size() != q.size()) return false;
                    for (size_t i = 0; i < p.size(); ++i) {
                        if (!types_compatible(p[i].type, q[i].type, levels)) return false;
                    }
                    break;
                }
                case Kind::Typedef:
                case Kind::Volatile:
                case Kind::Const:
                case Kind::Restrict:
                case Kind::Func:
                case Kind::Var:
                case Kind::Datasec:
                case Kind::Float:
                case Kind::DeclTag:
                case Kind::TypeTag: return false;
            }
            local_id = a.type;
            target_id = b.type;
        }
        return false;
    }

    /// libbpf: __bpf_core_types_match. At most `levels` deep; each pair of types is looked at once.
    bool types_match(TypeId local_id, TypeId target_id, bool behind_pointer, uint32_t levels) {
        if (levels == 0) return false;
        for (uint32_t steps = 0; steps < max_nesting; ++steps) {
            local_id = local_.strip(local_id);
            target_id = target_.strip(target_id);
            const Type& a = local_.type(local_id);
            const Type& b = target_.type(target_id);
            if (essential_name(local_.string(a.name_off)) != essential_name(target_.string(b.name_off))) return false;
            switch (a.kind) {
                case Kind::Void: return b.kind == Kind::Void;
                case Kind::Fwd:
                    if (a.kind == b.kind) return a.kind_flag == b.kind_flag;
                    return behind_pointer && b.kind == (a.kind_flag ? Kind::Union : Kind::Struct);
                case Kind::Enum:
                case Kind::Enum64: return is_enum(b) && enums_match(a, b);
                case Kind::Struct:
                case Kind::Union:
                    if (behind_pointer) {
                        if (a.kind == b.kind) return true;
                        return b.kind == Kind::Fwd && b.kind_flag == (a.kind == Kind::Union);
                    }
                    if (a.kind != b.kind) return false;
                    return composites_match(local_id, target_id, levels);
                case Kind::Int: return b.kind == Kind::Int && a.size == b.size && a.int_signed == b.int_signed;
                case Kind::Ptr:
                    if (b.kind != Kind::Ptr) return false;
                    behind_pointer = true;
                    break;
                case Kind::Array:
                    if (b.kind != Kind::Array || a.count != b.count) return false;
                    break;
                case Kind::FuncProto: {
                    if (b.kind != Kind::FuncProto) return false;
                    const auto p = local_.params(a);
                    const auto q = target_.params(b);
                    if (p.size() != q.size() || pairs_++ > max_pairs) return false;
                    for (size_t i = 0; i < p.size(); ++i) {
                        if (!types_match(p[i].type, q[i].type, behind_pointer, levels - 1)) return false;
                    }
                    break;
                }
                case Kind::Typedef:
                case Kind::Volatile:
                case Kind::Const:
                case Kind::Restrict:
                case Kind::Func:
                case Kind::Var:
                case Kind::Datasec:
                case Kind::Float:
                case Kind::DeclTag:
                case Kind::TypeTag: return false;
            }
            local_id = a.type;
            target_id = b.type;
        }
        return false;
    }

    bool enums_match(const Type& a, const Type& b) const {
        const auto ours = local_.enumerators(a);
        const auto theirs = target_.enumerators(b);
        if (ours.size() > theirs.size()) return false;
        std::unordered_map<std::string_view, bool> names;
        for (const Enumerator& e : theirs) names.emplace(essential_name(target_.string(e.name_off)), true);
        for (const Enumerator& e : ours) {
            if (!names.contains(essential_name(local_.string(e.name_off)))) return false;
        }
        return true;
    }

    bool composites_match(TypeId local_id, TypeId target_id, uint32_t levels) {
        const uint64_t key = uint64_t{local_id} << 32 | target_id;
        if (const auto known = memo_.find(key); known != memo_.end()) return known->second;
        const auto ours = local_.members(local_.type(local_id));
        const auto theirs = target_.members(target_.type(target_id));
        bool all = ours.size() <= theirs.size();
        std::unordered_multimap<std::string_view, TypeId> by_name;
        if (all) {
            for (const Member& m : theirs) by_name.emplace(essential_name(target_.string(m.name_off)), m.type);
        }
        for (size_t i = 0; all && i < ours.size(); ++i) {
            const auto [first, last] = by_name.equal_range(essential_name(local_.string(ours[i].name_off)));
            bool one = false;
            for (auto at = first; !one && at != last && pairs_++ < max_pairs; ++at) {
                one = types_match(ours[i].type, at->second, false, levels - 1);
            }
            all = one;
        }
        memo_.emplace(key, all);
        return all;
    }

    /// What a field question is answered with at a place.
    struct FieldValue {
        uint64_t value = 0;
        uint32_t bytes = 0;  ///< 0: the width does not matter
        TypeId type = 0;
        bool certain = true;
    };

    static std::optional<FieldValue> field_value(const Btf& btf, CoreKind kind, const Spec& spec) {
        FieldValue out;
        const Access& last = spec.accesses.back();
        const Type& holder = btf.type(last.type);
        if (last.name.empty()) {
            // An element: only where it is and how large.
            const TypeId element = spec.accesses.size() == 1 ? last.type : holder.type;
            const auto size = btf.size_of(element);
            if (!size || *size > UINT32_MAX) return std::nullopt;
            if (kind == CoreKind::FieldByteOffset) {
                out.value = spec.bit_offset / 8;
                out.bytes = static_cast<uint32_t>(*size);
                out.type = btf.strip(element);
                return out;
            }
            if (kind != CoreKind::FieldByteSize) return std::nullopt;
            out.value = *size;
            return out;
        }
        const Member& m = btf.members(holder)[last.index];
        const TypeId type_id = btf.strip(m.type);
        const Type& type = btf.type(type_id);
        const bool bit_field = m.bit_size != 0;
        uint64_t bits = m.bit_size, byte_offset = spec.bit_offset / 8, byte_size = 0;
        if (bit_field) {
            byte_size = type.size;
            if (byte_size == 0 || (byte_size & (byte_size - 1)) != 0) return std::nullopt;
            byte_offset = spec.bit_offset / 8 / byte_size * byte_size;
            while (spec.bit_offset + bits - byte_offset * 8 > byte_size * 8) {
                if (byte_size >= 8) return std::nullopt;
                byte_size *= 2;
                byte_offset = spec.bit_offset / 8 / byte_size * byte_size;
            }
        } else {
            const auto size = btf.size_of(m.type);
            if (!size || *size > UINT32_MAX) return std::nullopt;
            byte_size = *size;
            bits = byte_size * 8;
        }
        out.certain = !bit_field;
        switch (kind) {
            case CoreKind::FieldByteOffset:
                out.value = byte_offset;
                if (!bit_field) {
                    out.bytes = static_cast<uint32_t>(byte_size);
                    out.type = type_id;
                }
                break;
            case CoreKind::FieldByteSize: out.value = byte_size; break;
            case CoreKind::FieldSigned:
                out.value = (is_enum(type) && type.kind_flag) || (type.kind == Kind::Int && type.int_signed) ? 1 : 0;
                out.certain = true;
                break;
            case CoreKind::FieldLshiftU64: out.value = 64 - (spec.bit_offset + bits - byte_offset * 8); break;
            case CoreKind::FieldRshiftU64:
                out.value = 64 - bits;
                out.certain = true;
                break;
            case CoreKind::FieldExists: out.value = 1; break;
            case CoreKind::TypeIdLocal:
            case CoreKind::TypeIdTarget:
            case CoreKind::TypeExists:
            case CoreKind::TypeSize:
            case CoreKind::EnumvalExists:
            case CoreKind::EnumvalValue:
            case CoreKind::TypeMatches: return std::nullopt;
        }
        return out;
    }

    /// The answer, with `found` the place on the target, or null if there is none.
    Result<CoreAnswer> evaluate(const Spec* found) const {
        CoreAnswer out;
        const auto no_value = [&] { return damaged(local_, record_, "the question does not apply to such a type"); };
        switch (record_.kind) {
            case CoreKind::FieldExists:
                out.before = 1;
                out.after = found != nullptr ? 1 : 0;
                return out;
            case CoreKind::FieldByteOffset:
            case CoreKind::FieldByteSize:
            case CoreKind::FieldSigned:
            case CoreKind::FieldLshiftU64:
            case CoreKind::FieldRshiftU64: {
                const auto before = field_value(local_, record_.kind, spec_);
                if (!before) return no_value();
                out.before = before->value;
                out.before_bytes = before->bytes;
                out.check_before = before->certain;
                if (found == nullptr) {
                    out.absent = true;
                    return out;
                }
                const auto after = field_value(target_, record_.kind, *found);
                if (!after) return no_value();
                out.after = after->value;
                out.after_bytes = after->bytes;
                if (out.before_bytes != out.after_bytes) {
                    // Only what zero extension makes the same: pointers, and unsigned integers.
                    const Type& a = local_.type(before->type);
                    const Type& b = target_.type(after->type);
                    const bool pointers = a.kind == Kind::Ptr && b.kind == Kind::Ptr;
                    const bool integers = a.kind == Kind::Int && b.kind == Kind::Int && !a.int_signed && !b.int_signed;
                    out.resizable = pointers || integers;
                }
                return out;
            }
            case CoreKind::TypeIdLocal:
            case CoreKind::TypeIdTarget:
                out.check_before = false;
                out.before = spec_.root;
                out.after = found != nullptr ? found->root : 0;
                return out;
            case CoreKind::TypeExists:
            case CoreKind::TypeMatches:
                out.before = 1;
                out.after = found != nullptr ? 1 : 0;
                return out;
            case CoreKind::TypeSize: {
                const auto before = local_.size_of(spec_.root);
                const auto after = found != nullptr ? target_.size_of(found->root) : std::optional<uint64_t>(0);
                if (!before || !after) return no_value();
                out.before = *before;
                out.after = *after;
                return out;
            }
            case CoreKind::EnumvalExists:
                out.before = 1;
                out.after = found != nullptr ? 1 : 0;
                return out;
            case CoreKind::EnumvalValue:
                out.before = enumerator(local_, spec_);
                if (found == nullptr) {
                    out.absent = true;
                } else {
                    out.after = enumerator(target_, *found);
                }
                return out;
        }
        return no_value();
    }

    static uint64_t enumerator(const Btf& btf, const Spec& spec) {
        const Access& at = spec.accesses[0];
        return btf.enumerators(btf.type(at.type))[at.index].value;
    }

    static constexpr uint64_t max_pairs = 100'000;
    static constexpr uint64_t max_member_steps = 1'000'000;

    const Btf& local_;
    const Btf& target_;
    const CoreRecord& record_;
    Candidates* known_;
    Spec spec_;
    uint64_t pairs_ = 0;
    std::unordered_map<uint64_t, bool> memo_;  // composites, by (local, target)
};

}  // namespace

std::string_view essential_name(std::string_view name) {
    // The last "x___y", where x and y are no underscores.
    for (size_t i = name.size(); i-- > 4;) {
        const size_t at = i - 4;
        if (name[at] != '_' && name[at + 1] == '_' && name[at + 2] == '_' && name[at + 3] == '_' && name[i] != '_') {
            return name.substr(0, at + 1);
        }
    }
    return name;
}

Result<CoreAnswer> answer(const Btf& local, const CoreRecord& record, const Btf& target, Candidates* candidates) {
    if (record.type >= local.type_count()) {
        return Error(Errc::Malformed, "a CO-RE relocation names a type that does not exist");
    }
    return Matcher(local, record, target, candidates).run();
}

}  // namespace skep::btf
