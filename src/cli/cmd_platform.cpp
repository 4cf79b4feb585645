// SPDX-License-Identifier: Apache-2.0
// `skep platform`: the tables of what systems offer, as people can read them.
#include <fmt/format.h>

#include <map>

#include "cli/check/platform_set.hpp"
#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/json.hpp"
#include "cli/table.hpp"
#include "platform/context_types.hpp"

namespace skep::cli {

namespace {

using platform::Platform;

/// The types of `p` whose programs may call it.
std::vector<platform::ProgramType> users_of(const Platform& p, const platform::PlatformHelper& helper) {
    std::vector<platform::ProgramType> users;
    for (const auto& t : p.types)
        if ((helper.users & platform::program_type_bit(t.type)) != 0) users.push_back(t.type);
    return users;
}

std::string users_text(const Platform& p, const platform::PlatformHelper& helper) {
    const std::vector<platform::ProgramType> users = users_of(p, helper);
    if (users.size() == p.types.size()) return "all";
    std::string text;
    for (const platform::ProgramType type : users)
        text += fmt::format("{}{}", text.empty() ? "" : ", ", platform::program_type_name(type));
    return text;
}

/// The number that eBPF for Windows' programs call it by; 0 if there is none. What belongs to one program type counts
/// only where no type has another.
uint32_t windows_number(const platform::PlatformHelper& helper) {
    if (!helper.canonical) return 0;
    if (const uint32_t general = platform::helper(*helper.canonical).windows_id; general != 0) return general;
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted)                                \
    if (const uint32_t own = platform::windows_helper_number(*helper.canonical, platform::ProgramType::name)) \
        return own;
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    return 0;
}

std::string number_text(uint32_t id) {
    if (id == 0) return {};
    return id >= 0x10000 ? fmt::format("{:#x}", id) : fmt::to_string(id);
}
Json number_json(uint32_t id) { return id == 0 ? Json() : Json(id); }
std::string since_text(std::string_view since) { return since.empty() ? "" : std::string(since); }

/// Everything a platform has as "kind name" -> what tells rows of two platforms apart.
std::map<std::string, std::string> rows_of(const Platform& p) {
    std::map<std::string, std::string> rows;
    for (const auto& t : p.types)
        rows[fmt::format("program type {}", platform::program_type_name(t.type))] = fmt::format("number {}", t.id);
    for (const auto& h : p.helpers) {
        const bool own = h.users != platform::every_program_type && h.id >= 0x10000;
        std::string& text = rows[fmt::format("helper {}{}", h.name, own ? fmt::format(" ({})", users_text(p, h)) : "")];
        text = fmt::format("number {}", number_text(h.id));
    }
    for (const auto& m : p.maps)
        rows[fmt::format("map type {}", platform::map_type_name(m.type))] = fmt::format("number {}", m.id);
    for (const auto& f : p.fields)
        rows[fmt::format("field {}.{}", f.structure, f.name)] = fmt::format("offset {}, {} bytes", f.offset, f.bytes);
    for (const auto& k : p.kfuncs) rows[fmt::format("kernel function {}", k.name)] = "";
    for (const auto& s : p.sections) rows[fmt::format("section {}", s.text)] = platform::program_type_name(s.type);
    for (const auto id : p.features) rows[fmt::format("feature {}", platform::feature(id).text)] = "";
    for (const auto& k : p.kconfig) rows[fmt::format("kernel configuration {}", k.name)] = k.value;
    return rows;
}

Json platform_json(const Platform& p) {
    Json out;
    out.set("name", p.name).set("title", p.title).set("source", p.source);
    out.set("personality", p.personality == platform::Personality::Linux ? "linux" : "windows");
    out.set("binds_both", p.binds);
    Json types = Json::array(), helpers = Json::array(), maps = Json::array(), fields = Json::array();
    Json kfuncs = Json::array(), sections = Json::array(), features = Json::array();
    // skep has no numbers of its own: each personality's count.
    const auto numbers = [&](Json row, uint32_t number, uint32_t windows) {
        row.set("number", number_json(number));
        return p.binds ? row.set("windows_number", number_json(windows)) : row;
    };
    for (const auto& t : p.types)
        types.push(numbers(Json::object().set("name", platform::program_type_name(t.type)), t.id,
                           platform::program_type_windows_id(t.type))
                       .set("since", t.since));
    for (const auto& h : p.helpers) {
        Json users = Json::array();
        for (const platform::ProgramType type : users_of(p, h)) users.push(platform::program_type_name(type));
        helpers.push(numbers(Json::object().set("name", h.name), h.id, windows_number(h))
                         .set("since", h.since)
                         .set("types", std::move(users)));
    }
    for (const auto& m : p.maps)
        maps.push(numbers(Json::object().set("name", platform::map_type_name(m.type)), m.id,
                          platform::map_type_windows_id(m.type))
                      .set("since", m.since));
    for (const auto& f : p.fields)
        fields.push(Json::object()
                        .set("struct", f.structure)
                        .set("name", f.name)
                        .set("offset", f.offset)
                        .set("bytes", f.bytes)
                        .set("since", f.since));
    for (const auto& k : p.kfuncs) kfuncs.push(Json::object().set("name", k.name).set("since", k.since));
    for (const auto& s : p.sections)
        sections.push(Json::object().set("name", s.text).set("type", platform::program_type_name(s.type)));
    for (const auto id : p.features) features.push(platform::feature(id).text);
    out.set("program_types", std::move(types)).set("helpers", std::move(helpers)).set("map_types", std::move(maps));
    out.set("fields", std::move(fields)).set("kernel_functions", std::move(kfuncs));
    out.set("sections", std::move(sections)).set("features", std::move(features));
    Json kconfig = Json::object();
    for (const auto& k : p.kconfig) kconfig.set(k.name, k.value);
    out.set("kernel_configuration", std::move(kconfig));
    return out;
}

void list(const PlatformSet& set, Output& output) {
    if (output.json) {
        Json all = Json::array();
        for (const Platform& p : set.all())
            all.push(Json::object()
                         .set("name", p.name)
                         .set("title", p.title)
                         .set("personality", p.personality == platform::Personality::Linux ? "linux" : "windows")
                         .set("program_types", p.types.size())
                         .set("helpers", p.helpers.size())
                         .set("map_types", p.maps.size())
                         .set("fields", p.fields.size()));
        output.print(all);
        return;
    }
    Table table({"platform", ">program types", ">helpers", ">map types", ">context fields", "what"});
    for (const Platform& p : set.all())
        table.add({p.name, fmt::to_string(p.types.size()), fmt::to_string(p.helpers.size()),
                   fmt::to_string(p.maps.size()), fmt::to_string(p.fields.size()), p.title});
    output.out(table.to_string());
}

void show(const Platform& p, Output& output) {
    if (output.json) return output.print(platform_json(p));
    std::string out = fmt::format("{}: {}\n  from {}\n", output.heading(p.name), p.title, p.source);
    const auto part = [&](std::string_view title, const Table& table) {
        if (!table.empty()) out += fmt::format("\n{}\n{}", output.heading(title), table.to_string(2));
    };
    const auto table = [&](std::vector<std::string> more) {
        std::vector<std::string> heads = {">number"};
        if (p.binds) heads = {">linux", ">windows"};
        heads.insert(heads.end(), more.begin(), more.end());
        return Table(heads);
    };
    const auto row = [&](uint32_t number, uint32_t windows, std::vector<std::string> more) {
        std::vector<std::string> cells = {number_text(number)};
        if (p.binds) cells.push_back(number_text(windows));
        cells.insert(cells.end(), more.begin(), more.end());
        return cells;
    };
    Table types = table({"name", "since"});
    for (const auto& t : p.types)
        types.add(row(t.id, platform::program_type_windows_id(t.type),
                      {platform::program_type_name(t.type), since_text(t.since)}));
    part("Program types", types);
    Table helpers = table({"name", "since", "program types"});
    for (const auto& h : p.helpers)
        helpers.add(row(h.id, windows_number(h), {h.name, since_text(h.since), users_text(p, h)}));
    part("Helpers", helpers);
    Table maps = table({"name", "since"});
    for (const auto& m : p.maps)
        maps.add(
            row(m.id, platform::map_type_windows_id(m.type), {platform::map_type_name(m.type), since_text(m.since)}));
    part("Map types", maps);
    Table fields({"struct", ">offset", ">bytes", "field", "since"});
    for (const auto& f : p.fields)
        fields.add({f.structure, fmt::to_string(f.offset), fmt::to_string(f.bytes), f.name, since_text(f.since)});
    part("Context fields", fields);
    Table kfuncs({"name", "since"});
    for (const auto& k : p.kfuncs) kfuncs.add({k.name, since_text(k.since)});
    part("Kernel functions in the tables", kfuncs);
    Table sections({"name", "program type"});
    for (const auto& s : p.sections) sections.add({s.text, platform::program_type_name(s.type)});
    part("Sections", sections);
    Table features({""});
    for (const auto id : p.features) features.add({platform::feature(id).text});
    part("Language and loader", features);
    Table kconfig({"name", "value"});
    for (const auto& k : p.kconfig) kconfig.add({k.name, k.value});
    part("Kernel configuration that the release decides", kconfig);
    output.out(out);
}

int diff(const Platform& a, const Platform& b, Output& output) {
    const auto left = rows_of(a), right = rows_of(b);
    Json only_a = Json::array(), only_b = Json::array(), other = Json::array();
    std::string text;
    size_t differences = 0;
    for (const auto& [name, value] : left) {
        const auto at = right.find(name);
        if (at != right.end() && at->second == value) continue;
        ++differences;
        if (at == right.end()) {
            only_a.push(name);
            text += fmt::format("- {}\n", name);
        } else {
            other.push(Json::object().set("name", name).set(a.name, value).set(b.name, at->second));
            text += fmt::format("! {}: {} | {}\n", name, value, at->second);
        }
    }
    for (const auto& [name, value] : right) {
        if (left.contains(name)) continue;
        ++differences;
        only_b.push(name);
        text += fmt::format("+ {}\n", name);
    }
    if (output.json) {
        output.print(Json::object()
                         .set("only_" + a.name, std::move(only_a))
                         .set("only_" + b.name, std::move(only_b))
                         .set("different", std::move(other)));
    } else {
        output.out(fmt::format("- only {}, + only {}, ! both, differently\n{}{} difference{}\n", a.name, b.name, text,
                               differences, differences == 1 ? "" : "s"));
    }
    return differences == 0 ? exit_done : exit_no;
}

Result<int> run_platform(const Arguments& arguments, Output& output) {
    const std::string action = arguments.text_or("ACTION", "list");
    SKEP_ASSIGN(const PlatformSet set, PlatformSet::open(arguments.text_or("platform-file", "")));
    const auto name = arguments.text("NAME"), other = arguments.text("OTHER");
    const auto usage = [](const char* what) { return Error(Errc::InvalidArgument, what, {}, "skep platform --help"); };
    if (arguments.text("output") && action != "types") return usage("skep platform types alone writes a file");
    if (action == "list") {
        if (name) return usage("skep platform list takes no name");
        list(set, output);
        return exit_done;
    }
    if (action == "show") {
        if (!name || other) return usage("skep platform show takes one name");
        SKEP_ASSIGN(const Platform* p, set.find(*name));
        show(*p, output);
        return exit_done;
    }
    if (action == "diff") {
        if (!name || !other) return usage("skep platform diff takes two names");
        SKEP_ASSIGN(const Platform* a, set.find(*name));
        SKEP_ASSIGN(const Platform* b, set.find(*other));
        return diff(*a, *b, output);
    }
    if (action == "types") {
        if (!name || other) return usage("skep platform types takes one name");
        const auto file = arguments.text("output");
        if (!file) return usage("skep platform types writes a file: name it with -o");
        SKEP_ASSIGN(const Platform* p, set.find(*name));
        SKEP_TRY(write_file(*file, platform::context_types(*p, p->personality)));
        if (output.json && *file != "-") output.print(Json::object().set("file", *file).set("platform", p->name));
        return exit_done;
    }
    return usage("skep platform knows list, show, diff and types");
}

constexpr PositionalSpec positionals[] = {
    {"ACTION", "list, show NAME, diff NAME OTHER, or types NAME", false, Kind::Choice, "list|show|diff|types"},
    {"NAME", "a platform", false, Kind::Text},
    {"OTHER", "another platform", false, Kind::Text},
};
constexpr OptionSpec options[] = {
    {"--platform-file", Kind::File, "FILE", "JSON that adds a platform of your own"},
    {"-o,--output", Kind::Output, "FILE", "types: where the BTF goes"},
};
constexpr Example examples[] = {
    {"skep platform list", "the platforms in the tables"},
    {"skep platform show windows-ebpf-1.6",
     "program types, helpers, maps, context fields and sections with their numbers"},
    {"skep platform diff linux-5.15 linux-6.12", "what came between, and what changed its number"},
    {"skep platform types windows-ebpf-1.6 -o contexts.btf", "its contexts as BTF, for CO-RE and for bpftool"},
};

}  // namespace

extern const Command platform_command;
constinit const Command platform_command = {"platform",
                                            "what Linux releases, eBPF for Windows and skep offer",
                                            "The tables behind `skep check`. What they say exists there; whether that "
                                            "system's verifier accepts a program is not\n"
                                            "in them. diff exits with 1 if there are differences.",
                                            positionals,
                                            options,
                                            examples,
                                            run_platform};

}  // namespace skep::cli
