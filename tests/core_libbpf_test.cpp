// SPDX-License-Identifier: Apache-2.0
// CO-RE against libbpf: every relocated instruction of the test object is bit for bit what libbpf makes of it, on a
// target layout of our own and on the running kernel's. libbpf relocates only on the way to loading, so this needs the
// right to create maps; whether the kernel then accepts the programs does not matter.
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "object/link.hpp"
#include "object/relocate.hpp"

namespace skep::object {
namespace {

std::optional<std::string> contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(file), {});
}

int quiet(libbpf_print_level, const char*, va_list) { return 0; }

/// Whether libbpf said that a relocation failed; it says so nowhere else.
bool relocation_failed = false;
int listen(libbpf_print_level, const char* format, va_list arguments) {
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    const std::string_view text(line);
    relocation_failed |= text.find("relocation decision ambiguity") != std::string_view::npos ||
                         text.find("failed to relocate") != std::string_view::npos;
    return 0;
}

/// One program of one object against one target: instructions with a CO-RE record compared. Each program is loaded on
/// its own, because libbpf stops at the first one that fails to relocate.
void compare(const std::string& path, const std::string& target_path, size_t& compared, size_t& refused) {
    libbpf_set_print(listen);
    const auto bytes = contents(path), target_bytes = contents(target_path);
    ASSERT_TRUE(bytes) << path;
    ASSERT_TRUE(target_bytes) << target_path;
    const auto spec = read_object(as_bytes(*bytes), path);
    ASSERT_TRUE(spec) << spec.error().to_string();
    const auto target = btf::Btf::parse(as_bytes(*target_bytes));
    ASSERT_TRUE(target) << target.error().to_string();
    for (size_t i = 0; i < spec->programs.size(); ++i) {
        const std::string& name = spec->programs[i].name;
        bpf_object_open_opts options;
        std::memset(&options, 0, sizeof options);
        options.sz = sizeof options;
        options.btf_custom_path = target_path.c_str();
        bpf_object* theirs = bpf_object__open_file(path.c_str(), &options);
        ASSERT_NE(theirs, nullptr) << path;
        bpf_program* program = nullptr;
        bpf_program* each = nullptr;
        while ((each = bpf_object__next_program(theirs, each)) != nullptr) {
            const bool wanted = name == bpf_program__name(each);
            bpf_program__set_autoload(each, wanted);
            if (wanted) program = each;
        }
        ASSERT_NE(program, nullptr) << name;
        relocation_failed = false;
        (void)bpf_object__load(theirs);  // the kernel may well refuse: nothing of this is a real program

        auto ours = link(*spec, i);
        ASSERT_TRUE(ours) << ours.error().to_string();
        const auto done = relocate(*ours, *spec->btf, *target);
        EXPECT_EQ(done.ok(), !relocation_failed) << name << ": " << (done.ok() ? "" : done.error().to_string());
        refused += relocation_failed;
        if (relocation_failed || !done) {
            bpf_object__close(theirs);
            continue;
        }
        ASSERT_EQ(bpf_program__insn_cnt(program), ours->code.size()) << name;
        const bpf_insn* insns = bpf_program__insns(program);
        for (const btf::CoreRecord& record : ours->core_relocations) {
            isa::Slot slot;
            std::memcpy(static_cast<void*>(&slot), &insns[record.insn], sizeof slot);
            EXPECT_EQ(slot.opcode, ours->code[record.insn].opcode) << name << " " << record.insn;
            EXPECT_EQ(slot.regs, ours->code[record.insn].regs) << name << " " << record.insn;
            EXPECT_EQ(slot.offset, ours->code[record.insn].offset) << name << " " << record.insn;
            // libbpf adds the record's number to the imm of an absent one, so that its log can name it.
            if (ours->code[record.insn].imm != absent_helper) {
                EXPECT_EQ(slot.imm, ours->code[record.insn].imm) << name << " " << record.insn;
            }
            ++compared;
        }
        bpf_object__close(theirs);
    }
}

bool may_create_maps() {
    const std::string path = std::string(SKEP_BINARY_DIR) + "/tests/objects/map_kinds.o";
    bpf_object* object = bpf_object__open_file(path.c_str(), nullptr);
    if (object == nullptr) return false;
    bpf_program* each = nullptr;
    while ((each = bpf_object__next_program(object, each)) != nullptr) bpf_program__set_autoload(each, false);
    bpf_map* map = nullptr;
    while ((map = bpf_object__next_map(object, map)) != nullptr) {
        bpf_map__set_autocreate(map, std::string_view(bpf_map__name(map)) == "inner_a");
    }
    const int result = bpf_object__load(object);
    bpf_object__close(object);
    return result == 0 || errno != EPERM;
}

TEST(CoreAgainstLibbpf, OnALayoutOfOurOwn) {
    libbpf_set_print(quiet);
    if (!may_create_maps()) GTEST_SKIP() << "no right to create kernel maps: libbpf does not relocate without them";
    size_t compared = 0, refused = 0;
    compare(std::string(SKEP_BINARY_DIR) + "/tests/objects/core.o",
            std::string(SKEP_BINARY_DIR) + "/tests/objects/core_target.btf", compared, refused);
    EXPECT_EQ(compared, 26u);
    EXPECT_EQ(refused, 0u);
}

/// The table that the next test compares: no kind of relocation without a case in each column. Columns are the
/// programs' names, kinds what the compiler wrote.
TEST(CoreMatrix, HasEveryKindInEveryColumn) {
    const std::string path = std::string(SKEP_BINARY_DIR) + "/tests/objects/core_matrix.o";
    const auto bytes = contents(path);
    ASSERT_TRUE(bytes) << path;
    const auto spec = read_object(as_bytes(*bytes), path);
    ASSERT_TRUE(spec) << spec.error().to_string();
    constexpr std::string_view columns[] = {"match", "missing", "ambiguous", "agreed", "flavoured"};
    std::set<std::pair<btf::CoreKind, std::string_view>> seen;
    for (size_t i = 0; i < spec->programs.size(); ++i) {
        const auto linked = link(*spec, i);
        ASSERT_TRUE(linked) << linked.error().to_string();
        ASSERT_EQ(linked->core_relocations.size(), 1u) << linked->name << ": a refusal is about one record";
        for (const std::string_view column : columns)
            if (linked->name.find("_" + std::string(column)) != std::string::npos)
                seen.emplace(linked->core_relocations.front().kind, column);
    }
    size_t kinds = 0;
    for (auto kind = btf::CoreKind::FieldByteOffset; kind <= btf::CoreKind::TypeMatches;
         kind = static_cast<btf::CoreKind>(static_cast<int>(kind) + 1)) {
        ++kinds;
        for (const std::string_view column : columns)
            EXPECT_TRUE(seen.contains({kind, column})) << btf::core_kind_name(kind) << ", " << column;
    }
    EXPECT_EQ(kinds, 13u) << "as many as linux/bpf.h has in enum bpf_core_relo_kind";
    EXPECT_EQ(BPF_CORE_TYPE_MATCHES, 12) << "its last one";
    std::printf("%zu programs, %zu of %zu places of the table\n", spec->programs.size(), seen.size(),
                kinds * std::size(columns));
}

TEST(CoreAgainstLibbpf, EveryKindMatchingMissingAmbiguousAndFlavoured) {
    libbpf_set_print(quiet);
    if (!may_create_maps()) GTEST_SKIP() << "no right to create kernel maps: libbpf does not relocate without them";
    size_t compared = 0, refused = 0;
    compare(std::string(SKEP_BINARY_DIR) + "/tests/objects/core_matrix.o",
            std::string(SKEP_BINARY_DIR) + "/tests/objects/core_matrix_target.btf", compared, refused);
    std::printf("%zu instructions compared, %zu programs refused by both\n", compared, refused);
    EXPECT_GT(compared, 70u);
    EXPECT_GT(refused, 8u);
}

TEST(CoreAgainstLibbpf, OnTheRunningKernel) {
    libbpf_set_print(quiet);
    const std::string object = "/usr/lib/x86_64-linux-gnu/bpf/xdpdump_bpf.o", kernel = "/sys/kernel/btf/vmlinux";
    if (!contents(object)) GTEST_SKIP() << "xdp-tools is not installed";
    if (!contents(kernel)) GTEST_SKIP() << "no " << kernel << " here";
    if (!may_create_maps()) GTEST_SKIP() << "no right to create kernel maps: libbpf does not relocate without them";
    size_t compared = 0, refused = 0;
    compare(object, kernel, compared, refused);
    EXPECT_EQ(compared, 20u);
}

}  // namespace
}  // namespace skep::object
