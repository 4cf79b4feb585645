// SPDX-License-Identifier: Apache-2.0
// Kernel configuration against libbpf: given the same configuration text, the .kconfig map holds the same bytes, and
// what one refuses the other refuses. libbpf fills it on the way to loading, so this needs the right to create maps.
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <tuple>
#include <vector>

#include "object/link.hpp"
#include "runtime/load/kernel_config.hpp"

namespace skep::runtime {
namespace {

std::string said;
int listen(libbpf_print_level, const char* format, va_list arguments) {
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    said += line;
    return 0;
}

/// The .kconfig value that libbpf makes, or nothing if it refuses a value or misses one.
std::optional<std::string> theirs(const std::string& path, const std::string& text, bool* not_allowed) {
    said.clear();
    libbpf_set_print(listen);
    bpf_object_open_opts options;
    std::memset(&options, 0, sizeof options);
    options.sz = sizeof options;
    options.kconfig = text.c_str();
    bpf_object* object = bpf_object__open_file(path.c_str(), &options);
    if (object == nullptr) return std::nullopt;
    (void)bpf_object__load(object);
    const bool refused = said.find("is incompatible") != std::string::npos ||
                         said.find("not resolved\n") != std::string::npos ||
                         said.find("failed to parse") != std::string::npos ||
                         said.find("should be") != std::string::npos || said.find("value") != std::string::npos;
    *not_allowed = said.find("Operation not permitted") != std::string::npos;
    std::optional<std::string> out;
    bpf_map* map = nullptr;
    while (!refused && (map = bpf_object__next_map(object, map)) != nullptr) {
        if (std::string_view(bpf_map__name(map)).find(".kconfig") == std::string_view::npos) continue;
        size_t bytes = 0;
        const void* value = bpf_map__initial_value(map, &bytes);
        if (value != nullptr) out = std::string(static_cast<const char*>(value), bytes);
    }
    bpf_object__close(object);
    return out;
}

TEST(KernelConfigAgainstLibbpf, TheSameBytesOrTheSameNo) {
    const std::string path = std::string(SKEP_BINARY_DIR) + "/tests/objects/kconfig.o";
    std::ifstream file(path, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    ASSERT_FALSE(bytes.empty());
    utsname name{};
    uname(&name);
    unsigned major = 0, minor = 0, patch = 0;
    ASSERT_GE(std::sscanf(name.release, "%u.%u.%u", &major, &minor, &patch), 2);
    const std::string base = "CONFIG_BPF=y\nCONFIG_HZ=250\n";
    const struct {
        const char* text;
        bool good;
    } rows[] = {
        {"", true},
        {"# CONFIG_OF_THREE is not set\n", true},
        {"CONFIG_OF_THREE=y\nCONFIG_MODULE=m\nCONFIG_LETTER=m\n", true},
        {"CONFIG_OF_THREE=n\nCONFIG_OF_THREE=y\n", true},  // the first counts
        {"CONFIG_TEXT=\"hello\"\nCONFIG_LONG_TEXT=\"hello\"\n", true},
        {"CONFIG_LONG_TEXT=\"too long for it\"\n", true},
        {"CONFIG_TEXT=\"\"\n", true},
        {"CONFIG_NEGATIVE=-5\nCONFIG_WIDE=0xffffffffffffffff\n", true},
        {"CONFIG_NEGATIVE=-32768\nCONFIG_WIDE=010\n", true},
        {"CONFIG_NEGATIVE=-32769\n", false},
        {"CONFIG_NEGATIVE=32768\n", false},
        {"CONFIG_NEGATIVE=32767\nCONFIG_NARROW=255\n", true},
        {"CONFIG_NARROW=256\n", false},
        {"CONFIG_NARROW=-1\n", false},
        {"CONFIG_NOT_ANYWHERE=m\n", false},
        {"CONFIG_NEGATIVE=y\n", false},
        {"CONFIG_TEXT=y\n", false},
        {"CONFIG_TEXT=5\n", false},
        {"CONFIG_OF_THREE=1\n", false},
        {"CONFIG_LETTER=\"x\"\n", false},
        {"CONFIG_WIDE=12a\n", false},
        {"CONFIG_WIDE=\n", false},
        {"CONFIG_WIDE\n", false},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.text);
        const std::string text = base + row.text;
        bool not_allowed = false;
        const auto expected = theirs(path, text, &not_allowed);
        if (not_allowed) GTEST_SKIP() << "no right to create kernel maps: libbpf fills nothing in without them";
        EXPECT_EQ(expected.has_value(), row.good) << said;

        auto spec = object::read_object(as_bytes(bytes), path);
        ASSERT_TRUE(spec.ok());
        // LINUX_* come from the kernel that runs.
        KernelConfig config{"test",
                            {{"LINUX_KERNEL_VERSION", std::to_string(major << 16 | minor << 8 | std::min(patch, 255u))},
                             {"LINUX_HAS_BPF_COOKIE", "1"},
                             {"LINUX_HAS_SYSCALL_WRAPPER", "1"}}};
        bool good = config.add_file(text, "config").ok();
        for (size_t i = 0; good && i < spec->programs.size(); ++i) {
            const auto linked = object::link(*spec, i);
            ASSERT_TRUE(linked.ok());
            good = fill_kernel_config(*spec, *linked, config).ok();
        }
        EXPECT_EQ(good, row.good);
        if (!good || !expected) continue;
        const object::MapSpec& map = spec->maps[spec->find_map(".kconfig")];
        std::string ours(reinterpret_cast<const char*>(map.initial.data()), map.initial.size());
        ours.resize(map.value_size);
        // libbpf lays the largest out first (cmp_externs), we as the object has them: compared by name.
        std::vector<const object::ExternSpec*> wanted;
        for (const object::ExternSpec& e : spec->externs) wanted.push_back(&e);
        const auto alignment = [](const object::ExternSpec* e) { return e->size == 12 || e->size == 6 ? 1u : e->size; };
        std::ranges::sort(wanted, {}, [&](const object::ExternSpec* e) {
            return std::tuple(~alignment(e), e->size, std::string_view(e->name));
        });
        size_t at = 0;
        for (const object::ExternSpec* e : wanted) {
            at = (at + alignment(e) - 1) / alignment(e) * alignment(e);
            // libbpf looks for that in tracefs, which need not be there.
            if (e->name != "LINUX_HAS_SYSCALL_WRAPPER") {
                EXPECT_EQ(ours.substr(e->offset, e->size), expected->substr(at, e->size)) << e->name;
            }
            at += e->size;
        }
        EXPECT_EQ(at, 50u);
    }
}

}  // namespace
}  // namespace skep::runtime
