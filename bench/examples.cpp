// SPDX-License-Identifier: Apache-2.0
#include "examples.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstring>

#include "cli/run/map_access.hpp"
#include "cli/run/map_init.hpp"
#include "engine/jit/jit.hpp"
#include "hooks/kernel/kernel_object.hpp"
#include "hooks/packet/packet_session.hpp"
#include "hooks/pcap/capture.hpp"
#include "maps/ringbuf.hpp"
#include "must.hpp"
#include "platform/host_context.hpp"
#include "runtime/core/helpers.hpp"
#include "runtime/load/loaded_object.hpp"
#include "runtime/load/verify_program.hpp"

extern "C" {
// What bench/native/bpf_host.h declares for the other side.
struct native_helpers {
    skep_helper_fn map_lookup_elem, map_update_elem, ktime_get_ns, ringbuf_output, perf_event_output, csum_diff;
};
extern const native_helpers native_helpers;
namespace helpers = skep::runtime::helpers;
const struct native_helpers native_helpers = {
    helpers::map_lookup_elem, helpers::map_update_elem,   helpers::ktime_get_ns,
    helpers::ringbuf_output,  helpers::perf_event_output, helpers::csum_diff,
};
struct native_map {
    const char* name;
    void** place;
};
#define EXAMPLES(X) X(firewall, Xdp) X(flowmon, Xdp) X(balancer, Xdp)
#define X(name, type)                                                                          \
    uint64_t native_##name(void* context, struct skep_runtime_context* run, const void* self); \
    extern const native_map native_##name##_maps[];
EXAMPLES(X)
#undef X
#ifdef SKEP_BENCH_GCC
#define X(name, type)                                                                              \
    uint64_t native_gcc_##name(void* context, struct skep_runtime_context* run, const void* self); \
    extern const native_map native_gcc_##name##_maps[];
EXAMPLES(X)
#undef X
#define GCC(name) {native_gcc_##name, nullptr}, native_gcc_##name##_maps
#else
#define GCC(name) {nullptr, nullptr}, nullptr
#endif
}
static_assert(offsetof(skep::platform::HostPacket, data) == 0 && offsetof(skep::platform::HostPacket, data_end) == 8);

namespace skep::bench {
namespace {

using platform::ProgramType;

constexpr int warming_passes = 128;  // the firewall's limits are reached, flows and sessions are known
/// Every so manieth packet of the capture: each call of the kernel for an xdp program waits for all its processors.
constexpr size_t packet_step = 12;
constexpr uint32_t kernel_repeat = 2000;  // one run per call would mostly be the kernel's clock
constexpr int kernel_rounds = 5;          // of that many rounds one has the kernel in it

struct Example {
    const char* name;
    ProgramType type;
    skep_entry native;
    const native_map* native_maps;
    skep_entry native_gcc;
    const native_map* native_gcc_maps;
};
constexpr Example examples[] = {
#define X(name, type) {#name, ProgramType::type, {native_##name, nullptr}, native_##name##_maps, GCC(name)},
    EXAMPLES(X)
#undef X
};

struct Traffic {
    std::vector<std::vector<std::byte>> storage;
    std::vector<Bytes> packets;
};

const Traffic& traffic() {
    static const Traffic all = [] {
        Traffic out;
        auto reader = must(hooks::CaptureReader::open(SKEP_EXAMPLES_SOURCE "/traffic/office.pcap"));
        for (size_t i = 0; const auto packet = must(reader.next()); ++i) {
            if (i % packet_step != 0 || packet->bytes.size() < 15) continue;
            out.storage.emplace_back(packet->bytes.begin(), packet->bytes.end());
        }
        out.packets.assign(out.storage.begin(), out.storage.end());
        return out;
    }();
    return all;
}

uint32_t mixed(uint32_t hash, uint32_t value) { return (hash ^ value) * 16777619u; }
constexpr uint32_t first_hash = 2166136261u;

/// Puts --map-init's entries into maps; nothing else of a Backend is asked for.
class MapFiller final : public cli::Backend {
  public:
    using MapOf = std::function<maps::Map*(uint32_t)>;
    MapFiller(MapOf map, Lanes& lanes) : map_(std::move(map)), lanes_(lanes) {}

    cli::ProgramFigures figures() const override { return {}; }
    Result<void> put(uint32_t map, Bytes key, Bytes value) override {
        maps::Map* const found = map_(map);
        if (found == nullptr) return Error(Errc::Unresolved, "a map of the example was not made");
        return cli::put_entry(*found, lanes_, "", key, value);
    }
    Result<void> put_program(uint32_t, Bytes, const std::string&) override { return unsupported(); }
    Result<void> put_map(uint32_t, Bytes, uint32_t) override { return unsupported(); }
    bool refuses(Bytes) const override { return false; }
    Result<void> run(const std::vector<Bytes>&,
                     const std::function<Result<void>(size_t, const cli::PacketReport&)>&) override {
        return unsupported();
    }
    uint64_t elapsed_ns() const override { return 0; }
    Result<std::optional<cli::MapContents>> contents(uint32_t) override { return std::optional<cli::MapContents>(); }
    const std::vector<cli::EventLog>& events() override { return events_; }
    const std::vector<std::string>& lines() const override { return lines_; }

  private:
    static Error unsupported() { return Error(Errc::Unsupported, "the bench fills maps only"); }
    MapOf map_;
    Lanes& lanes_;
    std::vector<cli::EventLog> events_;
    std::vector<std::string> lines_;
};

struct Source {
    Example example;
    std::vector<std::byte> file;
    std::shared_ptr<const object::ObjectSpec> spec;
    uint32_t program = 0;
    cli::MapInit init;
};

/// Code of a verified program, made by other means than the runtime's own.
using Making =
    std::function<Result<std::unique_ptr<engine::CompiledCode>>(const ExecutableProgram&, const engine::LinkTable&)>;

/// An example in this process: its own maps, and an entry of an engine or of native code.
class Local {
  public:
    enum class Code : uint8_t { Engine, Native, NativeGcc };

    Local(const Source& source, runtime::EngineKind engine, Code code = Code::Engine, const Making& making = {}) {
        runtime::LoadOptions options;
        options.engine = engine;
        if (making) {
            options.ready_code = [this, &source, making](
                                     const BoundProgram& bound,
                                     const engine::LinkTable& link) -> Result<runtime::LoadOptions::Ready> {
                SKEP_ASSIGN(const ExecutableProgram verified, runtime::verify_program(*source.spec, bound));
                runtime::LoadOptions::Ready ready;
                SKEP_ASSIGN(ready.code, making(verified, link));
                code_bytes_ = ready.code->code_bytes();
                return ready;
            };
        }
        object_ = must(runtime::LoadedObject::load(source.spec, options));
        const runtime::LoadedProgram& program = object_->programs().front();
        instructions_ = program.instructions;
        entry_ = program.program->entry();
        if (code == Code::Native) {
            entry_ = source.example.native;
            hand_over_maps(source, source.example.native_maps);
        } else if (code == Code::NativeGcc) {
            entry_ = source.example.native_gcc;
            hand_over_maps(source, source.example.native_gcc_maps);
        }
        MapFiller filler([this](uint32_t i) { return object_->map(i); }, object_->lanes());
        must_do(source.init.apply(*source.spec, filler));
        for (size_t i = 0; i < source.spec->maps.size(); ++i)
            if (maps::Ringbuf* ring = maps::Ringbuf::of(object_->map(i))) rings_.push_back(ring);
        hooks::PacketSettings settings;
        settings.chance = runtime::Chance::from_host();
        session_ = must(
            hooks::PacketSession::open(object_->lanes(), source.example.type, platform::Personality::Linux, settings));
        verdicts_ = first_hash;
        pass(entry_,
             [this](const hooks::PacketResult& r) { verdicts_ = mixed(verdicts_, static_cast<uint32_t>(r.r0)); });
        for (int i = 0; i < warming_passes; ++i) pass(entry_, [](const hooks::PacketResult&) {});
    }

    size_t instructions() const { return instructions_; }
    size_t code_bytes() const { return code_bytes_; }
    /// Of all packets, with maps as they were loaded.
    uint32_t verdicts() const { return verdicts_; }

    double run(uint64_t times) {
        const auto ignore = [](const hooks::PacketResult&) {};
        const uint64_t passes = 1 + times / traffic().packets.size();
        pass(entry_, ignore);
        double inside = 0;
        for (uint64_t i = 0; i < passes; ++i) inside += pass(entry_, ignore) - pass(empty, ignore);
        return inside / static_cast<double>(passes * traffic().packets.size());
    }

  private:
    static constexpr skep_entry empty = {[](void*, skep_runtime_context*, const void*) -> uint64_t { return 2; },
                                         nullptr};

    template <typename Each>
    double pass(const skep_entry& entry, Each each) {
        const double start = processor_time();
        session_->run_batch(entry, traffic().packets, [&](size_t, const hooks::PacketResult& r) { each(r); });
        const double ns = processor_time() - start;
        // Somebody reads the events, but not in the program's time.
        for (maps::Ringbuf* ring : rings_)
            (void)ring->consume([](void*, const void*, uint32_t) { return 0; }, nullptr, UINT64_MAX, nullptr);
        return ns;
    }

    void hand_over_maps(const Source& source, const native_map* maps) {
        for (const native_map* map = maps; map->name != nullptr; ++map) {
            const uint32_t index = source.spec->find_map(map->name);
            if (index == object::no_index) fail(fmt::format("{} has no map {}", source.example.name, map->name));
            *map->place = object_->map(index);
        }
    }

    std::unique_ptr<runtime::LoadedObject> object_;
    std::unique_ptr<hooks::PacketSession> session_;
    std::vector<maps::Ringbuf*> rings_;
    skep_entry entry_{};
    size_t instructions_ = 0, code_bytes_ = 0;
    uint32_t verdicts_ = 0;
};

/// An example in the running kernel, loaded and test-run.
class InKernel {
  public:
    InKernel(const Source& source, std::unique_ptr<hooks::KernelObject> object)
        : object_(std::move(object)), out_(hooks::largest_packet_bytes) {
        MapFiller filler([this](uint32_t i) { return object_->map(i); }, object_->lanes());
        must_do(source.init.apply(*source.spec, filler));
        verdicts_ = first_hash;
        for (const Bytes packet : traffic().packets) {
            const hooks::KernelAnswer answer = must(object_->run(packet, out_));
            verdicts_ = mixed(verdicts_, answer.r0);
            changes_packets_ |=
                answer.bytes_out != packet.size() || std::memcmp(out_.data(), packet.data(), packet.size()) != 0;
            drain();
        }
    }

    uint32_t verdicts() const { return verdicts_; }
    /// The kernel repeats on the bytes that the run before left, which is another program's work then.
    bool changes_packets() const { return changes_packets_; }

    double run(uint64_t) {
        double ns = 0;
        for (const Bytes packet : traffic().packets) {
            ns += static_cast<double>(must(object_->run(packet, out_, kernel_repeat)).ns);
            drain();
        }
        return ns / static_cast<double>(traffic().packets.size());
    }

  private:
    void drain() {
        must_do(object_->drain_events([](uint32_t, Bytes) {}));
    }

    std::unique_ptr<hooks::KernelObject> object_;
    std::vector<std::byte> out_;
    bool changes_packets_ = false;
    uint32_t verdicts_ = 0;
};

template <typename Where>
Column column_of(const char* name, std::shared_ptr<Where> where) {
    Column column;
    column.name = name;
    column.result = [where] { return where->verdicts(); };
    column.run = [where](uint64_t times) { return where->run(times); };
    return column;
}

}  // namespace

std::vector<ModuleColumn> module_columns() {
    return {{"aot", "clang-19", module::CpuLevel::Baseline},
            {"aot-host", "clang-19", module::host_cpu_level()},
            {"aot-gcc", "gcc", module::CpuLevel::Baseline}};
}

std::vector<std::string> example_names() {
    std::vector<std::string> names;
    for (const Example& example : examples) names.push_back(example.name);
    return names;
}

namespace {

Source source_of(const std::string& name) {
    Source source;
    for (const Example& example : examples)
        if (name == example.name) source.example = example;
    const std::string path = fmt::format("{}/{}.bpf.o", SKEP_EXAMPLE_OBJECTS, name);
    source.file = read_file(path);
    source.spec = std::make_shared<const object::ObjectSpec>(must(object::read_object(source.file, path)));
    source.program = must(runtime::choose_program(*source.spec, {}));
    const std::string init = fmt::format("{}/{}/maps.json", SKEP_EXAMPLES_SOURCE, name);
    source.init = must(cli::MapInit::parse(read_file(init), init));
    return source;
}

}  // namespace

void example_facts(const std::string& name, FactTable& table, int rounds) {
    const Source source = source_of(name);
    std::vector<Column> columns;
    std::vector<size_t> bytes;
    for (const FactKind& kind : fact_kinds()) {
        const auto local =
            std::make_shared<Local>(source, runtime::EngineKind::Jit, Local::Code::Engine,
                                    [&kind](const ExecutableProgram& program, const engine::LinkTable& link) {
                                        return engine::jit::compile(without(program, kind), link);
                                    });
        columns.push_back(column_of(kind.name, local));
        bytes.push_back(local->code_bytes());
    }
    table.row(name, columns, bytes, rounds);
}

ExampleRow example_row(const std::string& name) {
    const Source source = source_of(name);
    ExampleRow row;
    row.name = name;
    const auto jit = std::make_shared<Local>(source, runtime::EngineKind::Jit);
    row.instructions = jit->instructions();
    row.columns.push_back(
        column_of("native", std::make_shared<Local>(source, runtime::EngineKind::Jit, Local::Code::Native)));
    row.columns.push_back(column_of("jit", jit));
    row.columns.push_back(column_of("interp", std::make_shared<Local>(source, runtime::EngineKind::Interpreter)));
    if (source.example.native_gcc.function != nullptr)
        row.columns.push_back(
            column_of("native-gcc", std::make_shared<Local>(source, runtime::EngineKind::Jit, Local::Code::NativeGcc)));
    for (const ModuleColumn& column : module_columns()) {
        if (!module::find_compiler({.target = *module::host_target(), .cpu = column.cpu, .compiler = column.compiler}))
            continue;
        const auto build = [&column](const ExecutableProgram& program,
                                     const engine::LinkTable& link) -> Result<std::unique_ptr<engine::CompiledCode>> {
            const module::DirectProgram one{&program, &link};
            SKEP_ASSIGN(auto built, module::compile_direct(std::span(&one, 1), column.options()));
            return std::move(built.front());
        };
        row.columns.push_back(column_of(
            column.name, std::make_shared<Local>(source, runtime::EngineKind::Jit, Local::Code::Engine, build)));
    }
    auto kernel = hooks::KernelObject::load(*source.spec, source.file, source.program, source.example.type);
    if (kernel) {
        const auto in_kernel = std::make_shared<InKernel>(source, *std::move(kernel));
        row.columns.push_back(column_of("kernel", in_kernel));
        row.columns.back().every = kernel_rounds;
        if (in_kernel->changes_packets()) {
            row.kernel_reason = name + " changes its packets, so the kernel cannot repeat its runs";
            row.columns.back().run = nullptr;
        }
    } else {
        row.kernel_reason = kernel.error().to_string();
    }
    return row;
}

}  // namespace skep::bench
