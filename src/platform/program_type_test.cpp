// SPDX-License-Identifier: Apache-2.0
#include "platform/program_type.hpp"

#include <gtest/gtest.h>

#if __has_include(<linux/bpf.h>)
#include <linux/bpf.h>
#define SKEP_TEST_HAS_LINUX_BPF_H 1
#endif

namespace skep::platform {
namespace {

TEST(Section, NamesMeanWhatLibbpfMakesOfThem) {
    using P = ProgramType;
    using A = AttachType;
    const struct {
        const char* section;
        P type;
        A attach;
        bool sleepable = false;
    } cases[] = {
        {"xdp", P::Xdp, A::Xdp},
        {"?xdp", P::Xdp, A::Xdp},
        {"xdp/my_filter", P::Xdp, A::Xdp},
        {"xdp_filter", P::Xdp, A::Xdp},
        {"xdp.frags", P::Xdp, A::Xdp},
        {"xdp/devmap", P::Xdp, A::XdpDevmap},
        {"xdp.frags/devmap", P::Xdp, A::XdpDevmap},
        {"xdp_devmap/egress", P::Xdp, A::XdpDevmap},
        {"xdp/cpumap", P::Xdp, A::XdpCpumap},
        {"tc", P::SchedCls, A::None},
        {"tc/ingress", P::SchedCls, A::TcIngress},
        {"tcx/egress", P::SchedCls, A::TcEgress},
        {"classifier", P::SchedCls, A::None},
        {"classifier/egress", P::SchedCls, A::None},
        {"action", P::SchedAct, A::None},
        {"socket", P::SocketFilter, A::None},
        {"kprobe/do_unlinkat", P::Kprobe, A::None},
        {"fentry.s/bpf_fentry_test", P::Tracing, A::Fentry, true},
        {"cgroup/connect4", P::CgroupSockAddr, A::Connect4},
        {"cgroup/skb", P::CgroupSkb, A::None},
        {"cgroup_skb/egress", P::CgroupSkb, A::CgroupEgress},
        {"bind", P::Bind, A::None},
        {"lsm.s/file_open", P::Lsm, A::LsmMac, true},
    };
    for (const auto& c : cases) {
        const auto meaning = section_meaning(c.section);
        ASSERT_TRUE(meaning.has_value()) << c.section;
        EXPECT_EQ(meaning->type, c.type) << c.section;
        EXPECT_EQ(meaning->attach, c.attach) << c.section;
        EXPECT_EQ(meaning->sleepable, c.sleepable) << c.section;
    }
}

TEST(Section, ANameNobodyKnowsMeansNothing) {
    for (const char* name : {"", "?", "xd", "xdpfilter", "tcp", "socket1", "socketfilter", ".text", "maps", "2/7",
                             "kprobes", "cgroup/connect5", "ingress/x", "license"}) {
        EXPECT_FALSE(section_meaning(name).has_value()) << name;
    }
}

TEST(ProgramTypes, WordsAndNumbersLeadBack) {
    for (uint32_t id = 1; id <= 32; ++id) {
        const auto type = program_type_from_linux(id);
        ASSERT_TRUE(type.has_value()) << id;
        EXPECT_EQ(program_type_linux_id(*type), id);
        EXPECT_EQ(program_type_from_name(program_type_name(*type)), type) << id;
    }
    EXPECT_FALSE(program_type_from_linux(0).has_value());
    EXPECT_FALSE(program_type_from_linux(33).has_value());
    EXPECT_FALSE(program_type_from_linux(999).has_value());
    EXPECT_EQ(program_type_from_name("tc"), ProgramType::SchedCls);
    EXPECT_FALSE(program_type_from_name("xdpp").has_value());
#ifdef SKEP_TEST_HAS_LINUX_BPF_H
    EXPECT_EQ(program_type_linux_id(ProgramType::Xdp), uint32_t{BPF_PROG_TYPE_XDP});
    EXPECT_EQ(program_type_linux_id(ProgramType::SocketFilter), uint32_t{BPF_PROG_TYPE_SOCKET_FILTER});
    EXPECT_EQ(program_type_linux_id(ProgramType::SchedAct), uint32_t{BPF_PROG_TYPE_SCHED_ACT});
    EXPECT_EQ(program_type_linux_id(ProgramType::Syscall), uint32_t{BPF_PROG_TYPE_SYSCALL});
#endif
}

}  // namespace
}  // namespace skep::platform
