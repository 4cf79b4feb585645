// SPDX-License-Identifier: Apache-2.0
// .BTF and .BTF.ext of an object, and what compilers leave to the loader in them.
#include <fmt/format.h>

#include <unordered_map>

#include "object/reader.hpp"

namespace skep::object {

Result<void> Reader::read_btf() {
    const uint32_t at = section_named(".BTF");
    const uint32_t ext_at = section_named(".BTF.ext");
    if (at == 0) return {};
    spec_.sections[at].kind = "btf";
    auto parsed = btf::Btf::parse(contents(at));
    if (!parsed) return std::move(parsed).error().in_section(".BTF");
    btf_ = *std::move(parsed);
    has_btf_ = true;

    // Sizes of sections are zero in the file and offsets of global variables (with GNU, of all) too: the section table
    // and the symbols have the truth (libbpf: btf_fixup_datasec).
    std::unordered_map<std::string_view, uint32_t> sections;
    for (uint32_t i = 1; i < spec_.sections.size(); ++i) sections.emplace(spec_.sections[i].name, i);
    struct Key {
        uint32_t section;
        std::string_view name;
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        size_t operator()(const Key& k) const { return std::hash<std::string_view>{}(k.name) * 31 + k.section; }
    };
    std::unordered_map<Key, uint32_t, Hash> symbols;
    for (uint32_t i = 1; i < spec_.symbols.size(); ++i) {
        const SymbolSpec& s = spec_.symbols[i];
        if (s.section == no_index || s.name.empty() || s.kind == SymbolKind::Section) continue;
        const bool added = symbols.emplace(Key{s.section, s.name}, i).second;
        if (!added && s.binding != SymbolBinding::Local) symbols[Key{s.section, s.name}] = i;
    }
    for (btf::TypeId id = 1; id < btf_.type_count(); ++id) {
        const btf::Type& type = btf_.type(id);
        if (type.kind != btf::Kind::Datasec) continue;
        const auto section = sections.find(btf_.name(id));
        if (section == sections.end()) continue;
        const uint64_t size = spec_.sections[section->second].size;
        if (type.size == 0 && size <= UINT32_MAX) btf_.set_section_size(id, static_cast<uint32_t>(size));
        for (uint32_t v = 0; v < type.count; ++v) {
            const btf::TypeId variable = btf_.variables(type)[v].type;
            if (btf_.type(variable).linkage == btf::Linkage::Static && !spec_.gnu) continue;
            const auto symbol = symbols.find(Key{section->second, btf_.name(variable)});
            if (symbol == symbols.end()) continue;
            btf_.set_variable_offset(id, v, static_cast<uint32_t>(spec_.symbols[symbol->second].value));
        }
    }

    if (ext_at == 0) return {};
    spec_.sections[ext_at].kind = "btf";
    auto ext = btf::BtfExt::parse(contents(ext_at), btf_);
    if (!ext) return std::move(ext).error().in_section(".BTF.ext");
    ext_ = *std::move(ext);
    spec_.btf_ext = true;
    return {};
}

}  // namespace skep::object
