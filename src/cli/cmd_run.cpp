// SPDX-License-Identifier: Apache-2.0
// `skep run`: a program over the packets of a capture.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/os.hpp"
#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/module_options.hpp"
#include "cli/os/host.hpp"
#include "cli/run/contexts.hpp"
#include "cli/run/map_init.hpp"
#include "cli/run/packet_files.hpp"
#include "cli/run/progress.hpp"
#include "cli/run/recording.hpp"
#include "cli/run/report.hpp"
#include "cli/target_options.hpp"
#include "hooks/pcap/capture.hpp"
#include "program/personality.hpp"
#include "runtime/load/loaded_object.hpp"
#include "runtime/load/unverified.hpp"

namespace skep::cli {

namespace {

constexpr size_t batch_packets = 256;
constexpr size_t kept_batches = 1 << 20;

/// Packets of one batch, copied out of the reader.
struct Batch {
    std::vector<hooks::Packet> packets;
    std::vector<Bytes> bytes;
    std::vector<Buffer> storage;

    void clear() {
        packets.clear();
        bytes.clear();
    }
    void add(const hooks::Packet& packet) {
        const size_t i = packets.size();
        if (storage.size() <= i) storage.emplace_back();
        storage[i].assign(packet.bytes.begin(), packet.bytes.end());
        packets.push_back(packet);
        packets.back().bytes = storage[i];
        bytes.push_back(storage[i]);
    }
};

struct Runner {
    const Arguments& arguments;
    Output& output;
    Backend& backend;
    RunSummary& summary;
    VerdictFile verdicts;
    PassedFile passed = {};
    uint64_t number = 0;  ///< of the packet in the capture, from 1
    std::optional<Progress> progress = std::nullopt;
    uint64_t behind = 0;  ///< bytes of the rounds that are over

    Result<void> handle(const Batch& batch, const std::vector<uint64_t>& numbers) {
        const uint64_t before = backend.elapsed_ns();
        SKEP_TRY(run_batch(batch, numbers));
        const uint64_t spent = backend.elapsed_ns() - before;
        if (!batch.packets.empty() && summary.batch_ns.size() < kept_batches)
            summary.batch_ns.push_back(static_cast<double>(spent) / static_cast<double>(batch.packets.size()));
        return {};
    }

    Result<void> run_batch(const Batch& batch, const std::vector<uint64_t>& numbers) {
        return backend.run(batch.bytes, [&](size_t i, const PacketReport& report) -> Result<void> {
            ++summary.packets;
            ++summary.verdicts[report.verdict];
            if (!report.redirect.empty()) ++summary.redirects[report.redirect];
            verdicts.add(numbers[i], report);
            if (!passed.is_open() || !platform::lets_pass(report.verdict)) return {};
            hooks::Packet packet = batch.packets[i];
            packet.bytes = report.packet;
            if (report.verdict == platform::Verdict::SocketKeep)
                packet.bytes = packet.bytes.first(std::min<size_t>(packet.bytes.size(), report.kept_bytes + 14));
            packet.original_length = static_cast<uint32_t>(report.packet.size());
            ++summary.passed;
            return passed.add(packet);
        });
    }

    Result<void> once(const std::string& path) {
        SKEP_ASSIGN(hooks::CaptureReader reader, hooks::CaptureReader::open(path));
        if (!progress) progress.emplace(output, reader.size() * summary.repeats);
        Batch batch;
        std::vector<uint64_t> numbers;
        number = 0;
        for (bool more = true; more;) {
            batch.clear();
            numbers.clear();
            while (batch.packets.size() < batch_packets) {
                SKEP_ASSIGN(const std::optional<hooks::Packet> packet, reader.next());
                if (!packet) {
                    more = false;
                    break;
                }
                ++number;
                if (packet->link_type != hooks::link_type_ethernet) {
                    return Error(Errc::Unsupported, "the capture is not of an Ethernet link",
                                 fmt::format("packet {} has link type {}", number, packet->link_type),
                                 "capture on an Ethernet interface, or convert with editcap -T ether")
                        .in_file(path);
                }
                if (backend.refuses(packet->bytes)) {
                    ++summary.skipped[packet->bytes.size()];
                    continue;
                }
                batch.add(*packet);
                numbers.push_back(number);
            }
            SKEP_TRY(handle(batch, numbers));
            progress->at(behind + reader.position(), summary.packets, "packets");
        }
        behind += reader.size();
        return {};
    }

    Result<void> run(const std::string& path) {
        if (const auto file = arguments.text("verdicts")) SKEP_TRY(verdicts.open(*file));
        if (const auto file = arguments.text("pass-to")) SKEP_TRY(passed.open(*file));
        for (uint64_t i = 0; i < summary.repeats; ++i) SKEP_TRY(once(path));
        SKEP_TRY(passed.close());
        return verdicts.close();
    }
};

/// What `auto` is: a module's code, else the first engine this build has, of those that the policy allows.
std::string chosen_engine(const std::string& asked, bool is_module, const module::Policy* policy) {
    if (asked != "auto") return asked;
    std::vector<std::string> order;
    if (is_module) order.emplace_back("native");
    for (const runtime::EngineKind engine : runtime::available_engines())
        order.emplace_back(runtime::engine_name(engine));
    for (const std::string& engine : order)
        if (policy == nullptr || std::ranges::find(policy->engines, engine) != policy->engines.end()) return engine;
    return order.empty() ? "jit" : order.front();
}

Result<int> run_run(const Arguments& arguments, Output& output) {
    const std::string path = *arguments.text("OBJECT");
    const auto capture = arguments.text("pcap");
    const auto contexts = arguments.text("contexts");
    if (!capture && !contexts)
        return Error(Errc::InvalidArgument, "no packets were given", {}, "name a capture with --pcap FILE");
    for (const char* option : {"pcap", "pass-to", "verdicts", "repeat", "event-type"})
        if (contexts && arguments.text(option))
            return Error(Errc::InvalidArgument, fmt::format("--{} is about packets, not --contexts", option), {},
                         "leave one of them out");
    SKEP_ASSIGN(Buffer file, read_file(path));
    SKEP_ASSIGN(const module::CheckOptions check, check_options(arguments));
    // A module is taken wherever an object is: its own code runs, or, if another engine is asked for, its object.
    const bool is_module = module::is_native_image(file);
    const std::string engine =
        chosen_engine(arguments.text_or("engine", "auto"), is_module, asks_policy(arguments) ? &check.policy : nullptr);
    std::shared_ptr<const module::LoadedModule> native;
    runtime::CoreAnswers core_answers;
    runtime::KernelConfig baked_in;
    std::optional<platform::Personality> compiled_for;
    std::optional<std::string> wanted = arguments.text("program");
    if (is_module) {
        auto checked = module::check_module(file, check);
        if (!checked) return std::move(checked).error().in_file(path);
        file = checked->descriptor().object;
        core_answers = checked->descriptor().core_answers;
        compiled_for = personality_from_name(checked->descriptor().personality);
        if (!wanted && checked->descriptor().wanted.size() == 1) wanted = checked->descriptor().wanted.front();
        baked_in = module::kernel_config_of(checked->descriptor());
        if (engine == "native") {
            SKEP_ASSIGN(native, module::LoadedModule::load(*std::move(checked)));
        }
    }
    SKEP_ASSIGN(object::ObjectSpec read, object::read_object(file, path));
    Buffer init_text;
    if (const auto init_file = arguments.text("map-init")) {
        SKEP_ASSIGN(init_text, read_file(*init_file));
        if (init_text.empty()) return Error(Errc::Syntax, "the text is not JSON", "it is empty").in_file(*init_file);
    }
    SKEP_ASSIGN(const MapInit init, MapInit::parse(init_text, arguments.text_or("map-init", "")));
    const std::vector<object::MapSpec> before = read.maps;
    SKEP_TRY(init.apply_globals(read));
    // A module's code and certificate rest on the constants it was verified with.
    for (size_t i = 0; native != nullptr && i < before.size(); ++i)
        if (before[i].read_only && before[i].initial != read.maps[i].initial)
            return Error(Errc::Unsupported,
                         fmt::format("the constants of a module cannot be changed ({})", before[i].name),
                         "its code was made, and proved, for the values in its object",
                         "run it on another engine, or set them in the object before skep compile")
                .in_file(path);
    const auto spec = std::make_shared<const object::ObjectSpec>(std::move(read));
    SKEP_ASSIGN(
        const uint32_t index,
        runtime::choose_program(
            *spec, wanted, arguments.text("contexts") ? platform::HostedBy::Contexts : platform::HostedBy::Packets));

    SKEP_ASSIGN(const uint64_t repeats, arguments.number_in("repeat", 1, UINT64_MAX, 1));
    const std::string event_type = arguments.text_or("event-type", "");
    if (!event_type.empty() && (spec->btf == nullptr || spec->btf->named(event_type).empty()))
        return Error(Errc::Unresolved, fmt::format("the object has no type \"{}\"", event_type), {},
                     "without --event-type, events are shown as the structure that fits them, or as bytes")
            .in_file(path);

    RunOptions options;
    options.program = spec->programs[index].name;
    options.engine = engine;
    options.native = native;
    if (is_module) options.core_answers = &core_answers;
    SKEP_TRY(engine_allowed(arguments, check, engine, !is_module));
    if (options.engine == "native" && native == nullptr)
        return Error(Errc::InvalidArgument, "the engine native runs modules, and this is an object", {},
                     "make a module of it with skep compile");
    options.also_load = init.programs(*spec);
    options.also_make = init.inner_maps(*spec);
    options.seed = arguments.number("deterministic");
    SKEP_ASSIGN(const uint64_t ifindex, arguments.number_in("ifindex", 0, UINT32_MAX, 1));
    options.ifindex = static_cast<uint32_t>(ifindex);
    SKEP_ASSIGN(options.btf, readable_types(arguments));
    options.unverified = arguments.flag("unverified");
    options.admit = admission(arguments, check);
    options.personality = personality_from_name(arguments.text_or("personality", ""));
    if (!options.personality) options.personality = compiled_for;
    SKEP_ASSIGN(TargetOptions target, target_options(arguments));
    options.kernel_config = std::move(target.config);
    if (!baked_in.source.empty()) {
        if (!options.kernel_config.source.empty())
            return Error(Errc::InvalidArgument, "a module holds the kernel configuration that it was compiled for",
                         "what was audited and signed is what runs",
                         "leave out --platform and --kconfig, or give them to skep compile")
                .in_file(path);
        options.kernel_config = std::move(baked_in);
    }
    const bool kernel = options.engine == "kernel";
    if (kernel && !options.kernel_config.source.empty())
        return Error(Errc::InvalidArgument, "the running kernel tells programs of itself", {},
                     "leave out --platform and --kconfig with --engine kernel");
    if (kernel && settle_personality(*spec, options.personality).value_or(platform::Personality::Linux) ==
                      platform::Personality::Windows)
        return Error(Errc::Unsupported, "the running Linux kernel takes objects for Linux only",
                     "it would run this one with every number meaning something else",
                     "skep translate OBJECT --to linux -o OUT makes one for it; the other engines run it as it is")
            .in_file(path);
    std::unique_ptr<RecordWriter> record;
    if (const auto record_file = arguments.text("record")) {
        if (kernel)
            return Error(Errc::Unsupported, "only runs on our own engines are recorded", {},
                         "leave out --engine kernel");
        // What chance decides has to be the same again: eviction, hashing.
        if (!options.seed) {
            uint32_t seed = 0;
            skep_os_random(&seed, sizeof seed);
            options.seed = seed;
        }
        RecordHead head;
        head.engine = options.engine;
        head.program = options.program;
        head.personality = options.personality ? personality_name(*options.personality) : "";
        head.name = path.substr(path.find_last_of("/\\") + 1);
        head.seed = *options.seed;
        head.ifindex = options.ifindex;
        head.object = file;
        head.init = init_text;
        SKEP_ASSIGN(record, RecordWriter::create(*record_file, head));
        options.recording = record.get();
    }
    if (contexts) {
        if (init.names_maps())
            return Error(Errc::Unsupported, "with --contexts, --map-init sets global variables only", {},
                         "leave the maps out of it")
                .in_file(arguments.text_or("map-init", ""));
        SKEP_TRY(run_contexts(spec, options, *contexts, output));
        if (record != nullptr) SKEP_TRY(record->close());
        return exit_done;
    }
    SKEP_ASSIGN(const std::unique_ptr<Backend> backend,
                kernel ? open_kernel(spec, file, options) : open_skep(spec, options));
    if (kernel && asks_policy(arguments))
        SKEP_TRY(module::allows_program(check.policy, options.program, backend->figures().type, {}));
    if (!backend->figures().verified) {
        if (!options.unverified)
            output.warn(
                "the program is not verified: a mistake in it may crash this process (--unverified says that you "
                "know)");
        host::explain_crashes("error: the program made an access that it must not make; it was not verified\n");
    }
    SKEP_TRY(init.apply(*spec, *backend));

    RunSummary summary;
    summary.object = path;
    summary.program = options.program;
    summary.engine = options.engine;
    summary.capture = *capture;
    summary.figures = backend->figures();
    summary.repeats = repeats;
    summary.sum_percpu = options.seed.has_value();
    summary.entry_limit = static_cast<size_t>(arguments.number("entries").value_or(32));
    summary.event_limit = static_cast<size_t>(arguments.number("events").value_or(10));
    summary.event_type = event_type;
    Runner runner{arguments, output, *backend, summary, {}};
    SKEP_TRY(runner.run(*capture));
    if (record != nullptr) {
        SKEP_TRY(record->finish(*spec, *backend));
        SKEP_TRY(record->close());
    }
    runner.progress.reset();
    summary.elapsed_ns = backend->elapsed_ns();

    if (output.json) {
        output.print(report_json(*spec, *backend, summary));
    } else {
        output.out(report_text(*spec, *backend, summary, output));
    }
    return exit_done;
}

constexpr PositionalSpec positionals[] = {{"OBJECT", "an eBPF object file, or a native module"}};
constexpr OptionSpec options[] = {
    {"-r,--pcap", Kind::File, "FILE", "the packets: a pcap or pcapng capture"},
    {"--contexts", Kind::File, "FILE",
     "instead of packets: JSON contexts, for programs about addresses (cgroup/connect4 ...)"},
    {"-p,--program", Kind::Text, "NAME", "which program, if the object has several"},
    {"-e,--engine", Kind::Choice, "auto|jit|interp|native|kernel",
     "who runs it; auto (the default): a module's code, else jit, else interp, as the policy allows; native: a "
     "module's own code; kernel: the running Linux kernel, by BPF_PROG_TEST_RUN"},
    {"-w,--pass-to", Kind::Output, "FILE", "writes the packets that pass, as the program left them"},
    {"--verdicts", Kind::Output, "FILE", "writes one line per packet: number, verdict, length, bytes afterwards"},
    {"--record", Kind::Output, "FILE",
     "writes packets, helper calls and results: skep replay runs them on another engine"},
    {"--map-init", Kind::File, "FILE", "JSON with first contents of maps and global variables"},
    {"--repeat", Kind::Number, "N", "runs the capture N times, for measuring"},
    {"--deterministic", Kind::Number, "SEED", "time, chance and hashing follow from SEED; per-CPU values are summed"},
    {"--ifindex", Kind::Number, "N", "the interface that packets come from (1)"},
    {"--personality", Kind::Choice, "linux|windows",
     "whose headers the object was compiled against, if that cannot be told"},
    {"--btf", Kind::File, "FILE",
     "BTF that CO-RE relocations are resolved against (the running kernel's), or hooks: the contexts as our hooks lay "
     "them out"},
    {"--platform", Kind::Text, "NAME",
     "the system whose kernel configuration the program reads: LINUX_KERNEL_VERSION, ... (skep, which says 6.12)"},
    SKEP_KERNEL_CONFIG_OPTIONS,
    {"--entries", Kind::Number, "N", "map entries to show in text (32)"},
    {"--events", Kind::Number, "N", "events and printed lines to show in text (10)"},
    {"--event-type", Kind::Text, "NAME", "struct that events are shown as"},
    {"--unverified", Kind::Flag, "", "do not verify the program (development builds)"},
    SKEP_MODULE_OPTIONS,
};
constexpr Example examples[] = {
    {"skep run prog.o --pcap in.pcap", "verdict counts, map contents, events"},
    {"skep run prog.o --pcap in.pcap --pass-to out.pcap --json", "the same as JSON, and the packets that pass"},
    {"skep run prog.o --pcap in.pcap --map-init maps.json --engine interp", "maps filled first; on the interpreter"},
};

}  // namespace

extern const Command run_command;
constinit const Command run_command = {
    "run",
    "runs a program over the packets of a capture",
    "Programs of type xdp, tc and socket run as in the kernel's BPF_PROG_TEST_RUN: rooms, contexts and verdicts are "
    "the\n"
    "same. A packet's changes stay with that packet; maps keep theirs.\n"
    "\n"
    "The file of --map-init is {\"MAP\": [{\"key\": K, \"value\": V}], \"globals\": {\"VARIABLE\": V}}. K and V are "
    "hex\n"
    "bytes (\"0a 00 00 01\"), numbers, or objects by field names; program arrays take names of programs, maps\n"
    "of maps names of maps.",
    positionals,
    options,
    examples,
    run_run};

}  // namespace skep::cli
