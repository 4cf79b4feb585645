// SPDX-License-Identifier: Apache-2.0
// What a module needs of its host, in words: only the helpers, fields, maps and program types that its programs use
// (DESIGN.md 7b.11). A host serves a module if it offers a superset with equal types; every difference is named.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "object/object_spec.hpp"
#include "platform/helper.hpp"
#include "program/bound_program.hpp"
#include "program/map_layout.hpp"

namespace skep::module {

using Buffer = std::vector<std::byte>;

struct HelperUse {
    std::string name;
    std::string prototype;  ///< "ConstMapPtr, MapKey -> MapValueOrNull": kinds of arguments and result, effects

    bool operator==(const HelperUse&) const = default;
};

struct FieldUse {
    std::string name;     ///< "Xdp.ingress_ifindex"
    uint16_t offset = 0;  ///< bytes into the host's context
    uint8_t bytes = 0;    ///< width of the host's field
    bool read = false;
    bool written = false;

    bool operator==(const FieldUse&) const = default;
};

struct MapNeed {
    std::string name;
    std::string type;  ///< canonical
    uint32_t key_bytes = 0, value_bytes = 0, max_entries = 0, flags = 0;
    MapLayoutKind layout = MapLayoutKind::Opaque;  ///< not Opaque: elements are reached directly
    uint32_t mask = 0;
    uint64_t stride = 0;

    bool operator==(const MapNeed&) const = default;
};

/// The version of how arrays lie in memory that code of this build inlines.
inline constexpr uint32_t array_layout_version = 1;

struct Contract {
    uint32_t runtime_abi = 0;  ///< SKEP_RUNTIME_CONTEXT_ABI
    uint32_t module_abi = 0;   ///< SKEP_NATIVE_MODULE_ABI
    uint32_t layout_version = array_layout_version;
    bool private_packet = true;              ///< nobody else writes a packet while a program runs over it
    std::vector<HelperUse> helpers;          ///< in the order of the instance's table, sorted by name
    std::vector<FieldUse> fields;            ///< sorted by name
    std::vector<MapNeed> maps;               ///< in the order of the instance's table
    std::vector<std::string> program_types;  ///< sorted

    bool operator==(const Contract&) const = default;
};

/// The contract of these programs of `spec`. `map_order`: the module's maps as indices into ObjectSpec::maps.
Result<Contract> contract_of(const object::ObjectSpec& spec, std::span<const BoundProgram* const> programs,
                             std::span<const uint32_t> map_order);

/// The layout that arrays of this definition have here; what the module inlines.
MapLayout array_layout(const object::MapSpec& spec, platform::Personality personality);

/// What this host cannot serve, one line each; empty: it can run the module. `others`: what an equal contract would
/// look like, computed from the module's own object (null: not known); differences to it are lines as well.
std::vector<std::string> differences(const Contract& contract, const Contract* others);

std::string prototype_of(platform::HelperId id);

Buffer encode(const Contract& contract);
/// Errors: Malformed, Truncated; Unsupported, by name, for a critical part that is not known.
Result<Contract> decode_contract(Bytes bytes);

}  // namespace skep::module
