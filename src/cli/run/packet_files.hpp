// SPDX-License-Identifier: Apache-2.0
// The files that `skep run` writes packet by packet: --verdicts and --pass-to.
#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "cli/file.hpp"
#include "cli/run/backend.hpp"
#include "hooks/pcap/capture.hpp"

namespace skep::cli {

/// One line per packet: its number, verdict, length and bytes afterwards. Does nothing until it is opened.
class VerdictFile {
  public:
    /// Errors: those of NewFile::open.
    Result<void> open(const std::string& path);
    void add(uint64_t number, const PacketReport& report);
    /// Errors: those of NewFile::finish.
    Result<void> close();

  private:
    std::optional<NewFile> file_;
};

/// The packets that pass, as a capture.
class PassedFile {
  public:
    /// Errors: those of NewFile::open and CaptureWriter::create.
    Result<void> open(const std::string& path);
    bool is_open() const { return writer_.has_value(); }
    /// Requires: is_open(). Errors: those of CaptureWriter::write.
    Result<void> add(const hooks::Packet& packet);
    /// Errors: those of CaptureWriter::close and NewFile::finish.
    Result<void> close();

  private:
    std::string path_;
    std::optional<NewFile> file_;
    std::optional<hooks::CaptureWriter> writer_;  ///< behind file_: it is closed before that is removed
};

}  // namespace skep::cli
