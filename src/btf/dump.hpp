// SPDX-License-Identifier: Apache-2.0
// Bytes as values of a BTF type: what `skep run` and `skep map dump` show of keys, values and globals.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "btf/btf.hpp"

namespace skep::btf {

struct Field;
struct Value;

/// An enumerator: its number, and its name where the enum has one for it.
struct EnumValue {
    std::string name;  ///< empty: none
    int64_t number = 0;

    bool operator==(const EnumValue&) const = default;
};

/// An address.
struct PointerValue {
    uint64_t address = 0;

    bool operator==(const PointerValue&) const = default;
};

/// Plain bytes: arrays of unsigned bytes, integers of 16 bytes, whatever has no type that can be read.
struct BytesValue {
    std::vector<std::byte> bytes;

    bool operator==(const BytesValue&) const = default;
};

/// The rest was left out: bytes that are missing, or a tree that would grow too large.
struct MissingValue {
    bool operator==(const MissingValue&) const = default;
};

/// A value as a small tree, independent of any output format.
struct Value {
    using Elements = std::vector<Value>;
    using Fields = std::vector<Field>;
    std::variant<MissingValue, bool, int64_t, uint64_t, double, std::string, EnumValue, PointerValue, BytesValue,
                 Elements, Fields>
        data;

    bool operator==(const Value& other) const;
};

/// A member of a struct or union. Members of anonymous structs stand beside those of the struct around them.
struct Field {
    std::string name;
    Value value;

    bool operator==(const Field& other) const = default;
};

/// `bytes` as a value of type `id`. Structs by member, enums by name, arrays of char as text, bit fields unpacked.
/// Bytes that are missing become MissingValue. The tree has at most 16 nodes per byte and 1024 more.
/// Requires: id < btf.type_count().
Value read_value(const Btf& btf, TypeId id, Bytes bytes);

/// One line: `{packets: 3, name: "eth0", proto: TCP, mac: 02 42 ac 11 00 02, next: 0xffff8880}`.
std::string to_text(const Value& value);

/// Bytes without a type: `01 00 ff`.
std::string hex_text(Bytes bytes);

}  // namespace skep::btf
