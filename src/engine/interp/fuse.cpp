// SPDX-License-Identifier: Apache-2.0
// Chooses the rows of fused.def for a predecoded program. Only the first Micro of what is fused changes: the others
// stay as they are, so that a jump into the middle finds them, and the handler reads its parts' operands from their
// places.
#include <algorithm>
#include <array>

#include "engine/interp/code.hpp"
#include "isa/insn.hpp"

namespace skep::engine::interp {
namespace {

enum class Link : uint8_t { Any, Dst, Src };

struct Row {
    FusedHandler handler{};
    unsigned count = 0;
    std::array<Handler, 3> parts{};
    std::array<Link, 2> links{};
};

constexpr Row rows[] = {
#define FUSED2(a, b, ab) \
    {FusedHandler::a##_##b##_##ab, 2, {Handler::a, Handler::b, Handler::Invalid}, {Link::ab, Link::Any}},
#define FUSED3(a, b, c, ab, bc) \
    {FusedHandler::a##_##b##_##c##_##ab##_##bc, 3, {Handler::a, Handler::b, Handler::c}, {Link::ab, Link::bc}},
#include "engine/interp/fused.def"
#undef FUSED2
#undef FUSED3
};
constexpr size_t handler_count = static_cast<size_t>(Handler::Invalid) + 1;
constexpr uint16_t none = UINT16_MAX;

/// The rows that begin with a handler, as a list.
struct Lists {
    std::array<uint16_t, handler_count> first{};
    std::array<uint16_t, std::size(rows)> next{};
};
constexpr Lists lists = [] {
    Lists out;
    out.first.fill(none);
    for (size_t i = std::size(rows); i-- > 0;) {
        uint16_t& head = out.first[static_cast<size_t>(rows[i].parts[0])];
        out.next[i] = head;
        head = static_cast<uint16_t>(i);
    }
    return out;
}();

size_t slots(Handler handler) {
    const auto index = static_cast<size_t>(handler);
    return index < isa::op_count ? isa::row_of(static_cast<isa::Op>(index)).slots() : 1;
}

/// The slot after the row's last part if the row applies at slot `at`; else 0.
size_t end_of(const Row& row, const std::vector<Micro>& micros, size_t at) {
    const Micro* before = nullptr;
    for (unsigned part = 0; part < row.count; ++part) {
        if (at >= micros.size() || micros[at].handler != row.parts[part]) return 0;
        const Micro& micro = micros[at];
        if (before != nullptr) {
            const Link link = row.links[part - 1];
            if (link == Link::Dst && micro.dst != before->dst) return 0;
            if (link == Link::Src && micro.src != before->dst) return 0;
        }
        before = &micro;
        at += slots(micro.handler);
    }
    return at;
}

// What a jump to a handler costs, and what a register instead of memory saves, in tenths of the former.
constexpr uint64_t jump_cost = 10, link_saving = 3;

}  // namespace

void fuse(std::vector<Micro>& micros) {
    // From the end: the least cost of running from a slot straight on, and the first handler of it. Every slot gets the
    // best from there, so it does not matter where a jump leads.
    std::vector<uint64_t> cost(micros.size() + 2);
    std::vector<Handler> choice(micros.size());
    for (size_t at = micros.size(); at-- > 0;) {
        const Handler single = micros[at].handler;
        choice[at] = single;
        cost[at] = jump_cost + cost[std::min(at + slots(single), micros.size())];
        for (uint16_t i = lists.first[static_cast<size_t>(single)]; i != none; i = lists.next[i]) {
            const Row& row = rows[i];
            const size_t end = end_of(row, micros, at);
            if (end == 0) continue;
            const auto links = static_cast<uint64_t>(
                std::count_if(row.links.begin(), row.links.end(), [](Link link) { return link != Link::Any; }));
            const uint64_t with = jump_cost + cost[end] - links * link_saving;
            if (with < cost[at]) {
                cost[at] = with;
                choice[at] = static_cast<Handler>(row.handler);
            }
        }
    }
    for (size_t at = 0; at < micros.size(); ++at) micros[at].handler = choice[at];
}

}  // namespace skep::engine::interp
