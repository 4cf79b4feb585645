// SPDX-License-Identifier: Apache-2.0
// Comparing twelve one-byte tags at once. A group is the first 16 bytes of a hash chunk: twelve tags and four bytes of
// something else, which no answer mentions.
#pragma once

#include <stdint.h>

#include "base/atomic.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace skep::maps {

constexpr uint32_t tags_per_group = 12;
constexpr uint32_t all_tags = (1u << tags_per_group) - 1;

// Every function here answers: bit i of the result says that tag i equals `tag`, and what is read after it is at least
// as new as the tags (an acquire). Requires: `group` is aligned to 16.
//
// match_tags() loads all 16 bytes and is for readers. match_tags_only() loads no byte behind the tags and is for
// writers that have just stored one of those (the chunk's lock is there): a load that covers more than a store still on
// its way to the cache waits for it, 13 ns on an AMD Zen 4.

/// General registers only. `words` are the first and the second half of a group.
inline uint32_t match_words(const uint64_t (&words)[2], uint8_t tag) {
    constexpr uint64_t ones = 0x0101010101010101u, low7 = 0x7f7f7f7f7f7f7f7fu;
    uint32_t result = 0;
    for (unsigned half = 0; half < 2; ++half) {
        const uint64_t word = words[half];
        const uint64_t differs = word ^ (ones * tag);
        // The top bit of each byte that is zero, exactly: no carry crosses a byte.
        const uint64_t zero = ~(((differs & low7) + low7) | differs | low7);
        // Gathers the eight top bits: byte i times 2^(7*(8-i)) lands its bit at 56 + i, and no two terms collide there.
        result |= static_cast<uint32_t>(((zero >> 7) * 0x0102040810204080u) >> 56) << (8 * half);
    }
    return result & all_tags;
}

inline uint32_t match_tags_portable(const uint8_t* group, uint8_t tag) {
    const auto* words = reinterpret_cast<const uint64_t*>(group);
    return match_words({atomic::load_acquire(words), atomic::load_acquire(words + 1)}, tag);
}

inline uint32_t match_tags_only_portable(const uint8_t* group, uint8_t tag) {
    return match_words({atomic::load_acquire(reinterpret_cast<const uint64_t*>(group)),
                        atomic::load_acquire(reinterpret_cast<const uint32_t*>(group + 8))},
                       tag);
}

#if defined(__SSE2__)
inline uint32_t match_vector(__m128i tags, uint8_t tag) {
    const __m128i equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8(static_cast<char>(tag)));
    return static_cast<uint32_t>(_mm_movemask_epi8(equal)) & all_tags;
}

inline uint32_t match_tags_sse2(const uint8_t* group, uint8_t tag) {
    __m128i tags;
#if defined(__SANITIZE_THREAD__)
    const auto* words = reinterpret_cast<const uint64_t*>(group);
    tags = _mm_set_epi64x(static_cast<long long>(atomic::load_acquire(words + 1)),
                          static_cast<long long>(atomic::load_acquire(words)));
#else
    // Written out, because C++ knows no atomic load this wide. A processor may split it, but never inside a byte.
    __asm__ volatile("movdqa %1, %0" : "=x"(tags) : "m"(*reinterpret_cast<const __m128i*>(group)));
    atomic::compiler_fence();  // x86 keeps loads in order: an acquire
#endif
    return match_vector(tags, tag);
}

inline uint32_t match_tags_only_sse2(const uint8_t* group, uint8_t tag) {
    const uint64_t low = atomic::load_acquire(reinterpret_cast<const uint64_t*>(group));
    const uint32_t high = atomic::load_acquire(reinterpret_cast<const uint32_t*>(group + 8));
    return match_vector(_mm_set_epi64x(high, static_cast<long long>(low)), tag);
}
#endif

inline uint32_t match_tags(const uint8_t* group, uint8_t tag) {
#if defined(__SSE2__)
    return match_tags_sse2(group, tag);
#else
    return match_tags_portable(group, tag);
#endif
}

inline uint32_t match_tags_only(const uint8_t* group, uint8_t tag) {
#if defined(__SSE2__)
    return match_tags_only_sse2(group, tag);
#else
    return match_tags_only_portable(group, tag);
#endif
}

}  // namespace skep::maps
