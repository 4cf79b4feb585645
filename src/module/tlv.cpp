// SPDX-License-Identifier: Apache-2.0
#include "module/tlv.hpp"

#include <fmt/format.h>

namespace skep::module {

Result<std::vector<Tlv>> split_parts(Bytes bytes, const char* what) {
    std::vector<Tlv> parts;
    uint16_t last = 0;
    for (uint64_t at = 0; at < bytes.size();) {
        const auto type = read_le<uint16_t>(bytes, at);
        const auto flags = read_le<uint16_t>(bytes, at + 2);
        const auto size = read_le<uint32_t>(bytes, at + 4);
        const auto value = size ? slice(bytes, at + 8, *size) : std::nullopt;
        if (!value)
            return Error(Errc::Truncated, fmt::format("{} ends inside a part", what), fmt::format("at byte {}", at));
        const uint64_t end = at + 8 + *size, next = (end + 7) & ~uint64_t{7};
        const auto padding = slice(bytes, end, next - end);
        if (!padding)
            return Error(Errc::Truncated, fmt::format("{} ends inside a part", what), fmt::format("at byte {}", at));
        for (const std::byte b : *padding)
            if (b != std::byte{0})
                return Error(Errc::Malformed, fmt::format("{} has bytes between its parts", what),
                             fmt::format("at byte {}", end));
        if (*type < last)
            return Error(Errc::Malformed, fmt::format("{} is not sorted", what),
                         fmt::format("part {} comes after part {}", *type, last));
        last = *type;
        if ((*flags & ~tlv_critical) != 0)
            return Error(Errc::Malformed, fmt::format("{} has a part with unknown flags", what),
                         fmt::format("part {}, flags {:#x}", *type, *flags));
        parts.push_back({*type, *flags, *value});
        at = next;
    }
    return parts;
}

Result<std::string> text_of(const Tlv& part, const char* what) {
    const std::string_view text(reinterpret_cast<const char*>(part.value.data()), part.value.size());
    for (const char c : text)
        if (static_cast<unsigned char>(c) < ' ' || c == 127)
            return Error(Errc::Malformed, fmt::format("{} holds a control character", what));
    return std::string(text);
}

Result<void> unknown_part(const Tlv& part, const char* what) {
    if ((part.flags & tlv_critical) == 0) return {};
    return Error(Errc::Unsupported, fmt::format("{} needs part {}, which this skep does not know", what, part.type),
                 "its maker marked it as critical", "use the skep version that made the module, or a newer one");
}

}  // namespace skep::module
