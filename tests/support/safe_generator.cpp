// SPDX-License-Identifier: Apache-2.0
#include "support/safe_generator.hpp"

#include <algorithm>

#include "isa/insn.hpp"
#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "platform/map_type.hpp"

namespace skep::testing {

namespace {

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

class Generator {
  public:
    explicit Generator(Choices& c) : c_(c) {}

    SafeProgram make() {
        static constexpr platform::ProgramType types[] = {platform::ProgramType::SchedCls,
                                                          platform::ProgramType::SchedCls, platform::ProgramType::Xdp,
                                                          platform::ProgramType::SocketFilter};
        out_.type = types[c_.below(4)];
        const unsigned functions = 1 + c_.below(3);
        std::vector<isa::InsnIndex> starts;
        for (current_ = 0; current_ < functions; ++current_) {
            functions_ = functions;
            starts.push_back(here());
            function();
        }
        if (!callbacks_.empty()) {  // one function of its own: it may only return 0 or 1
            starts.push_back(here());
            current_ = functions;
            callback_function();
        }
        for (const auto& [at, callee] : calls_)
            code_[at].imm = static_cast<int32_t>(starts[callee]) - static_cast<int32_t>(at) - 1;
        for (const isa::InsnIndex at : callbacks_)
            code_[at].imm = static_cast<int32_t>(starts.back()) - static_cast<int32_t>(at) - 1;
        out_.linked.name = "safe";
        for (size_t i = 0; i < starts.size(); ++i) {
            const isa::InsnIndex end = i + 1 < starts.size() ? starts[i + 1] : here();
            out_.linked.subprograms.push_back({.name = "f" + std::to_string(i), .start = starts[i], .end = end});
        }
        out_.linked.code = std::move(code_);
        for (uint32_t i = 0; i < safe_spec().maps.size(); ++i) out_.linked.maps.push_back(i);
        return std::move(out_);
    }

  private:
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
                if (current_ == 0 && out_.type != platform::ProgramType::Xdp) {
                    static constexpr int16_t fields[] = {0, 8, 16, 32, 40, 48, 52, 56, 68};
                    const int16_t at = fields[c_.below(std::size(fields))];
                    const bool narrow = c_.chance(4);
                    emit({.op = narrow         ? (c_.chance(2) ? Op::LdxB : Op::LdxH)
                                : c_.chance(8) ? Op::LdxsxW
                                               : Op::LdxW,
                          .dst = reg,
                          .src = 6,
                          .offset = at});
                    break;
                }
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
    /// Of two numbers, or of something made of them, while they stay what they are.
    Insn comparison() {
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
    void condition(unsigned depth) {
        Label otherwise, end;
        branch(otherwise, comparison());
        block(depth + 1, 4);
        if (c_.chance(2)) {
            place(otherwise);
            return;
        }
        go(end);
        place(otherwise);  // go() left the code before without a way on
        block(depth + 1, 3);
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
                emit({.op = Op::Mov64K, .dst = other, .imm = limit});
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
        bound(index, limit, out);
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
    bool calls_possible() const { return (pinned_ & 0x3f) == 0; }
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
    void lookup() {
        if (!calls_possible()) return;
        static constexpr uint32_t maps[] = {ArrayMap, HashMap, WideMap};
        const uint32_t map = maps[c_.below(3)];
        const int bytes = map == ArrayMap ? array_value : map == HashMap ? hash_value : wide_value;
        key(map);
        call(HelperId::MapLookupElem);
        const uint8_t kept = target(true);
        if (kept < 7) return;
        Label out;
        if (c_.chance(2)) {
            branch(out, {.op = Op::Jeq64K, .dst = 0});
            emit({.op = Op::Mov64X, .dst = kept, .src = 0});
        } else {
            emit({.op = Op::Mov64X, .dst = kept, .src = 0});
            junk(kept);
            if (c_.chance(2)) emit({.op = Op::StxDw, .dst = 10, .src = kept, .offset = pointer_slot});
            if (c_.chance(2)) {
                branch(out, {.op = Op::Jeq64K, .dst = c_.chance(2) ? kept : uint8_t{0}});
            } else {
                emit({.op = Op::Jne64K, .dst = kept, .offset = 1});
                branch(out, {.op = Op::Ja});
            }
        }
        pinned(kept, [&] { accesses(kept, 0, bytes, true, true); });
        place(out);
        junk(kept), junk(0);
    }
    void update() {
        if (!calls_possible()) return;
        const uint32_t map = c_.chance(2) ? ArrayMap : HashMap;
        key(map);
        if (c_.chance(3) && map == HashMap) {
            call(HelperId::MapDeleteElem);
        } else {
            emit({.op = Op::Mov64X, .dst = 3, .src = 10});
            emit({.op = Op::Add64K, .dst = 3, .imm = numbers_low});
            emit({.op = Op::Mov64K, .dst = 4, .imm = 0});
            call(HelperId::MapUpdateElem);
        }
        number(0);
    }
    void ringbuf() {
        if (!calls_possible()) return;
        const int size = 8 * static_cast<int>(1 + c_.below(6));
        emit({.op = Op::LdMapFd, .dst = 1, .imm = RingbufMap});
        emit({.op = Op::Mov64K, .dst = 2, .imm = size});
        emit({.op = Op::Mov64K, .dst = 3, .imm = 0});
        call(HelperId::RingbufReserve);
        const uint8_t kept = target(true);
        if (kept < 7) return;
        Label out;
        branch(out, {.op = Op::Jeq64K, .dst = 0});
        emit({.op = Op::Mov64X, .dst = kept, .src = 0});
        pinned(kept, [&] {
            accesses(kept, 0, size, true, true);
            emit({.op = Op::Mov64X, .dst = 1, .src = kept});
            emit({.op = Op::Mov64K, .dst = 2, .imm = 0});
            call(c_.chance(2) ? HelperId::RingbufSubmit : HelperId::RingbufDiscard);
        });
        place(out);
        junk(kept);
        after_call();
    }
    void packet() {
        if (current_ != 0 || out_.type == platform::ProgramType::SocketFilter) return;
        const bool xdp = out_.type == platform::ProgramType::Xdp;
        const uint8_t data = target(true), end = target(true);
        if (data < 7 || end < 7 || data == end) return;
        emit({.op = Op::LdxW, .dst = data, .src = 6, .offset = static_cast<int16_t>(xdp ? 0 : 76)});
        emit({.op = Op::LdxW, .dst = end, .src = 6, .offset = static_cast<int16_t>(xdp ? 4 : 80)});
        junk(data), junk(end);
        const bool written = c_.chance(2);
        const uint8_t probe = target();
        if (probe == data || probe == end) return;
        Label out;
        pinned(data, [&] {
            pinned(end, [&] {
                junk(probe);
                if (c_.chance(2)) {  // a fixed header
                    const int bytes = static_cast<int>(1 + c_.below(64));
                    emit({.op = Op::Mov64X, .dst = probe, .src = data});
                    emit({.op = Op::Add64K, .dst = probe, .imm = bytes - (c_.chance(40) ? 1 : 0)});
                    end_check(probe, end, out);
                    accesses(data, 0, bytes, written, false);
                } else {  // behind one of variable length
                    const uint8_t index = target();
                    if (index == probe) return;
                    const uint8_t from = any_number();
                    if (from != index) emit({.op = Op::Mov64X, .dst = index, .src = from});
                    number(index);
                    pinned_ |= 1u << index | 1u << probe;
                    bound(index, 1 + static_cast<int>(c_.below(200)), out);
                    if (c_.chance(2)) emit({.op = Op::Lsh64K, .dst = index, .imm = 2});
                    const int bytes = static_cast<int>(1 + c_.below(16));
                    emit({.op = Op::Add64X, .dst = data, .src = index});
                    emit({.op = Op::Mov64X, .dst = probe, .src = data});
                    emit({.op = Op::Add64K, .dst = probe, .imm = bytes});
                    pinned_ = saved_pins_;
                    end_check(probe, end, out);
                    out_.variable.push_back(here());
                    fixed_access(data, 0, bytes, written, false);
                    if (c_.chance(2)) fixed_access(data, 0, bytes, written, false);
                }
            });
        });
        place(out);
        junk(data), junk(end), junk(probe);
    }
    void end_check(uint8_t probe, uint8_t end, Label& out) {
        const bool mirrored = c_.chance(2);
        const uint8_t left = mirrored ? end : probe, right = mirrored ? probe : end;
        if (c_.chance(2)) return branch(out, {.op = mirrored ? Op::Jlt64X : Op::Jgt64X, .dst = left, .src = right});
        emit({.op = mirrored ? Op::Jge64X : Op::Jle64X, .dst = left, .src = right, .offset = 1});
        branch(out, {.op = Op::Ja});
    }
    void stack_access() { variable_access(10, numbers_low, numbers_high - numbers_low, true, c_.chance(3) ? 8 : 1); }

    void loop(unsigned depth) {
        if (loops_ == 3) return;
        const bool in_register = c_.chance(2);
        const uint8_t counter = in_register ? target(true) : uint8_t{0};
        if (in_register && counter < 7) return;
        const auto slot = static_cast<int16_t>(counter_slots - 8 * static_cast<int>(loops_));
        ++loops_;
        const int32_t step = c_.chance(3) ? static_cast<int32_t>(1 + c_.below(4)) : 1;
        const int32_t rounds = static_cast<int32_t>(1 + c_.below(c_.chance(6) ? 300 : 12));
        const bool down = c_.chance(4);
        const int32_t first = down ? rounds * step : 0, last = down ? 0 : rounds * step;
        for (unsigned reg = 0; reg <= 5; ++reg) junk(reg);
        const unsigned before = saved_pins_;
        if (in_register) {
            saved_pins_ |= 1u << counter, pinned_ |= 1u << counter;
            emit({.op = Op::Mov64K, .dst = counter, .imm = first});
            number(counter);
        } else {
            emit({.op = Op::StDw, .dst = 10, .offset = slot, .imm = first});
        }
        const isa::InsnIndex head = here();
        const uint16_t at_head = numbers_;
        block(depth + 1, 3);
        for (unsigned reg = 0; reg < 10; ++reg) {
            if ((at_head >> reg & 1) != 0 && !is_number(reg)) {
                emit({.op = Op::Mov64K, .dst = r(reg), .imm = constant()});
                number(reg);
            }
        }
        uint8_t held = counter;
        if (!in_register) {
            held = r(c_.below(6));
            if ((at_head >> held & 1) != 0) held = 1;
            emit({.op = Op::LdxDw, .dst = held, .src = 10, .offset = slot});
        }
        emit({.op = Op::Add64K, .dst = held, .imm = down ? -step : step});
        if (!in_register) emit({.op = Op::StxDw, .dst = 10, .src = held, .offset = slot});
        const Op again = c_.chance(3)   ? Op::Jne64K
                         : down         ? (c_.chance(2) ? Op::Jsgt64K : Op::Jgt64K)
                         : c_.chance(3) ? Op::Jslt64K
                         : c_.chance(3) ? Op::Jlt32K
                                        : Op::Jlt64K;
        emit({.op = again,
              .dst = held,
              .offset = static_cast<int16_t>(static_cast<int32_t>(head) - static_cast<int32_t>(here()) - 1),
              .imm = last});
        if (!in_register) number(held);
        saved_pins_ = before, pinned_ = before;
        --loops_;
    }

    void local_call() {
        if (!calls_possible() || current_ + 1 >= functions_) return;
        for (uint8_t reg = 1; reg <= 5; ++reg) {
            if (!is_number(reg)) emit({.op = Op::Mov64K, .dst = reg, .imm = constant()});
        }
        calls_.push_back({here(), current_ + 1 + c_.below(functions_ - current_ - 1)});
        emit({.op = Op::CallLocal});
        after_call();
        number(0);
    }
    void callback_loop() {
        if (!calls_possible()) return;
        const bool each = c_.chance(3);
        if (each) {
            emit({.op = Op::LdMapFd, .dst = 1, .imm = ArrayMap});
        } else if (c_.chance(2)) {
            emit({.op = Op::Mov64K, .dst = 1, .imm = static_cast<int32_t>(c_.below(12))});
        } else {
            const uint8_t from = any_number();
            if (from != 1) emit({.op = Op::Mov64X, .dst = 1, .src = from});
            emit({.op = Op::And64K, .dst = 1, .imm = 7});
        }
        callbacks_.push_back(here());
        emit({.op = Op::LdFunc, .dst = 2});
        emit({.op = Op::Mov64X, .dst = 3, .src = 10});
        emit({.op = Op::Add64K, .dst = 3, .imm = numbers_low});
        emit({.op = Op::Mov64K, .dst = 4, .imm = 0});
        call(each ? HelperId::ForEachMapElem : HelperId::Loop);
        number(0);
    }
    /// Any helper whose arguments can be made out of nothing.
    void any_helper() {
        if (!calls_possible() || current_ != 0) return;
        const auto id = static_cast<HelperId>(c_.below(platform::helper_count));
        const platform::HelperRow& row = platform::helper_for(id, out_.type);
        namespace effect = platform::helper_effect;
        if (row.linux_id == 0 || !platform::helper_modelled(row) ||
            !platform::helper_allowed(id, out_.type, platform::AttachType::None))
            return;
        if ((row.effects & (effect::Callback | effect::Sleeps | effect::Later | effect::Release)) != 0) return;
        if ((row.effects & effect::Acquire) != 0) return;
        std::optional<uint32_t> map;
        static constexpr ArgKind never[] = {ArgKind::SpinLock,     ArgKind::Timer,      ArgKind::Dynptr,
                                            ArgKind::ConstString,  ArgKind::SockCommon, ArgKind::Socket,
                                            ArgKind::SocketOrNull, ArgKind::Record,     ArgKind::Func};
        // clang-format off
        for (const ArgKind kind : row.args) {
            if (std::ranges::find(never, kind) != std::end(never)) return;
            if (kind != ArgKind::ConstMapPtr) continue;
            const auto& maps = safe_spec().maps;
            for (int tries = 0; tries < 24 && !map; ++tries) {
                const uint32_t index = c_.below(static_cast<uint32_t>(maps.size()));
                platform::MapType type{};
                if (platform::map_type_from_linux(maps[index].type, &type) && platform::helper_takes_map(id, type, out_.type)) map = index;
            }
            if (!map) return;
        }
        const uint8_t size_from = any_number();
        for (uint8_t i = 0; i < 5 && row.args[i] != ArgKind::None; ++i) {
            const uint8_t reg = r(i + 1u);
            const ArgKind kind = row.args[i];
            junk(reg);
            if (kind == ArgKind::ConstMapPtr) {
                emit({.op = Op::LdMapFd, .dst = reg, .imm = static_cast<int32_t>(*map)});
            } else if (kind == ArgKind::Ctx || (kind == ArgKind::CtxOrNull && c_.chance(2))) {
                emit({.op = Op::Mov64X, .dst = reg, .src = 6});
            } else if (kind == ArgKind::Scalar || kind == ArgKind::CtxOrNull) {
                emit({.op = Op::Mov64K, .dst = reg, .imm = kind == ArgKind::CtxOrNull || c_.chance(2) ? 0 : constant()});
            } else if (kind == ArgKind::RecordSize) {
                emit({.op = Op::Mov64K, .dst = reg, .imm = 16});
            } else if (kind != ArgKind::Size && kind != ArgKind::SizeOrZero) {  // memory
                emit({.op = Op::Mov64X, .dst = reg, .src = 10});
                emit({.op = Op::Add64K, .dst = reg, .imm = buffer_low});
            } else if (c_.chance(2) || size_from <= 5) {
                emit({.op = Op::Mov64K, .dst = reg, .imm = static_cast<int32_t>(4 * (1 + c_.below(32)))});
            } else {
                emit({.op = Op::Mov64X, .dst = reg, .src = size_from});
                emit({.op = Op::And64K, .dst = reg, .imm = 63});
                if (kind == ArgKind::Size) emit({.op = Op::Add64K, .dst = reg, .imm = 1});
            }
        }
        // clang-format on
        call(id);
        if (row.result == platform::ResultKind::Scalar || row.result == platform::ResultKind::Status) number(0);
    }
    void packet_load() {
        if (current_ != 0 || !calls_possible() || out_.type == platform::ProgramType::Xdp) return;
        const isa::Row& row = any_row(c_.chance(2) ? Form::PacketAbs : Form::PacketInd);
        Insn insn{.op = row.op, .imm = static_cast<int32_t>(c_.below(64))};
        if (row.has_src()) insn.src = any_number();
        emit(insn);
        after_call();
        number(0);
    }

    void block(unsigned depth, uint32_t most) {
        for (uint32_t i = 1 + c_.below(most); i > 0 && here() < 220; --i) {
            // clang-format off
            switch (c_.below(24)) {
                case 0: case 1: case 2: case 3: arithmetic(); break;
                case 4: idiom(); break;
                case 5: case 6: spill(); break;
                case 7: case 8: case 9: if (depth < 4) condition(depth); break;
                case 10: case 11: if (depth < 3) loop(depth); break;
                case 12: case 13: lookup(); break;
                case 14: update(); break;
                case 15: ringbuf(); break;
                case 16: case 17: packet(); break;
                case 18: stack_access(); break;
                case 19: local_call(); break;
                case 20: callback_loop(); break;
                case 21: case 22: any_helper(); break;
                default: packet_load(); break;
            }
            // clang-format on
        }
    }

    void begin(bool context) {
        numbers_ = 0, pinned_ = 0, saved_pins_ = 0, loops_ = 0, dead_ = false;
        if (context) emit({.op = Op::Mov64X, .dst = 6, .src = 1});
        for (int at = numbers_low; at < numbers_high; at += 8)
            emit({.op = Op::StDw, .dst = 10, .offset = static_cast<int16_t>(at), .imm = constant()});
    }
    void function() {
        begin(current_ == 0);
        if (current_ != 0) {
            for (unsigned reg = 1; reg <= 5; ++reg) number(reg);
        }
        for (const uint8_t reg : {7, 8, 9}) load_number(reg);
        block(0, current_ == 0 ? 10 : 4);
        if (current_ == 0 || !is_number(0)) emit({.op = Op::Mov64K, .dst = 0, .imm = 0});
        emit({.op = Op::Exit});
    }
    void callback_function() {
        begin(false);
        // r2 is the context (a pointer into the caller's stack) or a key; r1 the round or a map.
        for (const uint8_t reg : {7, 8, 9}) load_number(reg);
        for (uint32_t i = c_.below(4); i > 0; --i) c_.chance(2) ? arithmetic() : spill();
        const uint8_t reg = number_target();
        emit({.op = Op::Mov64X, .dst = 0, .src = reg});
        emit({.op = Op::And64K, .dst = 0, .imm = 1});
        emit({.op = Op::Exit});
    }
    Choices& c_;
    SafeProgram out_;
    isa::Code code_;
    std::vector<std::pair<isa::InsnIndex, unsigned>> calls_;
    std::vector<isa::InsnIndex> callbacks_;
    uint16_t numbers_ = 0;
    unsigned pinned_ = 0, saved_pins_ = 0;
    unsigned loops_ = 0, functions_ = 1, current_ = 0;
    bool dead_ = false;
};

}  // namespace

SafeProgram make_safe_program(Choices& choices) { return Generator(choices).make(); }

}  // namespace skep::testing
