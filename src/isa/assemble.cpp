// SPDX-License-Identifier: Apache-2.0
// The assembler: a line scanner (assemble_line.hpp), one parser for each dialect over it (assemble_canonical.cpp,
// assemble_conformance.cpp), and labels patched at the end. Which words and signs exist is read off insn.def; the
// parsers know only how a form is laid out.
#include "isa/assemble.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>

#include "isa/assemble_operands.hpp"

namespace skep::isa {
namespace {

using namespace assembler;

class Assembler {
  public:
    explicit Assembler(Dialect dialect) : dialect_(dialect) {}

    Result<Assembly> run(std::string_view text) {
        bool inside = true;
        if (dialect_ == Dialect::Conformance) inside = !has_asm_section(text);
        size_t number = 0;
        for (size_t start = 0; start <= text.size();) {
            size_t end = text.find('\n', start);
            if (end == std::string_view::npos) end = text.size();
            std::string_view line = text.substr(start, end - start);
            start = end + 1;
            ++number;
            if (dialect_ == Dialect::Conformance && line.starts_with("-- ")) {
                inside = line.substr(3).starts_with("asm");
                continue;
            }
            if (!inside) continue;
            Line cursor(without_comment(line), number);
            SKEP_TRY(statement(cursor));
            if (out_.code.size() > max_assembled_slots) {
                return Error{Errc::LimitExceeded, Where{.source_line = static_cast<uint32_t>(number)},
                             "the program is too long",
                             fmt::format("a program has at most {} slots", max_assembled_slots)};
            }
        }
        SKEP_TRY(resolve());
        return std::move(out_);
    }

  private:
    /// A place in the code that names a label.
    struct Fixup {
        InsnIndex at = 0;
        std::string label;
        Line line;
        size_t column = 0;
    };

    static bool has_asm_section(std::string_view text) {
        return text.starts_with("-- asm") || text.find("\n-- asm") != std::string_view::npos;
    }
    static std::string_view without_comment(std::string_view line) {
        size_t end = line.find_first_of("#;");
        end = std::min(end, line.find("//"));
        return line.substr(0, end);
    }

    Result<void> statement(Line& line) {
        // label:
        while (is_word_start(line.peek())) {
            const size_t mark = line.mark();
            const std::string_view name = line.word();
            if (line.peek() != ':') {
                line.back(mark);
                break;
            }
            line.eat(":");
            if (defined_.contains(std::string(name)))
                return line.fail(mark, fmt::format("label {} exists twice", name));
            defined_.emplace(name, static_cast<InsnIndex>(out_.code.size()));
            out_.labels.try_emplace(static_cast<InsnIndex>(out_.code.size()), name);
        }
        if (line.done()) return {};
        Insn insn;
        Destination target;
        switch (dialect_) {
            case Dialect::Canonical: SKEP_TRY(canonical_statement(line, insn, target)); break;
            case Dialect::Conformance: SKEP_TRY(conformance_statement(line, insn, target)); break;
        }
        if (!line.done()) return line.expected("the end of the line");
        if (target.distance) {
            SKEP_TRY(set_distance(line, insn, *target.distance));
        } else if (!target.label.empty()) {
            fixups_.push_back({static_cast<InsnIndex>(out_.code.size()), target.label, line, target.column});
        }
        append(out_.code, insn);
        return {};
    }

    static Result<void> set_distance(const Line& line, Insn& insn, const Number& distance) {
        const bool narrow = insn.row().offset.operand;
        if (!distance.fits(narrow ? 16 : 32, true)) return line.fail(distance.column, "the distance is too large");
        if (narrow) {
            insn.offset = static_cast<int16_t>(distance.bits());
        } else {
            insn.imm = static_cast<int32_t>(distance.bits());
        }
        return {};
    }

    Result<void> resolve() {
        for (const Fixup& fixup : fixups_) {
            const auto found = defined_.find(fixup.label);
            if (found == defined_.end()) {
                return fixup.line.fail(fixup.column, fmt::format("there is no label {}", fixup.label));
            }
            if (found->second >= out_.code.size()) {
                return fixup.line.fail(fixup.column, fmt::format("no instruction follows label {}", fixup.label));
            }
            Slot& slot = out_.code[fixup.at];
            const int64_t distance = int64_t{found->second} - fixup.at - 1;
            if (match(slot)->offset.operand) {
                if (distance < INT16_MIN || distance > INT16_MAX) {
                    return fixup.line.fail(fixup.column, fmt::format("{} is {} slots away", fixup.label, distance),
                                           "a jump reaches 32767 slots; use gotol");
                }
                slot.offset = static_cast<int16_t>(distance);
            } else {
                slot.imm = static_cast<int32_t>(distance);
            }
        }
        return {};
    }

    Dialect dialect_;
    Assembly out_;
    std::map<std::string, InsnIndex, std::less<>> defined_;
    std::vector<Fixup> fixups_;
};

}  // namespace

Result<Assembly> assemble_labelled(std::string_view text, Dialect dialect) { return Assembler(dialect).run(text); }

Result<Code> assemble(std::string_view text, Dialect dialect) {
    SKEP_ASSIGN(Assembly assembly, assemble_labelled(text, dialect));
    return std::move(assembly.code);
}

}  // namespace skep::isa
