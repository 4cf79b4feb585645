// SPDX-License-Identifier: Apache-2.0
#include "cli/output.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cli/json.hpp"
#include "cli/os/host.hpp"

namespace skep::cli {

Output Output::standard() {
    Output output;
    const auto failed = std::make_shared<int>(0);
    output.out = [failed](std::string_view text) {
        errno = 0;
        if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() && *failed == 0)
            *failed = errno != 0 ? errno : EIO;
    };
    output.flush = [failed] {
        errno = 0;
        if (std::fflush(stdout) != 0 && *failed == 0) *failed = errno != 0 ? errno : EIO;
        return *failed;
    };
    output.err = [](std::string_view text) {
        std::fflush(stdout);
        std::fwrite(text.data(), 1, text.size(), stderr);
    };
    const char* no_colour = std::getenv("NO_COLOR");
    const bool colour = no_colour == nullptr || *no_colour == '\0';
    output.colour_out = colour && host::is_terminal(1);
    output.colour_err = colour && host::is_terminal(2);
    output.progress = host::is_terminal(1) && host::is_terminal(2);
    return output;
}

void Output::print(const Json& value) const { out(value.to_string(pretty) + "\n"); }

void Output::warn(std::string_view text) const {
    err(colour_err ? fmt::format("\x1b[33mwarning:\x1b[0m {}\n", text) : fmt::format("warning: {}\n", text));
}

std::string Output::heading(std::string_view text) const {
    return colour_out ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string(text);
}

void Output::print(const Error& error) const {
    if (json) return print(error_json(error));
    std::string text = error.to_string() + "\n";
    constexpr std::string_view word = "error:";
    if (colour_err && text.starts_with(word)) text = fmt::format("\x1b[1;31m{}\x1b[0m{}", word, text.substr(6));
    err(text);
}

Json error_json(const Error& error) {
    Json where = Json::object();
    const Where& w = error.where();
    const auto add = [&](std::string_view key, const std::string& value) {
        if (!value.empty()) where.set(key, value);
    };
    add("file", w.file);
    add("section", w.section);
    add("function", w.function);
    if (w.byte_offset) where.set("byte_offset", *w.byte_offset);
    if (w.insn) where.set("insn", *w.insn);
    add("insn_text", w.insn_text);
    add("source_file", w.source_file);
    if (w.source_line != 0) where.set("source_line", w.source_line);
    if (w.source_column != 0) where.set("source_column", w.source_column);

    Json body = Json::object();
    body.set("errno", errno_name(error.code())).set("what", error.what());
    if (!error.why().empty()) body.set("why", error.why());
    if (!error.hint().empty()) body.set("hint", error.hint());
    if (!where.as<Json::Object>()->empty()) body.set("where", std::move(where));
    return Json::object().set("error", std::move(body));
}

}  // namespace skep::cli
