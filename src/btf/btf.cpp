// SPDX-License-Identifier: Apache-2.0
#include "btf/btf.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace skep::btf {

namespace {

constexpr uint16_t magic = 0xeb9f;
constexpr uint16_t magic_swapped = 0x9feb;
constexpr uint64_t header_size = 24;
constexpr uint64_t record_size = 12;
constexpr uint32_t last_kind = static_cast<uint32_t>(Kind::Enum64);

Error damaged(Errc code, uint64_t offset, std::string what, std::string why = {}, std::string hint = {}) {
    Where where;
    where.byte_offset = offset;
    return Error(code, std::move(where), std::move(what), std::move(why), std::move(hint));
}

/// Whether a value of this kind contains a value of `Type::type`.
bool holds_its_type(Kind kind) {
    switch (kind) {
        case Kind::Array:
        case Kind::Typedef:
        case Kind::Volatile:
        case Kind::Const:
        case Kind::Restrict:
        case Kind::TypeTag:
        case Kind::Var: return true;
        case Kind::Void:
        case Kind::Int:
        case Kind::Ptr:
        case Kind::Struct:
        case Kind::Union:
        case Kind::Enum:
        case Kind::Fwd:
        case Kind::Func:
        case Kind::FuncProto:
        case Kind::Datasec:
        case Kind::Float:
        case Kind::DeclTag:
        case Kind::Enum64: return false;
    }
    return false;
}

}  // namespace

const char* kind_name(Kind kind) {
    switch (kind) {
        case Kind::Void: return "VOID";
        case Kind::Int: return "INT";
        case Kind::Ptr: return "PTR";
        case Kind::Array: return "ARRAY";
        case Kind::Struct: return "STRUCT";
        case Kind::Union: return "UNION";
        case Kind::Enum: return "ENUM";
        case Kind::Fwd: return "FWD";
        case Kind::Typedef: return "TYPEDEF";
        case Kind::Volatile: return "VOLATILE";
        case Kind::Const: return "CONST";
        case Kind::Restrict: return "RESTRICT";
        case Kind::Func: return "FUNC";
        case Kind::FuncProto: return "FUNC_PROTO";
        case Kind::Var: return "VAR";
        case Kind::Datasec: return "DATASEC";
        case Kind::Float: return "FLOAT";
        case Kind::DeclTag: return "DECL_TAG";
        case Kind::TypeTag: return "TYPE_TAG";
        case Kind::Enum64: return "ENUM64";
    }
    return "?";
}

struct Btf::Parser {
    Btf& out;
    Bytes bytes;           // the whole section
    Bytes types, strings;  // its two parts
    uint64_t types_at = 0;

    Result<void> run() {
        SKEP_TRY(header());
        SKEP_TRY(read_types());
        SKEP_TRY(check_references());
        return check_nesting();
    }

    Result<void> header() {
        if (bytes.size() < header_size) {
            return damaged(Errc::Truncated, 0, "the BTF header is cut off",
                           fmt::format("{} bytes of {}", bytes.size(), header_size));
        }
        const uint16_t found = load_le<uint16_t>(bytes.data());
        if (found == magic_swapped) {
            return damaged(Errc::Unsupported, 0, "BTF of the other byte order", {},
                           "compile for a little-endian target (-target bpfel)");
        }
        if (found != magic) {
            return damaged(Errc::Malformed, 0, "not BTF", fmt::format("the magic is {:#x}, not {:#x}", found, magic));
        }
        const uint8_t version = std::to_integer<uint8_t>(bytes[2]);
        if (version != 1) {
            return damaged(Errc::Unsupported, 2, "unknown BTF version", fmt::format("version {}", version));
        }
        const uint64_t header_len = load_le<uint32_t>(bytes.data() + 4);
        const uint64_t type_off = load_le<uint32_t>(bytes.data() + 8), type_len = load_le<uint32_t>(bytes.data() + 12);
        const uint64_t str_off = load_le<uint32_t>(bytes.data() + 16), str_len = load_le<uint32_t>(bytes.data() + 20);
        if (header_len < header_size || header_len > bytes.size()) {
            return damaged(Errc::Malformed, 4, "the BTF header has an impossible length",
                           fmt::format("{} bytes in a section of {}", header_len, bytes.size()));
        }
        types_at = header_len + type_off;
        out.strings_at_ = header_len + str_off;
        out.strings_size_ = str_len;
        const auto type_part = slice(bytes, types_at, type_len);
        const auto string_part = slice(bytes, out.strings_at_, str_len);
        if (!type_part) return damaged(Errc::Truncated, 8, "the BTF types lie outside the section");
        if (!string_part) return damaged(Errc::Truncated, 16, "the BTF strings lie outside the section");
        types = *type_part;
        strings = *string_part;
        if (type_len != 0 && str_len != 0 && types_at < out.strings_at_ + str_len &&
            out.strings_at_ < types_at + type_len) {
            return damaged(Errc::Malformed, 16, "the BTF strings overlap the types");
        }
        if (strings.empty() ? !types.empty() : (strings.front() != std::byte{} || strings.back() != std::byte{})) {
            return damaged(Errc::Malformed, out.strings_at_, "the BTF strings do not begin and end with a NUL");
        }
        return {};
    }

    Error bad(uint64_t at, std::string what, std::string why = {}) {
        return damaged(Errc::Malformed, types_at + at, fmt::format("BTF type {}: {}", out.types_.size(), what),
                       std::move(why));
    }

    Result<void> check_name(uint32_t name, uint64_t at) {
        if (name != 0 && name >= strings.size()) {
            return bad(at, "its name lies outside the strings",
                       fmt::format("offset {:#x} of {:#x}", name, strings.size()));
        }
        return {};
    }

    Result<void> read_types() {
        out.types_.emplace_back();
        out.raw_offsets_.push_back(0);
        uint64_t at = 0;
        while (at < types.size()) {
            const uint64_t start = at;
            if (types.size() - at < record_size) return bad(at, "it is cut off");
            const std::byte* p = types.data() + at;
            const uint32_t info = load_le<uint32_t>(p + 4), last = load_le<uint32_t>(p + 8);
            const uint32_t kind = info >> 24 & 0x1f, count = info & 0xffff;
            if (kind == 0 || kind > last_kind) {
                return damaged(Errc::Unsupported, types_at + at,
                               fmt::format("BTF type {} is of an unknown kind", out.types_.size()),
                               fmt::format("kind {}, the last one known is {}", kind, last_kind));
            }
            Type t;
            t.kind = static_cast<Kind>(kind);
            t.kind_flag = info >> 31 != 0;
            t.name_off = load_le<uint32_t>(p);
            SKEP_TRY(check_name(t.name_off, at));
            at += record_size;
            const uint64_t part_bytes = bytes_of_parts(t.kind, count);
            if (types.size() - at < part_bytes) {
                return bad(start, "its parts are cut off", fmt::format("a {} of {} parts", kind_name(t.kind), count));
            }
            SKEP_TRY(read_parts(t, types.data() + at, count, last, start));
            at += part_bytes;
            out.types_.push_back(t);
            out.raw_offsets_.push_back(static_cast<uint32_t>(types_at + start));
        }
        return {};
    }

    static uint64_t bytes_of_parts(Kind kind, uint32_t count) {
        switch (kind) {
            case Kind::Int:
            case Kind::Var:
            case Kind::DeclTag: return 4;
            case Kind::Array: return 12;
            case Kind::Struct:
            case Kind::Union:
            case Kind::Datasec:
            case Kind::Enum64: return uint64_t{count} * 12;
            case Kind::Enum:
            case Kind::FuncProto: return uint64_t{count} * 8;
            case Kind::Void:
            case Kind::Ptr:
            case Kind::Fwd:
            case Kind::Typedef:
            case Kind::Volatile:
            case Kind::Const:
            case Kind::Restrict:
            case Kind::Func:
            case Kind::Float:
            case Kind::TypeTag: return 0;
        }
        return 0;
    }

    Result<void> read_parts(Type& t, const std::byte* p, uint32_t count, uint32_t last, uint64_t at) {
        const auto word = [p](uint64_t index) { return load_le<uint32_t>(p + 4 * index); };
        switch (t.kind) {
            case Kind::Void: return {};
            case Kind::Int: return read_int(t, word(0), last, at);
            case Kind::Float:
                t.size = last;
                if (last == 0 || last > 16) return bad(at, fmt::format("a float of {} bytes", last));
                return {};
            case Kind::Array:
                t.type = word(0);
                t.index_type = word(1);
                t.count = word(2);
                return {};
            case Kind::Struct:
            case Kind::Union:
                t.size = last;
                t.first = static_cast<uint32_t>(out.members_.size());
                t.count = count;
                for (uint64_t i = 0; i < count; ++i) {
                    Member m{word(3 * i), word(3 * i + 1), word(3 * i + 2), 0};
                    SKEP_TRY(check_name(m.name_off, at));
                    if (t.kind_flag) {
                        m.bit_size = m.bit_offset >> 24;
                        m.bit_offset &= 0xffffff;
                    }
                    if (uint64_t{m.bit_offset} + m.bit_size > uint64_t{t.size} * 8) {
                        return bad(at, fmt::format("member {} lies outside", i),
                                   fmt::format("bit {} of {} bytes", m.bit_offset, t.size));
                    }
                    out.members_.push_back(m);
                }
                return {};
            case Kind::Enum:
            case Kind::Enum64:
                t.size = last;
                if (last != 1 && last != 2 && last != 4 && last != 8) {
                    return bad(at, fmt::format("an enum of {} bytes", last));
                }
                t.first = static_cast<uint32_t>(out.enumerators_.size());
                t.count = count;
                for (uint64_t i = 0; i < count; ++i) {
                    const bool wide = t.kind == Kind::Enum64;
                    const uint64_t base = i * (wide ? 3 : 2);
                    Enumerator e{word(base), word(base + 1)};
                    SKEP_TRY(check_name(e.name_off, at));
                    if (wide) {
                        e.value |= uint64_t{word(base + 2)} << 32;
                    } else if (t.kind_flag) {
                        e.value = static_cast<uint64_t>(int64_t{static_cast<int32_t>(e.value)});
                    }
                    out.enumerators_.push_back(e);
                }
                return {};
            case Kind::FuncProto:
                t.type = last;
                t.first = static_cast<uint32_t>(out.params_.size());
                t.count = count;
                for (uint64_t i = 0; i < count; ++i) {
                    SKEP_TRY(check_name(word(2 * i), at));
                    out.params_.push_back({word(2 * i), word(2 * i + 1)});
                }
                return {};
            case Kind::Func:
                t.type = last;
                if (count > 2) return bad(at, fmt::format("a function of unknown linkage {}", count));
                t.linkage = static_cast<Linkage>(count);
                return {};
            case Kind::Var:
                t.type = last;
                if (word(0) > 2) return bad(at, fmt::format("a variable of unknown linkage {}", word(0)));
                t.linkage = static_cast<Linkage>(word(0));
                return {};
            case Kind::Datasec:
                t.size = last;
                t.first = static_cast<uint32_t>(out.variables_.size());
                t.count = count;
                for (uint64_t i = 0; i < count; ++i) {
                    out.variables_.push_back({word(3 * i), word(3 * i + 1), word(3 * i + 2)});
                }
                return {};
            case Kind::DeclTag:
                t.type = last;
                t.component = static_cast<int32_t>(word(0));
                return {};
            case Kind::Ptr:
            case Kind::Typedef:
            case Kind::Volatile:
            case Kind::Const:
            case Kind::Restrict:
            case Kind::TypeTag: t.type = last; return {};
            case Kind::Fwd: return {};
        }
        return {};
    }

    Result<void> read_int(Type& t, uint32_t data, uint32_t size, uint64_t at) {
        t.size = size;
        t.int_bits = static_cast<uint8_t>(data & 0xff);
        t.int_offset = static_cast<uint8_t>(data >> 16 & 0xff);
        const uint32_t encoding = data >> 24 & 0xf;
        t.int_signed = (encoding & 1) != 0;
        t.int_char = (encoding & 2) != 0;
        t.int_bool = (encoding & 4) != 0;
        if (size == 0 || size > 16 || uint32_t{t.int_bits} + t.int_offset > size * 8) {
            return bad(at, "an impossible integer",
                       fmt::format("{} bits from bit {} in {} bytes", t.int_bits, t.int_offset, size));
        }
        return {};
    }

    /// Every id is in range, and what names something of a certain kind does so.
    Result<void> check_references() {
        const uint32_t count = out.type_count();
        for (TypeId id = 1; id < count; ++id) {
            const Type& t = out.types_[id];
            const auto broken = [&](std::string why) {
                return damaged(Errc::Malformed, out.raw_offsets_[id],
                               fmt::format("BTF type {} ({}) refers to a wrong type", id, kind_name(t.kind)),
                               std::move(why));
            };
            const auto missing = [&](TypeId to) { return broken(fmt::format("type {} of {}", to, count)); };
            if (t.type >= count) return missing(t.type);
            if (t.index_type >= count) return missing(t.index_type);
            for (const Member& m : out.members(t)) {
                if (m.type >= count) return missing(m.type);
            }
            for (const Param& p : out.params(t)) {
                if (p.type >= count) return missing(p.type);
            }
            for (const SectionVariable& v : out.variables(t)) {
                if (v.type >= count) return missing(v.type);
                const Kind kind = out.types_[v.type].kind;
                if (kind != Kind::Var && kind != Kind::Func) {
                    return broken(fmt::format("a section holds variables, type {} is a {}", v.type, kind_name(kind)));
                }
            }
            if (t.kind == Kind::Func && out.types_[t.type].kind != Kind::FuncProto) {
                return broken(fmt::format("a function has a prototype, type {} is a {}", t.type,
                                          kind_name(out.types_[t.type].kind)));
            }
        }
        return {};
    }

    /// Depth-first over "holds by value", with an own stack: no loop, at most max_nesting levels.
    Result<void> check_nesting() {
        constexpr uint8_t unseen = 0, open = 255;  // else: 1 + levels below
        std::vector<uint8_t> state(out.types_.size(), unseen);
        struct Frame {
            TypeId id;
            uint32_t next;
        };
        std::vector<Frame> stack;
        const auto part = [&](TypeId id, uint32_t n) -> std::optional<TypeId> {
            const Type& t = out.types_[id];
            if (holds_its_type(t.kind)) return n == 0 ? std::optional(t.type) : std::nullopt;
            if (const auto m = out.members(t); n < m.size()) return m[n].type;
            if (const auto v = out.variables(t); n < v.size()) return v[n].type;
            return std::nullopt;
        };
        for (TypeId root = 1; root < out.type_count(); ++root) {
            if (state[root] != unseen) continue;
            state[root] = open;
            stack.push_back({root, 0});
            while (!stack.empty()) {
                Frame& top = stack.back();
                const std::optional<TypeId> child = part(top.id, top.next++);
                if (!child) {
                    uint32_t depth = 1;
                    for (uint32_t n = 0;; ++n) {
                        const std::optional<TypeId> below = part(top.id, n);
                        if (!below) break;
                        depth = std::max(depth, 1u + state[*below]);
                    }
                    if (depth > max_nesting) return too_deep(top.id);
                    state[top.id] = static_cast<uint8_t>(depth);
                    stack.pop_back();
                } else if (state[*child] == open) {
                    return damaged(
                        Errc::Malformed, out.raw_offsets_[*child],
                        fmt::format("BTF type {} ({}) contains itself", *child, kind_name(out.types_[*child].kind)));
                } else if (state[*child] == unseen) {
                    if (stack.size() >= max_nesting) return too_deep(*child);
                    state[*child] = open;
                    stack.push_back({*child, 0});
                }
            }
        }
        return {};
    }

    Error too_deep(TypeId id) {
        return damaged(Errc::LimitExceeded, out.raw_offsets_[id], fmt::format("BTF type {} is nested too deep", id),
                       fmt::format("more than {} levels of structs, arrays and modifiers", max_nesting));
    }
};

Result<Btf> Btf::parse(Bytes bytes) {
    Btf btf;
    btf.raw_.assign(bytes.begin(), bytes.end());
    Parser parser{btf, btf.raw_, {}, {}, 0};
    SKEP_TRY(parser.run());
    for (TypeId id = 1; id < btf.type_count(); ++id) {
        if (!btf.name(id).empty()) btf.by_name_.push_back(id);
    }
    std::ranges::sort(btf.by_name_, {}, [&](TypeId id) { return std::pair(btf.name(id), id); });
    return btf;
}

std::string_view Btf::string(uint32_t offset) const {
    if (offset >= strings_size_) return {};
    return reinterpret_cast<const char*>(raw_.data() + strings_at_ + offset);  // the last string byte is a NUL
}

std::span<const Member> Btf::members(const Type& t) const {
    if (t.kind != Kind::Struct && t.kind != Kind::Union) return {};
    return std::span(members_).subspan(t.first, t.count);
}

std::span<const Enumerator> Btf::enumerators(const Type& t) const {
    if (t.kind != Kind::Enum && t.kind != Kind::Enum64) return {};
    return std::span(enumerators_).subspan(t.first, t.count);
}

std::span<const Param> Btf::params(const Type& t) const {
    if (t.kind != Kind::FuncProto) return {};
    return std::span(params_).subspan(t.first, t.count);
}

std::span<const SectionVariable> Btf::variables(const Type& t) const {
    if (t.kind != Kind::Datasec) return {};
    return std::span(variables_).subspan(t.first, t.count);
}

TypeId Btf::strip(TypeId id) const {
    // Ends: a chain of these is nested by value, and parse() found no loop in that.
    for (;;) {
        switch (types_[id].kind) {
            case Kind::Typedef:
            case Kind::Volatile:
            case Kind::Const:
            case Kind::Restrict:
            case Kind::TypeTag: id = types_[id].type; continue;
            case Kind::Void:
            case Kind::Int:
            case Kind::Ptr:
            case Kind::Array:
            case Kind::Struct:
            case Kind::Union:
            case Kind::Enum:
            case Kind::Fwd:
            case Kind::Func:
            case Kind::FuncProto:
            case Kind::Var:
            case Kind::Datasec:
            case Kind::Float:
            case Kind::DeclTag:
            case Kind::Enum64: return id;
        }
        return id;
    }
}

std::optional<uint64_t> Btf::size_of(TypeId id) const {
    uint64_t times = 1;
    for (;;) {
        const Type& t = types_[strip(id)];
        uint64_t size = 0;
        switch (t.kind) {
            case Kind::Int:
            case Kind::Struct:
            case Kind::Union:
            case Kind::Enum:
            case Kind::Enum64:
            case Kind::Datasec:
            case Kind::Float: size = t.size; break;
            case Kind::Ptr: size = 8; break;
            case Kind::Array:
                if (t.count != 0 && times > UINT64_MAX / t.count) return std::nullopt;
                times *= t.count;
                id = t.type;
                continue;
            case Kind::Var: id = t.type; continue;
            case Kind::Void:
            case Kind::Fwd:
            case Kind::Typedef:
            case Kind::Volatile:
            case Kind::Const:
            case Kind::Restrict:
            case Kind::Func:
            case Kind::FuncProto:
            case Kind::DeclTag:
            case Kind::TypeTag: return std::nullopt;
        }
        if (size != 0 && times > UINT64_MAX / size) return std::nullopt;
        return times * size;
    }
}

std::span<const TypeId> Btf::named(std::string_view wanted) const {
    const auto range = std::ranges::equal_range(by_name_, wanted, {}, [this](TypeId id) { return name(id); });
    return {range.begin(), range.end()};
}

std::span<const TypeId> Btf::named_from(std::string_view prefix) const {
    const auto cut = [&](TypeId id) { return name(id).substr(0, prefix.size()); };
    const auto range = std::ranges::equal_range(by_name_, prefix, {}, cut);
    return {range.begin(), range.end()};
}

TypeId Btf::find(Kind kind, std::string_view wanted) const {
    for (const TypeId id : named(wanted)) {
        if (types_[id].kind == kind) return id;
    }
    return 0;
}

std::string Btf::type_text(TypeId id) const {
    // From the outside in, as C's declarators are read; pointers may lead in circles, so the way is bounded.
    std::string declarator, base;
    for (uint32_t steps = 0; steps < max_nesting; ++steps) {
        const Type& t = types_[id];
        const auto plain = [&](std::string_view prefix) {
            const std::string_view own = string(t.name_off);
            return fmt::format("{}{}", prefix, own.empty() ? std::string_view("(anonymous)") : own);
        };
        const auto qualify = [&](const char* word) {
            if (types_[t.type].kind == Kind::Ptr) {
                declarator = declarator.empty() ? word : fmt::format("{} {}", word, declarator);
            } else {
                base += fmt::format("{} ", word);
            }
            id = t.type;
        };
        switch (t.kind) {
            case Kind::Void: base += "void"; break;
            case Kind::Int:
            case Kind::Float:
            case Kind::Typedef: base += plain(""); break;
            case Kind::Struct: base += plain("struct "); break;
            case Kind::Union: base += plain("union "); break;
            case Kind::Enum:
            case Kind::Enum64: base += plain("enum "); break;
            case Kind::Fwd: base += plain(t.kind_flag ? "union " : "struct "); break;
            case Kind::Func:
            case Kind::Var:
            case Kind::DeclTag: id = t.type; continue;
            case Kind::Datasec: base += plain(""); break;
            case Kind::Const: qualify("const"); continue;
            case Kind::Volatile: qualify("volatile"); continue;
            case Kind::Restrict: qualify("restrict"); continue;
            case Kind::TypeTag: id = t.type; continue;
            case Kind::Ptr: {
                declarator = "*" + declarator;
                id = t.type;
                const Kind next = types_[id].kind;
                if (next == Kind::Array || next == Kind::FuncProto) declarator = "(" + declarator + ")";
                continue;
            }
            case Kind::Array:
                declarator += fmt::format("[{}]", t.count);
                id = t.type;
                continue;
            case Kind::FuncProto:
                declarator += t.count == 0 ? "(void)" : "(...)";
                id = t.type;
                continue;
        }
        if (declarator.empty()) return base;
        return declarator.front() == '[' ? base + declarator : base + " " + declarator;
    }
    return base + "... " + declarator;
}

void Btf::set_section_size(TypeId id, uint32_t size) {
    types_[id].size = size;
    store_le<uint32_t>(raw_.data() + raw_offsets_[id] + 8, size);
}

void Btf::set_variable_offset(TypeId id, uint32_t variable, uint32_t offset) {
    variables_[types_[id].first + variable].offset = offset;
    store_le<uint32_t>(raw_.data() + raw_offsets_[id] + record_size + uint64_t{variable} * 12 + 4, offset);
}

}  // namespace skep::btf
