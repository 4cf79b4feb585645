// SPDX-License-Identifier: Apache-2.0
// The parts of a descriptor and a contract: type, flags, length, bytes, padded to 8 (docs/formats/native-module.md).
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace skep::module {

using Buffer = std::vector<std::byte>;

inline constexpr uint16_t tlv_critical = 1;  ///< a reader that does not know the type refuses the whole

struct Tlv {
    uint16_t type = 0;
    uint16_t flags = 0;
    Bytes value;
};

/// Appends to a buffer, little-endian.
class Writer {
  public:
    template <std::integral T>
    void number(T value) {
        const size_t at = bytes.size();
        bytes.resize(at + sizeof(T));
        store_le(bytes.data() + at, value);
    }
    /// u32 length and the characters, not padded.
    void text(std::string_view value) {
        number(static_cast<uint32_t>(value.size()));
        raw(as_bytes(value));
    }
    void raw(Bytes value) { bytes.insert(bytes.end(), value.begin(), value.end()); }
    void part(uint16_t type, uint16_t flags, Bytes value) {
        number(type);
        number(flags);
        number(static_cast<uint32_t>(value.size()));
        raw(value);
        while (bytes.size() % 8 != 0) bytes.push_back(std::byte{0});
    }
    void part(uint16_t type, uint16_t flags, std::string_view value) { part(type, flags, as_bytes(value)); }

    Buffer bytes;
};

/// Takes from the front of bytes nobody vouches for.
class Reader {
  public:
    explicit Reader(Bytes bytes) : rest_(bytes) {}
    bool empty() const { return rest_.empty(); }
    bool failed() const { return failed_; }
    template <std::integral T>
    T number() {
        const auto value = read_le<T>(rest_, 0);
        if (!value) return failed_ = true, T{};
        rest_ = rest_.subspan(sizeof(T));
        return *value;
    }
    std::string text() {
        const uint32_t size = number<uint32_t>();
        const auto part = slice(rest_, 0, size);
        if (!part || failed_) return failed_ = true, std::string();
        rest_ = rest_.subspan(size);
        return {reinterpret_cast<const char*>(part->data()), part->size()};
    }
    Bytes blob() {
        const uint32_t size = number<uint32_t>();
        const auto part = slice(rest_, 0, size);
        if (!part || failed_) return failed_ = true, Bytes();
        rest_ = rest_.subspan(size);
        return *part;
    }

  private:
    Bytes rest_;
    bool failed_ = false;
};

/// Splits into parts, in order. Errors: Truncated; Malformed (types descend, padding is not zero).
Result<std::vector<Tlv>> split_parts(Bytes bytes, const char* what);

/// Text of a part: no control characters. Errors: Malformed.
Result<std::string> text_of(const Tlv& part, const char* what);

/// The refusal of a critical part, and nothing for one that may be ignored.
Result<void> unknown_part(const Tlv& part, const char* what);

}  // namespace skep::module
