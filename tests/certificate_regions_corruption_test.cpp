// SPDX-License-Identifier: Apache-2.0
// As certificate_corruption_test.cpp, over programs with packets, maps, records, sockets, locks, calls and callbacks:
// certificates corrupted in one claim of what an address points to, what is held, what a caller keeps, and in what the
// other test corrupts too. Hashes and all are written anew. A corruption counts only if a run of the program is outside
// what the certificate claims then (tests/support/containment.hpp); that the rules cannot go on from a claim does not
// count.
//
// SKEP_CORRUPTIONS=N sets how many are to count (default 600).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "support/containment.hpp"
#include "support/safe_generator.hpp"
#include "verifier/check/checker.hpp"
#include "verifier/state/numbers.hpp"
#include "verifier/verify.hpp"

namespace skep::verifier {
namespace {

using testing::Choices;
using testing::Containment;
using testing::RunResult;
using testing::SafeProgram;

struct Kind {
    const char* name;
    bool (*apply)(Certificate&, Choices&);  ///< false: nothing to corrupt
};

Disjunct& some(Certificate& c, Choices& r) { return c.disjuncts[r.below(static_cast<uint32_t>(c.disjuncts.size()))]; }
template <typename Wanted>
Symbol* some_symbol(State& s, Choices& r, Wanted wanted) {
    for (int i = 0; i < 12 && !s.symbols.empty(); ++i) {
        Symbol& symbol = s.symbols[r.below(static_cast<uint32_t>(s.symbols.size()))];
        if (wanted(symbol)) return &symbol;
    }
    return nullptr;
}
/// A region that the claim can be made of, in some disjunct.
template <typename Wanted>
Region* some_region(Certificate& c, Choices& r, Wanted wanted) {
    for (int i = 0; i < 8; ++i) {
        Symbol* symbol =
            some_symbol(some(c, r).state, r, [&](const Symbol& x) { return x.is_base() && wanted(x.region); });
        if (symbol != nullptr) return &symbol->region;
    }
    return nullptr;
}
Symbol* some_number(Certificate& c, Choices& r) {
    return some_symbol(some(c, r).state, r, [](const Symbol& x) { return !x.is_base(); });
}
Val* some_register(State& s, Choices& r) {
    for (int i = 0; i < 20; ++i) {
        const uint32_t reg = r.below(10);
        if ((s.set >> reg & 1) != 0) return &s.regs[reg];
    }
    return nullptr;
}
Val* some_saved(State& s, Choices& r) {
    if (s.frames.size() < 2) return nullptr;
    Frame& frame = s.frames[1 + r.below(static_cast<uint32_t>(s.frames.size() - 1))];
    for (int i = 0; i < 8; ++i) {
        const uint32_t k = r.below(4);
        if ((frame.saved_set >> k & 1) != 0) return &frame.saved[k];
    }
    return nullptr;
}
/// In half of the tries the disjunct is one for which `wanted` holds, if there is any.
template <typename Wanted>
Disjunct* some_with(Certificate& c, Choices& r, Wanted wanted) {
    const auto count = static_cast<uint32_t>(c.disjuncts.size());
    const uint32_t first = r.below(count);
    for (uint32_t i = 0; i < count; ++i) {
        Disjunct& d = c.disjuncts[(first + i) % count];
        if (wanted(d)) return &d;
    }
    return nullptr;
}

constexpr uint16_t map_count = testing::FirstOther;

const Kind kinds[] = {
    {"map of a value swapped",
     [](Certificate& c, Choices& r) {
         Region* region = some_region(c, r, [](const Region& x) { return x.kind == RegionKind::MapValue; });
         if (region == nullptr) return false;
         const auto other = static_cast<uint16_t>(r.below(map_count));
         if (other == region->map) return false;
         region->map = other;
         return true;
     }},
    {"map swapped",
     [](Certificate& c, Choices& r) {
         Region* region = some_region(
             c, r, [](const Region& x) { return x.kind == RegionKind::Map || x.kind == RegionKind::MapKey; });
         if (region == nullptr) return false;
         const auto other = static_cast<uint16_t>(r.below(map_count));
         if (other == region->map) return false;
         region->map = other;
         return true;
     }},
    {"null told as impossible",
     [](Certificate& c, Choices& r) {
         Region* region = some_region(c, r, [](const Region& x) { return x.nullable; });
         if (region == nullptr) return false;
         region->nullable = false;
         return true;
     }},
    {"dead region told as alive",
     [](Certificate& c, Choices& r) {
         Region* region = some_region(c, r, [](const Region& x) { return !x.alive; });
         if (region == nullptr) return false;
         region->alive = true;
         return true;
     }},
    {"read-only told as writable",
     [](Certificate& c, Choices& r) {
         Region* region = some_region(c, r, [](const Region& x) { return !x.writable; });
         if (region == nullptr) return false;
         region->writable = true;
         return true;
     }},
    {"size enlarged",
     [](Certificate& c, Choices& r) {
         Region* region = some_region(c, r, [](const Region& x) { return x.size != 0; });
         if (region == nullptr) return false;
         region->size += 1 + r.below(16);
         return true;
     }},
    {"kind of region swapped",
     [](Certificate& c, Choices& r) {
         Region* region = some_region(c, r, [](const Region&) { return true; });
         if (region == nullptr) return false;
         static constexpr RegionKind all[] = {RegionKind::Context, RegionKind::Stack, RegionKind::MapValue,
                                              RegionKind::Memory};
         const RegionKind other = all[r.below(4)];
         if (other == region->kind) return false;
         *region = Region{};
         region->kind = other;
         if (other == RegionKind::MapValue) region->map = testing::ArrayMap;
         if (other == RegionKind::Memory) region->size = 8;
         return true;
     }},
    {"object of another type",
     [](Certificate& c, Choices& r) {
         Region* region = some_region(c, r, [](const Region& x) { return x.kind == RegionKind::Object; });
         if (region == nullptr) return false;
         const auto socket = static_cast<uint8_t>(platform::ContextKind::Socket);
         region->type = region->type == socket ? static_cast<uint8_t>(platform::ContextKind::SockCommon) : socket;
         return true;
     }},
    {"frames swapped",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return x.state.frames.size() > 1; });
         if (d == nullptr) return false;
         std::swap(d->state.frames[0].base, d->state.frames[1].base);
         std::swap(d->state[d->state.frames[0].base].region.frame, d->state[d->state.frames[1].base].region.frame);
         return true;
     }},
    {"packet told as longer",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return x.state.packet != no_sym; });
         if (d == nullptr) return false;
         const Sym length = d->state[d->state.packet].region.length;
         Num& n = d->state[length].num;
         if (n.is_constant()) return false;
         n = unsigned_range(n.umin() + 1 + r.below(64), n.umax());
         return true;
     }},
    {"metadata told as longer",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) {
             return x.state.packet != no_sym && x.state[x.state.packet].region.meta != no_sym;
         });
         if (d == nullptr) return false;
         d->state[d->state[d->state.packet].region.meta].num = unsigned_range(1 + r.below(16), 255);
         return true;
     }},
    {"relation tightened",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return !x.state.relations.empty(); });
         if (d == nullptr) return false;
         auto& all = d->state.relations;
         all[r.below(static_cast<uint32_t>(all.size()))].c -= 1 + static_cast<int64_t>(r.below(24));
         return true;
     }},
    {"relation added",
     [](Certificate& c, Choices& r) {
         State& s = some(c, r).state;
         if (s.symbols.size() < 2 || s.relations.size() >= max_relations) return false;
         const auto x = static_cast<Sym>(r.below(static_cast<uint32_t>(s.symbols.size())));
         const auto y = static_cast<Sym>(r.below(static_cast<uint32_t>(s.symbols.size())));
         if (x == y) return false;
         s.relations.push_back({x, y, static_cast<int64_t>(r.below(4)) - 3});
         return true;
     }},
    {"reference dropped",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return !x.state.references.empty(); });
         if (d == nullptr) return false;
         d->state.references.pop_back();
         return true;
     }},
    {"reference told of something else",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return !x.state.references.empty(); });
         if (d == nullptr) return false;
         auto& all = d->state.references;
         const auto other = static_cast<Sym>(r.below(static_cast<uint32_t>(d->state.symbols.size())));
         if (!d->state[other].is_base() || other == all[0].base) return false;
         all[0].base = other;
         return true;
     }},
    {"lock dropped",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return x.state.lock.has_value(); });
         if (d == nullptr) return false;
         d->state.lock.reset();
         return true;
     }},
    {"lock told at another place",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return x.state.lock.has_value(); });
         if (d == nullptr) return false;
         d->state.lock->offset += 4;
         return true;
     }},
    {"callback's rounds lowered",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return !x.state.callbacks.empty(); });
         if (d == nullptr) return false;
         Val& rounds = d->state.callbacks.back().rounds;
         rounds = rounds.is_constant() && rounds.k > 1 ? Val::constant(r.below(static_cast<uint32_t>(rounds.k)))
                                                       : Val::constant(r.below(2));
         return true;
     }},
    {"callback's context moved",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return !x.state.callbacks.empty(); });
         if (d == nullptr) return false;
         d->state.callbacks.back().context.k += 8;
         return true;
     }},
    {"caller's register moved",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return x.state.frames.size() > 1; });
         Val* v = d == nullptr ? nullptr : some_saved(d->state, r);
         if (v == nullptr) return false;
         v->k += r.chance(2) ? 1 : uint64_t{0} - 8;
         return true;
     }},
    {"caller's register told as a constant",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return x.state.frames.size() > 1; });
         Val* v = d == nullptr ? nullptr : some_saved(d->state, r);
         if (v == nullptr) return false;
         *v = Val::constant(r.below(64));
         return true;
     }},
    {"register moved",
     [](Certificate& c, Choices& r) {
         Val* v = some_register(some(c, r).state, r);
         if (v == nullptr) return false;
         v->k += r.chance(2) ? 1 : uint64_t{0} - 8;
         return true;
     }},
    {"symbol swapped in a register",
     [](Certificate& c, Choices& r) {
         State& s = some(c, r).state;
         Val* v = some_register(s, r);
         if (v == nullptr) return false;
         *v = Val::symbol(static_cast<Sym>(r.below(static_cast<uint32_t>(s.symbols.size()))));
         return true;
     }},
    {"upper bound tightened",
     [](Certificate& c, Choices& r) {
         Symbol* n = some_number(c, r);
         if (n == nullptr || n->num.umin() == n->num.umax()) return false;
         const uint64_t span = n->num.umax() - n->num.umin();
         n->num = unsigned_range(n->num.umin(), n->num.umin() + r.word() % span);
         return true;
     }},
    {"lower bound tightened",
     [](Certificate& c, Choices& r) {
         Symbol* n = some_number(c, r);
         if (n == nullptr || n->num.umin() == n->num.umax()) return false;
         n->num = unsigned_range(n->num.umin() + 1 + r.word() % (n->num.umax() - n->num.umin()), n->num.umax());
         return true;
     }},
    {"bit told",
     [](Certificate& c, Choices& r) {
         Symbol* n = some_number(c, r);
         if (n == nullptr || n->num.bits.mask == 0) return false;
         const uint64_t low = n->num.bits.mask & (~n->num.bits.mask + 1);
         n->num.bits.mask ^= low;
         if (r.chance(2)) n->num.bits.value |= low;
         return true;
     }},
    {"low half tightened",
     [](Certificate& c, Choices& r) {
         Symbol* n = some_number(c, r);
         if (n == nullptr || n->num.narrow.length == 0) return false;
         n->num.narrow.length = r.below(n->num.narrow.length);
         return true;
     }},
    {"edge retargeted",
     [](Certificate& c, Choices& r) {
         Disjunct& d = some(c, r);
         if (d.targets.empty()) return false;
         d.targets[r.below(static_cast<uint32_t>(d.targets.size()))] =
             r.below(static_cast<uint32_t>(c.disjuncts.size()));
         return true;
     }},
    {"disjunct dropped",
     [](Certificate& c, Choices& r) {
         if (c.disjuncts.size() < 2) return false;
         const uint32_t gone = r.below(static_cast<uint32_t>(c.disjuncts.size()));
         const uint32_t into = r.below(static_cast<uint32_t>(c.disjuncts.size() - 1));
         c.disjuncts.erase(c.disjuncts.begin() + gone);
         const auto moved = [&](uint32_t& t) { t = t == gone ? into : t > gone ? t - 1 : t; };
         for (Disjunct& d : c.disjuncts) std::ranges::for_each(d.targets, moved);
         for (Root& root : c.roots) moved(root.disjunct);
         return true;
     }},
    {"measure changed",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return x.measured; });
         if (d == nullptr) return false;
         d->measure.k += 1 + r.below(9);
         return true;
     }},
    {"measure of the last visit changed",
     [](Certificate& c, Choices& r) {
         Disjunct* d = some_with(c, r, [](const Disjunct& x) { return !x.state.ghosts.empty(); });
         if (d == nullptr) return false;
         d->state.ghosts[0].measure.k -= 1;
         return true;
     }},
    {"cost lowered: instructions",
     [](Certificate& c, Choices& r) {
         c.cost.instructions -= 1 + r.word() % c.cost.instructions;
         return true;
     }},
    {"cost lowered: helper calls",
     [](Certificate& c, Choices& r) {
         if (c.cost.helper_calls == 0) return false;
         c.cost.helper_calls -= 1 + r.word() % c.cost.helper_calls;
         return true;
     }},
    {"cost lowered: stack",
     [](Certificate& c, Choices&) {
         if (c.cost.stack_bytes <= 512) return false;
         c.cost.stack_bytes -= 512;
         return true;
     }},
};

/// Whether one of some runs is outside what the certificate claims.
bool refuted(const Subject& subject, const Certificate& bad, const ExecutableProgram& program, uint64_t seed) {
    Containment containment(subject, bad, program);
    for (uint64_t i = 0; i < 8; ++i) {
        const RunResult run = containment.run(seed + i, 600);
        if (run.miss) {
            if (!run.unproved) return true;
            continue;
        }
        if (run.instructions > bad.cost.instructions || run.helper_calls > bad.cost.helper_calls ||
            run.frames * 512 > bad.cost.stack_bytes)
            return true;
    }
    return false;
}

TEST(CertificateCorruption, OfWhatAddressesAndCallsAreIsRefusedWheneverARunRefutesIt) {
    const char* wanted_text = std::getenv("SKEP_CORRUPTIONS");
    const uint64_t wanted = wanted_text != nullptr ? std::strtoull(wanted_text, nullptr, 10) : 600;
    std::array<uint64_t, std::size(kinds)> kept{}, tried{};
    uint64_t total = 0, programs = 0;
    for (uint64_t number = 0; total < wanted && number < 100 * wanted; ++number) {
        Choices choices(0x51ed2701 + number);
        const SafeProgram program = testing::make_safe_program(choices);
        const auto subject = testing::safe_subject(program);
        ASSERT_TRUE(subject);
        const Report report = verify(*subject);
        if (report.verdict != Verdict::Accepted) continue;
        const auto good = decode_certificate(*subject, report.certificate);
        ASSERT_TRUE(good) << good.error().to_string();
        ASSERT_FALSE(refuted(*subject, *good, *report.executable, number)) << number << ": the certificate is wrong";
        ++programs;
        for (size_t k = 0; k < std::size(kinds); ++k) {
            Certificate bad = *good;
            if (!kinds[k].apply(bad, choices)) continue;
            const auto bytes = encode_certificate(*subject, bad);
            if (bytes == report.certificate) continue;
            ++tried[k];
            // What cannot even be read claims nothing.
            const auto read = decode_certificate(*subject, bytes);
            if (!read || !refuted(*subject, *read, *report.executable, number)) continue;
            ++kept[k];
            ++total;
            EXPECT_FALSE(check_certificate(*subject, bytes)) << "program " << number << ": " << kinds[k].name;
            EXPECT_FALSE(Checker(*subject).check(bad)) << "program " << number << ": " << kinds[k].name;
        }
    }
    fmt::print("{} corruptions that a run refutes, of {} programs, all refused\n", total, programs);
    unsigned seen = 0;
    for (size_t k = 0; k < std::size(kinds); ++k) {
        fmt::print("{:6} of {:6} {}\n", kept[k], tried[k], kinds[k].name);
        seen += kept[k] != 0;
    }
    EXPECT_GE(total, wanted);
    EXPECT_GE(seen, 20u) << "kinds of corruption that were refuted by a run at least once";
}

}  // namespace
}  // namespace skep::verifier
