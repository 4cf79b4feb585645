// SPDX-License-Identifier: Apache-2.0
#include "support/verifier_cases.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/format.h>

#include "btf/test_types.hpp"
#include "isa/assemble.hpp"
#include "platform/helper.hpp"
#include "platform/program_type.hpp"

namespace skep::testing {

namespace {

std::string_view trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    for (size_t at = 0; at < text.size();) {
        const size_t begin = text.find_first_not_of(" \t", at);
        if (begin == std::string_view::npos) break;
        const size_t end = std::min(text.find_first_of(" \t", begin), text.size());
        words.emplace_back(text.substr(begin, end - begin));
        at = end;
    }
    return words;
}

std::optional<uint64_t> number_of(std::string_view text, int base = 10) {
    if (text.starts_with("0x")) {
        text.remove_prefix(2);
        base = 16;
    }
    uint64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

Error bad(const VerifierCase& one, std::string what) {
    Where where;
    where.source_file = one.file;
    where.source_line = static_cast<uint32_t>(one.line);
    return Error(Errc::Syntax, std::move(where), fmt::format("case \"{}\": {}", one.name, what));
}

Result<void> header(VerifierCase& one, std::string_view key, std::string_view value) {
    if (key == "type") {
        one.type = value;
    } else if (key == "licence") {
        one.licence = value;
    } else if (key == "map") {
        one.maps.emplace_back(value);
    } else if (key == "data") {
        one.data.emplace_back(value);
    } else if (key == "option") {
        const size_t equals = value.find('=');
        const std::string_view name = value.substr(0, equals);
        const uint64_t number = equals == std::string_view::npos ? 0 : number_of(value.substr(equals + 1)).value_or(0);
        if (name == "no-unset-stack") {
            one.options.allow_unset_stack = false;
        } else if (name == "no-leaks") {
            one.options.allow_pointer_leaks = false;
        } else if (name == "cost-limit" && number != 0) {
            one.options.cost_limit = number;
        } else if (name == "steps" && number != 0) {
            one.options.step_budget = number;
        } else if (name == "memory" && number != 0) {
            one.options.memory_budget = number;
        } else {
            return bad(one, fmt::format("`{}` is no option", value));
        }
    } else if (key == "expect") {
        const std::vector<std::string> words = words_of(value);
        one.expect = words.empty() ? "" : words[0];
        one.code = words.size() > 1 ? words[1] : "";
        static constexpr std::string_view known[] = {"accept", "unsafe", "unproven", "refuse",
                                                     "policy", "limit",  "undecided"};
        if (std::ranges::find(known, one.expect) == std::end(known) || (one.expect == "accept") != one.code.empty())
            return bad(one, fmt::format("`expect: {}` is no expectation", value));
    } else if (key == "rule") {
        one.rule = value;
    } else if (key == "insn") {
        const auto number = number_of(value);
        if (!number) return bad(one, "insn is no number");
        one.insn = static_cast<uint32_t>(*number);
    } else if (key == "why-safe") {
        const auto number = number_of(value);
        if (!number) return bad(one, "why-safe is no number");
        one.why_safe = static_cast<uint32_t>(*number);
    } else if (key == "cost") {
        one.cost = number_of(value);
        if (!one.cost) return bad(one, "cost is no number");
    } else {
        return bad(one, fmt::format("there is no header \"{}\"", key));
    }
    return {};
}

object::MapSpec plain_map(std::string name, platform::MapType type) {
    object::MapSpec map;
    map.name = std::move(name);
    map.type = platform::map_type_linux_id(type);
    map.key_size = 4;
    map.value_size = 8;
    map.max_entries = 8;
    return map;
}

/// A value of `bytes` bytes: the special fields named, 32-bit numbers between them.
btf::TypeId value_type(btf::Types& types, uint32_t bytes, const std::map<uint32_t, std::string>& special) {
    const btf::TypeId u8 = types.integer("unsigned char", 1), u32 = types.integer("unsigned int", 4);
    const btf::TypeId u64 = types.integer("unsigned long long", 8);
    const btf::TypeId lock = types.record("bpf_spin_lock", 4, {{"val", u32, 0}});
    const btf::TypeId timer = types.record("bpf_timer", 16, {{"a", u64, 0}, {"b", u64, 64}});
    const btf::TypeId task = types.record("task_struct", 8, {{"x", u64, 0}});
    const btf::TypeId kptr = types.pointer(types.add(btf::Kind::TypeTag, "kptr", 0, task));
    std::vector<btf::Types::Part> parts;
    uint32_t at = 0;
    const auto fill = [&](uint32_t end) {
        for (; at < end; ++at) parts.push_back({"", u8, at * 8});
    };
    for (const auto& [offset, kind] : special) {
        fill(offset);
        if (kind == "lock") {
            parts.push_back({"lock", lock, offset * 8});
            at = offset + 4;
        } else if (kind == "timer") {
            parts.push_back({"timer", timer, offset * 8});
            at = offset + 16;
        } else {
            parts.push_back({"kptr", kptr, offset * 8});
            at = offset + 8;
        }
    }
    fill(bytes);
    return types.record("value", bytes, parts);
}

}  // namespace

Result<std::vector<VerifierCase>> parse_cases(std::string_view text, const std::string& file) {
    std::vector<VerifierCase> cases;
    bool in_asm = false;
    size_t number = 0;
    for (size_t start = 0; start < text.size();) {
        size_t end = text.find('\n', start);
        if (end == std::string_view::npos) end = text.size();
        const std::string_view line = text.substr(start, end - start);
        start = end + 1;
        ++number;
        if (line.starts_with("case:")) {
            VerifierCase one;
            one.file = file;
            one.line = number;
            one.name = trimmed(line.substr(5));
            cases.push_back(std::move(one));
            in_asm = false;
            continue;
        }
        if (cases.empty()) {
            if (trimmed(line).empty() || line.starts_with('#')) continue;
            VerifierCase none;
            none.file = file;
            none.line = number;
            return bad(none, "text before the first case");
        }
        VerifierCase& one = cases.back();
        if (in_asm) {
            one.text += std::string(line) + "\n";
            continue;
        }
        if (trimmed(line).empty() || line.starts_with('#')) continue;
        if (trimmed(line) == "asm:") {
            in_asm = true;
            continue;
        }
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos) return bad(one, fmt::format("`{}` is no header", line));
        SKEP_TRY(header(one, trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1))));
    }
    for (const VerifierCase& one : cases) {
        if (one.expect.empty()) return bad(one, "nothing is expected");
    }
    return cases;
}

Result<std::vector<VerifierCase>> parse_page(std::string_view text, const std::string& file) {
    std::vector<VerifierCase> all;
    constexpr std::string_view fence = "```skep\n";
    for (size_t at = text.find(fence); at != std::string_view::npos; at = text.find(fence, at)) {
        at += fence.size();
        const size_t end = text.find("\n```", at);
        if (end == std::string_view::npos) break;
        SKEP_ASSIGN(std::vector<VerifierCase> cases, parse_cases(text.substr(at, end + 1 - at), file));
        const auto before = static_cast<size_t>(std::count(text.begin(), text.begin() + static_cast<long>(at), '\n'));
        for (VerifierCase& one : cases) {
            one.line += before;
            all.push_back(std::move(one));
        }
        at = end;
    }
    return all;
}

Result<CaseProgram> build_case(const VerifierCase& one) {
    CaseProgram out;
    out.spec.file = one.file;
    out.spec.license = one.licence;
    const auto type = platform::program_type_from_name(one.type);
    if (!type) return bad(one, fmt::format("there is no program type {}", one.type));
    out.type = *type;
    std::map<std::string, uint32_t> places;
    btf::Types types;
    bool has_types = false;
    const auto add_map = [&](object::MapSpec map) {
        places.emplace(map.name, static_cast<uint32_t>(out.spec.maps.size()));
        out.spec.maps.push_back(std::move(map));
    };
    for (const std::string& written : one.maps) {
        const std::vector<std::string> words = words_of(written);
        std::optional<platform::MapType> map_type;
        for (uint32_t id = 0; id < 64 && words.size() > 1; ++id) {
            platform::MapType found{};
            if (platform::map_type_from_linux(id, &found) && words[1] == platform::map_type_name(found))
                map_type = found;
        }
        if (!map_type) return bad(one, fmt::format("`map: {}` has no type that is known", written));
        object::MapSpec map = plain_map(words[0], *map_type);
        std::map<uint32_t, std::string> special;
        bool typed = false;
        for (size_t i = 2; i < words.size(); ++i) {
            const size_t equals = words[i].find('=');
            const std::string key = words[i].substr(0, equals);
            const std::string value = equals == std::string::npos ? "" : words[i].substr(equals + 1);
            if (key == "inner") {
                const auto inner = places.find(value);
                if (inner == places.end()) return bad(one, fmt::format("there is no map {}", value));
                map.inner.push_back(out.spec.maps[inner->second]);
                map.value_size = 4;
                continue;
            }
            if (key == "btf") {
                typed = true;
                continue;
            }
            const auto number = number_of(value);
            if (!number) return bad(one, fmt::format("`{}` of a map is no number", words[i]));
            const auto small = static_cast<uint32_t>(*number);
            if (key == "key") {
                map.key_size = small;
            } else if (key == "value") {
                map.value_size = small;
            } else if (key == "entries") {
                map.max_entries = small;
            } else if (key == "flags") {
                map.flags = small;
            } else if (key == "lock" || key == "timer" || key == "kptr") {
                special.emplace(small, key);
            } else {
                return bad(one, fmt::format("`{}` says nothing of a map", words[i]));
            }
        }
        if (!special.empty() || typed) {
            map.value_type = value_type(types, map.value_size, special);
            has_types = true;
        }
        add_map(std::move(map));
    }
    for (const std::string& written : one.data) {
        const std::vector<std::string> words = words_of(written);
        if (words.empty()) return bad(one, "data without a name");
        object::MapSpec map = plain_map(words[0], platform::MapType::Array);
        map.origin = object::MapOrigin::Data;
        map.read_only = true;
        map.flags = 1u << 7;  // BPF_F_RDONLY_PROG
        map.max_entries = 1;
        for (size_t i = 1; i < words.size(); ++i) {
            const auto number = number_of(words[i], 16);
            if (!number || *number > 255) return bad(one, fmt::format("`{}` is no byte", words[i]));
            map.initial.push_back(static_cast<std::byte>(*number));
        }
        map.value_size = static_cast<uint32_t>(map.initial.size());
        add_map(std::move(map));
    }
    if (has_types) {
        SKEP_ASSIGN(btf::Btf btf, types.parse());
        out.spec.btf = std::make_shared<const btf::Btf>(std::move(btf));
    }

    // Our additions to the dialect: names of maps, data and helpers.
    std::string text;
    for (size_t start = 0; start < one.text.size();) {
        const size_t end = one.text.find('\n', start);
        const std::string line = one.text.substr(start, end - start);
        start = end + 1;
        const std::vector<std::string> words = words_of(line);
        if (words.size() >= 4 && words[1] == "=" && (words[2] == "map" || words[2] == "data")) {
            const auto place = places.find(words[3]);
            if (place == places.end()) return bad(one, fmt::format("there is no map {}", words[3]));
            if (words[2] == "map") {
                text += fmt::format("ld_pseudo {}, 0x1, {:#x}\n", words[0], place->second);
            } else {
                const uint64_t offset = words.size() >= 6 ? number_of(words[5]).value_or(0) : 0;
                text += fmt::format("ld_pseudo {}, 0x2, {:#x} <+{:#x}>\n", words[0], place->second, offset);
            }
            continue;
        }
        if (words.size() >= 2 && words[0] == "call") {
            std::optional<uint32_t> number;
            for (uint16_t i = 0; i < platform::helper_count; ++i) {
                const auto id = static_cast<platform::HelperId>(i);
                if (words[1] == platform::helper_name(id) && platform::helper(id).linux_id != 0)
                    number = platform::helper(id).linux_id;
            }
            if (number) {
                text += fmt::format("call {:#x}\n", *number);
                continue;
            }
        }
        text += line + "\n";
    }
    Result<isa::Assembly> assembly = isa::assemble_labelled(text);
    if (!assembly) return bad(one, assembly.error().to_string());
    object::LinkedProgram& linked = out.linked;
    linked.name = "prog";
    linked.section = one.type;
    linked.code = assembly->code;
    for (uint32_t i = 0; i < out.spec.maps.size(); ++i) linked.maps.push_back(i);
    linked.subprograms.push_back({"prog", 0, 0, true});
    for (const auto& [at, label] : assembly->labels) {
        const bool global = label.starts_with("global_");
        if (at != 0 && (global || label.starts_with("fn_"))) linked.subprograms.push_back({label, at, 0, global});
    }
    for (size_t i = 0; i < linked.subprograms.size(); ++i) {
        linked.subprograms[i].end = i + 1 < linked.subprograms.size() ? linked.subprograms[i + 1].start
                                                                      : static_cast<isa::InsnIndex>(linked.code.size());
    }
    return out;
}

}  // namespace skep::testing
