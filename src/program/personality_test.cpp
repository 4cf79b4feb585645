// SPDX-License-Identifier: Apache-2.0
// Whose headers an object was compiled against: each kind of evidence alone, marks, conflicts, silence. Real objects of
// both systems: tests/windows_objects_test.cpp.
#include "program/personality.hpp"

#include <gtest/gtest.h>

#include "isa/assemble.hpp"

namespace skep {
namespace {

using platform::Personality;

struct Case {
    const char* name;
    const char* section = "xdp";
    const char* text = "r0 = 1\nexit";
    bool mark = false;
    uint32_t note = 0;
    std::optional<Personality> personality = {};
    const char* evidence = "";  ///< a part of some evidence, or of the reason
};

object::ObjectSpec object_of(const Case& c) {
    object::ObjectSpec spec;
    spec.file = "test.o";
    spec.ebpf_for_windows = c.mark;
    spec.sections.push_back({});
    if (c.note != 0) {
        object::SectionSpec note;
        note.name = ".note.skep";
        note.kind = c.note == 1 ? "mark: linux" : "mark: windows";
        spec.sections.push_back(note);
    }
    object::SectionSpec section;
    section.name = c.section;
    section.kind = "program";
    spec.sections.push_back(section);
    const auto assembly = isa::assemble_labelled(c.text);
    EXPECT_TRUE(assembly.ok()) << c.name;
    object::CodeSection code;
    const auto at = static_cast<uint32_t>(spec.sections.size() - 1);
    code.section = at;
    code.code = assembly->code;
    code.functions = {0};
    spec.code.push_back(code);
    object::FunctionSpec function;
    function.name = "prog";
    function.section = at;
    function.end = static_cast<uint32_t>(assembly->code.size());
    spec.functions.push_back(function);
    object::ProgramSpec program;
    program.name = "prog";
    program.section = c.section;
    spec.programs.push_back(program);
    return spec;
}

constexpr auto linux_ = Personality::Linux;
constexpr auto windows = Personality::Windows;

TEST(Personality, EachKindOfEvidenceDecidesAlone) {
    const Case cases[] = {
        {.name = "note linux", .note = 1, .personality = linux_, .evidence = ".note.skep says linux"},
        {.name = "note windows", .note = 2, .personality = windows, .evidence = ".note.skep says windows"},
        {.name = "their mark", .mark = true, .personality = windows, .evidence = ".ebpf_for_windows"},
        {.name = "tc", .section = "tc", .personality = linux_, .evidence = "\"tc\" exists on Linux only"},
        {.name = "xdp.frags", .section = "xdp.frags", .personality = linux_, .evidence = "exists on Linux only"},
        {.name = "bind", .section = "bind", .personality = windows, .evidence = "\"bind\" exists on Windows only"},
        {.name = "bind/x", .section = "bind/x", .personality = windows, .evidence = "exists on Windows only"},
        {.name = "accept", .section = "cgroup/recv_accept4", .personality = windows, .evidence = "Windows only"},
        {.name = "authorization", .section = "cgroup/connect_authorization6", .personality = windows},
        {.name = "sendmsg", .section = "cgroup/sendmsg4", .personality = linux_, .evidence = "Linux only"},
        {.name = "number of linux",
         .text = "call 125\nr0 = 1\nexit",
         .personality = linux_,
         .evidence = "Windows has not"},
        {.name = "last of windows", .text = "call 36\nr0 = 1\nexit", .personality = linux_},
        {.name = "number of a type",
         .text = "r2 = 0\ncall 65536\nr0 = 1\nexit",
         .personality = windows,
         .evidence = "0x10000"},
        {.name = "wide pointers",
         .text = "r2 = *(u64 *)(r1 + 0)\nr0 = 1\nexit",
         .personality = windows,
         .evidence = "8 bytes at offset 0"},
        {.name = "wide end", .text = "r6 = r1\nr2 = *(u64 *)(r6 + 8)\nr0 = 1\nexit", .personality = windows},
        {.name = "narrow pointers",
         .text = "r2 = *(u32 *)(r1 + 4)\nr0 = 1\nexit",
         .personality = linux_,
         .evidence = "4 bytes at offset 4"},
    };
    for (const Case& c : cases) {
        const PersonalityFinding finding = find_personality(object_of(c));
        EXPECT_EQ(finding.personality, c.personality) << c.name << ": " << finding.reason;
        bool said = false;
        for (const PersonalityEvidence& e : finding.evidence) said |= e.text.find(c.evidence) != std::string::npos;
        EXPECT_TRUE(said) << c.name;
    }
}

TEST(Personality, SilenceIsLinuxOnlyWhereTheSystemsAgree) {
    // An xdp program that returns 1 passes on Windows and drops on Linux.
    const PersonalityFinding silent = find_personality(object_of({.name = "silent"}));
    EXPECT_FALSE(silent.personality);
    EXPECT_TRUE(silent.evidence.empty());
    EXPECT_NE(silent.reason.find("exist on both systems"), std::string::npos) << silent.reason;
    EXPECT_FALSE(find_personality(object_of({.name = "connect", .section = "cgroup/connect4"})).personality);
    // On Linux skb_change_proto, which xdp programs have not: as likely a program that Linux refuses.
    const Case number_of_both{.name = "number of both", .text = "call 31\nr0 = 1\nexit"};
    EXPECT_TRUE(find_personality(object_of(number_of_both)).evidence.empty());
    EXPECT_EQ(find_personality(object_of({.name = "nobody's", .section = "mine"})).personality, linux_);
    // The same helper number on both systems is no evidence.
    EXPECT_FALSE(find_personality(object_of({.name = "8", .text = "call 8\nr0 = 1\nexit"})).personality);
}

TEST(Personality, EvidenceOfBothIsAConflictThatSaysWhatToPass) {
    const Case conflicts[] = {
        {.name = "mark and section", .section = "tc", .mark = true},
        {.name = "note against mark", .mark = true, .note = 1},
        {.name = "section and number", .section = "bind", .text = "call 125\nr0 = 0\nexit"},
        {.name = "widths", .text = "r2 = *(u64 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr0 = 1\nexit"},
    };
    for (const Case& c : conflicts) {
        const object::ObjectSpec spec = object_of(c);
        EXPECT_FALSE(find_personality(spec).personality) << c.name;
        const auto settled = settle_personality(spec, std::nullopt);
        ASSERT_FALSE(settled.ok()) << c.name;
        EXPECT_EQ(settled.error().code(), Errc::Undecided);
        EXPECT_NE(settled.error().hint().find("--personality"), std::string::npos);
        EXPECT_EQ(*settle_personality(spec, windows), windows) << "who asks decides";
        EXPECT_EQ(*settle_personality(spec, linux_), linux_);
    }
}

TEST(Personality, AProgramMadeInMemorySpeaksLinux) {
    object::ObjectSpec spec = object_of({.name = "made"});
    spec.sections.clear();
    spec.code.clear();
    spec.programs.clear();
    EXPECT_EQ(*settle_personality(spec, std::nullopt), linux_);
}

}  // namespace
}  // namespace skep
