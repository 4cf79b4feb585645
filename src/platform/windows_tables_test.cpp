// SPDX-License-Identifier: Apache-2.0
// Every row of eBPF for Windows' columns, against lists written down apart from the tables: its public headers
// (ebpf_structs.h, ebpf_nethooks.h, bpf_helper_defs.h, xdp's ebpfhook.h, ntosebpfext's hooks), restated. Each list is
// complete in both directions: what it names is a row, and every row is named.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "platform/ebpf_result.hpp"
#include "platform/map_type.hpp"
#include "platform/platforms/platform.hpp"
#include "platform/program_type.hpp"

namespace skep::platform {
namespace {

const Platform& windows() {
    static const std::vector<Platform> all = builtin_platforms({});
    for (const Platform& p : all)
        if (p.name == "windows-ebpf-1.6") return p;
    ADD_FAILURE() << "no such platform";
    return all.front();
}

TEST(WindowsTables, HelpersOfEveryProgramType) {
    // number, name, the number that Linux has for it
    const struct {
        uint32_t number;
        const char* name;
        uint32_t linux_number;
    } rows[] = {
        {1, "map_lookup_elem", 1},
        {2, "map_update_elem", 2},
        {3, "map_delete_elem", 3},
        {4, "map_lookup_and_delete_elem", 0},
        {5, "tail_call", 12},
        {6, "get_prandom_u32", 7},
        {7, "ktime_get_boot_ns", 125},
        {8, "get_smp_processor_id", 8},
        {9, "ktime_get_ns", 5},
        {10, "csum_diff", 28},
        {11, "ringbuf_output", 130},
        {12, "trace_printk2", 0},
        {13, "trace_printk3", 0},
        {14, "trace_printk4", 0},
        {15, "trace_printk5", 0},
        {16, "map_push_elem", 87},
        {17, "map_pop_elem", 88},
        {18, "map_peek_elem", 89},
        {19, "get_current_pid_tgid", 14},
        {20, "get_current_logon_id", 0},
        {21, "is_current_admin", 0},
        {22, "memcpy_s", 0},
        {23, "memcmp_s", 0},
        {24, "memset", 0},
        {25, "memmove_s", 0},
        {26, "get_socket_cookie", 46},
        {27, "strncpy_s", 0},
        {28, "strncat_s", 0},
        {29, "strnlen_s", 0},
        {30, "ktime_get_boot_ms", 0},
        {31, "ktime_get_ms", 0},
        {32, "perf_event_output", 25},
        {33, "get_current_process_start_key", 0},
        {34, "get_current_thread_create_time", 0},
        {35, "redirect_map", 51},
    };
    std::set<uint32_t> named;
    for (const auto& row : rows) {
        HelperId there{};
        ASSERT_TRUE(helper_from_windows(row.number, &there)) << row.number;
        EXPECT_STREQ(helper_name(there), row.name) << row.number;
        EXPECT_EQ(helper(there).linux_id, row.linux_number) << row.name;
        HelperId here{};
        if (row.linux_number != 0) {
            ASSERT_TRUE(helper_from_linux(row.linux_number, &here)) << row.name;
            EXPECT_EQ(here, there) << row.name;
        }
        named.insert(row.number);
    }
    for (uint16_t i = 0; i < helper_count; ++i)
        if (const uint32_t number = helper(static_cast<HelperId>(i)).windows_id; number != 0) {
            EXPECT_TRUE(named.contains(number)) << helper(static_cast<HelperId>(i)).name;
        }
    for (const uint32_t none : {0u, 36u, 999u, 0x10000u}) {
        HelperId id{};
        EXPECT_FALSE(helper_from_windows(none, &id)) << none;
    }
}

TEST(WindowsTables, HelpersOfOneProgramType) {
    const struct {
        ProgramType type;
        uint32_t number;
        const char* word;
        const char* canonical;
    } rows[] = {
        {ProgramType::Xdp, 0x10000, "xdp_adjust_head", "xdp_adjust_head"},
        {ProgramType::CgroupSockAddr, 0x10000, "sock_addr_get_current_pid_tgid", "get_current_pid_tgid"},
        {ProgramType::CgroupSockAddr, 0x10001, "sock_addr_set_redirect_context", "sock_addr_set_redirect_context"},
        {ProgramType::CgroupSockAddr, 0x10002, "sock_addr_get_network_context", "sock_addr_get_network_context"},
        {ProgramType::SockOps, 0x10000, "sock_ops_get_flow_id", "sock_ops_get_flow_id"},
        {ProgramType::Process, 0x10000, "process_get_image_path", "process_get_image_path"},
        {ProgramType::Process, 0x10001, "process_get_account_name", "process_get_account_name"},
        {ProgramType::Process, 0x10002, "process_get_account_domain", "process_get_account_domain"},
        {ProgramType::Netevent, 0x10000, "netevent_push_event", "netevent_push_event"},
    };
    size_t known = 0;
    for (unsigned t = 0; t < program_type_count; ++t)
        for (uint32_t number = 0x10000; number < 0x10010; ++number) {
            const auto type = static_cast<ProgramType>(t);
            const auto id = windows_helper_of_type(type, number);
            EXPECT_EQ(id.has_value(), !windows_helper_word(type, number).empty()) << number;
            known += id.has_value();
        }
    EXPECT_EQ(known, std::size(rows));
    for (const auto& row : rows) {
        const auto id = windows_helper_of_type(row.type, row.number);
        ASSERT_TRUE(id) << row.word;
        EXPECT_STREQ(helper_name(*id), row.canonical);
        EXPECT_EQ(windows_helper_word(row.type, row.number), row.word);
        EXPECT_EQ(windows_helper_number(*id, row.type), row.number) << row.word;
    }
}

TEST(WindowsTables, MapTypes) {
    const struct {
        uint32_t number;
        const char* name;
        uint32_t linux_number;
    } rows[] = {
        {1, "hash", 1},
        {2, "array", 2},
        {3, "prog_array", 3},
        {4, "percpu_hash", 5},
        {5, "percpu_array", 6},
        {6, "hash_of_maps", 13},
        {7, "array_of_maps", 12},
        {8, "lru_hash", 9},
        {9, "lpm_trie", 11},
        {10, "queue", 22},
        {11, "lru_percpu_hash", 10},
        {12, "stack", 23},
        {13, "ringbuf", 27},
        {14, "perf_event_array", 4},
        {16, "xskmap", 17},
    };
    size_t known = 0;
    for (uint32_t number = 0; number < 64; ++number) {
        MapType type{};
        known += map_type_from_windows(number, &type);
    }
    EXPECT_EQ(known, std::size(rows));
    for (const auto& row : rows) {
        MapType there{}, here{};
        ASSERT_TRUE(map_type_from_windows(row.number, &there)) << row.name;
        EXPECT_STREQ(map_type_name(there), row.name);
        ASSERT_TRUE(map_type_from_linux(row.linux_number, &here)) << row.name;
        EXPECT_EQ(here, there) << row.name;
        EXPECT_EQ(map_type_windows_id(here), row.number) << row.name;
    }
}

TEST(WindowsTables, ProgramTypes) {
    const struct {
        uint32_t number;
        const char* name;
    } rows[] = {{1, "xdp"},      {2, "bind"},    {3, "cgroup_sock_addr"}, {4, "sock_ops"},
                {5, "netevent"}, {6, "process"}, {999, "sample"}};
    EXPECT_EQ(windows().types.size(), std::size(rows));
    for (const auto& row : rows) {
        const auto type = program_type_from_name(row.name);
        ASSERT_TRUE(type) << row.name;
        EXPECT_EQ(program_type_windows_id(*type), row.number) << row.name;
        EXPECT_TRUE(windows().has(*type)) << row.name;
    }
}

TEST(WindowsTables, FieldsOfEveryContext) {
    // Offsets and widths as clang lays the structs out for -target bpf. Addresses of both families share a place.
    const struct {
        const char* structure;
        const char* name;  ///< Linux' name where both have it
        unsigned offset, bytes;
    } rows[] = {
        {"xdp_md_t", "data", 0, 8},
        {"xdp_md_t", "data_end", 8, 8},
        {"xdp_md_t", "data_meta", 16, 8},
        {"xdp_md_t", "ingress_ifindex", 24, 4},
        {"bind_md_t", "app_id_start", 0, 8},
        {"bind_md_t", "app_id_end", 8, 8},
        {"bind_md_t", "process_id", 16, 8},
        {"bind_md_t", "socket_address", 24, 16},
        {"bind_md_t", "socket_address_length", 40, 1},
        {"bind_md_t", "operation", 44, 4},
        {"bind_md_t", "protocol", 48, 1},
        {"bpf_sock_addr_t", "user_family", 0, 4},
        {"bpf_sock_addr_t", "msg_src_ip4", 4, 4},
        {"bpf_sock_addr_t", "msg_src_ip6", 4, 16},
        {"bpf_sock_addr_t", "msg_src_port", 20, 2},
        {"bpf_sock_addr_t", "user_ip4", 24, 4},
        {"bpf_sock_addr_t", "user_ip6", 24, 16},
        {"bpf_sock_addr_t", "user_port", 40, 2},
        {"bpf_sock_addr_t", "protocol", 44, 4},
        {"bpf_sock_addr_t", "compartment_id", 48, 4},
        {"bpf_sock_addr_t", "interface_luid", 56, 8},
        {"bpf_sock_ops_t", "op", 0, 4},
        {"bpf_sock_ops_t", "family", 4, 4},
        {"bpf_sock_ops_t", "local_ip4", 8, 4},
        {"bpf_sock_ops_t", "local_ip6", 8, 16},
        {"bpf_sock_ops_t", "local_port", 24, 4},
        {"bpf_sock_ops_t", "remote_ip4", 28, 4},
        {"bpf_sock_ops_t", "remote_ip6", 28, 16},
        {"bpf_sock_ops_t", "remote_port", 44, 4},
        {"bpf_sock_ops_t", "protocol", 48, 1},
        {"bpf_sock_ops_t", "compartment_id", 52, 4},
        {"bpf_sock_ops_t", "interface_luid", 56, 8},
        {"process_md_t", "command_start", 0, 8},
        {"process_md_t", "command_end", 8, 8},
        {"process_md_t", "process_id", 16, 8},
        {"process_md_t", "parent_process_id", 24, 8},
        {"process_md_t", "creating_process_id", 32, 8},
        {"process_md_t", "creating_thread_id", 40, 8},
        {"process_md_t", "creation_time", 48, 8},
        {"process_md_t", "exit_time", 56, 8},
        {"process_md_t", "exit_code", 64, 4},
        {"process_md_t", "operation", 68, 1},
        {"process_md_t", "token_sid_size", 72, 4},
        {"process_md_t", "token_sid", 76, 68},
    };
    std::set<std::string> expected, there;
    for (const auto& row : rows)
        expected.insert(std::string(row.structure) + "." + row.name + " " + std::to_string(row.offset) + " " +
                        std::to_string(row.bytes));
    for (const PlatformField& field : windows().fields)
        there.insert(field.structure + "." + field.name + " " + std::to_string(field.offset) + " " +
                     std::to_string(field.bytes));
    EXPECT_EQ(there, expected);
    const struct {
        ContextKind context;
        uint32_t bytes;
    } sizes[] = {
        {ContextKind::Xdp, 32}, {ContextKind::Bind, 56}, {ContextKind::SockAddr, 64}, {ContextKind::SockOps, 64}};
    for (const auto& row : sizes) EXPECT_EQ(context_bytes(row.context, Personality::Windows), row.bytes);
}

TEST(WindowsTables, Sections) {
    const struct {
        const char* section;
        ProgramType type;
    } rows[] = {
        {"xdp", ProgramType::Xdp},
        {"bind", ProgramType::Bind},
        {"bind/name", ProgramType::Bind},
        {"sockops", ProgramType::SockOps},
        {"process", ProgramType::Process},
        {"netevent_monitor", ProgramType::Netevent},
        {"sample_ext", ProgramType::Sample},
        {"cgroup/connect4", ProgramType::CgroupSockAddr},
        {"cgroup/connect6", ProgramType::CgroupSockAddr},
        {"cgroup/recv_accept4", ProgramType::CgroupSockAddr},
        {"cgroup/recv_accept6", ProgramType::CgroupSockAddr},
        {"cgroup/connect_authorization4", ProgramType::CgroupSockAddr},
        {"cgroup/connect_authorization6", ProgramType::CgroupSockAddr},
        {"cgroup/bind4", ProgramType::CgroupSockAddr},
        {"cgroup/bind6", ProgramType::CgroupSockAddr},
        {"cgroup/listen4", ProgramType::CgroupSockAddr},
        {"cgroup/listen6", ProgramType::CgroupSockAddr},
    };
    std::set<std::string> expected, there;
    for (const auto& row : rows) {
        const auto meaning = section_meaning(row.section);
        ASSERT_TRUE(meaning) << row.section;
        EXPECT_EQ(meaning->type, row.type) << row.section;
        const bool version6 = std::string(row.section).ends_with("6");
        if (row.type == ProgramType::CgroupSockAddr) {
            EXPECT_EQ(attach_bit(meaning->attach) &
                          (version6 ? attach_bit(AttachType::Connect6) | attach_bit(AttachType::Bind6)
                                    : attach_bit(AttachType::Connect4) | attach_bit(AttachType::Bind4)),
                      attach_bit(meaning->attach))
                << row.section << ": the addresses of its family";
        }
        if (std::string(row.section) != "bind/name") expected.insert(row.section);
    }
    for (const PlatformSection& section : windows().sections) there.insert(section.text);
    EXPECT_EQ(there, expected);
}

TEST(WindowsTables, ErrorResults) {
    const auto minus = [](int number) { return uint64_t{0} - static_cast<uint64_t>(number); };
    const struct {
        int errno_number, result;
    } out[] = {
        {22, 6},  {2, 19},  {17, 26}, {12, 12}, {95, 18}, {524, 18}, {13, 20}, {1, 20},
        {34, 22}, {75, 22}, {7, 29},  {28, 29}, {11, 29}, {90, 24},  {16, 34}, {14, 6},
    };
    EXPECT_EQ(std::size(out), std::size(ebpf_result_rows));
    for (const auto& row : out) EXPECT_EQ(to_ebpf_result(minus(row.errno_number)), minus(row.result));
    const struct {
        int result, errno_number;
    } back[] = {
        {6, 22},
        {19, 2},
        {26, 17},
        {12, 12},
        {18, 95},
        {20, 13},
        {22, 34},
        {29, 7},
        {24, 90},
        {34, 16},
        // Numbers that no errno becomes: object not found, object already exists, no more keys, no more tail calls.
        {7, 22},
        {8, 22},
        {25, 22},
        {27, 22},
    };
    for (const auto& row : back) EXPECT_EQ(from_ebpf_result(minus(row.result)), minus(row.errno_number)) << row.result;
}

}  // namespace
}  // namespace skep::platform
