// SPDX-License-Identifier: Apache-2.0
#include "measure.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>

namespace skep::bench {
namespace {

// The first try's samples are short, so that most lie between two interruptions; a longer one outlives what the columns
// before it did to caches and branch predictors.
constexpr double first_sample_ns = 3e5;
constexpr int most_tries = 5;

double spread_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return (values[values.size() * 3 / 4] - values[values.size() / 4]) / values[values.size() / 2];
}

}  // namespace

double median_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

double processor_time() {
#if defined(CLOCK_THREAD_CPUTIME_ID) && !defined(_WIN32)  // Windows counts a thread's time in ticks of 15 ms
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
#else
    const auto time = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
#endif
}

double measure(std::vector<Column>& columns, int rounds) {
    std::vector<double> one;
    for (Column& column : columns) one.push_back(column.run ? std::max(1.0, column.run(8)) : 1.0);
    double best = 0;
    for (int tried = 0; tried < most_tries; ++tried) {
        const double sample_ns = first_sample_ns * (1 << tried);
        const int count = rounds + rounds * tried / 2;
        std::vector<std::vector<double>> samples(columns.size()), ratios(columns.size());
        const auto sample = [&](size_t i) {
            const auto times = static_cast<uint64_t>(std::clamp(sample_ns / one[i], 1.0, 1e6));
            return columns[i].run(times);
        };
        for (int round = 0; round < count; ++round) {
            for (size_t n = 0; n < columns.size(); ++n) {
                // There and back: no column always comes behind the same other, nor behind its base.
                const bool back = round % 2 != 0;
                const size_t i = back ? columns.size() - 1 - n : n, base = columns[i].base;
                if (!columns[i].run || round / 2 % columns[i].every != 0) continue;
                if (i == base) {
                    ratios[i].push_back(1);
                    continue;
                }
                double own = 0, beside = 0;
                if (back) own = sample(i);
                beside = sample(base);
                if (!back) own = sample(i);
                samples[i].push_back(own);
                samples[base].push_back(beside);
                ratios[i].push_back(own / beside);
            }
        }
        double spread = 0;
        for (const auto& of_column : ratios)
            if (!of_column.empty()) spread = std::max(spread, spread_of(of_column));
        if (tried == 0 || spread < best) {
            best = spread;
            for (size_t i = 0; i < columns.size(); ++i) {
                if (samples[i].empty()) continue;
                columns[i].median = median_of(samples[i]);
                columns[i].spread = spread_of(ratios[i]);
                columns[i].ratio = median_of(ratios[i]);
            }
        }
        if (best <= accepted_spread) break;
    }
    return best;
}

}  // namespace skep::bench
