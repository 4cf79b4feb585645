// SPDX-License-Identifier: Apache-2.0
// One program as one instruction stream: what linking makes of an ObjectSpec. References stay symbolic and
// self-describing in the slots, in Linux' own words (linux/bpf.h, BPF_PSEUDO_*), so no descriptor or address ever
// enters:
//   map          wide load, src_reg 1, imm = index in LinkedProgram::maps
//   map value    wide load, src_reg 2, imm = index in LinkedProgram::maps, next_imm = byte offset in value 0 (globals)
//   extern ksym  wide load, src_reg 3, imm = index in LinkedProgram::externs (kernel variables, addresses of kernel
//                functions; resolved by nobody yet). Weak ones are the number 0 instead: absent
//   function     wide load, src_reg 4, imm = distance in slots to the callee, as in the kernel: target = index + 1 +
//   imm local call   call, src_reg 1, imm = distance: target = index + 1 + imm kfunc call   call, src_reg 2, imm =
//   index in LinkedProgram::externs
// In every wide load the second slot's imm is 0 unless said otherwise.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "btf/btf_ext.hpp"
#include "isa/slot.hpp"

namespace skep::object {

/// A function inside the stream. The entry function is the first one and starts at slot 0.
struct Subprogram {
    std::string name;
    isa::InsnIndex start = 0;
    isa::InsnIndex end = 0;  ///< one past the last slot
    bool global = false;     ///< global linkage: verified once by its BTF prototype (Linux)

    bool operator==(const Subprogram&) const = default;
};

/// Where an instruction comes from (BTF.ext line_info).
struct SourceLine {
    isa::InsnIndex insn = 0;
    std::string file;
    uint32_t line = 0;
    uint32_t column = 0;
    std::string text;

    bool operator==(const SourceLine&) const = default;
};

struct LinkedProgram {
    std::string name;
    std::string section;  ///< as in the file, with its '?' if it has one
    isa::Code code;
    std::vector<Subprogram> subprograms;  ///< sorted by start, covering the code without gap
    std::vector<uint32_t> maps;           ///< indices into ObjectSpec::maps, in order of first use
    std::vector<uint32_t> externs;        ///< indices into ObjectSpec::externs, in order of first use
    std::vector<SourceLine> lines;        ///< sorted by insn; empty without BTF.ext
    std::vector<uint32_t> func_types;     ///< per subprogram: BTF type id of its FUNC, 0 unknown; empty without BTF
    std::vector<btf::CoreRecord> core_relocations;  ///< sorted by insn (slots of `code`); see relocate.hpp

    bool operator==(const LinkedProgram&) const = default;
};

}  // namespace skep::object
