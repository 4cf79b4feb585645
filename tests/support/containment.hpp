// SPDX-License-Identifier: Apache-2.0
// Whether a concrete run stays inside what a certificate says of it. The run follows the walks of the certificate: it
// begins inside the root's disjunct, is inside the abstract state after every instruction, and at every cut inside the
// very disjunct that the certificate names. Facts, costs and trip counts are held against it too.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "program/executable_program.hpp"
#include "support/concrete_machine.hpp"
#include "verifier/certificate/certificate.hpp"
#include "verifier/rules/rules.hpp"

namespace skep::testing {

/// The value of each loop's measure when its head was last visited, by cut.
using Measures = std::map<uint32_t, uint64_t>;

/// The words that symbols stand for in one concrete state.
using Words = std::vector<std::optional<uint64_t>>;

/// Why the concrete state is not inside the abstract one; nothing if it is, or if the words of some symbols cannot be
/// told from the locations (`words` then lacks them, and what depends on them is not asked).
std::optional<std::string> outside(const Machine& run, const Measures& measures, const verifier::State& state,
                                   Words* words);

struct RunResult {
    std::optional<std::string> miss;
    bool unproved = false;  ///< the miss is only that the rules refuse to go on from what is claimed
    isa::InsnIndex at = 0;  ///< of the miss
    uint64_t instructions = 0, helper_calls = 0;
    size_t frames = 0;  ///< most at one time
    bool ended = false;
};

class Containment {
  public:
    /// Requires: both outlive it.
    Containment(const verifier::Subject& subject, const verifier::Certificate& certificate,
                const ExecutableProgram& program);

    /// One run on inputs of the seed, of at most `most` instructions.
    RunResult run(uint64_t seed, uint64_t most);

    const std::vector<bool>& executed() const { return executed_; }  ///< by slot, over all runs
    uint64_t compared() const { return compared_; }                  ///< states

  private:
    struct Node {
        verifier::State state;
        verifier::Flow flow = verifier::Flow::Next;
        bool taken = false;
        int on = -1, other = -1;           ///< nodes; -1: nobody gets there
        std::optional<uint32_t> disjunct;  ///< a walk's end: the disjunct that the certificate names
    };
    using Tree = std::vector<Node>;

    Tree& tree(uint32_t disjunct);
    /// What the facts say of the registers before an instruction; then of what it did. Nothing: it holds.
    std::optional<std::string> facts_before(isa::InsnIndex at, const isa::Insn& insn, const Machine& run) const;
    std::optional<std::string> facts(isa::InsnIndex at, const isa::Insn& insn, const Machine& run, bool taken) const;

    const verifier::Subject& subject_;
    const verifier::Certificate& certificate_;
    const ExecutableProgram& program_;
    verifier::Rules rules_;
    std::vector<bool> cuts_;
    std::vector<isa::Insn> insns_;
    std::vector<bool> executed_;
    std::map<uint32_t, Tree> trees_;
    uint64_t compared_ = 0;
};

}  // namespace skep::testing
