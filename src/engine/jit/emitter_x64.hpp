// SPDX-License-Identifier: Apache-2.0
// The only door to asmjit for x86-64: what the translator wants to say, in its own words. asmjit's API changes from
// release to release; emitter_x64.cpp is the one file that follows it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.hpp"

namespace skep::engine::jit {

/// General-purpose registers by their encoding.
enum class Gp : uint8_t { Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13, R14, R15, None = 0xff };

/// Operand width in bytes.
enum class Width : uint8_t { W8 = 1, W16 = 2, W32 = 4, W64 = 8 };

/// Condition codes by their encoding.
enum class Cond : uint8_t {
    Overflow,
    NotOverflow,
    Below,
    AboveEqual,
    Equal,
    NotEqual,
    BelowEqual,
    Above,
    Sign,
    NotSign,
    Parity,
    NotParity,
    Less,
    GreaterEqual,
    LessEqual,
    Greater,
};
constexpr Cond negate(Cond cond) { return static_cast<Cond>(static_cast<uint8_t>(cond) ^ 1); }

/// base + (index << scale) + disp; either register may be None.
struct Mem {
    Gp base = Gp::None;
    Gp index = Gp::None;
    uint8_t scale = 0;  ///< 0 to 3
    int32_t disp = 0;
};

/// Two-operand instructions with the shape `op dst, src`.
enum class Alu : uint8_t { Add, Or, And, Sub, Xor, Cmp, Test, Imul };
/// Shifts and rotates.
enum class Shift : uint8_t { Shl, Shr, Sar, Rol, Ror };
/// Multiplications and divisions with rdx:rax as the hidden operand.
enum class Wide : uint8_t { Mul, Div, Idiv };

/// What the processor has beyond the x86-64 baseline.
struct Features {
    bool bmi2 = false;
    bool movbe = false;

    static Features host();
};

using Label = uint32_t;

/// Appends instructions; nothing runs before finish(). Errors of asmjit (memory out, operands it refuses) are kept and
/// reported by finish(), so that callers need not look after every instruction.
class EmitterX64 {
  public:
    /// `instructions`: about how many programs' instructions will come, to reserve memory.
    /// own_encoding: encode the frequent forms here instead of by asmjit (off: to compare the two).
    explicit EmitterX64(size_t instructions, bool own_encoding = true);
    ~EmitterX64();
    EmitterX64(const EmitterX64&) = delete;
    EmitterX64& operator=(const EmitterX64&) = delete;

    Label new_label();
    void bind(Label label);
    /// Bytes emitted so far.
    size_t offset() const;
    std::span<const uint8_t> written() const;
    /// Offset of a bound label.
    size_t label_offset(Label label) const;
    void align(uint32_t bytes);

    // Moves.
    void mov(Width width, Gp dst, Gp src);  ///< W64 or W32 (zero-extends)
    /// dst = value in the shortest form that leaves the flags alone.
    void mov_imm(Gp dst, uint64_t value);
    /// dst = 0; changes the flags.
    void zero(Gp dst);
    void load(Width width, Gp dst, Mem mem);          ///< zero-extends to 64 bits
    void load_signed(Width width, Gp dst, Mem mem);   ///< sign-extends to 64 bits
    void load_swapped(Width width, Gp dst, Mem mem);  ///< movbe, W16 (upper bits kept), W32 or W64
    void store(Width width, Mem mem, Gp src);
    void store_imm(Width width, Mem mem, int32_t value);  ///< W64 sign-extends
    void zero_extend(Width from, Gp dst, Gp src);         ///< W8, W16, W32 to 64 bits
    void sign_extend(Width from, Width to, Gp dst, Gp src);
    void lea(Width width, Gp dst, Mem mem);
    void lea_label(Gp dst, Label label);
    void xchg(Width width, Gp a, Gp b);
    void push(Gp reg);
    void pop(Gp reg);
    void cmov(Cond cond, Width width, Gp dst, Gp src);
    void setcc(Cond cond, Gp dst);

    // Arithmetic. W32 zero-extends.
    void alu(Alu op, Width width, Gp dst, Gp src);
    void alu_imm(Alu op, Width width, Gp dst, int32_t imm);
    void alu_load(Alu op, Width width, Gp dst, Mem src);
    void alu_store(Alu op, Width width, Mem dst, Gp src);
    void alu_store_imm(Alu op, Width width, Mem dst, int32_t imm);
    void imul3(Width width, Gp dst, Gp src, int32_t imm);
    void shift_imm(Shift op, Width width, Gp dst, uint8_t count);
    void shift_cl(Shift op, Width width, Gp dst);
    void shiftx(Shift op, Width width, Gp dst, Gp src, Gp count);  ///< BMI2: Shl, Shr, Sar
    void rorx(Width width, Gp dst, Gp src, uint8_t count);         ///< BMI2
    void mulx(Width width, Gp high, Gp low, Gp src);               ///< BMI2; rdx is the other factor
    void wide(Wide op, Width width, Gp src);
    void cdq_cqo(Width width);
    void neg(Width width, Gp dst);
    void bswap(Width width, Gp dst);  ///< W32 or W64
    void bt(Width width, Gp value, Gp bit);
    void bt_imm(Width width, Gp value, uint8_t bit);

    // Atomics, all with the lock prefix.
    void lock_alu(Alu op, Width width, Mem mem, Gp src);  ///< Add, Or, And, Xor
    void lock_xadd(Width width, Mem mem, Gp reg);
    void xchg_mem(Width width, Mem mem, Gp reg);
    void lock_cmpxchg(Width width, Mem mem, Gp src);  ///< compares with rax

    // Control flow.
    void jump(Label label);
    void jump_if(Cond cond, Label label);
    void jump_reg(Gp reg);
    void call(Label label);
    void call_reg(Gp reg);
    /// Direct when the target turns out to be within reach of the code's final place, else through a table behind it.
    void call_address(const void* target);
    void ret();
    void trap();

    /// A word of data: the distance from `base` to `target`. Requires: both are bound.
    void embed_distance(Label target, Label base);
    void embed_zero32();
    void embed_word(uint64_t word);

    /// Resolves everything. Upper bound of the final size in bytes.
    Result<size_t> finish();
    /// Writes the final bytes for an execution at `address` to `out` (finish()'s size). Bytes really used.
    Result<size_t> copy_to(void* out, uint64_t address);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace skep::engine::jit
