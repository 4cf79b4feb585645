// SPDX-License-Identifier: Apache-2.0
// Internet checksums, compared with the definition: the one's complement of the one's complement sum (RFC 1071).
#include "runtime/core/testing.hpp"

namespace skep::runtime {
namespace {

using namespace testing;
using platform::HostSkb;

constexpr int64_t einval = -22, efault = -14;

/// The sum of 16-bit words in memory order, folded; not complemented.
uint32_t sum_of(const uint8_t* bytes, size_t size, uint32_t seed = 0) {
    uint64_t sum = (seed & 0xffff) + (seed >> 16);
    for (size_t i = 0; i < size; i += 2) {
        uint16_t word = 0;
        memcpy(&word, bytes + i, size - i < 2 ? 1 : 2);
        sum += word;
    }
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint32_t>(sum);
}

TEST(CsumDiff, HasItsFiveForms) {
    uint8_t a[512], b[512];
    for (size_t i = 0; i < sizeof(a); ++i) {
        a[i] = static_cast<uint8_t>(i * 37 + 5);
        b[i] = static_cast<uint8_t>(i * 91 + 200);
    }
    TestRun run;
    for (const uint32_t size : {4u, 8u, 20u, 64u, 512u}) {
        for (const uint32_t seed : {0u, 1u, 0xffffu, 0xfffffffeu}) {
            const uint32_t push = sum_of(b, size, seed);
            EXPECT_EQ(run.call(HelperId::CsumDiff, 0, 0, address(b), size, seed), push);
            // Pulling takes away: adding what was pulled gives the seed back.
            const auto pull = static_cast<uint32_t>(run.call(HelperId::CsumDiff, address(a), size, 0, 0, seed));
            EXPECT_EQ(sum_of(a, size, pull) % 0xffff, sum_of(nullptr, 0, seed) % 0xffff);
            const auto diff =
                static_cast<uint32_t>(run.call(HelperId::CsumDiff, address(a), size, address(b), size, seed));
            EXPECT_EQ(sum_of(a, size, diff) % 0xffff, push % 0xffff);
        }
    }
    // Unequal sizes, and nothing at all.
    EXPECT_EQ(static_cast<uint32_t>(run.call(HelperId::CsumDiff, address(a), 4, address(a), 8, 0)), sum_of(a + 4, 4));
    EXPECT_EQ(run.call(HelperId::CsumDiff, 0, 0, 0, 0, 0x12345678), 0x12345678 % 0xffff);
    EXPECT_EQ(run.call(HelperId::CsumDiff, 0, 0, 0, 0, 0), 0);
}

TEST(CsumDiff, TakesAnySize) {
    TestRun run;
    const uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (const uint32_t size : {1u, 2u, 3u, 5u, 6u, 7u})
        EXPECT_EQ(run.call(HelperId::CsumDiff, 0, 0, address(bytes), size, 0), sum_of(bytes, size)) << size;
}

/// A packet whose bytes 10-11 are the checksum over bytes 0-19.
struct Headed {
    TestPacket<HostSkb> packet{64, 40, 0};
    uint8_t* at(size_t offset) { return packet.context.packet.data + offset; }
    void seal() {
        memset(at(10), 0, 2);
        const uint16_t sum = static_cast<uint16_t>(~sum_of(at(0), 20));
        memcpy(at(10), &sum, 2);
    }
    bool right() { return sum_of(at(0), 20) == 0xffff; }
};

TEST(CsumReplace, KeepsTheChecksumRightWhenAFieldChanges) {
    for (const HelperId id : {HelperId::L3CsumReplace, HelperId::L4CsumReplace}) {
        for (const uint32_t size : {2u, 4u}) {
            for (uint32_t to = 0; to < 70000; to += 997) {
                TestRun run(ProgramType::SchedCls);
                Headed headed;
                headed.seal();
                uint32_t from = 0, now = to * 65537u;
                memcpy(&from, headed.at(12), size);
                if (size == 2) now &= 0xffff;
                memcpy(headed.at(12), &now, size);
                EXPECT_EQ(run.call(id, headed.packet.ctx(), 10, from, now, size), 0);
                EXPECT_TRUE(headed.right()) << platform::helper_name(id) << " size " << size << " to " << now;
            }
        }
        // Size 0: the difference comes from csum_diff.
        TestRun run(ProgramType::SchedCls);
        Headed headed;
        headed.seal();
        uint8_t old[8];
        memcpy(old, headed.at(12), 8);
        memcpy(headed.at(12), "12345678", 8);
        const auto diff =
            static_cast<uint64_t>(run.call(HelperId::CsumDiff, address(old), 8, address(headed.at(12)), 8, 0));
        EXPECT_EQ(run.call(id, headed.packet.ctx(), 10, 0, diff, 0), 0);
        EXPECT_TRUE(headed.right());
    }
}

TEST(CsumReplace, ChecksFlagsAndPlace) {
    const struct {
        HelperId id;
        uint64_t offset, from, flags;
        int64_t result;
    } rows[] = {
        {HelperId::L3CsumReplace, 10, 0, 0, 0},           {HelperId::L3CsumReplace, 10, 1, 0, einval},
        {HelperId::L3CsumReplace, 10, 0, 1, einval},      {HelperId::L3CsumReplace, 10, 0, 8, einval},
        {HelperId::L3CsumReplace, 10, 0, 16, einval},     {HelperId::L3CsumReplace, 11, 0, 2, efault},
        {HelperId::L3CsumReplace, 38, 0, 2, 0},           {HelperId::L3CsumReplace, 40, 0, 2, efault},
        {HelperId::L3CsumReplace, 0x10000, 0, 2, efault}, {HelperId::L4CsumReplace, 10, 0, 0x12, 0},
        {HelperId::L4CsumReplace, 10, 0, 0x72, 0},        {HelperId::L4CsumReplace, 10, 0, 0xf2, 0},
        {HelperId::L4CsumReplace, 10, 0, 0x102, einval},  {HelperId::L4CsumReplace, 10, 1, 0x10, einval},
        {HelperId::L4CsumReplace, 10, 0, 3, einval},      {HelperId::L4CsumReplace, 40, 0, 2, efault},
    };
    for (const auto& row : rows) {
        TestRun run(ProgramType::SchedCls);
        TestPacket<HostSkb> packet(64, 40, 0);
        EXPECT_EQ(run.call(row.id, packet.ctx(), row.offset, row.from, 0, row.flags), row.result)
            << platform::helper_name(row.id) << " offset " << row.offset << " flags " << row.flags;
    }
}

TEST(L4CsumReplace, LeavesAnAbsentUdpChecksumAbsent) {
    constexpr uint64_t mangled = 0x20, enforce = 0x40;
    TestRun run(ProgramType::SchedCls);
    TestPacket<HostSkb> packet(64, 40, 0);
    uint8_t* sum = packet.context.packet.data + 10;
    memset(sum, 0, 2);
    EXPECT_EQ(run.call(HelperId::L4CsumReplace, packet.ctx(), 10, 1, 2, 2 | mangled), 0);
    EXPECT_EQ(sum[0] | sum[1], 0);
    EXPECT_EQ(run.call(HelperId::L4CsumReplace, packet.ctx(), 10, 1, 2, 2 | mangled | enforce), 0);
    EXPECT_NE(sum[0] | sum[1], 0);
    // A sum that becomes 0 is written as its other form, 0xffff, only where 0 would mean "none".
    const auto replace_to_zero = [&](uint64_t flags) {
        const uint16_t one = 1;
        memcpy(sum, &one, 2);
        EXPECT_EQ(run.call(HelperId::L4CsumReplace, packet.ctx(), 10, 0, 1, 2 | flags), 0);
        uint16_t now;
        memcpy(&now, sum, 2);
        return now;
    };
    EXPECT_EQ(replace_to_zero(0), 0);
    EXPECT_EQ(replace_to_zero(mangled), 0xffff);
}

}  // namespace
}  // namespace skep::runtime
