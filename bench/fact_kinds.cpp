// SPDX-License-Identifier: Apache-2.0
#include "fact_kinds.hpp"

#include <fmt/format.h>

#include <cmath>

#include "must.hpp"
#include "program/unverified.hpp"

namespace skep::bench {

namespace {

constexpr FactKind kinds[] = {
    {"all", nullptr},
    {"map", [](Fact& f) { f.map = no_map; }},
    {"key", [](Fact& f) { f.key_constant = false; }},
    {"non-null", [](Fact& f) { f.result_non_null = false; }},
    {"divisor", [](Fact& f) { f.divisor_non_zero = false; }},
    {"width", [](Fact& f) { f.upper_half_zero = false, f.narrow = 0; }},
    {"constant", [](Fact& f) { f.result_constant = false; }},
    {"dead", [](Fact& f) { f.reachable = true, f.branch_always = f.branch_never = false; }},
    {"none", [](Fact& f) { f = Fact(); }},
};

}  // namespace

std::span<const FactKind> fact_kinds() { return kinds; }

ExecutableProgram without(const ExecutableProgram& verified, const FactKind& kind) {
    Facts facts = verified.facts();
    if (kind.forget != nullptr)
        for (Fact& fact : facts) kind.forget(fact);
    return must(UnverifiedProgram::make(verified.bound(), std::move(facts)));
}

void FactTable::row(const std::string& name, std::vector<Column>& columns, const std::vector<size_t>& code_bytes,
                    int rounds) {
    if (rows_ == 0 && !json_) {
        std::string line = fmt::format("{:<10} {:>9} {:>6}", "program", "ns", "bytes");
        for (size_t i = 1; i < columns.size(); ++i) line += fmt::format(" {:>15}", "-" + columns[i].name);
        fmt::print("{}  spread\n", line);
    }
    logs_.resize(columns.size());
    bytes_.resize(columns.size());
    const uint32_t want = columns[0].result();
    for (const Column& column : columns)
        if (const uint32_t got = column.result(); got != want)
            fail(fmt::format("{} without {} gives {:#x}, with all facts {:#x}", name, column.name, got, want));
    const double spread = measure(columns, rounds);
    std::string line = fmt::format("{:<10} {:>9.1f} {:>6}", name, columns[0].median, code_bytes[0]);
    nlohmann::json out{{"program", name}, {"ns", columns[0].median}, {"bytes", code_bytes[0]}};
    for (size_t i = 1; i < columns.size(); ++i) {
        const double grown = static_cast<double>(code_bytes[i]) / static_cast<double>(code_bytes[0]);
        line += fmt::format(" {:>6.3f}x {:>+6}B", columns[i].ratio,
                            static_cast<int64_t>(code_bytes[i]) - static_cast<int64_t>(code_bytes[0]));
        out["without"][columns[i].name] = {{"ratio", columns[i].ratio}, {"bytes", code_bytes[i]}};
        logs_[i] += std::log(columns[i].ratio);
        bytes_[i] += std::log(grown);
    }
    ++rows_;
    report_.push_back(std::move(out));
    if (json_) return;
    fmt::print("{}  {:.1f} %\n", line, spread * 100);
    std::fflush(stdout);
}

void FactTable::end() {
    if (json_) {
        fmt::print("{}\n", report_.dump(2));
        return;
    }
    std::string line = fmt::format("{:<10} {:>9} {:>6}", "geo. mean", "", "");
    for (size_t i = 1; i < logs_.size(); ++i) {
        const double n = static_cast<double>(rows_);
        line += fmt::format(" {:>6.3f}x {:>6.3f}x", std::exp(logs_[i] / n), std::exp(bytes_[i] / n));
    }
    fmt::print("{}\n", line);
}

}  // namespace skep::bench
