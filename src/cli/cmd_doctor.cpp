// SPDX-License-Identifier: Apache-2.0
// `skep doctor`: what this host and this build offer.
#include "cli/command.hpp"
#include "cli/json.hpp"
#include "cli/os/host.hpp"
#include "cli/table.hpp"

namespace skep::cli {

namespace {

std::vector<host::Feature> build_features() {
    std::vector<host::Feature> list;
#if defined(SKEP_PRODUCTION)
    list.push_back({"interpreter", false, "a production build has none"});
#else
    list.push_back({"interpreter", true, "development build"});
#endif
#if defined(SKEP_HAS_JIT)
    list.push_back({"jit", true, "x86-64"});
#else
    list.push_back({"jit", false, "not built for this processor"});
#endif
    return list;
}

Result<int> run_doctor(const Arguments&, Output& output) {
    std::vector<host::Feature> list = build_features();
    for (host::Feature& feature : host::features()) list.push_back(std::move(feature));
    if (output.json) {
        Json json = Json::object();
        for (const host::Feature& f : list)
            json.set(f.name, Json::object().set("present", f.present).set("detail", f.detail));
        output.print(json);
        return exit_done;
    }
    Table table({"", "", ""});
    for (const host::Feature& f : list) table.add({f.name, f.present ? "yes" : "no", f.detail});
    output.out(table.to_string());
    return exit_done;
}

}  // namespace

extern const Command doctor_command;
constinit const Command doctor_command = {"doctor", "what this host and this build offer", {}, {}, {}, {}, run_doctor};

}  // namespace skep::cli
