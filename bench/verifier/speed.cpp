// SPDX-License-Identifier: Apache-2.0
#include "speed.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "cli/file.hpp"
#include "cli/verify/examine.hpp"
#include "host.hpp"
#include "timing.hpp"

namespace skep::growth {

namespace {

namespace fs = std::filesystem;

struct Measured {
    std::string object, program;
    verifier::Verdict verdict{};
    uint64_t instructions = 0;
    double us = 0, mib = 0;
    std::optional<KernelAnswer> kernel;
};

struct Figures {
    size_t programs = 0, accepted = 0;
    uint64_t instructions = 0;
    double total = 0, median = 0;
    const Measured* slowest = nullptr;
    const Measured* largest = nullptr;
};

std::vector<Measured> measure(const std::string& path, bool ask) {
    std::vector<Measured> out;
    Result<object::ObjectSpec> spec = cli::read_object_file(path);
    if (!spec) {
        fmt::print(stderr, "{}\n", spec.error().to_string());
        return out;
    }
    runtime::TargetTypes target{[] { return cli::read_types_file(""); }};
    for (uint32_t i = 0; i < spec->programs.size(); ++i) {
        const auto subject = cli::prepare_subject(*spec, i, {}, target);
        if (!subject) continue;  // nothing to verify: not modelled, or damaged on purpose
        Measured m;
        m.object = fs::path(path).filename().string();
        m.program = spec->programs[i].name;
        reset_peak_memory();
        {
            const verifier::Report report = verifier::verify(*subject);
            m.mib = peak_memory();
            m.verdict = report.verdict;
            m.instructions = report.statistics.instructions;
        }
        if (m.instructions == 0) continue;  // refused before its instructions were read
        m.us = microseconds_of([&] { (void)verifier::verify(*subject); });
        if (ask) m.kernel = ask_kernel(path, m.program, 5);
        out.push_back(std::move(m));
    }
    return out;
}

Figures figures(const std::vector<const Measured*>& programs, bool of_kernel) {
    Figures f;
    std::vector<double> times;
    for (const Measured* m : programs) {
        if (of_kernel && !m->kernel) continue;
        const double us = of_kernel ? m->kernel->us : m->us;
        const bool slower = f.slowest == nullptr || us > (of_kernel ? f.slowest->kernel->us : f.slowest->us);
        if (slower) f.slowest = m;
        if (f.largest == nullptr || m->mib > f.largest->mib) f.largest = m;
        ++f.programs;
        f.accepted += of_kernel ? m->kernel->accepted : m->verdict == verifier::Verdict::Accepted;
        f.instructions += m->instructions;
        f.total += us;
        times.push_back(us);
    }
    if (times.empty()) return f;
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    f.median = *middle;
    return f;
}

void print_line(const std::string& name, const char* who, const Figures& f, bool of_kernel) {
    if (f.programs == 0) return;
    fmt::print("{:20} {:7} {:>8} {:>8} {:>8} {:>9.2f} {:>9.1f} {:>9.2f} {:>7} {}\n", name, who, f.programs, f.accepted,
               f.instructions, f.total / static_cast<double>(f.instructions), f.median,
               (of_kernel ? f.slowest->kernel->us : f.slowest->us) / 1000,
               of_kernel ? "" : fmt::format("{:.1f}", f.largest->mib),
               fmt::format("{} {}", f.slowest->object, f.slowest->program));
}

void print_group(const std::string& name, const std::vector<const Measured*>& all) {
    print_line(name, "skep", figures(all, false), false);
    std::vector<const Measured*> both;
    for (const Measured* m : all) {
        if (m->kernel) both.push_back(m);
    }
    if (both.empty()) return;
    if (both.size() != all.size()) print_line("  those both saw", "skep", figures(both, false), false);
    print_line("", "kernel", figures(both, true), true);
}

void print_json(const Measured& m) {
    fmt::print(
        "{{\"object\":\"{}\",\"program\":\"{}\",\"verdict\":\"{}\",\"instructions\":{},\"us\":{:.2f},\"mib\":{:.2f}",
        m.object, m.program, verifier::verdict_word(m.verdict), m.instructions, m.us, m.mib);
    if (m.kernel) {
        fmt::print(",\"kernel_us\":{:.0f},\"kernel_accepts\":{}", m.kernel->us, m.kernel->accepted);
    }
    fmt::print("}}\n");
}

}  // namespace

bool run_speed(const SpeedOptions& options) {
    std::vector<std::pair<std::string, std::vector<Measured>>> groups;
    for (const std::string& path : options.paths) {
        std::vector<std::string> files;
        std::error_code none;
        if (fs::is_directory(path, none)) {
            for (const auto& entry : fs::directory_iterator(path, none)) {
                if (entry.path().extension() == ".o") files.push_back(entry.path().string());
            }
            std::sort(files.begin(), files.end());
        } else if (fs::exists(path, none)) {
            files.push_back(path);
        } else {
            fmt::print(stderr, "{}: not there, so not measured\n", path);
        }
        std::vector<Measured> all;
        for (const std::string& file : files) {
            for (Measured& m : measure(file, options.kernel)) all.push_back(std::move(m));
        }
        groups.emplace_back(path, std::move(all));
    }
    if (options.json) {
        for (const auto& [path, all] : groups) {
            for (const Measured& m : all) print_json(m);
        }
        return true;
    }
    fmt::print("kernel: {}\n", options.kernel ? kernel_release() : "not asked");
    fmt::print("{:20} {:7} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9} {:>7} {}\n", "objects", "by", "programs", "accepted",
               "insns", "us/insn", "median us", "worst ms", "MiB", "the worst one");
    std::vector<const Measured*> total;
    for (const auto& [path, all] : groups) {
        std::vector<const Measured*> these;
        for (const Measured& m : all) these.push_back(&m), total.push_back(&m);
        const std::string shown = path.size() <= 20 ? path : "..." + path.substr(path.size() - 17);
        print_group(shown, these);
    }
    if (groups.size() > 1) print_group("all", total);
    // Of large programs the time of the whole matters, of small ones the time of each instruction.
    std::vector<const Measured*> large = total;
    std::stable_sort(large.begin(), large.end(), [](auto* l, auto* r) { return l->instructions > r->instructions; });
    if (large.size() > 20) large.resize(20);
    print_group("20 largest", large);
    return true;
}

}  // namespace skep::growth
