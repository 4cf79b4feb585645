// SPDX-License-Identifier: Apache-2.0
// Packets from and to capture files: pcap (micro- and nanoseconds, both byte orders) and pcapng (read only).
//
// Reading streams: memory is bounded by one packet and one window of the file, so a capture may be larger than memory
// and may come from a pipe. Nothing in the file is trusted; a damaged one ends in an Error that names file and offset.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace skep::hooks {

/// LINKTYPE_* numbers (https://www.tcpdump.org/linktypes.html) that anybody here asks for by name.
constexpr uint32_t link_type_null = 0;
constexpr uint32_t link_type_ethernet = 1;
constexpr uint32_t link_type_raw = 101;
constexpr uint32_t link_type_linux_sll = 113;
constexpr uint32_t link_type_ipv4 = 228;
constexpr uint32_t link_type_ipv6 = 229;
constexpr uint32_t link_type_linux_sll2 = 276;

/// The most bytes one packet may have (libpcap's MAXIMUM_SNAPLEN); larger ones are refused as damage.
constexpr uint32_t largest_captured_bytes = 262144;

/// One captured packet.
struct Packet {
    uint64_t timestamp_ns = 0;     ///< since 1970-01-01 UTC
    Bytes bytes;                   ///< what was captured; from next(): valid until the reader's next call
    uint32_t original_length = 0;  ///< bytes on the wire; at least bytes.size()
    uint32_t link_type = link_type_ethernet;
    uint32_t interface_index = 0;  ///< pcapng: number of the interface in its section, from 0; pcap: 0
};

enum class CaptureFormat : uint8_t { Pcap, PcapNanoseconds, Pcapng };

/// Reads one capture, front to back. Moves, never copies; one thread at a time.
class CaptureReader {
  public:
    /// Opens `path` and reads its header. CannotRead (no such file, no permission), Truncated, Malformed (neither pcap
    /// nor pcapng; a version other than 2.x or 1.x), each with the offset.
    static Result<CaptureReader> open(const std::filesystem::path& path);
    /// The same over memory, which must outlive the reader; `name` stands for the file in errors.
    static Result<CaptureReader> over(Bytes bytes, std::string name);

    CaptureReader(CaptureReader&&) noexcept;
    CaptureReader& operator=(CaptureReader&&) noexcept;
    ~CaptureReader();

    /// The next packet, or nothing at the end. An error ends the capture: every later call returns the same one.
    Result<std::optional<Packet>> next();

    CaptureFormat format() const;
    /// Of the file (pcap), or of the first interface seen so far (pcapng; ethernet before there is one).
    uint32_t link_type() const;
    /// Progress: bytes consumed, and bytes there are (0 where unknown, as with a pipe).
    uint64_t position() const;
    uint64_t size() const;
    /// Packets returned so far.
    uint64_t packets() const;

  private:
    struct State;
    explicit CaptureReader(std::unique_ptr<State> state);
    static Result<CaptureReader> start(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

struct CaptureOptions {
    uint32_t link_type = link_type_ethernet;
    uint32_t snaplen = largest_captured_bytes;  ///< longer packets are cut; 1 to largest_captured_bytes
    bool nanoseconds = true;                    ///< else microseconds, for readers older than 2013
};

/// Writes a pcap file (2.4, little-endian). One thread at a time. Destroying it without close() keeps what was written,
/// but tells nobody about a full disk.
class CaptureWriter {
  public:
    /// Creates or empties `path` and writes the header. CannotRead when the file cannot be written, InvalidArgument for
    /// a snaplen out of range.
    static Result<CaptureWriter> create(const std::filesystem::path& path, const CaptureOptions& options = {});

    CaptureWriter(CaptureWriter&&) noexcept;
    CaptureWriter& operator=(CaptureWriter&&) noexcept;
    ~CaptureWriter();

    /// Appends a packet; its link type must be the file's (InvalidArgument), its time before 2106 (Overflow).
    Result<void> write(const Packet& packet);
    /// Writes out what is buffered and says whether everything reached the file.
    Result<void> close();
    uint64_t packets() const;

  private:
    struct State;
    explicit CaptureWriter(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace skep::hooks
