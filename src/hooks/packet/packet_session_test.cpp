// SPDX-License-Identifier: Apache-2.0
// The packet hooks with native functions in place of programs: what they are shown, and what becomes of what they do.
#include "hooks/packet/packet_session.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <thread>

#include "platform/host_context.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::hooks {
namespace {

using platform::HelperId;
using platform::HostSkb;
using platform::HostXdp;
using platform::Personality;
using platform::ProgramType;
using platform::Verdict;

using Body = std::function<uint64_t(void* context, skep_runtime_context* run)>;

skep_entry entry_of(const Body& body) {
    skep_entry entry;
    entry.function = [](void* context, skep_runtime_context* run, const void* self) {
        return (*static_cast<const Body*>(self))(context, run);
    };
    entry.self = &body;
    return entry;
}

uint64_t call(skep_runtime_context* run, HelperId id, void* ctx, uint64_t r2 = 0) {
    return run->helpers[static_cast<size_t>(id)](reinterpret_cast<uintptr_t>(ctx), r2, 0, 0, 0, run);
}

struct Fixture {
    explicit Fixture(ProgramType type, PacketSettings settings = {}) : lanes(Lanes::create(2)) {
        session = std::move(*PacketSession::open(*lanes, type, Personality::Linux, settings));
    }
    ~Fixture() {
        session.reset();
        lanes->destroy();
    }
    Lanes* lanes;
    std::unique_ptr<PacketSession> session;
};

std::vector<std::byte> frame(size_t size, uint16_t ethertype = 0x0800) {
    std::vector<std::byte> bytes(size);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i + 1);
    if (size >= 14) {
        bytes[12] = static_cast<std::byte>(ethertype >> 8);
        bytes[13] = static_cast<std::byte>(ethertype & 0xff);
    }
    return bytes;
}

TEST(PacketSession, ShowsXdpTheFrameAndItsRooms) {
    PacketSettings settings;
    settings.ifindex = 7;
    settings.rx_queue = 3;
    Fixture f(ProgramType::Xdp, settings);
    const auto packet = frame(60);
    const Body body = [&](void* context, skep_runtime_context* run) -> uint64_t {
        auto& xdp = *static_cast<HostXdp*>(context);
        EXPECT_EQ(xdp.packet.data_end - xdp.packet.data, 60);
        EXPECT_EQ(std::memcmp(xdp.packet.data, packet.data(), 60), 0);
        EXPECT_EQ(xdp.packet.data - xdp.packet.head, 216);
        EXPECT_EQ(xdp.packet.end - xdp.packet.data, 4096 - 256 - 320);
        EXPECT_EQ(xdp.packet.data_meta, xdp.packet.data);
        EXPECT_EQ(xdp.ingress_ifindex, 7u);
        EXPECT_EQ(xdp.rx_queue_index, 3u);
        EXPECT_EQ(call(run, HelperId::XdpAdjustHead, context, static_cast<uint64_t>(-8)), 0u);
        xdp.packet.data[0] = 0xaa;
        return 3;
    };
    const PacketResult result = f.session->run(entry_of(body), packet);
    EXPECT_EQ(result.outcome.verdict, Verdict::XdpTx);
    ASSERT_EQ(result.packet.size(), 68u);
    EXPECT_EQ(result.packet[0], std::byte{0xaa});
    EXPECT_EQ(result.packet[1], std::byte{0});
    EXPECT_EQ(result.packet[8], packet[0]);
}

TEST(PacketSession, HidesWhatEarlierPacketsLeftInTheRoom) {
    Fixture f(ProgramType::Xdp);
    const Body body = [&](void* context, skep_runtime_context* run) -> uint64_t {
        auto& xdp = *static_cast<HostXdp*>(context);
        EXPECT_EQ(call(run, HelperId::XdpAdjustHead, context, static_cast<uint64_t>(-100)), 0u);
        for (int i = 0; i < 100; ++i) EXPECT_EQ(xdp.packet.data[i], 0);
        std::memset(xdp.packet.data, 0xcc, 100);
        return 2;
    };
    for (int i = 0; i < 3; ++i) EXPECT_EQ(f.session->run(entry_of(body), frame(60)).outcome.verdict, Verdict::XdpPass);
}

TEST(PacketSession, ShowsTcTheFrameAndSocketFiltersWhatIsInside) {
    const auto packet = frame(60, 0x86dd);
    for (const ProgramType type : {ProgramType::SchedCls, ProgramType::SchedAct, ProgramType::SocketFilter}) {
        const size_t skipped = type == ProgramType::SocketFilter ? 14 : 0;
        Fixture f(type);
        const Body body = [&](void* context, skep_runtime_context*) -> uint64_t {
            const auto& skb = *static_cast<HostSkb*>(context);
            EXPECT_EQ(skb.len, 60 - skipped);
            EXPECT_EQ(skb.wire_len, 60 - skipped);
            EXPECT_EQ(std::memcmp(skb.packet.data, packet.data() + skipped, skb.len), 0);
            EXPECT_EQ(skb.protocol, 0xdd86);
            EXPECT_EQ(skb.pkt_type, 2u);
            EXPECT_EQ(skb.ifindex, 1u);
            return 20;
        };
        const PacketResult result = f.session->run(entry_of(body), packet);
        EXPECT_EQ(result.packet.size(), 60u);
        EXPECT_EQ(result.packet[0], packet[0]);
        if (type == ProgramType::SocketFilter) {
            EXPECT_EQ(result.outcome.verdict, Verdict::SocketKeep);
            EXPECT_EQ(result.outcome.bytes, 20u);
        }
    }
}

TEST(PacketSession, TellsThePacketTypeByTheDestination) {
    const struct {
        uint8_t first, rest;
        uint32_t type;
    } rows[] = {{0, 0, 0}, {0xff, 0xff, 1}, {0x01, 0x02, 2}, {0x02, 0x02, 3}};
    for (const auto& row : rows) {
        Fixture f(ProgramType::SchedCls);
        auto packet = frame(60);
        std::memset(packet.data(), row.rest, 6);
        packet[0] = std::byte{row.first};
        const Body body = [&](void* context, skep_runtime_context*) -> uint64_t {
            EXPECT_EQ(static_cast<HostSkb*>(context)->pkt_type, row.type);
            return 0;
        };
        (void)f.session->run(entry_of(body), packet);
    }
}

TEST(PacketSession, RefusesFramesWithoutAHeader) {
    const struct {
        ProgramType type;
        size_t bytes;
        bool refused;
    } rows[] = {
        {ProgramType::Xdp, 13, true},          {ProgramType::Xdp, 14, false},
        {ProgramType::Xdp, 65535, false},      {ProgramType::Xdp, 65536, true},
        {ProgramType::SchedCls, 13, true},     {ProgramType::SchedCls, 14, false},
        {ProgramType::SocketFilter, 14, true}, {ProgramType::SocketFilter, 15, false},
    };
    for (const auto& row : rows)
        EXPECT_EQ(Fixture(row.type).session->refuses(frame(row.bytes)), row.refused) << row.bytes;
}

TEST(PacketSession, ReportsRedirectionsOnlyWithTheirVerdict) {
    Fixture f(ProgramType::Xdp);
    const Body redirects = [](void*, skep_runtime_context* run) -> uint64_t {
        return run->helpers[static_cast<size_t>(HelperId::Redirect)](5, 0, 0, 0, 0, run);
    };
    const Body changes_its_mind = [](void*, skep_runtime_context* run) -> uint64_t {
        (void)run->helpers[static_cast<size_t>(HelperId::Redirect)](5, 0, 0, 0, 0, run);
        return 1;
    };
    PacketResult result = f.session->run(entry_of(redirects), frame(60));
    EXPECT_EQ(result.outcome.verdict, Verdict::XdpRedirect);
    EXPECT_EQ(result.redirect.kind, runtime::Redirect::Kind::Interface);
    EXPECT_EQ(result.redirect.index, 5u);
    result = f.session->run(entry_of(changes_its_mind), frame(60));
    EXPECT_EQ(result.outcome.verdict, Verdict::XdpDrop);
    EXPECT_EQ(result.redirect.kind, runtime::Redirect::Kind::None);
}

TEST(PacketSession, BatchesPassOverRefusedPacketsAndKeepTheirLane) {
    Fixture f(ProgramType::Xdp);
    const auto good = frame(60), bad = frame(10);
    const std::vector<Bytes> packets = {good, bad, good};
    std::vector<size_t> seen;
    const uint32_t lane = f.session->lane();
    const Body body = [&](void*, skep_runtime_context* run) -> uint64_t {
        EXPECT_EQ(run->lane, lane);
        EXPECT_EQ(run->tail_calls, 0u);
        run->tail_calls = 33;
        return 2;
    };
    f.session->run_batch(entry_of(body), packets, [&](size_t index, const PacketResult& result) {
        EXPECT_EQ(result.outcome.verdict, Verdict::XdpPass);
        seen.push_back(index);
    });
    EXPECT_EQ(seen, (std::vector<size_t>{0, 2}));
}

}  // namespace
}  // namespace skep::hooks
