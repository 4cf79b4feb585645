// SPDX-License-Identifier: Apache-2.0
// For tests: builds ELF object images byte by byte, right ones and, by changing bytes afterwards, wrong ones.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "elf/elf.hpp"

namespace skep::elf {

struct ImageSection {
    std::string name;
    uint32_t type = section_progbits;
    uint64_t flags = 0;
    std::vector<std::byte> bytes;
    uint64_t nobits_size = 0;
    uint32_t link = 0, info = 0;
    uint64_t entry_size = 0;
};

struct ImageSymbol {
    std::string name;
    uint8_t type = type_none;
    uint8_t binding = binding_global;
    uint16_t section = 0;
    uint64_t value = 0, size = 0;
};

/// Sections are numbered from 1 in the order of add(); the symbol table, its strings and the section names come last.
class Image {
  public:
    uint16_t add(ImageSection section) {
        sections_.push_back(std::move(section));
        return static_cast<uint16_t>(sections_.size());
    }
    uint16_t add(std::string name, std::vector<std::byte> bytes, uint64_t flags = 0) {
        return add({std::move(name), section_progbits, flags, std::move(bytes)});
    }
    /// Code as 64-bit words, little-endian.
    uint16_t add_code(std::string name, const std::vector<uint64_t>& slots) {
        std::vector<std::byte> bytes(slots.size() * 8);
        for (size_t i = 0; i < slots.size(); ++i) store_le<uint64_t>(bytes.data() + 8 * i, slots[i]);
        return add(std::move(name), std::move(bytes), flag_alloc | flag_exec);
    }
    uint32_t symbol(ImageSymbol symbol) {
        symbols_.push_back(std::move(symbol));
        return static_cast<uint32_t>(symbols_.size());
    }
    void relocation(uint16_t section, uint64_t offset, uint32_t type, uint32_t symbol) {
        relocations_.push_back({section, offset, type, symbol});
    }

    std::vector<std::byte> build(uint16_t machine = machine_bpf) const {
        std::vector<ImageSection> all{{}};
        all.insert(all.end(), sections_.begin(), sections_.end());
        // Relocation tables, one per changed section in order of first use.
        const auto symtab = [&] { return static_cast<uint32_t>(all.size()); };
        std::vector<uint16_t> targets;
        for (const Relocated& r : relocations_) {
            if (std::find(targets.begin(), targets.end(), r.section) == targets.end()) targets.push_back(r.section);
        }
        const auto symtab_index = static_cast<uint32_t>(symtab() + targets.size());
        for (const uint16_t target : targets) {
            ImageSection table{".rel" + all[target].name, section_rel, 0, {}, 0, symtab_index, target, 16};
            for (const Relocated& r : relocations_) {
                if (r.section != target) continue;
                const size_t at = table.bytes.size();
                table.bytes.resize(at + 16);
                store_le<uint64_t>(table.bytes.data() + at, r.offset);
                store_le<uint64_t>(table.bytes.data() + at + 8, uint64_t{r.symbol} << 32 | r.type);
            }
            all.push_back(std::move(table));
        }
        std::string strings(1, '\0');
        const auto intern = [](std::string& table, std::string_view text) {
            if (text.empty()) return 0u;
            const auto at = static_cast<uint32_t>(table.size());
            table.append(text).push_back('\0');
            return at;
        };
        ImageSection symbols{".symtab", section_symtab, 0, std::vector<std::byte>(24), 0, symtab_index + 1, 1, 24};
        for (const ImageSymbol& s : symbols_) {
            const size_t at = symbols.bytes.size();
            symbols.bytes.resize(at + 24);
            std::byte* p = symbols.bytes.data() + at;
            store_le<uint32_t>(p, intern(strings, s.name));
            p[4] = static_cast<std::byte>(s.binding << 4 | s.type);
            store_le<uint16_t>(p + 6, s.section);
            store_le<uint64_t>(p + 8, s.value);
            store_le<uint64_t>(p + 16, s.size);
        }
        all.push_back(std::move(symbols));
        all.push_back({".strtab", section_strtab, 0, to_bytes(strings)});
        std::string names(1, '\0');
        std::vector<uint32_t> name_offsets;
        for (const ImageSection& s : all) name_offsets.push_back(intern(names, s.name));
        name_offsets.push_back(intern(names, ".shstrtab"));
        all.push_back({".shstrtab", section_strtab, 0, to_bytes(names)});

        std::vector<std::byte> out(64);
        std::vector<uint64_t> offsets;
        for (const ImageSection& s : all) {
            offsets.push_back(out.size());
            out.insert(out.end(), s.bytes.begin(), s.bytes.end());
        }
        const uint64_t table_at = out.size();
        out.resize(table_at + 64 * all.size());
        for (size_t i = 1; i < all.size(); ++i) {
            std::byte* p = out.data() + table_at + 64 * i;
            const ImageSection& s = all[i];
            store_le<uint32_t>(p, name_offsets[i]);
            store_le<uint32_t>(p + 4, s.type);
            store_le<uint64_t>(p + 8, s.flags);
            store_le<uint64_t>(p + 24, offsets[i]);
            store_le<uint64_t>(p + 32, s.type == section_nobits ? s.nobits_size : s.bytes.size());
            store_le<uint32_t>(p + 40, s.link);
            store_le<uint32_t>(p + 44, s.info);
            store_le<uint64_t>(p + 56, s.entry_size);
        }
        const uint8_t ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
        for (size_t i = 0; i < sizeof(ident); ++i) out[i] = std::byte{ident[i]};
        store_le<uint16_t>(out.data() + 16, 1);
        store_le<uint16_t>(out.data() + 18, machine);
        store_le<uint32_t>(out.data() + 20, 1);
        store_le<uint64_t>(out.data() + 40, table_at);
        store_le<uint16_t>(out.data() + 52, 64);
        store_le<uint16_t>(out.data() + 58, 64);
        store_le<uint16_t>(out.data() + 60, static_cast<uint16_t>(all.size()));
        store_le<uint16_t>(out.data() + 62, static_cast<uint16_t>(all.size() - 1));
        return out;
    }

    static std::vector<std::byte> to_bytes(std::string_view text) {
        const Bytes bytes = as_bytes(text);
        return {bytes.begin(), bytes.end()};
    }

  private:
    struct Relocated {
        uint16_t section;
        uint64_t offset;
        uint32_t type;
        uint32_t symbol;
    };
    std::vector<ImageSection> sections_;
    std::vector<ImageSymbol> symbols_;
    std::vector<Relocated> relocations_;
};

}  // namespace skep::elf
