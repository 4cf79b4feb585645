// SPDX-License-Identifier: Apache-2.0
// Words and sections against libbpf, which has its own tables of them: what it names is named so here with the same
// number, and the other way round. Needs no privilege.
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cstdarg>
#include <cstdio>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "platform/map_type.hpp"
#include "platform/program_type.hpp"

namespace skep::platform {
namespace {

TEST(TablesAndLibbpf, HaveTheSameWordsForMapTypes) {
    unsigned words = 0;
    for (uint32_t number = 1; number < 64; ++number) {
        MapType type{};
        const bool known = map_type_from_linux(number, &type);
        const char* theirs = libbpf_bpf_map_type_str(static_cast<bpf_map_type>(number));
        if (theirs == nullptr) continue;  // newer than this libbpf
        ASSERT_TRUE(known) << theirs;
        EXPECT_STREQ(map_type_name(type), theirs) << number;
        ++words;
    }
    EXPECT_GE(words, 32u);
}

TEST(TablesAndLibbpf, HaveTheSameWordsForProgramTypes) {
    unsigned words = 0;
    for (uint32_t number = 1; number < 64; ++number) {
        const auto type = program_type_from_linux(number);
        const char* theirs = libbpf_bpf_prog_type_str(static_cast<bpf_prog_type>(number));
        if (theirs == nullptr) continue;
        ASSERT_TRUE(type) << theirs;
        EXPECT_STREQ(program_type_name(*type), theirs) << number;
        EXPECT_EQ(program_type_from_name(theirs), type);
        ++words;
    }
    EXPECT_GE(words, 31u);
}

TEST(TablesAndLibbpf, HaveTheSameWordsForAttachTypes) {
    // Their program types have one each, or no rule looks at them.
    const std::set<std::string> no_rule = {"cgroup_sock_ops", "cgroup_device", "sk_msg_verdict", "lirc_mode2",
                                           "flow_dissector",  "cgroup_sysctl", "perf_event",     "struct_ops"};
    std::set<std::string> left_out;
    unsigned words = 0;
    for (uint32_t number = 0; number < 128; ++number) {
        const char* theirs = libbpf_bpf_attach_type_str(static_cast<bpf_attach_type>(number));
        if (theirs == nullptr) continue;
        const auto attach = attach_type_from_name(theirs);
        if (!attach) {
            left_out.insert(theirs);
            continue;
        }
        EXPECT_EQ(attach_type_linux_id(*attach), number) << theirs;
        ++words;
    }
    for (const std::string& word : left_out) EXPECT_TRUE(no_rule.contains(word)) << word;
    for (unsigned i = 1; i < attach_type_count; ++i) {
        const auto attach = static_cast<AttachType>(i);
        const char* theirs = libbpf_bpf_attach_type_str(static_cast<bpf_attach_type>(attach_type_linux_id(attach)));
        if (theirs != nullptr) {
            EXPECT_STREQ(attach_type_name(attach), theirs);
        }
    }
    EXPECT_GE(words, 35u);
}

std::string said;
int listen(libbpf_print_level, const char* format, va_list arguments) {
    char text[4096];
    std::vsnprintf(text, sizeof text, format, arguments);
    said += text;
    return 0;
}

/// Type and attach type that libbpf makes of a section; nothing if it knows none.
std::optional<std::pair<uint32_t, uint32_t>> theirs(const std::string& section) {
    bpf_prog_type type{};
    bpf_attach_type attach{};
    if (libbpf_prog_type_by_name(section.c_str(), &type, &attach) != 0) return std::nullopt;
    return std::pair(static_cast<uint32_t>(type), static_cast<uint32_t>(attach));
}

void compare(const std::string& section, std::pair<uint32_t, uint32_t> them) {
    const auto ours = section_meaning(section);
    ASSERT_TRUE(ours) << section;
    EXPECT_EQ(program_type_linux_id(ours->type), them.first) << section;
    // None: what it is attached to changes no rule, and libbpf says whatever its table holds.
    if (ours->attach != AttachType::None) {
        EXPECT_EQ(attach_type_linux_id(ours->attach), them.second) << section;
    }
}

TEST(TablesAndLibbpf, MakeTheSameOfEverySection) {
    libbpf_set_print(listen);
    // Rows that libbpf 1.1 has not: names of loaders before 1.0 and of releases after 1.1, and eBPF for Windows' own.
    const std::set<std::string> not_there = {"xdp_devmap",
                                             "xdp_cpumap",
                                             "ingress",
                                             "egress",
                                             "tc/ingress",
                                             "tc/egress",
                                             "tcx",
                                             "tcx/ingress",
                                             "tcx/egress",
                                             "netkit/primary",
                                             "netkit/peer",
                                             "kprobe.session",
                                             "uprobe.multi",
                                             "uretprobe.multi",
                                             "uprobe.multi.s",
                                             "uretprobe.multi.s",
                                             "usdt.s",
                                             "netfilter",
                                             "cgroup/connect_unix",
                                             "cgroup/sendmsg_unix",
                                             "cgroup/recvmsg_unix",
                                             "cgroup/getpeername_unix",
                                             "cgroup/getsockname_unix",
                                             "struct_ops.s",
                                             "sk_skb/verdict",
                                             "cgroup_skb",
                                             "bind",
                                             "process",
                                             "netevent_monitor",
                                             "sample_ext",
                                             "cgroup/recv_accept4",
                                             "cgroup/recv_accept6",
                                             "cgroup/connect_authorization4",
                                             "cgroup/connect_authorization6",
                                             "cgroup/listen4",
                                             "cgroup/listen6"};
    const std::vector<std::string> rows = {
#define SECTION(text, match, type, attach, sleepable) text,
#include "platform/sections.def"
#undef SECTION
    };
    unsigned compared = 0;
    for (const std::string& row : rows) {
        bool known = false;
        for (const std::string& section : {row, row + "/x"}) {
            const auto them = theirs(section);
            if (!them) continue;
            known = true;
            compare(section, *them);
        }
        compared += known;
        EXPECT_TRUE(known || not_there.contains(row)) << row;
    }
    EXPECT_GE(compared, 75u);

    // The other direction: it lists its names where it knows none; "+" stands for anything behind a "/".
    said.clear();
    EXPECT_FALSE(theirs("no such section"));
    const size_t list = said.find("names are:");
    ASSERT_NE(list, std::string::npos) << said;
    std::istringstream names(said.substr(list + std::string("names are:").size()));
    unsigned listed = 0;
    for (std::string name; names >> name; ++listed) {
        if (name.ends_with('+')) name.replace(name.size() - 1, 1, "/x");
        const auto them = theirs(name);
        if (them) compare(name, *them);
    }
    EXPECT_GE(listed, 75u);
}

}  // namespace
}  // namespace skep::platform
