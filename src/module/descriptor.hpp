// SPDX-License-Identifier: Apache-2.0
// Everything a module says of itself: the exported bytes `skep_module` (docs/formats/native-module.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "module/contract.hpp"
#include "program/facts.hpp"
#include "runtime/load/link_program.hpp"

namespace skep::module {

struct ModuleProgram {
    std::string name;
    std::string section;
    std::string type;    ///< canonical
    std::string symbol;  ///< of the entry function
    uint32_t instructions = 0;
    CostBound cost;  ///< as verified; zeros: not verified
    /// What the verifier wrote, in its own format: opaque here. Checked again through Voucher (voucher.hpp).
    Buffer certificate;

    bool operator==(const ModuleProgram& o) const {
        return name == o.name && section == o.section && type == o.type && symbol == o.symbol &&
               instructions == o.instructions && cost.instructions == o.cost.instructions &&
               cost.helper_calls == o.cost.helper_calls && cost.stack_bytes == o.cost.stack_bytes &&
               certificate == o.certificate;
    }
};

struct Descriptor {
    std::string target;     ///< "linux-x86_64"
    std::string cpu;        ///< "baseline", "x86-64-v3"
    std::string generator;  ///< "skep 0.1.0"
    std::string compiler;   ///< what the C compiler calls itself
    std::string flags;      ///< it was called with
    std::string verifier;   ///< who vouches for the programs; "none"
    std::string verifier_options;
    std::string object_name;
    Buffer object;                    ///< the original object file
    std::vector<std::string> wanted;  ///< programs that were named; empty: those that the object loads by default
    std::string personality;          ///< whose numbers the object has, where its maker had to say; else empty
    std::vector<ModuleProgram> programs;
    /// What CO-RE relocations were answered with, by program; only those that have any.
    runtime::CoreAnswers core_answers;
    std::string core_types;  ///< whose answers they are: "SHA-256 of the BTF"; empty: no program has such relocations
    /// What its programs are told of the kernel they run in. Empty: they do not ask (or an earlier skep built it).
    runtime::KernelValues kernel_values;
    Contract contract;

    bool operator==(const Descriptor&) const = default;
};

inline constexpr uint32_t descriptor_format = 1;
inline constexpr const char* descriptor_symbol = "skep_module";
/// The first bytes of a descriptor.
inline constexpr char descriptor_magic[8] = {'S', 'K', 'E', 'P', 'M', 'O', 'D', '\n'};
inline constexpr size_t descriptor_header_bytes = 64;

Buffer encode(const Descriptor& descriptor);

/// Errors: Truncated, Malformed (sizes, order, text), BadMessage (the checksum is wrong), Unsupported (a newer format,
/// or a critical part that is not known, by name).
Result<Descriptor> decode_descriptor(Bytes bytes);

/// The size in a descriptor's header, for finding its end; nothing if it is none.
std::optional<uint64_t> descriptor_size(Bytes bytes);

}  // namespace skep::module
