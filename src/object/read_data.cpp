// SPDX-License-Identifier: Apache-2.0
// Global variables as maps of one value each, and what the object takes from outside.
#include <fmt/format.h>

#include <algorithm>

#include "object/reader.hpp"

namespace skep::object {

namespace {

constexpr uint32_t array_type = 2;              // the same number on Linux and Windows
constexpr uint32_t flag_rdonly_prog = 1u << 7;  // BPF_F_RDONLY_PROG, as libbpf sets it for .rodata
constexpr uint32_t flag_mmapable = 1u << 10;    // BPF_F_MMAPABLE, as libbpf sets it for all

bool is_section(std::string_view name, std::string_view base) {
    return name == base || (name.starts_with(base) && name[base.size()] == '.');
}

MapSpec data_map(std::string_view name, uint32_t size) {
    MapSpec map;
    map.name = name;
    map.section = name;
    map.origin = MapOrigin::Data;
    map.type = array_type;
    map.key_size = 4;
    map.value_size = size;
    map.max_entries = 1;
    map.flags = flag_mmapable;
    return map;
}

}  // namespace

Result<void> Reader::read_data() {
    std::vector<std::vector<uint32_t>> symbols(spec_.sections.size());
    for (uint32_t i = 1; i < spec_.symbols.size(); ++i) {
        const SymbolSpec& s = spec_.symbols[i];
        if (s.section != no_index && s.kind == SymbolKind::Object) symbols[s.section].push_back(i);
    }
    for (uint32_t index = 1; index < spec_.sections.size(); ++index) {
        const elf::Section& section = file_.sections()[index];
        const std::string_view name = section.name;
        const bool read_only = is_section(name, ".rodata");
        if (!read_only && !is_section(name, ".data") && !is_section(name, ".bss")) continue;
        if (section.type != elf::section_progbits && section.type != elf::section_nobits) continue;
        if (section.executable()) continue;
        if (section.size == 0) {
            spec_.sections[index].kind = "empty";
            continue;
        }
        spec_.sections[index].kind = "data";
        MapSpec map = data_map(name, static_cast<uint32_t>(std::min<uint64_t>(section.size, UINT32_MAX)));
        map.section_index = index;
        map.read_only = read_only;
        if (read_only) map.flags |= flag_rdonly_prog;
        if (section.size > UINT32_MAX) {
            map.unsupported =
                fmt::format("section {} has {} bytes, a map's value at most {}", name, section.size, UINT32_MAX);
        }
        if ((section.flags & elf::flag_compressed) != 0) {
            map.unsupported = fmt::format("section {} is compressed", name);
        }
        map.initial.assign(section.bytes.begin(), section.bytes.end());
        map.value_type = has_btf_ ? btf_.find(btf::Kind::Datasec, name) : 0;

        const auto map_index = static_cast<uint32_t>(spec_.maps.size());
        std::vector<GlobalSpec> globals;
        if (map.value_type != 0) {
            for (const btf::SectionVariable& v : btf_.variables(btf_.type(map.value_type))) {
                const btf::Type& variable = btf_.type(v.type);
                if (variable.kind != btf::Kind::Var || btf_.name(v.type).size() > max_name_bytes) continue;
                if (v.offset > map.value_size || v.size > map.value_size - v.offset) {
                    return broken(Errc::Malformed, ".BTF", 0,
                                  fmt::format("variable {} lies outside section {}", btf_.name(v.type), name),
                                  fmt::format("{} bytes at {:#x} of {:#x}", v.size, v.offset, map.value_size));
                }
                globals.push_back({std::string(btf_.name(v.type)), map_index, v.offset, v.size, variable.type,
                                   variable.linkage == btf::Linkage::Static, false});
            }
        } else {
            for (const uint32_t i : symbols[index]) {
                const SymbolSpec& s = spec_.symbols[i];
                globals.push_back({s.name, map_index, static_cast<uint32_t>(s.value), static_cast<uint32_t>(s.size), 0,
                                   s.binding == SymbolBinding::Local, false});
            }
        }
        std::ranges::stable_sort(globals, {}, &GlobalSpec::offset);
        const auto [first, last] = relocations_of(index);
        for (uint32_t r = first; r < last; ++r) {
            const uint64_t offset = spec_.relocations[r].offset;
            auto after = std::ranges::upper_bound(globals, offset, {}, [](const GlobalSpec& g) { return g.offset; });
            if (after != globals.begin() && offset - std::prev(after)->offset < std::prev(after)->size) {
                std::prev(after)->holds_addresses = true;
            } else {
                map.unsupported = fmt::format("section {} holds addresses that only a linker could fill in", name);
            }
        }
        spec_.maps.push_back(std::move(map));
        std::ranges::move(globals, std::back_inserter(spec_.globals));
    }
    return {};
}

void Reader::lay_out_kconfig(btf::TypeId section) {
    // As libbpf: every value at its natural alignment, one after the other, in one read-only value.
    const btf::Type& type = btf_.type(section);
    const auto map_index = static_cast<uint32_t>(spec_.maps.size());
    uint64_t end = 0;
    for (uint32_t i = 0; i < type.count; ++i) {
        const btf::SectionVariable v = btf_.variables(type)[i];
        if (btf_.type(v.type).kind != btf::Kind::Var || btf_.name(v.type).size() > max_name_bytes) continue;
        const uint64_t size = btf_.size_of(v.type).value_or(0);
        if (size == 0 || size > 4096) continue;
        const uint64_t align = size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
        const uint64_t offset = (end + align - 1) / align * align;
        if (offset + size > UINT32_MAX) break;
        end = offset + size;
        btf_.set_variable_offset(section, i, static_cast<uint32_t>(offset));
        ExternSpec e;
        e.name = btf_.name(v.type);
        e.kind = ExternKind::Kconfig;
        e.type = btf_.type(v.type).type;
        e.map = map_index;
        e.offset = static_cast<uint32_t>(offset);
        e.size = static_cast<uint32_t>(size);
        spec_.externs.push_back(std::move(e));
    }
    if (end == 0) return;
    btf_.set_section_size(section, static_cast<uint32_t>(end));
    MapSpec map = data_map(".kconfig", static_cast<uint32_t>(end));
    map.origin = MapOrigin::Kconfig;
    map.read_only = true;
    map.flags |= flag_rdonly_prog;
    map.value_type = section;
    spec_.maps.push_back(std::move(map));
}

Result<void> Reader::read_externs() {
    if (has_btf_) {
        if (const btf::TypeId kconfig = btf_.find(btf::Kind::Datasec, ".kconfig"); kconfig != 0) {
            lay_out_kconfig(kconfig);
        }
    }
    std::unordered_map<std::string_view, uint32_t> kconfig;
    for (uint32_t i = 0; i < spec_.externs.size(); ++i) kconfig.emplace(spec_.externs[i].name, i);
    std::vector<ExternSpec> others;
    for (uint32_t i = 1; i < spec_.symbols.size(); ++i) {
        const SymbolSpec& s = spec_.symbols[i];
        if (!s.undefined || s.name.empty()) continue;
        const bool weak = s.binding == SymbolBinding::Weak;
        if (const auto at = kconfig.find(s.name); at != kconfig.end()) {
            spec_.externs[at->second].symbol = i;
            spec_.externs[at->second].weak = weak;
            continue;
        }
        ExternSpec e;
        e.name = s.name;
        e.weak = weak;
        e.symbol = i;
        if (has_btf_) {
            for (const btf::TypeId id : btf_.named(s.name)) {
                const btf::Type& t = btf_.type(id);
                if (t.kind == btf::Kind::Func && (t.linkage == btf::Linkage::Extern || spec_.gnu)) {
                    e.kind = ExternKind::Kfunc;
                    e.type = id;
                } else if (t.kind == btf::Kind::Var && t.linkage == btf::Linkage::Extern) {
                    e.kind = ExternKind::Variable;
                    // `extern const void x __ksym`: only the address is wanted
                    const btf::TypeId value = btf_.strip(t.type);
                    e.type = btf_.type(value).kind == btf::Kind::Void ? 0 : t.type;
                    const uint64_t size = btf_.size_of(t.type).value_or(0);
                    e.size = size <= UINT32_MAX ? static_cast<uint32_t>(size) : 0;
                }
            }
        }
        others.push_back(std::move(e));
    }
    std::ranges::move(others, std::back_inserter(spec_.externs));
    return {};
}

}  // namespace skep::object
