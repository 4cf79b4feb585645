// SPDX-License-Identifier: Apache-2.0
// Canonical context fields and how a program of a personality and type may touch them; rows in contexts.def.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "platform/helper.hpp"
#include "platform/host_context.hpp"
#include "platform/names.hpp"

namespace skep::platform {

/// Which canonical context a program type gets.
enum class ContextKind : uint8_t { Xdp, Skb };

/// What a load of a field gives.
enum class FieldKind : uint8_t { Scalar, Packet, PacketEnd, PacketMeta };

/// Which widths a field may be accessed with; legend in contexts.def.
enum class FieldAccess : uint8_t { Whole, Narrow, Bytes };

/// Canonical fields, named context + field ("XdpIngressIfindex").
enum class FieldId : uint16_t {
#define CONTEXT_FIELD(context, name, text, l_off, l_bytes, w_off, w_bytes, member, kind, readers, writers, access) \
    context##name,
#define CONTEXT_HOLE(context, name, text, l_off, l_bytes, reason) context##name,
#include "platform/contexts.def"
#undef CONTEXT_FIELD
#undef CONTEXT_HOLE
};

/// One row of the table. Offsets and widths in bytes.
struct FieldRow {
    ContextKind context;
    FieldId id;
    const char* name;  ///< static storage
    uint16_t linux_offset;
    uint8_t linux_bytes;
    uint16_t windows_offset;
    uint8_t windows_bytes;  ///< 0: this personality has no such field
    uint16_t host_offset;
    uint8_t host_bytes;  ///< 0: a hole
    FieldKind kind;
    uint8_t readers;  ///< program_type_bit()s, and devmap_bit
    uint8_t writers;
    FieldAccess access;
    const char* hole;  ///< why nobody may touch it, or null

    constexpr uint16_t offset(Personality personality) const {
        return personality == Personality::Linux ? linux_offset : windows_offset;
    }
    constexpr uint8_t bytes(Personality personality) const {
        return personality == Personality::Linux ? linux_bytes : windows_bytes;
    }
};

/// Readers' bit of an xdp program that is attached to a devmap entry.
inline constexpr uint8_t devmap_bit = 8;

/// Every row, contexts one after the other, each sorted by its Linux offset.
std::span<const FieldRow> context_fields();
const FieldRow& context_field(FieldId id);

/// The context of a program type; nothing for a type that is not modelled.
constexpr std::optional<ContextKind> context_of(ProgramType type) {
    if (type == ProgramType::Xdp) return ContextKind::Xdp;
    if (program_type_bit(type) != 0) return ContextKind::Skb;
    return std::nullopt;
}

/// "struct xdp_md", "struct __sk_buff": the C type programs know it by.
const char* context_type_name(ContextKind context, Personality personality);

/// Bytes of the whole context in the personality's layout.
uint32_t context_bytes(ContextKind context, Personality personality);

/// The field that covers byte `offset` of the personality's layout; null for padding and beyond the end.
const FieldRow* find_context_field(ContextKind context, Personality personality, uint32_t offset);

/// Whether an access of `bytes` bytes at `offset` is one the field allows by its shape, whoever the user is.
/// Requires: the offset lies in the field.
bool context_access_fits(const FieldRow& field, Personality personality, uint32_t offset, uint32_t bytes, bool store);

/// The bits to compare with readers and writers.
constexpr uint8_t context_user(ProgramType type, AttachType attach) {
    return attach == AttachType::XdpDevmap ? devmap_bit : program_type_bit(type);
}

}  // namespace skep::platform
