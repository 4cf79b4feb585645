// SPDX-License-Identifier: Apache-2.0
#include "cli/run/map_init.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/run/values.hpp"

namespace skep::cli {

namespace {

constexpr std::string_view globals_word = "globals";

bool is_type(const object::MapSpec& map, platform::MapType type) {
    return map.origin != object::MapOrigin::Data && map.type == platform::map_type_linux_id(type);
}

bool holds_programs(const object::MapSpec& map) { return is_type(map, platform::MapType::ProgArray); }
bool holds_maps(const object::MapSpec& map) {
    return is_type(map, platform::MapType::ArrayOfMaps) || is_type(map, platform::MapType::HashOfMaps);
}

}  // namespace

Result<MapInit> MapInit::parse(Bytes text, const std::string& path) {
    MapInit init;
    init.path_ = path;
    if (text.empty()) return init;
    Result<Json> json = parse_json({reinterpret_cast<const char*>(text.data()), text.size()});
    if (!json) return std::move(json).error().in_file(path);
    init.json_ = *std::move(json);
    if (init.json_.as<Json::Object>() == nullptr)
        return Error(Errc::Syntax, "the initial contents of maps are an object: map name to entries").in_file(path);
    return init;
}

/// The words that stand as values of maps of which `holds` is true.
std::vector<std::string> MapInit::names(const object::ObjectSpec& spec, bool (*holds)(const object::MapSpec&)) const {
    std::vector<std::string> names;
    const Json::Object* maps = json_.as<Json::Object>();
    if (maps == nullptr) return names;
    for (const auto& [name, entries] : *maps) {
        const uint32_t index = spec.find_map(name);
        if (index == object::no_index || !holds(spec.maps[index])) continue;
        const Json::Array* list = entries.as<Json::Array>();
        if (list == nullptr) continue;
        for (const Json& entry : *list)
            if (const Json* value = entry.find("value"); value != nullptr && value->as<std::string>() != nullptr)
                names.push_back(*value->as<std::string>());
    }
    return names;
}

std::vector<std::string> MapInit::programs(const object::ObjectSpec& spec) const { return names(spec, holds_programs); }
std::vector<std::string> MapInit::inner_maps(const object::ObjectSpec& spec) const { return names(spec, holds_maps); }

Result<void> MapInit::apply_globals(object::ObjectSpec& spec) const {
    const Json* globals = json_.find(globals_word);
    if (globals == nullptr) return {};
    const Json::Object* variables = globals->as<Json::Object>();
    if (variables == nullptr) return Error(Errc::Syntax, "\"globals\" is an object: variable to value").in_file(path_);
    for (const auto& [name, value] : *variables) {
        const auto global = std::find_if(spec.globals.begin(), spec.globals.end(),
                                         [&](const object::GlobalSpec& g) { return g.name == name; });
        if (global == spec.globals.end())
            return Error(Errc::Unresolved, fmt::format("there is no global variable \"{}\"", name), {},
                         "skep inspect lists the object's variables")
                .in_file(path_);
        Result<Buffer> bytes = bytes_of(value, {spec.btf.get(), global->type}, global->size, name);
        if (!bytes) return std::move(bytes).error().in_file(path_);
        std::vector<std::byte>& initial = spec.maps[global->map].initial;
        initial.resize(std::max<size_t>(initial.size(), size_t{global->offset} + global->size));
        std::copy(bytes->begin(), bytes->end(), initial.begin() + global->offset);
    }
    return {};
}

bool MapInit::names_maps() const {
    const Json::Object* maps = json_.as<Json::Object>();
    return maps != nullptr && std::ranges::any_of(*maps, [](const auto& one) { return one.first != globals_word; });
}

Result<void> MapInit::apply(const object::ObjectSpec& spec, Backend& backend) const {
    const Json::Object* maps = json_.as<Json::Object>();
    if (maps == nullptr) return {};
    for (const auto& [name, entries] : *maps) {
        if (name == globals_word && spec.find_map(name) == object::no_index) continue;
        const uint32_t index = spec.find_map(name);
        if (index == object::no_index)
            return Error(Errc::Unresolved, fmt::format("there is no map \"{}\"", name), {},
                         "skep inspect lists the object's maps")
                .in_file(path_);
        const object::MapSpec& map = spec.maps[index];
        const Json::Array* list = entries.as<Json::Array>();
        if (list == nullptr)
            return Error(Errc::Syntax, fmt::format("map \"{}\" needs a list of entries", name)).in_file(path_);
        if (map.read_only)
            return Error(Errc::NotPermitted, fmt::format("map \"{}\" is frozen before a program is loaded", name),
                         "programs are verified, and compiled, with its bytes as constants",
                         fmt::format("set its variables by name, under \"{}\"", globals_word))
                .in_file(path_);
        for (size_t i = 0; i < list->size(); ++i) {
            const Json& entry = (*list)[i];
            const Json* key = entry.find("key");
            const Json* value = entry.find("value");
            const std::string what = fmt::format("{}[{}]", name, i);
            const bool keyless = map.key_size == 0;
            if (value == nullptr || (key == nullptr && !keyless))
                return Error(Errc::Syntax, fmt::format("{} needs a key and a value", what)).in_file(path_);
            Buffer key_bytes;
            if (!keyless) {
                Result<Buffer> bytes = bytes_of(*key, {spec.btf.get(), map.key_type}, map.key_size, what + ".key");
                if (!bytes) return std::move(bytes).error().in_file(path_);
                key_bytes = *std::move(bytes);
            }
            Result<void> put;
            if (holds_programs(map) && value->as<std::string>() != nullptr) {
                put = backend.put_program(index, key_bytes, *value->as<std::string>());
            } else if (holds_maps(map)) {
                const std::string* inner = value->as<std::string>();
                const uint32_t inner_index = inner == nullptr ? object::no_index : spec.find_map(*inner);
                if (inner_index == object::no_index)
                    return Error(Errc::Unresolved, fmt::format("{}.value is no map of the object", what), {},
                                 "a map of maps takes names of maps")
                        .in_file(path_);
                put = backend.put_map(index, key_bytes, inner_index);
            } else {
                Result<Buffer> bytes =
                    bytes_of(*value, {spec.btf.get(), map.value_type}, map.value_size, what + ".value");
                if (!bytes) return std::move(bytes).error().in_file(path_);
                put = backend.put(index, key_bytes, *bytes);
            }
            if (!put) return std::move(put).error().in_file(path_);
        }
    }
    return {};
}

}  // namespace skep::cli
