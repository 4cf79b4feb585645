// SPDX-License-Identifier: Apache-2.0
#include "cli/target_options.hpp"

#include <fmt/format.h>

#include "cli/check/platform_set.hpp"
#include "cli/file.hpp"

namespace skep::cli {

Result<TargetOptions> target_options(const Arguments& arguments) {
    TargetOptions out;
    const auto name = arguments.text("platform");
    const auto file = arguments.text("platform-file");
    if (name || file) {
        SKEP_ASSIGN(const PlatformSet set, PlatformSet::open(file.value_or("")));
        // A file without a name: its platform is meant.
        if (name) {
            SKEP_ASSIGN(const platform::Platform* found, set.find(*name));
            out.platform = *found;
        } else {
            out.platform = set.all().back();
        }
        out.config = runtime::KernelConfig::of(*out.platform);
    }
    if (const auto path = arguments.text("kconfig")) {
        SKEP_ASSIGN(const std::vector<std::byte> bytes, read_file(*path));
        if (!out.platform) out.config = runtime::KernelConfig::own();
        SKEP_TRY(out.config.add_file({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, *path));
    }
    return out;
}

std::string kernel_values_text(const runtime::KernelValues& values) {
    std::string out;
    for (const auto& [name, value] : values)
        out +=
            value.empty() ? fmt::format("  {}: nobody says it, zero\n", name) : fmt::format("  {}={}\n", name, value);
    return out;
}

Json kernel_values_json(const runtime::KernelValues& values) {
    Json out = Json::object();
    for (const auto& [name, value] : values) {
        if (value.empty())
            out.set(name, Json());
        else
            out.set(name, value);
    }
    return out;
}

}  // namespace skep::cli
