// SPDX-License-Identifier: Apache-2.0
// The order of reading, and what the file's tables say by themselves.
#include <fmt/format.h>

#include <algorithm>

#include "object/object_spec.hpp"
#include "object/reader.hpp"

namespace skep::object {

Error broken(Errc code, std::string_view section, uint64_t offset, std::string what, std::string why,
             std::string hint) {
    Where where;
    where.section = section;
    where.byte_offset = offset;
    return Error(code, std::move(where), std::move(what), std::move(why), std::move(hint));
}

const char* relocation_type_name(uint32_t type) {
    switch (type) {
        case 0: return "R_BPF_NONE";
        case 1: return "R_BPF_64_64";
        case 2: return "R_BPF_64_ABS64";
        case 3: return "R_BPF_64_ABS32";
        case 4: return "R_BPF_64_NODYLD32";
        case 10: return "R_BPF_64_32";
        case 12: return "R_BPF_DATA_64";
        default: return "R_BPF_?";
    }
}

namespace {

SymbolKind symbol_kind(uint8_t type) {
    switch (type) {
        case elf::type_none: return SymbolKind::None;
        case elf::type_object: return SymbolKind::Object;
        case elf::type_function: return SymbolKind::Function;
        case elf::type_section: return SymbolKind::Section;
        case elf::type_file: return SymbolKind::File;
        default: return SymbolKind::Other;
    }
}

bool is_debug(std::string_view name) { return name.starts_with(".debug_") || name == ".eh_frame"; }

/// A section's text up to its first NUL or its end.
std::string text_of(Bytes bytes) {
    const auto end = std::ranges::find(bytes, std::byte{});
    return {reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(end - bytes.begin())};
}

}  // namespace

Result<ObjectSpec> read_object(Bytes file, std::string file_name) {
    std::string name = file_name;
    auto spec = Reader(file, std::move(file_name)).run();
    if (!spec) return std::move(spec).error().in_file(name);
    return spec;
}

Result<ObjectSpec> Reader::run() {
    SKEP_ASSIGN(file_, elf::File::read(bytes_));
    SKEP_TRY(read_tables());
    SKEP_TRY(read_btf());
    SKEP_TRY(read_code());
    SKEP_TRY(read_legacy_maps());
    SKEP_TRY(read_btf_maps());
    SKEP_TRY(read_data());
    SKEP_TRY(read_externs());
    SKEP_TRY(read_slots());
    SKEP_TRY(read_tail_slots());
    classify_rest();
    if (has_btf_) spec_.btf = std::make_shared<const btf::Btf>(std::move(btf_));
    return std::move(spec_);
}

Result<void> Reader::read_tables() {
    spec_.machine = file_.machine();
    spec_.sections.reserve(file_.sections().size());
    for (const elf::Section& s : file_.sections()) {
        if (s.name.size() > max_name_bytes) {
            return broken(Errc::LimitExceeded, s.name.substr(0, 64), 0, "a section's name is too long",
                          fmt::format("{} bytes, at most {}", s.name.size(), max_name_bytes));
        }
        spec_.sections.push_back({std::string(s.name), {}, s.offset, s.size, s.flags, s.type, 0, 0});
    }
    spec_.symbols.reserve(file_.symbols().size());
    for (const elf::Symbol& s : file_.symbols()) {
        SymbolSpec symbol;
        if (s.name.size() > max_name_bytes && s.type != elf::type_file) {
            return broken(Errc::LimitExceeded, "", 0, "a symbol's name is too long",
                          fmt::format("{} bytes, at most {}", s.name.size(), max_name_bytes));
        }
        symbol.name = s.name.substr(0, max_name_bytes);
        symbol.value = s.value;
        symbol.size = s.size;
        symbol.kind = symbol_kind(s.type);
        symbol.binding = s.binding == elf::binding_local  ? SymbolBinding::Local
                         : s.binding == elf::binding_weak ? SymbolBinding::Weak
                                                          : SymbolBinding::Global;
        symbol.undefined = s.section == elf::index_undefined;
        if (s.defined_in_section()) {
            symbol.section = s.section;
            if (symbol.kind != SymbolKind::Section) ++spec_.sections[s.section].symbols;
        }
        spec_.symbols.push_back(std::move(symbol));
    }
    spec_.relocations.reserve(file_.relocations().size());
    for (const elf::Relocation& r : file_.relocations()) {
        spec_.relocations.push_back({r.section, r.offset, r.type, r.symbol, r.addend, r.explicit_addend});
        ++spec_.sections[r.section].relocations;
    }

    if (const uint32_t at = section_named("license"); at != 0) {
        spec_.license = text_of(contents(at));
        spec_.sections[at].kind = "license";
    }
    if (const uint32_t at = section_named("version"); at != 0) {
        const auto number = read_le<uint32_t>(contents(at), 0);
        if (!number || contents(at).size() != 4) {
            return broken(Errc::Malformed, "version", 0, "the kernel version is not one 32-bit number",
                          fmt::format("the section has {} bytes", contents(at).size()));
        }
        spec_.kernel_version = *number;
        spec_.sections[at].kind = "version";
    }
    if (const uint32_t at = section_named(".ebpf_for_windows"); at != 0) {
        spec_.ebpf_for_windows = true;
        spec_.sections[at].kind = "mark";
    }
    if (const uint32_t at = section_named(".note.skep"); at != 0) {
        SKEP_ASSIGN(spec_.sections[at].kind, read_note(contents(at)));
    }
    if (const uint32_t at = section_named(".comment"); at != 0) {
        const Bytes head = contents(at).subspan(0, std::min<size_t>(contents(at).size(), 256));
        const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
        spec_.gnu = text.find("GCC: (") != std::string_view::npos;  // assemblers put a NUL in front
    }
    return {};
}

/// docs/standard/elf-profile.md, "The platform note": name "skep", type 1, one word.
Result<std::string> Reader::read_note(Bytes note) {
    const auto word = [&](uint64_t at) { return read_le<uint32_t>(note, at).value_or(0); };
    constexpr uint32_t name_bytes = 5, type_personality = 1;  // "skep" and its NUL
    const auto name = slice(note, 12, name_bytes);
    const bool ours = word(0) == name_bytes && word(4) == 4 && word(8) == type_personality && name &&
                      text_of(*name) == "skep" && note.size() == 24;
    const uint32_t personality = word(20);
    if (!ours || personality < 1 || personality > 2)
        return broken(Errc::Malformed, ".note.skep", 0, "the platform note is damaged",
                      "it holds the words 5, 4, 1, the name \"skep\" in eight bytes, and 1 (linux) or 2 (windows)",
                      "remove it with llvm-objcopy -R .note.skep and pass --personality");
    return std::string(personality == 1 ? linux_mark : windows_mark);
}

uint32_t Reader::section_named(std::string_view name) const {
    const auto sections = file_.sections();
    const auto at = std::ranges::find(sections, name, &elf::Section::name);
    return at == sections.end() ? 0 : static_cast<uint32_t>(at - sections.begin());
}

std::pair<uint32_t, uint32_t> Reader::relocations_of(uint32_t section) const {
    const auto range = std::ranges::equal_range(spec_.relocations, section, {}, &RelocationSpec::section);
    return {static_cast<uint32_t>(range.begin() - spec_.relocations.begin()),
            static_cast<uint32_t>(range.end() - spec_.relocations.begin())};
}

std::optional<uint64_t> Reader::data_target(const RelocationSpec& r) const {
    const SymbolSpec& symbol = spec_.symbols[r.symbol];
    if (symbol.section == no_index) return std::nullopt;
    const auto in_place = read_le<uint64_t>(contents(r.section), r.offset);
    if (!in_place) return std::nullopt;
    if (r.explicit_addend) return symbol.value + static_cast<uint64_t>(r.addend);
    return spec_.gnu ? *in_place : symbol.value + *in_place;
}

void Reader::not_supported(std::string_view section, std::string reason) {
    spec_.unsupported.push_back({std::string(section), std::move(reason)});
}

void Reader::classify_rest() {
    for (size_t i = 1; i < spec_.sections.size(); ++i) {
        SectionSpec& s = spec_.sections[i];
        if (!s.kind.empty()) continue;
        const std::string_view name = s.name;
        switch (s.type) {
            case elf::section_null: s.kind = "empty"; continue;
            case elf::section_symtab: s.kind = "symbols"; continue;
            case elf::section_strtab: s.kind = "strings"; continue;
            case elf::section_rel:
            case elf::section_rela: s.kind = "relocations"; continue;
            default: break;
        }
        if (is_debug(name)) {
            s.kind = "debug";
        } else if (name == ".comment" || name.starts_with(".llvm") || name.starts_with(".note") || name == ".group") {
            s.kind = "compiler";
        } else if (s.size == 0) {
            s.kind = "empty";
        } else if (name.starts_with(".struct_ops")) {
            s.kind = "not supported";
            not_supported(name, "kernel operations tables (struct_ops) need a kernel to implement them in");
        } else if (name.starts_with(".addr_space.")) {
            s.kind = "not supported";
            not_supported(name, "variables in an arena (address space 1) are not supported yet");
        } else if ((s.flags & elf::flag_alloc) != 0) {
            s.kind = "not supported";
            not_supported(name, "data in a section that is neither .data, .rodata nor .bss");
        } else {
            s.kind = "other";
        }
    }
}

uint32_t ObjectSpec::find_program(std::string_view name) const {
    const auto at = std::ranges::find(programs, name, &ProgramSpec::name);
    return at == programs.end() ? no_index : static_cast<uint32_t>(at - programs.begin());
}

uint32_t ObjectSpec::find_map(std::string_view name) const {
    const auto at = std::ranges::find(maps, name, &MapSpec::name);
    return at == maps.end() ? no_index : static_cast<uint32_t>(at - maps.begin());
}

}  // namespace skep::object
