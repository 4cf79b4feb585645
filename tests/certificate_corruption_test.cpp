// SPDX-License-Identifier: Apache-2.0
// What must show of the checker: certificates of random programs, corrupted in one place, hashes and all written anew,
// are refused. A corruption counts only if a run of the program shows that its certificate claims something wrong: some
// state that the run is in lies outside the disjunct that is claimed, or the run takes longer than claimed. Whether it
// does is told by a machine and a containment test of their own, which share nothing with the checker but the rules'
// tree of walks.
//
// SKEP_CORRUPTIONS=N sets how many are to count (default 1000).
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <random>

#include <fmt/format.h>

#include "isa/assemble.hpp"
#include "verifier/certificate/certificate.hpp"
#include "verifier/check/checker.hpp"
#include "verifier/rules/rules.hpp"
#include "verifier/state/numbers.hpp"
#include "verifier/verify.hpp"

namespace skep::verifier {
namespace {

class Random {
  public:
    explicit Random(uint64_t seed) : engine_(seed) {}
    uint64_t word() { return engine_(); }
    uint64_t below(uint64_t n) { return engine_() % n; }
    bool once_in(uint64_t n) { return below(n) == 0; }
    template <typename T>
    auto& pick(T& all) {
        return all[below(std::size(all))];
    }

  private:
    std::mt19937_64 engine_;
};

// --- Programs ------------------------------------------------------------------------------------------------------

/// Inputs are what the stack holds at [r10-64, r10). Registers r6 to r9 carry values through joins and loops.
std::string random_program(Random& random) {
    std::string text;
    int label = 0;
    const char* widths[] = {"u8", "u16", "u32", "u64"};
    const auto line = [&](const std::string& s) { text += s + "\n"; };
    const auto reg = [&] { return fmt::format("r{}", 6 + random.below(4)); };
    for (int r = 6; r < 10; ++r) line(fmt::format("r{} = *({} *)(r10 - {})", r, random.pick(widths), 8 * (r - 5)));
    const auto operation = [&] {
        const char* wide[] = {"+=", "-=", "*=", "&=", "|=", "^="};
        switch (random.below(5)) {
            case 0: line(fmt::format("{} {} {}", reg(), random.pick(wide), reg())); break;
            case 1: line(fmt::format("w{} {} {}", 6 + random.below(4), random.pick(wide), random.below(100))); break;
            case 2: line(fmt::format("{} {} {}", reg(), random.once_in(2) ? ">>=" : "<<=", random.below(8))); break;
            case 3: line(fmt::format("{} &= {}", reg(), (1u << random.below(10)) - 1)); break;
            default: line(fmt::format("{} = {}", reg(), random.once_in(2) ? reg() : std::to_string(random.below(50))));
        }
    };
    const auto stack = [&] {
        const auto at = 72 + 8 * random.below(3);
        if (random.once_in(2))
            line(fmt::format("*(u64 *)(r10 - {}) = {}", at, reg()));
        else
            line(fmt::format("*({} *)(r10 - {}) = {}", random.pick(widths), at, random.below(200)));
    };
    const auto diamond = [&] {
        const char* compares[] = {"==", "!=", ">", "<", "s>", "s<", ">=", "<="};
        const int other = label++, end = label++;
        line(fmt::format("if {} {} {} goto l{}", reg(), random.pick(compares),
                         random.once_in(3) ? reg() : std::to_string(random.below(60)), other));
        operation();
        if (random.once_in(2)) stack();
        line(fmt::format("goto l{}", end));
        line(fmt::format("l{}:", other));
        operation();
        line(fmt::format("l{}:", end));
    };
    for (uint64_t n = 1 + random.below(3); n > 0; --n) operation();
    for (uint64_t n = 1 + random.below(3); n > 0; --n) {
        diamond();
        if (random.once_in(2)) operation();
        if (random.once_in(3)) stack();
    }
    if (random.once_in(2)) {
        const int head = label++;
        line(fmt::format("r8 = {}", random.below(3)));
        line(fmt::format("l{}:", head));
        if (random.once_in(2)) line("r7 += r8");
        line(fmt::format("r8 += {}", 1 + random.below(2)));
        line(fmt::format("if r8 < {} goto l{}", 4 + random.below(60), head));
        if (random.once_in(2)) diamond();
    } else if (random.once_in(2)) {  // one loop in another
        line("r8 = 0");
        line("lo:");
        line("r9 = 0");
        line("li:");
        if (random.once_in(2)) stack();
        line("r9 += 1");
        line(fmt::format("if r9 < {} goto li", 2 + random.below(9)));
        line("r8 += 1");
        line(fmt::format("if r8 < {} goto lo", 2 + random.below(9)));
    }
    for (int at = 72; at <= 88; at += 8) {
        if (random.once_in(2)) line(fmt::format("r1 = *({} *)(r10 - {})\nr6 += r1", random.pick(widths), at));
    }
    line("r0 = r6");
    line("exit");
    return text;
}

std::optional<Subject> subject_of(const std::string& text) {
    const auto code = isa::assemble(text);
    if (!code) return {};
    auto program = std::make_shared<BoundProgram>();
    program->linked.name = "random";
    program->linked.code = *code;
    program->linked.subprograms = {{"random", 0, static_cast<isa::InsnIndex>(code->size())}};
    program->bindings.resize(code->size());
    Subject subject;
    subject.program = std::move(program);
    return subject;
}

// --- A machine -----------------------------------------------------------------------------------------------------

constexpr uint64_t stack_top = 0x7000'0000'1000, context_at = 0x6000'0000'0000;

uint64_t operate(isa::Operation op, bool is32, uint64_t x, uint64_t y) {
    using enum isa::Operation;
    if (is32) x &= 0xffffffff, y &= 0xffffffff;
    const unsigned shift = y & (is32 ? 31 : 63);
    uint64_t r = 0;
    switch (op) {
        case Add: r = x + y; break;
        case Sub: r = x - y; break;
        case Mul: r = x * y; break;
        case And: r = x & y; break;
        case Or: r = x | y; break;
        case Xor: r = x ^ y; break;
        case Lsh: r = x << shift; break;
        case Rsh: r = x >> shift; break;
        case Mov: r = is32 ? x : x; break;
        default: ADD_FAILURE() << "operation " << static_cast<int>(op); break;
    }
    return is32 ? r & 0xffffffff : r;
}
bool is_known(isa::Operation op) {
    using enum isa::Operation;
    return op == Add || op == Sub || op == Mul || op == And || op == Or || op == Xor || op == Lsh || op == Rsh ||
           op == Mov;
}

bool compare(isa::Operation op, bool is32, uint64_t x, uint64_t y) {
    using enum isa::Operation;
    auto sx = static_cast<int64_t>(x), sy = static_cast<int64_t>(y);
    if (is32) {
        x &= 0xffffffff, y &= 0xffffffff;
        sx = static_cast<int32_t>(x), sy = static_cast<int32_t>(y);
    }
    switch (op) {
        case JumpEq: return x == y;
        case JumpNe: return x != y;
        case JumpGt: return x > y;
        case JumpGe: return x >= y;
        case JumpLt: return x < y;
        case JumpLe: return x <= y;
        case JumpSgt: return sx > sy;
        case JumpSge: return sx >= sy;
        case JumpSlt: return sx < sy;
        case JumpSle: return sx <= sy;
        default: ADD_FAILURE() << "comparison"; return false;
    }
}

struct Machine {
    std::array<uint64_t, 11> r{};
    std::array<uint8_t, 512> memory{};  ///< [stack_top - 512, stack_top)
    isa::InsnIndex at = 0;
    uint64_t executed = 0;
    bool done = false;

    explicit Machine(Random& random) {
        const uint64_t style = random.below(3);
        for (uint8_t& byte : memory) {
            byte = static_cast<uint8_t>(style == 0 ? random.word() : style == 1 ? random.below(64) : 0xff);
        }
        for (uint64_t& word : r) word = random.word();
        if (style != 0) {
            for (size_t i = 0; i < 8; ++i) std::memset(&memory[512 - 8 * (i + 1) + 1], style == 1 ? 0 : 0xff, 7);
        }
        r[1] = context_at;
        r[10] = stack_top;
    }
    uint8_t* address(uint64_t where) { return &memory[where - (stack_top - 512)]; }

    void step(const isa::Insn& insn) {
        const isa::Row& row = insn.row();
        ++executed;
        const bool is32 = row.width_bits() == 32;
        const uint64_t y = row.has_src() ? r[insn.src] : static_cast<uint64_t>(int64_t{insn.imm});
        if (row.is_alu()) {
            const uint64_t x = row.operation == isa::Operation::Mov ? y : r[insn.dst];
            r[insn.dst] = operate(row.operation, is32, x, y);
        } else if (row.operation == isa::Operation::Load) {
            uint64_t word = 0;
            std::memcpy(&word, address(r[insn.src] + static_cast<uint64_t>(int64_t{insn.offset})), row.access_bytes());
            r[insn.dst] = word;
        } else if (row.operation == isa::Operation::Store) {
            std::memcpy(address(r[insn.dst] + static_cast<uint64_t>(int64_t{insn.offset})), &y, row.access_bytes());
        } else if (row.is_exit()) {
            done = true;
        } else {
            const bool taken = !row.is_conditional() || compare(row.operation, is32, r[insn.dst], y);
            at = taken ? static_cast<isa::InsnIndex>(isa::target_of(insn, at)) : at + 1;
            return;
        }
        at += insn.slots();
    }
};

// --- Is a machine inside a state? ----------------------------------------------------------------------------------

class Containment {
  public:
    Containment(const Machine& m, const State& s, const std::map<uint32_t, uint64_t>& ghosts) : m_(m), s_(s) {
        words_.resize(s.symbols.size());
        if (s.frames.empty()) return;
        location(Val::symbol(s.frames[0].base), stack_top);
        for (unsigned i = 0; i < 10; ++i) {
            if ((s.set >> i & 1) != 0) location(s.regs[i], m.r[i]);
        }
        if (s.frames[0].stack != nullptr) {
            for (size_t i = 0; i < s.frames[0].stack->size() && i < 64; ++i) cell((*s.frames[0].stack)[i], i);
        }
        for (const Ghost& ghost : s.ghosts) {
            const auto known = ghosts.find(ghost.cut);
            if (known == ghosts.end())
                wrong_ = true;
            else
                location(ghost.measure, known->second);
        }
    }

    /// False only if no words for the symbols put the machine inside.
    bool possible() {
        if (wrong_ || s_.frames.size() != 1 || s_.at.insn != m_.at || s_.at.phase != Phase::Normal) return false;
        if (!s_.references.empty() || s_.lock || !s_.callbacks.empty() || s_.packet != no_sym) return false;
        for (bool progress = true; progress;) {
            progress = false;
            for (const auto& [form, word] : locations_) progress = solve(form, word) || progress;
        }
        for (const auto& [form, word] : locations_) {
            const auto value = evaluate(form);
            if (value && *value != word) return false;
        }
        for (const auto& [form, shift, byte] : bytes_) {
            const auto value = evaluate(form);
            if (value && static_cast<uint8_t>(*value >> shift) != byte) return false;
        }
        for (size_t i = 0; i < words_.size(); ++i) {
            if (!words_[i]) continue;
            const Symbol& symbol = s_.symbols[i];
            if (!symbol.num.contains(*words_[i])) return false;
            if (symbol.is_base() && *words_[i] != (symbol.region.kind == RegionKind::Stack ? stack_top : context_at)) {
                return false;
            }
            if (symbol.is_base() && symbol.region.kind != RegionKind::Stack &&
                symbol.region.kind != RegionKind::Context) {
                return false;
            }
            const auto x = evaluate(symbol.def.x), y = evaluate(symbol.def.y);
            if (symbol.def.any() && is_known(symbol.def.operation) && x && y &&
                operate(symbol.def.operation, symbol.def.is32, *x, *y) != *words_[i]) {
                return false;
            }
        }
        for (const Relation& r : s_.relations) {
            if (!words_[r.x] || !words_[r.y]) continue;
            __extension__ using Wide = __int128;
            if (Wide{static_cast<int64_t>(*words_[r.x])} - static_cast<int64_t>(*words_[r.y]) > r.c) return false;
        }
        return true;
    }
    std::optional<uint64_t> evaluate(const Val& v) const {
        uint64_t sum = v.k;
        for (const Term& t : {v.a, v.b}) {
            if (t.factor == 0) continue;
            if (!words_[t.sym]) return {};
            sum += *words_[t.sym] * static_cast<uint64_t>(int64_t{t.factor});
        }
        return sum;
    }

  private:
    void location(const Val& form, uint64_t word) { locations_.emplace_back(form, word); }
    void cell(const Cell& cell, size_t i) {
        const uint8_t* memory = &m_.memory[512 - 8 * (i + 1)];
        if (cell.is_whole()) {
            uint64_t word = 0;
            std::memcpy(&word, memory, 8);
            return location(cell.val, word);
        }
        for (unsigned b = 0; b < 8; ++b) {
            if (cell.kind[b] == Byte::Const && cell.detail[b] != memory[b]) wrong_ = true;
            if (cell.kind[b] == Byte::Part) bytes_.emplace_back(cell.val, 8u * cell.detail[b], memory[b]);
        }
    }
    bool solve(const Val& form, uint64_t word) {
        const Term* open = nullptr;
        uint64_t rest = word - form.k;
        for (const Term* t : {&form.a, &form.b}) {
            if (t->factor == 0) continue;
            if (words_[t->sym])
                rest -= *words_[t->sym] * static_cast<uint64_t>(int64_t{t->factor});
            else if (open != nullptr)
                return false;
            else
                open = t;
        }
        if (open == nullptr || (open->factor != 1 && open->factor != -1)) return false;
        words_[open->sym] = open->factor == 1 ? rest : uint64_t{0} - rest;
        return true;
    }

    const Machine& m_;
    const State& s_;
    std::vector<std::optional<uint64_t>> words_;
    std::vector<std::pair<Val, uint64_t>> locations_;
    std::vector<std::tuple<Val, unsigned, uint8_t>> bytes_;
    bool wrong_ = false;
};

// --- Does a run show that a certificate is wrong? ------------------------------------------------------------------

using Path = std::vector<isa::InsnIndex>;

/// The walks from a disjunct: their instructions, and the number of the leaf. Nothing where the rules refuse.
std::optional<std::map<Path, size_t>> walks_from(const Subject& subject, const Certificate& c, const Disjunct& d) {
    const Rules rules(subject);
    std::map<Path, size_t> leaves;
    struct Walk {
        State state;
        Path path;
    };
    std::vector<Walk> open{{d.state, {}}};
    size_t leaf = 0, steps = 0;
    while (!open.empty()) {
        Walk walk = std::move(open.back());
        open.pop_back();
        for (;;) {
            const isa::InsnIndex at = walk.state.at.insn;
            if (!walk.path.empty() && std::ranges::binary_search(c.cuts, at)) {
                leaves.emplace(walk.path, leaf++);
                break;
            }
            const auto insn = isa::decode(subject.linked().code, at);
            if (!insn || ++steps > 3000) return {};
            walk.path.push_back(at);
            Outcome out = rules.step(walk.state, *insn);
            if (out.flow == Flow::Failed) return {};
            if (out.flow == Flow::Fork) open.push_back({std::move(*out.other), walk.path});
            if (out.flow == Flow::Dead) break;
            if (out.flow == Flow::Exit) {
                leaves.emplace(walk.path, SIZE_MAX);
                break;
            }
        }
    }
    return leaves;
}

/// Whether the run of one input is outside what the certificate claims.
bool run_refutes(const Subject& subject, const Certificate& c, Machine m,
                 std::map<uint32_t, std::optional<std::map<Path, size_t>>>& trees) {
    std::map<uint32_t, uint64_t> ghosts;
    uint32_t d = c.roots[0].disjunct;
    while (true) {
        if (d >= c.disjuncts.size()) return true;
        const Disjunct& disjunct = c.disjuncts[d];
        Containment inside(m, disjunct.state, ghosts);
        if (!inside.possible()) return true;
        if (disjunct.measured) {
            const auto measure = inside.evaluate(disjunct.measure);
            if (!measure) return false;
            ghosts[disjunct.cut] = *measure;
        }
        if (!trees.contains(d)) trees[d] = walks_from(subject, c, disjunct);
        if (!trees[d]) return false;
        Path path;
        do {
            path.push_back(m.at);
            m.step(*isa::decode(subject.linked().code, m.at));
        } while (!m.done && !std::ranges::binary_search(c.cuts, m.at) && path.size() < 3000);
        if (m.executed > c.cost.instructions) return true;
        const auto leaf = trees[d]->find(path);
        if (leaf == trees[d]->end()) return true;  // the tree holds this way for dead
        if (m.done) return false;
        if (leaf->second >= disjunct.targets.size()) return true;
        d = disjunct.targets[leaf->second];
    }
}

// --- Corruptions ---------------------------------------------------------------------------------------------------

struct Kind {
    const char* name;
    bool (*apply)(Certificate&, Random&);  ///< false: nothing to corrupt
};

Disjunct& some(Certificate& c, Random& random) { return random.pick(c.disjuncts); }
Symbol* some_number(State& s, Random& random) {
    for (int i = 0; i < 8 && !s.symbols.empty(); ++i) {
        Symbol& symbol = random.pick(s.symbols);
        if (!symbol.is_base()) return &symbol;
    }
    return nullptr;
}
Val* some_register(State& s, Random& random) {
    for (int i = 0; i < 20; ++i) {
        const uint64_t r = random.below(10);
        if ((s.set >> r & 1) != 0) return &s.regs[r];
    }
    return nullptr;
}
Cell* some_cell(State& s, Random& random) {
    Frame& frame = s.frames[0];
    if (frame.stack == nullptr || frame.stack->empty()) return nullptr;
    frame.stack = std::make_shared<Stack>(*frame.stack);
    return &random.pick(frame.own_stack());
}

const Kind kinds[] = {
    {"upper bound tightened",
     [](Certificate& c, Random& r) {
         Symbol* n = some_number(some(c, r).state, r);
         if (n == nullptr || n->num.umin() == n->num.umax()) return false;
         const uint64_t span = n->num.umax() - n->num.umin();
         n->num = unsigned_range(n->num.umin(), n->num.umin() + r.below(span));
         return true;
     }},
    {"upper bound tightened by one",
     [](Certificate& c, Random& r) {
         Symbol* n = some_number(some(c, r).state, r);
         if (n == nullptr || n->num.umin() == n->num.umax()) return false;
         n->num.wide = {n->num.wide.base, n->num.wide.length - 1};
         return true;
     }},
    {"lower bound tightened",
     [](Certificate& c, Random& r) {
         Symbol* n = some_number(some(c, r).state, r);
         if (n == nullptr || n->num.umin() == n->num.umax()) return false;
         n->num = unsigned_range(n->num.umin() + 1 + r.below(n->num.umax() - n->num.umin()), n->num.umax());
         return true;
     }},
    {"signed bound tightened",
     [](Certificate& c, Random& r) {
         Symbol* n = some_number(some(c, r).state, r);
         if (n == nullptr) return false;
         n->num = signed_range(-static_cast<int64_t>(r.below(5)), static_cast<int64_t>(r.below(50)));
         return true;
     }},
    {"bit told as 0",
     [](Certificate& c, Random& r) {
         Symbol* n = some_number(some(c, r).state, r);
         if (n == nullptr || n->num.bits.mask == 0) return false;
         n->num.bits.mask &= n->num.bits.mask - 1;
         return true;
     }},
    {"bit told as 1",
     [](Certificate& c, Random& r) {
         Symbol* n = some_number(some(c, r).state, r);
         if (n == nullptr || n->num.bits.mask == 0) return false;
         const uint64_t low = n->num.bits.mask & (~n->num.bits.mask + 1);
         n->num.bits.mask ^= low;
         n->num.bits.value |= low;
         return true;
     }},
    {"low half tightened",
     [](Certificate& c, Random& r) {
         Symbol* n = some_number(some(c, r).state, r);
         if (n == nullptr || n->num.narrow.length == 0) return false;
         n->num.narrow.length = static_cast<uint32_t>(r.below(n->num.narrow.length));
         return true;
     }},
    {"number told as a constant",
     [](Certificate& c, Random& r) {
         Symbol* n = some_number(some(c, r).state, r);
         if (n == nullptr) return false;
         n->num = Num::constant(r.below(8));
         return true;
     }},
    {"register moved",
     [](Certificate& c, Random& r) {
         Val* v = some_register(some(c, r).state, r);
         if (v == nullptr) return false;
         v->k += r.once_in(2) ? 1 : uint64_t{0} - 8;
         return true;
     }},
    {"register told as a constant",
     [](Certificate& c, Random& r) {
         Val* v = some_register(some(c, r).state, r);
         if (v == nullptr) return false;
         *v = Val::constant(r.below(100));
         return true;
     }},
    {"symbol swapped in a register",
     [](Certificate& c, Random& r) {
         State& s = some(c, r).state;
         Val* v = some_register(s, r);
         if (v == nullptr || s.symbols.empty()) return false;
         *v = Val::symbol(static_cast<Sym>(r.below(s.symbols.size())));
         return true;
     }},
    {"factor changed",
     [](Certificate& c, Random& r) {
         Val* v = some_register(some(c, r).state, r);
         if (v == nullptr || v->a.factor == 0) return false;
         v->a.factor = r.once_in(2) ? -v->a.factor : 3;
         return true;
     }},
    {"unset register told",
     [](Certificate& c, Random& r) {
         State& s = some(c, r).state;
         const unsigned reg = static_cast<unsigned>(r.below(10));
         if ((s.set >> reg & 1) != 0) return false;
         s.set_reg(reg, Val::constant(r.below(4)));
         return true;
     }},
    {"stack constant changed",
     [](Certificate& c, Random& r) {
         Cell* cell = some_cell(some(c, r).state, r);
         const auto b = r.below(8);
         if (cell == nullptr || cell->kind[b] != Byte::Const) return false;
         cell->detail[b] ^= 1;
         return true;
     }},
    {"stack byte told as a constant",
     [](Certificate& c, Random& r) {
         Cell* cell = some_cell(some(c, r).state, r);
         const auto b = r.below(8);
         if (cell == nullptr || cell->kind[b] == Byte::Const) return false;
         cell->kind[b] = Byte::Const;
         cell->detail[b] = static_cast<uint8_t>(r.below(3));
         return true;
     }},
    {"spilled value swapped",
     [](Certificate& c, Random& r) {
         State& s = some(c, r).state;
         Cell* cell = some_cell(s, r);
         if (cell == nullptr || s.symbols.empty()) return false;
         cell->set_whole(Val::symbol(static_cast<Sym>(r.below(s.symbols.size()))));
         return true;
     }},
    {"relation added or tightened",
     [](Certificate& c, Random& r) {
         State& s = some(c, r).state;
         if (s.symbols.size() < 2) return false;
         if (!s.relations.empty() && r.once_in(2)) {
             r.pick(s.relations).c -= 1 + static_cast<int64_t>(r.below(20));
             return true;
         }
         const auto x = static_cast<Sym>(r.below(s.symbols.size())), y = static_cast<Sym>(r.below(s.symbols.size()));
         if (x == y || s.relations.size() >= max_relations) return false;
         s.relations.push_back({x, y, -static_cast<int64_t>(r.below(3))});
         return true;
     }},
    {"definition added",
     [](Certificate& c, Random& r) {
         State& s = some(c, r).state;
         Symbol* n = some_number(s, r);
         if (n == nullptr) return false;
         const isa::Operation operations[] = {isa::Operation::And, isa::Operation::Add, isa::Operation::Rsh};
         n->def = {operations[r.below(3)], r.once_in(2), Val::symbol(static_cast<Sym>(r.below(s.symbols.size()))),
                   Val::constant(r.below(16))};
         return true;
     }},
    {"number told as memory",
     [](Certificate& c, Random& r) {
         Symbol* n = some_number(some(c, r).state, r);
         if (n == nullptr) return false;
         n->region.kind = r.once_in(2) ? RegionKind::Stack : RegionKind::Memory;
         n->region.size = 64;
         return true;
     }},
    {"kind of memory swapped",
     [](Certificate& c, Random& r) {
         State& s = some(c, r).state;
         Symbol& symbol = r.pick(s.symbols);
         if (!symbol.is_base()) return false;
         symbol.region.kind = symbol.region.kind == RegionKind::Stack ? RegionKind::Context : RegionKind::Stack;
         return true;
     }},
    {"edge retargeted",
     [](Certificate& c, Random& r) {
         Disjunct& d = some(c, r);
         if (d.targets.empty()) return false;
         r.pick(d.targets) = static_cast<uint32_t>(r.below(c.disjuncts.size()));
         return true;
     }},
    {"edges swapped",
     [](Certificate& c, Random& r) {
         Disjunct& d = some(c, r);
         if (d.targets.size() < 2) return false;
         std::swap(d.targets[0], d.targets[1 + r.below(d.targets.size() - 1)]);
         return true;
     }},
    {"edge dropped",
     [](Certificate& c, Random& r) {
         Disjunct& d = some(c, r);
         if (d.targets.empty()) return false;
         d.targets.pop_back();
         return true;
     }},
    {"disjunct dropped",
     [](Certificate& c, Random& r) {
         if (c.disjuncts.size() < 2) return false;
         const auto gone = static_cast<uint32_t>(r.below(c.disjuncts.size()));
         const auto into = static_cast<uint32_t>(r.below(c.disjuncts.size() - 1));
         c.disjuncts.erase(c.disjuncts.begin() + gone);
         const auto moved = [&](uint32_t& t) { t = t == gone ? into : t > gone ? t - 1 : t; };
         for (Disjunct& d : c.disjuncts) std::ranges::for_each(d.targets, moved);
         moved(c.roots[0].disjunct);
         return true;
     }},
    {"root retargeted",
     [](Certificate& c, Random& r) {
         c.roots[0].disjunct = static_cast<uint32_t>(r.below(c.disjuncts.size()));
         return true;
     }},
    {"measure changed",
     [](Certificate& c, Random& r) {
         Disjunct& d = some(c, r);
         if (!d.measured) return false;
         d.measure.k += 1 + r.below(9);
         return true;
     }},
    {"measure of a ghost changed",
     [](Certificate& c, Random& r) {
         State& s = some(c, r).state;
         if (s.ghosts.empty()) return false;
         r.pick(s.ghosts).measure.k += 1;
         return true;
     }},
    {"ghost invented",
     [](Certificate& c, Random& r) {
         some(c, r).state.ghosts.push_back({static_cast<uint32_t>(r.below(6)), Val::constant(r.below(9))});
         return true;
     }},
    {"reference invented",
     [](Certificate& c, Random& r) {
         State& s = some(c, r).state;
         s.references.push_back({s.frames[0].base});
         return true;
     }},
    {"cost lowered",
     [](Certificate& c, Random& r) {
         c.cost.instructions -= std::min<uint64_t>(c.cost.instructions, 1 + r.below(c.cost.instructions));
         return true;
     }},
    {"place moved",
     [](Certificate& c, Random& r) {
         some(c, r).state.at.insn = c.cuts.empty() ? 0 : r.pick(c.cuts);
         return true;
     }},
};

TEST(CertificateCorruption, IsRefusedWheneverARunRefutesIt) {
    const char* wanted_text = std::getenv("SKEP_CORRUPTIONS");
    const uint64_t wanted = wanted_text != nullptr ? std::strtoull(wanted_text, nullptr, 10) : 1000;
    std::array<uint64_t, std::size(kinds)> refuted{}, tried{};
    uint64_t total = 0, programs = 0;
    for (uint64_t seed = 1; total < wanted && seed < 100 * wanted; ++seed) {
        Random random(seed);
        const auto subject = subject_of(random_program(random));
        ASSERT_TRUE(subject);
        const Report report = verify(*subject);
        if (report.verdict != Verdict::Accepted) continue;
        const auto good = decode_certificate(*subject, report.certificate);
        ASSERT_TRUE(good) << good.error().to_string();
        ASSERT_TRUE(check_certificate(*subject, report.certificate));
        ++programs;
        std::vector<Machine> inputs;
        for (int i = 0; i < 24; ++i) inputs.emplace_back(random);
        std::map<uint32_t, std::optional<std::map<Path, size_t>>> trees;
        for (const Machine& input : inputs) {
            ASSERT_FALSE(run_refutes(*subject, *good, input, trees)) << "seed " << seed << ": the certificate is wrong";
        }
        for (size_t k = 0; k < std::size(kinds); ++k) {
            Certificate bad = *good;
            if (!kinds[k].apply(bad, random)) continue;
            const auto bytes = encode_certificate(*subject, bad);
            if (bytes == report.certificate) continue;
            ++tried[k];
            std::map<uint32_t, std::optional<std::map<Path, size_t>>> bad_trees;
            bool wrong = false;
            for (size_t i = 0; i < inputs.size() && !wrong; ++i) {
                wrong = run_refutes(*subject, bad, inputs[i], bad_trees);
            }
            if (!wrong) continue;
            ++refuted[k];
            ++total;
            EXPECT_FALSE(check_certificate(*subject, bytes)) << "seed " << seed << ": " << kinds[k].name;
            EXPECT_FALSE(Checker(*subject).check(bad)) << "seed " << seed << ": " << kinds[k].name;
        }
    }
    fmt::print("{} corruptions that a run refutes, of {} programs, all refused\n", total, programs);
    unsigned seen = 0;
    for (size_t k = 0; k < std::size(kinds); ++k) {
        fmt::print("{:6} of {:6} {}\n", refuted[k], tried[k], kinds[k].name);
        seen += refuted[k] != 0;
    }
    EXPECT_GE(total, wanted);
    EXPECT_GE(seen, 20u) << "kinds of corruption that were refuted by a run at least once";
}

}  // namespace
}  // namespace skep::verifier
