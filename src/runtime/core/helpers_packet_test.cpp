// SPDX-License-Identifier: Apache-2.0
// Packet helpers: the limits on both sides, and what each leaves of the packet.
#include "runtime/core/testing.hpp"

namespace skep::runtime {
namespace {

using namespace testing;
using platform::HostSkb;
using platform::HostXdp;

constexpr int64_t einval = -22, efault = -14, eacces = -13, enomem = -12;
constexpr size_t head_room = 216, tail_room = 100;

uint64_t sign(int64_t value) { return static_cast<uint64_t>(value); }

TEST(XdpAdjustHead, MovesDataBetweenTheRoomsEndAndAnEthernetHeader) {
    const struct {
        int64_t offset, result, length;
    } rows[] = {
        {0, 0, 60},       {-216, 0, 276},          {-217, einval, 60},      {46, 0, 14},
        {47, einval, 60}, {INT32_MAX, einval, 60}, {INT32_MIN, einval, 60},
    };
    for (const auto& row : rows) {
        TestRun run;
        TestPacket<HostXdp> packet(head_room, 60, tail_room);
        EXPECT_EQ(run.call(HelperId::XdpAdjustHead, packet.ctx(), sign(row.offset)), row.result) << row.offset;
        EXPECT_EQ(packet.length(), row.length) << row.offset;
        EXPECT_EQ(packet.metadata(), 0) << row.offset;
    }
}

TEST(XdpAdjustHead, CarriesMetadataAlong) {
    TestRun run;
    TestPacket<HostXdp> packet(head_room, 60, tail_room);
    ASSERT_EQ(run.call(HelperId::XdpAdjustMeta, packet.ctx(), sign(-4)), 0);
    memcpy(packet.context.packet.data_meta, "meta", 4);
    EXPECT_EQ(run.call(HelperId::XdpAdjustHead, packet.ctx(), sign(-213)), einval);
    ASSERT_EQ(run.call(HelperId::XdpAdjustHead, packet.ctx(), sign(-212)), 0);
    EXPECT_EQ(packet.metadata(), 4);
    EXPECT_EQ(memcmp(packet.context.packet.data_meta, "meta", 4), 0);
}

TEST(XdpAdjustTail, MovesTheEndBetweenAnEthernetHeaderAndTheRoomsEnd) {
    const struct {
        int64_t offset, result, length;
    } rows[] = {
        {0, 0, 60},        {100, 0, 160},           {101, einval, 60},       {-46, 0, 14},
        {-47, einval, 60}, {INT32_MAX, einval, 60}, {INT32_MIN, einval, 60},
    };
    for (const auto& row : rows) {
        TestRun run;
        TestPacket<HostXdp> packet(head_room, 60, tail_room);
        EXPECT_EQ(run.call(HelperId::XdpAdjustTail, packet.ctx(), sign(row.offset)), row.result) << row.offset;
        EXPECT_EQ(packet.length(), row.length) << row.offset;
        for (int64_t i = 60; i < packet.length(); ++i) EXPECT_EQ(packet.context.packet.data[i], 0) << i;
    }
}

TEST(XdpAdjustMeta, TakesWholeWordsUpTo252BytesInFrontOfData) {
    const struct {
        int64_t offset, result, metadata;
    } rows[] = {
        {0, 0, 0}, {-4, 0, 4}, {-3, eacces, 0}, {-32, 0, 32}, {-216, 0, 216}, {-220, einval, 0}, {4, einval, 0},
    };
    for (const auto& row : rows) {
        TestRun run;
        TestPacket<HostXdp> packet(head_room, 60, tail_room);
        EXPECT_EQ(run.call(HelperId::XdpAdjustMeta, packet.ctx(), sign(row.offset)), row.result) << row.offset;
        EXPECT_EQ(packet.metadata(), row.metadata) << row.offset;
    }
    TestRun run;
    TestPacket<HostXdp> roomy(1000, 60, 0);
    EXPECT_EQ(run.call(HelperId::XdpAdjustMeta, roomy.ctx(), sign(-256)), eacces);
    EXPECT_EQ(run.call(HelperId::XdpAdjustMeta, roomy.ctx(), sign(-252)), 0);
    EXPECT_EQ(run.call(HelperId::XdpAdjustMeta, roomy.ctx(), 252), 0);
    EXPECT_EQ(roomy.metadata(), 0);
}

TEST(XdpBytes, AreInsideOrNotAtAll) {
    const struct {
        uint64_t offset, size;
        int64_t result;
    } rows[] = {
        {0, 8, 0},           {52, 8, 0}, {53, 8, einval}, {60, 1, einval}, {0x10000, 1, efault}, {0, 0x10000, efault},
        {0xffff, 1, einval},
    };
    std::vector<uint8_t> data(0x10000, 0xab);
    for (const auto& row : rows) {
        TestRun run;
        TestPacket<HostXdp> packet(head_room, 60, tail_room);
        std::vector<uint8_t> out(0x10000, 0x77);
        EXPECT_EQ(run.call(HelperId::XdpLoadBytes, packet.ctx(), row.offset, address(out.data()), row.size),
                  row.result);
        EXPECT_EQ(out[0], row.result == 0 ? row.offset : 0x77);
        EXPECT_EQ(run.call(HelperId::XdpStoreBytes, packet.ctx(), row.offset, address(data.data()), row.size),
                  row.result);
        if (row.result == 0) {
            EXPECT_EQ(packet.context.packet.data[row.offset], 0xab);
        }
        EXPECT_EQ(run.call(HelperId::XdpGetBuffLen, packet.ctx()), 60);
    }
}

TEST(SkbBytes, AreInsideOrTheBufferIsCleared) {
    const struct {
        uint64_t offset, size;
        int64_t result;
    } rows[] = {
        {0, 8, 0},
        {52, 8, 0},
        {53, 8, efault},
        {0x7fffffff, 1, efault},
        {0x80000000, 1, efault},
        {0xffffffff, 1, efault},
    };
    for (const auto& row : rows) {
        TestRun run(ProgramType::SchedCls);
        TestPacket<HostSkb> packet(64, 60, tail_room);
        uint8_t out[8];
        memset(out, 0x77, sizeof(out));
        EXPECT_EQ(run.call(HelperId::SkbLoadBytes, packet.ctx(), row.offset, address(out), row.size), row.result);
        EXPECT_EQ(out[0], row.result == 0 ? row.offset : 0) << row.offset;
        const uint8_t data[8] = {0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab};
        EXPECT_EQ(run.call(HelperId::SkbStoreBytes, packet.ctx(), row.offset, address(data), row.size, 0), row.result);
        EXPECT_EQ(packet.context.packet.data[52], row.result == 0 && row.offset == 52 ? 0xab : 52);
    }
}

TEST(SkbStoreBytes, KnowsTwoFlags) {
    TestRun run(ProgramType::SchedCls);
    TestPacket<HostSkb> packet(64, 60, tail_room);
    packet.context.hash = 7;
    const auto store = [&](uint64_t flags) {
        return run.call(HelperId::SkbStoreBytes, packet.ctx(), 0, address("x"), 1, flags);
    };
    EXPECT_EQ(store(1), 0);
    EXPECT_EQ(packet.context.hash, 7u);
    EXPECT_EQ(store(3), 0);
    EXPECT_EQ(packet.context.hash, 0u);
    EXPECT_EQ(store(4), einval);
}

TEST(SkbPullData, NeedsThatManyBytes) {
    TestRun run(ProgramType::SchedCls);
    TestPacket<HostSkb> packet(64, 60, tail_room);
    EXPECT_EQ(run.call(HelperId::SkbPullData, packet.ctx(), 0), 0);
    EXPECT_EQ(run.call(HelperId::SkbPullData, packet.ctx(), 60), 0);
    EXPECT_EQ(run.call(HelperId::SkbPullData, packet.ctx(), 61), enomem);
}

TEST(PacketLoad, ReadsBigEndianFromDataNetworkHeaderAndLinkHeader) {
    constexpr int64_t net = -0x100000, link = -0x200000, outside = -1;
    const struct {
        ProgramType type;
        HelperId id;
        int64_t offset;
        int64_t result;
    } rows[] = {
        {ProgramType::SchedCls, HelperId::PacketLoad1, 3, 3},
        {ProgramType::SchedCls, HelperId::PacketLoad2, 3, 0x0304},
        {ProgramType::SchedCls, HelperId::PacketLoad4, 3, 0x03040506},
        {ProgramType::SchedCls, HelperId::PacketLoad4, 56, 0x38393a3b},
        {ProgramType::SchedCls, HelperId::PacketLoad4, 57, outside},
        {ProgramType::SchedCls, HelperId::PacketLoad1, 60, outside},
        {ProgramType::SchedCls, HelperId::PacketLoad1, net, 14},
        {ProgramType::SchedCls, HelperId::PacketLoad1, link, 0},
        {ProgramType::SchedCls, HelperId::PacketLoad1, link + 59, 59},
        {ProgramType::SchedCls, HelperId::PacketLoad1, link + 60, outside},
        {ProgramType::SchedCls, HelperId::PacketLoad1, link - 1, outside},
        {ProgramType::SocketFilter, HelperId::PacketLoad1, 0, 0},
        {ProgramType::SocketFilter, HelperId::PacketLoad1, net, 0},
        {ProgramType::SocketFilter, HelperId::PacketLoad1, link, 0xee},
        {ProgramType::SocketFilter, HelperId::PacketLoad1, link + 14, 0},
        {ProgramType::SocketFilter, HelperId::PacketLoad1, INT32_MIN, outside},
    };
    for (const auto& row : rows) {
        TestRun run(row.type);
        TestPacket<HostSkb> packet(64, 60, tail_room);
        EXPECT_EQ(run.call(row.id, packet.ctx(), sign(row.offset)), row.result)
            << platform::helper_name(row.id) << " at " << row.offset;
    }
}

TEST(Redirect, SaysWhereTo) {
    TestRun xdp(ProgramType::Xdp);
    EXPECT_EQ(xdp.call(HelperId::Redirect, 7, 0), 4);
    EXPECT_EQ(xdp.run.redirect.kind, Redirect::Kind::Interface);
    EXPECT_EQ(xdp.run.redirect.index, 7u);
    TestRun refused(ProgramType::Xdp);
    EXPECT_EQ(refused.call(HelperId::Redirect, 7, 1), 0);
    EXPECT_EQ(refused.run.redirect.kind, Redirect::Kind::None);

    TestRun tc(ProgramType::SchedCls);
    EXPECT_EQ(tc.call(HelperId::Redirect, 7, 1), 7);
    EXPECT_EQ(tc.run.redirect.index, 7u);
    EXPECT_EQ(tc.run.redirect.flags, 1u);
    TestRun tc_refused(ProgramType::SchedCls);
    EXPECT_EQ(tc_refused.call(HelperId::Redirect, 7, 2), 2);
    EXPECT_EQ(tc_refused.run.redirect.kind, Redirect::Kind::None);
}

}  // namespace
}  // namespace skep::runtime
