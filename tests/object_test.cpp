// SPDX-License-Identifier: Apache-2.0
// Objects as compilers write them: read, linked, relocated. The sources are tests/objects/*.bpf.c.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "btf/core.hpp"
#include "cli/inspect.hpp"
#include "isa/insn.hpp"
#include "object/link.hpp"
#include "object/relocate.hpp"

namespace skep::object {
namespace {

std::optional<std::string> contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string path_of(const std::string& name) { return std::string(SKEP_BINARY_DIR) + "/tests/objects/" + name + ".o"; }

ObjectSpec object(const std::string& name) {
    const auto bytes = contents(path_of(name));
    EXPECT_TRUE(bytes) << path_of(name);
    auto spec = read_object(as_bytes(*bytes), name + ".o");
    if (spec) return *std::move(spec);
    ADD_FAILURE() << spec.error().to_string();
    return {};
}

LinkedProgram linked(const ObjectSpec& spec, const std::string& program) {
    auto out = link(spec, spec.find_program(program));
    if (out) return *std::move(out);
    ADD_FAILURE() << out.error().to_string();
    return {};
}

/// What linking promises of every stream (linked_program.hpp).
void check_stream(const ObjectSpec& spec, const LinkedProgram& p) {
    ASSERT_FALSE(p.subprograms.empty());
    EXPECT_EQ(p.subprograms.front().start, 0u);
    EXPECT_EQ(p.subprograms.back().end, p.code.size());
    std::set<uint32_t> starts;
    for (size_t i = 0; i < p.subprograms.size(); ++i) {
        starts.insert(p.subprograms[i].start);
        if (i > 0) {
            EXPECT_EQ(p.subprograms[i].start, p.subprograms[i - 1].end);
        }
    }
    for (const uint32_t m : p.maps) EXPECT_LT(m, spec.maps.size());
    for (const uint32_t e : p.externs) EXPECT_LT(e, spec.externs.size());
    const auto insns = isa::decode_all(p.code);
    ASSERT_TRUE(insns) << insns.error().to_string();
    for (const auto& [at, insn] : *insns) {
        switch (insn.row().operation) {
            case isa::Operation::LdMapFd: EXPECT_LT(static_cast<uint32_t>(insn.imm), p.maps.size()); break;
            case isa::Operation::LdMapValue:
                ASSERT_LT(static_cast<uint32_t>(insn.imm), p.maps.size());
                EXPECT_LE(static_cast<uint32_t>(insn.next_imm),
                          spec.maps[p.maps[static_cast<size_t>(insn.imm)]].value_size);
                break;
            case isa::Operation::LdBtfId:
            case isa::Operation::CallKfunc: EXPECT_LT(static_cast<uint32_t>(insn.imm), p.externs.size()); break;
            case isa::Operation::LdFunc:
            case isa::Operation::CallLocal:
                EXPECT_TRUE(starts.contains(static_cast<uint32_t>(isa::target_of(insn, at)))) << at;
                break;
            default: break;
        }
    }
    for (size_t i = 0; i < p.lines.size(); ++i) {
        EXPECT_LT(p.lines[i].insn, p.code.size());
        if (i > 0) {
            EXPECT_LE(p.lines[i - 1].insn, p.lines[i].insn);
        }
    }
    for (const btf::CoreRecord& c : p.core_relocations) EXPECT_LT(c.insn, p.code.size());
}

std::vector<std::string> function_names(const LinkedProgram& p) {
    std::vector<std::string> out;
    for (const Subprogram& s : p.subprograms) out.push_back(s.name);
    return out;
}

struct Producer {
    const char* object;
    bool lines;  ///< writes line information
};

class Basics : public testing::TestWithParam<Producer> {};

TEST_P(Basics, IsTheSameFromEveryCompiler) {
    if (!std::filesystem::exists(path_of(GetParam().object))) {
        GTEST_SKIP() << "no bpf-gcc when this was built: " << GetParam().object << ".o does not exist";
    }
    const ObjectSpec spec = object(GetParam().object);
    EXPECT_EQ(spec.license, "GPL");
    EXPECT_TRUE(spec.externs.empty());
    ASSERT_EQ(spec.programs.size(), 3u);
    EXPECT_EQ(spec.programs[1].name, "second");
    EXPECT_EQ(spec.programs[1].section, "tc");
    EXPECT_FALSE(spec.programs[1].autoload);

    const MapSpec& flows = spec.maps[spec.find_map("flows")];
    EXPECT_EQ(flows.type, 1u);
    EXPECT_EQ(flows.key_size, 4u);
    EXPECT_EQ(flows.value_size, 32u);
    EXPECT_EQ(flows.max_entries, 16u);
    EXPECT_EQ(flows.flags, 1u);
    EXPECT_EQ(spec.btf->type_text(flows.value_type), "struct flow");
    EXPECT_EQ(spec.maps[spec.find_map("events")].max_entries, 4096u);

    // Where a variable lies is the compiler's choice; what it holds is not.
    std::map<std::string, std::string> values;
    for (const GlobalSpec& g : spec.globals) {
        const MapSpec& m = spec.maps[g.map];
        const auto bytes = slice(m.initial, g.offset, g.size);
        values[g.name] = g.holds_addresses ? "addresses"
                         : bytes           ? btf::to_text(btf::read_value(*spec.btf, g.type, *bytes))
                                           : "zero";
    }
    EXPECT_EQ(values, (std::map<std::string, std::string>{{"counter", "zero"},
                                                          {"hidden", "7"},
                                                          {"started", "1234605616436508552"},
                                                          {"limit", "3"},
                                                          {"names", "addresses"}}));

    const LinkedProgram first = linked(spec, "first");
    check_stream(spec, first);
    EXPECT_EQ(function_names(first), (std::vector<std::string>{"first", "count_up", "both", "add_hidden"}));
    EXPECT_TRUE(first.subprograms[2].global);
    EXPECT_FALSE(first.subprograms[3].global);
    EXPECT_EQ(first.lines.empty(), !GetParam().lines);
    if (GetParam().lines) {
        EXPECT_EQ(first.lines[0].file, "tests/objects/basics.bpf.c");
        const auto names_the_call = [](const SourceLine& l) { return l.text.find("bpf_loop(3") != std::string::npos; };
        EXPECT_TRUE(std::ranges::any_of(first.lines, names_the_call));
        ASSERT_EQ(first.func_types.size(), 4u);
        EXPECT_EQ(spec.btf->name(first.func_types[3]), "add_hidden");
    }
    check_stream(spec, linked(spec, "second"));

    const auto third = link(spec, 2);
    ASSERT_FALSE(third) << "it reads a table of addresses";
    EXPECT_EQ(third.error().code(), Errc::Unsupported);
    EXPECT_NE(third.error().what().find("names"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Compilers, Basics,
                         testing::Values(Producer{"basics", true}, Producer{"basics_v4", true},
                                         Producer{"basics_gcc", false}),
                         [](const auto& row) { return std::string(row.param.object); });

TEST(Objects, MapsHoldMapsAndPrograms) {
    const ObjectSpec spec = object("map_kinds");
    const auto map = [&](const char* name) -> const MapSpec& { return spec.maps.at(spec.find_map(name)); };
    const auto index = [&](const char* name) { return spec.find_map(name); };
    EXPECT_EQ(map("outer").slots, (std::vector<MapSlot>{{1, false, index("inner_a")}, {5, false, index("inner_b")}}));
    ASSERT_EQ(map("outer").inner.size(), 1u);
    EXPECT_EQ(map("outer").inner[0].type, 2u);
    EXPECT_EQ(map("outer").inner[0].value_size, 8u);
    EXPECT_EQ(map("outer").value_size, 4u);
    EXPECT_TRUE(map("outer_hash").slots.empty());
    EXPECT_EQ(map("outer_hash").inner.size(), 1u);
    EXPECT_EQ(map("jumps").slots, (std::vector<MapSlot>{{2, true, spec.find_program("called")}}));
    EXPECT_TRUE(map("jumps").inner.empty());
    EXPECT_EQ(map("pinned").numa_node, 1u);
    EXPECT_EQ(map("pinned").pinning, MapPinning::ByName);
    EXPECT_EQ(map("bloom").map_extra, 3u);
    EXPECT_EQ(map("bloom").key_size, 0u);
    check_stream(spec, linked(spec, "caller"));
}

TEST(Objects, LegacyRecordsOfEveryShape) {
    for (const char* name : {"legacy_20", "legacy_28", "legacy_32", "legacy_36"}) {
        const ObjectSpec spec = object(name);
        const MapSpec& counts = spec.maps.at(spec.find_map("counts"));
        EXPECT_EQ(counts.origin, MapOrigin::Legacy) << name;
        EXPECT_EQ(counts.type, 3u) << name;
        EXPECT_EQ(counts.max_entries, 9u) << name;
        EXPECT_EQ(spec.kernel_version, 0x050f00u) << name;
        check_stream(spec, linked(spec, "entry"));
    }
    EXPECT_EQ(object("legacy_20").maps[0].flags, 1u);
    EXPECT_EQ(object("legacy_28").maps[0].numa_node, 3u);
    const ObjectSpec by_index = object("legacy_28");
    EXPECT_EQ(by_index.maps.at(by_index.find_map("outer")).inner.at(0).type, 3u);
    EXPECT_EQ(object("legacy_32").maps[0].legacy_id, 9u);
    EXPECT_EQ(object("legacy_32").maps[0].pinning, MapPinning::ByName);
    const ObjectSpec by_id = object("legacy_36");
    EXPECT_EQ(by_id.maps.at(by_id.find_map("counts")).slots,
              (std::vector<MapSlot>{{7, true, by_id.find_program("seventh")}}));
    EXPECT_EQ(by_id.maps.at(by_id.find_map("outer")).slots,
              (std::vector<MapSlot>{{1, false, by_id.find_map("inner")}}));
    EXPECT_EQ(by_id.maps.at(by_id.find_map("outer")).inner.at(0).value_size, 8u);
}

TEST(Objects, WhatTheHostMustProvideIsNamed) {
    const ObjectSpec spec = object("externs");
    std::map<std::string, std::pair<ExternKind, bool>> found;
    for (const ExternSpec& e : spec.externs) found[e.name] = {e.kind, e.weak};
    EXPECT_EQ(found, (std::map<std::string, std::pair<ExternKind, bool>>{
                         {"LINUX_KERNEL_VERSION", {ExternKind::Kconfig, false}},
                         {"CONFIG_BPF_JIT", {ExternKind::Kconfig, true}},
                         {"bpf_prog_active", {ExternKind::Variable, false}},
                         {"jiffies_address", {ExternKind::Variable, true}},
                         {"bpf_rcu_read_lock", {ExternKind::Kfunc, false}},
                         {"absent_function", {ExternKind::Kfunc, true}}}));
    const MapSpec& kconfig = spec.maps.at(spec.find_map(".kconfig"));
    EXPECT_EQ(kconfig.origin, MapOrigin::Kconfig);
    EXPECT_EQ(kconfig.value_size, 5u) << "an int and a _Bool";
    for (const char* name : {"kconfig", "variables", "functions"}) {
        const LinkedProgram p = linked(spec, name);
        EXPECT_EQ(p.externs.size(), 2u) << name;
        check_stream(spec, p);
    }
    EXPECT_TRUE(linked(spec, "none").externs.empty());
}

TEST(Objects, PartsThatAreNotSupportedAreRefusedOnlyWhereNeeded) {
    const ObjectSpec spec = object("unsupported");
    EXPECT_FALSE(spec.license);
    std::set<std::string> named;
    for (const UnsupportedPart& u : spec.unsupported) named.insert(u.section);
    EXPECT_EQ(named, (std::set<std::string>{".addr_space.1", ".struct_ops", "features"}));
    check_stream(spec, linked(spec, "plain"));
    const auto refused = link(spec, spec.find_program("wants_features"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::Unsupported);
    EXPECT_NE(refused.error().to_string().find("features"), std::string::npos);
    EXPECT_EQ(refused.error().where().source_line, 22u);
    const auto arena = link(spec, spec.find_program("wants_arena"));
    ASSERT_FALSE(arena);
    EXPECT_EQ(arena.error().code(), Errc::Unsupported);
    EXPECT_NE(arena.error().to_string().find("arena"), std::string::npos);
}

TEST(Objects, CoreRecordsAreAnsweredByAnotherLayout) {
    const ObjectSpec spec = object("core");
    const ObjectSpec target = object("core_target");
    // function: the answers of its records, in order; -1: absent
    const std::map<std::string, std::vector<int64_t>> expected = {
        {"offsets", {104, 48, 92}},
        {"loads", {104, 52, 32}},
        {"info", {2, 1, 0, 0, 88, 56, 59, 0}},
        {"types", {-2, -2, 1, 0, 128, 1, 0, 1}},  // -2: type ids, compared by name below
        {"enums", {1, 7, 0}},
        {"reads_gone", {-1}},
    };
    for (const auto& [name, answers] : expected) {
        LinkedProgram p = linked(spec, name);
        ASSERT_EQ(p.core_relocations.size(), answers.size()) << name;
        for (size_t i = 0; i < answers.size(); ++i) {
            const btf::CoreRecord& record = p.core_relocations[i];
            const auto a = btf::answer(*spec.btf, record, *target.btf);
            ASSERT_TRUE(a) << a.error().to_string();
            if (answers[i] == -1) {
                EXPECT_TRUE(a->absent) << name << " " << i;
            } else if (answers[i] == -2) {
                const btf::Btf& home = record.kind == btf::CoreKind::TypeIdLocal ? *spec.btf : *target.btf;
                EXPECT_EQ(home.type_text(static_cast<btf::TypeId>(a->after)), "struct thing") << name << " " << i;
            } else {
                EXPECT_FALSE(a->absent) << name << " " << i;
                EXPECT_EQ(a->after, static_cast<uint64_t>(answers[i])) << name << " " << i;
            }
        }
        const auto done = relocate(p, *spec.btf, *target.btf);
        ASSERT_TRUE(done) << done.error().to_string();
        check_stream(spec, p);
    }
    // The layout it was compiled with changes nothing (but where clang and libbpf read a bit field from: `info`).
    for (const char* name : {"offsets", "loads", "enums", "reads_gone"}) {
        LinkedProgram p = linked(spec, name);
        const isa::Code before = p.code;
        ASSERT_TRUE(relocate(p, *spec.btf, *spec.btf));
        EXPECT_EQ(p.code, before) << name;
    }
}

TEST(Objects, EveryTruncationIsAnErrorOrAnObjectThatLinksOrSaysWhyNot) {
    const auto bytes = contents(path_of("basics"));
    ASSERT_TRUE(bytes);
    // The section table is at the end of clang's objects: a cut file loses it.
    for (size_t size = 0; size < bytes->size(); size += 7) {
        const auto spec = read_object(as_bytes(*bytes).first(size), "cut.o");
        ASSERT_FALSE(spec) << size;
        EXPECT_EQ(spec.error().where().file, "cut.o");
    }
}

TEST(Objects, WhatDebianInstallsIsReadAndLinked) {
    const std::filesystem::path folder = "/usr/lib/x86_64-linux-gnu/bpf";
    std::error_code none;
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
        if (entry.path().extension() != ".o") continue;
        ++count;
        const auto bytes = contents(entry.path().string());
        ASSERT_TRUE(bytes) << entry.path();
        const auto spec = read_object(as_bytes(*bytes), entry.path().filename().string());
        ASSERT_TRUE(spec) << spec.error().to_string();
        EXPECT_EQ(spec->license, "GPL") << entry.path();
        EXPECT_FALSE(spec->programs.empty()) << entry.path();
        for (size_t i = 0; i < spec->programs.size(); ++i) {
            const auto p = link(*spec, i);
            ASSERT_TRUE(p) << p.error().to_string();
            check_stream(*spec, *p);
        }
        EXPECT_FALSE(cli::inspect_text(*spec, {}, [](std::string_view s) { return std::string(s); }).empty());
    }
    if (count == 0) GTEST_SKIP() << "no objects in " << folder << ": xdp-tools and libxdp1 are not installed";
    EXPECT_GE(count, 15u);
}

TEST(Objects, TheRunningKernelsTypesAreRead) {
    const auto bytes = contents("/sys/kernel/btf/vmlinux");
    if (!bytes) GTEST_SKIP() << "no /sys/kernel/btf/vmlinux here";
    const auto kernel = btf::Btf::parse(as_bytes(*bytes));
    ASSERT_TRUE(kernel) << kernel.error().to_string();
    EXPECT_NE(kernel->find(btf::Kind::Struct, "task_struct"), 0u);
    const auto dump = contents("/usr/lib/x86_64-linux-gnu/bpf/xdpdump_bpf.o");
    if (!dump) GTEST_SKIP() << "xdp-tools is not installed: no CO-RE program to relocate";
    const auto spec = read_object(as_bytes(*dump), "xdpdump_bpf.o");
    ASSERT_TRUE(spec);
    for (size_t i = 0; i < spec->programs.size(); ++i) {
        auto p = link(*spec, i);
        ASSERT_TRUE(p);
        EXPECT_EQ(p->core_relocations.size(), 10u);
        const auto done = relocate(*p, *spec->btf, *kernel);
        EXPECT_TRUE(done) << done.error().to_string();
        check_stream(*spec, *p);
    }
}

TEST(Objects, InspectShowsWhatIsThere) {
    const std::string text = cli::inspect_text(object("externs"), {.sections = false, .relocations = false},
                                               [](std::string_view s) { return std::string(s); });
    const std::string expected_end =
        "Programs\n"
        "  name       section  slots  functions  maps  CO-RE  notes\n"
        "  kconfig    xdp          9          1     1      0  wants LINUX_KERNEL_VERSION, wants CONFIG_BPF_JIT\n"
        "  variables  xdp         10          1     0      0  wants jiffies_address, wants bpf_prog_active\n"
        "  functions  xdp          8          1     0      0  wants bpf_rcu_read_lock, wants absent_function\n"
        "  none       xdp          2          1     0      0\n"
        "\n"
        "Maps\n"
        "  name      type   key  value  entries  notes\n"
        "  .kconfig  array  4    5            1  kconfig, read-only, flags 0x480\n"
        "\n"
        "Wanted from the host\n"
        "  name                  what                  type         notes\n"
        "  LINUX_KERNEL_VERSION  kernel configuration  int\n"
        "  CONFIG_BPF_JIT        kernel configuration  _Bool        weak\n"
        "  jiffies_address       kernel variable                    weak\n"
        "  bpf_prog_active       kernel variable       const int\n"
        "  bpf_rcu_read_lock     kernel function       void (void)\n"
        "  absent_function       kernel function       int (...)    weak\n";
    EXPECT_NE(text.find(expected_end), std::string::npos) << text;
}

}  // namespace
}  // namespace skep::object
