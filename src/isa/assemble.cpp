// SPDX-License-Identifier: Apache-2.0
// The assembler: a line scanner, one parser for each dialect over it, and labels patched at the end. Which words and
// signs exist is read off insn.def; the parsers know only how a form is laid out.
#include "isa/assemble.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>

#include "isa/assemble_line.hpp"

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
        Destination destination;
        switch (dialect_) {
            case Dialect::Canonical: SKEP_TRY(canonical(line, insn, destination)); break;
            case Dialect::Conformance: SKEP_TRY(conformance(line, insn, destination)); break;
        }
        if (!line.done()) return line.expected("the end of the line");
        if (destination.distance) {
            SKEP_TRY(set_distance(line, insn, *destination.distance));
        } else if (!destination.label.empty()) {
            fixups_.push_back({static_cast<InsnIndex>(out_.code.size()), destination.label, line, destination.column});
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

    static Result<int32_t> imm32(const Line& line, const Number& n, bool is_signed) {
        if (!n.fits(32, is_signed)) {
            return line.fail(n.column, "the number does not fit in 32 bits",
                             is_signed ? "an immediate of a 64-bit operation is 32 bits and keeps its sign; write "
                                         "`rN = ... ll` for larger ones"
                                       : "");
        }
        return static_cast<int32_t>(static_cast<uint32_t>(n.bits()));
    }

    /// +0x4, -3, or a label; a note in angle brackets may follow a number.
    static Result<void> destination(Line& line, Destination& out) {
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

    /// Takes `<...>`; returns what is inside, empty if there is none.
    static Result<std::string_view> note(Line& line) {
        if (line.peek() != '<') return std::string_view{};
        const std::string_view rest = line.rest();
        const size_t end = rest.find('>');
        if (end == std::string_view::npos) return line.fail(line.column(), "'<' without '>'");
        line.eat(rest.substr(0, end + 1));
        return rest.substr(1, end - 1);
    }
    /// The number of a note `<+0x8>`, 0 if there is no note.
    static Result<int32_t> note_number(Line& line) {
        if (!line.eat("<")) return 0;
        SKEP_ASSIGN(const Number n, line.number_value());
        SKEP_TRY(line.need(">"));
        return imm32(line, n, false);
    }

    // ---- canonical ----

    Result<void> canonical(Line& line, Insn& insn, Destination& dest) {
        if (line.eat("exit")) return set(insn, Op::Exit);
        if (line.eat("if")) return canonical_if(line, insn, dest);
        if (line.eat("call")) return canonical_call(line, insn, dest);
        if (line.eat("callx")) {
            insn.op = Op::CallX;
            SKEP_ASSIGN(const Register r, line.need_reg64());
            insn.dst = r.number;
            return {};
        }
        if (line.eat("lock")) return canonical_lock(line, insn);
        if (line.eat("ld_pseudo")) return canonical_pseudo(line, insn);
        if (line.eat("store_release")) {
            SKEP_TRY(line.need("("));
            SKEP_TRY(line.need("("));
            SKEP_ASSIGN(const std::string_view type, canonical_type(line));
            SKEP_TRY(canonical_address(line, insn.dst, insn.offset, true));
            SKEP_TRY(line.need(","));
            SKEP_ASSIGN(const Register r, line.need_reg());
            insn.src = r.number;
            SKEP_TRY(line.need(")"));
            return pick(line, insn,
                        [&](const Row& row) { return row.operation == Operation::StoreRelease && row.text == type; });
        }
        if (line.peek() == '*') return canonical_store(line, insn);
        const size_t start = line.column();
        if (const auto r = line.reg()) return canonical_assignment(line, insn, dest, *r);
        // goto, gotol, may_goto: the words of the forms that only have a target
        const std::string_view word = line.word();
        const Row* row = find_row([&](const Row& candidate) {
            return (candidate.form == Form::Target || candidate.form == Form::TargetImm) && candidate.text == word;
        });
        if (row == nullptr) return line.fail(start, "this is no instruction");
        insn.op = row->op;
        return destination(line, dest);
    }

    static Result<void> set(Insn& insn, Op op) {
        insn.op = op;
        return {};
    }

    template <typename Predicate>
    static Result<void> pick(const Line& line, Insn& insn, Predicate wanted) {
        const Row* row = find_row(wanted);
        if (row == nullptr) return line.fail(0, "no instruction has this combination of operation and width");
        insn.op = row->op;
        return {};
    }

    Result<void> canonical_if(Line& line, Insn& insn, Destination& dest) {
        SKEP_ASSIGN(const Register left, line.need_reg());
        insn.dst = left.number;
        const std::string_view sign = line.eat_text([](const Row& row) { return row.is_conditional_compare(); });
        if (sign.empty()) return line.expected("a comparison");
        const size_t column = line.column();
        const auto right = line.reg();
        if (right) {
            if (right->bits != left.bits) return line.fail(column, "both registers must have the same width");
            insn.src = right->number;
        } else {
            SKEP_ASSIGN(const Number n, line.number_value());
            SKEP_ASSIGN(insn.imm, imm32(line, n, left.bits == 64));
        }
        SKEP_TRY(pick(line, insn, [&](const Row& row) {
            return row.form == (right ? Form::JumpSrc : Form::JumpImm) && row.text == sign &&
                   row.width_bits() == left.bits;
        }));
        SKEP_TRY(line.need("goto"));
        return destination(line, dest);
    }

    Result<void> canonical_call(Line& line, Insn& insn, Destination& dest) {
        if (!line.at_number()) {
            insn.op = Op::CallLocal;
            return destination(line, dest);
        }
        SKEP_ASSIGN(const Number n, line.number_value());
        SKEP_ASSIGN(insn.imm, imm32(line, n, false));
        SKEP_ASSIGN(const std::string_view kind, note(line));
        insn.op = kind.empty() ? Op::Call : kind == "kfunc" ? Op::CallKfunc : Op::CallLocal;
        return {};
    }

    /// `u32 *)` after its opening parenthesis; the type.
    static Result<std::string_view> canonical_type(Line& line) {
        const std::string_view type = line.word();
        if (type.empty()) return line.expected("a type, u8 to u64 or s8 to s32");
        SKEP_TRY(line.need("*"));
        SKEP_TRY(line.need(")"));
        return type;
    }

    /// `(r1 + 0x4)`, the parentheses only if asked for.
    static Result<void> canonical_address(Line& line, uint8_t& reg, int16_t& offset, bool parentheses) {
        if (parentheses) SKEP_TRY(line.need("("));
        SKEP_ASSIGN(const Register r, line.need_reg64());
        reg = r.number;
        if (line.peek() == '+' || line.peek() == '-') {
            SKEP_ASSIGN(const Number n, line.number_value());
            if (!n.fits(16, true)) return line.fail(n.column, "the offset does not fit in 16 bits");
            offset = static_cast<int16_t>(n.bits());
        }
        if (parentheses) SKEP_TRY(line.need(")"));
        return {};
    }

    Result<void> canonical_lock(Line& line, Insn& insn) {
        SKEP_TRY(line.need("*"));
        SKEP_TRY(line.need("("));
        SKEP_ASSIGN(const std::string_view type, canonical_type(line));
        SKEP_TRY(canonical_address(line, insn.dst, insn.offset, true));
        const std::string_view sign = line.eat_text([](const Row& row) { return row.form == Form::Atomic; });
        if (sign.empty()) return line.expected("+=, |=, &= or ^=");
        SKEP_ASSIGN(const Register r, line.need_reg());
        insn.src = r.number;
        return pick(line, insn, [&](const Row& row) {
            return row.form == Form::Atomic && row.text == sign && type == (row.width_bits() == 64 ? "u64" : "u32");
        });
    }

    Result<void> canonical_pseudo(Line& line, Insn& insn) {
        SKEP_ASSIGN(const Register r, line.need_reg64());
        insn.dst = r.number;
        SKEP_TRY(line.need(","));
        SKEP_ASSIGN(const Number kind, line.number_value());
        SKEP_TRY(line.need(","));
        SKEP_ASSIGN(const Number n, line.number_value());
        SKEP_ASSIGN(insn.imm, imm32(line, n, false));
        const size_t column = line.column();
        SKEP_ASSIGN(insn.next_imm, note_number(line));
        const Row* row = find_row([&](const Row& candidate) {
            return candidate.is_wide() && candidate.form != Form::WideImm64 &&
                   candidate.src_reg.value == static_cast<int64_t>(kind.bits());
        });
        if (row == nullptr) return line.fail(kind.column, "pseudo loads are numbered 1 to 6");
        insn.op = row->op;
        if (insn.next_imm != 0 && !row->has_next_imm()) return line.fail(column, "this load has no second number");
        return {};
    }

    Result<void> canonical_store(Line& line, Insn& insn) {
        SKEP_TRY(line.need("*"));
        SKEP_TRY(line.need("("));
        SKEP_ASSIGN(const std::string_view type, canonical_type(line));
        SKEP_TRY(canonical_address(line, insn.dst, insn.offset, true));
        SKEP_TRY(line.need("="));
        const auto r = line.reg();
        if (r) {
            insn.src = r->number;
        } else {
            SKEP_ASSIGN(const Number n, line.number_value());
            SKEP_ASSIGN(insn.imm, imm32(line, n, type == "u64"));
        }
        return pick(line, insn, [&](const Row& row) {
            return row.operation == Operation::Store && row.form == (r ? Form::StoreSrc : Form::StoreImm) &&
                   row.text == type;
        });
    }

    Result<void> canonical_assignment(Line& line, Insn& insn, Destination& dest, Register left) {
        insn.dst = left.number;
        const std::string_view sign = line.eat_text(
            [](const Row& row) { return row.is_alu() && (row.form == Form::DstImm || row.form == Form::MovImm); });
        if (sign.empty()) return line.expected("an assignment such as = or +=");
        if (sign == "=" && !line.at_number()) return canonical_value(line, insn, dest, left);
        const size_t column = line.column();
        if (const auto right = line.reg()) {
            if (right->bits != left.bits) return line.fail(column, "both registers must have the same width");
            insn.src = right->number;
            return pick(line, insn, [&](const Row& row) {
                return row.form == Form::DstSrc && row.text == sign && row.width_bits() == left.bits;
            });
        }
        if (sign == "=" && line.peek() == '-') {  // a number, or a negated register
            const size_t mark = line.mark();
            line.eat("-");
            if (const auto right = line.reg()) {
                if (right->number != left.number || right->bits != left.bits) {
                    return line.fail(column, "only a register's own negative can be assigned", "write rN = -rN");
                }
                return pick(line, insn, [&](const Row& row) {
                    return row.operation == Operation::Neg && row.width_bits() == left.bits;
                });
            }
            line.back(mark);
        }
        SKEP_ASSIGN(const Number n, line.number_value());
        if (sign == "=" && line.eat("ll")) {
            if (left.bits != 64) return line.fail(left.column, "a 64-bit number needs an r register");
            if (n.negative && n.magnitude > uint64_t{1} << 63) return line.fail(n.column, "the number is too small");
            insn.op = Op::LdImm64;
            insn.set_imm64(n.bits());
            return {};
        }
        SKEP_ASSIGN(insn.imm, imm32(line, n, left.bits == 64));
        return pick(line, insn, [&](const Row& row) {
            return row.is_alu() && (row.form == Form::DstImm || row.form == Form::MovImm) && row.text == sign &&
                   row.width_bits() == left.bits;
        });
    }

    /// What stands right of `rN =` and is no number.
    Result<void> canonical_value(Line& line, Insn& insn, Destination& dest, Register left) {
        const size_t start = line.column();
        if (const auto right = line.reg()) {
            if (right->bits != left.bits) return line.fail(start, "both registers must have the same width");
            insn.src = right->number;
            return pick(line, insn, [&](const Row& row) {
                return row.form == Form::MovSrc && row.operation == Operation::Mov && row.width_bits() == left.bits;
            });
        }
        if (line.eat("(")) {  // (s8)r1
            const std::string_view type = line.word();
            SKEP_TRY(line.need(")"));
            SKEP_ASSIGN(const Register right, line.need_reg());
            if (right.bits != left.bits) return line.fail(right.column, "both registers must have the same width");
            insn.src = right.number;
            const Row* row = find_row([&](const Row& candidate) {
                return candidate.form == Form::MovSrc && candidate.text == type && candidate.width_bits() == left.bits;
            });
            if (row == nullptr) return line.fail(start, "sign extension is from s8, s16, or s32 into an r register");
            insn.op = row->op;
            return {};
        }
        if (line.eat("*")) {
            SKEP_TRY(line.need("("));
            SKEP_ASSIGN(const std::string_view type, canonical_type(line));
            if (line.eat("skb")) return canonical_packet(line, insn, left, type);
            SKEP_TRY(canonical_address(line, insn.src, insn.offset, true));
            return pick(line, insn, [&](const Row& row) {
                return (row.operation == Operation::Load || row.operation == Operation::LoadSigned) && row.text == type;
            });
        }
        const std::string_view word = line.word();
        if (word.empty()) return line.expected("a value");
        if (word == row_of(Op::AddrSpaceCast).text) return canonical_cast(line, insn);
        if (word == "load_acquire") {
            SKEP_TRY(line.need("("));
            SKEP_TRY(line.need("("));
            SKEP_ASSIGN(const std::string_view type, canonical_type(line));
            SKEP_TRY(canonical_address(line, insn.src, insn.offset, true));
            SKEP_TRY(line.need(")"));
            return pick(line, insn,
                        [&](const Row& row) { return row.operation == Operation::LoadAcquire && row.text == type; });
        }
        // be16 r1, bswap32 r1
        if (const Row* row = find_row([&](const Row& candidate) {
                return candidate.form == Form::Dst && candidate.operation != Operation::Neg && candidate.text == word;
            })) {
            SKEP_ASSIGN(const Register right, line.need_reg());
            if (right.number != left.number) {
                return line.fail(right.column, "byte order is changed in place", "name the same register twice");
            }
            insn.op = row->op;
            return {};
        }
        // atomic_fetch_add((u64 *)(r1 + 0x0), r2), xchg_64(r1 + 0x0, r2), cmpxchg_64(r1 + 0x0, r0, r2)
        if (find_row([&](const Row& row) { return row.is_atomic() && row.text == word; }) != nullptr) {
            return canonical_fetch(line, insn, left, word, start);
        }
        if (line.eat("ll")) {
            insn.op = Op::LdFunc;
            dest.label = word;
            dest.column = start;
            return {};
        }
        return line.fail(start, fmt::format("{} is no value", word));
    }

    static Result<void> canonical_packet(Line& line, Insn& insn, Register left, std::string_view type) {
        if (left.number != 0) return line.fail(left.column, "packet loads go to r0");
        insn.dst = 0;
        SKEP_TRY(line.need("["));
        const auto r = line.reg();
        if (r) {
            insn.src = r->number;
            SKEP_TRY(line.need("]"));
            SKEP_ASSIGN(insn.imm, note_number(line));
        } else {
            SKEP_ASSIGN(const Number n, line.number_value());
            SKEP_ASSIGN(insn.imm, imm32(line, n, false));
            SKEP_TRY(line.need("]"));
        }
        return pick(line, insn, [&](const Row& row) {
            return row.form == (r ? Form::PacketInd : Form::PacketAbs) && row.text == type;
        });
    }

    static Result<void> canonical_cast(Line& line, Insn& insn) {
        SKEP_TRY(line.need("("));
        SKEP_ASSIGN(const Register r, line.need_reg64());
        insn.src = r.number;
        SKEP_TRY(line.need(","));
        SKEP_ASSIGN(const Number to, line.number_value());
        SKEP_TRY(line.need(","));
        SKEP_ASSIGN(const Number from, line.number_value());
        SKEP_TRY(line.need(")"));
        if (to.bits() > 0xffff) return line.fail(to.column, "an address space has 16 bits");
        if (from.bits() > 0xffff) return line.fail(from.column, "an address space has 16 bits");
        insn.op = Op::AddrSpaceCast;
        insn.imm = static_cast<int32_t>(static_cast<uint32_t>(to.bits() << 16 | from.bits()));
        return {};
    }

    static Result<void> canonical_fetch(Line& line, Insn& insn, Register left, std::string_view word, size_t start) {
        SKEP_TRY(line.need("("));
        std::string_view type;
        if (line.eat("(")) {
            SKEP_ASSIGN(type, canonical_type(line));
            SKEP_TRY(canonical_address(line, insn.dst, insn.offset, true));
        } else {
            SKEP_TRY(canonical_address(line, insn.dst, insn.offset, false));
        }
        const Row* row = find_row([&](const Row& candidate) {
            return candidate.is_atomic() && candidate.text == word &&
                   (type.empty() ? candidate.operation == Operation::AtomicXchg ||
                                       candidate.operation == Operation::AtomicCmpxchg
                                 : type == (candidate.width_bits() == 64 ? "u64" : "u32"));
        });
        if (row == nullptr) return line.fail(start, "this atomic operation has no such form");
        insn.op = row->op;
        SKEP_TRY(line.need(","));
        if (row->form == Form::AtomicCmpxchg) {
            SKEP_ASSIGN(const Register expected, line.need_reg());
            if (expected.number != 0 || left.number != 0) {
                return line.fail(expected.column, "the value compared with, and the result, are in r0");
            }
            SKEP_TRY(line.need(","));
        }
        SKEP_ASSIGN(const Register source, line.need_reg());
        insn.src = source.number;
        if (row->form == Form::AtomicFetch && source.number != left.number) {
            return line.fail(source.column, "the value before comes back in the source register",
                             "name the same register twice");
        }
        return line.need(")");
    }

    // ---- conformance ----

    Result<void> conformance(Line& line, Insn& insn, Destination& dest) {
        // The longest mnemonic of up to three words ("lock fetch add").
        const size_t start = line.mark();
        std::string words, mnemonic;
        size_t after = start;
        for (int i = 0; i < 3 && is_word_start(line.peek()); ++i) {
            words += (i == 0 ? "" : " ") + std::string(line.word());
            if (words == "call" || find_row([&](const Row& row) { return row.mnemonic == words; }) != nullptr) {
                mnemonic = words;
                after = line.mark();
            }
        }
        if (mnemonic.empty()) {
            line.back(start);
            return line.fail(start, "this is no instruction");
        }
        line.back(after);
        if (mnemonic == "call") mnemonic = row_of(Op::Call).mnemonic;  // the suite's older spelling
        // Rows of one mnemonic differ in the kind of their second operand only.
        const Row* row = find_row([&](const Row& candidate) { return candidate.mnemonic == mnemonic; });
        const auto other = [&](Form form) {
            return find_row([&](const Row& c) { return c.mnemonic == mnemonic && c.form == form; });
        };
        insn.op = row->op;
        switch (row->form) {
            case Form::None: return {};
            case Form::DstImm:
            case Form::DstSrc:
            case Form::MovImm:
            case Form::MovSrc: {
                SKEP_TRY(conformance_reg(line, insn.dst));
                SKEP_TRY(line.need(","));
                if (const auto r = line.reg(true)) {
                    const Row* by_register = other(row->form == Form::DstImm ? Form::DstSrc : Form::MovSrc);
                    insn.op = by_register->op;
                    insn.src = r->number;
                    return {};
                }
                if (row->form == Form::MovSrc) return line.expected("a register");
                return conformance_imm(line, insn.imm);
            }
            case Form::MovSrcImm:
                SKEP_TRY(conformance_reg(line, insn.dst));
                SKEP_TRY(line.need(","));
                SKEP_TRY(conformance_reg(line, insn.src));
                SKEP_TRY(line.need(","));
                return conformance_imm(line, insn.imm);
            case Form::Dst:
            case Form::CallDst: return conformance_reg(line, insn.dst);
            case Form::Target:
            case Form::TargetImm:
            case Form::CallTarget: return conformance_target(line, dest);
            case Form::JumpImm:
            case Form::JumpSrc:
                SKEP_TRY(conformance_reg(line, insn.dst));
                SKEP_TRY(line.need(","));
                if (const auto r = line.reg(true)) {
                    insn.op = other(Form::JumpSrc)->op;
                    insn.src = r->number;
                } else {
                    SKEP_TRY(conformance_imm(line, insn.imm));
                }
                SKEP_TRY(line.need(","));
                return conformance_target(line, dest);
            case Form::CallImm:
            case Form::PacketAbs: return conformance_imm(line, insn.imm);
            case Form::WideImm64: {
                SKEP_TRY(conformance_reg(line, insn.dst));
                SKEP_TRY(line.need(","));
                SKEP_ASSIGN(const Number n, line.number_value());
                insn.set_imm64(n.bits());
                return {};
            }
            case Form::WideImm:
                SKEP_TRY(conformance_reg(line, insn.dst));
                SKEP_TRY(line.need(","));
                return conformance_imm(line, insn.imm);
            case Form::WideImmNext:
                SKEP_TRY(conformance_reg(line, insn.dst));
                SKEP_TRY(line.need(","));
                SKEP_TRY(conformance_imm(line, insn.imm));
                SKEP_TRY(line.need(","));
                return conformance_imm(line, insn.next_imm);
            case Form::WideTarget:
                SKEP_TRY(conformance_reg(line, insn.dst));
                SKEP_TRY(line.need(","));
                return conformance_target(line, dest);
            case Form::LoadMem:
                SKEP_TRY(conformance_reg(line, insn.dst));
                SKEP_TRY(line.need(","));
                return conformance_memory(line, insn.src, insn.offset);
            case Form::StoreImm:
                SKEP_TRY(conformance_memory(line, insn.dst, insn.offset));
                SKEP_TRY(line.need(","));
                return conformance_imm(line, insn.imm);
            case Form::StoreSrc:
            case Form::Atomic:
            case Form::AtomicFetch:
            case Form::AtomicCmpxchg:
                SKEP_TRY(conformance_memory(line, insn.dst, insn.offset));
                SKEP_TRY(line.need(","));
                return conformance_reg(line, insn.src);
            case Form::PacketInd:
                SKEP_TRY(conformance_reg(line, insn.src));
                SKEP_TRY(line.need(","));
                return conformance_imm(line, insn.imm);
        }
        return {};
    }

    static Result<void> conformance_reg(Line& line, uint8_t& out) {
        SKEP_ASSIGN(const Register r, line.need_reg(true));
        out = r.number;
        return {};
    }
    static Result<void> conformance_imm(Line& line, int32_t& out) {
        SKEP_ASSIGN(const Number n, line.number_value());
        SKEP_ASSIGN(out, imm32(line, n, false));
        return {};
    }
    static Result<void> conformance_target(Line& line, Destination& dest) { return destination(line, dest); }
    static Result<void> conformance_memory(Line& line, uint8_t& reg, int16_t& offset) {
        SKEP_TRY(line.need("["));
        SKEP_TRY(conformance_reg(line, reg));
        if (line.peek() != ']') {
            SKEP_ASSIGN(const Number n, line.number_value());
            if (!n.fits(16, true)) return line.fail(n.column, "the offset does not fit in 16 bits");
            offset = static_cast<int16_t>(n.bits());
        }
        return line.need("]");
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
