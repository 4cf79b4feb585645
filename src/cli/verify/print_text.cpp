// SPDX-License-Identifier: Apache-2.0
// Verdicts as text.
#include <algorithm>

#include <fmt/format.h>

#include "cli/table.hpp"
#include "cli/verify/examine.hpp"

namespace skep::cli {

namespace {

using verifier::CodePlace;
using verifier::Diagnostic;
using verifier::Remark;
using verifier::SourceText;
using verifier::Verdict;

std::string coloured(std::string_view text, const char* code, const Output& output) {
    return output.colour_out ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

std::string source_name(const SourceText& source) {
    return source.column == 0 ? fmt::format("{}:{}", source.file, source.line)
                              : fmt::format("{}:{}:{}", source.file, source.line, source.column);
}

std::string coloured_verdict(Verdict verdict, const Output& output) {
    const char* colour = "33";  // undecided: yellow
    if (verdict == Verdict::Accepted) colour = "32";
    if (verdict == Verdict::Unsafe || verdict == Verdict::Policy) colour = "1;31";
    return coloured(verifier::verdict_word(verdict), colour, output);
}

/// "1.2 ms"
std::string duration(uint64_t ns) {
    if (ns < 1'000'000) return fmt::format("{:.1f} us", static_cast<double>(ns) / 1e3);
    if (ns < 1'000'000'000) return fmt::format("{:.1f} ms", static_cast<double>(ns) / 1e6);
    return fmt::format("{:.2f} s", static_cast<double>(ns) / 1e9);
}

/// One or more lines behind a word: the following ones are indented as deep.
std::string paragraph(std::string_view word, std::string_view text) {
    if (text.empty()) return {};
    std::string out;
    std::string head = fmt::format("  {:<7}", word);
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        if (end == text.size() && at == end && at != 0) break;
        out += head + std::string(text.substr(at, end - at)) + "\n";
        head = "         ";
        at = end + 1;
    }
    return out;
}

/// "parse.c:79  `ihl = ip->ihl * 4;`  r4 comes from here"
std::string remark_line(const Remark& remark) {
    std::string text;
    if (remark.place.source) {
        const std::string& file = remark.place.source->file;  // the whole name stands above
        text = fmt::format("{}:{}", file.substr(file.find_last_of('/') + 1), remark.place.source->line);
        std::string_view line = remark.place.source->text;
        const size_t start = line.find_first_not_of(" \t");
        if (start != std::string_view::npos) text += fmt::format("  `{}`", line.substr(start));
    } else if (remark.place.insn != verifier::no_insn) {
        text = fmt::format("{}: {}", remark.place.insn, remark.place.insn_text);
    }
    if (!remark.text.empty()) text += (text.empty() ? "" : "  ") + remark.text;
    return text;
}

std::string accepted_text(const Examined& one) {
    std::string text =
        fmt::format("  a run takes at most {} and {}, {} of stack\n", count_of(one.cost.instructions, "instruction"),
                    count_of(one.cost.helper_calls, "helper call"), count_of(one.cost.stack_bytes, "byte"));
    text += fmt::format("  {} verified in {}, {} visited, certificate of {}\n",
                        count_of(one.statistics.instructions, "instruction"), duration(one.elapsed_ns),
                        count_of(one.statistics.steps, "state"), count_of(one.certificate.size(), "byte"));
    return text;
}

std::string stats_text(const Examined& one) {
    const verifier::Statistics& s = one.statistics;
    Table table({"", ">"});
    const auto row = [&](const char* name, std::string value) { table.add({name, std::move(value)}); };
    row("instructions", grouped(s.instructions));
    row("steps of the search", grouped(s.steps));
    row("steps of the checker", grouped(s.checked_steps));
    row("attempts", grouped(s.attempts));
    row("cuts", grouped(s.cuts));
    row("disjuncts", grouped(s.disjuncts));
    row("joins", grouped(s.joins));
    row("widenings", grouped(s.widenings));
    row("certificate bytes", grouped(s.certificate_bytes));
    row("peak bytes of states", grouped(s.peak_state_bytes));
    row("search", duration(static_cast<uint64_t>(s.search_time.count())));
    row("check", duration(static_cast<uint64_t>(s.check_time.count())));
    return table.to_string(2);
}

}  // namespace

std::string where_line(const CodePlace& place) {
    std::string text;
    if (place.source) text = source_name(*place.source);
    if (!place.function.empty()) text += fmt::format("{}in {}", text.empty() ? "" : "  ", place.function);
    if (place.insn != verifier::no_insn) {
        text += fmt::format("{}instruction {}", text.empty() ? "" : ", ", place.insn);
        if (!place.insn_text.empty()) text += ": " + place.insn_text;
    }
    return text;
}

std::string excerpt(const CodePlace& place, const std::vector<SourceText>& around, const Output& output) {
    if (!place.source || around.empty()) return {};
    std::string text;
    const auto blank = [](const SourceText& line) { return line.text.find_first_not_of(" \t") == std::string::npos; };
    if (around.size() == 1 && blank(around.front())) return {};
    for (const SourceText& line : around) {
        const bool here = line.line == place.source->line;
        text += coloured(fmt::format("{:>6} | ", line.line), here ? "1" : "2", output) + line.text + "\n";
        if (!here || line.column == 0 || line.column > line.text.size()) continue;
        std::string under;
        for (uint32_t i = 0; i + 1 < line.column; ++i) under += line.text[i] == '\t' ? '\t' : ' ';
        text += fmt::format("       | {}{}\n", under, coloured("^", "1;31", output));
    }
    return text;
}

std::string diagnostic_text(const Diagnostic& d, const PrintOptions& options, const Output& output) {
    std::string text = coloured(fmt::format("error[{}]", d.code), "1;31", output) +
                       output.heading(fmt::format(": {}", d.title)) + "  " + coloured_verdict(d.verdict, output) + "\n";
    if (const std::string where = where_line(d.place); !where.empty()) text += fmt::format("  --> {}\n", where);
    text += excerpt(d.place, d.around, output);
    text += paragraph("what:", d.what);
    text += paragraph("needs:", d.needs);
    text += paragraph("known:", d.known);
    std::string why;
    for (const Remark& remark : d.why) why += remark_line(remark) + "\n";
    text += paragraph("why:", why);
    if (options.trace) {
        std::string path;
        for (const Remark& remark : d.path) path += remark_line(remark) + "\n";
        text += paragraph("path:", path);
        text += paragraph("state:", d.state);
    } else {
        text += paragraph("path:", verifier::path_words(d.path));
    }
    std::string example;
    for (const std::string& line : d.example) example += line + "\n";
    text += paragraph("input:", example);
    text += paragraph("help:", d.help);
    if (!d.fix.empty()) text += paragraph("fix:", fmt::format("before line {}:  {}", d.fix_line, d.fix));
    text += paragraph("rule:", d.page);
    return text;
}

std::string verdict_text(const object::ObjectSpec& spec, const std::vector<Examined>& programs,
                         const PrintOptions& options, const Output& output) {
    std::string text;
    const auto details = [&](const Examined& one) {
        if (one.unreadable) {
            text += one.unreadable->to_string() + "\n";
            return;
        }
        size_t shown = 0;
        for (const Diagnostic& d : one.diagnostics) {
            if (shown != 0 && !options.all) break;
            if (shown++ != 0) text += "\n";
            text += diagnostic_text(d, options, output);
        }
        if (one.diagnostics.size() > shown) {
            text += fmt::format("  ({} more; --all shows them)\n", one.diagnostics.size() - shown);
        }
    };
    if (programs.size() == 1) {
        const Examined& one = programs.front();
        if (one.unreadable) {
            details(one);
            return text;
        }
        if (one.verdict == Verdict::Accepted) {
            text += fmt::format("{}: {}\n", output.heading(one.program), coloured_verdict(one.verdict, output));
            text += accepted_text(one);
        } else {
            details(one);
            text += fmt::format("{}: {}\n", output.heading(one.program), coloured_verdict(one.verdict, output));
        }
        if (options.stats) text += stats_text(one);
        return text;
    }
    Table table({"program", "section", "verdict", ">instructions", ">calls", ">stack", ">states", ">time"});
    size_t accepted = 0;
    for (const Examined& one : programs) {
        const bool good = !one.unreadable && one.verdict == Verdict::Accepted;
        accepted += good ? 1 : 0;
        std::string verdict = one.unreadable ? "UNREADABLE" : verifier::verdict_word(one.verdict);
        if (!good && !one.diagnostics.empty()) verdict += " " + one.diagnostics.front().code;
        const bool searched = one.statistics.steps != 0;  // else linking or binding refused it
        const auto figure = [&](uint64_t value) { return good ? grouped(value) : std::string("-"); };
        table.add({one.program, one.section, verdict, figure(one.cost.instructions), figure(one.cost.helper_calls),
                   figure(one.cost.stack_bytes), searched ? grouped(one.statistics.steps) : "-",
                   searched ? duration(one.elapsed_ns) : "-"});
    }
    text += table.to_string();
    for (const Examined& one : programs) {
        if (!one.unreadable && one.verdict == Verdict::Accepted && !options.stats) continue;
        text += "\n" + output.heading(one.program) + "\n";
        details(one);
        if (options.stats) text += stats_text(one);
    }
    text += fmt::format("\n{}: {} of {} accepted\n", spec.file, accepted, count_of(programs.size(), "program"));
    return text;
}

}  // namespace skep::cli
