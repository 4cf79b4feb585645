// SPDX-License-Identifier: Apache-2.0
// The context table, built from contexts.def.
#include "platform/context.hpp"

#include <iterator>

namespace skep::platform {
namespace {

using HostOfXdp = HostXdp;
using HostOfSkb = HostSkb;

// Only in the table: S, T, X, D of the legend.
constexpr uint8_t S = program_type_bit(ProgramType::SocketFilter);
constexpr uint8_t T = program_type_bit(ProgramType::SchedCls);
constexpr uint8_t X = program_type_bit(ProgramType::Xdp);
constexpr uint8_t D = devmap_bit;

constexpr FieldRow rows[] = {
#define CONTEXT_FIELD(context, name, text, l_off, l_bytes, w_off, w_bytes, member, kind, readers, writers, access) \
    {ContextKind::context,                                                                                         \
     FieldId::context##name,                                                                                       \
     text,                                                                                                         \
     l_off,                                                                                                        \
     l_bytes,                                                                                                      \
     w_off,                                                                                                        \
     w_bytes,                                                                                                      \
     static_cast<uint16_t>(offsetof(HostOf##context, member)),                                                     \
     static_cast<uint8_t>(sizeof(HostOf##context::member)),                                                        \
     FieldKind::kind,                                                                                              \
     readers,                                                                                                      \
     writers,                                                                                                      \
     FieldAccess::access,                                                                                          \
     nullptr},
#define CONTEXT_HOLE(context, name, text, l_off, l_bytes, reason) \
    {ContextKind::context,                                        \
     FieldId::context##name,                                      \
     text,                                                        \
     l_off,                                                       \
     l_bytes,                                                     \
     0,                                                           \
     0,                                                           \
     0,                                                           \
     0,                                                           \
     FieldKind::Scalar,                                           \
     0,                                                           \
     0,                                                           \
     FieldAccess::Whole,                                          \
     reason},
#include "platform/contexts.def"
#undef CONTEXT_FIELD
#undef CONTEXT_HOLE
};

}  // namespace

std::span<const FieldRow> context_fields() { return rows; }

const FieldRow& context_field(FieldId id) { return rows[static_cast<uint16_t>(id)]; }

const char* context_type_name(ContextKind context, Personality personality) {
    switch (context) {
        case ContextKind::Xdp: return personality == Personality::Linux ? "struct xdp_md" : "xdp_md_t";
        case ContextKind::Skb: return "struct __sk_buff";
    }
    return "?";
}

const FieldRow* find_context_field(ContextKind context, Personality personality, uint32_t offset) {
    for (const FieldRow& row : rows) {
        if (row.context != context) continue;
        const uint32_t start = row.offset(personality);
        if (offset >= start && offset - start < row.bytes(personality)) return &row;
    }
    return nullptr;
}

bool context_access_fits(const FieldRow& field, Personality personality, uint32_t offset, uint32_t bytes, bool store) {
    const uint32_t part = offset - field.offset(personality);
    const uint32_t width = field.bytes(personality);
    const bool exact = part == 0 && bytes == width;
    const bool inside = bytes <= width - part && offset % bytes == 0;
    switch (field.access) {
        case FieldAccess::Whole: return exact;
        case FieldAccess::Narrow: return store ? exact : inside;
        case FieldAccess::Bytes: return inside;
    }
    return false;
}

uint32_t context_bytes(ContextKind context, Personality personality) {
    uint32_t end = 0;
    for (const FieldRow& row : rows) {
        if (row.context != context || row.bytes(personality) == 0) continue;
        const uint32_t field_end = uint32_t{row.offset(personality)} + row.bytes(personality);
        end = field_end > end ? field_end : end;
    }
    return (end + 7) / 8 * 8;
}

}  // namespace skep::platform
