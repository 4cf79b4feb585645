// SPDX-License-Identifier: Apache-2.0
// The program as the checker executes it: every instruction decoded, every way from one to the next inside its
// function.
#pragma once

#include <vector>

#include "base/result.hpp"
#include "isa/insn.hpp"
#include "object/linked_program.hpp"

namespace skep::verifier::check {

class Structure {
  public:
    /// Errors: Rejected, naming the instruction: it is none (BadEncoding); a jump leaves its function or leads into the
    /// middle of a wide instruction; a function runs past its end; a call or function reference leads to no function's
    /// start; functions call each other in a circle; the functions do not cover the code.
    static Result<Structure> make(const object::LinkedProgram& program);

    size_t size() const { return insns_.size(); }
    /// Whether an instruction begins at the slot.
    bool starts(isa::InsnIndex at) const { return at < starts_.size() && starts_[at]; }
    /// Requires: starts(at).
    const isa::Insn& insn(isa::InsnIndex at) const { return insns_[at]; }

  private:
    std::vector<isa::Insn> insns_;  ///< by slot
    std::vector<bool> starts_;      ///< by slot
};

}  // namespace skep::verifier::check
