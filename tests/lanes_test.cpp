// SPDX-License-Identifier: Apache-2.0
// More threads than lanes: a run owns its lane from entry to exit, so what programs count in per-CPU maps without
// atomic instructions is exact, on every engine.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "hooks/packet/packet_session.hpp"
#include "runtime/load/loaded_object.hpp"

namespace skep {
namespace {

constexpr uint32_t lanes = 3;
constexpr uint32_t threads = 4 * lanes;
constexpr uint32_t batches = 100;
constexpr uint32_t packets_per_batch = 20;

class LanesUnderLoad : public testing::TestWithParam<runtime::EngineKind> {};

uint64_t sum_of_cpus(maps::Map& map, Lanes& pool, uint32_t key) {
    const LaneGuard guard(pool);
    std::vector<uint64_t> values(map.user_value_size() / 8);
    EXPECT_TRUE(map.read(&key, values.data(), guard.lane()).ok());
    uint64_t sum = 0;
    for (const uint64_t value : values) sum += value;
    return sum;
}

TEST_P(LanesUnderLoad, PerCpuSumsAreExactWithFourTimesMoreThreadsThanLanes) {
    const std::vector<runtime::EngineKind> engines = runtime::available_engines();
    if (std::find(engines.begin(), engines.end(), GetParam()) == engines.end()) GTEST_SKIP() << "not in this build";
    std::ifstream in(SKEP_BINARY_DIR "/tests/objects/percpu.o", std::ios::binary);
    const std::string file(std::istreambuf_iterator<char>(in), {});
    auto spec = object::read_object(as_bytes(file), "percpu.o");
    ASSERT_TRUE(spec.ok()) << spec.error().to_string();
    runtime::LoadOptions options;
    options.engine = GetParam();
    options.allow_unverified = true;
    options.lanes = lanes;
    auto loaded = runtime::LoadedObject::load(std::make_shared<const object::ObjectSpec>(*std::move(spec)), options);
    ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
    runtime::LoadedObject& object = **loaded;
    const runtime::Program& program = *object.find("count")->program;

    // Every lane's copy of the hash element exists before anybody counts in it: insertion is a race by design.
    std::vector<std::byte> packet(60);
    const std::vector<Bytes> one = {packet};
    const auto run = [&](uint32_t times) {
        const std::vector<Bytes> batch(times, Bytes(packet));
        auto session = hooks::PacketSession::open(object.lanes(), program.type(), program.personality(), {});
        ASSERT_TRUE(session.ok());
        EXPECT_LT((*session)->lane(), lanes);
        (*session)->run_batch(program.entry(), batch, [](size_t, const hooks::PacketResult& result) {
            EXPECT_EQ(result.outcome.verdict, platform::Verdict::XdpPass);
        });
    };
    run(1);

    std::vector<std::thread> crowd;
    for (uint32_t i = 0; i < threads; ++i) {
        crowd.emplace_back([&] {
            for (uint32_t batch = 0; batch < batches; ++batch) run(packets_per_batch);
        });
    }
    for (std::thread& thread : crowd) thread.join();

    const uint64_t expected = 1 + uint64_t{threads} * batches * packets_per_batch;
    EXPECT_EQ(sum_of_cpus(*object.map(object.spec().find_map("own")), object.lanes(), 1), expected);
    EXPECT_EQ(sum_of_cpus(*object.map(object.spec().find_map("own_by_key")), object.lanes(), 1), expected);
    for (const object::GlobalSpec& global : object.spec().globals) {
        uint64_t value = 0;
        std::memcpy(&value, object.map(global.map)->direct_value() + global.offset, 8);
        if (global.name == "shared") {
            EXPECT_EQ(value, expected);
        }
        if (global.name == "cpus_seen") {
            EXPECT_EQ(value >> lanes, 0u) << "a run was on a CPU that is no lane";
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Engines, LanesUnderLoad,
                         testing::Values(runtime::EngineKind::Interpreter, runtime::EngineKind::Jit),
                         [](const auto& info) { return std::string(runtime::engine_name(info.param)); });

}  // namespace
}  // namespace skep
