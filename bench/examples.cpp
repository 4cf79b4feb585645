// SPDX-License-Identifier: Apache-2.0
#include "examples.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstring>

#include "cli/run/map_access.hpp"
#include "cli/run/map_init.hpp"
#include "engine/interp/interp.hpp"
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

/// Code of a verified program for maps and helpers of `link`.
using Making =
    std::function<Result<std::unique_ptr<engine::CompiledCode>>(const ExecutableProgram&, const engine::LinkTable&)>;

/// One way to run an example: code that is made, or native code that gets the maps.
struct Variant {
    std::string name;
    Making making;
    skep_entry native = {};
    const native_map* native_maps = nullptr;
};

/// An example in this process, as often as there are variants, all with the same maps: what a hash makes of the keys
/// and where the maps lie is the same for all of them.
class Local {
  public:
    Local(const Source& source, std::span<const Variant> variants) {
        runtime::LoadOptions options;
        entries_.resize(variants.size());
        options.ready_code = [this, &source, variants](
                                 const BoundProgram& bound,
                                 const engine::LinkTable& link) -> Result<runtime::LoadOptions::Ready> {
            SKEP_ASSIGN(const ExecutableProgram verified, runtime::verify_program(*source.spec, bound));
            for (size_t i = 0; i < variants.size(); ++i) {
                if (!variants[i].making) continue;
                SKEP_ASSIGN(std::unique_ptr<engine::CompiledCode> code, variants[i].making(verified, link));
                entries_[i] = code->entry();
                codes_.push_back(std::move(code));
            }
            runtime::LoadOptions::Ready ready;  // the object wants code of its own
            SKEP_ASSIGN(ready.code, engine::jit::compile(verified, link));
            return ready;
        };
        object_ = must(runtime::LoadedObject::load(source.spec, options));
        instructions_ = object_->programs().front().instructions;
        for (size_t i = 0; i < variants.size(); ++i) {
            if (variants[i].native_maps == nullptr) continue;
            entries_[i] = variants[i].native;
            hand_over_maps(source, variants[i].native_maps);
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
        passes(entries_.front(), 1,
               [this](const hooks::PacketResult& r) { verdicts_ = mixed(verdicts_, static_cast<uint32_t>(r.r0)); });
        passes(entries_.front(), warming_passes, ignore);
    }

    size_t instructions() const { return instructions_; }
    size_t code_bytes(size_t variant) const { return codes_[variant]->code_bytes(); }
    /// Of the first variant and all packets, with maps as they were loaded.
    uint32_t verdicts() const { return verdicts_; }

    double run(size_t variant, uint64_t times) {
        const uint64_t count = 1 + times / traffic().packets.size();
        passes(entries_[variant], 1, ignore);
        double inside = 0;
        for (uint64_t done = 0; done < count; done += together) {
            const uint64_t now = std::min(together, count - done);
            inside += passes(entries_[variant], now, ignore) - passes(empty, now, ignore);
        }
        return inside / static_cast<double>(count * traffic().packets.size());
    }

  private:
    /// Passes between two looks at the clock: its own time counts little, and no ring is full before somebody reads it.
    static constexpr uint64_t together = 16;
    static constexpr skep_entry empty = {[](void*, skep_runtime_context*, const void*) -> uint64_t { return 2; },
                                         nullptr};
    static void ignore(const hooks::PacketResult&) {}

    template <typename Each>
    double passes(const skep_entry& entry, uint64_t count, Each each) {
        double ns = 0;
        for (uint64_t done = 0; done < count; done += together) {
            const uint64_t now = std::min(together, count - done);
            const double start = processor_time();
            for (uint64_t i = 0; i < now; ++i)
                session_->run_batch(entry, traffic().packets, [&](size_t, const hooks::PacketResult& r) { each(r); });
            ns += processor_time() - start;
            // Somebody reads the events, but not in the program's time.
            for (maps::Ringbuf* ring : rings_)
                (void)ring->consume([](void*, const void*, uint32_t) { return 0; }, nullptr, UINT64_MAX, nullptr);
        }
        return ns;
    }

    void hand_over_maps(const Source& source, const native_map* maps) {
        for (const native_map* map = maps; map->name != nullptr; ++map) {
            const uint32_t index = source.spec->find_map(map->name);
            if (index == object::no_index) fail(fmt::format("{} has no map {}", source.example.name, map->name));
            *map->place = object_->map(index);
        }
    }

    std::vector<std::unique_ptr<engine::CompiledCode>> codes_;  // outlive the object, whose maps they name
    std::unique_ptr<runtime::LoadedObject> object_;
    std::unique_ptr<hooks::PacketSession> session_;
    std::vector<maps::Ringbuf*> rings_;
    std::vector<skep_entry> entries_;
    size_t instructions_ = 0;
    uint32_t verdicts_ = 0;
};

/// The columns of one example. Results are those of fresh maps, each column's own.
std::vector<Column> columns_of(const Source& source, std::span<const Variant> variants,
                               std::shared_ptr<Local>* shared) {
    std::vector<Column> columns;
    for (const Variant& variant : variants) {
        Column column;
        column.name = variant.name;
        const uint32_t verdicts = Local(source, std::span(&variant, 1)).verdicts();
        column.result = [verdicts] { return verdicts; };
        columns.push_back(std::move(column));
    }
    *shared = std::make_shared<Local>(source, variants);  // the last one: native code keeps its maps
    for (size_t i = 0; i < columns.size(); ++i)
        columns[i].run = [local = *shared, i](uint64_t times) { return local->run(i, times); };
    return columns;
}

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
    std::vector<Variant> variants;
    for (const FactKind& kind : fact_kinds())
        variants.push_back({kind.name, [&kind](const ExecutableProgram& program, const engine::LinkTable& link) {
                                return engine::jit::compile(without(program, kind), link);
                            }});
    std::shared_ptr<Local> local;
    std::vector<Column> columns = columns_of(source, variants, &local);
    std::vector<size_t> bytes;
    for (size_t i = 0; i < variants.size(); ++i) bytes.push_back(local->code_bytes(i));
    table.row(name, columns, bytes, rounds);
}

ExampleRow example_row(const std::string& name) {
    const Source source = source_of(name);
    const Example& example = source.example;
    ExampleRow row;
    row.name = name;
    std::vector<Variant> variants;
    variants.push_back({"native", {}, example.native, example.native_maps});
    variants.push_back({"jit", [](const ExecutableProgram& program, const engine::LinkTable& link) {
                            return engine::jit::compile(program, link);
                        }});
    variants.push_back({"interp", [](const ExecutableProgram& program, const engine::LinkTable& link) {
                            return engine::interp::compile(program, link);
                        }});
    if (example.native_gcc.function != nullptr)
        variants.push_back({"native-gcc", {}, example.native_gcc, example.native_gcc_maps});
    for (const ModuleColumn& column : module_columns()) {
        if (!module::find_compiler({.target = *module::host_target(), .cpu = column.cpu, .compiler = column.compiler}))
            continue;
        // One image, mapped for each set of maps: layouts of maps are the object's.
        const auto image = std::make_shared<module::Buffer>();
        variants.push_back({column.name,
                            [column, image](const ExecutableProgram& program, const engine::LinkTable& link)
                                -> Result<std::unique_ptr<engine::CompiledCode>> {
                                const module::DirectProgram one{&program, &link};
                                const std::span<const module::DirectProgram> all(&one, 1);
                                if (image->empty()) {
                                    SKEP_ASSIGN(*image, module::build_direct(all, column.options()));
                                }
                                SKEP_ASSIGN(auto built, module::load_direct(*image, all, column.options()));
                                return std::move(built.front());
                            }});
    }
    std::shared_ptr<Local> local;
    row.columns = columns_of(source, variants, &local);
    row.instructions = local->instructions();
    auto kernel = hooks::KernelObject::load(*source.spec, source.file, source.program, source.example.type);
    if (kernel) {
        const auto in_kernel = std::make_shared<InKernel>(source, *std::move(kernel));
        Column column;
        column.name = "kernel";
        column.result = [in_kernel] { return in_kernel->verdicts(); };
        column.every = kernel_rounds;
        if (in_kernel->changes_packets())
            row.kernel_reason = name + " changes its packets, so the kernel cannot repeat its runs";
        else
            column.run = [in_kernel](uint64_t times) { return in_kernel->run(times); };
        row.columns.push_back(std::move(column));
    } else {
        row.kernel_reason = kernel.error().to_string();
    }
    return row;
}

}  // namespace skep::bench
