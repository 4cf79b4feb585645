// SPDX-License-Identifier: Apache-2.0
// `skep run` on our own runtime.
#include <fmt/format.h>

#include "base/os.hpp"
#include "cli/file.hpp"
#include "cli/run/backend.hpp"
#include "cli/run/map_access.hpp"
#include "cli/run/recording.hpp"
#include "hooks/packet/packet_session.hpp"
#include "maps/map_in_map.hpp"
#include "maps/perf_event_array.hpp"
#include "maps/prog_array.hpp"
#include "maps/ringbuf.hpp"
#include "platform/program_type.hpp"
#include "program/personality.hpp"
#include "runtime/load/loaded_object.hpp"

namespace skep::cli {

namespace {

using platform::MapType;

constexpr size_t kept_lines = 10000;
constexpr uint32_t perf_pages = 64;

class SkepBackend final : public Backend {
  public:
    SkepBackend(std::unique_ptr<runtime::LoadedObject> loaded, const runtime::LoadedProgram& program)
        : loaded_(std::move(loaded)), program_(&program) {}
    ~SkepBackend() override {
        for (maps::PerfBuffer* buffer : perf_buffers_) buffer->release();
    }

    Result<void> start(const RunOptions& options) {
        settings_.ifindex = options.ifindex;
        settings_.chance = options.seed ? runtime::Chance::from_seed(*options.seed) : runtime::Chance::from_host();
        settings_.log = {[](void* self, const char* text, size_t bytes) {
                             static_cast<SkepBackend*>(self)->add_line(std::string(text, bytes));
                         },
                         this};
        recording_ = options.recording;
        settings_.observer = recording_;
        if (recording_ != nullptr) recording_->watch(*loaded_);
        SKEP_TRY(listen());
        return {};
    }

    ProgramFigures figures() const override {
        return {platform::program_type_name(program_->program->type()), program_->verified, program_->instructions,
                program_->code_bytes, program_->compile_ns};
    }

    Result<void> put(uint32_t index, Bytes key, Bytes value) override {
        SKEP_ASSIGN(maps::Map * map, need(index));
        return put_entry(*map, loaded_->lanes(), loaded_->spec().maps[index].name, key, value);
    }

    Result<void> put_program(uint32_t index, Bytes key, const std::string& name) override {
        SKEP_ASSIGN(maps::Map * map, need(index));
        const runtime::LoadedProgram* program = loaded_->find(name);
        maps::ProgArray* array = maps::ProgArray::of(map);
        if (program == nullptr || array == nullptr)
            return Error(Errc::Unresolved, fmt::format("program \"{}\" is not loaded", name));
        return checked(array->set(key.data(), program->program->object(), 0), index);
    }

    Result<void> put_map(uint32_t index, Bytes key, uint32_t inner) override {
        SKEP_ASSIGN(maps::Map * outer, need(index));
        SKEP_ASSIGN(maps::Map * map, need(inner));
        const LaneGuard lane(loaded_->lanes());
        return checked(maps::write_inner(*outer, key.data(), map, maps::update_any, lane.lane()), index);
    }

    bool refuses(Bytes packet) const override {
        const bool socket = program_->program->type() == platform::ProgramType::SocketFilter;
        return packet.size() < (socket ? 15u : 14u) || packet.size() > hooks::largest_packet_bytes;
    }

    Result<void> run(const std::vector<Bytes>& packets,
                     const std::function<Result<void>(size_t, const PacketReport&)>& each) override {
        if (session_ != nullptr) {
            session_->enter();
        } else {
            SKEP_ASSIGN(session_, hooks::PacketSession::open(loaded_->lanes(), program_->program->type(),
                                                             program_->program->personality(), settings_));
        }
        std::optional<Error> failed;
        const skep_entry entry = program_->program->entry();
        const uint64_t before = skep_os_monotonic_ns();
        uint64_t aside = 0;
        const auto take = [&](size_t i, const hooks::PacketResult& result) {
            if (failed) return;
            if (result.fault != SKEP_FAULT_NONE) {
                failed = fault(result);
                return;
            }
            PacketReport report;
            report.verdict = result.outcome.verdict;
            report.kept_bytes = result.outcome.bytes;
            report.packet = result.packet;
            if (result.redirect.kind != runtime::Redirect::Kind::None) report.redirect = target(result.redirect);
            if (events_waiting()) {
                const uint64_t start = skep_os_monotonic_ns();
                drain();
                aside += skep_os_monotonic_ns() - start;
            }
            if (recording_ != nullptr) recording_->end_run(report);
            if (Result<void> taken = each(i, report); !taken) failed = std::move(taken).error();
        };
        if (recording_ == nullptr) session_->run_batch(entry, packets, take);
        for (size_t i = 0; recording_ != nullptr && i < packets.size() && !failed; ++i) {
            recording_->begin_run(packets[i]);
            session_->run_batch(entry, std::span(&packets[i], 1),
                                [&](size_t, const hooks::PacketResult& result) { take(i, result); });
        }
        elapsed_ += skep_os_monotonic_ns() - before - aside;
        session_->leave();  // others (and the reader of the maps' contents) get their turn
        if (failed) return *std::move(failed);
        return {};
    }

    uint64_t elapsed_ns() const override { return elapsed_; }

    Result<std::optional<MapContents>> contents(uint32_t index) override {
        maps::Map* map = loaded_->map(index);
        if (map == nullptr) return std::optional<MapContents>();
        const MapType type = map->def().type;
        if (type == MapType::Ringbuf || type == MapType::PerfEventArray) return std::optional<MapContents>();
        return std::optional(
            read_contents(*map, loaded_->lanes(), [&](uint32_t id) { return note(map->def().type, id); }));
    }

    const std::vector<EventLog>& events() override {
        drain();
        return events_;
    }
    const std::vector<std::string>& lines() const override { return lines_; }
    uint64_t lines_dropped() const override { return lines_dropped_; }

  private:
    Result<maps::Map*> need(uint32_t index) {
        maps::Map* map = loaded_->map(index);
        if (map != nullptr) return map;
        return Error(Errc::Unresolved,
                     fmt::format("map \"{}\" is not used by the program", loaded_->spec().maps[index].name));
    }

    Result<void> checked(Status status, uint32_t index) const {
        if (status.ok()) return {};
        return Error(status.code, fmt::format("map \"{}\" does not take the entry", loaded_->spec().maps[index].name),
                     fmt::format("{} ({})", meaning_of(status.code), errno_name(status.code)));
    }

    Error fault(const hooks::PacketResult& result) const {
        static constexpr const char* reasons[] = {"", "more than eight frames of calls", "a call of nothing callable",
                                                  "the step limit", "an access outside the memory it may touch"};
        const char* why = result.fault < std::size(reasons) ? reasons[result.fault] : "unknown";
        return Error(Errc::Rejected, fmt::format("the run was ended by a fault: {}", why),
                     program_->verified ? "the program was verified: this is a mistake in skep, please report it"
                                        : "the program is not verified: a verifier would have refused it")
            .in_file(loaded_->spec().file)
            .in_function(program_->program->name())
            .at_insn(result.fault_insn);
    }

    std::string target(const runtime::Redirect& redirect) const {
        if (redirect.kind == runtime::Redirect::Kind::Interface) {
            return fmt::format("interface {}{}", redirect.index, (redirect.flags & 1) != 0 ? " ingress" : "");
        }
        for (uint32_t i = 0; i < loaded_->spec().maps.size(); ++i)
            if (loaded_->map(i) == redirect.map)
                return fmt::format("map {} key {} value {}", loaded_->spec().maps[i].name, redirect.index,
                                   redirect.value);
        return "map ?";
    }

    std::string note(MapType type, uint32_t id) const {
        if (type == MapType::ProgArray) {
            for (const runtime::LoadedProgram& program : loaded_->programs())
                if (program.program->id() == id) return fmt::format("program {}", program.program->name());
        } else {
            for (uint32_t i = 0; i < loaded_->spec().maps.size(); ++i)
                if (const maps::Map* map = loaded_->map(i); map != nullptr && map->id() == id)
                    return fmt::format("map {}", loaded_->spec().maps[i].name);
        }
        return {};
    }

    void add_line(std::string line) {
        if (lines_.size() < kept_lines) {
            lines_.push_back(std::move(line));
        } else {
            ++lines_dropped_;
        }
    }

    /// A reader for each ring buffer, a buffer for each lane of each perf event array.
    Result<void> listen() {
        for (uint32_t i = 0; i < loaded_->spec().maps.size(); ++i) {
            maps::Map* map = loaded_->map(i);
            if (maps::Ringbuf* ring = maps::Ringbuf::of(map); ring != nullptr) {
                rings_.push_back(ring);
                ring_logs_.push_back(events_.size());
                events_.push_back({i, 0, 0, {}});
            }
            maps::PerfEventArray* array = maps::PerfEventArray::of(map);
            if (array == nullptr) continue;
            for (uint32_t lane = 0; lane < loaded_->lanes().count() && lane < map->def().max_entries; ++lane) {
                maps::PerfOptions options;
                options.lane = lane;
                options.pages = perf_pages;
                options.wakeup_events = 0;
                maps::PerfBuffer* buffer = nullptr;
                Status status = maps::PerfBuffer::create(&loaded_->lanes(), options, &buffer);
                if (status.ok()) status = array->set(&lane, buffer, 0);
                if (!status.ok()) {
                    if (buffer != nullptr) buffer->release();
                    return checked(status, i);
                }
                perf_buffers_.push_back(buffer);
                perf_logs_.push_back(events_.size());
            }
            events_.push_back({i, 0, 0, {}});
        }
        return {};
    }

    bool events_waiting() const {
        for (const maps::Ringbuf* ring : rings_)
            if (ring->query(maps::rb_avail_data) != 0) return true;
        return !perf_buffers_.empty();
    }

    struct Sink {
        static int take(void* self, const void* data, uint32_t size) {
            EventLog& log = *static_cast<EventLog*>(self);
            ++log.count;
            const auto* bytes = static_cast<const std::byte*>(data);
            if (log.first.size() < kept_events) log.first.emplace_back(bytes, bytes + size);
            return 0;
        }
        static void lose(void* self, uint64_t samples) { static_cast<EventLog*>(self)->lost += samples; }
    };

    void drain() {
        for (size_t i = 0; i < rings_.size(); ++i)
            (void)rings_[i]->consume(Sink::take, &events_[ring_logs_[i]], UINT64_MAX, nullptr);
        for (size_t i = 0; i < perf_buffers_.size(); ++i) {
            maps::PerfSink sink;
            sink.context = &events_[perf_logs_[i]];
            sink.sample = Sink::take;
            sink.lost = Sink::lose;
            (void)perf_buffers_[i]->consume(sink, UINT64_MAX, nullptr);
        }
    }

    std::unique_ptr<runtime::LoadedObject> loaded_;
    const runtime::LoadedProgram* program_;
    hooks::PacketSettings settings_;
    std::unique_ptr<hooks::PacketSession> session_;  ///< entered during run() alone
    Recording* recording_ = nullptr;
    uint64_t elapsed_ = 0;
    std::vector<std::string> lines_;
    uint64_t lines_dropped_ = 0;
    std::vector<EventLog> events_;
    std::vector<maps::Ringbuf*> rings_;
    std::vector<size_t> ring_logs_;  ///< per ring: its place in events_
    std::vector<maps::PerfBuffer*> perf_buffers_;
    std::vector<size_t> perf_logs_;
};

}  // namespace

Result<runtime::LoadOptions> load_options(const RunOptions& options, std::shared_ptr<const object::ObjectSpec> spec) {
    runtime::LoadOptions load;
    if (options.native != nullptr) {
        load.ready_code = [native = options.native](
                              const BoundProgram& program,
                              const engine::LinkTable& link) -> Result<runtime::LoadOptions::Ready> {
            runtime::LoadOptions::Ready ready;
            ready.verified = native->module().verified();
            SKEP_ASSIGN(ready.code, native->instance(program, link));
            return ready;
        };
        load.bind.keep_problems = options.native->module().verified();
    } else {
        const auto engine = runtime::engine_from_name(options.engine);
        if (!engine) return Error(Errc::InvalidArgument, fmt::format("there is no engine \"{}\"", options.engine));
        load.engine = *engine;
    }
    if (options.recording != nullptr) load.helpers = Recording::helpers();
    load.admit = options.admit;
    load.allow_unverified = options.unverified;
    load.programs = options.also_load;
    load.programs.push_back(options.program);
    load.maps = options.also_make;
    load.seed = options.seed;
    load.bind.personality = options.personality;
    load.lanes = options.seed ? 1 : 0;
    load.core_answers = options.core_answers;
    load.kernel_config = options.kernel_config;
    load.target_btf = [path = options.btf, spec = std::move(spec), asked = options.personality] {
        return types_for(path, settle_personality(*spec, asked).value_or(platform::Personality::Linux));
    };
    return load;
}

Result<std::unique_ptr<Backend>> open_skep(std::shared_ptr<const object::ObjectSpec> spec, const RunOptions& options) {
    SKEP_ASSIGN(const runtime::LoadOptions load, load_options(options, spec));
    SKEP_ASSIGN(std::unique_ptr<runtime::LoadedObject> loaded, runtime::LoadedObject::load(std::move(spec), load));
    const runtime::LoadedProgram* program = loaded->find(options.program);
    auto backend = std::make_unique<SkepBackend>(std::move(loaded), *program);
    SKEP_TRY(backend->start(options));
    return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace skep::cli
