// SPDX-License-Identifier: Apache-2.0
// From the table to CLI11 and back; the only file that includes it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <list>

#include "cli/command.hpp"

namespace skep::cli {

namespace {

/// Where CLI11 puts the values; addresses stay stable while options are added.
struct Slot {
    std::string name;
    std::string value;
    bool flag = false;
    CLI::Option* option = nullptr;
};

std::string check_number(const std::string& text) {
    size_t used = 0;
    try {
        (void)std::stoull(text, &used, 0);
    } catch (const std::exception&) {
        used = 0;
    }
    if (used == 0 || used != text.size() || text[0] == '-') return fmt::format("{} is not a number from 0 up", text);
    return {};
}

void add_option(CLI::App& app, const OptionSpec& spec, std::list<Slot>& slots) {
    Slot& slot = slots.emplace_back();
    slot.name = spec.name();
    const std::string flags(spec.flags);
    if (spec.kind == Kind::Flag) {
        slot.option = app.add_flag(flags, slot.flag);
        return;
    }
    slot.option = app.add_option(flags, slot.value)->take_last();
    if (spec.kind == Kind::Number) slot.option->check(CLI::Validator(check_number, "N"));
    if (spec.kind == Kind::Choice) {
        std::vector<std::string> choices;
        for (std::string_view rest = spec.value; !rest.empty();) {
            const size_t bar = std::min(rest.find('|'), rest.size());
            choices.emplace_back(rest.substr(0, bar));
            rest.remove_prefix(std::min(bar + 1, rest.size()));
        }
        slot.option->check(CLI::Validator(
            [choices, alternatives = std::string(spec.value)](const std::string& text) {
                if (std::find(choices.begin(), choices.end(), text) != choices.end()) return std::string();
                return fmt::format("{} is not one of {}", text, alternatives);
            },
            "CHOICE"));
    }
}

/// How many letters have to be put in, left out or changed to make one word of the other.
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t changed = corner + (a[i - 1] == b[j - 1] ? 0 : 1);
            corner = row[j];
            row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row[b.size()];
}

/// The word that was probably meant; nothing if none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& words) {
    std::string best;
    size_t best_distance = word.size() < 6 ? 2 : 3;
    for (const std::string& one : words) {
        const size_t now = distance(word, one);
        if (now < best_distance) {
            best = one;
            best_distance = now;
        }
    }
    return best;
}

std::vector<std::string> option_flags(const Command* command) {
    std::vector<std::string> flags;
    for (const OptionSpec& spec : global_options()) flags.push_back("--" + std::string(spec.name()));
    if (command == nullptr) return flags;
    for (const OptionSpec& spec : command->options) flags.push_back("--" + std::string(spec.name()));
    return flags;
}

const OptionSpec* find_option(const Command* command, std::string_view flag) {
    if (command == nullptr) return nullptr;
    for (const OptionSpec& spec : command->options)
        if (flag == "--" + std::string(spec.name()) || spec.flags.starts_with(std::string(flag) + ",")) return &spec;
    return nullptr;
}

/// What is wrong with a call, in our own words; `rest` are the words that nothing takes.
std::string words_of(const CLI::ParseError& error, const Command* command, const std::vector<std::string>& rest) {
    const std::string where = command != nullptr ? "skep " + std::string(command->name) : "skep";
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !rest.empty()) {
        if (rest.front().size() > 1 && rest.front().starts_with('-'))
            return fmt::format("{} has no option {}", where, rest.front());
        return fmt::format("{} takes no further argument \"{}\"", where, rest.front());
    }
    const std::string said = error.what();
    const std::string flag = said.substr(0, said.find(':'));
    if (const OptionSpec* spec = find_option(command, flag);
        spec != nullptr && dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
        return spec->kind == Kind::Flag ? fmt::format("{} takes no value", flag)
                                        : fmt::format("{} needs a value: {} {}", flag, flag, spec->value);
    }
    return said;
}

}  // namespace

Call parse(std::span<const std::string> words) {
    Call call;
    CLI::App app;
    app.set_help_flag();
    app.allow_windows_style_options(false);  // a path that begins with a slash is a path, on every host
    app.require_subcommand(0, 1);
    std::list<Slot> global;
    for (const OptionSpec& spec : global_options()) add_option(app, spec, global);
    std::string shell;
    bool man = false;
    app.add_flag("--generate-man", man);
    app.add_option("--generate-completion", shell);
    bool version = false;
    app.add_flag("-V,--version", version);

    std::list<std::pair<const Command*, CLI::App*>> subcommands;
    std::list<std::list<Slot>> slots;
    for (const Command* command : commands()) {
        CLI::App* sub = app.add_subcommand(std::string(command->name));
        sub->set_help_flag();
        sub->fallthrough();
        subcommands.emplace_back(command, sub);
        std::list<Slot>& own = slots.emplace_back();
        for (const PositionalSpec& positional : command->positionals) {
            Slot& slot = own.emplace_back();
            slot.name = positional.name;
            slot.option = sub->add_option(std::string(positional.name), slot.value);
        }
        for (const OptionSpec& spec : command->options) add_option(*sub, spec, own);
    }

    const auto given = [&](std::string_view name) {
        for (const Slot& slot : global)
            if (slot.name == name) return slot.flag;
        return false;
    };
    const auto first = std::ranges::find_if(words, [](const std::string& word) { return !word.starts_with('-'); });
    const Command* const named = first != words.end() ? find_command(*first) : nullptr;
    const auto usage = [&](std::string message, std::string meant = {}) {
        const auto said = [&](std::string_view flag) { return std::ranges::find(words, flag) != words.end(); };
        call.pretty = said("--pretty");
        call.json = call.pretty || said("--json") || said("-j");
        call.command = nullptr;
        call.message = std::move(message);
        call.hint = named != nullptr ? fmt::format("skep help {} lists what it takes", named->name)
                                     : "skep --help lists the commands and options";
        if (!meant.empty()) call.hint = fmt::format("did you mean {}? {}", meant, call.hint);
        call.exit_code = exit_usage;
        return call;
    };

    if (first == words.begin() && first != words.end() && named == nullptr) {
        std::vector<std::string> names;
        for (const Command* command : commands()) names.emplace_back(command->name);
        return usage(fmt::format("there is no command \"{}\"", words[0]), nearest(words[0], names));
    }
    std::vector<std::string> reversed(words.rbegin(), words.rend());  // CLI11 takes them from the back
    try {
        app.parse(reversed);
    } catch (const CLI::ParseError& error) {
        const std::vector<std::string> rest = app.remaining(true);
        return usage(words_of(error, named, rest), rest.empty() ? "" : nearest(rest.front(), option_flags(named)));
    }
    call.json = given("json") || given("pretty");
    call.pretty = given("pretty");

    if (man) return call.message = manual_page(), call;
    if (!shell.empty()) {
        const auto text = completion(shell);
        if (!text) return usage(fmt::format("there is no completion for {}: bash and zsh have one", shell));
        return call.message = *text, call;
    }
    auto own = slots.begin();
    for (const auto& [command, sub] : subcommands) {
        const std::list<Slot>& values = *own++;
        if (!sub->parsed()) continue;
        if (given("help")) {
            call.arguments.set("COMMAND", std::string(command->name));
            return call.command = find_command("help"), call;
        }
        for (const Slot& slot : values) {
            if (slot.option->count() == 0) continue;
            // An empty word is a shell variable that was never set, not a wish for what stands for nothing.
            if (!slot.flag && slot.value.empty() && slot.option->get_expected_max() != 0)
                return usage(fmt::format("{} is empty", slot.option->get_name()));
            call.arguments.set(slot.name, slot.value);
        }
        for (const PositionalSpec& positional : command->positionals)
            if (positional.required && !call.arguments.flag(positional.name))
                return usage(
                    fmt::format("skep {}: {} is missing: {}", command->name, positional.name, positional.help));
        call.command = command;
        return call;
    }
    if (version) return call.command = find_command("version"), call;
    if (given("help")) return call.command = find_command("help"), call;
    return usage("no command was given");
}

}  // namespace skep::cli
