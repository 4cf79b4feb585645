// SPDX-License-Identifier: Apache-2.0
// The tables of helpers and context fields against the running kernel: what its verifier says of each helper number and
// of each access of a program's context. Needs root on Linux 6.12 or later; skipped, saying so, elsewhere.
#include <gtest/gtest.h>

#include "platform/helper.hpp"
#include "platform/program_type.hpp"
#include "program/bind.hpp"

#if defined(__linux__) && __has_include(<linux/bpf.h>)
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "isa/insn.hpp"

namespace skep {
namespace {

using isa::Insn;
using isa::Op;
using platform::ProgramType;

constexpr ProgramType types[] = {ProgramType::SocketFilter, ProgramType::SchedCls, ProgramType::SchedAct,
                                 ProgramType::Xdp};

struct Answer {
    bool accepted = false;
    int error = 0;
    std::string log;
};

Answer ask_kernel(ProgramType type, const isa::Code& code, const char* license) {
    std::string log(16384, '\0');
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.prog_type = platform::program_type_linux_id(type);
    attr.insns = reinterpret_cast<uint64_t>(code.data());
    attr.insn_cnt = static_cast<uint32_t>(code.size());
    attr.license = reinterpret_cast<uint64_t>(license);
    attr.log_buf = reinterpret_cast<uint64_t>(log.data());
    attr.log_size = static_cast<uint32_t>(log.size());
    attr.log_level = 1;
    const long fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
    const int error = errno;
    if (fd >= 0) close(static_cast<int>(fd));
    return {fd >= 0, fd >= 0 ? 0 : error, std::string(log.c_str())};
}

isa::Code code_of(std::initializer_list<Insn> insns) {
    isa::Code code;
    for (const Insn& insn : insns) isa::append(code, insn);
    return code;
}

Insn insn(Op op, uint8_t dst, uint8_t src, int16_t offset, int32_t imm) {
    Insn out;
    out.op = op;
    out.dst = dst;
    out.src = src;
    out.offset = offset;
    out.imm = imm;
    return out;
}

bool bind_accepts(ProgramType type, const isa::Code& code, const char* license, std::string* why) {
    object::ObjectSpec spec;
    spec.license = license;
    object::LinkedProgram program;
    program.name = "probe";
    program.code = code;
    program.subprograms = {{"probe", 0, static_cast<isa::InsnIndex>(code.size()), true}};
    const auto bound = bind(spec, program, {.type = type});
    if (!bound) *why = bound.error().to_string();
    return bound.ok();
}

std::optional<std::string> reason_to_skip() {
    utsname name{};
    int major = 0, minor = 0;
    if (uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &major, &minor) != 2) return "no kernel release";
    if (major < 6 || (major == 6 && minor < 12)) return std::string("kernel ") + name.release + " is older than 6.12";
    const Answer answer = ask_kernel(ProgramType::SocketFilter,
                                     code_of({insn(Op::Mov64K, 0, 0, 0, 0), insn(Op::Exit, 0, 0, 0, 0)}), "GPL");
    if (!answer.accepted) return std::string("this process may not load programs: ") + std::strerror(answer.error);
    // Privileged rules apply to root only: without it, half the helpers are refused for want of a capability.
    if (geteuid() != 0) return "not root";
    return std::nullopt;
}

TEST(BindAndKernel, AgreeOnEveryContextAccess) {
    if (const auto why = reason_to_skip()) GTEST_SKIP() << *why;
    const struct {
        Op load, store;
        int bytes;
    } widths[] = {{Op::LdxB, Op::StxB, 1}, {Op::LdxH, Op::StxH, 2}, {Op::LdxW, Op::StxW, 4}, {Op::LdxDw, Op::StxDw, 8}};
    int asked = 0, accepted = 0;
    for (ProgramType type : types) {
        for (int16_t offset = -8; offset <= 200; ++offset) {
            for (const auto& width : widths) {
                for (bool store : {false, true}) {
                    // sk gives a socket, which is not modelled: refused here, accepted there.
                    if (type != ProgramType::Xdp && offset == 168 && width.bytes == 8 && !store) continue;
                    const isa::Code code = code_of({
                        insn(Op::Mov64K, 2, 0, 0, 0),
                        store ? insn(width.store, 1, 2, offset, 0) : insn(width.load, 3, 1, offset, 0),
                        insn(Op::Mov64K, 0, 0, 0, 0),
                        insn(Op::Exit, 0, 0, 0, 0),
                    });
                    const Answer kernel = ask_kernel(type, code, "GPL");
                    std::string why;
                    const bool ours = bind_accepts(type, code, "GPL", &why);
                    ++asked;
                    accepted += kernel.accepted;
                    EXPECT_EQ(ours, kernel.accepted)
                        << platform::program_type_name(type) << ": " << (store ? "store" : "load") << " of "
                        << width.bytes << " bytes at " << offset << "\nkernel: " << kernel.log << "\nwe: " << why;
                }
            }
        }
    }
    EXPECT_GT(asked, 6000);
    EXPECT_GT(accepted, 300);
}

TEST(BindAndKernel, AgreeThatAMovedContextIsNotAccessed) {
    if (const auto why = reason_to_skip()) GTEST_SKIP() << *why;
    for (int32_t distance : {0, 4, -4}) {
        const isa::Code code = code_of({
            insn(Op::Mov64X, 2, 1, 0, 0),
            insn(Op::Add64K, 2, 0, 0, distance),
            insn(Op::LdxW, 0, 2, 8, 0),
            insn(Op::Exit, 0, 0, 0, 0),
        });
        const Answer kernel = ask_kernel(ProgramType::SchedCls, code, "GPL");
        std::string why;
        EXPECT_EQ(bind_accepts(ProgramType::SchedCls, code, "GPL", &why), kernel.accepted) << kernel.log << why;
        EXPECT_EQ(kernel.accepted, distance == 0) << kernel.log;
    }
}

TEST(BindAndKernel, AgreeOnWhoMayCallEachHelper) {
    if (const auto why = reason_to_skip()) GTEST_SKIP() << *why;
    for (ProgramType type : types) {
        for (int32_t id = 1; id <= 211; ++id) {
            for (const char* license : {"GPL", "Apache-2.0"}) {
                const isa::Code code = code_of({insn(Op::Call, 0, 0, 0, id), insn(Op::Exit, 0, 0, 0, 0)});
                const Answer kernel = ask_kernel(type, code, license);
                const bool unknown = kernel.log.find("cannot use helper") != std::string::npos ||
                                     kernel.log.find("unknown func") != std::string::npos;
                const bool for_gpl = kernel.log.find("cannot call GPL-restricted") != std::string::npos;
                platform::HelperId helper_id{};
                ASSERT_TRUE(platform::helper_from_linux(static_cast<uint32_t>(id), &helper_id));
                const platform::HelperRow& row = platform::helper(helper_id);
                const bool users = (row.users & platform::program_type_bit(type)) != 0;
                EXPECT_EQ(users, !unknown) << row.name << " for " << platform::program_type_name(type) << "\n"
                                           << kernel.log;
                if (users && std::strcmp(license, "GPL") != 0) {
                    EXPECT_EQ(row.licence == platform::Licence::Gpl, for_gpl) << row.name << "\n" << kernel.log;
                }
            }
        }
    }
}

}  // namespace
}  // namespace skep
#else
TEST(BindAndKernel, AgreeOnEveryContextAccess) { GTEST_SKIP() << "not Linux"; }
#endif
