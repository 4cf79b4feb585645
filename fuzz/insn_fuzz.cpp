// SPDX-License-Identifier: Apache-2.0
// Arbitrary slots: each is an instruction that survives encoding and both dialects, or is refused cleanly.
//
// seeds: build/dev/tests/objects/*.o
#include <algorithm>
#include <cstdint>

#include "base/bytes.hpp"
#include "isa/assemble.hpp"
#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace skep;
    using namespace skep::isa;
    const Bytes bytes = std::as_bytes(std::span(data, size));
    Code code;
    for (size_t at = 0; at + 8 <= bytes.size() && code.size() < 512; at += 8) {
        code.push_back({*read_le<uint8_t>(bytes, at), *read_le<uint8_t>(bytes, at + 1),
                        *read_le<int16_t>(bytes, at + 2), *read_le<int32_t>(bytes, at + 4)});
    }
    for (InsnIndex at = 0; at < code.size(); ++at) {
        const auto insn = decode(code, at);
        if (!insn) {
            const Errc error = insn.error().code();
            require(error == Errc::UnknownOpcode || error == Errc::BadInstruction || error == Errc::Truncated);
            require((error == Errc::UnknownOpcode) == !is_known_opcode(code[at].opcode));
            require(insn.error().where().insn.has_value());
            continue;
        }
        const Encoded encoded = encode(*insn);
        for (unsigned i = 0; i < encoded.count; ++i) require(encoded.slots[i] == code[at + i]);
        require((reads_of(*insn) | writes_of(*insn)) < 1u << register_count);
        for (const Dialect dialect : {Dialect::Canonical, Dialect::Conformance}) {
            const auto back = assemble(disassemble(*insn, at, {}, dialect), dialect);
            require(back.ok() && std::equal(back->begin(), back->end(), encoded.slots.begin(),
                                            encoded.slots.begin() + encoded.count));
        }
    }
    for (const Dialect dialect : {Dialect::Canonical, Dialect::Conformance}) {
        const auto text = disassemble_program(code, {}, dialect);
        require(text.ok() == decode_all(code).ok());
        if (!text) continue;
        const auto back = assemble(*text, dialect);
        require(back.ok() && *back == code);
    }
    return 0;
}
