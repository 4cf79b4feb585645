// SPDX-License-Identifier: Apache-2.0
// The steps of read_object(), one file each. Private to this folder. Each step adds its part to `spec`; later ones rely
// on earlier ones in the order they stand here.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "elf/elf.hpp"
#include "object/object_spec.hpp"

namespace skep::object {

/// Longest name of a function, map, variable or section that is taken (Linux: KSYM_NAME_LEN is 512).
constexpr size_t max_name_bytes = 512;

/// SectionSpec::kind of the platform note.
inline constexpr std::string_view linux_mark = "mark: linux", windows_mark = "mark: windows";

class Reader {
  public:
    Reader(Bytes bytes, std::string file_name) : bytes_(bytes) { spec_.file = std::move(file_name); }
    Result<ObjectSpec> run();

  private:
    Result<void> read_tables();       // read_object.cpp: sections, symbols, relocations, licence, marks
    Result<void> read_btf();          // read_btf.cpp
    Result<void> read_code();         // read_functions.cpp: code sections, functions, programs
    Result<void> read_legacy_maps();  // read_legacy_maps.cpp
    Result<void> read_btf_maps();     // read_btf_maps.cpp
    Result<void> read_data();         // read_data.cpp: data maps and globals
    Result<void> read_externs();      // read_data.cpp: externs and .kconfig
    Result<void> read_slots();        // read_btf_maps.cpp: initial contents of maps, from relocations of .maps
    Result<void> read_tail_slots();   // read_legacy_maps.cpp: iproute2's sections "MAP/KEY"
    Result<std::string> read_note(Bytes note);
    void classify_rest();  // read_object.cpp: what nobody asked for

    /// Index of the section of this name; 0 (the null section) if there is none.
    uint32_t section_named(std::string_view name) const;
    Bytes contents(uint32_t section) const { return file_.sections()[section].bytes; }
    /// Relocations that change a section, as indices into spec_.relocations: [first, last).
    std::pair<uint32_t, uint32_t> relocations_of(uint32_t section) const;
    /// Where a data relocation (Abs64) points, as an offset in its symbol's section; nothing if that is not a section.
    std::optional<uint64_t> data_target(const RelocationSpec& relocation) const;
    /// The function that begins exactly there; no_index if none.
    uint32_t function_at(uint32_t section, uint64_t byte_offset) const;
    uint32_t program_of_function(uint32_t function) const;
    void not_supported(std::string_view section, std::string reason);

    Result<void> read_map_definition(btf::TypeId definition, std::string_view name, bool inner, MapSpec& map,
                                     std::optional<uint32_t>& values_offset);
    void lay_out_kconfig(btf::TypeId section);

    Bytes bytes_;
    elf::File file_;
    ObjectSpec spec_;
    btf::Btf btf_;  // becomes spec_.btf at the end
    bool has_btf_ = false;
    btf::BtfExt ext_;
    std::unordered_map<std::string_view, uint32_t> map_names_;
    std::vector<uint32_t> values_offsets_;  // per map: byte offset of `values` in its definition; no_index if none
    std::vector<uint32_t> code_of_section_;
    uint32_t maps_section_ = 0;  // .maps, and which of spec_.maps come from it, by offset
    uint32_t first_map_ = 0, map_count_ = 0;
};

/// An error about a place in a section.
Error broken(Errc code, std::string_view section, uint64_t offset, std::string what, std::string why = {},
             std::string hint = {});

}  // namespace skep::object
