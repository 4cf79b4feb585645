// SPDX-License-Identifier: Apache-2.0
// Untrusted bytes: explicit little-endian loads and overflow-checked ranges instead of casts.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace skep {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

/// Little-endian load of `sizeof(T)` bytes at `p`; any alignment. Requires: the bytes exist.
template <std::integral T>
constexpr T load_le(const std::byte* p) {
    using U = std::make_unsigned_t<T>;
    U value = 0;
    for (size_t i = 0; i < sizeof(T); ++i)
        value = static_cast<U>(value | (static_cast<U>(std::to_integer<uint8_t>(p[i])) << (8 * i)));
    return static_cast<T>(value);
}

/// Little-endian store of `sizeof(T)` bytes at `p`; any alignment. Requires: the bytes exist.
template <std::integral T>
constexpr void store_le(std::byte* p, T value) {
    using U = std::make_unsigned_t<T>;
    for (size_t i = 0; i < sizeof(T); ++i) p[i] = static_cast<std::byte>(static_cast<U>(value) >> (8 * i));
}

/// The `size` bytes at `offset`, or nothing if they do not all lie inside; never overflows.
constexpr std::optional<Bytes> slice(Bytes bytes, uint64_t offset, uint64_t size) {
    if (offset > bytes.size() || size > bytes.size() - offset) return std::nullopt;
    return bytes.subspan(static_cast<size_t>(offset), static_cast<size_t>(size));
}

/// The integer at `offset`, or nothing if it does not lie inside.
template <std::integral T>
constexpr std::optional<T> read_le(Bytes bytes, uint64_t offset) {
    const auto part = slice(bytes, offset, sizeof(T));
    if (!part) return std::nullopt;
    return load_le<T>(part->data());
}

/// The NUL-terminated string at `offset`, without its NUL; nothing if it starts outside or never ends.
inline std::optional<std::string_view> read_c_string(Bytes bytes, uint64_t offset) {
    if (offset >= bytes.size()) return std::nullopt;
    const char* start = reinterpret_cast<const char*>(bytes.data()) + offset;
    const void* end = std::memchr(start, 0, bytes.size() - static_cast<size_t>(offset));
    if (end == nullptr) return std::nullopt;
    return std::string_view(start, static_cast<size_t>(static_cast<const char*>(end) - start));
}

inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

}  // namespace skep
