// SPDX-License-Identifier: Apache-2.0
#include "platform/helper.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#if __has_include(<linux/bpf.h>)
#include <linux/bpf.h>
#define SKEP_TEST_HAS_LINUX_BPF_H 1
#endif

namespace skep::platform {
namespace {

TEST(Helper, LinuxNumbersAndNamesAreThoseOfLinuxBpfH) {
#ifdef SKEP_TEST_HAS_LINUX_BPF_H
    static const char* const names[] = {
#define NAME(name) #name
        __BPF_FUNC_MAPPER(NAME)
#undef NAME
    };
    ASSERT_GE(std::size(names), 209u);
    for (uint32_t id = 1; id < std::size(names); ++id) {
        HelperId helper_id{};
        ASSERT_TRUE(helper_from_linux(id, &helper_id)) << names[id];
        EXPECT_STREQ(helper_name(helper_id), names[id]) << id;
    }
#else
    GTEST_SKIP() << "no linux/bpf.h on this system";
#endif
}

TEST(Helper, TheLinuxIdSpaceIsOneTo211WithoutGap) {
    HelperId id{};
    EXPECT_FALSE(helper_from_linux(0, &id));
    for (uint32_t number = 1; number <= 211; ++number) {
        ASSERT_TRUE(helper_from_linux(number, &id)) << number;
        EXPECT_EQ(helper(id).linux_id, number);
    }
    EXPECT_FALSE(helper_from_linux(212, &id));
    EXPECT_FALSE(helper_from_linux(0xffffffff, &id));
}

TEST(Helper, NamesAndWindowsNumbersAreUnique) {
    std::set<std::string> names;
    std::map<uint32_t, std::string> windows;
    for (uint16_t i = 0; i < helper_count; ++i) {
        const HelperRow& row = helper(static_cast<HelperId>(i));
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        if (row.windows_id != 0) {
            EXPECT_TRUE(windows.emplace(row.windows_id, row.name).second) << row.name;
        }
    }
    ASSERT_EQ(windows.size(), 35u);
    EXPECT_EQ(windows.begin()->first, 1u);
    EXPECT_EQ(windows.rbegin()->first, 35u);
}

TEST(Helper, OnlyFourGeneralNumbersMeanTheSameOnBothSystems) {
    int same = 0;
    for (uint16_t i = 0; i < helper_count; ++i) {
        const HelperRow& row = helper(static_cast<HelperId>(i));
        same += row.linux_id != 0 && row.linux_id == row.windows_id;
    }
    EXPECT_EQ(same, 4);
}

TEST(Helper, EachPrototypeIsWellFormed) {
    for (uint16_t i = 0; i < helper_count; ++i) {
        const HelperRow& row = helper(static_cast<HelperId>(i));
        bool ended = false;
        bool map_seen = false;
        for (int n = 0; n < 5; ++n) {
            const ArgKind kind = row.args[n];
            if (kind == ArgKind::None) {
                ended = true;
                continue;
            }
            EXPECT_FALSE(ended) << row.name << ": an argument follows a missing one";
            const bool sized = kind == ArgKind::MemIn || kind == ArgKind::MemInOrNull || kind == ArgKind::MemOut ||
                               kind == ArgKind::MemOutOrNull || kind == ArgKind::MemInOut;
            const bool size_next =
                n < 4 && (row.args[n + 1] == ArgKind::Size || row.args[n + 1] == ArgKind::SizeOrZero);
            EXPECT_EQ(sized, size_next) << row.name << ": memory and size come in pairs, argument " << n + 1;
            map_seen |= kind == ArgKind::ConstMapPtr;
            if (kind == ArgKind::MapKey || kind == ArgKind::MapValue || kind == ArgKind::MapValueOut ||
                kind == ArgKind::MapValueOrNull) {
                EXPECT_TRUE(map_seen) << row.name << ": a key or value needs the map before it";
            }
            if (kind == ArgKind::Other) {
                EXPECT_EQ(row.result, ResultKind::Other) << row.name;
            }
        }
        if (row.result == ResultKind::MapValueOrNull) {
            EXPECT_EQ(row.args[0], ArgKind::ConstMapPtr) << row.name;
        }
    }
}

TEST(Helper, UsersAndLicencesOfKnownHelpers) {
    const ProgramSet s = program_type_bit(ProgramType::SocketFilter), x = program_type_bit(ProgramType::Xdp),
                     t = program_type_bit(ProgramType::SchedCls) | program_type_bit(ProgramType::SchedAct);
    const ProgramSet hosted = s | t | x;
    const struct {
        HelperId id;
        ProgramSet users;  // of the hosted types
        Licence licence;
    } cases[] = {
        {HelperId::MapLookupElem, hosted, Licence::Any},   {HelperId::TracePrintk, hosted, Licence::Gpl},
        {HelperId::XdpAdjustHead, x, Licence::Any},        {HelperId::SkbStoreBytes, t, Licence::Any},
        {HelperId::SkbLoadBytes, s | t, Licence::Any},     {HelperId::CsumDiff, t | x, Licence::Any},
        {HelperId::PerfEventOutput, hosted, Licence::Gpl}, {HelperId::ProbeRead, 0, Licence::Gpl},
        {HelperId::PacketLoad4, 0, Licence::Any},          {HelperId::Snprintf, hosted, Licence::Gpl},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(helper(c.id).users & hosted, c.users) << helper_name(c.id);
        EXPECT_EQ(helper(c.id).licence, c.licence) << helper_name(c.id);
    }
}

}  // namespace
}  // namespace skep::platform
