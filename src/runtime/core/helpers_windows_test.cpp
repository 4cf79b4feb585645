// SPDX-License-Identifier: Apache-2.0
// The helpers that only eBPF for Windows has: the bounded functions of its C library row by row; who runs.
#include "base/os_process.hpp"
#include "platform/ebpf_result.hpp"
#include "runtime/core/testing.hpp"

namespace skep::runtime {
namespace {

using namespace testing;

constexpr int64_t einval = 22, erange = 34, struncate = 80;

TEST(WindowsMemory, CopiesWhatFitsAndClearsTheTargetOtherwise) {
    const struct {
        uint64_t room, count;
        int64_t result;
        std::string after;  ///< four bytes, '.' for NUL
    } rows[] = {
        {4, 4, 0, "wxyz"}, {4, 2, 0, "wxcd"}, {4, 0, 0, "abcd"}, {3, 4, erange, "...d"}, {0, 1, erange, "abcd"},
    };
    for (const HelperId id : {HelperId::MemcpyS, HelperId::MemmoveS}) {
        for (const auto& row : rows) {
            char to[5] = "abcd";
            const char from[] = "wxyz";
            TestRun run;
            EXPECT_EQ(run.call(id, address(to), row.room, address(from), row.count), row.result) << row.count;
            for (size_t i = 0; i < 4; ++i) EXPECT_EQ(to[i] == 0 ? '.' : to[i], row.after[i]) << row.count << " " << i;
        }
    }
    char text[] = "abcdef";
    TestRun run;
    EXPECT_EQ(run.call(HelperId::MemmoveS, address(text + 2), 4, address(text), 4), 0);
    EXPECT_STREQ(text, "ababcd") << "overlapping";
}

TEST(WindowsMemory, ComparesWhatBothHave) {
    const struct {
        const char *a, *b;
        uint64_t a_size, b_size;
        int64_t order;
    } rows[] = {
        {"abc", "abc", 3, 3, 0}, {"abc", "abd", 3, 3, -1}, {"abd", "abc", 3, 3, 1},
        {"abc", "abd", 2, 3, 0}, {"abd", "abc", 3, 2, 0},  {"\xff", "\1", 1, 1, 1},
    };
    for (const auto& row : rows) {
        TestRun run;
        EXPECT_EQ(run.call(HelperId::MemcmpS, address(row.a), row.a_size, address(row.b), row.b_size), row.order)
            << row.a << " " << row.b;
    }
    char text[] = "abcd";
    TestRun run;
    EXPECT_EQ(run.call(HelperId::Memset, address(text), 3, 0x141), 0) << "no address";
    EXPECT_STREQ(text, "AAAd") << "the number's lowest byte";
}

TEST(WindowsStrings, AreAlwaysTerminatedOrEmpty) {
    const struct {
        const char *before, *from;
        uint64_t room, count;
        int64_t copied;
        const char* copy;
        int64_t joined;
        const char* join;
    } rows[] = {
        // before from    room count  strncpy_s           strncat_s
        {"ab", "xyz", 8, 3, 0, "xyz", 0, "abxyz"},
        {"ab", "xyz", 8, 2, 0, "xy", 0, "abxy"},
        {"ab", "xyz", 8, 9, 0, "xyz", 0, "abxyz"},
        {"ab", "xyz", 8, 0, 0, "", 0, "ab"},
        {"ab", "xyz", 6, 3, 0, "xyz", 0, "abxyz"},
        {"ab", "xyz", 5, 3, 0, "xyz", erange, ""},
        {"ab", "xyz", 3, 3, erange, "", erange, ""},
        {"ab", "xyz", 3, UINT64_MAX, struncate, "xy", struncate, "ab"},
        {"ab", "xyz", 4, UINT64_MAX, 0, "xyz", struncate, "abx"},
        {"ab", "xyz", 0, 3, einval, "ab", einval, "ab"},
    };
    for (const auto& row : rows) {
        char copy[16] = {}, join[16] = {};
        strcpy(copy, row.before);
        strcpy(join, row.before);
        TestRun run;
        EXPECT_EQ(run.call(HelperId::StrncpyS, address(copy), row.room, address(row.from), row.count), row.copied);
        EXPECT_EQ(run.call(HelperId::StrncatS, address(join), row.room, address(row.from), row.count), row.joined);
        EXPECT_STREQ(copy, row.copy) << row.room << " " << row.count;
        EXPECT_STREQ(join, row.join) << row.room << " " << row.count;
    }
    char full[3] = {'a', 'b', 'c'};
    TestRun run;
    EXPECT_EQ(run.call(HelperId::StrncatS, address(full), 3, address("x"), 1), einval) << "no NUL to append at";
    EXPECT_EQ(full[0], 0);
    EXPECT_EQ(run.call(HelperId::StrnlenS, address("abc"), 8), 3);
    EXPECT_EQ(run.call(HelperId::StrnlenS, address("abc"), 2), 2);
    EXPECT_EQ(run.call(HelperId::StrnlenS, 0, 2), 0);
}

TEST(WindowsWho, IsTheProcessThatRuns) {
    TestRun run;
    run.run.chance = Chance::from_host();
    skep_os_process me = {};
    skep_os_current_process(&me);
    EXPECT_EQ(run.call(HelperId::GetCurrentPidTgid),
              static_cast<int64_t>(uint64_t{me.process_id} << 32 | me.thread_id));
    EXPECT_EQ(run.call(HelperId::IsCurrentAdmin), me.admin);
    EXPECT_EQ(run.call(HelperId::GetCurrentProcessStartKey), static_cast<int64_t>(me.start_key));
    EXPECT_NE(me.start_key, 0u);
    // After 2020 and before 2100, in units of 100 ns since 1601.
    EXPECT_GT(me.thread_created, 132223104000000000u);
    EXPECT_LT(me.thread_created, 157469184000000000u);
    TestRun fixed;
    EXPECT_EQ(fixed.call(HelperId::GetCurrentPidTgid), int64_t{1} << 32 | 1) << "--deterministic";
    EXPECT_EQ(fixed.call(HelperId::IsCurrentAdmin), 1);
}

TEST(WindowsPrint, EachNumberOfArgumentsIsAHelperOfItsOwn) {
    TestRun run;
    const char format[] = "%d %d %d", two[] = "%d", none[] = "hello";
    EXPECT_EQ(run.call(HelperId::TracePrintk2, address(none), sizeof(none)), 5);
    EXPECT_EQ(run.call(HelperId::TracePrintk3, address(two), sizeof(two), 7), 1);
    EXPECT_EQ(run.call(HelperId::TracePrintk5, address(format), sizeof(format), 7, 8, 9), 5);
    EXPECT_EQ(run.lines, (std::vector<std::string>{"hello", "7", "7 8 9"}));
}

TEST(WindowsResults, TheSecondTableSpeaksItsNumbers) {
    TestRun run;
    TestPacket<platform::HostXdp> packet(0, 64, 0);
    const auto call = [&](const skep_helper_fn* table, HelperId id, uint64_t r2) {
        return static_cast<int64_t>(table[static_cast<size_t>(id)](packet.ctx(), r2, 0, 0, 0, &run.run.context));
    };
    EXPECT_EQ(call(helper_functions(), HelperId::XdpAdjustHead, static_cast<uint64_t>(-8)), -22);
    EXPECT_EQ(call((helper_functions() + helper_functions_count), HelperId::XdpAdjustHead, static_cast<uint64_t>(-8)),
              -6);
    EXPECT_EQ(call((helper_functions() + helper_functions_count), HelperId::XdpAdjustHead, 8), 0);
    for (uint16_t i = 0; i < platform::helper_count; ++i)
        EXPECT_EQ(helper_functions()[i] == nullptr, helper_functions()[helper_functions_count + i] == nullptr)
            << platform::helper_name(static_cast<HelperId>(i));
}

}  // namespace
}  // namespace skep::runtime
