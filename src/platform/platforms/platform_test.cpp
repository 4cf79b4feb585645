// SPDX-License-Identifier: Apache-2.0
// The platform tables against the facts they are made from: how far each release's numbers go, and what it has.
#include "platform/platforms/platform.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace skep::platform {
namespace {

const Platform& named(std::string_view name) {
    static const std::vector<Platform> all = builtin_platforms({});
    for (const Platform& p : all)
        if (p.name == name) return p;
    ADD_FAILURE() << name;
    return all.front();
}

TEST(Version, OrdersAsNumbersNotAsText) {
    EXPECT_LT(*Version::parse("5.4"), *Version::parse("5.10"));
    EXPECT_LT(*Version::parse("5.19"), *Version::parse("6.0"));
    EXPECT_EQ(*Version::parse("6.12"), (Version{6, 12}));
    for (const char* bad : {"", "6", "6.", ".1", "6.x", "6.1.2", "x"}) EXPECT_FALSE(Version::parse(bad)) << bad;
}

TEST(Platforms, EachReleaseGoesAsFarAsItsKernelDid) {
    const struct {
        const char* name;
        uint32_t last_helper, helpers, last_map, last_type;
    } rows[] = {
        {"linux-5.4", 110, 110, 25, 25}, {"linux-5.10", 155, 155, 28, 30}, {"linux-5.15", 175, 175, 29, 31},
        {"linux-6.1", 209, 209, 31, 31}, {"linux-6.6", 211, 211, 32, 32},  {"linux-6.12", 211, 211, 33, 32},
    };
    for (const auto& row : rows) {
        const Platform& p = named(row.name);
        std::set<uint32_t> helpers, maps, types;
        for (const PlatformHelper& h : p.helpers) helpers.insert(h.id);
        for (const PlatformMap& m : p.maps) maps.insert(m.id);
        for (const PlatformType& t : p.types) types.insert(t.id);
        EXPECT_EQ(*helpers.rbegin(), row.last_helper) << row.name;
        EXPECT_EQ(helpers.size(), row.helpers) << row.name;
        EXPECT_EQ(*maps.rbegin(), row.last_map) << row.name;
        EXPECT_EQ(maps.size(), row.last_map) << row.name << ": without a gap";
        EXPECT_EQ(*types.rbegin(), row.last_type) << row.name;
        EXPECT_EQ(types.size(), row.last_type) << row.name << ": without a gap";
    }
}

/// The sheet of facts that the columns were restated from: every "id name since".
TEST(Platforms, EveryVersionIsThatOfTheFacts) {
    const char* shared = std::getenv("SKEP_SHARED");
    std::ifstream file((shared != nullptr ? std::string(shared) : std::string(SKEP_SOURCE_DIR "/../shared")) +
                       "/design/linux-versions.md");
    if (!file) GTEST_SKIP() << "no design/linux-versions.md (SKEP_SHARED)";
    std::stringstream all;
    all << file.rdbuf();
    std::string text = all.str();
    std::map<std::string, std::string_view> ours[3];
    for (uint16_t i = 0; i < helper_count; ++i) {
        const HelperRow& row = helper(static_cast<HelperId>(i));
        if (row.linux_id != 0) ours[0][std::to_string(row.linux_id) + " " + row.name] = row.since;
    }
#define MAP_TYPE(name, text, linux_id, windows_id, since) ours[1][std::to_string(linux_id) + " " + text] = since;
#include "platform/map_type.def"
#undef MAP_TYPE
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted) \
    if (linux_id != 0) ours[2][std::to_string(linux_id) + " " + text] = since;
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    const char* heads[] = {"## Helpers: id name since\n", "## Map types: id name since\n",
                           "## Program types: id name since\n"};
    for (size_t part = 0; part < 3; ++part) {
        const size_t at = text.find(heads[part]);
        ASSERT_NE(at, std::string::npos) << heads[part];
        const size_t from = at + std::string(heads[part]).size();
        const std::string line = text.substr(from, text.find('\n', from) - from);
        const std::regex item(R"((\d+) (\w+) (\d+\.\d+))");
        size_t count = 0;
        for (std::sregex_iterator i(line.begin(), line.end(), item), end; i != end; ++i, ++count)
            EXPECT_EQ(ours[part][(*i)[1].str() + " " + (*i)[2].str()], (*i)[3].str()) << (*i)[2];
        EXPECT_EQ(count, ours[part].size()) << heads[part];
    }
}

TEST(Platforms, WindowsHasItsOwnNumbers) {
    const Platform& windows = named("windows-ebpf-1.6");
    const auto number = [&](HelperId id, ProgramType type) {
        const PlatformHelper* row = windows.helper_for(id, type);
        return row == nullptr ? 0 : row->id;
    };
    EXPECT_EQ(number(HelperId::TailCall, ProgramType::Xdp), 5u);
    EXPECT_EQ(number(HelperId::KtimeGetNs, ProgramType::Bind), 9u);
    EXPECT_EQ(number(HelperId::RedirectMap, ProgramType::Xdp), 35u);
    // The same number means another helper in another program type.
    EXPECT_EQ(number(HelperId::XdpAdjustHead, ProgramType::Xdp), 0x10000u);
    EXPECT_EQ(number(HelperId::SockOpsGetFlowId, ProgramType::SockOps), 0x10000u);
    EXPECT_EQ(number(HelperId::GetCurrentPidTgid, ProgramType::CgroupSockAddr), 0x10000u);
    EXPECT_EQ(number(HelperId::GetCurrentPidTgid, ProgramType::Bind), 19u);
    EXPECT_EQ(number(HelperId::SockOpsGetFlowId, ProgramType::Xdp), 0u);
    EXPECT_EQ(number(HelperId::GetCurrentTask, ProgramType::Xdp), 0u);
    EXPECT_EQ(windows.maps.size(), 15u);
    EXPECT_EQ(windows.types.size(), 7u);
    EXPECT_TRUE(windows.has(FeatureId::LocalCalls));
    EXPECT_FALSE(windows.has(FeatureId::Core));
    // Only four of the 35 general numbers are Linux' own: what makes running an object on the wrong system dangerous.
    unsigned same = 0;
    for (const PlatformHelper& h : windows.helpers) same += h.canonical && helper(*h.canonical).linux_id == h.id;
    EXPECT_EQ(same, 4u);
}

TEST(Platforms, WhatIsNewIsMissingBefore) {
    EXPECT_EQ(named("linux-5.15").helper_for_any(HelperId::XdpLoadBytes), nullptr);
    EXPECT_NE(named("linux-6.1").helper_for_any(HelperId::XdpLoadBytes), nullptr);
    EXPECT_FALSE(named("linux-5.4").has(FieldId::XdpEgressIfindex));
    EXPECT_TRUE(named("linux-5.10").has(FieldId::XdpEgressIfindex));
    EXPECT_FALSE(named("linux-5.10").has(FeatureId::FetchAtomics));
    EXPECT_TRUE(named("linux-5.15").has(FeatureId::FetchAtomics));
    EXPECT_FALSE(named("linux-6.1").has(FeatureId::Isa4));
    EXPECT_TRUE(named("linux-6.6").has(FeatureId::Isa4));
    EXPECT_FALSE(named("linux-6.1").has_kfunc("bpf_dynptr_from_xdp"));
    EXPECT_TRUE(named("linux-6.6").has_kfunc("bpf_dynptr_from_xdp"));
    EXPECT_FALSE(named("linux-6.12").has(ProgramType::Bind));
    EXPECT_TRUE(named("windows-ebpf-1.6").has(ProgramType::Bind));
}

TEST(Platforms, SkepIsWhatItIsToldToBe) {
    HostOffer offer;
    offer.helper = [](HelperId id) { return id == HelperId::MapLookupElem || id == HelperId::StrnlenS; };
    offer.map = [](MapType type) { return type == MapType::Hash; };
    offer.type = [](ProgramType type) { return type == ProgramType::Xdp; };
    const auto all = builtin_platforms(offer);
    const Platform& skep = all.back();
    ASSERT_EQ(skep.name, "skep");
    EXPECT_TRUE(skep.binds);
    EXPECT_EQ(skep.helpers.size(), 2u);
    EXPECT_EQ(skep.maps.size(), 1u);
    EXPECT_EQ(skep.types.size(), 1u);
}

TEST(Platforms, EveryLateFieldAndFunctionIsOneOfTheTables) {
    size_t late = 0;
    for (const FieldRow& row : context_fields()) late += !field_since(row).empty();
    size_t rows = 0;
#define FIELD_SINCE(structure, field, since) ++rows, static_cast<void>(Version::parse(since).value());
#include "platform/platforms/field_since.def"
#undef FIELD_SINCE
    EXPECT_EQ(late, rows);
}

}  // namespace
}  // namespace skep::platform
