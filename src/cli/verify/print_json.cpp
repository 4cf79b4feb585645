// SPDX-License-Identifier: Apache-2.0
// Verdicts as JSON: our own form, and SARIF 2.1.0 for editors and code hosts.
#include <cctype>
#include <map>

#include <fmt/format.h>

#include "cli/verify/examine.hpp"

namespace skep::cli {

Json place_json(const verifier::CodePlace& place) {
    Json json = Json::object();
    if (place.insn != verifier::no_insn) json.set("insn", place.insn);
    if (!place.insn_text.empty()) json.set("insn_text", place.insn_text);
    if (!place.function.empty()) json.set("function", place.function);
    if (place.source) {
        Json source = Json::object().set("file", place.source->file).set("line", place.source->line);
        if (place.source->column != 0) source.set("column", place.source->column);
        if (!place.source->text.empty()) source.set("text", place.source->text);
        json.set("source", std::move(source));
    }
    return json;
}

namespace {

using verifier::CodePlace;
using verifier::Diagnostic;
using verifier::Remark;
using verifier::SourceText;
using verifier::Verdict;

Json remarks_json(const std::vector<Remark>& remarks) {
    Json list = Json::array();
    for (const Remark& remark : remarks) {
        Json json = place_json(remark.place);
        json.set("says", remark.text);
        list.push(std::move(json));
    }
    return list;
}

Json diagnostic_json(const Diagnostic& d, const PrintOptions& options) {
    Json json = Json::object()
                    .set("code", d.code)
                    .set("verdict", verifier::verdict_word(d.verdict))
                    .set("title", d.title)
                    .set("rule", d.page)
                    .set("place", place_json(d.place))
                    .set("what", d.what);
    const auto add = [&](const char* key, const std::string& value) {
        if (!value.empty()) json.set(key, value);
    };
    add("needs", d.needs);
    add("known", d.known);
    if (!d.why.empty()) json.set("why", remarks_json(d.why));
    if (!d.path.empty()) json.set("path", remarks_json(d.path));
    if (!d.example.empty()) {
        Json lines = Json::array();
        for (const std::string& line : d.example) lines.push(line);
        json.set("example", Json::object().set("replayed", d.replayed).set("says", std::move(lines)));
    }
    add("help", d.help);
    if (!d.fix.empty()) json.set("fix", Json::object().set("before_line", d.fix_line).set("text", d.fix));
    if (options.trace) add("state", d.state);
    return json;
}

Json statistics_json(const verifier::Statistics& s) {
    return Json::object()
        .set("instructions", s.instructions)
        .set("steps", s.steps)
        .set("checked_steps", s.checked_steps)
        .set("attempts", s.attempts)
        .set("cuts", s.cuts)
        .set("disjuncts", s.disjuncts)
        .set("joins", s.joins)
        .set("widenings", s.widenings)
        .set("certificate_bytes", s.certificate_bytes)
        .set("peak_state_bytes", s.peak_state_bytes)
        .set("search_ns", s.search_time.count())
        .set("check_ns", s.check_time.count());
}

/// A file name as a relative URI reference (RFC 3986): everything but unreserved characters and slashes escaped.
std::string uri(std::string_view path) {
    std::string out = path.starts_with('/') ? "file://" : "";
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || std::string_view("-._~/").find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", byte);
        }
    }
    return out;
}

Json location_json(const object::ObjectSpec& spec, const CodePlace& place, std::string_view says) {
    Json physical = Json::object();
    if (place.source) {
        physical.set("artifactLocation", Json::object().set("uri", uri(place.source->file)));
        Json region = Json::object().set("startLine", place.source->line);
        if (place.source->column != 0) region.set("startColumn", place.source->column);
        if (!place.source->text.empty()) region.set("snippet", Json::object().set("text", place.source->text));
        physical.set("region", std::move(region));
    } else {
        physical.set("artifactLocation", Json::object().set("uri", uri(spec.file)));
    }
    Json location = Json::object().set("physicalLocation", std::move(physical));
    if (!place.function.empty()) {
        location.set("logicalLocations",
                     Json::array().push(Json::object().set("name", place.function).set("kind", "function")));
    }
    if (!says.empty()) location.set("message", Json::object().set("text", says));
    return location;
}

const char* level_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::Unsafe:
        case Verdict::Policy: return "error";
        case Verdict::Unproven:
        case Verdict::Limit:
        case Verdict::NotModelled: return "warning";
        case Verdict::Accepted: return "note";
    }
    return "none";
}

std::string message_of(const Diagnostic& d) {
    std::string text = fmt::format("{}: {}", verifier::verdict_word(d.verdict), d.what.empty() ? d.title : d.what);
    if (!d.needs.empty()) text += fmt::format("\nneeds: {}", d.needs);
    if (!d.known.empty()) text += fmt::format("\nknown: {}", d.known);
    if (!d.help.empty()) text += fmt::format("\nhelp: {}", d.help);
    return text;
}

}  // namespace

Json verdict_json(const object::ObjectSpec& spec, const std::vector<Examined>& programs, const PrintOptions& options) {
    Json list = Json::array();
    for (const Examined& one : programs) {
        Json json = Json::object().set("program", one.program).set("section", one.section);
        if (one.unreadable) {
            json.set("verdict", "UNREADABLE").set("error", *error_json(*one.unreadable).find("error"));
            list.push(std::move(json));
            continue;
        }
        json.set("verdict", verifier::verdict_word(one.verdict));
        if (one.verdict == Verdict::Accepted) {
            json.set("cost", Json::object()
                                 .set("instructions", one.cost.instructions)
                                 .set("helper_calls", one.cost.helper_calls)
                                 .set("stack_bytes", one.cost.stack_bytes));
        }
        Json failures = Json::array();
        for (const Diagnostic& d : one.diagnostics) {
            failures.push(diagnostic_json(d, options));
            if (!options.all) break;
        }
        json.set("failures", std::move(failures)).set("elapsed_ns", one.elapsed_ns);
        if (options.stats) json.set("statistics", statistics_json(one.statistics));
        list.push(std::move(json));
    }
    return Json::object().set("file", spec.file).set("programs", std::move(list));
}

Json verdict_sarif(const object::ObjectSpec& spec, const std::vector<Examined>& programs, const PrintOptions& options) {
    Json rules = Json::array(), results = Json::array();
    std::map<std::string, uint32_t> indices;
    for (const Examined& one : programs) {
        for (const Diagnostic& d : one.diagnostics) {
            const auto [at, added] = indices.emplace(d.code, static_cast<uint32_t>(indices.size()));
            if (added) {
                rules.push(Json::object()
                               .set("id", d.code)
                               .set("shortDescription", Json::object().set("text", d.title))
                               .set("helpUri", uri(d.page)));
            }
            Json result = Json::object()
                              .set("ruleId", d.code)
                              .set("ruleIndex", at->second)
                              .set("level", level_of(d.verdict))
                              .set("message", Json::object().set("text", message_of(d)))
                              .set("locations", Json::array().push(location_json(spec, d.place, {})));
            if (!d.why.empty()) {
                Json related = Json::array();
                for (const Remark& remark : d.why) related.push(location_json(spec, remark.place, remark.text));
                result.set("relatedLocations", std::move(related));
            }
            if (!d.path.empty()) {
                Json steps = Json::array();
                for (const Remark& remark : d.path) {
                    steps.push(Json::object().set("location", location_json(spec, remark.place, remark.text)));
                }
                steps.push(Json::object().set("location", location_json(spec, d.place, d.title)));
                result.set("codeFlows",
                           Json::array().push(Json::object().set(
                               "threadFlows", Json::array().push(Json::object().set("locations", std::move(steps))))));
            }
            if (!d.fix.empty() && d.place.source) {
                Json region = Json::object().set("startLine", d.fix_line).set("startColumn", 1u).set("endColumn", 1u);
                Json replacement = Json::object()
                                       .set("deletedRegion", std::move(region))
                                       .set("insertedContent", Json::object().set("text", d.fix + "\n"));
                Json change = Json::object()
                                  .set("artifactLocation", Json::object().set("uri", uri(d.place.source->file)))
                                  .set("replacements", Json::array().push(std::move(replacement)));
                result.set("fixes",
                           Json::array().push(Json::object()
                                                  .set("description", Json::object().set("text", d.help))
                                                  .set("artifactChanges", Json::array().push(std::move(change)))));
            }
            Json properties = Json::object()
                                  .set("program", one.program)
                                  .set("section", one.section)
                                  .set("verdict", verifier::verdict_word(d.verdict));
            if (d.place.insn != verifier::no_insn) {
                properties.set("insn", d.place.insn).set("insnText", d.place.insn_text);
            }
            result.set("properties", std::move(properties));
            results.push(std::move(result));
            if (!options.all) break;
        }
    }
    bool complete = true;
    for (const Examined& one : programs) complete = complete && !one.unreadable;
    Json driver = Json::object()
                      .set("name", "skep")
                      .set("informationUri", "https://www.rfc-editor.org/rfc/rfc9669")
                      .set("rules", std::move(rules));
    Json run = Json::object()
                   .set("tool", Json::object().set("driver", std::move(driver)))
                   .set("invocations", Json::array().push(Json::object().set("executionSuccessful", complete)))
                   .set("results", std::move(results));
    return Json::object()
        .set("$schema", "https://json.schemastore.org/sarif-2.1.0.json")
        .set("version", "2.1.0")
        .set("runs", Json::array().push(std::move(run)));
}

}  // namespace skep::cli
