// SPDX-License-Identifier: Apache-2.0
#include "module/policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "platform/program_type.hpp"

namespace skep::module {

namespace {

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    for (size_t at = 0; at < line.size();) {
        while (at < line.size() && (line[at] == ' ' || line[at] == '\t')) ++at;
        size_t end = at;
        while (end < line.size() && line[end] != ' ' && line[end] != '\t') ++end;
        if (end > at) words.push_back(line.substr(at, end - at));
        at = end;
    }
    return words;
}

bool is_hex(std::string_view text, size_t digits) {
    return (digits == 0 ? !text.empty() : text.size() == digits) &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

constexpr std::string_view known_engines[] = {"native", "jit", "interp", "kernel"};

}  // namespace

Result<Policy> parse_policy(std::string_view text) {
    Policy out;
    out.engines.clear();
    size_t number = 0;
    bool first = true;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        at = end + 1;
        ++number;
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        if (const size_t comment = line.find('#'); comment != std::string_view::npos) line = line.substr(0, comment);
        const std::vector<std::string_view> words = words_of(line);
        if (words.empty()) continue;
        const auto wrong = [&](std::string why) {
            return Error(Errc::Syntax, fmt::format("line {} of the policy is not understood", number), std::move(why),
                         "docs/formats/policy.md lists what a policy may say");
        };
        if (first) {
            if (words.size() != 2 || words[0] != "skep-policy" || words[1] != "1")
                return wrong("the first line has to be \"skep-policy 1\"");
            first = false;
            continue;
        }
        const std::string_view key = words[0];
        const auto yes_or_no = [&](bool* to) -> Result<void> {
            if (words.size() != 2 || (words[1] != "yes" && words[1] != "no")) return wrong("it takes yes or no");
            *to = words[1] == "yes";
            return {};
        };
        if (key == "engine") {
            for (size_t i = 1; i < words.size(); ++i) {
                if (std::ranges::find(known_engines, words[i]) == std::end(known_engines))
                    return wrong(fmt::format("there is no engine \"{}\"", words[i]));
                out.engines.emplace_back(words[i]);
            }
            if (words.size() < 2) return wrong("it names no engine");
        } else if (key == "require-signature") {
            SKEP_TRY(yes_or_no(&out.require_signature));
        } else if (key == "require-certificate") {
            SKEP_TRY(yes_or_no(&out.require_certificate));
        } else if (key == "root") {
            const size_t start = line.find("root") + 4;
            const size_t from = line.find_first_not_of(" \t", start), to = line.find_last_not_of(" \t");
            if (from == std::string_view::npos) return wrong("it names no file");
            out.roots.emplace_back(line.substr(from, to - from + 1));
        } else if (key == "signer") {
            if (words.size() != 2 || !is_hex(words[1], 64))
                return wrong("it takes the SHA-256 of a certificate, in hex");
            out.signers.emplace_back(words[1]);
        } else if (key == "deny") {
            if (words.size() == 3 && words[1] == "image" && is_hex(words[2], 64)) {
                out.denied_images.emplace_back(words[2]);
            } else if (words.size() == 3 && words[1] == "serial" && is_hex(words[2], 0)) {
                out.denied_serials.emplace_back(words[2]);
            } else if (words.size() == 3 && words[1] == "certificate" && is_hex(words[2], 64)) {
                out.denied_certificates.emplace_back(words[2]);
            } else {
                return wrong("it takes image, serial or certificate, and a number in lower-case hex");
            }
        } else if (key == "hook") {
            for (size_t i = 1; i < words.size(); ++i) {
                const auto type = platform::program_type_from_name(words[i]);
                if (!type) return wrong(fmt::format("there is no program type \"{}\"", words[i]));
                out.hooks.emplace_back(platform::program_type_name(*type));
            }
            if (words.size() < 2) return wrong("it names no program type");
        } else if (key == "limit") {
            const auto type = words.size() == 4 ? platform::program_type_from_name(words[1]) : std::nullopt;
            uint64_t value = 0;
            const auto parsed = words.size() == 4
                                    ? std::from_chars(words[3].data(), words[3].data() + words[3].size(), value)
                                    : std::from_chars_result{};
            if (!type || parsed.ec != std::errc() || parsed.ptr != words[3].data() + words[3].size() || value == 0 ||
                (words[2] != "instructions" && words[2] != "helper-calls"))
                return wrong("it takes a program type, instructions or helper-calls, and a number above 0");
            CostLimit& limit = out.limits[platform::program_type_name(*type)];
            (words[2] == "instructions" ? limit.instructions : limit.helper_calls) = value;
        } else {
            return wrong(fmt::format("there is no setting \"{}\"", key));
        }
    }
    if (first) return Error(Errc::Syntax, "the policy is empty", "the first line has to be \"skep-policy 1\"");
    if (out.engines.empty()) out.engines = Policy{}.engines;
    return out;
}

std::string policy_text(const Policy& policy) {
    std::string out = "skep-policy 1\nengine";
    for (const std::string& engine : policy.engines) out += " " + engine;
    out += fmt::format("\nrequire-signature {}\nrequire-certificate {}\n", policy.require_signature ? "yes" : "no",
                       policy.require_certificate ? "yes" : "no");
    for (const std::string& root : policy.roots) out += "root " + root + "\n";
    for (const std::string& signer : policy.signers) out += "signer " + signer + "\n";
    for (const std::string& image : policy.denied_images) out += "deny image " + image + "\n";
    for (const std::string& serial : policy.denied_serials) out += "deny serial " + serial + "\n";
    for (const std::string& certificate : policy.denied_certificates) out += "deny certificate " + certificate + "\n";
    if (!policy.hooks.empty()) {
        out += "hook";
        for (const std::string& hook : policy.hooks) out += " " + hook;
        out += "\n";
    }
    for (const auto& [type, limit] : policy.limits) {
        if (limit.instructions != 0) out += fmt::format("limit {} instructions {}\n", type, limit.instructions);
        if (limit.helper_calls != 0) out += fmt::format("limit {} helper-calls {}\n", type, limit.helper_calls);
    }
    return out;
}

namespace {

Error denied(std::string what, std::string why) {
    return Error(Errc::AccessDenied, std::move(what), std::move(why), "skep policy show prints what is allowed");
}

}  // namespace

Result<void> allows_program(const Policy& policy, std::string_view name, const std::string& type,
                            const CostBound& cost) {
    if (!policy.hooks.empty() && std::ranges::find(policy.hooks, type) == policy.hooks.end())
        return denied(fmt::format("the policy does not allow programs of type {}", type),
                      fmt::format("program {}", name));
    const auto found = policy.limits.find(type);
    if (found == policy.limits.end()) return {};
    const auto over = [&](const char* what, uint64_t limit, uint64_t proved) -> Result<void> {
        if (limit == 0 || (proved != 0 && proved <= limit)) return {};
        return denied(fmt::format("program {} may cost more than the policy allows", name),
                      proved == 0 ? fmt::format("no bound of its {} is proved; the limit is {}", what, limit)
                                  : fmt::format("{} {}; the limit is {}", proved, what, limit));
    };
    SKEP_TRY(over("instructions", found->second.instructions, cost.instructions));
    // A program without calls has a proved bound of 0, told apart by its bound of instructions.
    if (cost.helper_calls != 0 || cost.instructions == 0)
        SKEP_TRY(over("helper calls", found->second.helper_calls, cost.helper_calls));
    return {};
}

Result<void> allows(const Policy& policy, const Descriptor& descriptor) {
    if (std::ranges::find(policy.engines, "native") == policy.engines.end())
        return denied("the policy does not allow native modules", "its line \"engine\" does not name native");
    if (policy.require_certificate && descriptor.verifier == "none")
        return denied("the policy wants verified programs and the module's are not",
                      "its line \"require-certificate\" says yes");
    for (const ModuleProgram& program : descriptor.programs)
        SKEP_TRY(allows_program(policy, program.name, program.type, program.cost));
    return {};
}

}  // namespace skep::module
