// SPDX-License-Identifier: Apache-2.0
// What a program reads from its context, byte by byte: for every load and store that binding allows, each engine of
// this build and, where that is allowed, the running kernel return the same number.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "hooks/packet/packet_session.hpp"
#include "isa/insn.hpp"
#include "platform/context.hpp"
#include "platform/program_type.hpp"
#include "program/bind.hpp"
#include "program/unverified.hpp"
#include "runtime/load/engines.hpp"

#if defined(__linux__) && __has_include(<linux/bpf.h>)
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#define SKEP_TEST_HAS_KERNEL 1
#endif

namespace skep {
namespace {

using isa::Insn;
using isa::Op;
using platform::ProgramType;

/// A UDP datagram over IPv4, to a unicast address.
constexpr std::array<uint8_t, 60> datagram = {2, 0, 0,  0,  0, 2, 2,  0, 0, 0, 0,  1, 8, 0, 0x45, 0,    0, 46, 0, 1,
                                              0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0, 53, 0, 26};

Insn insn(Op op, uint8_t dst, uint8_t src, int16_t offset, uint64_t imm) {
    Insn out;
    out.op = op;
    out.dst = dst;
    out.src = src;
    out.offset = offset;
    out.set_imm64(imm);
    return out;
}

struct Probe {
    ProgramType type;
    int16_t offset;
    unsigned bytes;
    bool store;
    isa::Code code;
};

/// r0 = the field, its upper half folded into the lower one; with `store`, after a number was put there.
Probe probe(ProgramType type, int16_t offset, unsigned bytes, bool store) {
    const Op loads[] = {Op::LdxB, Op::LdxH, Op::LdxW, Op::LdxDw}, stores[] = {Op::StxB, Op::StxH, Op::StxW, Op::StxDw};
    const unsigned width = bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
    Probe out{type, offset, bytes, store, {}};
    if (store) {
        isa::append(out.code, insn(Op::LdImm64, 2, 0, 0, 0x1122334455667788u));
        isa::append(out.code, insn(stores[width], 1, 2, offset, 0));
    }
    isa::append(out.code, insn(loads[width], 0, 1, offset, 0));
    isa::append(out.code, insn(Op::Mov64X, 3, 0, 0, 0));
    isa::append(out.code, insn(Op::Rsh64K, 3, 0, 0, 32));
    isa::append(out.code, insn(Op::Xor64X, 0, 3, 0, 0));
    isa::append(out.code, insn(Op::Exit, 0, 0, 0, 0));
    return out;
}

Result<BoundProgram> bound(const Probe& p) {
    object::ObjectSpec spec;
    spec.license = "GPL";
    object::LinkedProgram program;
    program.name = "probe";
    program.code = p.code;
    program.subprograms = {{"probe", 0, static_cast<isa::InsnIndex>(p.code.size()), true}};
    return bind(spec, program, {.type = p.type});
}

/// What differs from a test run in the kernel, and why that is right.
bool known_difference(const Probe& p) {
    // A test run without a context of its own leaves the length on the wire 0; on a device it is the packet's.
    const bool wire_len = p.offset >= 160 && p.offset < 164;
    // The kernel ignores a store of what is no queue number (NO_QUEUE_MAPPING and above); we keep its lower half.
    const bool no_queue = p.store && p.offset == 12;
    return p.type != ProgramType::Xdp && (wire_len || no_queue);
}

/// Every probe that binding accepts and whose value is a number.
std::vector<Probe> probes() {
    std::vector<Probe> out;
    for (ProgramType type :
         {ProgramType::SocketFilter, ProgramType::SchedCls, ProgramType::SchedAct, ProgramType::Xdp}) {
        for (int16_t offset = 0; offset < 192; ++offset) {
            for (unsigned bytes : {1u, 2u, 4u, 8u}) {
                for (bool store : {false, true}) {
                    Probe p = probe(type, offset, bytes, store);
                    const auto program = bound(p);
                    if (program.ok() && !program->bindings[store ? 3 : 0].context.pointer) out.push_back(std::move(p));
                }
            }
        }
    }
    return out;
}

uint32_t ask_engine(const Probe& p, runtime::EngineKind engine, Lanes& lanes) {
    auto program = bound(p);
    auto executable = UnverifiedProgram::make(*std::move(program));
    EXPECT_TRUE(executable.ok());
    engine::LinkTable table;
    auto code = runtime::compile_with(engine, *executable, table);
    EXPECT_TRUE(code.ok()) << code.error().to_string();
    if (!code) return 0;
    auto session = hooks::PacketSession::open(lanes, p.type, platform::Personality::Linux, {});
    return static_cast<uint32_t>((*session)->run((*code)->entry(), std::as_bytes(std::span(datagram))).r0);
}

std::optional<uint32_t> ask_kernel([[maybe_unused]] const Probe& p) {
#ifdef SKEP_TEST_HAS_KERNEL
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.prog_type = platform::program_type_linux_id(p.type);
    attr.insns = reinterpret_cast<uint64_t>(p.code.data());
    attr.insn_cnt = static_cast<uint32_t>(p.code.size());
    attr.license = reinterpret_cast<uint64_t>("GPL");
    const long fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
    if (fd < 0) return std::nullopt;
    std::memset(&attr, 0, sizeof attr);
    attr.test.prog_fd = static_cast<uint32_t>(fd);
    attr.test.data_in = reinterpret_cast<uint64_t>(datagram.data());
    attr.test.data_size_in = datagram.size();
    attr.test.repeat = 1;
    const long result = syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof attr);
    const uint32_t r0 = attr.test.retval;
    close(static_cast<int>(fd));
    if (result != 0) return std::nullopt;
    return r0;
#else
    return std::nullopt;
#endif
}

TEST(ContextValues, EveryEngineReadsTheSameNumber) {
    const auto engines = runtime::available_engines();
    if (engines.empty()) GTEST_SKIP() << "no engine in this build";
    Lanes* lanes = Lanes::create(2);
    int compared = 0, with_kernel = 0;
    for (const Probe& p : probes()) {
        const uint32_t first = ask_engine(p, engines[0], *lanes);
        const std::string where = std::string(platform::program_type_name(p.type)) + ": " +
                                  (p.store ? "store and load" : "load") + " of " + std::to_string(p.bytes) +
                                  " bytes at " + std::to_string(p.offset);
        for (size_t i = 1; i < engines.size(); ++i)
            EXPECT_EQ(ask_engine(p, engines[i], *lanes), first) << where << ", " << runtime::engine_name(engines[i]);
        ++compared;
        if (const auto kernel = ask_kernel(p); kernel && !known_difference(p)) {
            ++with_kernel;
            EXPECT_EQ(*kernel, first) << where << ", kernel and " << runtime::engine_name(engines[0]);
        }
    }
    lanes->destroy();
    EXPECT_GT(compared, 300);
    RecordProperty("compared_with_kernel", with_kernel);
    if (with_kernel == 0) GTEST_SKIP() << "engines agree; no kernel to compare with";
}

}  // namespace
}  // namespace skep
