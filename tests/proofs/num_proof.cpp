// SPDX-License-Identifier: Apache-2.0
// The lemmas of src/verifier/num, proved over all 64-bit words by Z3 from the very templates that ship. Each lemma is
// negated and must be unsatisfiable; `sat` prints the counterexample, `unknown` (the time limit) is a failure too.
//
// usage: num_proof [--seconds N] [NAME...]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "symbolic.hpp"
#include "verifier/num/num.hpp"

namespace skep::verifier::num {

template <>
struct HalfOf<SymWord<64>> {
    using Type = SymWord<32>;
    static Type low(const SymWord<64>& x) { return Type(x.e.extract(31, 0)); }
    static SymWord<64> extend(const Type& x) { return SymWord<64>(z3::zext(x.e, 32)); }
};

namespace {

using W = SymWord<64>;
using H = SymWord<32>;
using A = Arc<W>;
using T = Tnum<W>;

struct Lemma {
    std::string name;
    std::function<SymBool()> claim;
};

W var(const char* name) { return W::fresh(name); }
A arc(const char* base, const char* length) { return {var(base), var(length)}; }
T tnum(const char* value, const char* mask) { return {var(value), var(mask)}; }
SymBool valid(const T& t) { return (t.value & t.mask) == word<W>(0); }
template <typename... Rest>
SymBool all(const SymBool& first, const Rest&... rest) {
    if constexpr (sizeof...(rest) == 0) {
        return first;
    } else {
        return both(first, all(rest...));
    }
}

/// Members in rotated coordinates, base + i with i <= length: what Z3 decides quickly.
W member(const A& a, const W& i) { return a.base + i; }

std::vector<Lemma> lemmas() {
    std::vector<Lemma> out;
    const auto add_lemma = [&](const std::string& name, std::function<SymBool()> claim) {
        out.push_back({name, std::move(claim)});
    };
    const auto with_arcs = [&](const std::string& name, auto body) {
        add_lemma(name, [body] {
            // Arcs see only distances: a's base is counted from b's, so that b's cancels.
            const A b = arc("bb", "bl");
            const A a{b.base + var("d"), var("al")};
            const W i = var("i"), j = var("j");
            return implies(both(i <= a.length, j <= b.length), body(a, b, member(a, i), member(b, j)));
        });
    };
    const auto with_tnums = [&](const std::string& name, auto body) {
        add_lemma(name, [body] {
            const T a = tnum("av", "am"), b = tnum("bv", "bm");
            const W x = var("x"), y = var("y");
            return implies(all(valid(a), valid(b), a.contains(x), b.contains(y)), body(a, b, x, y));
        });
    };

    with_arcs("arc add", [](A a, A b, W x, W y) { return add(a, b).contains(x + y); });
    with_arcs("arc sub", [](A a, A b, W x, W y) { return sub(a, b).contains(x - y); });
    with_arcs("arc complement", [](A a, A, W x, W) { return complement(a).contains(~x); });
    with_arcs("arc subset is inclusion", [](A a, A b, W x, W) { return implies(subset(a, b), b.contains(x)); });
    with_arcs("arc join", [](A a, A b, W x, W y) { return both(join(a, b).contains(x), join(a, b).contains(y)); });
    with_arcs("arc meet", [](A a, A b, W x, W) {
        const auto m = meet(a, b);
        return implies(b.contains(x), both(m.some, m.value.contains(x)));
    });
    with_arcs("arc unsigned bounds", [](A a, A, W x, W) { return both(umin(a) <= x, x <= umax(a)); });
    with_arcs("arc signed bounds",
              [](A a, A, W x, W) { return both(signed_less_equal(smin(a), x), signed_less_equal(x, smax(a))); });
    for (const unsigned k : {1u, 8u, 31u, 32u, 63u}) {
        with_arcs("arc shift left by " + std::to_string(k),
                  [k](A a, A, W x, W) { return shl_const(a, k).contains(shl(x, k)); });
        with_arcs("arc shift right by " + std::to_string(k),
                  [k](A a, A, W x, W) { return shr_const(a, k).contains(shr(x, k)); });
        with_arcs("arc arithmetic shift right by " + std::to_string(k),
                  [k](A a, A, W x, W) { return sar_const(a, k).contains(sar(x, k)); });
        with_tnums("tnum shift left by " + std::to_string(k),
                   [k](T a, T, W x, W) { return shl_const(a, k).contains(shl(x, k)); });
        with_tnums("tnum shift right by " + std::to_string(k),
                   [k](T a, T, W x, W) { return shr_const(a, k).contains(shr(x, k)); });
        with_tnums("tnum arithmetic shift right by " + std::to_string(k),
                   [k](T a, T, W x, W) { return sar_const(a, k).contains(sar(x, k)); });
    }

    with_tnums("tnum add", [](T a, T b, W x, W y) { return add(a, b).contains(x + y); });
    with_tnums("tnum sub", [](T a, T b, W x, W y) { return sub(a, b).contains(x - y); });
    with_tnums("tnum and", [](T a, T b, W x, W y) { return bit_and(a, b).contains(x & y); });
    with_tnums("tnum or", [](T a, T b, W x, W y) { return bit_or(a, b).contains(x | y); });
    with_tnums("tnum xor", [](T a, T b, W x, W y) { return bit_xor(a, b).contains(x ^ y); });
    with_tnums("tnum complement", [](T a, T, W x, W) { return complement(a).contains(~x); });
    with_tnums("tnum join", [](T a, T b, W x, W y) { return both(join(a, b).contains(x), join(a, b).contains(y)); });
    with_tnums("tnum meet", [](T a, T b, W x, W) {
        const auto m = meet(a, b);
        return implies(b.contains(x), both(m.some, m.value.contains(x)));
    });
    with_tnums("tnum subset is inclusion", [](T a, T b, W x, W) { return implies(subset(a, b), b.contains(x)); });
    with_tnums("tnum results keep the invariant", [](T a, T b, W, W) {
        return all(valid(add(a, b)), valid(sub(a, b)), valid(bit_and(a, b)), valid(bit_or(a, b)), valid(bit_xor(a, b)),
                   valid(join(a, b)), valid(complement(a)), implies(meet(a, b).some, valid(meet(a, b).value)));
    });
    for (const unsigned i : {0u, 1u, 31u, 63u}) {
        with_tnums("tnum multiplication step " + std::to_string(i), [i](T a, T b, W x, W y) {
            const W one = word<W>(1), zero = word<W>(0);
            const W term = ite((shr(x, i) & one) == one, shl(y, i), zero);
            const W known = ite((shr(a.value, i) & one) == one, shl(b.value, i), zero);
            return mul_step(a, b, i).contains(term - known);
        });
    }
    with_tnums("tnum of arc", [](T, T, W x, W) {
        const A a = arc("cb", "cl");
        return implies(a.contains(x), of_arc(a).contains(x));
    });
    with_tnums("least member at or above", [](T t, T, W x, W z) {
        const auto least = least_at_or_above(t, z);
        return implies(z <= x, all(least.some, t.contains(least.value), z <= least.value, least.value <= x));
    });
    with_tnums("largest member at or below", [](T t, T, W x, W z) {
        const auto largest = largest_at_or_below(t, z);
        return implies(x <= z, all(largest.some, t.contains(largest.value), largest.value <= z, x <= largest.value));
    });
    with_tnums("trim keeps every common member", [](T t, T, W x, W) {
        const A a = arc("cb", "cl");
        const auto trimmed = trim(a, t);
        return implies(a.contains(x), both(trimmed.some, trimmed.value.contains(x)));
    });
    with_arcs("truncate", [](A a, A, W x, W) { return truncate(a).contains(low(x)); });
    add_lemma("tighten keeps every common member", [] {
        const A a = arc("ab", "al");
        const Arc<H> q{H::fresh("qb"), H::fresh("ql")};
        const W i = var("i");
        const W x = member(a, i);
        const auto tight = tighten(a, q);
        return implies(both(i <= a.length, q.contains(low(x))), both(tight.some, tight.value.contains(x)));
    });
    // The proof system itself can fail: a false claim is refuted.
    add_lemma("! arc add without the overflow rule", [] {
        const A a = arc("ab", "al"), b = arc("bb", "bl");
        const W i = var("i"), j = var("j");
        const A wrong{a.base + b.base, a.length + b.length};
        return implies(both(i <= a.length, j <= b.length), wrong.contains(member(a, i) + member(b, j)));
    });
    return out;
}

/// unsat: the claim holds on every path; sat: one path has a counterexample (printed); unknown: out of time.
std::pair<z3::check_result, int> decide(const Lemma& lemma, unsigned seconds) {
    z3::context& context = proof_context();
    Path& path = Path::current();
    int paths = 0;
    path = Path();
    do {
        path.start();
        const SymBool claim = lemma.claim();
        z3::solver solver(context);
        z3::params params(context);
        params.set("timeout", seconds * 1000);
        solver.set(params);
        for (const z3::expr& condition : path.conditions()) solver.add(condition);
        solver.add((!claim.e).simplify());
        ++paths;
        const z3::check_result result = solver.check();
        if (result == z3::sat && lemma.name[0] != '!')
            std::printf("%s\n", Z3_model_to_string(context, solver.get_model()));
        if (result != z3::unsat) {
            path = Path();
            return {result, paths};
        }
    } while (path.advance());
    return {z3::unsat, paths};
}

int prove(unsigned seconds, const std::vector<std::string>& wanted) {
    int proved = 0, failed = 0;
    for (const Lemma& lemma : lemmas()) {
        bool chosen = wanted.empty();
        for (const std::string& name : wanted) chosen = chosen || lemma.name.find(name) != std::string::npos;
        if (!chosen) continue;
        const auto start = std::chrono::steady_clock::now();
        const auto [result, paths] = decide(lemma, seconds);
        const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        const bool expect_false = lemma.name[0] == '!';
        const bool good = result == (expect_false ? z3::sat : z3::unsat);
        good ? ++proved : ++failed;
        std::printf(
            "%-8s %6.2f s  %3d paths  %s\n",
            result == z3::unsat ? "proved" : (result == z3::sat ? (expect_false ? "refuted" : "FALSE") : "UNKNOWN"),
            took, paths, lemma.name.c_str());
        std::fflush(stdout);
    }
    std::printf("%d passed, %d failed\n", proved, failed);
    return failed == 0 && proved > 0 ? 0 : 1;
}

}  // namespace
}  // namespace skep::verifier::num

int main(int argc, char** argv) {
    skep::verifier::num::proof_context();  // made first, so destroyed last
    unsigned seconds = 120;
    std::vector<std::string> wanted;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            seconds = static_cast<unsigned>(std::atoi(argv[++i]));
        } else {
            wanted.emplace_back(argv[i]);
        }
    }
    return skep::verifier::num::prove(seconds, wanted);
}
