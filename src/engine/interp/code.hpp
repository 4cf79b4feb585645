// SPDX-License-Identifier: Apache-2.0
// What compile.cpp makes and the two loops run. Internal to engine/interp.
#pragma once

#include <array>
#include <bit>
#include <cstring>

#include "engine/interp/interp.hpp"
#include "platform/names.hpp"

namespace skep::engine::interp {

static_assert(std::endian::native == std::endian::little, "memory is little-endian, as the programs expect");

/// One handler per row of the instruction table, and those that binding asks for.
enum class Handler : uint8_t {
#define INSN(name, opcode, src_reg, offset, imm, form, operation, text, mnemonic, group, since) name,
#include "isa/insn.def"
#undef INSN
    ContextLoad,      ///< imm: packed ContextField
    ContextPointer,   ///< a pointer field, whole
    ContextStore,     ///< imm: packed ContextField; value in src
    ContextStoreImm,  ///< the same; value in jump
    TailCall,         ///< imm: the helper's address
    Invalid,          ///< the second slot of a wide load, what has no meaning: no verified path leads here
};

/// One predecoded slot: index for index the program's own slots, so that addresses of code are InsnIndex.
struct Micro {
    Handler handler = Handler::Invalid;
    uint8_t dst = 0;
    uint8_t src = 0;
    uint8_t reserved = 0;
    int32_t jump = 0;  ///< slots to jump from the next one; or the offset of a memory access
    int64_t imm = 0;   ///< sign-extended immediate; address of a helper; value of a wide load
};
static_assert(sizeof(Micro) == 16);

/// The meaning of a context access, packed into Micro::imm.
struct ContextField {
    uint16_t host_offset = 0;
    uint8_t host_bytes = 0;
    uint8_t part_offset = 0;
    uint8_t access_bytes = 0;
    uint8_t byte_swap = 0;
    uint8_t sign_extend = 0;
    uint8_t reserved = 0;

    int64_t pack() const { return std::bit_cast<int64_t>(*this); }
    static ContextField unpack(int64_t imm) { return std::bit_cast<ContextField>(imm); }
};
static_assert(sizeof(ContextField) == 8);

class Code;

/// The frames of one loop.
struct StackRange {
    uint64_t base = 0;
    const StackRange* outer = nullptr;
};

/// One entry from outside and everything that happens inside it: the loop and the callbacks it nests.
struct Execution {
    skep_runtime_context* run = nullptr;
    const Code* code = nullptr;  ///< the program that is running: a tail call changes it
    void* context = nullptr;     ///< its context
    uint64_t steps_left = 0;
    const StackRange* stacks = nullptr;  ///< of this loop and of those whose helpers called back into it
};

class Code final : public CompiledCode {
  public:
    skep_entry entry() const override { return {&enter, this}; }
    size_t code_bytes() const override { return micros.size() * sizeof(Micro); }

    /// The skep_entry_fn.
    static uint64_t enter(void* context, skep_runtime_context* run, const void* self);
    /// The call_back of skep_runtime_context.
    static uint64_t call_back(skep_runtime_context* run, uint64_t callee, uint64_t r1, uint64_t r2, uint64_t r3,
                              uint64_t r4, uint64_t r5);

    bool is_function(uint64_t insn) const { return insn < function_starts.size() && function_starts[insn]; }

    std::vector<Micro> micros;
    std::vector<bool> function_starts;  ///< per slot
    Options options;
    bool checked = false;  ///< a step limit or address checks are on
};

/// Values of r1 to r5 on entry.
using Arguments = std::array<uint64_t, 5>;

/// Runs from slot `start` of execution.code until exit of that frame. Requires: run->frames counts the frame already.
uint64_t loop_threaded(Execution& execution, uint32_t start, const Arguments& arguments);
uint64_t loop_threaded_checked(Execution& execution, uint32_t start, const Arguments& arguments);
uint64_t loop_switch(Execution& execution, uint32_t start, const Arguments& arguments);
uint64_t loop_switch_checked(Execution& execution, uint32_t start, const Arguments& arguments);

/// Whether a checked program may touch these bytes.
bool may_access(const Execution& execution, uint64_t address, uint64_t bytes);

/// The helper that callx means by a number that is no function; null if there is none.
skep_helper_fn helper_by_number(const skep_runtime_context* run, uint64_t number);

uint64_t load_context(const void* context, ContextField field);
void store_context(void* context, ContextField field, uint64_t value);

// ---- what the handlers compute; RFC 9669 section 4.1 ----

template <typename T>
using Signed = std::make_signed_t<T>;

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

// ---- memory (DESIGN.md 7b.10) ----

/// T at any alignment. A volatile access of it is one instruction of the access's width on the hosts we build for, so
/// at natural alignment it is untorn and relaxed; a compiler may neither split, repeat nor drop it.
template <typename T>
struct [[gnu::packed, gnu::may_alias]] Unaligned {
    T value;
};

template <typename T>
T load(uint64_t address) {
    return reinterpret_cast<const volatile Unaligned<T>*>(address)->value;
}
template <typename T>
void store(uint64_t address, T value) {
    reinterpret_cast<volatile Unaligned<T>*>(address)->value = value;
}
template <typename T>
T* atomic_at(uint64_t address) {
    return reinterpret_cast<T*>(address);
}

}  // namespace skep::engine::interp
