// SPDX-License-Identifier: Apache-2.0
#include "platform/verdict.hpp"

#include <gtest/gtest.h>

#include <string>

namespace skep::platform {
namespace {

TEST(Verdict, NumbersMeanWhatEachSystemMakesOfThem) {
    using P = ProgramType;
    const struct {
        P type;
        Personality personality;
        uint64_t r0;
        Verdict verdict;
    } cases[] = {
        {P::Xdp, Personality::Linux, 0, Verdict::XdpAborted},
        {P::Xdp, Personality::Linux, 1, Verdict::XdpDrop},
        {P::Xdp, Personality::Linux, 2, Verdict::XdpPass},
        {P::Xdp, Personality::Linux, 4, Verdict::XdpRedirect},
        {P::Xdp, Personality::Linux, 5, Verdict::XdpAborted},
        {P::Xdp, Personality::Linux, 0xffffffffu, Verdict::XdpAborted},
        {P::Xdp, Personality::Linux, 0x100000002ull, Verdict::XdpPass},  // r0 is read as u32
        {P::Xdp, Personality::Windows, 1, Verdict::XdpPass},
        {P::Xdp, Personality::Windows, 2, Verdict::XdpDrop},
        {P::Xdp, Personality::Windows, 3, Verdict::XdpTx},
        {P::Xdp, Personality::Windows, 4, Verdict::XdpRedirect},
        {P::Xdp, Personality::Windows, 0, Verdict::XdpDrop},  // a number that means nothing there
        {P::Xdp, Personality::Windows, 5, Verdict::XdpDrop},
        {P::SchedCls, Personality::Linux, 0, Verdict::TcOk},
        {P::SchedCls, Personality::Linux, 2, Verdict::TcShot},
        {P::SchedCls, Personality::Linux, 0xffffffffu, Verdict::TcUnspec},
        {P::SchedCls, Personality::Linux, 3, Verdict::TcUnspec},  // pipe is for actions
        {P::SchedCls, Personality::Linux, 9, Verdict::TcUnspec},
        {P::SchedAct, Personality::Linux, 3, Verdict::TcPipe},
        {P::SchedAct, Personality::Linux, 4, Verdict::TcUnspec},  // stolen is for classifiers
        {P::SocketFilter, Personality::Linux, 0, Verdict::SocketDrop},
        {P::SocketFilter, Personality::Linux, 0x100000000ull, Verdict::SocketDrop},
    };
    for (const auto& c : cases) EXPECT_EQ(outcome_of(c.type, c.personality, c.r0, 100).verdict, c.verdict) << c.r0;
}

// cls_bpf_exec_opcode and tcf_bpf_act, number by number.
TEST(Verdict, EveryNumberOfTrafficControl) {
    const struct {
        int number;
        Verdict classifier, action;
    } rows[] = {
        {-1, Verdict::TcUnspec, Verdict::TcUnspec},    {0, Verdict::TcOk, Verdict::TcOk},
        {1, Verdict::TcUnspec, Verdict::TcReclassify}, {2, Verdict::TcShot, Verdict::TcShot},
        {3, Verdict::TcUnspec, Verdict::TcPipe},       {4, Verdict::TcStolen, Verdict::TcUnspec},
        {5, Verdict::TcUnspec, Verdict::TcUnspec},     {6, Verdict::TcUnspec, Verdict::TcUnspec},
        {7, Verdict::TcRedirect, Verdict::TcRedirect}, {8, Verdict::TcTrap, Verdict::TcUnspec},
        {9, Verdict::TcUnspec, Verdict::TcUnspec},
    };
    for (const auto& row : rows) {
        const auto r0 = static_cast<uint64_t>(int64_t{row.number});
        EXPECT_EQ(outcome_of(ProgramType::SchedCls, Personality::Linux, r0, 60).verdict, row.classifier) << row.number;
        EXPECT_EQ(outcome_of(ProgramType::SchedAct, Personality::Linux, r0, 60).verdict, row.action) << row.number;
    }
}

TEST(Verdict, ASocketFilterKeepsAtMostThePacket) {
    EXPECT_EQ(outcome_of(ProgramType::SocketFilter, Personality::Linux, 99, 100), (Outcome{Verdict::SocketKeep, 99}));
    EXPECT_EQ(outcome_of(ProgramType::SocketFilter, Personality::Linux, 101, 100), (Outcome{Verdict::SocketKeep, 100}));
    EXPECT_EQ(outcome_of(ProgramType::SocketFilter, Personality::Linux, 0xffffffff, 100),
              (Outcome{Verdict::SocketKeep, 100}));
}

TEST(Verdict, EveryTypeListsWhatItCanSay) {
    for (ProgramType type :
         {ProgramType::Xdp, ProgramType::SchedCls, ProgramType::SchedAct, ProgramType::SocketFilter}) {
        std::string names;
        for (Verdict verdict : verdicts_of(type)) names += std::string(verdict_name(verdict)) + " ";
        for (uint64_t r0 : {0ull, 1ull, 2ull, 3ull, 4ull, 5ull, 6ull, 7ull, 8ull, 9ull, 0xffffffffull}) {
            const std::string said = verdict_name(outcome_of(type, Personality::Linux, r0, 64).verdict);
            EXPECT_NE(names.find(said), std::string::npos) << said << " not in " << names;
        }
    }
    EXPECT_TRUE(verdicts_of(ProgramType::Kprobe).empty());
}

}  // namespace
}  // namespace skep::platform
