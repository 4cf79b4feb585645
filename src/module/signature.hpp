// SPDX-License-Identifier: Apache-2.0
// Signatures of modules. ELF images carry a CMS signature behind them in the layout of the kernel's sign-file; PE
// images carry Authenticode. The library behind it is OpenSSL where the build has it (signature_openssl.cpp); a build
// without it (signature_absent.cpp) signs and accepts nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace skep::module {

using Buffer = std::vector<std::byte>;

/// What ends a signed ELF image (kernel: MODULE_SIG_STRING).
inline constexpr std::string_view signature_mark = "~Module signature appended~\n";

struct SplitImage {
    SplitImage() = default;
    SplitImage(SplitImage&&) = default;
    SplitImage& operator=(SplitImage&&) = default;

    Bytes content;    ///< what is signed, and what is mapped: of the file, or of `own`
    Bytes signature;  ///< of the file: CMS (ELF) or PKCS#7 (PE), DER; empty: not signed
    Buffer own;       ///< PE: the image without its table of certificates, its checksum and the table's place zero
};

/// Takes an image and its signature apart: the trailer of ELF, the table of certificates of PE. Errors: Malformed (a
/// signature of another kind, or one that does not fit the file).
Result<SplitImage> split_signature(Bytes file);

/// What of a PE image its signature covers: all but these bytes. Nothing for another image.
struct PeFields {
    size_t checksum = 0;   ///< 4 bytes
    size_t directory = 0;  ///< 8 bytes: place and size of the table of certificates
};
std::optional<PeFields> pe_fields(Bytes image);

/// The file with its trailer.
Buffer append_signature(Bytes content, Bytes signature);

/// Whom to believe. Nothing of the system's own store enters.
struct Trust {
    std::vector<Buffer> roots;         ///< PEM, each of one or more certificates
    std::vector<std::string> signers;  ///< SHA-256 of certificates, lower-case hex; empty: any that chains to a root
    std::vector<std::string> denied_images;        ///< SHA-256 of an image without its signature
    std::vector<std::string> denied_serials;       ///< serial numbers of signers' certificates, hex
    std::vector<std::string> denied_certificates;  ///< SHA-256 of certificates anywhere in the chain
    std::optional<int64_t> time;                   ///< seconds since 1970; nothing: now
};

struct Signer {
    std::string subject, issuer, serial;
    std::string digest;  ///< SHA-256 of the certificate
    std::string not_before, not_after;
    std::vector<std::string> chain;  ///< subjects, up to the root
};

/// Whether `signature` is one over exactly `content`, by one signer whose certificate may sign code, is valid now, and
/// chains to a root of `trust`. There is no time-stamp rule: an expired certificate's signatures end with it, and a
/// module has to be signed anew. Errors: Rejected, with the check that failed and on what; Unavailable.
Result<Signer> verify_signature(Bytes content, Bytes signature, const Trust& trust);

struct SigningKey {
    Buffer key;          ///< PEM, private
    Buffer certificate;  ///< PEM
    Buffer chain;        ///< PEM of certificates between it and the root; may be empty
};

/// A CMS signature over `content`: detached, SHA-256, without signed attributes (as the kernel's sign-file makes it).
/// Errors: Malformed (the key or certificate), InvalidArgument (they do not belong together), Unavailable.
Result<Buffer> make_signature(Bytes content, const SigningKey& key);

/// A root and a signer below it, for trying things out and for tests.
struct TestKeys {
    Buffer root_key, root_certificate;
    Buffer signer_key, signer_certificate;
};
struct TestKeyOptions {
    std::string name = "skep test";
    int64_t starts_after_seconds = -60;            ///< from now
    int64_t ends_after_seconds = 365 * 24 * 3600;  ///< from now
    bool code_signing = true;                      ///< the extended key usage of the signer's certificate
};
Result<TestKeys> make_test_keys(const TestKeyOptions& options = {});

/// SHA-256 in lower-case hex.
std::string digest_text(Bytes bytes);

}  // namespace skep::module
