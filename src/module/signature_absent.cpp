// SPDX-License-Identifier: Apache-2.0
#include "module/signature.hpp"

namespace skep::module {

namespace {
Error absent() {
    return Error(Errc::Unavailable, "this build has no library for signatures", {},
                 "it can neither sign nor accept signed modules");
}
}  // namespace

Result<Signer> verify_signature(Bytes, Bytes, const Trust&) { return absent(); }
Result<Buffer> make_signature(Bytes, const SigningKey&) { return absent(); }
Result<TestKeys> make_test_keys(const TestKeyOptions&) { return absent(); }

}  // namespace skep::module
