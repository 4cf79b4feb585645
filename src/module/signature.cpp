// SPDX-License-Identifier: Apache-2.0
// The trailer of signed ELF images; what libraries do is in signature_openssl.cpp.
#include "module/signature.hpp"

#include <fmt/format.h>

#include <cstring>

#include "base/sha256.hpp"

namespace skep::module {

namespace {

/// struct module_signature of the kernel: algo, hash, id_type, signer_len, key_id_len, 3 bytes of padding, sig_len (big
/// endian). All but id_type and sig_len are zero for PKCS#7.
constexpr size_t info_bytes = 12;
constexpr uint8_t id_type_pkcs7 = 2;

}  // namespace

Result<SplitImage> split_signature(Bytes file) {
    const size_t mark = signature_mark.size();
    if (file.size() < mark || std::memcmp(file.data() + file.size() - mark, signature_mark.data(), mark) != 0)
        return SplitImage{file, {}};
    const Bytes before = file.first(file.size() - mark);
    const auto malformed = [](const char* why) {
        return Error(Errc::Malformed, "the module's signature trailer is damaged", why);
    };
    if (before.size() < info_bytes) return malformed("the file is too short for it");
    const Bytes info = before.last(info_bytes);
    const auto byte = [&](size_t at) { return std::to_integer<uint32_t>(info[at]); };
    for (const size_t at : {0u, 1u, 3u, 4u, 5u, 6u, 7u})
        if (byte(at) != 0) return malformed("a field that is zero in PKCS#7 signatures is not");
    if (byte(2) != id_type_pkcs7) return malformed("it is no PKCS#7 signature");
    const uint64_t size = byte(8) << 24 | byte(9) << 16 | byte(10) << 8 | byte(11);
    const Bytes rest = before.first(before.size() - info_bytes);
    if (size == 0 || size >= rest.size()) return malformed("its size does not fit the file");
    return SplitImage{rest.first(rest.size() - size), rest.last(size)};
}

Buffer append_signature(Bytes content, Bytes signature) {
    Buffer out(content.begin(), content.end());
    out.insert(out.end(), signature.begin(), signature.end());
    std::byte info[info_bytes] = {};
    info[2] = std::byte{id_type_pkcs7};
    for (int i = 0; i < 4; ++i) info[8 + i] = static_cast<std::byte>(signature.size() >> (24 - 8 * i));
    out.insert(out.end(), info, info + info_bytes);
    const Bytes mark = as_bytes(signature_mark);
    out.insert(out.end(), mark.begin(), mark.end());
    return out;
}

std::string digest_text(Bytes bytes) {
    Sha256 hash;
    hash.update(bytes.data(), bytes.size());
    uint8_t digest[Sha256::digest_bytes];
    hash.finish(digest);
    std::string out;
    for (const uint8_t byte : digest) out += fmt::format("{:02x}", byte);
    return out;
}

}  // namespace skep::module
