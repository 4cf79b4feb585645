// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect.hpp"

#include <fmt/format.h>

#include "cli/table.hpp"
#include "object/link.hpp"
#include "platform/map_type.hpp"
#include "program/personality.hpp"

namespace skep::cli {

namespace {

using object::ObjectSpec;

/// Whose numbers the object's are; nothing where nobody can tell.
using As = std::optional<platform::Personality>;

std::string map_type_text(As as, const object::MapSpec& map) {
    platform::MapType type{};
    const bool known = as && (*as == platform::Personality::Windows ? platform::map_type_from_windows(map.type, &type)
                                                                    : platform::map_type_from_linux(map.type, &type));
    return known ? platform::map_type_name(type) : fmt::format("type {}", map.type);
}

const char* origin_text(object::MapOrigin origin) {
    switch (origin) {
        case object::MapOrigin::Btf: return "btf";
        case object::MapOrigin::Legacy: return "legacy";
        case object::MapOrigin::Data: return "data";
        case object::MapOrigin::Kconfig: return "kconfig";
    }
    return "?";
}

const char* extern_text(object::ExternKind kind) {
    switch (kind) {
        case object::ExternKind::Kfunc: return "kernel function";
        case object::ExternKind::Variable: return "kernel variable";
        case object::ExternKind::Kconfig: return "kernel configuration";
        case object::ExternKind::Unknown: return "undeclared";
    }
    return "?";
}

std::string type_text(const ObjectSpec& spec, btf::TypeId type) {
    return type == 0 || spec.btf == nullptr ? std::string() : spec.btf->type_text(type);
}

std::string version_text(uint32_t version) {
    return fmt::format("{}.{}.{}", version >> 16, version >> 8 & 0xff, version & 0xff);
}

std::string size_and_type(const ObjectSpec& spec, uint32_t bytes, btf::TypeId type) {
    const std::string text = type_text(spec, type);
    return text.empty() ? fmt::to_string(bytes) : fmt::format("{} ({})", bytes, text);
}

std::string map_notes(const ObjectSpec& spec, As as, const object::MapSpec& map) {
    std::string notes;
    const auto add = [&](std::string text) {
        if (!notes.empty()) notes += ", ";
        notes += text;
    };
    if (map.origin != object::MapOrigin::Btf) add(origin_text(map.origin));
    if (map.read_only) add("read-only");
    if (map.flags != 0 && map.origin != object::MapOrigin::Data) add(fmt::format("flags {:#x}", map.flags));
    if (map.map_extra != 0) add(fmt::format("extra {}", map.map_extra));
    if (map.numa_node) add(fmt::format("NUMA node {}", *map.numa_node));
    if (map.pinning == object::MapPinning::ByName) add("pinned by name");
    if (!map.inner.empty()) {
        const object::MapSpec& inner = map.inner.front();
        add(fmt::format("of {} {}/{} x {}", map_type_text(as, inner), inner.key_size, inner.value_size,
                        inner.max_entries));
    }
    for (const object::MapSlot& slot : map.slots) {
        add(fmt::format("[{}] = {}", slot.key,
                        slot.is_program ? spec.programs[slot.target].name : spec.maps[slot.target].name));
    }
    if (!map.unsupported.empty()) add(fmt::format("not supported: {}", map.unsupported));
    return notes;
}

}  // namespace

std::string inspect_text(const ObjectSpec& spec, const InspectOptions& options,
                         const std::function<std::string(std::string_view)>& heading) {
    std::string out = fmt::format("{}\n", heading(spec.file));
    const PersonalityFinding finding = find_personality(spec);
    {
        Table facts({"", ""});
        facts.add({"licence", spec.license ? fmt::format("\"{}\"", *spec.license)
                                           : "none: helpers that demand a GPL-compatible licence will be refused"});
        if (spec.kernel_version) facts.add({"kernel version", version_text(*spec.kernel_version)});
        facts.add({"compiler", spec.gnu ? "GCC" : "LLVM"});
        facts.add({"machine", spec.machine == 0 ? "not given (an old compiler)" : "eBPF"});
        if (spec.btf == nullptr) {
            facts.add({"BTF", "none: compile with -g for types, names and source lines"});
        } else {
            facts.add({"BTF", fmt::format("{}{}", count_of(spec.btf->type_count() - 1, "type"),
                                          spec.btf_ext ? ", source lines and function types" : "")});
        }
        facts.add({"compiled for", finding.personality        ? std::string(personality_name(*finding.personality))
                                   : finding.evidence.empty() ? "not to be told: say it with --personality"
                                                              : "both, it seems: say it with --personality"});
        for (const PersonalityEvidence& e : finding.evidence)
            facts.add({"", fmt::format("{}: {}", personality_name(e.personality), e.text)});
        out += facts.to_string(2);
    }
    const auto part = [&](std::string_view title, const Table& table) {
        if (!table.empty()) out += fmt::format("\n{}\n{}", heading(title), table.to_string(2));
    };

    Table programs({"name", "section", ">slots", ">functions", ">maps", ">CO-RE", "notes"});
    for (size_t i = 0; i < spec.programs.size(); ++i) {
        const object::ProgramSpec& p = spec.programs[i];
        const auto linked = object::link(spec, i);
        std::string notes = p.autoload ? "" : "not loaded by default";
        if (!linked) {
            programs.add({p.name, p.section, "-", "-", "-", "-", "cannot be linked: " + linked.error().summary()});
            continue;
        }
        for (const uint32_t e : linked->externs) {
            notes += fmt::format("{}wants {}", notes.empty() ? "" : ", ", spec.externs[e].name);
        }
        programs.add({p.name, p.section, fmt::to_string(linked->code.size()),
                      fmt::to_string(linked->subprograms.size()), fmt::to_string(linked->maps.size()),
                      fmt::to_string(linked->core_relocations.size()), notes});
    }
    part("Programs", programs);

    Table maps({"name", "type", "key", "value", ">entries", "notes"});
    for (const object::MapSpec& m : spec.maps) {
        const bool data = m.origin == object::MapOrigin::Data || m.origin == object::MapOrigin::Kconfig;
        maps.add({m.name, map_type_text(finding.personality, m), size_and_type(spec, m.key_size, m.key_type),
                  data ? fmt::to_string(m.value_size) : size_and_type(spec, m.value_size, m.value_type),
                  fmt::to_string(m.max_entries), map_notes(spec, finding.personality, m)});
    }
    part("Maps", maps);

    Table globals({"name", "map", ">offset", ">bytes", "type", "initial value"});
    for (const object::GlobalSpec& g : spec.globals) {
        const object::MapSpec& m = spec.maps[g.map];
        std::string value;
        const auto bytes = slice(m.initial, g.offset, g.size);
        if (g.holds_addresses) {
            value = "addresses: not supported";
        } else if (m.initial.empty()) {
            value = "0";
        } else if (bytes && g.type != 0 && spec.btf != nullptr) {
            value = btf::to_text(btf::read_value(*spec.btf, g.type, *bytes));
        } else if (bytes) {
            value = btf::hex_text(*bytes);
        }
        if (value.size() > 60) value = value.substr(0, 57) + "...";
        globals.add({g.name + (g.is_static ? " (static)" : ""), m.name, fmt::format("{:#x}", g.offset),
                     fmt::to_string(g.size), type_text(spec, g.type), value});
    }
    part("Global variables", globals);

    Table externs({"name", "what", "type", "notes"});
    for (const object::ExternSpec& e : spec.externs) {
        externs.add({e.name, extern_text(e.kind), type_text(spec, e.type), e.weak ? "weak" : ""});
    }
    part("Wanted from the host", externs);

    Table functions({"name", "section", ">from slot", ">slots", "linkage"});
    for (const object::FunctionSpec& f : spec.functions) {
        functions.add({f.name, spec.sections[f.section].name, fmt::to_string(f.start), fmt::to_string(f.end - f.start),
                       f.weak     ? "weak"
                       : f.global ? "global"
                                  : "static"});
    }
    part("Functions", functions);

    Table unsupported({"section", "why"});
    for (const object::UnsupportedPart& u : spec.unsupported) unsupported.add({u.section, u.reason});
    part("Not used (what refers to it is refused)", unsupported);

    if (options.sections) {
        Table sections({">", "name", "use", ">offset", ">bytes", ">symbols", ">relocations"});
        for (size_t i = 1; i < spec.sections.size(); ++i) {
            const object::SectionSpec& s = spec.sections[i];
            sections.add({fmt::to_string(i), s.name, s.kind, fmt::format("{:#x}", s.offset), fmt::to_string(s.size),
                          s.symbols == 0 ? "" : fmt::to_string(s.symbols),
                          s.relocations == 0 ? "" : fmt::to_string(s.relocations)});
        }
        part("Sections", sections);
    }
    if (options.relocations) {
        Table relocations({"section", ">offset", "type", "symbol"});
        size_t left_out = 0;
        for (const object::RelocationSpec& r : spec.relocations) {
            const object::SectionSpec& s = spec.sections[r.section];
            if (s.kind == "debug" || s.kind == "btf") {
                ++left_out;
                continue;
            }
            relocations.add({s.name, fmt::format("{:#x}", r.offset), object::relocation_type_name(r.type),
                             spec.symbols[r.symbol].name});
        }
        part("Relocations", relocations);
        if (left_out != 0) out += fmt::format("  and {} in debug and type information\n", left_out);
    }
    return out;
}

namespace {

Json map_json(const ObjectSpec& spec, As as, const object::MapSpec& m) {
    Json map;
    map.set("name", m.name).set("origin", origin_text(m.origin)).set("section", m.section);
    map.set("type", map_type_text(as, m)).set("type_id", m.type);
    map.set("key_size", m.key_size).set("value_size", m.value_size).set("max_entries", m.max_entries);
    map.set("flags", m.flags).set("map_extra", m.map_extra);
    if (m.numa_node) map.set("numa_node", *m.numa_node);
    if (m.key_type != 0) map.set("key_type", type_text(spec, m.key_type));
    if (m.value_type != 0) map.set("value_type", type_text(spec, m.value_type));
    map.set("pinning", m.pinning == object::MapPinning::ByName ? "by_name" : "none");
    map.set("read_only", m.read_only);
    if (m.legacy_id) map.set("id", *m.legacy_id);
    if (!m.inner.empty()) {
        const object::MapSpec& inner = m.inner.front();  // one level: a template has no inside of its own
        Json inside;
        inside.set("type", map_type_text(as, inner)).set("type_id", inner.type).set("key_size", inner.key_size);
        inside.set("value_size", inner.value_size).set("max_entries", inner.max_entries).set("flags", inner.flags);
        map.set("inner", std::move(inside));
    }
    Json slots = Json::array();
    for (const object::MapSlot& slot : m.slots) {
        Json one;
        one.set("key", slot.key);
        one.set(slot.is_program ? "program" : "map",
                slot.is_program ? spec.programs[slot.target].name : spec.maps[slot.target].name);
        slots.push(std::move(one));
    }
    map.set("slots", std::move(slots));
    if (!m.unsupported.empty()) map.set("not_supported", m.unsupported);
    return map;
}

}  // namespace

Json inspect_json(const ObjectSpec& spec) {
    Json out;
    out.set("file", spec.file);
    out.set("license", spec.license ? Json(*spec.license) : Json());
    out.set("kernel_version", spec.kernel_version ? Json(version_text(*spec.kernel_version)) : Json());
    out.set("compiler", spec.gnu ? "gcc" : "llvm").set("machine", spec.machine);
    out.set("ebpf_for_windows", spec.ebpf_for_windows);
    const PersonalityFinding finding = find_personality(spec);
    out.set("personality", finding.personality ? Json(personality_name(*finding.personality)) : Json());
    Json evidence = Json::array();
    for (const PersonalityEvidence& e : finding.evidence)
        evidence.push(
            Json::object().set("for", personality_name(e.personality)).set("mark", e.mark).set("what", e.text));
    out.set("evidence", std::move(evidence));
    out.set("btf_types", spec.btf == nullptr ? 0u : spec.btf->type_count() - 1).set("btf_ext", spec.btf_ext);

    Json programs = Json::array();
    for (size_t i = 0; i < spec.programs.size(); ++i) {
        const object::ProgramSpec& p = spec.programs[i];
        Json program;
        program.set("name", p.name).set("section", p.section).set("autoload", p.autoload);
        const auto linked = object::link(spec, i);
        if (linked) {
            program.set("slots", linked->code.size());
            Json functions = Json::array(), maps = Json::array(), externs = Json::array();
            for (const object::Subprogram& s : linked->subprograms) functions.push(s.name);
            for (const uint32_t m : linked->maps) maps.push(spec.maps[m].name);
            for (const uint32_t e : linked->externs) externs.push(spec.externs[e].name);
            program.set("functions", std::move(functions)).set("maps", std::move(maps));
            program.set("externs", std::move(externs)).set("core_relocations", linked->core_relocations.size());
        } else {
            program.set("error", linked.error().summary());
        }
        programs.push(std::move(program));
    }
    out.set("programs", std::move(programs));

    Json maps = Json::array();
    for (const object::MapSpec& m : spec.maps) maps.push(map_json(spec, finding.personality, m));
    out.set("maps", std::move(maps));

    Json globals = Json::array();
    for (const object::GlobalSpec& g : spec.globals) {
        const object::MapSpec& m = spec.maps[g.map];
        Json global;
        global.set("name", g.name).set("map", m.name).set("offset", g.offset).set("size", g.size);
        if (g.type != 0) global.set("type", type_text(spec, g.type));
        global.set("static", g.is_static).set("holds_addresses", g.holds_addresses);
        const auto bytes = slice(m.initial, g.offset, g.size);
        if (bytes && g.type != 0 && spec.btf != nullptr && !g.holds_addresses) {
            global.set("value", value_json(btf::read_value(*spec.btf, g.type, *bytes)));
        }
        globals.push(std::move(global));
    }
    out.set("globals", std::move(globals));

    Json externs = Json::array();
    for (const object::ExternSpec& e : spec.externs) {
        Json one;
        one.set("name", e.name).set("kind", extern_text(e.kind)).set("weak", e.weak);
        if (e.type != 0) one.set("type", type_text(spec, e.type));
        externs.push(std::move(one));
    }
    out.set("externs", std::move(externs));

    Json functions = Json::array();
    for (const object::FunctionSpec& f : spec.functions) {
        Json one;
        one.set("name", f.name).set("section", spec.sections[f.section].name).set("start", f.start).set("end", f.end);
        one.set("linkage", f.weak ? "weak" : f.global ? "global" : "static");
        functions.push(std::move(one));
    }
    out.set("functions", std::move(functions));

    Json unsupported = Json::array();
    for (const object::UnsupportedPart& u : spec.unsupported) {
        Json one;
        one.set("section", u.section).set("reason", u.reason);
        unsupported.push(std::move(one));
    }
    out.set("not_supported", std::move(unsupported));

    Json sections = Json::array();
    for (size_t i = 1; i < spec.sections.size(); ++i) {
        const object::SectionSpec& s = spec.sections[i];
        Json one;
        one.set("index", i).set("name", s.name).set("use", s.kind).set("offset", s.offset).set("size", s.size);
        one.set("type", s.type).set("flags", s.flags).set("symbols", s.symbols).set("relocations", s.relocations);
        sections.push(std::move(one));
    }
    out.set("sections", std::move(sections));

    Json relocations = Json::array();
    for (const object::RelocationSpec& r : spec.relocations) {
        Json one;
        one.set("section", spec.sections[r.section].name).set("offset", r.offset).set("type", r.type);
        one.set("type_name", object::relocation_type_name(r.type)).set("symbol", spec.symbols[r.symbol].name);
        relocations.push(std::move(one));
    }
    out.set("relocations", std::move(relocations));
    return out;
}

Json value_json(const btf::Value& value) {
    // The depth is that of the type the value was read by: at most btf::max_nesting.
    struct Visitor {
        Json operator()(const btf::MissingValue&) const { return {}; }
        Json operator()(bool v) const { return v; }
        Json operator()(int64_t v) const { return v; }
        Json operator()(uint64_t v) const { return v; }
        Json operator()(double v) const { return v; }
        Json operator()(const std::string& v) const { return v; }
        Json operator()(const btf::EnumValue& v) const { return v.name.empty() ? Json(v.number) : Json(v.name); }
        Json operator()(const btf::PointerValue& v) const { return fmt::format("{:#x}", v.address); }
        Json operator()(const btf::BytesValue& v) const {
            Json out = Json::array();
            for (const std::byte b : v.bytes) out.push(std::to_integer<uint32_t>(b));
            return out;
        }
        Json operator()(const btf::Value::Elements& v) const {
            Json out = Json::array();
            for (const btf::Value& e : v) out.push(value_json(e));
            return out;
        }
        Json operator()(const btf::Value::Fields& v) const {
            Json out = Json::object();
            for (const btf::Field& f : v) out.set(f.name.empty() ? "_" : f.name, value_json(f.value));
            return out;
        }
    };
    return std::visit(Visitor{}, value.data);
}

}  // namespace skep::cli
