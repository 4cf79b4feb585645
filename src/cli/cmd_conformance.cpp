// SPDX-License-Identifier: Apache-2.0
// `skep conformance`: the plugin protocol of the public bpf_conformance suite, as a subcommand.
#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/conformance.hpp"
#include "cli/file.hpp"
#include "cli/json.hpp"

namespace skep::cli {

namespace {

Result<int> run(const Arguments& arguments, Output& output) {
    SKEP_ASSIGN(std::vector<std::byte> memory, parse_hex(arguments.text_or("MEMORY", "")));
    SKEP_ASSIGN(const std::vector<std::byte> text, read_file("-"));
    SKEP_ASSIGN(const std::vector<std::byte> bytes,
                parse_hex({reinterpret_cast<const char*>(text.data()), text.size()}));
    SKEP_ASSIGN(const isa::Code code, slots_of(bytes));
    const std::string name = arguments.text_or("engine", "jit");
    const ConformanceEngine engine = name == "interp"   ? ConformanceEngine::Interp
                                     : name == "native" ? ConformanceEngine::Native
                                                        : ConformanceEngine::Jit;
    SKEP_ASSIGN(const uint64_t r0, run_conformance(code, memory, engine));
    if (output.json) {
        output.print(Json::object().set("r0", r0));
    } else {
        output.out(fmt::format("{:x}\n", r0));
    }
    return exit_done;
}

constexpr PositionalSpec positionals[] = {
    {"MEMORY", "what r1 points to: bytes in hexadecimal, as one argument", false, Kind::Text}};
constexpr OptionSpec options[] = {{"-e,--engine", Kind::Choice, "interp|jit|native", "who runs it (jit)"}};
constexpr Example examples[] = {
    {"echo 'b7 00 00 00 2a 00 00 00 95 00 00 00 00 00 00 00' | skep conformance", "prints 2a"}};

}  // namespace

extern const Command conformance_command;
constinit const Command conformance_command = {
    "conformance",
    "runs instructions from standard input and prints r0",
    "Speaks the plugin protocol of the public bpf_conformance suite: the code in hexadecimal on standard input, r0 in\n"
    "hexadecimal on standard output. Development builds only.",
    positionals,
    options,
    examples,
    run};

}  // namespace skep::cli
