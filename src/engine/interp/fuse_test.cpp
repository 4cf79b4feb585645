// SPDX-License-Identifier: Apache-2.0
// Fused instructions against the same instructions one by one: every row of fused.def, with every coincidence of
// registers that chance brings.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>

#include "engine/interp/code.hpp"
#include "engine/interp/interp.hpp"
#include "isa/assemble.hpp"
#include "isa/insn.hpp"
#include "program/unverified.hpp"

namespace skep::engine::interp {
namespace {

using isa::Insn;
using isa::Op;

enum class Link { Any, Dst, Src };

struct FusedRow {
    FusedHandler handler;
    const char* name;
    std::vector<Op> parts;
    std::vector<Link> links;
};

const std::vector<FusedRow>& rows() {
    static const std::vector<FusedRow> all = {
#define FUSED2(a, b, ab) {FusedHandler::a##_##b##_##ab, #a " " #b " " #ab, {Op::a, Op::b}, {Link::ab}},
#define FUSED3(a, b, c, ab, bc)                 \
    {FusedHandler::a##_##b##_##c##_##ab##_##bc, \
     #a " " #b " " #c " " #ab " " #bc,          \
     {Op::a, Op::b, Op::c},                     \
     {Link::ab, Link::bc}},
#include "engine/interp/fused.def"
#undef FUSED2
#undef FUSED3
    };
    return all;
}

constexpr unsigned registers = 10;
alignas(16) uint8_t memory[1024];
uint64_t seen[registers + 1];  ///< what a program leaves: r0 to r9, and which way it took

ExecutableProgram executable(isa::Code code) {
    BoundProgram bound;
    bound.linked.name = "fused";
    bound.bindings.resize(code.size());
    bound.linked.code = std::move(code);
    auto made = UnverifiedProgram::make(std::move(bound));
    if (!made) ADD_FAILURE() << made.error().to_string();
    return *std::move(made);
}

void append_wide(isa::Code& code, uint8_t dst, uint64_t value) {
    Insn insn{.op = Op::LdImm64, .dst = dst};
    insn.set_imm64(value);
    isa::append(code, insn);
}

/// The row's instructions with registers, numbers and jumps by chance: registers hold small numbers or point into
/// `memory`. `start` becomes the slot of the first.
isa::Code instance(const FusedRow& row, std::mt19937_64& random, size_t& start) {
    isa::Code code;
    const auto pick = [&](uint64_t n) { return random() % n; };
    for (uint8_t r = 0; r < registers; ++r) {
        const bool pointer = pick(2) == 0;
        append_wide(code, r, pointer ? reinterpret_cast<uintptr_t>(memory) + 256 + pick(512) : random() >> pick(64));
    }
    start = code.size();
    std::vector<Insn> parts;
    for (size_t i = 0; i < row.parts.size(); ++i) {
        const isa::Row& shape = isa::row_of(row.parts[i]);
        Insn insn{.op = row.parts[i]};
        if (shape.has_dst()) insn.dst = static_cast<uint8_t>(pick(registers));
        if (shape.has_src()) insn.src = static_cast<uint8_t>(pick(registers));
        if (i > 0 && row.links[i - 1] == Link::Dst) insn.dst = parts[i - 1].dst;
        if (i > 0 && row.links[i - 1] == Link::Src) insn.src = parts[i - 1].dst;
        if (shape.is_memory()) insn.offset = static_cast<int16_t>(static_cast<int>(pick(64)) - 32);
        if (shape.form == isa::Form::DstImm || shape.form == isa::Form::MovImm || shape.form == isa::Form::JumpImm) {
            insn.imm = static_cast<int32_t>(static_cast<int64_t>(random()) >> (32 + pick(32)));
        }
        if (shape.form == isa::Form::Dst) insn.imm = 0;
        if (shape.is_wide()) insn.set_imm64(random());
        parts.push_back(insn);
    }
    // Each way ends in its own two slots: `*(r10 - 96) = way; goto end`. Way 0 falls through, way i + 1 is part i's
    // jump.
    size_t length = 0;
    for (const Insn& insn : parts) length += insn.slots();
    size_t at = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
        at += parts[i].slots();
        const isa::Form form = parts[i].row().form;
        if (form == isa::Form::JumpImm || form == isa::Form::JumpSrc || form == isa::Form::Target) {
            parts[i].offset = static_cast<int16_t>(length - at + 2 * (i + 1));
        }
    }
    for (const Insn& insn : parts) isa::append(code, insn);
    for (size_t way = 0; way <= parts.size(); ++way) {
        isa::append(code, {.op = Op::StDw, .dst = 10, .offset = -96, .imm = static_cast<int32_t>(way)});
        isa::append(code, {.op = Op::Ja, .offset = static_cast<int16_t>(2 * (parts.size() - way))});
    }
    for (uint8_t r = 0; r < registers; ++r) {
        isa::append(code, {.op = Op::StxDw, .dst = 10, .src = r, .offset = static_cast<int16_t>(-8 * (r + 1))});
    }
    append_wide(code, 1, reinterpret_cast<uintptr_t>(seen));
    for (unsigned i = 0; i <= registers; ++i) {
        const int from = i < registers ? -8 * static_cast<int>(i + 1) : -96;
        isa::append(code, {.op = Op::LdxDw, .dst = 2, .src = 10, .offset = static_cast<int16_t>(from)});
        isa::append(code, {.op = Op::StxDw, .dst = 1, .src = 2, .offset = static_cast<int16_t>(8 * i)});
    }
    isa::append(code, {.op = Op::Exit});
    return code;
}

struct Outcome {
    uint64_t r0 = 0;
    uint32_t fault = 0;
    std::vector<uint64_t> registers;
    std::vector<uint8_t> bytes;
    bool operator==(const Outcome&) const = default;
};

Outcome outcome(const CompiledCode& code) {
    for (size_t i = 0; i < sizeof memory; ++i) memory[i] = static_cast<uint8_t>(i * 37 + 11);
    std::fill(std::begin(seen), std::end(seen), 0);  // within reach of programs, too
    skep_runtime_context run{};
    Outcome out;
    out.r0 = engine::run(code, memory, run);
    out.fault = run.fault;
    out.registers.assign(std::begin(seen), std::end(seen));
    out.bytes.assign(std::begin(memory), std::end(memory));
    return out;
}

std::unique_ptr<CompiledCode> compiled(const ExecutableProgram& program, const Options& options) {
    auto code = compile(program, {}, options);
    if (!code) ADD_FAILURE() << code.error().to_string();
    return *std::move(code);
}

TEST(Fused, EveryRowDoesWhatItsPartsDo) {
    if (!has_threaded_loop) GTEST_SKIP() << "this compiler has no labels as values, so nothing is fused";
    constexpr uint64_t seed = 20260101;
    std::mt19937_64 random(seed);
    Options checked;
    checked.dispatch = Dispatch::Switch;
    checked.check_accesses = true;
    checked.regions = {{reinterpret_cast<uintptr_t>(memory), sizeof memory},
                       {reinterpret_cast<uintptr_t>(seen), sizeof seen}};
    std::set<uint16_t> used;
    for (const FusedRow& row : rows()) {
        int compared = 0, same_row = 0;
        std::set<uint64_t> ways;
        for (int attempt = 0; attempt < 4000 && (compared < 60 || same_row == 0); ++attempt) {
            size_t start = 0;
            const ExecutableProgram program = executable(instance(row, random, start));
            const Outcome want = outcome(*compiled(program, checked));
            if (want.fault != SKEP_FAULT_NONE) continue;  // an access went astray: not an instance
            const auto code = compiled(program, {});
            const Handler chosen = static_cast<const Code&>(*code).micros[start].handler;
            EXPECT_GT(chosen, Handler::Invalid) << row.name << ": nothing was fused";
            used.insert(static_cast<uint16_t>(chosen));
            same_row += static_cast<uint16_t>(chosen) == static_cast<uint16_t>(row.handler);
            const Outcome got = outcome(*code);
            ASSERT_EQ(got, want) << row.name << ", attempt " << attempt << ", seed " << seed;
            ++compared;
        }
        EXPECT_GE(compared, 10) << row.name << ": too few instances";
        EXPECT_GT(same_row, 0) << row.name << " is never chosen: another row always costs less";
    }
    EXPECT_EQ(used.size(), rows().size());
}

TEST(Fused, AJumpIntoTheMiddleFindsTheInstructionThere) {
    const char* text = R"(
        r0 = 0
        r2 = 5
        r3 = 100
        goto middle
    again:
        r3 = r2
    middle:
        r3 += r2
        r0 += r3
        r2 += -1
        if r2 != 0 goto again
        exit
    )";
    auto code = isa::assemble(text);
    ASSERT_TRUE(code.ok());
    EXPECT_EQ(outcome(*compiled(executable(*code), {})).r0, 105u + 8 + 6 + 4 + 2);
}

TEST(Fused, OnlyThreadedProgramsWithoutChecksAreFused) {
    auto text = isa::assemble("r0 = r1\nr0 += 1\nexit");
    ASSERT_TRUE(text.ok());
    const ExecutableProgram program = executable(*text);
    const auto first = [&](const Options& options) {
        return static_cast<const Code&>(*compiled(program, options)).micros[0].handler;
    };
    Options options;
    EXPECT_EQ(first(options) > Handler::Invalid, has_threaded_loop);
    options.fuse = false;
    EXPECT_EQ(first(options), Handler::Mov64X);
    options = {};
    options.dispatch = Dispatch::Switch;
    EXPECT_EQ(first(options), Handler::Mov64X);
    options = {};
    options.step_limit = 100;
    EXPECT_EQ(first(options), Handler::Mov64X);
    options = {};
    options.check_accesses = true;
    EXPECT_EQ(first(options), Handler::Mov64X);
}

}  // namespace
}  // namespace skep::engine::interp
