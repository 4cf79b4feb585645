// SPDX-License-Identifier: Apache-2.0
// The tables of helpers and context fields against the running kernel: what its verifier says of each helper number and
// of each access of a program's context. Needs root on Linux 6.12 or later; skipped, saying so, elsewhere.
#include <gtest/gtest.h>

#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "platform/program_type.hpp"
#include "program/bind.hpp"

#if defined(__linux__) && __has_include(<linux/bpf.h>)
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
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

/// A program type as it is loaded.
struct Kind {
    ProgramType type;
    platform::AttachType attach = platform::AttachType::None;

    std::string name() const {
        return fmt::format("{} ({})", platform::program_type_name(type), platform::attach_type_name(attach));
    }
};

struct Answer {
    bool accepted = false;
    int error = 0;
    std::string log;
};

Answer ask_kernel(Kind kind, const isa::Code& code, const char* license) {
    std::string log(16384, '\0');
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.prog_type = platform::program_type_linux_id(kind.type);
    attr.expected_attach_type = platform::attach_type_linux_id(kind.attach);
    if (kind.type == ProgramType::Syscall) attr.prog_flags = BPF_F_SLEEPABLE;  // loads in no other way
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

bool bind_accepts(Kind kind, const isa::Code& code, const char* license, std::string* why) {
    object::ObjectSpec spec;
    spec.license = license;
    object::LinkedProgram program;
    program.name = "probe";
    program.code = code;
    program.subprograms = {{"probe", 0, static_cast<isa::InsnIndex>(code.size()), true}};
    const auto bound = bind(spec, program, {.type = kind.type, .attach = kind.attach});
    if (!bound) *why = bound.error().to_string();
    return bound.ok();
}

std::optional<std::string> reason_to_skip() {
    utsname name{};
    int major = 0, minor = 0;
    if (uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &major, &minor) != 2) return "no kernel release";
    if (major < 6 || (major == 6 && minor < 12)) return std::string("kernel ") + name.release + " is older than 6.12";
    const Answer answer = ask_kernel({ProgramType::SocketFilter},
                                     code_of({insn(Op::Mov64K, 0, 0, 0, 0), insn(Op::Exit, 0, 0, 0, 0)}), "GPL");
    if (!answer.accepted) return std::string("this process may not load programs: ") + std::strerror(answer.error);
    // Privileged rules apply to root only: without it, half the helpers are refused for want of a capability.
    if (geteuid() != 0) return "not root";
    return std::nullopt;
}

/// Every program type whose context is modelled, at each of its attach types, that this kernel loads at all.
std::vector<Kind> kinds(std::string* not_loaded) {
    std::vector<Kind> out;
    for (unsigned t = 0; t < platform::program_type_count; ++t) {
        const auto type = static_cast<ProgramType>(t);
        if (!platform::context_of(type) || platform::program_type_linux_id(type) == 0) continue;
        for (unsigned a = 0; a < platform::attach_type_count; ++a) {
            const auto attach = static_cast<platform::AttachType>(a);
            if ((platform::attach_types_of(type) & platform::attach_bit(attach)) == 0) continue;
            const Kind kind{type, attach};
            const auto plain = code_of({insn(Op::Mov64K, 0, 0, 0, 1), insn(Op::Exit, 0, 0, 0, 0)});
            if (ask_kernel(kind, plain, "GPL").accepted)
                out.push_back(kind);
            else
                *not_loaded += kind.name() + " ";
        }
    }
    return out;
}

/// Where this kernel and the tables (those of 6.12) are known to differ.
bool differs(const Kind& kind, int offset, int bytes, bool store) {
    // Later kernels let uprobe programs write registers.
    if (kind.type == ProgramType::Kprobe && store) return true;
    // tp_prog_is_valid_access() compares the offset with sizeof(void*) as an unsigned number, so that negative ones,
    // the bytes before the record, pass. They are nobody's to read.
    if (kind.type == ProgramType::Tracepoint && offset < 0 && !store) return true;
    // Only the access of all of args[0] makes a buffer of it; parts of the address are numbers there, nothing here.
    if (kind.type == ProgramType::RawTracepointWritable && offset < 8 && bytes < 8) return true;
    // Bytes beyond the record, which nobody reads.
    if (kind.type == ProgramType::Syscall && offset + bytes > 65535) return true;
    return false;
}

TEST(BindAndKernel, AgreeOnEveryContextAccess) {
    if (const auto why = reason_to_skip()) GTEST_SKIP() << *why;
    const struct {
        Op load, store;
        int bytes;
    } widths[] = {{Op::LdxB, Op::StxB, 1}, {Op::LdxH, Op::StxH, 2}, {Op::LdxW, Op::StxW, 4}, {Op::LdxDw, Op::StxDw, 8}};
    int asked = 0, accepted = 0;
    std::string not_loaded;
    for (const Kind& kind : kinds(&not_loaded)) {
        const auto end = static_cast<int>(platform::context_bytes(*platform::context_of(kind.type), {}));
        for (int offset = -8; offset <= end + 8; ++offset) {
            if (offset == 96 && end > 1000) offset = std::min(end, 32768) - 16;  // plain bytes between
            if (offset > INT16_MAX) break;
            for (const auto& width : widths) {
                for (bool store : {false, true}) {
                    if (differs(kind, offset, width.bytes, store)) continue;
                    const auto at = static_cast<int16_t>(offset);
                    const isa::Code code = code_of({
                        insn(Op::Mov64K, 2, 0, 0, 0),
                        store ? insn(width.store, 1, 2, at, 0) : insn(width.load, 3, 1, at, 0),
                        insn(Op::Mov64K, 0, 0, 0, 1),
                        insn(Op::Exit, 0, 0, 0, 0),
                    });
                    const Answer kernel = ask_kernel(kind, code, "GPL");
                    std::string why;
                    const bool ours = bind_accepts(kind, code, "GPL", &why);
                    ++asked;
                    accepted += kernel.accepted;
                    EXPECT_EQ(ours, kernel.accepted)
                        << kind.name() << ": " << (store ? "store" : "load") << " of " << width.bytes << " bytes at "
                        << offset << "\nkernel: " << kernel.log << "\nwe: " << why;
                }
            }
        }
    }
    std::printf("%d accesses asked, %d accepted; not loaded by this kernel: %s\n", asked, accepted,
                not_loaded.empty() ? "none" : not_loaded.c_str());
    EXPECT_GT(asked, 40000);
    EXPECT_GT(accepted, 2000);
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
        const Answer kernel = ask_kernel({ProgramType::SchedCls}, code, "GPL");
        std::string why;
        EXPECT_EQ(bind_accepts({ProgramType::SchedCls}, code, "GPL", &why), kernel.accepted) << kernel.log << why;
        EXPECT_EQ(kernel.accepted, distance == 0) << kernel.log;
    }
}

TEST(BindAndKernel, AgreeOnWhatEachTypeMayReturn) {
    if (const auto why = reason_to_skip()) GTEST_SKIP() << *why;
    std::string not_loaded;
    int refused = 0;
    for (const Kind& kind : kinds(&not_loaded)) {
        const platform::ResultRange range =
            platform::result_range(kind.type, kind.attach, platform::Personality::Linux);
        for (int32_t value = -2; value <= 5; ++value) {
            const isa::Code code = code_of({insn(Op::Mov64K, 0, 0, 0, value), insn(Op::Exit, 0, 0, 0, 0)});
            const Answer kernel = ask_kernel(kind, code, "GPL");
            refused += !kernel.accepted;
            EXPECT_EQ(range.any || (range.min <= value && value <= range.max), kernel.accepted)
                << kind.name() << " returns " << value << "\n"
                << kernel.log;
        }
    }
    EXPECT_GT(refused, 100);
}

TEST(BindAndKernel, AgreeOnWhoMayCallEachHelper) {
    if (const auto why = reason_to_skip()) GTEST_SKIP() << *why;
    std::string not_loaded;
    for (const Kind& kind : kinds(&not_loaded)) {
        for (int32_t id = 1; id <= 211; ++id) {
            platform::HelperId helper_id{};
            ASSERT_TRUE(platform::helper_from_linux(static_cast<uint32_t>(id), &helper_id));
            const platform::HelperRow& row = platform::helper_for(helper_id, kind.type);
            // Absent from kernels that are locked down or built without function error injection.
            if (helper_id == platform::HelperId::ProbeWriteUser || helper_id == platform::HelperId::OverrideReturn)
                continue;
            for (const char* license : {"GPL", "Apache-2.0"}) {
                const isa::Code code = code_of({insn(Op::Call, 0, 0, 0, id), insn(Op::Exit, 0, 0, 0, 0)});
                const Answer kernel = ask_kernel(kind, code, license);
                const bool unknown = kernel.log.find("cannot use helper") != std::string::npos ||
                                     kernel.log.find("unknown func") != std::string::npos;
                const bool for_gpl = kernel.log.find("cannot call GPL-restricted") != std::string::npos;
                const bool users = platform::helper_allowed(helper_id, kind.type, kind.attach);
                EXPECT_EQ(users, !unknown) << row.name << " for " << kind.name() << "\n" << kernel.log;
                // Programs for several kprobes at once may call it under any licence; the table knows one per type.
                const bool several = helper_id == platform::HelperId::GetFuncIp && kind.type == ProgramType::Kprobe &&
                                     kind.attach != platform::AttachType::None;
                if (users && !several && std::strcmp(license, "GPL") != 0) {
                    EXPECT_EQ(row.licence == platform::Licence::Gpl, for_gpl) << row.name << "\n" << kernel.log;
                }
            }
        }
    }
}

/// A map of the type, or -1 where this kernel makes none of these sizes without BTF.
int make_map(platform::MapType type, int inner) {
    using M = platform::MapType;
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.map_type = platform::map_type_linux_id(type);
    attr.key_size = 4;
    attr.value_size = 4;
    attr.max_entries = 4;
    const auto is = [&](std::initializer_list<M> types) { return std::ranges::find(types, type) != types.end(); };
    if (is({M::Hash, M::Array, M::PercpuHash, M::PercpuArray, M::LruHash, M::LruPercpuHash, M::StackTrace}))
        attr.value_size = 8;
    if (is({M::Queue, M::Stack, M::BloomFilter})) attr.key_size = 0;
    if (is({M::Ringbuf, M::UserRingbuf})) attr.key_size = 0, attr.value_size = 0, attr.max_entries = 65536;
    if (is({M::CgroupStorage, M::PercpuCgroupStorage})) attr.key_size = 8, attr.max_entries = 0;
    if (type == M::LpmTrie) attr.key_size = 8, attr.map_flags = BPF_F_NO_PREALLOC;
    if (is({M::ArrayOfMaps, M::HashOfMaps})) attr.inner_map_fd = static_cast<uint32_t>(inner);
    return static_cast<int>(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
}

TEST(BindAndKernel, AgreeOnWhichMapsEachHelperTakes) {
    if (const auto why = reason_to_skip()) GTEST_SKIP() << *why;
    using platform::ArgKind;
    using platform::MapType;
    std::string not_loaded, not_made;
    const std::vector<Kind> all = kinds(&not_loaded);
    const int inner = make_map(MapType::Array, -1);
    int asked = 0, unclear = 0;
    for (uint32_t map_id = 1; map_id <= 33; ++map_id) {
        MapType map{};
        ASSERT_TRUE(platform::map_type_from_linux(map_id, &map));
        const int fd = make_map(map, inner);
        if (fd < 0) {
            not_made += std::string(platform::map_type_name(map)) + " ";
            continue;
        }
        for (uint32_t id = 1; id <= 211; ++id) {
            platform::HelperId helper{};
            ASSERT_TRUE(platform::helper_from_linux(id, &helper));
            for (const Kind& kind : all) {
                if (kind.attach != platform::default_attach(kind.type) ||
                    !platform::helper_allowed(helper, kind.type, kind.attach))
                    continue;
                const platform::HelperRow& row = platform::helper_for(helper, kind.type);
                isa::Code code;
                isa::append(code, insn(Op::Mov64X, 6, 1, 0, 0));
                isa::append(code, insn(Op::Mov64K, 1, 0, 0, 0));
                for (int16_t at = -64; at < 0; at += 8) isa::append(code, insn(Op::StxDw, 10, 1, at, 0));
                bool takes_map = false, can_call = platform::helper_modelled(row);
                for (uint8_t n = 0; n < 5 && row.args[n] != ArgKind::None; ++n) {
                    const auto reg = static_cast<uint8_t>(n + 1);
                    const auto memory = [&] {
                        isa::append(code, insn(Op::Mov64X, reg, 10, 0, 0));
                        isa::append(code, insn(Op::Add64K, reg, 0, 0, -64));
                    };
                    switch (row.args[n]) {
                        case ArgKind::ConstMapPtr:
                            takes_map = true;
                            isa::append(code, insn(Op::LdMapFd, reg, 0, 0, fd));
                            break;
                        case ArgKind::Ctx:
                        case ArgKind::CtxOrNull: isa::append(code, insn(Op::Mov64X, reg, 6, 0, 0)); break;
                        case ArgKind::Size:
                        case ArgKind::SizeOrZero:
                        case ArgKind::RecordSize: isa::append(code, insn(Op::Mov64K, reg, 0, 0, 24)); break;
                        case ArgKind::Scalar:
                        case ArgKind::Anything:
                        case ArgKind::MapValueOrNull: isa::append(code, insn(Op::Mov64K, reg, 0, 0, 0)); break;
                        case ArgKind::MapKey:
                        case ArgKind::MapValue:
                        case ArgKind::MapValueOut:
                        case ArgKind::MemIn:
                        case ArgKind::MemInOrNull:
                        case ArgKind::MemOut:
                        case ArgKind::MemOutOrNull:
                        case ArgKind::MemInOut:
                        case ArgKind::I64Out:
                        case ArgKind::U64Out:
                        case ArgKind::U32InOut:
                        case ArgKind::In20:
                        case ArgKind::In40: memory(); break;
                        case ArgKind::None:
                        case ArgKind::Record:
                        case ArgKind::Func:
                        case ArgKind::CallbackContext:
                        case ArgKind::ConstString:
                        case ArgKind::SpinLock:
                        case ArgKind::Timer:
                        case ArgKind::SockCommon:
                        case ArgKind::Socket:
                        case ArgKind::SocketOrNull:
                        case ArgKind::Dynptr:
                        case ArgKind::Kptr:
                        case ArgKind::BtfObject:
                        case ArgKind::Other: can_call = false; break;
                    }
                }
                if (!takes_map || !can_call) break;  // for no program type
                isa::append(code, insn(Op::Call, 0, 0, 0, static_cast<int32_t>(id)));
                isa::append(code, insn(Op::Mov64K, 0, 0, 0, 1));
                isa::append(code, insn(Op::Exit, 0, 0, 0, 0));
                const Answer kernel = ask_kernel(kind, code, "GPL");
                const bool refused = kernel.log.find("cannot pass map_type") != std::string::npos;
                const bool passed = kernel.accepted || kernel.log.find("Unreleased reference") != std::string::npos;
                ++asked;
                if (!refused && !passed) {
                    ++unclear;  // another rule came first: a key of no bytes, a map that such programs may not have
                    continue;
                }
                EXPECT_EQ(platform::helper_takes_map(helper, map, kind.type), passed)
                    << row.name << " with " << platform::map_type_name(map) << " in " << kind.name() << "\n"
                    << kernel.log;
            }
        }
        close(fd);
    }
    close(inner);
    std::printf("%d pairs asked, %d decided by another rule; not made here: %s\n", asked, unclear, not_made.c_str());
    EXPECT_GT(asked - unclear, 3000);
}

}  // namespace
}  // namespace skep
#else
TEST(BindAndKernel, AgreeOnEveryContextAccess) { GTEST_SKIP() << "not Linux"; }
#endif
