// SPDX-License-Identifier: Apache-2.0
// The interpreter against RFC 9669, program by program in text, in both dispatches. What the public conformance vectors
// cover (tests/conformance_plugin.cpp runs them) is not repeated here, save the corners.
#include "engine/interp/interp.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "isa/assemble.hpp"
#include "platform/helper.hpp"
#include "program/unverified.hpp"

namespace skep::engine::interp {
namespace {

using platform::HelperId;

/// A program with everything it runs in.
class Machine {
  public:
    explicit Machine(Dispatch dispatch) {
        options.dispatch = dispatch;
        helpers.resize(platform::helper_count);
        run.size = sizeof run;
        run.abi = SKEP_RUNTIME_CONTEXT_ABI;
        run.helpers = helpers.data();
        run.host = this;
    }

    /// Every helper call is bound to the canonical helper of the Linux number in the instruction.
    static ExecutableProgram program(std::string_view text) {
        auto code = isa::assemble(text);
        if (!code) ADD_FAILURE() << code.error().to_string();
        BoundProgram bound;
        bound.linked.name = "main";
        bound.linked.code = *code;
        bound.bindings.resize(code->size());
        for (size_t i = 0; i < code->size(); ++i) {
            const isa::Row* row = isa::match((*code)[i]);
            if (row == nullptr || row->op != isa::Op::Call) continue;
            HelperId id{};
            if (!platform::helper_from_linux(static_cast<uint32_t>((*code)[i].imm), &id)) continue;
            bound.bindings[i] = {.kind = BindingKind::Helper, .helper = static_cast<uint16_t>(id), .context = {}};
        }
        auto made = UnverifiedProgram::make(std::move(bound));
        if (!made) ADD_FAILURE() << made.error().to_string();
        return *std::move(made);
    }
    static ExecutableProgram with_bindings(std::string_view text, isa::InsnIndex at, Binding binding) {
        BoundProgram bound = program(text).bound();
        bound.bindings[at] = binding;
        return *UnverifiedProgram::make(std::move(bound));
    }

    LinkTable table() { return {helpers, maps, {}, map_values}; }
    void set(HelperId id, skep_helper_fn function) { helpers[static_cast<size_t>(id)] = function; }

    std::unique_ptr<CompiledCode> compile_program(const ExecutableProgram& p) {
        auto code = compile(p, table(), options);
        if (!code) ADD_FAILURE() << code.error().to_string();
        return *std::move(code);
    }
    uint64_t run_program(const ExecutableProgram& p, void* context = nullptr) {
        run.fault = SKEP_FAULT_NONE;
        const auto code = compile_program(p);
        const uint64_t r0 = engine::run(*code, context, run);
        EXPECT_EQ(run.frames, 0u);
        EXPECT_EQ(run.call_back, nullptr);
        return r0;
    }
    uint64_t operator()(std::string_view text, void* context = nullptr) { return run_program(program(text), context); }

    Options options;
    std::vector<skep_helper_fn> helpers;
    std::vector<void*> maps;
    std::vector<uint8_t*> map_values;
    skep_runtime_context run{};
};

class Interpreter : public testing::TestWithParam<Dispatch> {
  protected:
    Machine machine{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(BothDispatches, Interpreter, testing::Values(Dispatch::Threaded, Dispatch::Switch),
                         [](const auto& p) { return p.param == Dispatch::Threaded ? "Threaded" : "Switch"; });

struct Case {
    const char* text;
    uint64_t r0;
};

TEST_P(Interpreter, ComputesAsTheRfcSays) {
    const Case cases[] = {
        {"r0 = -7\nr0 s/= 2\nexit", static_cast<uint64_t>(-3)},  // truncates toward zero
        {"r0 = -7\nr0 s%= 2\nexit", static_cast<uint64_t>(-1)},
        {"r0 = 7\nr1 = 0\nr0 /= r1\nexit", 0},
        {"r0 = 7\nr1 = 0\nr0 %= r1\nexit", 7},
        {"r0 = -7\nr1 = 0\nr0 s/= r1\nexit", 0},
        {"r0 = -1\nw1 = 0\nw0 %= w1\nexit", 0xffffffff},  // the upper half goes although the number stays
        {"r0 = 0x8000000000000000 ll\nr0 s/= -1\nexit", 0x8000000000000000},
        {"r0 = 0x8000000000000000 ll\nr0 s%= -1\nexit", 0},
        {"w0 = 0x80000000\nw0 s/= -1\nexit", 0x80000000},
        {"r0 = 0\nr0 -= 1\nr0 /= -1\nexit", 1},  // the immediate is sign-extended, then unsigned
        {"r0 = 1\nr1 = 65\nr0 <<= r1\nexit", 2},
        {"w0 = 1\nw1 = 33\nw0 <<= w1\nexit", 2},
        {"w0 = 0x80000000\nw0 s>>= 31\nexit", 0xffffffff},
        {"r0 = -1\nw0 += 0\nexit", 0xffffffff},
        {"r1 = 0x1234567890abcdef ll\nr0 = (s8)r1\nexit", 0xffffffffffffffef},
        {"r1 = 0x1234567890abcdef ll\nw0 = (s16)w1\nexit", 0xffffcdef},
        {"r1 = 0x1234567890abcdef ll\nr0 = (s32)r1\nexit", 0xffffffff90abcdef},
        {"r0 = 0x1234567890abcdef ll\nr0 = be16 r0\nexit", 0xefcd},
        {"r0 = 0x1234567890abcdef ll\nr0 = le32 r0\nexit", 0x90abcdef},
        {"r0 = 0x1234567890abcdef ll\nr0 = bswap64 r0\nexit", 0xefcdab9078563412},
        {"r0 = 5\nr0 = -r0\nexit", static_cast<uint64_t>(-5)},
        {"w0 = 5\nw0 = -w0\nexit", 0xfffffffb},
        {"r0 = 1\nr1 = 0x100000001 ll\nif w1 == 1 goto out\nr0 = 2\nout: exit", 1},
        {"r0 = 1\nr1 = -1\nif r1 > 0x7fffffff goto out\nr0 = 2\nout: exit", 1},
        {"r0 = 1\nr1 = -1\nif r1 s< 0 goto out\nr0 = 2\nout: exit", 1},
        {"r0 = 1\nw1 = -1\nif w1 s< 0 goto out\nr0 = 2\nout: exit", 1},
        {"r0 = 1\nr1 = 4\nif r1 & 3 goto out\nr0 = 2\nout: exit", 2},
        {"*(u64 *)(r10 - 8) = -2\nr0 = *(s8 *)(r10 - 8)\nexit", static_cast<uint64_t>(-2)},
        {"*(u32 *)(r10 - 8) = -2\nr0 = *(u32 *)(r10 - 8)\nexit", 0xfffffffe},
        {"*(u64 *)(r10 - 8) = -1\nr0 = *(u32 *)(r10 - 7)\nexit", 0xffffffff},  // any alignment
        {"r1 = r10\nr1 += -8\nr0 = addr_space_cast(r1, 0, 1)\nr0 -= r10\nexit", static_cast<uint64_t>(-8)},
        {"gotol out\nr0 = 1\nout: r0 = 2\nexit", 2},
    };
    for (const Case& c : cases) EXPECT_EQ(machine(c.text), c.r0) << c.text;
}

TEST_P(Interpreter, AtomicsReturnTheValueBefore) {
    const Case cases[] = {
        {"*(u64 *)(r10 - 8) = 5\nr1 = 3\nlock *(u64 *)(r10 - 8) += r1\nr0 = *(u64 *)(r10 - 8)\nexit", 8},
        {"*(u64 *)(r10 - 8) = 5\nr0 = 3\nr0 = atomic_fetch_xor((u64 *)(r10 - 8), r0)\nexit", 5},
        {"*(u64 *)(r10 - 8) = -1\nr0 = 1\nw0 = atomic_fetch_add((u32 *)(r10 - 8), w0)\nexit", 0xffffffff},
        {"*(u64 *)(r10 - 8) = 5\nr0 = 9\nr0 = xchg_64(r10 - 8, r0)\nr1 = *(u64 *)(r10 - 8)\nr0 <<= 8\nr0 |= r1\nexit",
         0x509},
        {"*(u64 *)(r10 - 8) = 5\nr0 = 5\nr1 = 9\nr0 = cmpxchg_64(r10 - 8, r0, r1)\nr1 = *(u64 *)(r10 - 8)\n"
         "r0 <<= 8\nr0 |= r1\nexit",
         0x509},
        {"*(u64 *)(r10 - 8) = 5\nr0 = 6\nr1 = 9\nr0 = cmpxchg_64(r10 - 8, r0, r1)\nr1 = *(u64 *)(r10 - 8)\n"
         "r0 <<= 8\nr0 |= r1\nexit",
         0x505},
        // 32 bits compare 32 bits, and r0 is zero-extended even when nothing is stored
        {"*(u64 *)(r10 - 8) = -1\nr0 = 1\nr1 = 9\nw0 = cmpxchg32_32(r10 - 8, w0, w1)\nexit", 0xffffffff},
        {"r1 = 7\nstore_release((u64 *)(r10 - 8), r1)\nr0 = load_acquire((u64 *)(r10 - 8))\nexit", 7},
        {"r1 = -1\nstore_release((u64 *)(r10 - 8), r1)\nw0 = load_acquire((u16 *)(r10 - 8))\nexit", 0xffff},
    };
    for (const Case& c : cases) EXPECT_EQ(machine(c.text), c.r0) << c.text;
    machine("r1 = 1\nlock *(u64 *)(r10 - 12) += r1\nr0 = 1\nexit");
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_BAD_ACCESS);  // not naturally aligned: no atomic access
}

TEST_P(Interpreter, AtomicAddsOfThreadsAllCount) {
    uint64_t counter = 0;
    const ExecutableProgram p = Machine::program(
        "r2 = 10000\nloop: r3 = 1\nlock *(u64 *)(r1 + 0) += r3\nr2 -= 1\nif r2 != 0 goto loop\nr0 = 0\nexit");
    const auto code = machine.compile_program(p);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            skep_runtime_context run{};
            engine::run(*code, &counter, run);
        });
    }
    for (std::thread& t : threads) t.join();
    EXPECT_EQ(counter, 40000u);
}

TEST_P(Interpreter, CallsKeepR6ToR9AndHaveTheirOwnFrame) {
    EXPECT_EQ(machine(R"(
        r6 = 1
        r7 = 2
        r8 = 3
        r9 = 4
        *(u64 *)(r10 - 8) = 100
        r1 = 10
        r2 = 20
        call sum
        r0 += r6
        r0 += r7
        r0 += r8
        r0 += r9
        r1 = *(u64 *)(r10 - 8)
        r0 += r1
        exit
    sum:
        r6 = 0
        r7 = 0
        r8 = 0
        r9 = 0
        *(u64 *)(r10 - 8) = 7
        r0 = r1
        r0 += r2
        exit
    )"),
              140u);
}

constexpr const char* recursion = R"(
        r1 = LEVELS
        call down
        exit
    down:
        r0 = 0
        if r1 == 0 goto out
        r1 += -1
        call down
        r0 += 1
    out:
        exit
)";

TEST_P(Interpreter, EightFramesAreAllowedAndNotNine) {
    const auto levels = [&](const char* n) {
        std::string text = recursion;
        return text.replace(text.find("LEVELS"), 6, n);
    };
    EXPECT_EQ(machine(levels("6")), 6u);  // main, and down seven times
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_NONE);
    EXPECT_EQ(machine(levels("7")), 0u);
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_CALL_DEPTH);
    EXPECT_EQ(machine.run.fault_insn, 6u);
}

TEST_P(Interpreter, CallxCallsTheFunctionOfAReference) {
    EXPECT_EQ(machine("r6 = twice ll\nr1 = 21\ncallx r6\nexit\ntwice: r0 = r1\nr0 += r1\nexit"), 42u);
    machine("r1 = 99\ncallx r1\nexit");
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_BAD_CALL);
    EXPECT_EQ(machine.run.fault_insn, 1u);
    machine("call f\nr1 = 4\ncallx r1\nexit\nf: r0 = 1\nr0 = 2\nexit");  // 4 is f
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_NONE);
    machine("call f\nr1 = 500\ncallx r1\nexit\nf: r0 = 1\nr0 = 2\nexit");
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_BAD_CALL);
}

TEST_P(Interpreter, WhatHasNoMeaningEndsTheRun) {
    const char* text = "call f\nr0 = 1\nexit\nf: r0 = 2\ncall 212\nr0 = 3\nexit";
    BoundProgram bound;
    bound.linked.name = "main";
    bound.linked.code = *isa::assemble(text);
    bound.bindings.resize(bound.linked.code.size());
    bound.bindings[4].kind = BindingKind::Problem;
    EXPECT_EQ(machine.run_program(*UnverifiedProgram::make(bound)), 0u);
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_BAD_CALL);
    EXPECT_EQ(machine.run.fault_insn, 4u);
    bound.linked.code[3] = isa::encode({.op = isa::Op::Ja, .offset = 1}).slots[0];  // over it
    EXPECT_EQ(machine.run_program(*UnverifiedProgram::make(bound)), 1u);
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_NONE);
}

TEST_P(Interpreter, CallxOfANumberThatIsNoFunctionIsAHelper) {
    machine.set(HelperId::KtimeGetNs,
                [](uint64_t r1, uint64_t, uint64_t, uint64_t, uint64_t, skep_runtime_context*) { return r1 + 1; });
    EXPECT_EQ(machine("r1 = 41\nr2 = 5\ncallx r2\nexit"), 42u);
}

TEST_P(Interpreter, HelpersGetTheirArgumentsAndTheRun) {
    machine.set(HelperId::KtimeGetNs,
                [](uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, skep_runtime_context* run) {
                    run->reserved = 7;
                    return r1 + r2 * 10 + r3 * 100 + r4 * 1000 + r5 * 10000;
                });
    EXPECT_EQ(machine("r1 = 1\nr2 = 2\nr3 = 3\nr4 = 4\nr5 = 5\ncall 5\nexit"), 54321u);
    EXPECT_EQ(machine.run.reserved, 7u);
}

TEST_P(Interpreter, AHelperThatTheHostLacksIsRefusedByName) {
    const auto code = compile(Machine::program("call 5\nexit"), machine.table(), machine.options);
    ASSERT_FALSE(code.ok());
    EXPECT_EQ(code.error().code(), Errc::Unavailable);
    EXPECT_NE(code.error().what().find("ktime_get_ns"), std::string::npos);
    EXPECT_EQ(code.error().where().insn, 0u);
}

TEST_P(Interpreter, CallbacksRunOnAFreshFrameOfTheSameProgram) {
    machine.set(HelperId::Loop,
                [](uint64_t n, uint64_t callback, uint64_t context, uint64_t, uint64_t, skep_runtime_context* run) {
                    uint64_t i = 0;
                    for (; i < n; ++i) {
                        if (run->call_back(run, callback, i, context, 0, 0, 0) != 0) return i + 1;
                    }
                    return i;
                });
    const char* text = R"(
        *(u64 *)(r10 - 8) = 0
        r1 = 10
        r2 = body ll
        r3 = r10
        r3 += -8
        r4 = 0
        call 181
        r6 = r0
        r0 = *(u64 *)(r10 - 8)
        r0 <<= 8
        r0 |= r6
        exit
    body:
        r3 = *(u64 *)(r2 + 0)
        r3 += r1
        *(u64 *)(r2 + 0) = r3
        r0 = 0
        if r1 != 5 goto out
        r0 = 1
    out:
        exit
    )";
    EXPECT_EQ(machine(text), 0xf06u);  // 0 + 1 + ... + 5 = 15, six rounds
    machine.options.check_accesses = true;
    EXPECT_EQ(machine(text), 0xf06u);  // the callback may reach its caller's stack
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_NONE);
}

TEST_P(Interpreter, ACallbackThatIsNoFunctionIsAFault) {
    machine.set(HelperId::Loop, [](uint64_t, uint64_t callback, uint64_t, uint64_t, uint64_t,
                                   skep_runtime_context* run) { return run->call_back(run, callback, 0, 0, 0, 0, 0); });
    EXPECT_EQ(machine("r2 = 3\ncall 181\nr0 = 9\nexit"), 0u);
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_BAD_CALL);
}

TEST_P(Interpreter, AFaultInACallbackEndsTheWholeRun) {
    machine.set(HelperId::Loop, [](uint64_t, uint64_t callback, uint64_t, uint64_t, uint64_t,
                                   skep_runtime_context* run) { return run->call_back(run, callback, 0, 0, 0, 0, 0); });
    EXPECT_EQ(machine("r2 = body ll\ncall 181\nr0 = 9\nexit\nbody: r1 = -1\ncallx r1\nexit"), 0u);
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_BAD_CALL);
}

skep_entry tail_target;
TEST_P(Interpreter, BytesOfAFrameThatNobodyWroteAreZero) {
    const char* const text = R"(
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
        *(u64 *)(r10 - 8) = 8
        *(u64 *)(r10 - 512) = 9
        exit
    other:
        r0 = *(u64 *)(r10 - 8)
        r2 = *(u64 *)(r10 - 512)
        r0 += r2
        if r1 == 0 goto +2
        *(u64 *)(r10 - 8) = 5
        *(u64 *)(r10 - 512) = 7
        exit
    )";
    EXPECT_EQ(machine(text), 0u);
    EXPECT_EQ(machine(text), 0u);  // nor what an earlier run left
}

uint64_t tail_call_helper(uint64_t, uint64_t, uint64_t index, uint64_t, uint64_t, skep_runtime_context* run) {
    if (index != 0 || run->tail_calls >= SKEP_TAIL_CALL_LIMIT) return 0;
    ++run->tail_calls;
    return reinterpret_cast<uintptr_t>(&tail_target);
}

TEST_P(Interpreter, ATailCallReplacesTheFrame) {
    machine.set(HelperId::TailCall, &tail_call_helper);
    const auto target = machine.compile_program(Machine::program("r0 = *(u64 *)(r1 + 0)\nr0 += 1\nexit"));
    tail_target = target->entry();
    uint64_t context = 41;
    EXPECT_EQ(machine("r3 = 0\ncall 12\nr0 = 7\nexit", &context), 42u);
    EXPECT_EQ(machine("r3 = 1\ncall 12\nr0 = 7\nexit", &context), 7u);  // it failed: the next instruction runs
    // From a subprogram only that frame is replaced; r6 and the stack of the caller are as they were.
    EXPECT_EQ(machine("r6 = 100\n*(u64 *)(r10 - 8) = 1000\ncall sub\nr0 += r6\nr1 = *(u64 *)(r10 - 8)\nr0 += r1\nexit\n"
                      "sub: r6 = 5\nr3 = 0\ncall 12\nr0 = 7\nexit",
                      &context),
              1142u);
    // It finds nothing of the frame that it replaces.
    const auto reader = machine.compile_program(Machine::program("r0 = *(u64 *)(r10 - 8)\nexit"));
    tail_target = reader->entry();
    EXPECT_EQ(machine("*(u64 *)(r10 - 8) = 1000\nr3 = 0\ncall 12\nr0 = 7\nexit", &context), 0u);
    // A target of the other dispatch, or a native one, is entered through its entry.
    Machine other(GetParam() == Dispatch::Threaded ? Dispatch::Switch : Dispatch::Threaded);
    const auto foreign = other.compile_program(Machine::program("r0 = *(u64 *)(r1 + 0)\nr0 += 2\nexit"));
    tail_target = foreign->entry();
    EXPECT_EQ(machine("r3 = 0\ncall 12\nr0 = 7\nexit", &context), 43u);
    tail_target = {[](void* c, skep_runtime_context* run, const void*) -> uint64_t {
                       EXPECT_EQ(run->frames, 0u);  // the frame of the caller is gone
                       return *static_cast<uint64_t*>(c) + 3;
                   },
                   nullptr};
    EXPECT_EQ(machine("r3 = 0\ncall 12\nr0 = 7\nexit", &context), 44u);
}

TEST_P(Interpreter, AChainOfTailCallsEndsAtTheHelpersLimit) {
    machine.set(HelperId::TailCall, &tail_call_helper);
    uint64_t rounds = 0;
    const auto self = machine.compile_program(Machine::program(
        "r2 = *(u64 *)(r1 + 0)\nr2 += 1\n*(u64 *)(r1 + 0) = r2\nr3 = 0\ncall 12\nr0 = r2\nr0 = 5\nexit"));
    tail_target = self->entry();
    machine.run.tail_calls = 0;
    EXPECT_EQ(engine::run(*self, &rounds, machine.run), 5u);
    EXPECT_EQ(rounds, 34u);  // once, and 33 times again
}

TEST_P(Interpreter, ContextAccessesGoToTheHostsFields) {
    struct Host {
        uint8_t* data;
        uint32_t ifindex;
        uint16_t port;
        uint8_t kind;
        uint8_t pad;
    } host{reinterpret_cast<uint8_t*>(0x1122334455667788), 0xa1b2c3d4, 0x1234, 0xfe, 0};
    const auto load = [&](const char* text, ContextAccess access) {
        return machine.run_program(Machine::with_bindings(text, 0, {.kind = BindingKind::Context, .context = access}),
                                   &host);
    };
    const char* load32 = "r0 = *(u32 *)(r1 + 4)\nexit";
    EXPECT_EQ(load(load32, {.host_offset = 0, .host_bytes = 8, .access_bytes = 4, .pointer = true}),
              0x1122334455667788u);
    EXPECT_EQ(load(load32, {.host_offset = 8, .host_bytes = 4, .access_bytes = 4}), 0xa1b2c3d4u);
    EXPECT_EQ(load(load32, {.host_offset = 8, .host_bytes = 4, .part_offset = 2, .access_bytes = 2}), 0xa1b2u);
    EXPECT_EQ(load(load32, {.host_offset = 12, .host_bytes = 2, .access_bytes = 4}), 0x1234u);
    EXPECT_EQ(load(load32, {.host_offset = 12, .host_bytes = 2, .access_bytes = 4, .byte_swap = true}), 0x3412u);
    EXPECT_EQ(load("r0 = *(s8 *)(r1 + 4)\nexit", {.host_offset = 14, .host_bytes = 1, .access_bytes = 1}),
              0xfffffffffffffffeu);
    EXPECT_EQ(load("*(u32 *)(r1 + 4) = -2\nr0 = 0\nexit", {.host_offset = 8, .host_bytes = 4, .access_bytes = 4}), 0u);
    EXPECT_EQ(host.ifindex, 0xfffffffeu);
    load("*(u16 *)(r1 + 4) = w1\nr0 = 0\nexit",
         {.host_offset = 8, .host_bytes = 4, .part_offset = 2, .access_bytes = 2});
    EXPECT_EQ(host.ifindex, (reinterpret_cast<uintptr_t>(&host) & 0xffff) << 16 | 0xfffe);
    load("*(u32 *)(r1 + 4) = 0x55667788\nr0 = 0\nexit",
         {.host_offset = 12, .host_bytes = 2, .access_bytes = 4, .byte_swap = true});
    EXPECT_EQ(host.port, 0x8877u);
    EXPECT_EQ(host.kind, 0xfeu);  // a wide store stays in its field
}

TEST_P(Interpreter, MapsAndValuesAreAddresses) {
    int map = 0;
    uint8_t value[16] = {};
    machine.maps = {&map};
    machine.map_values = {value};
    EXPECT_EQ(machine("ld_pseudo r0, 1, 0\nexit"), reinterpret_cast<uintptr_t>(&map));
    EXPECT_EQ(machine("ld_pseudo r0, 2, 0 <+8>\nexit"), reinterpret_cast<uintptr_t>(value) + 8);
    for (const char* bad : {"ld_pseudo r0, 1, 1\nexit", "ld_pseudo r0, 1, -1\nexit", "ld_pseudo r0, 2, 1\nexit"}) {
        const auto code = compile(Machine::program(bad), machine.table(), machine.options);
        ASSERT_FALSE(code.ok()) << bad;
        EXPECT_EQ(code.error().code(), Errc::BadInstruction);
    }
    machine.map_values = {nullptr};
    EXPECT_FALSE(compile(Machine::program("ld_pseudo r0, 2, 0\nexit"), machine.table()).ok());
    for (const char* unsupported : {"ld_pseudo r0, 3, 1\nexit", "ld_pseudo r0, 5, 0\nexit", "call 1 <kfunc>\nexit"}) {
        const auto code = compile(Machine::program(unsupported), machine.table(), machine.options);
        ASSERT_FALSE(code.ok()) << unsupported;
        EXPECT_EQ(code.error().code(), Errc::Unsupported);
    }
}

TEST_P(Interpreter, PacketLoadsEndTheProgramOutsideThePacket) {
    const auto load = [](uint64_t context, uint64_t offset, uint64_t, uint64_t, uint64_t,
                         skep_runtime_context*) -> uint64_t {
        return offset < 10 ? context * 0x100 + offset : UINT64_MAX;
    };
    machine.set(HelperId::PacketLoad1, load);
    machine.set(HelperId::PacketLoad2, load);
    machine.set(HelperId::PacketLoad4, load);
    EXPECT_EQ(machine("r6 = 1\nr0 = *(u8 *)skb[9]\nexit"), 0x109u);
    EXPECT_EQ(machine("r6 = 1\nr0 = *(u8 *)skb[10]\nr0 = 5\nexit"), 0u);
    EXPECT_EQ(machine("r6 = 1\nr3 = 4\nr0 = *(u16 *)skb[r3] <+0x3>\nexit"), 0x107u);
    EXPECT_EQ(machine("r6 = 1\nr3 = -1\nr0 = *(u32 *)skb[r3]\nr0 = 5\nexit"), 0u);
    EXPECT_EQ(machine("r6 = 1\nr3 = 0x100000004 ll\nr0 = *(u32 *)skb[r3]\nexit"), 0x104u);  // the low 32 bits count
}

TEST_P(Interpreter, MayGotoEndsALoopAfterItsBudget) {
    EXPECT_EQ(machine("r0 = 0\nloop: may_goto out\nr0 += 1\ngoto loop\nout: exit"), 0x800000u);
    // Each frame has a budget of its own.
    EXPECT_EQ(machine("r6 = 0\ncall f\nr6 += r0\ncall f\nr0 += r6\nexit\n"
                      "f: r0 = 0\nloop: may_goto out\nr0 += 1\ngoto loop\nout: exit"),
              0x1000000u);
}

TEST_P(Interpreter, TheStepLimitIsExact) {
    machine.options.step_limit = 3;
    EXPECT_EQ(machine("r0 = 1\nr0 += 1\nexit"), 2u);
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_NONE);
    EXPECT_EQ(machine("r0 = 1\nr0 += 1\nr0 += 1\nexit"), 0u);
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_STEP_LIMIT);
    EXPECT_EQ(machine.run.fault_insn, 3u);
    machine("loop: goto loop");
    EXPECT_EQ(machine.run.fault, SKEP_FAULT_STEP_LIMIT);
}

TEST_P(Interpreter, CheckedProgramsStayInTheirMemory) {
    uint8_t memory[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    machine.options.check_accesses = true;
    machine.options.regions = {{reinterpret_cast<uintptr_t>(memory), sizeof memory}};
    struct {
        const char* text;
        bool inside;
    } const cases[] = {
        {"r0 = *(u8 *)(r1 + 7)\nexit", true},
        {"r0 = *(u8 *)(r1 + 8)\nexit", false},
        {"r0 = *(u8 *)(r1 - 1)\nexit", false},
        {"r0 = *(u64 *)(r1 + 0)\nexit", true},
        {"r0 = *(u64 *)(r1 + 1)\nexit", false},
        {"r0 = *(s16 *)(r1 + 6)\nexit", true},
        {"r0 = *(s16 *)(r1 + 7)\nexit", false},
        {"*(u32 *)(r1 + 4) = 0\nr0 = 0\nexit", true},
        {"*(u32 *)(r1 + 5) = 0\nr0 = 0\nexit", false},
        {"r0 = *(u64 *)(r10 - 8)\nexit", true},
        {"*(u64 *)(r10 - 512) = 0\nr0 = 0\nexit", true},
        {"*(u64 *)(r10 - 513) = 0\nr0 = 0\nexit", false},
        {"r2 = 0\n*(u64 *)(r2 + 0) = r2\nr0 = 0\nexit", false},
        {"r2 = -1\nr0 = *(u8 *)(r2 + 0)\nexit", false},
        {"r2 = -8\nr0 = *(u64 *)(r2 + 0)\nexit", false},
        {"r0 = 1\nlock *(u64 *)(r1 + 0) += r0\nexit", true},
        {"r0 = 1\nlock *(u64 *)(r1 + 8) += r0\nexit", false},
        {"w0 = load_acquire((u32 *)(r1 + 4))\nexit", true},
        {"w0 = load_acquire((u32 *)(r1 + 8))\nexit", false},
    };
    for (const auto& c : cases) {
        machine(c.text, memory);
        EXPECT_EQ(machine.run.fault, c.inside ? SKEP_FAULT_NONE : SKEP_FAULT_BAD_ACCESS) << c.text;
    }
    EXPECT_EQ(machine("r0 = *(u64 *)(r10 - 64)\nexit"), 0u);  // its stack starts zeroed
}

}  // namespace
}  // namespace skep::engine::interp
