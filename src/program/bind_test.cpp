// SPDX-License-Identifier: Apache-2.0
#include "program/bind.hpp"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "isa/assemble.hpp"
#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "platform/platforms/platform.hpp"

namespace skep {
namespace {

using platform::FieldId;
using platform::HelperId;
using platform::ProgramType;

/// An object with one program in `section`, and one map of each of a few types (hash 0, prog_array 1, queue 2).
object::ObjectSpec object_with(const char* license) {
    object::ObjectSpec spec;
    spec.file = "test.o";
    if (license != nullptr) spec.license = license;
    const auto add_map = [&](const char* name, uint32_t type, uint32_t key, uint32_t value) {
        object::MapSpec map;
        map.name = name;
        map.type = type;
        map.key_size = key;
        map.value_size = value;
        spec.maps.push_back(map);
    };
    add_map("flows", 1, 4, 8);
    add_map("programs", 3, 4, 4);
    add_map("queue", 22, 0, 16);
    return spec;
}

/// Text to a linked program. A label that begins with "fn_" starts a function.
object::LinkedProgram linked(const std::string& text, const char* section = "xdp") {
    object::LinkedProgram program;
    program.name = "prog";
    program.section = section;
    program.maps = {0, 1, 2};
    auto assembly = isa::assemble_labelled(text);
    EXPECT_TRUE(assembly.ok()) << assembly.error().to_string();
    if (!assembly) return program;
    program.code = assembly->code;
    program.subprograms.push_back({"prog", 0, 0, true});
    for (const auto& [at, name] : assembly->labels) {
        if (name.starts_with("fn_")) program.subprograms.push_back({name, at, 0, false});
    }
    for (size_t i = 0; i < program.subprograms.size(); ++i)
        program.subprograms[i].end = i + 1 < program.subprograms.size()
                                         ? program.subprograms[i + 1].start
                                         : static_cast<isa::InsnIndex>(program.code.size());
    return program;
}

Result<BoundProgram> bind_text(const std::string& text, const char* section = "xdp", const char* license = "GPL") {
    return bind(object_with(license), linked(text, section));
}

std::string error_of(const Result<BoundProgram>& result) {
    return result.ok() ? "accepted" : result.error().to_string();
}

#define EXPECT_ACCEPTED(result) EXPECT_TRUE((result).ok()) << error_of(result)
#define EXPECT_REFUSED(result, errc, words)                                               \
    do {                                                                                  \
        const auto& refused = (result);                                                   \
        ASSERT_FALSE(refused.ok()) << "expected: " << (words);                            \
        EXPECT_EQ(refused.error().code(), Errc::errc) << error_of(refused);               \
        EXPECT_NE(error_of(refused).find(words), std::string::npos) << error_of(refused); \
    } while (false)

/// One access of a context, and what the refusal says of it.
struct ContextCase {
    const char* section;
    const char* text;
    const char* refused;  ///< null: accepted
};

/// Each case's text, with `ending` behind it, is bound, or refused in the words of its row.
void check(std::span<const ContextCase> cases, const std::string& ending) {
    for (const ContextCase& c : cases) {
        const auto bound = bind_text(std::string(c.text) + "\n" + ending, c.section);
        if (c.refused == nullptr) {
            EXPECT_TRUE(bound.ok()) << c.section << ": " << c.text << "\n" << error_of(bound);
            continue;
        }
        ASSERT_FALSE(bound.ok()) << c.section << ": " << c.text;
        EXPECT_EQ(bound.error().code(), Errc::Rejected);
        EXPECT_NE(error_of(bound).find(c.refused), std::string::npos) << c.text << "\n" << error_of(bound);
    }
}

TEST(Bind, AHelperNumberBecomesItsCanonicalName) {
    const auto bound = bind_text("call 5\ncall 7\nr0 = 0\nexit");
    EXPECT_ACCEPTED(bound);
    EXPECT_EQ(bound->bindings[0].kind, BindingKind::Helper);
    EXPECT_EQ(bound->bindings[0].helper, static_cast<uint16_t>(HelperId::KtimeGetNs));
    EXPECT_EQ(bound->bindings[1].helper, static_cast<uint16_t>(HelperId::GetPrandomU32));
    EXPECT_EQ(bound->bindings[2].kind, BindingKind::None);
    EXPECT_EQ(bound->type, ProgramType::Xdp);
}

TEST(Bind, AnUnknownHelperIsRefusedByNumber) {
    EXPECT_REFUSED(bind_text("call 212\nexit"), Unresolved, "number 212");
    EXPECT_REFUSED(bind_text("call 0\nexit"), Unresolved, "number 0");
    EXPECT_REFUSED(bind_text("call -1\nexit"), Unresolved, "number -1");
}

TEST(Bind, AProblemMattersUnlessTwoConstantsSayThatItIsNotReached) {
    struct Row {
        const char* text;
        bool accepted;
    };
    const Row rows[] = {
        {"r1 = 0\nif r1 == 0 goto +1\ncall 212\nr0 = 0\nexit", true},
        {"r1 = 1\nif r1 == 0 goto +1\ncall 212\nr0 = 0\nexit", false},
        {"r1 = 0\nif r1 != 0 goto +2\nr0 = 0\nexit\ncall 212\nexit", true},
        {"r1 = 1\nif r1 != 0 goto +2\nr0 = 0\nexit\ncall 212\nexit", false},
        {"w1 = 0\nif w1 == 0 goto +1\ncall 212\nr0 = 0\nexit", true},
        {"w1 = -1\nif r1 == -1 goto +1\ncall 212\nr0 = 0\nexit", false},  // 2^32 - 1 is not -1
        {"r1 = 0 ll\nif r1 == 0 goto +1\ncall 212\nr0 = 0\nexit", true},
        {"r1 = 0\nr2 = 0\nif r1 == r2 goto +1\ncall 212\nr0 = 0\nexit", true},
        {"call 5\nif r0 == 0 goto +1\ncall 212\nr0 = 0\nexit", false},
        {"goto +1\ncall 212\nr0 = 0\nexit", true},
        // A loop makes the constant unknown on its second round.
        {"r1 = 0\nif r1 == 0 goto +2\ncall 212\nexit\nr1 += 1\ngoto -5", false},
        // What libbpf makes of an instruction whose field is not there.
        {"r1 = 0\nif r1 == 0 goto +1\ncall 195896080\nr0 = 0\nexit", true},
        {"call 195896080\nr0 = 0\nexit", false},
        {"r1 = 0\nif r1 == 0 goto +1\ncall 0 <kfunc>\nr0 = 0\nexit", true},
        {"call 0 <kfunc>\nr0 = 0\nexit", false},
        {"r2 = 0\nif r2 == 0 goto +1\nr0 = *(u64 *)(r1 + 3)\nr0 = 0\nexit", true},
    };
    for (const Row& row : rows) {
        const auto bound = bind_text(row.text);
        EXPECT_EQ(bound.ok(), row.accepted) << row.text << "\n" << error_of(bound);
        if (!bound || bound->problems.empty()) continue;
        const BindProblem& problem = bound->problems.front();
        EXPECT_EQ(bound->bindings[problem.at].kind, BindingKind::Problem) << row.text;
        EXPECT_EQ(bound->problem_at(problem.at), &problem) << row.text;
    }
}

TEST(Bind, AVerifierGetsEveryProblemAndNothingBehindOne) {
    const auto bound =
        bind(object_with("GPL"), linked("r2 = r1\ncall 212\nr0 = *(u32 *)(r2 + 64)\nexit"), {.keep_problems = true});
    EXPECT_ACCEPTED(bound);
    ASSERT_EQ(bound->problems.size(), 1u);
    EXPECT_EQ(bound->problems[0].at, 1u);
    EXPECT_EQ(bound->problems[0].code, Errc::Unresolved);
}

TEST(Bind, AHelperOfAnotherProgramTypeIsRefusedByName) {
    const std::string load_bytes = "r2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall 26\nr0 = 0\nexit";
    EXPECT_REFUSED(bind_text(load_bytes, "xdp"), Rejected, "xdp programs may not call helper skb_load_bytes");
    EXPECT_ACCEPTED(bind_text(load_bytes, "tc"));
    EXPECT_ACCEPTED(bind_text(load_bytes, "socket"));
    const std::string adjust = "r2 = 4\ncall 44\nr0 = 0\nexit";
    EXPECT_ACCEPTED(bind_text(adjust, "xdp"));
    EXPECT_REFUSED(bind_text(adjust, "tc"), Rejected, "xdp_adjust_head");
}

TEST(Bind, AGplOnlyHelperNeedsAGplCompatibleLicence) {
    const std::string print = "r1 = r10\nr1 += -8\nr2 = 8\ncall 6\nr0 = 0\nexit";
    for (const char* licence :
         {"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}) {
        EXPECT_ACCEPTED(bind_text(print, "xdp", licence));
    }
    for (const char* licence : {"", "gpl", "MIT", "Apache-2.0", "GPL v3", "Dual Apache/GPL"}) {
        EXPECT_REFUSED(bind_text(print, "xdp", licence), NotPermitted, "helper trace_printk");
        EXPECT_ACCEPTED(bind_text("call 5\nexit", "xdp", licence));
    }
    EXPECT_REFUSED(bind_text(print, "xdp", nullptr), NotPermitted, "no licence section");
}

TEST(Bind, ASectionDecidesTheTypeAndAnUnsupportedTypeIsNamed) {
    EXPECT_ACCEPTED(bind_text("r0 = 0\nexit", "classifier"));
    EXPECT_EQ(bind_text("r0 = 0\nexit", "action")->type, ProgramType::SchedAct);
    EXPECT_REFUSED(bind_text("r0 = 0\nexit", "fentry/do_sys_open"), Unsupported, "program type tracing");
    EXPECT_EQ(bind_text("r0 = 0\nexit", "kprobe/do_sys_open")->type, ProgramType::Kprobe);
    EXPECT_REFUSED(bind_text("r0 = 0\nexit", "mine"), Unresolved, "section \"mine\" stands for no program type");
    const auto forced = bind(object_with("GPL"), linked("r0 = 0\nexit", "mine"), {.type = ProgramType::Xdp});
    EXPECT_ACCEPTED(forced);
    EXPECT_EQ(forced->attach, platform::AttachType::Xdp);
}

TEST(Bind, ThePersonalityIsTheMarksUnlessAskedOtherwise) {
    object::ObjectSpec spec = object_with("GPL");
    spec.maps[2].type = 10;  // queue there
    spec.ebpf_for_windows = true;
    const auto marked = bind(spec, linked("r0 = 0\nexit"));
    EXPECT_ACCEPTED(marked);
    EXPECT_EQ(marked->personality, platform::Personality::Windows);
    spec.maps[2].type = 22;
    const auto forced = bind(spec, linked("r0 = 0\nexit"), {.personality = platform::Personality::Linux});
    EXPECT_ACCEPTED(forced);
    EXPECT_EQ(forced->personality, platform::Personality::Linux);
}

Result<BoundProgram> bind_windows(const std::string& text, const char* section = "xdp") {
    object::ObjectSpec spec = object_with("none");
    spec.maps[2].type = 10;  // queue there
    return bind(spec, linked(text, section), {.personality = platform::Personality::Windows});
}

TEST(Bind, TheSameNumberMeansAnotherHelperOnWindows) {
    const struct {
        int number;
        HelperId on_linux, on_windows;
    } rows[] = {
        {5, HelperId::KtimeGetNs, HelperId::TailCall},
        {6, HelperId::TracePrintk, HelperId::GetPrandomU32},
        {7, HelperId::GetPrandomU32, HelperId::KtimeGetBootNs},
        {8, HelperId::GetSmpProcessorId, HelperId::GetSmpProcessorId},
        {9, HelperId::SkbStoreBytes, HelperId::KtimeGetNs},
        {14, HelperId::GetCurrentPidTgid, HelperId::TracePrintk4},
        {19, HelperId::SkbVlanPop, HelperId::GetCurrentPidTgid},
        {30, HelperId::SkbSetTunnelOpt, HelperId::KtimeGetBootMs},
    };
    for (const auto& row : rows) {
        HelperId linux{};
        ASSERT_TRUE(platform::helper_from_linux(static_cast<uint32_t>(row.number), &linux));
        EXPECT_EQ(linux, row.on_linux) << row.number;
        if (platform::helper(row.on_windows).args[0] != platform::ArgKind::None) continue;
        const auto bound = bind_windows("call " + std::to_string(row.number) + "\nr0 = 1\nexit");
        EXPECT_ACCEPTED(bound);
        EXPECT_EQ(bound->bindings[0].helper, static_cast<uint16_t>(row.on_windows)) << row.number;
    }
}

TEST(Bind, ANumberFrom0x10000OnBelongsToItsProgramType) {
    const auto bound = bind_windows("r2 = 4\ncall 65536\nr0 = 1\nexit");
    EXPECT_ACCEPTED(bound);
    EXPECT_EQ(bound->bindings[1].helper, static_cast<uint16_t>(HelperId::XdpAdjustHead));
    EXPECT_EQ(bound->bindings[1].result, platform::ResultMap::EbpfResult);
    EXPECT_REFUSED(bind_windows("call 65537\nexit"), Unresolved, "number 0x10001");
    EXPECT_REFUSED(bind_windows("call 36\nexit"), Unresolved, "number 0x24");
    EXPECT_REFUSED(bind_text("r2 = 4\ncall 65536\nexit"), Unresolved, "number 65536");
}

TEST(Bind, OnlyAStatusIsToldInWindowsNumbers) {
    const struct {
        std::string text;
        size_t at;
        platform::ResultMap result;
    } rows[] = {
        {"call 9\nr0 = 1\nexit", 0, platform::ResultMap::Same},
        {"r2 = -4\ncall 65536\nr0 = 1\nexit", 1, platform::ResultMap::EbpfResult},
    };
    for (const auto& row : rows) {
        const auto bound = bind_windows(row.text);
        EXPECT_ACCEPTED(bound);
        EXPECT_EQ(bound->bindings[row.at].result, row.result) << row.text;
    }
    EXPECT_TRUE(platform::windows_result_is_mapped(HelperId::MapUpdateElem));
    EXPECT_FALSE(platform::windows_result_is_mapped(HelperId::MapLookupElem));
    EXPECT_FALSE(platform::windows_result_is_mapped(HelperId::MemcpyS)) << "errno-like there too";
}

TEST(Bind, WindowsPacketPointersHaveEightBytes) {
    const auto bound = bind_windows("r2 = *(u64 *)(r1 + 8)\nr3 = *(u32 *)(r1 + 24)\nr0 = 1\nexit");
    EXPECT_ACCEPTED(bound);
    EXPECT_EQ(bound->bindings[0].context.field, static_cast<uint16_t>(FieldId::XdpDataEnd));
    EXPECT_TRUE(bound->bindings[0].context.pointer);
    EXPECT_EQ(bound->bindings[1].context.field, static_cast<uint16_t>(FieldId::XdpIngressIfindex));
    EXPECT_REFUSED(bind_windows("r2 = *(u32 *)(r1 + 4)\nr0 = 1\nexit"), Rejected, "field data is 8 bytes at offset 0");
    EXPECT_REFUSED(bind_windows("r2 = *(u32 *)(r1 + 28)\nr0 = 1\nexit"), Rejected, "no field is there");
    EXPECT_REFUSED(bind_text("r2 = *(u64 *)(r1 + 8)\nr0 = 1\nexit"), Rejected, "field data_meta is 4 bytes");
}

TEST(Bind, ATypeOfTheOtherSystemIsRefusedByName) {
    EXPECT_REFUSED(bind_windows("r0 = 0\nexit", "tc"), Rejected, "eBPF for Windows has no program type sched_cls");
    EXPECT_REFUSED(bind_text("r0 = 0\nexit", "bind"), Rejected, "Linux has no program type bind");
}

TEST(Bind, MapTypesAreThoseOfThePersonality) {
    object::ObjectSpec spec = object_with("GPL");
    spec.maps.resize(1);
    object::LinkedProgram program = linked("r0 = 0\nexit");
    program.maps = {0};
    const auto windows = [&](uint32_t type) {
        spec.maps[0].type = type;
        return bind(spec, program, {.personality = platform::Personality::Windows});
    };
    EXPECT_EQ(windows(4)->maps[0].type, platform::MapType::PercpuHash);
    EXPECT_EQ(windows(8)->maps[0].type, platform::MapType::LruHash);
    EXPECT_EQ(windows(13)->maps[0].type, platform::MapType::Ringbuf);
    EXPECT_REFUSED(windows(15), Unresolved, "map type 15 is none of eBPF for Windows");
    EXPECT_REFUSED(windows(17), Unresolved, "map type 17");
}

TEST(Bind, AMapTypeNobodyDefinesIsRefused) {
    object::ObjectSpec spec = object_with("GPL");
    spec.maps[0].type = 34;
    EXPECT_REFUSED(bind(spec, linked("r0 = 0\nexit")), Unresolved, "map \"flows\"");
    spec.maps[0].type = 33;
    EXPECT_ACCEPTED(bind(spec, linked("r0 = 0\nexit")));
}

TEST(Bind, AContextLoadBecomesACanonicalField) {
    const auto bound = bind_text("r2 = *(u32 *)(r1 + 4)\nr6 = r1\nr6 += 8\nr6 += -8\nr0 = *(u32 *)(r6 + 12)\nexit");
    EXPECT_ACCEPTED(bound);
    const ContextAccess& end = bound->bindings[0].context;
    EXPECT_EQ(bound->bindings[0].kind, BindingKind::Context);
    EXPECT_EQ(end.field, static_cast<uint16_t>(FieldId::XdpDataEnd));
    EXPECT_EQ(end.host_offset, offsetof(platform::HostXdp, packet.data_end));
    EXPECT_EQ(end.host_bytes, sizeof(void*));
    EXPECT_TRUE(end.pointer);
    const ContextAccess& ifindex = bound->bindings[4].context;
    EXPECT_EQ(ifindex.field, static_cast<uint16_t>(FieldId::XdpIngressIfindex));
    EXPECT_EQ(ifindex.host_offset, offsetof(platform::HostXdp, ingress_ifindex));
    EXPECT_EQ(ifindex.access_bytes, 4);
    EXPECT_FALSE(ifindex.pointer);
}

TEST(Bind, ANarrowLoadNamesItsPart) {
    const auto bound = bind_text("r0 = *(u8 *)(r1 + 11)\nr2 = *(u16 *)(r1 + 2)\nexit", "tc");
    EXPECT_ACCEPTED(bound);
    EXPECT_EQ(bound->bindings[0].context.field, static_cast<uint16_t>(FieldId::SkbMark));
    EXPECT_EQ(bound->bindings[0].context.part_offset, 3);
    EXPECT_EQ(bound->bindings[0].context.access_bytes, 1);
    EXPECT_EQ(bound->bindings[1].context.field, static_cast<uint16_t>(FieldId::SkbLen));
    EXPECT_EQ(bound->bindings[1].context.part_offset, 2);
}

TEST(Bind, AFieldThatTheKernelKeepsNarrowerIsStoredSoAndLoadedWithZeros) {
    const auto bound = bind_text("*(u32 *)(r1 + 44) = 7\nr0 = *(u32 *)(r1 + 44)\nr0 = *(u16 *)(r1 + 46)\nexit", "tc");
    EXPECT_ACCEPTED(bound);
    EXPECT_EQ(bound->bindings[0].context.host_bytes, 2);
    EXPECT_EQ(bound->bindings[1].context.host_bytes, 4);
    EXPECT_EQ(bound->bindings[2].context.host_bytes, 4);
    EXPECT_EQ(bound->bindings[2].context.part_offset, 0);  // as convert_ctx_accesses() does: the whole field
    const auto byte = bind_text("r0 = *(u8 *)(r1 + 45)\nr0 = *(u8 *)(r1 + 46)\nexit", "tc");
    EXPECT_ACCEPTED(byte);
    EXPECT_EQ(byte->bindings[0].context.part_offset, 1);
    EXPECT_EQ(byte->bindings[1].context.part_offset, 2);
}

TEST(Bind, TheControlBlockIsAnArrayOfBytes) {
    const auto bound =
        bind_text("*(u64 *)(r1 + 56) = r1\n*(u8 *)(r1 + 67) = 1\nr0 = *(u32 *)(r1 + 52)\nexit", "socket");
    EXPECT_ACCEPTED(bound);
    EXPECT_EQ(bound->bindings[0].context.host_offset, offsetof(platform::HostSkb, cb) + 8);
    EXPECT_EQ(bound->bindings[0].context.host_bytes, 8);
    EXPECT_EQ(bound->bindings[1].context.host_offset, offsetof(platform::HostSkb, cb) + 19);
    EXPECT_EQ(bound->bindings[1].context.part_offset, 0);
    EXPECT_REFUSED(bind_text("r0 = *(u64 *)(r1 + 64)\nexit", "socket"), Rejected, "field cb");
}

TEST(Bind, EveryRuleOfContextAccessHasTwoSides) {
    const ContextCase cases[] = {
        // xdp: whole 4-byte loads only (xdp_is_valid_access)
        {"xdp", "r0 = *(u32 *)(r1 + 16)", nullptr},
        {"xdp", "r0 = *(u16 *)(r1 + 16)", "field rx_queue_index is 4 bytes"},
        {"xdp", "r0 = *(u64 *)(r1 + 0)", "field data is 4 bytes"},
        {"xdp", "r0 = *(u32 *)(r1 + 2)", "field data"},
        {"xdp", "*(u32 *)(r1 + 16) = 1", "may only read field rx_queue_index"},
        {"xdp", "r0 = *(u32 *)(r1 + 20)", "xdp programs attached to xdp may not read field egress_ifindex"},
        {"xdp/devmap", "r0 = *(u32 *)(r1 + 20)", nullptr},
        {"xdp", "r0 = *(u32 *)(r1 + 24)", "no field is there"},
        {"xdp", "r0 = *(u32 *)(r1 - 4)", "no field is there"},
        // tc: narrow loads, some stores (tc_cls_act_is_valid_access)
        {"tc", "r0 = *(u32 *)(r1 + 76)", nullptr},
        {"tc", "r0 = *(u16 *)(r1 + 76)", "field data is 4 bytes"},
        {"tc", "*(u32 *)(r1 + 8) = 7", nullptr},
        {"tc", "*(u16 *)(r1 + 8) = 7", "field mark"},
        {"tc", "*(u32 *)(r1 + 0) = 7", "may only read field len"},
        {"tc", "r0 = *(u64 *)(r1 + 152)", nullptr},
        {"tc", "r0 = *(u32 *)(r1 + 152)", "field tstamp is 8 bytes"},
        {"tc", "*(u64 *)(r1 + 152) = r1", nullptr},
        {"tc", "r0 = *(u8 *)(r1 + 180)", nullptr},
        {"tc", "r0 = *(u8 *)(r1 + 181)", "no field is there"},
        {"tc", "r0 = *(u32 *)(r1 + 92)", "field remote_ip4"},
        {"tc", "r0 = *(u64 *)(r1 + 168)", nullptr},
        {"tc", "r0 = *(u32 *)(r1 + 168)", "field sk is 8 bytes"},
        {"tc", "r0 = *(u64 *)(r1 + 184)", nullptr},
        {"tc", "*(u64 *)(r1 + 184) = r1", "may only read field hwtstamp"},
        // socket filters see less (sk_filter_is_valid_access)
        {"socket", "r0 = *(u32 *)(r1 + 0)", nullptr},
        {"socket", "r0 = *(u32 *)(r1 + 76)", "socket_filter programs may not read field data"},
        {"socket", "*(u32 *)(r1 + 8) = 7", "may only read field mark"},
        {"socket", "*(u32 *)(r1 + 48) = 7", nullptr},
        {"socket", "r0 = *(u64 *)(r1 + 152)", "may not read field tstamp"},
        {"socket", "r0 = *(u32 *)(r1 + 164)", nullptr},
        // no atomics, no sign extension of pointers
        {"tc", "r2 = 1\nlock *(u32 *)(r1 + 8) += w2", "atomic operations"},
        {"tc", "r0 = *(s32 *)(r1 + 8)", nullptr},
        {"tc", "r0 = *(s32 *)(r1 + 76)", "pointer"},
    };
    check(cases, "r0 = 0\nexit");
}

TEST(Bind, ContextsOfTypesThatNothingHereRunsAreBoundToo) {
    const ContextCase cases[] = {
        // cgroup_skb: reads packet pointers and addresses, writes a few fields (cg_skb_is_valid_access)
        {"cgroup_skb/egress", "r0 = *(u32 *)(r1 + 76)", nullptr},
        {"cgroup_skb/egress", "r0 = *(u32 *)(r1 + 140)", "may not read field data_meta"},
        {"cgroup_skb/egress", "r0 = *(u32 *)(r1 + 104)", nullptr},
        {"cgroup_skb/egress", "r0 = *(u16 *)(r1 + 104)", "field remote_ip6"},
        {"cgroup_skb/egress", "*(u32 *)(r1 + 8) = 1", nullptr},
        {"cgroup_skb/egress", "*(u32 *)(r1 + 44) = 1", "may only read field tc_index"},
        // cgroup_sock: by attach type (__sock_filter_check_attach_type)
        {"cgroup/sock_create", "*(u32 *)(r1 + 16) = 1", nullptr},
        {"cgroup/post_bind4", "r0 = *(u32 *)(r1 + 16)", "attached to cgroup_inet4_post_bind may not read field mark"},
        {"cgroup/post_bind4", "r0 = *(u32 *)(r1 + 24)", nullptr},
        {"cgroup/post_bind6", "r0 = *(u32 *)(r1 + 24)", "field src_ip4"},
        {"cgroup/post_bind6", "r0 = *(u8 *)(r1 + 30)", nullptr},
        {"cgroup/post_bind6", "r0 = *(u8 *)(r1 + 5)", "field family"},
        {"cgroup/post_bind6", "r0 = *(u32 *)(r1 + 48)", nullptr},
        {"cgroup/post_bind6", "r0 = *(u16 *)(r1 + 50)", "no field is there"},
        // cgroup_sock_addr: by the hook's address family
        {"cgroup/connect4", "*(u32 *)(r1 + 4) = 1", nullptr},
        {"cgroup/connect6", "*(u32 *)(r1 + 4) = 1", "field user_ip4"},
        {"cgroup/connect6", "r0 = *(u64 *)(r1 + 8)", nullptr},
        {"cgroup/connect6", "r0 = *(u64 *)(r1 + 48)", "field msg_src_ip6"},
        {"cgroup/sendmsg6", "r0 = *(u64 *)(r1 + 48)", nullptr},
        {"cgroup/connect4", "r0 = *(u64 *)(r1 + 64)", nullptr},
        // cgroup_sockopt
        {"cgroup/getsockopt", "*(u32 *)(r1 + 36) = 0", nullptr},
        {"cgroup/setsockopt", "r0 = *(u32 *)(r1 + 36)", "field retval"},
        {"cgroup/setsockopt", "*(u32 *)(r1 + 24) = 0", nullptr},
        {"cgroup/getsockopt", "*(u32 *)(r1 + 24) = 0", "may only read field level"},
        // plain bytes
        {"kprobe/f", "r0 = *(u64 *)(r1 + 160)", nullptr},
        {"kprobe/f", "r0 = *(u8 *)(r1 + 168)", "no field is there"},
        {"tp/a/b", "r0 = *(u64 *)(r1 + 8)", nullptr},
        {"tp/a/b", "r0 = *(u32 *)(r1 + 4)", "the kernel's own"},
        {"tp/a/b", "*(u32 *)(r1 + 8) = 0", "may only read"},
        {"perf_event", "r0 = *(u64 *)(r1 + 160)", nullptr},
        {"perf_event", "r0 = *(u32 *)(r1 + 160)", "field regs"},
        {"perf_event", "r0 = *(u16 *)(r1 + 170)", nullptr},
        {"raw_tp/x", "r0 = *(u64 *)(r1 + 88)", nullptr},
        {"raw_tp/x", "r0 = *(u64 *)(r1 + 96)", "no field is there"},
        {"syscall", "*(u64 *)(r1 + 4096) = 1", nullptr},
        {"sk_reuseport", "r0 = *(u16 *)(r1 + 20)", nullptr},
        {"sk_reuseport", "r0 = *(u8 *)(r1 + 20)", "field eth_protocol"},
        {"flow_dissector", "r0 = *(u64 *)(r1 + 144)", nullptr},
        {"flow_dissector", "r0 = *(u32 *)(r1 + 0)", "field len"},
        {"sockops", "*(u32 *)(r1 + 4) = 1", nullptr},
        {"sockops", "*(u32 *)(r1 + 8) = 1", "may only read field args"},
    };
    check(cases, "r0 = 1\nexit");
}

TEST(Bind, ATypeWhoseRulesDependOnTheAttachTypeMustNameIt) {
    const auto program = linked("r0 = 1\nexit", "mine");
    EXPECT_REFUSED(bind(object_with("GPL"), program, {.type = ProgramType::CgroupSockAddr}), Unresolved,
                   "need one of their attach types");
    EXPECT_ACCEPTED(bind(object_with("GPL"), program,
                         {.type = ProgramType::CgroupSockAddr, .attach = platform::AttachType::Connect6}));
    const auto sock = bind(object_with("GPL"), program, {.type = ProgramType::CgroupSock});
    EXPECT_ACCEPTED(sock);
    EXPECT_EQ(sock->attach, platform::AttachType::SockCreate);
}

TEST(Bind, ProblemsCanBeKeptForWhoeverProvesWhatIsExecuted) {
    object::LinkedProgram program = linked(R"(
        r2 = *(u32 *)(r1 + 12)
        if r2 == 7 goto bad
        if r2 == 0 goto both
        r1 = r10
        r1 += -8
    both:
        r0 = *(u32 *)(r1 + 0)
        r0 = 2
        exit
    bad:
        r0 = *(u32 *)(r1 + 64)
        call 212
        exit)");
    EXPECT_FALSE(bind(object_with("GPL"), program).ok());
    const auto bound = bind(object_with("GPL"), program, {.keep_problems = true});
    EXPECT_ACCEPTED(bound);
    ASSERT_EQ(bound->problems.size(), 3u);
    ASSERT_NE(bound->problem_at(8), nullptr);
    EXPECT_EQ(bound->bindings[8].kind, BindingKind::Problem);
    EXPECT_EQ(bound->problem_at(8)->kind, BindProblem::Kind::Refused);
    EXPECT_EQ(bound->problem_at(8)->code, Errc::Rejected);
    ASSERT_NE(bound->problem_at(9), nullptr);
    EXPECT_EQ(bound->problem_at(9)->code, Errc::Unresolved);
    ASSERT_NE(bound->problem_at(5), nullptr);
    EXPECT_EQ(bound->problem_at(5)->kind, BindProblem::Kind::Unclear);
    EXPECT_EQ(bound->problem_at(0), nullptr);
    EXPECT_EQ(bound->bindings[0].kind, BindingKind::Context);
    // Once it is proved that the base is the context, the access can be bound.
    const auto insn = isa::decode(program.code, 5);
    ASSERT_TRUE(insn.ok());
    const auto access = context_access(*bound, 5, *insn, 0);
    ASSERT_TRUE(access.ok());
    EXPECT_EQ(access->field, static_cast<uint16_t>(FieldId::XdpData));
    EXPECT_FALSE(context_access(*bound, 5, *insn, 64).ok());
}

TEST(Bind, TheContextIsFollowedThroughSpillsBranchesAndSums) {
    EXPECT_ACCEPTED(bind_text(R"(
        *(u64 *)(r10 - 8) = r1
        r2 = *(u32 *)(r1 + 0)
        if r2 == 0 goto other
        r3 = *(u64 *)(r10 - 8)
        goto both
    other:
        r3 = r1
    both:
        r0 = *(u32 *)(r3 + 12)
        exit)"));
    const auto bound = bind_text("r2 = 0\nr2 += r1\nr0 = *(u32 *)(r2 + 12)\nexit");
    EXPECT_ACCEPTED(bound);
    EXPECT_EQ(bound->bindings[2].context.field, static_cast<uint16_t>(FieldId::XdpIngressIfindex));
    EXPECT_REFUSED(bind_text("r2 = 12\nr2 += r1\nr0 = *(u32 *)(r2 + 0)\nexit"), Rejected,
                   "the context pointer was moved by 12 bytes");
}

TEST(Bind, AnAccessWhoseBaseMayBeTheContextIsUndecided) {
    EXPECT_REFUSED(bind_text(R"(
        r2 = *(u32 *)(r1 + 12)
        r3 = r10
        r3 += -8
        if r2 == 0 goto both
        r3 = r1
    both:
        r0 = *(u32 *)(r3 + 0)
        exit)"),
                   Undecided, "r3 may or may not point into the context");
    EXPECT_REFUSED(bind_text("r2 = *(u32 *)(r1 + 12)\nr1 += r2\nr0 = *(u32 *)(r1 + 0)\nexit"), Undecided,
                   "r1 may or may not");
    EXPECT_REFUSED(bind_text(R"(
        r2 = *(u32 *)(r1 + 12)
        r3 = r1
        if r2 == 0 goto both
        r3 += 4
    both:
        r0 = *(u32 *)(r3 + 0)
        exit)"),
                   Undecided, "r3");
    // A register that differs but is not used as a base is nobody's business.
    EXPECT_ACCEPTED(bind_text(R"(
        r2 = *(u32 *)(r1 + 12)
        if r2 == 0 goto both
        r1 = 0
    both:
        r0 = 2
        exit)"));
}

TEST(Bind, ASpilledContextThatWasOverwrittenIsNoContext) {
    const auto bound =
        bind_text("*(u64 *)(r10 - 8) = r1\n*(u64 *)(r10 - 8) = 5\nr2 = *(u64 *)(r10 - 8)\nr0 = *(u32 *)(r2 + 0)\nexit");
    EXPECT_ACCEPTED(bound);  // not bound as a context access; memory safety is the verifier's matter
    EXPECT_EQ(bound->bindings[3].kind, BindingKind::None);
    EXPECT_REFUSED(
        bind_text("*(u64 *)(r10 - 8) = r1\n*(u32 *)(r10 - 8) = 5\nr2 = *(u64 *)(r10 - 8)\nr0 = *(u32 *)(r2 + 0)\nexit"),
        Undecided, "r2");
    // A helper writes exactly its buffer: the spill beside it stays, the one inside does not.
    const std::string reads = R"(
        *(u64 *)(r10 - 8) = r1
        r6 = r1
        r2 = 0
        r3 = r10
        r3 += -16
        r4 = %
        call 189
        r1 = *(u64 *)(r10 - 8)
        r0 = *(u32 *)(r1 + 0)
        exit)";
    const auto with = [&](const char* size) { return std::string(reads).replace(reads.find('%'), 1, size); };
    EXPECT_ACCEPTED(bind_text(with("8")));
    EXPECT_REFUSED(bind_text(with("9")), Undecided, "r1");
}

TEST(Bind, TheContextIsFollowedIntoFunctionsAndBack) {
    const auto bound = bind_text(R"(
        r6 = r1
        r2 = r1
        r1 = 1
        call fn_read
        r1 = r6
        r2 = *(u32 *)(r6 + 4)
        exit
    fn_read:
        r0 = *(u32 *)(r2 + 16)
        exit)");
    EXPECT_ACCEPTED(bound);
    EXPECT_EQ(bound->bindings[7].context.field, static_cast<uint16_t>(FieldId::XdpRxQueueIndex));
    EXPECT_EQ(bound->bindings[5].context.field, static_cast<uint16_t>(FieldId::XdpDataEnd));
    EXPECT_REFUSED(bind_text(R"(
        r6 = r1
        call fn_read
        r1 = r10
        r1 += -8
        call fn_read
        exit
    fn_read:
        r0 = *(u32 *)(r1 + 0)
        exit)"),
                   Undecided, "r1 may or may not");
}

TEST(Bind, ACallbackFindsTheContextInItsCallersFrame) {
    const auto bound = bind_text(R"(
        *(u64 *)(r10 - 8) = r1
        r1 = 4
        r2 = fn_each ll
        r3 = r10
        r3 += -16
        r4 = 0
        call 181
        r1 = *(u64 *)(r10 - 8)
        r0 = *(u32 *)(r1 + 0)
        exit
    fn_each:
        r3 = *(u64 *)(r2 + 8)
        r0 = *(u32 *)(r3 + 12)
        r0 = 0
        exit)");
    EXPECT_ACCEPTED(bound);
    EXPECT_EQ(bound->bindings[12].kind, BindingKind::Context);
    EXPECT_EQ(bound->bindings[12].context.field, static_cast<uint16_t>(FieldId::XdpIngressIfindex));
}

TEST(Bind, ACalleeMayOverwriteASpillInItsCallersFrame) {
    const char* const text = R"(
        *(u64 *)(r10 - 8) = r1
        r1 = r10
        r1 += %
        call fn_clear
        r1 = *(u64 *)(r10 - 8)
        r0 = *(u32 *)(r1 + 0)
        exit
    fn_clear:
        *(u64 *)(r1 + 0) = 0
        r0 = 0
        exit)";
    const auto with = [&](const char* at) {
        std::string t = text;
        return t.replace(t.find('%'), 1, at);
    };
    EXPECT_ACCEPTED(bind_text(with("-16")));
    EXPECT_REFUSED(bind_text(with("-8")), Undecided, "r1");
}

TEST(Bind, AHelperThatWantsTheContextGetsNothingElse) {
    EXPECT_ACCEPTED(bind_text("r2 = 4\ncall 44\nexit"));
    EXPECT_REFUSED(bind_text("r1 += 4\nr2 = 4\ncall 44\nexit"), Rejected, "it holds the context plus 4");
    EXPECT_REFUSED(bind_text("r1 = r10\nr2 = 4\ncall 44\nexit"), Rejected,
                   "helper xdp_adjust_head needs the context in r1");
    EXPECT_REFUSED(bind_text("r2 = r1\nr1 = 0 ll\ncall 1\nexit"), Rejected, "cannot work on the context");
}

TEST(Bind, PacketLoadsBecomeAHelperOfSocketBuffersAndNeedR6) {
    const auto bound = bind_text("r6 = r1\nr0 = *(u16 *)skb[12]\nexit", "socket");
    EXPECT_ACCEPTED(bound);
    EXPECT_EQ(bound->bindings[1].kind, BindingKind::Helper);
    EXPECT_EQ(bound->bindings[1].helper, static_cast<uint16_t>(HelperId::PacketLoad2));
    EXPECT_ACCEPTED(bind_text("r6 = r1\nr0 = *(u8 *)skb[12]\nexit", "tc"));
    EXPECT_REFUSED(bind_text("r6 = r1\nr0 = *(u16 *)skb[12]\nexit", "xdp"), Rejected, "no packet loads");
    EXPECT_REFUSED(bind_text("r6 = 0\nr0 = *(u16 *)skb[12]\nexit", "socket"), Rejected, "context in r6");
}

TEST(Bind, AnErrorNamesFunctionInstructionAndSourceLine) {
    object::LinkedProgram program = linked("r0 = 0\nr0 = *(u32 *)(r1 + 64)\nexit");
    program.lines = {{0, "prog.c", 7, 1, "int prog(struct xdp_md* ctx)"}, {1, "prog.c", 9, 5, "x = ctx->y;"}};
    const auto bound = bind(object_with("GPL"), program);
    ASSERT_FALSE(bound.ok());
    EXPECT_EQ(bound.error().where().insn, 1u);
    EXPECT_EQ(bound.error().where().source_line, 9u);
    EXPECT_EQ(bound.error().where().source_file, "prog.c");
    EXPECT_EQ(bound.error().where().function, "prog");
    EXPECT_NE(bound.error().hint().find("data_end (4, 4)"), std::string::npos) << bound.error().hint();
}

TEST(Bind, BrokenControlFlowIsAnErrorNotACrash) {
    EXPECT_REFUSED(bind_text("r0 = 0"), BadInstruction, "runs off its end");
    EXPECT_REFUSED(bind_text("goto +1\nexit"), BadInstruction, "jump leaves its function");
    EXPECT_REFUSED(bind_text("goto -2\nexit"), BadInstruction, "jump leaves its function");
    EXPECT_REFUSED(bind_text("goto +1\nr0 = 0 ll\nexit"), BadInstruction, "middle of a wide instruction");
    EXPECT_REFUSED(bind_text("call 0x1 <local>\nr0 = 0\nexit"), BadInstruction, "leads to no function");
    EXPECT_ACCEPTED(bind_text("r0 = 0\nif r0 == 0 goto -2\nexit"));
}

}  // namespace
}  // namespace skep
