// SPDX-License-Identifier: Apache-2.0
#include "runtime/core/format.hpp"

#include <string.h>

#include "base/os.hpp"
#include "runtime/core/characters.hpp"

namespace skep::runtime {

namespace {

// Scratch holds, per conversion in order, what printing needs: numbers as 8 bytes; %c as 1 byte; texts (%s, %pks,
// addresses) as NUL-terminated strings. Numbers are aligned to 4 bytes first and count 4 or 8, as in the kernel, so
// that NoSpace comes for the same arguments.

enum class Kind : uint8_t { Number, Character, Text, WidthlessText, Pointer };

struct Conversion {
    Kind kind = Kind::Number;
    bool left = false, plus = false, space = false, zero = false;
    uint32_t width = 0;
    uint8_t bytes = 4;          ///< Number: 4 or 8
    char letter = 0;            ///< Number: d i u x X; Pointer: 0 (plain), K x s S B; Text from an address: i I
    char address_version = 0;   ///< '4' or '6'
    char text_space = 's';      ///< Text: s, k (kernel), u (user)
    const char* end = nullptr;  ///< the character after the conversion
};

const void* pointer_to(uint64_t address) { return reinterpret_cast<const void*>(static_cast<uintptr_t>(address)); }

/// Reads the conversion after a '%' (not of "%%"). False: not one that is allowed.
bool read_conversion(const char* at, Conversion* out) {
    Conversion c;
    for (; *at == '0' || *at == '+' || *at == '-' || *at == ' '; ++at) {
        c.zero = c.zero || *at == '0';
        c.plus = c.plus || *at == '+';
        c.left = c.left || *at == '-';
        c.space = c.space || *at == ' ';
    }
    for (; is_digit(*at); ++at) {
        // The kernel clamps widths to 2^23 - 1; the output buffers are far smaller.
        if (c.width < (1u << 22) / 10) c.width = c.width * 10 + static_cast<uint32_t>(*at - '0');
    }
    const auto closes = [](char next) { return next == 0 || is_space(next) || is_punct(next); };
    if (*at == 'p') {
        c.kind = Kind::Pointer;
        c.bytes = 8;
        const char next = at[1];
        if (closes(next)) {
            c.end = at + 1;
        } else if ((next == 'k' || next == 'u') && at[2] == 's') {
            if (!closes(at[3])) return false;
            c.kind = Kind::WidthlessText;
            c.text_space = next;
            c.end = at + 3;
        } else if (next == 'K' || next == 'x' || next == 's' || next == 'S' || next == 'B') {
            c.letter = next;
            c.end = at + 2;
        } else if ((next == 'i' || next == 'I') && (at[2] == '4' || at[2] == '6')) {
            c.kind = Kind::WidthlessText;
            c.letter = next;
            c.address_version = at[2];
            c.end = at + 3;
        } else {
            return false;
        }
    } else if (*at == 's') {
        if (!closes(at[1])) return false;
        c.kind = Kind::Text;
        c.end = at + 1;
    } else if (*at == 'c') {
        c.kind = Kind::Character;
        c.end = at + 1;
    } else {
        for (int l = 0; l < 2 && *at == 'l'; ++l, ++at) c.bytes = 8;
        if (*at != 'i' && *at != 'd' && *at != 'u' && *at != 'x' && *at != 'X') return false;
        c.letter = *at;
        c.end = at + 1;
    }
    *out = c;
    return true;
}

/// Bytes before the NUL, or `most` if there is none among them. (A kernel need not have the C library's functions.)
size_t text_length(const char* text, size_t most) {
    size_t length = 0;
    while (length < most && text[length] != 0) ++length;
    return length;
}

/// The text at `source`, up to its NUL or `room` - 1 bytes; always ends in a NUL. Returns bytes written with the NUL,
/// or 0 if it runs into memory that cannot be read (strncpy_from_kernel_nofault).
size_t copy_text(char* out, size_t room, uint64_t source) {
    const size_t most = room - 1;
    const size_t readable = skep_os_copy_nofault(out, pointer_to(source), most);
    const size_t length = text_length(out, readable);
    if (length < readable) return length + 1;
    if (readable < most) return 0;
    out[most] = 0;
    return room;
}

struct Writer {
    char* out;
    size_t room;
    size_t length = 0;
    void put(char c) {
        if (length < room) out[length] = c;
        ++length;
    }
    void put(const char* text) {
        for (; *text != 0; ++text) put(*text);
    }
    void finish() {
        if (room != 0) out[length < room ? length : room - 1] = 0;
    }
};

void put_hex(Writer& w, uint64_t value, unsigned digits, bool upper = false) {
    const char* alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (unsigned i = digits; i-- > 0;) w.put(alphabet[(value >> (4 * i)) & 0xf]);
}

void put_decimal(Writer& w, uint64_t value) {
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count-- > 0) w.put(digits[count]);
}

/// ip4_string: %pI4 "1.2.3.4", %pi4 "001.002.003.004".
void put_ip4(Writer& w, const uint8_t* bytes, bool leading_zeros) {
    for (unsigned i = 0; i < 4; ++i) {
        if (i != 0) w.put('.');
        if (leading_zeros) {
            if (bytes[i] < 100) w.put('0');
            if (bytes[i] < 10) w.put('0');
        }
        put_decimal(w, bytes[i]);
    }
}

/// ip6_string: %pI6 eight groups of four digits with colons, %pi6 without.
void put_ip6(Writer& w, const uint8_t* bytes, bool colons) {
    for (unsigned i = 0; i < 8; ++i) {
        if (i != 0 && colons) w.put(':');
        put_hex(w, static_cast<uint64_t>(bytes[2 * i]) << 8 | bytes[2 * i + 1], 4);
    }
}

void pad(Writer& w, uint32_t width, size_t used, char with) {
    for (size_t i = used; i < width; ++i) w.put(with);
}

/// vsprintf.c: number().
void put_number(Writer& w, const Conversion& c, uint64_t raw) {
    const bool is_signed = c.letter == 'd' || c.letter == 'i';
    const bool hex = c.letter == 'x' || c.letter == 'X';
    uint64_t value = c.bytes == 8 ? raw : static_cast<uint32_t>(raw);
    char sign = 0;
    if (is_signed) {
        const int64_t number = c.bytes == 8 ? static_cast<int64_t>(raw) : static_cast<int32_t>(raw);
        value = number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
        if (number < 0) {
            sign = '-';
        } else if (c.plus) {
            sign = '+';
        } else if (c.space) {
            sign = ' ';
        }
    }
    char digits[24];
    Writer d{digits, sizeof(digits)};
    if (hex) {
        unsigned count = 1;
        while (count < 16 && (value >> (4 * count)) != 0) ++count;
        put_hex(d, value, count, c.letter == 'X');
    } else {
        put_decimal(d, value);
    }
    d.finish();
    const size_t used = d.length + (sign != 0 ? 1 : 0);
    const bool zeros = c.zero && !c.left;
    if (!zeros && !c.left) pad(w, c.width, used, ' ');
    if (sign != 0) w.put(sign);
    if (zeros) pad(w, c.width, used, '0');
    w.put(digits);
    if (c.left) pad(w, c.width, used, ' ');
}

/// Addresses are not shown to readers of the log: a number that stands for them, equal for equal pointers (the kernel's
/// %p prints a keyed hash). Null is shown as it is.
uint32_t pointer_alias(uint64_t address) {
    static const char key_of_this_process = 0;  // its own address varies from process to process
    uint64_t x = address ^ (reinterpret_cast<uintptr_t>(&key_of_this_process) * 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
    return static_cast<uint32_t>(x ^ (x >> 33));
}

void put_pointer(Writer& w, const Conversion& c, uint64_t address) {
    Conversion hex = c;
    hex.letter = 'x';
    hex.bytes = 8;
    if (c.letter == 's' || c.letter == 'S' || c.letter == 'B') {
        // There are no symbols here: as the kernel does without kallsyms.
        w.put("0x");
        hex.width = 0;
    } else if (c.width == 0) {
        hex.width = 16;
        hex.zero = true;
    }
    const bool plain = c.letter == 0 || c.letter == 'K';
    put_number(w, hex, plain && address != 0 ? pointer_alias(address) : address);
}

constexpr size_t align4(size_t at) { return (at + 3) & ~size_t{3}; }

}  // namespace

Status format_prepare(const char* format, size_t format_bytes, const uint64_t* arguments, unsigned count,
                      uint8_t* scratch, size_t scratch_bytes) {
    bool ends = false;
    for (size_t i = 0; i < format_bytes && !ends; ++i) ends = format[i] == 0;
    if (!ends) return Errc::InvalidArgument;
    size_t at = 0;
    unsigned used = 0;
    for (const char* f = format; *f != 0; ++f) {
        if (!is_ascii(*f) || (!is_print(*f) && !is_space(*f))) return Errc::InvalidArgument;
        if (*f != '%') continue;
        if (f[1] == '%') {
            ++f;
            continue;
        }
        if (used >= count) return Errc::InvalidArgument;
        Conversion c;
        if (!read_conversion(f + 1, &c)) return Errc::InvalidArgument;
        const uint64_t argument = arguments[used++];
        const size_t room = scratch_bytes - at;
        if (c.kind == Kind::Number || c.kind == Kind::Pointer) {
            const size_t aligned = align4(at);
            if (aligned > scratch_bytes || scratch_bytes - aligned < c.bytes) return Errc::NoSpace;
            memcpy(scratch + aligned, &argument, c.bytes);
            at = aligned + c.bytes;
        } else if (c.kind == Kind::Character) {
            if (room == 0) return Errc::NoSpace;
            scratch[at++] = static_cast<uint8_t>(argument);
        } else if (c.address_version != 0) {
            const size_t bytes = c.address_version == '4' ? 4 : 16;
            if (room < bytes) return Errc::NoSpace;
            uint8_t address[16] = {};
            if (skep_os_copy_nofault(address, pointer_to(argument), bytes) != bytes)
                memset(address, 0, sizeof(address));
            Writer w{reinterpret_cast<char*>(scratch) + at, room};
            if (bytes == 4) {
                put_ip4(w, address, c.letter == 'i');
            } else {
                put_ip6(w, address, c.letter == 'I');
            }
            w.finish();
            at = w.length + 1 < room ? at + w.length + 1 : scratch_bytes;
        } else {
            if (room == 0) return Errc::NoSpace;
            // Programs have no user memory of their own here: %pus reads nothing, as at an unmapped address.
            const size_t bytes =
                c.text_space == 'u' ? 0 : copy_text(reinterpret_cast<char*>(scratch) + at, room, argument);
            if (bytes == 0) scratch[at] = 0;
            at += bytes == 0 ? 1 : bytes;
        }
        // What comes after is checked as ordinary text, except that the conversion itself was.
        f = c.end - 1;
    }
    return {};
}

size_t format_print(char* out, size_t out_bytes, const char* format, const uint8_t* scratch) {
    Writer w{out, out_bytes};
    size_t at = 0;
    for (const char* f = format; *f != 0; ++f) {
        if (*f != '%') {
            w.put(*f);
            continue;
        }
        if (f[1] == '%') {
            w.put('%');
            ++f;
            continue;
        }
        Conversion c;
        if (!read_conversion(f + 1, &c)) break;  // cannot happen after format_prepare
        const char* text = reinterpret_cast<const char*>(scratch) + at;
        switch (c.kind) {
            case Kind::Number:
            case Kind::Pointer: {
                at = align4(at);
                uint64_t value = 0;
                memcpy(&value, scratch + at, c.bytes);
                at += c.bytes;
                if (c.kind == Kind::Number) {
                    put_number(w, c, value);
                } else {
                    put_pointer(w, c, value);
                }
                break;
            }
            case Kind::Character:
                if (!c.left && c.width > 1) pad(w, c.width, 1, ' ');
                w.put(static_cast<char>(scratch[at++]));
                if (c.left && c.width > 1) pad(w, c.width, 1, ' ');
                break;
            case Kind::Text: {
                const size_t length = text_length(text, SIZE_MAX);
                if (!c.left) pad(w, c.width, length, ' ');
                w.put(text);
                if (c.left) pad(w, c.width, length, ' ');
                at += length + 1;
                break;
            }
            case Kind::WidthlessText:
                w.put(text);
                at += text_length(text, SIZE_MAX) + 1;
                break;
        }
        f = c.end - 1;
        // bstr_printf leaves out letters and digits that follow a pointer conversion.
        if (c.kind == Kind::Pointer || c.kind == Kind::WidthlessText)
            while (is_alnum(f[1])) ++f;
    }
    w.finish();
    return w.length;
}

}  // namespace skep::runtime
