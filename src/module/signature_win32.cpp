// SPDX-License-Identifier: Apache-2.0
// Checking with what Windows has: crypt32 for the signature and the chain, wintrust for the image. Neither alone is
// enough. WinVerifyTrust believes every root of the machine (and Wine's looks at the digest only); crypt32 of Wine
// compares no messageDigest, so that a digest that was replaced inside the signature passes both. Hence three checks
// of our own around them: the image's digest, the messageDigest over what holds it, and a chain to the administrator's
// roots and no other (hExclusiveRoot: no system store is asked, none is changed).
// clang-format off
#include <windows.h>
#include <wincrypt.h>
#include <wintrust.h>
#include <softpub.h>
// clang-format on
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/sha256.hpp"
#include "module/authenticode.hpp"
#include "module/os/win32_file.hpp"
#include "module/signature.hpp"

namespace skep::module {

namespace {

constexpr DWORD encoding = X509_ASN_ENCODING | PKCS_7_ASN_ENCODING;

template <typename T, auto Free>
struct Owned {
    T value{};
    Owned() = default;
    explicit Owned(T from) : value(from) {}
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    ~Owned() {
        if (value) Free(value);
    }
    explicit operator bool() const { return value != T{}; }
};
void close_store(HCERTSTORE store) { ::CertCloseStore(store, 0); }
void close_message(HCRYPTMSG message) { ::CryptMsgClose(message); }
void free_certificate(PCCERT_CONTEXT certificate) { ::CertFreeCertificateContext(certificate); }
void free_chain(PCCERT_CHAIN_CONTEXT chain) { ::CertFreeCertificateChain(chain); }
void free_engine(HCERTCHAINENGINE engine) { ::CertFreeCertificateChainEngine(engine); }
using Store = Owned<HCERTSTORE, close_store>;
using Message = Owned<HCRYPTMSG, close_message>;
using Certificate = Owned<PCCERT_CONTEXT, free_certificate>;
using Chain = Owned<PCCERT_CHAIN_CONTEXT, free_chain>;
using Engine = Owned<HCERTCHAINENGINE, free_engine>;

Error refuse(std::string what, std::string why = {}, std::string hint = {}) {
    return Error(Errc::Rejected, std::move(what), std::move(why), std::move(hint));
}
Error damaged(std::string why) { return refuse("the module's signature is damaged", std::move(why)); }
std::string last_error() { return fmt::format("error {:#x}", static_cast<uint32_t>(::GetLastError())); }
bool contains(const std::vector<std::string>& list, const std::string& text) {
    return std::ranges::find(list, text) != list.end();
}
Bytes bytes_of(const CRYPT_DATA_BLOB& blob) { return {reinterpret_cast<const std::byte*>(blob.pbData), blob.cbData}; }
Bytes encoded(PCCERT_CONTEXT certificate) {
    return {reinterpret_cast<const std::byte*>(certificate->pbCertEncoded), certificate->cbCertEncoded};
}
const BYTE* raw(Bytes bytes) { return reinterpret_cast<const BYTE*>(bytes.data()); }

std::string name_text(const CERT_NAME_BLOB& name) {
    char text[1024];
    CERT_NAME_BLOB copy = name;
    const DWORD size =
        ::CertNameToStrA(encoding, &copy, CERT_X500_NAME_STR | CERT_NAME_STR_REVERSE_FLAG, text, sizeof text);
    return {text, size > 0 ? size - 1 : 0};
}
std::string serial_text(const CRYPT_INTEGER_BLOB& serial) {
    std::string out;
    for (DWORD i = serial.cbData; i-- > 0;) {
        if (out.empty() && serial.pbData[i] == 0) continue;
        out += fmt::format("{:02x}", serial.pbData[i]);
    }
    return out;
}
/// As OpenSSL prints it: "Nov 22 20:43:03 2026 GMT".
std::string time_text(const FILETIME& time) {
    SYSTEMTIME at{};
    if (!::FileTimeToSystemTime(&time, &at)) return "?";
    static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    return fmt::format("{} {:2} {:02}:{:02}:{:02} {} GMT", months[(at.wMonth + 11) % 12], at.wDay, at.wHour, at.wMinute,
                       at.wSecond, at.wYear);
}
FILETIME file_time(int64_t seconds) {
    const uint64_t ticks = (static_cast<uint64_t>(seconds) + 11644473600ull) * 10'000'000;
    return {static_cast<DWORD>(ticks), static_cast<DWORD>(ticks >> 32)};
}

/// The certificates of PEM text, into a store in memory. How many there were.
int add_certificates(HCERTSTORE store, Bytes pem) {
    const std::string_view text(reinterpret_cast<const char*>(pem.data()), pem.size());
    constexpr std::string_view begin = "-----BEGIN CERTIFICATE-----", end = "-----END CERTIFICATE-----";
    int count = 0;
    for (size_t at = text.find(begin); at != std::string_view::npos; at = text.find(begin, at + 1)) {
        const size_t stop = text.find(end, at);
        if (stop == std::string_view::npos) break;
        const std::string_view one = text.substr(at, stop + end.size() - at);
        DWORD size = 0;
        if (!::CryptStringToBinaryA(one.data(), static_cast<DWORD>(one.size()), CRYPT_STRING_BASE64HEADER, nullptr,
                                    &size, nullptr, nullptr))
            continue;
        std::vector<BYTE> der(size);
        if (!::CryptStringToBinaryA(one.data(), static_cast<DWORD>(one.size()), CRYPT_STRING_BASE64HEADER, der.data(),
                                    &size, nullptr, nullptr))
            continue;
        if (::CertAddEncodedCertificateToStore(store, encoding, der.data(), size, CERT_STORE_ADD_USE_EXISTING, nullptr))
            ++count;
    }
    return count;
}

/// The certificate's extended key usage names one of these.
bool has_usage(PCCERT_CONTEXT certificate, std::initializer_list<std::string_view> wanted) {
    DWORD size = 0;
    if (!::CertGetEnhancedKeyUsage(certificate, CERT_FIND_EXT_ONLY_ENHKEY_USAGE_FLAG, nullptr, &size)) return false;
    std::vector<uint64_t> room(size / 8 + 1);
    auto* usage = reinterpret_cast<CERT_ENHKEY_USAGE*>(room.data());
    if (!::CertGetEnhancedKeyUsage(certificate, CERT_FIND_EXT_ONLY_ENHKEY_USAGE_FLAG, usage, &size)) return false;
    for (DWORD i = 0; i < usage->cUsageIdentifier; ++i)
        if (std::ranges::find(wanted, std::string_view(usage->rgpszUsageIdentifier[i])) != wanted.end()) return true;
    return false;
}
bool may_sign_code(PCCERT_CONTEXT certificate) { return has_usage(certificate, {szOID_PKIX_KP_CODE_SIGNING}); }
/// An authority without extended key usage vouches for anyone; Wine's chains do not look at one that has it.
bool may_vouch_for_code(PCCERT_CONTEXT certificate) {
    const CERT_INFO& info = *certificate->pCertInfo;
    return ::CertFindExtension(szOID_ENHANCED_KEY_USAGE, info.cExtension, info.rgExtension) == nullptr ||
           has_usage(certificate, {szOID_PKIX_KP_CODE_SIGNING, szOID_ANY_ENHANCED_KEY_USAGE});
}
bool is_authority(PCCERT_CONTEXT certificate) {
    const CERT_EXTENSION* extension = ::CertFindExtension(szOID_BASIC_CONSTRAINTS2, certificate->pCertInfo->cExtension,
                                                          certificate->pCertInfo->rgExtension);
    if (extension == nullptr) return false;
    CERT_BASIC_CONSTRAINTS2_INFO info{};
    DWORD size = sizeof info;
    return !::CryptDecodeObject(encoding, X509_BASIC_CONSTRAINTS2, extension->Value.pbData, extension->Value.cbData, 0,
                                &info, &size) ||
           info.fCA;
}

std::string chain_words(DWORD status) {
    struct Bit {
        DWORD bit;
        const char* text;
    };
    static constexpr Bit bits[] = {{CERT_TRUST_IS_UNTRUSTED_ROOT, "its root is not one that is trusted"},
                                   {CERT_TRUST_IS_PARTIAL_CHAIN, "no chain to a root could be built"},
                                   {CERT_TRUST_IS_NOT_SIGNATURE_VALID, "a certificate's signature is wrong"},
                                   {CERT_TRUST_IS_NOT_VALID_FOR_USAGE, "a certificate is for another use"},
                                   {CERT_TRUST_INVALID_BASIC_CONSTRAINTS, "a certificate may not sign others"}};
    for (const Bit& one : bits)
        if ((status & one.bit) != 0) return one.text;
    return fmt::format("status {:#x}", static_cast<uint32_t>(status));
}

/// Everything about the signer besides the signature.
Result<Signer> check_signer(PCCERT_CONTEXT certificate, HCERTSTORE others, const Trust& trust) {
    const CERT_INFO& info = *certificate->pCertInfo;
    Signer out;
    out.subject = name_text(info.Subject);
    out.issuer = name_text(info.Issuer);
    out.serial = serial_text(info.SerialNumber);
    out.digest = digest_text(encoded(certificate));
    out.not_before = time_text(info.NotBefore);
    out.not_after = time_text(info.NotAfter);
    const std::string who = fmt::format("signed by {} (certificate {})", out.subject, out.digest);
    if (contains(trust.denied_serials, out.serial))
        return refuse("the signer's certificate is on the list of denied serial numbers", "serial " + out.serial);
    if (is_authority(certificate))
        return refuse("the signer's certificate is one of an authority, not of a signer", who);
    if (!may_sign_code(certificate))
        return refuse("the signer's certificate is not one for signing code", who,
                      "its extended key usage has to name codeSigning");

    const Store roots(::CertOpenStore(CERT_STORE_PROV_MEMORY, 0, 0, 0, nullptr));
    int count = 0;
    for (const Buffer& pem : trust.roots) count += add_certificates(roots.value, pem);
    if (count == 0)
        return refuse("no root is trusted", who, "name the administrator's root in the policy, or with --root FILE");
    CERT_CHAIN_ENGINE_CONFIG config{};
    // Up to hExclusiveTrustedPeople: Wine 8 takes no longer one.
    config.cbSize = offsetof(CERT_CHAIN_ENGINE_CONFIG, hExclusiveTrustedPeople) + sizeof config.hExclusiveTrustedPeople;
    config.hExclusiveRoot = roots.value;
    Engine engine;
    if (!::CertCreateCertificateChainEngine(&config, &engine.value))
        return Error(Errc::Unavailable, "the system makes no engine for chains of certificates", last_error());
    CERT_CHAIN_PARA wanted{};
    wanted.cbSize = sizeof wanted;
    LPSTR usages[] = {const_cast<LPSTR>(szOID_PKIX_KP_CODE_SIGNING)};
    wanted.RequestedUsage.dwType = USAGE_MATCH_TYPE_AND;
    wanted.RequestedUsage.Usage.cUsageIdentifier = 1;
    wanted.RequestedUsage.Usage.rgpszUsageIdentifier = usages;
    FILETIME now = file_time(trust.time.value_or(std::time(nullptr)));
    Chain chain;
    // No network: revocation is the policy's list.
    if (!::CertGetCertificateChain(engine.value, certificate, &now, others, &wanted,
                                   CERT_CHAIN_CACHE_ONLY_URL_RETRIEVAL | CERT_CHAIN_DISABLE_AUTH_ROOT_AUTO_UPDATE,
                                   nullptr, &chain.value))
        return Error(Errc::Unavailable, "the system builds no chain of certificates", last_error());
    DWORD status = chain.value->TrustStatus.dwErrorStatus;
    if ((status & CERT_TRUST_IS_NOT_TIME_VALID) != 0) {
        if (::CompareFileTime(&now, &info.NotBefore) < 0)
            return refuse("a certificate of the module's signer is not valid yet",
                          fmt::format("{}, valid from {}", who, out.not_before));
        return refuse("a certificate of the module's signer has expired",
                      fmt::format("{}, valid until {}", who, out.not_after),
                      "sign the module again with a valid certificate");
    }
    if (status != 0 || chain.value->cChain != 1)
        return refuse("the module's signer does not chain to a trusted root",
                      fmt::format("{}: {}", who, chain_words(status)));
    const CERT_SIMPLE_CHAIN& simple = *chain.value->rgpChain[0];
    for (DWORD i = 0; i < simple.cElement; ++i) {
        PCCERT_CONTEXT one = simple.rgpElement[i]->pCertContext;
        const std::string one_digest = digest_text(encoded(one));
        if (contains(trust.denied_certificates, one_digest))
            return refuse("a certificate of the module's signer is on the list of denied certificates", one_digest);
        if (i > 0 && !may_vouch_for_code(one))
            return refuse("the module's signer does not chain to a trusted root",
                          fmt::format("{}: a certificate is for another use", who));
        out.chain.push_back(name_text(one->pCertInfo->Subject));
    }
    // The chain ends in one of the roots that were named, byte by byte, whatever the engine thinks of others.
    PCCERT_CONTEXT last = simple.cElement == 0 ? nullptr : simple.rgpElement[simple.cElement - 1]->pCertContext;
    const Certificate root(
        last == nullptr ? nullptr
                        : ::CertFindCertificateInStore(roots.value, encoding, 0, CERT_FIND_EXISTING, last, nullptr));
    if (!root) return refuse("the module's signer does not chain to a trusted root", who);
    if (!trust.signers.empty() && !contains(trust.signers, out.digest))
        return refuse("the module's signer is not one of those that the policy names", who);
    return out;
}

std::vector<BYTE> parameter(HCRYPTMSG message, DWORD which) {
    DWORD size = 0;
    if (!::CryptMsgGetParam(message, which, 0, nullptr, &size)) return {};
    std::vector<BYTE> out(size);
    if (!::CryptMsgGetParam(message, which, 0, out.data(), &size)) return {};
    out.resize(size);
    return out;
}

/// A decoded signature with exactly one signer, of a strong digest, and that signer's certificate.
struct Decoded {
    Message message;
    Store certificates;
    Certificate signer;
};

Result<void> decode(Decoded& out, Bytes signature, const Bytes* detached) {
    out.message.value =
        ::CryptMsgOpenToDecode(encoding, detached != nullptr ? CMSG_DETACHED_FLAG : 0, 0, 0, nullptr, nullptr);
    if (!out.message ||
        !::CryptMsgUpdate(out.message.value, raw(signature), static_cast<DWORD>(signature.size()), TRUE))
        return damaged(last_error());
    if (detached != nullptr &&
        !::CryptMsgUpdate(out.message.value, raw(*detached), static_cast<DWORD>(detached->size()), TRUE))
        return damaged(last_error());
    DWORD number = 0, size = sizeof number;
    if (!::CryptMsgGetParam(out.message.value, CMSG_TYPE_PARAM, 0, &number, &size) || number != CMSG_SIGNED)
        return damaged("it is no signed PKCS#7");
    size = sizeof number;
    if (!::CryptMsgGetParam(out.message.value, CMSG_SIGNER_COUNT_PARAM, 0, &number, &size) || number != 1)
        return refuse("the module's signature has not exactly one signer");
    // Structures with pointers: the bytes need their alignment, which operator new gives.
    const std::vector<BYTE> signer = parameter(out.message.value, CMSG_SIGNER_INFO_PARAM);
    if (signer.size() < sizeof(CMSG_SIGNER_INFO)) return damaged(last_error());
    const auto* info = reinterpret_cast<const CMSG_SIGNER_INFO*>(signer.data());
    static constexpr std::string_view strong[] = {"2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.2",
                                                  "2.16.840.1.101.3.4.2.3"};
    const std::string_view digest = info->HashAlgorithm.pszObjId != nullptr ? info->HashAlgorithm.pszObjId : "";
    if (std::ranges::find(strong, digest) == std::end(strong))
        return refuse("the module's signature uses a digest that is not accepted", std::string(digest),
                      "sign it with SHA-256");
    out.certificates.value = ::CertOpenStore(CERT_STORE_PROV_MSG, encoding, 0, 0, out.message.value);
    CERT_INFO wanted{};
    wanted.Issuer = info->Issuer;
    wanted.SerialNumber = info->SerialNumber;
    if (out.certificates)
        out.signer.value = ::CertGetSubjectCertificateFromStore(out.certificates.value, encoding, &wanted);
    if (!out.signer) return refuse("the module's signature carries no certificate of its signer");
    return {};
}

/// The signed attribute messageDigest, if there are signed attributes. Errors: Rejected (attributes without it).
Result<std::optional<Buffer>> message_digest(HCRYPTMSG message) {
    const std::vector<BYTE> found = parameter(message, CMSG_SIGNER_AUTH_ATTR_PARAM);
    if (found.size() < sizeof(CRYPT_ATTRIBUTES)) return std::optional<Buffer>();
    const auto* attributes = reinterpret_cast<const CRYPT_ATTRIBUTES*>(found.data());
    if (attributes->cAttr == 0) return std::optional<Buffer>();
    std::optional<Buffer> out;
    for (DWORD i = 0; i < attributes->cAttr; ++i) {
        const CRYPT_ATTRIBUTE& one = attributes->rgAttr[i];
        if (std::string_view(one.pszObjId) != szOID_RSA_messageDigest) continue;
        if (out || one.cValue != 1) return damaged("it has two digests of its content");
        Bytes value = bytes_of(one.rgValue[0]);
        const auto digest = next_element(value, der_octets);
        if (!digest || !value.empty()) return damaged("its digest of its content is not well-formed");
        out.emplace(digest->begin(), digest->end());
    }
    if (!out) return damaged("its attributes hold no digest of its content");
    return out;
}

/// SHA-256 of `content` is what the signed attributes say. crypt32 of Windows has compared it already, Wine's has not.
Result<void> check_message_digest(HCRYPTMSG message, Bytes content, bool needed) {
    SKEP_ASSIGN(const std::optional<Buffer> digest, message_digest(message));
    if (!digest) return needed ? Result<void>(damaged("it has no signed attributes")) : Result<void>();
    Sha256 hash;
    uint8_t own[Sha256::digest_bytes];
    hash.update(content.data(), content.size());
    hash.finish(own);
    if (digest->size() != sizeof own || std::memcmp(digest->data(), own, sizeof own) != 0)
        return refuse("the module was changed after it was signed", "its signature is not one of its digest");
    return {};
}

Result<Signer> verify_cms(Bytes content, Bytes signature, const Trust& trust) {
    Decoded decoded;
    SKEP_TRY(decode(decoded, signature, &content));
    SKEP_TRY(check_message_digest(decoded.message.value, content, false));
    if (!::CryptMsgControl(decoded.message.value, 0, CMSG_CTRL_VERIFY_SIGNATURE, decoded.signer.value->pCertInfo))
        return refuse("the module was changed after it was signed",
                      "its signature is not one of these bytes: " + last_error());
    return check_signer(decoded.signer.value, decoded.certificates.value, trust);
}

/// What the system itself says of the image, put together again as it came. Who signed it is not its to decide: our
/// own chain is, so those of its answers that are about the chain count as yes.
Result<void> ask_system(Bytes content, const PeFields& fields, Bytes signature) {
    Buffer file(content.begin(), content.end());
    while (file.size() % 8 != 0) file.push_back(std::byte{0});
    const size_t table = file.size(), length = 8 + signature.size();
    file.resize(table + (length + 7) / 8 * 8);
    store_le(file.data() + table, static_cast<uint32_t>(length));
    store_le(file.data() + table + 4, uint16_t{0x200});
    store_le(file.data() + table + 6, uint16_t{2});
    std::memcpy(file.data() + table + 8, signature.data(), signature.size());
    store_le(file.data() + fields.directory, static_cast<uint32_t>(table));
    store_le(file.data() + fields.directory + 4, static_cast<uint32_t>(file.size() - table));
    SKEP_ASSIGN(const HeldFile held, HeldFile::store(file));
    WINTRUST_FILE_INFO which{};
    which.cbStruct = sizeof which;
    which.pcwszFilePath = held.path().c_str();
    which.hFile = held.handle();
    WINTRUST_DATA question{};
    question.cbStruct = sizeof question;
    question.dwUIChoice = WTD_UI_NONE;
    question.fdwRevocationChecks = WTD_REVOKE_NONE;
    question.dwUnionChoice = WTD_CHOICE_FILE;
    question.pFile = &which;
    question.dwStateAction = WTD_STATEACTION_VERIFY;
    question.dwProvFlags = WTD_CACHE_ONLY_URL_RETRIEVAL | WTD_REVOCATION_CHECK_NONE;
    GUID action = WINTRUST_ACTION_GENERIC_VERIFY_V2;
    const HWND nobody = static_cast<HWND>(INVALID_HANDLE_VALUE);
    const auto answer = static_cast<uint32_t>(::WinVerifyTrust(nobody, &action, &question));
    question.dwStateAction = WTD_STATEACTION_CLOSE;
    (void)::WinVerifyTrust(nobody, &action, &question);
    static constexpr uint32_t about_chain[] = {
        0, static_cast<uint32_t>(CERT_E_UNTRUSTEDROOT), static_cast<uint32_t>(CERT_E_CHAINING),
        static_cast<uint32_t>(CERT_E_EXPIRED), static_cast<uint32_t>(CERT_E_WRONG_USAGE)};
    if (std::ranges::find(about_chain, answer) != std::end(about_chain)) return {};
    return refuse("the system does not accept the module's signature", fmt::format("WinVerifyTrust: {:#x}", answer));
}

Result<Signer> verify_authenticode(Bytes content, const PeFields& fields, Bytes signature, const Trust& trust) {
    Decoded decoded;
    SKEP_TRY(decode(decoded, signature, nullptr));
    HCRYPTMSG message = decoded.message.value;
    const std::vector<BYTE> type = parameter(message, CMSG_INNER_CONTENT_TYPE_PARAM);
    const std::string_view inner(reinterpret_cast<const char*>(type.data()), type.empty() ? 0 : type.size() - 1);
    if (inner != indirect_data_type) return damaged("it is not over an image");
    const std::vector<BYTE> held = parameter(message, CMSG_CONTENT_PARAM);
    Bytes rest(reinterpret_cast<const std::byte*>(held.data()), held.size());
    const auto signed_content = next_element(rest, der_sequence);
    if (!signed_content || !rest.empty()) return damaged("what it is over is not well-formed");
    SKEP_TRY(check_image_digest(*signed_content, content, fields));
    SKEP_TRY(check_message_digest(message, *signed_content, true));
    if (!::CryptMsgControl(message, 0, CMSG_CTRL_VERIFY_SIGNATURE, decoded.signer.value->pCertInfo))
        return refuse("the module was changed after it was signed",
                      "its signature is not one of its digest: " + last_error());
    SKEP_TRY(ask_system(content, fields, signature));
    return check_signer(decoded.signer.value, decoded.certificates.value, trust);
}

}  // namespace

Result<Signer> verify_signature(Bytes content, Bytes signature, const Trust& trust) {
    const std::string image = digest_text(content);
    if (contains(trust.denied_images, image))
        return refuse("the module is on the list of denied images", "SHA-256 " + image);
    if (const auto fields = pe_fields(content)) return verify_authenticode(content, *fields, signature, trust);
    return verify_cms(content, signature, trust);
}

namespace {
Error elsewhere() {
    return Error(Errc::Unavailable, "this build checks signatures and makes none", {},
                 "sign where modules are built: skep sign on Linux");
}
}  // namespace

Result<Buffer> make_signature(Bytes, const SigningKey&) { return elsewhere(); }
Result<TestKeys> make_test_keys(const TestKeyOptions&) { return elsewhere(); }

}  // namespace skep::module
