// SPDX-License-Identifier: Apache-2.0
// The engine `kernel` on the example tools: the running kernel loads them, its maps can be filled and read, packets get
// their verdicts and events come back. Needs root on Linux; skipped, saying so, elsewhere.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "hooks/kernel/kernel_object.hpp"
#include "object/object_spec.hpp"

namespace skep::hooks {
namespace {

struct Loaded {
    std::string bytes;
    object::ObjectSpec spec;
    std::unique_ptr<KernelObject> kernel;
};

/// Empty `why`: loaded. Else the reason why not, which is also a reason to skip when it is the environment's.
std::string load(Loaded* out, const char* name, platform::ProgramType type, bool* skip) {
    *skip = !kernel_engine_built();
    if (*skip) return "this build has no kernel engine";
    std::ifstream in(std::string(SKEP_BINARY_DIR "/examples/") + name, std::ios::binary);
    out->bytes.assign(std::istreambuf_iterator<char>(in), {});
    if (out->bytes.empty()) {
        *skip = true;
        return std::string(name) + " was not built";
    }
    auto spec = object::read_object(as_bytes(out->bytes), name);
    if (!spec) return spec.error().to_string();
    out->spec = *std::move(spec);
    auto kernel = KernelObject::load(out->spec, as_bytes(out->bytes), 0, type);
    if (!kernel) {
        *skip = kernel.error().code() == Errc::Unavailable;
        return kernel.error().to_string();
    }
    out->kernel = *std::move(kernel);
    return {};
}

#define LOAD_OR_SKIP(loaded, name, type)                            \
    do {                                                            \
        bool skip = false;                                          \
        const std::string why = load(&(loaded), name, type, &skip); \
        if (skip) GTEST_SKIP() << why;                              \
        ASSERT_EQ(why, "");                                         \
    } while (false)

/// A TCP SYN from 192.168.7.9:4097 to 10.77.0.2:80.
constexpr std::array<uint8_t, 54> syn = {
    2,    0,    0, 0,  0, 2, 2, 0, 0,  0, 0, 1, 8,    0,                                // Ethernet
    0x45, 0,    0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 192,  168,  7,    9,    10, 77, 0, 2,   // IPv4
    0x10, 0x01, 0, 80, 0, 0, 0, 1, 0,  0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0,  0,  0, 0};  // TCP

TEST(KernelEngine, RunsAPacketFillsMapsAndBringsEventsBack) {
    Loaded object;
    LOAD_OR_SKIP(object, "firewall.bpf.o", platform::ProgramType::Xdp);
    std::array<std::byte, 2048> out{};
    const Bytes packet = std::as_bytes(std::span(syn));
    uint64_t events = 0;
    uint32_t from = object::no_index;
    const auto count = [&](uint32_t map, Bytes record) {
        ++events;
        from = map;
        EXPECT_EQ(record.size(), 56u);
    };

    auto answer = object.kernel->run(packet, out);
    ASSERT_TRUE(answer.ok()) << answer.error().to_string();
    EXPECT_EQ(answer->r0, 2u);  // pass
    EXPECT_EQ(answer->bytes_out, packet.size());
    ASSERT_TRUE(object.kernel->drain_events(count).ok());
    EXPECT_EQ(events, 0u);

    maps::Map* blocked = object.kernel->map(object.spec.find_map("blocked4"));
    ASSERT_NE(blocked, nullptr);
    const uint8_t network[8] = {24, 0, 0, 0, 192, 168, 7, 0};
    const uint32_t rule = 1;
    LaneGuard lane(object.kernel->lanes());
    ASSERT_TRUE(blocked->write(network, &rule, maps::update_any, lane.lane()).ok());
    EXPECT_EQ(blocked->size(), 1u);

    answer = object.kernel->run(packet, out);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->r0, 1u);  // drop
    ASSERT_TRUE(object.kernel->drain_events(count).ok());
    EXPECT_EQ(events, 1u);
    EXPECT_EQ(from, object.spec.find_map("events"));
    EXPECT_EQ(object.kernel->map(from), nullptr);

    // Per-CPU values: one per lane, as our own maps give them.
    maps::Map* counters = object.kernel->map(object.spec.find_map("counters"));
    ASSERT_NE(counters, nullptr);
    std::string values(counters->user_value_size(), '\0');
    ASSERT_EQ(values.size(), size_t{16} * object.kernel->lanes().count());
    const uint32_t blocked_source = 3;
    ASSERT_TRUE(counters->read(&blocked_source, values.data(), lane.lane()).ok());
    uint64_t packets = 0;
    for (size_t at = 0; at < values.size(); at += 16)
        packets += load_le<uint64_t>(reinterpret_cast<const std::byte*>(values.data()) + at);
    EXPECT_EQ(packets, 1u);
}

TEST(KernelEngine, ThePacketComesBackAsTheProgramLeftIt) {
    Loaded object;
    LOAD_OR_SKIP(object, "balancer.bpf.o", platform::ProgramType::Xdp);
    LaneGuard lane(object.kernel->lanes());
    const uint8_t endpoint[8] = {10, 77, 0, 2, 80, 0, 6, 0};
    const uint32_t service[3] = {1, 0, 1};
    const uint8_t backend[16] = {10, 77, 0, 21, 0x90, 0x1f, 2, 0, 0, 0, 1, 0x15, 0, 0, 0, 0};
    const uint32_t zero = 0;
    ASSERT_TRUE(object.kernel->map(object.spec.find_map("services"))->write(endpoint, service, 0, lane.lane()).ok());
    ASSERT_TRUE(object.kernel->map(object.spec.find_map("backends"))->write(&zero, backend, 0, lane.lane()).ok());
    std::array<std::byte, 2048> out{};
    const auto answer = object.kernel->run(std::as_bytes(std::span(syn)), out);
    ASSERT_TRUE(answer.ok()) << answer.error().to_string();
    EXPECT_EQ(answer->r0, 3u);                               // tx
    EXPECT_EQ(std::memcmp(out.data(), backend + 6, 6), 0);   // to the backend's MAC
    EXPECT_EQ(std::memcmp(out.data() + 30, backend, 4), 0);  // address
    EXPECT_EQ(out[36], std::byte{0x1f});                     // port 8080
    EXPECT_EQ(out[37], std::byte{0x90});
}

TEST(KernelEngine, PerfEventsCarryThePacketsFirstBytes) {
    Loaded object;
    LOAD_OR_SKIP(object, "flowmon_tc.bpf.o", platform::ProgramType::SchedCls);
    std::array<std::byte, 2048> out{};
    for (int repeat = 0; repeat < 2; ++repeat) {
        const auto answer = object.kernel->run(std::as_bytes(std::span(syn)), out);
        ASSERT_TRUE(answer.ok()) << answer.error().to_string();
        EXPECT_EQ(answer->r0, 0u);
    }
    uint64_t events = 0;
    const auto check = [&](uint32_t map, Bytes record) {
        ++events;
        EXPECT_EQ(map, object.spec.find_map("new_flows"));
        ASSERT_GE(record.size(), 44u + syn.size());
        EXPECT_EQ(std::memcmp(record.data() + 44, syn.data(), syn.size()), 0);
    };
    ASSERT_TRUE(object.kernel->drain_events(check).ok());
    EXPECT_EQ(events, 1u);
}

TEST(KernelEngine, APacketTheKernelDoesNotTakeIsAnError) {
    Loaded object;
    LOAD_OR_SKIP(object, "firewall.bpf.o", platform::ProgramType::Xdp);
    std::array<std::byte, 64> out{};
    EXPECT_TRUE(object.kernel->run(std::as_bytes(std::span(syn)).first(14), out).ok());
    EXPECT_FALSE(object.kernel->run(std::as_bytes(std::span(syn)).first(13), out).ok());
    EXPECT_FALSE(object.kernel->run(std::as_bytes(std::span(syn)), MutableBytes(out).first(53)).ok());
}

}  // namespace
}  // namespace skep::hooks
