// SPDX-License-Identifier: Apache-2.0
// The example tools over the captured office traffic: every engine of this build, and where that is allowed the running
// kernel, give the same verdict and the same bytes for each packet, the same events, and leave the same maps. What the
// kernel decides by its own clock is masked: the first eight bytes of the firewall's events.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "cli/json.hpp"
#include "cli/run/values.hpp"
#include "hooks/kernel/kernel_object.hpp"
#include "hooks/packet/packet_session.hpp"
#include "maps/perf_event_array.hpp"
#include "maps/ringbuf.hpp"
#include "runtime/load/loaded_object.hpp"

namespace skep {
namespace {

struct Example {
    const char* name;
    platform::ProgramType type;
    const char* masked_events;  ///< map whose records begin with a time
    size_t least_events;
};
constexpr Example examples[] = {
    {"firewall", platform::ProgramType::Xdp, "events", 20},
    {"flowmon", platform::ProgramType::Xdp, "", 50},
    {"flowmon_tc", platform::ProgramType::SchedCls, "", 50},
    {"balancer", platform::ProgramType::Xdp, "", 0},
};

/// All that can be seen of one pass over the capture.
struct Seen {
    std::vector<uint32_t> verdicts;
    std::vector<std::string> packets;
    std::vector<std::string> events;                                 ///< "map: bytes"
    std::map<std::string, std::map<std::string, std::string>> maps;  ///< name -> key -> value, per-CPU values summed
};

/// The folder and the program of an example: flowmon_tc is flowmon, compiled for tc.
std::string tool_of(std::string name) { return name == "flowmon_tc" ? "flowmon" : name; }

using MapAt = std::function<maps::Map*(size_t)>;

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// The packets of a little-endian pcap file with Ethernet frames, as this test's own capture is.
std::vector<std::string> read_packets(const std::string& file) {
    std::vector<std::string> packets;
    const Bytes bytes = as_bytes(file);
    for (size_t at = 24;;) {
        const uint32_t size = read_le<uint32_t>(bytes, at + 8).value_or(0);
        if (size == 0 || !slice(bytes, at + 16, size)) break;
        packets.push_back(file.substr(at + 16, size));
        at += 16 + size;
    }
    return packets;
}

/// Fills maps from examples/NAME/maps.json; `map_at` gives the map of an ObjectSpec index.
void fill_maps(const object::ObjectSpec& spec, const std::string& text, uint32_t lane, const MapAt& map_at) {
    const auto wanted = cli::parse_json(text);
    ASSERT_TRUE(wanted.ok()) << wanted.error().to_string();
    for (const auto& [name, rows] : *wanted->as<cli::Json::Object>()) {
        const uint32_t index = spec.find_map(name);
        maps::Map* map = map_at(index);
        ASSERT_NE(map, nullptr) << name;
        const object::MapSpec& map_spec = spec.maps[index];
        for (const cli::Json& row : *rows.as<cli::Json::Array>()) {
            const auto key =
                cli::bytes_of(*row.find("key"), {spec.btf.get(), map_spec.key_type}, map_spec.key_size, name);
            const auto value =
                cli::bytes_of(*row.find("value"), {spec.btf.get(), map_spec.value_type}, map_spec.value_size, name);
            ASSERT_TRUE(key.ok()) << key.error().to_string();
            ASSERT_TRUE(value.ok()) << value.error().to_string();
            ASSERT_TRUE(map->write(key->data(), value->data(), maps::update_any, lane).ok()) << name;
        }
    }
}

/// Per-CPU values as one, each 8-byte word summed.
std::string summed(const std::string& values, size_t value_size) {
    const size_t stride = maps::round_up_8(value_size);
    std::string sum(stride, '\0');
    for (size_t at = 0; at + stride <= values.size(); at += stride) {
        for (size_t word = 0; word < stride; word += 8) {
            auto* out = reinterpret_cast<std::byte*>(sum.data() + word);
            const auto* in = reinterpret_cast<const std::byte*>(values.data() + at + word);
            store_le(out, load_le<uint64_t>(out) + load_le<uint64_t>(in));
        }
    }
    return sum;
}

void read_maps(const object::ObjectSpec& spec, uint32_t lane, const MapAt& map_at, Seen* seen) {
    for (uint32_t index = 0; index < spec.maps.size(); ++index) {
        maps::Map* map = map_at(index);
        if (map == nullptr || map->def().key_size == 0 || map->def().type == platform::MapType::PerfEventArray)
            continue;
        auto& content = seen->maps[spec.maps[index].name];
        std::string key(map->def().key_size, '\0'), next(key.size(), '\0');
        const void* from = nullptr;
        while (map->user_next_key(from, next.data(), lane).ok()) {
            key = next;
            from = key.data();
            std::string value(map->user_value_size(), '\0');
            ASSERT_TRUE(map->read(key.data(), value.data(), lane).ok()) << spec.maps[index].name;
            if (maps::is_percpu(map->def().type)) value = summed(value, map->def().value_size);
            content[key] = value;
        }
    }
}

void add_event(const Example& example, const object::ObjectSpec& spec, uint32_t map, Bytes record, Seen* seen) {
    const std::string& name = spec.maps[map].name;
    std::string bytes(reinterpret_cast<const char*>(record.data()), record.size());
    if (name == example.masked_events) std::fill_n(bytes.begin(), std::min<size_t>(8, bytes.size()), '\0');
    seen->events.push_back(name + ": " + bytes);
}

/// What ring and perf buffers hold of one object of ours.
class EventReader {
  public:
    EventReader(const Example& example, runtime::LoadedObject& object, Seen* seen)
        : example_(example), object_(object), seen_(seen) {
        for (size_t index = 0; index < object.spec().maps.size(); ++index) {
            maps::PerfEventArray* array = maps::PerfEventArray::of(object.map(index));
            if (array == nullptr) continue;
            for (uint32_t lane = 0; lane < object.lanes().count(); ++lane) {
                maps::PerfOptions options;
                options.lane = lane;
                options.pages = 64;
                maps::PerfBuffer* buffer = nullptr;
                EXPECT_TRUE(maps::PerfBuffer::create(&object.lanes(), options, &buffer).ok());
                EXPECT_TRUE(array->set(&lane, buffer, 0).ok());
                buffers_.emplace_back(static_cast<uint32_t>(index), buffer);
            }
        }
    }
    ~EventReader() {
        for (auto& [map, buffer] : buffers_) buffer->release();
    }
    EventReader(const EventReader&) = delete;
    EventReader& operator=(const EventReader&) = delete;

    void drain() {
        const auto take = [](void* self, const void* data, uint32_t size) {
            auto* reader = static_cast<EventReader*>(self);
            add_event(reader->example_, reader->object_.spec(), reader->map_,
                      Bytes(static_cast<const std::byte*>(data), size), reader->seen_);
            return 0;
        };
        for (uint32_t index = 0; index < object_.spec().maps.size(); ++index) {
            map_ = index;
            if (maps::Ringbuf* ring = maps::Ringbuf::of(object_.map(index)); ring != nullptr) {
                EXPECT_TRUE(ring->consume(take, this, UINT64_MAX, nullptr).ok());
            }
        }
        for (auto& [map, buffer] : buffers_) {
            map_ = map;
            EXPECT_TRUE(buffer->consume({this, take, nullptr}, UINT64_MAX, nullptr).ok());
        }
    }

  private:
    const Example& example_;
    runtime::LoadedObject& object_;
    Seen* seen_;
    uint32_t map_ = 0;
    std::vector<std::pair<uint32_t, maps::PerfBuffer*>> buffers_;
};

void see_engine(const Example& example, std::shared_ptr<const object::ObjectSpec> spec, const std::string& init,
                const std::vector<std::string>& packets, runtime::EngineKind engine, Seen* seen) {
    runtime::LoadOptions options;
    options.engine = engine;
    options.allow_unverified = true;
    options.seed = 1;
    auto loaded = runtime::LoadedObject::load(spec, options);
    ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
    runtime::LoadedObject& object = **loaded;
    const auto map_at = [&](size_t index) { return object.map(index); };
    EventReader events(example, object, seen);
    {
        hooks::PacketSettings settings;
        settings.chance = runtime::Chance::from_seed(1);
        auto session = hooks::PacketSession::open(object.lanes(), example.type, platform::Personality::Linux, settings);
        ASSERT_TRUE(session.ok());
        const uint32_t lane = (*session)->lane();
        ASSERT_NO_FATAL_FAILURE(fill_maps(*spec, init, lane, map_at));
        const skep_entry entry = object.find(tool_of(example.name))->program->entry();
        for (const std::string& packet : packets) {
            const hooks::PacketResult result = (*session)->run(entry, as_bytes(packet));
            ASSERT_EQ(result.fault, 0u) << "at instruction " << result.fault_insn;
            seen->verdicts.push_back(static_cast<uint32_t>(result.r0));
            seen->packets.emplace_back(reinterpret_cast<const char*>(result.packet.data()), result.packet.size());
            events.drain();
        }
        ASSERT_NO_FATAL_FAILURE(read_maps(*spec, lane, map_at, seen));
    }
}

void see_kernel(const Example& example, const object::ObjectSpec& spec, hooks::KernelObject& kernel,
                const std::string& init, const std::vector<std::string>& packets, Seen* seen) {
    LaneGuard lane(kernel.lanes());
    const auto map_at = [&](size_t index) { return kernel.map(index); };
    ASSERT_NO_FATAL_FAILURE(fill_maps(spec, init, lane.lane(), map_at));
    std::vector<std::byte> out(65536);
    for (const std::string& packet : packets) {
        const auto answer = kernel.run(as_bytes(packet), out);
        ASSERT_TRUE(answer.ok()) << answer.error().to_string();
        seen->verdicts.push_back(answer->r0);
        seen->packets.emplace_back(reinterpret_cast<const char*>(out.data()), answer->bytes_out);
        const auto take = [&](uint32_t map, Bytes record) { add_event(example, spec, map, record, seen); };
        ASSERT_TRUE(kernel.drain_events(take).ok());
    }
    ASSERT_NO_FATAL_FAILURE(read_maps(spec, lane.lane(), map_at, seen));
}

void expect_equal(const char* what, const Seen& a, const Seen& b) {
    SCOPED_TRACE(what);
    ASSERT_EQ(a.verdicts.size(), b.verdicts.size());
    for (size_t i = 0; i < a.verdicts.size(); ++i) {
        ASSERT_EQ(a.verdicts[i], b.verdicts[i]) << "packet " << i;
        ASSERT_EQ(a.packets[i], b.packets[i]) << "packet " << i;
    }
    ASSERT_EQ(a.events.size(), b.events.size());
    for (size_t i = 0; i < a.events.size(); ++i) ASSERT_EQ(a.events[i], b.events[i]) << "event " << i;
    ASSERT_EQ(a.maps.size(), b.maps.size());
    for (const auto& [name, content] : a.maps) EXPECT_EQ(content, b.maps.at(name)) << "map " << name;
}

class EnginesEqual : public testing::TestWithParam<Example> {};

TEST_P(EnginesEqual, PacketForPacketByteForByte) {
    const Example& example = GetParam();
    const std::string folder = SKEP_SOURCE_DIR "/examples/";
    const std::string bytes = read_file(std::string(SKEP_BINARY_DIR "/examples/") + example.name + ".bpf.o");
    if (bytes.empty()) GTEST_SKIP() << "the examples were not built";
    const auto packets = read_packets(read_file(folder + "traffic/office.pcap"));
    ASSERT_GT(packets.size(), 500u);
    const std::string init = read_file(folder + tool_of(example.name) + "/maps.json");
    auto read = object::read_object(as_bytes(bytes), example.name);
    ASSERT_TRUE(read.ok()) << read.error().to_string();
    const auto spec = std::make_shared<const object::ObjectSpec>(*std::move(read));

    std::vector<std::pair<std::string, Seen>> all;
    for (runtime::EngineKind engine : runtime::available_engines()) {
        all.emplace_back(runtime::engine_name(engine), Seen{});
        ASSERT_NO_FATAL_FAILURE(see_engine(example, spec, init, packets, engine, &all.back().second))
            << all.back().first;
        EXPECT_GE(all.back().second.events.size(), example.least_events);
        EXPECT_GT(all.back().second.maps.size(), 1u);
    }
    auto kernel = hooks::KernelObject::load(*spec, as_bytes(bytes), 0, example.type);
    if (kernel.ok()) {
        all.emplace_back("kernel", Seen{});
        ASSERT_NO_FATAL_FAILURE(see_kernel(example, *spec, **kernel, init, packets, &all.back().second));
    } else {
        EXPECT_EQ(kernel.error().code(), Errc::Unavailable) << kernel.error().to_string();
    }
    if (all.size() < 2)
        GTEST_SKIP() << "fewer than two engines: " << (kernel.ok() ? "the kernel alone" : kernel.error().to_string());
    for (size_t i = 1; i < all.size(); ++i)
        expect_equal((all[0].first + " and " + all[i].first).c_str(), all[0].second, all[i].second);
    RecordProperty("engines", static_cast<int>(all.size()));
}

INSTANTIATE_TEST_SUITE_P(Examples, EnginesEqual, testing::ValuesIn(examples),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace skep
