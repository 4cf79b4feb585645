// SPDX-License-Identifier: Apache-2.0
// The search's own question whether a state says everything that another says, and more. What it answers is checked
// later by the checker's own test.
#pragma once

#include "verifier/state/state.hpp"

namespace skep::verifier {

/// Whether every concrete state inside `special` is inside `general`, as far as the walk over their locations can tell.
bool subsumes(const State& general, const State& special);

}  // namespace skep::verifier
