// SPDX-License-Identifier: Apache-2.0
// Text helpers (kernel/bpf/helpers.c: __bpf_strtoull and friends).
#include <string.h>

#include "runtime/core/characters.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime::helpers {

namespace {

constexpr uint64_t base_mask = 0x1f;  // BPF_STRTOX_BASE_MASK

struct Number {
    uint64_t magnitude = 0;
    bool negative = false;
    int64_t consumed = 0;  ///< characters, or a negative errno
};

Number failed(Errc code) { return {0, false, Status(code).to_errno()}; }

/// __bpf_strtoull: at most 63 characters after blanks and sign are looked at.
Number parse(const char* text, uint64_t size, uint64_t flags) {
    uint64_t base = flags & base_mask;
    if (size == 0) return failed(Errc::InvalidArgument);
    if (base != 0 && base != 8 && base != 10 && base != 16) return failed(Errc::InvalidArgument);
    if ((flags & ~base_mask) != 0) return failed(Errc::InvalidArgument);

    uint64_t at = 0;
    while (at < size && is_space(text[at])) ++at;
    Number number;
    number.negative = at < size && text[at] == '-';
    if (number.negative) ++at;
    if (at == size) return failed(Errc::InvalidArgument);

    constexpr uint64_t looked_at = 63;
    const uint64_t left = size - at < looked_at ? size - at : looked_at;
    const char* digits = text + at;
    const auto character = [&](uint64_t i) { return i < left ? digits[i] : '\0'; };

    // _parse_integer_fixup_radix
    uint64_t i = 0;
    const bool prefix = character(0) == '0' && to_lower(character(1)) == 'x';
    if (base == 0) {
        base = 10;
        if (character(0) == '0') base = prefix && hex_value(character(2)) < 16 ? 16 : 8;
    }
    if (base == 16 && prefix) i = 2;

    // _parse_integer
    const uint64_t first = i;
    bool overflow = false;
    for (; hex_value(character(i)) < base; ++i) {
        const uint64_t value = hex_value(character(i));
        if (number.magnitude > (UINT64_MAX - value) / base) overflow = true;
        number.magnitude = number.magnitude * base + value;
    }
    if (overflow) return failed(Errc::OutOfRange);
    if (i == first) return failed(Errc::InvalidArgument);
    number.consumed = static_cast<int64_t>(at + i);
    return number;
}

}  // namespace

SKEP_HELPER(strtol_) {
    int64_t* out = pointer<int64_t>(r4);
    *out = 0;
    const Number number = parse(pointer<const char>(r1), static_cast<uint32_t>(r2), r3);
    if (number.consumed < 0) return static_cast<uint64_t>(number.consumed);
    const uint64_t limit = static_cast<uint64_t>(INT64_MAX) + (number.negative ? 1 : 0);
    if (number.magnitude > limit) return result(Errc::OutOfRange);
    *out = static_cast<int64_t>(number.negative ? 0 - number.magnitude : number.magnitude);
    return static_cast<uint64_t>(number.consumed);
}

SKEP_HELPER(strtoul_) {
    uint64_t* out = pointer<uint64_t>(r4);
    *out = 0;
    const Number number = parse(pointer<const char>(r1), static_cast<uint32_t>(r2), r3);
    if (number.consumed < 0) return static_cast<uint64_t>(number.consumed);
    if (number.negative) return result(Errc::InvalidArgument);
    *out = number.magnitude;
    return static_cast<uint64_t>(number.consumed);
}

SKEP_HELPER(strncmp_) {
    const uint8_t* a = pointer<const uint8_t>(r1);
    const uint8_t* b = pointer<const uint8_t>(r3);
    for (uint64_t i = 0; i < static_cast<uint32_t>(r2); ++i) {
        if (a[i] != b[i]) return static_cast<uint64_t>(a[i] < b[i] ? int64_t{-1} : int64_t{1});
        if (a[i] == 0) break;
    }
    return 0;
}

}  // namespace skep::runtime::helpers
