// SPDX-License-Identifier: Apache-2.0
// Memory that others may write is read once for each load of the program, by every compiler: twenty programs that check
// a value and then use it, compiled to assembly in which the value's place occurs once (design/engines.md section 1:
// gcc makes two loads of a plain one).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "engine/native/emit.hpp"
#include "isa/insn.hpp"
#include "module/compiler.hpp"
#include "module/os/process.hpp"
#include "program/unverified.hpp"

namespace skep::module {
namespace {

using isa::Insn;
using isa::Op;

constexpr int16_t place = 1448;  // of the value; occurs nowhere else in the text
constexpr Op widths[] = {Op::LdxB, Op::LdxH, Op::LdxW, Op::LdxDw};

/// r6: the map's value 0, r2: what was read.
std::vector<Insn> check_then_use(int pattern) {
    const Insn exit{.op = Op::Exit}, none{.op = Op::Mov64K};
    switch (pattern) {
        case 0:  // an index
            return {{.op = Op::Jgt64K, .dst = 2, .offset = 4, .imm = 7},
                    {.op = Op::Lsh64K, .dst = 2, .imm = 3},
                    {.op = Op::Add64X, .dst = 6, .src = 2},
                    {.op = Op::LdxDw, .dst = 0, .src = 6},
                    exit,
                    none,
                    exit};
        case 1: {  // a switch
            std::vector<Insn> out;
            for (int i = 0; i < 8; ++i) {
                out.push_back({.op = Op::Jne64K, .dst = 2, .offset = 2, .imm = i});
                out.push_back({.op = Op::Mov64K, .dst = 0, .imm = 1000 + i * i});
                out.push_back(exit);
            }
            out.insert(out.end(), {none, exit});
            return out;
        }
        case 2:  // a divisor
            return {{.op = Op::Jeq64K, .dst = 2, .offset = 3, .imm = 0},
                    {.op = Op::Mov64K, .dst = 0, .imm = 100000},
                    {.op = Op::Div64X, .dst = 0, .src = 2},
                    exit,
                    none,
                    exit};
        case 3:  // a clamp
            return {{.op = Op::Jlt64K, .dst = 2, .offset = 1, .imm = 16},
                    {.op = Op::Mov64K, .dst = 2, .imm = 16},
                    {.op = Op::Mov64X, .dst = 0, .src = 2},
                    {.op = Op::Mul64X, .dst = 0, .src = 2},
                    exit};
        default:  // used on both sides of a branch
            return {{.op = Op::Mov64X, .dst = 3, .src = 2},
                    {.op = Op::Jsgt64K, .dst = 2, .offset = 3, .imm = 5},
                    {.op = Op::Mov64X, .dst = 0, .src = 3},
                    {.op = Op::Add64K, .dst = 0, .imm = 9},
                    exit,
                    {.op = Op::Mov64X, .dst = 0, .src = 3},
                    {.op = Op::Xor64X, .dst = 0, .src = 2},
                    exit};
    }
}

ExecutableProgram make_program(Op width, int pattern) {
    BoundProgram bound;
    bound.linked.name = fmt::format("loads_{}_{}", isa::name_of(width), pattern);
    bound.linked.maps = {0};
    bound.maps = {{}};
    isa::append(bound.linked.code, {.op = Op::LdMapValue, .dst = 6});
    isa::append(bound.linked.code, {.op = width, .dst = 2, .src = 6, .offset = place});
    for (const Insn& insn : check_then_use(pattern)) isa::append(bound.linked.code, insn);
    return *UnverifiedProgram::make(std::move(bound));
}

TEST(Loads, OfSharedMemoryAreMadeOnce) {
    std::vector<ExecutableProgram> programs;
    engine::native::ModuleSource source;
    engine::native::MapShape shape;
    shape.name = "values";
    source.maps.push_back(shape);
    for (const Op width : widths)
        for (int pattern = 0; pattern < 5; ++pattern) programs.push_back(make_program(width, pattern));
    for (size_t i = 0; i < programs.size(); ++i)
        source.programs.push_back({fmt::format("skep_entry_{}", i), &programs[i], {0}});
    const auto text = engine::native::emit_c(source);
    ASSERT_TRUE(text) << text.error().to_string();

    const auto folder = make_private_folder();
    ASSERT_TRUE(folder);
    std::ofstream(*folder + "/loads.c") << *text;
    int tried = 0;
    for (const char* compiler : {"gcc", "clang-19", "x86_64-w64-mingw32-gcc-posix", "aarch64-linux-gnu-gcc"}) {
        for (const char* level : {"-O1", "-O2", "-O3"}) {
            ProcessRequest request;
            request.words = {compiler};
            for (const char* flag : engine::native::required_flags()) request.words.emplace_back(flag);
            request.words.insert(request.words.end(), {level, "-fPIC", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                                                       "-S", "loads.c", "-o", "loads.s"});
            request.folder = *folder;
            request.environment = {"LC_ALL=C"};
            const auto result = run_process(request);
            if (!result) continue;  // not installed
            ++tried;
            ASSERT_EQ(result->exit_code, 0) << compiler << ": " << result->text;
            std::ifstream in(*folder + "/loads.s");
            const std::string assembly((std::istreambuf_iterator<char>(in)), {});
            // One entry after the other: each names the place once.
            for (size_t i = 0; i < programs.size(); ++i) {
                const size_t start = assembly.find(fmt::format("\nskep_entry_{}:", i));
                ASSERT_NE(start, std::string::npos) << compiler;
                const size_t next = assembly.find("\nskep_entry_", start + 1);
                const std::string body = assembly.substr(start, next == std::string::npos ? next : next - start);
                size_t loads = 0;
                for (size_t at = body.find("1448"); at != std::string::npos; at = body.find("1448", at + 1)) ++loads;
                EXPECT_EQ(loads, 1u) << compiler << " " << level << " " << programs[i].bound().linked.name << "\n"
                                     << body;
            }
        }
    }
    remove_folder(*folder);
    if (tried == 0) GTEST_SKIP() << "there is no C compiler here";
}

}  // namespace
}  // namespace skep::module
