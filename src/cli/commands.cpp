// SPDX-License-Identifier: Apache-2.0
// The table of commands, and the frame that runs one of them.
#include <fmt/format.h>

#include <filesystem>

#include "cli/command.hpp"
#include "cli/json.hpp"

namespace skep::cli {

// clang-format off
#if defined(SKEP_PRODUCTION)
#define SKEP_DEVELOPMENT_COMMANDS(X)
#else
#define SKEP_DEVELOPMENT_COMMANDS(X) X(conformance)
#endif
#define SKEP_COMMANDS(X)         \
    X(inspect)                   \
    X(disasm)                    \
    X(asm)                       \
    X(verify)                    \
    X(check_certificate)         \
    X(run)                       \
    X(replay)                    \
    X(compile)                   \
    X(sign)                      \
    X(keygen)                    \
    X(audit)                     \
    X(policy)                    \
    X(check)                     \
    X(platform)                  \
    X(translate)                 \
    SKEP_DEVELOPMENT_COMMANDS(X) \
    X(doctor)                    \
    X(version)                   \
    X(help)
// clang-format on

#define DECLARE(name) extern const Command name##_command;
SKEP_COMMANDS(DECLARE)
#undef DECLARE

std::span<const Command* const> commands() {
#define ADDRESS(name) &name##_command,
    static constexpr const Command* all[] = {SKEP_COMMANDS(ADDRESS)};
#undef ADDRESS
    return all;
}

std::span<const OptionSpec> global_options() {
    static constexpr OptionSpec options[] = {
        {"-j,--json", Kind::Flag, "", "results and errors as one JSON value on standard output"},
        {"--pretty", Kind::Flag, "", "JSON with line breaks"},
        {"-h,--help", Kind::Flag, "", "this help"},
    };
    return options;
}

const Command* find_command(std::string_view name) {
    for (const Command* command : commands())
        if (command->name == name) return command;
    return nullptr;
}

std::string_view OptionSpec::name() const { return flags.substr(flags.find("--") + 2); }

std::optional<std::string> Arguments::text(std::string_view name) const {
    const auto at = values_.find(name);
    if (at == values_.end()) return std::nullopt;
    return at->second;
}

std::string Arguments::text_or(std::string_view name, std::string_view otherwise) const {
    return text(name).value_or(std::string(otherwise));
}

std::optional<uint64_t> Arguments::number(std::string_view name) const {
    const auto at = values_.find(name);
    if (at == values_.end()) return std::nullopt;
    return std::stoull(at->second, nullptr, 0);  // the parser let only numbers in
}

Result<uint64_t> Arguments::number_in(std::string_view name, uint64_t from, uint64_t to, uint64_t otherwise) const {
    const uint64_t value = number(name).value_or(otherwise);
    if (value >= from && value <= to) return value;
    return Error(Errc::InvalidArgument, fmt::format("--{}: {} is out of range", name, value),
                 fmt::format("it is a number from {} to {}", from, to));
}

int exit_code_of(Errc code) {
    if (code == Errc::Rejected) return exit_no;
    if (code == Errc::Undecided || code == Errc::Unsupported || code == Errc::LimitExceeded) return exit_undecided;
    if (code == Errc::InvalidArgument) return exit_usage;
    return exit_unavailable;
}

namespace {

/// Whether writing one of them changes the other. Devices and pipes may be named twice.
bool same_file(const std::string& a, const std::string& b) {
    std::error_code error;
    const std::filesystem::path one(a), other(b);
    if (std::filesystem::exists(one, error) && !std::filesystem::is_regular_file(one, error)) return false;
    if (std::filesystem::equivalent(one, other, error)) return true;
    const auto whole = [&](const std::filesystem::path& path) {
        return std::filesystem::absolute(path, error).lexically_normal();
    };
    return whole(one) == whole(other);
}

/// What a call writes is nothing that it reads, and written once: a slip of the hand would cost the only copy.
Result<void> outputs_apart(const Command& command, const Arguments& arguments) {
    std::vector<std::pair<std::string, std::string>> others;  // what it is called, the file
    for (const PositionalSpec& positional : command.positionals)
        if (const auto file = arguments.text(positional.name); file && positional.kind == Kind::File)
            others.emplace_back(positional.name, *file);
    for (const OptionSpec& option : command.options)
        if (const auto file = arguments.text(option.name()); file && option.kind == Kind::File)
            others.emplace_back(fmt::format("--{}", option.name()), *file);
    for (const OptionSpec& option : command.options) {
        const auto file = arguments.text(option.name());
        if (!file || option.kind != Kind::Output || *file == "-") continue;
        for (const auto& [name, other] : others)
            if (same_file(*file, other))
                return Error(Errc::InvalidArgument, fmt::format("--{} is the same file as {}", option.name(), name),
                             "one would take the place of the other", "name another file")
                    .in_file(*file);
        others.emplace_back(fmt::format("--{}", option.name()), *file);
    }
    return {};
}

}  // namespace

int main_with(std::span<const std::string> words, Output& output) {
    Call call = parse(words);
    output.json = call.json;
    output.pretty = call.pretty;
    if (call.command == nullptr) {
        if (call.exit_code == exit_done) {
            output.out(call.message);
        } else {
            output.print(Error(Errc::InvalidArgument, call.message, {}, call.hint));
        }
        return call.exit_code;
    }
    const auto run = [&]() -> Result<int> {
        SKEP_TRY(outputs_apart(*call.command, call.arguments));
        return call.command->run(call.arguments, output);
    };
    const Result<int> result = run();
    if (result) return *result;
    output.print(result.error());
    return exit_code_of(result.error().code());
}

}  // namespace skep::cli
