// SPDX-License-Identifier: Apache-2.0
// What the benchmarks of the verifier ask of the machine: the running kernel's verifier, and the memory this process
// takes. Two bodies: Linux with libbpf, and one that knows neither.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace skep::growth {

struct KernelAnswer {
    bool accepted = false;
    double us = 0;  ///< its verifier alone, as it says itself in the log (BPF_LOG_STATS): no copying, no compiling
};

/// One program of an object, loaded alone as libbpf does; the quickest of `rounds`. Nothing: no root, or the kernel's
/// verifier was not reached.
std::optional<KernelAnswer> ask_kernel(const std::string& path, const std::string& program, unsigned rounds);
std::string kernel_release();

/// Gives free memory back and forgets the peak so far.
void reset_peak_memory();
/// The most memory that this process has taken since, in MiB, everything counted; 0: unknown.
double peak_memory();

}  // namespace skep::growth
