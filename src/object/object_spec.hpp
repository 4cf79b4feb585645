// SPDX-License-Identifier: Apache-2.0
// What an object file holds, as a value: the same on every machine, touching no system. Numbers (map types, flags) are
// the author's, as they stand in the file; what they mean is the platform floor's matter (DESIGN.md section 3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "btf/btf.hpp"
#include "btf/btf_ext.hpp"
#include "isa/slot.hpp"

namespace skep::object {

constexpr uint32_t no_index = UINT32_MAX;

/// One section of the file, for listing; contents that matter are in the other parts of the spec.
struct SectionSpec {
    std::string name;
    std::string kind;  ///< what it is to us: "program", "subprograms", "maps", "data", "btf", "symbols", "debug", ...
    uint64_t offset = 0;  ///< in the file
    uint64_t size = 0;
    uint64_t flags = 0;        ///< SHF_*
    uint32_t type = 0;         ///< SHT_*
    uint32_t symbols = 0;      ///< number of symbols defined in it
    uint32_t relocations = 0;  ///< number of relocations that change it
};

enum class SymbolKind : uint8_t { None, Object, Function, Section, File, Other };
enum class SymbolBinding : uint8_t { Local, Global, Weak };

struct SymbolSpec {
    std::string name;
    uint32_t section = no_index;  ///< index into ObjectSpec::sections; no_index: undefined, absolute or common
    uint64_t value = 0;
    uint64_t size = 0;
    SymbolKind kind = SymbolKind::None;
    SymbolBinding binding = SymbolBinding::Local;
    bool undefined = false;
};

/// R_BPF_* of llvm's ELFRelocs/BPF.def (binutils has the same numbers under other names).
/// GnuData64 is what GNU as 2.40 writes for Abs64.
enum class RelocationType : uint32_t {
    None = 0,
    Wide64 = 1,
    Abs64 = 2,
    Abs32 = 3,
    NoDyld32 = 4,
    Call32 = 10,
    GnuData64 = 12,
};

/// "R_BPF_64_64"; "R_BPF_?" if unknown; static storage.
const char* relocation_type_name(uint32_t type);

struct RelocationSpec {
    uint32_t section = no_index;   ///< the section that is changed
    uint64_t offset = 0;           ///< bytes in it
    uint32_t type = 0;             ///< RelocationType, as in the file
    uint32_t symbol = no_index;    ///< index into ObjectSpec::symbols
    int64_t addend = 0;            ///< of RELA; REL keeps it in the section
    bool explicit_addend = false;  ///< RELA
};

/// A function: an entry program, or a subprogram that calls and function references reach.
struct FunctionSpec {
    std::string name;
    uint32_t section = no_index;  ///< index into ObjectSpec::sections
    uint32_t start = 0;           ///< in slots, from the start of the section
    uint32_t end = 0;             ///< one past its last slot
    bool global = false;
    bool weak = false;
    btf::TypeId type = 0;  ///< BTF Func; 0 unknown
};

/// Something that can be loaded. Which program type its section stands for is the platform floor's table.
struct ProgramSpec {
    std::string name;
    std::string section;    ///< as the author wrote it, without the '?'
    bool autoload = true;   ///< false: the section began with '?'
    uint32_t function = 0;  ///< index into ObjectSpec::functions
};

enum class MapOrigin : uint8_t {
    Btf,      ///< .maps
    Legacy,   ///< maps
    Data,     ///< .data* .rodata* .bss*: one value that holds the section's variables
    Kconfig,  ///< .kconfig: one value that holds the kernel's configuration as the object wants to see it
};

enum class MapPinning : uint8_t { None, ByName };

/// What a map's slot holds from the start: a map (maps of maps) or a program (program arrays).
struct MapSlot {
    uint32_t key = 0;
    bool is_program = false;
    uint32_t target = 0;  ///< index into ObjectSpec::maps or ObjectSpec::programs

    bool operator==(const MapSlot&) const = default;
};

struct MapSpec {
    std::string name;  ///< for data: the section's name
    std::string section;
    uint32_t section_index = no_index;  ///< index into ObjectSpec::sections; no_index for .kconfig, which has none
    uint64_t offset = 0;                ///< of the definition in its section
    MapOrigin origin = MapOrigin::Btf;
    uint32_t type = 0;  ///< number of the object's personality (linux: enum bpf_map_type); data: array, 2 in both
    uint32_t key_size = 0;
    uint32_t value_size = 0;
    uint32_t max_entries = 0;  ///< 0: the loader chooses (one per possible CPU for perf event arrays)
    uint32_t flags = 0;
    uint64_t map_extra = 0;
    std::optional<uint32_t> numa_node;
    btf::TypeId key_type = 0;    ///< 0: no BTF
    btf::TypeId value_type = 0;  ///< data: the Datasec
    MapPinning pinning = MapPinning::None;
    std::optional<uint32_t> legacy_id;  ///< id of an iproute2 or Windows legacy record
    std::vector<MapSpec> inner;         ///< maps of maps: none or one template, whose name is "NAME.inner"
    std::vector<MapSlot> slots;         ///< initial contents, by key
    std::vector<std::byte> initial;     ///< data: bytes of value 0 (shorter than value_size: the rest is zero)
    bool read_only = false;             ///< .rodata*: programs may not write; loaders freeze it after filling it in
    std::string unsupported;            ///< not empty: why skep cannot make it; link() refuses what refers to it
};

/// A global variable, inside a data map.
struct GlobalSpec {
    std::string name;
    uint32_t map = 0;  ///< index into ObjectSpec::maps
    uint32_t offset = 0;
    uint32_t size = 0;
    btf::TypeId type = 0;  ///< of the variable's value; 0 without BTF
    bool is_static = false;
    /// It holds an address of something (say, a table of strings), which no loader can fill in. Programs that refer to
    /// it are refused by link().
    bool holds_addresses = false;
};

enum class ExternKind : uint8_t {
    Kfunc,     ///< a kernel function
    Variable,  ///< a kernel variable (.ksyms); type 0: only its address is wanted
    Kconfig,   ///< a kernel configuration value (.kconfig)
    Unknown,   ///< not declared in BTF
};

/// Something the object needs and does not define. Parsed and reported; resolved by nobody yet.
struct ExternSpec {
    std::string name;
    ExternKind kind = ExternKind::Unknown;
    bool weak = false;
    btf::TypeId type = 0;  ///< the Func, or the type of the variable
    uint32_t symbol = no_index;
    uint32_t map = no_index;  ///< Kconfig: the .kconfig map
    uint32_t offset = 0;      ///< Kconfig: in its value
    uint32_t size = 0;        ///< Kconfig, Variable; 0 unknown
};

/// A part of the file that skep does not know how to use. Only what needs it is refused.
struct UnsupportedPart {
    std::string section;
    std::string reason;
};

/// Instructions of one executable section (those of all functions lie in exactly one) and what BTF.ext says of them.
struct CodeSection {
    uint32_t section = no_index;  ///< index into ObjectSpec::sections
    isa::Code code;
    btf::SectionRecords records;
    std::vector<uint32_t> relocations;  ///< indices into ObjectSpec::relocations, ascending by offset
    std::vector<uint32_t> functions;    ///< indices into ObjectSpec::functions, ascending by start
};

struct ObjectSpec {
    std::string file;                        ///< name used in messages
    uint16_t machine = 0;                    ///< e_machine: 247 (EM_BPF), or 0 from old compilers
    std::optional<std::string> license;      ///< nothing: no licence section
    std::optional<uint32_t> kernel_version;  ///< `version` section
    bool ebpf_for_windows = false;           ///< carries the mark of eBPF for Windows' headers
    bool gnu = false;  ///< made by GCC and GNU as, which put a symbol's value into the instruction beforehand
    std::shared_ptr<const btf::Btf> btf;      ///< null without .BTF
    bool btf_ext = false;                     ///< has .BTF.ext
    std::vector<SectionSpec> sections;        ///< index = ELF section index; [0] is the empty one
    std::vector<SymbolSpec> symbols;          ///< index = ELF symbol index
    std::vector<RelocationSpec> relocations;  ///< by changed section, then offset
    std::vector<CodeSection> code;
    std::vector<FunctionSpec> functions;  ///< by section, then start
    std::vector<ProgramSpec> programs;    ///< by section, then start
    std::vector<MapSpec> maps;            ///< legacy, then .maps, then data, each in order of the file
    std::vector<GlobalSpec> globals;      ///< by map, then offset
    std::vector<ExternSpec> externs;
    std::vector<UnsupportedPart> unsupported;

    /// Index of the program of this name; no_index if there is none.
    uint32_t find_program(std::string_view name) const;
    uint32_t find_map(std::string_view name) const;
};

/// Reads an object file (ELF64 little-endian, EM_BPF or EM_NONE). `file_name` is used in messages only. Uses memory of
/// a small multiple of the file's size, whatever its headers claim.
/// Errors: Truncated, Malformed, Unsupported; each names the file, the section and the offset.
Result<ObjectSpec> read_object(Bytes file, std::string file_name);

}  // namespace skep::object
