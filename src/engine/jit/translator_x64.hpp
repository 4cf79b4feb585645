// SPDX-License-Identifier: Apache-2.0
// From analysed instructions to x86-64, in one pass.
//
// Every register r has one home, a machine register, for the whole program. Inside a stretch of code that is entered
// only at its top, the translator may put off computing r: its *value* is then an expression over what homes hold now
// (base + index * scale + displacement, a shift, an extension, a constant), and it is folded into the addressing mode,
// the immediate or the rotate of its user, or dropped when nobody reads it. What always holds:
//   - before a home is written, every put-off value that reads it and is still wanted is computed ("flushed");
//   - a put-off value reads only homes of registers that are not put off themselves, or put off as a function of their
//     own home alone, at the time it is made: so flushing never runs in a circle;
//   - at every instruction that control flow may enter from elsewhere, every live register is in its home.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/engine.hpp"
#include "engine/jit/abi_x64.hpp"
#include "engine/jit/analysis.hpp"
#include "engine/jit/emitter_x64.hpp"
#include "engine/jit/jit.hpp"

namespace skep::engine::jit {

constexpr uint8_t no_reg = 15;

/// What a register is worth; base and index are BPF registers whose homes are meant.
struct Value {
    enum class Kind : uint8_t {
        Home,   ///< in its home
        Const,  ///< `constant`
        Sum,    ///< base + (index << shift) + disp; either may be no_reg
        Shl,    ///< base << shift
        Shr,    ///< base >> shift, logical
        Sext,   ///< the lower `bits` of base, sign-extended
        Zext,   ///< the lower `bits` (8, 16) of base
    };
    Kind kind = Kind::Home;
    bool w32 = false;  ///< computed in 32 bits and zero-extended
    uint8_t base = no_reg;
    uint8_t index = no_reg;
    uint8_t shift = 0;
    uint8_t bits = 0;
    uint16_t map = no_map;  ///< of a constant: which map's pointer it is
    int32_t disp = 0;
    uint64_t constant = 0;

    /// The registers whose homes it reads.
    uint32_t refs() const { return ((base != no_reg) ? 1u << base : 0u) | ((index != no_reg) ? 1u << index : 0u); }
    bool is_copy() const { return kind == Kind::Sum && index == no_reg && disp == 0 && base != no_reg; }
};

class Translator {
  public:
    Translator(const ExecutableProgram& program, const LinkTable& link, const JitOptions& options,
               const Analysis& analysis, EmitterX64& emitter);

    /// Emits everything. Errors as jit::compile.
    Result<void> run();
    /// Where skep_entry::function begins.
    Label entry() const { return entry_; }

  private:
    // driver, frames, calls: translator_x64.cpp, calls_x64.cpp
    struct Frame {
        std::vector<Gp> saved;
        bool pointer = false;   ///< rbp is r10
        uint32_t bytes = 0;     ///< below the saved registers
        uint32_t may_goto = 0;  ///< offsets from the stack pointer
        uint32_t tail_context = 0;
        bool external = false;  ///< entered by skep_entry_fn's convention: has to set the run
    };
    Frame make_frame(const Function& function, bool external) const;
    void clear_frame();
    void prologue(const Frame& frame, const Function& function);
    void epilogue(const Frame& frame, bool ret = true);
    void emit_entry_wrapper();
    void emit_call_back();
    void emit_function_table();
    void emit_helper_table();
    void emit_cold();
    Result<void> translate_function(const Function& function);
    void translate(uint32_t at, const Node& node);
    Result<void> translate_call_or_address(uint32_t at, const Node& node);

    Result<void> helper_call(uint32_t at, const Node& node);
    Result<void> call_helper(uint32_t at, uint16_t helper, unsigned arguments);
    bool inline_lookup(uint32_t at, const Node& node);
    void local_call(uint32_t at, const Node& node);
    Result<void> call_by_number(uint32_t at, const Node& node);
    void pass_run(unsigned arguments);
    void after_call();
    void check_fault();
    Result<void> packet_load(uint32_t at, const Node& node);
    void fault_if(Cond cond, uint32_t code, uint32_t at);
    void fault_always(uint32_t code, uint32_t at);
    Mem run_field(size_t offset) const { return {abi_.run, Gp::None, 0, static_cast<int32_t>(offset)}; }

    // put-off values: values_x64.cpp
    Gp home(unsigned reg) const { return abi_.reg[reg]; }
    bool wanted(unsigned reg) const { return (needed_ & both_halves(reg)) != 0; }
    bool live_after(unsigned reg) const { return (live_after_ & both_halves(reg)) != 0; }
    bool is_put_off(unsigned reg) const { return (put_off_ >> reg & 1) != 0; }
    void set_home(unsigned reg, bool zero_upper) {
        const uint32_t bit = 1u << reg;
        value_[reg].kind = Value::Kind::Home;
        put_off_ &= ~bit;
        upper_zero_ = zero_upper ? upper_zero_ | bit : upper_zero_ & ~bit;
        if (last_key_.reg == reg) last_key_.reg = no_reg;
    }
    void set_value(unsigned reg, const Value& value);
    void set_const(unsigned reg, uint64_t constant, uint16_t map = no_map);
    void flush(unsigned reg) {
        if (is_put_off(reg)) compute(reg);
    }
    void compute(unsigned reg);
    void flush_live(HalfSet live);
    void flush_readers(uint32_t homes, unsigned except) {
        const uint32_t others = put_off_ & ~(1u << except);
        if (others != 0) flush_readers_of(homes, others);
    }
    void flush_readers_of(uint32_t homes, uint32_t among);
    /// Before an instruction that writes reg's home without reading it: flushes its readers.
    void define(unsigned reg) { flush_readers(1u << reg, reg); }
    /// Before an instruction that reads and writes reg's home: the same, and reg itself is brought there.
    Gp modify(unsigned reg);
    bool may_read(uint32_t refs, unsigned owner) const {
        const uint32_t left = refs & put_off_ & ~(1u << owner);
        return left == 0 || read_themselves(left);
    }
    bool read_themselves(uint32_t regs) const;
    /// reg as a sum; one is made of it if it is none. w32: only its lower half matters.
    Value as_sum(unsigned reg, bool w32);
    /// Makes sure that fetch() finds reg in some home, or a constant that is a 32-bit immediate if `imm`.
    void settle(unsigned reg, bool w32, bool imm) {
        if (is_put_off(reg)) settle_put_off(reg, w32, imm);
    }
    void settle_put_off(unsigned reg, bool w32, bool imm);
    /// After settle: the home that holds it.
    Gp fetch(unsigned reg, bool) const { return home(is_put_off(reg) ? value_[reg].base : reg); }
    std::optional<int32_t> immediate(unsigned reg, bool w32) const {
        if (!is_put_off(reg) || value_[reg].kind != Value::Kind::Const) return std::nullopt;
        const uint64_t constant = value_[reg].constant;
        const auto lower = static_cast<int32_t>(static_cast<uint32_t>(constant));
        if (!w32 && static_cast<uint64_t>(int64_t{lower}) != constant) return std::nullopt;
        return lower;
    }
    /// Makes sure that address() need not emit anything.
    void settle_address(unsigned reg, int32_t offset) {
        if (is_put_off(reg)) settle_put_off_address(reg, offset);
    }
    void settle_put_off_address(unsigned reg, int32_t offset);
    Mem address(unsigned reg, int32_t offset) const;
    bool upper_zero(unsigned reg) const;
    bool upper_zero(const Value& value) const;
    void reset_values();
    /// A scratch register that holds the constant.
    void load_const(Gp gp, uint64_t constant) { constant == 0 ? e_.zero(gp) : e_.mov_imm(gp, constant); }

    // arithmetic: alu_x64.cpp, divide_x64.cpp
    void alu(uint32_t at, const Node& node);
    void mov(const Node& node);
    void add(const Node& node);
    void subtract(const Node& node);
    void multiply(const Node& node);
    void bitwise(const Node& node);
    void shift(const Node& node);
    void shift_by_register(const Node& node);
    void extend(const Node& node);
    void byte_order(const Node& node);
    void divide(uint32_t at, const Node& node);
    bool divide_by_constant(const Node& node, uint64_t divisor);
    bool rotate(const Node& node);
    bool fold_constants(const Node& node);
    void alu_generic(Alu op, const Node& node);
    void add_constant(unsigned dst, int64_t constant, bool w32);
    void shift_left(unsigned dst, unsigned count, bool w32);

    // memory: memory_x64.cpp
    void load(uint32_t at, const Node& node);
    void store(uint32_t at, const Node& node);
    void load_context(const Node& node, const ContextAccess& access);
    void store_context(const Node& node, const ContextAccess& access);
    void atomic(const Node& node);
    Result<void> wide_load(uint32_t at, const Node& node);
    void hold_store(int32_t disp, unsigned bytes, uint64_t value);
    void flush_stores() {
        if (held_.mask != 0) write_held_stores();
    }
    void write_held_stores();
    std::optional<Mem> frame_address(unsigned reg, int32_t offset) const;

    // control flow: control_x64.cpp
    void jump(uint32_t target, uint32_t at);
    struct Operands {
        unsigned left, right;
        std::optional<int32_t> imm;
        Cond cond;
    };
    void conditional(uint32_t at, const Node& node);
    bool select(uint32_t at, const Node& node);
    Cond compare(const Node& node);
    Operands settle_operands(const Node& node);
    void may_goto(uint32_t at, const Node& node);
    void exit_program();
    /// Everything a jump from here to `target` needs in its home.
    void arrive(uint32_t target) { flush_live(analysis_.live_in[target]); }
    Label label_of(uint32_t slot);
    const Fact* fact(uint32_t at) const { return analysis_.fact(at); }
    const Binding* binding(uint32_t at) const { return at < bindings_.size() ? &bindings_[at] : nullptr; }
    bool is_leader(uint32_t slot) const {
        return slot >= analysis_.flags.size() || (analysis_.flags[slot] & slot_leader);
    }

    const ExecutableProgram& program_;
    const std::span<const Binding> bindings_;
    const LinkTable& link_;
    const JitOptions options_;
    const Analysis& analysis_;
    EmitterX64& e_;
    const Abi& abi_;
    const Features features_;

    std::array<Value, 11> value_;
    uint32_t put_off_ = 0;     ///< registers whose value is not in their home
    uint32_t upper_zero_ = 0;  ///< homes whose upper half is known to be zero
    HalfSet needed_ = 0;       ///< registers whose value is still wanted while the current instruction is translated
    HalfSet live_after_ = 0;

    /// Constants stored to the frame but not written yet: bytes of one aligned 8-byte word.
    struct {
        int32_t word = 0;
        uint8_t mask = 0;
        std::array<uint8_t, 8> bytes{};
    } held_;

    /// The newest store of a register to the frame, while both are unchanged (see inline_lookup).
    struct {
        int32_t disp = 0;
        uint8_t reg = no_reg;
        bool constant = false;
        uint32_t value = 0;
    } last_key_;

    std::span<Label> labels_;  ///< per slot; no_label where nobody jumps to
    std::vector<Label> function_labels_;
    static constexpr Label no_label = UINT32_MAX;

    /// Code moved out of the way.
    struct Cold {
        enum class Kind : uint8_t { Null, Fault } kind;
        Label from = no_label;
        Label to = no_label;
        uint32_t fault = 0;
        uint32_t insn = 0;
    };
    std::vector<Cold> cold_;

    Frame frame_;
    const Function* function_ = nullptr;
    Label entry_ = no_label;
    Label abort_ = no_label;  ///< of the current function: leave it with r0 = 0
    bool abort_used_ = false;
    Label table_ = no_label;         ///< functions by InsnIndex
    Label helper_table_ = no_label;  ///< helpers by Linux' numbers
    Label call_back_ = no_label;
    bool wrapped_ = false;
    bool skip_unreachable_ = false;  ///< the next instruction, if nobody jumps there, is never reached
    bool needs_run_ = false;
    bool can_fault_ = false;
    uint32_t next_ = 0;  ///< slots up to here were translated together with an earlier one
};

}  // namespace skep::engine::jit
