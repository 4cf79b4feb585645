// SPDX-License-Identifier: Apache-2.0
// `skep audit`: what a native module holds, and every check again; `skep policy`: what is allowed.
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/json.hpp"
#include "cli/module_options.hpp"
#include "cli/target_options.hpp"

namespace skep::cli {

namespace {

std::string cost_text(const CostBound& cost) {
    if (cost.instructions == 0) return "no bound is proved";
    return fmt::format("at most {} instructions, {} helper calls, {} bytes of stack", cost.instructions,
                       cost.helper_calls, cost.stack_bytes);
}

/// "ConstMapPtr, MapKey, None, None, None -> Status [0]" without what is not there: "(ConstMapPtr, MapKey) -> Status".
std::string prototype_text(std::string_view prototype) {
    const size_t arrow = prototype.find(" -> ");
    if (arrow == std::string_view::npos) return fmt::format("({})", prototype);
    std::string_view arguments = prototype.substr(0, arrow), result = prototype.substr(arrow);
    while (arguments.ends_with(", None")) arguments.remove_suffix(6);
    if (arguments == "None") arguments = {};
    if (result.ends_with(" [0]")) result.remove_suffix(4);
    return fmt::format("({}){}", arguments, result);
}

Json audit_json(const module::CheckedModule& checked) {
    const module::Descriptor& d = checked.descriptor();
    Json programs = Json::array();
    for (const module::ModuleProgram& p : d.programs)
        programs.push(Json::object()
                          .set("name", p.name)
                          .set("section", p.section)
                          .set("type", p.type)
                          .set("instructions", p.instructions)
                          .set("certificate_bytes", static_cast<uint64_t>(p.certificate.size()))
                          .set("cost_instructions", p.cost.instructions)
                          .set("cost_helper_calls", p.cost.helper_calls)
                          .set("stack_bytes", p.cost.stack_bytes));
    Json helpers = Json::array(), fields = Json::array(), maps = Json::array();
    for (const module::HelperUse& use : d.contract.helpers)
        helpers.push(Json::object().set("name", use.name).set("prototype", use.prototype));
    for (const module::FieldUse& use : d.contract.fields)
        fields.push(Json::object()
                        .set("name", use.name)
                        .set("offset", use.offset)
                        .set("bytes", use.bytes)
                        .set("read", use.read)
                        .set("written", use.written));
    for (const module::MapNeed& map : d.contract.maps)
        maps.push(Json::object()
                      .set("name", map.name)
                      .set("type", map.type)
                      .set("key_bytes", map.key_bytes)
                      .set("value_bytes", map.value_bytes)
                      .set("max_entries", map.max_entries)
                      .set("inlined", map.layout != MapLayoutKind::Opaque));
    Json signer;
    if (checked.signer()) {
        Json chain = Json::array();
        for (const std::string& name : checked.signer()->chain) chain.push(name);
        signer = Json::object()
                     .set("subject", checked.signer()->subject)
                     .set("serial", checked.signer()->serial)
                     .set("certificate", checked.signer()->digest)
                     .set("valid_until", checked.signer()->not_after)
                     .set("chain", std::move(chain));
    }
    return Json::object()
        .set("target", d.target)
        .set("cpu", d.cpu)
        .set("generator", d.generator)
        .set("compiler", d.compiler)
        .set("flags", d.flags)
        .set("image_sha256", module::digest_text(checked.image()))
        .set("object", d.object_name)
        .set("object_sha256", module::digest_text(d.object))
        .set("verifier", d.verifier)
        .set("verifier_options", d.verifier_options)
        .set("core_types", d.core_types)
        .set("personality", d.personality)
        .set("kernel_configuration", kernel_values_json(d.kernel_values))
        .set("signer", std::move(signer))
        .set("programs", std::move(programs))
        .set("helpers", std::move(helpers))
        .set("fields", std::move(fields))
        .set("maps", std::move(maps));
}

std::string audit_text(const module::CheckedModule& checked) {
    const module::Descriptor& d = checked.descriptor();
    std::string out =
        fmt::format("module for {} ({}), image {}\n", d.target, d.cpu, module::digest_text(checked.image()));
    out += fmt::format("made by {} with {}\n", d.generator, d.compiler);
    out += fmt::format("of {}, {} bytes, {}\n", d.object_name, d.object.size(), module::digest_text(d.object));
    if (!d.personality.empty()) out += fmt::format("its maker said that the object is one for {}\n", d.personality);
    if (checked.signer())
        out += fmt::format("signed by {}, valid until {}, certificate {}\n", checked.signer()->subject,
                           checked.signer()->not_after, checked.signer()->digest);
    else
        out += "not signed\n";
    out += checked.verified() ? fmt::format("verified by {}, options: {}\n", d.verifier, d.verifier_options)
                              : "not verified\n";
    size_t answers = 0;
    for (const auto& [name, list] : d.core_answers) answers += list.size();
    if (answers != 0)
        out +=
            fmt::format("{} CO-RE relocation{} resolved against {}\n", answers, answers == 1 ? "" : "s", d.core_types);
    if (!d.kernel_values.empty())
        out +=
            "\nwhat its programs are told of the kernel, whatever it runs on\n" + kernel_values_text(d.kernel_values);
    out += "\nprograms\n";
    for (const module::ModuleProgram& p : d.programs)
        out += fmt::format("  {} ({}, {}): {} instructions; {}\n", p.name, p.type, p.section, p.instructions,
                           cost_text(p.cost));
    out += "\nwhat it needs of its host\n";
    out += fmt::format("  run-time context abi {}, native module abi {}{}\n", d.contract.runtime_abi,
                       d.contract.module_abi,
                       d.contract.private_packet ? ", packets that nobody else writes during a run" : "");
    for (const module::HelperUse& use : d.contract.helpers)
        out += fmt::format("  helper {}{}\n", use.name, prototype_text(use.prototype));
    for (const module::FieldUse& use : d.contract.fields)
        out += fmt::format("  field {}: {} bytes at {}{}{}\n", use.name, use.bytes, use.offset,
                           use.read ? ", read" : "", use.written ? ", written" : "");
    for (const module::MapNeed& map : d.contract.maps)
        out += fmt::format("  map {}: {}, key {} bytes, value {} bytes, {} {}{}\n", map.name, map.type, map.key_bytes,
                           map.value_bytes, map.max_entries, map.max_entries == 1 ? "entry" : "entries",
                           map.layout != MapLayoutKind::Opaque ? ", reached directly" : "");
    return out;
}

Result<int> run_audit(const Arguments& arguments, Output& output) {
    const std::string path = *arguments.text("MODULE");
    SKEP_ASSIGN(const std::vector<std::byte> file, read_file(path));
    if (!module::is_native_image(file))
        return Error(Errc::Malformed, "this is no native module", "it is neither a shared library nor a Windows image",
                     "skep compile makes one of an object")
            .in_file(path);
    SKEP_ASSIGN(module::CheckOptions options, check_options(arguments));
    options.any_target = true;
    auto checked = module::check_module(file, options);
    if (!checked) return std::move(checked).error().in_file(path);
    bool same = true;
    if (arguments.flag("rebuild")) {
        auto again = module::rebuild(checked->descriptor(), arguments.text_or("cc", ""),
                                     module::voucher_of(checked->descriptor().verifier));
        if (!again) return std::move(again).error().in_file(path);
        SKEP_ASSIGN(const module::SplitImage plain, module::split_signature(*again));
        same = std::ranges::equal(plain.content, checked->image());
    }
    if (output.json) {
        Json report = audit_json(*checked);
        if (arguments.flag("rebuild")) report.set("rebuild_equal", same);
        output.print(report);
    } else {
        output.out(audit_text(*checked));
        if (arguments.flag("rebuild"))
            output.out(same ? "\nbuilt again from its object: the same bytes\n"
                            : "\nbuilt again from its object: OTHER BYTES; this image is not what its object gives "
                              "with this skep, assembler and linker\n");
    }
    return same ? exit_done : exit_no;
}

Json policy_json(const module::Policy& policy) {
    const auto list = [](const std::vector<std::string>& words) {
        Json out = Json::array();
        for (const std::string& word : words) out.push(word);
        return out;
    };
    Json limits = Json::object();
    for (const auto& [type, limit] : policy.limits) {
        Json one = Json::object();
        if (limit.instructions != 0) one.set("instructions", limit.instructions);
        if (limit.helper_calls != 0) one.set("helper_calls", limit.helper_calls);
        limits.set(type, std::move(one));
    }
    return Json::object()
        .set("engines", list(policy.engines))
        .set("require_signature", policy.require_signature)
        .set("require_certificate", policy.require_certificate)
        .set("roots", list(policy.roots))
        .set("signers", list(policy.signers))
        .set("denied", Json::object()
                           .set("images", list(policy.denied_images))
                           .set("serials", list(policy.denied_serials))
                           .set("certificates", list(policy.denied_certificates)))
        .set("hooks", list(policy.hooks))
        .set("limits", std::move(limits));
}

/// The lines that a policy has not, as comments that say what holds then.
std::string what_is_not_limited(const module::Policy& policy) {
    std::string out;
    if (policy.roots.empty()) out += "# no root: a signature is trusted with --root FILE only\n";
    if (policy.signers.empty()) out += "# no signer: whoever has a certificate of a root\n";
    if (policy.hooks.empty()) out += "# no hook: programs of every type\n";
    if (policy.limits.empty()) out += "# no limit: of any proved cost\n";
    return out;
}

Result<int> run_policy(const Arguments& arguments, Output& output) {
    const std::string verb = *arguments.text("VERB");
    if (verb != "show" && verb != "check")
        return Error(Errc::InvalidArgument, fmt::format("policy knows no \"{}\"", verb), {}, "show or check");
    module::Policy policy;
    if (const auto file = arguments.text("FILE")) {
        SKEP_ASSIGN(const std::vector<std::byte> text, read_file(*file));
        auto parsed = module::parse_policy({reinterpret_cast<const char*>(text.data()), text.size()});
        if (!parsed) return std::move(parsed).error().in_file(*file);
        policy = *std::move(parsed);
    } else if (verb == "check") {
        return Error(Errc::InvalidArgument, "there is no policy to check", {}, "name a file");
    }
    if (verb == "check") {  // what it names is there, as it will be asked for
        std::vector<module::Buffer> certificates;
        for (const std::string& root : policy.roots) SKEP_TRY(read_roots(root, certificates));
    }
    if (output.json)
        output.print(policy_json(policy));
    else if (verb == "show")
        output.out(module::policy_text(policy) + what_is_not_limited(policy));
    else
        output.out("the policy is well-formed\n");
    return exit_done;
}

constexpr PositionalSpec audit_positionals[] = {{"MODULE", "a native module"}};
constexpr OptionSpec audit_options[] = {
    SKEP_MODULE_OPTIONS,
    {"--unverified", Kind::Flag, "", "take programs that are not verified (development builds)"},
    {"--rebuild", Kind::Flag, "", "builds it again from the object it carries and compares every byte"},
    {"--cc", Kind::Text, "CC", "the C compiler for --rebuild"},
};
constexpr Example audit_examples[] = {
    {"skep audit prog.so --root root.pem", "what is inside, who signed it; every check again"},
    {"skep audit prog.so --root root.pem --rebuild", "and whether its code is what its object gives"}};
constexpr PositionalSpec policy_positionals[] = {{"VERB", "show or check", true, Kind::Choice, "show|check"},
                                                 {"FILE", "a policy; show without one prints the defaults", false}};
constexpr Example policy_examples[] = {{"skep policy show", "the built-in policy, as a file"},
                                       {"skep policy check site.policy", "whether a file is well-formed"}};

}  // namespace

extern const Command audit_command;
constinit const Command audit_command = {
    "audit",
    "shows what a native module holds and checks it again",
    "Programs, contract, costs, who verified and who signed; signature, image, descriptor, contract, certificates and\n"
    "policy are checked as for loading, and the first that fails is the answer. The module may be for any machine.",
    audit_positionals,
    audit_options,
    audit_examples,
    run_audit};

extern const Command policy_command;
constinit const Command policy_command = {
    "policy",
    "shows or checks what is allowed to run",
    "A policy is one file of plain lines; every setting it leaves out has the default that show prints.",
    policy_positionals,
    {},
    policy_examples,
    run_policy};

}  // namespace skep::cli
