// SPDX-License-Identifier: Apache-2.0
#include "platform/context_types.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include "btf/edit.hpp"
#include "platform/context.hpp"

namespace skep::platform {

namespace {

/// The struct's name in C, or nothing for what is no struct ("the tracepoint's record").
std::string_view struct_name(ContextKind context, Personality personality) {
    constexpr std::string_view word = "struct ", alias = "_t";
    std::string_view name = context_type_name(context, personality);
    if (name.starts_with(word)) return name.substr(word.size());
    // eBPF for Windows' headers: typedef struct xdp_md { ... } xdp_md_t;
    if (name.ends_with(alias) && name.find(' ') == std::string_view::npos)
        return name.substr(0, name.size() - alias.size());
    return {};
}

std::vector<std::byte> no_types() {
    constexpr uint32_t header_bytes = 24;
    std::vector<std::byte> out(header_bytes + 1);       // one string, the empty one
    store_le<uint32_t>(out.data(), 0xeb9f | 1u << 16);  // magic, version 1, no flags
    store_le<uint32_t>(out.data() + 4, header_bytes);
    store_le<uint32_t>(out.data() + 20, 1);  // bytes of strings
    return out;
}

}  // namespace

std::vector<std::byte> context_types(Personality personality) {
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
        const std::string_view name = struct_name(context, personality);
        if (name.empty() || std::ranges::find(known, name) != known.end()) continue;
        std::vector<const FieldRow*> fields;
        for (const FieldRow& field : fields_of(context))
            if (field.bytes(personality) != 0) fields.push_back(&field);
        if (fields.empty()) continue;
        known.push_back(name);
        std::ranges::stable_sort(fields, {}, [&](const FieldRow* f) { return f->offset(personality); });
        std::vector<btf::NewMember> members;
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
            // The address family has a name of its own on each system.
            const bool family = field->id == FieldId::SockAddrUserFamily && personality == Personality::Windows;
            members.push_back({family ? "family" : field->name, type, field->offset(personality)});
        }
        types.add_struct(name, context_bytes(context, personality), members);
    }
    return types.finish();
}

}  // namespace skep::platform
