// SPDX-License-Identifier: Apache-2.0
// Walking over everything in a state that holds a form. One list, so that no location is forgotten anywhere.
#pragma once

#include "verifier/state/state.hpp"

namespace skep::verifier {

/// Calls `visit(const Val&)` for every form that a location holds: registers, saved registers, stack cells, callbacks,
/// ghosts. The order is fixed: it numbers the symbols.
template <typename Visit>
void each_form(const State& s, Visit visit) {
    for (unsigned r = 0; r < s.regs.size(); ++r) {
        if (s.is_set(r)) visit(s.regs[r]);
    }
    for (const Frame& frame : s.frames) {
        visit(Val::symbol(frame.base));
        for (unsigned i = 0; i < frame.saved.size(); ++i) {
            if ((frame.saved_set >> i & 1) != 0) visit(frame.saved[i]);
        }
        if (frame.stack == nullptr) continue;
        for (const Cell& cell : *frame.stack) {
            if (cell.has_part()) visit(cell.val);
        }
    }
    for (const CallbackLoop& loop : s.callbacks) visit(loop.context), visit(loop.rounds);
    for (const Ghost& ghost : s.ghosts) visit(ghost.measure);
}

/// The same for changes: `change(Val&)` returns whether it changed the form. A frame's base never changes. Stacks that
/// other states share are copied only where something changes.
template <typename Change>
void change_forms(State& s, Change change) {
    for (unsigned r = 0; r < s.regs.size(); ++r) {
        if (s.is_set(r)) change(s.regs[r]);
    }
    for (Frame& frame : s.frames) {
        for (unsigned i = 0; i < frame.saved.size(); ++i) {
            if ((frame.saved_set >> i & 1) != 0) change(frame.saved[i]);
        }
        if (frame.stack == nullptr) continue;
        for (size_t i = 0; i < frame.stack->size(); ++i) {
            const Cell& cell = (*frame.stack)[i];
            if (!cell.has_part()) continue;
            Val changed = cell.val;
            if (change(changed)) frame.own_stack()[i].val = changed;
        }
    }
    for (CallbackLoop& loop : s.callbacks) change(loop.context), change(loop.rounds);
    for (Ghost& ghost : s.ghosts) change(ghost.measure);
}

}  // namespace skep::verifier
