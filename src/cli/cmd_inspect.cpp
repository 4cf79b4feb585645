// SPDX-License-Identifier: Apache-2.0
// `skep inspect`: what an object file holds.
#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/inspect.hpp"

namespace skep::cli {

namespace {

Result<int> run_inspect(const Arguments& arguments, Output& output) {
    SKEP_ASSIGN(const object::ObjectSpec spec, read_object_file(*arguments.text("OBJECT")));
    if (output.json) {
        output.print(inspect_json(spec));
        return exit_done;
    }
    InspectOptions options;
    options.sections = !arguments.flag("brief");
    options.relocations = !arguments.flag("brief");
    output.out(inspect_text(spec, options, [&](std::string_view text) { return output.heading(text); }));
    return exit_done;
}

constexpr PositionalSpec positionals[] = {{"OBJECT", "an eBPF object file, as clang or gcc make it"}};
constexpr OptionSpec options[] = {{"-b,--brief", Kind::Flag, "", "without sections and relocations"}};
constexpr Example examples[] = {{"skep inspect prog.o", "programs, maps, globals, sections, relocations, licence, BTF"},
                                {"skep inspect prog.o --json", "the same for other programs"}};

}  // namespace

extern const Command inspect_command;
constinit const Command inspect_command = {
    "inspect",
    "shows what an object file holds",
    "Reads the file and nothing else: the result is the same on every machine. Parts that skep does not support are\n"
    "listed with the reason.",
    positionals,
    options,
    examples,
    run_inspect};

}  // namespace skep::cli
