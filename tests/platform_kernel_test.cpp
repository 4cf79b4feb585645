// SPDX-License-Identifier: Apache-2.0
// The Linux columns of the tables against the running kernel's own type information: numbers of helpers, map types and
// program types, and where fields of contexts lie. Needs no privilege.
#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>

#include "btf/btf.hpp"
#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "platform/program_type.hpp"

namespace skep {
namespace {

const btf::Btf* kernel_types() {
    static const std::optional<btf::Btf> types = []() -> std::optional<btf::Btf> {
        std::ifstream file("/sys/kernel/btf/vmlinux", std::ios::binary);
        if (!file) return std::nullopt;
        const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        auto parsed = btf::Btf::parse(as_bytes(text));
        EXPECT_TRUE(parsed.ok()) << parsed.error().to_string();
        if (!parsed) return std::nullopt;
        return *std::move(parsed);
    }();
    return types ? &*types : nullptr;
}

/// Enumerators of the kernel's enum, by name.
std::map<std::string, uint64_t> enumerators(const btf::Btf& types, std::string_view name) {
    std::map<std::string, uint64_t> out;
    const btf::TypeId id = types.find(btf::Kind::Enum, name);
    if (id == 0) return out;
    for (const btf::Enumerator& e : types.enumerators(types.type(id)))
        out[std::string(types.string(e.name_off))] = e.value;
    return out;
}

std::string upper(std::string_view text) {
    std::string out;
    for (const char c : text) out += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return out;
}

#define KERNEL_TYPES_OR_SKIP()                                                       \
    const btf::Btf* types = kernel_types();                                          \
    if (types == nullptr) GTEST_SKIP() << "no /sys/kernel/btf/vmlinux on this host"; \
    static_assert(true)

TEST(PlatformKernel, HelperNumbersAreTheKernels) {
    KERNEL_TYPES_OR_SKIP();
    const auto numbers = enumerators(*types, "bpf_func_id");
    ASSERT_GT(numbers.size(), 100u);
    size_t compared = 0;
    for (uint16_t i = 0; i < platform::helper_count; ++i) {
        const platform::HelperRow& row = platform::helper(static_cast<platform::HelperId>(i));
        if (row.linux_id == 0) continue;
        const auto at = numbers.find(std::string("BPF_FUNC_") + row.name);
        if (at == numbers.end()) continue;  // an older kernel
        ++compared;
        EXPECT_EQ(at->second, row.linux_id) << row.name;
    }
    EXPECT_GE(compared, 175u);
    // Nothing the kernel has is missing from the table.
    for (const auto& [name, number] : numbers) {
        platform::HelperId id{};
        const bool counter = name == "__BPF_FUNC_MAX_ID" || name == "BPF_FUNC_unspec";
        EXPECT_TRUE(counter || platform::helper_from_linux(static_cast<uint32_t>(number), &id)) << name;
    }
}

TEST(PlatformKernel, MapAndProgramTypesAreTheKernels) {
    KERNEL_TYPES_OR_SKIP();
    const auto maps = enumerators(*types, "bpf_map_type");
    const auto programs = enumerators(*types, "bpf_prog_type");
    ASSERT_GT(maps.size(), 20u);
    ASSERT_GT(programs.size(), 20u);
    size_t compared = 0;
    const auto compare = [&](const std::map<std::string, uint64_t>& numbers, const std::string& name, uint32_t id) {
        const auto at = numbers.find(name);
        if (id == 0 || at == numbers.end()) return;
        ++compared;
        EXPECT_EQ(at->second, id) << name;
    };
#define MAP_TYPE(name, text, linux_id, windows_id, since) compare(maps, "BPF_MAP_TYPE_" + upper(text), linux_id);
#include "platform/map_type.def"
#undef MAP_TYPE
#define PROGRAM_TYPE(name, text, linux_id, windows_id, since, context, hosted) \
    compare(programs, "BPF_PROG_TYPE_" + upper(text), linux_id);
#include "platform/program_type.def"
#undef PROGRAM_TYPE
    EXPECT_GE(compared, 55u);
}

TEST(PlatformKernel, FieldsLieWhereTheKernelHasThem) {
    KERNEL_TYPES_OR_SKIP();
    const struct {
        platform::ContextKind context;
        const char* structure;
        size_t at_least;
    } rows[] = {
        {platform::ContextKind::Xdp, "xdp_md", 6},
        {platform::ContextKind::Skb, "__sk_buff", 30},
        {platform::ContextKind::SockAddr, "bpf_sock_addr", 9},
        {platform::ContextKind::SockOps, "bpf_sock_ops", 30},
        {platform::ContextKind::Sock, "bpf_sock", 10},
        {platform::ContextKind::SkLookup, "bpf_sk_lookup", 8},
        {platform::ContextKind::CgroupSysctl, "bpf_sysctl", 2},
    };
    for (const auto& row : rows) {
        const btf::TypeId id = types->find(btf::Kind::Struct, row.structure);
        ASSERT_NE(id, 0u) << row.structure;
        std::map<std::string, std::pair<uint32_t, uint64_t>> members;  // byte offset, bytes
        const auto add = [&](const btf::Member& member, uint32_t base) {
            members[std::string(types->string(member.name_off))] = {base + member.bit_offset / 8,
                                                                    types->size_of(member.type).value_or(0)};
        };
        for (const btf::Member& member : types->members(types->type(id))) {
            add(member, 0);
            if (!types->string(member.name_off).empty()) continue;
            // The anonymous unions around pointers.
            for (const btf::Member& inside : types->members(types->type(types->strip(member.type))))
                add(inside, member.bit_offset / 8);
        }
        size_t compared = 0;
        for (const platform::FieldRow& field : platform::fields_of(row.context)) {
            const auto at = members.find(field.name);
            if (at == members.end() || field.linux_bytes == 0) continue;
            ++compared;
            // sock_ops' args begins inside its union, behind reply, which has a row of its own.
            const bool behind = std::string_view(field.name) == "args" && field.linux_offset == at->second.first + 4;
            EXPECT_TRUE(behind || at->second.first == field.linux_offset) << row.structure << "." << field.name;
            EXPECT_LE(uint64_t{field.linux_offset} + field.linux_bytes, at->second.first + at->second.second)
                << row.structure << "." << field.name;
        }
        EXPECT_GE(compared, row.at_least) << row.structure;
    }
}

}  // namespace
}  // namespace skep
