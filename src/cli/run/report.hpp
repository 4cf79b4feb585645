// SPDX-License-Identifier: Apache-2.0
// What `skep run` prints.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/run/backend.hpp"

namespace skep::cli {

struct RunSummary {
    std::string object, program, engine, capture;
    ProgramFigures figures;
    uint64_t packets = 0;
    uint64_t repeats = 1;
    std::map<uint64_t, uint64_t> skipped;  ///< length -> packets that no hook would see
    std::map<platform::Verdict, uint64_t> verdicts;
    std::map<std::string, uint64_t> redirects;  ///< target -> packets
    uint64_t passed = 0;                        ///< written by --pass-to
    uint64_t elapsed_ns = 0;
    std::vector<double> batch_ns;  ///< per batch of packets: nanoseconds per packet
    bool sum_percpu = false;       ///< one value for all CPUs
    size_t entry_limit = 32;       ///< of a map, in text
    size_t event_limit = 10;
    std::string event_type;  ///< BTF type of events; empty: guessed
};

std::string report_text(const object::ObjectSpec& spec, Backend& backend, const RunSummary& summary,
                        const Output& output);
/// One map of the object, as in report_json.
Json map_json(const object::ObjectSpec& spec, const object::MapSpec& map, const MapContents& contents);
Json report_json(const object::ObjectSpec& spec, Backend& backend, const RunSummary& summary);

}  // namespace skep::cli
