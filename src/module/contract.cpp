// SPDX-License-Identifier: Apache-2.0
#include "module/contract.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "isa/insn.hpp"
#include "maps/array_rules.hpp"
#include "module/tlv.hpp"
#include "platform/context.hpp"
#include "platform/map_type.hpp"
#include "platform/program_type.hpp"
#include "runtime/core/helpers.hpp"
#include "runtime/load/object_maps.hpp"
#include "skep/native_module.h"

namespace skep::module {

namespace {

/// Parts of a contract (docs/formats/native-module.md).
enum Part : uint16_t {
    part_abi = 1,
    part_program_type = 2,
    part_helper = 3,
    part_field = 4,
    part_map = 5,
};

constexpr uint32_t abi_private_packet = 1;

// The words of the tables themselves are the names: whoever changes a row changes the contract.
constexpr const char* prototypes[] = {
#define HELPER(name, text, linux_id, windows_id, since, licence, users, effects, result, r1, r2, r3, r4, r5) \
    #r1 ", " #r2 ", " #r3 ", " #r4 ", " #r5 " -> " #result " [" #effects "]",
#include "platform/helper.def"
#undef HELPER
};

const std::map<uint16_t, std::string>& field_names() {
    static const std::map<uint16_t, std::string> names = [] {
        using platform::FieldId;
        std::map<uint16_t, std::string> out;
        const auto add = [&out](FieldId id, const char* context, const char* text) {
            out[static_cast<uint16_t>(id)] = std::string(context) + "." + text;
        };
#define CONTEXT_FIELD(context, name, text, l_off, l_bytes, w_off, w_bytes, member, kind, readers, writers, access) \
    add(FieldId::context##name, #context, text);
#include "platform/contexts.def"
        return out;
    }();
    return names;
}

const char* layout_name(MapLayoutKind kind) {
    switch (kind) {
        case MapLayoutKind::Opaque: return "called";
        case MapLayoutKind::Array: return "array";
        case MapLayoutKind::PercpuArray: return "percpu_array";
    }
    return "?";
}

/// What a helper call, named or by a packet load, needs.
void add_fields(const BoundProgram& program, std::map<std::string, FieldUse>& fields) {
    const auto insns = isa::decode_all(program.linked.code);
    if (!insns) return;  // emission says so
    for (const isa::PlacedInsn& placed : *insns) {
        const Binding& binding = program.bindings[placed.index];
        if (binding.kind != BindingKind::Context) continue;
        const auto name = field_names().find(binding.context.field);
        if (name == field_names().end()) continue;
        FieldUse& use = fields[name->second];
        use.name = name->second;
        use.offset = binding.context.host_offset;
        use.bytes = binding.context.host_bytes;
        (placed.insn.row().form == isa::Form::LoadMem ? use.read : use.written) = true;
    }
}

std::string text_of_field(const FieldUse& f) {
    return fmt::format("{} bytes at {}{}{}", f.bytes, f.offset, f.read ? ", read" : "", f.written ? ", written" : "");
}

}  // namespace

std::string prototype_of(platform::HelperId id) { return prototypes[static_cast<size_t>(id)]; }

MapLayout array_layout(const object::MapSpec& spec, platform::Personality personality) {
    const auto def = runtime::map_def(spec, personality, 1);
    if (!def) return {};
    const bool percpu = def->type == platform::MapType::PercpuArray;
    maps::ArrayShape shape;
    if ((def->type != platform::MapType::Array && !percpu) || !maps::check_array_def(*def).ok() ||
        !maps::shape_array(*def, &shape).ok())
        return {};
    MapLayout layout;
    layout.kind = percpu ? MapLayoutKind::PercpuArray : MapLayoutKind::Array;
    layout.max_entries = def->max_entries;
    layout.mask = shape.mask;
    layout.stride = shape.stride;
    return layout;
}

Result<Contract> contract_of(const object::ObjectSpec& spec, std::span<const BoundProgram* const> programs,
                             std::span<const uint32_t> map_order) {
    Contract out;
    out.runtime_abi = SKEP_RUNTIME_CONTEXT_ABI;
    out.module_abi = SKEP_NATIVE_MODULE_ABI;
    std::set<std::string> types;
    std::map<std::string, HelperUse> uses;
    std::map<std::string, FieldUse> fields;
    for (const BoundProgram* program : programs) {
        types.insert(platform::program_type_name(program->type));
        add_fields(*program, fields);
        for (size_t i = 0; i < program->bindings.size(); ++i) {
            const Binding& binding = program->bindings[i];
            if (binding.kind != BindingKind::Helper || binding.helper >= platform::helper_count) continue;
            const auto id = static_cast<platform::HelperId>(binding.helper);
            uses[platform::helper_name(id)] = {platform::helper_name(id), prototype_of(id)};
        }
        const auto insns = isa::decode_all(program->linked.code);
        for (size_t i = 0; insns && i < insns->size(); ++i) {
            const isa::Row& row = (*insns)[i].insn.row();
            if (!row.is_packet_load()) continue;
            using platform::HelperId;
            const HelperId id = row.access_bytes() == 1   ? HelperId::PacketLoad1
                                : row.access_bytes() == 2 ? HelperId::PacketLoad2
                                                          : HelperId::PacketLoad4;
            uses[platform::helper_name(id)] = {platform::helper_name(id), prototype_of(id)};
        }
    }
    for (auto& [name, use] : uses) out.helpers.push_back(std::move(use));
    for (auto& [name, use] : fields) out.fields.push_back(std::move(use));
    out.program_types.assign(types.begin(), types.end());
    const auto personality = programs.empty() ? platform::Personality::Linux : programs.front()->personality;
    for (const uint32_t index : map_order) {
        const object::MapSpec& map = spec.maps[index];
        SKEP_ASSIGN(const maps::MapDef def, runtime::map_def(map, personality, 1));
        const MapLayout layout = array_layout(map, personality);
        MapNeed need;
        need.name = map.name;
        need.type = platform::map_type_name(def.type);
        need.key_bytes = def.key_size;
        need.value_bytes = def.value_size;
        need.max_entries = map.max_entries;
        need.flags = def.flags;
        need.layout = layout.kind;
        need.mask = layout.mask;
        need.stride = layout.stride;
        out.maps.push_back(std::move(need));
    }
    return out;
}

std::vector<std::string> differences(const Contract& contract, const Contract* others) {
    std::vector<std::string> out;
    const auto number = [&](const char* what, uint32_t wanted, uint32_t offered) {
        if (wanted != offered) out.push_back(fmt::format("{}: the module has {}, this host {}", what, wanted, offered));
    };
    number("run-time context abi", contract.runtime_abi, SKEP_RUNTIME_CONTEXT_ABI);
    number("native module abi", contract.module_abi, SKEP_NATIVE_MODULE_ABI);
    number("version of the layout of arrays", contract.layout_version, array_layout_version);
    for (const std::string& type : contract.program_types) {
        const auto known = platform::program_type_from_name(type);
        if (!known || type != platform::program_type_name(*known) ||
            platform::program_type_host(*known) == platform::HostedBy::Nobody)
            out.push_back(fmt::format("program type {}: nothing here runs such programs", type));
    }
    for (const HelperUse& use : contract.helpers) {
        bool found = false;
        for (uint16_t i = 0; i < platform::helper_count && !found; ++i) {
            const auto id = static_cast<platform::HelperId>(i);
            if (use.name != platform::helper_name(id)) continue;
            found = true;
            if (use.prototype != prototype_of(id))
                out.push_back(fmt::format("helper {}: the module takes it for ({}), this host for ({})", use.name,
                                          use.prototype, prototype_of(id)));
            else if (runtime::helper_functions()[i] == nullptr)
                out.push_back(fmt::format("helper {}: this host does not offer it", use.name));
        }
        if (!found) out.push_back(fmt::format("helper {}: this host does not know it", use.name));
    }
    for (const FieldUse& use : contract.fields) {
        bool found = false;
        for (const platform::FieldRow& row : platform::context_fields()) {
            const auto name = field_names().find(static_cast<uint16_t>(row.id));
            if (name == field_names().end() || name->second != use.name) continue;
            found = true;
            // Of a number that the host keeps for each personality, either place is one that it has.
            const bool linux_view = row.host_offset == use.offset && row.host_bytes == use.bytes;
            const bool windows_view = row.windows_host_offset == use.offset && row.windows_host_bytes == use.bytes;
            if (!linux_view && !windows_view)
                out.push_back(fmt::format("context field {}: the module has {}, this host {} bytes at {}", use.name,
                                          text_of_field(use), row.host_bytes, row.host_offset));
        }
        if (!found) out.push_back(fmt::format("context field {}: this host does not know it", use.name));
    }
    if (others == nullptr) return out;
    const auto compare = [&](const char* what, const auto& mine, const auto& theirs, const auto& name_of) {
        for (size_t i = 0; i < std::max(mine.size(), theirs.size()); ++i) {
            if (i >= mine.size())
                out.push_back(fmt::format("{} {}: used by the module's object, missing in its contract", what,
                                          name_of(theirs[i])));
            else if (i >= theirs.size())
                out.push_back(
                    fmt::format("{} {}: in the module's contract, not used by its object", what, name_of(mine[i])));
            else if (!(mine[i] == theirs[i]))
                out.push_back(fmt::format("{} {}: differs from what the module's object says of {}", what,
                                          name_of(mine[i]), name_of(theirs[i])));
        }
    };
    compare("program type", contract.program_types, others->program_types, [](const std::string& s) { return s; });
    compare("helper", contract.helpers, others->helpers, [](const HelperUse& u) { return u.name; });
    compare("context field", contract.fields, others->fields, [](const FieldUse& u) { return u.name; });
    compare("map", contract.maps, others->maps, [](const MapNeed& m) {
        return fmt::format("{} ({}, key {}, value {}, {} entries, {} with stride {} and mask {:#x})", m.name, m.type,
                           m.key_bytes, m.value_bytes, m.max_entries, layout_name(m.layout), m.stride, m.mask);
    });
    return out;
}

Buffer encode(const Contract& contract) {
    Writer out;
    {
        Writer w;
        w.number(contract.runtime_abi);
        w.number(contract.module_abi);
        w.number(contract.layout_version);
        w.number(contract.private_packet ? abi_private_packet : 0u);
        out.part(part_abi, tlv_critical, w.bytes);
    }
    for (const std::string& type : contract.program_types) out.part(part_program_type, tlv_critical, type);
    for (const HelperUse& use : contract.helpers) {
        Writer w;
        w.text(use.name);
        w.text(use.prototype);
        out.part(part_helper, tlv_critical, w.bytes);
    }
    for (const FieldUse& use : contract.fields) {
        Writer w;
        w.text(use.name);
        w.number(use.offset);
        w.number(use.bytes);
        w.number(static_cast<uint8_t>((use.read ? 1 : 0) | (use.written ? 2 : 0)));
        out.part(part_field, tlv_critical, w.bytes);
    }
    for (const MapNeed& map : contract.maps) {
        Writer w;
        w.text(map.name);
        w.text(map.type);
        for (const uint32_t value : {map.key_bytes, map.value_bytes, map.max_entries, map.flags}) w.number(value);
        w.text(layout_name(map.layout));
        w.number(map.mask);
        w.number(map.stride);
        out.part(part_map, tlv_critical, w.bytes);
    }
    return std::move(out.bytes);
}

Result<Contract> decode_contract(Bytes bytes) {
    constexpr const char* what = "the module's contract";
    SKEP_ASSIGN(const std::vector<Tlv> parts, split_parts(bytes, what));
    Contract out;
    bool has_abi = false;
    for (const Tlv& part : parts) {
        Reader in(part.value);
        switch (part.type) {
            case part_abi: {
                out.runtime_abi = in.number<uint32_t>();
                out.module_abi = in.number<uint32_t>();
                out.layout_version = in.number<uint32_t>();
                const uint32_t flags = in.number<uint32_t>();
                out.private_packet = (flags & abi_private_packet) != 0;
                if ((flags & ~abi_private_packet) != 0)
                    return Error(Errc::Unsupported, fmt::format("{} assumes what this skep does not know", what),
                                 fmt::format("flags {:#x}", flags));
                has_abi = true;
                break;
            }
            case part_program_type: {
                SKEP_ASSIGN(std::string name, text_of(part, what));
                out.program_types.push_back(std::move(name));
                continue;
            }
            case part_helper: {
                HelperUse use;
                use.name = in.text();
                use.prototype = in.text();
                out.helpers.push_back(std::move(use));
                break;
            }
            case part_field: {
                FieldUse use;
                use.name = in.text();
                use.offset = in.number<uint16_t>();
                use.bytes = in.number<uint8_t>();
                const uint8_t flags = in.number<uint8_t>();
                use.read = (flags & 1) != 0;
                use.written = (flags & 2) != 0;
                out.fields.push_back(std::move(use));
                break;
            }
            case part_map: {
                MapNeed map;
                map.name = in.text();
                map.type = in.text();
                map.key_bytes = in.number<uint32_t>();
                map.value_bytes = in.number<uint32_t>();
                map.max_entries = in.number<uint32_t>();
                map.flags = in.number<uint32_t>();
                const std::string layout = in.text();
                map.mask = in.number<uint32_t>();
                map.stride = in.number<uint64_t>();
                bool known = false;
                for (const MapLayoutKind kind :
                     {MapLayoutKind::Opaque, MapLayoutKind::Array, MapLayoutKind::PercpuArray}) {
                    if (layout != layout_name(kind)) continue;
                    map.layout = kind;
                    known = true;
                }
                if (!known && !in.failed())
                    return Error(Errc::Unsupported,
                                 fmt::format("{} reaches map {} in a way this skep does not know", what, map.name));
                out.maps.push_back(std::move(map));
                break;
            }
            default: SKEP_TRY(unknown_part(part, what)); continue;
        }
        // Longer parts are newer ones: what they append may be ignored, as critical additions get parts of their own.
        if (in.failed()) return Error(Errc::Truncated, fmt::format("{} ends inside part {}", what, part.type));
    }
    if (!has_abi) return Error(Errc::Malformed, fmt::format("{} does not name its abi", what));
    return out;
}

}  // namespace skep::module
