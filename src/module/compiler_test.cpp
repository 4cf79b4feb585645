// SPDX-License-Identifier: Apache-2.0
// Compilers that do not do what compilers do: each ends in an error that says which it was, and in no file left behind.
// They are scripts, so these tests are for hosts that run scripts; process_test has the bounds on every host.
#include "module/compiler.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace skep::module {
namespace {

TEST(Compilers, AreNamedWhenThereAreNone) {
    const auto found = find_compiler({.target = Target::LinuxX86_64, .compiler = "no-such-compiler"});
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().code(), Errc::Unavailable);
    EXPECT_NE(found.error().to_string().find("there is no C compiler for linux-x86_64"), std::string::npos);
    EXPECT_NE(found.error().to_string().find("no-such-compiler"), std::string::npos);
}

#if !defined(_WIN32)

class OddCompilers : public ::testing::Test {
  public:
    void SetUp() override {
        const auto made = make_private_folder();
        ASSERT_TRUE(made.ok());
        folder_ = *made;
        const char* before = std::getenv("TMPDIR");
        if (before != nullptr) before_ = before;
        std::filesystem::create_directory(folder_ + "/temporary");
        ::setenv("TMPDIR", (folder_ + "/temporary").c_str(), 1);
    }
    void TearDown() override {
        if (before_)
            ::setenv("TMPDIR", before_->c_str(), 1);
        else
            ::unsetenv("TMPDIR");
        remove_folder(folder_);
    }
    Compiler compiler(const char* line) {
        const std::string path = folder_ + "/cc";
        std::ofstream(path) << "#!/bin/sh\n" << line << "\n";
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
        Compiler out;
        out.program = path;
        return out;
    }
    void expect_error(const Compiler& compiler, Errc code, std::initializer_list<const char*> words) {
        const auto image = compile_c("int x;", compiler);
        ASSERT_FALSE(image.ok());
        EXPECT_EQ(image.error().code(), code) << image.error().to_string();
        for (const char* word : words)
            EXPECT_NE(image.error().to_string().find(word), std::string::npos) << image.error().to_string();
        EXPECT_TRUE(nothing_left());
    }
    bool nothing_left() const { return std::filesystem::is_empty(folder_ + "/temporary"); }

    std::string folder_;
    std::optional<std::string> before_;
};

TEST_F(OddCompilers, AGoodOneGivesItsImage) {
    const auto image = compile_c("text", compiler("while [ $1 != -o ]; do in=$1; shift; done; cat $in $in > $2"));
    ASSERT_TRUE(image.ok()) << image.error().to_string();
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(image->data()), image->size()), "texttext");
    EXPECT_TRUE(nothing_left());
}

TEST_F(OddCompilers, WhatOneRefusesIsAMistakeOfOurs) {
    expect_error(compiler("echo module.c:7: error: what is this; exit 1"), Errc::Unsupported,
                 {"the C compiler refuses the generated code", "ended with 1: module.c:7: error: what is this",
                  "this is a mistake of skep: please report it with the object file"});
}

TEST_F(OddCompilers, ASleepingOneIsEnded) {
    Compiler sleeping = compiler("sleep 3600");
    sleeping.limits.seconds = 1;
    expect_error(sleeping, Errc::LimitExceeded, {"the C compiler took too long", "1 in all"});
}

TEST_F(OddCompilers, AWorkingOneIsEnded) {
    Compiler working = compiler("while :; do :; done");
    working.limits.cpu_seconds = 1;
    expect_error(working, Errc::LimitExceeded, {"the C compiler took too long", "1 seconds of processor time"});
}

TEST_F(OddCompilers, AHungryOneIsRefusedMemoryAndItsWordsAreShown) {
    Compiler hungry = compiler("exec dd if=/dev/zero of=/dev/null bs=512M count=1");
    hungry.limits.memory_bytes = size_t{256} << 20;
    ProcessRequest asked{{"sh", "-c", "ulimit -v"}, ".", {}, hungry.limits};
    const auto bound = run_process(asked);
    if (bound.ok() && bound->text == "unlimited\n") GTEST_SKIP() << "this system does not bound memory (qemu-user)";
    expect_error(hungry, Errc::Unsupported, {"the C compiler refuses the generated code", "memory"});
}

TEST_F(OddCompilers, OneThatWritesNothingIsNamed) {
    expect_error(compiler("exit 0"), Errc::CannotRead, {"the compiler wrote no image"});
}

TEST_F(OddCompilers, AnInterruptLeavesNothing) {
    static bool left;
    static OddCompilers* self;
    left = true;
    self = this;
    struct sigaction now{}, before{};
    now.sa_handler = [](int) { left = !self->nothing_left(); };
    ::sigaction(SIGINT, &now, &before);
    expect_error(compiler("kill -INT $PPID; sleep 3600"), Errc::Unavailable, {"was interrupted"});
    ::sigaction(SIGINT, &before, nullptr);
    EXPECT_FALSE(left) << "something was there when the interrupt came through";
}

#endif

}  // namespace
}  // namespace skep::module
