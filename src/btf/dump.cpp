// SPDX-License-Identifier: Apache-2.0
#include "btf/dump.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>

namespace skep::btf {

bool Value::operator==(const Value& other) const { return data == other.data; }

namespace {

/// Builds a value. The nesting of a type by value is at most max_nesting (Btf), so the descent is bounded; the number
/// of nodes is bounded here, because unions can show the same bytes again and again.
class Builder {
  public:
    Builder(const Btf& btf, size_t bytes) : btf_(btf), budget_(16 * bytes + 1024) {}

    Value build(TypeId id, Bytes bytes) {
        if (budget_ == 0) return {};
        --budget_;
        const Type& t = btf_.type(btf_.strip(id));
        switch (t.kind) {
            case Kind::Int: return integer(t, bytes);
            case Kind::Float: return real(t, bytes);
            case Kind::Enum:
            case Kind::Enum64: return enumeration(t, bytes);
            case Kind::Ptr: {
                const auto address = read_le<uint64_t>(bytes, 0);
                if (!address) return {};
                return {PointerValue{*address}};
            }
            case Kind::Array: return array(t, bytes);
            case Kind::Struct:
            case Kind::Union: {
                Value::Fields fields;
                members(t, bytes, fields);
                return {std::move(fields)};
            }
            case Kind::Var: return build(t.type, bytes);
            case Kind::Datasec: {
                Value::Fields fields;
                for (const SectionVariable& v : btf_.variables(t)) {
                    if (budget_ == 0) break;
                    fields.push_back({std::string(btf_.name(v.type)), build(v.type, from(bytes, v.offset))});
                }
                return {std::move(fields)};
            }
            case Kind::Void:
            case Kind::Fwd:
            case Kind::Typedef:
            case Kind::Volatile:
            case Kind::Const:
            case Kind::Restrict:
            case Kind::Func:
            case Kind::FuncProto:
            case Kind::DeclTag:
            case Kind::TypeTag: break;
        }
        return {BytesValue{{bytes.begin(), bytes.end()}}};
    }

  private:
    static Bytes from(Bytes bytes, uint64_t offset) {
        return bytes.subspan(static_cast<size_t>(std::min<uint64_t>(offset, bytes.size())));
    }

    /// `bits` bits from bit `offset` on, at most 64; nothing if they are not all there.
    static std::optional<uint64_t> bits_at(Bytes bytes, uint64_t offset, uint32_t bits) {
        if (bits > 64 || (offset + bits + 7) / 8 > bytes.size()) return std::nullopt;
        uint64_t value = 0;
        for (uint32_t i = 0; i < bits; ++i) {
            const uint64_t at = offset + i;
            value |= uint64_t{std::to_integer<uint8_t>(bytes[static_cast<size_t>(at / 8)]) >> (at % 8) & 1u} << i;
        }
        return value;
    }

    static Value number(uint64_t value, uint32_t bits, bool is_signed, bool is_bool) {
        if (is_bool) return {value != 0};
        if (!is_signed) return {value};
        const uint32_t shift = 64 - bits;
        return {bits == 0 ? int64_t{0} : static_cast<int64_t>(value << shift) >> shift};
    }

    Value integer(const Type& t, Bytes bytes) {
        if (t.size > bytes.size()) return {};
        const auto value = bits_at(bytes, t.int_offset, t.int_bits);
        if (!value) return {BytesValue{{bytes.begin(), bytes.begin() + t.size}}};  // wider than 64 bits
        return number(*value, t.int_bits, t.int_signed, t.int_bool);
    }

    Value real(const Type& t, Bytes bytes) {
        if (t.size > bytes.size()) return {};
        if (t.size == 4) return {double{std::bit_cast<float>(load_le<uint32_t>(bytes.data()))}};
        if (t.size == 8) return {std::bit_cast<double>(load_le<uint64_t>(bytes.data()))};
        return {BytesValue{{bytes.begin(), bytes.begin() + t.size}}};
    }

    Value named(const Type& t, uint64_t value, uint32_t bits) {
        const uint32_t shift = 64 - bits;
        const auto wide = static_cast<int64_t>(value << shift) >> shift;  // bits is 1 to 64
        EnumValue out;
        out.number = t.kind_flag ? wide : static_cast<int64_t>(value);
        for (const Enumerator& e : btf_.enumerators(t)) {
            if ((e.value ^ value) << shift == 0) {
                out.name = btf_.string(e.name_off).substr(0, max_text);
                break;
            }
        }
        return {std::move(out)};
    }

    Value enumeration(const Type& t, Bytes bytes) {
        const auto value = bits_at(bytes, 0, t.size * 8);
        if (!value) return {};
        return named(t, *value, t.size * 8);
    }

    Value array(const Type& t, Bytes bytes) {
        const Type& element = btf_.type(btf_.strip(t.type));
        const uint64_t size = btf_.size_of(t.type).value_or(0);
        if (element.kind == Kind::Int && element.size == 1 && element.int_bits == 8) {
            const Bytes part = bytes.subspan(0, std::min<size_t>(bytes.size(), t.count));
            const bool is_char = element.int_char || btf_.string(element.name_off) == "char";
            if (is_char && is_text(part)) {
                const auto end = std::ranges::find(part, std::byte{});
                return {
                    std::string(reinterpret_cast<const char*>(part.data()), static_cast<size_t>(end - part.begin()))};
            }
            if (!element.int_bool && (is_char || !element.int_signed)) return {BytesValue{{part.begin(), part.end()}}};
        }
        Value::Elements elements;
        for (uint64_t i = 0; i < t.count && size != 0; ++i) {
            if (budget_ == 0 || (i + 1) * size > bytes.size()) {
                elements.emplace_back();
                break;
            }
            elements.push_back(build(t.type, bytes.subspan(static_cast<size_t>(i * size), static_cast<size_t>(size))));
        }
        return {std::move(elements)};
    }

    /// Printable up to a NUL, and nothing behind it.
    static bool is_text(Bytes bytes) {
        const auto end = std::ranges::find(bytes, std::byte{});
        const auto printable = [](std::byte b) {
            const auto c = std::to_integer<uint8_t>(b);
            return (c >= 0x20 && c != 0x7f) || c == '\t' || c == '\n';
        };
        return std::all_of(bytes.begin(), end, printable) &&
               std::all_of(end, bytes.end(), [](std::byte b) { return b == std::byte{}; });
    }

    void members(const Type& t, Bytes bytes, Value::Fields& out) {
        for (const Member& m : btf_.members(t)) {
            if (budget_ == 0) break;
            const std::string_view name = btf_.string(m.name_off).substr(0, max_text);
            const Type& type = btf_.type(btf_.strip(m.type));
            if (m.bit_size != 0) {
                --budget_;
                const auto value = bits_at(bytes, m.bit_offset, m.bit_size);
                if (name.empty()) continue;  // padding
                if (!value) {
                    out.push_back({std::string(name), {}});
                } else if (type.kind == Kind::Enum || type.kind == Kind::Enum64) {
                    out.push_back({std::string(name), named(type, *value, m.bit_size)});
                } else {
                    out.push_back({std::string(name), number(*value, m.bit_size, type.int_signed, type.int_bool)});
                }
                continue;
            }
            const Bytes part = from(bytes, m.bit_offset / 8);
            if (name.empty() && (type.kind == Kind::Struct || type.kind == Kind::Union)) {
                --budget_;
                members(type, part, out);
                continue;
            }
            const uint64_t size = btf_.size_of(m.type).value_or(0);
            out.push_back({std::string(name),
                           build(m.type, part.subspan(0, static_cast<size_t>(std::min<uint64_t>(size, part.size()))))});
        }
    }

    static constexpr size_t max_text = 256;
    const Btf& btf_;
    uint64_t budget_;
};

void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else {
            out += c;
        }
    }
    out += '"';
}

/// Depth is that of the type it was read by: bounded by max_nesting.
void append_text(std::string& out, const Value& value) {
    struct Visitor {
        std::string& out;
        void operator()(const MissingValue&) const { out += "..."; }
        void operator()(bool v) const { out += v ? "true" : "false"; }
        void operator()(int64_t v) const { out += fmt::to_string(v); }
        void operator()(uint64_t v) const { out += fmt::to_string(v); }
        void operator()(double v) const { out += fmt::format("{}", v); }
        void operator()(const std::string& v) const { append_quoted(out, v); }
        void operator()(const EnumValue& v) const { out += v.name.empty() ? fmt::to_string(v.number) : v.name; }
        void operator()(const PointerValue& v) const { out += fmt::format("{:#x}", v.address); }
        void operator()(const BytesValue& v) const { out += hex_text(v.bytes); }
        void operator()(const Value::Elements& v) const {
            out += '[';
            for (size_t i = 0; i < v.size(); ++i) {
                if (i != 0) out += ", ";
                append_text(out, v[i]);
            }
            out += ']';
        }
        void operator()(const Value::Fields& v) const {
            out += '{';
            for (size_t i = 0; i < v.size(); ++i) {
                if (i != 0) out += ", ";
                out += v[i].name.empty() ? "_" : v[i].name;
                out += ": ";
                append_text(out, v[i].value);
            }
            out += '}';
        }
    };
    std::visit(Visitor{out}, value.data);
}

}  // namespace

Value read_value(const Btf& btf, TypeId id, Bytes bytes) { return Builder(btf, bytes.size()).build(id, bytes); }

std::string to_text(const Value& value) {
    std::string out;
    append_text(out, value);
    return out;
}

std::string hex_text(Bytes bytes) {
    std::string out;
    out.reserve(bytes.size() * 3);
    for (const std::byte b : bytes) {
        if (!out.empty()) out += ' ';
        out += fmt::format("{:02x}", std::to_integer<uint8_t>(b));
    }
    return out;
}

}  // namespace skep::btf
