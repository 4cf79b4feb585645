// SPDX-License-Identifier: Apache-2.0
// The assembler's scanner: one line, a position in it, and errors with a caret under the place. Internal to
// the assembler.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>

#include "isa/insn.hpp"

namespace skep::isa::assembler {

inline bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_word_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.'; }
inline bool is_word(char c) { return is_word_start(c) || is_digit(c) || c == '$'; }

/// A number as written: magnitude and sign apart, so that every 64-bit value can be said either way.
struct Number {
    uint64_t magnitude = 0;
    bool negative = false;
    bool has_sign = false;
    size_t column = 0;

    uint64_t bits() const { return negative ? uint64_t{0} - magnitude : magnitude; }
    /// Whether it lies in [-2^(n-1), 2^n - 1] (or 2^(n-1) - 1 when it is to be signed).
    bool fits(unsigned n, bool is_signed) const {
        const uint64_t half = uint64_t{1} << (n - 1);
        if (negative) return magnitude <= half;
        return is_signed || n == 64 ? (n == 64 && !is_signed) || magnitude < half : magnitude < half * 2;
    }
};

struct Register {
    uint8_t number = 0;
    unsigned bits = 64;
    size_t column = 0;
};

/// A distance or a label.
struct Destination {
    std::optional<Number> distance;
    std::string label;
    size_t column = 0;
};

/// One line without its comment, and a position in it.
class Line {
  public:
    Line(std::string_view text, size_t number) : text_(text), number_(number) { skip(); }

    size_t column() const { return at_; }
    size_t number() const { return number_; }
    bool done() const { return at_ == text_.size(); }
    char peek() const { return done() ? '\0' : text_[at_]; }
    std::string_view rest() const { return text_.substr(at_); }

    /// Takes `token` if it comes next; a word must end there.
    bool eat(std::string_view token) {
        if (!rest().starts_with(token)) return false;
        if (is_word(token.back()) && at_ + token.size() < text_.size() && is_word(text_[at_ + token.size()])) {
            return false;
        }
        at_ += token.size();
        skip();
        return true;
    }
    std::string_view word() {
        if (!is_word_start(peek())) return {};
        const size_t start = at_;
        while (!done() && is_word(text_[at_])) ++at_;
        const std::string_view found = text_.substr(start, at_ - start);
        skip();
        return found;
    }
    /// A position to go back to.
    size_t mark() const { return at_; }
    void back(size_t mark) { at_ = mark; }

    Error fail(size_t column, std::string why, std::string hint = {}) const {
        // The caret stands under the column whatever tabs the line has.
        std::string indent;
        for (const char c : text_.substr(0, column)) indent += c == '\t' ? '\t' : ' ';
        const std::string margin = fmt::format("{:>4}", number_);
        return Error{
            Errc::Syntax,
            Where{.source_line = static_cast<uint32_t>(number_), .source_column = static_cast<uint32_t>(column + 1)},
            fmt::format("line {}, column {}: {}", number_, column + 1, why),
            fmt::format("\n  {} | {}\n  {} | {}^", margin, text_, std::string(margin.size(), ' '), indent),
            std::move(hint)};
    }
    Error expected(std::string_view what) const {
        return fail(at_, done() ? fmt::format("expected {}, the line ends", what) : fmt::format("expected {}", what));
    }

    Result<void> need(std::string_view token) {
        if (!eat(token)) return expected(fmt::format("'{}'", token));
        return {};
    }

    /// A number with an optional sign; blanks may follow the sign.
    Result<Number> number_value() {
        Number n;
        n.column = at_;
        if (peek() == '-' || peek() == '+') {
            n.negative = peek() == '-';
            n.has_sign = true;
            ++at_;
            skip();
        }
        if (!is_digit(peek())) {
            at_ = n.column;
            const std::string_view word = rest();
            if (word.size() > 1 && (word[0] == 'r' || word[0] == 'w') && is_digit(word[1])) {
                return fail(at_, "there is no such register",
                            "registers are r0 to r10, and w0 to w10 for their low halves");
            }
            return expected("a number");
        }
        unsigned base = 10;
        if (rest().starts_with("0x") || rest().starts_with("0X")) {
            base = 16;
            at_ += 2;
        }
        size_t digits = 0;
        for (; !done(); ++at_, ++digits) {
            const char c = text_[at_];
            unsigned digit = 0;
            if (is_digit(c)) {
                digit = static_cast<unsigned>(c - '0');
            } else if (base == 16 && c >= 'a' && c <= 'f') {
                digit = static_cast<unsigned>(c - 'a') + 10;
            } else if (base == 16 && c >= 'A' && c <= 'F') {
                digit = static_cast<unsigned>(c - 'A') + 10;
            } else {
                break;
            }
            if (n.magnitude > (UINT64_MAX - digit) / base) return fail(n.column, "the number does not fit in 64 bits");
            n.magnitude = n.magnitude * base + digit;
        }
        if (digits == 0 || (!done() && is_word(text_[at_]))) return fail(n.column, "this is not a number");
        skip();
        return n;
    }
    bool at_number() const { return is_digit(peek()) || peek() == '-' || peek() == '+'; }

    /// r0 to r10, w0 to w10 (with `percent` also %r0); nothing if the next word is no register.
    std::optional<Register> reg(bool percent = false) {
        const size_t start = at_;
        Register r;
        r.column = start;
        if (percent && peek() == '%') ++at_;
        const char c = peek();
        if (c == 'r' || c == 'w') {
            ++at_;
            size_t digits = 0;
            unsigned value = 0;
            while (!done() && is_digit(text_[at_]) && digits < 3) {
                value = value * 10 + static_cast<unsigned>(text_[at_++] - '0');
                ++digits;
            }
            const bool ends = done() || !is_word(text_[at_]);
            const bool plain = digits == 1 || (digits == 2 && value == 10);
            if (ends && plain && value < register_count) {
                r.number = static_cast<uint8_t>(value);
                r.bits = c == 'w' ? 32 : 64;
                skip();
                return r;
            }
        }
        at_ = start;
        return std::nullopt;
    }
    Result<Register> need_reg(bool percent = false) {
        if (const auto r = reg(percent)) return *r;
        return expected("a register, r0 to r10");
    }
    Result<Register> need_reg64() {
        SKEP_ASSIGN(const Register r, need_reg());
        if (r.bits != 64) return fail(r.column, "an address is a 64-bit register", "write r instead of w");
        return r;
    }

    /// The longest text of a row that passes `wanted` and comes next.
    template <typename Predicate>
    std::string_view eat_text(Predicate wanted) {
        std::string_view best;
        for (const Row& row : rows()) {
            if (row.text.size() > best.size() && rest().starts_with(row.text) && wanted(row)) best = row.text;
        }
        at_ += best.size();
        skip();
        return best;
    }

  private:
    void skip() {
        while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    }

    std::string_view text_;
    size_t number_;
    size_t at_ = 0;
};

template <typename Predicate>
const Row* find_row(Predicate wanted) {
    for (const Row& row : rows()) {
        if (wanted(row)) return &row;
    }
    return nullptr;
}

}  // namespace skep::isa::assembler
