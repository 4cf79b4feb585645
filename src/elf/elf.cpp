// SPDX-License-Identifier: Apache-2.0
#include "elf/elf.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace skep::elf {

namespace {

constexpr uint64_t header_size = 64;
constexpr uint64_t section_header_size = 64;
constexpr uint64_t symbol_size = 24;
constexpr uint64_t rel_size = 16;
constexpr uint64_t rela_size = 24;
constexpr uint16_t relocatable = 1;  // ET_REL
constexpr uint16_t extended_index = 0xffff;

Error damaged(Errc code, uint64_t offset, std::string what, std::string why = {}, std::string hint = {}) {
    Where where;
    where.byte_offset = offset;
    return Error(code, std::move(where), std::move(what), std::move(why), std::move(hint));
}

}  // namespace

struct File::Reader {
    Bytes bytes;
    File file;
    uint64_t table_at = 0;
    uint32_t names_index = 0;
    uint64_t name_bytes = 0;

    Result<void> run() {
        SKEP_TRY(header());
        SKEP_TRY(section_headers());
        SKEP_TRY(section_names());
        SKEP_TRY(overlaps());
        SKEP_TRY(symbol_table());
        return relocation_tables();
    }

    Result<void> header() {
        if (bytes.size() < header_size) {
            return damaged(Errc::Truncated, 0, "the file is too short to be an ELF object",
                           fmt::format("it has {} bytes, the ELF header alone has {}", bytes.size(), header_size));
        }
        const auto u8 = [&](uint64_t at) { return std::to_integer<uint8_t>(bytes[at]); };
        if (u8(0) != 0x7f || u8(1) != 'E' || u8(2) != 'L' || u8(3) != 'F') {
            return damaged(Errc::Malformed, 0, "not an ELF file", "the first four bytes are not 7f 45 4c 46",
                           "give the object file that clang -target bpf -c wrote");
        }
        if (u8(4) != 2) {
            return damaged(Errc::Malformed, 4, "not a 64-bit ELF file", fmt::format("EI_CLASS is {}", u8(4)));
        }
        if (u8(5) != 1) {
            return damaged(Errc::Unsupported, 5, "not a little-endian ELF file", fmt::format("EI_DATA is {}", u8(5)),
                           "compile with -target bpfel (or plain bpf on a little-endian machine)");
        }
        if (u8(6) != 1) {
            return damaged(Errc::Malformed, 6, "unknown ELF version", fmt::format("EI_VERSION is {}", u8(6)));
        }
        const uint16_t type = *read_le<uint16_t>(bytes, 16);
        if (type != relocatable) {
            return damaged(Errc::Malformed, 16, "not a relocatable object",
                           fmt::format("e_type is {}, a relocatable object has 1", type),
                           "give the compiler's object file (clang -c), not a linked program or library");
        }
        file.machine_ = *read_le<uint16_t>(bytes, 18);
        if (file.machine_ != machine_bpf && file.machine_ != machine_none) {
            return damaged(Errc::Malformed, 18, "not an eBPF object",
                           fmt::format("e_machine is {}, eBPF is 247", file.machine_),
                           "compile with clang -target bpf");
        }
        table_at = *read_le<uint64_t>(bytes, 40);
        const uint16_t entry_size = *read_le<uint16_t>(bytes, 58);
        const uint16_t count = *read_le<uint16_t>(bytes, 60);
        names_index = *read_le<uint16_t>(bytes, 62);
        if (count == 0) {
            return table_at == 0 ? damaged(Errc::Malformed, 60, "the file has no section table")
                                 : damaged(Errc::Unsupported, 60, "the section count is not in the ELF header",
                                           "e_shnum is 0: more than 65279 sections");
        }
        if (entry_size != section_header_size) {
            return damaged(Errc::Malformed, 58, "section headers of an unknown size",
                           fmt::format("e_shentsize is {}, ELF64 has {}", entry_size, section_header_size));
        }
        if (!slice(bytes, table_at, count * section_header_size)) {
            return damaged(Errc::Truncated, 40, "the section table lies outside the file",
                           fmt::format("{} headers at {:#x}, the file has {:#x} bytes", count, table_at, bytes.size()));
        }
        if (names_index == extended_index || names_index >= count) {
            return damaged(Errc::Malformed, 62, "the section of section names does not exist",
                           fmt::format("e_shstrndx is {}, the file has {} sections", names_index, count));
        }
        file.sections_.resize(count);
        return {};
    }

    Result<void> section_headers() {
        for (size_t i = 0; i < file.sections_.size(); ++i) {
            const uint64_t at = table_at + i * section_header_size;
            const std::byte* h = bytes.data() + at;
            Section& s = file.sections_[i];
            s.type = load_le<uint32_t>(h + 4);
            s.flags = load_le<uint64_t>(h + 8);
            s.offset = load_le<uint64_t>(h + 24);
            s.size = load_le<uint64_t>(h + 32);
            s.link = load_le<uint32_t>(h + 40);
            s.info = load_le<uint32_t>(h + 44);
            s.entry_size = load_le<uint64_t>(h + 56);
            if (i == 0 || s.type == section_null) {
                s.size = 0;  // of the null section only its use for large counts is defined, and that is refused
                continue;
            }
            if (s.type == section_nobits) continue;
            const auto part = slice(bytes, s.offset, s.size);
            if (!part) {
                return damaged(
                    Errc::Truncated, at + 24, fmt::format("section {} lies outside the file", i),
                    fmt::format("offset {:#x}, size {:#x}, the file has {:#x} bytes", s.offset, s.size, bytes.size()),
                    "the file is cut off or damaged: compile it again");
            }
            s.bytes = *part;
        }
        return {};
    }

    /// The name at `offset` of a string table. All names together may not outgrow the file, so that code above may copy
    /// them: many headers that point at one long name would otherwise multiply it.
    Result<std::string_view> name(const Section& table, uint64_t offset, uint64_t header_at) {
        if (offset == 0) return std::string_view{};
        const auto text = read_c_string(table.bytes, offset);
        if (!text) {
            return damaged(Errc::Malformed, header_at, "a name lies outside its string table",
                           fmt::format("it starts at {:#x} of {:#x} bytes, or never ends", offset, table.size));
        }
        name_bytes += text->size();
        if (name_bytes > 4 * static_cast<uint64_t>(bytes.size())) {
            return damaged(Errc::LimitExceeded, header_at, "the names in the file are longer than the file",
                           fmt::format("together more than four times its {} bytes", bytes.size()));
        }
        return *text;
    }

    Result<void> section_names() {
        const Section& table = file.sections_[names_index];
        if (table.type != section_strtab) {
            return damaged(Errc::Malformed, 62, "the section of section names is no string table",
                           fmt::format("section {} has type {}", names_index, table.type));
        }
        for (size_t i = 1; i < file.sections_.size(); ++i) {
            const uint64_t at = table_at + i * section_header_size;
            SKEP_ASSIGN(file.sections_[i].name, name(table, *read_le<uint32_t>(bytes, at), at));
        }
        return {};
    }

    Result<void> overlaps() {
        struct Extent {
            uint64_t begin, end;
            uint32_t index;
        };
        constexpr uint32_t is_header = UINT32_MAX, is_table = UINT32_MAX - 1;
        std::vector<Extent> extents;
        extents.reserve(file.sections_.size() + 2);
        extents.push_back({0, header_size, is_header});
        extents.push_back({table_at, table_at + file.sections_.size() * section_header_size, is_table});
        for (uint32_t i = 0; i < file.sections_.size(); ++i) {
            const Section& s = file.sections_[i];
            if (!s.bytes.empty()) extents.push_back({s.offset, s.offset + s.size, i});
        }
        std::ranges::sort(extents, {}, [](const Extent& e) { return std::pair(e.begin, e.index); });
        const auto text = [&](uint32_t index) {
            if (index == is_header) return std::string("the ELF header");
            if (index == is_table) return std::string("the section table");
            return fmt::format("section {} \"{}\"", index, file.sections_[index].name);
        };
        for (size_t i = 1; i < extents.size(); ++i) {
            if (extents[i].begin < extents[i - 1].end) {
                return damaged(Errc::Malformed, extents[i].begin,
                               fmt::format("{} overlaps {}", text(extents[i].index), text(extents[i - 1].index)),
                               fmt::format("[{:#x}, {:#x}) and [{:#x}, {:#x})", extents[i].begin, extents[i].end,
                                           extents[i - 1].begin, extents[i - 1].end));
            }
        }
        return {};
    }

    Result<void> symbol_table() {
        uint32_t index = 0;
        for (uint32_t i = 1; i < file.sections_.size(); ++i) {
            if (file.sections_[i].type != section_symtab) continue;
            if (index != 0) {
                return damaged(Errc::Malformed, 0, "two symbol tables").in_section(file.sections_[i].name);
            }
            index = i;
        }
        if (index == 0) {
            file.symbols_.resize(1);
            return {};
        }
        const Section& table = file.sections_[index];
        const auto bad = [&](uint64_t at, std::string what, std::string why) {
            return damaged(Errc::Malformed, at, std::move(what), std::move(why)).in_section(table.name);
        };
        if (table.entry_size != symbol_size || table.size % symbol_size != 0) {
            return bad(0, "symbols of an unknown size",
                       fmt::format("entry size {}, table size {:#x}; ELF64 symbols have {} bytes", table.entry_size,
                                   table.size, symbol_size));
        }
        if (table.link >= file.sections_.size() || file.sections_[table.link].type != section_strtab) {
            return bad(0, "the symbol table has no string table", fmt::format("sh_link is {}", table.link));
        }
        const Section& strings = file.sections_[table.link];
        const uint64_t count = std::max<uint64_t>(1, table.size / symbol_size);
        file.symbols_.resize(static_cast<size_t>(count));
        for (uint64_t i = 1; i < count; ++i) {
            const uint64_t at = i * symbol_size;
            const std::byte* p = table.bytes.data() + at;
            Symbol& s = file.symbols_[static_cast<size_t>(i)];
            const uint8_t info = std::to_integer<uint8_t>(p[4]);
            s.type = info & 0xf;
            s.binding = info >> 4;
            s.section = load_le<uint16_t>(p + 6);
            s.value = load_le<uint64_t>(p + 8);
            s.size = load_le<uint64_t>(p + 16);
            auto text = name(strings, load_le<uint32_t>(p), at);
            if (!text) return std::move(text).error().in_section(table.name);
            s.name = *text;
            if (s.section == extended_index) {
                return bad(at, fmt::format("symbol {} has its section in another table", i),
                           "st_shndx is SHN_XINDEX: more than 65279 sections");
            }
            if (!s.defined_in_section()) continue;
            if (s.section >= file.sections_.size()) {
                return bad(at, fmt::format("symbol {} \"{}\" is in a section that does not exist", i, s.name),
                           fmt::format("st_shndx is {}, the file has {} sections", s.section, file.sections_.size()));
            }
            const Section& home = file.sections_[s.section];
            if (s.value > home.size || s.size > home.size - s.value) {
                return bad(at, fmt::format("symbol {} \"{}\" lies outside its section", i, s.name),
                           fmt::format("[{:#x}, +{:#x}) in section \"{}\" of {:#x} bytes", s.value, s.size, home.name,
                                       home.size));
            }
            if (s.name.empty() && s.type == type_section) s.name = home.name;
        }
        return {};
    }

    Result<void> relocation_tables() {
        uint64_t total = 0;
        for (const Section& s : file.sections_) {
            if (s.type == section_rel) total += s.size / rel_size;
            if (s.type == section_rela) total += s.size / rela_size;
        }
        file.relocations_.reserve(static_cast<size_t>(total));  // bounded: each entry is in the file, none twice
        for (uint32_t i = 1; i < file.sections_.size(); ++i) {
            const Section& table = file.sections_[i];
            if (table.type != section_rel && table.type != section_rela) continue;
            auto done = relocation_table(table);
            if (!done) return std::move(done).error().in_section(table.name);
        }
        std::ranges::stable_sort(file.relocations_, {},
                                 [](const Relocation& r) { return std::pair(r.section, r.offset); });
        for (size_t i = 1; i < file.relocations_.size(); ++i) {
            const Relocation& a = file.relocations_[i - 1];
            const Relocation& b = file.relocations_[i];
            if (a.section == b.section && a.offset == b.offset && file.sections_[b.section].executable()) {
                return damaged(Errc::Malformed, b.offset, "two relocations of one instruction")
                    .in_section(file.sections_[b.section].name);
            }
        }
        return {};
    }

    Result<void> relocation_table(const Section& table) {
        const bool rela = table.type == section_rela;
        const uint64_t entry = rela ? rela_size : rel_size;
        if (table.entry_size != entry || table.size % entry != 0) {
            return damaged(Errc::Malformed, 0, "relocations of an unknown size",
                           fmt::format("entry size {}, table size {:#x}; expected entries of {} bytes",
                                       table.entry_size, table.size, entry));
        }
        if (table.info == 0 || table.info >= file.sections_.size()) {
            return damaged(Errc::Malformed, 0, "relocations of a section that does not exist",
                           fmt::format("sh_info is {}, the file has {} sections", table.info, file.sections_.size()));
        }
        if (table.link >= file.sections_.size() || file.sections_[table.link].type != section_symtab) {
            return damaged(Errc::Malformed, 0, "the relocations have no symbol table",
                           fmt::format("sh_link is {}", table.link));
        }
        const Section& target = file.sections_[table.info];
        if (target.type == section_rel || target.type == section_rela || target.type == section_symtab ||
            target.type == section_strtab) {
            return damaged(Errc::Malformed, 0, "relocations of a section that is no content",
                           fmt::format("sh_info is {}, a section of type {}", table.info, target.type));
        }
        for (uint64_t at = 0; at < table.size; at += entry) {
            const std::byte* p = table.bytes.data() + at;
            Relocation r;
            r.offset = load_le<uint64_t>(p);
            r.type = load_le<uint32_t>(p + 8);
            r.symbol = load_le<uint32_t>(p + 12);
            r.addend = rela ? load_le<int64_t>(p + 16) : 0;
            r.explicit_addend = rela;
            r.section = table.info;
            if (r.offset >= target.bytes.size()) {
                return damaged(Errc::Malformed, at, "a relocation lies outside its section",
                               fmt::format("offset {:#x} in section \"{}\" of {:#x} bytes", r.offset, target.name,
                                           target.bytes.size()));
            }
            if (r.symbol >= file.symbols_.size()) {
                return damaged(Errc::Malformed, at, "a relocation names a symbol that does not exist",
                               fmt::format("symbol {}, the file has {}", r.symbol, file.symbols_.size()));
            }
            file.relocations_.push_back(r);
        }
        return {};
    }
};

Result<File> File::read(Bytes bytes) {
    Reader reader{bytes, {}};
    SKEP_TRY(reader.run());
    return std::move(reader.file);
}

std::span<const Relocation> File::relocations_of(uint32_t section) const {
    const auto range = std::ranges::equal_range(relocations_, section, {}, &Relocation::section);
    return {range.begin(), range.end()};
}

}  // namespace skep::elf
