// SPDX-License-Identifier: Apache-2.0
// Code sections, the functions in them, and which functions are programs.
#include <fmt/format.h>

#include <algorithm>

#include "object/reader.hpp"

namespace skep::object {

namespace {

bool is_subprogram_section(std::string_view name) { return name == ".text" || name.starts_with(".text."); }

/// GNU and LLVM agree that a function symbol is STT_FUNC; hand-written assembly may leave a plain global label.
bool may_name_function(const SymbolSpec& s, bool labels) {
    if (s.name.empty()) return false;
    if (s.kind == SymbolKind::Function) return true;
    return labels && s.kind == SymbolKind::None && s.binding != SymbolBinding::Local;
}

}  // namespace

Result<void> Reader::read_code() {
    code_of_section_.assign(spec_.sections.size(), no_index);
    std::vector<std::vector<uint32_t>> symbols(spec_.sections.size());
    for (uint32_t i = 1; i < spec_.symbols.size(); ++i) {
        const SymbolSpec& s = spec_.symbols[i];
        if (s.section != no_index && may_name_function(s, true)) symbols[s.section].push_back(i);
    }
    for (uint32_t index = 1; index < spec_.sections.size(); ++index) {
        const elf::Section& section = file_.sections()[index];
        if (!section.executable() || section.type != elf::section_progbits) continue;
        if ((section.flags & elf::flag_compressed) != 0) {
            return broken(Errc::Unsupported, section.name, 0, "a compressed section of code");
        }
        if (section.name.empty()) {
            return broken(Errc::Malformed, section.name, section.offset, "a section of code has no name");
        }
        if (section.size % 8 != 0) {
            return broken(Errc::Malformed, section.name, section.size, "a section of code ends inside an instruction",
                          fmt::format("{} bytes, instructions have 8", section.size));
        }
        spec_.sections[index].kind = is_subprogram_section(section.name) ? "subprograms" : "program";
        if (section.size == 0) {
            spec_.sections[index].kind = "empty";
            continue;
        }
        CodeSection code;
        code.section = index;
        code.code.resize(static_cast<size_t>(section.size / 8));
        for (size_t i = 0; i < code.code.size(); ++i) {
            const std::byte* p = section.bytes.data() + 8 * i;
            code.code[i] = {std::to_integer<uint8_t>(p[0]), std::to_integer<uint8_t>(p[1]), load_le<int16_t>(p + 2),
                            load_le<int32_t>(p + 4)};
        }
        const auto [first, last] = relocations_of(index);
        for (uint32_t r = first; r < last; ++r) code.relocations.push_back(r);
        for (btf::SectionRecords& records : ext_.sections) {
            if (records.section == section.name && code.records.section.empty()) code.records = std::move(records);
        }

        const auto named_by = [&](uint32_t s) { return spec_.symbols[s].kind == SymbolKind::Function; };
        std::vector<uint32_t>& here = symbols[index];
        if (std::ranges::any_of(here, named_by)) std::erase_if(here, [&](uint32_t s) { return !named_by(s); });
        // Of several names for one place the most visible one is kept.
        std::ranges::stable_sort(here, {}, [&](uint32_t s) {
            const SymbolSpec& symbol = spec_.symbols[s];
            const int rank = symbol.binding == SymbolBinding::Global ? 0
                             : symbol.binding == SymbolBinding::Weak ? 1
                                                                     : 2;
            return std::pair(symbol.value, rank);
        });
        std::vector<FunctionSpec> functions;
        for (const uint32_t s : here) {
            const SymbolSpec& symbol = spec_.symbols[s];
            if (symbol.value % 8 != 0 || symbol.size % 8 != 0) {
                return broken(Errc::Malformed, section.name, symbol.value,
                              fmt::format("function {} does not begin and end at an instruction", symbol.name),
                              fmt::format("offset {:#x}, size {:#x}", symbol.value, symbol.size));
            }
            const uint32_t start = static_cast<uint32_t>(symbol.value / 8);
            if (start >= code.code.size()) continue;  // a label behind the last instruction
            if (!functions.empty() && functions.back().start == start) continue;
            FunctionSpec f;
            f.name = symbol.name;
            f.section = index;
            f.start = start;
            f.end = symbol.size == 0 ? 0 : start + static_cast<uint32_t>(symbol.size / 8);
            f.global = symbol.binding != SymbolBinding::Local;
            f.weak = symbol.binding == SymbolBinding::Weak;
            functions.push_back(std::move(f));
        }
        if (functions.empty()) {
            FunctionSpec f;
            f.name = section.name;
            f.section = index;
            f.end = static_cast<uint32_t>(code.code.size());
            f.global = true;
            functions.push_back(std::move(f));
        }
        for (size_t i = 0; i < functions.size(); ++i) {
            FunctionSpec& f = functions[i];
            const uint32_t next =
                i + 1 < functions.size() ? functions[i + 1].start : static_cast<uint32_t>(code.code.size());
            if (f.end == 0) f.end = next;
            if (f.end > next) {
                return broken(Errc::Malformed, section.name, uint64_t{f.start} * 8,
                              fmt::format("function {} overlaps the next one", f.name),
                              fmt::format("it ends at {:#x}, the next one begins at {:#x}", uint64_t{f.end} * 8,
                                          uint64_t{next} * 8));
            }
            const auto record = std::ranges::lower_bound(code.records.functions, f.start, {}, &btf::FuncRecord::insn);
            if (record != code.records.functions.end() && record->insn == f.start &&
                btf_.type(record->type).kind == btf::Kind::Func) {
                f.type = record->type;
            } else if (has_btf_) {
                f.type = btf_.find(btf::Kind::Func, f.name);  // GCC 12 writes no func_info
            }
            code.functions.push_back(static_cast<uint32_t>(spec_.functions.size()));
            spec_.functions.push_back(std::move(f));
        }
        code_of_section_[index] = static_cast<uint32_t>(spec_.code.size());
        spec_.code.push_back(std::move(code));
    }

    // Programs are the global functions of named sections. Those of .text are subprograms, save a single one in an
    // object that has nothing else (libbpf: prog_is_subprog).
    uint32_t in_text = 0, elsewhere = 0;
    for (const FunctionSpec& f : spec_.functions) {
        if (f.global) ++(is_subprogram_section(spec_.sections[f.section].name) ? in_text : elsewhere);
    }
    for (uint32_t i = 0; i < spec_.functions.size(); ++i) {
        const FunctionSpec& f = spec_.functions[i];
        const std::string& section = spec_.sections[f.section].name;
        if (!f.global) continue;
        if (is_subprogram_section(section) && (elsewhere != 0 || in_text != 1)) continue;
        ProgramSpec p;
        p.name = f.name;
        p.section = section.starts_with('?') ? section.substr(1) : section;
        p.autoload = !section.starts_with('?');
        p.function = i;
        spec_.programs.push_back(std::move(p));
    }
    return {};
}

uint32_t Reader::function_at(uint32_t section, uint64_t byte_offset) const {
    const uint32_t code = code_of_section_[section];
    if (code == no_index || byte_offset % 8 != 0) return no_index;
    const auto& here = spec_.code[code].functions;
    const auto at = std::ranges::lower_bound(here, byte_offset / 8, {},
                                             [&](uint32_t f) { return uint64_t{spec_.functions[f].start}; });
    return at != here.end() && spec_.functions[*at].start == byte_offset / 8 ? *at : no_index;
}

uint32_t Reader::program_of_function(uint32_t function) const {
    const auto at = std::ranges::lower_bound(spec_.programs, function, {}, &ProgramSpec::function);
    if (at == spec_.programs.end() || at->function != function) return no_index;
    return static_cast<uint32_t>(at - spec_.programs.begin());
}

}  // namespace skep::object
