// SPDX-License-Identifier: Apache-2.0
// Arbitrary text in both dialects: an error with a place in the text, or code that decodes and whose text assembles to
// the same code.
//
// seeds: src/isa/asm_test.cpp
#include <algorithm>
#include <cstdint>

#include "isa/assemble.hpp"
#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace skep;
    using namespace skep::isa;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto lines = static_cast<uint32_t>(std::count(text.begin(), text.end(), '\n')) + 1;
    for (const Dialect dialect : {Dialect::Canonical, Dialect::Conformance}) {
        const auto assembly = assemble_labelled(text, dialect);
        if (!assembly) {
            const Error& error = assembly.error();
            require(error.code() == Errc::Syntax);
            require(error.where().source_line >= 1 && error.where().source_line <= lines);
            require(error.where().source_column >= 1 && error.where().source_column <= size + 1);
            require(!error.to_string().empty());
            continue;
        }
        const auto insns = decode_all(assembly->code);
        require(insns.ok());
        const auto again = disassemble_program(assembly->code, {}, dialect);
        require(again.ok());
        const auto code = assemble(*again, dialect);
        require(code.ok() && *code == assembly->code);
    }
    return 0;
}
