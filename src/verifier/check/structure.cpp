// SPDX-License-Identifier: Apache-2.0
#include "verifier/check/structure.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "verifier/check/decode.hpp"

namespace skep::verifier::check {

namespace {

Error bad(const object::LinkedProgram& program, isa::InsnIndex at, std::string why) {
    return Error(Errc::Rejected, Where{.function = program.name, .insn = at}, "the program is not well-formed",
                 std::move(why));
}

/// The function that begins at a slot.
std::optional<size_t> function_from(const object::LinkedProgram& program, int64_t start) {
    const auto& functions = program.subprograms;
    const auto at = std::ranges::lower_bound(functions, start, {}, [](const auto& f) { return int64_t{f.start}; });
    if (at == functions.end() || at->start != start) return {};
    return static_cast<size_t>(at - functions.begin());
}

/// No function reaches itself by calls: takes away functions that call nobody left, until none is left.
bool has_call_circle(const std::vector<std::vector<size_t>>& callees) {
    std::vector<size_t> calls(callees.size());
    std::vector<std::vector<size_t>> callers(callees.size());
    for (size_t f = 0; f < callees.size(); ++f) {
        calls[f] = callees[f].size();
        for (const size_t g : callees[f]) callers[g].push_back(f);
    }
    std::vector<size_t> done;
    for (size_t f = 0; f < calls.size(); ++f) {
        if (calls[f] == 0) done.push_back(f);
    }
    for (size_t i = 0; i < done.size(); ++i) {
        for (const size_t f : callers[done[i]]) {
            if (--calls[f] == 0) done.push_back(f);
        }
    }
    return done.size() != callees.size();
}

}  // namespace

Result<Structure> Structure::make(const object::LinkedProgram& program) {
    const isa::Code& code = program.code;
    const auto& functions = program.subprograms;
    if (code.empty() || code.size() >= UINT32_MAX || functions.empty() || functions.size() >= UINT16_MAX) {
        return bad(program, 0, "no instruction, or too many");
    }
    Structure out;
    out.insns_.resize(code.size());
    out.starts_.resize(code.size());
    isa::InsnIndex covered = 0;
    for (const object::Subprogram& f : functions) {
        if (f.start != covered || f.end <= f.start || f.end > code.size()) {
            return bad(program, f.start, "the functions do not cover the code without gap");
        }
        covered = f.end;
    }
    if (covered != code.size()) return bad(program, covered, "the functions do not cover the code without gap");

    for (isa::InsnIndex at = 0; at < code.size();) {
        const auto insn = check::decode(code, at);
        if (!insn) return bad(program, at, "not an instruction");
        out.insns_[at] = *insn;
        out.starts_[at] = true;
        at += insn->slots();
    }

    std::vector<std::vector<size_t>> callees(functions.size());
    for (size_t f = 0; f < functions.size(); ++f) {
        const auto inside = [&](int64_t at) {
            return at >= functions[f].start && at < functions[f].end && out.starts_[static_cast<size_t>(at)];
        };
        if (!inside(functions[f].start))
            return bad(program, functions[f].start, "a function begins inside an instruction");
        for (isa::InsnIndex at = functions[f].start; at < functions[f].end; ++at) {
            if (!out.starts_[at]) continue;
            const isa::Insn& insn = out.insns_[at];
            const isa::Row& row = insn.row();
            if (row.is_jump() && !inside(isa::target_of(insn, at))) {
                return bad(program, at, "the jump leaves its function, or leads into an instruction");
            }
            if (!row.ends_path() && !inside(int64_t{at} + row.slots())) {
                return bad(program, at, "control runs past the end of the function");
            }
            if (row.operation != isa::Operation::CallLocal && row.operation != isa::Operation::LdFunc) continue;
            const auto callee = function_from(program, isa::target_of(insn, at));
            if (!callee) return bad(program, at, "no function begins at the target");
            if (row.operation == isa::Operation::CallLocal) callees[f].push_back(*callee);
        }
    }
    if (has_call_circle(callees)) return bad(program, 0, "functions call each other in a circle");
    return out;
}

}  // namespace skep::verifier::check
