// SPDX-License-Identifier: Apache-2.0
#include "verifier/rules/subject.hpp"

#include <gtest/gtest.h>

#include "btf/test_types.hpp"
#include "platform/program_type.hpp"

namespace skep::verifier {
namespace {

using btf::Kind;
using btf::TypeId;
using btf::Types;

/// A subject over one array map whose value has type `value` of `types`, `bytes` long.
Result<Subject> subject_of(const Types& types, TypeId value, uint32_t bytes,
                           platform::ProgramType type = platform::ProgramType::SchedCls) {
    object::ObjectSpec spec;
    spec.file = "test.o";
    auto btf = types.parse();
    EXPECT_TRUE(btf.ok()) << btf.error().to_string();
    spec.btf = std::make_shared<const btf::Btf>(*std::move(btf));
    object::MapSpec map;
    map.name = "values";
    map.type = 2;
    map.key_size = 4;
    map.value_size = bytes;
    map.max_entries = 1;
    map.value_type = value;
    spec.maps.push_back(map);
    BoundProgram program;
    program.type = type;
    program.maps.push_back({0, platform::MapType::Array});
    return make_subject(spec, std::make_shared<const BoundProgram>(std::move(program)));
}

struct Fixture : ::testing::Test {
    Types types;
    TypeId u32 = types.integer("unsigned int", 4), u64 = types.integer("unsigned long long", 8);
    TypeId lock = types.record("bpf_spin_lock", 4, {{"val", u32, 0}});
    TypeId timer = types.record("bpf_timer", 16, {{"a", u64, 0}, {"b", u64, 64}});
};

using SpecialFields = Fixture;

TEST_F(SpecialFields, APlainValueHasNone) {
    const TypeId value = types.record("value", 16, {{"a", u64, 0}, {"next", types.pointer(lock), 64}});
    const auto subject = subject_of(types, value, 16);
    ASSERT_TRUE(subject.ok()) << subject.error().to_string();
    EXPECT_TRUE(subject->maps[0].special.empty());
    EXPECT_TRUE(subject->maps[0].has_btf);
}

TEST_F(SpecialFields, LocksAndTimersAreFoundInNestedStructsBehindTypedefs) {
    const TypeId inner = types.record("inner", 24, {{"t", timer, 64}});
    const TypeId value = types.record("value", 40, {{"n", types.name("inner_t", inner), 64}, {"l", lock, 256}});
    const auto subject = subject_of(types, value, 40);
    ASSERT_TRUE(subject.ok()) << subject.error().to_string();
    EXPECT_EQ(subject->maps[0].special,
              (std::vector<SpecialField>{{SpecialKind::Timer, 16, 16, "struct bpf_timer"},
                                         {SpecialKind::SpinLock, 32, 4, "struct bpf_spin_lock"}}));
}

TEST_F(SpecialFields, ProgramsThatMayRunInsideALockHaveNone) {
    using platform::ProgramType;
    for (const ProgramType type : {ProgramType::SocketFilter, ProgramType::Kprobe, ProgramType::Tracepoint})
        EXPECT_FALSE(subject_of(types, lock, 4, type).ok()) << platform::program_type_name(type);
    for (const ProgramType type : {ProgramType::SchedCls, ProgramType::Xdp, ProgramType::CgroupSkb})
        EXPECT_TRUE(subject_of(types, lock, 4, type).ok()) << platform::program_type_name(type);
    EXPECT_FALSE(subject_of(types, timer, 16, ProgramType::Kprobe).ok());
    EXPECT_TRUE(subject_of(types, timer, 16, ProgramType::SocketFilter).ok());
}

TEST_F(SpecialFields, ASecondLockAndALockInAUnionAreNotModelled) {
    const TypeId two = types.record("two", 8, {{"a", lock, 0}, {"b", lock, 32}});
    const auto subject = subject_of(types, two, 8);
    ASSERT_TRUE(subject.ok());
    ASSERT_EQ(subject->maps[0].special.size(), 2u);
    EXPECT_EQ(subject->maps[0].special[0].kind, SpecialKind::SpinLock);
    EXPECT_EQ(subject->maps[0].special[1].kind, SpecialKind::NotModelled);

    const TypeId either = types.composite(Kind::Union, "either", 8, {{"l", lock, 0}, {"n", u64, 0}});
    const auto other = subject_of(types, either, 8);
    ASSERT_TRUE(other.ok());
    ASSERT_EQ(other->maps[0].special.size(), 1u);
    EXPECT_EQ(other->maps[0].special[0].kind, SpecialKind::NotModelled);
}

TEST_F(SpecialFields, EveryElementOfAnArrayCounts) {
    const TypeId element = types.record("element", 24, {{"x", u64, 0}, {"t", timer, 64}});
    const auto subject = subject_of(types, types.array(element, 3), 72);
    ASSERT_TRUE(subject.ok());
    ASSERT_EQ(subject->maps[0].special.size(), 3u);
    EXPECT_EQ(subject->maps[0].special[2].offset, 56u);
    const auto many = subject_of(types, types.array(element, 300), 24 * 300);
    ASSERT_FALSE(many.ok());
    EXPECT_EQ(many.error().code(), Errc::Unsupported);
}

TEST_F(SpecialFields, AKernelPointerIsToldByItsTag) {
    const TypeId task = types.record("task_struct", 8, {{"x", u64, 0}});
    const TypeId tagged = types.pointer(types.add(Kind::TypeTag, "kptr", 0, task));
    const TypeId other = types.pointer(types.add(Kind::TypeTag, "user", 0, task));
    const auto subject = subject_of(types, types.record("v", 16, {{"a", other, 0}, {"b", tagged, 64}}), 16);
    ASSERT_TRUE(subject.ok());
    ASSERT_EQ(subject->maps[0].special.size(), 1u);
    EXPECT_EQ(subject->maps[0].special[0].offset, 8u);
    EXPECT_EQ(subject->maps[0].special[0].kind, SpecialKind::NotModelled);
}

TEST_F(SpecialFields, ATypeLargerThanTheValueIsRefused) {
    const auto subject = subject_of(types, types.record("v", 8, {{"x", u32, 0}, {"l", lock, 32}}), 4);
    ASSERT_FALSE(subject.ok());
    EXPECT_EQ(subject.error().code(), Errc::Malformed);
}

TEST_F(SpecialFields, ArraysThatNestCostNoMoreThanTheirTypes) {
    // 4^13 elements, not one of them special: the walk looks at 27 types.
    TypeId type = u64;
    uint32_t bytes = 8;
    for (int i = 0; i < 13; ++i) {
        const TypeId row = types.array(type, 2);
        type = types.record("level", bytes * 4, {{"a", row, 0}, {"b", row, 0}});
        bytes *= 4;
    }
    EXPECT_TRUE(subject_of(types, type, bytes).ok());
}

TEST(Subject, FunctionsAreFoundByInstruction) {
    BoundProgram program;
    program.linked.subprograms = {{"a", 0, 3, true}, {"b", 3, 4, false}, {"c", 4, 9, false}};
    const auto subject = make_subject({}, std::make_shared<const BoundProgram>(std::move(program)));
    ASSERT_TRUE(subject.ok());
    EXPECT_EQ(subject->function_at(0), 0);
    EXPECT_EQ(subject->function_at(2), 0);
    EXPECT_EQ(subject->function_at(3), 1);
    EXPECT_EQ(subject->function_at(8), 2);
}

TEST(Subject, OnlyFrozenDataIsFolded) {
    object::ObjectSpec spec;
    const auto add = [&](const char* name, object::MapOrigin origin, bool read_only, uint32_t flags) {
        object::MapSpec map;
        map.name = name;
        map.type = 2;
        map.key_size = 4;
        map.value_size = 8;
        map.max_entries = 1;
        map.origin = origin;
        map.read_only = read_only;
        map.flags = flags;
        if (origin == object::MapOrigin::Data) map.initial = {std::byte{7}};
        spec.maps.push_back(map);
    };
    add(".rodata", object::MapOrigin::Data, true, 0x80);
    add(".data", object::MapOrigin::Data, false, 0);
    add(".kconfig", object::MapOrigin::Kconfig, true, 0x80);
    add("mine", object::MapOrigin::Btf, false, 0x80);
    BoundProgram program;
    for (uint32_t i = 0; i < 4; ++i) program.maps.push_back({i, platform::MapType::Array});
    const auto subject = make_subject(spec, std::make_shared<const BoundProgram>(std::move(program)));
    ASSERT_TRUE(subject.ok());
    EXPECT_TRUE(subject->maps[0].read_only);
    ASSERT_EQ(subject->maps[0].constant.size(), 8u);
    EXPECT_EQ(subject->maps[0].constant[0], std::byte{7});
    EXPECT_EQ(subject->maps[0].constant[7], std::byte{0});
    EXPECT_FALSE(subject->maps[1].read_only);
    EXPECT_TRUE(subject->maps[1].constant.empty());
    EXPECT_TRUE(subject->maps[2].read_only);
    EXPECT_TRUE(subject->maps[2].constant.empty());
    EXPECT_TRUE(subject->maps[3].read_only);
    EXPECT_TRUE(subject->maps[3].constant.empty());
}

TEST(Subject, TemplatesOfMapsOfMapsFollowTheProgramsMaps) {
    object::ObjectSpec spec;
    object::MapSpec outer;
    outer.name = "outer";
    outer.type = 12;
    object::MapSpec inner;
    inner.name = "outer.inner";
    inner.type = 1;
    inner.key_size = 4;
    inner.value_size = 24;
    outer.inner.push_back(inner);
    spec.maps.push_back(outer);
    BoundProgram program;
    program.maps.push_back({0, platform::MapType::ArrayOfMaps});
    const auto bound = std::make_shared<const BoundProgram>(std::move(program));
    const auto subject = make_subject(spec, bound);
    ASSERT_TRUE(subject.ok());
    ASSERT_EQ(subject->maps.size(), 2u);
    EXPECT_EQ(subject->maps[0].inner, 1);
    EXPECT_EQ(subject->maps[1].type, platform::MapType::Hash);
    EXPECT_EQ(subject->maps[1].value_size, 24u);
    spec.maps[0].inner[0].unsupported = "a field nobody knows";
    EXPECT_EQ(make_subject(spec, bound).error().code(), Errc::Unsupported);
}

}  // namespace
}  // namespace skep::verifier
