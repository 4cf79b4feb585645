// SPDX-License-Identifier: Apache-2.0
#include "btf/dump.hpp"

#include <gtest/gtest.h>

#include "btf/test_types.hpp"

namespace skep::btf {
namespace {

std::vector<std::byte> bytes(std::initializer_list<int> values) {
    std::vector<std::byte> out;
    for (const int v : values) out.push_back(static_cast<std::byte>(v));
    return out;
}

TEST(Dump, ShowsValuesByTheirType) {
    Types types;
    const TypeId u8 = types.integer("unsigned char", 1);
    const TypeId s16 = types.integer("short", 2, true);
    const TypeId u64 = types.integer("unsigned long", 8);
    const TypeId character = types.integer("char", 1, true);
    const TypeId text = types.array(character, 4);
    const TypeId mac = types.array(u8, 3);
    const TypeId list = types.array(s16, 2);
    const TypeId boolean = types.add(Kind::Int, "_Bool", 0, 1, {4u << 24 | 8});
    const TypeId mode = types.choice("mode", {{"OFF", 0}, {"ON", 7}});
    const TypeId negative = types.add(Kind::Enum, "signed", 1, 4, {types.text("MINUS"), 0xffffffff}, true);
    const TypeId pointer = types.pointer(0);
    const TypeId real = types.add(Kind::Float, "double", 0, 8);
    const TypeId inside = types.record("", 2, {{"b", s16, 0}});
    const TypeId outside = types.record("outer", 4, {{"a", s16, 0}, {"", inside, 16}});
    const TypeId bits = types.record("bits", 4, {{"low", s16, 0, 3}, {"mid", u64, 3, 9}, {"mode", mode, 12, 3}});
    const TypeId either = types.composite(Kind::Union, "either", 2, {{"number", s16, 0}, {"byte", u8, 0}});
    const auto btf = types.parse();
    ASSERT_TRUE(btf) << btf.error().to_string();
    const struct {
        TypeId type;
        std::vector<std::byte> data;
        const char* text;
    } rows[] = {
        {s16, bytes({0xfe, 0xff}), "-2"},
        {u64, bytes({1, 0, 0, 0, 0, 0, 0, 0x80}), "9223372036854775809"},
        {boolean, bytes({1}), "true"},
        {text, bytes({'e', 't', 'h', '0'}), "\"eth0\""},
        {text, bytes({'l', 'o', 0, 0}), "\"lo\""},
        {text, bytes({'l', 'o', 0, 1}), "6c 6f 00 01"},
        {mac, bytes({2, 0xab, 0}), "02 ab 00"},
        {list, bytes({1, 0, 0xff, 0xff}), "[1, -1]"},
        {list, bytes({1, 0, 0xff}), "[1, ...]"},
        {mode, bytes({7, 0, 0, 0}), "ON"},
        {mode, bytes({8, 0, 0, 0}), "8"},
        {negative, bytes({0xff, 0xff, 0xff, 0xff}), "MINUS"},
        {negative, bytes({0xfe, 0xff, 0xff, 0xff}), "-2"},
        {pointer, bytes({0x10, 0x80, 0, 0, 0, 0, 0, 0}), "0x8010"},
        {real, bytes({0, 0, 0, 0, 0, 0, 0xf8, 0x3f}), "1.5"},
        {outside, bytes({1, 0, 2, 0}), "{a: 1, b: 2}"},
        {outside, bytes({1, 0}), "{a: 1, b: ...}"},
        {bits, bytes({0xfd, 0x7f, 0, 0}), "{low: -3, mid: 511, mode: ON}"},
        {either, bytes({0xff, 0xff}), "{number: -1, byte: 255}"},
        {0, bytes({1, 2}), "01 02"},
    };
    for (const auto& row : rows) EXPECT_EQ(to_text(read_value(*btf, row.type, row.data)), row.text);
}

TEST(Dump, AUnionOfUnionsDoesNotExplode) {
    // Each level shows the one below eight times: 8^20 nodes if nothing stopped it.
    Types types;
    TypeId below = types.integer("int", 4);
    for (int level = 0; level < 20; ++level) {
        std::vector<Types::Part> parts;
        for (int i = 0; i < 8; ++i) parts.push_back({"m", below, 0});
        below = types.composite(Kind::Union, "u", 4, parts);
    }
    const auto btf = types.parse();
    ASSERT_TRUE(btf);
    EXPECT_LT(to_text(read_value(*btf, below, bytes({1, 2, 3, 4}))).size(), 100'000u);
}

TEST(Dump, AnArrayOfNothingIsEmpty) {
    Types types;
    const TypeId nothing = types.record("nothing", 0, {});
    const TypeId many = types.array(nothing, UINT32_MAX);
    const auto btf = types.parse();
    ASSERT_TRUE(btf);
    EXPECT_EQ(to_text(read_value(*btf, many, bytes({1}))), "[]");
}

}  // namespace
}  // namespace skep::btf
