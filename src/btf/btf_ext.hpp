// SPDX-License-Identifier: Apache-2.0
// BTF.ext: which function, which source line, and which CO-RE relocation an instruction has (btf.rst, section
// ".BTF.ext").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "btf/btf.hpp"

namespace skep::btf {

/// enum bpf_core_relo_kind: what of a local type the instruction wants to know on the target.
enum class CoreKind : uint8_t {
    FieldByteOffset,
    FieldByteSize,
    FieldExists,
    FieldSigned,
    FieldLshiftU64,
    FieldRshiftU64,
    TypeIdLocal,
    TypeIdTarget,
    TypeExists,
    TypeSize,
    EnumvalExists,
    EnumvalValue,
    TypeMatches,
};

/// libbpf's word for it ("byte_off"); static storage.
const char* core_kind_name(CoreKind kind);

// In these records `insn` is in 8-byte slots from the start of the section.
struct FuncRecord {
    uint32_t insn = 0;
    TypeId type = 0;  ///< a Func

    bool operator==(const FuncRecord&) const = default;
};

struct LineRecord {
    uint32_t insn = 0;
    uint32_t file_off = 0;  ///< strings of the Btf
    uint32_t text_off = 0;
    uint32_t line = 0;
    uint32_t column = 0;

    bool operator==(const LineRecord&) const = default;
};

struct CoreRecord {
    uint32_t insn = 0;
    TypeId type = 0;          ///< local root type
    uint32_t access_off = 0;  ///< string of the Btf: "0:1:2" (fields), "0" (types), "N" (enumerators)
    CoreKind kind = CoreKind::FieldByteOffset;

    bool operator==(const CoreRecord&) const = default;
};

/// The records about one section, each list sorted by insn.
struct SectionRecords {
    std::string section;
    std::vector<FuncRecord> functions;
    std::vector<LineRecord> lines;
    std::vector<CoreRecord> core;
};

struct BtfExt {
    std::vector<SectionRecords> sections;

    const SectionRecords* find(std::string_view section) const;
    /// Checks and takes in the contents of a .BTF.ext section that speaks about `btf`. Errors as Btf::parse.
    static Result<BtfExt> parse(Bytes bytes, const Btf& btf);
};

}  // namespace skep::btf
