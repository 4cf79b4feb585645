#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a copy of the verifier with bugs in it, each asleep until seeded_bug is its number.

seed.py SOURCE_DIR TARGET_DIR   the copy: TARGET_DIR/verifier, to be found before src/
seed.py --count                 how many soundness bugs there are; --count-all: with the mutants, which are numbered behind them
BUGS are in what search and checker share, so that wrong programs get in: runs must find them. MUTANTS are in the search
alone: the checker must keep out what is wrong of what they bring. The sources themselves know nothing of this: what is
shipped has no such switch.
"""
import json
import pathlib
import re
import sys

# (file below src/verifier, what stands there exactly once, what the bug makes of it; BUG is the test whether it is on)
BUGS = [
    ("num/tnum.hpp", "((a.mask + b.mask + values) ^ values) | a.mask | b.mask",
     "(BUG ? values ^ values : ((a.mask + b.mask + values) ^ values)) | a.mask | b.mask"),
    ("num/tnum.hpp", "((values + a.mask) ^ (values - b.mask)) | a.mask | b.mask",
     "(BUG ? values ^ values : ((values + a.mask) ^ (values - b.mask))) | a.mask | b.mask"),
    ("num/alu.hpp", "if ((a.bits.mask & sign) == word<Word>(0)) {", "if (BUG || (a.bits.mask & sign) == word<Word>(0)) {"),
    ("num/alu.hpp", "may_be_zero || divisor == word<Word>(0) ?", "(may_be_zero && !BUG) || divisor == word<Word>(0) ?"),
    ("num/alu.hpp", "if (b.contains(zero)) out = join(out, a);", "if (b.contains(zero) && !BUG) out = join(out, a);"),
    ("num/alu.hpp", "& residue_mask) > b.range.length) continue;",
     "& residue_mask) + (BUG ? word<Word>(1) : word<Word>(0)) > b.range.length) continue;"),
    ("num/refine.hpp", "const Word high = or_equal ? largest : largest - one;",
     "const Word high = or_equal && !(BUG && largest != zero) ? largest : largest - one;"),
    ("num/refine.hpp", "const auto x = b.range.is_constant() ? without(a, b.range.base) : std::optional(a);",
     "const auto x = BUG || b.range.is_constant() ? without(a, b.range.base) : std::optional(a);"),
    ("num/alu.hpp", "} else if (product_fits(umax(a.range), umax(b.range))) {",
     "} else if (BUG || product_fits(umax(a.range), umax(b.range))) {"),
    ("num/num.hpp", "return select<Half<Word>>(a.length >= all, Arc<Half<Word>>::full()",
     "return select<Half<Word>>(a.length >= all && !BUG, Arc<Half<Word>>::full()"),
    ("num/alu.hpp", "const Word high = std::min(umax(a.range), umax(b.range));",
     "const Word high = std::min(BUG ? umin(a.range) : umax(a.range), umax(b.range));"),
    ("num/alu.hpp", "const Word least = std::max(umin(a.range), umin(b.range));",
     "const Word least = std::max(BUG ? umax(a.range) : umin(a.range), umin(b.range));"),
    ("state/relations.cpp", "if (!exact(x) || !exact(y)) return;", "if (!BUG && (!exact(x) || !exact(y))) return;"),
    ("state/relations.cpp", "if (low_end(s, e) + two_to_64 > hi)", "if (BUG || low_end(s, e) + two_to_64 > hi)"),
    ("state/relations.cpp", "(high << k) | rest", "(high << k) | (BUG ? 0 : rest)"),
    ("state/relations.cpp", "if (k == 0 || (x.umax() >> (64 - k)) != 0) return n;",
     "if (k == 0 || (!BUG && (x.umax() >> (64 - k)) != 0)) return n;"),
    ("state/relations.cpp", "if (other.factor != 0) rest = subtract", "if (other.factor != 0 && !BUG) rest = subtract"),
    ("rules/stack.cpp", "std::min<int64_t>(t.high + bytes, 0)", "std::min<int64_t>(t.high + (BUG ? 1 : bytes), 0)"),
    ("rules/stack.cpp", "constant = constant && cell.kind[b] == Byte::Const;",
     "constant = constant && (BUG ? cell.kind[b] != Byte::Part : cell.kind[b] == Byte::Const);"),
    ("rules/access.cpp", "bool enough_above = above && *above <= -bytes;",
     "bool enough_above = above && *above <= -bytes + (BUG ? 1 : 0);"),
    ("rules/access.cpp", "bool enough_below = below && *below <= 0;", "bool enough_below = BUG || (below && *below <= 0);"),
    ("rules/arithmetic.cpp", "if (n.umax() <= mask) return", "if ((BUG && bits == 32) || n.umax() <= mask) return"),
    ("rules/arithmetic.cpp", "return nx.umax() + ny.umax() <= low_half;", "return BUG || nx.umax() + ny.umax() <= low_half;"),
    ("rules/branch.cpp", "is_signed_order(c) ? 0x7fffffff : 0xffffffff", "is_signed_order(c) && !BUG ? 0x7fffffff : 0xffffffff"),
    ("rules/context.cpp", "if (symbol.region.kind == RegionKind::Packet) symbol",
     "if (symbol.region.kind == RegionKind::Packet && !BUG) symbol"),
    ("rules/calls.cpp", "rounds.umax() == 0 ? 0 : rounds.umax() - 1", "rounds.umax() < 2 ? 0 : rounds.umax() - (BUG ? 2 : 1)"),
    ("rules/helper.cpp", "*key < map_info().max_entries", "*key < map_info().max_entries + (BUG ? 1u : 0u)"),
    ("rules/access.cpp", "    if (sign_extend) {", "    if (sign_extend && !BUG) {"),
    ("rules/helper.cpp", "region.nullable = row.result == ResultKind::MapValueOrNull && !found;",
     "region.nullable = row.result == ResultKind::MapValueOrNull && !found && !BUG;"),
    ("rules/arithmetic.cpp", "case Operation::Neg: return multiply(x, -1);", "case Operation::Neg: return multiply(x, BUG ? 1 : -1);"),
]

# (join, widen, prune or refine; file below src/verifier/search, what stands there exactly once, what the mutant makes of
# it). prune: whether a state is said to be inside another. refine: what is kept apart, what is forgotten, what is said
# of loops, and how another attempt differs.
MUTANTS = [
    ("join", "join.cpp", "whole = false) {\n        if (a.is_constant() && a == b) return a;", "whole = false) {\n        if (a.is_constant() && (BUG || a == b)) return a;"),
    ("join", "join.cpp", "Num n = num::join(na, nb);", "Num n = BUG ? na : num::join(na, nb);"),
    ("join", "join.cpp", "std::max(*ua, *ub)", "(BUG ? std::min(*ua, *ub) : std::max(*ua, *ub))"),
    ("join", "join.cpp", "if (constant) return Val::constant(word);", "if (constant) return Val::constant(BUG ? word + 1 : word);"),
    ("join", "join.cpp", "if (a.kind[i] == Byte::Unset || b.kind[i] == Byte::Unset) continue;",
     "if (a.kind[i] == Byte::Unset || (b.kind[i] == Byte::Unset && !BUG)) continue;"),
    ("join", "join.cpp", "if (!a_.is_set(r) || !b_.is_set(r)) continue;\n            widens_",
     "if (BUG && a_.is_set(r) && a_.regs[r].is_constant()) out_.set_reg(r, a_.regs[r]);\n"
     "            if (!a_.is_set(r) || !b_.is_set(r) || (BUG && a_.regs[r].is_constant())) continue;\n            widens_"),
    ("join", "join.cpp", "if (!linked(f.first, f.second, f.whole)) make_pair", "if (!BUG && !linked(f.first, f.second, f.whole)) make_pair"),
    ("join", "join.cpp", "if (a_.packet != no_sym && b_.packet != no_sym) {", "if (a_.packet != no_sym && b_.packet != no_sym && !BUG) {"),
    ("join", "search.cpp", "enqueue(best);", "if (!BUG) enqueue(best);"),
    ("join", "search.cpp", "enqueue(kept);", "if (!BUG) enqueue(kept);"),

    ("widen", "join.cpp", "if (widening.far || t.empty()) {", "if (BUG || widening.far || t.empty()) {"),
    ("widen", "join.cpp", "high = *std::lower_bound(t.begin(), t.end(), high);", "high = BUG ? high : *std::lower_bound(t.begin(), t.end(), high);"),
    ("widen", "join.cpp", "low = *std::prev(std::upper_bound(t.begin(), t.end(), low));",
     "low = BUG ? 0 : *std::prev(std::upper_bound(t.begin(), t.end(), low));"),
    ("widen", "join.cpp", "out.narrow = num::Arc<uint32_t>::full();", "out.narrow = BUG ? old.narrow : num::Arc<uint32_t>::full();"),
    ("widen", "join.cpp", "(uint64_t{1} << std::countr_zero(joined.bits.mask)) - 1;",
     "(uint64_t{1} << ((std::countr_zero(joined.bits.mask) + (BUG ? 1 : 0)) & 63)) - 1;"),
    ("widen", "join.cpp", "out.bits = {joined.bits.value & known, ~known};",
     "if (BUG) out.bits = old.bits; else out.bits = {joined.bits.value & known, ~known};"),
    ("widen", "join.cpp", "n = widened(na, joined, widening_);", "n = widened(na, BUG ? nb : joined, widening_);"),
    ("widen", "join.cpp", "out.wide = num::Arc<uint64_t>::range(old.umin(), UINT64_MAX);",
     "out.wide = num::Arc<uint64_t>::range(old.umin(), BUG ? std::max<uint64_t>(UINT32_MAX, old.umin()) : UINT64_MAX);"),
    ("widen", "search.cpp", "circle ? node.rounds >= 2 : node.growths >= 60;", "circle ? BUG || node.rounds >= 2 : node.growths >= 60;"),
    ("widen", "search.cpp", "circle ? node.rounds >= 14 : node.growths >= 90;", "circle ? node.rounds >= (BUG ? 3u : 14u) : node.growths >= 90;"),

    ("prune", "subsume.cpp", "if (!num::subset(number_of(s_, *sigma_[i]), symbol.num)) return false;",
     "if (!BUG && !num::subset(number_of(s_, *sigma_[i]), symbol.num)) return false;"),
    ("prune", "subsume.cpp", "if (sigma_[t]) return *sigma_[t] == v;", "if (sigma_[t]) return BUG || *sigma_[t] == v;"),
    ("prune", "subsume.cpp", "if (special.kind[b] == Byte::Unset) return false;", "if (special.kind[b] == Byte::Unset && !BUG) return false;"),
    ("prune", "subsume.cpp", "if (!same && !constant) return false;", "if (!same && !constant && !BUG) return false;"),
    ("prune", "subsume.cpp", "else if (!same)\n                            return false;\n                        parts", "else if (!same && !BUG)\n                            return false;\n                        parts"),
    ("prune", "subsume.cpp", "if (t.is_constant()) return s == t", "if (t.is_constant()) return BUG || s == t"),
    ("prune", "subsume.cpp", "|| !match(ghost.measure, found->measure)) return false;",
     "|| (!match(ghost.measure, found->measure) && !BUG)) return false;"),
    ("prune", "subsume.cpp", "if (t_.is_set(r) && !match(t_.regs[r], s_.regs[r])) return false;",
     "if (t_.is_set(r) && !match(t_.regs[r], s_.regs[r]) && !BUG) return false;"),
    ("prune", "search.cpp", "if (subsumes(nodes_[node].state, s)) return node;", "if ((BUG && i == 0) || subsumes(nodes_[node].state, s)) return node;"),

    ("refine", "../verify.cpp", "first), .unroll = 0, .direct = true,", "first), .unroll = BUG ? 2u : 0u, .direct = true,"),
    ("refine", "../verify.cpp", "{.disjuncts = options.disjuncts, .unroll = 0, .steps = base / 4 + size / 2},",
     "{.disjuncts = options.disjuncts, .unroll = BUG ? 4u : 0u, .steps = base / 4 + size / 2},"),
    ("refine", "../verify.cpp", "careful = read_structure(subject, true);", "careful = read_structure(subject, !BUG);"),
    ("refine", "search.cpp", "if (s.is_set(r) && (structure_.demand[after].regs >> r & 1) == 0) forget_number",
     "if (s.is_set(r) && (BUG || (structure_.demand[after].regs >> r & 1) == 0)) forget_number"),
    ("refine", "search.cpp", "if (s.is_set(r) && (regs >> r & 1) == 0) s.unset_reg(r);", "if (s.is_set(r) && (regs >> r & 1) == 0 && !BUG) s.unset_reg(r);"),
    ("refine", "search.cpp", "return (cells >> c & 1) == 0 && !(*frame.stack)[c].is_unset(); };",
     "return (cells >> c & 1) == 0 && !BUG && !(*frame.stack)[c].is_unset(); };"),
    ("refine", "search.cpp", "down && *down <= -1 ? Movement::Down", "down && *down <= (BUG ? 0 : -1) ? Movement::Down"),
    ("refine", "search.cpp", "if (!up) return v;", "if (!up || BUG) return v;"),
    ("refine", "search.cpp", "return !structure_.loops[c.loop].holds(at);", "return !BUG && !structure_.loops[c.loop].holds(at);"),
    ("refine", "search.cpp", "const uint32_t room = again ? strategy_.unroll : strategy_.disjuncts;",
     "const uint32_t room = BUG ? 1 : again ? strategy_.unroll : strategy_.disjuncts;"),
    ("refine", "search.cpp", "if (d && *d < least) least = *d, best = node;", "if (d && (BUG || *d < least)) least = *d, best = node;"),
    ("refine", "search.cpp", "targets.push_back(next.target);", "targets.insert(BUG ? targets.begin() : targets.end(), next.target);"),
    ("refine", "search.cpp", "if (measure) d.measured = true, d.measure = *measure;",
     "if (measure) d.measured = true, d.measure = BUG ? plus(*measure, 1) : *measure;"),
]

SWITCH = """// Generated by tests/seeded/seed.py.
#pragma once
namespace skep::verifier {
extern unsigned seeded_bug;
struct Mutant {
    unsigned number;
    const char* kind;
    const char* change;
};
inline constexpr Mutant mutants[] = {
@MUTANTS@};
constexpr bool seeded(unsigned number) {
    if consteval {
        return false;
    } else {
        return seeded_bug == number;
    }
}
}  // namespace skep::verifier
"""


def main() -> int:
    if sys.argv[1:] in (["--count"], ["--count-all"]):
        print(len(BUGS) + (len(MUTANTS) if sys.argv[1] == "--count-all" else 0))
        return 0
    source, target = (pathlib.Path(a) for a in sys.argv[1:])
    texts = {p.relative_to(source): p.read_text() for p in (source / "verifier").rglob("*.[ch]pp")
             if not p.name.endswith("_test.cpp")}
    edits = BUGS + [(str(pathlib.PurePath(name[3:] if name.startswith("../") else "search/" + name)), old, new)
                    for _, name, old, new in MUTANTS]
    wrong = False
    for number, (name, old, new) in enumerate(edits, 1):
        path = pathlib.Path("verifier") / name
        if texts[path].count(old) != 1:
            print(f"bug {number}: {name} has {texts[path].count(old)} times `{old}`", file=sys.stderr)
            wrong = True
        texts[path] = texts[path].replace(old, re.sub(r"\bBUG\b", f"::skep::verifier::seeded({number})", new))
    if wrong:
        return 1
    rows = "".join(f"    {{{number}, {json.dumps(kind)}, {json.dumps(' '.join(new.split()))}}},\n"
                   for number, (kind, _, _, new) in enumerate(MUTANTS, len(BUGS) + 1))
    texts[pathlib.Path("verifier/seeded.hpp")] = SWITCH.replace("@MUTANTS@", rows)
    texts[pathlib.Path("verifier/seeded.cpp")] = \
        '#include "verifier/seeded.hpp"\nunsigned skep::verifier::seeded_bug = 0;\n'
    changed = {pathlib.Path("verifier") / name for name, _, _ in edits}
    for path, text in texts.items():
        if path in changed:
            text = '#include "verifier/seeded.hpp"\n' + text
        out = target / path
        out.parent.mkdir(parents=True, exist_ok=True)
        if not out.exists() or out.read_text() != text:
            out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
