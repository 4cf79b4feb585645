// SPDX-License-Identifier: Apache-2.0
// What the search keeps of its way: cuts, the states at them, and the branches that led there.
#pragma once

#include <cstdint>
#include <vector>

#include "verifier/certificate/cuts.hpp"
#include "verifier/rules/rules.hpp"

namespace skep::verifier {

constexpr uint32_t none = UINT32_MAX;

/// What is known of a candidate's movement from one visit of the head to the next.
enum class Movement : uint8_t { Unknown, Up, Down, Neither };

struct Cut {
    Place place;
    std::vector<isa::InsnIndex> calls;  ///< call string
    std::vector<isa::InsnIndex> rank;   ///< order of work: calls, then the place
    std::vector<uint32_t> nodes;
    uint32_t loop = none;            ///< index into Structure::loops
    std::vector<Movement> movement;  ///< one per candidate of the loop
    uint32_t next = none;            ///< the one before with the same hash
    bool revisited = false;          ///< reached again from its own body
    uint32_t mergers = 0;            ///< of two nodes
    uint64_t visits = 0;             ///< arrivals
    uint64_t work = 0;               ///< of these, and of the walks from here
};

struct Node {
    State state;
    uint32_t cut = 0;
    uint32_t growths = 0;    ///< joins that changed it
    uint32_t rounds = 0;     ///< of these, with arrivals from its loop's own body
    uint32_t parent = none;  ///< the node whose walk made it first
    uint32_t path = none;    ///< the way from there, in the pool
    uint32_t inside = none;  ///< the node of the same cut that took it in
    bool queued = false;
    bool exits = false;  ///< a walk from here reached the end of the program
    bool exact = false;  ///< as it was made, no join or widening lay behind it
    std::vector<uint32_t> targets;
};

/// One branch of a path, linked to the one before it.
struct Turn {
    uint32_t before = none;
    isa::InsnIndex insn = 0;
    Step::Kind kind = Step::Kind::Taken;
};

}  // namespace skep::verifier
