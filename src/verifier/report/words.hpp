// SPDX-License-Identifier: Apache-2.0
// What the verifier knows, in words. Made for messages only: nothing decides by them.
#pragma once

#include <string>

#include "verifier/rules/subject.hpp"
#include "verifier/state/state.hpp"

namespace skep::verifier {

/// "5", "20..60, a multiple of 4", "any number".
std::string number_words(const Num& num);

/// What a form is: "packet data + 14", "value of map flows, or null", "20..60". Requires: v's symbols are in s.
std::string value_words(const Subject& subject, const State& s, const Val& v);

/// What a region is: "the stack", "a value of map flows".
std::string region_words(const Subject& subject, const Region& region);

/// "r3 = packet data + 14" for every register that is set and every stack slot that holds something, a line each.
std::string state_words(const Subject& subject, const State& s);

/// The instruction in the canonical dialect, with what it refers to: "call 0x1  ; map_lookup_elem".
std::string insn_words(const Subject& subject, isa::InsnIndex at);

}  // namespace skep::verifier
