// SPDX-License-Identifier: Apache-2.0
#include "btf/core.hpp"

#include <gtest/gtest.h>

#include "btf/test_types.hpp"

namespace skep::btf {
namespace {

TEST(Core, FlavoursAreIgnored) {
    const struct {
        const char* name;
        const char* essential;
    } rows[] = {{"task", "task"},
                {"task___v5", "task"},
                {"task__v5", "task__v5"},
                {"task___", "task___"},
                {"___v5", "___v5"},
                {"a___b___c", "a___b"},
                {"task____v5", "task____v5"},
                {"x___y", "x"},
                {"", ""}};
    for (const auto& row : rows) EXPECT_EQ(essential_name(row.name), row.essential) << row.name;
}

/// What a question about `local`'s type is answered with.
struct Question {
    Types local, target;
    TypeId type = 0;
    uint32_t access = 0;

    Result<CoreAnswer> ask(CoreKind kind) {
        SKEP_ASSIGN(const Btf from, local.parse());
        SKEP_ASSIGN(const Btf to, target.parse());
        return answer(from, {0, type, access, kind}, to);
    }
    uint64_t after(CoreKind kind) {
        const auto result = ask(kind);
        EXPECT_TRUE(result) << result.error().to_string();
        return result ? result->after : UINT64_MAX;
    }
};

TEST(Core, TypesAreFoundByKindAndName) {
    const auto with = [](Kind kind, const char* name) {
        Question q;
        q.access = q.local.text("0");
        q.type = q.local.record("wanted", 8, {});
        q.target.composite(kind, name, 24, {});
        return q;
    };
    EXPECT_EQ(with(Kind::Struct, "wanted").after(CoreKind::TypeExists), 1u);
    EXPECT_EQ(with(Kind::Struct, "wanted").after(CoreKind::TypeSize), 24u);
    EXPECT_EQ(with(Kind::Struct, "wanted").after(CoreKind::TypeIdTarget), 1u);
    EXPECT_EQ(with(Kind::Struct, "wanted___2").after(CoreKind::TypeExists), 1u);
    EXPECT_EQ(with(Kind::Struct, "wanted2").after(CoreKind::TypeExists), 0u);
    EXPECT_EQ(with(Kind::Union, "wanted").after(CoreKind::TypeExists), 0u);
    EXPECT_EQ(with(Kind::Union, "wanted").after(CoreKind::TypeSize), 0u);
    EXPECT_EQ(with(Kind::Union, "wanted").after(CoreKind::TypeIdTarget), 0u);
}

TEST(Core, EnumeratorsAreFoundInEnumsOfEitherWidth) {
    const auto with = [](bool wide) {
        Question q;
        q.access = q.local.text("1");
        q.type = q.local.choice("mode", {{"A", 1}, {"B", 2}});
        if (wide) {
            q.target.add(Kind::Enum64, "mode", 1, 8, {q.target.text("B"), 5, 1});
        } else {
            q.target.choice("mode", {{"B", 9}, {"A", 2}});
        }
        return q;
    };
    EXPECT_EQ(with(false).after(CoreKind::EnumvalValue), 9u);
    EXPECT_EQ(with(true).after(CoreKind::EnumvalValue), (1ull << 32) + 5);
    EXPECT_EQ(with(true).after(CoreKind::EnumvalExists), 1u);
    Question gone = with(true);
    gone.access = gone.local.text("0");
    EXPECT_EQ(gone.after(CoreKind::EnumvalExists), 0u);
    EXPECT_TRUE(gone.ask(CoreKind::EnumvalValue)->absent);
}

TEST(Core, BitFieldsAreReadByShifts) {
    Question q;
    q.access = q.local.text("0:0");
    q.type = q.local.record("s", 4, {{"f", q.local.integer("unsigned int", 4), 0, 9}});
    q.target.record("s", 16, {{"f", q.target.integer("int", 4, true), 62, 5}});
    // Bits 62 to 66 lie across two words of four bytes: read as 8 from byte 0? they end behind it: 16 would be needed.
    EXPECT_FALSE(q.ask(CoreKind::FieldByteOffset));
    Question near;
    near.access = near.local.text("0:0");
    near.type = near.local.record("s", 4, {{"f", near.local.integer("unsigned int", 4), 0, 9}});
    near.target.record("s", 16, {{"f", near.target.integer("int", 4, true), 94, 5}});
    EXPECT_EQ(near.after(CoreKind::FieldByteOffset), 8u);
    EXPECT_EQ(near.after(CoreKind::FieldByteSize), 8u);
    EXPECT_EQ(near.after(CoreKind::FieldLshiftU64), 64u - 30 - 5);
    EXPECT_EQ(near.after(CoreKind::FieldRshiftU64), 59u);
    EXPECT_EQ(near.after(CoreKind::FieldSigned), 1u);
}

TEST(Core, MatchingLooksIntoMembersAndBehindPointersAtNames) {
    const auto run = [](TypeId (*make)(Types&)) {
        Question q;
        q.access = q.local.text("0");
        const TypeId u32 = q.local.integer("unsigned int", 4);
        const TypeId other = q.local.record("other", 4, {{"x", u32, 0}});
        q.type = q.local.record("s", 16, {{"a", u32, 0}, {"o", q.local.pointer(other), 64}});
        make(q.target);
        return q.after(CoreKind::TypeMatches);
    };
    EXPECT_EQ(run([](Types& t) {
                  const TypeId u = t.integer("unsigned int", 4);
                  const TypeId o = t.record("other", 0, {});
                  return t.record("s", 32, {{"more", u, 0}, {"o", t.pointer(o), 64}, {"a", u, 128}});
              }),
              1u);
    EXPECT_EQ(run([](Types& t) {
                  const TypeId u = t.integer("unsigned int", 8);
                  return t.record("s", 32, {{"o", t.pointer(t.record("other", 0, {})), 0}, {"a", u, 128}});
              }),
              0u)
        << "another width";
    EXPECT_EQ(run([](Types& t) {
                  const TypeId u = t.integer("unsigned int", 4);
                  return t.record("s", 32, {{"o", t.pointer(t.record("another", 0, {})), 0}, {"a", u, 128}});
              }),
              0u)
        << "a pointer to another struct";
    EXPECT_EQ(run([](Types& t) {
                  const TypeId u = t.integer("unsigned int", 4);
                  return t.record("s", 32, {{"a", u, 128}});
              }),
              0u)
        << "a member is gone";
    EXPECT_EQ(run([](Types& t) {
                  const TypeId u = t.integer("unsigned int", 4);
                  return t.record("s", 32, {{"o", t.pointer(t.add(Kind::Fwd, "other", 0, 0)), 0}, {"a", u, 128}});
              }),
              1u)
        << "a forward declaration stands for its struct";
}

TEST(Core, AllFieldsOfATypeComeFromOneTargetType) {
    Types local, target;
    const TypeId u32 = local.integer("unsigned int", 4);
    const TypeId type = local.record("s", 8, {{"a", u32, 0}, {"b", u32, 32}});
    const uint32_t first = local.text("0:0"), second = local.text("0:1");
    const TypeId u = target.integer("unsigned int", 4);
    target.record("s___1", 8, {{"a", u, 0}});
    target.record("s___2", 8, {{"b", u, 0}});
    const auto from = local.parse(), to = target.parse();
    ASSERT_TRUE(from && to);
    const CoreRecord of_a{0, type, first, CoreKind::FieldByteOffset}, of_b{0, type, second, CoreKind::FieldByteOffset};
    EXPECT_FALSE(answer(*from, of_b, *to)->absent) << "by itself it is found";
    Candidates candidates;
    EXPECT_FALSE(answer(*from, of_a, *to, &candidates)->absent);
    EXPECT_TRUE(answer(*from, of_b, *to, &candidates)->absent) << "s was s___1 already";
}

TEST(Core, OnlyTheLastArrayOfNoLengthIsFlexible) {
    const auto absent = [](uint32_t count, bool last) {
        Question q;
        q.access = q.local.text("0:0:2");
        q.type = q.local.record("s", 16, {{"a", q.local.array(q.local.integer("unsigned int", 4), 4), 0}});
        const TypeId u32 = q.target.integer("unsigned int", 4);
        std::vector<Types::Part> parts{{"a", q.target.array(u32, count), 0}};
        if (!last) parts.push_back({"z", u32, 96});
        q.target.record("s", 16, parts);
        return q.ask(CoreKind::FieldByteOffset)->absent;
    };
    EXPECT_FALSE(absent(3, false));
    EXPECT_TRUE(absent(2, false));
    EXPECT_TRUE(absent(2, true));
    EXPECT_FALSE(absent(0, true));
    EXPECT_TRUE(absent(0, false));
}

TEST(Core, NestedStructsAreMatchedInBoundedWork) {
    // Twelve levels, each with many members of the level below: far too many paths, few pairs of types.
    const auto nest = [](Types& t) {
        TypeId below = t.integer("unsigned int", 4);
        for (int level = 0; level < 12; ++level) {
            std::vector<Types::Part> parts;
            for (int i = 0; i < 50; ++i) parts.push_back({"m", below, 0});
            below = t.record("level", 4, parts);
        }
        return below;
    };
    Question q;
    q.access = q.local.text("0");
    q.type = nest(q.local);
    nest(q.target);
    EXPECT_EQ(q.after(CoreKind::TypeMatches), 1u);
}

}  // namespace
}  // namespace skep::btf
