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
enum class Handler : uint16_t {
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

/// The rows of fused.def: numbers after Handler's, so that a Micro may hold either.
enum class FusedHandler : uint16_t {
    // Not a row's name.
    // NOLINTNEXTLINE(readability-identifier-naming)
    before_first = static_cast<uint16_t>(Handler::Invalid),
#define FUSED2(a, b, ab) a##_##b##_##ab,
#define FUSED3(a, b, c, ab, bc) a##_##b##_##c##_##ab##_##bc,
#include "engine/interp/fused.def"
#undef FUSED2
#undef FUSED3
};

/// Whether the threaded loop is there, and with it the handlers of fused.def.
#ifdef __GNUC__
constexpr bool has_threaded_loop = true;
#else
constexpr bool has_threaded_loop = false;
#endif

/// One predecoded slot: index for index the program's own slots, so that addresses of code are InsnIndex.
struct Micro {
    Handler handler = Handler::Invalid;  ///< or a FusedHandler's number
    uint8_t dst = 0;
    uint8_t src = 0;
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
    bool checked = false;       ///< a step limit or address checks are on
    bool clears_frames = true;  ///< ExecutableProgram's
};

/// Values of r1 to r5 on entry.
using Arguments = std::array<uint64_t, 5>;

/// Runs from slot `start` of execution.code until exit of that frame. Requires: run->frames counts the frame already.
uint64_t loop_threaded(Execution& execution, uint32_t start, const Arguments& arguments);
uint64_t loop_threaded_checked(Execution& execution, uint32_t start, const Arguments& arguments);
uint64_t loop_switch(Execution& execution, uint32_t start, const Arguments& arguments);
uint64_t loop_switch_checked(Execution& execution, uint32_t start, const Arguments& arguments);

/// Puts rows of fused.def where they apply; for loop_threaded only.
void fuse(std::vector<Micro>& micros);

/// Whether a checked program may touch these bytes.
bool may_access(const Execution& execution, uint64_t address, uint64_t bytes);

/// The helper that callx means by a number that is no function; null if there is none.
skep_helper_fn helper_by_number(const skep_runtime_context* run, uint64_t number);

uint64_t load_context(const void* context, ContextField field);
void store_context(void* context, ContextField field, uint64_t value);

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
