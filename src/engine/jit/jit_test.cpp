// SPDX-License-Identifier: Apache-2.0
// The JIT: what folding must not change, calls, faults, tail calls, maps, contexts.
#include <gtest/gtest.h>

#include <bit>
#include <set>

#include "engine/jit/testing.hpp"

namespace skep::engine::jit {
namespace {

using namespace testing;

// ---- texts: what folding must not change

struct Case {
    const char* name;
    const char* text;
    uint64_t r0;
};

constexpr Case cases[] = {
    {"a swap through put-off copies", R"(
        r6 = 1
        r7 = 2
        r1 = *(u64 *)(r1 + 0)
        r2 = r1
        r2 += 5
        r3 = r1
        r1 = r2
        r2 = r3
        r0 = r1
        r0 <<= 32
        r0 |= r2
        exit)",
     (0x15ull << 32) | 0x10},
    {"rotation left by 13 of 32 bits, halves in either order", R"(
        w2 = 0x80000001
        r3 = *(u64 *)(r1 + 0)
        w3 += w2
        w4 = w3
        w4 >>= 19
        w3 <<= 13
        w3 |= w4
        r0 = r3
        exit)",
     std::rotl(uint32_t{0x80000011}, 13)},
    {"rotation of 64 bits whose parts stay alive", R"(
        r3 = *(u64 *)(r1 + 8)
        r4 = r3
        r4 >>= 57
        r5 = r3
        r5 <<= 7
        r0 = r5
        r0 ^= r4
        r0 += r4
        r0 += r5
        exit)",
     std::rotl(uint64_t{0xfedcba9876543210}, 7) + (uint64_t{0xfedcba9876543210} >> 57) +
         (uint64_t{0xfedcba9876543210} << 7)},
    {"sign extension by two shifts", R"(
        r3 = *(u64 *)(r1 + 8)
        r3 <<= 32
        r3 s>>= 32
        r0 = r3
        exit)",
     0x76543210},
    {"sign extension of a byte, then of a scaled word", R"(
        r3 = *(u64 *)(r1 + 16)
        r0 = r3
        r0 <<= 56
        r0 s>>= 56
        r3 <<= 32
        r3 s>>= 30
        r0 += r3
        exit)",
     static_cast<uint64_t>(-2 + 4 * int64_t{-2})},
    {"zero extension, scaled", R"(
        r3 = *(u64 *)(r1 + 16)
        r3 <<= 32
        r3 >>= 29
        r0 = r3
        exit)",
     uint64_t{0xfffffffe} * 8},
    {"32-bit extension by shifts with a rest", R"(
        r3 = *(u64 *)(r1 + 16)
        w3 <<= 24
        w3 s>>= 20
        r0 = r3
        exit)",
     0xffffffe0},
    {"base and scaled index and displacement in one address", R"(
        r2 = 1
        r3 = *(u32 *)(r1 + 24)
        r3 <<= 3
        r4 = r1
        r4 += r3
        r4 += 8
        r0 = *(u64 *)(r4 - 8)
        exit)",
     0xfedcba9876543210},
    {"a pointer that walks while copies of it stay", R"(
        r2 = r1
        r2 += 8
        r3 = r2
        r2 += 8
        r4 = *(u64 *)(r2 + 0)
        r5 = *(u64 *)(r3 + 0)
        r0 = r2
        r0 -= r3
        r4 += r5
        r0 += r4
        exit)",
     8 + 0xfedcba9876543210 + uint64_t(-2)},
    {"a copy of the lower half keeps it while the source changes", R"(
        r2 = *(u64 *)(r1 + 8)
        w3 = w2
        r2 += 1
        r3 += r2
        r0 = r3
        exit)",
     0x76543210 + 0xfedcba9876543211},
    {"constants stored in pieces are read whole", R"(
        *(u16 *)(r10 - 8) = 0x1122
        *(u8 *)(r10 - 6) = 0x33
        *(u8 *)(r10 - 5) = 0x44
        *(u32 *)(r10 - 4) = 0x55667788
        r0 = *(u64 *)(r10 - 8)
        exit)",
     0x5566778844331122},
    {"a constant store over an older one", R"(
        *(u64 *)(r10 - 8) = -1
        *(u32 *)(r10 - 6) = 0
        r2 = r10
        r2 += -8
        r0 = *(u64 *)(r2 + 0)
        exit)",
     0xffff00000000ffff},
    {"a register stored beside constants held back", R"(
        r2 = *(u64 *)(r1 + 8)
        *(u32 *)(r10 - 16) = 7
        *(u64 *)(r10 - 8) = r2
        *(u32 *)(r10 - 12) = 9
        r0 = *(u64 *)(r10 - 16)
        r3 = *(u64 *)(r10 - 8)
        r0 ^= r3
        exit)",
     0xfedcba9876543210 ^ 0x900000007},
    {"a register stored over constants held back", R"(
        r2 = *(u64 *)(r1 + 8)
        *(u64 *)(r10 - 8) = 7
        *(u16 *)(r10 - 6) = r2
        r0 = *(u64 *)(r10 - 8)
        exit)",
     0x32100007},
    {"a loaded word in network order", R"(
        r0 = *(u32 *)(r1 + 8)
        r0 = be32 r0
        r2 = *(u16 *)(r1 + 8)
        r2 = be16 r2
        r3 = *(u64 *)(r1 + 8)
        r3 = be64 r3
        r0 += r2
        r0 += r3
        exit)",
     0x10325476ull + 0x1032 + 0x1032547698badcfe},
    {"conditions on constants, on either side", R"(
        r2 = 5
        r3 = *(u64 *)(r1 + 0)
        r0 = 0
        if r2 < r3 goto +1
        exit
        r0 = 1
        if w2 s> w3 goto +1
        r0 = 2
        exit)",
     2},
    {"put-off values that only one side of a jump wants", R"(
        r2 = *(u64 *)(r1 + 0)
        r3 = r2
        r3 += 100
        r4 = r2
        r4 <<= 4
        if r2 == 16 goto +2
        r0 = r3
        exit
        r0 = r4
        exit)",
     256},
    {"a counted loop", R"(
        r0 = 0
        r2 = 0
        r0 += r2
        r2 += 1
        if r2 != 10 goto -3
        exit)",
     45},
    {"a value put off across a call", R"(
        r6 = *(u64 *)(r1 + 0)
        r7 = r6
        r7 += 5
        r1 = 1
        r2 = 2
        r3 = 3
        r4 = 4
        r5 = r6
        call 28
        r0 += r7
        exit)",
     1 + 20 + 300 + 4000 + 160000 + 21},
    {"a call of a function keeps r6 to r9 and gives it its own stack", R"(
        r6 = 6
        r7 = 7
        r8 = 8
        r9 = 9
        *(u64 *)(r10 - 8) = 1000
        r1 = 1
        call other
        r0 += r6
        r0 += r7
        r0 += r8
        r0 += r9
        r1 = *(u64 *)(r10 - 8)
        r0 += r1
        exit
        other:
        r0 = 0
        r6 = 66
        r7 = 77
        r8 = 88
        r9 = 99
        *(u64 *)(r10 - 8) = 5
        r0 = *(u64 *)(r10 - 8)
        r0 += r1
        exit)",
     6 + 7 + 8 + 9 + 1000 + 5 + 1},
    {"bytes of a frame that nobody wrote are zero, in every frame", R"(
        r1 = 1
        call other
        r6 = r0
        r1 = 0
        call other
        r0 += r6
        r1 = *(u64 *)(r10 - 8)
        r0 += r1
        r1 = *(u64 *)(r10 - 512)
        r0 += r1
        exit
        other:
        r0 = *(u64 *)(r10 - 8)
        r2 = *(u64 *)(r10 - 256)
        r0 += r2
        r2 = *(u64 *)(r10 - 512)
        r0 += r2
        if r1 == 0 goto +3
        *(u64 *)(r10 - 8) = 5
        *(u64 *)(r10 - 256) = 6
        *(u64 *)(r10 - 512) = 7
        exit)",
     0},
    {"may_goto falls through until its budget is used up", R"(
        r0 = 0
        may_goto +2
        r0 += 1
        goto -3
        exit)",
     0x800000},
    {"packet loads, absolute and indirect", R"(
        r6 = r1
        r0 = *(u16 *)skb[1]
        r7 = r0
        r2 = 2
        r0 = *(u8 *)skb[r2]
        r0 += r7
        exit)",
     0x2233 + 0x33},
    {"a packet load outside ends the program with 0", R"(
        r6 = r1
        r0 = *(u32 *)skb[1]
        r0 = 5
        exit)",
     0},
    {"a callback by its number", R"(
        r1 = body ll
        r2 = 4
        r3 = 100
        r6 = 1
        call 181
        r0 += r6
        exit
        body:
        r6 = r1
        r0 = r2
        r0 += r6
        r0 += r5
        exit)",
     4 * 105 + 6 + 1},
    {"callx of a function", R"(
        r2 = times ll
        r1 = 3
        callx r2
        exit
        times:
        r0 = r1
        r0 *= 14
        exit)",
     42},
    {"a choice between 0 and 1 whose condition reads the chosen register", R"(
        r0 = 1
        r2 = 0
        if r2 == r0 goto +1
        r0 = r2
        r0 += 0
        exit)",
     0},
    {"callx of a helper's number", R"(
        r1 = 1
        r2 = 2
        r3 = 3
        r4 = 4
        r5 = 5
        r0 = 28
        callx r0
        exit)",
     1 + 20 + 300 + 4000 + 50000},
};

TEST(JitText, CasesGiveTheResultOfTheReferences) {
    for (const Variant& variant : variants) {
        for (const Case& test : cases) {
            Machine machine(variant);
            uint64_t context[] = {16, 0xfedcba9876543210, uint64_t(-2), 1};
            const Outcome out = machine.run_text(test.text, context);
            EXPECT_EQ(out.r0, test.r0) << variant.name << ": " << test.name;
            EXPECT_EQ(out.fault, 0u) << variant.name << ": " << test.name;
            EXPECT_EQ(out.frames, 0u) << variant.name << ": " << test.name;
        }
    }
}

// ---- faults

TEST(JitFaults, TheNinthFrameEndsTheRun) {
    // A chain of `depth` calls: function i calls function i + 1.
    const auto chain = [](unsigned depth) {
        isa::Code code;
        for (unsigned i = 0; i + 1 < depth; ++i) {
            isa::append(code, {.op = Op::CallLocal, .imm = 2});
            isa::append(code, {.op = Op::Add64K, .dst = 0, .imm = 1});
            isa::append(code, {.op = Op::Exit});
        }
        isa::append(code, {.op = Op::Mov64K, .dst = 0, .imm = 100});
        isa::append(code, {.op = Op::Exit});
        return code;
    };
    for (const Variant& variant : variants) {
        Machine machine(variant);
        const Outcome just = machine.run(bound(chain(SKEP_FRAME_DEPTH)), nullptr);
        EXPECT_EQ(just.r0, 107u);
        EXPECT_EQ(just.fault, SKEP_FAULT_NONE);
        const Outcome deep = machine.run(bound(chain(SKEP_FRAME_DEPTH + 1)), nullptr);
        EXPECT_EQ(deep.r0, 0u);
        EXPECT_EQ(deep.fault, SKEP_FAULT_CALL_DEPTH);
        EXPECT_EQ(deep.frames, 0u);
    }
}

TEST(JitFaults, CallxOfNothingEndsTheRun) {
    for (const Variant& variant : variants) {
        for (const char* value : {"r2 = 3", "r2 = 1000000", "r2 = -1"}) {
            Machine machine(variant);
            const Outcome out = machine.run_text(std::string(value) + "\n callx r2\n r0 = 1\n exit");
            EXPECT_EQ(out.r0, 0u);
            EXPECT_EQ(out.fault, SKEP_FAULT_BAD_CALL);
        }
    }
}

TEST(JitFaults, WhatHasNoMeaningEndsTheRun) {
    // With r1 = 0 each program goes over the instruction behind "problem", in the entry function or in one it calls.
    const char* texts[] = {
        "r0 = 7\n r6 = r1\n if r1 == 0 goto over\n problem: call 212\n over: r0 += r6\n exit",
        "r0 = 7\n if r1 == 0 goto over\n problem: call 0 <kfunc>\n over: exit",
        "r0 = 7\n if r1 == 0 goto over\n problem: r0 = *(u32 *)(r1 + 0)\n over: exit",
        "r0 = 7\n if r1 == 0 goto over\n problem: *(u32 *)(r1 + 0) = r0\n over: exit",
        "r0 = 7\n r6 = r1\n if r1 == 0 goto over\n problem: r0 = *(u8 *)skb[1]\n over: exit",
        "r6 = 5\n call f\n r0 = 7\n exit\n f: if r1 == 0 goto over\n problem: call 212\n over: r0 = 1\n exit",
        "r2 = f ll\n callx r2\n r0 = 7\n exit\n f: if r1 == 0 goto over\n problem: call 1\n over: r0 = 1\n exit",
    };
    for (const Variant& variant : variants) {
        for (const char* text : texts) {
            const auto assembly = isa::assemble_labelled(text);
            ASSERT_TRUE(assembly.ok()) << text << assembly.error().to_string();
            BoundProgram program = bound(assembly->code);
            for (const auto& [at, name] : assembly->labels) {
                if (name == "problem") program.bindings[at].kind = BindingKind::Problem;
            }
            Machine machine(variant);
            const Outcome over = machine.run(program, nullptr);
            EXPECT_EQ(over.r0, 7u) << text;
            EXPECT_EQ(over.fault, SKEP_FAULT_NONE) << text;
            uint64_t something = 5;
            const Outcome into = machine.run(program, &something);
            EXPECT_EQ(into.r0, 0u) << text;
            EXPECT_EQ(into.fault, SKEP_FAULT_BAD_CALL) << text;
            EXPECT_EQ(into.frames, 0u) << text;
            EXPECT_EQ(something, 5u) << text;
        }
    }
}

// ---- tail calls

TEST(JitTailCall, ReplacesTheProgramAndPassesTheContext) {
    for (const Variant& variant : variants) {
        Machine machine(variant);
        auto target_code = isa::assemble("r0 = *(u64 *)(r1 + 0)\n r0 += 1\n exit");
        auto target = machine.compile(bound(*target_code));
        ASSERT_TRUE(target);
        const skep_entry entry = (*target)->entry();
        uint64_t context[] = {41, reinterpret_cast<uint64_t>(&entry), 0};
        const char* text = R"(
            r6 = r1
            r9 = 9
            r2 = *(u64 *)(r1 + 8)
            r3 = 0
            call 12
            r0 += 1000
            exit)";
        EXPECT_EQ(machine.run_text(text, context).r0, 42u) << variant.name;
        context[1] = 0;  // the helper refuses
        EXPECT_EQ(machine.run_text(text, context).r0, 1000u) << variant.name;
        // From a function: its caller goes on.
        context[1] = reinterpret_cast<uint64_t>(&entry);
        const Outcome nested = machine.run_text(R"(
            r7 = 7
            call inner
            r0 += r7
            exit
            inner:
            r2 = *(u64 *)(r1 + 8)
            r7 = 70
            call 12
            exit)",
                                                context);
        EXPECT_EQ(nested.r0, 49u) << variant.name;
        EXPECT_EQ(nested.frames, 0u);
    }
}

// ---- maps

TEST(JitMaps, WideLoadsGiveTheLinkedAddresses) {
    Machine machine(variants[0]);
    uint8_t value[16];
    void* maps[] = {reinterpret_cast<void*>(0x1234567890)};
    uint8_t* values[] = {value};
    machine.link().maps = maps;
    machine.link().map_values = values;
    isa::Code code;
    isa::append(code, {.op = Op::LdMapFd, .dst = 0, .imm = 0});
    isa::append(code, {.op = Op::LdMapValue, .dst = 2, .imm = 0, .next_imm = 5});
    isa::append(code, {.op = Op::Sub64X, .dst = 0, .src = 2});
    isa::append(code, {.op = Op::Exit});
    EXPECT_EQ(machine.run(bound(code), nullptr).r0, 0x1234567890 - reinterpret_cast<uint64_t>(value) - 5);

    isa::Code outside;
    isa::append(outside, {.op = Op::LdMapFd, .dst = 0, .imm = 1});
    isa::append(outside, {.op = Op::Exit});
    auto refused = machine.compile(bound(outside));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::BadInstruction);
}

TEST(JitMaps, ArrayLookupsAreInlinedWithTheirBounds) {
    for (const Variant& variant : variants) {
        for (const bool percpu : {false, true}) {
            for (const uint64_t stride : {8u, 24u}) {
                Machine machine(variant);
                static uint8_t storage[4096];
                const MapLayout layout{.kind = percpu ? MapLayoutKind::PercpuArray : MapLayoutKind::Array,
                                       .max_entries = 5,
                                       .mask = 7,
                                       .stride = stride,
                                       .lane_stride = 200,
                                       .base = storage};
                void* maps[] = {storage};
                machine.link().maps = maps;
                machine.link().layouts = std::span(&layout, 1);
                const uint64_t lane = percpu ? 7 * 200 : 0;
                for (const uint64_t key : {0u, 1u, 4u, 5u, 7u, 0xffffffffu}) {
                    const uint64_t want = key < 5 ? reinterpret_cast<uint64_t>(storage) + lane + key * stride : 0;
                    uint64_t context[] = {key};
                    for (const bool constant : {false, true}) {
                        for (const int test : {0, 1, 2}) {
                            const isa::Insn insns[] = {
                                constant ? isa::Insn{.op = Op::Mov64K, .dst = 2, .imm = static_cast<int32_t>(key)}
                                         : isa::Insn{.op = Op::LdxW, .dst = 2, .src = 1},
                                {.op = Op::StxW, .dst = 10, .src = 2, .offset = -4},
                                {.op = Op::LdMapFd, .dst = 1, .imm = 0},
                                {.op = Op::Mov64X, .dst = 2, .src = 10},
                                {.op = Op::Add64K, .dst = 2, .imm = -4},
                                {.op = Op::Call, .imm = 1},
                            };
                            isa::Code code;
                            for (const auto& insn : insns) isa::append(code, insn);
                            if (test == 1) isa::append(code, {.op = Op::Jeq64K, .dst = 0, .offset = 1, .imm = 0});
                            if (test == 2) isa::append(code, {.op = Op::Jne64K, .dst = 0, .offset = 1, .imm = 0});
                            if (test != 0) isa::append(code, {.op = Op::Add64K, .dst = 0, .imm = 1});
                            isa::append(code, {.op = Op::Exit});
                            const bool adds = (test == 1 && want != 0) || (test == 2 && want == 0);
                            EXPECT_EQ(machine.run(bound(code), context).r0, want + (adds ? 1 : 0))
                                << variant.name << " key " << key << " percpu " << percpu << " test " << test;
                        }
                    }
                }
            }
        }
    }
}

TEST(JitMaps, UnknownMapsAreLookedUpByCall) {
    for (const Variant& variant : variants) {
        Machine machine(variant);
        uint64_t context[] = {3};
        EXPECT_EQ(machine
                      .run_text("r2 = *(u32 *)(r1 + 0)\n *(u32 *)(r10 - 4) = r2\n r2 = r10\n r2 += -4\n call 1\n exit",
                                context)
                      .r0,
                  0xca110003u);
    }
}

// ---- contexts

TEST(JitContext, FieldsAreLoadedAndStoredAsBound) {
    struct Row {
        const char* name;
        ContextAccess access;
        uint64_t want;
    };
    const Row rows[] = {
        {"whole", {.host_offset = 8, .host_bytes = 4, .access_bytes = 4}, 0x8b8a8988},
        {"second byte", {.host_offset = 8, .host_bytes = 4, .part_offset = 1, .access_bytes = 1}, 0x89},
        {"host narrower than the program's", {.host_offset = 8, .host_bytes = 2, .access_bytes = 4}, 0x8988},
        {"pointer", {.host_offset = 8, .host_bytes = 8, .access_bytes = 4, .pointer = true}, 0x8f8e8d8c8b8a8988},
        {"swapped", {.host_offset = 8, .host_bytes = 2, .access_bytes = 4, .byte_swap = true}, 0x8889},
        {"swapped word", {.host_offset = 8, .host_bytes = 4, .access_bytes = 4, .byte_swap = true}, 0x88898a8b},
    };
    for (const Variant& variant : variants) {
        for (const Row& row : rows) {
            Machine machine(variant);
            uint8_t context[32];
            for (size_t i = 0; i < sizeof context; ++i) context[i] = static_cast<uint8_t>(0x80 + i);
            isa::Code code;
            isa::append(code, {.op = Op::LdxW, .dst = 0, .src = 1, .offset = 100});
            isa::append(code, {.op = Op::Exit});
            BoundProgram program = bound(code);
            program.bindings[0] = {.kind = BindingKind::Context, .context = row.access};
            EXPECT_EQ(machine.run(program, context).r0, row.want) << variant.name << ": " << row.name;
        }
        Machine machine(variant);
        uint8_t context[16] = {};
        isa::Code code;
        isa::append(code, {.op = Op::StW, .dst = 1, .offset = 100, .imm = 0x12345678});
        isa::append(code, {.op = Op::Exit});
        BoundProgram program = bound(code);
        program.bindings[0] = {.kind = BindingKind::Context,
                               .context = {.host_offset = 4, .host_bytes = 4, .access_bytes = 4}};
        machine.run(program, context);
        EXPECT_EQ(context[4], 0x78);
        EXPECT_EQ(context[7], 0x12);
        EXPECT_EQ(context[8], 0);
    }
}

// ---- the table

TEST(JitTable, EveryRowIsTranslatedOrRefusedByName) {
    std::set<Op> refused;
    for (const isa::Row& row : isa::rows()) {
        Machine machine(variants[0]);
        uint8_t value[8];
        void* maps[] = {value};
        uint8_t* values[] = {value};
        machine.link().maps = maps;
        machine.link().map_values = values;
        isa::Insn insn{.op = row.op};
        insn.imm = row.form == isa::Form::CallImm ? 28 : 0;
        if (row.form == isa::Form::WideTarget || row.form == isa::Form::CallTarget)
            insn.imm = static_cast<int32_t>(row.slots()) + 1 - 1;
        isa::Code code;
        isa::append(code, insn);
        if (row.form == isa::Form::WideTarget || row.form == isa::Form::CallTarget) {
            // exit, then the function
            code[0].imm = static_cast<int32_t>(row.slots());
        }
        isa::append(code, {.op = Op::Exit});
        isa::append(code, {.op = Op::Exit});
        auto compiled = machine.compile(bound(code));
        if (!compiled) {
            EXPECT_EQ(compiled.error().code(), Errc::Unsupported) << row.name << compiled.error().to_string();
            refused.insert(row.op);
        }
    }
    EXPECT_EQ(refused, (std::set<Op>{Op::CallKfunc, Op::LdBtfId}));
}

TEST(JitCode, PagesAreThePromisedSize) {
    Machine machine(variants[0]);
    auto code = machine.compile(bound(*isa::assemble("r0 = 0\n exit")));
    ASSERT_TRUE(code);
    EXPECT_EQ((*code)->native_code().size(), (*code)->code_bytes());
    EXPECT_EQ(static_cast<uint8_t>((*code)->native_code().back()), 0xc3);
    EXPECT_LE((*code)->code_bytes(), 24u);
}

}  // namespace
}  // namespace skep::engine::jit
