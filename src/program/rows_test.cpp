// SPDX-License-Identifier: Apache-2.0
// Every row of the tables that both systems share, in each direction: its number in either system binds to the same
// canonical thing, and that thing gives the number back. The reused numbers are named cases.
#include <gtest/gtest.h>

#include "isa/insn.hpp"
#include "platform/context.hpp"
#include "platform/ebpf_result.hpp"
#include "platform/map_type.hpp"
#include "platform/platforms/platform.hpp"
#include "platform/verdict.hpp"
#include "program/bind.hpp"

namespace skep {
namespace {

using isa::Op;
using platform::AttachType;
using platform::HelperId;
using platform::MapType;
using platform::Personality;
using platform::ProgramType;
using platform::Verdict;

constexpr Personality both[] = {Personality::Linux, Personality::Windows};

BoundProgram bound(ProgramType type, AttachType attach, Personality p, std::initializer_list<isa::Insn> insns) {
    object::ObjectSpec spec;
    spec.license = "GPL";
    object::LinkedProgram program;
    program.name = "row";
    for (const isa::Insn& insn : insns) isa::append(program.code, insn);
    isa::append(program.code, {.op = Op::Mov64K, .dst = 0, .imm = 1});
    isa::append(program.code, {.op = Op::Exit});
    program.subprograms = {{"row", 0, static_cast<isa::InsnIndex>(program.code.size()), true}};
    auto result = bind(spec, program, {.type = type, .attach = attach, .personality = p, .keep_problems = true});
    EXPECT_TRUE(result.ok()) << result.error().to_string();
    return result ? *std::move(result) : BoundProgram{};
}

/// What a call of the number means, or nothing.
std::optional<HelperId> meaning(ProgramType type, AttachType attach, Personality p, uint32_t number) {
    const BoundProgram program = bound(type, attach, p, {{.op = Op::Call, .imm = static_cast<int32_t>(number)}});
    if (program.bindings.empty() || program.bindings[0].helper == UINT16_MAX) return std::nullopt;
    const BindProblem* problem = program.problem_at(0);
    if (problem != nullptr && problem->code == Errc::Unresolved) return std::nullopt;
    return static_cast<HelperId>(program.bindings[0].helper);
}

TEST(Rows, EveryHelperNumberInEitherSystem) {
    int linux_rows = 0, windows_rows = 0;
    for (uint16_t i = 0; i < platform::helper_count; ++i) {
        const auto id = static_cast<HelperId>(i);
        const platform::HelperRow& row = platform::helper(id);
        if (row.linux_id != 0) {
            EXPECT_EQ(meaning(ProgramType::Xdp, AttachType::Xdp, Personality::Linux, row.linux_id), id) << row.name;
            ++linux_rows;
        }
        if (row.windows_id != 0) {
            EXPECT_EQ(meaning(ProgramType::Xdp, AttachType::Xdp, Personality::Windows, row.windows_id), id) << row.name;
            EXPECT_EQ(platform::windows_helper_number(id, ProgramType::Netevent), row.windows_id) << row.name;
            ++windows_rows;
        }
    }
    EXPECT_EQ(linux_rows, 211);
    EXPECT_EQ(windows_rows, 35);
}

TEST(Rows, NumbersOfOneProgramTypeOnWindows) {
    const struct {
        ProgramType type;
        AttachType attach;
        uint32_t number;
        HelperId id;
    } rows[] = {
        {ProgramType::Xdp, AttachType::Xdp, 0x10000, HelperId::XdpAdjustHead},
        {ProgramType::CgroupSockAddr, AttachType::Connect4, 0x10000, HelperId::GetCurrentPidTgid},
        {ProgramType::CgroupSockAddr, AttachType::Connect4, 0x10001, HelperId::SockAddrSetRedirectContext},
        {ProgramType::CgroupSockAddr, AttachType::Connect4, 0x10002, HelperId::SockAddrGetNetworkContext},
        {ProgramType::SockOps, AttachType::None, 0x10000, HelperId::SockOpsGetFlowId},
        {ProgramType::Process, AttachType::None, 0x10000, HelperId::ProcessGetImagePath},
        {ProgramType::Process, AttachType::None, 0x10001, HelperId::ProcessGetAccountName},
        {ProgramType::Process, AttachType::None, 0x10002, HelperId::ProcessGetAccountDomain},
    };
    for (const auto& row : rows) {
        EXPECT_EQ(meaning(row.type, row.attach, Personality::Windows, row.number), row.id) << row.number;
        EXPECT_EQ(platform::windows_helper_number(row.id, row.type), row.number);
        EXPECT_EQ(meaning(ProgramType::Bind, AttachType::None, Personality::Windows, row.number), std::nullopt);
    }
}

TEST(Rows, EachReusedHelperNumberMeansAnotherThing) {
    // All of 1 to 35 but the four that agree: 1, 2, 3 and 8.
    int reused = 0;
    for (uint32_t number = 1; number <= 35; ++number) {
        HelperId on_linux{}, on_windows{};
        ASSERT_TRUE(platform::helper_from_linux(number, &on_linux));
        ASSERT_TRUE(platform::helper_from_windows(number, &on_windows)) << number;
        const bool agree = number <= 3 || number == 8;
        EXPECT_EQ(on_linux == on_windows, agree) << number;
        EXPECT_EQ(meaning(ProgramType::Xdp, AttachType::Xdp, Personality::Linux, number), on_linux) << number;
        EXPECT_EQ(meaning(ProgramType::Xdp, AttachType::Xdp, Personality::Windows, number), on_windows) << number;
        reused += !agree;
    }
    EXPECT_EQ(reused, 31);
}

TEST(Rows, EveryMapTypeInEitherSystem) {
    int shared = 0;
    for (uint32_t number = 1; number <= 33; ++number) {
        MapType type{};
        ASSERT_TRUE(platform::map_type_from_linux(number, &type));
        EXPECT_EQ(platform::map_type_linux_id(type), number);
        const uint32_t there = platform::map_type_windows_id(type);
        if (there == 0) continue;
        MapType back{};
        ASSERT_TRUE(platform::map_type_from_windows(there, &back)) << there;
        EXPECT_EQ(back, type);
        ++shared;
    }
    EXPECT_EQ(shared, 15);
}

TEST(Rows, EveryFieldInEitherSystem) {
    int read[2] = {}, written = 0;
    for (const platform::FieldRow& field : platform::context_fields()) {
        if (field.hole != nullptr || field.context >= platform::ContextKind::Socket) continue;
        for (const Personality p : both) {
            if (field.bytes(p) == 0) continue;
            bool found = false;
            for (unsigned t = 0; t < platform::program_type_count && !found; ++t) {
                const auto type = static_cast<ProgramType>(t);
                if (platform::context_of(type) != field.context) continue;
                const bool exists = p == Personality::Linux ? platform::program_type_linux_id(type) != 0
                                                            : platform::program_type_windows_id(type) != 0;
                for (unsigned a = 0; a < platform::attach_type_count && exists && !found; ++a) {
                    const auto attach = static_cast<AttachType>(a);
                    if ((platform::attach_types_of(type) & platform::attach_bit(attach)) == 0 ||
                        !field.readable_by(type, attach, p))
                        continue;
                    const unsigned bytes = field.bytes(p);
                    const bool plain = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
                    const Op load = !plain                                         ? Op::LdxW
                                    : field.access == platform::FieldAccess::Longs ? Op::LdxDw
                                    : bytes == 1                                   ? Op::LdxB
                                    : bytes == 2                                   ? Op::LdxH
                                    : bytes == 4                                   ? Op::LdxW
                                                                                   : Op::LdxDw;
                    // sock_ops has one place for both families on Windows; its first word goes by the name of the
                    // shorter.
                    const int shared =
                        p == Personality::Windows && field.values == platform::FieldValues::Address && !plain ? 4 : 0;
                    const auto offset = static_cast<int16_t>(field.offset(p) + shared);
                    isa::Insn insn{.op = load, .dst = 2, .src = 1, .offset = offset};
                    if (field.access == platform::FieldAccess::Longs) insn.op = Op::LdxDw;
                    const BoundProgram program = bound(type, attach, p, {insn});
                    ASSERT_FALSE(program.bindings.empty());
                    ASSERT_EQ(program.bindings[0].kind, BindingKind::Context)
                        << field.name << " " << platform::program_type_name(type) << " "
                        << platform::attach_type_name(attach);
                    EXPECT_EQ(program.bindings[0].context.field, static_cast<uint16_t>(field.id)) << field.name;
                    EXPECT_EQ(program.bindings[0].context.host_offset, field.offset_in_host(p) + shared) << field.name;
                    found = true;
                    ++read[p == Personality::Windows];
                    if (!field.writable_by(type, attach, p)) continue;
                    const Op store = !plain || bytes == 4 ? Op::StxW
                                     : bytes == 1         ? Op::StxB
                                     : bytes == 2         ? Op::StxH
                                                          : Op::StxDw;
                    const BoundProgram writer = bound(
                        type, attach, p,
                        {{.op = Op::Mov64K, .dst = 2, .imm = 1}, {.op = store, .dst = 1, .src = 2, .offset = offset}});
                    EXPECT_EQ(writer.bindings[1].context.field, static_cast<uint16_t>(field.id)) << field.name;
                    EXPECT_EQ(writer.bindings[1].kind, BindingKind::Context) << field.name;
                    ++written;
                }
            }
            EXPECT_TRUE(found) << field.name << (p == Personality::Linux ? " on Linux" : " on Windows");
        }
    }
    EXPECT_GT(read[0], 150);
    EXPECT_GT(read[1], 40);
    EXPECT_GT(written, 10);
}

TEST(Rows, PacketPointersHaveFourBytesOnLinuxAndEightOnWindows) {
    for (const auto& [p, op, end] :
         {std::tuple{Personality::Linux, Op::LdxW, 4}, {Personality::Windows, Op::LdxDw, 8}}) {
        const BoundProgram program = bound(
            ProgramType::Xdp, AttachType::Xdp, p,
            {{.op = op, .dst = 2, .src = 1}, {.op = op, .dst = 3, .src = 1, .offset = static_cast<int16_t>(end)}});
        EXPECT_TRUE(program.bindings[0].context.pointer);
        EXPECT_EQ(program.bindings[0].context.host_bytes, 8);
        EXPECT_EQ(program.bindings[1].context.field, static_cast<uint16_t>(platform::FieldId::XdpDataEnd));
    }
}

TEST(Rows, PortsHaveFourBytesOnLinuxAndTwoOnWindows) {
    const auto port = [](Personality p, Op op, int16_t offset) {
        return bound(ProgramType::CgroupSockAddr, AttachType::Connect4, p,
                     {{.op = op, .dst = 2, .src = 1, .offset = offset}})
            .bindings[0];
    };
    const Binding on_linux = port(Personality::Linux, Op::LdxW, 24),
                  on_windows = port(Personality::Windows, Op::LdxH, 40);
    EXPECT_EQ(on_linux.context.field, on_windows.context.field);
    EXPECT_EQ(on_linux.context.host_offset, on_windows.context.host_offset);
    EXPECT_EQ(on_linux.context.access_bytes, 4);
    EXPECT_EQ(on_windows.context.access_bytes, 2);
    EXPECT_EQ(port(Personality::Windows, Op::LdxW, 40).kind, BindingKind::Problem);
}

TEST(Rows, AddressesThatShareAPlaceAreToldApartByAttachType) {
    for (const auto& [attach, field] : {std::pair{AttachType::Connect4, platform::FieldId::SockAddrUserIp4},
                                        {AttachType::Connect6, platform::FieldId::SockAddrUserIp6}}) {
        const BoundProgram program = bound(ProgramType::CgroupSockAddr, attach, Personality::Windows,
                                           {{.op = Op::LdxW, .dst = 2, .src = 1, .offset = 24}});
        EXPECT_EQ(program.bindings[0].context.field, static_cast<uint16_t>(field));
    }
}

TEST(Rows, EveryVerdictInEitherSystem) {
    const struct {
        ProgramType type;
        Verdict verdict;
        int on_linux, on_windows;  // -1: it cannot be said
    } rows[] = {
        {ProgramType::Xdp, Verdict::XdpAborted, 0, -1},
        {ProgramType::Xdp, Verdict::XdpDrop, 1, 2},  // swapped with pass
        {ProgramType::Xdp, Verdict::XdpPass, 2, 1},
        {ProgramType::Xdp, Verdict::XdpTx, 3, 3},
        {ProgramType::Xdp, Verdict::XdpRedirect, 4, 4},
        {ProgramType::CgroupSockAddr, Verdict::SockAddrReject, 0, 0},
        {ProgramType::CgroupSockAddr, Verdict::SockAddrProceed, 1, 1},
        {ProgramType::CgroupSockAddr, Verdict::SockAddrProceedHard, -1, 2},
        {ProgramType::SockOps, Verdict::SockOpsReply, 0, 0},
        {ProgramType::Bind, Verdict::BindPermitSoft, -1, 0},
        {ProgramType::Bind, Verdict::BindDeny, -1, 1},
        {ProgramType::Bind, Verdict::BindRedirect, -1, 2},
        {ProgramType::Bind, Verdict::BindPermitHard, -1, 3},
        {ProgramType::Process, Verdict::ProcessAllow, -1, 0},
        {ProgramType::Process, Verdict::ProcessRefuse, -1, 1},
    };
    for (const auto& row : rows) {
        for (const Personality p : both) {
            const int number = p == Personality::Linux ? row.on_linux : row.on_windows;
            if (number < 0) continue;
            EXPECT_EQ(platform::outcome_of(row.type, p, static_cast<uint64_t>(number), 0).verdict, row.verdict)
                << platform::verdict_name(row.verdict);
        }
    }
    for (const auto& [type, otherwise] : {std::pair{ProgramType::Xdp, Verdict::XdpDrop},
                                          {ProgramType::CgroupSockAddr, Verdict::SockAddrReject},
                                          {ProgramType::Bind, Verdict::BindDeny},
                                          {ProgramType::Process, Verdict::ProcessRefuse}})
        EXPECT_EQ(platform::outcome_of(type, Personality::Windows, 77, 0).verdict, otherwise);
}

TEST(Rows, EveryErrorResultInEitherSystem) {
    for (const platform::EbpfResultRow& row : platform::ebpf_result_rows) {
        const auto minus = [](int number) { return uint64_t{0} - static_cast<uint64_t>(number); };
        EXPECT_EQ(platform::to_ebpf_result(minus(row.errno_number)), minus(row.number));
        // Several errnos are one ebpf_result: back comes the first of them, which means the same there.
        const uint64_t back = platform::from_ebpf_result(minus(row.number));
        EXPECT_EQ(platform::to_ebpf_result(back), minus(row.number));
    }
}

}  // namespace
}  // namespace skep
