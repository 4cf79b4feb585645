// SPDX-License-Identifier: Apache-2.0
#include "cli/check/platform_set.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/check/platform_file.hpp"
#include "runtime/load/host_offer.hpp"

namespace skep::cli {

Result<PlatformSet> PlatformSet::open(const std::string& file) {
    PlatformSet set;
    set.platforms_ = platform::builtin_platforms(runtime::host_offer());
    if (!file.empty()) {
        SKEP_ASSIGN(platform::Platform added, read_platform_file(file, set.platforms_));
        set.platforms_.push_back(std::move(added));
    }
    return set;
}

Result<const platform::Platform*> PlatformSet::find(std::string_view name) const {
    std::string names;
    for (const platform::Platform& p : platforms_) {
        if (p.name == name) return &p;
        names += (names.empty() ? "" : ", ") + p.name;
    }
    return Error(Errc::InvalidArgument, fmt::format("there is no platform \"{}\"", name), {}, "there are " + names);
}

Result<std::vector<const platform::Platform*>> PlatformSet::choose(std::string_view names) const {
    std::vector<const platform::Platform*> chosen;
    if (names.empty())
        for (const platform::Platform& p : platforms_) chosen.push_back(&p);
    while (!names.empty()) {
        const size_t comma = std::min(names.find(','), names.size());
        SKEP_ASSIGN(const platform::Platform* p, find(names.substr(0, comma)));
        if (std::ranges::find(chosen, p) == chosen.end()) chosen.push_back(p);
        names.remove_prefix(std::min(comma + 1, names.size()));
    }
    return chosen;
}

}  // namespace skep::cli
