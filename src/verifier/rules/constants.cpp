// SPDX-License-Identifier: Apache-2.0
// Wide loads: constants, maps, globals and functions (RFC 9669 section 5.4; object/linked_program.hpp says how they
// refer).
#include "verifier/rules/executor.hpp"

namespace skep::verifier {

namespace {

/// The region of a thing that always has the same address: the same symbol each time it is loaded.
Sym same_region(State& s, const isa::Insn& insn, const Region& region, isa::InsnIndex at) {
    const Definition def{insn.row().operation, false, Val::constant(region.map), {}};
    for (size_t i = 0; i < s.symbols.size(); ++i) {
        if (s.symbols[i].def == def && s.symbols[i].region == region) return static_cast<Sym>(i);
    }
    const Sym sym = new_region(s, region, at);
    s[sym].def = def;
    return sym;
}

}  // namespace

Region value_region(const Subject& subject, uint16_t map) {
    // Flags of the map's definition (linux/bpf.h): the program may not write, or not read.
    constexpr uint32_t read_only_program = 1u << 7;
    const MapInfo& info = subject.maps[map];
    Region region;
    region.kind = RegionKind::MapValue;
    region.map = map;
    region.size = info.value_size;
    region.writable = !info.read_only && (info.flags & read_only_program) == 0;
    return region;
}

bool Executor::wide_load() {
    const auto done = [&](const Val& v) { return write(insn_.dst, v), next(), true; };
    const auto index = static_cast<uint32_t>(insn_.imm);
    Region region;
    const isa::Operation op = row_.operation;
    if (op == isa::Operation::LdImm64) return done(Val::constant(insn_.imm64()));
    if (op == isa::Operation::LdMapFd || op == isa::Operation::LdMapValue) {
        if (index >= subject_.linked().maps.size())
            return fail(Rule::BadEncoding, "the map is not one of the program's");
        const auto map = static_cast<uint16_t>(index);
        const platform::MapType type = subject_.maps[map].type;
        if (type == platform::MapType::Arena || type == platform::MapType::StructOps) {
            return fail(Rule::NotModelled,
                        std::string("maps of type ") + platform::map_type_name(type) + " are not modelled");
        }
        if (op == isa::Operation::LdMapFd) {
            region.kind = RegionKind::Map;
            region.map = map;
            region.writable = false;
            return done(Val::symbol(same_region(s, insn_, region, at_)));
        }
        const MapInfo& info = subject_.maps[map];
        if (info.type != platform::MapType::Array || static_cast<uint32_t>(insn_.next_imm) >= info.value_size) {
            return fail(Rule::MapValueBounds, "a direct address of map `" + info.name + "` at offset " +
                                                  std::to_string(static_cast<uint32_t>(insn_.next_imm)) +
                                                  ", its value has " + std::to_string(info.value_size) + " bytes");
        }
        region = value_region(subject_, map);
        region.read_only_data = !info.constant.empty();
        return done(plus(Val::symbol(same_region(s, insn_, region, at_)), static_cast<uint32_t>(insn_.next_imm)));
    }
    if (op == isa::Operation::LdFunc) {
        region.kind = RegionKind::Function;
        region.writable = false;
        region.map = subject_.function_at(static_cast<isa::InsnIndex>(isa::target_of(insn_, at_)));
        return done(Val::symbol(same_region(s, insn_, region, at_)));
    }
    if (op == isa::Operation::LdBtfId) return fail(Rule::NotModelled, "kernel variables (.ksyms) are not modelled");
    return fail(Rule::BadEncoding, "maps by index of a descriptor array are not part of linked programs");
}

}  // namespace skep::verifier
