// SPDX-License-Identifier: Apache-2.0
#include "btf/edit.hpp"

#include <algorithm>

namespace skep::btf {
namespace {

constexpr uint32_t head_bytes = 12;  // struct btf_type
constexpr uint32_t member_bytes = 12;

Error damaged() { return Error(Errc::Malformed, "the type information is damaged"); }

/// Bytes behind the head (linux/btf.h).
std::optional<uint32_t> tail_bytes(Kind kind, uint32_t count) {
    switch (kind) {
        case Kind::Int:
        case Kind::Var:
        case Kind::DeclTag: return 4;
        case Kind::Array: return 12;
        case Kind::Struct:
        case Kind::Union:
        case Kind::Datasec:
        case Kind::Enum64: return count * 12;
        case Kind::Enum:
        case Kind::FuncProto: return count * 8;
        case Kind::Ptr:
        case Kind::Fwd:
        case Kind::Typedef:
        case Kind::Volatile:
        case Kind::Const:
        case Kind::Restrict:
        case Kind::Func:
        case Kind::Float:
        case Kind::TypeTag: return 0;
        case Kind::Void: return std::nullopt;
    }
    return std::nullopt;
}

constexpr uint32_t info_of(Kind kind, uint32_t count) { return static_cast<uint32_t>(kind) << 24 | count; }

void put(std::vector<std::byte>& record, uint32_t word) {
    const size_t at = record.size();
    record.resize(at + 4);
    store_le(record.data() + at, word);
}

}  // namespace

Result<BtfEditor> BtfEditor::open(Bytes bytes) {
    const auto header = read_le<uint32_t>(bytes, 4);
    const auto types_at = read_le<uint32_t>(bytes, 8), types_size = read_le<uint32_t>(bytes, 12);
    const auto strings_at = read_le<uint32_t>(bytes, 16), strings_size = read_le<uint32_t>(bytes, 20);
    if (!header || !types_at || !types_size || !strings_at || !strings_size || *header > bytes.size()) return damaged();
    const auto types = slice(bytes, uint64_t{*header} + *types_at, *types_size);
    const auto strings = slice(bytes, uint64_t{*header} + *strings_at, *strings_size);
    if (!types || !strings) return damaged();
    BtfEditor out;
    out.header_.assign(bytes.begin(), bytes.begin() + *header);
    out.strings_.assign(strings->begin(), strings->end());
    for (uint64_t at = 0; at < types->size();) {
        const auto info = read_le<uint32_t>(*types, at + 4);
        if (!info) return damaged();
        const auto tail = tail_bytes(static_cast<Kind>(*info >> 24 & 0x1f), *info & 0xffff);
        const auto record = tail ? slice(*types, at, head_bytes + *tail) : std::nullopt;
        if (!record) return damaged();
        out.types_.emplace_back(record->begin(), record->end());
        at += record->size();
    }
    return out;
}

uint32_t BtfEditor::string(std::string_view text) {
    std::vector<std::byte> wanted(text.size() + 1);
    std::ranges::copy(as_bytes(text), wanted.begin());
    const auto found = std::ranges::search(strings_, wanted);
    if (!found.empty()) return static_cast<uint32_t>(found.begin() - strings_.begin());
    const auto at = static_cast<uint32_t>(strings_.size());
    strings_.insert(strings_.end(), wanted.begin(), wanted.end());
    return at;
}

BtfEditor::Record BtfEditor::head(uint32_t name, uint32_t info, uint32_t size_or_type) {
    Record record;
    put(record, name);
    put(record, info);
    put(record, size_or_type);
    return record;
}

TypeId BtfEditor::add(Record record) {
    types_.push_back(std::move(record));
    return static_cast<TypeId>(types_.size());
}

TypeId BtfEditor::add_pointer(TypeId to) { return add(head(0, info_of(Kind::Ptr, 0), to)); }

TypeId BtfEditor::add_array(TypeId element, TypeId index, uint32_t count) {
    Record record = head(0, info_of(Kind::Array, 0), 0);
    put(record, element);
    put(record, index);
    put(record, count);
    return add(std::move(record));
}

TypeId BtfEditor::add_integer(std::string_view name, uint32_t bytes) {
    Record record = head(string(name), info_of(Kind::Int, 0), bytes);
    put(record, bytes * 8);
    return add(std::move(record));
}

TypeId BtfEditor::add_enum(std::string_view name, const std::vector<std::pair<std::string, uint32_t>>& enumerators) {
    Record record = head(string(name), info_of(Kind::Enum, static_cast<uint32_t>(enumerators.size())), 4);
    for (const auto& [word, value] : enumerators) {
        put(record, string(word));
        put(record, value);
    }
    return add(std::move(record));
}

TypeId BtfEditor::add_struct(std::string_view name, uint32_t size, const std::vector<NewMember>& members) {
    const TypeId id = add(head(string(name), info_of(Kind::Struct, 0), size));
    set_struct(id, size, members);
    return id;
}

void BtfEditor::set_struct(TypeId id, uint32_t size, const std::vector<NewMember>& members) {
    const uint32_t name = load_le<uint32_t>(types_[id - 1].data());
    Record record = head(name, info_of(Kind::Struct, static_cast<uint32_t>(members.size())), size);
    for (const NewMember& member : members) {
        put(record, string(member.name));
        put(record, member.type);
        put(record, member.byte_offset * 8);
    }
    types_[id - 1] = std::move(record);
}

void BtfEditor::add_member(TypeId id, std::string_view name, TypeId type, uint32_t bytes) {
    Record& record = types_[id - 1];
    const uint32_t size = load_le<uint32_t>(record.data() + 8);
    store_le(record.data() + 4, load_le<uint32_t>(record.data() + 4) + 1);
    store_le(record.data() + 8, size + bytes);
    put(record, string(name));
    put(record, type);
    put(record, size * 8);
}

void BtfEditor::set_member_type(TypeId id, uint32_t member, TypeId type) {
    store_le(types_[id - 1].data() + head_bytes + member * member_bytes + 4, type);
}

void BtfEditor::set_name(TypeId id, std::string_view name) { store_le(types_[id - 1].data(), string(name)); }

void BtfEditor::blank(TypeId id) { types_[id - 1] = head(0, info_of(Kind::Const, 0), 0); }

void BtfEditor::set_variable(TypeId section, uint32_t variable, uint32_t offset, uint32_t size) {
    std::byte* p = types_[section - 1].data() + head_bytes + variable * member_bytes;
    store_le(p + 4, offset);
    store_le(p + 8, size);
}

void BtfEditor::set_size(TypeId id, uint32_t size) { store_le(types_[id - 1].data() + 8, size); }

uint32_t BtfEditor::size(TypeId id) const { return load_le<uint32_t>(types_[id - 1].data() + 8); }

std::vector<std::byte> BtfEditor::finish() const {
    std::vector<std::byte> out = header_;
    for (const Record& record : types_) out.insert(out.end(), record.begin(), record.end());
    const auto types = static_cast<uint32_t>(out.size() - header_.size());
    out.insert(out.end(), strings_.begin(), strings_.end());
    store_le(out.data() + 8, uint32_t{0});
    store_le(out.data() + 12, types);
    store_le(out.data() + 16, types);
    store_le(out.data() + 20, static_cast<uint32_t>(strings_.size()));
    return out;
}

}  // namespace skep::btf
