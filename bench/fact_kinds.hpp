// SPDX-License-Identifier: Apache-2.0
// What each kind of facts (program/facts.hpp) is worth to the JIT: programs compiled without one of them, and the table
// of what they take then.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "measure.hpp"
#include "program/executable_program.hpp"

namespace skep::bench {

struct FactKind {
    const char* name;
    void (*forget)(Fact&);  ///< nothing: all facts stay
};

/// All facts first, then all but one kind each, then none.
std::span<const FactKind> fact_kinds();

/// The verified program with its facts but those of one kind. Facts that are there were proved: the fewer, the safer.
ExecutableProgram without(const ExecutableProgram& verified, const FactKind& kind);

class FactTable {
  public:
    explicit FactTable(bool json) : json_(json) {}
    /// One program; the columns and code sizes are those of fact_kinds().
    void row(const std::string& name, std::vector<Column>& columns, const std::vector<size_t>& code_bytes, int rounds);
    /// Geometric means, and the JSON text.
    void end();

  private:
    bool json_;
    nlohmann::json report_;
    std::vector<double> logs_ = {}, bytes_ = {};
    size_t rows_ = 0;
};

}  // namespace skep::bench
