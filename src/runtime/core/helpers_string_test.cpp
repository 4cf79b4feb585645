// SPDX-License-Identifier: Apache-2.0
// bpf_strtol, bpf_strtoul, bpf_strncmp against the rules of __bpf_strtoull and _parse_integer.
#include "runtime/core/testing.hpp"

namespace skep::runtime {
namespace {

using namespace testing;

constexpr int64_t einval = -22, erange = -34;

struct NumberRow {
    const char* text;
    uint64_t flags;
    int64_t result;
    int64_t value;
};

TEST(Strtol, ReadsBlanksSignPrefixAndDigits) {
    const NumberRow rows[] = {
        {"0", 0, 1, 0},
        {"42", 0, 2, 42},
        {"42x", 0, 2, 42},
        {"  42", 0, 4, 42},
        {"\t\n\v\f\r 7", 0, 7, 7},
        {"-42", 0, 3, -42},
        {" -42", 0, 4, -42},
        {"+42", 0, einval, 0},
        {"--42", 0, einval, 0},
        {"- 42", 0, einval, 0},
        {"", 0, einval, 0},
        {" ", 0, einval, 0},
        {"-", 0, einval, 0},
        {"x", 0, einval, 0},
        {"010", 0, 3, 8},
        {"010", 10, 3, 10},
        {"010", 8, 3, 8},
        {"08", 0, 1, 0},
        {"0x1f", 0, 4, 31},
        {"0X1F", 0, 4, 31},
        {"0x", 0, 1, 0},
        {"0xg", 0, 1, 0},
        {"0x", 16, einval, 0},
        {"0x1f", 16, 4, 31},
        {"1f", 16, 2, 31},
        {"0x1f", 10, 1, 0},
        {"1f", 10, 1, 1},
        {"9223372036854775807", 0, 19, INT64_MAX},
        {"9223372036854775808", 0, erange, 0},
        {"-9223372036854775808", 0, 20, INT64_MIN},
        {"-9223372036854775809", 0, erange, 0},
        {"18446744073709551616", 0, erange, 0},
        {"1", 2, einval, 0},
        {"1", 9, einval, 0},
        {"1", 31, einval, 0},
        {"1", 32, einval, 0},
        {"1", 32 + 10, einval, 0},
    };
    TestRun run;
    for (const NumberRow& row : rows) {
        int64_t value = 99;
        EXPECT_EQ(run.call(HelperId::Strtol, address(row.text), strlen(row.text), row.flags, address(&value)),
                  row.result)
            << '"' << row.text << "\", base " << row.flags;
        EXPECT_EQ(value, row.value) << '"' << row.text << "\", base " << row.flags;
    }
}

TEST(Strtol, LooksNoFurtherThanItsBuffer) {
    TestRun run;
    int64_t value = 0;
    EXPECT_EQ(run.call(HelperId::Strtol, address("1234"), 2, 0, address(&value)), 2);
    EXPECT_EQ(value, 12);
    EXPECT_EQ(run.call(HelperId::Strtol, address("0x1"), 2, 0, address(&value)), 1);
    EXPECT_EQ(value, 0);
}

TEST(Strtoul, TakesAllOf64BitsAndNoSign) {
    const NumberRow rows[] = {
        {"18446744073709551615", 0, 20, -1},
        {"18446744073709551616", 0, erange, 0},
        {"0xffffffffffffffff", 0, 18, -1},
        {"0x10000000000000000", 0, erange, 0},
        {"-1", 0, einval, 0},
        {"1777777777777777777777", 8, 22, -1},
        {"2000000000000000000000", 8, erange, 0},
    };
    TestRun run;
    for (const NumberRow& row : rows) {
        int64_t value = 99;
        EXPECT_EQ(run.call(HelperId::Strtoul, address(row.text), strlen(row.text), row.flags, address(&value)),
                  row.result)
            << row.text;
        EXPECT_EQ(value, row.value) << row.text;
    }
}

TEST(Strncmp, ComparesBytesUpToTheSizeOrANul) {
    const struct {
        const char* a;
        uint64_t size;
        const char* b;
        int64_t result;
    } rows[] = {
        {"same", 5, "same", 0}, {"samX", 3, "samY", 0}, {"samX", 4, "samY", -1}, {"b", 2, "a", 1},
        {"a", 2, "", 1},        {"", 1, "a", -1},       {"\xff", 1, "\x01", 1},  {"a\0x", 4, "a\0y", 0},
    };
    TestRun run;
    for (const auto& row : rows)
        EXPECT_EQ(run.call(HelperId::Strncmp, address(row.a), row.size, address(row.b)), row.result) << row.a;
}

}  // namespace
}  // namespace skep::runtime
