// SPDX-License-Identifier: Apache-2.0
// Object files: read_object gives an object or an error that says where, uses memory of a small multiple of the file,
// and what it gives can be linked, relocated, listed and written as text, or says why not.
//
// seeds: build/dev/tests/objects/*.o /usr/lib/x86_64-linux-gnu/bpf/*.o
#include <string>

#include "cli/inspect.hpp"
#include "isa/insn.hpp"
#include "object/link.hpp"
#include "object/relocate.hpp"
#include "require.hpp"

using namespace skep;

namespace {

uint64_t bytes_held(const object::MapSpec& map) {
    uint64_t sum = sizeof(map) + map.name.size() + map.initial.size() + map.slots.size() * sizeof(map.slots[0]);
    for (const object::MapSpec& inner : map.inner) sum += sizeof(inner) + inner.name.size() + inner.initial.size();
    return sum;
}

uint64_t bytes_held(const object::ObjectSpec& spec) {
    uint64_t sum = 0;
    for (const auto& s : spec.sections) sum += sizeof(s) + s.name.size();
    for (const auto& s : spec.symbols) sum += sizeof(s) + s.name.size();
    for (const auto& m : spec.maps) sum += bytes_held(m);
    for (const auto& g : spec.globals) sum += sizeof(g) + g.name.size();
    for (const auto& f : spec.functions) sum += sizeof(f) + f.name.size();
    for (const auto& c : spec.code)
        sum += sizeof(c) + c.code.size() * 8 + c.records.lines.size() * sizeof(btf::LineRecord);
    sum += spec.relocations.size() * sizeof(object::RelocationSpec);
    return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const Bytes bytes = std::as_bytes(std::span(data, size));
    const auto spec = object::read_object(bytes, "fuzz.o");
    if (!spec) {
        require(!spec.error().what().empty(), "an error says what");
        require(spec.error().where().file == "fuzz.o", "an error says in which file");
        require(spec.error().code() != Errc::Ok, "an error has a code");
        return 0;
    }
    require(bytes_held(*spec) < 64 * size + 65536, "memory is a small multiple of the file");
    for (size_t i = 0; i < spec->programs.size() && i < 64; ++i) {
        auto program = object::link(*spec, i);
        if (!program) {
            require(!program.error().where().function.empty(), "a link error says in which function");
            continue;
        }
        require(!program->subprograms.empty() && program->subprograms.front().start == 0, "the entry comes first");
        require(program->subprograms.back().end == program->code.size(), "functions cover the stream");
        for (const uint32_t m : program->maps) require(m < spec->maps.size(), "map references are in range");
        for (const uint32_t e : program->externs) require(e < spec->externs.size(), "extern references are in range");
        for (const auto& l : program->lines) require(l.insn < program->code.size(), "lines are in range");
        if (spec->btf != nullptr && program->core_relocations.size() < 64) {
            (void)object::relocate(*program, *spec->btf, *spec->btf).ok();
        }
    }
    if (size < 65536 && spec->programs.size() < 64) {
        require(!cli::inspect_text(*spec, {}, [](std::string_view text) { return std::string(text); }).empty(),
                "listing");
        (void)cli::inspect_json(*spec).to_string();
    }
    return 0;
}
