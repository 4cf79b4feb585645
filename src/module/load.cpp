// SPDX-License-Identifier: Apache-2.0
#include "module/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "module/native_code.hpp"
#include "program/personality.hpp"

namespace skep::module {

namespace {

Error refuse(std::string what, std::string why = {}, std::string hint = {}) {
    return Error(Errc::Rejected, std::move(what), std::move(why), std::move(hint));
}

Result<std::optional<Signer>> check_signature(const SplitImage& split, const CheckOptions& options) {
    const Policy& policy = options.policy;
    if (split.signature.empty()) {
        const std::string digest = digest_text(split.content);
        if (std::ranges::find(policy.denied_images, digest) != policy.denied_images.end())
            return refuse("the module is on the list of denied images", "SHA-256 " + digest);
        if (policy.require_signature)
            return refuse("the module is not signed", "the policy wants a signature",
                          "sign it with skep sign, or, in a development build, say --allow-unsigned");
        return std::optional<Signer>();
    }
    Trust trust;
    trust.roots = options.roots;
    trust.signers = policy.signers;
    trust.denied_images = policy.denied_images;
    trust.denied_serials = policy.denied_serials;
    trust.denied_certificates = policy.denied_certificates;
    trust.time = options.time;
    // A signature that is there is checked, unless there is nothing to check it against and none is wanted.
    if (!policy.require_signature && trust.roots.empty()) return std::optional<Signer>();
    SKEP_ASSIGN(Signer signer, verify_signature(split.content, split.signature, trust));
    return std::optional<Signer>(std::move(signer));
}

Result<void> check_target(const Descriptor& d, Target image, const CheckOptions& options) {
    const auto target = target_from_name(d.target);
    if (!target || *target != image)
        return refuse("the descriptor and the image are for different machines",
                      fmt::format("{} and {}", d.target, target_name(image)));
    const auto level = cpu_level_from_name(d.cpu);
    if (!level) return refuse("the module needs an unknown processor", d.cpu);
    if (options.any_target) return {};
    const auto wanted = options.target ? options.target : host_target();
    if (!wanted || *wanted != *target)
        return refuse("the module is for another machine",
                      fmt::format("it is for {}, this is {}", d.target, wanted ? target_name(*wanted) : "unknown"),
                      "compile the object for this one with --target");
    if (!options.target && *level > host_cpu_level())
        return refuse("the module needs a processor with more instructions",
                      fmt::format("it was built for {}, this one has {}", d.cpu, cpu_level_name(host_cpu_level())),
                      "compile it with --cpu baseline");
    return {};
}

Result<void> check_contract(const Descriptor& d, const Prepared& prepared) {
    std::vector<const BoundProgram*> bound;
    for (const BoundProgram& program : prepared.bound) bound.push_back(&program);
    SKEP_ASSIGN(const Contract own, contract_of(*prepared.spec, bound, prepared.maps));
    const std::vector<std::string> lines = differences(d.contract, &own);
    if (lines.empty()) return {};
    std::string why;
    for (const std::string& line : lines) why += std::string(why.empty() ? "" : "; ") + line;
    return refuse("this host cannot serve the module's contract", why, "compile the object again with this skep");
}

Result<void> check_programs(const Descriptor& d, const Prepared& prepared, const Voucher& voucher) {
    if (d.programs.size() != prepared.bound.size())
        return refuse("the module's programs are not those of its object",
                      fmt::format("{} and {}", d.programs.size(), prepared.bound.size()));
    for (size_t i = 0; i < d.programs.size(); ++i) {
        const ModuleProgram& program = d.programs[i];
        const object::LinkedProgram& linked = prepared.bound[i].linked;
        if (program.name != linked.name || program.instructions != linked.code.size())
            return refuse("the module's programs are not those of its object",
                          fmt::format("program {} of {} instructions and {} of {}", program.name, program.instructions,
                                      linked.name, linked.code.size()));
        auto cost =
            voucher.recheck(*prepared.spec, prepared.bound[i], d.verifier, d.verifier_options, program.certificate);
        if (!cost) return std::move(cost).error().in_function(program.name);
        if (cost->instructions != program.cost.instructions || cost->helper_calls != program.cost.helper_calls ||
            cost->stack_bytes != program.cost.stack_bytes)
            return refuse(
                fmt::format("the module claims another cost of program {} than its certificate proves", program.name));
    }
    return {};
}

}  // namespace

Result<CheckedModule> check_module(Bytes file, const CheckOptions& options) {
    CheckedModule out;
    SKEP_ASSIGN(const SplitImage split, split_signature(file));
    SKEP_ASSIGN(out.signer_, check_signature(split, options));
    out.image_.assign(split.content.begin(), split.content.end());
    SKEP_ASSIGN(const ImageFacts facts, inspect_image(out.image_));
    out.code_bytes_ = facts.code_bytes;
    SKEP_ASSIGN(out.descriptor_, decode_descriptor(facts.descriptor));
    const Descriptor& d = out.descriptor_;
    SKEP_TRY(check_target(d, facts.target, options));
    for (const ModuleProgram& program : d.programs)
        if (std::ranges::find(facts.exports, program.symbol) == facts.exports.end())
            return refuse(fmt::format("the image has no code for program {}", program.name),
                          fmt::format("it exports no \"{}\"", program.symbol));
    if (!d.personality.empty() && !personality_from_name(d.personality))
        return refuse(fmt::format("the module is for objects of \"{}\"", d.personality),
                      "this skep knows linux and windows");
    CoreSource core;
    core.recorded = &d.core_answers;
    core.config = kernel_config_of(d);
    auto prepared = prepare(d.object, d.object_name, d.wanted, core, bind_options_for(d.verifier, d.personality));
    if (!prepared) return std::move(prepared).error();
    out.prepared_ = *std::move(prepared);
    if (out.prepared_.core_answers != d.core_answers)
        return refuse("the module answers relocations of programs that it has not");
    if (!d.kernel_values.empty() && out.prepared_.kernel_values != d.kernel_values)
        return refuse("the module holds kernel configuration that its programs do not read");
    SKEP_TRY(check_contract(d, out.prepared_));
    SKEP_TRY(check_programs(d, out.prepared_, options.voucher != nullptr ? *options.voucher : voucher_of(d.verifier)));
    SKEP_TRY(allows(options.policy, d));
    return out;
}

Result<std::shared_ptr<LoadedModule>> LoadedModule::load(CheckedModule module) {
    std::shared_ptr<LoadedModule> out(new LoadedModule(std::move(module)));
    const CheckedModule& checked = out->module_;
    SKEP_ASSIGN(out->image_, MappedImage::map(checked.image()));
    // What the system mapped says the same of itself as what was checked.
    const void* mapped = out->image_->symbol(descriptor_symbol);
    SKEP_ASSIGN(const ImageFacts facts, inspect_image(checked.image()));
    if (mapped == nullptr || std::memcmp(mapped, facts.descriptor.data(), facts.descriptor.size()) != 0)
        return refuse("what was mapped is not what was checked");
    for (const HelperUse& use : checked.descriptor().contract.helpers) {
        for (uint16_t i = 0; i < platform::helper_count; ++i)
            if (use.name == platform::helper_name(static_cast<platform::HelperId>(i)))
                out->helpers_.push_back(static_cast<platform::HelperId>(i));
    }
    return out;
}

Result<std::unique_ptr<engine::CompiledCode>> LoadedModule::instance(const BoundProgram& program,
                                                                     const engine::LinkTable& link) const {
    const Descriptor& d = module_.descriptor();
    for (size_t i = 0; i < d.programs.size(); ++i) {
        if (d.programs[i].name != program.linked.name) continue;
        // Claim: the code does what the caller's program means. Because: it was made of this program, and bound so.
        const BoundProgram& own = module_.prepared().bound[i];
        if (program.personality != own.personality)
            return refuse(fmt::format("the module's code is of a program for {}, and asked for is one for {}",
                                      personality_name(own.personality), personality_name(program.personality)),
                          "verdicts, helpers and fields have other numbers there",
                          "leave out --personality, or compile the object with it");
        if (program.type != own.type || program.attach != own.attach || program.linked.code != own.linked.code)
            return refuse(
                fmt::format("the module's code of {} is not that of the program that was loaded", d.programs[i].name),
                "its type or its instructions are others");
        const std::vector<uint32_t>& indices = module_.prepared().map_indices[i];
        std::vector<uint32_t> maps(d.contract.maps.size(), UINT32_MAX);
        for (size_t m = 0; m < indices.size(); ++m) {
            maps[indices[m]] = static_cast<uint32_t>(m);
            const MapNeed& need = d.contract.maps[indices[m]];
            if (need.layout == MapLayoutKind::Opaque) continue;
            const MapLayout layout = m < link.layouts.size() ? link.layouts[m] : MapLayout{};
            if (layout.kind != need.layout || layout.mask != need.mask || layout.stride != need.stride ||
                layout.max_entries != need.max_entries)
                return refuse(fmt::format("map {} does not lie in memory as the module's contract says", need.name));
        }
        return NativeCode::make(image_, d.programs[i].symbol, helpers_, maps, link, module_.code_bytes());
    }
    return Error(Errc::Unresolved, fmt::format("the module has no program \"{}\"", program.linked.name));
}

}  // namespace skep::module
