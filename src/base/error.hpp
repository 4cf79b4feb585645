// SPDX-License-Identifier: Apache-2.0
// The rich error: where, why, hint (STYLE.md section 5). One pointer wide, so that success costs nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.hpp"

namespace skep {

/// The place an error speaks of; each part is filled by the floor that knows it, on the way up.
struct Where {
    std::string file = {};
    std::string section = {};
    std::string function = {};
    std::optional<uint64_t> byte_offset = {};  ///< in the section if there is one, else in the file
    std::optional<uint32_t> insn = {};         ///< InsnIndex, in 8-byte slots from the start of the program
    std::string insn_text = {};                ///< the instruction in the canonical dialect
    std::string source_file = {};              ///< from BTF line info
    uint32_t source_line = 0;                  ///< from 1; 0 where unknown
    uint32_t source_column = 0;

    bool operator==(const Where&) const = default;
};

/// An expected failure. `what` is one sentence without a place; `why` names the rule and the values that broke it;
/// `hint` says what to do next. Copying shares nothing: an Error owns its text.
class Error {
  public:
    Error(Errc code, std::string what, std::string why = {}, std::string hint = {});
    Error(Errc code, Where where, std::string what, std::string why = {}, std::string hint = {});
    /// Made from the core's Status: its code's meaning and the two words.
    explicit Error(Status status, std::string what = {});

    Error(const Error& other);
    Error& operator=(const Error& other);
    Error(Error&&) noexcept = default;
    Error& operator=(Error&&) noexcept = default;
    ~Error() = default;

    Errc code() const;
    const Where& where() const;
    Where& where();
    const std::string& what() const;
    const std::string& why() const;
    const std::string& hint() const;

    /// Adds a place on the way up; a part already known is kept (the innermost speaker knows best).
    Error&& in_file(std::string_view file) &&;
    Error&& in_section(std::string_view section) &&;
    Error&& in_function(std::string_view function) &&;
    Error&& at_insn(uint32_t insn) &&;

    /// The text a user sees, several lines without a trailing newline and without colour:
    ///     error: store may write outside the stack
    ///       at prog.o: section "xdp", instruction 17 (prog.c:42)
    ///          17: *(u64 *)(r10 - 520) = r1
    ///       why:  ...
    ///       hint: ...
    std::string to_string() const;
    /// The first line alone, without "error: ".
    std::string summary() const;

  private:
    struct Body {
        Errc code;
        Where where;
        std::string what, why, hint;
    };
    std::unique_ptr<Body> body_;
};

}  // namespace skep
