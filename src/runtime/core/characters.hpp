// SPDX-License-Identifier: Apache-2.0
// The kernel's character classes (lib/ctype.c): independent of any locale, and there without a C library. The kernel's
// isspace and isprint also take 0xa0 and above; format strings exclude those beforehand.
#pragma once

#include <stdint.h>

namespace skep::runtime {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_alnum(char c) { return is_digit(c) || is_alpha(c); }
constexpr bool is_ascii(char c) { return (static_cast<uint8_t>(c) & 0x80) == 0; }
/// Blank, tab, newline, vertical tab, form feed, carriage return, and Latin-1's no-break space.
constexpr bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || static_cast<uint8_t>(c) == 0xa0; }
constexpr bool is_print(char c) { return c >= ' ' && c <= '~'; }
constexpr bool is_punct(char c) { return is_print(c) && c != ' ' && !is_alnum(c); }
constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
/// 0-15, or 16 for what is no hexadecimal digit.
constexpr unsigned hex_value(char c) {
    if (is_digit(c)) return static_cast<unsigned>(c - '0');
    const char lower = to_lower(c);
    return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : 16;
}

}  // namespace skep::runtime
