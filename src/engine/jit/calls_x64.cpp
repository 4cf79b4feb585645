// SPDX-License-Identifier: Apache-2.0
// Frames, helper calls, calls of functions of the program, tail calls, callbacks (RFC 9669 section 4.3.2).
#include <fmt/format.h>

#include <bit>

#include "engine/jit/translator_x64.hpp"
#include "platform/ebpf_result.hpp"
#include "platform/helper.hpp"

namespace skep::engine::jit {

namespace {

using platform::HelperId;

constexpr bool fits32(int64_t value) { return value >= INT32_MIN && value <= INT32_MAX; }

/// Linux' BPF_MAX_LOOPS: how often the may_gotos of one frame fall through.
constexpr int32_t may_goto_budget = 0x800000;

/// One above the largest number of a helper in linux/bpf.h.
consteval uint32_t count_linux_numbers() {
    uint32_t count = 0;
    for (uint16_t i = 0; i < platform::helper_count; ++i) {
        const uint32_t number = platform::helper(static_cast<HelperId>(i)).linux_id;
        if (number >= count) count = number + 1;
    }
    return count;
}
constexpr uint32_t linux_helper_numbers = count_linux_numbers();

}  // namespace

// ---- frames

Translator::Frame Translator::make_frame(const Function& function, bool external) const {
    Frame frame;
    frame.external = external && needs_run_;
    if (frame.external) frame.saved.push_back(abi_.run);
    for (unsigned reg = 0; reg < 10; ++reg)
        if ((function.used >> reg & 1) && abi_.is_callee_saved(home(reg))) frame.saved.push_back(home(reg));
    const bool scratches = function.has(has_divisions | has_fetches | has_shifts_by_register | has_helper_calls);
    for (const Gp gp : {abi_.scratch[1], abi_.scratch[2]})
        if (scratches && abi_.is_callee_saved(gp)) frame.saved.push_back(gp);
    frame.pointer = (function.used >> isa::frame_register & 1) != 0;
    uint32_t bytes = function.has(has_helper_calls | has_packet_loads) ? abi_.outgoing : 0;
    if (function.has(has_may_goto)) {
        frame.may_goto = bytes;
        bytes += 8;
    }
    if (function.has(has_tail_calls)) {
        frame.tail_context = bytes;
        bytes += 8;
    }
    if (frame.pointer) bytes += SKEP_FRAME_BYTES;
    const auto pushed = static_cast<uint32_t>(8 + 8 * (frame.saved.size() + (frame.pointer ? 1 : 0)));
    if (function.calls() && (pushed + bytes) % 16 != 0) bytes += 8;
    frame.bytes = bytes;
    return frame;
}

void Translator::prologue(const Frame& frame, const Function& function) {
    for (const Gp gp : frame.saved) e_.push(gp);
    if (frame.pointer) {
        e_.push(Gp::Rbp);
        e_.mov(Width::W64, Gp::Rbp, Gp::Rsp);
    }
    if (frame.bytes != 0) e_.alu_imm(Alu::Sub, Width::W64, Gp::Rsp, static_cast<int32_t>(frame.bytes));
    if (frame.pointer && program_.clears_frames()) clear_frame();
    if (frame.external) e_.mov(Width::W64, abi_.run, abi_.argument[1]);
    if (function.has(has_may_goto))
        e_.store_imm(Width::W64, {Gp::Rsp, Gp::None, 0, static_cast<int32_t>(frame.may_goto)}, may_goto_budget);
}

/// Eight words in a round.
void Translator::clear_frame() {
    constexpr int32_t word = 8, round = 8 * word;
    static_assert(SKEP_FRAME_BYTES % round == 0);
    const Gp at = abi_.scratch[0];
    e_.mov_imm(at, ~uint64_t{0} - SKEP_FRAME_BYTES + 1);
    const Label next = e_.new_label();
    e_.bind(next);
    for (int32_t offset = 0; offset < round; offset += word) e_.store_imm(Width::W64, {Gp::Rbp, at, 0, offset}, 0);
    e_.alu_imm(Alu::Add, Width::W64, at, round);
    e_.jump_if(Cond::NotEqual, next);
}

void Translator::epilogue(const Frame& frame, bool ret) {
    if (frame.pointer) {
        e_.mov(Width::W64, Gp::Rsp, Gp::Rbp);
        e_.pop(Gp::Rbp);
    } else if (frame.bytes != 0) {
        e_.alu_imm(Alu::Add, Width::W64, Gp::Rsp, static_cast<int32_t>(frame.bytes));
    }
    for (size_t i = frame.saved.size(); i-- > 0;) e_.pop(frame.saved[i]);
    if (ret) e_.ret();
}

/// What the host enters when the program may be called back, or may fault: sets what only this program can answer, and
/// puts back what a caller that came here by a tail call had set.
void Translator::emit_entry_wrapper() {
    entry_ = e_.new_label();
    e_.bind(entry_);
    e_.push(abi_.run);
    e_.alu_imm(Alu::Sub, Width::W64, Gp::Rsp, 16);
    e_.mov(Width::W64, abi_.run, abi_.argument[1]);
    const Mem call_back_slot{Gp::Rsp, Gp::None, 0, 0}, frames_slot{Gp::Rsp, Gp::None, 0, 8};
    const Mem call_back = run_field(offsetof(skep_runtime_context, call_back));
    const Mem frames = run_field(offsetof(skep_runtime_context, frames));
    const Gp scratch = abi_.scratch[0];
    e_.load(Width::W64, scratch, call_back);
    e_.store(Width::W64, call_back_slot, scratch);
    e_.lea_label(scratch, call_back_);
    e_.store(Width::W64, call_back, scratch);
    if (can_fault_) {
        e_.load(Width::W32, scratch, frames);
        e_.store(Width::W64, frames_slot, scratch);
        e_.alu_store_imm(Alu::Add, Width::W32, frames, 1);
    }
    e_.call(function_labels_[0]);
    e_.load(Width::W64, scratch, call_back_slot);
    e_.store(Width::W64, call_back, scratch);
    if (can_fault_) {
        e_.load(Width::W64, scratch, frames_slot);
        e_.store(Width::W32, frames, scratch);
    }
    e_.alu_imm(Alu::Add, Width::W64, Gp::Rsp, 16);
    e_.pop(abi_.run);
    e_.ret();
}

/// skep_runtime_context::call_back: (run, callee, r1, r2, r3, r4, r5).
void Translator::emit_call_back() {
    e_.bind(call_back_);
    e_.push(abi_.run);
    e_.mov(Width::W64, abi_.run, abi_.argument[0]);
    const Gp callee = abi_.argument[1], table = abi_.scratch[0], target = Gp::Rax;
    const Mem frames = run_field(offsetof(skep_runtime_context, frames));
    const Label bad = e_.new_label(), deep = e_.new_label(), out = e_.new_label();
    if (analysis_.traits & has_function_refs) {
        e_.alu_imm(Alu::Cmp, Width::W64, callee, static_cast<int32_t>(analysis_.nodes.size()));
        e_.jump_if(Cond::AboveEqual, bad);
        e_.lea_label(table, table_);
        e_.load_signed(Width::W32, target, {table, callee, 2, 0});
        e_.alu(Alu::Test, Width::W64, target, target);
        e_.jump_if(Cond::Equal, bad);
        e_.alu(Alu::Add, Width::W64, target, table);
        if (can_fault_) {
            e_.alu_store_imm(Alu::Cmp, Width::W32, frames, SKEP_FRAME_DEPTH);
            e_.jump_if(Cond::AboveEqual, deep);
            e_.alu_store_imm(Alu::Add, Width::W32, frames, 1);
        }
        if (abi_.windows) {
            e_.mov(Width::W64, home(1), Gp::R8);
            e_.mov(Width::W64, home(2), Gp::R9);
            // Behind the return address and the saved run: 32 bytes of shadow space, then the fifth argument.
            for (unsigned reg = 3; reg <= 5; ++reg)
                e_.load(Width::W64, home(reg), {Gp::Rsp, Gp::None, 0, static_cast<int32_t>(16 + 32 + 8 * (reg - 3))});
        } else {
            e_.mov(Width::W64, home(1), Gp::Rdx);
            e_.mov(Width::W64, home(2), Gp::Rcx);
            e_.mov(Width::W64, home(3), Gp::R8);
            e_.mov(Width::W64, home(4), Gp::R9);
            e_.load(Width::W64, home(5), {Gp::Rsp, Gp::None, 0, 16});
        }
        e_.call_reg(target);
        if (can_fault_) e_.alu_store_imm(Alu::Sub, Width::W32, frames, 1);
        e_.bind(out);
        e_.pop(abi_.run);
        e_.ret();
        if (can_fault_) {
            e_.bind(deep);
            e_.store_imm(Width::W32, run_field(offsetof(skep_runtime_context, fault)), SKEP_FAULT_CALL_DEPTH);
            e_.zero(Gp::Rax);
            e_.jump(out);
        }
    }
    e_.bind(bad);
    e_.store_imm(Width::W32, run_field(offsetof(skep_runtime_context, fault)), SKEP_FAULT_BAD_CALL);
    e_.zero(Gp::Rax);
    e_.pop(abi_.run);
    e_.ret();
}

/// From InsnIndex to native code, for callx and callbacks: distances from the table itself, 0 where no function starts.
void Translator::emit_function_table() {
    if (!(analysis_.traits & has_function_refs)) return;
    e_.align(8);
    e_.bind(table_);
    size_t function = 0;
    for (uint32_t slot = 0; slot < analysis_.nodes.size(); ++slot) {
        if (function < analysis_.functions.size() && analysis_.functions[function].start == slot) {
            e_.embed_distance(function_labels_[function++], table_);
        } else {
            e_.embed_zero32();
        }
    }
}

void Translator::emit_cold() {
    for (const Cold& cold : cold_) {
        e_.bind(cold.from);
        switch (cold.kind) {
            case Cold::Kind::Null: e_.zero(Gp::Rax); break;
            case Cold::Kind::Fault:
                e_.store_imm(Width::W32, run_field(offsetof(skep_runtime_context, fault)),
                             static_cast<int32_t>(cold.fault));
                e_.store_imm(Width::W32, run_field(offsetof(skep_runtime_context, fault_insn)),
                             static_cast<int32_t>(cold.insn));
                break;
        }
        e_.jump(cold.to);
    }
    cold_.clear();
    if (abort_used_) {
        e_.bind(abort_);
        e_.zero(Gp::Rax);
        epilogue(frame_);
    }
}

// ---- calls

/// r0 is the result, r1 to r5 are gone.
void Translator::after_call() {
    for (unsigned reg = 0; reg <= 5; ++reg) set_home(reg, false);
    last_key_ = {};
}

/// Leaves the function when a callee ended the run.
void Translator::check_fault() {
    if (!can_fault_) return;
    e_.alu_store_imm(Alu::Cmp, Width::W32, run_field(offsetof(skep_runtime_context, fault)), 0);
    e_.jump_if(Cond::NotEqual, abort_);
    abort_used_ = true;
}

/// The sixth argument of a helper, and the fifth where it goes by the stack.
void Translator::pass_run(unsigned arguments) {
    if (abi_.windows) {
        if (arguments >= 5) e_.store(Width::W64, {Gp::Rsp, Gp::None, 0, 32}, home(5));
        e_.store(Width::W64, {Gp::Rsp, Gp::None, 0, 40}, abi_.run);
    } else {
        e_.mov(Width::W64, Gp::R9, abi_.run);
    }
}

Result<void> Translator::call_helper(uint32_t at, uint16_t helper, unsigned arguments) {
    const skep_helper_fn function = helper < link_.helpers.size() ? link_.helpers[helper] : nullptr;
    if (function == nullptr) {
        const size_t id = helper % platform::helper_count;  // platform::helper_index()
        return Error{Errc::Unavailable, Where{.insn = at},
                     fmt::format("call of helper {}, which this host does not offer",
                                 platform::helper_name(static_cast<HelperId>(id))),
                     "the table that the code is linked with has no address for it"};
    }
    pass_run(arguments);
    e_.call_address(reinterpret_cast<const void*>(function));
    return {};
}

Result<void> Translator::helper_call(uint32_t at, const Node& node) {
    flush_stores();
    if (node.target == no_helper)
        return Error{Errc::Unresolved, Where{.insn = at}, fmt::format("call {} is bound to no helper", node.imm),
                     "binding gives calls their meaning; this one got none"};
    const auto helper = static_cast<HelperId>(node.target);
    const Binding* bound = binding(at);
    const platform::ResultMap result = bound != nullptr ? bound->result : platform::ResultMap::Same;
    if (helper == HelperId::MapLookupElem && options_.inline_lookups && inline_lookup(at, node)) return {};

    constexpr HalfSet leaving = 0x003f003f;  // r0 to r5
    flush_live(((HalfSet{1} << node.bytes) - 1) << 1);
    needed_ = live_after_ & ~leaving;
    flush_readers(0x3f, no_reg + 1u);
    const bool tail = helper == HelperId::TailCall;
    const Mem context{Gp::Rsp, Gp::None, 0, static_cast<int32_t>(frame_.tail_context)};
    if (tail) e_.store(Width::W64, context, home(1));
    SKEP_TRY(call_helper(at, platform::helper_index(static_cast<uint16_t>(node.target), result), node.bytes));
    if (tail) {
        const Label failed = e_.new_label();
        if (result == platform::ResultMap::Same) {
            e_.alu(Alu::Test, Width::W64, Gp::Rax, Gp::Rax);
            e_.jump_if(Cond::Equal, failed);
        } else {  // an error: the largest numbers
            e_.alu_imm(Alu::Cmp, Width::W64, Gp::Rax, -4096);
            e_.jump_if(Cond::Above, failed);
        }
        const Gp target = abi_.scratch[0];
        e_.load(Width::W64, abi_.argument[0], context);
        e_.mov(Width::W64, abi_.argument[1], abi_.run);
        e_.load(Width::W64, target, {Gp::Rax, Gp::None, 0, offsetof(skep_entry, function)});
        e_.load(Width::W64, abi_.argument[2], {Gp::Rax, Gp::None, 0, offsetof(skep_entry, self)});
        if (can_fault_) {
            // Frames are counted: the target counts its own instead of this one, which has to be counted again for
            // the caller. So it is a call; the limit of tail calls bounds the depth.
            const Mem frames = run_field(offsetof(skep_runtime_context, frames));
            e_.alu_store_imm(Alu::Sub, Width::W32, frames, 1);
            e_.call_reg(target);
            e_.alu_store_imm(Alu::Add, Width::W32, frames, 1);
            epilogue(frame_);
        } else {
            epilogue(frame_, false);
            e_.jump_reg(target);
        }
        e_.bind(failed);
    }
    after_call();
    if (analysis_.traits & has_function_refs) check_fault();
    return {};
}

void Translator::local_call(uint32_t at, const Node& node) {
    flush_stores();
    flush_live(0x3e);
    needed_ = live_after_ & ~HalfSet{0x003f003f};
    flush_readers(0x3f, no_reg + 1u);
    const Mem frames = run_field(offsetof(skep_runtime_context, frames));
    if (can_fault_) {
        e_.alu_store_imm(Alu::Cmp, Width::W32, frames, SKEP_FRAME_DEPTH);
        fault_if(Cond::AboveEqual, SKEP_FAULT_CALL_DEPTH, at);
        e_.alu_store_imm(Alu::Add, Width::W32, frames, 1);
    }
    size_t low = 0, high = analysis_.functions.size();
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        (analysis_.functions[middle].start <= node.target ? low : high) = middle;
    }
    e_.call(function_labels_[low]);
    if (can_fault_) e_.alu_store_imm(Alu::Sub, Width::W32, frames, 1);
    after_call();
    check_fault();
}

void Translator::fault_if(Cond cond, uint32_t code, uint32_t at) {
    const Label from = e_.new_label();
    e_.jump_if(cond, from);
    cold_.push_back({.kind = Cold::Kind::Fault, .from = from, .to = abort_, .fault = code, .insn = at});
    abort_used_ = true;
}

void Translator::fault_always(uint32_t code, uint32_t at) {
    const Label from = e_.new_label();
    e_.jump(from);
    cold_.push_back({.kind = Cold::Kind::Fault, .from = from, .to = abort_, .fault = code, .insn = at});
    abort_used_ = true;
}

/// callx: the value of a function reference; in a program that nobody verified also the number of a helper.
Result<void> Translator::call_by_number(uint32_t at, const Node& node) {
    flush_stores();
    flush_live(0x3e | low_half(node.dst));
    settle(node.dst, false, false);
    needed_ = live_after_ & ~HalfSet{0x003f003f};
    flush_readers(0x3f, no_reg + 1u);
    const Gp table = abi_.scratch[0];
    const Gp number = Gp::Rax;  // r0 is gone after the call, and no argument
    if (fetch(node.dst, false) != number) e_.mov(Width::W64, number, fetch(node.dst, false));
    const Label other = e_.new_label(), done = e_.new_label();
    const bool helpers = !program_.verified();
    const auto none = [&](Cond cond) {
        if (helpers)
            e_.jump_if(cond, other);
        else
            fault_if(cond, SKEP_FAULT_BAD_CALL, at);
    };
    e_.alu_imm(Alu::Cmp, Width::W64, number, static_cast<int32_t>(analysis_.nodes.size()));
    none(Cond::AboveEqual);
    e_.lea_label(table, table_);
    e_.alu_store_imm(Alu::Cmp, Width::W32, {table, number, 2, 0}, 0);
    none(Cond::Equal);
    e_.load_signed(Width::W32, number, {table, number, 2, 0});
    e_.alu(Alu::Add, Width::W64, number, table);
    const Mem frames = run_field(offsetof(skep_runtime_context, frames));
    if (can_fault_) {
        e_.alu_store_imm(Alu::Cmp, Width::W32, frames, SKEP_FRAME_DEPTH);
        fault_if(Cond::AboveEqual, SKEP_FAULT_CALL_DEPTH, at);
        e_.alu_store_imm(Alu::Add, Width::W32, frames, 1);
    }
    e_.call_reg(number);
    if (can_fault_) e_.alu_store_imm(Alu::Sub, Width::W32, frames, 1);
    if (helpers) {
        e_.jump(done);
        e_.bind(other);
        if (helper_table_ == no_label) helper_table_ = e_.new_label();
        e_.alu_imm(Alu::Cmp, Width::W64, number, static_cast<int32_t>(linux_helper_numbers));
        fault_if(Cond::AboveEqual, SKEP_FAULT_BAD_CALL, at);
        e_.lea_label(table, helper_table_);
        e_.load(Width::W64, number, {table, number, 3, 0});
        e_.alu(Alu::Test, Width::W64, number, number);
        fault_if(Cond::Equal, SKEP_FAULT_BAD_CALL, at);
        pass_run(5);
        e_.call_reg(number);
        e_.bind(done);
    }
    after_call();
    check_fault();
    return {};
}

/// The helpers by their numbers in linux/bpf.h, for callx.
void Translator::emit_helper_table() {
    if (helper_table_ == no_label) return;
    e_.align(8);
    e_.bind(helper_table_);
    for (uint32_t number = 0; number < linux_helper_numbers; ++number) {
        HelperId helper;
        const bool known = platform::helper_from_linux(number, &helper);
        const auto index = static_cast<size_t>(helper);
        const skep_helper_fn function = known && index < link_.helpers.size() ? link_.helpers[index] : nullptr;
        e_.embed_word(reinterpret_cast<uint64_t>(function));
    }
}

/// r6 is the context; r0 becomes the value in host byte order, or the function is left with r0 = 0.
Result<void> Translator::packet_load(uint32_t at, const Node& node) {
    flush_stores();
    const HelperId helper = node.bytes == 1   ? HelperId::PacketLoad1
                            : node.bytes == 2 ? HelperId::PacketLoad2
                                              : HelperId::PacketLoad4;
    flush(6);
    if (node.operation == isa::Operation::LoadPacket && !node.has_imm) flush(node.src);
    needed_ = live_after_ & ~HalfSet{0x003f003f};
    flush_readers(0x3f, no_reg + 1u);
    // Offset = src (32 bits) + imm; src may be r1 or r2 itself.
    if (!node.has_imm) {
        e_.lea(Width::W32, home(2), {home(node.src), Gp::None, 0, node.imm});
        e_.sign_extend(Width::W32, Width::W64, home(2), home(2));
    } else {
        e_.mov_imm(home(2), static_cast<uint64_t>(int64_t{node.imm}));
    }
    e_.mov(Width::W64, home(1), home(6));
    SKEP_TRY(call_helper(at, static_cast<uint16_t>(helper), 2));
    after_call();
    e_.alu_imm(Alu::Cmp, Width::W64, Gp::Rax, -1);
    e_.jump_if(Cond::Equal, abort_);
    abort_used_ = true;
    set_home(0, true);
    return {};
}

// ---- lookups without a call

/// map_lookup_elem of a known array or per-CPU array, with the key wherever it is: the element's address is computed in
/// place. An index out of range gives null, and a jump on null that follows is joined with the range check.
bool Translator::inline_lookup(uint32_t at, const Node&) {
    uint16_t map = no_map;
    if ((put_off_ >> 1 & 1) && value_[1].kind == Value::Kind::Const) map = value_[1].map;
    const Fact* known = fact(at);
    if (known != nullptr && known->map != no_map) map = known->map;
    if (map == no_map || map >= link_.layouts.size()) return false;
    const MapLayout& layout = link_.layouts[map];
    const bool percpu = layout.kind == MapLayoutKind::PercpuArray;
    if (layout.kind == MapLayoutKind::Opaque || layout.max_entries == 0 || layout.base == nullptr) return false;
    if (!fits32(static_cast<int64_t>(layout.stride)) || layout.max_entries > INT32_MAX) return false;
    if (percpu && !fits32(static_cast<int64_t>(layout.lane_stride))) return false;

    std::optional<uint32_t> key;
    if (known != nullptr && known->key_constant) key = known->key;
    const auto frame = frame_address(2, 0);
    const bool key_stored = frame && frame->disp == last_key_.disp;
    if (!key && key_stored && last_key_.constant) key = last_key_.value;

    // Everything that a jump on the result may need at its target comes home first: no flushing between the branches.
    const Gp scratch = abi_.scratch[0];
    const uint8_t key_reg = key_stored && !key ? last_key_.reg : no_reg;
    const uint32_t next = at + 1;
    const Node* test = nullptr;
    if (!is_leader(next)) {
        const Node& n = analysis_.nodes[next];
        const bool zero = (n.op == isa::Op::Jeq64K || n.op == isa::Op::Jne64K) && n.dst == 0 && n.imm == 0;
        const Fact* next_fact = fact(next);
        if (zero && !(next_fact != nullptr && (next_fact->branch_always || next_fact->branch_never))) test = &n;
    }
    if (test != nullptr) {
        needed_ |= live_after_ | analysis_.live_in[test->target];
        flush_live(analysis_.live_in[test->target] & ~both_halves(0));
        if (is_leader(next + 1)) flush_live(analysis_.live_in[next + 1] & ~both_halves(0));
    }
    define(0);
    const Gp out = home(0);
    const auto add_base = [&](Gp gp) {
        e_.mov_imm(scratch, reinterpret_cast<uint64_t>(layout.base));
        e_.alu(Alu::Add, Width::W64, gp, scratch);
    };
    const auto add_lane = [&](Gp gp) {
        e_.load(Width::W32, scratch, run_field(offsetof(skep_runtime_context, lane)));
        e_.imul3(Width::W64, scratch, scratch, static_cast<int32_t>(layout.lane_stride));
        e_.alu(Alu::Add, Width::W64, gp, scratch);
    };

    if (key) {
        const bool inside = *key < layout.max_entries;
        const uint64_t element = reinterpret_cast<uint64_t>(layout.base) + layout.stride * (*key & layout.mask);
        flush_stores();
        after_call();
        if (inside) {
            e_.mov_imm(out, element);
            if (percpu) add_lane(out);
        } else {
            e_.zero(out);
        }
        if (test != nullptr) {
            const bool taken = (test->op == isa::Op::Jne64K) == inside;
            next_ = next + 1;
            if (taken) e_.jump(label_of(test->target));
            if (taken) skip_unreachable_ = true;
        }
        return true;
    }

    if (key_reg != no_reg) {
        settle(key_reg, true, false);
        const Gp from = fetch(key_reg, true);
        flush_stores();
        e_.mov(Width::W32, out, from);
    } else {
        flush_stores();
        settle_address(2, 0);
        e_.load(Width::W32, out, address(2, 0));
    }
    after_call();
    const bool jump_on_null = test != nullptr && test->op == isa::Op::Jeq64K;
    const bool never_null = known != nullptr && known->result_non_null;
    Label done = no_label;
    if (!never_null) e_.alu_imm(Alu::Cmp, Width::W32, out, static_cast<int32_t>(layout.max_entries));
    if (never_null) {
        if (!jump_on_null) done = e_.new_label();
    } else if (jump_on_null && !(analysis_.live_in[test->target] & both_halves(0))) {
        e_.jump_if(Cond::AboveEqual, label_of(test->target));
    } else {
        const Label from = e_.new_label();
        e_.jump_if(Cond::AboveEqual, from);
        Label to;
        if (jump_on_null) {
            to = label_of(test->target);
        } else {
            done = e_.new_label();
            to = done;
        }
        cold_.push_back({.kind = Cold::Kind::Null, .from = from, .to = to});
    }
    // Mispredicted, the check above lets any index through; the mask keeps even that inside (the kernel's index_mask).
    e_.alu_imm(Alu::And, Width::W32, out, static_cast<int32_t>(layout.mask));
    if (std::has_single_bit(layout.stride)) {
        if (layout.stride != 1)
            e_.shift_imm(Shift::Shl, Width::W64, out, static_cast<uint8_t>(std::countr_zero(layout.stride)));
    } else {
        e_.imul3(Width::W64, out, out, static_cast<int32_t>(layout.stride));
    }
    add_base(out);
    if (percpu) add_lane(out);
    if (test != nullptr) {
        next_ = next + 1;
        if (!jump_on_null) {
            e_.jump(label_of(test->target));
            e_.bind(done);
            // Falls through with null in r0.
        }
    } else {
        e_.bind(done);
    }
    return true;
}

}  // namespace skep::engine::jit
