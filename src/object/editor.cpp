// SPDX-License-Identifier: Apache-2.0
// The file was read (and so checked) before: offsets of headers need no second look, contents of BTF.ext do.
#include "object/editor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "elf/elf.hpp"
#include "object/reader.hpp"

namespace skep::object {
namespace {

constexpr uint64_t header_bytes = 64, section_header_bytes = 64, symbol_bytes = 24, rel_bytes = 16, rela_bytes = 24;
constexpr uint32_t note_type = 7;  // SHT_NOTE
constexpr uint32_t symtab_type = elf::section_symtab;

/// What would speak of the original, and nobody needs. A name alone does not make a section that: code and tables stay.
bool is_debug(const elf::Section& s) {
    const bool table = s.type == elf::section_symtab || s.type == elf::section_strtab || s.type == elf::section_rel ||
                       s.type == elf::section_rela;
    return (s.name.starts_with(".debug_") || s.name == ".eh_frame" || s.name == ".llvm_addrsig") && !table &&
           !s.executable();
}

void append(std::vector<std::byte>& out, Bytes bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

std::vector<std::byte> bytes_of(const isa::Code& code) {
    std::vector<std::byte> out(code.size() * 8);
    for (size_t i = 0; i < code.size(); ++i) {
        std::byte* p = out.data() + 8 * i;
        store_le(p, code[i].opcode);
        store_le(p + 1, code[i].regs);
        store_le(p + 2, code[i].offset);
        store_le(p + 4, code[i].imm);
    }
    return out;
}

}  // namespace

Result<Editor> Editor::open(Bytes file, const ObjectSpec& spec) {
    if (spec.gnu)
        return Error(Errc::Unsupported, Where{.file = spec.file}, "objects made by GCC cannot be edited yet",
                     "their relocations keep symbols' values inside the instructions", "compile it with clang");
    SKEP_ASSIGN(const elf::File read, elf::File::read(file));
    Editor editor(spec);
    editor.header_.assign(file.begin(), file.begin() + header_bytes);
    const uint64_t table = load_le<uint64_t>(file.data() + 40);
    for (size_t i = 0; i < read.sections().size(); ++i) {
        const elf::Section& from = read.sections()[i];
        Section section;
        section.name = from.name;
        section.type = from.type;
        section.link = from.link;
        section.info = from.info;
        section.flags = from.flags;
        section.entry_size = from.entry_size;
        section.size = from.size;
        section.align = load_le<uint64_t>(file.data() + table + i * section_header_bytes + 48);
        constexpr uint64_t largest_align = 4096;
        if (section.align > largest_align || (section.align != 0 && !std::has_single_bit(section.align)))
            return broken(
                Errc::Malformed, from.name, 0, "the section's alignment means nothing",
                fmt::format("sh_addralign is {}; powers of two up to {} are taken", section.align, largest_align));
        section.bytes.assign(from.bytes.begin(), from.bytes.end());
        section.dropped = is_debug(from);
        if (from.type == symtab_type) editor.symbol_table_ = static_cast<uint32_t>(i);
        editor.sections_.push_back(std::move(section));
    }
    editor.names_ = load_le<uint16_t>(file.data() + 62);
    for (const CodeSection& code : spec.code) {
        CodeEdit& edit = editor.code_[code.section];
        edit.places.resize(code.code.size());
        for (size_t i = 0; i < code.code.size(); ++i) edit.places[i].body = {code.code[i]};
    }
    return editor;
}

void Editor::replace(uint32_t section, uint32_t slot, const isa::Insn& with) {
    const isa::Encoded encoded = isa::encode(with);
    for (unsigned i = 0; i < encoded.count; ++i) place(section, slot + i).body = {encoded.slots[i]};
}

void Editor::insert_before(uint32_t section, uint32_t slot, const std::vector<isa::Insn>& code) {
    for (const isa::Insn& insn : code) isa::append(place(section, slot).before, insn);
}

void Editor::insert_after(uint32_t section, uint32_t slot, const std::vector<isa::Insn>& code) {
    for (const isa::Insn& insn : code) isa::append(place(section, slot).after, insn);
}

void Editor::patch(uint32_t section, uint64_t offset, Bytes bytes) {
    auto& to = sections_[section].bytes;
    if (to.size() < offset + bytes.size()) to.resize(offset + bytes.size());
    std::ranges::copy(bytes, to.begin() + static_cast<ptrdiff_t>(offset));
}

void Editor::move_symbol(uint32_t symbol, uint64_t value, uint64_t size) {
    std::byte* p = sections_[symbol_table_].bytes.data() + symbol * symbol_bytes;
    store_le(p + 8, value);
    store_le(p + 16, size);
}

void Editor::add(std::string name, std::vector<std::byte> bytes) {
    Section section;
    section.type = name.starts_with(".note") ? note_type : elf::section_progbits;
    section.flags = elf::flag_alloc;
    section.align = 4;
    section.name = std::move(name);
    section.bytes = std::move(bytes);
    sections_.push_back(std::move(section));
}

Error Editor::too_long(uint32_t section, uint32_t slot, std::string what) const {
    return Error(Errc::LimitExceeded,
                 Where{.file = spec_->file, .section = sections_[section].name, .byte_offset = uint64_t{slot} * 8},
                 std::move(what), "instructions were put in between, and the distance has 16 bits",
                 "compile with -mcpu=v4, or split the function");
}

void Editor::lay_out() {
    for (auto& [section, edit] : code_) {
        uint32_t at = 0;
        edit.starts.clear();
        edit.bodies.clear();
        for (const Place& p : edit.places) {
            edit.starts.push_back(at);
            edit.bodies.push_back(at + static_cast<uint32_t>(p.before.size()));
            at += static_cast<uint32_t>(p.before.size() + p.body.size() + p.after.size());
        }
        edit.starts.push_back(at);
    }
}

/// Distances inside one section. Calls and references with a relocation are the relocation's matter.
Result<void> Editor::relink(uint32_t section) {
    CodeEdit& edit = code_.at(section);
    std::vector<bool> relocated(edit.places.size());
    for (const RelocationSpec& r : spec_->relocations)
        if (r.section == section && r.offset / 8 < relocated.size()) relocated[r.offset / 8] = true;
    const auto* original = &*std::ranges::find(spec_->code, section, &CodeSection::section);
    for (uint32_t slot = 0; slot < edit.places.size();) {
        const auto insn = isa::decode(original->code, slot);
        if (!insn) return std::move(insn).error();
        const isa::Row& row = insn->row();
        const bool relative =
            row.is_jump() ||
            ((row.form == isa::Form::CallTarget || row.form == isa::Form::WideTarget) && !relocated[slot]);
        if (relative) {
            const int64_t target = isa::target_of(*insn, slot);
            if (target < 0 || target >= static_cast<int64_t>(edit.places.size()))
                return Error(
                    Errc::Malformed,
                    Where{.file = spec_->file, .section = sections_[section].name, .byte_offset = uint64_t{slot} * 8},
                    "a jump or call leaves its section");
            const int64_t distance = int64_t{edit.starts[static_cast<size_t>(target)]} - edit.bodies[slot] - 1;
            isa::Slot& body = edit.places[slot].body[0];
            if (row.offset.operand) {
                if (distance < INT16_MIN || distance > INT16_MAX)
                    return too_long(section, slot, "a jump becomes too long");
                body.offset = static_cast<int16_t>(distance);
            } else {
                body.imm = static_cast<int32_t>(distance);
            }
        }
        slot += insn->slots();
    }
    return {};
}

Result<void> Editor::relink_symbols() {
    std::vector<std::byte>& table = sections_[symbol_table_].bytes;
    for (size_t i = 0; i < spec_->symbols.size(); ++i) {
        const SymbolSpec& symbol = spec_->symbols[i];
        const auto code = code_.find(symbol.section);
        if (symbol.section == no_index || code == code_.end()) continue;
        const CodeEdit& edit = code->second;
        const uint64_t slots = edit.places.size(), first = symbol.value / 8, last = (symbol.value + symbol.size) / 8;
        if (first > slots || last > slots) continue;
        std::byte* p = table.data() + i * symbol_bytes;
        store_le(p + 8, uint64_t{edit.starts[first]} * 8);
        if (symbol.size != 0) store_le(p + 16, uint64_t{edit.starts[last] - edit.starts[first]} * 8);
    }
    return {};
}

/// Relocations in code move with their instruction; those that lead to code keep their place in the instruction
/// (a call's imm counts slots from the symbol, a reference's bytes).
Result<void> Editor::relink_relocations() {
    for (const RelocationSpec& r : spec_->relocations) {
        const SymbolSpec& symbol = spec_->symbols[r.symbol];
        const auto from = code_.find(r.section);
        const auto to = symbol.section == no_index ? code_.end() : code_.find(symbol.section);
        if (from == code_.end() || to == code_.end()) continue;
        const auto slot = static_cast<uint32_t>(r.offset / 8);
        if (slot >= from->second.places.size()) continue;
        const CodeEdit& target = to->second;
        isa::Slot& body = from->second.places[slot].body[0];
        const uint64_t symbol_slot = symbol.value / 8;
        const bool call = static_cast<RelocationType>(r.type) == RelocationType::Call32;
        const int64_t old =
            call ? static_cast<int64_t>(symbol_slot) + body.imm + 1 : static_cast<int64_t>(symbol_slot) + body.imm / 8;
        if (old < 0 || old >= static_cast<int64_t>(target.places.size()) || symbol_slot >= target.places.size())
            return Error(Errc::Malformed,
                         Where{.file = spec_->file, .section = sections_[r.section].name, .byte_offset = r.offset},
                         "a call or function reference leads outside its section");
        const int64_t now = int64_t{target.starts[static_cast<size_t>(old)]} - target.starts[symbol_slot];
        body.imm = static_cast<int32_t>(call ? now - 1 : now * 8);
    }
    // Their own offsets, in every table that speaks of code.
    for (Section& table : sections_) {
        if (table.type != elf::section_rel && table.type != elf::section_rela) continue;
        const auto code = code_.find(table.info);
        if (code == code_.end()) continue;
        const uint64_t size = table.type == elf::section_rel ? rel_bytes : rela_bytes;
        for (uint64_t at = 0; at + size <= table.bytes.size(); at += size) {
            std::byte* p = table.bytes.data() + at;
            const uint64_t slot = load_le<uint64_t>(p) / 8;
            if (slot < code->second.bodies.size()) store_le(p, uint64_t{code->second.bodies[slot]} * 8);
        }
    }
    return {};
}

/// .BTF.ext: each record's first word is the byte of its instruction in the section it names.
Result<void> Editor::relink_records() {
    const auto named = [&](std::string_view name) {
        return std::ranges::find_if(sections_, [&](const Section& s) { return s.name == name && !s.dropped; });
    };
    const auto ext = named(".BTF.ext");
    if (ext == sections_.end() || spec_->btf == nullptr) return {};
    std::vector<std::byte>& bytes = ext->bytes;
    const auto word = [&](uint64_t at) { return read_le<uint32_t>(bytes, at); };
    const auto damaged = [&] {
        return Error(Errc::Malformed, Where{.file = spec_->file, .section = ".BTF.ext"}, "its records are damaged");
    };
    const auto header = word(4);
    if (!header) return damaged();
    constexpr unsigned parts = 3;  // func_info, line_info, core_relo
    for (unsigned part = 0; part < parts; ++part) {
        if (*header < 8 + 8 * (part + 1)) continue;
        const auto offset = word(8 + 8 * part), length = word(12 + 8 * part);
        if (!offset || !length) return damaged();
        if (*length < 4) continue;
        uint64_t at = uint64_t{*header} + *offset;
        const uint64_t end = at + *length;
        const auto record = word(at);
        if (!record || *record < 4 || end > bytes.size()) return damaged();
        at += 4;
        while (at + 8 <= end) {
            const uint32_t name = *word(at), count = *word(at + 4);
            at += 8;
            const std::string_view section = spec_->btf->string(name);
            const CodeEdit* edit = nullptr;
            for (const auto& [index, one] : code_)
                if (sections_[index].name == section) edit = &one;
            for (uint32_t i = 0; i < count; ++i, at += *record) {
                if (at + *record > end) return damaged();
                const uint64_t slot = *word(at) / 8;
                if (edit == nullptr || slot >= edit->bodies.size()) continue;
                // A CO-RE record is about the instruction itself; lines and functions begin with what was put in front.
                const uint32_t now = part == 2 ? edit->bodies[slot] : edit->starts[slot];
                store_le(bytes.data() + at, now * 8);
            }
        }
    }
    return {};
}

Result<std::vector<std::byte>> Editor::finish() {
    lay_out();
    for (const auto& [section, edit] : code_) SKEP_TRY(relink(section));
    SKEP_TRY(relink_relocations());
    SKEP_TRY(relink_symbols());
    SKEP_TRY(relink_records());
    for (const auto& [section, edit] : code_) {
        isa::Code code;
        for (const Place& p : edit.places) {
            code.insert(code.end(), p.before.begin(), p.before.end());
            code.insert(code.end(), p.body.begin(), p.body.end());
            code.insert(code.end(), p.after.begin(), p.after.end());
        }
        sections_[section].bytes = bytes_of(code);
    }
    return write();
}

Result<std::vector<std::byte>> Editor::write() {
    const auto old_sections = spec_->sections.size();
    for (size_t i = 1; i < old_sections; ++i) {
        Section& s = sections_[i];
        const bool table = s.type == elf::section_rel || s.type == elf::section_rela;
        if (table && s.info < old_sections && sections_[s.info].dropped) s.dropped = true;
    }
    std::vector<uint32_t> place(sections_.size());
    uint32_t count = 0;
    for (size_t i = 0; i < sections_.size(); ++i)
        if (!sections_[i].dropped) place[i] = count++;

    // Symbols of what is gone go too; a file's symbol and the first one stay.
    Section& symbols = sections_[symbol_table_];
    std::vector<uint32_t> symbol_place(spec_->symbols.size());
    if (symbol_table_ != 0) {
        std::vector<std::byte> kept;
        uint32_t index = 0, locals = 0;
        for (size_t i = 0; i < spec_->symbols.size(); ++i) {
            std::byte* p = symbols.bytes.data() + i * symbol_bytes;
            const uint16_t section = load_le<uint16_t>(p + 6);
            const bool inside = section != elf::index_undefined && section < elf::index_first_reserved;
            if (inside && section < old_sections && sections_[section].dropped) continue;
            if (inside && section < old_sections) store_le(p + 6, static_cast<uint16_t>(place[section]));
            symbol_place[i] = index++;
            if (spec_->symbols[i].binding == SymbolBinding::Local) locals = index;
            append(kept, Bytes(p, symbol_bytes));
        }
        symbols.bytes = std::move(kept);
        symbols.info = locals;
    }
    for (size_t i = 1; i < old_sections; ++i) {
        Section& s = sections_[i];
        if (s.dropped) continue;
        const bool table = s.type == elf::section_rel || s.type == elf::section_rela;
        if (table) {
            const uint64_t size = s.type == elf::section_rel ? rel_bytes : rela_bytes;
            std::vector<std::byte> kept;
            for (uint64_t at = 0; at + size <= s.bytes.size(); at += size) {
                std::byte* p = s.bytes.data() + at;
                const uint64_t info = load_le<uint64_t>(p + 8);
                const uint64_t symbol = info >> 32;
                if (symbol >= symbol_place.size()) continue;
                if (symbol != 0 && symbol_place[symbol] == 0) continue;  // to what is gone
                store_le(p + 8, uint64_t{symbol_place[symbol]} << 32 | (info & 0xffffffff));
                append(kept, Bytes(p, size));
            }
            s.bytes = std::move(kept);
            if (s.info < old_sections) s.info = place[s.info];
        }
        if (s.link < old_sections) s.link = place[s.link];
    }

    // Names: the table that was there, and the new ones behind it.
    Section& names = sections_[names_];
    std::vector<uint32_t> name_at(sections_.size());
    for (size_t i = 1; i < sections_.size(); ++i) {
        if (sections_[i].dropped) continue;
        const std::string& name = sections_[i].name;
        const auto text = std::as_bytes(std::span(name.c_str(), name.size() + 1));
        const auto found = std::ranges::search(names.bytes, text);
        if (!found.empty()) {
            name_at[i] = static_cast<uint32_t>(found.begin() - names.bytes.begin());
        } else {
            name_at[i] = static_cast<uint32_t>(names.bytes.size());
            append(names.bytes, text);
        }
    }

    std::vector<std::byte> out = header_;
    std::vector<std::byte> headers(count * section_header_bytes);
    for (size_t i = 0; i < sections_.size(); ++i) {
        const Section& s = sections_[i];
        if (s.dropped) continue;
        std::byte* p = headers.data() + place[i] * section_header_bytes;
        if (i == 0) continue;
        const uint64_t align = std::max<uint64_t>(s.align, 1);
        out.resize((out.size() + align - 1) / align * align);
        const bool no_bits = s.type == elf::section_nobits;
        store_le(p, name_at[i]);
        store_le(p + 4, s.type);
        store_le(p + 8, s.flags);
        store_le(p + 24, uint64_t{out.size()});
        store_le(p + 32, no_bits ? s.size : uint64_t{s.bytes.size()});
        store_le(p + 40, s.link);
        store_le(p + 44, s.info);
        store_le(p + 48, s.align);
        store_le(p + 56, s.entry_size);
        if (!no_bits) append(out, s.bytes);
    }
    out.resize((out.size() + 7) / 8 * 8);
    store_le(out.data() + 40, uint64_t{out.size()});
    store_le(out.data() + 60, static_cast<uint16_t>(count));
    store_le(out.data() + 62, static_cast<uint16_t>(place[names_]));
    append(out, headers);
    return out;
}

}  // namespace skep::object
