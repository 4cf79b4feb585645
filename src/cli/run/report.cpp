// SPDX-License-Identifier: Apache-2.0
#include "cli/run/report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/inspect.hpp"
#include "cli/run/values.hpp"
#include "cli/table.hpp"
#include "maps/map.hpp"

namespace skep::cli {

namespace {

using object::MapSpec;
using object::ObjectSpec;

bool is_data(const MapSpec& map) {
    return map.origin == object::MapOrigin::Data || map.origin == object::MapOrigin::Kconfig;
}

bool zero(Bytes bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

/// The type of events of `size` bytes: --event-type; the map's value type; a struct of the object named event or like
/// the map (without a plural s) whose size is that of the record (perf pads records to 8 bytes).
TypeRef event_type(const ObjectSpec& spec, const MapSpec& map, const std::string& wanted, size_t size) {
    if (spec.btf == nullptr) return {};
    const auto fits = [&](btf::TypeId id) {
        const auto bytes = id == 0 ? std::nullopt : spec.btf->size_of(id);
        return bytes && *bytes <= size && size - *bytes < 8;
    };
    if (!wanted.empty()) {
        for (const btf::TypeId id : spec.btf->named(wanted))
            if (fits(id)) return {spec.btf.get(), id};
        return {};
    }
    if (fits(map.value_type)) return {spec.btf.get(), map.value_type};
    std::string singular = map.name;
    if (singular.ends_with('s')) singular.pop_back();
    for (const std::string& name : {std::string("event"), singular, map.name})
        if (const btf::TypeId id = spec.btf->find(btf::Kind::Struct, name); fits(id)) return {spec.btf.get(), id};
    return {};
}

btf::Value event_value(const ObjectSpec& spec, const MapSpec& map, const std::string& wanted, const Buffer& bytes) {
    const TypeRef type = event_type(spec, map, wanted, bytes.size());
    if (type.type == 0) return btf::Value{btf::BytesValue{bytes}};
    return typed(type, Bytes(bytes).first(static_cast<size_t>(*type.btf->size_of(type.type))));
}

/// Variables of writable data maps that the program uses, with their bytes now.
struct Variable {
    const object::GlobalSpec* spec;
    btf::Value value;
};

std::vector<Variable> variables(const ObjectSpec& spec, const std::vector<std::optional<MapContents>>& contents) {
    std::vector<Variable> list;
    for (const object::GlobalSpec& global : spec.globals) {
        const MapSpec& map = spec.maps[global.map];
        if (map.read_only || !contents[global.map] || global.holds_addresses) continue;
        Buffer bytes(map.value_size);  // an array shows no entry while it is all zero
        if (!contents[global.map]->entries.empty()) bytes = contents[global.map]->entries[0].values[0];
        const auto part = slice(bytes, global.offset, global.size);
        if (part) list.push_back({&global, typed({spec.btf.get(), global.type}, *part)});
    }
    return list;
}

std::vector<std::optional<MapContents>> all_contents(const ObjectSpec& spec, Backend& backend) {
    std::vector<std::optional<MapContents>> list(spec.maps.size());
    for (uint32_t i = 0; i < spec.maps.size(); ++i) {
        Result<std::optional<MapContents>> contents = backend.contents(i);
        if (contents) list[i] = *std::move(contents);
    }
    return list;
}

struct Reporter {
    const ObjectSpec& spec;
    const RunSummary& summary;

    TypeRef key_type(const MapSpec& map) const { return {spec.btf.get(), map.key_type}; }
    TypeRef value_type(const MapSpec& map) const { return {spec.btf.get(), map.value_type}; }
    bool percpu(const MapContents& contents) const { return maps::is_percpu(contents.type); }

    void map_text(std::string& text, const MapSpec& map, const MapContents& contents, const Output& output) const {
        text += "\n" + output.heading(fmt::format("map {}", map.name)) +
                fmt::format(" ({}, {} of {})\n", platform::map_type_name(contents.type), contents.entries.size(),
                            contents.max_entries);
        if (contents.entries.empty()) return;
        const bool keyless = contents.entries[0].key.empty();
        Table table(keyless ? std::vector<std::string>{"value"} : std::vector<std::string>{"key", "value"});
        size_t shown = 0;
        for (const MapEntry& entry : contents.entries) {
            if (++shown > summary.entry_limit) break;
            std::vector<std::string> cells;
            if (!keyless) cells.push_back(btf::to_text(typed(key_type(map), entry.key)));
            const std::string key = keyless ? "" : cells[0];
            if (!entry.note.empty()) {
                cells.push_back(entry.note);
            } else if (!percpu(contents)) {
                cells.push_back(btf::to_text(typed(value_type(map), entry.values[0])));
            } else if (summary.sum_percpu) {
                cells.push_back(btf::to_text(summed(value_type(map), entry.values)));
            } else {
                for (size_t cpu = 0; cpu < entry.values.size(); ++cpu) {
                    if (zero(entry.values[cpu])) continue;
                    if (cells.size() > 1) {
                        table.add(cells);
                        cells = {""};
                    }
                    cells.push_back(
                        fmt::format("cpu {}: {}", cpu, btf::to_text(typed(value_type(map), entry.values[cpu]))));
                }
                if (cells.size() == 1) cells.push_back("zero on every cpu");
            }
            table.add(cells);
        }
        text += table.to_string(2);
        if (contents.entries.size() > summary.entry_limit)
            text += fmt::format("  ({} more; --entries {} shows all)\n", contents.entries.size() - summary.entry_limit,
                                contents.entries.size());
    }

    Json map_json(const MapSpec& map, const MapContents& contents) const {
        Json entries = Json::array();
        for (const MapEntry& entry : contents.entries) {
            Json json = Json::object();
            if (!entry.key.empty()) json.set("key", value_json(typed(key_type(map), entry.key)));
            if (!entry.note.empty()) {
                json.set("value", entry.note);
            } else if (!percpu(contents)) {
                json.set("value", value_json(typed(value_type(map), entry.values[0])));
            } else if (summary.sum_percpu) {
                json.set("value", value_json(summed(value_type(map), entry.values)));
            } else {
                Json cpus = Json::array();
                for (size_t cpu = 0; cpu < entry.values.size(); ++cpu)
                    cpus.push(Json::object()
                                  .set("cpu", cpu)
                                  .set("value", value_json(typed(value_type(map), entry.values[cpu]))));
                json.set("values", std::move(cpus));
            }
            entries.push(std::move(json));
        }
        return Json::object()
            .set("name", map.name)
            .set("type", platform::map_type_name(contents.type))
            .set("max_entries", contents.max_entries)
            .set("entries", std::move(entries));
    }
};

/// Nanoseconds per packet: the median of the batches, so that a moment when the host gave the processor to somebody
/// else does not count; 0 without packets.
double per_packet(const RunSummary& summary) {
    if (summary.batch_ns.empty()) return 0;
    std::vector<double> sorted = summary.batch_ns;
    const auto middle = sorted.begin() + static_cast<ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return *middle;
}

uint64_t total(const std::map<uint64_t, uint64_t>& counts) {
    uint64_t sum = 0;
    for (const auto& [key, count] : counts) sum += count;
    return sum;
}

}  // namespace

std::string report_text(const ObjectSpec& spec, Backend& backend, const RunSummary& summary, const Output& output) {
    const Reporter reporter{spec, summary};
    const ProgramFigures& figures = summary.figures;
    std::string text = output.heading(fmt::format("{} ({}) on {}", summary.program, figures.type, summary.engine));
    text += fmt::format(": {} packets, {:.1f} ns each{}\n", grouped(summary.packets), per_packet(summary),
                        summary.repeats > 1 ? fmt::format(", the capture {} times", summary.repeats) : "");
    if (figures.instructions != 0) {
        text += fmt::format("  {} instructions", grouped(figures.instructions));
        if (figures.code_bytes != 0) text += fmt::format(", {} bytes of code", grouped(figures.code_bytes));
        if (figures.compile_ns != 0) text += fmt::format(", made in {} us", grouped(figures.compile_ns / 1000));
        text += figures.verified ? ", verified\n" : ", not verified\n";
    }
    text += "\n";
    Table verdicts({"verdict", ">packets", ">share"});
    for (const auto& [verdict, count] : summary.verdicts) {
        const double share =
            static_cast<double>(count) * 100.0 / static_cast<double>(std::max<uint64_t>(summary.packets, 1));
        verdicts.add({platform::verdict_name(verdict), grouped(count), fmt::format("{:.1f} %", share)});
    }
    text += verdicts.to_string(2);
    if (const uint64_t skipped = total(summary.skipped); skipped != 0)
        text +=
            fmt::format("  ({} more were left out: too short for an Ethernet header, or too long)\n", grouped(skipped));
    for (const auto& [target, count] : summary.redirects)
        text += fmt::format("  redirected to {}: {}\n", target, grouped(count));

    const std::vector<std::optional<MapContents>> contents = all_contents(spec, backend);
    for (size_t i = 0; i < spec.maps.size(); ++i)
        if (contents[i] && !is_data(spec.maps[i])) reporter.map_text(text, spec.maps[i], *contents[i], output);

    if (const std::vector<Variable> list = variables(spec, contents); !list.empty()) {
        text += "\n" + output.heading("global variables") + "\n";
        Table table({"", ""});
        for (const Variable& variable : list) table.add({variable.spec->name, btf::to_text(variable.value)});
        text += table.to_string(2);
    }
    for (const EventLog& log : backend.events()) {
        const MapSpec& map = spec.maps[log.map];
        text +=
            "\n" + output.heading(fmt::format("events from {}", map.name)) + fmt::format(": {}", grouped(log.count));
        text += log.lost != 0 ? fmt::format(", {} lost\n", grouped(log.lost)) : "\n";
        for (size_t i = 0; i < log.first.size() && i < summary.event_limit; ++i)
            text += "  " + btf::to_text(event_value(spec, map, summary.event_type, log.first[i])) + "\n";
        if (log.count > summary.event_limit)
            text += fmt::format("  ({} more; --events N shows N)\n", log.count - summary.event_limit);
    }
    if (!backend.lines().empty()) {
        text += "\n" + output.heading("printed lines") +
                fmt::format(": {}\n", backend.lines().size() + backend.lines_dropped());
        size_t shown = 0;
        for (const std::string& line : backend.lines()) {
            if (++shown > summary.event_limit) break;
            text += "  " + line + "\n";
        }
        if (backend.lines().size() > summary.event_limit)
            text += fmt::format("  ({} more; --events N shows N)\n", backend.lines().size() - summary.event_limit);
    }
    return text;
}

Json map_json(const ObjectSpec& spec, const MapSpec& map, const MapContents& contents) {
    const RunSummary summary;
    return Reporter{spec, summary}.map_json(map, contents);
}

Json report_json(const ObjectSpec& spec, Backend& backend, const RunSummary& summary) {
    const Reporter reporter{spec, summary};
    Json verdicts = Json::object();
    for (const auto& [verdict, count] : summary.verdicts) verdicts.set(platform::verdict_name(verdict), count);
    Json redirects = Json::array();
    for (const auto& [target, count] : summary.redirects)
        redirects.push(Json::object().set("target", target).set("packets", count));
    const std::vector<std::optional<MapContents>> contents = all_contents(spec, backend);
    Json maps = Json::array();
    for (size_t i = 0; i < spec.maps.size(); ++i)
        if (contents[i] && !is_data(spec.maps[i])) maps.push(reporter.map_json(spec.maps[i], *contents[i]));
    Json globals = Json::object();
    for (const Variable& variable : variables(spec, contents))
        globals.set(variable.spec->name, value_json(variable.value));
    Json events = Json::array();
    for (const EventLog& log : backend.events()) {
        const MapSpec& map = spec.maps[log.map];
        Json records = Json::array();
        for (const Buffer& bytes : log.first)
            records.push(value_json(event_value(spec, map, summary.event_type, bytes)));
        events.push(Json::object()
                        .set("map", map.name)
                        .set("count", log.count)
                        .set("lost", log.lost)
                        .set("first", std::move(records)));
    }
    Json lines = Json::array();
    for (const std::string& line : backend.lines()) lines.push(line);
    return Json::object()
        .set("object", summary.object)
        .set("program", summary.program)
        .set("type", summary.figures.type)
        .set("engine", summary.engine)
        .set("verified", summary.figures.verified)
        .set("capture", summary.capture)
        .set("packets", summary.packets)
        .set("left_out", total(summary.skipped))
        .set("verdicts", std::move(verdicts))
        .set("redirects", std::move(redirects))
        .set("maps", std::move(maps))
        .set("globals", std::move(globals))
        .set("events", std::move(events))
        .set("printed", std::move(lines))
        .set("timing", Json::object()
                           .set("ns_per_packet", per_packet(summary))
                           .set("elapsed_ns", summary.elapsed_ns)
                           .set("compile_ns", summary.figures.compile_ns)
                           .set("code_bytes", summary.figures.code_bytes)
                           .set("instructions", summary.figures.instructions));
}

}  // namespace skep::cli
