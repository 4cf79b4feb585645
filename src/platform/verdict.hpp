// SPDX-License-Identifier: Apache-2.0
// Verdicts: canonical names and each personality's numbers; rows in verdict.def. Mapped once, at the hook's edge.
#pragma once

#include <cstdint>
#include <span>

#include "platform/names.hpp"

namespace skep::platform {

/// Canonical verdicts, named family + verdict ("XdpDrop").
enum class Verdict : uint8_t {
#define VERDICT(family, name, text, linux_number, windows_number, by) family##name,
#include "platform/verdict.def"
#undef VERDICT
};

/// "drop"; unique within a program type. Static storage.
const char* verdict_name(Verdict verdict);

/// What one run said.
struct Outcome {
    Verdict verdict;
    uint32_t bytes = 0;  ///< SocketKeep: bytes of the packet the socket gets, at most its length; else 0

    bool operator==(const Outcome&) const = default;
};

/// The meaning of r0. Numbers that mean nothing become what the kernel makes of them: aborted for xdp, unspec for tc;
/// or what eBPF for Windows does: drop, reject, deny, refuse. `packet_bytes` bounds what a socket filter keeps.
/// Requires: context_of(type) has a value.
Outcome outcome_of(ProgramType type, Personality personality, uint64_t r0, uint32_t packet_bytes);

/// Verdicts of a program type in the table's order; empty for a type that is not modelled.
std::span<const Verdict> verdicts_of(ProgramType type);

/// Whether the packet goes on its way to this host's stack (xdp pass; tc ok, unspec, pipe, reclassify; socket keep).
bool lets_pass(Verdict verdict);

}  // namespace skep::platform
