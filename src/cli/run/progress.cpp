// SPDX-License-Identifier: Apache-2.0
#include "cli/run/progress.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/os.hpp"
#include "cli/os/host.hpp"
#include "cli/table.hpp"

namespace skep::cli {

namespace {

constexpr uint64_t first_ns = 500'000'000, step_ns = 100'000'000;

}  // namespace

Progress::Progress(const Output& output, uint64_t total) : output_(output), total_(total) {
    if (output.progress && !output.json) next_ns_ = skep_os_monotonic_ns() + first_ns;
}

Progress::~Progress() {
    if (drawn_) output_.err("\r\x1b[K");
}

void Progress::at(uint64_t done, uint64_t count, std::string_view unit) {
    if (next_ns_ == 0) return;
    const uint64_t now = skep_os_monotonic_ns();
    if (now < next_ns_) return;
    next_ns_ = now + step_ns;
    drawn_ = true;
    std::string line = fmt::format("{} {}", grouped(count), unit);
    if (total_ != 0) {
        const unsigned width = std::clamp(host::columns() / 3, 10u, 40u);
        const uint64_t share = std::min<uint64_t>(done, total_) * 100 / total_;
        const auto filled = static_cast<size_t>(share * width / 100);
        line =
            fmt::format("[{}{}] {:>3} %  {}", std::string(filled, '#'), std::string(width - filled, ' '), share, line);
    }
    output_.err("\r\x1b[K" + line);
}

}  // namespace skep::cli
