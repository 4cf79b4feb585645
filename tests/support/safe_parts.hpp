// SPDX-License-Identifier: Apache-2.0
// What safe programs are made of: registers that hold numbers, operations on them, bounds, accesses, calls. The
// statements are safe_generator.cpp's.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "isa/insn.hpp"
#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "support/safe_generator.hpp"

namespace skep::testing {

using isa::Form;
using isa::Insn;
using isa::Op;
using isa::Operation;
using platform::ArgKind;
using platform::HelperId;

// The frame: numbers below, then pointers of statements, then what loops and the context hold.
constexpr int numbers_low = -128, numbers_high = -64;
constexpr int buffer_low = -256;                                       // to numbers_low: what helpers get
constexpr int key_slot = -40, pointer_slot = -48, counter_slots = -8;  // -8, -16, -24

struct Label {
    struct From {
        isa::InsnIndex at;
        uint16_t numbers;
    };
    std::vector<From> from;
};

class SafeParts {
  protected:
    explicit SafeParts(Choices& c) : c_(c) {}

    isa::InsnIndex here() const { return static_cast<isa::InsnIndex>(code_.size()); }
    void emit(const Insn& insn) { isa::append(code_, insn); }
    static uint8_t r(uint32_t n) { return static_cast<uint8_t>(n); }
    bool is_number(unsigned reg) const { return (numbers_ >> reg & 1) != 0; }
    void number(unsigned reg) { numbers_ = static_cast<uint16_t>(numbers_ | 1u << reg); }
    void junk(unsigned reg) { numbers_ = static_cast<uint16_t>(numbers_ & ~(1u << reg)); }

    void branch(Label& label, Insn insn) {
        label.from.push_back({here(), numbers_});
        emit(insn);
    }
    void go(Label& label) {
        branch(label, {.op = c_.chance(4) ? Op::JaLong : Op::Ja});
        dead_ = true;
    }
    void place(Label& label) {
        uint16_t all = dead_ ? 0xffff : numbers_;
        dead_ = false;
        for (const auto& f : label.from) {
            all &= f.numbers;
            isa::Slot& slot = code_[f.at];
            const auto distance = static_cast<int32_t>(here() - f.at - 1);
            const isa::Row* row = isa::match(slot);
            if (row != nullptr && row->form == Form::TargetImm) {
                slot.imm = distance;
            } else {
                slot.offset = static_cast<int16_t>(distance);
            }
        }
        numbers_ = all;
    }

    int32_t constant() {
        // clang-format off
        static constexpr int32_t edges[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 31, 32, 33, 63, 64, 100, 127, 128, 255, 256,
                                            -1, -2, -8, -16, -128, 65535, 0x7fffffff, INT32_MIN, 1000003, 0x10000};
        // clang-format on
        if (c_.chance(4)) return static_cast<int32_t>(c_.word());
        return edges[c_.below(std::size(edges))];
    }
    /// r6 is the context; registers in pinned_ belong to an enclosing statement.
    uint8_t target(bool kept = false) {
        for (;;) {
            const uint8_t reg = r(kept ? 7 + c_.below(3) : c_.below(10));
            if (reg != 6 && !(pinned_ >> reg & 1)) return reg;
            if (kept && (pinned_ >> 7 & 7) == 7) return 1;
        }
    }
    uint8_t any_number() {
        for (int tries = 0; tries < 6; ++tries) {
            const uint8_t reg = r(c_.below(10));
            if (is_number(reg)) return reg;
        }
        const uint8_t reg = target();
        load_number(reg);
        return reg;
    }
    uint8_t number_target() {
        const uint8_t reg = target();
        if (!is_number(reg)) load_number(reg);
        return reg;
    }
    /// Something unknown, or a constant, into a register.
    void load_number(uint8_t reg) {
        switch (c_.below(8)) {
            case 0: emit({.op = c_.chance(2) ? Op::Mov64K : Op::Mov32K, .dst = reg, .imm = constant()}); break;
            case 1:
            case 2:
            case 3:
                if (current_ == 0 && context_load(reg)) break;
                [[fallthrough]];
            case 4: {
                const isa::Row& row = any_row(Form::LoadMem, false);
                emit({.op = row.op, .dst = reg, .src = 10, .offset = number_slot(row.access_bytes())});
                break;
            }
            case 5: {
                Insn insn{.op = Op::LdImm64, .dst = reg};
                insn.set_imm64(c_.word() >> c_.below(64));
                emit(insn);
                break;
            }
            default:
                emit({.op = Op::LdMapValue,
                      .dst = reg,
                      .imm = static_cast<int32_t>(c_.chance(3) ? DataMap : WideMap),
                      .next_imm = 0});
                emit({.op = any_row(Form::LoadMem, false).op,
                      .dst = reg,
                      .src = reg,
                      .offset = static_cast<int16_t>(8 * c_.below(2))});
                break;
        }
        number(reg);
    }
    /// A number from a field of the context, r6.
    bool context_load(uint8_t reg) {
        if (fields_.empty()) return false;
        for (int tries = 0; tries < 12; ++tries) {
            const platform::FieldRow& field = fields_[c_.below(static_cast<uint32_t>(fields_.size()))];
            if (field.kind != platform::FieldKind::Scalar ||
                !field.readable_by(out_.type, out_.attach, platform::Personality::Linux))
                continue;
            if (const auto insn = field_access(field, Form::LoadMem)) {
                emit({.op = insn->op, .dst = reg, .src = 6, .offset = insn->offset});
                return true;
            }
        }
        return false;
    }
    void context_store() {
        if (current_ != 0 || fields_.empty()) return;
        for (int tries = 0; tries < 12; ++tries) {
            const platform::FieldRow& field = fields_[c_.below(static_cast<uint32_t>(fields_.size()))];
            if (field.kind != platform::FieldKind::Scalar ||
                !field.writable_by(out_.type, out_.attach, platform::Personality::Linux))
                continue;
            const bool immediate = c_.chance(2);
            if (const auto insn = field_access(field, immediate ? Form::StoreImm : Form::StoreSrc)) {
                Insn store{.op = insn->op, .dst = 6, .offset = insn->offset};
                if (immediate)
                    store.imm = constant();
                else
                    store.src = any_number();
                emit(store);
                return;
            }
        }
    }
    /// An access that the field allows; only its operation and offset count.
    std::optional<Insn> field_access(const platform::FieldRow& field, Form form) {
        if (field.hole != nullptr || field.linux_bytes == 0) return {};
        const isa::Row& row = any_row(form, false);
        const unsigned width = row.access_bytes();
        const uint32_t at = field.linux_offset + width * c_.below(std::max(1u, field.linux_bytes / width));
        if (at > 480 ||
            !platform::context_access_fits(field, platform::Personality::Linux, at, width, form != Form::LoadMem))
            return {};
        return Insn{.op = row.op, .offset = static_cast<int16_t>(at)};
    }
    const platform::FieldRow* field_of(platform::FieldKind kind) {
        for (const platform::FieldRow& field : fields_) {
            if (field.kind == kind && field.hole == nullptr &&
                field.readable_by(out_.type, out_.attach, platform::Personality::Linux))
                return &field;
        }
        return nullptr;
    }
    void load_field(uint8_t reg, const platform::FieldRow& field) {
        emit({.op = field.linux_bytes == 8 ? Op::LdxDw : Op::LdxW,
              .dst = reg,
              .src = 6,
              .offset = static_cast<int16_t>(field.linux_offset)});
        junk(reg);
    }
    int16_t number_slot(unsigned bytes) {
        const int at =
            numbers_low + static_cast<int>(c_.below(static_cast<uint32_t>(numbers_high - numbers_low) / bytes)) *
                              static_cast<int>(bytes);
        return static_cast<int16_t>(at);
    }
    const isa::Row& any_row(Form form, bool ordered = true) {
        for (;;) {
            const isa::Row& row = isa::rows()[c_.below(static_cast<uint32_t>(isa::rows().size()))];
            if (row.form != form || row.operation == Operation::AddrSpaceCast) continue;
            if (!ordered && (row.operation == Operation::LoadAcquire || row.operation == Operation::StoreRelease))
                continue;
            return row;
        }
    }

    void arithmetic() {
        static constexpr Form forms[] = {Form::DstImm, Form::DstSrc, Form::DstImm, Form::DstSrc,
                                         Form::MovImm, Form::MovSrc, Form::Dst};
        const isa::Row& row = any_row(forms[c_.below(std::size(forms))]);
        Insn insn{.op = row.op, .imm = constant()};
        const Operation op = row.operation;
        const bool shift = op == Operation::Lsh || op == Operation::Rsh || op == Operation::Arsh;
        const bool divides =
            op == Operation::Div || op == Operation::Mod || op == Operation::Sdiv || op == Operation::Smod;
        if (shift && !row.has_src()) insn.imm = static_cast<int32_t>(c_.below(row.width_bits()));
        if (divides && insn.imm == 0) insn.imm = 7;
        if (row.form == Form::Dst) insn.imm = 0;
        if (row.has_src()) insn.src = any_number();
        const bool reads = row.form == Form::DstImm || row.form == Form::DstSrc || row.form == Form::Dst;
        insn.dst = reads ? number_target() : target();
        if (row.has_src() && !is_number(insn.src)) return;
        emit(insn);
        number(insn.dst);
    }
    /// x << k >> k, an alignment, a difference, a quotient of what is known to be large: what compilers make of C.
    void idiom() {
        const uint8_t a = number_target(), b = any_number();
        const int k = c_.chance(2) ? 32 : 56;
        const auto two = [&](const Insn& first, const Insn& second) { emit(first), emit(second); };
        // clang-format off
        switch (c_.below(6)) {
            case 0: two({.op = Op::Lsh64K, .dst = a, .imm = k}, {.op = c_.chance(2) ? Op::Rsh64K : Op::Arsh64K, .dst = a, .imm = k}); break;
            case 1: two({.op = Op::Add64K, .dst = a, .imm = 7}, {.op = Op::And64K, .dst = a, .imm = -8}); break;
            case 2: emit({.op = Op::Xor64K, .dst = a, .imm = -1}); break;
            case 3: two({.op = Op::Mov32X, .dst = a, .src = b}, {.op = Op::Lsh64K, .dst = a, .imm = static_cast<int32_t>(c_.below(4))}); break;
            case 4: two({.op = Op::Sub64X, .dst = a, .src = b}, {.op = Op::Add64X, .dst = a, .src = b}); break;
            default:
                if (a == b || (pinned_ >> b & 1) != 0 || b == 6) break;
                two({.op = Op::Or64K, .dst = a, .imm = 64}, {.op = Op::And64K, .dst = b, .imm = 7});
                emit({.op = any_division(), .dst = a, .src = b});
                break;
        }
        // clang-format on
        number(a);
    }
    Op any_division() {
        static constexpr Op all[] = {Op::Div64X,  Op::Mod64X, Op::Div32X, Op::Mod32X, Op::Sdiv64X,
                                     Op::Smod64X, Op::Rsh64X, Op::Lsh64X, Op::Arsh32X};
        return all[c_.below(std::size(all))];
    }
    void spill() {
        if (c_.chance(2)) {
            const isa::Row& row = c_.chance(3) ? any_row(Form::StoreImm) : any_row(Form::StoreSrc);
            Insn insn{.op = row.op, .dst = 10, .offset = number_slot(row.access_bytes()), .imm = constant()};
            if (row.has_src()) insn.src = any_number();
            emit(insn);
        } else {
            const isa::Row& row = any_row(Form::LoadMem);
            const uint8_t reg = target();
            emit({.op = row.op, .dst = reg, .src = 10, .offset = number_slot(row.access_bytes())});
            number(reg);
        }
    }
    /// Of a sum that may wrap around: with what it was made of, or with another number.
    std::optional<Insn> wrapping_comparison() {
        const uint8_t from = target(), made = target(), other = any_number();
        if (from == made || other == made || other == from) return {};
        emit({.op = Op::LdMapValue, .dst = from, .imm = WideMap});
        emit({.op = Op::LdxDw, .dst = from, .src = from, .offset = static_cast<int16_t>(8 * c_.below(wide_value / 8))});
        emit({.op = Op::Mov64X, .dst = made, .src = from});
        emit({.op = c_.chance(2) ? Op::Add64K : Op::Sub64K, .dst = made, .imm = constant()});
        number(from), number(made);
        static constexpr Op orders[] = {Op::Jsgt64X, Op::Jsge64X, Op::Jslt64X, Op::Jsle64X, Op::Jgt64X, Op::Jlt64X};
        Insn insn{.op = orders[c_.below(std::size(orders))], .dst = made, .src = c_.chance(2) ? from : other};
        if (c_.chance(2)) std::swap(insn.dst, insn.src);
        return insn;
    }
    /// Of two numbers, or of something made of them, while they stay what they are.
    Insn comparison() {
        if (c_.chance(10)) {
            if (const auto insn = wrapping_comparison()) return *insn;
        }
        const isa::Row& row = any_row(c_.chance(3) ? Form::JumpSrc : Form::JumpImm);
        Insn insn{.op = row.op, .dst = any_number(), .imm = constant()};
        if (row.has_src()) insn.src = any_number();
        if (row.has_src() && !is_number(insn.dst)) insn.dst = insn.src;
        if (!c_.chance(3)) return insn;
        const uint8_t made = target(), other = any_number();
        if (made == insn.dst || made == insn.src || made == other) return insn;
        static constexpr Op with_constant[] = {Op::Add64K, Op::Sub64K, Op::Lsh64K, Op::Rsh64K, Op::And64K, Op::Mul64K};
        emit({.op = c_.chance(4) ? Op::Mov32X : Op::Mov64X, .dst = made, .src = insn.dst});
        if (c_.chance(2)) {
            emit({.op = c_.chance(2) ? Op::Add64X : Op::Sub64X, .dst = made, .src = other});
        } else {
            const uint32_t which = c_.below(6);
            emit({.op = with_constant[which],
                  .dst = made,
                  .imm = which / 2 == 1 ? static_cast<int32_t>(c_.below(64)) : constant()});
        }
        number(insn.dst = made);
        return insn;
    }
    /// Two ways that meet at once: what is known before must be known behind.
    void diamond() {
        Label end;
        branch(end, comparison());
        for (uint32_t i = 1 + c_.below(2); i > 0; --i) c_.chance(4) ? spill() : arithmetic();
        place(end);
    }

    /// Makes `reg`, a number, lie in [0, limit], or goes to `out`. Now and then it is just too weak.
    void bound(uint8_t reg, int limit, Label& out) {
        if (c_.chance(16)) ++limit;
        const auto at_most = [&](Op above, Op at_least) {
            if (c_.chance(2)) {
                branch(out, {.op = above, .dst = reg, .imm = limit});
            } else {
                branch(out, {.op = at_least, .dst = reg, .imm = limit + 1});
            }
        };
        int mask = 1;
        while (mask * 2 <= limit + 1) mask *= 2;
        switch (c_.below(11)) {
            case 0: emit({.op = Op::And64K, .dst = reg, .imm = mask - 1}); break;
            case 1: emit({.op = Op::And32K, .dst = reg, .imm = mask - 1}); break;
            case 2: emit({.op = c_.chance(2) ? Op::Mod64K : Op::Mod32K, .dst = reg, .imm = limit + 1}); break;
            case 3:
            case 4: at_most(Op::Jgt64K, Op::Jge64K); break;
            case 5:
                if (c_.chance(2))
                    emit({.op = Op::Mov32X, .dst = reg, .src = reg});
                else
                    emit({.op = Op::Add32K, .dst = reg, .imm = constant()});
                at_most(Op::Jgt32K, Op::Jge32K);
                break;
            case 6:
                if (!c_.chance(12)) branch(out, {.op = Op::Jslt64K, .dst = reg, .imm = 0});
                at_most(Op::Jsgt64K, Op::Jsge64K);
                break;
            case 7:
                at_most(Op::Jsgt64K, Op::Jsge64K);
                branch(out, {.op = Op::Jsle64K, .dst = reg, .imm = -1});
                break;
            case 8: {
                int bits = 0;
                while (1 << (bits + 1) <= limit + 1) ++bits;
                emit({.op = Op::Rsh64K, .dst = reg, .imm = 64 - bits});
                if (bits == 0) emit({.op = Op::Mov64K, .dst = reg, .imm = 0});
                break;
            }
            case 9: {  // a window that does not begin at 0
                const int32_t from = constant() / 2;
                emit({.op = Op::Sub64K, .dst = reg, .imm = from});
                at_most(Op::Jgt64K, Op::Jge64K);
                break;
            }
            default: {  // by another register
                const uint8_t other = target();
                if (other == reg) {
                    at_most(Op::Jgt64K, Op::Jge64K);
                    break;
                }
                if (c_.chance(2) || mask < 2) {
                    emit({.op = Op::Mov64K, .dst = other, .imm = limit});
                } else {  // that is itself only bounded
                    if (!is_number(other)) load_number(other);
                    emit({.op = Op::And64K, .dst = other, .imm = mask - 1});
                }
                number(other);
                branch(out, {.op = Op::Jgt64X, .dst = reg, .src = other});
                break;
            }
        }
        if (c_.chance(4)) {  // more arithmetic that stays inside, or merges with what is known
            if (c_.chance(2))
                emit({.op = Op::Rsh64K, .dst = reg, .imm = 1});
            else
                emit({.op = Op::And64K, .dst = reg, .imm = constant() & 0x7fffffff});
        }
    }
    /// An access at `pointer` + a computed offset below `bytes`.
    void variable_access(uint8_t pointer, int low, int bytes, bool writable, unsigned alignment) {
        Label out;
        const uint8_t index = target(), moved = target();
        if (index == moved || index == pointer || moved == pointer) return;
        const uint8_t from = any_number();
        if (from == pointer || from == moved) return;
        if (from != index) emit({.op = c_.chance(4) ? Op::Mov32X : Op::Mov64X, .dst = index, .src = from});
        number(index);
        const bool loads = !writable || c_.chance(2);
        const bool atomic = writable && alignment == 8 && c_.chance(4);
        const isa::Row& row = atomic ? any_row(c_.chance(2) ? Form::Atomic : Form::AtomicFetch)
                                     : any_row(loads          ? Form::LoadMem
                                               : c_.chance(2) ? Form::StoreImm
                                                              : Form::StoreSrc,
                                               false);
        const int width = static_cast<int>(row.access_bytes());
        const int scale = atomic || pointer == 10 ? width : 1 << c_.below(3);
        const int limit = (bytes - width) / scale;
        if (limit < 0) return;
        pinned_ |= 1u << pointer | 1u << index | 1u << moved;
        if (c_.chance(6)) diamond();
        bound(index, limit, out);
        if (c_.chance(6)) diamond();
        if (scale > 1) {
            int shift = 0;
            while (1 << shift < scale) ++shift;
            if (c_.chance(2))
                emit({.op = Op::Lsh64K, .dst = index, .imm = shift});
            else
                emit({.op = Op::Mul64K, .dst = index, .imm = scale});
        }
        emit({.op = Op::Mov64X, .dst = moved, .src = pointer});
        emit({.op = Op::Add64X, .dst = moved, .src = index});
        const int slack = bytes - width - limit * scale;
        int offset = low;
        if (!atomic && pointer != 10 && slack > 0)
            offset += static_cast<int>(c_.below(static_cast<uint32_t>(slack) + 1));
        Insn insn{.op = row.op, .offset = static_cast<int16_t>(offset), .imm = constant()};
        junk(moved);
        if (row.form == Form::LoadMem) {
            insn.src = moved, insn.dst = index;
        } else {
            insn.dst = moved, insn.src = index;
        }
        out_.variable.push_back(here());
        emit(insn);
        if (row.form == Form::LoadMem && pointer == 10) number(index);
        pinned_ = saved_pins_;
        place(out);
    }
    void fixed_access(uint8_t pointer, int low, int bytes, bool writable, bool ordered) {
        static constexpr Form forms[] = {Form::LoadMem, Form::LoadMem,     Form::StoreImm,     Form::StoreSrc,
                                         Form::Atomic,  Form::AtomicFetch, Form::AtomicCmpxchg};
        const isa::Row& row = any_row(forms[c_.below(writable ? ordered ? 7 : 4 : 2)], ordered);
        const int width = static_cast<int>(row.access_bytes());
        if (bytes < width) return;
        Insn insn{.op = row.op, .imm = constant()};
        int at = static_cast<int>(c_.below(static_cast<uint32_t>(bytes - width) + 1));
        if (c_.chance(50)) at = bytes - width + 1;
        if (row.is_atomic() || row.operation == Operation::LoadAcquire || row.operation == Operation::StoreRelease ||
            pointer == 10)
            at -= at % width;
        insn.offset = static_cast<int16_t>(low + at);
        if (row.form == Form::LoadMem) {
            insn.src = pointer, insn.dst = target();
            if (insn.dst == pointer) return;
            emit(insn);
            number(insn.dst);
            return;
        }
        insn.dst = pointer;
        if (row.form == Form::AtomicCmpxchg && (pointer == 0 || (pinned_ & 1) != 0)) return;
        if (row.form == Form::AtomicCmpxchg && !is_number(0)) load_number(0);
        if (row.has_src()) insn.src = row.form == Form::AtomicFetch ? number_target() : any_number();
        if (row.has_src() && insn.src == pointer) return;
        emit(insn);
        if (row.form == Form::AtomicFetch) number(insn.src);
        if (row.form == Form::AtomicCmpxchg) number(0);
    }
    void accesses(uint8_t pointer, int low, int bytes, bool writable, bool ordered) {
        for (uint32_t i = 1 + c_.below(3); i > 0; --i) {
            if (c_.chance(2))
                variable_access(pointer, low, bytes, writable, ordered ? 8 : 1);
            else
                fixed_access(pointer, low, bytes, writable, ordered);
            if (c_.chance(4)) arithmetic();
        }
    }
    /// Keeps what r0 holds in a register that the statement owns.
    template <typename Body>
    void pinned(uint8_t reg, Body body) {
        const unsigned before = saved_pins_;
        saved_pins_ |= 1u << reg, pinned_ |= 1u << reg;
        junk(reg);
        body();
        saved_pins_ = before, pinned_ = before;
        junk(reg);
    }
    void after_call() {
        for (unsigned reg = 0; reg <= 5; ++reg) junk(reg);
    }
    void call(HelperId id) {
        emit({.op = Op::Call, .imm = static_cast<int32_t>(platform::helper(id).linux_id)});
        after_call();
    }
    bool calls_possible() const { return (pinned_ & 0x3f) == 0 && !locked_; }
    bool allowed(HelperId id) const {
        const platform::HelperRow& row = platform::helper_for(id, out_.type);
        return row.linux_id != 0 && platform::helper_modelled(row) &&
               platform::helper_allowed(id, out_.type, out_.attach) &&
               ((row.effects & platform::helper_effect::Sleeps) == 0 || out_.sleepable);
    }
    void key(uint32_t map) {
        if (c_.chance(3)) {
            emit({.op = Op::StW,
                  .dst = 10,
                  .offset = key_slot,
                  .imm = static_cast<int32_t>(c_.below(array_entries + 2))});
        } else {
            const uint8_t reg = any_number();
            emit({.op = Op::StxW, .dst = 10, .src = reg, .offset = key_slot});
        }
        emit({.op = Op::LdMapFd, .dst = 1, .imm = static_cast<int32_t>(map)});
        emit({.op = Op::Mov64X, .dst = 2, .src = 10});
        emit({.op = Op::Add64K, .dst = 2, .imm = key_slot});
        junk(1), junk(2);
    }

    Choices& c_;
    SafeProgram out_;
    std::span<const platform::FieldRow> fields_;
    std::vector<isa::InsnIndex> timers_;
    bool any_type_ = false, locked_ = false, full_socket_ = false;
    uint8_t socket_ = 0;  ///< the register that holds one
    isa::Code code_;
    std::vector<std::pair<isa::InsnIndex, unsigned>> calls_;
    std::vector<isa::InsnIndex> callbacks_;
    uint16_t numbers_ = 0;
    unsigned pinned_ = 0, saved_pins_ = 0;
    unsigned loops_ = 0, functions_ = 1, current_ = 0;
    bool dead_ = false;
};

}  // namespace skep::testing
