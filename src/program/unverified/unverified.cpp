// SPDX-License-Identifier: Apache-2.0
// The maker of programs that nobody verified. What it checks is what keeps an engine inside the program; the rules are
// those of the kernel's check_cfg, check_subprogs and resolve_pseudo_ldimm64.
#include "program/unverified.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "isa/insn.hpp"

namespace skep {
namespace {

using isa::InsnIndex;

Error bad(InsnIndex at, std::string what, std::string why, std::string hint) {
    return Error{Errc::BadInstruction, Where{.insn = at}, std::move(what), std::move(why), std::move(hint)};
}

bool is_function_reference(const isa::Insn& insn) {
    return insn.row().form == isa::Form::CallTarget || insn.row().form == isa::Form::WideTarget;
}

/// Fills `subprograms` from the targets of calls and function references, as the kernel's add_subprog does.
void infer_subprograms(object::LinkedProgram& linked, std::span<const isa::PlacedInsn> insns) {
    std::vector<InsnIndex> starts{0};
    for (const isa::PlacedInsn& placed : insns) {
        if (is_function_reference(placed.insn)) {
            starts.push_back(static_cast<InsnIndex>(isa::target_of(placed.insn, placed.index)));
        }
    }
    std::sort(starts.begin(), starts.end());
    starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
    for (size_t i = 0; i < starts.size(); ++i) {
        const auto end = i + 1 < starts.size() ? starts[i + 1] : static_cast<InsnIndex>(linked.code.size());
        const std::string name = i == 0 ? linked.name : fmt::format("func_{}", starts[i]);
        linked.subprograms.push_back({.name = name, .start = starts[i], .end = end});
    }
}

/// The subprogram that holds `at`. Requires: they cover the code.
const object::Subprogram& subprogram_of(const object::LinkedProgram& linked, InsnIndex at) {
    const auto after = std::upper_bound(linked.subprograms.begin(), linked.subprograms.end(), at,
                                        [](InsnIndex i, const object::Subprogram& s) { return i < s.start; });
    return *std::prev(after);
}

}  // namespace

Result<ExecutableProgram> UnverifiedProgram::make(BoundProgram bound, Facts facts) {
    object::LinkedProgram& linked = bound.linked;
    const size_t slots = linked.code.size();
    if (slots == 0) {
        return bad(0, "the program is empty", "a program has at least one instruction", "end it with exit");
    }
    SKEP_ASSIGN(const std::vector<isa::PlacedInsn> insns, isa::decode_all(linked.code));

    std::vector<bool> starts(slots, false);  // slots where an instruction begins
    for (const isa::PlacedInsn& placed : insns) starts[placed.index] = true;

    for (const auto& [at, insn] : insns) {
        if (insn.row().is_jump() || is_function_reference(insn)) {
            const int64_t target = isa::target_of(insn, at);
            if (target < 0 || target >= static_cast<int64_t>(slots)) {
                return bad(at, "a jump or call leads outside the program",
                           fmt::format("its target is slot {}, the program has slots 0 to {}", target, slots - 1),
                           "distances count slots from the next instruction");
            }
            if (!starts[static_cast<size_t>(target)]) {
                return bad(at, "a jump or call leads into the middle of an instruction",
                           fmt::format("slot {} is the second half of a wide instruction", target),
                           "a wide instruction takes two slots");
            }
        }
        if (isa::writes_of(insn) & isa::register_bit(isa::frame_register)) {
            return bad(at, "the frame pointer cannot be written",
                       "r10 is read-only (RFC 9669 section 2.3), and engines keep it for themselves",
                       "copy r10 into another register first");
        }
    }

    if (linked.subprograms.empty()) infer_subprograms(linked, insns);
    InsnIndex expected = 0;
    for (const object::Subprogram& s : linked.subprograms) {
        if (s.start != expected || s.end <= s.start || s.end > slots || !starts[s.start]) {
            return bad(s.start, fmt::format("subprogram {} does not follow the one before it", s.name),
                       fmt::format("it covers slots [{}, {}), expected start {}", s.start, s.end, expected),
                       "subprograms cover the code in order, without gap");
        }
        expected = s.end;
    }
    if (expected != slots) {
        return bad(expected, "the code after the last subprogram belongs to none",
                   fmt::format("subprograms end at slot {} of {}", expected, slots),
                   "subprograms cover the code in order, without gap");
    }

    for (const auto& [at, insn] : insns) {
        const object::Subprogram& own = subprogram_of(linked, at);
        if (insn.row().is_jump()) {
            const int64_t target = isa::target_of(insn, at);
            if (target < own.start || target >= own.end) {
                return bad(at, "a jump leads into another function",
                           fmt::format("slot {} lies outside {} [{}, {})", target, own.name, own.start, own.end),
                           "only calls cross functions");
            }
        } else if (is_function_reference(insn)) {
            const auto target = static_cast<InsnIndex>(isa::target_of(insn, at));
            if (subprogram_of(linked, target).start != target) {
                return bad(at, "a call leads into the middle of a function",
                           fmt::format("slot {} is not the first of {}", target, subprogram_of(linked, target).name),
                           "call a function's first instruction");
            }
        }
        if (at + insn.slots() == own.end && !insn.row().ends_path()) {
            return bad(
                at, "a path runs off the end of a function",
                fmt::format("the last instruction of {} is {}, neither exit nor goto", own.name, insn.row().name),
                "end every path with exit");
        }
    }

    if (bound.bindings.empty()) bound.bindings.resize(slots);
    if (bound.bindings.size() != slots) {
        return Error{Errc::InvalidArgument, "the bindings do not fit the program",
                     fmt::format("{} bindings for {} slots", bound.bindings.size(), slots)};
    }
    if (!facts.empty() && facts.size() != slots) {
        return Error{Errc::InvalidArgument, "the facts do not fit the program",
                     fmt::format("{} facts for {} slots", facts.size(), slots)};
    }
    return ExecutableProgram(std::make_shared<const BoundProgram>(std::move(bound)),
                             std::make_shared<const Facts>(std::move(facts)), CostBound{}, false);
}

}  // namespace skep
