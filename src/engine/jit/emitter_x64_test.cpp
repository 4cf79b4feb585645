// SPDX-License-Identifier: Apache-2.0
// The emitter's own encodings are asmjit's, byte for byte.
#include "engine/jit/emitter_x64.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace skep::engine::jit {
namespace {

constexpr Width wide[] = {Width::W32, Width::W64};
constexpr Width all_widths[] = {Width::W8, Width::W16, Width::W32, Width::W64};
constexpr int32_t immediates[] = {0, 1, -1, 127, 128, -128, -129, 0x12345678, INT32_MIN, INT32_MAX};

std::vector<Gp> registers() {
    std::vector<Gp> out;
    for (uint8_t i = 0; i < 16; ++i) out.push_back(static_cast<Gp>(i));
    return out;
}

std::vector<Mem> addresses() {
    std::vector<Mem> out;
    for (const int32_t disp : {0, 1, -1, 127, 128, -128, -129, 0x12345678}) {
        for (const Gp base : registers()) {
            out.push_back({base, Gp::None, 0, disp});
            for (const Gp index : registers()) {
                if (index == Gp::Rsp) continue;  // cannot be an index
                out.push_back({base, index, static_cast<uint8_t>(static_cast<unsigned>(index) % 4), disp});
                if (base == Gp::Rax) out.push_back({Gp::None, index, 3, disp});
            }
        }
    }
    return out;
}

using Emit = std::function<void(EmitterX64&)>;

std::string bytes(const Emit& emit, bool own) {
    EmitterX64 emitter(4, own);
    emit(emitter);
    std::string text;
    for (const uint8_t byte : emitter.written()) {
        text += "0123456789abcdef"[byte >> 4];
        text += "0123456789abcdef"[byte & 15];
    }
    return text;
}

void expect_same(const Emit& emit) { ASSERT_EQ(bytes(emit, true), bytes(emit, false)); }

TEST(EmitterX64, RegisterFormsAreThoseOfAsmjit) {
    for (const Gp dst : registers()) {
        for (const Gp src : registers()) {
            for (const Width width : wide) {
                expect_same([=](EmitterX64& e) { e.mov(width, dst, src); });
                for (const Alu op : {Alu::Add, Alu::Or, Alu::And, Alu::Sub, Alu::Xor, Alu::Cmp, Alu::Test, Alu::Imul})
                    expect_same([=](EmitterX64& e) { e.alu(op, width, dst, src); });
                for (const int32_t imm : immediates) expect_same([=](EmitterX64& e) { e.imul3(width, dst, src, imm); });
            }
            for (const Width width : all_widths) expect_same([=](EmitterX64& e) { e.zero_extend(width, dst, src); });
            for (const Width from : {Width::W8, Width::W16, Width::W32})
                expect_same([=](EmitterX64& e) { e.sign_extend(from, Width::W64, dst, src); });
            for (const Width from : {Width::W8, Width::W16})
                expect_same([=](EmitterX64& e) { e.sign_extend(from, Width::W32, dst, src); });
            for (uint8_t cond = 0; cond < 16; ++cond)
                for (const Width width : wide)
                    expect_same([=](EmitterX64& e) { e.cmov(static_cast<Cond>(cond), width, dst, src); });
        }
    }
}

TEST(EmitterX64, ImmediateFormsAreThoseOfAsmjit) {
    for (const Gp dst : registers()) {
        expect_same([=](EmitterX64& e) { e.zero(dst); });
        expect_same([=](EmitterX64& e) { e.push(dst); });
        expect_same([=](EmitterX64& e) { e.pop(dst); });
        expect_same([](EmitterX64& e) { e.ret(); });
        for (const Width width : wide) expect_same([=](EmitterX64& e) { e.neg(width, dst); });
        for (uint8_t cond = 0; cond < 16; ++cond)
            expect_same([=](EmitterX64& e) { e.setcc(static_cast<Cond>(cond), dst); });
        for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{UINT32_MAX}, uint64_t{1} << 32, ~uint64_t{0}})
            expect_same([=](EmitterX64& e) { e.mov_imm(dst, value); });
        for (const Width width : wide)
            for (const Alu op : {Alu::Add, Alu::Or, Alu::And, Alu::Sub, Alu::Xor, Alu::Cmp, Alu::Test})
                for (const int32_t imm : immediates)
                    expect_same([=](EmitterX64& e) { e.alu_imm(op, width, dst, imm); });
        for (const Width width : {Width::W16, Width::W32, Width::W64})
            for (const Shift op : {Shift::Shl, Shift::Shr, Shift::Sar, Shift::Rol, Shift::Ror})
                for (const uint8_t count : {1, 2, 8, 15, 31})
                    expect_same([=](EmitterX64& e) { e.shift_imm(op, width, dst, count); });
    }
}

TEST(EmitterX64, MemoryFormsAreThoseOfAsmjit) {
    for (const Mem& mem : addresses()) {
        for (const Gp reg : {Gp::Rax, Gp::Rsp, Gp::Rdi, Gp::R8, Gp::R13}) {
            for (const Width width : all_widths) {
                expect_same([=](EmitterX64& e) { e.load(width, reg, mem); });
                expect_same([=](EmitterX64& e) { e.load_signed(width, reg, mem); });
                expect_same([=](EmitterX64& e) { e.store(width, mem, reg); });
            }
            for (const Width width : wide) expect_same([=](EmitterX64& e) { e.lea(width, reg, mem); });
        }
        for (const Width width : all_widths) {
            // An immediate is one of its width: asmjit refuses others.
            for (const int32_t value : {0, 1, -1, 127, -128})
                expect_same([=](EmitterX64& e) { e.store_imm(width, mem, value); });
            if (width >= Width::W32)
                for (const int32_t value : immediates)
                    expect_same([=](EmitterX64& e) { e.store_imm(width, mem, value); });
        }
    }
}

/// What `emit` leaves at `offset`.
std::vector<uint8_t> tail_of(const Emit& emit, size_t offset) {
    EmitterX64 emitter(64);
    emit(emitter);
    const auto written = emitter.written();
    return {written.begin() + static_cast<std::ptrdiff_t>(offset), written.end()};
}

TEST(EmitterX64, JumpsBackwardAreShortAsFarAsAByteReaches) {
    const auto back = [](int bytes) {
        return [bytes](EmitterX64& e) {
            const Label label = e.new_label();
            e.bind(label);
            for (int i = 0; i < bytes; ++i) e.trap();
            e.jump(label);
        };
    };
    EXPECT_EQ(tail_of(back(126), 126), (std::vector<uint8_t>{0xeb, 0x80}));
    EXPECT_EQ(tail_of(back(127), 127), (std::vector<uint8_t>{0xe9, 0x7c, 0xff, 0xff, 0xff}));
    const auto condition = [](EmitterX64& e) {
        const Label label = e.new_label();
        e.bind(label);
        e.jump_if(Cond::NotEqual, label);
    };
    EXPECT_EQ(tail_of(condition, 0), (std::vector<uint8_t>{0x75, 0xfe}));
}

TEST(EmitterX64, EveryPlaceThatWaitsForALabelGetsIt) {
    const auto forward = [](EmitterX64& e) {
        const Label label = e.new_label();
        e.jump(label);
        e.jump_if(Cond::Less, label);
        e.call(label);
        e.lea_label(Gp::R9, label);
        e.bind(label);
        e.lea_label(Gp::Rax, label);
    };
    EXPECT_EQ(tail_of(forward, 0), (std::vector<uint8_t>{
                                       0xe9, 18,   0,    0,    0,                 // jmp
                                       0x0f, 0x8c, 12,   0,    0,    0,           // jl
                                       0xe8, 7,    0,    0,    0,                 // call
                                       0x4c, 0x8d, 0x0d, 0,    0,    0,    0,     // lea r9, [rip]
                                       0x48, 0x8d, 0x05, 0xf9, 0xff, 0xff, 0xff,  // lea rax, [rip - 7]
                                   }));
}

TEST(EmitterX64, AJumpToALabelThatIsBoundNowhereIsAnError) {
    EmitterX64 emitter(4);
    emitter.jump(emitter.new_label());
    EXPECT_FALSE(emitter.finish());
}

TEST(EmitterX64, AJumpMeetsItsLabelWhereTheBufferGrewBetween) {
    EmitterX64 emitter(0);
    const Label label = emitter.new_label();
    emitter.jump(label);
    for (int i = 0; i < 10000; ++i) emitter.alu_imm(Alu::Add, Width::W64, Gp::R9, 0x12345678);
    emitter.bind(label);
    EXPECT_EQ(emitter.label_offset(label), 70005u);
    const auto code = emitter.written();
    EXPECT_EQ(code[1] | code[2] << 8 | code[3] << 16 | code[4] << 24, 70000);
    EXPECT_TRUE(emitter.finish());
}

TEST(EmitterX64, AsmjitGrowsTheBufferThatOurOwnEncodingsFilled) {
    // The first buffer has about 1 KiB. Whatever our own encodings leave of it, asmjit's instruction after them is
    // longer than that for some of these: it must move to a larger buffer, not write past this one.
    for (unsigned filled = 130; filled < 160; ++filled) {
        for (unsigned lead = 0; lead < 7; ++lead) {
            expect_same([=](EmitterX64& e) {
                for (unsigned i = 0; i < lead; ++i) e.push(Gp::Rax);  // one byte each
                for (unsigned i = 0; i < filled; ++i)
                    e.alu_imm(Alu::Add, Width::W64, Gp::R9, 0x12345678);                  // seven bytes each
                e.store_imm(Width::W64, {Gp::Rsp, Gp::None, 0, 0x12345678}, 0x12345678);  // twelve bytes
                e.shift_cl(Shift::Shl, Width::W64, Gp::Rbx);
            });
        }
    }
}

TEST(EmitterX64, TheBufferGrows) {
    EmitterX64 emitter(0);
    for (int i = 0; i < 10000; ++i) emitter.alu_imm(Alu::Add, Width::W64, Gp::R9, 0x12345678);
    EXPECT_EQ(emitter.written().size(), 70000u);
    EXPECT_TRUE(emitter.finish());
}

}  // namespace
}  // namespace skep::engine::jit
