// SPDX-License-Identifier: Apache-2.0
// Maps as records in a section named "maps". The record's size tells whose records they are: section size divided by
// the number of symbols in it.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "object/reader.hpp"

namespace skep::object {

namespace {

constexpr std::string_view maps_name = "maps";

// Record sizes. The first four words (type, key size, value size, max_entries) are the same in all of them.
constexpr uint64_t no_flags_bytes = 16;  // the first Linux records
constexpr uint64_t linux_bytes = 20;     // ... flags (libbpf's struct bpf_map_def)
constexpr uint64_t sample_bytes = 28;    // ... flags, inner map's index, NUMA node (the kernel's samples)
constexpr uint64_t windows_bytes = 32;   // ... inner map's index, pinning, id, inner map's id (eBPF for Windows)
constexpr uint64_t iproute2_bytes = 36;  // ... flags, id, pinning, inner map's id, index in the outer map

// The only place where this floor must know a map type: records of 28 and 32 bytes have an inner index of 0 both for
// "the first map" and for "none". linux/bpf.h: array_of_maps 12, hash_of_maps 13; eBPF for Windows: 7 and 6.
bool holds_maps(uint32_t type, uint64_t record_bytes) {
    return record_bytes == windows_bytes ? type == 6 || type == 7 : type == 12 || type == 13;
}

/// "2/7": iproute2's name of the program for key 7 of the map with id 2.
std::optional<std::pair<uint32_t, uint32_t>> tail_slot(std::string_view name) {
    const size_t slash = name.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto number = [](std::string_view text) -> std::optional<uint32_t> {
        int base = 10;
        if (text.starts_with("0x") || text.starts_with("0X")) {
            text.remove_prefix(2);
            base = 16;
        }
        uint32_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
        if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
        return value;
    };
    const auto map = number(name.substr(0, slash)), key = number(name.substr(slash + 1));
    if (!map || !key) return std::nullopt;
    return std::pair(*map, *key);
}

}  // namespace

Result<void> Reader::read_legacy_maps() {
    const uint32_t section = section_named(maps_name);
    if (section == 0 || contents(section).empty()) return {};
    spec_.sections[section].kind = "maps";
    const Bytes bytes = contents(section);
    std::vector<uint32_t> symbols;
    for (uint32_t i = 1; i < spec_.symbols.size(); ++i) {
        const SymbolSpec& s = spec_.symbols[i];
        if (s.section == section && (s.kind == SymbolKind::None || s.kind == SymbolKind::Object) && !s.name.empty()) {
            symbols.push_back(i);
        }
    }
    std::ranges::stable_sort(symbols, {}, [&](uint32_t i) { return spec_.symbols[i].value; });
    const auto bad = [&](uint64_t at, std::string what, std::string why = {}) {
        return broken(Errc::Malformed, maps_name, at, std::move(what), std::move(why));
    };
    if (symbols.empty()) return bad(0, "a section of maps without a symbol: nothing says how many there are");
    const uint64_t record = bytes.size() / symbols.size();
    if (bytes.size() % symbols.size() != 0 || record < no_flags_bytes || record % 4 != 0) {
        return bad(0, "a section of maps that cannot be divided into records",
                   fmt::format("{} bytes for {} maps", bytes.size(), symbols.size()));
    }
    const bool known = record == no_flags_bytes || record == linux_bytes || record == sample_bytes ||
                       record == windows_bytes || record == iproute2_bytes;
    const uint32_t base = static_cast<uint32_t>(spec_.maps.size());
    const auto count = static_cast<uint32_t>(symbols.size());
    struct Inner {
        std::optional<uint32_t> index, id, place;
    };
    std::vector<Inner> inner(count);
    for (uint32_t i = 0; i < count; ++i) {
        const SymbolSpec& symbol = spec_.symbols[symbols[i]];
        const uint64_t at = uint64_t{i} * record;
        if (symbol.value != at) {
            return bad(symbol.value, fmt::format("map {} does not begin at a record", symbol.name),
                       fmt::format("offset {:#x}, records have {} bytes", symbol.value, record));
        }
        const auto word = [&](uint64_t n) { return load_le<uint32_t>(bytes.data() + at + 4 * n); };
        MapSpec map;
        map.name = symbol.name;
        map.section = maps_name;
        map.section_index = section;
        map.offset = at;
        map.origin = MapOrigin::Legacy;
        map.type = word(0);
        map.key_size = word(1);
        map.value_size = word(2);
        map.max_entries = word(3);
        const auto pin = [&](uint32_t value) {
            if (value != 0) map.pinning = MapPinning::ByName;
        };
        if (record == windows_bytes) {
            inner[i].index = word(4);
            pin(word(5));
            map.legacy_id = word(6);
            if (word(7) != 0) inner[i].id = word(7);
        } else {
            if (record >= linux_bytes) map.flags = word(4);
            if (record == sample_bytes) {
                inner[i].index = word(5);
                if ((map.flags & 4) != 0) map.numa_node = word(6);  // BPF_F_NUMA_NODE
            } else if (record == iproute2_bytes) {
                map.legacy_id = word(5);
                pin(word(6));
                if (word(7) != 0) inner[i].id = word(7);
                inner[i].place = word(8);
            } else if (!known) {
                for (uint64_t n = 5; n < record / 4; ++n) {
                    if (word(n) != 0) {
                        map.unsupported = fmt::format("map {} is a record of {} bytes that nobody is known to write",
                                                      map.name, record);
                    }
                }
            }
        }
        if (!map_names_.emplace(symbol.name, static_cast<uint32_t>(spec_.maps.size())).second) {
            return bad(at, fmt::format("two maps are named {}", map.name));
        }
        spec_.maps.push_back(std::move(map));
    }
    // Inner templates: by id where there are ids, else by index. A template is a copy without its own inside.
    std::unordered_map<uint32_t, uint32_t> by_id;
    for (uint32_t i = 0; i < count; ++i) {
        const MapSpec& map = spec_.maps[base + i];
        if (map.legacy_id && *map.legacy_id != 0) by_id.emplace(*map.legacy_id, i);
    }
    std::unordered_map<uint32_t, uint32_t> outer_of_id;
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t target = no_index;
        if (inner[i].id) {
            const auto found = by_id.find(*inner[i].id);
            if (found != by_id.end()) target = found->second;
            outer_of_id.emplace(*inner[i].id, i);
        } else if (inner[i].index && holds_maps(spec_.maps[base + i].type, record)) {
            target = *inner[i].index < count ? *inner[i].index : no_index;
        } else {
            continue;
        }
        if (target == no_index || target == i) {
            return bad(uint64_t{i} * record, fmt::format("map {} has no inner map", spec_.maps[base + i].name));
        }
        MapSpec copy = spec_.maps[base + target];
        copy.name = fmt::format("{}.inner", spec_.maps[base + i].name);
        copy.inner.clear();
        copy.pinning = MapPinning::None;
        spec_.maps[base + i].inner.push_back(std::move(copy));
    }
    for (uint32_t i = 0; i < count; ++i) {
        const MapSpec& map = spec_.maps[base + i];
        if (!inner[i].place || !map.legacy_id || *map.legacy_id == 0) continue;
        const auto outer = outer_of_id.find(*map.legacy_id);
        if (outer == outer_of_id.end() || *inner[i].place == UINT32_MAX) continue;
        spec_.maps[base + outer->second].slots.push_back({*inner[i].place, false, base + i});
    }
    return {};
}

Result<void> Reader::read_tail_slots() {
    std::unordered_map<uint32_t, uint32_t> by_id;
    for (uint32_t m = 0; m < spec_.maps.size(); ++m) {
        if (spec_.maps[m].legacy_id) by_id.emplace(*spec_.maps[m].legacy_id, m);
    }
    if (by_id.empty()) return {};
    for (uint32_t p = 0; p < spec_.programs.size(); ++p) {
        const auto place = tail_slot(spec_.programs[p].section);
        if (!place) continue;
        const auto map = by_id.find(place->first);
        if (map == by_id.end()) continue;
        spec_.maps[map->second].slots.push_back({place->second, true, p});
    }
    return {};
}

}  // namespace skep::object
