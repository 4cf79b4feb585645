// SPDX-License-Identifier: Apache-2.0
#include "hooks/packet/packet_session.hpp"

#include <cstring>

#include "platform/host_context.hpp"

namespace skep::hooks {

namespace {

using platform::HostPacket;
using platform::HostSkb;
using platform::HostXdp;
using platform::ProgramType;

constexpr size_t ethernet_header = 14;
// A frame of one 4096-byte page: XDP_PACKET_HEADROOM in front, of which struct xdp_frame takes the first bytes, and
// struct skb_shared_info behind.
constexpr size_t page = 4096;
constexpr size_t headroom = 256;
constexpr size_t xdp_frame_bytes = 40;
constexpr size_t shared_info_bytes = 320;

constexpr size_t room_bytes = headroom + largest_packet_bytes + page;

uint16_t load16(const uint8_t* at) {
    uint16_t value;
    std::memcpy(&value, at, 2);
    return value;
}

uint16_t big_endian(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }

/// eth_type_trans(): the protocol in network byte order as the host loads it, for a frame of `size` bytes.
uint16_t protocol_of(const uint8_t* frame, size_t size) {
    constexpr uint16_t first_ethertype = 1536, p_802_3 = 0x0001, p_802_2 = 0x0004;
    const auto network_order = [](uint16_t v) { return static_cast<uint16_t>(v << 8 | v >> 8); };
    if (big_endian(frame + 12) >= first_ethertype) return load16(frame + 12);
    // Old IPX frames start with a checksum of all ones.
    if (size >= ethernet_header + 2 && load16(frame + ethernet_header) == 0xffff) return network_order(p_802_3);
    return network_order(p_802_2);
}

/// eth_skb_pkt_type() on a device whose address is zero: PACKET_HOST, BROADCAST, MULTICAST, OTHERHOST.
uint32_t packet_type_of(const uint8_t* frame) {
    const uint8_t zero[6] = {}, ones[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (std::memcmp(frame, zero, 6) == 0) return 0;
    if (std::memcmp(frame, ones, 6) == 0) return 1;
    return (frame[0] & 1) != 0 ? 2 : 3;
}

}  // namespace

Result<std::unique_ptr<PacketSession>> PacketSession::open(Lanes& lanes, ProgramType type,
                                                           platform::Personality personality,
                                                           const PacketSettings& settings) {
    if (type != ProgramType::Xdp && type != ProgramType::SchedCls && type != ProgramType::SchedAct &&
        type != ProgramType::SocketFilter)
        return Error(Errc::InvalidArgument, "programs of this type do not run on packets");
    std::unique_ptr<PacketSession> session(new PacketSession(lanes));
    session->type_ = type;
    session->personality_ = personality;
    session->ifindex_ = settings.ifindex;
    session->rx_queue_ = settings.rx_queue;
    session->room_.resize(room_bytes);
    session->run_.init(type, lanes.acquire());
    session->entered_ = true;
    session->run_.chance = settings.chance;
    session->run_.log = settings.log;
    session->run_.observer = settings.observer;
    return session;
}

PacketSession::~PacketSession() {
    if (entered_) leave();
}

void PacketSession::leave() {
    lanes_->release(lane());
    entered_ = false;
}

void PacketSession::enter() {
    run_.context.lane = lanes_->acquire();
    entered_ = true;
}

bool PacketSession::refuses(Bytes packet) const {
    const size_t least = type_ == ProgramType::SocketFilter ? ethernet_header + 1 : ethernet_header;
    return packet.size() < least || packet.size() > largest_packet_bytes;
}

PacketResult PacketSession::run(const skep_entry& entry, Bytes packet) {
    // Room that an earlier program could grow into and write must not show its bytes to the next one.
    uint8_t* const start = room_.data() + headroom;
    if (dirty_ != 0) std::memset(start - dirty_, 0, dirty_);
    std::memcpy(start, packet.data(), packet.size());
    run_.start();
    const uint64_t r0 = type_ == ProgramType::Xdp ? enter_xdp(entry, packet) : enter_skb(entry, packet);
    run_.finish();

    const uint8_t* const lowest = data_meta_ < data_ ? data_meta_ : data_;
    dirty_ = lowest < start ? static_cast<size_t>(start - lowest) : 0;
    PacketResult result;
    result.r0 = r0;
    result.packet = std::as_bytes(std::span(data_, data_end_));
    result.metadata = std::as_bytes(std::span(data_meta_, data_));
    result.fault = run_.context.fault;
    result.fault_insn = run_.context.fault_insn;
    const size_t seen =
        type_ == ProgramType::SocketFilter ? result.packet.size() - ethernet_header : result.packet.size();
    result.outcome = platform::outcome_of(type_, personality_, r0, static_cast<uint32_t>(seen));
    if (result.outcome.verdict == platform::Verdict::XdpRedirect ||
        result.outcome.verdict == platform::Verdict::TcRedirect)
        result.redirect = run_.redirect;
    return result;
}

uint64_t PacketSession::enter_xdp(const skep_entry& entry, Bytes packet) {
    uint8_t* const start = room_.data() + headroom;
    HostXdp context = {};
    context.packet.head = room_.data() + xdp_frame_bytes;
    context.packet.data = context.packet.data_meta = start;
    context.packet.data_end = start + packet.size();
    // The frame's tail room; a packet that fills more than one page has none.
    uint8_t* const frame_end = room_.data() + page - shared_info_bytes;
    context.packet.end = context.packet.data_end < frame_end ? frame_end : context.packet.data_end;
    context.ingress_ifindex = ifindex_;
    context.rx_queue_index = rx_queue_;
    const uint64_t r0 = entry.function(&context, &run_.context, entry.self);
    data_ = context.packet.data;
    data_end_ = context.packet.data_end;
    data_meta_ = context.packet.data_meta;
    return r0;
}

uint64_t PacketSession::enter_skb(const skep_entry& entry, Bytes packet) {
    uint8_t* const start = room_.data() + headroom;
    const bool at_mac = type_ != ProgramType::SocketFilter;
    HostSkb context = {};
    HostPacket& p = context.packet;
    p.head = room_.data();
    p.data = p.data_meta = at_mac ? start : start + ethernet_header;
    p.data_end = start + packet.size();
    p.end = room_.data() + room_.size();
    context.len = static_cast<uint32_t>(p.data_end - p.data);
    context.wire_len = context.len;
    context.protocol = protocol_of(start, packet.size());
    context.pkt_type = packet_type_of(start);
    context.ifindex = ifindex_;
    const uint64_t r0 = entry.function(&context, &run_.context, entry.self);
    data_ = at_mac ? p.data : p.data - ethernet_header;
    data_end_ = p.data_end;
    data_meta_ = data_;
    return r0;
}

}  // namespace skep::hooks
