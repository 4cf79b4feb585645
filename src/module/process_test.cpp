// SPDX-License-Identifier: Apache-2.0
// The bounds of a child process, and what is left of one. On Linux the children are lines for the shell; on Windows
// they are the tests named Child in this program, which do nothing by themselves.
#include "module/os/process.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#if defined(_WIN32)
#include <windows.h>
#else
#include <signal.h>
#include <unistd.h>
#endif

namespace skep::module {
namespace {

constexpr size_t much = size_t{512} << 20;

#if defined(_WIN32)
TEST(Child, DISABLED_Says) {
    std::puts("a word");
    std::fputs("and another\n", stderr);
    std::exit(3);
}
TEST(Child, DISABLED_Sleeps) { std::this_thread::sleep_for(std::chrono::hours(1)); }
TEST(Child, DISABLED_SleepsSilently) {
    std::fclose(stdout);
    std::fclose(stderr);
    ::CloseHandle(::GetStdHandle(STD_OUTPUT_HANDLE));
    ::CloseHandle(::GetStdHandle(STD_ERROR_HANDLE));
    std::this_thread::sleep_for(std::chrono::hours(1));
}
TEST(Child, DISABLED_Works) {
    for (std::atomic<unsigned> turns = 0;;) ++turns;
}
TEST(Child, DISABLED_TakesMemory) {
    void* memory = ::VirtualAlloc(nullptr, much, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    std::exit(memory == nullptr ? 1 : 0);
}
TEST(Child, DISABLED_SaysMuch) {
    for (int i = 0; i < 100000; ++i) std::puts("0123456789");
    std::exit(0);
}
TEST(Child, DISABLED_ShowsItsEnvironment) {
    for (const char* name : {"SKEP_GIVEN", "SKEP_HIDDEN"}) {
        const char* value = std::getenv(name);
        std::printf("%s=%s\n", name, value != nullptr ? value : "(none)");
    }
    std::exit(0);
}
std::vector<std::string> child(const char* name, const char*) {
    char path[MAX_PATH];
    ::GetModuleFileNameA(nullptr, path, sizeof path);
    return {path, "--gtest_also_run_disabled_tests", std::string("--gtest_filter=Child.DISABLED_") + name};
}
#else
std::vector<std::string> child(const char*, const char* line) { return {"sh", "-c", line}; }
#endif

ProcessRequest request_of(std::vector<std::string> words) {
    ProcessRequest out;
    out.words = std::move(words);
    out.folder = ".";
    out.environment = {"LC_ALL=C", "SKEP_GIVEN=yes"};
    out.limits.seconds = 60;
    return out;
}
ProcessResult run(const ProcessRequest& request) {
    auto result = run_process(request);
    EXPECT_TRUE(result.ok()) << result.error().to_string();
    return result ? *std::move(result) : ProcessResult{};
}

TEST(Process, SaysHowItEndedAndWhatItSaid) {
    const ProcessResult result = run(request_of(child("Says", "echo a word; echo and another >&2; exit 3")));
    EXPECT_EQ(result.exit_code, 3);
    EXPECT_FALSE(result.timed_out);
    EXPECT_FALSE(result.interrupted);
    EXPECT_NE(result.text.find("a word"), std::string::npos) << result.text;
    EXPECT_NE(result.text.find("and another"), std::string::npos) << result.text;
}

TEST(Process, OneThatIsNotThereIsNamed) {
    for (const char* name : {"no-such-program-anywhere", "./no-such-program", "/no/such/program"}) {
        const auto result = run_process(request_of({name}));
        ASSERT_FALSE(result.ok()) << name;
        EXPECT_EQ(result.error().code(), Errc::Unavailable);
        EXPECT_NE(result.error().what().find(name), std::string::npos) << result.error().to_string();
    }
}

TEST(Process, SleepsNoLongerThanItMay) {
    ProcessRequest request = request_of(child("Sleeps", "sleep 3600"));
    request.limits.seconds = 1;
    EXPECT_TRUE(run(request).timed_out);
}

TEST(Process, AlsoWhereItHasClosedItsOutput) {
    ProcessRequest request = request_of(child("SleepsSilently", "exec >&- 2>&-; sleep 3600"));
    request.limits.seconds = 1;
    EXPECT_TRUE(run(request).timed_out);
}

TEST(Process, WorksNoLongerThanItMay) {
    ProcessRequest request = request_of(child("Works", "while :; do :; done"));
    request.limits.cpu_seconds = 1;
#if defined(_WIN32)
    const uint32_t wall = request.limits.seconds = 5;
#else
    const uint32_t wall = request.limits.seconds = 30;
#endif
    const auto before = std::chrono::steady_clock::now();
    EXPECT_TRUE(run(request).timed_out);
    if (std::chrono::steady_clock::now() - before >= std::chrono::seconds(wall))
        GTEST_SKIP() << "this system does not bound processor time (Wine); the wall clock did";
}

TEST(Process, TakesNoMoreMemoryThanItMay) {
    ProcessRequest request = request_of(child("TakesMemory", "exec dd if=/dev/zero of=/dev/null bs=512M count=1"));
    EXPECT_EQ(run(request).exit_code, 0);
    request.limits.memory_bytes = much / 2;
    const ProcessResult result = run(request);
#if !defined(_WIN32)
    ProcessRequest asked = request_of(child("", "ulimit -v"));
    asked.limits = request.limits;
    if (run(asked).text == "unlimited\n") GTEST_SKIP() << "this system does not bound memory (qemu-user)";
#else
    if (result.exit_code == 0) GTEST_SKIP() << "this system does not bound memory (Wine)";
#endif
    EXPECT_NE(result.exit_code, 0) << result.text;
}

TEST(Process, OfWhatItSaysTheFirstPartIsKept) {
    ProcessRequest request = request_of(child("SaysMuch", "yes 0123456789 | head -n 100000"));
    request.limits.text_bytes = 1000;
    const ProcessResult result = run(request);
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(result.text.size(), 1000u);
}

TEST(Process, SeesTheEnvironmentThatItWasGiven) {
#if defined(_WIN32)
    ::SetEnvironmentVariableA("SKEP_HIDDEN", "yes");
#else
    ::setenv("SKEP_HIDDEN", "yes", 1);
#endif
    const ProcessResult result = run(request_of(
        child("ShowsItsEnvironment", "echo SKEP_GIVEN=${SKEP_GIVEN-(none)}; echo SKEP_HIDDEN=${SKEP_HIDDEN-(none)}")));
    EXPECT_NE(result.text.find("SKEP_GIVEN=yes"), std::string::npos) << result.text;
    EXPECT_NE(result.text.find("SKEP_HIDDEN=(none)"), std::string::npos) << result.text;
}

#if !defined(_WIN32)

TEST(Process, WritesNoLargerFileThanItMay) {
    const auto folder = make_private_folder();
    ASSERT_TRUE(folder.ok());
    ProcessRequest request = request_of(child("", "exec dd if=/dev/zero of=file bs=1M count=2"));
    request.folder = *folder;
    EXPECT_EQ(run(request).exit_code, 0);
    request.limits.file_bytes = 1 << 20;
    EXPECT_NE(run(request).exit_code, 0);
    EXPECT_EQ(std::filesystem::file_size(*folder + "/file"), size_t{1} << 20);
    remove_folder(*folder);
}

bool has_ended(int process) {
    std::ifstream in("/proc/" + std::to_string(process) + "/stat");
    std::string text;
    return !std::getline(in, text) || text.find(") Z") != std::string::npos;  // nobody may have asked how it ended
}
void expect_ended(const std::string& number) {
    const int process = std::atoi(number.c_str());
    ASSERT_GT(process, 0) << number;
    for (int i = 0; i < 1000 && !has_ended(process); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(has_ended(process));
}

TEST(Process, WhatItStartedEndsWithIt) {
    ProcessRequest request = request_of(child("", "sleep 3600 & echo $!; wait"));
    request.limits.seconds = 1;
    const ProcessResult killed = run(request);
    EXPECT_TRUE(killed.timed_out);
    expect_ended(killed.text);
    // It ends by itself; what it left holds our end of its output.
    const ProcessResult left = run(request_of(child("", "sleep 3600 & echo $!")));
    EXPECT_FALSE(left.timed_out);
    EXPECT_EQ(left.exit_code, 0);
    expect_ended(left.text);
}

TEST(Process, OfAFolderIsFoundFromAnother) {
    const auto folder = make_private_folder();
    ASSERT_TRUE(folder.ok());
    std::ofstream(*folder + "/tool") << "#!/bin/sh\necho found\n";
    std::filesystem::permissions(*folder + "/tool", std::filesystem::perms::owner_all);
    const auto here = std::filesystem::current_path();
    std::filesystem::current_path(*folder);
    ProcessRequest request = request_of({"./tool"});
    request.folder = "/";
    const ProcessResult result = run(request);
    std::filesystem::current_path(here);
    EXPECT_EQ(result.text, "found\n");
    remove_folder(*folder);
}

volatile sig_atomic_t handled = 0;
void handle(int) { handled = handled + 1; }

struct Handler {
    struct sigaction before{};
    explicit Handler(void (*function)(int)) {
        struct sigaction now{};
        now.sa_handler = function;
        ::sigaction(SIGINT, &now, &before);
        handled = 0;
    }
    ~Handler() { ::sigaction(SIGINT, &before, nullptr); }
};

TEST(Process, AnInterruptEndsItAndIsHandledAfterwards) {
    const Handler handler(handle);
    const std::string line = "sleep 3600 & echo $!; kill -INT " + std::to_string(::getpid()) + "; wait";
    {
        const HeldInterrupts held;
        const ProcessResult result = run(request_of(child("", line.c_str())));
        EXPECT_TRUE(result.interrupted);
        EXPECT_FALSE(result.timed_out);
        expect_ended(result.text);
        EXPECT_EQ(handled, 0);  // whoever holds it cleans up first
    }
    EXPECT_EQ(handled, 1);
    EXPECT_TRUE(run(request_of(child("", line.c_str()))).interrupted);
    EXPECT_EQ(handled, 2);
    EXPECT_FALSE(run(request_of(child("", "exit 0"))).interrupted);
}

TEST(Process, AnInterruptThatIsIgnoredEndsNothing) {
    const Handler handler(SIG_IGN);
    const std::string line = "kill -INT " + std::to_string(::getpid()) + "; sleep 0.2; exit 5";
    const ProcessResult result = run(request_of(child("", line.c_str())));
    EXPECT_FALSE(result.interrupted);
    EXPECT_EQ(result.exit_code, 5);
}

TEST(Process, AChildIsInterruptedAsUsual) {
    const HeldInterrupts held;  // holds nothing of it
    EXPECT_EQ(run(request_of(child("", "kill -INT $$; exit 5"))).exit_code, 128 + SIGINT);
}

#endif

}  // namespace
}  // namespace skep::module
