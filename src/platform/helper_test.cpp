// SPDX-License-Identifier: Apache-2.0
#include "platform/helper.hpp"

#include <gtest/gtest.h>

#include <algorithm>
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

TEST(Helper, WhoMayCallMayDependOnTheAttachType) {
    using P = ProgramType;
    using A = AttachType;
    const struct {
        HelperId id;
        P type;
        A attach;
        bool allowed;
    } cases[] = {
        {HelperId::Bind, P::CgroupSockAddr, A::Connect4, true},
        {HelperId::Bind, P::CgroupSockAddr, A::Bind4, false},
        {HelperId::Bind, P::Xdp, A::Xdp, false},
        {HelperId::Setsockopt, P::CgroupSockopt, A::Setsockopt, true},
        {HelperId::Setsockopt, P::CgroupSockopt, A::Getsockopt, false},
        {HelperId::GetRetval, P::CgroupSockAddr, A::Recvmsg4, false},
        {HelperId::GetRetval, P::CgroupSock, A::SockCreate, true},
        {HelperId::GetRetval, P::CgroupSkb, A::CgroupEgress, false},
        {HelperId::OverrideReturn, P::Kprobe, A::None, true},
        {HelperId::RcRepeat, P::LircMode2, A::None, true},
        {HelperId::GetPrandomU32, P::LircMode2, A::None, true},
        {HelperId::SkbLoadBytes, P::LircMode2, A::None, false},
        {HelperId::MapLookupElem, P::Tracing, A::Fentry, false},  // its context is not modelled
    };
    for (const auto& c : cases) EXPECT_EQ(helper_allowed(c.id, c.type, c.attach), c.allowed) << helper_name(c.id);
    EXPECT_FALSE(helper_allowed_in_6_12(HelperId::GetCurrentComm, P::Xdp));
    EXPECT_TRUE(helper_allowed_in_6_12(HelperId::GetCurrentComm, P::Kprobe));
}

TEST(Helper, ARuleForSomeProgramTypesNamesUsersOfTheHelper) {
#define HELPER_ATTACH(name, type, attach) \
    EXPECT_NE(helper(HelperId::name).users& program_type_bit(ProgramType::type), 0u) << #name " has no user " #type;
#include "platform/helper_rules.def"
    using namespace detail::helper_sets;
#define HELPER_FOR(name, who, licence, result, r1, r2, r3, r4, r5) \
    EXPECT_EQ((who) & ~helper(HelperId::name).users, 0u) << #name;
#include "platform/helper_rules.def"
#define HELPER_LATER(name, who) EXPECT_EQ((who) & ~helper(HelperId::name).users, 0u) << #name;
#include "platform/helper_rules.def"
}

TEST(Helper, APrototypeMayDependOnTheProgramType) {
    using P = ProgramType;
    EXPECT_EQ(helper_for(HelperId::GetSocketCookie, P::SchedCls).args[0], ArgKind::Ctx);
    EXPECT_EQ(helper_for(HelperId::GetSocketCookie, P::SkReuseport).args[0], ArgKind::SockCommon);
    EXPECT_EQ(helper_for(HelperId::SkAssign, P::SchedCls).args[1], ArgKind::SockCommon);
    EXPECT_EQ(helper_for(HelperId::SkAssign, P::SkLookup).args[1], ArgKind::SocketOrNull);
    EXPECT_EQ(helper_for(HelperId::GetCgroupClassid, P::SchedCls).args[0], ArgKind::Ctx);
    EXPECT_EQ(helper_for(HelperId::GetCgroupClassid, P::SkMsg).args[0], ArgKind::None);
    EXPECT_STREQ(helper_for(HelperId::SkAssign, P::SkLookup).name, "sk_assign");
}

TEST(Helper, MapsAndHelpersGoTogetherBothWays) {
    using P = ProgramType;
    using M = MapType;
    const struct {
        HelperId id;
        M map;
        P type;
        bool fits;
    } cases[] = {
        {HelperId::MapLookupElem, M::Hash, P::Xdp, true},
        {HelperId::MapLookupElem, M::ProgArray, P::Xdp, false},
        {HelperId::MapLookupElem, M::PerfEventArray, P::Xdp, false},
        {HelperId::MapLookupElem, M::Xskmap, P::Xdp, true},
        {HelperId::MapLookupElem, M::Cpumap, P::Xdp, false},
        {HelperId::MapLookupElem, M::Queue, P::Xdp, false},
        {HelperId::MapUpdateElem, M::HashOfMaps, P::Xdp, false},
        {HelperId::TailCall, M::ProgArray, P::Xdp, true},
        {HelperId::TailCall, M::Array, P::Xdp, false},
        {HelperId::RedirectMap, M::DevmapHash, P::Xdp, true},
        {HelperId::RedirectMap, M::Hash, P::Xdp, false},
        {HelperId::MapPushElem, M::BloomFilter, P::Xdp, true},
        {HelperId::MapPopElem, M::BloomFilter, P::Xdp, false},
        {HelperId::RingbufReserve, M::Ringbuf, P::Xdp, true},
        {HelperId::RingbufReserve, M::Array, P::Xdp, false},
        {HelperId::MapLookupPercpuElem, M::PercpuArray, P::Xdp, true},
        {HelperId::MapLookupPercpuElem, M::Array, P::Xdp, false},
        {HelperId::MapUpdateElem, M::Sockmap, P::SchedCls, true},
        {HelperId::MapUpdateElem, M::Sockmap, P::SockOps, false},
        {HelperId::MapDeleteElem, M::Sockmap, P::SockOps, true},
        {HelperId::MapUpdateElem, M::Sockhash, P::SkMsg, false},
        {HelperId::SkStorageGet, M::SkStorage, P::SchedCls, true},
        {HelperId::SkStorageGet, M::Hash, P::SchedCls, false},
    };
    for (const auto& c : cases)
        EXPECT_EQ(helper_takes_map(c.id, c.map, c.type), c.fits) << helper_name(c.id) << " " << map_type_name(c.map);
    EXPECT_EQ(lookup_result(M::ArrayOfMaps), LookupResult::InnerMap);
    EXPECT_EQ(lookup_result(M::Sockhash), LookupResult::Socket);
    EXPECT_EQ(lookup_result(M::Devmap), LookupResult::ReadOnlyValue);
    EXPECT_EQ(lookup_result(M::LruHash), LookupResult::Value);
}

TEST(Helper, ResultsThatLinuxBoundsAreThese) {
    int bounded = 0;
    for (uint16_t i = 0; i < helper_count; ++i) {
        const auto id = static_cast<HelperId>(i);
        const ResultBound bound = helper_result_bound(id);
        bounded += bound != ResultBound::None;
        if (bound == ResultBound::SizeArgument) {
            int sizes = 0;
            for (const ArgKind kind : helper(id).args) sizes += kind == ArgKind::Size || kind == ArgKind::SizeOrZero;
            EXPECT_EQ(sizes, 1) << helper_name(id);
        }
    }
    EXPECT_EQ(bounded, 6);
}

TEST(Helper, EffectsFitThePrototypes) {
    namespace effect = helper_effect;
    for (uint16_t i = 0; i < helper_count; ++i) {
        const auto id = static_cast<HelperId>(i);
        const HelperRow& row = helper(id);
        const auto takes = [&](ArgKind kind) { return std::find(row.args, row.args + 5, kind) != row.args + 5; };
        EXPECT_EQ((row.effects & effect::Callback) != 0, takes(ArgKind::Func)) << row.name;
        EXPECT_EQ(helper_callback(id) != CallbackKind::None, takes(ArgKind::Func)) << row.name;
        if ((row.effects & effect::Release) != 0 && helper_modelled(row)) {
            EXPECT_TRUE(takes(ArgKind::Record) || takes(ArgKind::SockCommon) || takes(ArgKind::SpinLock)) << row.name;
        }
        if ((row.effects & effect::Cast) != 0) {
            EXPECT_TRUE(takes(ArgKind::SockCommon)) << row.name;
        }
        if (takes(ArgKind::RecordSize) && helper_modelled(row)) {
            EXPECT_EQ(row.result, ResultKind::RecordOrNull);
        }
        // A prototype that is not modelled must not look as if it were.
        if (row.result == ResultKind::Other) {
            EXPECT_FALSE(helper_modelled(row)) << row.name;
        }
    }
    int modelled = 0;
    for (uint32_t number = 1; number <= 211; ++number) {
        HelperId id{};
        ASSERT_TRUE(helper_from_linux(number, &id));
        modelled += helper_modelled(helper(id));
    }
    EXPECT_EQ(modelled, 172) << "of 211";
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
