// SPDX-License-Identifier: Apache-2.0
// The blocks of a pcapng file, read one by one.
#pragma once

#include <optional>
#include <vector>

#include "hooks/pcap/capture.hpp"
#include "hooks/pcap/formats.hpp"
#include "hooks/pcap/window.hpp"

namespace skep::hooks {

class PcapngReader {
  public:
    /// Reads blocks up to the next packet; nothing at the end. The packet's bytes stay until the window moves.
    Result<std::optional<Packet>> next(Window& window);
    /// Link type of the first interface seen.
    std::optional<uint32_t> first_link_type() const { return first_link_type_; }
    /// Reads the section header that must stand at the front.
    Result<void> start(Window& window);

  private:
    struct Interface {
        uint32_t link_type = 0;
        uint32_t snaplen = 0;    ///< 0: no limit
        uint8_t resolution = 6;  ///< 10^-n seconds, or 2^-n with bit 7
        int64_t offset_seconds = 0;
    };
    struct Block {
        uint32_t type = 0;
        uint64_t at = 0;  ///< offset in the file
        Bytes body;       ///< without type, lengths
    };

    Result<void> read_section(Window& window);
    Result<std::optional<Block>> read_block(Window& window);
    Result<void> read_interface(const Window& window, const Block& block);
    Result<Packet> read_packet(const Window& window, const Block& block, bool obsolete);
    Result<Packet> read_simple_packet(const Window& window, const Block& block);
    Result<const Interface*> interface_of(const Window& window, const Block& block, uint32_t number) const;
    Result<uint64_t> time_ns(const Window& window, const Block& block, const Interface& in, uint64_t units) const;

    ByteOrder order_ = ByteOrder::Little;
    std::vector<Interface> interfaces_;  ///< of this section
    std::optional<uint32_t> first_link_type_;
    uint64_t to_skip_ = 0;  ///< bytes of the block whose packet was handed out
};

}  // namespace skep::hooks
