// SPDX-License-Identifier: Apache-2.0
#include "btf/btf_ext.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace skep::btf {

namespace {

constexpr uint64_t short_header = 24;  // without CO-RE, as the first compilers wrote it
constexpr uint64_t full_header = 32;
constexpr size_t max_sections = 1024;
constexpr size_t max_section_name = 512;

Error damaged(Errc code, uint64_t offset, std::string what, std::string why = {}) {
    Where where;
    where.byte_offset = offset;
    return Error(code, std::move(where), std::move(what), std::move(why));
}

}  // namespace

const char* core_kind_name(CoreKind kind) {
    switch (kind) {
        case CoreKind::FieldByteOffset: return "byte_off";
        case CoreKind::FieldByteSize: return "byte_sz";
        case CoreKind::FieldExists: return "field_exists";
        case CoreKind::FieldSigned: return "signed";
        case CoreKind::FieldLshiftU64: return "lshift_u64";
        case CoreKind::FieldRshiftU64: return "rshift_u64";
        case CoreKind::TypeIdLocal: return "local_type_id";
        case CoreKind::TypeIdTarget: return "target_type_id";
        case CoreKind::TypeExists: return "type_exists";
        case CoreKind::TypeSize: return "type_size";
        case CoreKind::EnumvalExists: return "enumval_exists";
        case CoreKind::EnumvalValue: return "enumval_value";
        case CoreKind::TypeMatches: return "type_matches";
    }
    return "?";
}

const SectionRecords* BtfExt::find(std::string_view section) const {
    const auto at = std::ranges::find(sections, section, &SectionRecords::section);
    return at == sections.end() ? nullptr : &*at;
}

Result<BtfExt> BtfExt::parse(Bytes bytes, const Btf& btf) {
    if (bytes.size() < short_header) {
        return damaged(Errc::Truncated, 0, "the BTF.ext header is cut off", fmt::format("{} bytes", bytes.size()));
    }
    if (load_le<uint16_t>(bytes.data()) != 0xeb9f) return damaged(Errc::Malformed, 0, "not BTF.ext");
    if (std::to_integer<uint8_t>(bytes[2]) != 1) return damaged(Errc::Unsupported, 2, "unknown BTF.ext version");
    const uint64_t header_len = load_le<uint32_t>(bytes.data() + 4);
    if (header_len < short_header || header_len > bytes.size()) {
        return damaged(Errc::Malformed, 4, "the BTF.ext header has an impossible length",
                       fmt::format("{} bytes in a section of {}", header_len, bytes.size()));
    }
    BtfExt out;
    // Three lists of one shape: the record size, then per section {name, count, records}.
    for (uint64_t list = 0; list < 3; ++list) {
        const uint64_t field = 8 + 8 * list;
        if (field + 8 > header_len || header_len < full_header) {
            if (list == 2) break;
        }
        const uint64_t at = header_len + load_le<uint32_t>(bytes.data() + field);
        const uint64_t size = load_le<uint32_t>(bytes.data() + field + 4);
        if (size == 0) continue;
        const auto part = slice(bytes, at, size);
        if (!part) return damaged(Errc::Truncated, field, "a list of BTF.ext lies outside the section");
        const auto record_size = read_le<uint32_t>(*part, 0);
        if (!record_size) return damaged(Errc::Truncated, at, "a list of BTF.ext is cut off");
        const uint32_t least = list == 0 ? 8 : 16;
        if (*record_size < least || *record_size % 4 != 0) {
            return damaged(Errc::Malformed, at, "BTF.ext records of an unknown size",
                           fmt::format("{} bytes, at least {} expected", *record_size, least));
        }
        uint64_t next = 4;
        while (next < part->size()) {
            const auto name_off = read_le<uint32_t>(*part, next), count = read_le<uint32_t>(*part, next + 4);
            if (!name_off || !count) return damaged(Errc::Truncated, at + next, "a list of BTF.ext is cut off");
            next += 8;
            const auto records = slice(*part, next, uint64_t{*count} * *record_size);
            if (!records) {
                return damaged(Errc::Truncated, at + next, "a list of BTF.ext is cut off",
                               fmt::format("{} records of {} bytes announced", *count, *record_size));
            }
            const std::string_view name = btf.string(*name_off);
            if (name.empty()) return damaged(Errc::Malformed, at + next - 8, "BTF.ext speaks of a nameless section");
            auto home = std::ranges::find(out.sections, name, &SectionRecords::section);
            if (home == out.sections.end()) {
                // Each entry copies one name: without this bound many entries could multiply a long one.
                if (out.sections.size() >= max_sections || name.size() > max_section_name) {
                    return damaged(Errc::LimitExceeded, at + next - 8, "BTF.ext speaks of too many sections");
                }
                out.sections.push_back({std::string(name), {}, {}, {}});
                home = out.sections.end() - 1;
            }
            for (uint64_t i = 0; i < *count; ++i) {
                const std::byte* p = records->data() + i * *record_size;
                const uint64_t record_at = at + next + i * *record_size;
                const uint32_t byte_offset = load_le<uint32_t>(p);
                if (byte_offset % 8 != 0) {
                    return damaged(Errc::Malformed, record_at, "a BTF.ext record lies between two instructions",
                                   fmt::format("offset {:#x} of section \"{}\"", byte_offset, name));
                }
                const uint32_t insn = byte_offset / 8;
                const uint32_t second = load_le<uint32_t>(p + 4);
                if (list != 1 && second >= btf.type_count()) {
                    return damaged(Errc::Malformed, record_at, "a BTF.ext record names a type that does not exist",
                                   fmt::format("type {} of {}", second, btf.type_count()));
                }
                if (list == 0) {
                    home->functions.push_back({insn, second});
                } else if (list == 1) {
                    const uint32_t line_col = load_le<uint32_t>(p + 12);
                    home->lines.push_back({insn, second, load_le<uint32_t>(p + 8), line_col >> 10, line_col & 0x3ff});
                } else {
                    const uint32_t kind = load_le<uint32_t>(p + 12);
                    if (kind > static_cast<uint32_t>(CoreKind::TypeMatches)) {
                        return damaged(Errc::Unsupported, record_at, "a CO-RE relocation of an unknown kind",
                                       fmt::format("kind {}", kind));
                    }
                    home->core.push_back({insn, second, load_le<uint32_t>(p + 8), static_cast<CoreKind>(kind)});
                }
            }
            next += records->size();
        }
    }
    for (SectionRecords& s : out.sections) {
        std::ranges::stable_sort(s.functions, {}, &FuncRecord::insn);
        std::ranges::stable_sort(s.lines, {}, &LineRecord::insn);
        std::ranges::stable_sort(s.core, {}, &CoreRecord::insn);
    }
    return out;
}

}  // namespace skep::btf
