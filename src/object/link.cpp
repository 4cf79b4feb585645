// SPDX-License-Identifier: Apache-2.0
#include "object/link.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "isa/insn.hpp"

namespace skep::object {

namespace {

// The words that linking must recognise, from the one table.
constexpr uint8_t wide_load = isa::row_of(isa::Op::LdImm64).opcode;
constexpr uint8_t call = isa::row_of(isa::Op::Call).opcode;
constexpr auto pseudo_map = static_cast<uint8_t>(isa::row_of(isa::Op::LdMapFd).src_reg.value);
constexpr auto pseudo_map_value = static_cast<uint8_t>(isa::row_of(isa::Op::LdMapValue).src_reg.value);
constexpr auto pseudo_btf_id = static_cast<uint8_t>(isa::row_of(isa::Op::LdBtfId).src_reg.value);
constexpr auto pseudo_function = static_cast<uint8_t>(isa::row_of(isa::Op::LdFunc).src_reg.value);
constexpr auto pseudo_call = static_cast<uint8_t>(isa::row_of(isa::Op::CallLocal).src_reg.value);
constexpr auto pseudo_kfunc_call = static_cast<uint8_t>(isa::row_of(isa::Op::CallKfunc).src_reg.value);

// Strings of line records are shared in the file; copies are cut so that hostile records cannot multiply a long one.
constexpr size_t max_text_bytes = 256;
constexpr uint32_t max_slots = 1u << 26;  // of a stream: far beyond any file that is worth loading

struct Linker {
    const ObjectSpec& spec;
    LinkedProgram out;

    std::vector<uint32_t> code_of_section;
    std::vector<uint32_t> order;      // functions in the stream
    std::vector<uint32_t> placed_at;  // per function: its place in `order`, or no_index
    std::vector<uint32_t> pending;    // slots of `out.code` that hold a function's index, to become a distance
    std::unordered_map<uint64_t, std::vector<uint32_t>> maps_at;  // (section, offset) hashed
    std::unordered_map<uint32_t, uint32_t> map_places, extern_places;

    explicit Linker(const ObjectSpec& s) : spec(s) {}

    // Where the walk is, for errors.
    const CodeSection* code = nullptr;
    const FunctionSpec* function = nullptr;
    uint32_t slot = 0;

    Error bad(Errc errc, std::string what, std::string why = {}, std::string hint = {}) const {
        Where where;
        where.file = spec.file;
        where.section = spec.sections[code->section].name;
        where.function = function->name;
        where.insn = static_cast<uint32_t>(out.code.size());
        const auto& lines = code->records.lines;
        const auto after = std::ranges::upper_bound(lines, slot, {}, &btf::LineRecord::insn);
        if (after != lines.begin() && spec.btf != nullptr && std::prev(after)->insn >= function->start) {
            where.source_file = spec.btf->string(std::prev(after)->file_off).substr(0, max_text_bytes);
            where.source_line = std::prev(after)->line;
            where.source_column = std::prev(after)->column;
        }
        return Error(errc, std::move(where), std::move(what), std::move(why), std::move(hint));
    }

    static uint64_t place_key(uint32_t section, uint64_t offset) { return offset * 0x9e3779b97f4a7c15u + section; }

    Result<LinkedProgram> run(const ProgramSpec& program) {
        code_of_section.assign(spec.sections.size(), no_index);
        for (uint32_t i = 0; i < spec.code.size(); ++i) code_of_section[spec.code[i].section] = i;
        placed_at.assign(spec.functions.size(), no_index);
        for (uint32_t m = 0; m < spec.maps.size(); ++m) {
            const MapSpec& map = spec.maps[m];
            if (map.section_index != no_index) maps_at[place_key(map.section_index, map.offset)].push_back(m);
        }
        out.name = program.name;
        out.section = spec.sections[spec.functions[program.function].section].name;
        place(program.function);
        for (size_t next = 0; next < order.size(); ++next) SKEP_TRY(append(order[next]));
        for (const uint32_t at : pending) {
            const auto target = static_cast<uint32_t>(out.code[at].imm);
            const uint32_t start = out.subprograms[placed_at[target]].start;
            out.code[at].imm = static_cast<int32_t>(start - at - 1);  // both below max_slots
        }
        if (spec.btf == nullptr) out.func_types.clear();
        return std::move(out);
    }

    void place(uint32_t f) {
        if (placed_at[f] != no_index) return;
        placed_at[f] = static_cast<uint32_t>(order.size());
        order.push_back(f);
    }

    uint32_t use(uint32_t what, std::vector<uint32_t>& list, std::unordered_map<uint32_t, uint32_t>& places) {
        const auto [at, added] = places.emplace(what, static_cast<uint32_t>(list.size()));
        if (added) list.push_back(what);
        return at->second;
    }

    Result<void> append(uint32_t index) {
        const FunctionSpec& f = spec.functions[index];
        function = &f;
        code = &spec.code[code_of_section[f.section]];
        slot = f.start;
        if (f.end - f.start > max_slots - out.code.size()) {
            return bad(Errc::LimitExceeded, "the program is too long", fmt::format("more than {} slots", max_slots));
        }
        const auto start = static_cast<uint32_t>(out.code.size());
        auto relocation = std::ranges::lower_bound(code->relocations, uint64_t{f.start} * 8, {},
                                                   [&](uint32_t r) { return spec.relocations[r].offset; });
        for (; slot < f.end; ++slot) {
            const RelocationSpec* r = nullptr;
            if (relocation != code->relocations.end() &&
                spec.relocations[*relocation].offset < uint64_t{slot} * 8 + 8) {
                r = &spec.relocations[*relocation++];
                if (r->offset != uint64_t{slot} * 8) {
                    return bad(Errc::Malformed, "a relocation lies inside an instruction",
                               fmt::format("offset {:#x}", r->offset));
                }
            }
            isa::Slot insn = code->code[slot];
            if (insn.opcode == wide_load) {
                if (slot + 1 >= f.end) {
                    return bad(Errc::Truncated, "the function ends inside a wide instruction");
                }
                isa::Slot next = code->code[slot + 1];
                if (relocation != code->relocations.end() &&
                    spec.relocations[*relocation].offset < uint64_t{slot} * 8 + 16) {
                    return bad(Errc::Malformed, "a relocation lies inside an instruction");
                }
                if (r != nullptr) {
                    SKEP_TRY(wide(*r, insn, next));
                } else if (insn.src_reg() != 0) {
                    return bad(Errc::Malformed, "a reference to a map, function or variable has no relocation",
                               fmt::format("a wide load with src_reg {}", insn.src_reg()));
                }
                out.code.push_back(insn);
                out.code.push_back(next);
                ++slot;
                continue;
            }
            if (insn.opcode == call && (insn.src_reg() == pseudo_call || insn.src_reg() == pseudo_kfunc_call || r)) {
                SKEP_TRY(function_call(r, insn));
            } else if (r != nullptr) {
                return bad(Errc::Unsupported, "a relocation of an instruction that is no call and no wide load",
                           fmt::format("{} against {}", relocation_type_name(r->type), spec.symbols[r->symbol].name));
            }
            out.code.push_back(insn);
        }
        out.subprograms.push_back({f.name, start, static_cast<uint32_t>(out.code.size()), f.global});
        out.func_types.push_back(f.type);
        carry_records(f, start);
        return {};
    }

    /// The function that begins at a byte offset of a section.
    Result<uint32_t> function_at(uint32_t section, uint64_t offset, std::string_view name) {
        const uint32_t c = section < code_of_section.size() ? code_of_section[section] : no_index;
        if (c != no_index && offset % 8 == 0) {
            const auto& here = spec.code[c].functions;
            const auto at = std::ranges::lower_bound(here, offset / 8, {},
                                                     [&](uint32_t f) { return uint64_t{spec.functions[f].start}; });
            if (at != here.end() && spec.functions[*at].start == offset / 8) return *at;
        }
        return bad(
            Errc::Malformed, "a reference to a function that does not exist",
            fmt::format("nothing begins at {:#x} of section \"{}\" ({})", offset,
                        c == no_index ? std::string_view("?") : std::string_view(spec.sections[section].name), name));
    }

    void refer_to_function(uint32_t f, isa::Slot& insn) {
        place(f);
        insn.imm = static_cast<int32_t>(f);
        pending.push_back(static_cast<uint32_t>(out.code.size()));
    }

    Result<void> function_call(const RelocationSpec* r, isa::Slot& insn) {
        if (r == nullptr) {
            if (insn.src_reg() == pseudo_kfunc_call) {
                return bad(Errc::Malformed, "a call of a kernel function has no relocation");
            }
            // To a function of the same section the compiler counts itself.
            const int64_t target = int64_t{slot} + 1 + insn.imm;
            if (target < 0) return bad(Errc::Malformed, "a call before the start of the section");
            SKEP_ASSIGN(const uint32_t f, function_at(code->section, static_cast<uint64_t>(target) * 8, "by distance"));
            refer_to_function(f, insn);
            return {};
        }
        const SymbolSpec& symbol = spec.symbols[r->symbol];
        if (r->type != static_cast<uint32_t>(RelocationType::Call32)) {
            return bad(Errc::Unsupported, "a call with an unknown relocation",
                       fmt::format("{} ({}) against {}", relocation_type_name(r->type), r->type, symbol.name));
        }
        if (symbol.undefined) {
            SKEP_ASSIGN(const uint32_t e, extern_of(r->symbol));
            const ExternSpec& ext = spec.externs[e];
            if (ext.kind == ExternKind::Variable || ext.kind == ExternKind::Kconfig) {
                return bad(Errc::Malformed, fmt::format("a call of {}, which is no function", ext.name));
            }
            if (ext.kind == ExternKind::Unknown && !ext.weak) {
                return bad(Errc::Unresolved, fmt::format("a call of {}, which nothing defines", ext.name),
                           "the object does not define it, and BTF does not declare it as a kernel function",
                           ext.name.starts_with("__")
                               ? "the compiler put it in place of an operation that this -mcpu does not have: compile "
                                 "with a higher -mcpu, or avoid the operation"
                               : "define it in the same object as a static function, or declare it with __ksym");
            }
            insn.set_src_reg(pseudo_kfunc_call);
            insn.imm = static_cast<int32_t>(use(e, out.externs, extern_places));
            return {};
        }
        if (symbol.section == no_index) {
            return bad(Errc::Unresolved, fmt::format("a call of {}, which lies in no section", symbol.name));
        }
        // imm counts slots and is one less than the target: relative to the section for a section's symbol. For a
        // function's symbol LLVM writes -1; GNU as puts the symbol's place there too, in slots or (2.40) in bytes.
        int64_t target = static_cast<int64_t>(symbol.value / 8);
        if (r->explicit_addend) {
            target += r->addend / 8;
        } else if (symbol.kind == SymbolKind::Section ||
                   (insn.imm != static_cast<int64_t>(symbol.value) - 1 && insn.imm != target - 1)) {
            target += int64_t{insn.imm} + 1;
        }
        if (target < 0) return bad(Errc::Malformed, "a call before the start of the section");
        insn.set_src_reg(pseudo_call);
        SKEP_ASSIGN(const uint32_t f, function_at(symbol.section, static_cast<uint64_t>(target) * 8, symbol.name));
        refer_to_function(f, insn);
        return {};
    }

    Result<uint32_t> extern_of(uint32_t symbol) {
        if (extern_of_symbol.empty()) {
            for (uint32_t i = 0; i < spec.externs.size(); ++i) {
                if (spec.externs[i].symbol != no_index) extern_of_symbol.emplace(spec.externs[i].symbol, i);
            }
        }
        const auto at = extern_of_symbol.find(symbol);
        if (at != extern_of_symbol.end()) return at->second;
        return bad(Errc::Malformed, "a relocation against a symbol without a name");
    }
    std::unordered_map<uint32_t, uint32_t> extern_of_symbol;

    Result<void> wide(const RelocationSpec& r, isa::Slot& insn, isa::Slot& next) {
        const SymbolSpec& symbol = spec.symbols[r.symbol];
        if (r.type != static_cast<uint32_t>(RelocationType::Wide64)) {
            return bad(Errc::Unsupported, "a wide load with an unknown relocation",
                       fmt::format("{} ({}) against {}", relocation_type_name(r.type), r.type, symbol.name));
        }
        if (symbol.undefined) return wide_extern(r, insn, next);
        if (symbol.section == no_index) {
            return bad(Errc::Unsupported, fmt::format("a reference to {}, which lies in no section", symbol.name),
                       "an absolute or common symbol", "define the variable with an initial value, or use -fno-common");
        }
        uint64_t offset = symbol.value + static_cast<uint32_t>(insn.imm);
        if (r.explicit_addend) {
            offset = symbol.value + static_cast<uint64_t>(r.addend);
        } else if (spec.gnu && symbol.kind != SymbolKind::Section) {
            offset = static_cast<uint32_t>(insn.imm);
        }
        if (code_of_section[symbol.section] != no_index) {
            SKEP_ASSIGN(const uint32_t f, function_at(symbol.section, offset, symbol.name));
            insn.set_src_reg(pseudo_function);
            next.imm = 0;
            refer_to_function(f, insn);
            return {};
        }
        const SectionSpec& section = spec.sections[symbol.section];
        uint32_t map = find_map(symbol.section, offset, false);
        const bool data = map == no_index;
        if (data) map = find_map(symbol.section, 0, true);
        if (map == no_index) return refuse(symbol, section, offset);
        const MapSpec& m = spec.maps[map];
        if (!m.unsupported.empty()) {
            return bad(Errc::Unsupported, fmt::format("a reference to {}, which is not supported", symbol.name),
                       m.unsupported);
        }
        if (!data) {
            insn.set_src_reg(pseudo_map);
            insn.imm = static_cast<int32_t>(use(map, out.maps, map_places));
            next.imm = 0;
            return {};
        }
        if (offset > m.value_size) {
            return bad(Errc::Malformed, fmt::format("a reference behind the end of section \"{}\"", section.name),
                       fmt::format("offset {:#x} of {:#x}", offset, m.value_size));
        }
        if (const GlobalSpec* global = global_at(map, offset); global != nullptr && global->holds_addresses) {
            return bad(Errc::Unsupported, fmt::format("variable {} holds addresses", global->name),
                       "its initial value points to other data, which only a linker with fixed addresses could fill in",
                       "use an array of arrays instead of an array of pointers, or compute the address in the code");
        }
        insn.set_src_reg(pseudo_map_value);
        insn.imm = static_cast<int32_t>(use(map, out.maps, map_places));
        next.imm = static_cast<int32_t>(static_cast<uint32_t>(offset));
        return {};
    }

    Result<void> refuse(const SymbolSpec& symbol, const SectionSpec& section, uint64_t offset) {
        for (const UnsupportedPart& part : spec.unsupported) {
            if (part.section == section.name) {
                return bad(Errc::Unsupported,
                           fmt::format("a reference to {} in section \"{}\", which is not supported", symbol.name,
                                       section.name),
                           part.reason);
            }
        }
        return bad(Errc::Malformed, fmt::format("a reference to {}, which is no map and no variable", symbol.name),
                   fmt::format("offset {:#x} of section \"{}\"", offset, section.name));
    }

    Result<void> wide_extern(const RelocationSpec& r, isa::Slot& insn, isa::Slot& next) {
        SKEP_ASSIGN(const uint32_t e, extern_of(r.symbol));
        const ExternSpec& ext = spec.externs[e];
        switch (ext.kind) {
            case ExternKind::Kconfig: {
                use(e, out.externs, extern_places);
                insn.set_src_reg(pseudo_map_value);
                insn.imm = static_cast<int32_t>(use(ext.map, out.maps, map_places));
                next.imm = static_cast<int32_t>(ext.offset);
                return {};
            }
            case ExternKind::Unknown:
                if (!ext.weak) {
                    return bad(Errc::Unresolved, fmt::format("a reference to {}, which nothing defines", ext.name),
                               "the object does not define it, and BTF does not declare it in .ksyms or .kconfig");
                }
                [[fallthrough]];
            case ExternKind::Kfunc:
            case ExternKind::Variable:
                if (ext.weak) {
                    // No kernel is there to have it, so its address is null, which is how a program asks for it
                    // (bpf_ksym_exists; libbpf does the same where the kernel lacks it).
                    use(e, out.externs, extern_places);
                    insn.set_src_reg(0);
                    insn.imm = next.imm = 0;
                    return {};
                }
                insn.set_src_reg(pseudo_btf_id);
                insn.imm = static_cast<int32_t>(use(e, out.externs, extern_places));
                next.imm = 0;
                return {};
        }
        return {};
    }

    /// The data map of a section, or the map that is defined at an offset of one.
    uint32_t find_map(uint32_t section, uint64_t offset, bool data) const {
        const auto at = maps_at.find(place_key(section, offset));
        if (at == maps_at.end()) return no_index;
        for (const uint32_t m : at->second) {
            const MapSpec& map = spec.maps[m];
            if (map.section_index == section && map.offset == offset && (map.origin == MapOrigin::Data) == data) {
                return m;
            }
        }
        return no_index;
    }

    const GlobalSpec* global_at(uint32_t map, uint64_t offset) const {
        const auto after = std::ranges::upper_bound(spec.globals, std::pair(map, offset), {}, [](const GlobalSpec& g) {
            return std::pair(g.map, uint64_t{g.offset});
        });
        if (after == spec.globals.begin()) return nullptr;
        const GlobalSpec& g = *std::prev(after);
        return g.map == map && offset - g.offset < g.size ? &g : nullptr;
    }

    void carry_records(const FunctionSpec& f, uint32_t start) {
        const auto part = [&](const auto& list, auto member) {
            const auto first = std::ranges::lower_bound(list, f.start, {}, member);
            const auto last = std::ranges::lower_bound(list, f.end, {}, member);
            return std::ranges::subrange(first, last);
        };
        if (spec.btf == nullptr) return;
        for (const btf::LineRecord& l : part(code->records.lines, &btf::LineRecord::insn)) {
            out.lines.push_back({l.insn - f.start + start,
                                 std::string(spec.btf->string(l.file_off).substr(0, max_text_bytes)), l.line, l.column,
                                 std::string(spec.btf->string(l.text_off).substr(0, max_text_bytes))});
        }
        for (btf::CoreRecord c : part(code->records.core, &btf::CoreRecord::insn)) {
            c.insn = c.insn - f.start + start;
            out.core_relocations.push_back(c);
        }
    }
};

}  // namespace

Result<LinkedProgram> link(const ObjectSpec& spec, size_t program_index) {
    return Linker(spec).run(spec.programs[program_index]);
}

}  // namespace skep::object
