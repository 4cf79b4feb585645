// SPDX-License-Identifier: Apache-2.0
// The three example programs as rows: a capture's packets, one after the other, with maps as they are after many
// passes. Times are of one packet and without copying it and preparing its context, which an empty program takes as
// long for.
#pragma once

#include <string>
#include <vector>

#include "fact_kinds.hpp"
#include "measure.hpp"
#include "module/native_code.hpp"

namespace skep::bench {

struct ExampleRow {
    std::string name;
    size_t instructions = 0;
    std::vector<Column> columns;  ///< native, jit, interp, native-gcc, modules; kernel where it can be asked
    std::string kernel_reason;    ///< why it cannot
};

/// The native modules that are measured: a program as a C compiler makes it from the emitted text.
struct ModuleColumn {
    const char* name;
    const char* compiler;
    module::CpuLevel cpu;

    module::DirectOptions options() const {
        module::DirectOptions out;
        out.cpu = cpu;
        out.compiler = compiler;
        return out;
    }
};
std::vector<ModuleColumn> module_columns();

/// The names, in order.
std::vector<std::string> example_names();
/// Loads one for every engine. Ends the process with a message when an engine refuses it.
ExampleRow example_row(const std::string& name);
/// The example on the JIT without each kind of facts.
void example_facts(const std::string& name, FactTable& table, int rounds);

}  // namespace skep::bench
