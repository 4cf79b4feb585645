// SPDX-License-Identifier: Apache-2.0
// Helpers at and around their limits: the same r0, the same bytes and the same results on every engine of this build
// and, where root on Linux allows it, on the running kernel. tests/objects/helpers.bpf.c makes the calls.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hooks/kernel/kernel_object.hpp"
#include "hooks/packet/packet_session.hpp"
#include "platform/program_type.hpp"
#include "runtime/load/loaded_object.hpp"

namespace skep {
namespace {

struct Case {
    const char* program;
    int64_t offset = 0;  ///< what the variable of this name holds before the run
    size_t packet_bytes = 60;
};

/// Where the kernel is known to differ, and from what.
struct Difference {
    const char* program;
    size_t result;
    int64_t ours, kernel;
};
constexpr Difference known_differences[] = {
    // The kernel's verifier puts bpf_loop inline and writes -E2BIG with a 32-bit move (inline_bpf_loop); called, the
    // helper returns -7 as documented, and so does ours.
    {"loops", 4, -7, 4294967289},
};

/// What one run left.
struct Seen {
    uint32_t r0 = 0;
    std::string packet;
    std::vector<int64_t> results;
    std::string texts;
};

std::string frame(size_t size) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + 1);
    if (size >= 14) std::memcpy(bytes.data() + 12, "\x08\x00", 2);
    return bytes;
}

class HelpersEqual : public testing::Test {
  protected:
    void SetUp() override {
        std::ifstream in(SKEP_BINARY_DIR "/tests/objects/helpers.o", std::ios::binary);
        file_.assign(std::istreambuf_iterator<char>(in), {});
        auto spec = object::read_object(as_bytes(file_), "helpers.o");
        ASSERT_TRUE(spec.ok()) << spec.error().to_string();
        spec_ = std::make_shared<const object::ObjectSpec>(*std::move(spec));
    }

    const object::GlobalSpec& global(std::string_view name) const {
        for (const object::GlobalSpec& g : spec_->globals)
            if (g.name == name) return g;
        ADD_FAILURE() << "no variable " << name;
        return spec_->globals.front();
    }

    /// The value of a data map through its user's side.
    static std::vector<char> read_data(maps::Map* map, Lanes& lanes, size_t bytes) {
        std::vector<char> value(bytes);
        if (map == nullptr) return value;
        const LaneGuard guard(lanes);
        const uint32_t key = 0;
        value.resize(std::max<size_t>(bytes, map->user_value_size()));
        EXPECT_TRUE(map->read(&key, value.data(), guard.lane()).ok());
        return value;
    }
    void set_offset(maps::Map* map, Lanes& lanes, int64_t value) const {
        if (map == nullptr) return;
        const object::GlobalSpec& where = global("offset");
        std::vector<char> data = read_data(map, lanes, spec_->maps[where.map].value_size);
        std::memcpy(data.data() + where.offset, &value, sizeof(value));
        const LaneGuard guard(lanes);
        const uint32_t key = 0;
        EXPECT_TRUE(map->write(&key, data.data(), 0, guard.lane()).ok());
    }
    void take_results(maps::Map* map, Lanes& lanes, Seen* seen) const {
        const object::GlobalSpec &results = global("results"), &texts = global("texts");
        ASSERT_EQ(results.map, texts.map);
        const std::vector<char> data = read_data(map, lanes, spec_->maps[results.map].value_size);
        seen->results.resize(results.size / 8);
        std::memcpy(seen->results.data(), data.data() + results.offset, results.size);
        seen->texts.assign(data.data() + texts.offset, texts.size);
    }
    uint32_t data_map() const { return global("results").map; }

    Seen run_here(const Case& c, runtime::EngineKind engine) const {
        Seen seen;
        runtime::LoadOptions options;
        options.engine = engine;
        options.allow_unverified = true;
        options.programs = {c.program};
        auto loaded = runtime::LoadedObject::load(spec_, options);
        EXPECT_TRUE(loaded.ok()) << (loaded.ok() ? "" : loaded.error().to_string());
        if (!loaded) return seen;
        runtime::LoadedObject& object = **loaded;
        set_offset(object.map(data_map()), object.lanes(), c.offset);
        const runtime::Program& program = *object.find(c.program)->program;
        {
            auto session = hooks::PacketSession::open(object.lanes(), program.type(), program.personality(), {});
            const std::string packet = frame(c.packet_bytes);
            const hooks::PacketResult result = (*session)->run(program.entry(), as_bytes(packet));
            EXPECT_EQ(result.fault, 0u) << c.program;
            seen.r0 = static_cast<uint32_t>(result.r0);
            seen.packet.assign(reinterpret_cast<const char*>(result.packet.data()), result.packet.size());
        }
        take_results(object.map(data_map()), object.lanes(), &seen);
        return seen;
    }

    /// Nothing, with the reason, where this process may not load programs.
    std::optional<Seen> run_in_kernel(const Case& c, std::string* reason) const {
        const uint32_t index = spec_->find_program(c.program);
        const auto meaning = platform::section_meaning(spec_->programs[index].section);
        auto kernel = hooks::KernelObject::load(*spec_, as_bytes(file_), index, meaning->type);
        if (!kernel) {
            *reason = kernel.error().to_string();
            EXPECT_EQ(kernel.error().code(), Errc::Unavailable) << *reason;
            return std::nullopt;
        }
        Seen seen;
        set_offset((*kernel)->map(data_map()), (*kernel)->lanes(), c.offset);
        std::vector<std::byte> out(8192);
        const std::string packet = frame(c.packet_bytes);
        auto answer = (*kernel)->run(as_bytes(packet), out);
        EXPECT_TRUE(answer.ok()) << (answer.ok() ? "" : answer.error().to_string());
        if (!answer) return seen;
        seen.r0 = answer->r0;
        seen.packet.assign(reinterpret_cast<const char*>(out.data()), answer->bytes_out);
        take_results((*kernel)->map(data_map()), (*kernel)->lanes(), &seen);
        return seen;
    }

    static void expect_same(const Case& c, const char* who, const Seen& a, const Seen& b) {
        const std::string where = std::string(c.program) + " on " + who + ", offset " + std::to_string(c.offset);
        EXPECT_EQ(a.r0, b.r0) << where;
        ASSERT_EQ(a.results.size(), b.results.size()) << where;
        for (size_t i = 0; i < a.results.size(); ++i) {
            bool known = false;
            for (const Difference& d : known_differences)
                known = known || (c.program == std::string_view(d.program) && i == d.result && a.results[i] == d.ours &&
                                  b.results[i] == d.kernel);
            if (!known) {
                EXPECT_EQ(a.results[i], b.results[i]) << where << ": results[" << i << "]";
            }
        }
        for (size_t i = 0; i + 32 <= a.texts.size() && i + 32 <= b.texts.size(); i += 32)
            EXPECT_EQ(a.texts.substr(i, 32), b.texts.substr(i, 32)) << where << ": texts[" << i / 32 << "]";
        // A test run gives a socket filter's Ethernet header back as zeros.
        const size_t from =
            std::string_view(c.program).starts_with("packet_") || std::string_view(c.program) == "socket_view" ? 14 : 0;
        ASSERT_EQ(a.packet.size(), b.packet.size()) << where;
        EXPECT_EQ(a.packet.substr(from), b.packet.substr(from)) << where;
    }

    static std::vector<Case> cases() {
        std::vector<Case> list = {{"sums"}, {"bytes"}, {"refused_redirect"},     {"numbers"},    {"formats"}, {"loops"},
                                  {"maps"}, {"moves"}, {"xdp_refused_redirect"}, {"socket_view"}};
        constexpr int64_t network = -0x100000, link = -0x200000;
        for (const char* program : {"packet_byte", "packet_half", "packet_word"})
            for (const int64_t offset :
                 {int64_t{0}, int64_t{5}, int64_t{42}, int64_t{43}, int64_t{44}, int64_t{45}, int64_t{46},
                  int64_t{1} << 30, network, network + 42, network + 45, network + 46, link, link + 14, link + 56,
                  link + 59, link + 60, link - 1, int64_t{-1}})
                list.push_back({program, offset});
        return list;
    }

    std::string file_;
    std::shared_ptr<const object::ObjectSpec> spec_;
};

TEST_F(HelpersEqual, OnEveryEngine) {
    const std::vector<runtime::EngineKind> engines = runtime::available_engines();
    ASSERT_FALSE(engines.empty());
    if (engines.size() == 1) GTEST_SKIP() << "this build has one engine: nothing to compare";
    for (const Case& c : cases()) {
        const Seen first = run_here(c, engines[0]);
        for (size_t i = 1; i < engines.size(); ++i)
            expect_same(c, runtime::engine_name(engines[i]), first, run_here(c, engines[i]));
    }
}

TEST_F(HelpersEqual, AsInTheRunningKernel) {
    if (!hooks::kernel_engine_built()) GTEST_SKIP() << "this build has no kernel engine";
    for (const Case& c : cases()) {
        std::string reason;
        const std::optional<Seen> kernel = run_in_kernel(c, &reason);
        if (!kernel) GTEST_SKIP() << reason;
        expect_same(c, "skep, not as in the kernel", run_here(c, runtime::available_engines().front()), *kernel);
    }
}

}  // namespace
}  // namespace skep
