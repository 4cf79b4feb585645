// SPDX-License-Identifier: Apache-2.0
#include "module/signature.hpp"

#include <gtest/gtest.h>

#include <ctime>

namespace skep::module {
namespace {

Buffer bytes_of(std::string_view text) {
    const Bytes bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

TEST(Trailer, IsTakenApartAsItWasPutTogether) {
    const Buffer content = bytes_of("an image"), signature = bytes_of("a signature");
    const Buffer file = append_signature(content, signature);
    const auto split = split_signature(file);
    ASSERT_TRUE(split);
    EXPECT_EQ(Buffer(split->content.begin(), split->content.end()), content);
    EXPECT_EQ(Buffer(split->signature.begin(), split->signature.end()), signature);
    const auto plain = split_signature(content);
    ASSERT_TRUE(plain);
    EXPECT_TRUE(plain->signature.empty());
    // Every field in front of the mark says something.
    for (size_t i = file.size() - signature_mark.size() - 12; i < file.size() - signature_mark.size(); ++i) {
        Buffer bad = file;
        bad[i] ^= std::byte{0x40};
        const auto damaged = split_signature(bad);
        EXPECT_FALSE(damaged) << "byte " << i;
    }
    for (size_t size = file.size() - signature_mark.size(); size < file.size(); ++size)
        EXPECT_TRUE(split_signature(Bytes(file).first(size))->signature.empty());
}

class Signatures : public ::testing::Test {
  protected:
    void SetUp() override {
        static const Result<TestKeys> made = make_test_keys();
        if (!made) GTEST_SKIP() << made.error().to_string();
        keys_ = *made;
        trust_.roots = {keys_.root_certificate};
    }
    static Buffer sign(const Buffer& content, const TestKeys& keys) {
        auto made = make_signature(content, {keys.signer_key, keys.signer_certificate, {}});
        EXPECT_TRUE(made) << made.error().to_string();
        return made ? *made : Buffer{};
    }
    static void refused(const Result<Signer>& result, const char* because) {
        ASSERT_FALSE(result) << "accepted; expected: " << because;
        EXPECT_EQ(result.error().code(), Errc::Rejected);
        EXPECT_NE(result.error().what().find(because), std::string::npos) << result.error().to_string();
    }

    const Buffer content_ = bytes_of("the bytes of an image");
    TestKeys keys_;
    Trust trust_;
};

TEST_F(Signatures, HoldForExactlyTheirBytes) {
    const Buffer signature = sign(content_, keys_);
    const auto good = verify_signature(content_, signature, trust_);
    ASSERT_TRUE(good) << good.error().to_string();
    EXPECT_EQ(good->subject, "CN=skep test signer");
    EXPECT_EQ(good->chain.size(), 2u);
    for (size_t i = 0; i < content_.size(); ++i) {
        Buffer bad = content_;
        bad[i] ^= std::byte{1};
        refused(verify_signature(bad, signature, trust_), "changed after it was signed");
    }
    refused(verify_signature({}, signature, trust_), "changed after it was signed");
    Buffer longer = signature;
    longer.push_back(std::byte{0});
    refused(verify_signature(content_, longer, trust_), "signature is damaged");
    for (size_t i = 0; i < signature.size(); ++i) {
        Buffer bad = signature;
        bad[i] ^= std::byte{1};
        const auto result = verify_signature(content_, bad, trust_);
        // Few bytes (of unused attributes) mean nothing; none may make another signer of it.
        if (result) {
            EXPECT_EQ(result->digest, good->digest) << "byte " << i;
        }
    }
}

TEST_F(Signatures, NeedASignerWhoMaySignCode) {
    auto other = make_test_keys({.name = "web", .code_signing = false});
    ASSERT_TRUE(other);
    trust_.roots.push_back(other->root_certificate);
    refused(verify_signature(content_, sign(content_, *other), trust_), "not one for signing code");
}

TEST_F(Signatures, EndWithTheirCertificate) {
    const auto now = static_cast<int64_t>(std::time(nullptr));
    auto old = make_test_keys({.name = "old", .starts_after_seconds = -7200, .ends_after_seconds = -3600});
    auto early = make_test_keys({.name = "early", .starts_after_seconds = 3600});
    ASSERT_TRUE(old && early);
    trust_.roots = {old->root_certificate, early->root_certificate, keys_.root_certificate};
    refused(verify_signature(content_, sign(content_, *old), trust_), "has expired");
    refused(verify_signature(content_, sign(content_, *early), trust_), "is not valid yet");
    trust_.time = now - 5400;
    EXPECT_TRUE(verify_signature(content_, sign(content_, *old), trust_));
    trust_.time = now + 7200;
    EXPECT_TRUE(verify_signature(content_, sign(content_, *early), trust_));
    trust_.time = now + int64_t{400} * 24 * 3600;
    refused(verify_signature(content_, sign(content_, keys_), trust_), "has expired");
}

TEST_F(Signatures, ChainToARootThatWasChosen) {
    auto other = make_test_keys();  // the same names, other keys
    ASSERT_TRUE(other);
    const Buffer signature = sign(content_, keys_);
    Trust wrong;
    refused(verify_signature(content_, signature, wrong), "no root is trusted");
    wrong.roots = {other->root_certificate};
    refused(verify_signature(content_, signature, wrong), "does not chain to a trusted root");
    wrong.roots.push_back(keys_.root_certificate);
    EXPECT_TRUE(verify_signature(content_, signature, wrong));
    // The signer's own certificate is no root of itself, and the root signs no modules.
    Trust self;
    self.roots = {keys_.signer_certificate};
    refused(verify_signature(content_, signature, self), "does not chain to a trusted root");
    auto by_root = make_signature(content_, {keys_.root_key, keys_.root_certificate, {}});
    ASSERT_TRUE(by_root);
    refused(verify_signature(content_, *by_root, trust_), "one of an authority");
}

TEST_F(Signatures, AreRefusedByTheDenyList) {
    const Buffer signature = sign(content_, keys_);
    const auto signer = verify_signature(content_, signature, trust_);
    ASSERT_TRUE(signer);
    Trust denied = trust_;
    denied.denied_images = {digest_text(content_)};
    refused(verify_signature(content_, signature, denied), "denied images");
    denied = trust_;
    denied.denied_serials = {signer->serial};
    refused(verify_signature(content_, signature, denied), "denied serial");
    denied = trust_;
    denied.denied_certificates = {signer->digest};
    refused(verify_signature(content_, signature, denied), "denied certificates");
    denied = trust_;
    denied.signers = {std::string(64, '0')};
    refused(verify_signature(content_, signature, denied), "not one of those that the policy names");
    denied.signers.push_back(signer->digest);
    EXPECT_TRUE(verify_signature(content_, signature, denied));
}

TEST_F(Signatures, AreNotMadeWithAnotherKey) {
    auto other = make_test_keys();
    ASSERT_TRUE(other);
    EXPECT_FALSE(make_signature(content_, {other->signer_key, keys_.signer_certificate, {}}));
    EXPECT_FALSE(make_signature(content_, {keys_.signer_certificate, keys_.signer_certificate, {}}));
}

}  // namespace
}  // namespace skep::module
