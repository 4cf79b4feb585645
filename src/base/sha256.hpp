// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4). Usable in the kernel-capable core: no allocation, no library.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace skep {

/// A running hash: `Sha256 h; h.update(data, size); h.finish(out);`. Not for use after finish().
class Sha256 {
  public:
    static constexpr size_t digest_bytes = 32;

    /// Hashes `size` more bytes.
    void update(const void* data, size_t size);
    /// Writes the digest of all bytes so far.
    void finish(uint8_t out[digest_bytes]);

  private:
    void block(const uint8_t* bytes);

    uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                          0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint64_t total_ = 0;  ///< bytes hashed
    uint8_t pending_[64] = {};
};

}  // namespace skep
