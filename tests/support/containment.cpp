// SPDX-License-Identifier: Apache-2.0
#include "support/containment.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "isa/disasm.hpp"
#include "verifier/certificate/cuts.hpp"
#include "verifier/state/locations.hpp"

namespace skep::testing {

using verifier::Byte;
using verifier::Cell;
using verifier::Flow;
using verifier::Phase;
using verifier::Region;
using verifier::RegionKind;
using verifier::State;
using verifier::Sym;
using verifier::Symbol;
using verifier::Val;

namespace {

constexpr size_t most_nodes = 4000;  // of one tree; a run that needs a larger one is given up

struct Pair {
    enum class Of : uint8_t { Register, FrameBase, Saved, Stack, CallbackContext, Measure };
    Val form;
    uint64_t word;
    Of of;
    uint32_t index = 0, part = 0;
    bool done = false;

    std::string where() const {
        switch (of) {
            case Of::Register: return fmt::format("r{}", index);
            case Of::FrameBase: return fmt::format("r10 of frame {}", index);
            case Of::Saved: return fmt::format("saved r{} of frame {}", 6 + part, index);
            case Of::Stack: return fmt::format("the stack of frame {} at -{}", index, 8 * (part + 1));
            case Of::CallbackContext: return "a callback's context";
            case Of::Measure: return fmt::format("the last measure of cut {}", index);
        }
        return "?";
    }
};

uint64_t word_at(const uint8_t* bytes) {
    uint64_t word = 0;
    std::memcpy(&word, bytes, 8);  // the hosts are little-endian
    return word;
}

class Solver {
  public:
    Solver(const Machine& run, const Measures& measures, const State& state, Words& words)
        : run_(run), measures_(measures), s_(state), words_(words) {
        pairs_.clear();
    }

    std::optional<std::string> answer() {
        words_.assign(s_.symbols.size(), std::nullopt);
        if (!shape()) return why_;
        locations();
        if (!solve()) return why_;
        for (size_t i = 0; i < s_.symbols.size(); ++i) {
            if (!symbol(static_cast<Sym>(i))) return why_;
        }
        if (!relations() || !stacks() || !resources()) return why_;
        return {};
    }

    std::optional<uint64_t> value(const Val& v) const {
        uint64_t x = v.k;
        for (const verifier::Term& t : {v.a, v.b}) {
            if (t.factor == 0) continue;
            if (!words_[t.sym]) return {};
            x += *words_[t.sym] * static_cast<uint64_t>(int64_t{t.factor});
        }
        return x;
    }

  private:
    bool no(std::string why) {
        why_ = std::move(why);
        return false;
    }

    bool shape() {
        if (!(s_.at == run_.at)) return no(fmt::format("the run is at {}, the state at {}", run_.at.insn, s_.at.insn));
        if (s_.frames.size() != run_.frames().size()) return no("another number of frames");
        for (size_t i = 0; i < s_.frames.size(); ++i) {
            const verifier::Frame& a = s_.frames[i];
            const Machine::Frame& c = run_.frames()[i];
            if (a.function != c.function || a.kind != c.kind || a.call != c.call)
                return no(fmt::format("frame {} is of another call", i));
        }
        if (s_.callbacks.size() != run_.callbacks().size()) return no("another number of callback loops");
        for (size_t i = 0; i < s_.callbacks.size(); ++i) {
            const Machine::Callback& c = run_.callbacks()[i];
            if (s_.callbacks[i].call != c.call || s_.callbacks[i].function != c.function)
                return no("another callback loop");
        }
        return true;
    }

    void locations() {
        using enum Pair::Of;
        for (uint32_t r = 0; r < s_.regs.size(); ++r) {
            if (s_.is_set(r)) pairs_.push_back({s_.regs[r], run_.reg(r), Register, r});
        }
        for (uint32_t i = 0; i < s_.frames.size(); ++i) {
            const verifier::Frame& a = s_.frames[i];
            pairs_.push_back({Val::symbol(a.base), run_.frame_base(i), FrameBase, i});
            for (uint32_t k = 0; k < 4; ++k) {
                if ((a.saved_set >> k & 1) != 0) pairs_.push_back({a.saved[k], run_.frames()[i].saved[k], Saved, i, k});
            }
            if (a.stack == nullptr) continue;
            const uint8_t* top = run_.stack_top(i);
            for (uint32_t c = 0; c < a.stack->size(); ++c) {
                const Cell& cell = (*a.stack)[c];
                if (cell.is_whole()) pairs_.push_back({cell.val, word_at(top - 8 * (c + 1)), Stack, i, c});
            }
        }
        for (uint32_t i = 0; i < s_.callbacks.size(); ++i)
            pairs_.push_back({s_.callbacks[i].context, run_.callbacks()[i].context, CallbackContext, i});
        for (const verifier::Ghost& ghost : s_.ghosts) {
            const auto found = measures_.find(ghost.cut);
            if (found != measures_.end()) pairs_.push_back({ghost.measure, found->second, Measure, ghost.cut});
        }
    }

    bool bind(Sym sym, uint64_t word) {
        words_[sym] = word;
        const Region& region = s_[sym].region;
        if (region.kind == RegionKind::Packet && region.alive) {
            const Memory* packet = run_.memory_at(word);
            if (packet != nullptr && packet->kind == RegionKind::Packet) {
                if (region.length != verifier::no_sym) words_[region.length] = static_cast<uint64_t>(packet->high);
                if (region.meta != verifier::no_sym) words_[region.meta] = static_cast<uint64_t>(-packet->low);
            }
        }
        return true;
    }

    bool solve() {
        // The packet is where it is, even if only its end is held.
        if (s_.packet != verifier::no_sym) bind(s_.packet, run_.packet()->base);
        for (bool moved = true; moved;) {
            moved = false;
            for (Pair& p : pairs_) {
                if (p.done) continue;
                uint64_t rest = p.word - p.form.k;
                const verifier::Term* open = nullptr;
                unsigned unknown = 0;
                for (const verifier::Term* t : {&p.form.a, &p.form.b}) {
                    if (t->factor == 0) continue;
                    const auto factor = static_cast<uint64_t>(int64_t{t->factor});
                    if (words_[t->sym]) {
                        rest -= *words_[t->sym] * factor;
                    } else {
                        open = t, ++unknown;
                    }
                }
                if (unknown == 0) {
                    if (rest != 0)
                        return no(fmt::format("{} is {:#x}, its form says {:#x}", p.where(), p.word, p.word - rest));
                    p.done = moved = true;
                } else if (unknown == 1) {
                    const auto factor = static_cast<uint64_t>(int64_t{open->factor});
                    if ((factor & 1) != 0) {
                        uint64_t inverse = factor;  // Newton: doubles the right bits each time
                        for (int n = 0; n < 6; ++n) inverse *= 2 - factor * inverse;
                        bind(open->sym, rest * inverse);
                        p.done = moved = true;
                    }
                }
            }
            if (moved) continue;
            for (size_t i = 0; i < s_.symbols.size() && !moved; ++i) {
                const verifier::Definition& def = s_.symbols[i].def;
                if (words_[i] || !def.any() || !isa_arithmetic(def.operation)) continue;
                const auto x = value(def.x), y = value(def.y);
                if (!x || !y) continue;
                bind(static_cast<Sym>(i), defined(def, *x, *y));
                moved = true;
            }
        }
        // Multiples by even numbers leave the upper bits open.
        for (const Pair& p : pairs_) {
            if (p.done || !p.form.is_single()) continue;
            const auto factor = static_cast<uint64_t>(int64_t{p.form.a.factor});
            const int zeros = std::countr_zero(factor);
            const uint64_t rest = p.word - p.form.k;
            if ((rest & ((uint64_t{1} << zeros) - 1)) != 0)
                return no(
                    fmt::format("{} is {:#x}, no multiple of {} from {:#x}", p.where(), p.word, factor, p.form.k));
        }
        return true;
    }

    static bool isa_arithmetic(isa::Operation op) { return op <= isa::Operation::Bswap64; }
    static uint64_t defined(const verifier::Definition& def, uint64_t x, uint64_t y) {
        // Operations of one operand tell it in x; plain_arithmetic takes the source as y.
        const bool one = def.operation == isa::Operation::Mov ||
                         (def.operation >= isa::Operation::Movsx8 && def.operation <= isa::Operation::Movsx32) ||
                         (def.operation >= isa::Operation::Le16 && def.operation <= isa::Operation::Bswap64);
        return plain_arithmetic(def.operation, def.is32, x, one ? x : y);
    }

    bool symbol(Sym sym) {
        const Symbol& a = s_[sym];
        if (!words_[sym]) return true;
        const uint64_t word = *words_[sym];
        if (!a.num.contains(word))
            return no(fmt::format(
                "symbol {} is {:#x} ({}), its fact excludes it: bits {:#x}/{:#x}, [{:#x}, +{:#x}], low [{:#x}, +{:#x}]",
                sym, word, held(sym), a.num.bits.value, a.num.bits.mask, a.num.wide.base, a.num.wide.length,
                a.num.narrow.base, a.num.narrow.length));
        if (a.def.any() && isa_arithmetic(a.def.operation)) {
            const auto x = value(a.def.x), y = value(a.def.y);
            if (x && y && defined(a.def, *x, *y) != word)
                return no(
                    fmt::format("symbol {} is {:#x}, its definition gives {:#x}", sym, word, defined(a.def, *x, *y)));
        }
        return !a.is_base() || !a.region.alive || region(sym, a.region, word);
    }

    std::string held(Sym sym) const {
        for (const Pair& p : pairs_) {
            if (p.form.mentions(sym)) return "in " + p.where();
        }
        return "of the state";
    }

    bool region(Sym sym, const Region& a, uint64_t word) {
        if (word == 0) return a.nullable || no(fmt::format("symbol {}, a pointer that is not null, is 0", sym));
        const Memory* c = run_.memory_at(word);
        const auto wrong = [&](const char* what) {
            return no(fmt::format("symbol {} ({:#x}, {}) is {}", sym, word, held(sym), what));
        };
        if (c == nullptr) return wrong("no region's address");
        if (c->kind != a.kind) return wrong("the address of another kind of region");
        if (!c->alive) return wrong("the address of a region that is gone");
        if (a.writable && !c->writable) return wrong("a region that is read-only");
        switch (a.kind) {
            case RegionKind::Context: return word == run_.context() || wrong("not the context");
            case RegionKind::Stack:
                if (a.frame >= run_.frames().size() || run_.frame_base(a.frame) != word) return wrong("another frame");
                return true;
            case RegionKind::Packet:
                return (run_.packet() != nullptr && run_.packet()->base == word) || wrong("an old packet");
            case RegionKind::MapValue:
            case RegionKind::MapKey:
                if (c->map != a.map) return wrong("of another map");
                return c->high >= int64_t{a.size} || wrong("smaller than it says");
            case RegionKind::Memory: return c->high >= int64_t{a.size} || wrong("smaller than it says");
            case RegionKind::Map:
            case RegionKind::Function: return c->map == a.map || wrong("another one");
            case RegionKind::Object: return c->type == a.type || wrong("of another type");
            case RegionKind::None: return true;
        }
        return true;
    }

    bool relations() {
        for (const verifier::Relation& r : s_.relations) {
            if (!words_[r.x] || !words_[r.y]) continue;
            const auto x = static_cast<int64_t>(*words_[r.x]), y = static_cast<int64_t>(*words_[r.y]);
            int64_t difference = 0;
            const bool far = __builtin_sub_overflow(x, y, &difference);
            if (far ? x > y : difference > r.c)
                return no(fmt::format("symbols {} and {} ({:#x}, {:#x}): the difference is more than {}", r.x, r.y,
                                      *words_[r.x], *words_[r.y], r.c));
        }
        return true;
    }

    bool stacks() {
        for (size_t i = 0; i < s_.frames.size(); ++i) {
            if (s_.frames[i].stack == nullptr) continue;
            const verifier::Stack& stack = *s_.frames[i].stack;
            const uint8_t* top = run_.stack_top(i);
            for (size_t c = 0; c < stack.size(); ++c) {
                if (stack[c].is_whole()) continue;  // a location
                const auto word = value(stack[c].val);
                for (unsigned b = 0; b < 8; ++b) {
                    const int64_t offset = -8 * static_cast<int64_t>(c + 1) + b;
                    const uint8_t byte = top[offset];
                    const uint8_t detail = stack[c].detail[b];
                    if (stack[c].kind[b] == Byte::Const && byte != detail)
                        return no(fmt::format("the stack byte at {} is {:#x}, not {:#x}", offset, byte, detail));
                    if (stack[c].kind[b] == Byte::Part && word && byte != (*word >> (8 * detail) & 0xff))
                        return no(fmt::format("the stack byte at {} is {:#x}, no part of {:#x}", offset, byte, *word));
                }
            }
        }
        return true;
    }

    bool resources() {
        for (size_t i = 0; i < s_.callbacks.size(); ++i) {
            const auto most = value(s_.callbacks[i].rounds);
            const uint64_t rounds = run_.callbacks()[i].rounds;
            if (most && rounds > *most)
                return no(fmt::format("a helper calls back {} times, at most {} are claimed", rounds, *most));
        }
        if (s_.lock.has_value() != run_.locked().has_value()) return no("whether a lock is held");
        if (s_.lock && words_[s_.lock->base] && *words_[s_.lock->base] + s_.lock->offset != *run_.locked())
            return no("another lock is held");
        for (const uint64_t held : run_.references()) {
            const auto same = [&](const verifier::Reference& r) { return words_[r.base] && *words_[r.base] == held; };
            const auto open = [&](const verifier::Reference& r) { return !words_[r.base]; };
            if (std::ranges::none_of(s_.references, same) && std::ranges::none_of(s_.references, open))
                return no("something is held that the state does not know of");
        }
        return true;
    }

    const Machine& run_;
    const Measures& measures_;
    const State& s_;
    Words& words_;
    static thread_local std::vector<Pair> pairs_;  // one state after the other: its memory is kept
    std::string why_;
};
thread_local std::vector<Pair> Solver::pairs_;

}  // namespace

std::optional<std::string> outside(const Machine& run, const Measures& measures, const State& state, Words* words) {
    static thread_local Words own;
    Words& all = words != nullptr ? *words : own;
    return Solver(run, measures, state, all).answer();
}

Containment::Containment(const verifier::Subject& subject, const verifier::Certificate& certificate,
                         const ExecutableProgram& program)
    : subject_(subject),
      certificate_(certificate),
      program_(program),
      rules_(subject),
      cuts_(subject.linked().code.size(), false),
      insns_(subject.linked().code.size()),
      executed_(subject.linked().code.size(), false) {
    for (const isa::InsnIndex cut : certificate.cuts) cuts_[cut] = true;
    const auto decoded = isa::decode_all(subject.linked().code);
    for (const auto& [at, insn] : *decoded) insns_[at] = insn;
}

/// The walks from one disjunct, in the order in which the certificate tells their ends.
Containment::Tree& Containment::tree(uint32_t index) {
    const auto found = trees_.find(index);
    if (found != trees_.end()) return found->second;
    Tree& nodes = trees_[index];
    const verifier::Disjunct& disjunct = certificate_.disjuncts[index];
    struct Open {
        State state;
        int parent;
        bool other;
    };
    std::vector<Open> open;
    open.push_back({disjunct.state, -1, false});
    if (disjunct.measured) {
        auto& ghosts = open[0].state.ghosts;
        std::erase_if(ghosts, [&](const verifier::Ghost& g) { return g.cut == disjunct.cut; });
        ghosts.push_back({disjunct.cut, disjunct.measure});
    }
    size_t next = 0;
    for (bool first = true; !open.empty() && nodes.size() < most_nodes;) {
        Open now = std::move(open.back());
        open.pop_back();
        for (bool going = true; going;) {
            Node node;
            node.state = now.state;
            const int self = static_cast<int>(nodes.size());
            if (now.parent >= 0) {
                Node& parent = nodes[static_cast<size_t>(now.parent)];
                (now.other ? parent.other : parent.on) = self;
            }
            if (!first && (now.state.at.phase != Phase::Normal || cuts_[now.state.at.insn])) {
                node.disjunct = next < disjunct.targets.size() ? disjunct.targets[next] : UINT32_MAX;
                ++next;
                nodes.push_back(std::move(node));
                break;
            }
            first = false;
            verifier::Outcome out = rules_.step(now.state, insns_[now.state.at.insn]);
            node.flow = out.flow;
            node.taken = out.taken;
            nodes.push_back(std::move(node));
            if (out.flow == Flow::Fork) {
                verifier::limit_symbols(*out.other);
                open.push_back({std::move(*out.other), self, true});
            } else if (out.flow != Flow::Next) {
                going = false;
            }
            verifier::limit_symbols(now.state);
            now.parent = self, now.other = false;
        }
    }
    return nodes;
}

namespace {

bool is_division(isa::Operation op) {
    return op == isa::Operation::Div || op == isa::Operation::Mod || op == isa::Operation::Sdiv ||
           op == isa::Operation::Smod;
}

}  // namespace

std::optional<std::string> Containment::facts(isa::InsnIndex at, const isa::Insn& insn, const Machine& run,
                                              bool taken) const {
    const Facts& all = program_.facts();
    if (at >= all.size()) return {};
    const Fact& fact = all[at];
    const bool conditional = insn.row().is_conditional_compare() && insn.offset != 0;
    if (!fact.reachable) return "fact: never executed";
    if (conditional && fact.branch_always && !taken) return "fact: always taken";
    if (conditional && fact.branch_never && taken) return "fact: never taken";
    if (fact.divisor_non_zero && run.divided_by_zero) return "fact: the divisor is not 0";
    if (fact.map != skep::no_map && run.called_map && *run.called_map != fact.map) return "fact: the map";
    if (fact.key_constant && run.called_key && *run.called_key != fact.key)
        return fmt::format("fact: the key is {}, and it is {}", fact.key, *run.called_key);
    if (fact.result_non_null && run.reg(0) == 0) return "fact: the result is not null";
    if (fact.result_constant && run.reg(insn.dst) != fact.key)
        return fmt::format("fact: the result is {}, and it is {}", fact.key, run.reg(insn.dst));
    const isa::Row& row = insn.row();
    if (fact.upper_half_zero && row.is_alu() && row.width_bits() == 64 && !is_division(row.operation) &&
        run.reg(insn.dst) > UINT32_MAX)
        return fmt::format("fact: the result is below 2^32, and it is {}", run.reg(insn.dst));
    return {};
}

std::optional<std::string> Containment::facts_before(isa::InsnIndex at, const isa::Insn& insn,
                                                     const Machine& run) const {
    const Facts& all = program_.facts();
    if (at >= all.size()) return {};
    const Fact& fact = all[at];
    for (unsigned r = 0; r < 10; ++r) {
        if ((fact.narrow >> r & 1) != 0 && run.reg(r) > UINT32_MAX)
            return fmt::format("fact: r{} is below 2^32, and it is {}", r, run.reg(r));
    }
    const isa::Row& row = insn.row();
    if (!fact.upper_half_zero || !row.is_alu()) return {};
    const uint64_t source = row.has_src() ? run.reg(insn.src) : static_cast<uint64_t>(int64_t{insn.imm});
    const bool division = is_division(row.operation) && row.width_bits() == 64;
    if (division && (source > UINT32_MAX || run.reg(insn.dst) > UINT32_MAX))
        return "fact: both operands are below 2^32";
    if (row.operation == isa::Operation::Mov && row.width_bits() == 32 && source > UINT32_MAX)
        return "fact: what is moved is below 2^32";
    return {};
}

RunResult Containment::run(uint64_t seed, uint64_t most) {
    RunResult result;
    Machine machine(subject_, seed);
    machine.at = {0, Phase::Normal};
    Measures measures;
    Words words;
    const auto miss = [&](std::string why) {
        result.miss = std::move(why);
        result.at = machine.at.insn;
        return result;
    };
    const auto so_far = [&] {
        result.instructions = machine.instructions, result.helper_calls = machine.helper_calls;
        result.frames = machine.most_frames;
        return result;
    };
    // One run in four begins where a timer's function does, if there is one.
    const auto& roots = certificate_.roots;
    const verifier::Root& root = roots[roots.size() > 1 && seed % 4 == 3 ? 1 + seed / 4 % (roots.size() - 1) : 0];
    if (root.map != verifier::no_map) machine.begin_timer(root.function, root.map);
    uint32_t disjunct = root.disjunct;
    std::map<isa::InsnIndex, uint64_t> trips;
    for (;;) {
        // At a cut: inside the disjunct.
        if (disjunct >= certificate_.disjuncts.size()) return miss("the walk's end has no disjunct");
        const verifier::Disjunct& d = certificate_.disjuncts[disjunct];
        ++compared_;
        if (const auto why = outside(machine, measures, d.state, &words))
            return miss(fmt::format("at a cut, outside disjunct {}: {}", disjunct, *why));
        if (d.measured) {
            uint64_t word = d.measure.k;
            bool known = true;
            for (const verifier::Term& t : {d.measure.a, d.measure.b}) {
                if (t.factor == 0) continue;
                known = known && words[t.sym].has_value();
                if (known) word += *words[t.sym] * static_cast<uint64_t>(int64_t{t.factor});
            }
            if (known) {
                measures[d.cut] = word;
            } else {
                measures.erase(d.cut);
            }
        }
        Tree& nodes = tree(disjunct);
        if (nodes.size() >= most_nodes) {
            return so_far();
        }
        for (size_t at = 0;;) {
            Node& node = nodes[at];
            if (at != 0) {
                ++compared_;
                if (const auto why = outside(machine, measures, node.state, nullptr))
                    return miss(fmt::format("on a walk from disjunct {}: {}", disjunct, *why));
            }
            if (node.disjunct) {
                disjunct = *node.disjunct;
                break;
            }
            if (machine.instructions >= most) {
                return so_far();
            }
            const verifier::Place here = machine.at;
            const isa::Insn& insn = insns_[here.insn];
            if (here.phase == Phase::Normal) {
                executed_[here.insn] = true;
                ++trips[here.insn];
            }
            const auto bad = [&](std::string why) {
                RunResult r = miss(std::move(why));
                r.at = here.insn;
                return r;
            };
            if (here.phase == Phase::Normal) {
                if (const auto why = facts_before(here.insn, insn, machine)) return bad(*why);
            }
            const Machine::Went went = machine.step(insn);
            if (went == Machine::Went::Wrong) return bad(machine.complaint());
            if (here.phase == Phase::Normal) {
                if (const auto why = facts(here.insn, insn, machine, went == Machine::Went::Other)) return bad(*why);
            }
            if (machine.read_unwritten && !program_.facts().empty() && program_.facts().front().stack_written)
                return bad("bytes of the stack are read that nobody wrote, and the facts say that none are");
            const CostBound& cost = program_.cost();
            if (machine.instructions > cost.instructions)
                return bad(fmt::format("more than {} instructions", cost.instructions));
            if (machine.helper_calls > cost.helper_calls)
                return bad(fmt::format("more than {} helper calls", cost.helper_calls));
            if (machine.most_frames * 512 > cost.stack_bytes) return bad("more frames than the cost says");
            if (went == Machine::Went::Ended) {
                for (const auto& [place, count] : trips) {
                    const uint64_t bound = place < program_.facts().size() ? program_.facts()[place].trip_count : 0;
                    if (bound != 0 && count > bound)
                        return bad(fmt::format("instruction {} is executed {} times, bound {}", place, count, bound));
                }
                result.ended = true;
                return so_far();
            }
            if (node.flow == Flow::Dead || node.flow == Flow::Exit || node.flow == Flow::Failed) {
                RunResult r = bad("the rules say that no run goes on here");
                r.unproved = node.flow == Flow::Failed;
                return r;
            }
            const bool other = went == Machine::Went::Other;
            if (node.flow == Flow::Next && insn.row().is_conditional_compare() && insn.offset != 0 &&
                other != node.taken)
                return bad(other ? "the jump is taken, the rules say never"
                                 : "the jump is not taken, the rules say always");
            const int next = other && node.flow == Flow::Fork ? node.other : node.on;
            if (next < 0) return bad("the rules have no state for this way on");
            at = static_cast<size_t>(next);
        }
    }
}

}  // namespace skep::testing
