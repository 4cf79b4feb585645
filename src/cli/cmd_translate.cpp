// SPDX-License-Identifier: Apache-2.0
// `skep translate`: an object for the other system's own loader.
#include <fmt/format.h>

#include "cli/check/platform_set.hpp"
#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/json.hpp"
#include "cli/table.hpp"
#include "program/personality.hpp"
#include "program/translate.hpp"

namespace skep::cli {

namespace {

Result<int> run_translate(const Arguments& arguments, Output& output) {
    const std::string path = *arguments.text("OBJECT");
    const auto word = arguments.text("to");
    const auto out = arguments.text("output");
    if (!word || !out)
        return Error(Errc::InvalidArgument, "say for which system, and where to", {},
                     "skep translate prog.o --to windows -o out.o");
    const auto to = *personality_from_name(*word);
    SKEP_ASSIGN(const PlatformSet set, PlatformSet::open(arguments.text_or("platform-file", "")));
    const std::string fallback = to == platform::Personality::Windows ? "windows-ebpf-1.6" : "linux-6.12";
    SKEP_ASSIGN(const platform::Platform* target, set.find(arguments.text_or("platform", fallback)));
    if (target->personality != to || target->binds)
        return Error(Errc::InvalidArgument, fmt::format("{} is no platform of {}", target->name, *word), {},
                     fmt::format("name one of {}: skep platform list shows them", *word));
    SKEP_ASSIGN(const std::vector<std::byte> file, read_object_bytes(path));
    SKEP_ASSIGN(const object::ObjectSpec spec, object::read_object(file, path));
    SKEP_ASSIGN(const platform::Personality from,
                settle_personality(spec, personality_from_name(arguments.text_or("personality", ""))));
    Result<Translation> done = translate(file, spec, from, *target);
    if (!done) return std::move(done).error().in_file(path);
    SKEP_TRY(write_file(*out, done->file));
    const TranslationReport& r = done->report;
    if (output.json && *out != "-") {
        Json replaced = Json::array();
        for (const std::string& line : r.replaced) replaced.push(line);
        output.print(Json::object()
                         .set("file", *out)
                         .set("from", personality_name(from))
                         .set("to", *word)
                         .set("platform", target->name)
                         .set("programs", r.programs)
                         .set("helper_numbers", r.helper_numbers)
                         .set("context_accesses", r.context_accesses)
                         .set("verdicts", r.verdicts)
                         .set("results", r.results)
                         .set("map_types", r.map_types)
                         .set("slots_added", r.slots_added)
                         .set("replaced", std::move(replaced)));
    } else if (*out != "-") {
        output.out(fmt::format("{}: {} to {} ({}), {}\n", *out, personality_name(from), *word, target->name,
                               count_of(r.programs, "program")));
        output.out(fmt::format("  {} renumbered, {} of another type; {}, {} and {} of helpers translated; {} added\n",
                               count_of(r.helper_numbers, "helper call"), count_of(r.map_types, "map"),
                               count_of(r.context_accesses, "context field"), count_of(r.verdicts, "exit"),
                               count_of(r.results, "result"), count_of(r.slots_added, "instruction")));
        for (const std::string& line : r.replaced) output.out("  note: " + line + "\n");
    }
    return exit_done;
}

constexpr PositionalSpec positionals[] = {{"OBJECT", "an eBPF object file made by clang"}};
constexpr OptionSpec options[] = {
    {"--to", Kind::Choice, "linux|windows", "the system whose loader shall take it"},
    {"-o,--output", Kind::Output, "FILE", "where the new object goes"},
    {"--platform", Kind::Text, "NAME", "the release that it must fit (linux-6.12, windows-ebpf-1.6)"},
    {"--platform-file", Kind::File, "FILE", "JSON that adds a platform of your own"},
    {"--personality", Kind::Choice, "linux|windows", "whose headers it was compiled against, if that cannot be told"},
};
constexpr Example examples[] = {
    {"skep translate prog.o --to windows -o prog.windows.o",
     "helper numbers, map types, contexts, verdicts, results, marks"},
};

}  // namespace

extern const Command translate_command;
constinit const Command translate_command = {
    "translate",
    "makes an object for the other system's own loader",
    "Rewrites helper numbers, map types, context accesses, verdicts and results of helpers, and with them jumps, "
    "symbols,\n"
    "relocations, BTF, lines and marks. What has no equivalent there is refused by name and source line. Debug "
    "sections are\n"
    "left out. skep itself needs no translation: it binds either kind when it loads it.",
    positionals,
    options,
    examples,
    run_translate};

}  // namespace skep::cli
