// SPDX-License-Identifier: Apache-2.0
// How one sequence of items is told against another: runs of copied, replaced, inserted and left-out ones.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace skep::verifier::format {

using Item = std::span<const std::byte>;

enum class RunKind : uint8_t {
    Copy,     ///< `count` items are those of the old sequence
    Replace,  ///< `count` new items follow; as many old ones are passed over
    Insert,   ///< `count` new items follow
    Skip,     ///< `count` old ones are passed over
};
struct Run {
    RunKind kind = RunKind::Copy;
    size_t count = 0;
};

/// One way, always the same: greedy, looking at most `reach` items ahead. Linear in the number of items.
inline std::vector<Run> difference(const std::vector<Item>& before, const std::vector<Item>& now) {
    constexpr size_t reach = 8;
    std::vector<Run> runs;
    const auto add = [&](RunKind kind, size_t count) {
        if (!runs.empty() && runs.back().kind == kind) {
            runs.back().count += count;
        } else {
            runs.push_back({kind, count});
        }
    };
    const auto same = [&](size_t i, size_t j) {
        return i < now.size() && j < before.size() && std::ranges::equal(now[i], before[j]);
    };
    for (size_t i = 0, j = 0; i < now.size();) {
        if (same(i, j)) {
            add(RunKind::Copy, 1);
            ++i, ++j;
            continue;
        }
        size_t skip = 0, insert = 0;
        for (size_t ahead = 1; ahead <= reach && skip == 0 && insert == 0; ++ahead) {
            // A pair that matches in place says that both sequences have changed, not moved.
            if (same(i + ahead, j + ahead)) break;
            if (same(i, j + ahead))
                skip = ahead;
            else if (same(i + ahead, j))
                insert = ahead;
        }
        if (skip != 0) {
            add(RunKind::Skip, skip);
            j += skip;
        } else if (insert != 0 || j >= before.size()) {
            add(RunKind::Insert, std::max<size_t>(insert, 1));
            i += std::max<size_t>(insert, 1);
        } else {
            add(RunKind::Replace, 1);
            ++i, ++j;
        }
    }
    return runs;
}

}  // namespace skep::verifier::format
