// SPDX-License-Identifier: Apache-2.0
// A reader of ELF64 little-endian relocatable objects (System V ABI; llvm's eBPF relocations). The input is hostile by
// assumption: after read() every section lies inside the file, no two overlap, every symbol lies inside its section,
// every relocation inside what it changes, and every index is in range.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace skep::elf {

// e_machine. Old compilers left it empty.
constexpr uint16_t machine_none = 0;
constexpr uint16_t machine_bpf = 247;

// sh_type
constexpr uint32_t section_null = 0;
constexpr uint32_t section_progbits = 1;
constexpr uint32_t section_symtab = 2;
constexpr uint32_t section_strtab = 3;
constexpr uint32_t section_rela = 4;
constexpr uint32_t section_nobits = 8;
constexpr uint32_t section_rel = 9;

// sh_flags
constexpr uint64_t flag_write = 0x1;
constexpr uint64_t flag_alloc = 0x2;
constexpr uint64_t flag_exec = 0x4;
constexpr uint64_t flag_compressed = 0x800;

// Special section indices of symbols
constexpr uint16_t index_undefined = 0;
constexpr uint16_t index_absolute = 0xfff1;
constexpr uint16_t index_common = 0xfff2;
constexpr uint16_t index_first_reserved = 0xff00;

// Symbol types and bindings
constexpr uint8_t type_none = 0;
constexpr uint8_t type_object = 1;
constexpr uint8_t type_function = 2;
constexpr uint8_t type_section = 3;
constexpr uint8_t type_file = 4;
constexpr uint8_t binding_local = 0;
constexpr uint8_t binding_global = 1;
constexpr uint8_t binding_weak = 2;

struct Section {
    std::string_view name;
    uint32_t type = 0;
    uint64_t flags = 0;
    uint64_t offset = 0;  ///< in the file
    uint64_t size = 0;
    uint32_t link = 0;
    uint32_t info = 0;
    uint64_t entry_size = 0;
    Bytes bytes;  ///< `size` bytes; empty for SHT_NOBITS and SHT_NULL

    bool executable() const { return (flags & flag_exec) != 0; }
    bool allocated() const { return (flags & flag_alloc) != 0; }
};

struct Symbol {
    std::string_view name;
    uint64_t value = 0;  ///< offset in its section
    uint64_t size = 0;
    uint16_t section = 0;  ///< section index, or one of the special ones
    uint8_t type = 0;
    uint8_t binding = 0;

    bool defined_in_section() const { return section != index_undefined && section < index_first_reserved; }
};

struct Relocation {
    uint64_t offset = 0;  ///< in the section it changes
    int64_t addend = 0;   ///< RELA; for REL it is what the section holds there
    uint32_t type = 0;
    uint32_t symbol = 0;
    uint32_t section = 0;  ///< the section that is changed
    bool explicit_addend = false;
};

/// A read file. Views point into the bytes given to read(), which must outlive it.
class File {
  public:
    /// Errors: Truncated, Malformed, Unsupported, each with section and offset.
    static Result<File> read(Bytes bytes);

    uint16_t machine() const { return machine_; }
    /// By section index; [0] is the null section. Empty if the file has no section table.
    std::span<const Section> sections() const { return sections_; }
    /// By symbol index; [0] is the null symbol.
    std::span<const Symbol> symbols() const { return symbols_; }
    /// Sorted by (section, offset), each pair at most once for executable sections.
    std::span<const Relocation> relocations() const { return relocations_; }
    /// The relocations of one section.
    std::span<const Relocation> relocations_of(uint32_t section) const;

  private:
    struct Reader;
    uint16_t machine_ = 0;
    std::vector<Section> sections_;
    std::vector<Symbol> symbols_;
    std::vector<Relocation> relocations_;
};

}  // namespace skep::elf
