// SPDX-License-Identifier: Apache-2.0
#include "verifier/check/loops.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <unordered_map>

#include "verifier/state/numbers.hpp"

namespace skep::verifier::check {

namespace {

constexpr uint64_t saturated = UINT64_MAX;
uint64_t sum(uint64_t a, uint64_t b) { return a > saturated - b ? saturated : a + b; }
uint64_t product(uint64_t a, uint64_t b) { return b != 0 && a > saturated / b ? saturated : a * b; }

/// Instructions and helper calls, bounded side by side.
struct Cost {
    std::array<uint64_t, 2> part{};
    friend Cost operator+(const Cost& a, const Cost& b) {
        return {{sum(a.part[0], b.part[0]), sum(a.part[1], b.part[1])}};
    }
    friend Cost operator*(uint64_t n, const Cost& a) { return {{product(n, a.part[0]), product(n, a.part[1])}}; }
};

/// A longest way, or none.
struct Way {
    bool any = false;
    Cost cost;

    void meet(const Way& other) {
        if (!other.any) return;
        any = true;
        for (size_t i = 0; i < cost.part.size(); ++i) cost.part[i] = std::max(cost.part[i], other.cost.part[i]);
    }
    friend Way operator+(const Way& a, const Cost& b) { return {a.any, a.cost + b}; }
};

/// A strongly connected part with its group H, inside the part `parent` without that one's H. Loop 0 is all disjuncts,
/// entered once, with no H.
struct Loop {
    uint32_t parent = 0;
    unsigned depth = 0;
    uint64_t visits = 0;           ///< of H, in one stay
    bool entered_at_head = false;  ///< from outside
    Way way;                       ///< from the entry of the parent to the entry of this loop
    Way from_entry;                ///< as `way`, avoiding the parent's H
    Way from_head;                 ///< from the parent's H
    uint32_t place = 0;            ///< topological position among the parent's parts
    uint64_t passes = 0;           ///< in one run: how often each of its parts may be met

    std::vector<uint32_t> nodes;     ///< disjuncts directly in it, with H
    std::vector<uint32_t> children;  ///< loops directly in it
    std::vector<uint32_t> edges;     ///< between its parts, by source in topological order
    std::vector<uint32_t> entries;   ///< disjuncts outside H by which it is entered
};

class Nest {
  public:
    Nest(const Certificate& certificate, std::span<const uint32_t> roots, std::span<const Edge> edges)
        : certificate_(certificate), roots_(roots), edges_(edges), size_(certificate.disjuncts.size()) {}

    Bounds run() {
        index_edges();
        owner_.assign(size_, 0);
        head_.assign(size_, false);
        place_.assign(size_, 0);
        from_entry_.resize(size_);
        from_head_.resize(size_);
        way_.resize(size_);
        if (!build()) return out_;
        count_entries();
        sort_edges();
        Way total;
        for (size_t i = loops_.size(); i-- > 0;) total = measure(static_cast<uint32_t>(i));
        out_.ends = true;
        out_.instructions = total.cost.part[0];
        out_.helper_calls = total.cost.part[1];
        count_trips();
        return std::move(out_);
    }

  private:
    static constexpr unsigned deepest = 64;

    const Disjunct& disjunct(uint32_t d) const { return certificate_.disjuncts[d]; }
    std::span<const uint32_t> from(uint32_t d) const {
        return std::span(by_source_).subspan(first_[d], first_[d + 1] - first_[d]);
    }
    static Cost cost(const Edge& e) { return {{e.instructions, e.helper_calls}}; }

    void index_edges() {
        first_.assign(size_ + 1, 0);
        for (const Edge& e : edges_) ++first_[e.from + 1];
        for (size_t i = 0; i < size_; ++i) first_[i + 1] += first_[i];
        by_source_.resize(edges_.size());
        std::vector<uint32_t> next(first_.begin(), first_.end());
        for (uint32_t i = 0; i < edges_.size(); ++i) by_source_[next[edges_[i].from]++] = i;
    }

    // --- The nest of loops -----------------------------------------------------------------------------------------

    /// Takes all disjuncts apart. False: a circle without progress, `out_.stuck`.
    bool build() {
        loops_.push_back({});
        std::vector<std::vector<uint32_t>> members(1);  // by loop: what is still to be taken apart
        for (uint32_t d = 0; d < size_; ++d) members[0].push_back(d);
        for (uint32_t loop = 0; loop < loops_.size(); ++loop) {
            for (const std::vector<uint32_t>& part : components(members[loop], loop)) {
                const bool circle = part.size() > 1 || std::ranges::any_of(from(part[0]), [&](uint32_t e) {
                                        return edges_[e].to == part[0];
                                    });
                for (const uint32_t d : part) place_[d] = position_++;
                if (!circle) continue;
                const auto heads = choose(part);
                if (!heads || loops_[loop].depth == deepest) {
                    out_.stuck = part[0];
                    return false;
                }
                const auto made = static_cast<uint32_t>(loops_.size());
                Loop& child = loops_.emplace_back();
                child.parent = loop;
                child.depth = loops_[loop].depth + 1;
                child.visits = heads->visits;
                child.place = position_++;
                loops_[loop].children.push_back(made);
                members.emplace_back();
                for (const uint32_t d : part) {
                    owner_[d] = made;
                    head_[d] = is_member(d, *heads);
                    if (!head_[d]) members[made].push_back(d);
                }
            }
            members[loop] = {};
        }
        for (uint32_t d = 0; d < size_; ++d) loops_[owner_[d]].nodes.push_back(d);
        return true;
    }

    /// The strongly connected parts of a loop without its H, sources before targets. (Tarjan, without recursion.)
    std::vector<std::vector<uint32_t>> components(const std::vector<uint32_t>& nodes, uint32_t loop) {
        constexpr uint32_t unseen = 0;
        number_.resize(size_, unseen);
        low_.resize(size_);
        on_stack_.resize(size_, false);
        for (const uint32_t d : nodes) number_[d] = unseen;
        const auto inside = [&](uint32_t d) { return d != exit_node && owner_[d] == loop && !head_[d]; };
        std::vector<std::vector<uint32_t>> parts;
        struct Visit {
            uint32_t node, next;  ///< next: index into from(node)
        };
        std::vector<Visit> visits;
        std::vector<uint32_t> stack;
        uint32_t counter = 0;
        for (const uint32_t start : nodes) {
            if (number_[start] != unseen) continue;
            visits.push_back({start, 0});
            while (!visits.empty()) {
                const uint32_t d = visits.back().node;
                if (visits.back().next == 0) {
                    number_[d] = low_[d] = ++counter;
                    stack.push_back(d);
                    on_stack_[d] = true;
                }
                bool deeper = false;
                const auto edges = from(d);
                while (visits.back().next < edges.size() && !deeper) {
                    const uint32_t to = edges_[edges[visits.back().next++]].to;
                    if (!inside(to)) continue;
                    if (number_[to] == unseen) {
                        visits.push_back({to, 0});
                        deeper = true;
                    } else if (on_stack_[to]) {
                        low_[d] = std::min(low_[d], number_[to]);
                    }
                }
                if (deeper) continue;
                if (low_[d] == number_[d]) {
                    std::vector<uint32_t>& part = parts.emplace_back();
                    uint32_t member = 0;
                    do {
                        member = stack.back();
                        stack.pop_back();
                        on_stack_[member] = false;
                        part.push_back(member);
                    } while (member != d);
                }
                visits.pop_back();
                if (!visits.empty()) {
                    const uint32_t above = visits.back().node;
                    low_[above] = std::min(low_[above], low_[d]);
                }
            }
        }
        std::ranges::reverse(parts);
        return parts;
    }

    /// Disjuncts of one cut, or before the rounds of one callback.
    struct Group {
        uint64_t key = 0;
        uint64_t visits = 0;
    };
    static constexpr uint64_t callback_bit = uint64_t{1} << 63;
    static uint64_t measure_key(const Disjunct& d) { return d.cut; }
    static uint64_t callback_key(const Disjunct& d) {
        return callback_bit | uint64_t{d.state.at.insn} << 16 | d.state.callbacks.size();
    }
    static bool before_round(const Disjunct& d) {
        return d.state.at.phase == Phase::CallbackHead && !d.state.callbacks.empty();
    }
    bool is_member(uint32_t d, const Group& group) const {
        if ((group.key & callback_bit) == 0) return measure_key(disjunct(d)) == group.key;
        return before_round(disjunct(d)) && callback_key(disjunct(d)) == group.key;
    }

    /// The group by which a strongly connected part makes progress; of several that with the fewest visits.
    std::optional<Group> choose(const std::vector<uint32_t>& part) {
        struct Candidate {
            bool good = true;
            uint64_t decrease = saturated;
            int64_t low = INT64_MAX, high = INT64_MIN;
            uint64_t rounds = 0;
        };
        std::unordered_map<uint64_t, Candidate> candidates;
        part_of_.resize(size_, 0);
        ++part_number_;
        for (const uint32_t d : part) {
            part_of_[d] = part_number_;
            const Disjunct& at = disjunct(d);
            Candidate& by_measure = candidates[measure_key(at)];
            if (at.measured) {
                const Num n = number_of(at.state, at.measure);
                by_measure.low = std::min(by_measure.low, smin_of(n));
                by_measure.high = std::max(by_measure.high, smax_of(n));
            } else {
                by_measure.good = false;
            }
            if (!before_round(at)) continue;
            Candidate& by_round = candidates[callback_key(at)];
            by_round.rounds = std::max(by_round.rounds, number_of(at.state, at.state.callbacks.back().rounds).umax());
        }
        for (const uint32_t d : part) {
            for (const uint32_t index : from(d)) {
                const Edge& e = edges_[index];
                if (e.to == exit_node || part_of_[e.to] != part_number_) continue;
                const Disjunct& to = disjunct(e.to);
                Candidate& by_measure = candidates[measure_key(to)];
                by_measure.good = by_measure.good && e.decrease != 0;
                by_measure.decrease = std::min(by_measure.decrease, e.decrease);
                if (before_round(to) && !e.round) candidates[callback_key(to)].good = false;
            }
        }
        std::optional<Group> best;
        for (const auto& [key, c] : candidates) {
            if (!c.good) continue;
            const uint64_t visits =
                (key & callback_bit) != 0
                    ? sum(c.rounds, 1)
                    : sum((static_cast<uint64_t>(c.high) - static_cast<uint64_t>(c.low)) / c.decrease, 1);
            if (!best || visits < best->visits || (visits == best->visits && key < best->key))
                best = Group{key, visits};
        }
        return best;
    }

    // --- Costs -----------------------------------------------------------------------------------------------------

    /// The innermost loop that holds both; an exit is in loop 0.
    uint32_t common(uint32_t from, uint32_t to) const {
        uint32_t a = owner_[from], b = to == exit_node ? 0 : owner_[to];
        while (a != b) {
            uint32_t& deeper = loops_[a].depth >= loops_[b].depth ? a : b;
            deeper = loops_[deeper].parent;
        }
        return a;
    }
    void enter(uint32_t d, uint32_t outside) {
        for (uint32_t loop = owner_[d]; loop != outside; loop = loops_[loop].parent) {
            if (is_head(d, loop)) {
                loops_[loop].entered_at_head = true;
            } else {
                loops_[loop].entries.push_back(d);
            }
        }
    }
    void count_entries() {
        for (const Edge& e : edges_) {
            if (e.to != exit_node) enter(e.to, common(e.from, e.to));
        }
        for (const uint32_t d : roots_) {
            enter(d, 0);
            loops_[0].entries.push_back(d);
        }
    }
    bool is_head(uint32_t d, uint32_t loop) const { return head_[d] && owner_[d] == loop; }

    /// Each edge to the loop whose parts it joins, in the topological order of their sources. A head has the order of
    /// its loop's entry: it comes first in its own loop.
    void sort_edges() {
        for (uint32_t i = 0; i < edges_.size(); ++i) loops_[common(edges_[i].from, edges_[i].to)].edges.push_back(i);
        for (uint32_t loop = 0; loop < loops_.size(); ++loop) {
            const auto order = [&](uint32_t e) {
                const uint32_t d = edges_[e].from;
                return is_head(d, loop) ? 0 : uint64_t{part_position(d, loop)} + 1;
            };
            std::ranges::stable_sort(loops_[loop].edges, {}, order);
        }
    }

    /// The loop directly inside `loop` that holds d; `loop` itself if none does.
    uint32_t child(uint32_t d, uint32_t loop) const {
        uint32_t at = owner_[d];
        if (at == loop) return loop;
        while (loops_[at].parent != loop) at = loops_[at].parent;
        return at;
    }
    uint32_t part_position(uint32_t d, uint32_t loop) const {
        const uint32_t inner = child(d, loop);
        return inner == loop ? place_[d] : loops_[inner].place;
    }

    /// Ways of the parts of a loop: a disjunct's own, or a child loop's entry.
    Way& from_entry(uint32_t d, uint32_t loop) {
        const uint32_t inner = child(d, loop);
        return inner == loop ? from_entry_[d] : loops_[inner].from_entry;
    }
    Way& from_head(uint32_t d, uint32_t loop) {
        const uint32_t inner = child(d, loop);
        return inner == loop ? from_head_[d] : loops_[inner].from_head;
    }
    /// From the entry of the part of `loop` that holds d to d.
    Cost inside_part(uint32_t d, uint32_t loop) const {
        if (owner_[d] == loop) return {};
        Cost total = way_[d].cost;
        for (uint32_t at = owner_[d]; loops_[at].parent != loop; at = loops_[at].parent)
            total = total + loops_[at].way.cost;
        return total;
    }

    /// Fills in the ways from a loop's entry to its parts; its own loops are done. Gives the longest way to an exit.
    Way measure(uint32_t loop);
    void count_trips();

    const Certificate& certificate_;
    std::span<const uint32_t> roots_;
    std::span<const Edge> edges_;
    size_t size_;
    std::vector<uint32_t> first_, by_source_;

    std::vector<Loop> loops_;      ///< parents before children
    std::vector<uint32_t> owner_;  ///< by disjunct: the innermost loop that holds it
    std::vector<bool> head_;       ///< by disjunct: in its owner's H
    std::vector<uint32_t> place_;  ///< by disjunct: topological position in the loop it was a part of
    uint32_t position_ = 0;

    std::vector<uint32_t> number_, low_;
    std::vector<bool> on_stack_;
    std::vector<uint32_t> part_of_;
    uint32_t part_number_ = 0;

    std::vector<Way> from_entry_, from_head_, way_;  ///< by disjunct, in its owner
    Bounds out_;
};

Way Nest::measure(uint32_t index) {
    Loop& loop = loops_[index];
    for (const uint32_t d : loop.entries) from_entry(d, index).meet({true, {}});
    Way exit, first_visit, round;
    for (const uint32_t i : loop.edges) {
        const Edge& e = edges_[i];
        const bool at_head = is_head(e.from, index);
        const Cost step = inside_part(e.from, index) + cost(e);
        const Way entry_way = (at_head ? Way{} : from_entry(e.from, index)) + step;
        const Way head_way = (at_head ? Way{true, {}} : from_head(e.from, index)) + step;
        if (e.to == exit_node) {
            exit.meet(entry_way);
        } else if (is_head(e.to, index)) {
            first_visit.meet(entry_way);
            round.meet(head_way);
        } else {
            from_entry(e.to, index).meet(entry_way);
            from_head(e.to, index).meet(head_way);
        }
    }
    Way last_visit = first_visit;
    if (loop.entered_at_head) last_visit.meet({true, {}});
    if (loop.visits > 1 && round.any) last_visit = last_visit + (loop.visits - 1) * round.cost;
    const auto way = [&](const Way& entry_way, const Way& head_way) {
        Way best = entry_way;
        if (last_visit.any && head_way.any) best.meet(last_visit + head_way.cost);
        return best;
    };
    for (const uint32_t d : loop.nodes) way_[d] = is_head(d, index) ? last_visit : way(from_entry_[d], from_head_[d]);
    for (const uint32_t c : loop.children) loops_[c].way = way(loops_[c].from_entry, loops_[c].from_head);
    return exit;
}

/// In each stay in a loop H is visited `visits` times, and the other parts at most once between two visits, before the
/// first and after the last.
void Nest::count_trips() {
    for (uint32_t i = 0; i < loops_.size(); ++i) {
        Loop& loop = loops_[i];
        const uint64_t stays = i == 0 ? 1 : loops_[loop.parent].passes;
        loop.passes = i == 0 ? 1 : product(stays, sum(loop.visits, loop.entries.empty() ? 0 : 1));
        for (const uint32_t d : loop.nodes) {
            if (!head_[d] || disjunct(d).state.at.phase != Phase::Normal) continue;
            out_.trips.try_emplace(disjunct(d).state.at.insn, 0);
        }
    }
    for (const Loop& loop : loops_) {
        std::set<isa::InsnIndex> counted;  // H as a whole is visited so often
        for (const uint32_t d : loop.nodes) {
            const Place& at = disjunct(d).state.at;
            const auto trip = out_.trips.find(at.insn);
            if (at.phase != Phase::Normal || trip == out_.trips.end()) continue;
            if (!head_[d]) {
                trip->second = sum(trip->second, loop.passes);
            } else if (counted.insert(at.insn).second) {
                trip->second = sum(trip->second, product(loops_[loop.parent].passes, loop.visits));
            }
        }
    }
}

}  // namespace

Bounds bound_runs(const Certificate& certificate, std::span<const uint32_t> roots, std::span<const Edge> edges) {
    return Nest(certificate, roots, edges).run();
}

}  // namespace skep::verifier::check
