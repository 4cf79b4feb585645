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

Result<SplitImage> split_pe(Bytes file, const PeFields& fields) {
    const auto malformed = [](const char* why) {
        return Error(Errc::Malformed, "the module's table of certificates is damaged", why);
    };
    SplitImage out;
    const auto at = load_le<uint32_t>(file.data() + fields.directory);
    const auto size = load_le<uint32_t>(file.data() + fields.directory + 4);
    Bytes image = file;
    if (at != 0 || size != 0) {
        const auto table = slice(file, at, size);
        if (!table || uint64_t{at} + size != file.size() || at % 8 != 0 || at <= fields.directory + 8)
            return malformed("it is not the end of the file");
        if (size < 8) return malformed("it is too short");
        const auto length = load_le<uint32_t>(table->data());
        if (load_le<uint16_t>(table->data() + 4) != 0x200 || load_le<uint16_t>(table->data() + 6) != 2)
            return malformed("its entry is no PKCS#7 signature");
        if (length < 8 || length > size || ((uint64_t{length} + 7) & ~uint64_t{7}) != size)
            return malformed("it holds more than one entry");
        out.signature = table->subspan(8, length - 8);
        image = file.first(at);
    }
    out.own.assign(image.begin(), image.end());
    std::memset(out.own.data() + fields.checksum, 0, 4);
    std::memset(out.own.data() + fields.directory, 0, 8);
    out.content = out.own;
    return out;
}

SplitImage split_at(Bytes content, Bytes signature) {
    SplitImage out;
    out.content = content;
    out.signature = signature;
    return out;
}

}  // namespace

std::optional<PeFields> pe_fields(Bytes image) {
    if (read_le<uint16_t>(image, 0) != 0x5a4du) return std::nullopt;
    const auto start = read_le<uint32_t>(image, 0x3c);
    if (!start || !slice(image, *start, 24 + 240)) return std::nullopt;
    const size_t optional = size_t{*start} + 24;
    if (load_le<uint16_t>(image.data() + optional) != 0x20b) return std::nullopt;
    return PeFields{optional + 64, optional + 144};
}

Result<SplitImage> split_signature(Bytes file) {
    if (const auto fields = pe_fields(file)) return split_pe(file, *fields);
    const size_t mark = signature_mark.size();
    if (file.size() < mark || std::memcmp(file.data() + file.size() - mark, signature_mark.data(), mark) != 0)
        return split_at(file, {});
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
    return split_at(rest.first(rest.size() - size), rest.last(size));
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
