// SPDX-License-Identifier: Apache-2.0
#include "base/error.hpp"

#include <fmt/format.h>

namespace skep {

Error::Error(Errc code, std::string what, std::string why, std::string hint)
    : Error(code, Where{}, std::move(what), std::move(why), std::move(hint)) {}

Error::Error(Errc code, Where where, std::string what, std::string why, std::string hint)
    : body_(new Body{code, std::move(where), std::move(what), std::move(why), std::move(hint)}) {}

Error::Error(Status status, std::string what)
    : Error(status.code, what.empty() ? std::string(meaning_of(status.code)) : std::move(what),
            fmt::format("{} ({})", meaning_of(status.code), errno_name(status.code))) {
    if (status.a != 0 || status.b != 0) body_->why += fmt::format(", values {} and {}", status.a, status.b);
}

Error::Error(const Error& other) : body_(new Body(*other.body_)) {}

Error& Error::operator=(const Error& other) {
    if (this != &other) body_ = std::make_unique<Body>(*other.body_);
    return *this;
}

Errc Error::code() const { return body_->code; }
const Where& Error::where() const { return body_->where; }
Where& Error::where() { return body_->where; }
const std::string& Error::what() const { return body_->what; }
const std::string& Error::why() const { return body_->why; }
const std::string& Error::hint() const { return body_->hint; }

Error&& Error::in_file(std::string_view file) && {
    if (body_->where.file.empty()) body_->where.file = file;
    return std::move(*this);
}

Error&& Error::in_section(std::string_view section) && {
    if (body_->where.section.empty()) body_->where.section = section;
    return std::move(*this);
}

Error&& Error::in_function(std::string_view function) && {
    if (body_->where.function.empty()) body_->where.function = function;
    return std::move(*this);
}

Error&& Error::at_insn(uint32_t insn) && {
    if (!body_->where.insn) body_->where.insn = insn;
    return std::move(*this);
}

std::string Error::summary() const { return body_->what; }

namespace {

/// `prog.o: section "xdp", function f, instruction 17 (prog.c:42)`, leaving out what is unknown.
std::string place(const Where& w) {
    std::string text = w.file;
    const auto add = [&](std::string_view part) {
        if (!text.empty()) text += text == w.file && !w.file.empty() ? ": " : ", ";
        text += part;
    };
    if (!w.section.empty()) add(fmt::format("section \"{}\"", w.section));
    if (!w.function.empty()) add(fmt::format("function {}", w.function));
    if (w.byte_offset) add(fmt::format("offset {:#x}", *w.byte_offset));
    if (w.insn) add(fmt::format("instruction {}", *w.insn));
    if (!w.source_file.empty()) {
        std::string source = w.source_file;
        if (w.source_line != 0) source += fmt::format(":{}", w.source_line);
        text += text.empty() ? source : fmt::format(" ({})", source);
    }
    return text;
}

}  // namespace

std::string Error::to_string() const {
    const Body& b = *body_;
    std::string text = fmt::format("error: {}", b.what);
    if (std::string at = place(b.where); !at.empty()) text += fmt::format("\n  at {}", at);
    if (b.where.insn && !b.where.insn_text.empty()) {
        text += fmt::format("\n    {:>6}: {}", *b.where.insn, b.where.insn_text);
    }
    if (!b.why.empty()) text += fmt::format("\n  why:  {}", b.why);
    if (!b.hint.empty()) text += fmt::format("\n  hint: {}", b.hint);
    return text;
}

}  // namespace skep
