// SPDX-License-Identifier: Apache-2.0
// `skep run --engine kernel`: the running Linux kernel, for comparison.
#include <fmt/format.h>

#include <algorithm>

#include "cli/run/backend.hpp"
#include "cli/run/map_access.hpp"
#include "hooks/kernel/kernel_object.hpp"
#include "platform/program_type.hpp"

namespace skep::cli {

namespace {

using platform::MapType;
using platform::ProgramType;

constexpr size_t ethernet_header = 14;

class KernelBackend final : public Backend {
  public:
    KernelBackend(std::shared_ptr<const object::ObjectSpec> spec, std::unique_ptr<hooks::KernelObject> kernel,
                  ProgramType type)
        : spec_(std::move(spec)), kernel_(std::move(kernel)), type_(type), out_(2 * hooks_room) {
        for (uint32_t i = 0; i < spec_->maps.size(); ++i) {
            const object::MapSpec& map = spec_->maps[i];
            const bool sends = map.type == platform::map_type_linux_id(MapType::Ringbuf) ||
                               map.type == platform::map_type_linux_id(MapType::PerfEventArray);
            if (map.origin != object::MapOrigin::Data && sends) events_.push_back({i, 0, 0, {}});
        }
    }

    ProgramFigures figures() const override {
        ProgramFigures figures;
        figures.type = platform::program_type_name(type_);
        figures.verified = true;  // by the kernel's own verifier
        return figures;
    }

    Result<void> put(uint32_t index, Bytes key, Bytes value) override {
        maps::Map* map = kernel_->map(index);
        const std::string& name = spec_->maps[index].name;
        if (map == nullptr) return Error(Errc::Unresolved, fmt::format("map \"{}\" is not used by the program", name));
        return put_entry(*map, kernel_->lanes(), name, key, value);
    }

    Result<void> put_program(uint32_t index, Bytes key, const std::string& program) override {
        return kernel_->put_program(index, key, program);
    }
    Result<void> put_map(uint32_t index, Bytes key, uint32_t inner) override {
        return kernel_->put_map(index, key, inner);
    }

    bool refuses(Bytes packet) const override {
        // One page less its rooms: the kernel's limit for a packet without fragments (net/bpf/test_run.c).
        constexpr size_t largest = 4096 - 256 - 320;
        const size_t least = type_ == ProgramType::SocketFilter ? ethernet_header + 1 : ethernet_header;
        return packet.size() < least || packet.size() > largest;
    }

    Result<void> run(const std::vector<Bytes>& packets,
                     const std::function<Result<void>(size_t, const PacketReport&)>& each) override {
        for (size_t i = 0; i < packets.size(); ++i) {
            SKEP_ASSIGN(const hooks::KernelAnswer answer, kernel_->run(packets[i], out_));
            elapsed_ += answer.ns;
            const size_t bytes = std::min<size_t>(answer.bytes_out, out_.size());
            PacketReport report;
            size_t seen = bytes;
            if (type_ == ProgramType::SocketFilter) {
                // A test run gives zeros back for the Ethernet header that the filter never saw.
                std::copy_n(packets[i].begin(), std::min(ethernet_header, bytes), out_.begin());
                seen = bytes < ethernet_header ? 0 : bytes - ethernet_header;
            }
            const uint64_t r0 = type_ == ProgramType::Xdp || type_ == ProgramType::SocketFilter
                                    ? answer.r0
                                    : static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(answer.r0)));
            const platform::Outcome outcome =
                platform::outcome_of(type_, platform::Personality::Linux, r0, static_cast<uint32_t>(seen));
            report.verdict = outcome.verdict;
            report.kept_bytes = outcome.bytes;
            report.packet = Bytes(out_).first(bytes);
            SKEP_TRY(drain());
            SKEP_TRY(each(i, report));
        }
        return {};
    }

    uint64_t elapsed_ns() const override { return elapsed_; }

    Result<std::optional<MapContents>> contents(uint32_t index) override {
        maps::Map* map = kernel_->map(index);
        if (map == nullptr) return std::optional<MapContents>();
        return std::optional(read_contents(*map, kernel_->lanes(), [&](uint32_t id) {
            const std::string name = kernel_->name_of(index, id);
            const bool programs = map->def().type == MapType::ProgArray;
            return name.empty() ? name : fmt::format("{} {}", programs ? "program" : "map", name);
        }));
    }

    const std::vector<EventLog>& events() override {
        (void)drain();
        return events_;
    }
    const std::vector<std::string>& lines() const override { return lines_; }

  private:
    static constexpr size_t hooks_room = 4096;

    Result<void> drain() {
        return kernel_->drain_events([&](uint32_t map, Bytes record) {
            for (EventLog& log : events_) {
                if (log.map != map) continue;
                ++log.count;
                if (log.first.size() < kept_events) log.first.emplace_back(record.begin(), record.end());
            }
        });
    }

    std::shared_ptr<const object::ObjectSpec> spec_;
    std::unique_ptr<hooks::KernelObject> kernel_;
    ProgramType type_;
    Buffer out_;
    uint64_t elapsed_ = 0;
    std::vector<EventLog> events_;
    std::vector<std::string> lines_;  ///< printed lines go to the kernel's trace pipe, which is everybody's
};

}  // namespace

Result<std::unique_ptr<Backend>> open_kernel(std::shared_ptr<const object::ObjectSpec> spec, Bytes file,
                                             const RunOptions& options) {
    if (options.ifindex != 1)
        return Error(Errc::Unsupported, "the engine kernel gives every packet the loopback interface", {},
                     "leave out --ifindex");
    const uint32_t index = spec->find_program(options.program);
    const auto meaning = platform::section_meaning(spec->programs[index].section);
    if (!meaning)
        return Error(Errc::Unresolved,
                     fmt::format("the section of program \"{}\" stands for no program type", options.program));
    SKEP_ASSIGN(std::unique_ptr<hooks::KernelObject> kernel,
                hooks::KernelObject::load(*spec, file, index, meaning->type,
                                          {.programs = options.also_load, .maps = options.also_make}));
    return std::unique_ptr<Backend>(std::make_unique<KernelBackend>(std::move(spec), std::move(kernel), meaning->type));
}

}  // namespace skep::cli
