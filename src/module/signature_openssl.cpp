// SPDX-License-Identifier: Apache-2.0
// Signing and checking with OpenSSL 3. The chain is checked apart from the signature, so that each refusal has its own
// words; the purpose "code signing" is checked by hand, because OpenSSL 3.0 knows it for CMS only as S/MIME.
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>

#include "module/authenticode.hpp"
#include "module/signature.hpp"

namespace skep::module {

namespace {

template <auto Free>
struct Freer {
    template <typename T>
    void operator()(T* p) const {
        Free(p);
    }
};
void free_certificates(STACK_OF(X509) * list) { sk_X509_pop_free(list, X509_free); }
void free_borrowed(STACK_OF(X509) * list) { sk_X509_free(list); }

using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Certificates = std::unique_ptr<STACK_OF(X509), Freer<free_certificates>>;
using Borrowed = std::unique_ptr<STACK_OF(X509), Freer<free_borrowed>>;
using Cms = std::unique_ptr<CMS_ContentInfo, Freer<CMS_ContentInfo_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Store = std::unique_ptr<X509_STORE, Freer<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Freer<X509_STORE_CTX_free>>;

std::string openssl_words() {
    std::string out;
    while (const unsigned long code = ERR_get_error()) {
        char text[256];
        ERR_error_string_n(code, text, sizeof text);
        out += std::string(out.empty() ? "" : "; ") + text;
    }
    return out;
}

Bio reader(Bytes bytes) { return Bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()))); }
Bytes contents(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return as_bytes(std::string_view(data, static_cast<size_t>(size)));
}
Buffer copy(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

/// No pass phrase is ever asked for.
int no_password(char*, int, int, void*) { return 0; }

Certificates read_certificates(Bytes pem) {
    Certificates list(sk_X509_new_null());
    const Bio bio = reader(pem);
    while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)) sk_X509_push(list.get(), one);
    ERR_clear_error();
    return list;
}

std::string name_text(const X509_NAME* name) {
    const Bio bio(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    const Bytes text = contents(bio.get());
    return {reinterpret_cast<const char*>(text.data()), text.size()};
}
std::string time_text(const ASN1_TIME* time) {
    const Bio bio(BIO_new(BIO_s_mem()));
    ASN1_TIME_print(bio.get(), time);
    const Bytes text = contents(bio.get());
    return {reinterpret_cast<const char*>(text.data()), text.size()};
}
std::string serial_text(const X509* certificate) {
    std::string out;
    if (BIGNUM* number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr)) {
        if (char* text = BN_bn2hex(number)) {
            out = text;
            OPENSSL_free(text);
        }
        BN_free(number);
    }
    std::ranges::transform(out, out.begin(),
                           [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
    return out;
}
std::string certificate_digest(const X509* certificate) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    X509_digest(certificate, EVP_sha256(), digest, &size);
    std::string out;
    for (unsigned i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
    return out;
}

bool contains(const std::vector<std::string>& list, const std::string& text) {
    return std::ranges::find(list, text) != list.end();
}

Error refuse(std::string what, std::string why = {}, std::string hint = {}) {
    return Error(Errc::Rejected, std::move(what), std::move(why), std::move(hint));
}

bool is_strong_digest(int nid) { return nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512; }

/// Everything about the signer besides the signature.
Result<Signer> check_signer(X509* certificate, STACK_OF(X509) * others, const Trust& trust) {
    Signer out;
    out.subject = name_text(X509_get_subject_name(certificate));
    out.issuer = name_text(X509_get_issuer_name(certificate));
    out.serial = serial_text(certificate);
    out.digest = certificate_digest(certificate);
    out.not_before = time_text(X509_get0_notBefore(certificate));
    out.not_after = time_text(X509_get0_notAfter(certificate));
    const std::string who = fmt::format("signed by {} (certificate {})", out.subject, out.digest);
    if (contains(trust.denied_serials, out.serial))
        return refuse("the signer's certificate is on the list of denied serial numbers", "serial " + out.serial);
    const uint32_t flags = X509_get_extension_flags(certificate);
    if ((flags & EXFLAG_INVALID) != 0) return refuse("the signer's certificate is damaged", who);
    if ((flags & EXFLAG_CA) != 0)
        return refuse("the signer's certificate is one of an authority, not of a signer", who);
    if ((flags & EXFLAG_XKUSAGE) == 0 || (X509_get_extended_key_usage(certificate) & XKU_CODE_SIGN) == 0)
        return refuse("the signer's certificate is not one for signing code", who,
                      "its extended key usage has to name codeSigning");

    const Store store(X509_STORE_new());
    int roots = 0;
    for (const Buffer& pem : trust.roots) {
        const Certificates list = read_certificates(pem);
        for (int i = 0; i < sk_X509_num(list.get()); ++i, ++roots)
            X509_STORE_add_cert(store.get(), sk_X509_value(list.get(), i));
    }
    if (roots == 0)
        return refuse("no root is trusted", who, "name the administrator's root in the policy, or with --root FILE");
    const StoreContext context(X509_STORE_CTX_new());
    X509_STORE_CTX_init(context.get(), store.get(), certificate, others);
    X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
    X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_ANY);
    X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(trust.time.value_or(std::time(nullptr))));
    X509_VERIFY_PARAM_set_depth(parameters, 8);
    if (X509_verify_cert(context.get()) != 1) {
        const int error = X509_STORE_CTX_get_error(context.get());
        if (error == X509_V_ERR_CERT_HAS_EXPIRED)
            return refuse("a certificate of the module's signer has expired",
                          fmt::format("{}, valid until {}", who, out.not_after),
                          "sign the module again with a valid certificate");
        if (error == X509_V_ERR_CERT_NOT_YET_VALID)
            return refuse("a certificate of the module's signer is not valid yet",
                          fmt::format("{}, valid from {}", who, out.not_before));
        return refuse("the module's signer does not chain to a trusted root",
                      fmt::format("{}: {}", who, X509_verify_cert_error_string(error)));
    }
    STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context.get());
    for (int i = 0; i < sk_X509_num(chain); ++i) {
        X509* one = sk_X509_value(chain, i);
        const std::string one_digest = certificate_digest(one);
        if (contains(trust.denied_certificates, one_digest))
            return refuse("a certificate of the module's signer is on the list of denied certificates", one_digest);
        // An authority that may only vouch for others than signers of code.
        const bool bounded = i > 0 && (X509_get_extension_flags(one) & EXFLAG_XKUSAGE) != 0;
        if (bounded && (X509_get_extended_key_usage(one) & (XKU_CODE_SIGN | XKU_ANYEKU)) == 0)
            return refuse("the module's signer does not chain to a trusted root",
                          fmt::format("{}: a certificate is for another use", who));
        out.chain.push_back(name_text(X509_get_subject_name(one)));
    }
    if (!trust.signers.empty() && !contains(trust.signers, out.digest))
        return refuse("the module's signer is not one of those that the policy names", who);
    return out;
}

Result<Signer> verify_cms(Bytes content, Bytes signature, const Trust& trust) {
    const auto* start = reinterpret_cast<const unsigned char*>(signature.data());
    const unsigned char* at = start;
    const Cms cms(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(signature.size())));
    if (cms == nullptr || at != start + signature.size() || OBJ_obj2nid(CMS_get0_type(cms.get())) != NID_pkcs7_signed)
        return refuse("the module's signature is damaged", openssl_words());
    if (CMS_is_detached(cms.get()) != 1) return refuse("the module's signature carries content of its own");
    STACK_OF(CMS_SignerInfo)* infos = CMS_get0_SignerInfos(cms.get());
    if (sk_CMS_SignerInfo_num(infos) != 1) return refuse("the module's signature has not exactly one signer");
    X509_ALGOR* digest = nullptr;
    CMS_SignerInfo_get0_algs(sk_CMS_SignerInfo_value(infos, 0), nullptr, nullptr, &digest, nullptr);
    const int digest_nid = OBJ_obj2nid(digest->algorithm);
    if (!is_strong_digest(digest_nid))
        return refuse("the module's signature uses a digest that is not accepted", OBJ_nid2sn(digest_nid),
                      "sign it with SHA-256");

    const Bio data = reader(content);
    if (CMS_verify(cms.get(), nullptr, nullptr, data.get(), nullptr,
                   CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY | CMS_NOCRL) != 1)
        return refuse("the module was changed after it was signed",
                      "its signature is not one of these bytes: " + openssl_words());
    const Borrowed signers(CMS_get0_signers(cms.get()));
    if (signers == nullptr || sk_X509_num(signers.get()) != 1)
        return refuse("the module's signature carries no certificate of its signer");
    X509* certificate = sk_X509_value(signers.get(), 0);
    const Certificates others(CMS_get1_certs(cms.get()));
    return check_signer(certificate, others.get(), trust);
}

using Pkcs7 = std::unique_ptr<PKCS7, Freer<PKCS7_free>>;

/// Authenticode: PKCS#7 over a SpcIndirectDataContent, which holds the image's SHA-256. The signed messageDigest covers
/// that content, so a digest that was replaced in it is found (platforms.md: the forgery that some checks accept).
Result<Signer> verify_authenticode(Bytes content, const PeFields& fields, Bytes signature, const Trust& trust) {
    const auto damaged = [](const char* why) { return refuse("the module's signature is damaged", why); };
    const auto* start = reinterpret_cast<const unsigned char*>(signature.data());
    const unsigned char* at = start;
    const Pkcs7 pkcs7(d2i_PKCS7(nullptr, &at, static_cast<long>(signature.size())));
    if (pkcs7 == nullptr || PKCS7_type_is_signed(pkcs7.get()) == 0) return damaged("it is no signed PKCS#7");
    for (const unsigned char* p = at; p != start + signature.size(); ++p)
        if (*p != 0) return damaged("something follows it");
    const PKCS7* inner = pkcs7->d.sign->contents;
    char type[64] = {};
    OBJ_obj2txt(type, sizeof type, inner->type, 1);
    if (std::string_view(type) != indirect_data_type || inner->d.other == nullptr ||
        inner->d.other->type != V_ASN1_SEQUENCE)
        return damaged("it is not over an image");
    const ASN1_STRING* sequence = inner->d.other->value.sequence;
    Bytes rest(reinterpret_cast<const std::byte*>(ASN1_STRING_get0_data(sequence)),
               static_cast<size_t>(ASN1_STRING_length(sequence)));
    const auto signed_content = next_element(rest, der_sequence);
    if (!signed_content || !rest.empty()) return damaged("what it is over is not well-formed");
    SKEP_TRY(check_image_digest(*signed_content, content, fields));

    STACK_OF(PKCS7_SIGNER_INFO)* infos = PKCS7_get_signer_info(pkcs7.get());
    if (sk_PKCS7_SIGNER_INFO_num(infos) != 1) return refuse("the module's signature has not exactly one signer");
    X509_ALGOR* used = nullptr;
    PKCS7_SIGNER_INFO_get0_algs(sk_PKCS7_SIGNER_INFO_value(infos, 0), nullptr, &used, nullptr);
    if (!is_strong_digest(OBJ_obj2nid(used->algorithm)))
        return refuse("the module's signature uses a digest that is not accepted", {}, "sign it with SHA-256");
    const Bio bio = reader(*signed_content);
    if (PKCS7_verify(pkcs7.get(), nullptr, nullptr, bio.get(), nullptr, PKCS7_NOVERIFY | PKCS7_BINARY) != 1)
        return refuse("the module was changed after it was signed",
                      "its signature is not one of its digest: " + openssl_words());
    const Borrowed signers(PKCS7_get0_signers(pkcs7.get(), nullptr, 0));
    if (signers == nullptr || sk_X509_num(signers.get()) != 1)
        return refuse("the module's signature carries no certificate of its signer");
    return check_signer(sk_X509_value(signers.get(), 0), pkcs7->d.sign->cert, trust);
}

}  // namespace

Result<Signer> verify_signature(Bytes content, Bytes signature, const Trust& trust) {
    ERR_clear_error();
    const std::string image = digest_text(content);
    if (contains(trust.denied_images, image))
        return refuse("the module is on the list of denied images", "SHA-256 " + image);
    if (const auto fields = pe_fields(content)) return verify_authenticode(content, *fields, signature, trust);
    return verify_cms(content, signature, trust);
}

Result<Buffer> make_signature(Bytes content, const SigningKey& from) {
    ERR_clear_error();
    const Bio key_bio = reader(from.key);
    const Key key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_password, nullptr));
    if (key == nullptr)
        return Error(Errc::Malformed, "the private key cannot be read", openssl_words(),
                     "it has to be PEM and not encrypted");
    const Certificates certificate = read_certificates(from.certificate);
    if (sk_X509_num(certificate.get()) == 0) return Error(Errc::Malformed, "the certificate cannot be read as PEM");
    X509* signer = sk_X509_value(certificate.get(), 0);
    if (X509_check_private_key(signer, key.get()) != 1)
        return Error(Errc::InvalidArgument, "the private key is not that of the certificate");
    const Certificates chain = read_certificates(from.chain);
    for (int i = 1; i < sk_X509_num(certificate.get()); ++i) {
        X509* extra = sk_X509_value(certificate.get(), i);
        X509_up_ref(extra);
        sk_X509_push(chain.get(), extra);
    }
    const Bio data = reader(content);
    constexpr unsigned flags = CMS_PARTIAL | CMS_BINARY | CMS_DETACHED;
    const Cms cms(CMS_sign(nullptr, nullptr, chain.get(), data.get(), flags));
    if (cms == nullptr ||
        CMS_add1_signer(cms.get(), signer, key.get(), EVP_sha256(), CMS_BINARY | CMS_NOSMIMECAP | CMS_NOATTR) ==
            nullptr ||
        CMS_final(cms.get(), data.get(), nullptr, CMS_BINARY | CMS_DETACHED) != 1)
        return Error(Errc::Unavailable, "the module cannot be signed", openssl_words());
    unsigned char* der = nullptr;
    const int size = i2d_CMS_ContentInfo(cms.get(), &der);
    if (size <= 0) return Error(Errc::Unavailable, "the module cannot be signed", openssl_words());
    Buffer out(reinterpret_cast<std::byte*>(der), reinterpret_cast<std::byte*>(der) + size);
    OPENSSL_free(der);
    return out;
}

namespace {

bool add_extension(X509* to, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    const bool added = extension != nullptr && X509_add_ext(to, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

Certificate make_certificate(const std::string& name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
                             const TestKeyOptions& options) {
    Certificate out(X509_new());
    X509_set_version(out.get(), 2);
    unsigned char serial[16] = {};
    BIGNUM* number = BN_new();
    BN_rand(number, static_cast<int>(sizeof serial * 8 - 1), BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(out.get()));
    BN_free(number);
    X509_gmtime_adj(X509_getm_notBefore(out.get()), issuer == nullptr ? -86400 * 3650 : options.starts_after_seconds);
    X509_gmtime_adj(X509_getm_notAfter(out.get()), issuer == nullptr
                                                       ? std::max<int64_t>(86400 * 3650, options.ends_after_seconds)
                                                       : options.ends_after_seconds);
    X509_NAME* subject = X509_get_subject_name(out.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                               -1, 0);
    X509* by = issuer == nullptr ? out.get() : issuer;
    X509_set_issuer_name(out.get(), X509_get_subject_name(by));
    X509_set_pubkey(out.get(), key);
    bool good = add_extension(out.get(), by, NID_subject_key_identifier, "hash");
    if (issuer == nullptr) {
        good = good && add_extension(out.get(), by, NID_basic_constraints, "critical,CA:TRUE") &&
               add_extension(out.get(), by, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        good = good && add_extension(out.get(), by, NID_basic_constraints, "critical,CA:FALSE") &&
               add_extension(out.get(), by, NID_key_usage, "critical,digitalSignature") &&
               add_extension(out.get(), by, NID_ext_key_usage, options.code_signing ? "codeSigning" : "serverAuth") &&
               add_extension(out.get(), by, NID_authority_key_identifier, "keyid");
    }
    if (!good || X509_sign(out.get(), issuer_key, EVP_sha256()) == 0) return nullptr;
    return out;
}

Buffer pem_of(X509* certificate) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), certificate);
    return copy(contents(bio.get()));
}
Buffer pem_of(EVP_PKEY* key) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return copy(contents(bio.get()));
}

}  // namespace

Result<TestKeys> make_test_keys(const TestKeyOptions& options) {
    ERR_clear_error();
    // RSA, because crypt32 of Wine 8 checks no message that is signed with another key.
    const Key root_key(EVP_RSA_gen(2048)), signer_key(EVP_RSA_gen(2048));
    if (root_key == nullptr || signer_key == nullptr)
        return Error(Errc::Unavailable, "no keys can be made", openssl_words());
    const Certificate root = make_certificate(options.name + " root", root_key.get(), nullptr, root_key.get(), options);
    const Certificate signer = root == nullptr ? nullptr
                                               : make_certificate(options.name + " signer", signer_key.get(),
                                                                  root.get(), root_key.get(), options);
    if (signer == nullptr) return Error(Errc::Unavailable, "no certificate can be made", openssl_words());
    return TestKeys{pem_of(root_key.get()), pem_of(root.get()), pem_of(signer_key.get()), pem_of(signer.get())};
}

}  // namespace skep::module
