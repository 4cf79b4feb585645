// SPDX-License-Identifier: Apache-2.0
// PE32+ as the Windows loader will see it.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "module/descriptor.hpp"
#include "module/image_formats.hpp"

namespace skep::module {

namespace {

constexpr uint32_t section_executes = 0x20000000, section_writes = 0x80000000;
enum Directory : uint8_t {
    directory_export,
    directory_import,
    directory_resource,
    directory_exception,
    directory_security,
    directory_relocation,
    directory_debug,
    directory_architecture,
    directory_global_pointer,
    directory_tls,
    directory_load_config,
    directory_bound_import,
    directory_import_table,
    directory_delay_import,
    directory_clr,
    directory_reserved,
    directory_count
};
/// What a module may have: exports, tables for unwinding, base relocations, and an import directory without imports.
constexpr const char* refused_directories[directory_count] = {nullptr,
                                                              nullptr,
                                                              "resources",
                                                              nullptr,
                                                              nullptr,
                                                              nullptr,
                                                              "debug information",
                                                              "an architecture directory",
                                                              "a global pointer",
                                                              "thread-local storage or TLS callbacks",
                                                              "a load configuration",
                                                              "bound imports",
                                                              "imports",
                                                              "delayed imports",
                                                              "managed code",
                                                              "a reserved directory"};

struct Section {
    std::string name;
    uint32_t address = 0, bytes = 0, offset = 0, file_bytes = 0, flags = 0;
};

Error refuse(std::string what, std::string why = {}) {
    return Error(Errc::Rejected, std::move(what), std::move(why),
                 "modules that skep compile makes have none of it; this image was not made, or was changed, by others");
}

bool all_zero(Bytes bytes) {
    return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

Result<ImageFacts> inspect_pe(Bytes image) {
    ImageFacts out;
    out.target = Target::WindowsX86_64;
    const auto start = read_le<uint32_t>(image, 0x3c);
    const auto header = start ? slice(image, *start, 24 + 240) : std::nullopt;
    if (!header) return Error(Errc::Truncated, "the image ends inside its headers");
    const std::byte* at = header->data();
    if (load_le<uint32_t>(at) != 0x00004550) return Error(Errc::Malformed, "the image has no PE signature");
    if (load_le<uint16_t>(at + 4) != 0x8664)
        return Error(Errc::Unsupported, fmt::format("the image is for machine {:#x}", load_le<uint16_t>(at + 4)));
    const auto section_count = load_le<uint16_t>(at + 6);
    if (load_le<uint16_t>(at + 20) != 240 || load_le<uint16_t>(at + 24) != 0x20b ||
        load_le<uint32_t>(at + 24 + 108) != 16)
        return Error(Errc::Malformed, "the image's optional header is not that of a 64-bit library");
    if ((load_le<uint16_t>(at + 22) & 0x2000) == 0) return refuse("the image is no library");
    const std::byte* optional = at + 24;
    if (const auto entry = load_le<uint32_t>(optional + 16); entry != 0)
        return refuse("the image has an entry point (code that runs while it is mapped)",
                      fmt::format("at {:#x}", entry));
    const auto section_alignment = load_le<uint32_t>(optional + 32);
    if (section_alignment < 4096) return refuse("sections of the image share pages");
    const auto directory = [&](unsigned i) {
        return std::pair(load_le<uint32_t>(optional + 112 + 8 * i), load_le<uint32_t>(optional + 116 + 8 * i));
    };

    std::vector<Section> sections;
    const auto table = slice(image, uint64_t{*start} + 24 + 240, uint64_t{40} * section_count);
    if (!table) return Error(Errc::Truncated, "the image ends inside its sections");
    const auto bytes_at = [&](uint64_t address, uint64_t bytes) -> std::optional<Bytes> {
        for (const Section& s : sections) {
            const uint64_t there = std::min(s.bytes, s.file_bytes);
            if (address < s.address || address - s.address > there || bytes > there - (address - s.address)) continue;
            return slice(image, s.offset + (address - s.address), bytes);
        }
        return std::nullopt;
    };
    for (unsigned i = 0; i < section_count; ++i) {
        const std::byte* row = table->data() + 40 * i;
        Section s;
        for (int c = 0; c < 8 && row[c] != std::byte{0}; ++c) s.name += static_cast<char>(row[c]);
        s.bytes = load_le<uint32_t>(row + 8);
        s.address = load_le<uint32_t>(row + 12);
        s.file_bytes = load_le<uint32_t>(row + 16);
        s.offset = load_le<uint32_t>(row + 20);
        s.flags = load_le<uint32_t>(row + 36);
        const auto content = slice(image, s.offset, s.file_bytes);
        if (!content) return Error(Errc::Truncated, fmt::format("section {} lies outside the image", s.name));
        if ((s.flags & section_writes) != 0 && (s.flags & section_executes) != 0)
            return refuse(fmt::format("section {} of the image is writable and executable", s.name));
        if ((s.flags & section_executes) != 0) out.code_bytes += s.bytes;
        sections.push_back(std::move(s));
    }
    for (unsigned i = 0; i < directory_count; ++i)
        if (refused_directories[i] != nullptr && (directory(i).first != 0 || directory(i).second != 0))
            return refuse(fmt::format("the image has {}", refused_directories[i]));
    if (const auto [address, bytes] = directory(directory_import); address != 0 || bytes != 0) {
        const auto list = bytes_at(address, 20);
        if (!list || !all_zero(*list)) return refuse("the image has imports (another library)");
    }
    for (const Section& s : sections) {
        // The linker writes an empty list of imports into a writable section; anything else there is data.
        if ((s.flags & section_writes) != 0 && (s.name != ".idata" || !all_zero(image.subspan(s.offset, s.file_bytes))))
            return refuse(fmt::format("the image has writable data (section {})", s.name));
    }

    const auto [exports, exports_bytes] = directory(directory_export);
    const auto names = bytes_at(exports, 40);
    if (!names)
        return Error(Errc::Malformed,
                     fmt::format("this is no module of skep: it exports no \"{}\"", descriptor_symbol));
    const auto address_count = load_le<uint32_t>(names->data() + 20),
               name_count = load_le<uint32_t>(names->data() + 24);
    const auto addresses = bytes_at(load_le<uint32_t>(names->data() + 28), uint64_t{4} * address_count);
    const auto name_list = bytes_at(load_le<uint32_t>(names->data() + 32), uint64_t{4} * name_count);
    const auto ordinals = bytes_at(load_le<uint32_t>(names->data() + 36), uint64_t{2} * name_count);
    if (!addresses || !name_list || !ordinals) return Error(Errc::Truncated, "the image ends inside its exports");
    for (uint32_t i = 0; i < name_count; ++i) {
        const auto ordinal = load_le<uint16_t>(ordinals->data() + size_t{2} * i);
        const uint64_t name_at = load_le<uint32_t>(name_list->data() + size_t{4} * i);
        std::string name;
        for (uint64_t c = name_at; name.size() < 256; ++c) {
            const auto one = bytes_at(c, 1);
            if (!one) return Error(Errc::Malformed, "an export's name lies outside the image");
            if ((*one)[0] == std::byte{0}) break;
            name += static_cast<char>((*one)[0]);
        }
        if (ordinal >= address_count) return Error(Errc::Malformed, "an export has no address");
        const auto address = load_le<uint32_t>(addresses->data() + size_t{4} * ordinal);
        if (address >= exports && address - exports < exports_bytes)
            return refuse(fmt::format("the image forwards \"{}\" to another library", name));
        out.exports.push_back(name);
        if (name != descriptor_symbol) continue;
        const auto first = bytes_at(address, descriptor_header_bytes);
        const auto size = first ? descriptor_size(*first) : std::nullopt;
        const auto whole = size ? bytes_at(address, *size) : std::nullopt;
        if (!whole) return Error(Errc::Truncated, "the descriptor lies outside the image");
        if (!out.descriptor.empty()) return refuse("the image has two descriptors");
        out.descriptor = *whole;
    }
    if (out.descriptor.empty())
        return Error(Errc::Malformed,
                     fmt::format("this is no module of skep: it exports no \"{}\"", descriptor_symbol));
    return out;
}

}  // namespace skep::module
