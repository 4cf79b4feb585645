// SPDX-License-Identifier: Apache-2.0
// Where the examples are not measured: on Windows, whose C library has no <linux/bpf.h> for their native form. Modules
// are not built there either.
#include "examples.hpp"

namespace skep::bench {

std::vector<ModuleColumn> module_columns() { return {}; }
std::vector<std::string> example_names() { return {}; }
ExampleRow example_row(const std::string&) { return {}; }
void example_facts(const std::string&, FactTable&, int) {}

}  // namespace skep::bench
