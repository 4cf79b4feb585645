// SPDX-License-Identifier: Apache-2.0
#include "cli/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace skep::cli {

Table::Table(std::vector<std::string> heads) : heads_(std::move(heads)) {
    for (std::string& head : heads_) {
        right_.push_back(head.starts_with('>'));
        if (right_.back()) head.erase(0, 1);
    }
}

void Table::add(std::vector<std::string> cells) {
    assert(cells.size() <= heads_.size());
    cells.resize(heads_.size());
    rows_.push_back(std::move(cells));
}

namespace {

/// Columns on the screen, taking each UTF-8 sequence as one.
size_t width_of(std::string_view text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string Table::to_string(size_t indent) const {
    std::vector<size_t> widths(heads_.size());
    const auto measure = [&](const std::vector<std::string>& cells) {
        for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], width_of(cells[i]));
    };
    measure(heads_);
    for (const auto& row : rows_) measure(row);

    std::string text;
    const auto line = [&](const std::vector<std::string>& cells) {
        std::string out(indent, ' ');
        for (size_t i = 0; i < cells.size(); ++i) {
            const std::string pad(widths[i] - width_of(cells[i]), ' ');
            if (i != 0) out += "  ";
            out += right_[i] ? pad + cells[i] : cells[i] + pad;
        }
        out.erase(out.find_last_not_of(' ') + 1);
        text += out + "\n";
    };
    if (std::any_of(heads_.begin(), heads_.end(), [](const std::string& h) { return !h.empty(); })) line(heads_);
    for (const auto& row : rows_) line(row);
    return text;
}

std::string grouped(unsigned long long number) {
    std::string digits = std::to_string(number);
    for (size_t at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, " ");
    }
    return digits;
}

std::string count_of(unsigned long long count, std::string_view one) {
    return fmt::format("{} {}{}", grouped(count), one, count == 1 ? "" : "s");
}

}  // namespace skep::cli
