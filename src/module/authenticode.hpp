// SPDX-License-Identifier: Apache-2.0
// What Authenticode signs: a SpcIndirectDataContent that holds the image's digest. Read here once for all libraries.
#pragma once

#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "module/signature.hpp"

namespace skep::module {

/// Type of what such a signature is over.
inline constexpr const char* indirect_data_type = "1.3.6.1.4.1.311.2.1.4";

/// The value of the DER element of `tag` at the front of `rest`, which then begins behind it. Nothing: it is another
/// one, its length is indefinite, or it is cut off.
std::optional<Bytes> next_element(Bytes& rest, uint8_t tag);
inline constexpr uint8_t der_sequence = 0x30, der_octets = 0x04, der_object = 0x06;

/// Whether `signed_content`, a SpcIndirectDataContent without its outer header, holds the SHA-256 of `image`, which
/// has no table of certificates. Errors: Rejected, and why.
Result<void> check_image_digest(Bytes signed_content, Bytes image, const PeFields& fields);

}  // namespace skep::module
