// SPDX-License-Identifier: Apache-2.0
// Aligned text: columns as wide as their widest cell, two blanks between, no lines drawn.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace skep::cli {

class Table {
  public:
    /// Column heads; one that starts with '>' is aligned to the right (the sign is not shown). Empty heads: no head
    /// line.
    explicit Table(std::vector<std::string> heads);

    /// Missing cells are empty; surplus ones are a bug of the caller.
    void add(std::vector<std::string> cells);
    bool empty() const { return rows_.empty(); }

    /// Every line ends in a newline and starts with `indent` blanks; no trailing blanks.
    std::string to_string(size_t indent = 0) const;

  private:
    std::vector<std::string> heads_;
    std::vector<bool> right_;
    std::vector<std::vector<std::string>> rows_;
};

/// 1234567 as "1 234 567".
std::string grouped(unsigned long long number);
/// "1 program", "1 234 programs".
std::string count_of(unsigned long long count, std::string_view one);

}  // namespace skep::cli
