// SPDX-License-Identifier: Apache-2.0
#include "cli/target_options.hpp"

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

}  // namespace skep::cli
