// SPDX-License-Identifier: Apache-2.0
// Compare trees back to switches. clang's eBPF backend has no jump tables: a `switch` arrives as a tree of comparisons
// of one register with constants. A C compiler makes a jump table of a switch, and never of such a tree.
#include <algorithm>

#include "engine/native/text.hpp"

namespace skep::engine::native {

namespace {

using isa::Operation;

constexpr size_t least_cases = 4;
constexpr size_t most_blocks = 1024;

bool holds(Operation op, bool is32, uint64_t value, int32_t imm) {
    uint64_t a = value, b = static_cast<uint64_t>(int64_t{imm});
    int64_t sa = static_cast<int64_t>(a), sb = imm;
    if (is32) {
        a = static_cast<uint32_t>(a);
        b = static_cast<uint32_t>(b);
        sa = static_cast<int32_t>(static_cast<uint32_t>(a));
    }
    using enum Operation;
    if (op == JumpEq) return a == b;
    if (op == JumpNe) return a != b;
    if (op == JumpGt) return a > b;
    if (op == JumpGe) return a >= b;
    if (op == JumpLt) return a < b;
    if (op == JumpLe) return a <= b;
    if (op == JumpSgt) return sa > sb;
    if (op == JumpSge) return sa >= sb;
    if (op == JumpSlt) return sa < sb;
    return sa <= sb;
}

}  // namespace

bool find_compare_tree(const Function& function, std::span<const Node> nodes, uint32_t root,
                       std::span<const uint32_t> entries, CompareTree* out) {
    const auto end_of = [&](uint32_t block) -> const Node& { return nodes[function.blocks[block].end - 1]; };
    const Node& first = end_of(root);
    const auto compares = [&](const Node& node) {
        return node.row().form == isa::Form::JumpImm && node.row().operation != Operation::JumpSet && !node.always &&
               !node.never;
    };
    if (!compares(first)) return false;
    out->reg = first.insn.dst;
    out->is32 = first.row().width_bits() == 32;
    const auto belongs = [&](uint32_t block) {
        const Block& b = function.blocks[block];
        if (b.end - b.start != 1 || entries[block] != 1 || block == root) return false;
        const Node& node = nodes[b.start];
        if (node.row().operation == Operation::Jump) return true;
        return compares(node) && node.insn.dst == out->reg && (node.row().width_bits() == 32) == out->is32;
    };
    // The tree's blocks, and every constant it compares with.
    std::vector<uint32_t> work{root};
    std::vector<uint64_t> bounds;
    while (!work.empty()) {
        const uint32_t block = work.back();
        work.pop_back();
        const Node& node = end_of(block);
        if (node.row().operation != Operation::Jump) {
            const uint64_t k =
                out->is32 ? static_cast<uint32_t>(node.insn.imm) : static_cast<uint64_t>(int64_t{node.insn.imm});
            bounds.push_back(k);
        }
        for (const uint32_t next : function.blocks[block].next) {
            if (!belongs(next)) continue;
            if (std::find(out->inside.begin(), out->inside.end(), next) != out->inside.end()) continue;
            if (out->inside.size() == most_blocks) return false;
            out->inside.push_back(next);
            work.push_back(next);
        }
    }
    if (bounds.size() < least_cases) return false;
    // Between two neighbouring bounds, each a bound of its own, every comparison gives one answer.
    const uint64_t sign = out->is32 ? uint64_t{1} << 31 : uint64_t{1} << 63;
    const uint64_t most = out->is32 ? uint64_t{UINT32_MAX} : UINT64_MAX;
    bounds.insert(bounds.end(), {0, sign - 1, sign, most});
    std::sort(bounds.begin(), bounds.end());
    bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
    const auto leaf = [&](uint64_t value) {
        uint32_t block = root;
        for (;;) {
            const Node& node = end_of(block);
            const uint32_t target = nodes[node.target].block;
            if (node.row().operation == Operation::Jump)
                block = target;
            else
                block = holds(node.row().operation, out->is32, value, node.insn.imm) ? target : block + 1;
            if (std::find(out->inside.begin(), out->inside.end(), block) == out->inside.end()) return block;
        }
    };
    bool has_otherwise = false;
    for (size_t i = 0; i + 1 < bounds.size(); ++i) {
        if (bounds[i + 1] - bounds[i] < 2) continue;
        const uint32_t to = leaf(bounds[i] + 1);
        if (bounds[i + 1] - bounds[i] <= 16) {  // a few values: cases of their own
            for (uint64_t value = bounds[i] + 1; value < bounds[i + 1]; ++value) out->cases.push_back({value, to});
            continue;
        }
        if (has_otherwise && to != out->otherwise) return false;
        has_otherwise = true;
        out->otherwise = to;
    }
    for (const uint64_t value : bounds) out->cases.push_back({value, leaf(value)});
    if (!has_otherwise) return false;
    std::erase_if(out->cases, [&](const CompareTree::Case& c) { return c.block == out->otherwise; });
    std::sort(out->cases.begin(), out->cases.end(),
              [](const auto& a, const auto& b) { return a.block != b.block ? a.block < b.block : a.value < b.value; });
    return out->cases.size() >= least_cases;
}

}  // namespace skep::engine::native
