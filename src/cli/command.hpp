// SPDX-License-Identifier: Apache-2.0
// One description per command: parsing, help, the manual page and shell completion are all read off it (STYLE.md
// section 8). Each cmd_NAME.cpp defines one Command; commands.cpp lists them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"

namespace skep::cli {

/// Exit codes (DESIGN.md section 8).
enum Exit : int {
    exit_done = 0,
    exit_no = 1,           ///< the answer is no: rejected, differs
    exit_usage = 2,        ///< wrong usage
    exit_undecided = 3,    ///< a limit, or a feature that is not modelled
    exit_unavailable = 4,  ///< the input cannot be read, or the environment lacks something
};

/// Output: a file that the command writes; it may be no file that the same call reads, and no other output of it.
enum class Kind : uint8_t { Flag, Text, Number, File, Output, Choice };

struct OptionSpec {
    std::string_view flags;  ///< "-o,--output" or "--json"; the long one names it in Arguments
    Kind kind = Kind::Flag;
    std::string_view value;  ///< "FILE", "N"; for a Choice the alternatives: "jit|interp|kernel"
    std::string_view help;

    /// "output" of "-o,--output".
    std::string_view name() const;
};

struct PositionalSpec {
    std::string_view name;  ///< "OBJECT"
    std::string_view help;
    bool required = true;
    Kind kind = Kind::File;
    std::string_view choices = {};  ///< with Kind::Choice: "show|check"
};

struct Example {
    std::string_view command;
    std::string_view says;
};

/// The words of one call, checked against the command's description.
class Arguments {
  public:
    bool flag(std::string_view option) const { return values_.contains(option); }
    /// The option's or positional's value; nothing if it was not given.
    std::optional<std::string> text(std::string_view name) const;
    std::string text_or(std::string_view name, std::string_view otherwise) const;
    /// The value of a Kind::Number option.
    std::optional<uint64_t> number(std::string_view name) const;
    /// The same, `otherwise` if it was not given. Errors: InvalidArgument unless it is `from` to `to`.
    Result<uint64_t> number_in(std::string_view name, uint64_t from, uint64_t to, uint64_t otherwise) const;

    void set(std::string name, std::string value) { values_.insert_or_assign(std::move(name), std::move(value)); }

  private:
    std::map<std::string, std::string, std::less<>> values_;
};

struct Command {
    std::string_view name;
    std::string_view summary;      ///< one line, no full stop
    std::string_view description;  ///< paragraphs split by an empty line
    std::span<const PositionalSpec> positionals;
    std::span<const OptionSpec> options;
    std::span<const Example> examples;
    /// Does the work: an exit code, or the error that main prints (its code then follows from Error::code).
    Result<int> (*run)(const Arguments&, Output&);
};

/// All commands, in the order in which help lists them.
std::span<const Command* const> commands();
/// The options that every command takes.
std::span<const OptionSpec> global_options();
const Command* find_command(std::string_view name);

/// What a call asks for.
struct Call {
    const Command* command = nullptr;  ///< null: `message` is to be printed and the call is over
    Arguments arguments;
    bool json = false;
    bool pretty = false;
    std::string message;  ///< help, or a generated text; with exit_usage what is wrong
    std::string hint;     ///< with exit_usage
    int exit_code = exit_done;
};

/// Reads argv by the table. A usage error is a Call with exit_usage and the reason as message.
Call parse(std::span<const std::string> words);

std::string help_text();
std::string help_text(const Command& command);
/// The same description for programs.
Json help_json();
Json help_json(const Command& command);
std::string manual_page();
/// "bash" or "zsh"; nothing for another shell.
std::optional<std::string> completion(std::string_view shell);

/// The exit code that an error means.
int exit_code_of(Errc code);

/// The whole of main: parses, runs, prints errors.
int main_with(std::span<const std::string> words, Output& output);

}  // namespace skep::cli
