// SPDX-License-Identifier: Apache-2.0
// The options by which commands name what a program is adapted to: --platform, --platform-file, --kconfig.
#pragma once

#include <optional>
#include <string>

#include "cli/command.hpp"
#include "cli/json.hpp"
#include "platform/platforms/platform.hpp"
#include "runtime/load/kernel_config.hpp"

namespace skep::cli {

struct TargetOptions {
    std::optional<platform::Platform> platform;  ///< nothing: none was named
    runtime::KernelConfig config;                ///< nothing: skep's own
};

/// What programs are told of the kernel, for reports: text has a line per value.
std::string kernel_values_text(const runtime::KernelValues& values);
Json kernel_values_json(const runtime::KernelValues& values);

/// Errors: those of PlatformSet, and CannotRead or Syntax for the kernel's configuration file.
Result<TargetOptions> target_options(const Arguments& arguments);

#define SKEP_KERNEL_CONFIG_OPTIONS                                                                          \
    {"--kconfig", Kind::File, "FILE",                                                                       \
     "a kernel's configuration file, for programs that read it: what no release decides (CONFIG_HZ, ...)"}, \
        {"--platform-file", Kind::File, "FILE", "JSON that adds a platform of your own"}

}  // namespace skep::cli
