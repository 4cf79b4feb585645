// SPDX-License-Identifier: Apache-2.0
#include "base/sha256.hpp"

#include <gtest/gtest.h>

#include <string>

#include <fmt/format.h>

namespace skep {
namespace {

std::string digest(const std::string& text, size_t step) {
    Sha256 hash;
    for (size_t i = 0; i < text.size(); i += step) hash.update(text.data() + i, std::min(step, text.size() - i));
    uint8_t out[Sha256::digest_bytes];
    hash.finish(out);
    std::string hex;
    for (const uint8_t byte : out) hex += fmt::format("{:02x}", byte);
    return hex;
}

// The examples of FIPS 180-4 (NIST, "SHA256.pdf" of the examples with intermediate values), its long message, and the
// lengths around the padding's edge (computed with sha256sum).
TEST(Sha256, AgreesWithTheStandardsExamples) {
    struct Row {
        std::string text;
        const char* digest;
    };
    const Row rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqr"
         "s"
         "tu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
        {std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
        {std::string(55, 'a'), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        {std::string(56, 'a'), "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        {std::string(63, 'a'), "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
        {std::string(64, 'a'), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
    };
    for (const Row& row : rows) {
        EXPECT_EQ(digest(row.text, row.text.size() + 1), row.digest) << row.text.size() << " bytes at once";
        if (row.text.size() < 1000) {
            for (const size_t step : {1, 3, 63, 64, 65}) EXPECT_EQ(digest(row.text, step), row.digest) << step;
        }
    }
}

}  // namespace
}  // namespace skep
