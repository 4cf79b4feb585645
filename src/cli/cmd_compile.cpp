// SPDX-License-Identifier: Apache-2.0
// `skep compile`: an object becomes a native module, or the C text of one.
#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/json.hpp"
#include "cli/table.hpp"
#include "cli/target_options.hpp"
#include "module/build.hpp"
#include "module/signature.hpp"
#include "program/personality.hpp"

namespace skep::cli {

namespace {

bool ends_with(const std::string& text, std::string_view end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

Result<int> run_compile(const Arguments& arguments, Output& output) {
    const std::string path = *arguments.text("OBJECT");
    const auto to = arguments.text("output");
    if (!to)
        return Error(Errc::InvalidArgument, "it is not said where the module goes", {},
                     "name a file with -o; its ending says what it becomes: .so, .dll or .c");
    module::BuildOptions options;
    options.generator = "skep " SKEP_VERSION;
    options.source_only = ends_with(*to, ".c");
    const auto host = module::host_target();
    if (const auto name = arguments.text("target")) {
        const auto target = module::target_from_name(*name);
        if (!target) {
            std::string known;
            for (const module::Target t : module::all_targets())
                known += std::string(known.empty() ? "" : ", ") + module::target_name(t);
            return Error(Errc::InvalidArgument, fmt::format("there is no target \"{}\"", *name), {},
                         "known targets: " + known);
        }
        options.compiler.target = *target;
    } else if (ends_with(*to, ".dll")) {
        options.compiler.target = module::Target::WindowsX86_64;
    } else if (host) {
        options.compiler.target = *host;
    }
    const std::string ending = std::string(".") + module::target_ending(options.compiler.target);
    if (!options.source_only && !ends_with(*to, ending))
        return Error(Errc::InvalidArgument,
                     fmt::format("a module for {} is a file *{}", module::target_name(options.compiler.target), ending),
                     fmt::format("-o names {}", *to), "rename it, or say --target");
    if (const auto cpu = arguments.text("cpu")) {
        const auto level = module::cpu_level_from_name(*cpu);
        if (!level)
            return Error(Errc::InvalidArgument, fmt::format("there is no processor level \"{}\"", *cpu), {},
                         "known: baseline, x86-64-v2, x86-64-v3, x86-64-v4, host");
        options.compiler.cpu = *level;
    }
    options.compiler.compiler = arguments.text_or("cc", "");
    if (const auto program = arguments.text("program")) options.programs.push_back(*program);
    options.personality = arguments.text_or("personality", "");
    SKEP_ASSIGN(const std::vector<std::byte> file, read_file(path));
    auto personality = platform::Personality::Linux;
    if (const auto spec = object::read_object(file, path))
        personality = settle_personality(*spec, personality_from_name(options.personality)).value_or(personality);
    // The types are named by their bytes: a file's name says nothing where the module is read.
    SKEP_ASSIGN(const runtime::TargetTypes target, target_types(arguments, personality));
    options.core.types = [&options, &target]() -> Result<std::shared_ptr<const btf::Btf>> {
        auto types = target.open();
        if (types) options.core_types = "BTF " + module::digest_text((*types)->raw());
        return types;
    };
    SKEP_ASSIGN(TargetOptions wanted, target_options(arguments));
    options.core.config = std::move(wanted.config);

    SKEP_ASSIGN(
        const module::Built built,
        module::build_module(file, path, options,
                             arguments.flag("unverified") ? module::no_verifier() : module::verifier_voucher()));
    if (arguments.flag("reproducible") && !options.source_only) {
        SKEP_ASSIGN(const module::Buffer again, module::rebuild(built.descriptor, options.compiler.compiler,
                                                                module::voucher_of(built.descriptor.verifier)));
        if (again != built.image)
            return Error(Errc::Rejected, "the C compiler gives other bytes each time",
                         built.descriptor.compiler + " built the same text twice, with different images",
                         "name another compiler with --cc")
                .in_file(path);
    }
    const Bytes bytes = options.source_only ? as_bytes(built.source) : Bytes(built.image);
    SKEP_TRY(write_file(*to, bytes));
    if (output.json) {
        Json programs = Json::array();
        for (const module::ModuleProgram& p : built.descriptor.programs)
            programs.push(Json::object().set("name", p.name).set("type", p.type).set("instructions", p.instructions));
        output.print(Json::object()
                         .set("file", *to)
                         .set("bytes", static_cast<uint64_t>(bytes.size()))
                         .set("target", built.descriptor.target)
                         .set("cpu", built.descriptor.cpu)
                         .set("compiler", built.descriptor.compiler)
                         .set("programs", std::move(programs))
                         .set("kernel_configuration", kernel_values_json(built.descriptor.kernel_values)));
    } else {
        output.out(fmt::format("{}: {}, {} for {} ({})\n", *to, count_of(bytes.size(), "byte"),
                               count_of(built.descriptor.programs.size(), "program"), built.descriptor.target,
                               built.descriptor.cpu));
        if (!built.descriptor.kernel_values.empty())
            output.out("its programs are told of the kernel, whatever it runs on:\n" +
                       kernel_values_text(built.descriptor.kernel_values));
    }
    return exit_done;
}

constexpr PositionalSpec positionals[] = {{"OBJECT", "an eBPF object file"}};
constexpr OptionSpec options[] = {
    {"-o,--output", Kind::Output, "FILE", "the module (.so, .dll), or its C text (.c)"},
    {"-t,--target", Kind::Text, "TARGET", "linux-x86_64, linux-arm64 or windows-x86_64 (by -o, else this host)"},
    {"--cpu", Kind::Text, "LEVEL", "baseline, x86-64-v2, x86-64-v3, x86-64-v4, or host: this processor's (baseline)"},
    {"--cc", Kind::Text, "CC", "the C compiler (the first known one of the target that is installed)"},
    {"-p,--program", Kind::Text, "NAME", "this program alone, with those its program arrays hold"},
    {"--personality", Kind::Choice, "linux|windows",
     "whose headers the object was compiled against, if that cannot be told"},
    {"--btf", Kind::File, "FILE", "the types that CO-RE relocations are resolved against (the running kernel's)"},
    {"--platform", Kind::Text, "NAME",
     "the system whose kernel configuration the programs read, for good: LINUX_KERNEL_VERSION, ... (skep, which says "
     "6.12)"},
    SKEP_KERNEL_CONFIG_OPTIONS,
    {"--reproducible", Kind::Flag, "", "builds it twice, apart, and fails if the compiler gave other bytes"},
    {"--unverified", Kind::Flag, "", "do not verify the programs (development builds)"},
};
constexpr Example examples[] = {
    {"skep compile prog.o -o prog.so", "a module for this host"},
    {"skep compile prog.o -o prog.dll", "the same for Windows"},
    {"skep compile prog.o -o prog.c", "the C text, for reading"},
};

}  // namespace

extern const Command compile_command;
constinit const Command compile_command = {
    "compile",
    "makes a native module of an object",
    "The programs become C, and a C compiler of this host makes an image of it that needs nothing but its run-time\n"
    "context. The module carries the object, what it needs of its host, and who verified it. The same object, options\n"
    "and compiler give the same bytes.",
    positionals,
    options,
    examples,
    run_compile};

}  // namespace skep::cli
