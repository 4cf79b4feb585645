// SPDX-License-Identifier: Apache-2.0
// JSON to bytes and bytes to values, without BTF here; with BTF through `skep run` (tests/command/run_test.py).
#include "cli/run/values.hpp"

#include <gtest/gtest.h>

namespace skep::cli {
namespace {

std::string hex(const Result<Buffer>& bytes) {
    return bytes ? btf::hex_text(*bytes) : "refused: " + bytes.error().why();
}

TEST(BytesOf, TakesHexNumbersAndArrays) {
    const struct {
        const char* json;
        size_t size;
        const char* bytes;
    } rows[] = {
        {R"("0a 4d 00 02")", 4, "0a 4d 00 02"},
        {R"("0a4d0002")", 4, "0a 4d 00 02"},
        {R"("0A:4D:00:02")", 4, "0a 4d 00 02"},
        {R"("a 4 0 2")", 4, "0a 04 00 02"},
        {"258", 4, "02 01 00 00"},
        {"255", 1, "ff"},
        {"-1", 4, "ff ff ff ff"},
        {"-128", 1, "80"},
        {"18446744073709551615", 8, "ff ff ff ff ff ff ff ff"},
        {"true", 2, "01 00"},
        {"[1, 2, 255]", 4, "01 02 ff 00"},
        {"[]", 2, "00 00"},
    };
    for (const auto& row : rows)
        EXPECT_EQ(hex(bytes_of(*parse_json(row.json), {}, row.size, "x")), row.bytes) << row.json;
}

TEST(BytesOf, RefusesWhatDoesNotFit) {
    const struct {
        const char* json;
        size_t size;
    } rows[] = {
        {R"("0a 4d")", 4}, {R"("0a 4d 00 02 03")", 4},
        {R"("0g")", 1},    {R"("")", 1},
        {"256", 1},        {"-129", 1},
        {"1", 16},         {"1.5", 8},
        {"null", 4},       {"{}", 4},
        {"[256]", 4},      {"[1,2,3,4,5]", 4},
    };
    for (const auto& row : rows) {
        const Result<Buffer> bytes = bytes_of(*parse_json(row.json), {}, row.size, "x");
        ASSERT_FALSE(bytes.ok()) << row.json;
        EXPECT_EQ(bytes.error().code(), Errc::InvalidArgument);
    }
}

TEST(Summed, AddsWordsOfAllCpus) {
    const auto buffer = [](std::initializer_list<uint8_t> bytes) {
        Buffer out;
        for (const uint8_t b : bytes) out.push_back(std::byte{b});
        return out;
    };
    const std::vector<Buffer> words = {buffer({255, 0, 0, 0, 0, 0, 0, 0}), buffer({2, 0, 0, 0, 0, 0, 0, 0})};
    EXPECT_EQ(btf::to_text(summed({}, words)), "257");
    const std::vector<Buffer> halves = {buffer({255, 255, 255, 255}), buffer({2, 0, 0, 0})};
    EXPECT_EQ(btf::to_text(summed({}, halves)), "1");
    const std::vector<Buffer> one = {buffer({1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0, 0, 0, 0, 0, 0})};
    EXPECT_EQ(btf::to_text(summed({}, one)), "01 02 03 04 05 06 07 08 01 00 00 00 00 00 00 00");
}

}  // namespace
}  // namespace skep::cli
