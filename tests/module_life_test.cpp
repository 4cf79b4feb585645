// SPDX-License-Identifier: Apache-2.0
// The life of a native module in a process: one image serves many instances, each with maps of its own; and it stays
// mapped until the last run inside has ended, however many have let go of it.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/os.hpp"
#include "hooks/packet/packet_session.hpp"
#include "module/load.hpp"
#include "runtime/core/helpers.hpp"
#include "runtime/load/loaded_object.hpp"

#if defined(_WIN32)
#include <windows.h>
#endif

namespace skep {
namespace {

using module::LoadedModule;

/// The load balancer of tests/modules for this host; null where there is none.
std::shared_ptr<LoadedModule> load_module() {
    const auto host = module::host_target();
    if (!host) return nullptr;
    const std::filesystem::path path =
        std::filesystem::path(SKEP_SOURCE_DIR) / "tests/modules" /
        (std::string("format-1-") + module::target_name(*host) + "." + module::target_ending(*host));
    std::ifstream in(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    module::CheckOptions options;
    options.policy.require_signature = false;  // other tests are about it
    options.policy.require_certificate = false;
    auto checked = module::check_module(as_bytes(bytes), options);
    EXPECT_TRUE(checked.ok()) << checked.error().to_string();
    if (!checked) return nullptr;
    auto loaded = LoadedModule::load(*std::move(checked));
    EXPECT_TRUE(loaded.ok()) << loaded.error().to_string();
    return loaded ? *std::move(loaded) : nullptr;
}

runtime::LoadOptions options_for(std::shared_ptr<LoadedModule> module) {
    runtime::LoadOptions options;
    options.allow_unverified = true;
    options.lanes = 4;
    options.ready_code = [module = std::move(module)](
                             const BoundProgram& program,
                             const engine::LinkTable& link) -> Result<runtime::LoadOptions::Ready> {
        runtime::LoadOptions::Ready ready;
        SKEP_ASSIGN(ready.code, module->instance(program, link));
        return ready;
    };
    return options;
}

std::unique_ptr<runtime::LoadedObject> make_object(const LoadedModule& module, const runtime::LoadOptions& options) {
    auto object = runtime::LoadedObject::load(module.module().prepared().spec, options);
    EXPECT_TRUE(object.ok()) << object.error().to_string();
    return object ? *std::move(object) : nullptr;
}

/// From anywhere to a service that nobody offers: looked up, counted, passed on.
std::string packet() {
    std::string out(64, '\0');
    out[12] = 8, out[14] = 0x45, out[17] = 50, out[22] = 64, out[23] = 6;
    out[26] = 10, out[29] = 1, out[30] = 10, out[33] = 2, out[46] = 0x50;
    return out;
}

uint64_t run(runtime::LoadedObject& object, const skep_entry& entry, uint32_t* fault = nullptr) {
    auto session =
        hooks::PacketSession::open(object.lanes(), platform::ProgramType::Xdp, platform::Personality::Linux, {});
    EXPECT_TRUE(session.ok());
    const std::string bytes = packet();
    const hooks::PacketResult result = (*session)->run(entry, as_bytes(bytes));
    if (fault != nullptr) *fault = result.fault;
    return result.r0;
}

uint64_t counted(runtime::LoadedObject& object) {
    maps::Map* map = object.map(object.spec().find_map("totals"));
    uint64_t sum = 0;
    const LaneGuard lane(object.lanes());
    for (uint32_t key = 0; key < map->def().max_entries; ++key) {
        std::vector<uint64_t> value(map->user_value_size() / 8);
        EXPECT_TRUE(map->read(&key, value.data(), lane.lane()).ok());
        for (const uint64_t word : value) sum += word;
    }
    return sum;
}

bool is_mapped(const void* code) {
#if defined(_WIN32)
    MEMORY_BASIC_INFORMATION found{};  // other memory may have come to the place
    return ::VirtualQuery(code, &found, sizeof found) != 0 && found.State == MEM_COMMIT && found.Type == MEM_IMAGE;
#else
    char bytes[16];
    return skep_os_copy_nofault(bytes, code, sizeof bytes) == sizeof bytes;
#endif
}

TEST(ModuleLife, OneImageServesManyInstancesEachWithItsOwnMaps) {
    const auto module = load_module();
    if (module == nullptr) GTEST_SKIP() << "no module for this host";
    std::vector<std::unique_ptr<runtime::LoadedObject>> objects;
    for (int i = 0; i < 20; ++i) objects.push_back(make_object(*module, options_for(module)));
    const skep_entry first = objects[0]->programs()[0].program->entry();
    for (size_t i = 0; i < objects.size(); ++i) {
        const skep_entry entry = objects[i]->programs()[0].program->entry();
        EXPECT_EQ(entry.function, first.function);
        if (i != 0) {
            EXPECT_NE(entry.self, first.self);
        }
        EXPECT_EQ(counted(*objects[i]), 0u) << i;
        for (size_t runs = 0; runs < i; ++runs) EXPECT_EQ(run(*objects[i], entry), 2u);  // XDP_PASS
    }
    const uint64_t one = counted(*objects[1]);
    EXPECT_GT(one, 0u);
    for (size_t i = 0; i < objects.size(); ++i) EXPECT_EQ(counted(*objects[i]), i * one) << i;
    // Those that go take nothing from those that stay.
    objects.erase(objects.begin(), objects.begin() + 10);
    EXPECT_EQ(run(*objects[0], objects[0]->programs()[0].program->entry()), 2u);
    EXPECT_EQ(counted(*objects[0]), 11 * one);
}

// Where a run waits inside a helper of the module's, until it may go on.
std::atomic<bool> waits = false, is_inside = false;
uint64_t waiting_lookup(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5,
                        skep_runtime_context* context) {
    is_inside = true;
    while (waits) std::this_thread::yield();
    return runtime::helper_functions()[static_cast<size_t>(platform::HelperId::MapLookupElem)](r1, r2, r3, r4, r5,
                                                                                               context);
}

TEST(ModuleLife, UnloadingWaitsForTheRunInside) {
    // The object's own program is of another image: the one that goes is made beside it, over the same maps.
    const auto staying = load_module();
    auto going = load_module();
    if (staying == nullptr || going == nullptr) GTEST_SKIP() << "no module for this host";
    std::vector<skep_helper_fn> helpers(runtime::helper_functions(),
                                        runtime::helper_functions() + 2 * runtime::helper_functions_count);
    helpers[static_cast<size_t>(platform::HelperId::MapLookupElem)] = waiting_lookup;
    std::unique_ptr<engine::CompiledCode> code;
    runtime::LoadOptions options = options_for(staying);
    options.helpers = helpers;
    options.ready_code = [&, inner = options.ready_code](const BoundProgram& program, const engine::LinkTable& link) {
        auto made = going->instance(program, link);
        EXPECT_TRUE(made.ok());
        if (made) code = *std::move(made);
        return inner(program, link);
    };
    const auto object = make_object(*staying, options);
    ASSERT_NE(object, nullptr);
    ASSERT_NE(code, nullptr);

    const skep_entry entry = code->entry();
    const auto* const function = reinterpret_cast<const void*>(entry.function);
    runtime::ProgramDef def;
    def.type = platform::ProgramType::Xdp;
    def.entry = entry;
    def.code = code.release();
    def.free_code = [](void* self) { delete static_cast<engine::CompiledCode*>(self); };
    runtime::Program* program = nullptr;
    ASSERT_TRUE(runtime::Program::create(object->lanes(), def, &program).ok());
    going.reset();  // its instance keeps the image
    EXPECT_TRUE(is_mapped(function));

    waits = true;
    uint64_t verdict = 0;
    uint32_t fault = 1;
    std::thread thread([&] { verdict = run(*object, program->entry(), &fault); });
    while (!is_inside) std::this_thread::yield();
    program->release();  // the last reference: nobody can enter it any more
    for (int i = 0; i < 1000; ++i) {
        const LaneGuard lane(object->lanes());  // others come and go, each of whom may free what waits
    }
    EXPECT_TRUE(is_mapped(function)) << "unmapped under a run";
    waits = false;
    thread.join();
    EXPECT_EQ(fault, 0u);
    EXPECT_EQ(verdict, 2u);
    object->lanes().drain();
    EXPECT_FALSE(is_mapped(function)) << "nobody is inside, and it is still there";
    // The other image is where it was.
    EXPECT_EQ(run(*object, object->programs()[0].program->entry()), 2u);
}

}  // namespace
}  // namespace skep
