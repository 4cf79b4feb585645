// SPDX-License-Identifier: Apache-2.0
// The format language of bpf_trace_printk, bpf_trace_vprintk and bpf_snprintf.
#include "runtime/core/testing.hpp"

namespace skep::runtime {
namespace {

using namespace testing;

constexpr int64_t einval = -22, enospc = -28;

std::string printed(const char* format, std::vector<uint64_t> arguments, int64_t* length = nullptr) {
    TestRun run;
    char text[1024] = "untouched";
    const int64_t r0 = run.call(HelperId::Snprintf, address(text), sizeof(text), address(format),
                                address(arguments.data()), arguments.size() * 8);
    if (length != nullptr) *length = r0;
    return text;
}

TEST(Format, PrintsWhatTheKernelPrints) {
    const uint8_t ip4[] = {192, 0, 2, 7};
    const uint8_t ip6[] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1f};
    const struct {
        const char* format;
        std::vector<uint64_t> arguments;
        const char* text;
    } rows[] = {
        {"plain", {}, "plain"},
        {"100%%", {}, "100%"},
        {"%d", {uint64_t(-5)}, "-5"},
        {"%i", {uint64_t(-5)}, "-5"},
        {"%u", {uint64_t(-1)}, "4294967295"},
        {"%d", {0x1'0000'0001}, "1"},
        {"%ld", {uint64_t(-5)}, "-5"},
        {"%lld", {0x1'0000'0001}, "4294967297"},
        {"%lu", {UINT64_MAX}, "18446744073709551615"},
        {"%lld", {0x8000'0000'0000'0000}, "-9223372036854775808"},
        {"%x", {0xdeadBEEF}, "deadbeef"},
        {"%X", {0xdeadBEEF}, "DEADBEEF"},
        {"%lx", {0x123456789abcdef0}, "123456789abcdef0"},
        {"%x", {0}, "0"},
        {"[%5d]", {42}, "[   42]"},
        {"[%-5d]", {42}, "[42   ]"},
        {"[%05d]", {42}, "[00042]"},
        {"[%05d]", {uint64_t(-42)}, "[-0042]"},
        {"[%-05d]", {42}, "[42   ]"},
        {"[%+d]", {42}, "[+42]"},
        {"[%+d]", {uint64_t(-42)}, "[-42]"},
        {"[% d]", {42}, "[ 42]"},
        {"[%+5d]", {42}, "[  +42]"},
        {"[%2d]", {1234}, "[1234]"},
        {"[%08lx]", {0xabc}, "[00000abc]"},
        {"%c%c", {'o', 'k'}, "ok"},
        {"[%3c]", {'x'}, "[  x]"},
        {"[%-3c]", {'x'}, "[x  ]"},
        {"%s!", {address("text")}, "text!"},
        {"[%6s]", {address("text")}, "[  text]"},
        {"[%-6s]", {address("text")}, "[text  ]"},
        {"[%2s]", {address("text")}, "[text]"},
        {"%s", {0}, ""},
        {"%s", {8}, ""},
        {"%pks", {address("text")}, "text"},
        {"%pus", {address("text")}, ""},
        {"%pI4", {address(ip4)}, "192.0.2.7"},
        {"%pi4", {address(ip4)}, "192.000.002.007"},
        {"%pI6", {address(ip6)}, "2001:0db8:0000:0000:0000:0000:0000:001f"},
        {"%pi6", {address(ip6)}, "20010db800000000000000000000001f"},
        {"%pI4", {0}, "0.0.0.0"},
        {"%pI4abc %d", {address(ip4), 1}, "192.0.2.7 1"},
        {"%px", {0xabc}, "0000000000000abc"},
        {"%pxyz", {0xabc}, "0000000000000abc"},
        {"%p", {0}, "0000000000000000"},
        {"%pS", {0xabc}, "0xabc"},
        {"%d %s %c %lld", {1, address("two"), '3', 4}, "1 two 3 4"},
        {"%d%%%d", {1, 2}, "1%2"},
    };
    for (const auto& row : rows) {
        int64_t length = 0;
        EXPECT_EQ(printed(row.format, row.arguments, &length), row.text) << row.format;
        EXPECT_EQ(length, static_cast<int64_t>(strlen(row.text)) + 1) << row.format;
    }
}

TEST(Format, RefusesWhatTheKernelRefuses) {
    const struct {
        const char* format;
        std::vector<uint64_t> arguments;
    } rows[] = {
        {"%", {1}},    {"%d", {}},     {"%d %d", {1}}, {"%f", {1}},  {"%o", {1}},   {"%hd", {1}}, {"%#x", {1}},
        {"%.3d", {1}}, {"%n", {1}},    {"%llld", {1}}, {"%sx", {1}}, {"%pI5", {1}}, {"%pI", {1}}, {"%pa", {1}},
        {"%pkx", {1}}, {"%pksx", {1}}, {"%5", {1}},    {"%l", {1}},  {"\x01", {}},  {"\x7f", {}}, {"\xc3\xa9", {}},
    };
    for (const auto& row : rows) {
        int64_t r0 = 0;
        EXPECT_EQ(printed(row.format, row.arguments, &r0), "untouched") << row.format;
        EXPECT_EQ(r0, einval) << row.format;
    }
}

TEST(Format, HidesAddressesButKeepsThemApart) {
    const std::string one = printed("%p", {0x1234}), same = printed("%p", {0x1234}), other = printed("%p", {0x1235});
    EXPECT_EQ(one.size(), 16u);
    EXPECT_EQ(one.substr(0, 8), "00000000");
    EXPECT_NE(one, "0000000000001234");
    EXPECT_EQ(one, same);
    EXPECT_NE(one, other);
    EXPECT_EQ(one, printed("%pK", {0x1234}));
}

TEST(Snprintf, CutsAtTheBufferAndTellsTheWholeLength) {
    TestRun run;
    char text[8] = "xxxxxxx";
    EXPECT_EQ(run.call(HelperId::Snprintf, address(text), 4, address("abcdef"), 0, 0), 7);
    EXPECT_STREQ(text, "abc");
    EXPECT_EQ(text[4], 'x');
    EXPECT_EQ(run.call(HelperId::Snprintf, 0, 0, address("abcdef"), 0, 0), 7);
}

TEST(Snprintf, TakesWholeWordsAndAtMostTwelve) {
    TestRun run;
    char text[64];
    const std::vector<uint64_t> words(13, 1);
    const char* format = "%d";
    const auto call = [&](const void* data, uint64_t bytes) {
        return run.call(HelperId::Snprintf, address(text), sizeof(text), address(format), address(data), bytes);
    };
    EXPECT_EQ(call(words.data(), 8), 2);
    EXPECT_EQ(call(words.data(), 12 * 8), 2);
    EXPECT_EQ(call(words.data(), 13 * 8), einval);
    EXPECT_EQ(call(words.data(), 7), einval);
    EXPECT_EQ(call(nullptr, 8), einval);
}

TEST(Snprintf, TextsShareFiveHundredAndTwelveBytes) {
    const std::string fits(510, 'a'), too_long(600, 'a');
    int64_t r0 = 0;
    EXPECT_EQ(printed("%s%c", {address(fits.c_str()), 'x'}, &r0), fits + "x");
    EXPECT_EQ(printed("%s", {address(too_long.c_str())}, &r0), std::string(511, 'a'));
    printed("%s%c", {address(too_long.c_str()), 'x'}, &r0);
    EXPECT_EQ(r0, enospc);
    printed("%s%d", {address(fits.c_str()), 1}, &r0);
    EXPECT_EQ(r0, enospc);
}

TEST(TracePrintk, WritesOneLineAndTakesThreeArguments) {
    TestRun run;
    const std::string format = "a=%d b=%s\n";
    EXPECT_EQ(run.call(HelperId::TracePrintk, address(format.c_str()), format.size() + 1, 7, address("x")), 8);
    ASSERT_EQ(run.lines.size(), 1u);
    EXPECT_EQ(run.lines[0], "a=7 b=x");
    const std::string four = "%d%d%d%d";
    EXPECT_EQ(run.call(HelperId::TracePrintk, address(four.c_str()), four.size() + 1, 1, 2, 3), einval);
    EXPECT_EQ(run.lines.size(), 1u);
}

TEST(TracePrintk, NeedsTheNulInsideTheSize) {
    TestRun run;
    EXPECT_EQ(run.call(HelperId::TracePrintk, address("text"), 4), einval);
    EXPECT_EQ(run.call(HelperId::TracePrintk, address("text"), 5), 4);
}

TEST(TraceVprintk, TakesTwelveArguments) {
    TestRun run;
    const std::string format = "%d%d%d%d%d%d%d%d%d%d%d%d";
    std::vector<uint64_t> words(12);
    for (size_t i = 0; i < words.size(); ++i) words[i] = i;
    EXPECT_EQ(run.call(HelperId::TraceVprintk, address(format.c_str()), format.size() + 1, address(words.data()), 96),
              14);
    EXPECT_EQ(run.lines.at(0), "01234567891011");
    EXPECT_EQ(run.call(HelperId::TraceVprintk, address(format.c_str()), format.size() + 1, address(words.data()), 95),
              einval);
}

}  // namespace
}  // namespace skep::runtime
