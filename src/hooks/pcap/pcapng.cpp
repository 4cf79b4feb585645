// SPDX-License-Identifier: Apache-2.0
#include "hooks/pcap/pcapng.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace skep::hooks {
namespace {

constexpr size_t block_frame_bytes = 12;  // type, length, length again
/// What is kept in memory of one block. Packets are smaller; only options can make a block this large.
constexpr uint32_t largest_read_block = 1u << 20;
constexpr size_t most_interfaces = 65536;
constexpr uint64_t ns_per_second = 1000000000;

constexpr uint64_t round_up_4(uint64_t bytes) { return (bytes + 3) & ~uint64_t{3}; }

}  // namespace

Result<void> PcapngReader::start(Window& window) {
    const Bytes front = window.peek(4);
    if (front.size() < 4 || load_le<uint32_t>(front.data()) != block_section)
        return window.error(Errc::Malformed, 0, "not a pcapng file", "it does not begin with a section header block");
    return read_section(window);
}

/// The section header says the byte order of everything after it, its own lengths included.
Result<void> PcapngReader::read_section(Window& window) {
    const uint64_t at = window.position();
    const Bytes head = window.peek(28);
    if (head.size() < 28)
        return window.error(Errc::Truncated, at + head.size(), "the section header block is cut off",
                            fmt::format("it needs 28 bytes and {} are left", head.size()));
    const auto magic = load_le<uint32_t>(head.data() + 8);
    if (magic == byte_order_magic)
        order_ = ByteOrder::Little;
    else if (magic == std::byteswap(byte_order_magic))
        order_ = ByteOrder::Big;
    else
        return window.error(Errc::Malformed, at + 8, "damaged section header block",
                            fmt::format("the byte-order magic is {:#010x}, not 0x1a2b3c4d in either order", magic));
    const auto length = load<uint32_t>(head, 4, order_);
    if (length < 28 || length % 4 != 0)
        return window.error(Errc::Malformed, at + 4, "damaged section header block",
                            fmt::format("its length {} is not a multiple of 4 of at least 28", length));
    const auto major = load<uint16_t>(head, 12, order_);
    if (major != 1)
        return window.error(
            Errc::Unsupported, at + 12, "unknown version of the pcapng format",
            fmt::format("version {}.{}; this reader knows 1.x", major, load<uint16_t>(head, 14, order_)));
    if (!window.skip(length - 4))
        return window.error(Errc::Truncated, window.position(), "the section header block is cut off");
    const Bytes again = window.peek(4);
    if (again.size() < 4)
        return window.error(Errc::Truncated, window.position(), "the section header block is cut off");
    if (load<uint32_t>(again, 0, order_) != length)
        return window.error(Errc::Malformed, window.position(), "damaged section header block",
                            fmt::format("its two lengths differ: {} and {}", length, load<uint32_t>(again, 0, order_)));
    window.skip(4);
    interfaces_.clear();  // interfaces are numbered within their section
    return {};
}

/// The next block that anybody wants to see, others are passed over unread; nothing at the end.
Result<std::optional<PcapngReader::Block>> PcapngReader::read_block(Window& window) {
    for (;;) {
        const uint64_t at = window.position();
        const Bytes head = window.peek(8);
        if (head.empty()) return std::optional<Block>();
        if (head.size() < 8)
            return window.error(Errc::Truncated, at, "a block is cut off",
                                fmt::format("its head needs 8 bytes and {} are left", head.size()));
        const auto type = load<uint32_t>(head, 0, order_);
        if (type == block_section) {
            SKEP_TRY(read_section(window));
            continue;
        }
        const auto length = load<uint32_t>(head, 4, order_);
        if (length < block_frame_bytes || length % 4 != 0)
            return window.error(
                Errc::Malformed, at + 4, "damaged block",
                fmt::format("its length {} is not a multiple of 4 of at least {}", length, block_frame_bytes));
        const bool wanted = type == block_interface || type == block_packet || type == block_simple_packet ||
                            type == block_enhanced_packet;
        if (wanted && length > largest_read_block)
            return window.error(Errc::LimitExceeded, at + 4, "a block is too large",
                                fmt::format("{} bytes; at most {} are read", length, largest_read_block));
        Bytes block;
        if (wanted) {
            block = window.peek(length);
        } else if (window.skip(length - 4)) {
            block = window.peek(4);
        }
        const size_t needed = wanted ? length : 4;
        if (block.size() < needed)
            return window.error(Errc::Truncated, at, "a block is cut off",
                                fmt::format("it has {} bytes and the file ends before that", length));
        const auto again = load<uint32_t>(block, needed - 4, order_);
        if (again != length)
            return window.error(Errc::Malformed, at + length - 4, "damaged block",
                                fmt::format("its two lengths differ: {} and {}", length, again));
        if (wanted) {
            to_skip_ = length;
            return std::optional<Block>(Block{type, at, block.subspan(8, length - block_frame_bytes)});
        }
        window.skip(4);
    }
}

Result<std::optional<Packet>> PcapngReader::next(Window& window) {
    for (;;) {
        window.skip(to_skip_);
        to_skip_ = 0;
        SKEP_ASSIGN(const std::optional<Block> block, read_block(window));
        if (!block) return std::optional<Packet>();
        if (block->type == block_interface) {
            SKEP_TRY(read_interface(window, *block));
            continue;
        }
        if (block->type == block_simple_packet) {
            SKEP_ASSIGN(Packet packet, read_simple_packet(window, *block));
            return std::optional<Packet>(packet);
        }
        SKEP_ASSIGN(Packet packet, read_packet(window, *block, block->type == block_packet));
        return std::optional<Packet>(packet);
    }
}

Result<void> PcapngReader::read_interface(const Window& window, const Block& block) {
    if (block.body.size() < 8)
        return window.error(Errc::Malformed, block.at, "damaged interface description",
                            fmt::format("its body has {} bytes, not at least 8", block.body.size()));
    if (interfaces_.size() >= most_interfaces)
        return window.error(Errc::LimitExceeded, block.at, "too many interfaces",
                            fmt::format("at most {} in one section", most_interfaces));
    Interface in;
    in.link_type = load<uint16_t>(block.body, 0, order_);
    in.snaplen = load<uint32_t>(block.body, 4, order_);

    for (size_t at = 8; at + 4 <= block.body.size();) {
        const auto code = load<uint16_t>(block.body, at, order_);
        const auto length = load<uint16_t>(block.body, at + 2, order_);
        if (code == option_end) break;
        const uint64_t where = block.at + 8 + at;
        if (round_up_4(length) > block.body.size() - at - 4)
            return window.error(Errc::Malformed, where, "damaged interface description",
                                fmt::format("option {} of {} bytes reaches beyond the block", code, length));
        if (code == option_tsresol) {
            if (length != 1)
                return window.error(Errc::Malformed, where, "damaged interface description",
                                    fmt::format("if_tsresol has {} bytes, not 1", length));
            in.resolution = std::to_integer<uint8_t>(block.body[at + 4]);
            const unsigned power = in.resolution & 0x7f;
            if (power > ((in.resolution & 0x80) != 0 ? 63u : 19u))
                return window.error(Errc::Malformed, where, "damaged interface description",
                                    fmt::format("if_tsresol {:#04x} is finer than 64 bits can count", in.resolution));
        }
        if (code == option_tsoffset) {
            if (length != 8)
                return window.error(Errc::Malformed, where, "damaged interface description",
                                    fmt::format("if_tsoffset has {} bytes, not 8", length));
            in.offset_seconds = load<int64_t>(block.body, at + 4, order_);
        }
        at += 4 + static_cast<size_t>(round_up_4(length));
    }
    if (!first_link_type_) first_link_type_ = in.link_type;
    interfaces_.push_back(in);
    return {};
}

Result<const PcapngReader::Interface*> PcapngReader::interface_of(const Window& window, const Block& block,
                                                                  uint32_t number) const {
    if (number < interfaces_.size()) return &interfaces_[number];
    return window.error(Errc::Malformed, block.at, "a packet of an unknown interface",
                        fmt::format("interface {}; {} were described in this section", number, interfaces_.size()));
}

Result<uint64_t> PcapngReader::time_ns(const Window& window, const Block& block, const Interface& in,
                                       uint64_t units) const {
    const unsigned power = in.resolution & 0x7f;
    uint64_t seconds, fraction_ns;
    if ((in.resolution & 0x80) != 0) {
        seconds = units >> power;
        uint64_t fraction = units & ((uint64_t{1} << power) - 1);
        // 34 bits times 10^9 fit into 64.
        const unsigned kept = std::min(power, 34u);
        fraction >>= power - kept;
        fraction_ns = fraction * ns_per_second >> kept;
    } else {
        uint64_t per_second = 1;
        for (unsigned i = 0; i < power; ++i) per_second *= 10;
        seconds = units / per_second;
        const uint64_t fraction = units % per_second;
        fraction_ns = per_second <= ns_per_second ? fraction * (ns_per_second / per_second)
                                                  : fraction / (per_second / ns_per_second);
    }
    // Seconds since 1970 that 64 bits of nanoseconds can say: until the year 2554.
    constexpr uint64_t most_seconds = UINT64_MAX / ns_per_second - 1;
    const auto offset = static_cast<uint64_t>(in.offset_seconds);
    const bool wraps = in.offset_seconds < 0 ? seconds < uint64_t{0} - offset : seconds > UINT64_MAX - offset;
    if (wraps || seconds + offset > most_seconds)
        return window.error(Errc::Malformed, block.at, "a packet's time is out of range",
                            fmt::format("{} units of if_tsresol {:#04x} and an offset of {} s", units, in.resolution,
                                        in.offset_seconds));
    return (seconds + offset) * ns_per_second + fraction_ns;
}

Result<Packet> PcapngReader::read_packet(const Window& window, const Block& block, bool obsolete) {
    // Both kinds have 20 bytes before the packet; the obsolete one holds a drop count beside a 16-bit number.
    if (block.body.size() < 20)
        return window.error(Errc::Malformed, block.at, "damaged packet block",
                            fmt::format("its body has {} bytes, not at least 20", block.body.size()));
    const uint32_t number = obsolete ? load<uint16_t>(block.body, 0, order_) : load<uint32_t>(block.body, 0, order_);
    SKEP_ASSIGN(const Interface* in, interface_of(window, block, number));
    const uint64_t units =
        uint64_t{load<uint32_t>(block.body, 4, order_)} << 32 | load<uint32_t>(block.body, 8, order_);
    const auto captured = load<uint32_t>(block.body, 12, order_);
    const auto original = load<uint32_t>(block.body, 16, order_);
    if (captured > largest_captured_bytes || captured > block.body.size() - 20)
        return window.error(Errc::Malformed, block.at + 8 + 12, "damaged packet block",
                            fmt::format("it says that {} bytes were captured; the block holds {}, and at most {} are "
                                        "read",
                                        captured, block.body.size() - 20, largest_captured_bytes));
    Packet packet;
    SKEP_ASSIGN(packet.timestamp_ns, time_ns(window, block, *in, units));
    packet.bytes = block.body.subspan(20, captured);
    packet.original_length = std::max(original, captured);
    packet.link_type = in->link_type;
    packet.interface_index = number;
    return packet;
}

/// A simple packet block says no captured length: it is the original one, cut to the snaplen of the first interface.
Result<Packet> PcapngReader::read_simple_packet(const Window& window, const Block& block) {
    if (block.body.size() < 4)
        return window.error(Errc::Malformed, block.at, "damaged simple packet block", "it has no length");
    SKEP_ASSIGN(const Interface* in, interface_of(window, block, 0));
    const auto original = load<uint32_t>(block.body, 0, order_);
    const uint32_t captured = in->snaplen != 0 ? std::min(original, in->snaplen) : original;
    if (captured > largest_captured_bytes || captured > block.body.size() - 4)
        return window.error(Errc::Malformed, block.at + 8, "damaged simple packet block",
                            fmt::format("{} bytes were captured; the block holds {}, and at most {} are read", captured,
                                        block.body.size() - 4, largest_captured_bytes));
    Packet packet;
    packet.bytes = block.body.subspan(4, captured);
    packet.original_length = original;
    packet.link_type = in->link_type;
    return packet;
}

}  // namespace skep::hooks
