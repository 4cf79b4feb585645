// SPDX-License-Identifier: Apache-2.0
#include "cli/run/packet_files.hpp"

#include <fmt/format.h>

#include "platform/verdict.hpp"

namespace skep::cli {

Result<void> VerdictFile::open(const std::string& path) {
    SKEP_ASSIGN(NewFile file, NewFile::open(path));
    file_.emplace(std::move(file));
    return {};
}

void VerdictFile::add(uint64_t number, const PacketReport& report) {
    if (!file_) return;
    std::string line = fmt::format("{} {} ", number, platform::verdict_name(report.verdict));
    if (report.verdict == platform::Verdict::SocketKeep) line += fmt::format("{} ", report.kept_bytes);
    line += fmt::format("{} ", report.packet.size());
    for (const std::byte b : report.packet) {
        line += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
        line += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
    }
    line += '\n';
    file_->write(line);
}

Result<void> VerdictFile::close() {
    if (!file_) return {};
    return file_->finish();
}

namespace {

/// Errors speak of the file that was asked for, not of the one in the making.
template <typename T>
Result<T> placed(Result<T> result, const std::string& path) {
    if (result) return result;
    Error error = std::move(result).error();
    error.where().file = path;
    return error;
}

}  // namespace

Result<void> PassedFile::open(const std::string& path) {
    path_ = path;
    SKEP_ASSIGN(NewFile file, NewFile::open(path));
    file_.emplace(std::move(file));
    SKEP_ASSIGN(hooks::CaptureWriter writer, placed(hooks::CaptureWriter::create(file_->name()), path_));
    writer_.emplace(std::move(writer));
    return {};
}

Result<void> PassedFile::add(const hooks::Packet& packet) { return placed(writer_->write(packet), path_); }

Result<void> PassedFile::close() {
    if (!writer_) return {};
    SKEP_TRY(placed(writer_->close(), path_));
    return file_->finish();
}

}  // namespace skep::cli
