// SPDX-License-Identifier: Apache-2.0
#include "maps/map_in_map.hpp"

#include "maps/inner_map.hpp"

namespace skep::maps {

using platform::MapType;

Status check_inner_template(const Map* inner) {
    if (inner == nullptr) return Errc::InvalidArgument;
    const MapType type = inner->def().type;
    if (type == MapType::ArrayOfMaps || type == MapType::HashOfMaps) return Errc::InvalidArgument;
    if (type == MapType::ProgArray) return Errc::InternalNotSupported;
    return {};
}

bool inner_matches(const MapDef& model, const MapDef& def) {
    if (model.type != def.type || model.key_size != def.key_size || model.value_size != def.value_size ||
        model.flags != def.flags)
        return false;
    const bool array = model.type == MapType::Array || model.type == MapType::PercpuArray;
    return !array || (model.flags & flag_inner_map) != 0 || model.max_entries == def.max_entries;
}

Status write_inner(Map& outer, const void* key, Map* inner, uint64_t flags, uint32_t lane) {
    if (outer.def().type == MapType::ArrayOfMaps) return write_inner_array(outer, key, inner, flags, lane);
    if (outer.def().type == MapType::HashOfMaps) return write_inner_hash(outer, key, inner, flags, lane);
    return Errc::NotSupported;
}

}  // namespace skep::maps
