// SPDX-License-Identifier: Apache-2.0
#include "verifier/search/loops.hpp"

#include <algorithm>

namespace skep::verifier {

namespace {

using isa::InsnIndex;
constexpr uint32_t none = UINT32_MAX;

/// Takes strongly connected parts apart, removes the head of each and goes on inside (Steensgaard 1993).
class Nest {
  public:
    explicit Nest(std::span<const Successors> next)
        : next_(next), region_(next.size(), none), number_(next.size(), 0), low_(next.size(), 0) {}

    /// The function that begins at nodes[0].
    void take_apart(std::vector<InsnIndex> nodes) {
        std::vector<Region> todo;
        todo.push_back({std::move(nodes), none, none, 0});
        // Regions come out as they were found: a loop before those inside it.
        for (size_t i = 0; i < todo.size(); ++i) {
            const Region region = std::move(todo[i]);
            auto parts = components(region.nodes);
            const std::vector<InsnIndex> heads = heads_of(parts, region);
            for (size_t k = 0; k < parts.size(); ++k) {
                std::vector<InsnIndex>& part = parts[k];
                const InsnIndex head = heads[k];
                add_loop(part, head, region.loop);
                if (region.depth + 1 == deepest_nest) continue;
                std::erase(part, head);
                if (!part.empty())
                    todo.push_back({std::move(part), head, static_cast<uint32_t>(loops.size() - 1), region.depth + 1});
            }
        }
    }

    std::vector<LoopShape> loops;

  private:
    struct Region {
        std::vector<InsnIndex> nodes;
        InsnIndex head = none;  ///< of the loop around, which is not in `nodes`; none: a function
        uint32_t loop = none;   ///< its index
        unsigned depth = 0;
    };
    struct Open {
        InsnIndex at;
        unsigned next;
    };

    template <typename Each>
    void each_next(InsnIndex at, Each each) const {
        for (unsigned i = 0; i < next_[at].count; ++i) each(next_[at].at[i]);
    }

    /// The strongly connected parts with a circle in them (Tarjan 1972, without recursion).
    std::vector<std::vector<InsnIndex>> components(const std::vector<InsnIndex>& nodes) {
        const uint32_t id = ++regions_;
        for (const InsnIndex at : nodes) region_[at] = id, number_[at] = 0;
        std::vector<std::vector<InsnIndex>> out;
        std::vector<InsnIndex> stack;
        std::vector<Open> open;
        uint32_t count = 0;
        const auto visit = [&](InsnIndex at) {
            number_[at] = low_[at] = ++count;
            stack.push_back(at);
            open.push_back({at, 0});
        };
        for (const InsnIndex first : nodes) {
            if (number_[first] != 0) continue;
            visit(first);
            while (!open.empty()) {
                Open& top = open.back();
                const InsnIndex at = top.at;
                if (top.next < next_[at].count) {
                    const InsnIndex to = next_[at].at[top.next++];
                    if (region_[to] != id) continue;  // outside, or in a part that is finished
                    if (number_[to] == 0)
                        visit(to);
                    else
                        low_[at] = std::min(low_[at], number_[to]);
                    continue;
                }
                open.pop_back();
                if (!open.empty()) low_[open.back().at] = std::min(low_[open.back().at], low_[at]);
                if (low_[at] != number_[at]) continue;
                std::vector<InsnIndex> part;
                do {
                    part.push_back(stack.back());
                    region_[stack.back()] = none;
                    stack.pop_back();
                } while (part.back() != at);
                bool circle = part.size() > 1;
                each_next(at, [&](InsnIndex to) { circle = circle || to == at; });
                if (circle) out.push_back(std::move(part));
            }
        }
        return out;
    }

    /// Of each part the lowest place where it is entered from elsewhere in the region, or from the head of the loop
    /// around.
    std::vector<InsnIndex> heads_of(const std::vector<std::vector<InsnIndex>>& parts, const Region& region) {
        const uint32_t first = regions_ + 1;
        for (const auto& part : parts) {
            ++regions_;
            for (const InsnIndex at : part) region_[at] = regions_;
        }
        std::vector<InsnIndex> heads(parts.size(), none);
        const auto enter = [&](uint32_t from, InsnIndex to) {
            const uint32_t part = region_[to];
            if (part == none || part < first || part == from) return;
            heads[part - first] = std::min(heads[part - first], to);
        };
        if (region.head == none)
            enter(none, region.nodes.front());
        else
            each_next(region.head, [&](InsnIndex to) { enter(none, to); });
        for (const InsnIndex at : region.nodes) each_next(at, [&](InsnIndex to) { enter(region_[at], to); });
        for (size_t i = 0; i < parts.size(); ++i) {
            for (const InsnIndex at : parts[i]) region_[at] = none;
            if (heads[i] == none) heads[i] = *std::ranges::min_element(parts[i]);  // code that nobody reaches
        }
        return heads;
    }

    void add_loop(const std::vector<InsnIndex>& part, InsnIndex head, uint32_t outer) {
        const auto [low, high] = std::ranges::minmax(part);
        LoopShape loop{head, outer, low, {}};
        // Loops whose bodies lie between each other's may span the program each: no compiler does that.
        if (high - low < room_) {
            room_ -= high - low + 1;
            loop.body.assign(high - low + 1, false);
            for (const InsnIndex at : part) loop.body[at - low] = true;
        }
        loops.push_back(std::move(loop));
    }

    const std::span<const Successors> next_;
    std::vector<uint32_t> region_;  ///< by slot: the number of the region under work that it is in
    std::vector<uint32_t> number_, low_;
    uint32_t regions_ = 0;
    uint64_t room_ = uint64_t{deepest_nest} * next_.size();  ///< slots that the bodies may span, all together
};

}  // namespace

std::vector<LoopShape> find_loop_shapes(std::span<const Successors> next, std::span<const InsnIndex> starts) {
    const auto size = static_cast<InsnIndex>(next.size());
    Nest nest(next);
    for (size_t f = 0; f < starts.size(); ++f) {
        const InsnIndex start = starts[f], end = f + 1 < starts.size() ? starts[f + 1] : size;
        bool goes_back = false;
        for (InsnIndex at = start; at < end; ++at)
            for (unsigned i = 0; i < next[at].count; ++i) goes_back = goes_back || next[at].at[i] <= at;
        if (!goes_back) continue;
        std::vector<InsnIndex> nodes;
        for (InsnIndex at = start; at < end; ++at) nodes.push_back(at);
        nest.take_apart(std::move(nodes));
    }
    return std::move(nest.loops);
}

}  // namespace skep::verifier
