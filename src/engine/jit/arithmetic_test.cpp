// SPDX-License-Identifier: Apache-2.0
// Arithmetic and atomics of the JIT against a model written from RFC 9669, over all pairs of registers, in both calling
// conventions, with and without processor extensions.
#include <gtest/gtest.h>

#include <cstring>

#include "engine/jit/testing.hpp"

namespace skep::engine::jit {
namespace {

using namespace testing;

// ---- arithmetic over all registers

/// The model, written from RFC 9669 section 4.1.
uint64_t model(isa::Operation operation, bool w32, uint64_t a, uint64_t b) {
    using enum isa::Operation;
    const unsigned bits = w32 ? 32 : 64;
    const uint64_t mask = w32 ? UINT32_MAX : UINT64_MAX;
    const auto sign = [&](uint64_t x) {
        return w32 ? int64_t{static_cast<int32_t>(static_cast<uint32_t>(x))} : static_cast<int64_t>(x);
    };
    a &= mask;
    b &= mask;
    const unsigned count = static_cast<unsigned>(b) & (bits - 1);
    uint64_t r = 0;
    if (operation == Add) r = a + b;
    if (operation == Sub) r = a - b;
    if (operation == Mul) r = a * b;
    if (operation == Div) r = b == 0 ? 0 : a / b;
    if (operation == Mod) r = b == 0 ? a : a % b;
    if (operation == Sdiv) r = b == 0 ? 0 : b == mask ? 0 - a : static_cast<uint64_t>(sign(a) / sign(b));
    if (operation == Smod) r = b == 0 ? a : b == mask ? 0 : static_cast<uint64_t>(sign(a) % sign(b));
    if (operation == Or) r = a | b;
    if (operation == And) r = a & b;
    if (operation == Xor) r = a ^ b;
    if (operation == Mov) r = b;
    if (operation == Lsh) r = a << count;
    if (operation == Rsh) r = a >> count;
    if (operation == Arsh) r = static_cast<uint64_t>(sign(a) >> count);
    if (operation == Neg) r = 0 - a;
    if (operation == Movsx8) r = static_cast<uint64_t>(int64_t{static_cast<int8_t>(b)});
    if (operation == Movsx16) r = static_cast<uint64_t>(int64_t{static_cast<int16_t>(b)});
    if (operation == Movsx32) r = static_cast<uint64_t>(int64_t{static_cast<int32_t>(b)});
    return r & mask;
}

constexpr uint64_t samples[] = {
    0,          1,          2,           0xffffffffffffffff, 0x8000000000000000, 0x7fffffffffffffff,
    0xffffffff, 0x80000000, 0x100000000, 0x123456789abcdef0, 0xfedcba9876543210, 63,
    33};

/// All of r0 to r9 come from the context, `insns` run, all of r0 to r9 go back; r10 - 8 keeps the context's address.
isa::Code framed(std::span<const isa::Insn> insns) {
    isa::Code code;
    isa::append(code, {.op = Op::StxDw, .dst = 10, .src = 1, .offset = -8});
    for (uint8_t reg : {0, 2, 3, 4, 5, 6, 7, 8, 9, 1})
        isa::append(code, {.op = Op::LdxDw, .dst = reg, .src = 1, .offset = static_cast<int16_t>(8 * reg)});
    for (const isa::Insn& insn : insns) isa::append(code, insn);
    // r9 goes by the stack to free a register for the address.
    isa::append(code, {.op = Op::StxDw, .dst = 10, .src = 9, .offset = -16});
    isa::append(code, {.op = Op::LdxDw, .dst = 9, .src = 10, .offset = -8});
    for (uint8_t reg = 0; reg < 9; ++reg)
        isa::append(code, {.op = Op::StxDw, .dst = 9, .src = reg, .offset = static_cast<int16_t>(8 * reg)});
    isa::append(code, {.op = Op::LdxDw, .dst = 1, .src = 10, .offset = -16});
    isa::append(code, {.op = Op::StxDw, .dst = 9, .src = 1, .offset = 72});
    isa::append(code, {.op = Op::Mov64K, .dst = 0, .imm = 0});
    isa::append(code, {.op = Op::Exit});
    return code;
}

TEST(JitArithmetic, EveryRegisterPairAgreesWithTheModelAndTouchesNothingElse) {
    for (const Variant& variant : variants) {
        Machine machine(variant);
        for (const isa::Row& row : isa::rows()) {
            const bool two = row.form == isa::Form::DstSrc || row.form == isa::Form::MovSrc;
            if (!two && row.operation != isa::Operation::Neg) continue;
            for (uint8_t dst = 0; dst < 10; ++dst) {
                for (uint8_t src = 0; src < (two ? uint8_t{10} : uint8_t{1}); ++src) {
                    const isa::Insn insn{.op = row.op, .dst = dst, .src = two ? src : uint8_t{0}};
                    auto code = machine.compile(bound(framed(std::span(&insn, 1))));
                    ASSERT_TRUE(code) << code.error().to_string();
                    for (size_t i = 0; i < std::size(samples); ++i) {
                        for (size_t j = 0; j < std::size(samples); ++j) {
                            uint64_t regs[10];
                            for (size_t r = 0; r < 10; ++r) regs[r] = 0x0101010101010101 * (r + 1);
                            regs[src] = samples[j];
                            regs[dst] = two && src == dst ? samples[j] : samples[i];
                            uint64_t want[10];
                            std::memcpy(want, regs, sizeof want);
                            want[dst] = model(row.operation, row.width_bits() == 32, regs[dst], regs[src]);
                            machine.enter(**code, regs);
                            for (size_t r = 0; r < 10; ++r) {
                                ASSERT_EQ(regs[r], want[r])
                                    << variant.name << ": " << row.name << " r" << int{dst} << ", r" << int{src}
                                    << " of " << samples[i] << " and " << samples[j] << ", r" << r;
                            }
                        }
                    }
                }
            }
        }
    }
}

TEST(JitArithmetic, EveryConstantAgreesWithTheModel) {
    constexpr int32_t constants[] = {0,       1,          2,   3,   5,   6,    7,    8,         9,
                                     10,      11,         13,  25,  31,  32,   33,   63,        64,
                                     100,     127,        128, 255, 256, 641,  1000, 65535,     65536,
                                     1000003, 0x7fffffff, -1,  -2,  -8,  -128, -129, INT32_MIN, 60000};
    for (const Variant& variant : variants) {
        Machine machine(variant);
        for (const isa::Row& row : isa::rows()) {
            if (row.form != isa::Form::DstImm && row.form != isa::Form::MovImm) continue;
            for (const int32_t imm : constants) {
                for (uint8_t dst : {0, 1, 2, 3, 4, 7}) {
                    const isa::Insn insn{.op = row.op, .dst = dst, .imm = imm};
                    auto code = machine.compile(bound(framed(std::span(&insn, 1))));
                    ASSERT_TRUE(code) << code.error().to_string();
                    for (const uint64_t sample : samples) {
                        uint64_t regs[10];
                        for (size_t r = 0; r < 10; ++r) regs[r] = 0x0101010101010101 * (r + 1);
                        regs[dst] = sample;
                        uint64_t want[10];
                        std::memcpy(want, regs, sizeof want);
                        want[dst] =
                            model(row.operation, row.width_bits() == 32, sample, static_cast<uint64_t>(int64_t{imm}));
                        machine.enter(**code, regs);
                        for (size_t r = 0; r < 10; ++r)
                            ASSERT_EQ(regs[r], want[r]) << variant.name << ": " << row.name << " r" << int{dst} << ", "
                                                        << imm << " of " << sample << ", r" << r;
                    }
                }
            }
        }
    }
}

TEST(JitArithmetic, ReciprocalsAreExactAtTheEdgesOfQuotients) {
    Machine machine(variants[0]);
    for (uint64_t divisor : {3ull, 7ull, 10ull, 641ull, 1000003ull, 0x7ffffffdull, 0x7fffffffull, 28ull, 12345ull}) {
        for (const Op op : {Op::Div64K, Op::Mod64K, Op::Div32K, Op::Mod32K}) {
            const isa::Insn insn{.op = op, .dst = 2, .imm = static_cast<int32_t>(divisor)};
            auto code = machine.compile(bound(framed(std::span(&insn, 1))));
            ASSERT_TRUE(code);
            const bool w32 = isa::row_of(op).width_bits() == 32;
            const uint64_t most = w32 ? UINT32_MAX : UINT64_MAX;
            for (uint64_t k = 0; k < 64; ++k) {
                const uint64_t quotient = k < 32 ? k : most / divisor - (k - 32);
                for (const uint64_t x :
                     {quotient * divisor, quotient * divisor - 1, quotient * divisor + divisor - 1}) {
                    uint64_t regs[10] = {};
                    regs[2] = x;
                    machine.enter(**code, regs);
                    ASSERT_EQ(regs[2], model(isa::row_of(op).operation, w32, x, divisor)) << x << " by " << divisor;
                }
            }
        }
    }
}

// ---- atomics

TEST(JitAtomics, EveryOperationAgreesWithTheModelForEveryRegisterPair) {
    for (const Variant& variant : variants) {
        Machine machine(variant);
        for (const isa::Row& row : isa::rows()) {
            if (!row.is_atomic()) continue;
            using enum isa::Operation;
            for (uint8_t dst = 0; dst < 10; ++dst) {
                for (uint8_t src = 0; src < 10; ++src) {
                    if (dst == src) continue;  // memory at its own address: the fuzzer's
                    const isa::Insn insn{.op = row.op, .dst = dst, .src = src, .offset = 8};
                    auto code = machine.compile(bound(framed(std::span(&insn, 1))));
                    ASSERT_TRUE(code) << code.error().to_string();
                    for (const bool equal : {false, true}) {
                        uint64_t memory[2] = {0, 0xf0f0f0f0f0f0f0f0};
                        const bool w32 = row.width_bits() == 32;
                        const uint64_t mask = w32 ? UINT32_MAX : UINT64_MAX;
                        uint64_t regs[10], want[10];
                        for (size_t r = 0; r < 10; ++r) regs[r] = 0x8123456789abcdef * (r + 1);
                        if (equal) regs[0] = memory[1];
                        regs[dst] = reinterpret_cast<uint64_t>(memory);
                        std::memcpy(want, regs, sizeof want);
                        const uint64_t old = memory[1] & mask, operand = regs[src] & mask;
                        uint64_t fresh = old;
                        if (row.operation == AtomicAdd || row.operation == AtomicFetchAdd)
                            fresh = (old + operand) & mask;
                        if (row.operation == AtomicOr || row.operation == AtomicFetchOr) fresh = old | operand;
                        if (row.operation == AtomicAnd || row.operation == AtomicFetchAnd) fresh = old & operand;
                        if (row.operation == AtomicXor || row.operation == AtomicFetchXor) fresh = old ^ operand;
                        if (row.operation == AtomicXchg) fresh = operand;
                        if (row.operation == AtomicCmpxchg) {
                            if ((regs[0] & mask) == old) fresh = operand;
                            want[0] = old;
                        }
                        if (row.form == isa::Form::AtomicFetch) want[src] = old;
                        const uint64_t memory_want = (memory[1] & ~mask) | fresh;
                        machine.enter(**code, regs);
                        ASSERT_EQ(memory[1], memory_want) << variant.name << ": " << row.name;
                        for (size_t r = 0; r < 10; ++r)
                            ASSERT_EQ(regs[r], want[r]) << variant.name << ": " << row.name << " r" << int{dst} << ", r"
                                                        << int{src} << ", r" << r;
                    }
                }
            }
        }
    }
}

}  // namespace
}  // namespace skep::engine::jit
