// SPDX-License-Identifier: Apache-2.0
// `skep verify --why-safe`: the proof of one instruction, as text and JSON.
#include <algorithm>

#include <fmt/format.h>

#include "cli/verify/examine.hpp"

namespace skep::cli {

namespace {

using verifier::CodePlace;
using verifier::ProofCase;
using verifier::Reason;
using verifier::SafetyProof;

/// "parse.c:61  `if (data + 34 > data_end)`", "instruction 4: if r3 > r2 goto +1"
std::string learned_words(const CodePlace& place) {
    if (!place.source) return fmt::format("instruction {}: {}", place.insn, place.insn_text);
    const std::string& file = place.source->file;
    std::string text = fmt::format("{}:{}", file.substr(file.find_last_of('/') + 1), place.source->line);
    const std::string& line = place.source->text;
    const size_t first = line.find_first_not_of(" \t");
    return first == std::string::npos ? text : text + fmt::format("  `{}`", line.substr(first));
}

std::string case_text(const ProofCase& one, const PrintOptions& options) {
    size_t width = std::string_view("one way").size();
    for (const Reason& reason : one.reasons) width = std::max(width, reason.subject.size());
    std::string text;
    for (const Reason& reason : one.reasons) {
        text += fmt::format("  {:<{}}  {}\n", reason.subject, width, reason.text);
        if (reason.learned) text += fmt::format("  {:<{}}  since {}\n", "", width, learned_words(*reason.learned));
    }
    if (one.followed && !one.path.empty())
        text += fmt::format("  {:<{}}  {}\n", "one way", width,
                            verifier::path_words(one.path, options.trace ? SIZE_MAX : 8));
    if (!one.followed) {
        text +=
            "  What is said here is the certificate's own: a loop or a join lies before, and every round or way is\n"
            "  inside it. The checker has confirmed that.\n";
    }
    return text;
}

}  // namespace

std::string proof_text(const std::string& program, const SafetyProof& proof, const PrintOptions& options,
                       const Output& output) {
    std::string text =
        output.heading(fmt::format("{}: instruction {} {}", program, proof.place.insn, proof.what)) + "\n";
    text += fmt::format("  --> {}\n", where_line(proof.place));
    text += excerpt(proof.place, proof.around, output);
    if (proof.cases.empty()) return text + "  no run gets here\n";
    if (proof.cases.size() == 1) return text + case_text(proof.cases.front(), options);
    constexpr size_t most = 4;
    const size_t shown = options.all ? proof.cases.size() : std::min(most, proof.cases.size());
    for (size_t i = 0; i < shown; ++i) {
        text += fmt::format("  case {} of {}\n", i + 1, proof.cases.size());
        text += case_text(proof.cases[i], options);
    }
    if (shown < proof.cases.size())
        text += fmt::format("  ({} more cases; --all shows them)\n", proof.cases.size() - shown);
    return text;
}

Json proof_json(const std::string& program, const SafetyProof& proof) {
    Json cases = Json::array();
    for (const ProofCase& one : proof.cases) {
        Json reasons = Json::array();
        for (const Reason& reason : one.reasons) {
            Json json = Json::object().set("of", reason.subject).set("says", reason.text);
            if (reason.learned) json.set("learned", place_json(*reason.learned));
            reasons.push(std::move(json));
        }
        cases.push(Json::object().set("states", one.states).set("reasons", std::move(reasons)));
    }
    return Json::object()
        .set("program", program)
        .set("place", place_json(proof.place))
        .set("what", proof.what)
        .set("cases", std::move(cases));
}

}  // namespace skep::cli
