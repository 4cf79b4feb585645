// SPDX-License-Identifier: Apache-2.0
#include "cli/run/values.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace skep::cli {

namespace {

uint64_t load_number(Bytes bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size() && i < 8; ++i)
        value |= static_cast<uint64_t>(std::to_integer<uint8_t>(bytes[i])) << (8 * i);
    return value;
}

void store_number(std::byte* at, size_t size, uint64_t value) {
    for (size_t i = 0; i < size; ++i) at[i] = static_cast<std::byte>(i < 8 ? value >> (8 * i) : 0);
}

bool usable(TypeRef type, size_t size) {
    if (type.btf == nullptr || type.type == 0 || type.type >= type.btf->type_count()) return false;
    return type.btf->size_of(type.type) == size;
}

/// Adds `b` to `a`; trees of one type have one shape. Depth follows BTF's max_nesting.
void add(btf::Value& a, const btf::Value& b) {
    using Elements = btf::Value::Elements;
    using Fields = btf::Value::Fields;
    if (a.data.index() != b.data.index()) return;
    if (auto* number = std::get_if<uint64_t>(&a.data)) {
        *number += std::get<uint64_t>(b.data);
    } else if (auto* signed_number = std::get_if<int64_t>(&a.data)) {
        *signed_number = static_cast<int64_t>(static_cast<uint64_t>(*signed_number) +
                                              static_cast<uint64_t>(std::get<int64_t>(b.data)));
    } else if (auto* elements = std::get_if<Elements>(&a.data)) {
        const Elements& others = std::get<Elements>(b.data);
        for (size_t i = 0; i < std::min(elements->size(), others.size()); ++i) add((*elements)[i], others[i]);
    } else if (auto* fields = std::get_if<Fields>(&a.data)) {
        const Fields& others = std::get<Fields>(b.data);
        for (size_t i = 0; i < std::min(fields->size(), others.size()); ++i) add((*fields)[i].value, others[i].value);
    } else if (auto* bytes = std::get_if<btf::BytesValue>(&a.data)) {
        const bool zero =
            std::all_of(bytes->bytes.begin(), bytes->bytes.end(), [](std::byte v) { return v == std::byte{0}; });
        if (zero) *bytes = std::get<btf::BytesValue>(b.data);
    } else if (auto* flag = std::get_if<bool>(&a.data)) {
        *flag = *flag || std::get<bool>(b.data);
    } else if (auto* text = std::get_if<std::string>(&a.data)) {
        if (text->empty()) *text = std::get<std::string>(b.data);
    } else if (auto* enumerator = std::get_if<btf::EnumValue>(&a.data)) {
        if (enumerator->number == 0) *enumerator = std::get<btf::EnumValue>(b.data);
    }
}

Error misfit(const std::string& what, std::string why) {
    return Error(Errc::InvalidArgument, fmt::format("{} cannot be made from the JSON value", what), std::move(why));
}

Result<Buffer> hex_bytes(const std::string& text, size_t size, const std::string& what) {
    Buffer bytes;
    unsigned digits = 0, value = 0;
    for (const char c : text + " ") {
        const bool blank = c == ' ' || c == '\t' || c == ':';
        if (blank && digits == 0) continue;
        if (!blank) {
            const size_t digit = std::string_view("0123456789abcdefABCDEF").find(c);
            if (c == 0 || digit == std::string_view::npos)
                return misfit(what, fmt::format("\"{}\" is not a row of hex bytes, such as \"0a 00 00 01\"", text));
            value = value * 16 + static_cast<unsigned>(digit < 16 ? digit : digit - 6);
            ++digits;
        }
        if (blank || digits == 2) {
            bytes.push_back(static_cast<std::byte>(value));
            digits = value = 0;
        }
    }
    if (bytes.size() != size)
        return misfit(what, fmt::format("it has {} bytes, \"{}\" has {}", size, text, bytes.size()));
    return bytes;
}

/// Fills `out` (zeroed). Depth is bounded by parse_json's nesting limit.
Result<void> fill(const Json& json, TypeRef type, MutableBytes out, const std::string& what) {
    const bool has_type = usable(type, out.size());
    const btf::TypeId stripped = has_type ? type.btf->strip(type.type) : 0;
    const btf::Kind kind = has_type ? type.btf->type(stripped).kind : btf::Kind::Void;

    const auto put_number = [&](uint64_t value, bool negative) -> Result<void> {
        if (out.size() > 8)
            return misfit(what, fmt::format("it has {} bytes: give hex bytes or an object", out.size()));
        const unsigned bits = static_cast<unsigned>(out.size() * 8);
        const uint64_t above = bits == 64 ? 0 : value >> bits;
        const bool fits =
            negative ? bits == 64 || static_cast<int64_t>(value) >= -(int64_t{1} << (bits - 1)) : above == 0;
        if (!fits) return misfit(what, fmt::format("the number does not fit {} bytes", out.size()));
        store_number(out.data(), out.size(), value);
        return {};
    };
    if (const auto* number = json.as<uint64_t>()) return put_number(*number, false);
    if (const auto* number = json.as<int64_t>()) return put_number(static_cast<uint64_t>(*number), *number < 0);
    if (const auto* flag = json.as<bool>()) return put_number(*flag ? 1 : 0, false);
    if (const auto* text = json.as<std::string>()) {
        if (kind == btf::Kind::Array) {
            const btf::TypeId element = type.btf->strip(type.btf->type(stripped).type);
            if (type.btf->name(element) == "char") {
                if (text->size() > out.size())
                    return misfit(what, fmt::format("the text is longer than {} bytes", out.size()));
                std::copy(skep::as_bytes(*text).begin(), skep::as_bytes(*text).end(), out.begin());
                return {};
            }
        }
        if (kind == btf::Kind::Enum || kind == btf::Kind::Enum64) {
            for (const btf::Enumerator& e : type.btf->enumerators(type.btf->type(stripped))) {
                if (type.btf->string(e.name_off) != *text) continue;
                store_number(out.data(), out.size(), e.value);
                return {};
            }
        }
        SKEP_ASSIGN(const Buffer bytes, hex_bytes(*text, out.size(), what));
        std::copy(bytes.begin(), bytes.end(), out.begin());
        return {};
    }
    if (const auto* fields = json.as<Json::Object>()) {
        if (kind != btf::Kind::Struct && kind != btf::Kind::Union)
            return misfit(what, "it is no struct with known fields");
        for (const auto& [name, value] : *fields) {
            bool found = false;
            for (const btf::Member& member : type.btf->members(type.btf->type(stripped))) {
                if (type.btf->string(member.name_off) != name) continue;
                const auto bytes = type.btf->size_of(member.type);
                if (member.bit_size != 0 || !bytes) return misfit(what, fmt::format("field {} is a bit field", name));
                const size_t offset = member.bit_offset / 8;
                if (offset + *bytes > out.size()) return misfit(what, fmt::format("field {} lies outside", name));
                SKEP_TRY(fill(value, {type.btf, member.type}, out.subspan(offset, static_cast<size_t>(*bytes)),
                              what + "." + name));
                found = true;
            }
            if (!found) return misfit(what, fmt::format("{} has no field {}", type.btf->type_text(type.type), name));
        }
        return {};
    }
    if (const auto* elements = json.as<Json::Array>()) {
        size_t stride = 1;
        TypeRef element;
        if (kind == btf::Kind::Array) {
            element = {type.btf, type.btf->type(stripped).type};
            stride = static_cast<size_t>(type.btf->size_of(element.type).value_or(1));
        }
        if (stride == 0 || elements->size() > out.size() / stride)
            return misfit(what, fmt::format("{} elements do not fit {} bytes", elements->size(), out.size()));
        for (size_t i = 0; i < elements->size(); ++i)
            SKEP_TRY(fill((*elements)[i], element, out.subspan(i * stride, stride), fmt::format("{}[{}]", what, i)));
        return {};
    }
    return misfit(what, "null and fractions stand for no bytes");
}

}  // namespace

btf::Value typed(TypeRef type, Bytes bytes) {
    if (usable(type, bytes.size())) return btf::read_value(*type.btf, type.type, bytes);
    if (bytes.size() == 1 || bytes.size() == 2 || bytes.size() == 4 || bytes.size() == 8)
        return btf::Value{load_number(bytes)};
    return btf::Value{btf::BytesValue{Buffer(bytes.begin(), bytes.end())}};
}

btf::Value summed(TypeRef type, std::span<const Buffer> values) {
    if (values.empty()) return {};
    const size_t size = values[0].size();
    if (usable(type, size)) {
        btf::Value sum = typed(type, values[0]);
        for (const Buffer& value : values.subspan(1)) add(sum, typed(type, value));
        return sum;
    }
    const size_t word = size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : 1;
    Buffer sum(size);
    for (size_t at = 0; at < size; at += word) {
        uint64_t total = 0;
        for (const Buffer& value : values) total += load_number(Bytes(value).subspan(at, word));
        store_number(sum.data() + at, word, total);
    }
    return typed({}, sum);
}

Result<Buffer> bytes_of(const Json& json, TypeRef type, size_t size, const std::string& what) {
    Buffer bytes(size);
    SKEP_TRY(fill(json, type, bytes, what));
    return bytes;
}

}  // namespace skep::cli
