// SPDX-License-Identifier: Apache-2.0
#include "engine/jit/emitter_x64.hpp"

#include <asmjit/x86.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace skep::engine::jit {

namespace x86 = asmjit::x86;
using Id = x86::Inst::Id;

namespace {

x86::Gp gp(Width width, Gp reg) {
    const auto id = static_cast<uint32_t>(reg);
    switch (width) {
        case Width::W8: return x86::gpb_lo(id);
        case Width::W16: return x86::gpw(id);
        case Width::W32: return x86::gpd(id);
        case Width::W64: return x86::gpq(id);
    }
    return {};
}

x86::Gp gpq(Gp reg) { return x86::gpq(static_cast<uint32_t>(reg)); }

x86::Mem mem(Width width, const Mem& m) {
    const auto size = static_cast<uint32_t>(width);
    if (m.index == Gp::None) return x86::Mem(gpq(m.base), m.disp, size);
    if (m.base == Gp::None) return x86::ptr(0, gpq(m.index), m.scale, size).cloneAdjusted(m.disp);
    return x86::Mem(gpq(m.base), gpq(m.index), m.scale, m.disp, size);
}

Id id_of(Alu op) {
    switch (op) {
        case Alu::Add: return Id::kIdAdd;
        case Alu::Or: return Id::kIdOr;
        case Alu::And: return Id::kIdAnd;
        case Alu::Sub: return Id::kIdSub;
        case Alu::Xor: return Id::kIdXor;
        case Alu::Cmp: return Id::kIdCmp;
        case Alu::Test: return Id::kIdTest;
        case Alu::Imul: return Id::kIdImul;
    }
    return Id::kIdNone;
}

Id id_of(Shift op) {
    switch (op) {
        case Shift::Shl: return Id::kIdShl;
        case Shift::Shr: return Id::kIdShr;
        case Shift::Sar: return Id::kIdSar;
        case Shift::Rol: return Id::kIdRol;
        case Shift::Ror: return Id::kIdRor;
    }
    return Id::kIdNone;
}

Id cmovcc(Cond cond) {
    static constexpr Id ids[] = {Id::kIdCmovo, Id::kIdCmovno, Id::kIdCmovb,  Id::kIdCmovae,
                                 Id::kIdCmove, Id::kIdCmovne, Id::kIdCmovbe, Id::kIdCmova,
                                 Id::kIdCmovs, Id::kIdCmovns, Id::kIdCmovp,  Id::kIdCmovnp,
                                 Id::kIdCmovl, Id::kIdCmovge, Id::kIdCmovle, Id::kIdCmovg};
    return ids[static_cast<uint8_t>(cond)];
}

Id setcc_id(Cond cond) {
    static constexpr Id ids[] = {Id::kIdSeto,  Id::kIdSetno, Id::kIdSetb,  Id::kIdSetae, Id::kIdSete, Id::kIdSetne,
                                 Id::kIdSetbe, Id::kIdSeta,  Id::kIdSets,  Id::kIdSetns, Id::kIdSetp, Id::kIdSetnp,
                                 Id::kIdSetl,  Id::kIdSetge, Id::kIdSetle, Id::kIdSetg};
    return ids[static_cast<uint8_t>(cond)];
}

class KeepFirstError final : public asmjit::ErrorHandler {
  public:
    void handleError(asmjit::Error error, const char* message, asmjit::BaseEmitter*) override {
        if (first == asmjit::kErrorOk) {
            first = error;
            text = message;
        }
    }
    asmjit::Error first = asmjit::kErrorOk;
    std::string text;
};

}  // namespace

Features Features::host() {
    static const Features features = [] {
        const auto& cpu = asmjit::CpuInfo::host();
        Features f;
        f.bmi2 = cpu.hasFeature(asmjit::CpuFeatures::X86::kBMI2);
        f.movbe = cpu.hasFeature(asmjit::CpuFeatures::X86::kMOVBE);
        return f;
    }();
    return features;
}

/// asmjit's Assembler would take most of the time that compiling takes, and a handful of forms makes up most of the
/// code: these are encoded here, straight into its buffer. emitter_x64_test.cpp compares every one with asmjit's own
/// bytes. Labels are kept here altogether: asmjit never sees one.
struct EmitterX64::Impl {
    static constexpr uint32_t nowhere = UINT32_MAX;
    /// Places that wait for a label are a chain through their 32-bit fields: each holds the one before.
    struct LabelState {
        uint32_t at = nowhere;
        uint32_t waiting = nowhere;
    };

    KeepFirstError errors;
    asmjit::CodeHolder code;
    x86::Assembler a;
    asmjit::Section* text = nullptr;
    std::vector<LabelState> labels;
    uint32_t waiting = 0;  ///< fields that wait for a label
    const bool encode;

    Impl(size_t instructions, bool own_encoding) : encode(own_encoding) {
        code.init(asmjit::Environment(asmjit::Arch::kX64));
        code.setErrorHandler(&errors);
        code.attach(&a);
        a.addEncodingOptions(asmjit::EncodingOptions::kOptimizedAlign);
        text = code.textSection();
        code.reserveBuffer(&text->buffer(), 1024 + instructions * 8);
        a.setOffset(0);  // looks at the buffer again
        labels.reserve(16 + instructions / 4);
    }

    /// Makes room for an instruction, whoever encodes it.
    uint8_t* make_room() {
        if (static_cast<size_t>(a._bufferEnd - a._bufferPtr) < 16) {
            static constexpr uint8_t zeros[16] = {};
            if (a.embed(zeros, sizeof zeros) != asmjit::kErrorOk) return nullptr;  // the error is kept
            a._bufferPtr -= sizeof zeros;
        }
        return a._bufferPtr;
    }
    uint32_t at(const uint8_t* p) const { return static_cast<uint32_t>(p - a._bufferData); }

    /// The field at `p` is the distance from its end to the label.
    uint8_t* put_distance(uint8_t* p, Label label) {
        LabelState& state = labels[label];
        if (state.at != nowhere) return put32(p, static_cast<int32_t>(state.at - (at(p) + 4)));
        const uint32_t before = std::exchange(state.waiting, at(p));
        ++waiting;
        return put32(p, static_cast<int32_t>(before));
    }
    void bind(Label label) {
        LabelState& state = labels[label];
        state.at = at(a._bufferPtr);
        for (uint32_t field = std::exchange(state.waiting, nowhere); field != nowhere; --waiting) {
            uint8_t* p = a._bufferData + field;
            std::memcpy(&field, p, sizeof field);
            put32(p, static_cast<int32_t>(state.at - (at(p) + 4)));
        }
    }
    /// A jump: two bytes where the label is known and near.
    void jump(Label label, unsigned near_opcode, unsigned opcode) {
        uint8_t* p = make_room();
        if (p == nullptr) return;
        const uint32_t target = labels[label].at;
        if (target != nowhere && at(p) + 2 - target <= 128) {
            *p++ = static_cast<uint8_t>(near_opcode);
            *p = static_cast<uint8_t>(target - (at(p) + 1));
            return done(p + 1);
        }
        done(put_distance(put_opcode(p, opcode), label));
    }

    /// Whether an instruction fits into the buffer; if not, asmjit's way makes room.
    bool room() const { return encode && static_cast<size_t>(a._bufferEnd - a._bufferPtr) >= 16; }

    static constexpr uint8_t* put32(uint8_t* p, int32_t value) {
        std::memcpy(p, &value, 4);
        return p + 4;
    }
    /// Opcodes above 0xff are 0x0f and their low byte.
    static constexpr uint8_t* put_opcode(uint8_t* p, unsigned opcode) {
        if (opcode > 0xff) *p++ = 0x0f;
        *p++ = static_cast<uint8_t>(opcode);
        return p;
    }
    static constexpr bool needs_rex(Width width, unsigned reg) { return width == Width::W8 && reg >= 4; }

    /// opcode with two registers; `reg` may be an opcode extension. Immediates follow at the end that is returned.
    uint8_t* registers(Width width, unsigned opcode, unsigned reg, unsigned rm, bool rex) {
        uint8_t* p = a._bufferPtr;
        if (width == Width::W16) *p++ = 0x66;
        const unsigned bits = (width == Width::W64 ? 8u : 0u) | (reg >> 3 << 2) | rm >> 3;
        if (bits != 0 || rex) *p++ = static_cast<uint8_t>(0x40 | bits);
        p = put_opcode(p, opcode);
        *p++ = static_cast<uint8_t>(0xc0 | (reg & 7) << 3 | (rm & 7));
        return p;
    }
    /// The same with memory.
    uint8_t* memory(Width width, unsigned opcode, unsigned reg, const Mem& m, bool rex) {
        uint8_t* p = a._bufferPtr;
        const auto base = static_cast<unsigned>(m.base), index = static_cast<unsigned>(m.index);
        const bool has_base = m.base != Gp::None, has_index = m.index != Gp::None;
        if (width == Width::W16) *p++ = 0x66;
        const unsigned bits = (width == Width::W64 ? 8u : 0u) | (reg >> 3 << 2) | (has_index ? index >> 3 << 1 : 0) |
                              (has_base ? base >> 3 : 0);
        if (bits != 0 || rex) *p++ = static_cast<uint8_t>(0x40 | bits);
        p = put_opcode(p, opcode);
        const auto field = static_cast<uint8_t>((reg & 7) << 3);
        const bool wide = m.disp < -128 || m.disp > 127;
        const uint8_t mode = !has_base ? 0x00 : wide ? 0x80 : (m.disp != 0 || (base & 7) == 5) ? 0x40 : 0x00;
        if (has_index || !has_base || (base & 7) == 4) {
            *p++ = static_cast<uint8_t>(mode | field | 4);
            *p++ =
                static_cast<uint8_t>((has_index ? m.scale << 6 | (index & 7) << 3 : 0x20) | (has_base ? base & 7 : 5));
        } else {
            *p++ = static_cast<uint8_t>(mode | field | (base & 7));
        }
        if (mode == 0x80 || !has_base) return put32(p, m.disp);
        if (mode == 0x40) *p++ = static_cast<uint8_t>(m.disp);
        return p;
    }
    /// An opcode with the register in its low bits.
    void one_register(unsigned opcode, unsigned reg) {
        uint8_t* p = a._bufferPtr;
        if (reg >= 8) *p++ = 0x41;
        *p++ = static_cast<uint8_t>(opcode | (reg & 7));
        done(p);
    }
    /// Ends an instruction of our own. asmjit grows its buffer by the size it knows of, so it has to be told: with a
    /// size left behind it believes that there is room, and writes past the end.
    void done(uint8_t* end) {
        a._bufferPtr = end;
        asmjit::CodeBuffer& buffer = text->buffer();
        const auto size = static_cast<size_t>(end - a._bufferData);
        if (size > buffer._size) buffer._size = size;
    }
};

namespace {

constexpr unsigned number(Gp reg) { return static_cast<unsigned>(reg); }
constexpr bool fits8(int32_t value) { return value >= -128 && value <= 127; }
/// The /digit and the row of an arithmetic instruction; none for test and imul.
constexpr unsigned group1(Alu op) {
    return op == Alu::Add ? 0 : op == Alu::Or ? 1 : op == Alu::And ? 4 : op == Alu::Sub ? 5 : op == Alu::Xor ? 6 : 7;
}
constexpr bool is_group1(Alu op) { return op != Alu::Test && op != Alu::Imul; }

}  // namespace

EmitterX64::EmitterX64(size_t instructions, bool own_encoding)
    : impl_(std::make_unique<Impl>(instructions, own_encoding)) {}
EmitterX64::~EmitterX64() = default;

Label EmitterX64::new_label() {
    impl_->labels.emplace_back();
    return static_cast<Label>(impl_->labels.size() - 1);
}
void EmitterX64::bind(Label label) { impl_->bind(label); }
size_t EmitterX64::offset() const { return impl_->a.offset(); }
std::span<const uint8_t> EmitterX64::written() const { return {impl_->a.bufferData(), impl_->a.offset()}; }
size_t EmitterX64::label_offset(Label label) const { return impl_->labels[label].at; }
void EmitterX64::align(uint32_t bytes) { impl_->a.align(asmjit::AlignMode::kCode, bytes); }

void EmitterX64::mov(Width width, Gp dst, Gp src) {
    if (impl_->room()) return impl_->done(impl_->registers(width, 0x89, number(src), number(dst), false));
    impl_->a.emit(Id::kIdMov, gp(width, dst), gp(width, src));
}

void EmitterX64::mov_imm(Gp dst, uint64_t value) {
    const auto as_signed = static_cast<int64_t>(value);
    if (impl_->room() && value <= UINT32_MAX) {
        uint8_t* p = impl_->a._bufferPtr;
        if (number(dst) >= 8) *p++ = 0x41;
        *p++ = static_cast<uint8_t>(0xb8 | (number(dst) & 7));
        return impl_->done(Impl::put32(p, static_cast<int32_t>(static_cast<uint32_t>(value))));
    }
    if (value <= UINT32_MAX)
        impl_->a.emit(Id::kIdMov, gp(Width::W32, dst), asmjit::Imm(static_cast<uint32_t>(value)));
    else if (as_signed >= INT32_MIN && as_signed <= INT32_MAX)
        impl_->a.emit(Id::kIdMov, gpq(dst), asmjit::Imm(as_signed));
    else
        impl_->a.emit(Id::kIdMovabs, gpq(dst), asmjit::Imm(value));
}

void EmitterX64::zero(Gp dst) {
    if (impl_->room()) return impl_->done(impl_->registers(Width::W32, 0x31, number(dst), number(dst), false));
    impl_->a.emit(Id::kIdXor, gp(Width::W32, dst), gp(Width::W32, dst));
}

void EmitterX64::load(Width width, Gp dst, Mem m) {
    if (impl_->room()) {
        const unsigned opcode = width == Width::W8 ? 0x1b6 : width == Width::W16 ? 0x1b7 : 0x8b;
        return impl_->done(impl_->memory(width == Width::W64 ? Width::W64 : Width::W32, opcode, number(dst), m, false));
    }
    switch (width) {
        case Width::W8:
        case Width::W16: impl_->a.emit(Id::kIdMovzx, gp(Width::W32, dst), mem(width, m)); return;
        case Width::W32:
        case Width::W64: impl_->a.emit(Id::kIdMov, gp(width, dst), mem(width, m)); return;
    }
}

void EmitterX64::load_signed(Width width, Gp dst, Mem m) {
    if (impl_->room()) {
        const unsigned opcode = width == Width::W8    ? 0x1be
                                : width == Width::W16 ? 0x1bf
                                : width == Width::W32 ? 0x63
                                                      : 0x8b;
        return impl_->done(impl_->memory(Width::W64, opcode, number(dst), m, false));
    }
    switch (width) {
        case Width::W8:
        case Width::W16: impl_->a.emit(Id::kIdMovsx, gpq(dst), mem(width, m)); return;
        case Width::W32: impl_->a.emit(Id::kIdMovsxd, gpq(dst), mem(width, m)); return;
        case Width::W64: impl_->a.emit(Id::kIdMov, gpq(dst), mem(width, m)); return;
    }
}

void EmitterX64::load_swapped(Width width, Gp dst, Mem m) {
    impl_->a.emit(Id::kIdMovbe, gp(width, dst), mem(width, m));
}

void EmitterX64::store(Width width, Mem m, Gp src) {
    if (impl_->room()) {
        const bool rex = Impl::needs_rex(width, number(src));
        return impl_->done(impl_->memory(width, width == Width::W8 ? 0x88 : 0x89, number(src), m, rex));
    }
    impl_->a.emit(Id::kIdMov, mem(width, m), gp(width, src));
}

void EmitterX64::store_imm(Width width, Mem m, int32_t value) {
    if (impl_->room()) {
        uint8_t* p = impl_->memory(width, width == Width::W8 ? 0xc6 : 0xc7, 0, m, false);
        const size_t bytes = width == Width::W8 ? 1 : width == Width::W16 ? 2 : 4;
        for (size_t i = 0; i < bytes; ++i) *p++ = static_cast<uint8_t>(static_cast<uint32_t>(value) >> (8 * i));
        return impl_->done(p);
    }
    impl_->a.emit(Id::kIdMov, mem(width, m), asmjit::Imm(value));
}

void EmitterX64::zero_extend(Width from, Gp dst, Gp src) {
    if (impl_->room() && (from == Width::W8 || from == Width::W16)) {
        const bool rex = Impl::needs_rex(from, number(src));
        const unsigned opcode = from == Width::W8 ? 0x1b6 : 0x1b7;
        return impl_->done(impl_->registers(Width::W32, opcode, number(dst), number(src), rex));
    }
    switch (from) {
        case Width::W8:
        case Width::W16: impl_->a.emit(Id::kIdMovzx, gp(Width::W32, dst), gp(from, src)); return;
        case Width::W32:
        case Width::W64: impl_->a.emit(Id::kIdMov, gp(from, dst), gp(from, src)); return;
    }
}

void EmitterX64::sign_extend(Width from, Width to, Gp dst, Gp src) {
    if (impl_->room() && from != to && to >= Width::W32) {
        const unsigned opcode = from == Width::W8 ? 0x1be : from == Width::W16 ? 0x1bf : 0x63;
        const bool rex = Impl::needs_rex(from, number(src));
        return impl_->done(impl_->registers(to, opcode, number(dst), number(src), rex));
    }
    if (from == to)
        impl_->a.emit(Id::kIdMov, gp(to, dst), gp(from, src));
    else if (from == Width::W32)
        impl_->a.emit(Id::kIdMovsxd, gp(to, dst), gp(from, src));
    else
        impl_->a.emit(Id::kIdMovsx, gp(to, dst), gp(from, src));
}

void EmitterX64::lea(Width width, Gp dst, Mem m) {
    if (impl_->room()) return impl_->done(impl_->memory(width, 0x8d, number(dst), m, false));
    impl_->a.emit(Id::kIdLea, gp(width, dst), mem(Width::W64, m));
}

void EmitterX64::lea_label(Gp dst, Label label) {
    uint8_t* p = impl_->make_room();
    if (p == nullptr) return;
    *p++ = static_cast<uint8_t>(0x48 | number(dst) >> 3 << 2);
    *p++ = 0x8d;
    *p++ = static_cast<uint8_t>(5 | (number(dst) & 7) << 3);  // relative to the next instruction
    impl_->done(impl_->put_distance(p, label));
}

void EmitterX64::xchg(Width width, Gp a, Gp b) { impl_->a.emit(Id::kIdXchg, gp(width, a), gp(width, b)); }
void EmitterX64::push(Gp reg) {
    if (impl_->room()) return impl_->one_register(0x50, number(reg));
    impl_->a.emit(Id::kIdPush, gpq(reg));
}
void EmitterX64::pop(Gp reg) {
    if (impl_->room()) return impl_->one_register(0x58, number(reg));
    impl_->a.emit(Id::kIdPop, gpq(reg));
}

void EmitterX64::cmov(Cond cond, Width width, Gp dst, Gp src) {
    if (impl_->room() && width >= Width::W32) {
        const unsigned opcode = 0x140 | static_cast<unsigned>(cond);
        return impl_->done(impl_->registers(width, opcode, number(dst), number(src), false));
    }
    impl_->a.emit(cmovcc(cond), gp(width, dst), gp(width, src));
}
void EmitterX64::setcc(Cond cond, Gp dst) {
    if (impl_->room()) {
        const bool rex = Impl::needs_rex(Width::W8, number(dst));
        const unsigned opcode = 0x190 | static_cast<unsigned>(cond);
        return impl_->done(impl_->registers(Width::W32, opcode, 0, number(dst), rex));
    }
    impl_->a.emit(setcc_id(cond), gp(Width::W8, dst));
}

void EmitterX64::alu(Alu op, Width width, Gp dst, Gp src) {
    if (impl_->room() && width >= Width::W32) {
        const unsigned opcode = is_group1(op) ? group1(op) << 3 | 1 : op == Alu::Imul ? 0x1af : 0x85;
        const bool turned = op != Alu::Imul;  // the second operand is in the reg field
        return impl_->done(
            impl_->registers(width, opcode, number(turned ? src : dst), number(turned ? dst : src), false));
    }
    impl_->a.emit(id_of(op), gp(width, dst), gp(width, src));
}
void EmitterX64::alu_imm(Alu op, Width width, Gp dst, int32_t imm) {
    if (impl_->room() && width >= Width::W32 && is_group1(op)) {
        const bool small = fits8(imm);
        uint8_t* p;
        if (!small && dst == Gp::Rax) {  // a form without operand byte
            p = impl_->a._bufferPtr;
            if (width == Width::W64) *p++ = 0x48;
            *p++ = static_cast<uint8_t>(group1(op) << 3 | 5);
        } else {
            p = impl_->registers(width, small ? 0x83 : 0x81, group1(op), number(dst), false);
        }
        if (!small) return impl_->done(Impl::put32(p, imm));
        *p++ = static_cast<uint8_t>(imm);
        return impl_->done(p);
    }
    impl_->a.emit(id_of(op), gp(width, dst), asmjit::Imm(imm));
}
void EmitterX64::alu_load(Alu op, Width width, Gp dst, Mem src) {
    if (op == Alu::Test)
        impl_->a.emit(Id::kIdTest, mem(width, src), gp(width, dst));
    else
        impl_->a.emit(id_of(op), gp(width, dst), mem(width, src));
}
void EmitterX64::alu_store(Alu op, Width width, Mem dst, Gp src) {
    impl_->a.emit(id_of(op), mem(width, dst), gp(width, src));
}
void EmitterX64::alu_store_imm(Alu op, Width width, Mem dst, int32_t imm) {
    impl_->a.emit(id_of(op), mem(width, dst), asmjit::Imm(imm));
}
void EmitterX64::imul3(Width width, Gp dst, Gp src, int32_t imm) {
    if (impl_->room()) {
        const bool small = fits8(imm);
        uint8_t* p = impl_->registers(width, small ? 0x6b : 0x69, number(dst), number(src), false);
        if (!small) return impl_->done(Impl::put32(p, imm));
        *p++ = static_cast<uint8_t>(imm);
        return impl_->done(p);
    }
    impl_->a.emit(Id::kIdImul, gp(width, dst), gp(width, src), asmjit::Imm(imm));
}
void EmitterX64::shift_imm(Shift op, Width width, Gp dst, uint8_t count) {
    if (impl_->room()) {
        const unsigned digit = op == Shift::Shl   ? 4
                               : op == Shift::Shr ? 5
                               : op == Shift::Sar ? 7
                               : op == Shift::Rol ? 0
                                                  : 1;
        uint8_t* p = impl_->registers(width, count == 1 ? 0xd1 : 0xc1, digit, number(dst), false);
        if (count != 1) *p++ = count;
        return impl_->done(p);
    }
    impl_->a.emit(id_of(op), gp(width, dst), asmjit::Imm(count));
}
void EmitterX64::shift_cl(Shift op, Width width, Gp dst) { impl_->a.emit(id_of(op), gp(width, dst), x86::cl); }

void EmitterX64::shiftx(Shift op, Width width, Gp dst, Gp src, Gp count) {
    const Id id = op == Shift::Shl ? Id::kIdShlx : op == Shift::Shr ? Id::kIdShrx : Id::kIdSarx;
    impl_->a.emit(id, gp(width, dst), gp(width, src), gp(width, count));
}
void EmitterX64::rorx(Width width, Gp dst, Gp src, uint8_t count) {
    impl_->a.emit(Id::kIdRorx, gp(width, dst), gp(width, src), asmjit::Imm(count));
}
void EmitterX64::mulx(Width width, Gp high, Gp low, Gp src) {
    impl_->a.emit(Id::kIdMulx, gp(width, high), gp(width, low), gp(width, src));
}
void EmitterX64::wide(Wide op, Width width, Gp src) {
    const Id id = op == Wide::Mul ? Id::kIdMul : op == Wide::Div ? Id::kIdDiv : Id::kIdIdiv;
    impl_->a.emit(id, gp(width, src));
}
void EmitterX64::cdq_cqo(Width width) { impl_->a.emit(width == Width::W64 ? Id::kIdCqo : Id::kIdCdq); }
void EmitterX64::neg(Width width, Gp dst) {
    if (impl_->room() && width >= Width::W32) return impl_->done(impl_->registers(width, 0xf7, 3, number(dst), false));
    impl_->a.emit(Id::kIdNeg, gp(width, dst));
}
void EmitterX64::bswap(Width width, Gp dst) { impl_->a.emit(Id::kIdBswap, gp(width, dst)); }
void EmitterX64::bt(Width width, Gp value, Gp bit) { impl_->a.emit(Id::kIdBt, gp(width, value), gp(width, bit)); }
void EmitterX64::bt_imm(Width width, Gp value, uint8_t bit) {
    impl_->a.emit(Id::kIdBt, gp(width, value), asmjit::Imm(bit));
}

void EmitterX64::lock_alu(Alu op, Width width, Mem m, Gp src) {
    impl_->a.lock().emit(id_of(op), mem(width, m), gp(width, src));
}
void EmitterX64::lock_xadd(Width width, Mem m, Gp reg) {
    impl_->a.lock().emit(Id::kIdXadd, mem(width, m), gp(width, reg));
}
void EmitterX64::xchg_mem(Width width, Mem m, Gp reg) { impl_->a.emit(Id::kIdXchg, mem(width, m), gp(width, reg)); }
void EmitterX64::lock_cmpxchg(Width width, Mem m, Gp src) {
    impl_->a.lock().emit(Id::kIdCmpxchg, mem(width, m), gp(width, src));
}

void EmitterX64::jump(Label label) { impl_->jump(label, 0xeb, 0xe9); }
void EmitterX64::jump_if(Cond cond, Label label) {
    const auto bits = static_cast<unsigned>(cond);
    impl_->jump(label, 0x70 | bits, 0x180 | bits);
}
void EmitterX64::jump_reg(Gp reg) { impl_->a.emit(Id::kIdJmp, gpq(reg)); }
void EmitterX64::call(Label label) {
    uint8_t* p = impl_->make_room();
    if (p == nullptr) return;
    *p++ = 0xe8;
    impl_->done(impl_->put_distance(p, label));
}
void EmitterX64::call_reg(Gp reg) { impl_->a.emit(Id::kIdCall, gpq(reg)); }
void EmitterX64::call_address(const void* target) {
    impl_->a.emit(Id::kIdCall, asmjit::Imm(reinterpret_cast<uint64_t>(target)));
}
void EmitterX64::ret() {
    if (impl_->room()) {
        *impl_->a._bufferPtr = 0xc3;
        return impl_->done(impl_->a._bufferPtr + 1);
    }
    impl_->a.emit(Id::kIdRet);
}
void EmitterX64::trap() { impl_->a.emit(Id::kIdInt3); }

void EmitterX64::embed_distance(Label target, Label base) {
    const auto& labels = impl_->labels;
    impl_->a.embedUInt32(labels[target].at - labels[base].at);
}
void EmitterX64::embed_zero32() { impl_->a.embedUInt32(0); }
void EmitterX64::embed_word(uint64_t word) { impl_->a.embedUInt64(word); }

Result<size_t> EmitterX64::finish() {
    asmjit::CodeBuffer& buffer = impl_->code.textSection()->buffer();
    buffer._size = std::max(buffer._size, impl_->a.offset());  // asmjit counts only what it wrote itself
    if (impl_->errors.first == asmjit::kErrorOk) impl_->code.flatten();
    if (impl_->errors.first == asmjit::kErrorOk) impl_->code.resolveUnresolvedLinks();
    if (impl_->errors.first != asmjit::kErrorOk) {
        const bool memory = impl_->errors.first == asmjit::kErrorOutOfMemory;
        return Error{memory ? Errc::NoMemory : Errc::Unsupported, fmt::format("assembler: {}", impl_->errors.text)};
    }
    if (impl_->waiting != 0) return Error{Errc::Unsupported, "assembler: a jump leads to a place that is not there"};
    return impl_->code.codeSize();
}

Result<size_t> EmitterX64::copy_to(void* out, uint64_t address) {
    const size_t bound = impl_->code.codeSize();
    impl_->code.relocateToBase(address);
    const size_t bytes = impl_->code.codeSize();
    if (impl_->errors.first == asmjit::kErrorOk) impl_->code.copyFlattenedData(out, bound);
    if (impl_->errors.first != asmjit::kErrorOk)
        return Error{Errc::Unsupported, fmt::format("relocating code: {}", impl_->errors.text)};
    return bytes;
}

}  // namespace skep::engine::jit
