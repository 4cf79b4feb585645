// SPDX-License-Identifier: Apache-2.0
// `skep version` and `skep help`.
#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/json.hpp"

namespace skep::cli {

namespace {

#if defined(SKEP_PRODUCTION)
constexpr std::string_view build_kind = "production";
#else
constexpr std::string_view build_kind = "development";
#endif

Result<int> run_version(const Arguments&, Output& output) {
    if (output.json) {
        output.print(Json::object().set("version", SKEP_VERSION).set("build", build_kind));
    } else {
        output.out(fmt::format("skep {} ({} build)\n", SKEP_VERSION, build_kind));
    }
    return exit_done;
}

Result<int> run_help(const Arguments& arguments, Output& output) {
    const auto name = arguments.text("COMMAND");
    if (!name) {
        if (output.json)
            output.print(help_json());
        else
            output.out(help_text());
        return exit_done;
    }
    const Command* command = find_command(*name);
    if (command == nullptr) {
        return Error(Errc::InvalidArgument, fmt::format("there is no command \"{}\"", *name), {},
                     "skep help lists the commands");
    }
    if (output.json)
        output.print(help_json(*command));
    else
        output.out(help_text(*command));
    return exit_done;
}

constexpr PositionalSpec help_positionals[] = {{"COMMAND", "the command to explain", false, Kind::Text}};

}  // namespace

extern const Command version_command;
constinit const Command version_command = {
    "version", "the version, and whether this is a production build", {}, {}, {}, {}, run_version};
extern const Command help_command;
constinit const Command help_command = {"help",  "explains skep, or one command", {}, help_positionals, {}, {},
                                        run_help};

}  // namespace skep::cli
