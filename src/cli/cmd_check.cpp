// SPDX-License-Identifier: Apache-2.0
// `skep check`: on which platforms an object's programs can run, and what is missing where they cannot.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/check/adapted_needs.hpp"
#include "cli/check/platform_set.hpp"
#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/json.hpp"
#include "cli/table.hpp"
#include "object/link.hpp"
#include "platform/platforms/nearest.hpp"
#include "program/needs.hpp"
#include "program/personality.hpp"

namespace skep::cli {

namespace {

using platform::Platform;

struct Row {
    std::vector<std::shared_ptr<const ProgramNeeds>> needs;  ///< one per platform, at least one
    std::vector<Judgement> judgements;                       ///< likewise

    const ProgramNeeds& program() const { return *needs.front(); }
};

struct Report {
    std::string file;
    platform::Personality personality = platform::Personality::Linux;
    bool asked = false;
    std::vector<PersonalityEvidence> evidence;
    std::vector<const Platform*> platforms;
    std::vector<Row> rows;

    bool cannot() const {
        for (const Row& row : rows)
            for (const Judgement& j : row.judgements)
                if (j.fit == Fit::Cannot) return true;
        return false;
    }
};

const char* fit_text(Fit fit) {
    switch (fit) {
        case Fit::Runs: return "runs";
        case Fit::AfterBinding: return "after binding";
        case Fit::Cannot: return "cannot";
    }
    return "?";
}
const char* fit_word(Fit fit) {
    switch (fit) {
        case Fit::Runs: return "runs";
        case Fit::AfterBinding: return "runs_after_binding";
        case Fit::Cannot: return "cannot";
    }
    return "?";
}

std::string site_text(const NeedSite& site) {
    std::string text = fmt::format("instruction {}", site.insn);
    if (!site.source_file.empty()) text += fmt::format(" ({}:{})", site.source_file, site.source_line);
    return text + fmt::format(" in {}", site.function);
}

std::string evidence_text(const Report& report) {
    if (report.asked) return "asked for";
    std::string text;
    constexpr size_t shown = 3;
    for (size_t i = 0; i < std::min(report.evidence.size(), shown); ++i)
        text += (text.empty() ? "" : "; ") + report.evidence[i].text;
    if (report.evidence.size() > shown)
        text += fmt::format("; and {} more, skep inspect lists them", report.evidence.size() - shown);
    return text.empty() ? "nothing speaks for Windows" : text;
}

/// "linux-5.4, linux-5.10" for the platforms that lack exactly the same; each group once.
struct Group {
    std::string names;
    const Judgement* judgement;
};
std::vector<Group> groups_of(const Report& report, const Row& row) {
    std::vector<Group> groups;
    const auto key = [](const Judgement& j) {
        std::string text;
        for (const Missing& m : j.missing) text += m.need->name + "\n" + m.nearest + "\n";
        return text;
    };
    for (size_t i = 0; i < report.platforms.size(); ++i) {
        const Judgement& j = row.judgements[i];
        if (j.fit != Fit::Cannot) continue;
        const auto same = std::ranges::find_if(groups, [&](const Group& g) { return key(*g.judgement) == key(j); });
        if (same != groups.end())
            same->names += ", " + report.platforms[i]->name;
        else
            groups.push_back({report.platforms[i]->name, &j});
    }
    return groups;
}

/// What could not be looked at, with the platforms it is about where these are not all.
std::vector<std::string> notes_of(const Report& report, const Row& row) {
    std::vector<std::pair<std::string, std::vector<std::string>>> notes;
    for (size_t i = 0; i < row.needs.size(); ++i)
        for (const std::string& note : row.needs[i]->unread) {
            auto same = std::ranges::find(notes, note, &std::pair<std::string, std::vector<std::string>>::first);
            if (same == notes.end()) same = notes.insert(same, {note, {}});
            same->second.push_back(report.platforms[i]->name);
        }
    std::vector<std::string> out;
    for (const auto& [note, where] : notes)
        out.push_back(where.size() == row.needs.size() ? note : fmt::format("{}: {}", fmt::join(where, ", "), note));
    return out;
}

std::string missing_line(const Missing& m) {
    std::string text = m.need->name;
    if (std::holds_alternative<TypePart>(m.need->what)) return text + ": not among the types there";
    if (std::holds_alternative<UnknownNumber>(m.need->what))
        text += ": the program's own system defines no such number";
    else if (m.since.starts_with("Linux "))
        text += fmt::format(": since {}", m.since);
    else if (!m.since.empty())
        text += fmt::format(": only {} has it", m.since);
    else
        text += ": in no platform's tables";
    return text;
}

std::string report_text(const Report& report, Output& output) {
    std::string out = fmt::format("{}: compiled for {} ({})\n\n", output.heading(report.file),
                                  personality_name(report.personality), evidence_text(report));
    std::vector<std::string> heads = {"program", "type"};
    for (const Platform* p : report.platforms) heads.push_back(p->name);
    Table table(heads);
    for (const Row& row : report.rows) {
        std::vector<std::string> cells = {row.program().program, platform::program_type_name(row.program().type)};
        for (const Judgement& j : row.judgements) cells.push_back(fit_text(j.fit));
        table.add(cells);
    }
    out += table.to_string(2);
    for (const Row& row : report.rows) {
        for (const Group& group : groups_of(report, row)) {
            out += fmt::format("\n{}\n",
                               output.heading(fmt::format("{} cannot run on {}", row.program().program, group.names)));
            for (const Missing& m : group.judgement->missing) {
                out += fmt::format("  {}\n", missing_line(m));
                for (const NeedSite& site : m.need->sites) {
                    out += fmt::format("    at {}\n", site_text(site));
                    if (!site.source_text.empty()) {
                        const size_t from = site.source_text.find_first_not_of(" \t");
                        out += fmt::format("       {}\n",
                                           site.source_text.substr(std::min(from, site.source_text.size())));
                    }
                    out += fmt::format("       {}: {}\n", site.insn, site.insn_text);
                }
                if (m.need->count > m.need->sites.size())
                    out += fmt::format("    and {} more\n", count_of(m.need->count - m.need->sites.size(), "place"));
                if (!m.nearest.empty()) out += fmt::format("    nearest: {}\n", m.nearest);
            }
        }
    }
    for (const Row& row : report.rows)
        for (size_t i = 0; i < report.platforms.size(); ++i)
            for (const Missing& m :
                 row.judgements[i].fit == Fit::Cannot ? std::vector<Missing>() : row.judgements[i].replaced) {
                out +=
                    fmt::format("\n{} says {} where {} has no such verdict: it becomes {}\n", row.program().program,
                                m.need->name.substr(m.need->name.find(' ') + 1), report.platforms[i]->name, m.nearest);
                for (const NeedSite& site : m.need->sites) out += fmt::format("    at {}\n", site_text(site));
            }
    bool binds = false;
    for (const Row& row : report.rows)
        for (size_t i = 0; i < report.platforms.size(); ++i)
            binds = binds || (row.judgements[i].fit == Fit::AfterBinding && !report.platforms[i]->binds);
    if (binds)
        out += fmt::format(
            "\nafter binding: everything exists there under other numbers. skep binds them when it loads the "
            "object; for that system's own\nloader, `skep translate --to {}` rewrites them.\n",
            report.personality == platform::Personality::Linux ? "windows" : "linux");
    for (const Row& row : report.rows)
        for (const std::string& note : notes_of(report, row))
            out += fmt::format("note: {}: {}\n", row.program().program, note);
    return out;
}

std::string report_markdown(const Report& report) {
    std::string out =
        fmt::format("`{}` (compiled for {})\n\n| program | type |", report.file, personality_name(report.personality));
    std::string rule = "\n|---|---|";
    for (const Platform* p : report.platforms) {
        out += fmt::format(" {} |", p->name);
        rule += "---|";
    }
    out += rule + "\n";
    for (const Row& row : report.rows) {
        out += fmt::format("| {} | {} |", row.program().program, platform::program_type_name(row.program().type));
        for (const Judgement& j : row.judgements) out += fmt::format(" {} |", fit_text(j.fit));
        out += "\n";
    }
    for (const Row& row : report.rows) {
        for (const Group& group : groups_of(report, row)) {
            out += fmt::format("\n**{}** cannot run on {}:\n\n", row.program().program, group.names);
            for (const Missing& m : group.judgement->missing) {
                out += fmt::format("- {}", missing_line(m));
                if (!m.need->sites.empty()) out += fmt::format("; {}", site_text(m.need->sites.front()));
                if (!m.nearest.empty()) out += fmt::format("; nearest: {}", m.nearest);
                out += "\n";
            }
        }
    }
    return out;
}

Json report_json(const Report& report) {
    Json out;
    out.set("file", report.file).set("personality", personality_name(report.personality));
    Json evidence = Json::array();
    for (const PersonalityEvidence& e : report.evidence)
        evidence.push(
            Json::object().set("for", personality_name(e.personality)).set("mark", e.mark).set("what", e.text));
    out.set("evidence", std::move(evidence));
    Json programs = Json::array();
    for (const Row& row : report.rows) {
        Json program;
        program.set("name", row.program().program).set("section", row.program().section);
        program.set("type", platform::program_type_name(row.program().type));
        Json needs = Json::array();
        std::vector<std::string_view> named;
        for (const auto& there : row.needs)
            for (const Need& need : there->needs) {
                if (std::ranges::find(named, need.name) != named.end()) continue;
                named.push_back(need.name);
                needs.push(need.name);
            }
        program.set("needs", std::move(needs));
        Json platforms = Json::array();
        for (size_t i = 0; i < report.platforms.size(); ++i) {
            Json one;
            one.set("name", report.platforms[i]->name).set("fit", fit_word(row.judgements[i].fit));
            Json missing = Json::array();
            for (const Missing& m : row.judgements[i].missing) {
                Json what;
                what.set("what", m.need->name).set("since", m.since.empty() ? Json() : Json(m.since));
                what.set("nearest", m.nearest.empty() ? Json() : Json(m.nearest)).set("places", m.need->count);
                Json sites = Json::array();
                for (const NeedSite& site : m.need->sites) {
                    Json place;
                    place.set("insn", site.insn).set("text", site.insn_text).set("function", site.function);
                    if (!site.source_file.empty())
                        place.set("file", site.source_file)
                            .set("line", site.source_line)
                            .set("source", site.source_text);
                    sites.push(std::move(place));
                }
                missing.push(std::move(what.set("at", std::move(sites))));
            }
            Json replaced = Json::array();
            for (const Missing& m : row.judgements[i].replaced) {
                Json sites = Json::array();
                for (const NeedSite& site : m.need->sites)
                    sites.push(Json::object()
                                   .set("insn", site.insn)
                                   .set("file", site.source_file)
                                   .set("line", site.source_line));
                const auto near = platform::nearest_verdict(std::get<platform::Verdict>(m.need->what));
                replaced.push(Json::object()
                                  .set("what", m.need->name)
                                  .set("becomes", platform::verdict_name(near->verdict))
                                  .set("different", near->text)
                                  .set("at", std::move(sites)));
            }
            platforms.push(std::move(one.set("missing", std::move(missing)).set("replaced", std::move(replaced))));
        }
        program.set("platforms", std::move(platforms));
        Json unread = Json::array();
        for (const std::string& note : notes_of(report, row)) unread.push(note);
        programs.push(std::move(program.set("not_looked_at", std::move(unread))));
    }
    return out.set("programs", std::move(programs));
}

Result<int> run_check(const Arguments& arguments, Output& output) {
    SKEP_ASSIGN(const PlatformSet set, PlatformSet::open(arguments.text_or("platform-file", "")));
    Report report;
    SKEP_ASSIGN(report.platforms, set.choose(arguments.text_or("platform", "")));
    SKEP_ASSIGN(const object::ObjectSpec spec, read_object_file(*arguments.text("OBJECT")));
    report.file = spec.file;
    if (output.json && arguments.flag("markdown"))
        return Error(Errc::InvalidArgument, "--markdown and --json are two ways to say the same", {},
                     "leave one of them out");
    const auto asked = personality_from_name(arguments.text_or("personality", ""));
    report.asked = asked.has_value();
    SKEP_ASSIGN(report.personality, settle_personality(spec, asked));
    report.evidence = find_personality(spec).evidence;
    const auto wanted = arguments.text("program");
    std::optional<platform::ProgramType> type;
    if (const auto word = arguments.text("type")) {
        type = platform::program_type_from_name(*word);
        if (!type)
            return Error(Errc::InvalidArgument, fmt::format("there is no program type \"{}\"", *word), {},
                         "say xdp, sched_cls, socket_filter, kprobe, ... as bpftool does");
    }
    std::shared_ptr<const btf::Btf> kernel;
    if (const auto file = arguments.text("btf")) {
        SKEP_ASSIGN(kernel, read_types_file(*file));
    }
    AdaptedNeeds all_needs(spec, report.personality, type, std::move(kernel));
    for (size_t i = 0; i < spec.programs.size(); ++i) {
        if (wanted && spec.programs[i].name != *wanted) continue;
        Result<object::LinkedProgram> linked = object::link(spec, i);
        if (!linked) return std::move(linked).error();
        auto needs = all_needs.of(*linked, report.platforms);
        if (!needs) return std::move(needs).error().in_file(spec.file);
        report.rows.push_back({*std::move(needs), {}});
    }
    if (report.rows.empty())
        return Error(Errc::Unresolved,
                     wanted ? fmt::format("there is no program \"{}\"", *wanted) : "the object has no program", {},
                     "skep inspect lists the object's programs")
            .in_file(spec.file);
    for (Row& row : report.rows)
        for (size_t i = 0; i < report.platforms.size(); ++i)
            row.judgements.push_back(judge(*row.needs[i], *report.platforms[i]));

    if (output.json)
        output.print(report_json(report));
    else if (arguments.flag("markdown"))
        output.out(report_markdown(report));
    else
        output.out(report_text(report, output));
    return report.cannot() ? exit_no : exit_done;
}

constexpr PositionalSpec positionals[] = {{"OBJECT", "an eBPF object file, of either system"}};
constexpr OptionSpec options[] = {
    {"--platform", Kind::Text, "NAME,…", "which platforms (all); `skep platform list` names them"},
    {"-p,--program", Kind::Text, "NAME", "one program only"},
    {"--type", Kind::Text, "TYPE", "program type, where the section name does not tell"},
    {"--personality", Kind::Choice, "linux|windows",
     "whose headers it was compiled against, where that cannot be told"},
    {"--platform-file", Kind::File, "FILE", "JSON that adds a platform of your own"},
    {"--btf", Kind::File, "FILE",
     "the types of the kernel that is meant by Linux platforms, for what CO-RE asks about its structures"},
    {"--markdown", Kind::Flag, "", "a table for a web page"},
};
constexpr Example examples[] = {
    {"skep check prog.o", "every program on every platform"},
    {"skep check prog.o --platform linux-5.15,windows-ebpf-1.6", "exit status 1 if one of them lacks something"},
};

}  // namespace

extern const Command check_command;
constinit const Command check_command = {
    "check",
    "says on which systems an object's programs can run",
    "Compares what each program uses (program type, helpers, map types, context fields, kernel functions, language "
    "features)\n"
    "with what each platform has, and names what is missing: the instruction, the source line, since when it exists, "
    "and what\n"
    "stands nearest. Reads the object only. Whether that system's verifier accepts the program is another question.",
    positionals,
    options,
    examples,
    run_check};

}  // namespace skep::cli
