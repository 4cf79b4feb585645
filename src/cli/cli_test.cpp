// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/command.hpp"
#include "cli/json.hpp"
#include "cli/table.hpp"

namespace skep::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Outcome {
    int code;
    std::string out, err;
};

Outcome call(std::vector<std::string> words) {
    Outcome outcome;
    Output output;
    output.out = [&](std::string_view text) { outcome.out += text; };
    output.err = [&](std::string_view text) { outcome.err += text; };
    outcome.code = main_with(words, output);
    return outcome;
}

TEST(CommandLine, ExitCodesTellUsageErrorsFromResults) {
    const struct {
        std::vector<std::string> words;
        int code;
    } rows[] = {
        {{"version"}, 0},
        {{"--version"}, 0},
        {{"--help"}, 0},
        {{"version", "--help"}, 0},
        {{"help", "doctor"}, 0},
        {{"--json", "version"}, 0},
        {{"version", "--json"}, 0},
        {{}, 2},
        {{"no-such-command"}, 2},
        {{"version", "--no-such-option"}, 2},
        {{"help", "no-such-command"}, 2},
        {{"--generate-completion", "fish"}, 2},
    };
    for (const auto& row : rows) {
        std::string words;
        for (const std::string& word : row.words) words += word + " ";
        EXPECT_EQ(call(row.words).code, row.code) << words;
    }
}

TEST(CommandLine, APathThatBeginsWithASlashIsAPathOnEveryHost) {
    const Outcome outcome = call({"inspect", "/no/such/file"});
    EXPECT_EQ(outcome.code, 4);
    EXPECT_THAT(outcome.err, HasSubstr("/no/such/file could not be opened"));
}

TEST(CommandLine, ErrorsGoToStandardErrorAsTextAndToStandardOutputAsJson) {
    const Outcome text = call({"version", "--no-such-option"});
    EXPECT_THAT(text.err, StartsWith("error: "));
    EXPECT_EQ(text.out, "");
    const Outcome json = call({"version", "--json", "--no-such-option"});
    EXPECT_EQ(json.err, "");
    const Result<Json> value = parse_json(json.out);
    ASSERT_TRUE(value.ok());
    ASSERT_NE(value->find("error"), nullptr);
    EXPECT_NE(value->find("error")->find("what"), nullptr);
}

TEST(CommandLine, WrongWordsAreNamedWithWhatWasProbablyMeant) {
    const struct {
        std::vector<std::string> words;
        std::string says;
    } rows[] = {
        {{"verfy", "x"}, "error: there is no command \"verfy\"\n  hint: did you mean verify? skep --help"},
        {{"xyz"}, "error: there is no command \"xyz\"\n  hint: skep --help"},
        {{"verify", "x", "--progam", "y"},
         "error: skep verify has no option --progam\n  hint: did you mean --program? skep help verify lists"},
        {{"verify", "x", "--zzzzzz"}, "error: skep verify has no option --zzzzzz\n  hint: skep help verify lists"},
        {{"version", "extra"}, "error: skep version takes no further argument \"extra\""},
        {{"verify", "x", "--why-safe"}, "error: --why-safe needs a value: --why-safe INSN\n"},
        {{"disasm", "x", "-p"}, "needs a value: --program NAME\n"},
        {{"verify", "x", "--timeout", "soon"}, "error: --timeout: soon is not a number from 0 up\n"},
        {{"verify", "x", "--personality", "mac"}, "error: --personality: mac is not one of linux|windows\n"},
        {{"--nope"}, "error: skep has no option --nope\n"},
    };
    for (const auto& row : rows) {
        const Outcome outcome = call(row.words);
        EXPECT_EQ(outcome.code, 2) << row.says;
        EXPECT_THAT(outcome.err, HasSubstr(row.says));
    }
}

TEST(CommandLine, EachWayToAskForJsonHoldsForWrongUsageToo) {
    for (const char* flag : {"--json", "-j", "--pretty"}) {
        const Outcome outcome = call({"version", "--no-such-option", flag});
        EXPECT_EQ(outcome.err, "") << flag;
        EXPECT_TRUE(parse_json(outcome.out).ok()) << flag;
    }
}

TEST(CommandLine, EveryCommandStandsInHelpManualAndCompletions) {
    const std::string help = help_text(), man = manual_page();
    const std::string bash = *completion("bash"), zsh = *completion("zsh");
    for (const Command* command : commands()) {
        const std::string name(command->name);
        EXPECT_THAT(help, HasSubstr("  " + name));
        std::string in_man = name;  // roff's own sign for a hyphen
        if (const size_t hyphen = in_man.find('-'); hyphen != std::string::npos) in_man.insert(hyphen, "\\");
        EXPECT_THAT(man, HasSubstr(".SS skep " + in_man));
        EXPECT_THAT(bash, HasSubstr(name));
        EXPECT_THAT(zsh, HasSubstr("'" + name + ":"));
        for (const OptionSpec& option : command->options) {
            const std::string flag = "--" + std::string(option.name());
            EXPECT_THAT(help_text(*command), HasSubstr(flag));
            EXPECT_THAT(bash, HasSubstr(flag));
            EXPECT_THAT(zsh, HasSubstr(flag));
        }
    }
}

TEST(CommandLine, HelpIsJsonWhereJsonIsAskedFor) {
    const Result<Json> all = parse_json(call({"help", "--json"}).out);
    ASSERT_TRUE(all.ok());
    ASSERT_NE(all->find("commands"), nullptr);
    EXPECT_EQ(all->find("commands")->as<Json::Array>()->size(), commands().size());
    for (const Outcome& one : {call({"help", "asm", "--json"}), call({"asm", "--help", "--json"})}) {
        const Result<Json> json = parse_json(one.out);
        ASSERT_TRUE(json.ok()) << one.out;
        EXPECT_EQ(*json->find("name")->as<std::string>(), "asm");
        EXPECT_EQ(json->find("options")->as<Json::Array>()->size(), find_command("asm")->options.size());
    }
}

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
    Table table({"name", ">count"});
    table.add({"a", "1"});
    table.add({"longer", "1234567"});
    EXPECT_EQ(table.to_string(),
              "name      count\n"
              "a             1\n"
              "longer  1234567\n");
}

TEST(Table, GroupsDigitsByThree) {
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(1000), "1 000");
    EXPECT_EQ(grouped(1234567), "1 234 567");
}

TEST(Json, KeepsOrderNumbersAndText) {
    const Json json = Json::object().set("b", uint64_t{18446744073709551615u}).set("a", -1).set("s", "x\"y\n");
    EXPECT_EQ(json.to_string(), R"({"b":18446744073709551615,"a":-1,"s":"x\"y\n"})");
    const Result<Json> back = parse_json(json.to_string());
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->to_string(), json.to_string());
}

TEST(Json, RefusesDamagedAndTooDeepText) {
    EXPECT_FALSE(parse_json("{").ok());
    EXPECT_FALSE(parse_json("[1,]").ok());
    EXPECT_TRUE(parse_json(std::string(256, '[') + std::string(256, ']')).ok());
    EXPECT_FALSE(parse_json(std::string(257, '[') + std::string(257, ']')).ok());
}

}  // namespace
}  // namespace skep::cli
