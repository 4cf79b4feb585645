// SPDX-License-Identifier: Apache-2.0
// The instruction set's arithmetic on number facts: num's operations, picked by isa::Operation.
#pragma once

#include "isa/insn.hpp"
#include "verifier/num/alu.hpp"
#include "verifier/num/num.hpp"

namespace skep::verifier {

using Num = num::Num<uint64_t>;

Num add_numbers(const Num& x, const Num& y);
Num subtract_numbers(const Num& x, const Num& y);
Num scale_number(const Num& x, int64_t factor);

/// The result of an arithmetic instruction. Claim: a in x, b in y => op(a, b) in the result (RFC 9669 section 4.1; of
/// the low halves, zero-extended, if is32). Because: each case is a lemma of num/alu.hpp. Requires: `operation` is an
/// arithmetic one (Row::is_alu); one operand only: y is ignored.
Num alu_number(isa::Operation operation, bool is32, const Num& x, const Num& y);

/// A number of `bytes` bytes, zero-extended: what a load gives.
Num loaded_number(unsigned bytes);

/// Bounds that fit a signed word, and the range as a fact.
Num signed_range(int64_t low, int64_t high);
Num unsigned_range(uint64_t low, uint64_t high);
inline int64_t smin_of(const Num& n) { return static_cast<int64_t>(n.smin()); }
inline int64_t smax_of(const Num& n) { return static_cast<int64_t>(n.smax()); }

}  // namespace skep::verifier
