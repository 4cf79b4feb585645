// SPDX-License-Identifier: Apache-2.0
#include "btf/btf.hpp"

#include <gtest/gtest.h>

#include "btf/btf_ext.hpp"
#include "btf/test_types.hpp"

namespace skep::btf {
namespace {

TEST(Btf, ReadsTypesByIdAndName) {
    Types types;
    const TypeId u32 = types.integer("unsigned int", 4);
    const TypeId alias = types.name("__u32", u32);
    const TypeId flow = types.record("flow", 16, {{"packets", alias, 0}, {"ports", types.array(alias, 2), 32}});
    const auto btf = types.parse();
    ASSERT_TRUE(btf) << btf.error().to_string();
    EXPECT_EQ(btf->type_count(), 5u);
    EXPECT_EQ(btf->find(Kind::Typedef, "__u32"), alias);
    EXPECT_EQ(btf->find(Kind::Struct, "__u32"), 0u);
    EXPECT_EQ(btf->strip(alias), u32);
    EXPECT_EQ(btf->size_of(flow), 16u);
    ASSERT_EQ(btf->members(btf->type(flow)).size(), 2u);
    EXPECT_EQ(btf->string(btf->members(btf->type(flow))[1].name_off), "ports");
    EXPECT_EQ(btf->size_of(btf->members(btf->type(flow))[1].type), 8u);
    EXPECT_EQ(btf->size_of(0), std::nullopt);
}

TEST(Btf, WritesTypesAsCDoes) {
    Types types;
    const TypeId c = types.integer("char", 1, true);
    const TypeId constant = types.add(Kind::Const, "", 0, c);
    const TypeId pointer = types.pointer(constant);
    const TypeId array = types.array(pointer, 4);
    const TypeId to_array = types.pointer(types.array(c, 3));
    const TypeId proto = types.add(Kind::FuncProto, "", 0, 0);
    const TypeId function = types.pointer(proto);
    const TypeId constant_pointer = types.add(Kind::Const, "", 0, pointer);
    const auto btf = types.parse();
    ASSERT_TRUE(btf);
    EXPECT_EQ(btf->type_text(pointer), "const char *");
    EXPECT_EQ(btf->type_text(array), "const char *[4]");
    EXPECT_EQ(btf->type_text(to_array), "char (*)[3]");
    EXPECT_EQ(btf->type_text(function), "void (*)(void)");
    EXPECT_EQ(btf->type_text(constant_pointer), "const char *const");
    EXPECT_EQ(btf->type_text(0), "void");
}

TEST(Btf, EveryTruncationIsAnError) {
    Types types;
    types.integer("int", 4, true);
    types.record("s", 8, {{"a", 1, 0}, {"b", 1, 32}});
    types.choice("e", {{"A", 1}});
    const auto bytes = types.build();
    ASSERT_TRUE(Btf::parse(bytes));
    for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(Btf::parse(Bytes(bytes).first(size))) << size;
}

TEST(Btf, RefusesWhatCannotBe) {
    struct Row {
        const char* name;
        void (*make)(Types&);
        bool good;
    };
    const Row rows[] = {
        {"reference to a later type", [](Types& t) { t.pointer(2), t.integer("int", 4); }, true},
        {"reference to no type", [](Types& t) { t.pointer(2); }, false},
        {"member of no type", [](Types& t) { t.record("s", 4, {{"a", 2, 0}}); }, false},
        {"member at the end", [](Types& t) { t.record("s", 4, {{"a", 2, 32}}), t.integer("int", 4); }, true},
        {"member outside", [](Types& t) { t.record("s", 4, {{"a", 2, 33}}), t.integer("int", 4); }, false},
        {"bit field at the end", [](Types& t) { t.record("s", 4, {{"a", 2, 30, 2}}), t.integer("int", 4); }, true},
        {"bit field outside", [](Types& t) { t.record("s", 4, {{"a", 2, 31, 2}}), t.integer("int", 4); }, false},
        {"integer of 16 bytes", [](Types& t) { t.integer("__int128", 16); }, true},
        {"integer of 17 bytes", [](Types& t) { t.integer("x", 17); }, false},
        {"more bits than bytes", [](Types& t) { t.add(Kind::Int, "x", 0, 1, {9}); }, false},
        {"function with a prototype", [](Types& t) { t.add(Kind::Func, "f", 1, t.add(Kind::FuncProto, "", 0, 0)); },
         true},
        {"function without", [](Types& t) { t.add(Kind::Func, "f", 1, t.integer("int", 4)); }, false},
        {"extern function", [](Types& t) { t.add(Kind::Func, "f", 2, t.add(Kind::FuncProto, "", 0, 0)); }, true},
        {"function of linkage 3", [](Types& t) { t.add(Kind::Func, "f", 3, t.add(Kind::FuncProto, "", 0, 0)); }, false},
        {"kind 19", [](Types& t) { t.add(Kind::Enum64, "e", 0, 8); }, true},
        {"kind 20", [](Types& t) { t.add(static_cast<Kind>(20), "e", 0, 8); }, false},
        {"struct that points to itself", [](Types& t) { t.record("s", 8, {{"next", 2, 0}}), t.pointer(1); }, true},
        {"struct that holds itself", [](Types& t) { t.record("s", 8, {{"a", 1, 0}}); }, false},
        {"typedef of itself", [](Types& t) { t.name("t", 1); }, false},
        {"array of itself by a typedef", [](Types& t) { t.array(2, 1), t.name("t", 1); }, false},
        {"section of variables",
         [](Types& t) {
             t.add(Kind::Datasec, ".data", 1, 4, {2, 0, 4}), t.add(Kind::Var, "v", 0, 3, {0}), t.integer("int", 4);
         },
         true},
        {"section of integers", [](Types& t) { t.add(Kind::Datasec, ".data", 1, 4, {2, 0, 4}), t.integer("int", 4); },
         false},
        {"enum of 3 bytes", [](Types& t) { t.add(Kind::Enum, "e", 0, 3); }, false},
    };
    for (const Row& row : rows) {
        Types types;
        row.make(types);
        const auto btf = types.parse();
        EXPECT_EQ(btf.ok(), row.good) << row.name << (btf ? "" : ": " + btf.error().to_string());
    }
}

TEST(Btf, NestsAtMostSixtyFourLevels) {
    const auto chain = [](uint32_t levels) {
        Types types;
        types.integer("int", 4);
        for (uint32_t i = 1; i < levels; ++i) types.name("t", i);
        return types.parse();
    };
    EXPECT_TRUE(chain(max_nesting));
    const auto too_deep = chain(max_nesting + 1);
    ASSERT_FALSE(too_deep);
    EXPECT_EQ(too_deep.error().code(), Errc::LimitExceeded);
    // The other way round, so that the walk itself goes deep first.
    Types types;
    for (uint32_t i = 0; i < 200'000; ++i) types.name("t", i + 2);
    types.integer("int", 4);
    EXPECT_FALSE(types.parse());
}

TEST(Btf, SizesDoNotOverflow) {
    Types types;
    types.integer("int", 4);
    const TypeId a = types.array(1, UINT32_MAX);
    const TypeId b = types.array(a, UINT32_MAX);
    const auto btf = types.parse();
    ASSERT_TRUE(btf);
    EXPECT_EQ(btf->size_of(a), uint64_t{UINT32_MAX} * 4);
    EXPECT_EQ(btf->size_of(b), std::nullopt);
}

TEST(Btf, SectionCorrectionsReachTheRawBytes) {
    Types types;
    const TypeId variable = types.add(Kind::Var, "v", 0, types.integer("int", 4), {1});
    const TypeId section = types.add(Kind::Datasec, ".data", 1, 0, {variable, 0, 4});
    auto btf = types.parse();
    ASSERT_TRUE(btf);
    btf->set_section_size(section, 12);
    btf->set_variable_offset(section, 0, 8);
    const auto again = Btf::parse(btf->raw());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->type(section).size, 12u);
    EXPECT_EQ(again->variables(again->type(section))[0].offset, 8u);
}

/// One list of BTF.ext: 24 or 32 bytes of header, then the given words as func_info, line_info, core_relo.
std::vector<std::byte> ext(const std::vector<std::vector<uint32_t>>& lists) {
    std::vector<std::byte> out(32);
    store_le<uint16_t>(out.data(), 0xeb9f);
    out[2] = std::byte{1};
    store_le<uint32_t>(out.data() + 4, 32);
    for (size_t i = 0; i < lists.size(); ++i) {
        store_le<uint32_t>(out.data() + 8 + 8 * i, static_cast<uint32_t>(out.size() - 32));
        store_le<uint32_t>(out.data() + 12 + 8 * i, static_cast<uint32_t>(lists[i].size() * 4));
        for (const uint32_t word : lists[i]) {
            out.resize(out.size() + 4);
            store_le<uint32_t>(out.data() + out.size() - 4, word);
        }
    }
    return out;
}

TEST(BtfExt, ReadsItsThreeLists) {
    Types types;
    const uint32_t section = types.text("xdp"), file = types.text("a.c"), line = types.text("return 0;");
    const uint32_t access = types.text("0:1");
    const TypeId function = types.add(Kind::Func, "f", 1, types.add(Kind::FuncProto, "", 0, 0));
    const auto btf = types.parse();
    ASSERT_TRUE(btf);
    const auto parsed = BtfExt::parse(ext({{8, section, 1, 0, function},
                                           {16, section, 1, 8, file, line, 42 << 10 | 7},
                                           {16, section, 1, 16, function, access, 12}}),
                                      *btf);
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    const SectionRecords* records = parsed->find("xdp");
    ASSERT_NE(records, nullptr);
    EXPECT_EQ(records->functions, (std::vector<FuncRecord>{{0, function}}));
    EXPECT_EQ(records->lines, (std::vector<LineRecord>{{1, file, line, 42, 7}}));
    EXPECT_EQ(records->core, (std::vector<CoreRecord>{{2, function, access, CoreKind::TypeMatches}}));
}

TEST(BtfExt, RefusesWhatCannotBe) {
    Types types;
    const uint32_t section = types.text("xdp");
    types.integer("int", 4);
    const auto btf = types.parse();
    const auto read = [&](std::vector<std::vector<uint32_t>> lists) { return BtfExt::parse(ext(lists), *btf).ok(); };
    EXPECT_TRUE(read({{8, section, 1, 0, 1}}));
    EXPECT_FALSE(read({{4, section, 1, 0, 1}})) << "records too small";
    EXPECT_TRUE(read({{12, section, 1, 0, 1, 99}})) << "larger records of a later version";
    EXPECT_FALSE(read({{8, section, 2, 0, 1}})) << "fewer records than announced";
    EXPECT_FALSE(read({{8, section, UINT32_MAX, 0, 1}})) << "far fewer";
    EXPECT_FALSE(read({{8, 0, 1, 0, 1}})) << "no section name";
    EXPECT_FALSE(read({{8, section, 1, 4, 1}})) << "between two instructions";
    EXPECT_FALSE(read({{8, section, 1, 0, 2}})) << "no such type";
    EXPECT_TRUE(read({{}, {}, {16, section, 1, 0, 1, section, 12}})) << "the last kind";
    EXPECT_FALSE(read({{}, {}, {16, section, 1, 0, 1, section, 13}})) << "an unknown kind";
    const auto bytes = ext({{8, section, 1, 0, 1}});
    for (size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(BtfExt::parse(Bytes(bytes).first(size), *btf)) << size;
    }
}

}  // namespace
}  // namespace skep::btf
