// SPDX-License-Identifier: Apache-2.0
// How rows of skep_bench are measured. Rounds go through all columns in turn, there and back, each right beside a run
// of what its ratio is to, so that a change of the machine's clock meets both; a column is the median of its rounds,
// its ratio the median of the rounds' ratios; a row whose ratios spread is measured again, with longer and more rounds.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace skep::bench {

/// One column of one row.
struct Column {
    std::string name;
    /// Runs `times` times (at least once) after a start that does not count, and tells ns of one run.
    /// Empty: not measured, only its result is compared.
    std::function<double(uint64_t times)> run;
    /// What all columns of a row must agree on.
    std::function<uint32_t()> result;

    int every = 1;    ///< it is measured in every so manieth round
    size_t base = 0;  ///< the column, before this one, that its ratio is to

    double median = 0;  ///< ns
    double spread = 0;  ///< of the ratios: distance of the quartiles over the median
    double ratio = 0;   ///< to the base: median of the rounds' own ratios
};

constexpr double accepted_spread = 0.10;

/// Fills in medians, spreads and ratios; the largest spread of ratios. At most five tries, the best of which counts.
double measure(std::vector<Column>& columns, int rounds);

double median_of(std::vector<double> values);

/// The thread's own processor time where the host tells it, in ns: other work on a busy machine is not counted.
double processor_time();

}  // namespace skep::bench
