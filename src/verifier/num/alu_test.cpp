// SPDX-License-Identifier: Apache-2.0
// Every operation against the set of concrete results: all pairs of reduced operands drawn at 8 bits, and sampled
// members at 64 and 32.
#include "verifier/num/alu.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>

namespace skep::verifier::num {
namespace {

/// The instruction set's own arithmetic on plain integers of `bits` bits (RFC 9669 section 4.1).
struct Concrete {
    unsigned bits;
    uint64_t mask() const { return bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1; }
    int64_t sign(uint64_t x) const { return static_cast<int64_t>(x << (64 - bits)) >> (64 - bits); }
    uint64_t wrap(uint64_t x) const { return x & mask(); }
};

template <typename Word>
struct Row {
    const char* name;
    Part<Word> (*abstract)(const Part<Word>&, const Part<Word>&);
    uint64_t (*concrete)(const Concrete&, uint64_t, uint64_t);
};

template <typename Word>
std::vector<Row<Word>> rows() {
    using P = const Part<Word>&;
    using C = const Concrete&;
    return {
        {"add", [](P a, P b) { return part::add(a, b); }, [](C c, uint64_t x, uint64_t y) { return c.wrap(x + y); }},
        {"sub", [](P a, P b) { return part::sub(a, b); }, [](C c, uint64_t x, uint64_t y) { return c.wrap(x - y); }},
        {"mul", [](P a, P b) { return part::mul(a, b); }, [](C c, uint64_t x, uint64_t y) { return c.wrap(x * y); }},
        {"and", [](P a, P b) { return part::bit_and(a, b); }, [](C, uint64_t x, uint64_t y) { return x & y; }},
        {"or", [](P a, P b) { return part::bit_or(a, b); }, [](C, uint64_t x, uint64_t y) { return x | y; }},
        {"xor", [](P a, P b) { return part::bit_xor(a, b); }, [](C, uint64_t x, uint64_t y) { return x ^ y; }},
        {"div", [](P a, P b) { return part::div(a, b); }, [](C, uint64_t x, uint64_t y) { return y == 0 ? 0 : x / y; }},
        {"mod", [](P a, P b) { return part::mod(a, b); }, [](C, uint64_t x, uint64_t y) { return y == 0 ? x : x % y; }},
        {"sdiv", [](P a, P b) { return part::sdiv(a, b); },
         [](C c, uint64_t x, uint64_t y) {
             if (y == 0) return uint64_t{0};
             if (c.sign(y) == -1) return c.wrap(0 - x);
             return c.wrap(static_cast<uint64_t>(c.sign(x) / c.sign(y)));
         }},
        {"smod", [](P a, P b) { return part::smod(a, b); },
         [](C c, uint64_t x, uint64_t y) {
             if (y == 0) return x;
             if (c.sign(y) == -1) return uint64_t{0};
             return c.wrap(static_cast<uint64_t>(c.sign(x) % c.sign(y)));
         }},
        {"lsh", [](P a, P b) { return part::shift(part::Shift::Left, a, b); },
         [](C c, uint64_t x, uint64_t y) { return c.wrap(x << (y & (c.bits - 1))); }},
        {"rsh", [](P a, P b) { return part::shift(part::Shift::Right, a, b); },
         [](C c, uint64_t x, uint64_t y) { return x >> (y & (c.bits - 1)); }},
        {"arsh", [](P a, P b) { return part::shift(part::Shift::ArithmeticRight, a, b); },
         [](C c, uint64_t x, uint64_t y) { return c.wrap(static_cast<uint64_t>(c.sign(x) >> (y & (c.bits - 1)))); }},
    };
}

template <typename Word>
struct Sampler {
    std::mt19937_64 random;
    explicit Sampler(uint64_t seed) : random(seed) {}

    uint64_t skewed() {
        // Small numbers, numbers near the powers of two, negative small ones, and any.
        const uint64_t r = random();
        switch (random() % 5) {
            case 0: return r & 0xf;
            case 1: return 0 - (r & 0xf);
            case 2: return (uint64_t{1} << (r % bits_of<Word>)) + (random() % 5) - 2;
            case 3: return r & 0xffff;
            case 4: return r;
        }
        return r;
    }
    /// A non-empty part and a member of it.
    std::pair<Part<Word>, uint64_t> any() {
        const Word member = word<Word>(skewed());
        const Word before = word<Word>(skewed()), after = word<Word>(skewed());
        Part<Word> p;
        const Word open = word<Word>(random() % 3 == 0 ? 0 : random() & skewed());
        p.bits = {member & ~open, open};
        p.range = random() % 3 == 0 ? Arc<Word>::constant(member) : Arc<Word>{member - before, before + after};
        if (!p.range.contains(member)) p.range = Arc<Word>::full();
        const auto trimmed = trim(p.range, p.bits);
        if (trimmed.some) p.range = trimmed.value;
        return {p, to_uint(member)};
    }
};

template <typename Word>
void every_result_is_included(int rounds) {
    const Concrete c{bits_of<Word>};
    Sampler<Word> sampler(11);
    for (int i = 0; i < rounds; ++i) {
        const auto [a, x] = sampler.any();
        const auto [b, y] = sampler.any();
        for (const auto& row : rows<Word>()) {
            const Part<Word> out = row.abstract(a, b);
            const uint64_t result = row.concrete(c, x, y);
            ASSERT_TRUE(out.bits.contains(word<Word>(result))) << row.name << " bits, " << x << ", " << y;
            ASSERT_TRUE(out.range.contains(word<Word>(result))) << row.name << " range, " << x << ", " << y;
        }
    }
}

TEST(Alu, EveryResultIsIncludedAt64Bits) { every_result_is_included<uint64_t>(60'000); }
TEST(Alu, EveryResultIsIncludedAt32Bits) { every_result_is_included<uint32_t>(60'000); }

TEST(Alu, EveryResultOfEveryMemberIsIncludedAt8Bits) {
    using W = SmallWord<8>;
    const Concrete c{8};
    Sampler<W> sampler(5);
    for (int i = 0; i < 1'500; ++i) {
        const auto a = sampler.any().first, b = sampler.any().first;
        for (const auto& row : rows<W>()) {
            const Part<W> out = row.abstract(a, b);
            for (uint64_t x = 0; x < 256; ++x) {
                if (!a.contains(W(x))) continue;
                for (uint64_t y = 0; y < 256; ++y) {
                    if (b.contains(W(y))) {
                        ASSERT_TRUE(out.contains(W(row.concrete(c, x, y)))) << row.name << ' ' << x << ", " << y;
                    }
                }
            }
        }
    }
}

TEST(Alu, SignExtensionAndByteSwapInclude) {
    Sampler<uint64_t> sampler(3);
    for (int i = 0; i < 100'000; ++i) {
        const auto [a, x] = sampler.any();
        for (const unsigned n : {8u, 16u, 32u}) {
            const Concrete c{n};
            ASSERT_TRUE(part::sign_extend(a, n).contains(static_cast<uint64_t>(c.sign(c.wrap(x))))) << n << ' ' << x;
            ASSERT_TRUE(part::zero_extend_bits(a, n).contains(c.wrap(x)));
        }
        ASSERT_TRUE(part::byte_swap(a, 8).contains(__builtin_bswap64(x)));
        ASSERT_TRUE(part::byte_swap(a, 4).contains(__builtin_bswap32(static_cast<uint32_t>(x))));
        ASSERT_TRUE(part::byte_swap(a, 2).contains(__builtin_bswap16(static_cast<uint16_t>(x))));
    }
}

/// What programs rely on: each row is an operation on known ranges and the range it must give.
TEST(Alu, KeepsWhatProgramsRelyOn) {
    using P = Part<uint64_t>;
    const auto range = [](uint64_t l, uint64_t h) { return part::from_range<uint64_t>(l, h); };
    const auto expect = [](const P& p, uint64_t l, uint64_t h) {
        EXPECT_EQ(umin(p.range), l);
        EXPECT_EQ(umax(p.range), h);
    };
    expect(part::bit_and(P::unknown(), P::constant(15)), 0, 15);
    expect(part::shift(part::Shift::Left, range(0, 15), P::constant(2)), 0, 60);
    expect(part::mod(P::unknown(), P::constant(10)), 0, 9);
    expect(part::div(range(100, 200), P::constant(10)), 10, 20);
    expect(part::mul(range(2, 3), range(5, 7)), 10, 21);
    expect(part::add(range(1, 2), range(10, 20)), 11, 22);
    EXPECT_EQ(smin(part::mul(P{Tnum<uint64_t>::unknown(), {static_cast<uint64_t>(-3), 5}}, range(1, 4)).range),
              static_cast<uint64_t>(-12));
}

TEST(Alu, TheLowHalfRefinesTheWord) {
    using N = Num<uint64_t>;
    N a = N::unknown();
    a.narrow = Arc<uint32_t>::range(8, 11);
    const auto reduced = reduce(a);
    ASSERT_TRUE(reduced);
    const auto low_sum = part::add(low_part(*reduced), Part<uint32_t>::constant(4));
    const N sum = from_parts(part::add(wide_part(*reduced), Part<uint64_t>::constant(4)), &low_sum);
    EXPECT_EQ(umin(sum.narrow), 12u);
    EXPECT_EQ(umax(sum.narrow), 15u);
    EXPECT_EQ(from_low<uint64_t>(low_sum).umax(), 15u);
}

}  // namespace
}  // namespace skep::verifier::num
