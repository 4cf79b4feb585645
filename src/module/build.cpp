// SPDX-License-Identifier: Apache-2.0
#include "module/build.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine/native/emit.hpp"
#include "platform/program_type.hpp"
#include "program/personality.hpp"
#include "runtime/load/link_program.hpp"

namespace skep::module {

namespace {

Result<std::vector<uint32_t>> choose(const object::ObjectSpec& spec, const std::vector<std::string>& wanted) {
    std::vector<bool> chosen(spec.programs.size());
    for (const std::string& name : wanted) {
        const uint32_t index = spec.find_program(name);
        if (index == object::no_index)
            return Error(Errc::Unresolved, fmt::format("there is no program \"{}\"", name), {},
                         "skep inspect lists the object's programs");
        chosen[index] = true;
    }
    if (wanted.empty())
        for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = spec.programs[i].autoload;
    for (const object::MapSpec& map : spec.maps)
        for (const object::MapSlot& slot : map.slots)
            if (slot.is_program) chosen[slot.target] = true;
    std::vector<uint32_t> out;
    for (size_t i = 0; i < chosen.size(); ++i)
        if (chosen[i]) out.push_back(static_cast<uint32_t>(i));
    if (out.empty()) return Error(Errc::Unresolved, "the object has no program that is loaded by default");
    return out;
}

/// The descriptor as an exported array. Text of 16 numbers a line: every C compiler takes it.
std::string array_text(Bytes bytes) {
    std::string out = fmt::format(
        "\n/* The descriptor: docs/formats/native-module.md */\n"
        "SKEP_EXPORT extern const unsigned char {0}[{1}];\n"
        "SKEP_EXPORT __attribute__((section(\".skep\"), aligned(8))) const unsigned char {0}[{1}] = {{\n",
        descriptor_symbol, bytes.size());
    out.reserve(out.size() + bytes.size() * 4 + bytes.size() / 16 + 8);
    for (size_t i = 0; i < bytes.size(); ++i) {
        out += std::to_string(std::to_integer<unsigned>(bytes[i]));
        out += i % 32 == 31 ? ",\n" : ",";
    }
    return out + "};\n";
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
    return out;
}

std::string last_part(const std::string& path) {
    const size_t slash = path.find_last_of("/\\");
    return slash == std::string::npos ? path : path.substr(slash + 1);
}

}  // namespace

runtime::KernelConfig kernel_config_of(const Descriptor& descriptor) {
    if (descriptor.kernel_values.empty()) return {};
    return runtime::KernelConfig::of("the module", descriptor.kernel_values);
}

BindOptions bind_options_for(const std::string& verifier, const std::string& personality) {
    BindOptions options;
    options.personality = personality_from_name(personality);
    options.keep_problems = verifier != no_verifier().identity();
    return options;
}

Result<Prepared> prepare(Bytes object, const std::string& name, const std::vector<std::string>& wanted,
                         const CoreSource& core, const BindOptions& options) {
    Prepared out;
    SKEP_ASSIGN(object::ObjectSpec read, object::read_object(object, name));
    const auto own = std::make_shared<object::ObjectSpec>(std::move(read));
    SKEP_ASSIGN(out.programs, choose(*own, wanted));
    std::vector<bool> used(own->maps.size());
    runtime::TargetTypes types{core.types};
    types.recorded = core.recorded;
    types.config = core.config;
    for (const uint32_t index : out.programs) {
        auto linked = runtime::link_program(*own, index, types);
        if (!linked) return std::move(linked).error().in_file(name);
        auto bound = bind(*own, *linked, options);
        if (!bound) return std::move(bound).error().in_file(name);
        for (const MapUse& use : bound->maps) used[use.map] = true;
        out.bound.push_back(*std::move(bound));
    }
    std::vector<uint32_t> place(own->maps.size());
    for (uint32_t i = 0; i < used.size(); ++i) {
        if (!used[i]) continue;
        place[i] = static_cast<uint32_t>(out.maps.size());
        out.maps.push_back(i);
    }
    for (const BoundProgram& bound : out.bound) {
        std::vector<uint32_t> indices;
        for (const MapUse& use : bound.maps) indices.push_back(place[use.map]);
        out.map_indices.push_back(std::move(indices));
    }
    out.spec = own;
    out.core_answers = std::move(types.answers);
    out.kernel_values = std::move(types.told);
    return out;
}

engine::native::MapShape map_shape(const MapNeed& need) {
    engine::native::MapShape shape;
    shape.name = need.name;
    shape.key_bytes = need.key_bytes;
    shape.value_bytes = need.value_bytes;
    shape.layout.kind = need.layout;
    shape.layout.max_entries = need.layout == MapLayoutKind::Opaque ? 0 : need.max_entries;
    shape.layout.mask = need.mask;
    shape.layout.stride = need.stride;
    return shape;
}

Result<Built> build_module(Bytes object, const std::string& name, const BuildOptions& options, const Voucher& voucher) {
    const std::string short_name = last_part(name);
    SKEP_ASSIGN(const Prepared prepared, prepare(object, name, options.programs, options.core,
                                                 bind_options_for(voucher.identity(), options.personality)));
    Compiler compiler;
    if (!options.source_only) {
        SKEP_ASSIGN(compiler, find_compiler(options.compiler));
    }
    Built out;
    Descriptor& d = out.descriptor;
    d.target = target_name(options.compiler.target);
    d.cpu = cpu_level_name(options.compiler.cpu);
    d.generator = options.generator;
    d.compiler = compiler.identity;
    d.flags = joined(compiler.flags);
    d.verifier = voucher.identity();
    d.verifier_options = voucher.options();
    d.object_name = short_name;
    d.object.assign(object.begin(), object.end());
    d.wanted = options.programs;
    d.personality = options.personality;
    d.core_answers = prepared.core_answers;
    if (!d.core_answers.empty()) d.core_types = options.core_types;
    d.kernel_values = prepared.kernel_values;
    for (const auto& [name_of, value] : d.kernel_values)
        if (std::ranges::any_of(value, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }))
            return Error(Errc::Unsupported, fmt::format("the kernel configuration value {} is no plain text", name_of),
                         "it has a control character, and a module holds text")
                .in_file(name);

    engine::native::ModuleSource source;
    source.title = fmt::format("generated by {} from {}; do not edit", options.generator, short_name);
    std::vector<ExecutableProgram> executables;
    std::vector<const BoundProgram*> bound;
    executables.reserve(prepared.bound.size());
    for (const BoundProgram& program : prepared.bound) {
        auto vouched = voucher.vouch(*prepared.spec, program);
        if (!vouched) return std::move(vouched).error().in_file(name).in_function(program.linked.name);
        ModuleProgram entry;
        entry.name = program.linked.name;
        entry.section = program.linked.section;
        entry.type = platform::program_type_name(program.type);
        entry.symbol = fmt::format("skep_entry_{}", executables.size());
        entry.instructions = static_cast<uint32_t>(program.linked.code.size());
        entry.cost = vouched->program.cost();
        entry.certificate = std::move(vouched->certificate);
        executables.push_back(std::move(vouched->program));
        d.programs.push_back(std::move(entry));
        bound.push_back(&program);
    }
    SKEP_ASSIGN(d.contract, contract_of(*prepared.spec, bound, prepared.maps));

    std::vector<const ExecutableProgram*> list;
    for (size_t i = 0; i < executables.size(); ++i) {
        list.push_back(&executables[i]);
        source.programs.push_back({d.programs[i].symbol, &executables[i], prepared.map_indices[i]});
    }
    for (const MapNeed& need : d.contract.maps) {
        source.maps.push_back(map_shape(need));
    }
    source.helpers = engine::native::used_helpers(list);
    auto text = engine::native::emit_c(source);
    if (!text) return std::move(text).error().in_file(name);
    out.source = *std::move(text) + array_text(encode(d));
    if (options.source_only) return out;
    SKEP_ASSIGN(out.image, compile_c(out.source, compiler));
    return out;
}

Result<Buffer> rebuild(const Descriptor& descriptor, const std::string& compiler, const Voucher& voucher) {
    BuildOptions options;
    const auto target = target_from_name(descriptor.target);
    const auto cpu = cpu_level_from_name(descriptor.cpu);
    if (!target || !cpu)
        return Error(Errc::Unsupported, fmt::format("the module is for {} ({}), which this skep cannot build for",
                                                    descriptor.target, descriptor.cpu));
    options.compiler = {*target, *cpu, compiler};
    options.programs = descriptor.wanted;
    options.personality = descriptor.personality;
    options.generator = descriptor.generator;
    options.core.recorded = &descriptor.core_answers;
    options.core_types = descriptor.core_types;
    options.core.config = kernel_config_of(descriptor);
    SKEP_ASSIGN(const Compiler found, find_compiler(options.compiler));
    if (found.identity != descriptor.compiler)
        return Error(Errc::Unavailable, "the module was built by another compiler",
                     fmt::format("by \"{}\"; here is \"{}\"", descriptor.compiler, found.identity),
                     "name the right one with --cc");
    if (joined(found.flags) != descriptor.flags)
        return Error(Errc::Unavailable, "the module was built with other flags",
                     fmt::format("with \"{}\"; here they are \"{}\"", descriptor.flags, joined(found.flags)),
                     fmt::format("it was made by {}: rebuild it with that one", descriptor.generator));
    SKEP_ASSIGN(Built built, build_module(descriptor.object, descriptor.object_name, options, voucher));
    return std::move(built.image);
}

}  // namespace skep::module
