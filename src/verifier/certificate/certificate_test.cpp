// SPDX-License-Identifier: Apache-2.0
#include "verifier/certificate/certificate.hpp"

#include <gtest/gtest.h>

#include <random>

#include "isa/assemble.hpp"
#include "verifier/certificate/items.hpp"
#include "verifier/state/numbers.hpp"

namespace skep::verifier {
namespace {

Subject small_subject() {
    auto program = std::make_shared<BoundProgram>();
    const auto code = isa::assemble("r0 = 1\nr1 = 2\ncall 1\nr0 += r1\nif r0 != 0 goto -2\nexit\n");
    program->linked.name = "small";
    program->linked.code = *code;
    program->linked.subprograms = {{"small", 0, static_cast<isa::InsnIndex>(code->size())}};
    program->bindings.resize(code->size());
    program->bindings[2].kind = BindingKind::Helper;
    Subject subject;
    subject.program = std::move(program);
    subject.maps.resize(2);
    return subject;
}

class Random {
  public:
    explicit Random(uint64_t seed) : engine_(seed) {}
    uint64_t below(uint64_t n) { return engine_() % n; }
    bool once_in(uint64_t n) { return below(n) == 0; }
    uint64_t word() {
        const uint64_t w = engine_();
        switch (below(4)) {
            case 0: return w;
            case 1: return w & 0xff;
            case 2: return uint64_t{0} - (w & 0xff);
            default: return uint64_t{1} << (w & 63);
        }
    }

  private:
    std::mt19937_64 engine_;
};

Num random_number(Random& random) {
    switch (random.below(6)) {
        case 0: return Num::unknown();
        case 1: return Num::constant(random.word());
        case 2: {
            const uint64_t a = random.word(), b = random.word();
            return unsigned_range(std::min(a, b), std::max(a, b));
        }
        case 3: {
            const auto a = static_cast<int64_t>(random.word()), b = static_cast<int64_t>(random.word());
            return signed_range(std::min(a, b), std::max(a, b));
        }
        default: {
            Num n = Num::unknown();
            n.bits.mask = random.word();
            n.bits.value = random.word() & ~n.bits.mask;
            if (random.once_in(2)) n.wide = {random.word(), random.word()};
            const auto reduced = num::reduce(n);
            return reduced ? *reduced : n;
        }
    }
}

Val random_value(Random& random, size_t symbols) {
    Val v = Val::constant(random.once_in(2) ? 0 : random.word());
    const auto factor = [&] { return random.once_in(2) ? 1 : random.once_in(2) ? -1 : INT32_MIN; };
    if (random.once_in(4)) return v;
    v.a = {static_cast<Sym>(random.below(symbols)), factor()};
    if (v.a.sym + 1u < symbols && random.once_in(3)) {
        v.b = {static_cast<Sym>(v.a.sym + 1 + random.below(symbols - v.a.sym - 1)), factor()};
    }
    return v;
}

State random_state(Random& random) {
    State s;
    const size_t symbols = 1 + random.below(12);
    s.symbols.resize(symbols);
    const auto sym = [&] { return static_cast<Sym>(random.below(symbols)); };
    for (Symbol& symbol : s.symbols) {
        symbol.num = random_number(random);
        if (random.once_in(3)) {
            symbol.region.kind = static_cast<RegionKind>(1 + random.below(9));
            symbol.region.nullable = random.once_in(2);
            symbol.region.alive = !random.once_in(4);
            symbol.region.owned = random.once_in(4);
            symbol.region.read_only_data = random.once_in(4);
            symbol.region.size = static_cast<uint32_t>(random.below(3) * 1000);
            if (random.once_in(3)) symbol.region.length = sym();
            if (random.once_in(3) && symbol.region.kind != RegionKind::Function) symbol.region.map = 1;
            if (random.once_in(2)) {
                State scratch;
                symbol.num = scratch[new_region(scratch, symbol.region, no_insn)].num;
            }
        }
        if (random.once_in(4)) {
            symbol.def = {isa::Operation::And, random.once_in(2), random_value(random, symbols),
                          random_value(random, symbols)};
        }
    }
    for (unsigned r = 0; r < 10; ++r) {
        if (random.once_in(2)) s.set_reg(r, random_value(random, symbols));
    }
    s.frames.resize(1 + random.below(2));
    for (Frame& frame : s.frames) {
        frame.base = sym();
        frame.call = random.once_in(2) ? no_insn : 2;
        frame.saved_set = static_cast<uint8_t>(random.below(16));
        for (unsigned i = 0; i < 4; ++i) {
            if ((frame.saved_set >> i & 1) != 0) frame.saved[i] = random_value(random, symbols);
        }
        for (uint64_t n = random.below(6); n > 0; --n) {
            Stack& stack = frame.own_stack();
            Cell cell;
            if (random.once_in(2)) {
                cell.set_whole(random_value(random, symbols));
            } else {
                for (unsigned i = 0; i < 8; ++i) {
                    cell.kind[i] = static_cast<Byte>(random.below(4));
                    if (cell.kind[i] == Byte::Const) cell.detail[i] = static_cast<uint8_t>(random.below(256));
                    if (cell.kind[i] == Byte::Part) cell.detail[i] = static_cast<uint8_t>(random.below(8));
                }
                if (cell.has_part()) cell.val = random_value(random, symbols);
                if (cell.is_unset()) cell.kind[0] = Byte::Misc;
            }
            stack.resize(stack.size() + random.below(3));
            stack.push_back(cell);
        }
    }
    if (random.once_in(3)) s.packet = sym();
    if (random.once_in(3)) s.lock = SpinLock{sym(), 8};
    if (random.once_in(3)) s.references.push_back({sym()});
    if (random.once_in(3)) s.ghosts.push_back({7, random_value(random, symbols)});
    if (random.once_in(3)) s.relations.push_back({sym(), sym(), static_cast<int64_t>(random.word())});
    if (random.once_in(3)) {
        s.callbacks.push_back({2, 0, 0, random.once_in(2) ? no_map : uint16_t{1}, random_value(random, symbols),
                               random_value(random, symbols)});
    }
    return s;
}

Certificate random_certificate(Random& random) {
    Certificate c;
    c.cost = {random.word(), random.word(), static_cast<uint32_t>(random.below(4096))};
    if (random.once_in(2)) c.cuts = {1, 4};
    const size_t disjuncts = 1 + random.below(6);
    for (size_t i = 0; i < disjuncts; ++i) {
        Disjunct& d = c.disjuncts.emplace_back();
        // Neighbours are alike in most things.
        if (i > 0 && random.once_in(2)) {
            d.state = c.disjuncts[i - 1].state;
            d.state.symbols.back().num = random_number(random);
            d.state.set_reg(3, random_value(random, d.state.symbols.size()));
        } else {
            d.state = random_state(random);
        }
        d.state.at = {static_cast<isa::InsnIndex>(random.below(6)), static_cast<Phase>(random.below(2))};
        d.cut = static_cast<uint32_t>(random.below(4));
        d.measured = random.once_in(2);
        if (d.measured) d.measure = random_value(random, d.state.symbols.size());
        for (uint64_t n = random.below(4); n > 0; --n) {
            d.targets.push_back(static_cast<uint32_t>(random.below(disjuncts)));
        }
    }
    c.roots.push_back({static_cast<uint32_t>(random.below(disjuncts)), 0, random.once_in(2) ? no_map : uint16_t{1}});
    return c;
}

bool operator==(const SpinLock& a, const SpinLock& b) { return a.base == b.base && a.offset == b.offset; }

void expect_same(const State& a, const State& b) {
    EXPECT_EQ(a.at, b.at);
    EXPECT_EQ(a.set, b.set);
    EXPECT_EQ(a.regs, b.regs);
    ASSERT_EQ(a.symbols.size(), b.symbols.size());
    for (size_t i = 0; i < a.symbols.size(); ++i) {
        EXPECT_EQ(a.symbols[i].num, b.symbols[i].num);
        EXPECT_EQ(a.symbols[i].def, b.symbols[i].def);
        EXPECT_EQ(a.symbols[i].region, b.symbols[i].region);
    }
    EXPECT_EQ(a.relations, b.relations);
    ASSERT_EQ(a.frames.size(), b.frames.size());
    for (size_t i = 0; i < a.frames.size(); ++i) {
        const Frame &x = a.frames[i], &y = b.frames[i];
        EXPECT_EQ(x.function, y.function);
        EXPECT_EQ(x.kind, y.kind);
        EXPECT_EQ(x.call, y.call);
        EXPECT_EQ(x.base, y.base);
        EXPECT_EQ(x.saved_set, y.saved_set);
        EXPECT_EQ(x.saved, y.saved);
        EXPECT_EQ(x.stack == nullptr ? Stack{} : *x.stack, y.stack == nullptr ? Stack{} : *y.stack);
    }
    EXPECT_EQ(a.callbacks, b.callbacks);
    EXPECT_EQ(a.ghosts, b.ghosts);
    EXPECT_EQ(a.packet, b.packet);
    EXPECT_EQ(a.references, b.references);
    ASSERT_EQ(a.lock.has_value(), b.lock.has_value());
    EXPECT_TRUE(!a.lock || *a.lock == *b.lock);
}

TEST(Certificate, ComesBackFromItsBytes) {
    const Subject subject = small_subject();
    for (uint64_t seed = 0; seed < 400; ++seed) {
        SCOPED_TRACE(seed);
        Random random(seed);
        const Certificate before = random_certificate(random);
        const auto bytes = encode_certificate(subject, before);
        const auto after = decode_certificate(subject, bytes);
        ASSERT_TRUE(after) << after.error().to_string();
        EXPECT_EQ(after->cuts, before.cuts);
        EXPECT_EQ(after->roots, before.roots);
        EXPECT_EQ(after->cost.instructions, before.cost.instructions);
        EXPECT_EQ(after->cost.helper_calls, before.cost.helper_calls);
        EXPECT_EQ(after->cost.stack_bytes, before.cost.stack_bytes);
        ASSERT_EQ(after->disjuncts.size(), before.disjuncts.size());
        for (size_t i = 0; i < before.disjuncts.size(); ++i) {
            const Disjunct &a = after->disjuncts[i], &b = before.disjuncts[i];
            EXPECT_EQ(a.cut, b.cut);
            EXPECT_EQ(a.measured, b.measured);
            EXPECT_TRUE(!a.measured || a.measure == b.measure);
            EXPECT_EQ(a.targets, b.targets);
            expect_same(a.state, b.state);
        }
        EXPECT_EQ(encode_certificate(subject, *after), bytes);
    }
}

TEST(Certificate, HasOneEncodingAndRefusesEveryOther) {
    const Subject subject = small_subject();
    uint64_t read = 0;
    for (uint64_t seed = 0; seed < 80; ++seed) {
        Random random(seed);
        const auto good = encode_certificate(subject, random_certificate(random));
        for (int n = 0; n < 50; ++n) {
            auto bytes = good;
            for (uint64_t k = 1 + random.below(3); k > 0; --k) {
                const size_t at = 37 + random.below(bytes.size() - 37);
                switch (random.below(4)) {
                    case 0: bytes[at] ^= static_cast<std::byte>(1u << random.below(8)); break;
                    case 1: bytes[at] = static_cast<std::byte>(random.below(256)); break;
                    case 2: bytes.erase(bytes.begin() + static_cast<ptrdiff_t>(at)); break;
                    default: bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(at), std::byte{0x80}); break;
                }
                if (bytes.size() <= 38) break;
            }
            const auto decoded = decode_certificate(subject, bytes);
            if (!decoded) continue;
            ++read;
            ASSERT_EQ(encode_certificate(subject, *decoded), bytes);
        }
        for (size_t size = 0; size < good.size(); size += 3) {
            EXPECT_FALSE(decode_certificate(subject, std::span(good).first(size)));
        }
        auto longer = good;
        longer.push_back(std::byte{0});
        EXPECT_FALSE(decode_certificate(subject, longer));
    }
    EXPECT_GT(read, 100u) << "no mutation was read at all: the test shows nothing";
}

TEST(Certificate, IsForOneSubject) {
    const Subject subject = small_subject();
    Random random(1);
    const auto bytes = encode_certificate(subject, random_certificate(random));
    ASSERT_TRUE(decode_certificate(subject, bytes));
    const auto changed = [&](auto change) {
        Subject other = subject;
        auto program = std::make_shared<BoundProgram>(*subject.program);
        change(other, *program);
        other.program = program;
        return decode_certificate(other, bytes).ok();
    };
    EXPECT_TRUE(changed([](Subject&, BoundProgram&) {}));
    EXPECT_TRUE(changed([](Subject&, BoundProgram& p) { p.linked.name = "another"; }));
    EXPECT_TRUE(changed([](Subject& s, BoundProgram&) { s.options.disjuncts = 99; }));
    EXPECT_FALSE(changed([](Subject&, BoundProgram& p) { p.linked.code[0].imm = 2; }));
    EXPECT_FALSE(changed([](Subject&, BoundProgram& p) { p.bindings[2].helper = 1; }));
    EXPECT_FALSE(changed([](Subject&, BoundProgram& p) { p.type = platform::ProgramType::Xdp; }));
    EXPECT_FALSE(changed([](Subject&, BoundProgram& p) { p.sleepable = true; }));
    EXPECT_FALSE(changed([](Subject& s, BoundProgram&) { s.maps[1].value_size = 9; }));
    EXPECT_FALSE(changed([](Subject& s, BoundProgram&) { s.maps[0].constant = {std::byte{1}}; }));
    EXPECT_FALSE(changed([](Subject& s, BoundProgram&) { s.options.allow_pointer_leaks = false; }));
}

TEST(Certificate, UnfoldsNoFurtherThanTheMemoryBudget) {
    Subject subject = small_subject();
    Random random(3);
    Certificate c = random_certificate(random);
    while (c.disjuncts.size() < 200) c.disjuncts.push_back(c.disjuncts.back());
    const auto bytes = encode_certificate(subject, c);
    EXPECT_LT(bytes.size(), 4000u) << "equal disjuncts cost next to nothing";
    EXPECT_TRUE(decode_certificate(subject, bytes));
    subject.options.memory_budget = 20000;
    const auto refused = decode_certificate(subject, bytes);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().to_string().find("unfolds to too much"), std::string::npos);
}

TEST(Items, AreToldByRuns) {
    struct Row {
        const char *before, *now;
        size_t runs;
    };
    const Row rows[] = {{"abc", "abc", 1}, {"abc", "axc", 3}, {"abc", "bc", 2},  {"bc", "abc", 2},
                        {"", "abc", 1},    {"abc", "", 0},    {"abc", "xyz", 1}, {"a", "bcd", 2}};
    for (const Row& row : rows) {
        const auto items = [](const char* text) {
            std::vector<format::Item> out;
            for (const char* c = text; *c != 0; ++c) out.push_back(std::as_bytes(std::span(c, 1)));
            return out;
        };
        EXPECT_EQ(format::difference(items(row.before), items(row.now)).size(), row.runs) << row.before << row.now;
    }
}

}  // namespace
}  // namespace skep::verifier
