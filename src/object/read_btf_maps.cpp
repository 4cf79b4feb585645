// SPDX-License-Identifier: Apache-2.0
// Maps defined by BTF in .maps (bpf_helpers.h: __uint, __ulong, __type, __array; libbpf: parse_btf_map_def).
#include <fmt/format.h>

#include <algorithm>

#include "object/reader.hpp"

namespace skep::object {

namespace {

constexpr std::string_view maps_name = ".maps";

/// `int (*name)[N]` is how __uint(name, N) spells a number; __ulong(name, N) is an enum's first value, and older
/// headers put a pointer in front of it.
std::optional<uint64_t> spelled_number(const btf::Btf& btf, btf::TypeId id) {
    const btf::Type* type = &btf.type(btf.strip(id));
    if (type->kind == btf::Kind::Ptr) {
        type = &btf.type(btf.strip(type->type));
        if (type->kind == btf::Kind::Array) return type->count;
    }
    if (const auto values = btf.enumerators(*type); !values.empty()) return values.front().value;
    return std::nullopt;
}

}  // namespace

Result<void> Reader::read_map_definition(btf::TypeId definition, std::string_view name, bool inner, MapSpec& map,
                                         std::optional<uint32_t>& values_offset) {
    const btf::Type& type = btf_.type(btf_.strip(definition));
    const auto bad = [&](std::string what, std::string why = {}) {
        return broken(Errc::Malformed, maps_name, map.offset, fmt::format("map {}: {}", name, what), std::move(why));
    };
    if (type.kind != btf::Kind::Struct) {
        return bad("its definition is no struct", fmt::format("it is a {}", btf_.type_text(definition)));
    }
    const auto members = btf_.members(type);
    for (size_t i = 0; i < members.size(); ++i) {
        const btf::Member& m = members[i];
        const std::string_view field = btf_.string(m.name_off);
        const auto number = [&](auto& out) -> Result<void> {
            const auto value = spelled_number(btf_, m.type);
            if (!value) return bad(fmt::format("{} is no number", field), "write __uint(name, number)");
            using Out = std::remove_reference_t<decltype(out)>;
            out = static_cast<Out>(*value);
            return {};
        };
        const auto size = [&](uint32_t& bytes, btf::TypeId* id) -> Result<void> {
            uint32_t value = 0;
            if (id == nullptr) {
                SKEP_TRY(number(value));
            } else {
                const btf::Type& pointer = btf_.type(btf_.strip(m.type));
                const auto of_type = pointer.kind == btf::Kind::Ptr ? btf_.size_of(pointer.type) : std::nullopt;
                if (!of_type || *of_type > UINT32_MAX) {
                    return bad(fmt::format("the type of its {} has no size", field), btf_.type_text(m.type));
                }
                value = static_cast<uint32_t>(*of_type);
                *id = pointer.type;
            }
            if (bytes != 0 && bytes != value) {
                return bad(fmt::format("two different sizes, by {} and before it", field),
                           fmt::format("{} and {} bytes", value, bytes));
            }
            bytes = value;
            return {};
        };
        if (field == "type") {
            SKEP_TRY(number(map.type));
        } else if (field == "max_entries") {
            SKEP_TRY(number(map.max_entries));
        } else if (field == "map_flags") {
            SKEP_TRY(number(map.flags));
        } else if (field == "numa_node") {
            uint32_t node = 0;
            SKEP_TRY(number(node));
            map.numa_node = node;
        } else if (field == "key_size") {
            SKEP_TRY(size(map.key_size, nullptr));
        } else if (field == "value_size") {
            SKEP_TRY(size(map.value_size, nullptr));
        } else if (field == "key") {
            SKEP_TRY(size(map.key_size, &map.key_type));
        } else if (field == "value") {
            SKEP_TRY(size(map.value_size, &map.value_type));
        } else if (field == "map_extra") {
            SKEP_TRY(number(map.map_extra));
        } else if (field == "pinning") {
            uint32_t pinning = 0;
            SKEP_TRY(number(pinning));
            if (pinning > 1) return bad("an unknown way of pinning", fmt::format("{}", pinning));
            if (pinning == 1 && inner) return bad("an inner map cannot be pinned");
            map.pinning = pinning == 1 ? MapPinning::ByName : MapPinning::None;
        } else if (field == "values") {
            // T *values[]: the last member; a struct is the template of the inner map, a function means programs.
            const btf::Type& array = btf_.type(btf_.strip(m.type));
            if (inner) return bad("maps of maps of maps do not exist");
            if (array.kind != btf::Kind::Array || i + 1 != members.size()) {
                return bad("values is not the last member, an array");
            }
            const btf::Type& pointer = btf_.type(btf_.strip(array.type));
            if (pointer.kind != btf::Kind::Ptr) return bad("values holds no pointers", btf_.type_text(m.type));
            const btf::TypeId target = btf_.strip(pointer.type);
            if (map.value_size != 0 && map.value_size != 4) {
                return bad("a map that holds objects has values of 4 bytes", fmt::format("{} bytes", map.value_size));
            }
            map.value_size = 4;
            values_offset = m.bit_offset / 8;
            if (btf_.type(target).kind == btf::Kind::Struct) {
                MapSpec& template_map = map.inner.emplace_back();
                template_map.name = fmt::format("{}.inner", name);
                template_map.section = maps_name;
                template_map.section_index = map.section_index;
                template_map.offset = map.offset;
                std::optional<uint32_t> none;
                // One level only: `inner` is refused above for what lies below.
                SKEP_TRY(read_map_definition(target, template_map.name, true, template_map, none));
            } else if (btf_.type(target).kind == btf::Kind::FuncProto) {
                if (map.key_size == 0) map.key_size = 4;
            } else {
                return bad("values holds neither maps nor programs", btf_.type_text(pointer.type));
            }
        } else {
            map.unsupported = fmt::format("map {} has a field that is not known: {}", name, field.substr(0, 64));
        }
    }
    if (map.type == 0 && map.unsupported.empty()) return bad("it has no type", "write __uint(type, ...)");
    return {};
}

Result<void> Reader::read_btf_maps() {
    maps_section_ = section_named(maps_name);
    if (maps_section_ == 0 || contents(maps_section_).empty()) return {};
    spec_.sections[maps_section_].kind = "maps";
    const btf::TypeId section = has_btf_ ? btf_.find(btf::Kind::Datasec, maps_name) : 0;
    if (section == 0) {
        not_supported(maps_name, "its maps are described by BTF, and the object has none of it: compile with -g");
        return {};
    }
    first_map_ = static_cast<uint32_t>(spec_.maps.size());
    const auto variables = btf_.variables(btf_.type(section));
    std::vector<uint32_t> order(variables.size());
    for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::stable_sort(order, {}, [&](uint32_t i) { return variables[i].offset; });
    for (const uint32_t i : order) {
        const btf::SectionVariable& v = variables[i];
        const std::string_view name = btf_.name(v.type);
        const auto fits = slice(contents(maps_section_), v.offset, v.size);
        if (btf_.type(v.type).kind != btf::Kind::Var || name.empty() || name.size() > max_name_bytes || !fits) {
            return broken(Errc::Malformed, maps_name, v.offset, "BTF describes a map that cannot be",
                          fmt::format("type {}, {} bytes at {:#x} of {:#x}", v.type, v.size, v.offset,
                                      contents(maps_section_).size()));
        }
        MapSpec map;
        map.name = name;
        map.section = maps_name;
        map.section_index = maps_section_;
        map.offset = v.offset;
        map.origin = MapOrigin::Btf;
        std::optional<uint32_t> values_offset;
        SKEP_TRY(read_map_definition(btf_.type(v.type).type, map.name, false, map, values_offset));
        if (!map_names_.emplace(name, static_cast<uint32_t>(spec_.maps.size())).second) {
            return broken(Errc::Malformed, maps_name, v.offset, fmt::format("two maps are named {}", name));
        }
        values_offsets_.resize(spec_.maps.size(), no_index);
        values_offsets_.push_back(values_offset ? *values_offset : no_index);
        spec_.maps.push_back(std::move(map));
        ++map_count_;
    }
    return {};
}

Result<void> Reader::read_slots() {
    values_offsets_.resize(spec_.maps.size(), no_index);
    if (maps_section_ == 0) return {};
    const auto [first, last] = relocations_of(maps_section_);
    const std::span<const MapSpec> here = std::span(spec_.maps).subspan(first_map_, map_count_);
    for (uint32_t i = first; i < last; ++i) {
        const RelocationSpec& r = spec_.relocations[i];
        const SymbolSpec& symbol = spec_.symbols[r.symbol];
        const auto bad = [&](std::string what, std::string why = {}) {
            return broken(Errc::Malformed, maps_name, r.offset, std::move(what), std::move(why));
        };
        // The maps of .maps are in order of their offset: the last one that begins at or before the relocation.
        const auto after = std::ranges::upper_bound(here, r.offset, {}, &MapSpec::offset);
        const uint32_t home =
            after == here.begin() ? no_index : first_map_ + static_cast<uint32_t>(after - here.begin()) - 1;
        if (home == no_index) {
            if (here.empty()) continue;  // without BTF: said already
            return bad("an initial value of no map");
        }
        MapSpec& map = spec_.maps[home];
        if (values_offsets_[home] == no_index || r.offset < map.offset + values_offsets_[home] ||
            (r.offset - map.offset - values_offsets_[home]) % 8 != 0) {
            return bad(fmt::format("map {} has an address where no initial value can be", map.name));
        }
        const uint64_t key = (r.offset - map.offset - values_offsets_[home]) / 8;
        const auto target = data_target(r);
        if (!target) {
            return bad(fmt::format("initial value {} of map {} is no map or program of this object", key, map.name),
                       fmt::format("it refers to {}", symbol.name));
        }
        MapSlot slot;
        slot.key = static_cast<uint32_t>(key);
        if (!map.inner.empty()) {
            const auto at = std::ranges::lower_bound(here, *target, {}, &MapSpec::offset);
            const bool found = symbol.section == maps_section_ && at != here.end() && at->offset == *target;
            const uint32_t inner = found ? first_map_ + static_cast<uint32_t>(at - here.begin()) : no_index;
            if (inner == no_index) {
                return bad(fmt::format("initial value {} of map {} is no map", key, map.name),
                           fmt::format("it refers to {}", symbol.name));
            }
            slot.target = inner;
        } else {
            const uint32_t function = function_at(symbol.section, *target);
            const uint32_t program = function == no_index ? no_index : program_of_function(function);
            if (program == no_index) {
                return bad(fmt::format("initial value {} of map {} is no program", key, map.name),
                           fmt::format("it refers to {}", symbol.name));
            }
            slot.is_program = true;
            slot.target = program;
        }
        map.slots.push_back(slot);
    }
    return {};
}

}  // namespace skep::object
