// SPDX-License-Identifier: Apache-2.0
#include "verifier/search/search.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <iterator>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "verifier/certificate/cuts.hpp"
#include "verifier/rules/rules.hpp"
#include "verifier/search/join.hpp"
#include "verifier/search/nodes.hpp"
#include "verifier/search/subsume.hpp"
#include "verifier/state/numbers.hpp"

namespace skep::verifier {

namespace {

using isa::InsnIndex;
constexpr uint32_t per_cut = most_candidates;        // ghost ids: cut * per_cut + candidate
constexpr uint64_t most_rounds = uint64_t{1} << 33;  // a loop that may run longer counts as unbounded
constexpr uint64_t bytes_per_slot = 140;             // Structure, and what the checker keeps
constexpr size_t most_cuts = 80'000;                 // and two for each slot: places times calling contexts

class Search {
  public:
    Search(const Subject& subject, const Structure& structure, const Strategy& strategy, Statistics& statistics)
        : subject_(subject),
          structure_(structure),
          strategy_(strategy),
          statistics_(statistics),
          rules_(subject),
          queue_(Order{this}),
          thresholds_(structure.thresholds),
          by_function_(subject.linked().subprograms.size(), 0),
          memory_(structure.code.size() * bytes_per_slot) {}

    SearchResult run() {
        roots_.push_back({arrive(rules_.entry_state(), none, none, false), 0, no_map});
        while (!failure_ && !queue_.empty()) {
            const uint32_t node = *queue_.begin();
            queue_.erase(queue_.begin());
            nodes_[node].queued = false;
            const uint64_t before = work_ - arrivals_;
            walk(node);
            cuts_[nodes_[node].cut].work += work_ - arrivals_ - before;
        }
        if (limit_) name_hot_spot();
        SearchResult result;
        if (!failure_) choose_measures();
        statistics_.cuts = static_cast<uint32_t>(cuts_.size());
        statistics_.disjuncts = static_cast<uint32_t>(nodes_.size());
        if (failure_) {
            result.failure = std::move(failure_);
        } else {
            result.certificate = certificate();
        }
        return result;
    }

  private:
    struct Order {
        const Search* search;
        bool operator()(uint32_t a, uint32_t b) const {
            const auto &ra = search->cuts_[search->nodes_[a].cut].rank, &rb = search->cuts_[search->nodes_[b].cut].rank;
            if (ra != rb) return ra < rb;
            return a < b;
        }
    };

    // Ghosts.

    /// The value of a candidate in a state at its head: a register's or cell's number, of a pointer its offset.
    static std::optional<Val> candidate_value(const State& s, const Candidate& candidate) {
        std::optional<Val> v;
        if (candidate.reg != 0xff) {
            if (s.is_set(candidate.reg)) v = s.reg(candidate.reg);
        } else if (s.frames.back().stack != nullptr && candidate.cell < s.frames.back().stack->size()) {
            const Cell& cell = (*s.frames.back().stack)[candidate.cell];
            v = candidate.bytes == 4 ? half_of(s, cell, candidate.low) : cell.is_whole() ? std::optional(cell.val) : v;
        }
        if (!v) return {};
        if (const auto pointer = pointer_of(s, *v)) return pointer->offset;
        if (is_tainted(s, *v)) return {};
        return v;
    }

    void set_ghosts(State& s, uint32_t cut) const {
        const Cut& c = cuts_[cut];
        std::erase_if(s.ghosts, [&](const Ghost& g) { return g.cut / per_cut == cut; });
        if (c.loop == none) return;
        const auto& candidates = structure_.loops[c.loop].candidates;
        for (uint32_t i = 0; i < candidates.size(); ++i) {
            if (c.movement[i] == Movement::Neither) continue;
            if (const auto v = candidate_value(s, candidates[i])) s.ghosts.push_back({cut * per_cut + i, *v});
        }
    }

    /// Ghosts of loops that the state has left, or that have lost their use.
    void drop_ghosts(State& s) const {
        std::erase_if(s.ghosts, [&](const Ghost& g) {
            const Cut& c = cuts_[g.cut / per_cut];
            if (c.movement[g.cut % per_cut] == Movement::Neither) return true;
            const size_t depth = c.calls.size() + 1;  // frames at the head
            if (s.frames.size() < depth) return true;
            for (size_t i = 1; i < depth; ++i) {
                if (s.frames[i].call != c.calls[i - 1]) return true;
            }
            const InsnIndex at = s.frames.size() == depth ? s.at.insn : s.frames[depth].call;
            return !structure_.loops[c.loop].holds(at);
        });
    }

    /// Compares an arrival from the loop's own body with the last visit. True: it is one.
    bool note_movement(const State& s, Cut& c, uint32_t cut) {
        bool again = false;
        for (const Ghost& g : s.ghosts) {
            if (g.cut / per_cut != cut) continue;
            again = true;
            Movement& movement = c.movement[g.cut % per_cut];
            if (movement == Movement::Neither) continue;
            const auto now = candidate_value(s, structure_.loops[c.loop].candidates[g.cut % per_cut]);
            const auto up = now ? upper_difference(s, g.measure, *now) : std::nullopt;
            const auto down = now ? upper_difference(s, *now, g.measure) : std::nullopt;
            const Movement seen = up && *up <= -1       ? Movement::Up
                                  : down && *down <= -1 ? Movement::Down
                                                        : Movement::Neither;
            movement = movement == Movement::Unknown || movement == seen ? seen : Movement::Neither;
        }
        return again;
    }

    /// A number that nothing depends on: any number.
    static void forget_number(State& s, Val& v) {
        if (is_tainted(s, v)) return;
        v = Val::symbol(new_symbol(s, Num::unknown(), no_insn));
    }
    static void forget_cell(const State& s, Cell& cell) {
        if (cell.has_part() && is_tainted(s, cell.val)) return;
        for (unsigned i = 0; i < 8; ++i) {
            if (cell.kind[i] != Byte::Unset) cell.kind[i] = Byte::Misc;
            cell.detail[i] = 0;
        }
        cell.val = {};
    }
    static bool is_forgotten(const State& s, const Cell& cell) {
        if (cell.has_part() && is_tainted(s, cell.val)) return true;
        return std::none_of(cell.kind.begin(), cell.kind.end(),
                            [](Byte b) { return b == Byte::Part || b == Byte::Const; });
    }

    // Projection: what no later instruction reads is forgotten, and numbers that nothing is decided by.
    void project(State& s) const {
        const bool head = s.at.phase == Phase::CallbackHead;
        const InsnIndex after = head ? s.at.insn + 1 : s.at.insn;
        const uint16_t regs = structure_.live[after].regs;
        for (unsigned r = 0; r < s.regs.size(); ++r) {
            if (s.is_set(r) && (regs >> r & 1) == 0) s.unset_reg(r);
            if (s.is_set(r) && (structure_.demand[after].regs >> r & 1) == 0) forget_number(s, s.regs[r]);
        }
        for (size_t i = 0; i < s.frames.size(); ++i) {
            Frame& frame = s.frames[i];
            if (i > 0) {
                const uint16_t later = structure_.live[frame.call + 1].regs;
                for (unsigned k = 0; k < 4; ++k) {
                    if ((later >> (6 + k) & 1) != 0) {
                        const uint16_t demand = structure_.demand[frame.call + 1].regs;
                        const bool held = (frame.saved_set >> k & 1) != 0;
                        if (held && (demand >> (6 + k) & 1) == 0) forget_number(s, frame.saved[k]);
                        continue;
                    }
                    frame.saved_set = static_cast<uint8_t>(frame.saved_set & ~(1u << k));
                    frame.saved[k] = {};
                }
            }
            if (frame.stack == nullptr) continue;
            const InsnIndex at = i + 1 < s.frames.size() ? s.frames[i + 1].call : s.at.insn;
            const uint64_t cells = structure_.live[at].cells, wanted = structure_.demand[at].cells;
            const auto dead = [&](size_t c) { return (cells >> c & 1) == 0 && !(*frame.stack)[c].is_unset(); };
            size_t keep = frame.stack->size();
            while (keep > 0 && ((*frame.stack)[keep - 1].is_unset() || dead(keep - 1))) --keep;
            bool change = keep != frame.stack->size();
            for (size_t c = 0; c < keep && !change; ++c) {
                change = dead(c) || ((wanted >> c & 1) == 0 && !is_forgotten(s, (*frame.stack)[c]));
            }
            if (!change) continue;
            Stack& stack = frame.own_stack();
            stack.resize(keep);
            for (size_t c = 0; c < keep; ++c) {
                if ((cells >> c & 1) == 0)
                    stack[c] = {};
                else if ((wanted >> c & 1) == 0)
                    forget_cell(s, stack[c]);
            }
            if (keep == 0) frame.stack = nullptr;
        }
        compact(s);
    }

    uint32_t find_cut(const State& s) {
        std::vector<InsnIndex> calls;
        uint64_t hash = s.at.insn * 2 + (s.at.phase == Phase::CallbackHead ? 1 : 0);
        for (size_t i = 1; i < s.frames.size(); ++i) {
            calls.push_back(s.frames[i].call);
            hash = hash * 0x9e3779b97f4a7c15 + s.frames[i].call + 1;
        }
        const auto [first, is_new] = by_hash_.try_emplace(hash, static_cast<uint32_t>(cuts_.size()));
        if (!is_new) {
            for (uint32_t cut = first->second; cut != none; cut = cuts_[cut].next) {
                if (cuts_[cut].place == s.at && cuts_[cut].calls == calls) return cut;
            }
        }
        Cut cut;
        cut.place = s.at;
        for (const InsnIndex call : calls) cut.rank.push_back(structure_.order[call]);
        cut.rank.push_back(structure_.order[s.at.insn]);
        cut.calls = std::move(calls);
        if (s.at.phase == Phase::Normal) cut.loop = structure_.loop_at[s.at.insn];
        if (cut.loop != none) cut.movement.assign(structure_.loops[cut.loop].candidates.size(), Movement::Unknown);
        if (!is_new) cut.next = std::exchange(first->second, static_cast<uint32_t>(cuts_.size()));
        memory_ += sizeof(Cut) + 128;
        cuts_.push_back(std::move(cut));
        return static_cast<uint32_t>(cuts_.size() - 1);
    }

    void enqueue(uint32_t node) {
        if (nodes_[node].queued) return;
        nodes_[node].queued = true;
        queue_.insert(node);
    }

    uint32_t add_node(State&& s, uint32_t cut, uint32_t from, uint32_t path) {
        Node node;
        node.cut = cut;
        node.parent = from;
        node.path = path;
        node.exact = !s.lossy;
        memory_ += sizeof(State) + s.symbols.size() * sizeof(Symbol) + 64;
        for (const Frame& f : s.frames) memory_ += f.stack == nullptr ? 0 : f.stack->size() * sizeof(Cell);
        node.state = std::move(s);
        nodes_.push_back(std::move(node));
        const auto index = static_cast<uint32_t>(nodes_.size() - 1);
        cuts_[cut].nodes.push_back(index);
        enqueue(index);
        if (memory_ > subject_.options.memory_budget)
            limit(Rule::MemoryLimit,
                  fmt::format("the states that are kept need more than {} MiB", subject_.options.memory_budget >> 20));
        statistics_.peak_state_bytes = std::max<uint64_t>(statistics_.peak_state_bytes, memory_);
        return index;
    }

    void limit(Rule rule, std::string what, InsnIndex at = no_insn) {
        if (failure_) return;
        Failure failure;
        failure.rule = rule;
        failure.insn = at;
        failure.what = std::move(what);
        failure_ = std::move(failure);
        limit_ = true;
    }

    /// What took the most work, all calling contexts together, is what the user has to change: a place, or a function
    /// where no place of it stands out.
    void name_hot_spot() {
        struct Spot {
            uint64_t work = 0, visits = 0;
            size_t contexts = 0;
        };
        const auto function = static_cast<uint16_t>(std::ranges::max_element(by_function_) - by_function_.begin());
        const object::Subprogram& hot = subject_.linked().subprograms[function];
        std::unordered_map<InsnIndex, Spot> spots;
        for (const Cut& cut : cuts_) {
            if (structure_.function[cut.place.insn] != function) continue;
            Spot& spot = spots[cut.place.insn];
            spot.work += cut.work, spot.visits += cut.visits, ++spot.contexts;
        }
        InsnIndex place = hot.start;
        for (const auto& [at, spot] : spots) {
            const uint64_t most = spots[place].work;
            if (spot.work > most || (spot.work == most && at < place)) place = at;
        }
        const Spot& spot = spots[place];
        const uint64_t all = std::max<uint64_t>(work_, 1);
        const uint32_t inner = structure_.inner_loop[place];
        Failure& failure = *failure_;
        if (inner != none || spot.work * 5 >= all) {
            failure.known = fmt::format("the hot spot is instruction {} of `{}`", place, hot.name);
            if (inner != none) {
                const Loop& loop = structure_.loops[inner];
                failure.known += fmt::format(", {} the loop from {} to {}", loop.head == place ? "the head of" : "in",
                                             loop.first, loop.first + loop.body.size() - 1);
            }
            failure.known += fmt::format(": {} % of the work, {} visits", spot.work * 100 / all, spot.visits);
            if (spot.contexts > 1) failure.known += fmt::format(" in {} calling contexts", spot.contexts);
        } else {
            place = hot.start;
            failure.known = fmt::format("the hot spot is function `{}`, instructions {} to {}: {} % of the work",
                                        hot.name, hot.start, hot.end - 1, by_function_[function] * 100 / all);
        }
        if (failure.insn == no_insn) failure.insn = place;
    }

    /// How much there is to look at in a state: what one comparison or copy of it costs, in about thirty-seconds of an
    /// instruction's step.
    static uint64_t size_of(const State& s) {
        uint64_t size = s.symbols.size() + 4 * s.relations.size();
        for (const Frame& f : s.frames) size += f.stack == nullptr ? 0 : f.stack->size();
        return size;
    }

    /// Counts work against the budget. False: it is used up.
    bool spend(uint64_t work) {
        work_ += work;
        if (work_ > strategy_.steps) {
            limit(Rule::StepLimit, fmt::format("more than {} abstract steps", strategy_.steps));
            return false;
        }
        if (strategy_.deadline && work_ >= next_look_) {
            next_look_ = work_ + 4096;
            if (std::chrono::steady_clock::now() > *strategy_.deadline) {
                limit(Rule::StepLimit, "more time than was given");
                return false;
            }
        }
        return true;
    }

    /// A state at a cut: it is inside a node, becomes one, or is joined to one. The node's index.
    uint32_t arrive(State&& s, uint32_t from, uint32_t path, bool round) {
        drop_ghosts(s);
        const uint32_t cut = find_cut(s);
        if (cuts_.size() > most_cuts + 2 * structure_.code.size())
            limit(Rule::ContextLimit, "too many places times calling contexts");
        bool again = round;
        if (cuts_[cut].loop != none) again = note_movement(s, cuts_[cut], cut) || again;
        std::erase_if(s.ghosts, [&](const Ghost& g) { return g.cut / per_cut == cut; });
        project(s);
        Cut& c = cuts_[cut];
        c.revisited = c.revisited || again;
        ++c.visits;
        const uint64_t size = size_of(s);
        uint64_t work = 1 + size / 8;
        const uint32_t node = settle(std::move(s), cut, from, path, again, size, work);
        cuts_[cut].work += work;
        arrivals_ += work;
        by_function_[structure_.function[cuts_[cut].place.insn]] += work;
        spend(work);
        return node;
    }

    uint32_t settle(State&& s, uint32_t cut, uint32_t from, uint32_t path, bool again, uint64_t size, uint64_t& work) {
        Cut& c = cuts_[cut];
        // The latest first: they are most like it. Older ones are looked at up to a bound, so that the work per arrival
        // is bounded; each look counts as a step.
        constexpr size_t looks = 64;
        for (size_t i = 0; i < c.nodes.size() && i < looks; ++i) {
            const uint32_t node = c.nodes[c.nodes.size() - 1 - i];
            ++statistics_.steps;
            work += 1 + size / 32;
            if (subsumes(nodes_[node].state, s)) return node;
        }
        // Room is counted per kind: states whose locations hold different kinds of things stay apart as long as they
        // can, since a join of them forgets what they point to.
        constexpr unsigned unlike = 32;
        const uint32_t room = again ? strategy_.unroll : strategy_.disjuncts;
        const size_t all_kinds = size_t{strategy_.disjuncts} * 8;
        uint32_t best = none;
        unsigned least = UINT32_MAX;
        size_t alike = 0;
        std::vector<uint32_t> like_it;
        if (c.nodes.size() >= room) {
            for (const uint32_t node : c.nodes) {
                const auto d = distance(nodes_[node].state, s);
                if (d && *d < unlike) ++alike, like_it.push_back(node);
                if (d && *d < least) least = *d, best = node;
            }
            statistics_.steps += c.nodes.size() / 8;
            work += c.nodes.size() * (4 + size) / 32;
        }
        if (strategy_.places && best != none && least > 0 && !again && alike >= room &&
            merge_nearest(cut, like_it, least, size, work))
            return add_node(std::move(s), cut, from, path);
        const bool of_its_kind = least < unlike;
        if (alike < room || (!of_its_kind && c.nodes.size() < all_kinds)) {
            if (c.nodes.size() < all_kinds || c.nodes.size() < room) return add_node(std::move(s), cut, from, path);
        }
        if (best != none) {
            Node& node = nodes_[best];
            if (c.nodes.size() > looks && subsumes(node.state, s)) return best;
            Widening widening;
            // What grows because a loop around grows is widened at that one's head.
            const bool circle = again && (c.loop != none || s.at.phase == Phase::CallbackHead);
            widening.places = strategy_.places;
            widening.head = circle;
            widening.on = circle ? node.rounds >= 2 : node.growths >= 60;
            if (circle && c.loop != none) widening.kept = static_cast<uint16_t>(~structure_.loops[c.loop].writes);
            widening.far = circle ? node.rounds >= 14 : node.growths >= 90;
            widening.thresholds = thresholds_;
            std::vector<uint64_t> direct;
            if (strategy_.direct && c.loop != none) {
                const auto& compared = structure_.loops[c.loop].compared;
                if (!compared.empty() || !noted_.empty()) {
                    std::ranges::set_union(compared, noted_, std::back_inserter(direct));
                    direct.insert(direct.begin(), 0);
                    direct.push_back(UINT64_MAX);
                    // A counter may be told in another value's symbol (both rise by one): what bounds it bounds that
                    // one from afar, so there must be stops on the way to the end.
                    for (const unsigned bits : {8, 16, 24, 32, 63}) direct.push_back((uint64_t{1} << bits) - 1);
                    std::ranges::sort(direct);
                    widening.thresholds = direct;
                }
            }
            work += 2 + size / 4;
            if (auto joined = join(node.state, s, widening)) {
                ++statistics_.joins;
                if (widening.on) ++statistics_.widenings;
                std::erase_if(joined->ghosts, [&](const Ghost& g) { return g.cut / per_cut == cut; });
                ++node.growths;
                node.rounds += circle ? 1 : 0;
                if (node.growths > 400) limit(Rule::StepLimit, "the states at this place do not settle", s.at.insn);
                node.state = std::move(*joined);
                enqueue(best);
                return best;
            }
        }
        if (c.nodes.size() < size_t{strategy_.disjuncts} * 8 + 64) return add_node(std::move(s), cut, from, path);
        limit(Rule::StepLimit, "too many different states at this place", s.at.insn);
        return c.nodes.front();
    }

    /// Makes one node of two of these that differ less from each other than the state that is about to be joined
    /// differs from any: what tells states apart lasts longer than what does not. Who arrived in the one has arrived in
    /// the other.
    bool merge_nearest(uint32_t cut, const std::vector<uint32_t>& among, unsigned least, uint64_t size,
                       uint64_t& work) {
        constexpr size_t most_nodes = 16;
        constexpr uint32_t most_mergers = 32;
        Cut& c = cuts_[cut];
        if (among.size() > most_nodes || c.mergers >= most_mergers) return false;
        uint32_t kept = none, gone = none;
        for (size_t i = 0; i < among.size(); ++i) {
            for (size_t k = i + 1; k < among.size(); ++k) {
                const auto d = distance(nodes_[among[i]].state, nodes_[among[k]].state);
                if (d && *d < least) least = *d, kept = among[i], gone = among[k];
            }
        }
        work += among.size() * among.size() * (4 + size) / 64;
        if (kept == none) return false;
        Widening telling;
        telling.places = true;
        auto joined = join(nodes_[kept].state, nodes_[gone].state, telling);
        if (!joined) return false;
        work += 2 + size / 4;
        ++c.mergers;
        ++statistics_.joins;
        ++nodes_[kept].growths;
        nodes_[kept].rounds = std::max(nodes_[kept].rounds, nodes_[gone].rounds);
        nodes_[kept].state = std::move(*joined);
        nodes_[gone].inside = kept;
        std::erase(c.nodes, gone);
        if (nodes_[gone].queued) {
            queue_.erase(gone);
            nodes_[gone].queued = false;
        }
        enqueue(kept);
        return true;
    }

    /// The node that stands for this one now.
    uint32_t standing(uint32_t node) const {
        while (nodes_[node].inside != none) node = nodes_[node].inside;
        return node;
    }

    bool stops(const State& s) const { return s.at.phase == Phase::CallbackHead || structure_.is_cut[s.at.insn]; }

    /// Executes the tree that begins in a node.
    void walk(uint32_t index) {
        struct Pending {
            std::optional<State> state;
            uint32_t path;
            uint32_t target;  // without a state: it has arrived already
        };
        std::vector<Pending> pending;
        std::vector<uint32_t> targets;
        State s = nodes_[index].state;
        set_ghosts(s, nodes_[index].cut);
        uint32_t path = none;
        bool going = true, exits = false;
        while (going || !pending.empty()) {
            if (!going) {
                Pending next = std::move(pending.back());
                pending.pop_back();
                if (!next.state) {
                    targets.push_back(next.target);
                    continue;
                }
                s = std::move(*next.state);
                path = next.path;
                going = true;
            }
            ++statistics_.steps;
            const InsnIndex at = s.at.insn;
            ++by_function_[structure_.function[at]];
            if (!spend(1)) return;
            const isa::Insn& insn = structure_.code[at];
            if (insn.row().form == isa::Form::JumpSrc && !structure_.loops.empty()) note_bounds(s, insn);
            Outcome out = rules_.step(s, insn);
            limit_symbols(s);
            if (out.notes.later_map != no_map) note_root(out.notes.later_function, out.notes.later_map);
            switch (out.flow) {
                case Flow::Failed:
                    // A step that fails has changed next to nothing.
                    out.failure->state = std::make_shared<const State>(std::move(s));
                    fail(std::move(*out.failure), index, path);
                    return;
                case Flow::Exit: exits = true; [[fallthrough]];
                case Flow::Dead: going = false; continue;
                case Flow::Next:
                    if (out.taken) path = turn(path, at, Step::Kind::Taken);
                    break;
                case Flow::Fork: {
                    spend(size_of(s) / 16);
                    const uint32_t other_path = turn(path, at, Step::Kind::Taken);
                    path = turn(path, at, Step::Kind::NotTaken);
                    if (stops(*out.other)) {
                        pending.push_back({{}, none, arrive(std::move(*out.other), index, other_path, false)});
                    } else {
                        pending.push_back({std::move(out.other), other_path, none});
                    }
                    break;
                }
            }
            if (failure_) return;
            if (stops(s)) {
                targets.push_back(arrive(std::move(s), index, path, out.callback_round));
                going = false;
                if (failure_) return;
            }
        }
        nodes_[index].targets = std::move(targets);
        nodes_[index].exits = exits;
    }

    bool moves_in_loop(unsigned reg, InsnIndex at) const {
        for (uint32_t loop = structure_.inner_loop[at]; loop != none; loop = structure_.loops[loop].outer) {
            if ((structure_.loops[loop].moves >> reg & 1) != 0) return true;
        }
        return false;
    }

    /// What a comparison bounds a loop's values by, where that is no constant: widening stops there too.
    void note_bounds(const State& s, const isa::Insn& insn) {
        if (s.at.phase != Phase::Normal || noted_.size() > 200) return;
        const bool inside = structure_.inner_loop[s.at.insn] != none;
        for (const unsigned reg : {insn.dst, insn.src}) {
            if (!s.is_set(reg) || moves_in_loop(reg, s.at.insn)) continue;
            const auto pointer = pointer_of(s, s.reg(reg));
            const Num n = number_of(s, pointer ? pointer->offset : s.reg(reg));
            for (const uint64_t bound : {n.umax(), n.umax() + 1, n.smax(), n.smax() + 1, n.umin(), n.umin() - 1}) {
                const auto noted = std::ranges::lower_bound(noted_, bound);
                const bool is_new = noted == noted_.end() || *noted != bound;
                // Outside of loops nothing says how often one runs.
                if (is_new && inside && noted_.size() < 1000) noted_.insert(noted, bound);
                if (n.is_constant()) continue;
                const auto place = std::lower_bound(thresholds_.begin(), thresholds_.end(), bound);
                if (*place != bound) thresholds_.insert(place, bound);  // the last one is the largest word
            }
        }
    }

    void note_root(uint16_t function, uint16_t map) {
        for (const Root& root : roots_) {
            if (root.map == map && root.function == function) return;
        }
        const size_t slot = roots_.size();
        roots_.push_back({none, function, map});
        roots_[slot].disjunct = arrive(rules_.callback_state(function, map), none, none, false);
    }

    uint32_t turn(uint32_t before, InsnIndex insn, Step::Kind kind) {
        turns_.push_back({before, insn, kind});
        return static_cast<uint32_t>(turns_.size() - 1);
    }

    void fail(Failure&& failure, uint32_t node, uint32_t path) {
        std::vector<Step> steps;
        for (unsigned hops = 0; hops < 200; ++hops) {
            for (; path != none; path = turns_[path].before)
                steps.push_back({turns_[path].insn, turns_[path].kind, {}});
            path = nodes_[node].path;
            node = nodes_[node].parent;
            if (node == none) break;
        }
        std::reverse(steps.begin(), steps.end());
        failure.path = std::move(steps);
        failure_ = std::move(failure);
    }

    // What the certificate says of loops.

    struct Measure {
        uint32_t candidate = none;
        bool up = false;
    };

    /// A value that rises, told as one that falls: -v - 1, which is in range for every signed word v.
    static std::optional<Val> falling(const Val& v, bool up) {
        if (!up) return v;
        const auto negated = multiply(v, -1);
        if (!negated) return {};
        return plus(*negated, ~uint64_t{0});
    }

    void choose_measures() {
        measures_.assign(cuts_.size(), {});
        for (uint32_t i = 0; i < cuts_.size(); ++i) {
            const Cut& c = cuts_[i];
            if (c.loop == none || !(c.revisited || c.movement.empty() || !leaves(i))) continue;
            uint64_t shortest = UINT64_MAX;
            for (uint32_t k = 0; k < c.movement.size(); ++k) {
                if (c.movement[k] != Movement::Up && c.movement[k] != Movement::Down) continue;
                int64_t low = INT64_MAX, high = INT64_MIN;
                bool all = true;
                for (const uint32_t n : c.nodes) {
                    const auto v = candidate_value(nodes_[n].state, structure_.loops[c.loop].candidates[k]);
                    if (!v) {
                        all = false;
                        break;
                    }
                    const Num number = number_of(nodes_[n].state, *v);
                    low = std::min(low, smin_of(number)), high = std::max(high, smax_of(number));
                }
                if (!all) continue;
                const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
                if (range >= shortest) continue;
                shortest = range;
                measures_[i] = {k, c.movement[k] == Movement::Up};
            }
            if (shortest >= most_rounds && in_cycle(i)) {
                Failure failure;
                const bool endless = !leaves(i);
                failure.rule = endless ? Rule::EndlessLoop : Rule::UnboundedLoop;
                failure.certain =
                    endless && std::any_of(c.nodes.begin(), c.nodes.end(), [&](uint32_t n) { return nodes_[n].exact; });
                failure.insn = c.place.insn;
                failure.what = endless ? "no run that gets here ever ends"
                               : measures_[i].candidate == none
                                   ? "nothing that moves one way each round is known of this loop"
                                   : "the loop's counter has no useful bound";
                failure.needs = "a number that each round makes larger (or smaller), and a bound on it";
                failure.hint = "compare the counter with a constant: for (i = 0; i < MAX && i < n; i++)";
                failure_ = std::move(failure);
                return;
            }
        }
    }

    /// Whether a run at the cut can get to the program's end.
    bool leaves(uint32_t cut) const {
        std::vector<bool> seen(nodes_.size(), false);
        std::vector<uint32_t> todo = cuts_[cut].nodes;
        while (!todo.empty()) {
            const uint32_t n = standing(todo.back());
            todo.pop_back();
            if (seen[n]) continue;
            seen[n] = true;
            if (nodes_[n].exits) return true;
            todo.insert(todo.end(), nodes_[n].targets.begin(), nodes_[n].targets.end());
        }
        return false;
    }

    /// Whether a node of the cut can reach itself over the last walks' edges.
    bool in_cycle(uint32_t cut) const {
        for (const uint32_t first : cuts_[cut].nodes) {
            std::vector<bool> seen(nodes_.size(), false);
            std::vector<uint32_t> todo = nodes_[first].targets;
            while (!todo.empty()) {
                const uint32_t n = standing(todo.back());
                todo.pop_back();
                if (n == first) return true;
                if (seen[n]) continue;
                seen[n] = true;
                todo.insert(todo.end(), nodes_[n].targets.begin(), nodes_[n].targets.end());
            }
        }
        return false;
    }

    Certificate certificate() {
        Certificate out;
        for (InsnIndex at = 0; at < structure_.is_cut.size(); ++at) {
            if (structure_.is_cut[at]) out.cuts.push_back(at);
        }
        std::vector<uint32_t> number(nodes_.size(), none), order;
        const auto use = [&](uint32_t node) {
            if (number[node] != none) return;
            number[node] = static_cast<uint32_t>(order.size());
            order.push_back(node);
        };
        for (Root& root : roots_) root.disjunct = standing(root.disjunct), use(root.disjunct);
        for (size_t i = 0; i < order.size(); ++i) {
            for (uint32_t& target : nodes_[order[i]].targets) target = standing(target), use(target);
        }
        std::vector<uint32_t> cut_number(cuts_.size(), none);
        uint32_t cuts = 0;
        for (const uint32_t node : order) {
            if (cut_number[nodes_[node].cut] == none) cut_number[nodes_[node].cut] = cuts++;
        }
        out.disjuncts.reserve(order.size());
        for (const uint32_t node : order) {
            Disjunct d;
            d.cut = cut_number[nodes_[node].cut];
            d.state = std::move(nodes_[node].state);
            std::vector<Ghost> ghosts;
            for (const Ghost& g : d.state.ghosts) {
                const uint32_t cut = g.cut / per_cut;
                if (measures_[cut].candidate != g.cut % per_cut || cut_number[cut] == none) continue;
                const auto measure = falling(g.measure, measures_[cut].up);
                if (measure) ghosts.push_back({cut_number[cut], *measure});
            }
            std::sort(ghosts.begin(), ghosts.end(), [](const Ghost& l, const Ghost& r) { return l.cut < r.cut; });
            d.state.ghosts = std::move(ghosts);
            compact(d.state);
            const Cut& c = cuts_[nodes_[node].cut];
            const Measure& m = measures_[nodes_[node].cut];
            if (m.candidate != none) {
                const auto v = candidate_value(d.state, structure_.loops[c.loop].candidates[m.candidate]);
                const auto measure = v ? falling(*v, m.up) : std::nullopt;
                if (measure) d.measured = true, d.measure = *measure;
            }
            for (const uint32_t target : nodes_[node].targets) d.targets.push_back(number[target]);
            out.disjuncts.push_back(std::move(d));
        }
        for (const Root& root : roots_) out.roots.push_back({number[root.disjunct], root.function, root.map});
        return out;
    }

    const Subject& subject_;
    const Structure& structure_;
    const Strategy strategy_;
    Statistics& statistics_;
    const Rules rules_;
    std::vector<Cut> cuts_;
    std::deque<Node> nodes_;  ///< large, and many
    std::vector<Turn> turns_;
    std::vector<Root> roots_;
    std::vector<Measure> measures_;
    std::unordered_map<uint64_t, uint32_t> by_hash_;  ///< the latest cut with the hash
    std::set<uint32_t, Order> queue_;
    std::vector<uint64_t> thresholds_;  ///< Structure::thresholds and what note_bounds() found
    std::vector<uint64_t> noted_;       ///< what note_bounds() found, ascending
    std::optional<Failure> failure_;
    bool limit_ = false;                 ///< failure_ is a limit
    std::vector<uint64_t> by_function_;  ///< work
    uint64_t memory_;                    ///< of the states, and about that of the program's structure
    uint64_t work_ = 0;                  ///< against the budget
    uint64_t arrivals_ = 0;              ///< of it, that of arrivals
    uint64_t next_look_ = 0;             ///< at the clock, in work
};

}  // namespace

SearchResult search(const Subject& subject, const Structure& structure, const Strategy& strategy,
                    Statistics& statistics) {
    return Search(subject, structure, strategy, statistics).run();
}

}  // namespace skep::verifier
