// SPDX-License-Identifier: Apache-2.0
// How the benchmarks of the verifier take time: processor time of this process, which other processes on the machine
// disturb least.
#pragma once

#include <algorithm>
#include <ctime>

namespace skep::growth {

inline double processor_us() { return 1e6 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// Microseconds of one call of `work`: the least of a few rounds; what is quick is called many times a round. A call of
/// more than a quarter second is made once.
template <typename Work>
double microseconds_of(Work work) {
    const auto round = [&](unsigned calls) {
        const double begin = processor_us();
        for (unsigned i = 0; i < calls; ++i) work();
        return (processor_us() - begin) / calls;
    };
    double best = round(1);
    const auto calls = static_cast<unsigned>(std::clamp(1000 / std::max(best, 1.0), 1.0, 1000.0));
    for (unsigned i = 0; i < 4 && best * calls < 250'000; ++i) best = std::min(best, round(calls));
    return best;
}

}  // namespace skep::growth
