// SPDX-License-Identifier: Apache-2.0
#include "verifier/check/inclusion.hpp"

#include <gtest/gtest.h>

#include "verifier/state/numbers.hpp"

namespace skep::verifier {
namespace {

using check::Inclusion;

/// A state of one frame with the context in r1.
State plain() {
    State s;
    Region stack;
    stack.kind = RegionKind::Stack;
    Frame frame;
    frame.base = new_region(s, stack, no_insn);
    s.frames.push_back(frame);
    Region context;
    context.kind = RegionKind::Context;
    s.set_reg(1, Val::symbol(new_region(s, context, no_insn)));
    return s;
}
Sym number(State& s, unsigned reg, uint64_t low, uint64_t high) {
    const Sym sym = new_symbol(s, unsigned_range(low, high), no_insn);
    s.set_reg(reg, Val::symbol(sym));
    return sym;
}
Sym memory(State& s, unsigned reg, bool nullable, bool owned = false) {
    Region region;
    region.kind = RegionKind::Memory;
    region.size = 16;
    region.nullable = nullable;
    region.owned = owned;
    const Sym sym = new_region(s, region, no_insn);
    s.set_reg(reg, Val::symbol(sym));
    return sym;
}

/// "" if S is inside T, else why not.
std::string inside(State s, const State& t, const Options& options = {}) {
    Inclusion inclusion(options);
    return inclusion.holds(s, t) ? "" : inclusion.why();
}

TEST(Inclusion, OfAStateInItself) {
    State s = plain();
    number(s, 2, 3, 9);
    s.frames[0].own_stack().emplace_back().set_whole(s.regs[2]);
    EXPECT_EQ(inside(s, s), "");
}

TEST(Inclusion, WantsEveryNumberInItsBounds) {
    State s = plain(), t = plain();
    number(s, 2, 3, 9);
    number(t, 2, 3, 9);
    EXPECT_EQ(inside(s, t), "");
    t[t.regs[2].a.sym].num = unsigned_range(3, 8);
    EXPECT_EQ(inside(s, t), "a number is outside its bounds");
    t[t.regs[2].a.sym].num = unsigned_range(4, 9);
    EXPECT_EQ(inside(s, t), "a number is outside its bounds");
    t[t.regs[2].a.sym].num = unsigned_range(2, 10);
    EXPECT_EQ(inside(s, t), "");
    s.set_reg(2, Val::constant(10));
    EXPECT_EQ(inside(s, t), "");
    s.set_reg(2, Val::constant(11));
    EXPECT_EQ(inside(s, t), "a number is outside its bounds");
}

TEST(Inclusion, LetsUntoldRegistersBeAnything) {
    State s = plain(), t = plain();
    number(s, 2, 3, 9);
    EXPECT_EQ(inside(s, t), "");
    EXPECT_EQ(inside(t, s), "a register has no value");
}

TEST(Inclusion, KeepsValuesThatAreTheSame) {
    State s = plain(), t = plain();
    const Sym in_s = number(s, 2, 0, 9), in_t = number(t, 2, 0, 9);
    s.set_reg(3, plus(Val::symbol(in_s), 4));
    t.set_reg(3, plus(Val::symbol(in_t), 4));
    EXPECT_EQ(inside(s, t), "");
    s.set_reg(3, plus(Val::symbol(in_s), 5));
    EXPECT_EQ(inside(s, t), "a value is another one");
    number(s, 3, 4, 4);
    s.set_reg(2, Val::constant(0));
    EXPECT_EQ(inside(s, t), "") << "a number with one value is that value";
}

TEST(Inclusion, OfNullInAPointerThatMayBeNull) {
    State s = plain(), t = plain();
    s.set_reg(2, Val::constant(0));
    const Sym base = memory(t, 2, true);
    EXPECT_EQ(inside(s, t), "");
    t.references.push_back({base});
    EXPECT_EQ(inside(s, t), "other references are held");
    t.references.clear();
    t[base].region.nullable = false;
    EXPECT_EQ(inside(s, t), "null where an address is told");
    t[base].region.nullable = true;
    t[base].region.owned = true;
    EXPECT_EQ(inside(s, t), "null where an address is told");
    s.set_reg(2, Val::constant(1));
    EXPECT_EQ(inside(s, t), "a number where an address is told");
}

TEST(Inclusion, OfRegionsThatAreAtLeastAsGood) {
    struct Row {
        const char* name;
        void (*change)(Region& s, Region& t);
        bool fits;
    };
    const Row rows[] = {
        {"not null in maybe null", [](Region&, Region& t) { t.nullable = true; }, true},
        {"maybe null in not null", [](Region& s, Region&) { s.nullable = true; }, false},
        {"alive in dead", [](Region&, Region& t) { t.alive = false; }, true},
        {"dead in alive", [](Region& s, Region&) { s.alive = false; }, false},
        {"writable in read-only", [](Region&, Region& t) { t.writable = false; }, true},
        {"read-only in writable", [](Region& s, Region&) { s.writable = false; }, false},
        {"owned in not owned", [](Region& s, Region&) { s.owned = true; }, false},
        {"not owned in owned", [](Region&, Region& t) { t.owned = true; }, false},
        {"smaller", [](Region&, Region& t) { t.size = 17; }, false},
        {"of another map", [](Region&, Region& t) { t.map = 1; }, false},
        {"of another kind", [](Region&, Region& t) { t.kind = RegionKind::MapValue; }, false},
        {"of another type", [](Region&, Region& t) { t.type = 1; }, false},
    };
    for (const Row& row : rows) {
        State s = plain(), t = plain();
        const Sym a = memory(s, 2, false), b = memory(t, 2, false);
        row.change(s[a].region, t[b].region);
        t[b].num = Num::unknown();
        EXPECT_EQ(inside(s, t).empty(), row.fits) << row.name;
    }
}

TEST(Inclusion, LosesNoReference) {
    State s = plain(), t = plain();
    const Sym s1 = memory(s, 2, false, true), s2 = memory(s, 3, false, true);
    const Sym t1 = memory(t, 2, false, true), t2 = memory(t, 3, false, true);
    s.references = {{s1}, {s2}};
    t.references = {{t2}, {t1}};
    EXPECT_EQ(inside(s, t), "");
    t.references = {{t1}, {t1}};
    EXPECT_EQ(inside(s, t), "a reference is not held");
    t.references = {{t1}};
    EXPECT_EQ(inside(s, t), "other references are held");
    t.references = {{t1}, {t2}};
    s.set_reg(3, s.regs[2]);
    EXPECT_EQ(inside(s, t), "two addresses are one");
}

TEST(Inclusion, HoldsNumbersAndAddressesApart) {
    State s = plain(), t = plain();
    memory(s, 2, false);
    t.set_reg(2, Val::symbol(new_symbol(t, Num::unknown(), no_insn)));
    EXPECT_EQ(inside(s, t), "an address where a number is told");
    EXPECT_EQ(inside(t, s), "another kind of memory");
}

TEST(Inclusion, OfPointersWithAnOffset) {
    State s = plain(), t = plain();
    const Sym in_s = memory(s, 2, false), in_t = memory(t, 2, false);
    const Sym x = number(s, 3, 0, 4);
    s.set_reg(2, *add(Val::symbol(in_s), Val::symbol(x)));
    s.unset_reg(3);
    const Sym y = new_symbol(t, unsigned_range(0, 8), no_insn);
    t.set_reg(2, *add(Val::symbol(in_t), Val::symbol(y)));
    EXPECT_EQ(inside(s, t), "");
    t[y].num = unsigned_range(0, 3);
    EXPECT_EQ(inside(s, t), "a number is outside its bounds");
}

TEST(Inclusion, WantsRelationsAndDefinitionsToHold) {
    State s = plain(), t = plain();
    const Sym a = number(s, 2, 0, 100), b = number(s, 3, 0, 100);
    const Sym x = number(t, 2, 0, 100), y = number(t, 3, 0, 100);
    t.relations.push_back({x, y, -1});
    EXPECT_EQ(inside(s, t), "a relation between values is not known");
    s.relations.push_back({a, b, -1});
    EXPECT_EQ(inside(s, t), "");
    s.relations[0].c = 0;
    EXPECT_EQ(inside(s, t), "a relation between values is not known");
    t.relations.clear();
    t[y].def = {isa::Operation::And, false, Val::symbol(x), Val::constant(7)};
    EXPECT_EQ(inside(s, t), "a value is defined otherwise");
    s[b].def = {isa::Operation::And, false, Val::symbol(a), Val::constant(7)};
    EXPECT_EQ(inside(s, t), "");
    s.set_reg(2, Val::constant(13));
    s.set_reg(3, Val::constant(5));
    EXPECT_EQ(inside(s, t), "") << "13 & 7 is 5";
    s.set_reg(3, Val::constant(4));
    EXPECT_EQ(inside(s, t), "a value is defined otherwise");
}

TEST(Inclusion, OfStackBytes) {
    const auto with = [](auto fill) {
        State s = plain();
        fill(s, s.frames[0].own_stack().emplace_back());
        return s;
    };
    const State unset = with([](State&, Cell&) {});
    const State misc = with([](State&, Cell& c) { c.kind.fill(Byte::Misc); });
    const State sevens = with([](State&, Cell& c) { c.kind.fill(Byte::Const), c.detail.fill(7); });
    const State eights = with([](State&, Cell& c) { c.kind.fill(Byte::Const), c.detail.fill(8); });
    const State word = with([](State& s, Cell& c) {
        c.set_whole(Val::symbol(new_symbol(s, unsigned_range(0, 0x0fff'ffff'ffff'ffff), no_insn)));
    });
    const State address = with([](State& s, Cell& c) { c.set_whole(s.regs[1]); });
    Options strict;
    strict.allow_unset_stack = strict.allow_pointer_leaks = false;
    EXPECT_EQ(inside(sevens, misc), "");
    EXPECT_EQ(inside(sevens, unset, strict), "");
    EXPECT_EQ(inside(sevens, word), "") << "seven bytes of 7 make one word";
    EXPECT_EQ(inside(word, misc), "");
    EXPECT_EQ(inside(address, address), "");
    EXPECT_EQ(inside(address, unset, strict), "");
    EXPECT_EQ(inside(sevens, eights), "a stack byte has another value");
    EXPECT_EQ(inside(misc, sevens), "a stack byte has another value");
    EXPECT_EQ(inside(misc, word), "a number is outside its bounds");
    EXPECT_EQ(inside(unset, misc, strict), "a stack byte is not written");
    EXPECT_EQ(inside(address, misc), "");
    EXPECT_EQ(inside(address, misc, strict), "a stack byte is part of an address");
    EXPECT_EQ(inside(address, word), "an address where a number is told");
    Options readable = strict;
    readable.allow_unset_stack = true;
    EXPECT_EQ(inside(address, unset, readable), "an address in a stack byte that is told as unset");
}

TEST(Inclusion, OfPacketsLocksGhostsAndFrames) {
    const auto changed = [](auto change) {
        State s = plain();
        Region packet;
        packet.kind = RegionKind::Packet;
        packet.length = number(s, 3, 0, 1500);
        s.packet = new_region(s, packet, no_insn);
        s.set_reg(2, Val::symbol(s.packet));
        s.ghosts.push_back({4, Val::constant(3)});
        s.lock = SpinLock{memory(s, 4, false), 8};
        change(s);
        return s;
    };
    const State good = changed([](State&) {});
    EXPECT_EQ(inside(good, good), "");
    EXPECT_EQ(inside(good, changed([](State& s) { s.packet = no_sym; })), "a second packet");
    EXPECT_EQ(inside(changed([](State& s) { s.packet = no_sym; }), good), "the packet is not known");
    EXPECT_EQ(inside(good, changed([](State& s) { s.lock->offset = 0; })), "another lock");
    EXPECT_EQ(inside(good, changed([](State& s) { s.lock.reset(); })), "a lock is held on one side only");
    EXPECT_EQ(inside(good, changed([](State& s) { s.ghosts.clear(); })), "");
    EXPECT_EQ(inside(good, changed([](State& s) { s.ghosts[0].cut = 5; })), "a loop's measure is not kept");
    EXPECT_EQ(inside(good, changed([](State& s) { s.ghosts[0].measure.k = 2; })), "a value is another one");
    EXPECT_EQ(inside(good, changed([](State& s) { s.frames[0].call = 1; })), "another call chain");
    EXPECT_EQ(inside(good, changed([](State& s) { s.frames.push_back(s.frames[0]); })), "another call depth");
    EXPECT_EQ(inside(good, changed([](State& s) { s.at.insn = 1; })), "another place");
    EXPECT_EQ(inside(good, changed([](State& s) { s.callbacks.emplace_back(); })), "another chain of callbacks");
    EXPECT_EQ(inside(good, changed([](State& s) { s[s[s.packet].region.length].num = unsigned_range(0, 100); })),
              "a number is outside its bounds");
}

}  // namespace
}  // namespace skep::verifier
