// SPDX-License-Identifier: Apache-2.0
#include "platform/program_type.hpp"

#include <gtest/gtest.h>

#include <set>

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

TEST(AttachTypes, WordsAndNumbersLeadBack) {
    std::set<uint32_t> numbers;
    for (unsigned i = 1; i < attach_type_count; ++i) {
        const auto attach = static_cast<AttachType>(i);
        EXPECT_EQ(attach_type_from_name(attach_type_name(attach)), attach);
        EXPECT_TRUE(numbers.insert(attach_type_linux_id(attach)).second) << attach_type_name(attach);
    }
    EXPECT_FALSE(attach_type_from_name("none").has_value());
#ifdef SKEP_TEST_HAS_LINUX_BPF_H
    const struct {
        AttachType attach;
        uint32_t number;
    } cases[] = {
        {AttachType::CgroupEgress, BPF_CGROUP_INET_EGRESS},
        {AttachType::SockRelease, BPF_CGROUP_INET_SOCK_RELEASE},
        {AttachType::PostBind6, BPF_CGROUP_INET6_POST_BIND},
        {AttachType::Bind6, BPF_CGROUP_INET6_BIND},
        {AttachType::Connect6, BPF_CGROUP_INET6_CONNECT},
        {AttachType::Sendmsg6, BPF_CGROUP_UDP6_SENDMSG},
        {AttachType::Recvmsg6, BPF_CGROUP_UDP6_RECVMSG},
        {AttachType::Getpeername6, BPF_CGROUP_INET6_GETPEERNAME},
        {AttachType::Getsockname6, BPF_CGROUP_INET6_GETSOCKNAME},
        {AttachType::Getsockopt, BPF_CGROUP_GETSOCKOPT},
        {AttachType::Setsockopt, BPF_CGROUP_SETSOCKOPT},
        {AttachType::StreamVerdict, BPF_SK_SKB_STREAM_VERDICT},
        {AttachType::SkSkbVerdict, BPF_SK_SKB_VERDICT},
        {AttachType::SkLookup, BPF_SK_LOOKUP},
        {AttachType::ReuseportMigrate, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE},
        {AttachType::Xdp, BPF_XDP},
        {AttachType::XdpDevmap, BPF_XDP_DEVMAP},
        {AttachType::XdpCpumap, BPF_XDP_CPUMAP},
        {AttachType::KprobeMulti, BPF_TRACE_KPROBE_MULTI},
        {AttachType::Iter, BPF_TRACE_ITER},
        {AttachType::ModifyReturn, BPF_MODIFY_RETURN},
        {AttachType::LsmCgroup, BPF_LSM_CGROUP},
    };
    for (const auto& c : cases) EXPECT_EQ(attach_type_linux_id(c.attach), c.number) << attach_type_name(c.attach);
#endif
}

TEST(AttachTypes, ASectionsAttachTypeIsOneOfItsProgramTypes) {
    for (const char* section : {"xdp",
                                "xdp/devmap",
                                "tc",
                                "tcx/ingress",
                                "netkit/peer",
                                "cgroup_skb/egress",
                                "cgroup/skb",
                                "cgroup/sock",
                                "cgroup/sock_release",
                                "cgroup/post_bind6",
                                "cgroup/bind4",
                                "cgroup/connect_unix",
                                "cgroup/sendmsg6",
                                "cgroup/recvmsg4",
                                "cgroup/getpeername_unix",
                                "cgroup/getsockname6",
                                "cgroup/getsockopt",
                                "cgroup/sysctl",
                                "cgroup/dev",
                                "sockops",
                                "sk_skb/stream_parser",
                                "sk_msg",
                                "sk_lookup",
                                "sk_reuseport/migrate",
                                "lwt_in",
                                "flow_dissector",
                                "kprobe/f",
                                "kprobe.session/f",
                                "uprobe.multi.s/f",
                                "tp/a/b",
                                "raw_tp.w/f",
                                "perf_event",
                                "syscall",
                                "lirc_mode2",
                                "fentry/f",
                                "iter/task",
                                "lsm_cgroup/f",
                                "netfilter"}) {
        const auto meaning = section_meaning(section);
        ASSERT_TRUE(meaning.has_value()) << section;
        EXPECT_NE(attach_types_of(meaning->type) & attach_bit(meaning->attach), 0u) << section;
    }
}

TEST(ResultRanges, AreThoseOfCheckReturnCode) {
    using P = ProgramType;
    using A = AttachType;
    const struct {
        P type;
        A attach;
        ResultRange range;
    } cases[] = {
        {P::Xdp, A::Xdp, {}},
        {P::SchedCls, A::None, {}},
        {P::SocketFilter, A::None, {}},
        {P::Kprobe, A::None, {}},
        {P::Kprobe, A::KprobeSession, {false, 0, 1}},
        {P::Tracepoint, A::None, {}},
        {P::CgroupSkb, A::None, {false, 0, 1}},
        {P::CgroupSkb, A::CgroupIngress, {false, 0, 1}},
        {P::CgroupSkb, A::CgroupEgress, {false, 0, 3}},
        {P::CgroupSock, A::PostBind4, {false, 0, 1}},
        {P::CgroupSockAddr, A::Connect4, {false, 0, 1}},
        {P::CgroupSockAddr, A::Bind6, {false, 0, 3}},
        {P::CgroupSockAddr, A::Recvmsg4, {false, 1, 1}},
        {P::CgroupSockAddr, A::GetsocknameUnix, {false, 1, 1}},
        {P::SockOps, A::None, {false, 0, 1}},
        {P::SkLookup, A::SkLookup, {false, 0, 1}},
        {P::SkMsg, A::None, {}},
        {P::CgroupSysctl, A::None, {false, 0, 1}},
    };
    for (const auto& c : cases)
        EXPECT_EQ(result_range(c.type, c.attach, Personality::Linux), c.range)
            << program_type_name(c.type) << " " << attach_type_name(c.attach);
}

}  // namespace
}  // namespace skep::platform
