// SPDX-License-Identifier: Apache-2.0
// `skep doctor`: what this host and this build offer.
#include <fmt/format.h>

#include "base/os.hpp"
#include "cli/command.hpp"
#include "cli/json.hpp"
#include "cli/os/host.hpp"
#include "cli/table.hpp"
#include "runtime/load/engines.hpp"

namespace skep::cli {

namespace {

std::vector<host::Feature> build_features() {
    std::vector<host::Feature> list;
    bool interpreter = false, jit = false;
    for (const runtime::EngineKind engine : runtime::available_engines()) {
        interpreter = interpreter || engine == runtime::EngineKind::Interpreter;
        jit = jit || engine == runtime::EngineKind::Jit;
    }
    list.push_back({"interpreter", interpreter, interpreter ? "development build" : "a production build has none"});
    list.push_back(
        {"jit", jit, jit ? "native code, written and then made executable" : "not built for this processor"});
    const uint32_t lanes = skep_os_cpu_count();
    list.push_back({"lanes", true, fmt::format("{}, one per possible CPU", lanes)});
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
