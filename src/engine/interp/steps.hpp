// SPDX-License-Identifier: Apache-2.0
// What instructions compute, one Step per handler that neither calls nor touches the frame: the meaning of RFC 9669
// sections 4 and 5, written once for the handlers of single instructions and for the fused ones. Internal to
// engine/interp.
#pragma once

#include <bit>
#include <type_traits>

#include "engine/interp/code.hpp"

namespace skep::engine::interp {

template <typename T>
using Signed = std::make_signed_t<T>;

// ---- arithmetic, section 4.1 ----

template <typename T>
T op_add(T a, T b) {
    return a + b;
}
template <typename T>
T op_sub(T a, T b) {
    return a - b;
}
template <typename T>
T op_mul(T a, T b) {
    return a * b;
}
/// Division by zero gives zero.
template <typename T>
T op_div(T a, T b) {
    return b == 0 ? 0 : a / b;
}
/// The one overflow, least / -1, wraps to the least number.
template <typename T>
T op_sdiv(T a, T b) {
    if (b == 0) return 0;
    if (b == static_cast<T>(-1)) return T{0} - a;
    return static_cast<T>(static_cast<Signed<T>>(a) / static_cast<Signed<T>>(b));
}
/// Modulo zero leaves the number.
template <typename T>
T op_mod(T a, T b) {
    return b == 0 ? a : a % b;
}
template <typename T>
T op_smod(T a, T b) {
    if (b == 0) return a;
    if (b == static_cast<T>(-1)) return 0;
    return static_cast<T>(static_cast<Signed<T>>(a) % static_cast<Signed<T>>(b));
}
template <typename T>
T op_or(T a, T b) {
    return a | b;
}
template <typename T>
T op_and(T a, T b) {
    return a & b;
}
template <typename T>
T op_xor(T a, T b) {
    return a ^ b;
}
/// Shifts use the low bits of the count: 6 of 64-bit ones, 5 of 32-bit ones.
template <typename T>
T op_lsh(T a, T b) {
    return a << (b & (sizeof(T) * 8 - 1));
}
template <typename T>
T op_rsh(T a, T b) {
    return a >> (b & (sizeof(T) * 8 - 1));
}
template <typename T>
T op_arsh(T a, T b) {
    return static_cast<T>(static_cast<Signed<T>>(a) >> (b & (sizeof(T) * 8 - 1)));
}
template <typename T>
T op_mov(T, T b) {
    return b;
}
/// `b`'s low sizeof(From) bytes, sign-extended to T.
template <typename From, typename T>
T extend(T b) {
    return static_cast<T>(static_cast<Signed<T>>(static_cast<From>(b)));
}

// ---- comparisons, section 4.3 ----

template <typename T>
bool is_eq(T a, T b) {
    return a == b;
}
template <typename T>
bool is_ne(T a, T b) {
    return a != b;
}
template <typename T>
bool is_gt(T a, T b) {
    return a > b;
}
template <typename T>
bool is_ge(T a, T b) {
    return a >= b;
}
template <typename T>
bool is_lt(T a, T b) {
    return a < b;
}
template <typename T>
bool is_le(T a, T b) {
    return a <= b;
}
template <typename T>
bool is_set(T a, T b) {
    return (a & b) != 0;
}
template <typename T>
bool is_sgt(T a, T b) {
    return static_cast<Signed<T>>(a) > static_cast<Signed<T>>(b);
}
template <typename T>
bool is_sge(T a, T b) {
    return static_cast<Signed<T>>(a) >= static_cast<Signed<T>>(b);
}
template <typename T>
bool is_slt(T a, T b) {
    return static_cast<Signed<T>>(a) < static_cast<Signed<T>>(b);
}
template <typename T>
bool is_sle(T a, T b) {
    return static_cast<Signed<T>>(a) <= static_cast<Signed<T>>(b);
}

// ---- memory ----

/// Where a memory access goes whose base register holds `base`.
inline uint64_t address_of(const Micro& micro, uint64_t base) {
    return base + static_cast<uint64_t>(static_cast<int64_t>(micro.jump));
}

// ---- steps ----

enum class StepKind : uint8_t {
    Value,   ///< value(micro, dst, src): what dst becomes
    Load,    ///< the same, after a read of access_bytes bytes at src + offset
    Store,   ///< store(micro, dst, src): writes access_bytes bytes at dst + offset
    Branch,  ///< holds(micro, dst, src): whether to jump
};

/// Each has: kind; slots, those of the instruction; access_bytes, zero unless Load or Store; and the function named at
/// its kind, which gets the values of both registers and may use either.
template <Handler>
struct Step;

#define SKEP_STEP(name, step_kind, step_slots, bytes, type, function, result)                                       \
    template <>                                                                                                     \
    struct Step<Handler::name> {                                                                                    \
        static constexpr StepKind kind = StepKind::step_kind;                                                       \
        static constexpr unsigned slots = step_slots, access_bytes = bytes;                                         \
        [[gnu::always_inline]] static type function([[maybe_unused]] const Micro& m, [[maybe_unused]] uint64_t dst, \
                                                    [[maybe_unused]] uint64_t src) {                                \
            return result;                                                                                          \
        }                                                                                                           \
    };
#define SKEP_IMM64 static_cast<uint64_t>(m.imm)
#define SKEP_IMM32 static_cast<uint32_t>(m.imm)
#define SKEP_LOW(value) static_cast<uint32_t>(value)

#define SKEP_VALUE(name, result) SKEP_STEP(name, Value, 1, 0, uint64_t, value, result)
#define SKEP_ARITHMETIC(name, compute)                                  \
    SKEP_VALUE(name##64K, compute<uint64_t>(dst, SKEP_IMM64))           \
    SKEP_VALUE(name##64X, compute<uint64_t>(dst, src))                  \
    SKEP_VALUE(name##32K, compute<uint32_t>(SKEP_LOW(dst), SKEP_IMM32)) \
    SKEP_VALUE(name##32X, compute<uint32_t>(SKEP_LOW(dst), SKEP_LOW(src)))
SKEP_ARITHMETIC(Add, op_add)
SKEP_ARITHMETIC(Sub, op_sub)
SKEP_ARITHMETIC(Mul, op_mul)
SKEP_ARITHMETIC(Div, op_div)
SKEP_ARITHMETIC(Sdiv, op_sdiv)
SKEP_ARITHMETIC(Or, op_or)
SKEP_ARITHMETIC(And, op_and)
SKEP_ARITHMETIC(Lsh, op_lsh)
SKEP_ARITHMETIC(Rsh, op_rsh)
SKEP_ARITHMETIC(Mod, op_mod)
SKEP_ARITHMETIC(Smod, op_smod)
SKEP_ARITHMETIC(Xor, op_xor)
SKEP_ARITHMETIC(Mov, op_mov)
SKEP_ARITHMETIC(Arsh, op_arsh)
SKEP_VALUE(Movsx32X8, (extend<int8_t, uint32_t>(SKEP_LOW(src))))
SKEP_VALUE(Movsx32X16, (extend<int16_t, uint32_t>(SKEP_LOW(src))))
SKEP_VALUE(Movsx64X8, (extend<int8_t, uint64_t>(src)))
SKEP_VALUE(Movsx64X16, (extend<int16_t, uint64_t>(src)))
SKEP_VALUE(Movsx64X32, (extend<int32_t, uint64_t>(src)))
SKEP_VALUE(Neg32, uint32_t{0} - SKEP_LOW(dst))
SKEP_VALUE(Neg64, uint64_t{0} - dst)
SKEP_VALUE(Le16, static_cast<uint16_t>(dst))
SKEP_VALUE(Le32, SKEP_LOW(dst))
SKEP_VALUE(Le64, dst)
SKEP_VALUE(Be16, __builtin_bswap16(static_cast<uint16_t>(dst)))
SKEP_VALUE(Be32, __builtin_bswap32(SKEP_LOW(dst)))
SKEP_VALUE(Be64, __builtin_bswap64(dst))
SKEP_VALUE(Bswap16, __builtin_bswap16(static_cast<uint16_t>(dst)))
SKEP_VALUE(Bswap32, __builtin_bswap32(SKEP_LOW(dst)))
SKEP_VALUE(Bswap64, __builtin_bswap64(dst))
// A program's address space and ours are the same, so the cast moves the pointer.
SKEP_VALUE(AddrSpaceCast, src)

// Wide loads: compile has put the value into imm.
#define SKEP_WIDE(name) SKEP_STEP(name, Value, 2, 0, uint64_t, value, SKEP_IMM64)
SKEP_WIDE(LdImm64)
SKEP_WIDE(LdMapFd)
SKEP_WIDE(LdMapValue)
SKEP_WIDE(LdBtfId)
SKEP_WIDE(LdFunc)
SKEP_WIDE(LdMapIdx)
SKEP_WIDE(LdMapIdxValue)

#define SKEP_COMPARISON(name, holds_for)                                                            \
    SKEP_STEP(name##64K, Branch, 1, 0, bool, holds, holds_for<uint64_t>(dst, SKEP_IMM64))           \
    SKEP_STEP(name##64X, Branch, 1, 0, bool, holds, holds_for<uint64_t>(dst, src))                  \
    SKEP_STEP(name##32K, Branch, 1, 0, bool, holds, holds_for<uint32_t>(SKEP_LOW(dst), SKEP_IMM32)) \
    SKEP_STEP(name##32X, Branch, 1, 0, bool, holds, holds_for<uint32_t>(SKEP_LOW(dst), SKEP_LOW(src)))
SKEP_COMPARISON(Jeq, is_eq)
SKEP_COMPARISON(Jne, is_ne)
SKEP_COMPARISON(Jgt, is_gt)
SKEP_COMPARISON(Jge, is_ge)
SKEP_COMPARISON(Jlt, is_lt)
SKEP_COMPARISON(Jle, is_le)
SKEP_COMPARISON(Jset, is_set)
SKEP_COMPARISON(Jsgt, is_sgt)
SKEP_COMPARISON(Jsge, is_sge)
SKEP_COMPARISON(Jslt, is_slt)
SKEP_COMPARISON(Jsle, is_sle)
SKEP_STEP(Ja, Branch, 1, 0, bool, holds, true)
SKEP_STEP(JaLong, Branch, 1, 0, bool, holds, true)

#define SKEP_LOAD(name, type)                               \
    SKEP_STEP(name, Load, 1, sizeof(type), uint64_t, value, \
              static_cast<uint64_t>(static_cast<int64_t>(load<type>(address_of(m, src)))))
SKEP_LOAD(LdxB, uint8_t)
SKEP_LOAD(LdxH, uint16_t)
SKEP_LOAD(LdxW, uint32_t)
SKEP_LOAD(LdxDw, uint64_t)
SKEP_LOAD(LdxsxB, int8_t)
SKEP_LOAD(LdxsxH, int16_t)
SKEP_LOAD(LdxsxW, int32_t)

#define SKEP_STORE(name, type, stored)                   \
    SKEP_STEP(name, Store, 1, sizeof(type), void, store, \
              interp::store<type>(address_of(m, dst), static_cast<type>(stored)))
SKEP_STORE(StB, uint8_t, m.imm)
SKEP_STORE(StH, uint16_t, m.imm)
SKEP_STORE(StW, uint32_t, m.imm)
SKEP_STORE(StDw, uint64_t, m.imm)
SKEP_STORE(StxB, uint8_t, src)
SKEP_STORE(StxH, uint16_t, src)
SKEP_STORE(StxW, uint32_t, src)
SKEP_STORE(StxDw, uint64_t, src)

#undef SKEP_STEP
#undef SKEP_VALUE
#undef SKEP_ARITHMETIC
#undef SKEP_WIDE
#undef SKEP_COMPARISON
#undef SKEP_LOAD
#undef SKEP_STORE
#undef SKEP_IMM64
#undef SKEP_IMM32
#undef SKEP_LOW

/// Does what the step does to registers and memory; whether it jumps. Requires: dst == m.dst, src == m.src; the caller
/// may know them from elsewhere.
template <Handler handler>
[[gnu::always_inline]] inline bool take(const Micro& m, uint64_t* r, unsigned dst, unsigned src) {
    using This = Step<handler>;
    if constexpr (This::kind == StepKind::Branch) {
        return This::holds(m, r[dst], r[src]);
    } else if constexpr (This::kind == StepKind::Store) {
        This::store(m, r[dst], r[src]);
    } else {
        r[dst] = This::value(m, r[dst], r[src]);
    }
    return false;
}

/// The first byte that a load or store touches.
template <Handler handler>
uint64_t accessed(const Micro& m, const uint64_t* r) {
    return address_of(m, Step<handler>::kind == StepKind::Store ? r[m.dst] : r[m.src]);
}

}  // namespace skep::engine::interp
