// SPDX-License-Identifier: Apache-2.0
#include "module/authenticode.hpp"

#include <cstring>

#include "base/sha256.hpp"

namespace skep::module {

std::optional<Bytes> next_element(Bytes& rest, uint8_t tag) {
    if (rest.size() < 2 || std::to_integer<uint8_t>(rest[0]) != tag) return std::nullopt;
    size_t length = std::to_integer<size_t>(rest[1]), header = 2;
    if (length >= 0x80) {
        const size_t bytes = length & 0x7f;
        if (bytes == 0 || bytes > 4 || rest.size() < 2 + bytes) return std::nullopt;
        length = 0;
        for (size_t i = 0; i < bytes; ++i) length = length << 8 | std::to_integer<size_t>(rest[2 + i]);
        header += bytes;
    }
    if (rest.size() - header < length) return std::nullopt;
    const Bytes value = rest.subspan(header, length);
    rest = rest.subspan(header + length);
    return value;
}

Result<void> check_image_digest(Bytes signed_content, Bytes image, const PeFields& fields) {
    Bytes parts = signed_content;
    const auto data = next_element(parts, der_sequence);
    auto info = next_element(parts, der_sequence);
    auto algorithm = info ? next_element(*info, der_sequence) : std::nullopt;
    const auto name = algorithm ? next_element(*algorithm, der_object) : std::nullopt;
    const auto digest = info ? next_element(*info, der_octets) : std::nullopt;
    if (!data || !name || !digest || !parts.empty() || !info->empty())
        return Error(Errc::Rejected, "the module's signature is damaged", "what it is over is not well-formed");
    static constexpr unsigned char sha256_name[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01};
    if (name->size() != sizeof sha256_name || std::memcmp(name->data(), sha256_name, sizeof sha256_name) != 0)
        return Error(Errc::Rejected, "the module's signature uses a digest that is not accepted", {},
                     "sign it with SHA-256");
    // The checksum and the place of the signature are not covered: both are written after the digest is taken.
    Sha256 hash;
    hash.update(image.data(), fields.checksum);
    hash.update(image.data() + fields.checksum + 4, fields.directory - fields.checksum - 4);
    hash.update(image.data() + fields.directory + 8, image.size() - fields.directory - 8);
    uint8_t own[Sha256::digest_bytes];
    hash.finish(own);
    if (digest->size() != sizeof own || std::memcmp(digest->data(), own, sizeof own) != 0)
        return Error(Errc::Rejected, "the module was changed after it was signed", "its digest is not the signed one");
    return {};
}

}  // namespace skep::module
