// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "hooks/pcap/capture.hpp"
#include "hooks/pcap/formats.hpp"
#include "hooks/pcap/pcapng.hpp"
#include "hooks/pcap/window.hpp"

namespace skep::hooks {

struct CaptureReader::State {
    explicit State(Window w) : window(std::move(w)) {}

    Result<void> start();
    Result<void> start_pcap(ByteOrder byte_order, CaptureFormat kind);
    Result<std::optional<Packet>> next_of_pcap();

    Window window;
    CaptureFormat format = CaptureFormat::Pcap;
    uint64_t packets = 0;
    std::optional<Error> error;  ///< the one that ended the capture

    // pcap
    ByteOrder order = ByteOrder::Little;
    uint32_t snaplen = 0;
    uint32_t link_type = link_type_ethernet;
    uint64_t to_skip = 0;  ///< bytes of the record that was handed out

    PcapngReader pcapng;
};

Result<void> CaptureReader::State::start() {
    const Bytes front = window.peek(4);
    if (front.size() < 4)
        return window.error(Errc::Truncated, 0, "not a capture",
                            fmt::format("the file has {} bytes, less than any capture", front.size()));
    const auto magic = load_le<uint32_t>(front.data());
    switch (magic) {
        case pcap_magic_us: return start_pcap(ByteOrder::Little, CaptureFormat::Pcap);
        case std::byteswap(pcap_magic_us): return start_pcap(ByteOrder::Big, CaptureFormat::Pcap);
        case pcap_magic_ns: return start_pcap(ByteOrder::Little, CaptureFormat::PcapNanoseconds);
        case std::byteswap(pcap_magic_ns): return start_pcap(ByteOrder::Big, CaptureFormat::PcapNanoseconds);
        case pcap_magic_modified:
        case std::byteswap(pcap_magic_modified):
            return window.error(Errc::Unsupported, 0, "a capture of a patched libpcap of the nineties",
                                "its records have longer headers", "convert it with editcap");
        case block_section: format = CaptureFormat::Pcapng; return pcapng.start(window);
        default:
            return window.error(Errc::Malformed, 0, "not a capture",
                                fmt::format("it begins with {:#010x}, which is neither pcap nor pcapng", magic),
                                "captures come from tcpdump -w or wireshark");
    }
}

Result<void> CaptureReader::State::start_pcap(ByteOrder byte_order, CaptureFormat kind) {
    order = byte_order;
    format = kind;
    const Bytes head = window.peek(pcap_header_bytes);
    if (head.size() < pcap_header_bytes)
        return window.error(Errc::Truncated, head.size(), "the capture's header is cut off",
                            fmt::format("it needs {} bytes and there are {}", pcap_header_bytes, head.size()));
    const auto major = load<uint16_t>(head, 4, order);
    if (major != 2)
        return window.error(Errc::Unsupported, 4, "unknown version of the pcap format",
                            fmt::format("version {}.{}; this reader knows 2.x", major, load<uint16_t>(head, 6, order)));
    snaplen = load<uint32_t>(head, 16, order);
    link_type = load<uint32_t>(head, 20, order) & pcap_link_mask;
    window.skip(pcap_header_bytes);
    return {};
}

Result<std::optional<Packet>> CaptureReader::State::next_of_pcap() {
    window.skip(to_skip);
    to_skip = 0;
    const uint64_t at = window.position();
    const Bytes head = window.peek(pcap_record_bytes);
    if (head.empty()) return std::optional<Packet>();
    if (head.size() < pcap_record_bytes)
        return window.error(Errc::Truncated, at, "a packet's header is cut off",
                            fmt::format("it needs {} bytes and {} are left", pcap_record_bytes, head.size()));
    const auto seconds = load<uint32_t>(head, 0, order);
    const auto fraction = load<uint32_t>(head, 4, order);
    const auto captured = load<uint32_t>(head, 8, order);
    const auto original = load<uint32_t>(head, 12, order);
    if (captured > largest_captured_bytes)
        return window.error(Errc::Malformed, at + 8, "damaged packet header",
                            fmt::format("it says that {} bytes were captured; no packet has more than {}", captured,
                                        largest_captured_bytes));
    const Bytes record = window.peek(pcap_record_bytes + captured);
    if (record.size() < pcap_record_bytes + captured)
        return window.error(
            Errc::Truncated, at, "a packet is cut off",
            fmt::format("it has {} bytes and {} are left", captured, record.size() - pcap_record_bytes));
    to_skip = record.size();
    Packet packet;
    packet.timestamp_ns =
        uint64_t{seconds} * 1000000000 + uint64_t{fraction} * (format == CaptureFormat::PcapNanoseconds ? 1 : 1000);
    // Some writers exceed the snaplen they announce; libpcap gives out what the announcement covers, and so do we.
    const uint32_t kept = snaplen != 0 ? std::min(captured, snaplen) : captured;
    packet.bytes = record.subspan(pcap_record_bytes, kept);
    packet.original_length = std::max(original, captured);
    packet.link_type = link_type;
    return std::optional<Packet>(packet);
}

CaptureReader::CaptureReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
CaptureReader::CaptureReader(CaptureReader&&) noexcept = default;
CaptureReader& CaptureReader::operator=(CaptureReader&&) noexcept = default;
CaptureReader::~CaptureReader() = default;

Result<CaptureReader> CaptureReader::start(std::unique_ptr<State> state) {
    SKEP_TRY(state->start());
    return CaptureReader(std::move(state));
}

Result<CaptureReader> CaptureReader::open(const std::filesystem::path& path) {
    SKEP_ASSIGN(Window window, Window::open(path));
    return start(std::make_unique<State>(std::move(window)));
}

Result<CaptureReader> CaptureReader::over(Bytes bytes, std::string name) {
    return start(std::make_unique<State>(Window::over(bytes, std::move(name))));
}

Result<std::optional<Packet>> CaptureReader::next() {
    if (state_->error) return *state_->error;
    auto packet =
        state_->format == CaptureFormat::Pcapng ? state_->pcapng.next(state_->window) : state_->next_of_pcap();
    if (!packet.ok() && state_->window.failed())
        packet = state_->window.error(Errc::CannotRead, state_->window.position(), "reading the capture failed");
    if (!packet.ok())
        state_->error = packet.error();
    else if (*packet)
        ++state_->packets;
    return packet;
}

CaptureFormat CaptureReader::format() const { return state_->format; }

uint32_t CaptureReader::link_type() const {
    if (state_->format == CaptureFormat::Pcapng) return state_->pcapng.first_link_type().value_or(link_type_ethernet);
    return state_->link_type;
}

uint64_t CaptureReader::position() const { return state_->window.position(); }
uint64_t CaptureReader::size() const { return state_->window.size(); }
uint64_t CaptureReader::packets() const { return state_->packets; }

}  // namespace skep::hooks
