// SPDX-License-Identifier: Apache-2.0
// A socket's cookie: what the hook says where it has sockets, 0 for packets, and never taken for an error.
#include "platform/platforms/platform.hpp"
#include "runtime/core/testing.hpp"

namespace skep::runtime {
namespace {

using namespace testing;

TEST(SocketCookie, IsTheHooksNameForTheSocketInEitherSystemsTable) {
    // The last two would be errors if they were results: -22, and a number no errno has.
    for (const uint64_t cookie : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 63, ~uint64_t{21}, UINT64_MAX - 5000}) {
        platform::HostSockAddr address = {};
        platform::HostSockOps connection = {};
        address.socket_cookie = connection.socket_cookie = cookie;
        address.interface_luid = connection.interface_luid = connection.flow_id = 99;
        TestRun about_address(ProgramType::CgroupSockAddr), about_connection(ProgramType::SockOps);
        const auto want = static_cast<int64_t>(cookie);
        EXPECT_EQ(about_address.call(HelperId::GetSocketCookie, skep::runtime::testing::address(&address)), want);
        EXPECT_EQ(about_connection.call(HelperId::GetSocketCookie, skep::runtime::testing::address(&connection)), want);
    }
    EXPECT_FALSE(platform::windows_result_is_mapped(HelperId::GetSocketCookie));
}

TEST(SocketCookie, IsZeroForPacketsWhichHaveNoSocketHere) {
    TestPacket<platform::HostSkb> packet(0, 60, 0);
    for (const ProgramType type : {ProgramType::SocketFilter, ProgramType::SchedCls, ProgramType::SchedAct}) {
        TestRun run(type);
        EXPECT_EQ(run.call(HelperId::GetSocketCookie, packet.ctx()), 0);
    }
    TestPacket<platform::HostXdp> frame(0, 60, 0);  // a general number on Windows, so xdp programs may call it
    TestRun run(ProgramType::Xdp);
    EXPECT_EQ(run.call(HelperId::GetSocketCookie, frame.ctx()), 0);
}

}  // namespace
}  // namespace skep::runtime
