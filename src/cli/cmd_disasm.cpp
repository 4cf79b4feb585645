// SPDX-License-Identifier: Apache-2.0
// `skep disasm`: linked programs in the canonical dialect, source lines between them where BTF has them.
#include <fmt/format.h>

#include <optional>

#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/json.hpp"
#include "cli/table.hpp"
#include "isa/disasm.hpp"
#include "object/link.hpp"
#include "platform/helper.hpp"
#include "platform/platforms/platform.hpp"
#include "platform/program_type.hpp"
#include "program/personality.hpp"

namespace skep::cli {

namespace {

using object::LinkedProgram;
using object::ObjectSpec;

struct Listing {
    LinkedProgram program;
    std::vector<isa::PlacedInsn> insns;
    isa::Labels labels;
    platform::Personality personality = platform::Personality::Linux;  ///< whose numbers helpers have
    std::optional<platform::ProgramType> type;                         ///< some of Windows' numbers are a type's own
};

Result<Listing> list(const ObjectSpec& spec, uint32_t index, platform::Personality personality,
                     std::optional<platform::ProgramType> type) {
    Listing listing;
    listing.personality = personality;
    SKEP_ASSIGN(listing.program, object::link(spec, index));
    listing.type = type;
    if (const auto meaning = platform::section_meaning(listing.program.section); meaning && !type)
        listing.type = meaning->type;
    SKEP_ASSIGN(listing.insns, isa::decode_all(listing.program.code));
    isa::Labels functions;
    for (const object::Subprogram& function : listing.program.subprograms)
        functions.emplace(function.start, function.name);
    listing.labels = isa::label_targets(listing.insns, functions);
    return listing;
}

/// The personality's own word for a helper's number; empty where it defines none, or another per program type and the
/// type is not known.
std::string helper_word(const Listing& listing, uint32_t number) {
    platform::HelperId helper{};
    if (listing.personality == platform::Personality::Linux)
        return platform::helper_from_linux(number, &helper) ? platform::helper_name(helper) : "";
    if (listing.type)
        if (const auto word = platform::windows_helper_word(*listing.type, number); !word.empty())
            return std::string(word);
    return platform::helper_from_windows(number, &helper) ? platform::helper_name(helper) : "";
}

/// What a symbolic operand names: `map counters`, `map .rodata + 16`.
std::string note(const ObjectSpec& spec, const Listing& listing, const isa::PlacedInsn& placed) {
    const LinkedProgram& program = listing.program;
    const isa::Slot& slot = program.code[placed.index];
    const isa::Operation operation = placed.insn.row().operation;
    const auto index = static_cast<uint32_t>(slot.imm);
    if (operation == isa::Operation::LdMapFd || operation == isa::Operation::LdMapValue) {
        if (index >= program.maps.size()) return {};
        const std::string& name = spec.maps[program.maps[index]].name;
        if (operation == isa::Operation::LdMapFd) return "map " + name;
        return fmt::format("map {} + {}", name, program.code[placed.index + 1].imm);
    }
    if (operation == isa::Operation::LdBtfId || operation == isa::Operation::CallKfunc) {
        if (index < program.externs.size()) return "extern " + spec.externs[program.externs[index]].name;
    }
    if (operation == isa::Operation::LdFunc) {
        const uint32_t target = placed.index + 1 + index;
        for (const object::Subprogram& function : program.subprograms)
            if (function.start == target) return "function " + function.name;
    }
    if (operation == isa::Operation::Call) return helper_word(listing, index);
    return {};
}

std::string text_of(const ObjectSpec& spec, const Listing& listing, const Output& output) {
    const LinkedProgram& program = listing.program;
    std::string text = output.heading(fmt::format("{}: section \"{}\", {}", program.name, program.section,
                                                  count_of(listing.insns.size(), "instruction"))) +
                       "\n";
    auto line = program.lines.begin();
    const object::SourceLine* shown = nullptr;
    for (const isa::PlacedInsn& placed : listing.insns) {
        if (const auto label = listing.labels.find(placed.index); label != listing.labels.end())
            text += fmt::format("{}:\n", label->second);
        for (; line != program.lines.end() && line->insn <= placed.index; ++line) {
            const bool same = shown != nullptr && shown->file == line->file && shown->line == line->line;
            shown = &*line;
            if (line->insn != placed.index || same) continue;
            const size_t start = line->text.find_first_not_of(" \t");
            const std::string source = start == std::string::npos ? "" : line->text.substr(start);
            text += fmt::format("; {}:{}{}{}\n", line->file, line->line, source.empty() ? "" : ": ", source);
        }
        const std::string comment = note(spec, listing, placed);
        text += fmt::format("{:>8}: {}{}\n", placed.index, isa::disassemble(placed.insn, placed.index, listing.labels),
                            comment.empty() ? "" : "  ; " + comment);
    }
    return text;
}

Json json_of(const ObjectSpec& spec, const Listing& listing) {
    const LinkedProgram& program = listing.program;
    Json functions = Json::array();
    for (const object::Subprogram& f : program.subprograms)
        functions.push(
            Json::object().set("name", f.name).set("start", f.start).set("end", f.end).set("global", f.global));
    Json insns = Json::array();
    auto line = program.lines.begin();
    for (const isa::PlacedInsn& placed : listing.insns) {
        Json insn = Json::object();
        insn.set("insn", placed.index).set("text", isa::disassemble(placed.insn, placed.index, listing.labels));
        if (const auto label = listing.labels.find(placed.index); label != listing.labels.end())
            insn.set("label", label->second);
        if (const std::string comment = note(spec, listing, placed); !comment.empty()) insn.set("refers_to", comment);
        while (line != program.lines.end() && line->insn < placed.index) ++line;
        if (line != program.lines.end() && line->insn == placed.index) {
            insn.set("source", Json::object()
                                   .set("file", line->file)
                                   .set("line", line->line)
                                   .set("column", line->column)
                                   .set("text", line->text));
        }
        insns.push(std::move(insn));
    }
    return Json::object()
        .set("program", program.name)
        .set("section", program.section)
        .set("functions", std::move(functions))
        .set("insns", std::move(insns));
}

Result<int> run_disasm(const Arguments& arguments, Output& output) {
    const std::string path = *arguments.text("OBJECT");
    SKEP_ASSIGN(const ObjectSpec spec, read_object_file(path));
    const auto name = arguments.text("program");
    if (name && spec.find_program(*name) == object::no_index) {
        return Error(Errc::Unresolved, fmt::format("there is no program \"{}\"", *name), {},
                     "skep inspect lists the object's programs")
            .in_file(path);
    }
    const auto asked = personality_from_name(arguments.text_or("personality", ""));
    const auto personality = asked ? *asked : find_personality(spec).personality.value_or(platform::Personality::Linux);
    std::optional<platform::ProgramType> type;
    if (const auto word = arguments.text("type")) {
        type = platform::program_type_from_name(*word);
        if (!type) return Error(Errc::InvalidArgument, fmt::format("there is no program type \"{}\"", *word));
    }
    Json all = Json::array();
    bool first = true;
    int code = exit_done;
    for (uint32_t i = 0; i < spec.programs.size(); ++i) {
        if (name && spec.programs[i].name != *name) continue;
        Result<Listing> listing = list(spec, i, personality, type);
        if (!listing) {
            // The other programs are worth seeing all the same.
            const Error error = std::move(listing).error().in_file(path).in_function(spec.programs[i].name);
            if (name) return error;
            code = exit_code_of(error.code());
            if (output.json) {
                all.push(Json::object()
                             .set("program", spec.programs[i].name)
                             .set("error", *error_json(error).find("error")));
            } else {
                output.print(error);
            }
            continue;
        }
        if (output.json) {
            all.push(json_of(spec, *listing));
        } else {
            output.out((first ? "" : "\n") + text_of(spec, *listing, output));
        }
        first = false;
    }
    if (output.json) output.print(all);
    return code;
}

constexpr PositionalSpec positionals[] = {{"OBJECT", "an eBPF object file"}};
constexpr OptionSpec options[] = {
    {"-p,--program", Kind::Text, "NAME", "only this program"},
    {"--type", Kind::Text, "TYPE", "program type, where the section name does not tell: some helpers are a type's own"},
    {"--personality", Kind::Choice, "linux|windows",
     "whose headers it was compiled against, where that cannot be told (linux)"},
};
constexpr Example examples[] = {{"skep disasm prog.o --program xdp_main", "one program, source lines interleaved"}};

}  // namespace

extern const Command disasm_command;
constinit const Command disasm_command = {"disasm",
                                          "disassembles the programs of an object",
                                          "Shows each program as it is loaded: with the functions it calls, references "
                                          "to maps and externs resolved to their\n"
                                          "names. The dialect is llvm-objdump's; what stands after \";\" is a comment.",
                                          positionals,
                                          options,
                                          examples,
                                          run_disasm};

}  // namespace skep::cli
