// SPDX-License-Identifier: Apache-2.0
#include "cli/run/map_access.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace skep::cli {

namespace {

using platform::MapType;

bool all_zero(Bytes bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

/// By key: up to 8 bytes as little-endian numbers, longer ones byte by byte.
void sort_entries(std::vector<MapEntry>& entries) {
    std::sort(entries.begin(), entries.end(), [](const MapEntry& a, const MapEntry& b) {
        if (a.key.size() > 8) return a.key < b.key;
        return std::lexicographical_compare(a.key.rbegin(), a.key.rend(), b.key.rbegin(), b.key.rend());
    });
}

bool holds_objects(MapType type) {
    return type == MapType::ProgArray || type == MapType::ArrayOfMaps || type == MapType::HashOfMaps;
}

}  // namespace

Result<void> put_entry(maps::Map& map, Lanes& lanes, const std::string& map_name, Bytes key, Bytes value) {
    const LaneGuard lane(lanes);
    const MapType type = map.def().type;
    Buffer user(map.user_value_size());
    const size_t stride = maps::is_percpu(type) ? static_cast<size_t>(maps::round_up_8(value.size())) : user.size();
    for (size_t at = 0; stride != 0 && at + value.size() <= user.size(); at += stride)
        std::copy(value.begin(), value.end(), user.begin() + static_cast<ptrdiff_t>(at));
    const Status status = type == MapType::Queue || type == MapType::Stack
                              ? map.push(value.data(), 0, lane.lane())
                              : map.write(key.data(), user.data(), 0, lane.lane());
    if (status.ok()) return {};
    return Error(status.code, fmt::format("map \"{}\" does not take the entry", map_name),
                 fmt::format("{} ({})", meaning_of(status.code), errno_name(status.code)));
}

MapContents read_contents(maps::Map& map, Lanes& lanes, const std::function<std::string(uint32_t id)>& note) {
    MapContents contents;
    const MapType type = contents.type = map.def().type;
    contents.max_entries = map.def().max_entries;
    const LaneGuard lane(lanes);
    if (type == MapType::Queue || type == MapType::Stack) {
        Buffer value(map.def().value_size);
        while (map.pop(value.data(), lane.lane()).ok()) contents.entries.push_back({{}, {value}, {}});
        return contents;
    }
    const bool array = type == MapType::Array || type == MapType::PercpuArray;
    const size_t size = map.def().value_size;
    Buffer key(map.def().key_size), next(key.size()), user(map.user_value_size());
    const size_t stride = maps::is_percpu(type) ? static_cast<size_t>(maps::round_up_8(size)) : user.size();
    const void* at = nullptr;
    while (map.user_next_key(at, next.data(), lane.lane()).ok()) {
        key = next;
        at = key.data();
        if (!map.read(key.data(), user.data(), lane.lane()).ok()) continue;
        if (array && all_zero(user)) {
            ++contents.zero_entries;
            continue;
        }
        MapEntry entry;
        entry.key = key;
        for (size_t from = 0; stride != 0 && from + size <= user.size(); from += stride)
            entry.values.emplace_back(user.begin() + static_cast<ptrdiff_t>(from),
                                      user.begin() + static_cast<ptrdiff_t>(from + size));
        if (holds_objects(type) && note) entry.note = note(read_le<uint32_t>(user, 0).value_or(0));
        contents.entries.push_back(std::move(entry));
    }
    sort_entries(contents.entries);
    return contents;
}

}  // namespace skep::cli
