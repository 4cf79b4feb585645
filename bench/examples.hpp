// SPDX-License-Identifier: Apache-2.0
// The three example programs as rows: a capture's packets, one after the other, with maps as they are after many
// passes. Times are of one packet and without copying it and preparing its context, which an empty program takes as
// long for.
#pragma once

#include <string>
#include <vector>

#include "fact_kinds.hpp"
#include "measure.hpp"

namespace skep::bench {

struct ExampleRow {
    std::string name;
    size_t instructions = 0;
    std::vector<Column> columns;  ///< native, jit, interp, and kernel where it can be asked
    std::string kernel_reason;    ///< why it cannot
};

/// The names, in order.
std::vector<std::string> example_names();
/// Loads one for every engine. Ends the process with a message when an engine refuses it.
ExampleRow example_row(const std::string& name);
/// The example on the JIT without each kind of facts.
void example_facts(const std::string& name, FactTable& table, int rounds);

}  // namespace skep::bench
