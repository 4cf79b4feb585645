// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "hooks/pcap/capture.hpp"
#include "hooks/pcap/formats.hpp"

namespace skep::hooks {

struct CaptureWriter::State {
    std::string name;
    std::ofstream file;
    CaptureOptions options;
    uint64_t packets = 0;

    Error error(Errc code, std::string what, std::string why) const {
        Where where;
        where.file = name;
        return Error(code, where, std::move(what), std::move(why));
    }
    Result<void> put(Bytes bytes) {
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        if (file.good()) return {};
        return error(Errc::CannotRead, "cannot write the capture", "the disk may be full");
    }
};

CaptureWriter::CaptureWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
CaptureWriter::CaptureWriter(CaptureWriter&&) noexcept = default;
CaptureWriter& CaptureWriter::operator=(CaptureWriter&&) noexcept = default;
CaptureWriter::~CaptureWriter() = default;

Result<CaptureWriter> CaptureWriter::create(const std::filesystem::path& path, const CaptureOptions& options) {
    auto state = std::make_unique<State>();
    state->name = path.string();
    state->options = options;
    if (options.snaplen == 0 || options.snaplen > largest_captured_bytes)
        return state->error(Errc::InvalidArgument, "the snaplen is out of range",
                            fmt::format("{} is not between 1 and {}", options.snaplen, largest_captured_bytes));
    if (options.link_type > pcap_link_mask)
        return state->error(Errc::InvalidArgument, "no such link type", fmt::format("{}", options.link_type));
    errno = 0;
    state->file.open(path, std::ios::binary | std::ios::trunc);
    if (!state->file.is_open())
        return state->error(Errc::CannotRead, "cannot create the capture",
                            std::generic_category().message(errno != 0 ? errno : EACCES));
    std::array<std::byte, pcap_header_bytes> head{};
    store_le<uint32_t>(head.data(), options.nanoseconds ? pcap_magic_ns : pcap_magic_us);
    store_le<uint16_t>(head.data() + 4, 2);
    store_le<uint16_t>(head.data() + 6, 4);
    store_le<uint32_t>(head.data() + 16, options.snaplen);
    store_le<uint32_t>(head.data() + 20, options.link_type);
    SKEP_TRY(state->put(head));
    return CaptureWriter(std::move(state));
}

Result<void> CaptureWriter::write(const Packet& packet) {
    const CaptureOptions& options = state_->options;
    if (packet.link_type != options.link_type)
        return state_->error(Errc::InvalidArgument, "a packet of another link type",
                             fmt::format("link type {} in a file of {}", packet.link_type, options.link_type));
    const uint64_t seconds = packet.timestamp_ns / 1000000000;
    const uint64_t fraction = packet.timestamp_ns % 1000000000;
    if (seconds > UINT32_MAX)
        return state_->error(Errc::Overflow, "a packet's time is out of range",
                             fmt::format("{} s since 1970; pcap ends with {}", seconds, UINT32_MAX));
    const auto captured = static_cast<uint32_t>(std::min<size_t>(packet.bytes.size(), options.snaplen));
    const auto original = static_cast<uint32_t>(
        std::max<uint64_t>(packet.original_length, std::min<size_t>(packet.bytes.size(), UINT32_MAX)));
    std::array<std::byte, pcap_record_bytes> head{};
    store_le<uint32_t>(head.data(), static_cast<uint32_t>(seconds));
    store_le<uint32_t>(head.data() + 4, static_cast<uint32_t>(options.nanoseconds ? fraction : fraction / 1000));
    store_le<uint32_t>(head.data() + 8, captured);
    store_le<uint32_t>(head.data() + 12, original);
    SKEP_TRY(state_->put(head));
    SKEP_TRY(state_->put(packet.bytes.first(captured)));
    ++state_->packets;
    return {};
}

Result<void> CaptureWriter::close() {
    state_->file.close();
    if (!state_->file.fail()) return {};
    return state_->error(Errc::CannotRead, "cannot write the capture", "the disk may be full");
}

uint64_t CaptureWriter::packets() const { return state_->packets; }

}  // namespace skep::hooks
