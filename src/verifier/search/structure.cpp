// SPDX-License-Identifier: Apache-2.0
#include "verifier/search/structure.hpp"

#include <algorithm>
#include <array>
#include <ranges>
#include <span>

#include "platform/helper.hpp"
#include "platform/limits.hpp"
#include "verifier/certificate/cuts.hpp"
#include "verifier/search/loops.hpp"

namespace skep::verifier {

namespace {

using isa::InsnIndex;
using isa::Operation;
constexpr uint32_t none = UINT32_MAX;
constexpr uint64_t every_cell = ~uint64_t{0};

Failure structural(Rule rule, InsnIndex at, std::string what) {
    Failure failure;
    failure.rule = rule;
    failure.insn = at;
    failure.certain = true;
    failure.what = std::move(what);
    return failure;
}

class Reader {
  public:
    Reader(const Subject& subject, Structure& out, bool keep_cells)
        : subject_(subject), program_(subject.linked()), out_(out), keep_cells_(keep_cells) {}

    std::optional<Failure> read() {
        if (auto failure = decode()) return failure;
        if (auto failure = check_flow()) return failure;
        if (auto failure = check_calls()) return failure;
        out_.is_cut.assign(out_.code.size(), false);
        for (const InsnIndex at : cut_places(program_)) out_.is_cut[at] = true;
        find_loops();
        find_order();
        find_frame_uses();
        if (auto failure = check_depth()) return failure;
        find_live();
        for (Loop& loop : out_.loops) find_candidates(loop);
        find_thresholds();
        return {};
    }

  private:
    InsnIndex end_of(InsnIndex at) const { return program_.subprograms[out_.function[at]].end; }
    InsnIndex start_of(InsnIndex at) const { return program_.subprograms[out_.function[at]].start; }

    std::optional<Failure> decode() {
        const size_t size = program_.code.size();
        out_.code.resize(size);
        out_.function.resize(size);
        starts_.assign(size, false);
        for (uint16_t f = 0; f < program_.subprograms.size(); ++f) {
            for (InsnIndex i = program_.subprograms[f].start; i < program_.subprograms[f].end && i < size; ++i) {
                out_.function[i] = f;
            }
        }
        for (InsnIndex at = 0; at < size;) {
            auto insn = isa::decode(program_.code, at);
            if (!insn) return structural(Rule::BadEncoding, at, insn.error().what());
            out_.code[at] = *insn;
            starts_[at] = true;
            if (insn->slots() == 2) out_.code[at + 1] = *insn;
            at += insn->slots();
            ++out_.instructions;
        }
        return {};
    }

    Successors successors(InsnIndex at) const {
        const isa::Insn& insn = out_.code[at];
        Successors out;
        if (!insn.row().ends_path()) out.at[out.count++] = at + insn.slots();
        if (insn.row().is_jump()) {
            const auto target = static_cast<InsnIndex>(isa::target_of(insn, at));
            if (out.count == 0 || out.at[0] != target) out.at[out.count++] = target;
        }
        return out;
    }

    std::optional<Failure> check_flow() {
        for (InsnIndex at = 0; at < out_.code.size(); at += out_.code[at].slots()) {
            const isa::Insn& insn = out_.code[at];
            const InsnIndex start = start_of(at), end = end_of(at);
            if (insn.row().is_jump()) {
                const int64_t target = isa::target_of(insn, at);
                if (target < start || target >= end || !starts_[static_cast<size_t>(target)]) {
                    return structural(Rule::JumpOutside, at, "the jump leads to instruction " + std::to_string(target));
                }
            }
            if (!insn.row().ends_path() && at + insn.slots() >= end) {
                return structural(Rule::FallsOff, at,
                                  "the last instruction of `" + program_.subprograms[out_.function[at]].name +
                                      "` is neither exit nor a jump");
            }
        }
        // Every instruction must be reachable in its function (Linux: check_cfg).
        std::vector<bool> seen(out_.code.size(), false);
        std::vector<InsnIndex> todo;
        for (const auto& function : program_.subprograms) todo.push_back(function.start);
        while (!todo.empty()) {
            const InsnIndex at = todo.back();
            todo.pop_back();
            if (seen[at]) continue;
            seen[at] = true;
            const Successors next = successors(at);
            for (unsigned i = 0; i < next.count; ++i) todo.push_back(next.at[i]);
        }
        for (InsnIndex at = 0; at < out_.code.size(); at += out_.code[at].slots()) {
            if (!seen[at]) return structural(Rule::Unreachable, at, "no way leads to this instruction");
        }
        return {};
    }

    /// Local calls: targets, recursion. (Depth is checked on the way, Rules.)
    std::optional<Failure> check_calls() {
        const size_t count = program_.subprograms.size();
        callees_.assign(count, {});
        for (InsnIndex at = 0; at < out_.code.size(); at += out_.code[at].slots()) {
            const isa::Insn& insn = out_.code[at];
            if (insn.row().operation != Operation::CallLocal && insn.row().operation != Operation::LdFunc) continue;
            const int64_t target = isa::target_of(insn, at);
            const auto found = std::ranges::lower_bound(program_.subprograms, target, {},
                                                        [](const auto& f) { return int64_t{f.start}; });
            if (found == program_.subprograms.end() || int64_t{found->start} != target) {
                return structural(
                    Rule::JumpOutside, at,
                    "the call leads to instruction " + std::to_string(target) + ", where no function begins");
            }
            if (insn.row().operation == Operation::CallLocal) {
                callees_[out_.function[at]].push_back(
                    {static_cast<uint16_t>(found - program_.subprograms.begin()), at});
            }
        }
        // A depth-first walk over the call graph without recursion of our own.
        std::vector<uint8_t> state(count, 0);  // 0 new, 1 open, 2 done
        for (uint16_t first = 0; first < count; ++first) {
            std::vector<std::pair<uint16_t, size_t>> stack;
            if (state[first] == 0) stack.push_back({first, 0}), state[first] = 1;
            while (!stack.empty()) {
                auto& [f, next] = stack.back();
                if (next == callees_[f].size()) {
                    state[f] = 2;
                    order_.push_back(f);
                    stack.pop_back();
                    continue;
                }
                const auto [callee, at] = callees_[f][next++];
                if (state[callee] == 1) {
                    return structural(Rule::Recursion, at, "`" + program_.subprograms[callee].name + "` calls itself");
                }
                if (state[callee] == 0) state[callee] = 1, stack.push_back({callee, 0});
            }
        }
        return {};
    }

    void find_loops() {
        out_.loop_at.assign(out_.code.size(), none);
        std::vector<Successors> next(out_.code.size());
        for (InsnIndex at = 0; at < out_.code.size(); at += out_.code[at].slots()) next[at] = successors(at);
        std::vector<InsnIndex> starts;
        for (const auto& function : program_.subprograms) starts.push_back(function.start);
        for (LoopShape& shape : find_loop_shapes(next, starts)) {
            Loop loop;
            loop.head = shape.head;
            loop.outer = shape.outer;
            loop.first = shape.first;
            loop.body = std::move(shape.body);
            find_compared(loop);
            constexpr size_t most_inherited = 256;
            if (loop.outer != none && out_.loops[loop.outer].compared.size() <= most_inherited)
                add_all(loop.compared, out_.loops[loop.outer].compared);
            out_.loop_at[loop.head] = static_cast<uint32_t>(out_.loops.size());
            out_.loops.push_back(std::move(loop));
        }
        out_.inner_loop.assign(out_.code.size(), none);
        for (uint32_t loop = 0; loop < out_.loops.size(); ++loop) {  // those inside come later
            const Loop& l = out_.loops[loop];
            for (InsnIndex i = 0; i < l.body.size(); ++i) {
                if (l.body[i]) out_.inner_loop[l.first + i] = loop;
            }
        }
    }

    /// Work goes on where all that leads there is done: reverse post-order, in which what leaves a loop comes last.
    void find_order() {
        out_.order.assign(out_.code.size(), 0);
        // Loops nest: who leaves one leaves the innermost.
        const auto leaves = [&](InsnIndex from, InsnIndex to) {
            const uint32_t loop = out_.inner_loop[from];
            return loop != none && !out_.loops[loop].holds(to);
        };
        std::vector<bool> seen(out_.code.size(), false);
        std::vector<std::pair<InsnIndex, unsigned>> stack;
        std::vector<InsnIndex> done;
        for (const auto& function : program_.subprograms) {
            stack.push_back({function.start, 0});
            seen[function.start] = true;
            while (!stack.empty()) {
                auto& [at, next] = stack.back();
                Successors all = successors(at);
                // The one visited first comes last: exits, then jumps.
                if (all.count == 2 && !leaves(at, all.at[0])) std::swap(all.at[0], all.at[1]);
                if (next == all.count) {
                    done.push_back(at);
                    stack.pop_back();
                    continue;
                }
                const InsnIndex to = all.at[next++];
                if (!seen[to]) seen[to] = true, stack.push_back({to, 0});
            }
        }
        for (size_t i = 0; i < done.size(); ++i) out_.order[done[i]] = static_cast<uint32_t>(done.size() - i);
        post_order_ = std::move(done);
    }

    /// Places that the body moves by a constant, or stores to a fixed cell, of those that each round gets from the one
    /// before and that something is decided by.
    void find_candidates(Loop& loop) {
        const InsnIndex start = loop.first;
        const uint16_t regs = out_.live[loop.head].regs & out_.demand[loop.head].regs;
        const uint64_t cells = out_.live[loop.head].cells & out_.demand[loop.head].cells;
        const auto add = [&](const Candidate& c) {
            if ((c.reg != 0xff ? regs >> c.reg & 1 : cells >> c.cell & 1) == 0) return;
            if (loop.candidates.size() < most_candidates &&
                std::find(loop.candidates.begin(), loop.candidates.end(), c) == loop.candidates.end()) {
                loop.candidates.push_back(c);
            }
        };
        for (const bool counters : {true, false}) {
            for (InsnIndex i = 0; i < loop.body.size(); ++i) {
                if (!loop.body[i] || !starts_[start + i]) continue;
                const isa::Insn& insn = out_.code[start + i];
                const isa::Row& row = insn.row();
                const bool moves = row.is_alu() && (row.operation == Operation::Add || row.operation == Operation::Sub);
                const bool shrinks =
                    row.is_alu() && (row.operation == Operation::Rsh || row.operation == Operation::Div ||
                                     row.operation == Operation::And || row.operation == Operation::Mov);
                if ((counters && moves && !row.has_src()) || (!counters && (moves || shrinks))) add({insn.dst, 0});
                if (moves || shrinks) loop.moves = static_cast<uint16_t>(loop.moves | isa::register_bit(insn.dst));
                if (!counters && (row.form == isa::Form::StoreSrc || row.form == isa::Form::StoreImm) &&
                    insn.dst == isa::frame_register && insn.offset < 0 && insn.offset >= -int{stack_bytes}) {
                    const auto from_top = static_cast<unsigned>(-insn.offset - 1);
                    const bool half = row.access_bytes() == 4 && insn.offset % 4 == 0;
                    add({0xff, static_cast<uint16_t>(from_top / 8), static_cast<uint8_t>(half ? 4 : 8),
                         static_cast<uint8_t>(half ? 7 - from_top % 8 : 0)});
                }
            }
        }
    }

    /// Whether what the comparison at `at` compares was moved by a constant just before: a counter that lies in memory.
    bool steps_before(const Loop& loop, InsnIndex at) const {
        const unsigned reg = out_.code[at].dst;
        for (unsigned looks = 0; looks < 6 && at > loop.first; ++looks) {
            do --at;
            while (at > loop.first && !starts_[at]);
            const isa::Insn& insn = out_.code[at];
            const isa::Row& row = insn.row();
            if (row.is_jump() || row.is_call()) return false;
            if (insn.dst != reg || !row.is_alu()) {
                if ((isa::writes_of(insn) >> reg & 1) != 0) return false;
                continue;
            }
            if (row.has_src()) return false;
            if (row.operation == Operation::Add) return true;
            if (row.operation != Operation::Lsh && row.operation != Operation::Rsh) return false;
        }
        return false;
    }

    /// What decides how often the body runs, where that is a counter and a constant.
    void find_compared(Loop& loop) {
        uint16_t counters = 0, others = 0;  // registers that only steps by a constant change; that something else does
        for (InsnIndex i = 0; i < loop.body.size(); ++i) {
            if (!loop.body[i] || !starts_[loop.first + i]) continue;
            const isa::Insn& insn = out_.code[loop.first + i];
            const bool step = insn.row().operation == Operation::Add && !insn.row().has_src();
            (step ? counters : others) |= isa::writes_of(insn);
        }
        loop.writes = counters | others;
        counters &= static_cast<uint16_t>(~others);
        for (InsnIndex i = 0; i < loop.body.size(); ++i) {
            if (!loop.body[i] || !starts_[loop.first + i]) continue;
            const isa::Insn& insn = out_.code[loop.first + i];
            if (!insn.row().is_conditional_compare() || insn.row().has_src()) continue;
            if ((counters >> insn.dst & 1) == 0 && !steps_before(loop, loop.first + i)) continue;
            const auto k = static_cast<uint64_t>(int64_t{insn.imm});
            for (const uint64_t near : {k - 1, k, k + 1}) loop.compared.push_back(near);
        }
        add_all(loop.compared, {});
    }

    static void add_all(std::vector<uint64_t>& words, const std::vector<uint64_t>& more) {
        words.insert(words.end(), more.begin(), more.end());
        std::ranges::sort(words);
        const auto doubles = std::ranges::unique(words);
        words.erase(doubles.begin(), doubles.end());
    }

    // Which registers hold an address in the own frame, and where: for the liveness of cells.
    static constexpr int16_t not_frame = 0x7fff, unclear = 0x7ffe;
    using FrameUse = std::array<int16_t, 11>;

    void find_frame_uses() {
        escapes_.assign(program_.subprograms.size(), false);
        uses_.assign(out_.code.size(), {});
        std::vector<bool> known(out_.code.size(), false);
        std::vector<InsnIndex> todo;
        for (const auto& function : program_.subprograms) {
            FrameUse entry;
            entry.fill(not_frame);
            entry[isa::frame_register] = 0;
            uses_[function.start] = entry;
            known[function.start] = true;
            todo.push_back(function.start);
        }
        while (!todo.empty()) {
            const InsnIndex at = todo.back();
            todo.pop_back();
            const FrameUse after = frame_use_after(at);
            const Successors next = successors(at);
            for (unsigned i = 0; i < next.count; ++i) {
                FrameUse& into = uses_[next.at[i]];
                FrameUse merged = after;
                if (known[next.at[i]]) {
                    for (unsigned r = 0; r < merged.size(); ++r) {
                        if (into[r] != merged[r]) merged[r] = unclear;
                        if (into[r] == not_frame && after[r] == not_frame) merged[r] = not_frame;
                    }
                    if (merged == into) continue;
                }
                into = merged;
                known[next.at[i]] = true;
                todo.push_back(next.at[i]);
            }
        }
        for (InsnIndex at = 0; at < out_.code.size(); at += out_.code[at].slots()) {
            if (lets_frame_out(at)) escapes_[out_.function[at]] = true;
            const isa::Row& row = out_.code[at].row();
            if (!row.is_call() || (row.operation == Operation::Call && !calls_back(at))) continue;
            for (unsigned r = 1; r < 6; ++r) out_.shares_frame = out_.shares_frame || uses_[at][r] != not_frame;
        }
    }

    FrameUse frame_use_after(InsnIndex at) const {
        const isa::Insn& insn = out_.code[at];
        const isa::Row& row = insn.row();
        FrameUse use = uses_[at];
        if (row.is_call()) {
            for (unsigned r = 0; r < 6; ++r) use[r] = not_frame;
            return use;
        }
        for (unsigned r = 0; r < 10; ++r) {
            if ((isa::writes_of(insn) & isa::register_bit(r)) == 0) continue;
            int16_t value = not_frame;
            if (row.is_alu()) {
                const int16_t x = use[insn.dst], y = row.has_src() ? use[insn.src] : not_frame;
                if (row.operation == Operation::Mov && row.form == isa::Form::MovSrc) {
                    value = y;
                } else if (row.operation == Operation::Mov) {
                    value = not_frame;
                } else if (x == not_frame && y == not_frame) {
                    value = not_frame;
                } else if (row.operation == Operation::Add && !row.has_src() && x != unclear && insn.imm >= -512 &&
                           insn.imm <= 512 && x + insn.imm >= -512 && x + insn.imm <= 0) {
                    value = static_cast<int16_t>(x + insn.imm);
                } else {
                    value = unclear;
                }
            } else if (row.reads_memory()) {
                value = not_frame;  // of spilled addresses: lets_frame_out()
            }
            use[r] = value;
        }
        return use;
    }

    /// Whether a frame address gets where the analysis loses it: into memory. (What a callee is given counts as read
    /// there, from the address up; that it might keep or return the address is not followed. Forgetting a cell too
    /// early is sound, and a later attempt keeps them all.)
    bool lets_frame_out(InsnIndex at) const {
        const isa::Insn& insn = out_.code[at];
        return keep_cells_ || (insn.row().writes_memory() && insn.row().has_src() && uses_[at][insn.src] != not_frame);
    }

    /// The stack of every call chain fits (kernel: check_max_stack_depth; each frame counts in steps of 32 bytes).
    std::optional<Failure> check_depth() {
        std::vector<unsigned> own(program_.subprograms.size(), 0);
        for (InsnIndex at = 0; at < out_.code.size(); at += out_.code[at].slots()) {
            const isa::Insn& insn = out_.code[at];
            const isa::Row& row = insn.row();
            int lowest = 0;
            const auto touch = [&](int16_t use, int offset) {
                if (use != not_frame && use != unclear) lowest = std::min(lowest, use + offset);
            };
            if (row.form == isa::Form::LoadMem) touch(uses_[at][insn.src], insn.offset);
            if (row.writes_memory()) touch(uses_[at][insn.dst], insn.offset);
            if (row.operation == Operation::Call || row.operation == Operation::CallLocal) {
                for (unsigned r = 1; r < 6; ++r) touch(uses_[at][r], 0);
            }
            unsigned& bytes = own[out_.function[at]];
            bytes = std::max(bytes, static_cast<unsigned>(-lowest));
        }
        if (auto failure = check_tail_calls(own)) return failure;
        std::vector<unsigned> chain(own.size(), 0);
        for (const uint16_t f : order_) {  // callees first
            const unsigned rounded = (std::max(own[f], 1u) + 31) / 32 * 32;
            chain[f] = std::max(chain[f], rounded);
            for (const auto& [callee, at] : callees_[f]) {
                chain[f] = std::max(chain[f], rounded + chain[callee]);
                if (chain[f] <= platform::limits::stack_bytes) continue;
                return structural(Rule::StackDepth, at,
                                  "the frames from `" + program_.subprograms[f].name + "` on take " +
                                      std::to_string(chain[f]) + " bytes, at most 512 are allowed");
            }
        }
        return {};
    }

    /// Each tail call leaves its function's callers where they are, so that they may take less (kernel:
    /// check_max_stack_depth_subprog, MAX_TAIL_CALL_CNT times over).
    std::optional<Failure> check_tail_calls(const std::vector<unsigned>& own) const {
        std::vector<unsigned> above(own.size(), 0);             // bytes of the callers' frames
        for (const uint16_t f : std::views::reverse(order_)) {  // callers first
            const unsigned rounded = (std::max(own[f], 1u) + 31) / 32 * 32;
            for (const auto& [callee, at] : callees_[f]) above[callee] = std::max(above[callee], above[f] + rounded);
        }
        for (InsnIndex at = 0; at < out_.code.size(); at += out_.code[at].slots()) {
            const Binding& binding = subject_.program->bindings[at];
            if (out_.code[at].row().operation != Operation::Call || binding.kind != BindingKind::Helper) continue;
            if (static_cast<platform::HelperId>(binding.helper) != platform::HelperId::TailCall) continue;
            const unsigned bytes = above[out_.function[at]];
            if (bytes < platform::limits::tail_call_stack_bytes) continue;
            return structural(Rule::StackDepth, at,
                              "the callers of this function take " + std::to_string(bytes) +
                                  " bytes of stack, a tail call allows less than " +
                                  std::to_string(platform::limits::tail_call_stack_bytes));
        }
        return {};
    }

    // Liveness, backwards.
    static uint64_t cells_from(int offset) {  // bytes offset to -1: cells 0 to (-offset-1)/8
        if (offset >= 0) return 0;
        const unsigned cell = static_cast<unsigned>(-offset - 1) / 8;
        return cell >= 63 ? every_cell : (uint64_t{1} << (cell + 1)) - 1;
    }
    static uint64_t cell_bit(int offset) {
        if (offset >= 0 || offset < -int{stack_bytes}) return 0;
        return uint64_t{1} << (static_cast<unsigned>(-offset - 1) / 8);
    }

    Live before(InsnIndex at, Live after) const {
        const isa::Insn& insn = out_.code[at];
        const isa::Row& row = insn.row();
        const FrameUse& use = uses_[at];
        after.regs = static_cast<uint16_t>(after.regs & ~isa::writes_of(insn));
        if (row.operation == Operation::Call) {
            const Binding& binding = subject_.program->bindings[at];
            unsigned arguments = 5;
            if (binding.kind == BindingKind::Helper) {
                const auto& helper = platform::helper(static_cast<platform::HelperId>(binding.helper));
                arguments = 0;
                while (arguments < 5 && helper.args[arguments] != platform::ArgKind::None) ++arguments;
            }
            for (unsigned r = 1; r <= arguments; ++r) {
                after.regs = static_cast<uint16_t>(after.regs | isa::register_bit(r));
                if (use[r] != not_frame) after.cells |= use[r] == unclear ? every_cell : cells_from(use[r]);
            }
        } else if (row.operation == Operation::CallLocal) {
            const auto callee = subject_.function_at(static_cast<InsnIndex>(isa::target_of(insn, at)));
            after.regs = static_cast<uint16_t>(after.regs | (entry_live_[callee] & 0x3e));
            for (unsigned r = 1; r < 6; ++r) {
                if (use[r] != not_frame) after.cells |= use[r] == unclear ? every_cell : cells_from(use[r]);
            }
        } else {
            after.regs = static_cast<uint16_t>(after.regs | isa::reads_of(insn));
        }
        if (row.writes_memory() && !row.is_atomic() && use[insn.dst] != not_frame && use[insn.dst] != unclear &&
            row.access_bytes() == 8) {
            after.cells &= ~cell_bit(use[insn.dst] + insn.offset);
        }
        if (row.form == isa::Form::LoadMem && use[insn.src] != not_frame) {
            after.cells |= use[insn.src] == unclear ? every_cell : cell_bit(use[insn.src] + insn.offset);
        }
        if (row.is_atomic() && use[insn.dst] != not_frame) {
            after.cells |= use[insn.dst] == unclear ? every_cell : cell_bit(use[insn.dst] + insn.offset);
        }
        if (escapes_[out_.function[at]]) after.cells = every_cell;
        return after;
    }

    bool calls_back(InsnIndex at) const {
        const Binding& binding = subject_.program->bindings[at];
        if (binding.kind != BindingKind::Helper) return true;
        const auto& helper = platform::helper(static_cast<platform::HelperId>(binding.helper));
        return (helper.effects & platform::helper_effect::Callback) != 0;
    }

    /// The same for demand: a value that goes into another one counts only if that one does; what a helper reads from
    /// memory does not.
    Live demanded_before(InsnIndex at, const Live& after) const {
        const isa::Insn& insn = out_.code[at];
        const isa::Row& row = insn.row();
        const FrameUse& use = uses_[at];
        const auto wanted = [&](unsigned reg) { return (after.regs >> reg & 1) != 0; };
        Live out = after;
        if (row.is_call() || row.is_conditional_compare() || row.is_exit() || row.is_atomic()) {
            out = before(at, after);
            if (row.is_call()) out.cells = after.cells;
        } else if (row.is_alu()) {
            if (!wanted(insn.dst)) return out;
            out.regs = static_cast<uint16_t>((after.regs & ~isa::writes_of(insn)) | isa::reads_of(insn));
        } else if (row.form == isa::Form::LoadMem) {
            out.regs = static_cast<uint16_t>((after.regs & ~isa::register_bit(insn.dst)) | isa::register_bit(insn.src));
            if (wanted(insn.dst) && use[insn.src] != not_frame) {
                out.cells |= use[insn.src] == unclear ? every_cell : cell_bit(use[insn.src] + insn.offset);
            }
        } else if (row.writes_memory()) {
            out.regs = static_cast<uint16_t>(out.regs | isa::register_bit(insn.dst));
            const bool frame = use[insn.dst] != not_frame;
            const bool known = frame && use[insn.dst] != unclear;
            const uint64_t bit = known ? cell_bit(use[insn.dst] + insn.offset) : every_cell;
            if (row.has_src() && frame && (after.cells & bit) != 0) {
                out.regs = static_cast<uint16_t>(out.regs | isa::register_bit(insn.src));
            }
            if (known && row.access_bytes() == 8) out.cells &= ~bit;
        } else {
            out = before(at, after);
        }
        if (escapes_[out_.function[at]]) out.cells = every_cell;
        return out;
    }

    /// A backward fixpoint over every function, callees first. Each round visits the instructions after their
    /// successors, save those over edges that go back: a function without any needs one round.
    template <typename Transfer>
    void solve_backward(std::vector<Live>& facts, Transfer transfer) {
        facts.assign(out_.code.size(), {});
        entry_live_.assign(program_.subprograms.size(), 0);
        // The post-order holds the functions one after the other, in their order.
        std::vector<size_t> begin(program_.subprograms.size() + 1, post_order_.size());
        for (size_t i = post_order_.size(); i-- > 0;) begin[out_.function[post_order_[i]]] = i;
        for (const uint16_t f : order_) {
            const auto part = std::span(post_order_).subspan(begin[f], begin[f + 1u] - begin[f]);
            bool goes_back = false;
            for (bool first = true, changed = true; changed && (first || goes_back); first = false) {
                changed = false;
                for (const InsnIndex at : part) {
                    Live after;
                    const Successors next = successors(at);
                    for (unsigned i = 0; i < next.count; ++i) {
                        goes_back = goes_back || out_.order[next.at[i]] <= out_.order[at];
                        after.regs = static_cast<uint16_t>(after.regs | facts[next.at[i]].regs);
                        after.cells |= facts[next.at[i]].cells;
                    }
                    const Live now = transfer(at, after);
                    if (now.regs == facts[at].regs && now.cells == facts[at].cells) continue;
                    facts[at] = now;
                    changed = true;
                }
            }
            entry_live_[f] = facts[program_.subprograms[f].start].regs;
        }
    }

    void find_live() {
        solve_backward(out_.demand, [&](InsnIndex at, const Live& after) { return demanded_before(at, after); });
        solve_backward(out_.live, [&](InsnIndex at, const Live& after) { return before(at, after); });
    }

    /// What an instruction compares with or sets a register to, and the neighbours.
    void add_thresholds(const isa::Insn& insn, std::vector<uint64_t>& t) const {
        const isa::Row& row = insn.row();
        const bool compares = row.is_conditional_compare() && !row.has_src();
        const bool constant = row.form == isa::Form::MovImm || row.operation == Operation::LdImm64 ||
                              (row.is_alu() && row.operation == Operation::And && !row.has_src());
        if (!compares && !constant) return;
        const uint64_t k =
            row.operation == Operation::LdImm64 ? insn.imm64() : static_cast<uint64_t>(int64_t{insn.imm});
        for (const uint64_t near : {k - 1, k, k + 1}) t.push_back(near);
        if (row.width_bits() == 32) {
            for (const uint64_t near : {k - 1, k, k + 1}) t.push_back(near & 0xffffffff);
        }
    }

    static void finish_thresholds(std::vector<uint64_t>& t) {
        for (const unsigned bits : {7, 8, 15, 16, 24, 31, 32, 63}) {
            t.push_back((uint64_t{1} << bits) - 1);
            t.push_back(uint64_t{0} - (uint64_t{1} << bits));
        }
        t.push_back(0);
        t.push_back(UINT64_MAX);
        std::sort(t.begin(), t.end());
        t.erase(std::unique(t.begin(), t.end()), t.end());
    }

    void find_thresholds() {
        for (InsnIndex at = 0; at < out_.code.size(); at += out_.code[at].slots()) {
            add_thresholds(out_.code[at], out_.thresholds);
        }
        finish_thresholds(out_.thresholds);
    }

    const Subject& subject_;
    const object::LinkedProgram& program_;
    Structure& out_;
    std::vector<bool> starts_;
    std::vector<std::vector<std::pair<uint16_t, InsnIndex>>> callees_;
    std::vector<uint16_t> order_;        ///< functions, callees first
    std::vector<InsnIndex> post_order_;  ///< the functions in their order, each in post-order
    std::vector<FrameUse> uses_;
    std::vector<bool> escapes_;
    std::vector<uint16_t> entry_live_;
    bool keep_cells_;
};

}  // namespace

StructureResult read_structure(const Subject& subject, bool keep_cells) {
    StructureResult result;
    result.failure = Reader(subject, result.structure, keep_cells).read();
    return result;
}

}  // namespace skep::verifier
