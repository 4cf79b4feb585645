// SPDX-License-Identifier: Apache-2.0
#include "platform/context_types.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "btf/edit.hpp"
#include "platform/helper.hpp"
#include "platform/map_type.hpp"
#include "platform/program_type.hpp"

namespace skep::platform {

namespace {

std::vector<std::byte> no_types() {
    constexpr uint32_t header_bytes = 24;
    std::vector<std::byte> out(header_bytes + 1);       // one string, the empty one
    store_le<uint32_t>(out.data(), 0xeb9f | 1u << 16);  // magic, version 1, no flags
    store_le<uint32_t>(out.data() + 4, header_bytes);
    store_le<uint32_t>(out.data() + 20, 1);  // bytes of strings
    return out;
}

/// Fields that `has` refuses are left out, and their struct ends where the others do.
using Chosen = std::function<bool(const FieldRow&)>;

/// The address family has a name of its own on each system.
bool has_windows_name(const FieldRow& field, Personality personality) {
    return field.id == FieldId::SockAddrUserFamily && personality == Personality::Windows;
}

std::string upper(std::string_view word) {
    std::string out(word);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

/// What linux/bpf.h calls the platform's numbers.
void add_numbers(btf::BtfEditor& types, const Platform& platform) {
    std::vector<std::pair<std::string, uint32_t>> helpers, maps, programs;
    for (const PlatformHelper& h : platform.helpers)
        if (h.canonical && helper(*h.canonical).linux_id != 0)
            helpers.emplace_back("BPF_FUNC_" + h.name, helper(*h.canonical).linux_id);
    for (const PlatformMap& m : platform.maps)
        maps.emplace_back("BPF_MAP_TYPE_" + upper(map_type_name(m.type)), map_type_linux_id(m.type));
    for (const PlatformType& t : platform.types)
        if (const uint32_t id = program_type_linux_id(t.type); id != 0)
            programs.emplace_back("BPF_PROG_TYPE_" + upper(program_type_name(t.type)), id);
    types.add_enum("bpf_func_id", helpers);
    types.add_enum("bpf_map_type", maps);
    types.add_enum("bpf_prog_type", programs);
}

std::vector<std::byte> make_types(Personality personality, const Chosen& has, const Platform* numbers) {
    auto opened = btf::BtfEditor::open(no_types());
    if (!opened) return {};
    btf::BtfEditor& types = *opened;
    const std::map<uint32_t, btf::TypeId> integers = {{1, types.add_integer("unsigned char", 1)},
                                                      {2, types.add_integer("unsigned short", 2)},
                                                      {4, types.add_integer("unsigned int", 4)},
                                                      {8, types.add_integer("unsigned long long", 8)}};
    const btf::TypeId pointer = types.add_pointer(0);
    std::vector<std::string_view> known;
    for (const FieldRow& first : context_fields()) {
        const ContextKind context = first.context;
        const std::string_view name = context_struct_name(context, personality);
        if (name.empty() || std::ranges::find(known, name) != known.end()) continue;
        std::vector<const FieldRow*> fields;
        bool all = true;
        for (const FieldRow& field : fields_of(context)) {
            if (field.bytes(personality) == 0) continue;
            if (has(field))
                fields.push_back(&field);
            else
                all = false;
        }
        if (fields.empty()) continue;
        known.push_back(name);
        std::ranges::stable_sort(fields, {}, [&](const FieldRow* f) { return f->offset(personality); });
        std::vector<btf::NewMember> members;
        uint32_t end = 0, alignment = 1;
        for (const FieldRow* field : fields) {
            const uint32_t bytes = field->bytes(personality);
            // Texts and addresses of Windows' own contexts are bytes, arrays of Linux' are words.
            const uint32_t part = context == ContextKind::Bind || context == ContextKind::Process ? 1 : 4;
            btf::TypeId type = 0;
            if (field->kind != FieldKind::Scalar && bytes == 8)
                type = pointer;
            else if (const auto integer = integers.find(bytes); integer != integers.end())
                type = integer->second;
            else
                type = types.add_array(integers.at(bytes % part == 0 ? part : 1), integers.at(4),
                                       bytes / (bytes % part == 0 ? part : 1));
            end = std::max(end, field->offset(personality) + bytes);
            alignment = std::max(alignment, bytes == 8 ? 8u : std::min(bytes, 4u));
            members.push_back(
                {has_windows_name(*field, personality) ? "family" : field->name, type, field->offset(personality)});
        }
        end = (end + alignment - 1) / alignment * alignment;
        types.add_struct(name, all ? context_bytes(context, personality) : end, members);
    }
    if (numbers != nullptr && personality == Personality::Linux) add_numbers(types, *numbers);
    return types.finish();
}

}  // namespace

std::vector<std::byte> context_types(Personality personality) {
    return make_types(personality, [](const FieldRow&) { return true; }, nullptr);
}

std::vector<std::byte> context_types(const Platform& platform, Personality personality) {
    // Holes and fields that no program type of the platform may touch are members all the same.
    const auto has = [&](const FieldRow& field) {
        const auto since = Version::parse(field_since(field));
        return platform.version == Version{} || !since || *since <= platform.version;
    };
    return make_types(personality, has, &platform);
}

std::string_view context_struct_name(ContextKind context, Personality personality) {
    constexpr std::string_view word = "struct ", alias = "_t";
    std::string_view name = context_type_name(context, personality);
    if (name.starts_with(word)) return name.substr(word.size());
    // eBPF for Windows' headers: typedef struct xdp_md { ... } xdp_md_t;
    if (name.ends_with(alias) && name.find(' ') == std::string_view::npos)
        return name.substr(0, name.size() - alias.size());
    return {};
}

std::optional<FieldId> field_named(ContextKind context, std::string_view member, Personality personality) {
    for (const Personality whose :
         {personality, personality == Personality::Linux ? Personality::Windows : Personality::Linux})
        for (const FieldRow& field : fields_of(context))
            if (field.bytes(whose) != 0 && member == (has_windows_name(field, whose) ? "family" : field.name))
                return field.id;
    return std::nullopt;
}

}  // namespace skep::platform
