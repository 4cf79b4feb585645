// SPDX-License-Identifier: Apache-2.0
// ELF as the dynamic loader will see it: by program headers and the dynamic section, never by section headers, which it
// does not read.
#include <fmt/format.h>

#include <optional>

#include "module/descriptor.hpp"
#include "module/image_formats.hpp"

namespace skep::module {

namespace {

enum : uint32_t { pt_null, pt_load, pt_dynamic, pt_interp, pt_note, pt_shlib, pt_phdr, pt_tls };
constexpr uint32_t pt_gnu_eh_frame = 0x6474e550, pt_gnu_stack = 0x6474e551, pt_gnu_relro = 0x6474e552,
                   pt_gnu_property = 0x6474e553;
constexpr uint32_t flag_execute = 1, flag_write = 2;
constexpr uint64_t page = 4096;

struct Segment {
    uint32_t type = 0, flags = 0;
    uint64_t offset = 0, address = 0, file_bytes = 0, bytes = 0;
};

struct Tag {
    uint64_t tag;
    const char* name;
};
/// What runs, or binds the image to others.
constexpr Tag refused_tags[] = {
    {1, "DT_NEEDED (another library)"},
    {12, "DT_INIT (code that runs while it is mapped)"},
    {13, "DT_FINI (code that runs while it is unmapped)"},
    {15, "DT_RPATH"},
    {22, "DT_TEXTREL (relocations of code)"},
    {25, "DT_INIT_ARRAY (code that runs while it is mapped)"},
    {26, "DT_FINI_ARRAY (code that runs while it is unmapped)"},
    {29, "DT_RUNPATH"},
    {32, "DT_PREINIT_ARRAY (code that runs while it is mapped)"},
    {0x6ffffef8, "DT_GNU_CONFLICT"},
    {0x6ffffefa, "DT_CONFIG"},
    {0x6ffffefb, "DT_DEPAUDIT"},
    {0x6ffffefc, "DT_AUDIT"},
    {0x7ffffffd, "DT_AUXILIARY"},
    {0x7fffffff, "DT_FILTER"},
    {0x6ffffef5, "DT_GNU_HASH (names are found through DT_HASH alone)"},
};
constexpr uint64_t dt_null = 0, dt_pltrelsz = 2, dt_pltgot = 3, dt_hash = 4, dt_strtab = 5, dt_symtab = 6, dt_rela = 7,
                   dt_relasz = 8, dt_relaent = 9, dt_strsz = 10, dt_syment = 11, dt_soname = 14, dt_symbolic = 16,
                   dt_rel = 17, dt_relsz = 18, dt_relent = 19, dt_pltrel = 20, dt_debug = 21, dt_jmprel = 23,
                   dt_bind_now = 24, dt_init_arraysz = 27, dt_fini_arraysz = 28, dt_flags = 30, dt_relrsz = 35,
                   dt_relr = 36, dt_relrent = 37, dt_relacount = 0x6ffffff9, dt_flags_1 = 0x6ffffffb;
constexpr uint64_t flags_textrel = 4, flags_static_tls = 16;
/// Of DT_FLAGS_1: NOW, NODELETE, NOOPEN and the like change how, not what; only NOW is made by our builds.
constexpr uint64_t flags_1_now = 1;

Error refuse(std::string what, std::string why = {}) {
    return Error(Errc::Rejected, std::move(what), std::move(why),
                 "modules that skep compile makes have none of it; this image was not made, or was changed, by others");
}

class ElfImage {
  public:
    explicit ElfImage(Bytes image) : image_(image) {}

    Result<ImageFacts> run() {
        SKEP_TRY(header());
        SKEP_TRY(segments());
        SKEP_TRY(dynamic());
        SKEP_TRY(relocations());
        SKEP_TRY(symbols());
        return std::move(out_);
    }

  private:
    Result<void> header() {
        if (image_.size() < 64) return Error(Errc::Truncated, "the image ends inside its header");
        const auto byte = [&](size_t at) { return std::to_integer<unsigned>(image_[at]); };
        if (byte(4) != 2 || byte(5) != 1) return Error(Errc::Unsupported, "the image is not 64-bit little-endian ELF");
        if (load_le<uint16_t>(&image_[16]) != 3) return refuse("the image is no shared object");
        const auto machine = load_le<uint16_t>(&image_[18]);
        if (machine != elf_machine_x86_64 && machine != elf_machine_arm64)
            return Error(Errc::Unsupported, fmt::format("the image is for machine {}", machine));
        out_.target = machine == elf_machine_x86_64 ? Target::LinuxX86_64 : Target::LinuxArm64;
        const auto offset = load_le<uint64_t>(&image_[32]);
        const auto size = load_le<uint16_t>(&image_[54]), count = load_le<uint16_t>(&image_[56]);
        if (size != 56 || count > 64) return Error(Errc::Malformed, "the image's program headers are not well-formed");
        const auto table = slice(image_, offset, uint64_t{56} * count);
        if (!table) return Error(Errc::Truncated, "the image ends inside its program headers");
        for (unsigned i = 0; i < count; ++i) {
            const std::byte* at = table->data() + 56 * i;
            Segment s;
            s.type = load_le<uint32_t>(at);
            s.flags = load_le<uint32_t>(at + 4);
            s.offset = load_le<uint64_t>(at + 8);
            s.address = load_le<uint64_t>(at + 16);
            s.file_bytes = load_le<uint64_t>(at + 32);
            s.bytes = load_le<uint64_t>(at + 40);
            if (!slice(image_, s.offset, s.file_bytes))
                return Error(Errc::Truncated, fmt::format("segment {} lies outside the image", i));
            if (s.bytes > UINT64_MAX / 4 || s.address > UINT64_MAX / 4)
                return Error(Errc::Malformed, fmt::format("segment {} has an address beyond any memory", i));
            segments_.push_back(s);
        }
        return {};
    }

    Result<void> segments() {
        bool has_stack = false;
        uint64_t end = 0;
        const Segment* relro = nullptr;
        for (const Segment& s : segments_)
            if (s.type == pt_gnu_relro) relro = &s;
        for (const Segment& s : segments_) {
            switch (s.type) {
                case pt_null:
                case pt_note:
                case pt_phdr:
                case pt_gnu_eh_frame:
                case pt_gnu_property:
                case pt_gnu_relro: break;
                case pt_dynamic:
                    if (dynamic_ != nullptr) return refuse("the image has two dynamic sections");
                    dynamic_ = &s;
                    break;
                case pt_interp: return refuse("the image has PT_INTERP (an interpreter of its own)");
                case pt_tls: return refuse("the image has PT_TLS (thread-local storage)");
                case pt_gnu_stack:
                    has_stack = true;
                    if ((s.flags & flag_execute) != 0) return refuse("the image wants an executable stack");
                    break;
                case pt_load: {
                    if ((s.flags & flag_write) != 0 && (s.flags & flag_execute) != 0)
                        return refuse("the image has a segment that is writable and executable",
                                      fmt::format("at address {:#x}", s.address));
                    if (s.file_bytes > s.bytes || s.offset % page != s.address % page)
                        return Error(Errc::Malformed, "a segment of the image is not well-formed");
                    // No two segments on one page: what is read here is what will be mapped.
                    if ((s.address & ~(page - 1)) < end)
                        return refuse("segments of the image overlap", fmt::format("at address {:#x}", s.address));
                    end = (s.address + s.bytes + page - 1) & ~(page - 1);
                    const bool sealed = relro != nullptr && s.address >= relro->address &&
                                        s.address + s.bytes <= relro->address + relro->bytes;
                    if ((s.flags & flag_write) != 0 && (!sealed || s.bytes != s.file_bytes))
                        return refuse("the image has writable data",
                                      fmt::format("{} bytes at address {:#x}", s.bytes, s.address));
                    if ((s.flags & flag_execute) != 0) out_.code_bytes += s.bytes;
                    break;
                }
                default: return refuse(fmt::format("the image has a segment of unknown type {:#x}", s.type));
            }
        }
        if (!has_stack) return refuse("the image does not say that its stack is not executable (no PT_GNU_STACK)");
        if (dynamic_ == nullptr) return Error(Errc::Malformed, "the image has no dynamic section");
        return {};
    }

    /// The bytes that will lie at `address`; nothing if they do not all come from the file.
    std::optional<Bytes> at(uint64_t address, uint64_t bytes, uint32_t* flags = nullptr) const {
        for (const Segment& s : segments_) {
            if (s.type != pt_load || address < s.address || address - s.address > s.file_bytes ||
                bytes > s.file_bytes - (address - s.address))
                continue;
            if (flags != nullptr) *flags = s.flags;
            return slice(image_, s.offset + (address - s.address), bytes);
        }
        return std::nullopt;
    }

    Result<void> dynamic() {
        const auto table = at(dynamic_->address, dynamic_->bytes);
        if (!table || table->size() % 16 != 0)
            return Error(Errc::Malformed, "the dynamic section lies outside the image");
        bool ended = false;
        for (size_t i = 0; i < table->size() && !ended; i += 16) {
            const auto tag = load_le<uint64_t>(table->data() + i);
            const auto value = load_le<uint64_t>(table->data() + i + 8);
            for (const Tag& refused : refused_tags)
                if (refused.tag == tag) return refuse(fmt::format("the image has {}", refused.name));
            switch (tag) {
                case dt_null: ended = true; break;
                case dt_hash: hash_ = value; break;
                case dt_strtab: strings_ = value; break;
                case dt_strsz: strings_bytes_ = value; break;
                case dt_symtab: symbols_ = value; break;
                case dt_syment:
                    if (value != 24) return Error(Errc::Malformed, "the image's symbols have another size");
                    break;
                case dt_rela: rela_[0] = value; break;
                case dt_relasz: rela_bytes_[0] = value; break;
                case dt_jmprel: rela_[1] = value; break;
                case dt_pltrelsz: rela_bytes_[1] = value; break;
                case dt_rel:
                case dt_relr: other_relocations_ = true; break;
                case dt_flags:
                    if ((value & flags_textrel) != 0) return refuse("the image has DF_TEXTREL (relocations of code)");
                    if ((value & flags_static_tls) != 0)
                        return refuse("the image has DF_STATIC_TLS (thread-local storage)");
                    break;
                case dt_flags_1:
                    if ((value & ~flags_1_now) != 0)
                        return refuse(fmt::format("the image has DT_FLAGS_1 {:#x}", value));
                    break;
                case dt_pltgot:
                case dt_relaent:
                case dt_soname:
                case dt_symbolic:
                case dt_relsz:
                case dt_relent:
                case dt_pltrel:
                case dt_debug:
                case dt_bind_now:
                case dt_init_arraysz:
                case dt_fini_arraysz:
                case dt_relrsz:
                case dt_relrent:
                case dt_relacount: break;
                default: return refuse(fmt::format("the image has the unknown dynamic entry {:#x}", tag));
            }
        }
        if (!ended) return Error(Errc::Malformed, "the dynamic section does not end");
        return {};
    }

    Result<void> relocations() {
        const uint32_t indirect = out_.target == Target::LinuxX86_64 ? 37 : 1032;  // R_*_IRELATIVE
        for (int i = 0; i < 2; ++i) {
            if (rela_bytes_[i] == 0) continue;
            const auto table = at(rela_[i], rela_bytes_[i]);
            for (size_t entry = 0; table && entry + 24 <= table->size(); entry += 24)
                if (load_le<uint32_t>(table->data() + entry + 8) == indirect)
                    return refuse("the image has IRELATIVE relocations (code that runs while it is mapped)");
            return refuse("the image has relocations", fmt::format("{} bytes of them", rela_bytes_[i]));
        }
        if (other_relocations_) return refuse("the image has relocations");
        return {};
    }

    Result<void> symbols() {
        const auto head = at(hash_, 8);
        const auto strings = at(strings_, strings_bytes_);
        if (hash_ == 0 || !head || !strings) return Error(Errc::Malformed, "the image has no table of names");
        const auto count = load_le<uint32_t>(head->data() + 4);
        const auto table = at(symbols_, uint64_t{24} * count);
        if (!table) return Error(Errc::Truncated, "the image ends inside its symbols");
        for (uint32_t i = 1; i < count; ++i) {
            const std::byte* entry = table->data() + size_t{24} * i;
            const auto name = read_c_string(*strings, load_le<uint32_t>(entry));
            if (!name) return Error(Errc::Malformed, "a symbol's name lies outside the image");
            const unsigned type = std::to_integer<unsigned>(entry[4]) & 15;
            const auto section = load_le<uint16_t>(entry + 6);
            const auto value = load_le<uint64_t>(entry + 8), bytes = load_le<uint64_t>(entry + 16);
            if (section == 0) return refuse(fmt::format("the image needs the host's symbol \"{}\"", *name));
            if (type == 10) return refuse(fmt::format("\"{}\" is an indirect function", *name));
            if (type == 6) return refuse(fmt::format("\"{}\" is thread-local", *name));
            out_.exports.emplace_back(*name);
            if (*name != descriptor_symbol) continue;
            uint32_t flags = 0;
            const auto found = at(value, bytes, &flags);
            if (!found) return Error(Errc::Truncated, "the descriptor lies outside the image");
            if ((flags & flag_write) != 0) return refuse("the descriptor is writable");
            if (!out_.descriptor.empty()) return refuse("the image has two descriptors");
            out_.descriptor = *found;
        }
        if (out_.descriptor.empty())
            return Error(Errc::Malformed,
                         fmt::format("this is no module of skep: it exports no \"{}\"", descriptor_symbol));
        return {};
    }

    Bytes image_;
    ImageFacts out_;
    std::vector<Segment> segments_;
    const Segment* dynamic_ = nullptr;
    uint64_t hash_ = 0, strings_ = 0, strings_bytes_ = 0, symbols_ = 0;
    uint64_t rela_[2] = {}, rela_bytes_[2] = {};
    bool other_relocations_ = false;
};

}  // namespace

Result<ImageFacts> inspect_elf(Bytes image) { return ElfImage(image).run(); }

}  // namespace skep::module
