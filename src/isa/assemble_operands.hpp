// SPDX-License-Identifier: Apache-2.0
// What both dialects share over the scanner: operands, and the one parser each has. Internal to the assembler.
#pragma once

#include <string_view>

#include "isa/assemble_line.hpp"

namespace skep::isa::assembler {

/// One instruction from where `line` stands. A jump's target, where it has one, goes into `target`: the caller resolves
/// it. Errors: Syntax.
Result<void> canonical_statement(Line& line, Insn& insn, Destination& target);
Result<void> conformance_statement(Line& line, Insn& insn, Destination& target);

inline Result<int32_t> imm32(const Line& line, const Number& n, bool is_signed) {
    if (!n.fits(32, is_signed)) {
        return line.fail(n.column, "the number does not fit in 32 bits",
                         is_signed ? "an immediate of a 64-bit operation is 32 bits and keeps its sign; write "
                                     "`rN = ... ll` for larger ones"
                                   : "");
    }
    return static_cast<int32_t>(static_cast<uint32_t>(n.bits()));
}

/// Takes `<...>`; returns what is inside, empty if there is none.
inline Result<std::string_view> note(Line& line) {
    if (line.peek() != '<') return std::string_view{};
    const std::string_view rest = line.rest();
    const size_t end = rest.find('>');
    if (end == std::string_view::npos) return line.fail(line.column(), "'<' without '>'");
    line.eat(rest.substr(0, end + 1));
    return rest.substr(1, end - 1);
}

/// The number of a note `<+0x8>`, 0 if there is no note.
inline Result<int32_t> note_number(Line& line) {
    if (!line.eat("<")) return 0;
    SKEP_ASSIGN(const Number n, line.number_value());
    SKEP_TRY(line.need(">"));
    return imm32(line, n, false);
}

/// +0x4, -3, or a label; a note in angle brackets may follow a number.
inline Result<void> destination(Line& line, Destination& out) {
    out.column = line.column();
    if (line.at_number()) {
        SKEP_ASSIGN(out.distance, line.number_value());
        SKEP_TRY(note(line));
        return {};
    }
    out.label = line.word();
    if (out.label.empty()) return line.expected("a distance or a label");
    return {};
}

}  // namespace skep::isa::assembler
