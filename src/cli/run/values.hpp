// SPDX-License-Identifier: Apache-2.0
// Bytes of keys, values and globals as text and JSON, and JSON as bytes, guided by BTF where there is BTF.
#pragma once

#include <span>
#include <string>

#include "btf/dump.hpp"
#include "cli/json.hpp"
#include "cli/run/backend.hpp"

namespace skep::cli {

/// A type of an object's BTF; type 0 or no BTF: plain bytes.
struct TypeRef {
    const btf::Btf* btf = nullptr;
    btf::TypeId type = 0;
};

/// The bytes as a value: by the type where its size is that of the bytes; else an unsigned number for 1, 2, 4 or 8
/// bytes; else bytes.
btf::Value typed(TypeRef type, Bytes bytes);

/// The values of all CPUs as one: numbers are added, everything else is taken from the first CPU where it is not zero.
/// Without a type, 8-byte words are added (4-byte words if the size is no multiple of 8).
btf::Value summed(TypeRef type, std::span<const Buffer> values);

/// `json` as `size` bytes: a string of hex bytes ("0a 4d"), a number (little-endian), true or false, an object by field
/// names (missing ones are zero), an array by elements (of bytes without a type), text for char[].
/// Errors: InvalidArgument, naming the part that does not fit; `what` stands for the whole in messages.
Result<Buffer> bytes_of(const Json& json, TypeRef type, size_t size, const std::string& what);

}  // namespace skep::cli
