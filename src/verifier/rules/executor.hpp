// SPDX-License-Identifier: Apache-2.0
// One instruction under execution: what the rules' parts share. Internal to the rules.
#pragma once

#include <string>

#include "platform/context.hpp"
#include "verifier/num/refine.hpp"
#include "verifier/rules/rules.hpp"
#include "verifier/state/numbers.hpp"

namespace skep::verifier {

enum class Access : uint8_t { Read, Write, Atomic };

class Executor {
  public:
    Executor(const Subject& subject, State& state, const isa::Insn& insn, Outcome& outcome)
        : subject_(subject), s(state), insn_(insn), row_(insn.row()), out_(outcome), at_(state.at.insn) {}

    void run();
    /// Gives r1 to r3 what an element's callback gets: map, key, value.
    void give_element(uint16_t map) { give_map_element(map); }

  private:
    // Parts. Each returns false after fail().
    bool arithmetic();  // arithmetic.cpp
    bool move(const Val& y, bool is32);
    bool pointer_arithmetic(const Val& x, const Val& y, bool is32);
    bool number_arithmetic(const Val& x, const Val& y, bool is32);
    bool wide_load();  // constants.cpp
    bool jump();       // branch.cpp
    bool comparison_tells_nothing(const Val& x, const Val& y) const;
    bool load();  // access.cpp
    bool store();
    bool atomic();
    bool atomic_operand(const Val& address, int reg);
    bool packet_load();  // packet_load.cpp
    bool call_helper();  // helper.cpp
    bool bind_problem();
    bool call_local();  // calls.cpp
    void push_frame(uint16_t function, FrameKind kind);
    void pop_frame();
    bool callback_round();
    void enter_callback(const CallbackLoop& loop);
    void give_map_element(uint16_t map);
    void return_from_tail_call();
    bool leave();
    bool leave_program();
    bool nothing_held(const char* where);

    // Values.
    bool read(unsigned reg, Val& v, const char* role = nullptr);
    Num number(const Val& v) const { return number_of(s, v); }
    Val zero_extended(const Val& v, unsigned bits);
    Val fresh(const Num& n) { return Val::symbol(new_symbol(s, n, at_)); }
    void write(unsigned reg, const Val& v) { s.set_reg(reg, v); }
    void next() { s.at = {at_ + insn_.slots(), Phase::Normal}; }

    // Memory.
    struct Target {
        Pointer pointer;
        Region region;
        std::optional<int64_t> constant;  ///< the offset, where it is one number
        int64_t low = 0, high = 0;        ///< else its bounds
    };
    /// Finds what `address` points to and that `bytes` bytes from there may be accessed. `size_form`: the size as a
    /// form where it is no constant; then `bytes` is its upper bound.
    bool target(const Val& address, const Val& size, Access access, int reg, Target& t);
    bool in_bounds(Target& t, const Val& size, const Num& size_number, Access access, int reg);
    bool binding_agrees(const Region& region, int reg);
    bool ordered_alignment(const Target& t, unsigned bytes, int reg);
    bool check_special(const Target& t, int64_t bytes, int reg);
    bool load_from(const Target& t, unsigned bytes, bool sign_extend, unsigned dst);
    bool store_to(const Target& t, unsigned bytes, const Val& v, int reg);
    Val read_stack(const Target& t, unsigned bytes);
    void write_stack(const Target& t, unsigned bytes, const Val& v);
    /// Some number in each of `bytes` bytes; the first `written` of them were certainly stored.
    void scratch_stack(const Target& t, int64_t bytes, int64_t written);
    bool stack_is_set(const Target& t, int64_t bytes) const;
    /// Whether the bytes are set, or policy says that it is of no matter.
    bool stack_is_readable(const Target& t, int64_t bytes);
    bool stack_holds_address(const Target& t, int64_t bytes) const;
    bool keeps_addresses_whole(const Target& t, int64_t bytes, int reg, bool stores_address = false);
    /// What lies in bytes that were never written may be an address of an earlier call.
    bool may_read_unset() const { return subject_.options.allow_unset_stack && subject_.options.allow_pointer_leaks; }
    bool load_context(const Target& t, unsigned bytes, bool sign_extend, unsigned dst);
    bool store_context(const Target& t, unsigned bytes, int reg);
    const platform::FieldRow* context_field(const Target& t, unsigned bytes, bool store, int reg,
                                            bool sign_extend = false);
    bool load_object(const Target& t, unsigned bytes, unsigned dst);
    const platform::FieldRow* object_field(const Target& t, unsigned bytes, bool store, int reg);
    Val packet_address(platform::FieldKind what);

    // Helpers (helper.cpp, arguments.cpp).
    friend class HelperCall;
    void kill_packets();
    void release(Sym base);

    bool fail(Rule rule, std::string what, int reg = -1, std::string needs = {}, std::string known = {},
              std::string hint = {});
    Failure& failure() { return *out_.failure; }
    std::string describe(const Val& v) const;

    const Subject& subject_;
    State& s;  // NOLINT(readability-identifier-naming): in every line of the rules
    const isa::Insn& insn_;
    const isa::Row& row_;
    Outcome& out_;
    isa::InsnIndex at_;
};

/// A value of a map as a region, not null.
Region value_region(const Subject& subject, uint16_t map);

/// Cuts the state down to the runs in which `x c y` holds. False: there are none.
/// Claim: every concrete run inside `s` in which it holds is inside `s` afterwards.
bool assume(State& s, num::Compare c, Val x, Val y, bool is32, isa::InsnIndex at);

/// The pointer `base` turns out to be null: what it stood for is 0, and nothing is owned through it.
bool assume_null(State& s, Sym base);

/// "number in [0, 15]", "map value of `flows` + [0, 8]", "packet + 14": for messages.
std::string describe(const Subject& subject, const State& s, const Val& v);
std::string describe(const Num& n);

}  // namespace skep::verifier
