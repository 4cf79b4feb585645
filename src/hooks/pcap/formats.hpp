// SPDX-License-Identifier: Apache-2.0
// Numbers of the two capture formats. pcap: draft-ietf-opsawg-pcap; pcapng: draft-ietf-opsawg-pcapng.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>

#include "base/bytes.hpp"

namespace skep::hooks {

enum class ByteOrder : uint8_t { Little, Big };

/// A number in the file's byte order. Requires: it lies inside.
template <std::integral T>
T load(Bytes bytes, size_t offset, ByteOrder order) {
    const T value = load_le<T>(bytes.data() + offset);
    return order == ByteOrder::Little ? value : std::byteswap(value);
}

// pcap
constexpr uint32_t pcap_magic_us = 0xa1b2c3d4;
constexpr uint32_t pcap_magic_ns = 0xa1b23c4d;
constexpr uint32_t pcap_magic_modified = 0xa1b2cd34;  ///< Kuznetsov's patched libpcap: longer record headers
constexpr size_t pcap_header_bytes = 24;
constexpr size_t pcap_record_bytes = 16;
constexpr uint32_t pcap_link_mask = 0x03ffffff;  ///< the bits above tell of frame check sequences

// pcapng
constexpr uint32_t block_section = 0x0a0d0d0a;
constexpr uint32_t block_interface = 1;
constexpr uint32_t block_packet = 2;  ///< obsolete
constexpr uint32_t block_simple_packet = 3;
constexpr uint32_t block_enhanced_packet = 6;
constexpr uint32_t byte_order_magic = 0x1a2b3c4d;
constexpr uint16_t option_end = 0;
constexpr uint16_t option_tsresol = 9;
constexpr uint16_t option_tsoffset = 14;

}  // namespace skep::hooks
