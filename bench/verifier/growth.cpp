// SPDX-License-Identifier: Apache-2.0
#include "growth.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "families.hpp"
#include "host.hpp"
#include "timing.hpp"
#include "verifier/verify.hpp"

namespace skep::growth {

namespace {

bool run(const Family& family, const GrowthOptions& options) {
    bool all = true;
    std::vector<double> sizes, times;
    for (const uint32_t n : family.sizes) {
        if (n > options.most) continue;
        const auto subject = subject_of(family, n);
        if (!subject) {
            fmt::print(stderr, "{} {}: {}\n", family.name, n, subject.error().to_string());
            return false;
        }
        verifier::Report report;
        const double us = microseconds_of([&] { report = verifier::verify(*subject); });
        const verifier::Statistics& s = report.statistics;
        const bool accepted = report.verdict == verifier::Verdict::Accepted;
        all = all && accepted;
        std::string why;
        if (!report.failures.empty()) {
            const verifier::Failure& f = report.failures.front();
            why = fmt::format("{} at {}: {}", verifier::rule_code(f.rule), f.insn, f.what);
        }
        if (options.json) {
            fmt::print(
                "{{\"family\":\"{}\",\"n\":{},\"accepted\":{},\"instructions\":{},\"steps\":{},\"checked\":{},"
                "\"us\":{:.1f},\"state_bytes\":{},\"certificate_bytes\":{}}}\n",
                family.name, n, accepted, s.instructions, s.steps, s.checked_steps, us, s.peak_state_bytes,
                s.certificate_bytes);
        } else {
            fmt::print("{:14} {:>8} {:12} {:>8} {:>10} {:>12.1f} {:>8.3f} {:>7.1f} {:>8.2f} {}\n", family.name, n,
                       verifier::verdict_word(report.verdict), s.instructions, s.steps, us,
                       us / static_cast<double>(s.instructions), static_cast<double>(s.peak_state_bytes) / (1 << 20),
                       static_cast<double>(s.certificate_bytes) / (8.0 * static_cast<double>(s.instructions)), why);
        }
        std::fflush(stdout);
        sizes.push_back(family.by_rounds ? n : static_cast<double>(s.instructions));
        times.push_back(us);
    }
    if (sizes.size() > 1 && !options.json) {
        fmt::print("{:14} exponent {:.2f} over {}\n", family.name, fitted_exponent(sizes, times),
                   family.by_rounds ? "rounds" : "instructions");
    }
    return all;
}

}  // namespace

bool run_limits(const GrowthOptions& options) {
    bool all = true;
    for (const Family& family : exhausting()) {
        for (const uint32_t n : family.sizes) {
            const auto subject = subject_of(family, n);
            if (!subject) {
                fmt::print(stderr, "{} {}: {}\n", family.name, n, subject.error().to_string());
                return false;
            }
            reset_peak_memory();
            const double begin = processor_us();
            const verifier::Report report = verifier::verify(*subject);
            const double us = processor_us() - begin;
            const bool limit = report.verdict == verifier::Verdict::Limit;
            all = all && limit;
            const std::string known = report.failures.empty() ? "" : report.failures.front().known;
            if (options.json) {
                fmt::print(
                    "{{\"limit\":\"{}\",\"n\":{},\"limited\":{},\"instructions\":{},\"us\":{:.1f},\"mib\":{:.1f}}}\n",
                    family.name, n, limit, report.statistics.instructions, us, peak_memory());
                continue;
            }
            fmt::print("{:14} {:>8} {:12} {:>8} {:>10} {:>12.1f} {:>8.1f} {}\n", family.name, n,
                       verifier::verdict_word(report.verdict), report.statistics.instructions, report.statistics.steps,
                       us, peak_memory(), known);
            std::fflush(stdout);
        }
    }
    return all;
}

bool run_growth(const GrowthOptions& options) {
    if (!options.json) {
        fmt::print("{:14} {:>8} {:12} {:>8} {:>10} {:>12} {:>8} {:>7} {:>8}\n", "family", "n", "verdict", "insns",
                   "steps", "us", "us/insn", "MiB", "cert/ins");
    }
    bool all = true;
    for (const Family& family : families()) {
        if (options.family.empty() || options.family == family.name) all = run(family, options) && all;
    }
    return all;
}

}  // namespace skep::growth
