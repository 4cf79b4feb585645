// SPDX-License-Identifier: Apache-2.0
// Binding of other people's programs: every program of a modelled type in the objects that Debian's xdp-tools installs
// gets its meaning; programs of other types are refused by the type's name.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "object/link.hpp"
#include "platform/context.hpp"
#include "platform/program_type.hpp"
#include "program/bind.hpp"

namespace skep {
namespace {

TEST(BindObjects, EveryProgramOfXdpToolsBindsOrNamesItsType) {
    const std::filesystem::path folder = "/usr/lib/x86_64-linux-gnu/bpf";
    std::error_code none;
    if (!std::filesystem::is_directory(folder, none)) GTEST_SKIP() << "xdp-tools and libxdp1 are not installed";
    int bound_programs = 0, refused = 0, context_accesses = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".o") continue;
        std::ifstream in(entry.path(), std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(in), {}};
        const auto spec = object::read_object(as_bytes(bytes), entry.path().filename().string());
        ASSERT_TRUE(spec.ok()) << spec.error().to_string();
        for (size_t i = 0; i < spec->programs.size(); ++i) {
            const auto linked = object::link(*spec, i);
            ASSERT_TRUE(linked.ok()) << linked.error().to_string();
            const auto meaning = platform::section_meaning(linked->section);
            ASSERT_TRUE(meaning.has_value()) << linked->section;
            const auto bound = bind(*spec, *linked);
            if (!platform::context_of(meaning->type)) {
                ++refused;
                ASSERT_FALSE(bound.ok());
                EXPECT_EQ(bound.error().code(), Errc::Unsupported);
                EXPECT_NE(bound.error().what().find(platform::program_type_name(meaning->type)), std::string::npos);
                continue;
            }
            ASSERT_TRUE(bound.ok()) << bound.error().to_string();
            ++bound_programs;
            EXPECT_EQ(bound->linked, *linked) << "binding must not change an instruction";
            for (const Binding& binding : bound->bindings) context_accesses += binding.kind == BindingKind::Context;
        }
    }
    EXPECT_GE(bound_programs, 10);
    EXPECT_GE(context_accesses, 30);
    EXPECT_GE(refused, 1);
}

}  // namespace
}  // namespace skep
