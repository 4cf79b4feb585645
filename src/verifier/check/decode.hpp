// SPDX-License-Identifier: Apache-2.0
// The checker's own decoder, written from the fields of RFC 9669 and not from isa/insn.def: a slip in that table, which
// everything else is read off, would show here (decode_test.cpp compares the two on every encoding).
#pragma once

#include <optional>
#include <span>

#include "isa/insn.hpp"

namespace skep::verifier::check {

/// The instruction at slot `at`; nothing for what is none. Requires: at < code.size().
std::optional<isa::Insn> decode(std::span<const isa::Slot> code, isa::InsnIndex at);

}  // namespace skep::verifier::check
