// SPDX-License-Identifier: Apache-2.0
// `skep replay`: what `skep run --record` wrote, on another engine or another system, up to the first difference.
#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/module_options.hpp"
#include "cli/run/contexts.hpp"
#include "cli/run/map_init.hpp"
#include "cli/run/recording.hpp"
#include "module/build.hpp"
#include "program/personality.hpp"
#include "runtime/load/unverified.hpp"

namespace skep::cli {

namespace {

/// The record's object as a module: the one that is named, or one that is built here, for this run alone.
Result<std::shared_ptr<const module::LoadedModule>> native_code(const Arguments& arguments, const RecordHead& head,
                                                                const std::vector<std::string>& programs,
                                                                module::CheckOptions check) {
    Buffer image;
    if (const auto file = arguments.text("module")) {
        SKEP_ASSIGN(image, read_file(*file));
    } else {
        const auto host = module::host_target();
        if (!host || !runtime::unverified_programs_possible())
            return Error(Errc::Unavailable, "no module can be built here", {}, "name one with --module FILE");
        module::BuildOptions options;
        options.compiler.target = *host;
        options.generator = "skep replay";
        auto personality = platform::Personality::Linux;
        if (const auto spec = object::read_object(head.object, head.name))
            personality = settle_personality(*spec, personality_from_name(head.personality)).value_or(personality);
        SKEP_ASSIGN(const runtime::TargetTypes target, target_types(arguments, personality));
        options.core.types = target.open;
        options.programs = programs;
        options.personality = head.personality;
        if (!head.core_answers.empty()) options.core.recorded = &head.core_answers;
        options.core.config = head.kernel_config();
        SKEP_ASSIGN(
            module::Built built,
            module::build_module(head.object, head.name, options,
                                 arguments.flag("unverified") ? module::no_verifier() : module::verifier_voucher()));
        image = std::move(built.image);
        check.policy.require_signature = false;
    }
    auto examined = module::check_module(image, check);
    if (!examined) return std::move(examined).error().in_file(arguments.text_or("module", head.name));
    module::CheckedModule checked = *std::move(examined);
    if (checked.descriptor().object != head.object)
        return Error(Errc::InvalidArgument, "the module is not one of the record's object",
                     fmt::format("the record is of {}, the module of {}", head.name, checked.descriptor().object_name));
    for (const auto& [program, answers] : head.core_answers) {
        const auto& there = checked.descriptor().core_answers;
        if (const auto found = there.find(program); found == there.end() || found->second != answers)
            return Error(Errc::InvalidArgument, "the module is of other types than the record",
                         fmt::format("the CO-RE relocations of {} were answered otherwise", program),
                         "build it against the types that were recorded, or leave out --module");
    }
    SKEP_ASSIGN(std::shared_ptr<const module::LoadedModule> loaded, module::LoadedModule::load(std::move(checked)));
    return loaded;
}

void show(Output& output, const Record& record, const RecordReader& reader, const std::string& engine) {
    const RecordReader::Difference& d = *reader.difference();
    if (output.json) {
        Json before = Json::array();
        for (const std::string& line : d.before) before.push(line);
        output.print(Json::object()
                         .set("same", false)
                         .set("engine", engine)
                         .set("recorded_by", record.head.engine)
                         .set("run", d.run)
                         .set("event", static_cast<uint64_t>(d.line + 1))
                         .set("recorded", d.recorded)
                         .set("here", d.here)
                         .set("before", std::move(before)));
        return;
    }
    std::string text = fmt::format("different from event {} on, in run {}\n", d.line + 1, d.run);
    for (const std::string& line : d.before) text += fmt::format("  both:      {}\n", line);
    text += fmt::format("  recorded:  {} ({})\n", d.recorded.empty() ? "nothing more" : d.recorded, record.head.engine);
    text += fmt::format("  here:      {} ({})\n", d.here.empty() ? "nothing more" : d.here, engine);
    output.out(text);
}

Result<int> run_replay(const Arguments& arguments, Output& output) {
    const std::string path = *arguments.text("RECORD");
    SKEP_ASSIGN(const Buffer text, read_file(path));
    auto parsed = Record::parse(text);
    if (!parsed) return std::move(parsed).error().in_file(path);
    const Record& record = *parsed;
    const RecordHead& head = record.head;

    RunOptions options;
    options.program = head.program;
    options.engine = arguments.text_or("engine", head.engine);
    options.seed = head.seed;
    options.ifindex = head.ifindex;
    options.unverified = arguments.flag("unverified");
    SKEP_ASSIGN(options.btf, readable_types(arguments));
    options.personality = personality_from_name(head.personality);
    SKEP_ASSIGN(const module::CheckOptions check, check_options(arguments));
    options.admit = admission(arguments, check);
    SKEP_TRY(engine_allowed(arguments, check, options.engine));
    if (arguments.text("module") && options.engine != "native")
        return Error(Errc::InvalidArgument, "--module is about --engine native", {},
                     "leave one of them out, or say both");
    options.kernel_config = head.kernel_config();
    if (!head.core_answers.empty()) options.core_answers = &head.core_answers;
    SKEP_ASSIGN(object::ObjectSpec read, object::read_object(head.object, head.name));
    SKEP_ASSIGN(const MapInit init, MapInit::parse(head.init, "the record's initial maps"));
    if (read.find_program(head.program) == object::no_index)
        return Error(Errc::Syntax, fmt::format("the record's object has no program \"{}\"", head.program))
            .in_file(path);
    options.also_load = init.programs(read);
    if (options.engine == "native") {
        std::vector<std::string> programs = options.also_load;
        programs.push_back(head.program);
        SKEP_ASSIGN(options.native, native_code(arguments, head, programs, check));
    }
    const std::vector<object::MapSpec> before = read.maps;
    SKEP_TRY(init.apply_globals(read));
    for (size_t i = 0; options.native != nullptr && i < before.size(); ++i)
        if (before[i].read_only && before[i].initial != read.maps[i].initial)
            return Error(Errc::Unsupported,
                         fmt::format("native code is made for the constants of the object ({})", before[i].name),
                         "the record is of a run with others", "replay it on another engine");
    const auto spec = std::make_shared<const object::ObjectSpec>(std::move(read));
    options.also_make = init.inner_maps(*spec);
    RecordReader reader(record);
    options.recording = &reader;
    if (reader.of_contexts()) {
        SKEP_ASSIGN(const std::unique_ptr<ContextRunner> runner, ContextRunner::open(spec, options));
        while (!reader.difference()) {
            auto context = reader.next_context();
            if (!context) return std::move(context).error().in_file(path);
            if (!context->has_value()) break;
            const Buffer& text_of_it = **context;
            const Result<Json> json = parse_json({reinterpret_cast<const char*>(text_of_it.data()), text_of_it.size()});
            if (!json) return Error(json.error()).in_file(path);
            SKEP_TRY(runner->run(*json, reader.runs()));
        }
        if (!reader.difference()) SKEP_TRY(runner->finish());
    } else {
        SKEP_ASSIGN(const std::unique_ptr<Backend> backend, open_skep(spec, options));
        SKEP_TRY(init.apply(*spec, *backend));
        while (!reader.difference()) {
            auto packet = reader.next_packet();
            if (!packet) return std::move(packet).error().in_file(path);
            if (!packet->has_value()) break;
            SKEP_TRY(backend->run({Bytes(**packet)}, [](size_t, const PacketReport&) -> Result<void> { return {}; }));
        }
        if (!reader.difference()) SKEP_TRY(reader.finish(*spec, *backend));
    }
    reader.expect_end();
    if (reader.difference()) {
        show(output, record, reader, options.engine);
        return exit_no;
    }
    if (output.json)
        output.print(Json::object()
                         .set("same", true)
                         .set("engine", options.engine)
                         .set("recorded_by", head.engine)
                         .set("runs", reader.runs())
                         .set("events", reader.events()));
    else
        output.out(fmt::format("{} runs, {} events: no difference ({} recorded, {} replayed)\n", reader.runs(),
                               reader.events(), head.engine, options.engine));
    return exit_done;
}

constexpr PositionalSpec positionals[] = {{"RECORD", "what skep run --record wrote"}};
constexpr OptionSpec options[] = {
    {"-e,--engine", Kind::Choice, "jit|interp|native", "who runs it now (the engine that was recorded)"},
    {"--module", Kind::File, "FILE", "the native code of it (one is built, where there is a C compiler)"},
    {"--btf", Kind::File, "FILE",
     "BTF that CO-RE relocations are resolved against, for records that do not say (the running kernel's)"},
    {"--unverified", Kind::Flag, "", "do not verify the program (development builds)"},
    SKEP_MODULE_OPTIONS,
};
constexpr Example examples[] = {
    {"skep run prog.o --pcap in.pcap --record in.record && skep replay in.record --engine native",
     "whether native code does what the JIT did, call by call"}};

}  // namespace

extern const Command replay_command;
constinit const Command replay_command = {"replay",
                                          "runs a record again and stops at the first difference",
                                          "A record holds the object and what it was adapted to (CO-RE, kernel "
                                          "configuration), the packets, and every helper\n"
                                          "call with what its arguments point to. Time and chance answer as they did "
                                          "then; everything else is done again and\n"
                                          "compared, on any engine, on either system.",
                                          positionals,
                                          options,
                                          examples,
                                          run_replay};

}  // namespace skep::cli
