// SPDX-License-Identifier: Apache-2.0
#include "support/diff_runner.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <fstream>
#include <iterator>

#include "engine/interp/interp.hpp"
#include "engine/jit/jit.hpp"
#include "isa/disasm.hpp"
#include "module/native_code.hpp"
#include "platform/helper.hpp"
#include "program/unverified.hpp"
#include "support/diff_generator.hpp"

#if !defined(__x86_64__)
#define OTHER_ABI  // no JIT there, so no other convention
#elif defined(_WIN32)
#define OTHER_ABI __attribute__((sysv_abi))
#else
#define OTHER_ABI __attribute__((ms_abi))
#endif

namespace skep::testing {

namespace {

using platform::HelperId;

alignas(64) uint8_t context_bytes[diff_context_bytes];
alignas(64) uint8_t map_bytes[8 * diff_map_value_bytes];
constexpr uint8_t packet[48] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0xff, 0x80, 0x7f};

uint64_t weigh(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5) {
    return r1 * 3 + (r2 ^ (r3 << 7)) + (r4 >> 3) * 5 + ~r5;
}
uint64_t look_up(uint64_t key) {
    uint32_t index;
    std::memcpy(&index, reinterpret_cast<const void*>(key), sizeof index);
    return index < diff_map_entries ? reinterpret_cast<uint64_t>(map_bytes) + index * diff_map_value_bytes : 0;
}
uint64_t load_packet(uint64_t offset, uint64_t bytes) {
    if (offset > sizeof packet - bytes) return UINT64_MAX;
    uint64_t value = 0;
    for (uint64_t i = 0; i < bytes; ++i) value = value << 8 | packet[offset + i];
    return value;
}

// Every helper once per calling convention.
#define ARGUMENTS                                                                             \
    [[maybe_unused]] uint64_t r1, [[maybe_unused]] uint64_t r2, [[maybe_unused]] uint64_t r3, \
        [[maybe_unused]] uint64_t r4, [[maybe_unused]] uint64_t r5, [[maybe_unused]] skep_runtime_context *run
#define BOTH(name, expression)                      \
    uint64_t name(ARGUMENTS) { return expression; } \
    OTHER_ABI uint64_t name##_other(ARGUMENTS) { return expression; }
BOTH(csum_diff, weigh(r1, r2, r3, r4, r5))
BOTH(map_lookup, look_up(r2))
BOTH(packet_load1, load_packet(r2, 1))
BOTH(packet_load2, load_packet(r2, 2))
BOTH(packet_load4, load_packet(r2, 4))

uint64_t loop(uint64_t callee, uint64_t times, uint64_t r3, uint64_t, uint64_t, skep_runtime_context* run) {
    uint64_t result = 0;
    for (uint64_t i = 0; i < (times & 3) && run->fault == 0; ++i) result += run->call_back(run, callee, i, r3, 3, 4, 5);
    return result;
}
using OtherCallBack = OTHER_ABI uint64_t (*)(skep_runtime_context*, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                             uint64_t);
OTHER_ABI uint64_t loop_other(uint64_t callee, uint64_t times, uint64_t r3, uint64_t, uint64_t,
                              skep_runtime_context* run) {
    uint64_t result = 0;
    for (uint64_t i = 0; i < (times & 3) && run->fault == 0; ++i)
        result += reinterpret_cast<OtherCallBack>(run->call_back)(run, callee, i, r3, 3, 4, 5);
    return result;
}

using Helpers = std::array<skep_helper_fn, platform::helper_count>;
Helpers make_helpers(bool other) {
    Helpers helpers{};
    const auto set = [&](HelperId id, skep_helper_fn host, auto foreign) {
        helpers[static_cast<size_t>(id)] = other ? reinterpret_cast<skep_helper_fn>(foreign) : host;
    };
    set(HelperId::CsumDiff, csum_diff, csum_diff_other);
    set(HelperId::Loop, loop, loop_other);
    set(HelperId::MapLookupElem, map_lookup, map_lookup_other);
    set(HelperId::PacketLoad1, packet_load1, packet_load1_other);
    set(HelperId::PacketLoad2, packet_load2, packet_load2_other);
    set(HelperId::PacketLoad4, packet_load4, packet_load4_other);
    return helpers;
}

struct Outcome {
    uint64_t r0 = 0;
    uint32_t fault = 0;
    uint32_t frames = 0;
    std::array<uint8_t, diff_context_bytes> context{};
    std::array<uint8_t, sizeof map_bytes> map{};
};

// Not inline: where the two conventions' calls meet in one function, gcc 12 takes them for the same call.
[[gnu::noinline]] uint64_t enter_other(skep_entry entry, skep_runtime_context* context) {
    using Entry = OTHER_ABI uint64_t (*)(void*, skep_runtime_context*, const void*);
    return reinterpret_cast<Entry>(entry.function)(context_bytes, context, entry.self);
}

Outcome run(const engine::CompiledCode& code, const Helpers& helpers, bool other, uint64_t seed) {
    Choices fill(seed ^ 0x5eed);
    for (size_t i = 0; i < sizeof context_bytes; i += 8) {
        const uint64_t word = fill.word() >> (fill.word() & 63);
        std::memcpy(context_bytes + i, &word, 8);
    }
    for (size_t i = 0; i < sizeof map_bytes; ++i) map_bytes[i] = static_cast<uint8_t>(i * 7 + 1);
    skep_runtime_context context{};
    context.size = sizeof context;
    context.abi = SKEP_RUNTIME_CONTEXT_ABI;
    context.helpers = helpers.data();
    const skep_entry entry = code.entry();
    Outcome out;
    out.r0 = other ? enter_other(entry, &context) : entry.function(context_bytes, &context, entry.self);
    out.fault = context.fault;
    out.frames = context.frames;
    std::memcpy(out.context.data(), context_bytes, sizeof context_bytes);
    std::memcpy(out.map.data(), map_bytes, sizeof map_bytes);
    return out;
}

std::string listing(const BoundProgram& program) {
    std::string text;
    const auto& code = program.linked.code;
    for (uint32_t at = 0; at < code.size();) {
        const auto insn = isa::decode(code, at);
        if (!insn) break;
        text += fmt::format("  {:4}: {:<18} dst {} src {} off {} imm {}\n", at, isa::name_of(insn->op), insn->dst,
                            insn->src, insn->offset, insn->imm);
        at += insn->slots();
    }
    return text;
}

/// What differs between the reference and another engine.
std::string compare(const Outcome& want, const char* engine, const Outcome& got) {
    std::string difference;
    if (got.r0 != want.r0) difference += fmt::format("r0: interp {:#x}, {} {:#x}\n", want.r0, engine, got.r0);
    if (got.fault != 0) difference += fmt::format("{} faults: {}\n", engine, got.fault);
    if (got.frames != want.frames)
        difference += fmt::format("frames: interp {}, {} {}\n", want.frames, engine, got.frames);
    for (size_t i = 0; i < want.context.size(); ++i)
        if (got.context[i] != want.context[i])
            difference +=
                fmt::format("context[{}]: interp {:#x}, {} {:#x}\n", i, want.context[i], engine, got.context[i]);
    for (size_t i = 0; i < want.map.size(); ++i)
        if (got.map[i] != want.map[i])
            difference += fmt::format("map[{}]: interp {:#x}, {} {:#x}\n", i, want.map[i], engine, got.map[i]);
    return difference;
}

}  // namespace

std::optional<std::string> find_difference(const BoundProgram& program, const DiffVariant& variant, uint64_t seed) {
    static const Helpers host = make_helpers(false), other = make_helpers(true);
    static void* maps[] = {map_bytes};
    static uint8_t* map_values[] = {map_bytes};
    static const MapLayout layout{.kind = MapLayoutKind::Array,
                                  .max_entries = diff_map_entries,
                                  .mask = 7,
                                  .stride = diff_map_value_bytes,
                                  .base = map_bytes};
    engine::LinkTable link{.helpers = host, .maps = maps, .layouts = {}, .map_values = map_values};

    auto executable = UnverifiedProgram::make(program);
    if (!executable)
        return "the generator made an invalid program: " + executable.error().to_string() + listing(program);
    engine::interp::Options checked;
    checked.check_accesses = true;
    checked.step_limit = 1'000'000;
    checked.regions = {{reinterpret_cast<uint64_t>(context_bytes), sizeof context_bytes},
                       {reinterpret_cast<uint64_t>(map_bytes), diff_map_entries * diff_map_value_bytes}};
    auto interp = engine::interp::compile(*executable, link, checked);
    if (!interp) return "interp refuses: " + interp.error().to_string() + listing(program);
    const Outcome want = run(**interp, host, false, seed);
    // Nested loops over callbacks can outgrow any limit; the JIT has none, so such a program is not compared.
    if (want.fault == SKEP_FAULT_STEP_LIMIT) return std::nullopt;
    if (want.fault != 0) return fmt::format("the program faults: {}\n{}", want.fault, listing(program));

    // The checked interpreter takes one instruction at a time; what runs unchecked fuses them.
    auto fused = engine::interp::compile(*executable, link);
    if (!fused) return "interp refuses: " + fused.error().to_string() + listing(program);
    if (const std::string difference = compare(want, "fused interp", run(**fused, host, false, seed));
        !difference.empty())
        return difference + listing(program);

    engine::jit::JitOptions options;
    const bool host_is_sysv = engine::jit::host_convention == engine::jit::CallingConvention::SysV;
    if (variant.other_convention)
        options.convention =
            host_is_sysv ? engine::jit::CallingConvention::Windows : engine::jit::CallingConvention::SysV;
    options.processor_extensions = variant.extensions;
    options.inline_lookups = variant.inline_lookups;
    link.layouts = std::span(&layout, 1);
    link.helpers = variant.other_convention ? other : host;
    auto jit = engine::jit::compile(*executable, link, options);
    if (!jit) return "jit refuses: " + jit.error().to_string() + listing(program);
    const Outcome got = run(**jit, variant.other_convention ? other : host, variant.other_convention, seed);

    const std::string difference = compare(want, "jit", got);
    if (difference.empty()) return std::nullopt;
    return fmt::format("convention {}, extensions {}, inlining {}\n{}{}", variant.other_convention ? "other" : "host",
                       variant.extensions, variant.inline_lookups, difference, listing(program));
}

NativeOutcome find_native_difference(const std::vector<BoundProgram>& programs, const std::vector<uint64_t>& seeds,
                                     const NativePlan& plan) {
    static const Helpers host = make_helpers(false);
    static void* maps[] = {map_bytes};
    static uint8_t* map_values[] = {map_bytes};
    static const MapLayout layout{.kind = MapLayoutKind::Array,
                                  .max_entries = diff_map_entries,
                                  .mask = 7,
                                  .stride = diff_map_value_bytes,
                                  .base = map_bytes};
    const engine::LinkTable plain{.helpers = host, .maps = maps, .layouts = {}, .map_values = map_values};
    const engine::LinkTable inlining{
        .helpers = host, .maps = maps, .layouts = std::span(&layout, 1), .map_values = map_values};
    NativeOutcome out;
    std::vector<ExecutableProgram> executables;
    executables.reserve(programs.size());
    std::vector<module::DirectProgram> direct;
    for (size_t i = 0; i < programs.size(); ++i) {
        auto executable = UnverifiedProgram::make(programs[i]);
        if (!executable) {
            out.difference = "the generator made an invalid program: " + executable.error().to_string();
            return out;
        }
        executables.push_back(*std::move(executable));
        direct.push_back({&executables.back(), seeds[i] % 2 == 0 ? &inlining : &plain});
    }
    module::DirectOptions options;
    options.compiler = plan.compiler;
    options.kept_images = plan.kept_images;
    if (!plan.target.empty()) options.target = module::target_from_name(plan.target);
    for (uint16_t id = 0; id < platform::helper_count; ++id)  // callx reaches them by number
        if (host[id] != nullptr) options.more_helpers.push_back(static_cast<HelperId>(id));
    const auto failed = [&](const Error& error) {
        const bool lacking = error.code() == Errc::Unavailable;
        (lacking ? out.unavailable : out.difference) = error.to_string();
        return out;
    };
    module::Buffer image;
    if (!plan.read_from.empty()) {
        std::ifstream file(plan.read_from, std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        if (bytes.empty()) {
            out.difference = plan.read_from + " cannot be read";
            return out;
        }
        image.assign(as_bytes(bytes).begin(), as_bytes(bytes).end());
    } else {
        auto built = module::build_direct(direct, options);
        if (!built) return failed(built.error());
        image = *std::move(built);
    }
    if (!plan.write_to.empty()) {
        std::ofstream file(plan.write_to, std::ios::binary);
        file.write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
        if (!file.flush()) out.difference = plan.write_to + " cannot be written";
        return out;
    }
    auto compiled = module::load_direct(image, direct, options);
    if (!compiled) return failed(compiled.error());
    engine::interp::Options checked;
    checked.check_accesses = true;
    checked.step_limit = 1'000'000;
    checked.regions = {{reinterpret_cast<uint64_t>(context_bytes), sizeof context_bytes},
                       {reinterpret_cast<uint64_t>(map_bytes), diff_map_entries * diff_map_value_bytes}};
    for (size_t i = 0; i < programs.size(); ++i) {
        auto interp = engine::interp::compile(executables[i], plain, checked);
        if (!interp) {
            out.difference = "interp refuses: " + interp.error().to_string() + listing(programs[i]);
            return out;
        }
        const Outcome want = run(**interp, host, false, seeds[i]);
        if (want.fault == SKEP_FAULT_STEP_LIMIT) continue;
        std::string difference = compare(want, "native", run(*(*compiled)[i], host, false, seeds[i]));
        if (engine::jit::available()) {
            auto jit = engine::jit::compile(executables[i], seeds[i] % 2 == 0 ? inlining : plain);
            difference += jit ? compare(want, "jit", run(**jit, host, false, seeds[i]))
                              : "jit refuses: " + jit.error().to_string();
        }
        if (difference.empty()) continue;
        out.difference = fmt::format("program {}\n{}{}", seeds[i], difference, listing(programs[i]));
        return out;
    }
    return out;
}

}  // namespace skep::testing
