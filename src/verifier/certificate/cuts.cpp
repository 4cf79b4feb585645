// SPDX-License-Identifier: Apache-2.0
#include "verifier/certificate/cuts.hpp"

#include "isa/insn.hpp"

namespace skep::verifier {

std::vector<isa::InsnIndex> cut_places(const object::LinkedProgram& program) {
    const isa::Code& code = program.code;
    std::vector<uint8_t> predecessors(code.size(), 0);  // saturates at 2
    const auto arrive = [&](int64_t at, unsigned weight) {
        if (at < 0 || static_cast<size_t>(at) >= code.size()) return;
        uint8_t& count = predecessors[static_cast<size_t>(at)];
        count = static_cast<uint8_t>(count + weight >= 2 ? 2 : count + weight);
    };
    for (const object::Subprogram& function : program.subprograms) {
        arrive(function.start, 1);
        for (isa::InsnIndex at = function.start; at < function.end && at < code.size();) {
            const auto insn = isa::decode(code, at);
            if (!insn) break;
            const isa::Row& row = insn->row();
            const int64_t next = int64_t{at} + row.slots();
            if (row.is_jump()) {
                const int64_t target = isa::target_of(*insn, at);
                arrive(target, target <= at ? 2 : 1);
            }
            // An instruction after a local call is arrived at from the callee's exits.
            if (!row.ends_path()) arrive(next, row.operation == isa::Operation::CallLocal ? 2 : 1);
            at += row.slots();
        }
    }
    std::vector<isa::InsnIndex> cuts;
    unsigned branches = 0;
    for (isa::InsnIndex at = 0; at < code.size();) {
        const auto insn = isa::decode(code, at);
        if (!insn) break;
        if (predecessors[at] >= 2 || branches == most_branches) {
            cuts.push_back(at);
            branches = 0;
        }
        branches += insn->row().is_conditional();
        at += insn->slots();
    }
    return cuts;
}

}  // namespace skep::verifier
