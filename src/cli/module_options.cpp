// SPDX-License-Identifier: Apache-2.0
#include "cli/module_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/file.hpp"
#include "platform/program_type.hpp"
#include "runtime/load/unverified.hpp"

namespace skep::cli {

namespace {

bool holds_pem(Bytes file, std::string_view label) {
    const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
    for (size_t at = text.find("-----BEGIN "); at != std::string_view::npos; at = text.find("-----BEGIN ", at + 1))
        if (text.substr(at, text.find('\n', at) - at).find(fmt::format("{}-----", label)) != std::string_view::npos)
            return true;
    return false;
}

}  // namespace

Result<std::vector<std::byte>> read_pem(const std::string& path, std::string_view label) {
    SKEP_ASSIGN(std::vector<std::byte> file, read_file(path));
    if (!holds_pem(file, label))
        return Error(Errc::Malformed,
                     fmt::format("there is no PEM {} in it", label == "CERTIFICATE" ? "certificate" : "private key"),
                     fmt::format("no line reads -----BEGIN {}-----", label))
            .in_file(path);
    return file;
}

/// A file, or every file of a folder that holds certificates, in the order of their names. A root that names none is
/// a slip: the refusals that follow from it would be about the module.
Result<void> read_roots(const std::string& path, std::vector<module::Buffer>& roots) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
        SKEP_ASSIGN(std::vector<std::byte> pem, read_pem(path, "CERTIFICATE"));
        roots.push_back(std::move(pem));
        return {};
    }
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(path, error))
        if (entry.is_regular_file(error)) files.push_back(entry.path().string());
    if (error) return Error(Errc::CannotRead, "the folder of roots cannot be read", error.message()).in_file(path);
    std::sort(files.begin(), files.end());
    const size_t before = roots.size();
    for (const std::string& file : files) {
        SKEP_ASSIGN(std::vector<std::byte> pem, read_file(file));
        if (holds_pem(pem, "CERTIFICATE")) roots.push_back(std::move(pem));
    }
    if (roots.size() == before)
        return Error(Errc::Malformed, "no file of this folder holds a PEM certificate").in_file(path);
    return {};
}

Result<module::CheckOptions> check_options(const Arguments& arguments) {
    module::CheckOptions out;
    if (const auto file = arguments.text("policy")) {
        SKEP_ASSIGN(const std::vector<std::byte> text, read_file(*file));
        auto policy = module::parse_policy({reinterpret_cast<const char*>(text.data()), text.size()});
        if (!policy) return std::move(policy).error().in_file(*file);
        out.policy = *std::move(policy);
    }
    if (const auto root = arguments.text("root")) out.policy.roots.push_back(*root);
    for (const std::string& root : out.policy.roots) SKEP_TRY(read_roots(root, out.roots));
    for (const char* flag : {"allow-unsigned", "unverified"}) {
        if (!arguments.flag(flag)) continue;
        if (!runtime::unverified_programs_possible())
            return Error(Errc::AccessDenied, std::string("this build knows no --") + flag,
                         "a production build runs signed modules of verified programs only");
        (flag == std::string_view("allow-unsigned") ? out.policy.require_signature : out.policy.require_certificate) =
            false;
    }
    return out;
}

bool asks_policy(const Arguments& arguments) {
    return arguments.text("policy") || !runtime::unverified_programs_possible();
}

std::function<Result<void>(const ExecutableProgram&)> admission(const Arguments& arguments,
                                                                const module::CheckOptions& options) {
    if (!asks_policy(arguments)) return {};
    return [policy = options.policy](const ExecutableProgram& program) {
        const BoundProgram& bound = program.bound();
        return module::allows_program(policy, bound.linked.name, platform::program_type_name(bound.type),
                                      program.cost());
    };
}

Result<void> engine_allowed(const Arguments& arguments, const module::CheckOptions& options, const std::string& engine,
                            bool is_object) {
    const auto& engines = options.policy.engines;
    if (!asks_policy(arguments) || std::ranges::find(engines, engine) != engines.end()) return {};
    std::string allowed;
    for (const std::string& name : engines) allowed += (allowed.empty() ? "" : ", ") + name;
    const bool compile = is_object && std::ranges::find(engines, "native") != engines.end();
    return Error(Errc::AccessDenied, fmt::format("the policy does not allow the engine {}", engine),
                 fmt::format("its line \"engine\" names {}{}", allowed,
                             compile ? "; this is an object, and native runs modules" : ""),
                 compile ? fmt::format("make a signed module of it (skep compile, skep sign) and run that, or give a "
                                       "policy that names {} with --policy FILE",
                                       engine)
                         : "skep policy show prints what is allowed");
}

}  // namespace skep::cli
