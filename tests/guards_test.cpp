// SPDX-License-Identifier: Apache-2.0
// Code that calls or reads what is not there runs if a check guards it, and is refused by name if not.
// tests/objects/guards.bpf.c has both sides; core_target.o is the kernel that lacks the field.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "hooks/packet/packet_session.hpp"
#include "runtime/load/loaded_object.hpp"

namespace skep {
namespace {

object::ObjectSpec object_named(const std::string& name) {
    std::ifstream in(std::string(SKEP_BINARY_DIR "/tests/objects/") + name, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    auto spec = object::read_object(as_bytes(bytes), name);
    if (!spec) throw std::runtime_error(spec.error().to_string());
    return *std::move(spec);
}

Result<std::unique_ptr<runtime::LoadedObject>> load(const char* program, runtime::EngineKind engine) {
    runtime::LoadOptions options;
    options.engine = engine;
    options.allow_unverified = true;
    options.programs = {program};
    options.target_btf = [] { return Result<std::shared_ptr<const btf::Btf>>(object_named("core_target.o").btf); };
    return runtime::LoadedObject::load(std::make_shared<const object::ObjectSpec>(object_named("guards.o")), options);
}

TEST(Guards, GuardedCodeRunsAroundWhatIsMissing) {
    const std::pair<const char*, uint64_t> programs[] = {{"field", 1}, {"function", 2}, {"variable", 3}};
    for (const runtime::EngineKind engine : runtime::available_engines()) {
        for (const auto& [name, expected] : programs) {
            auto loaded = load(name, engine);
            ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
            const runtime::Program& program = *(*loaded)->find(name)->program;
            auto session = hooks::PacketSession::open((*loaded)->lanes(), program.type(), program.personality(), {});
            const std::string packet(60, 'x');
            const hooks::PacketResult result = (*session)->run(program.entry(), as_bytes(packet));
            EXPECT_EQ(result.fault, 0u) << name;
            EXPECT_EQ(result.r0, expected) << name;
        }
    }
}

TEST(Guards, TheSameCodeWithoutAGuardIsRefusedByName) {
    const std::pair<const char*, const char*> programs[] = {
        {"bare_field", "the target's types have not what this instruction asks for"},
        {"bare_function", "kernel function \"absent_function\" is not available"}};
    for (const auto& [name, words] : programs) {
        const auto loaded = load(name, runtime::EngineKind::Interpreter);
        ASSERT_FALSE(loaded.ok()) << name;
        const std::string text = loaded.error().to_string();
        EXPECT_NE(text.find(words), std::string::npos) << text;
        EXPECT_NE(text.find("guards.bpf.c:"), std::string::npos) << "names the source line: " << text;
        EXPECT_NE(text.find(name), std::string::npos) << text;
    }
}

}  // namespace
}  // namespace skep
