// SPDX-License-Identifier: Apache-2.0
// Numbers for the last state of the way to a failure: one for every symbol, such that all that is known there holds.
#pragma once

#include <optional>
#include <vector>

#include "verifier/state/numbers.hpp"
#include "verifier/state/state.hpp"

namespace skep::cli {

/// 64-bit splitmix.
class Random {
  public:
    uint64_t word() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    uint64_t below(uint64_t bound) { return bound == 0 ? 0 : word() % bound; }

  private:
    uint64_t state_ = 1;
};

/// One number for every symbol of the last state.
class Assignment {
  public:
    Assignment(const verifier::State& s, unsigned attempt, Random& random);

    void set(verifier::Sym sym, uint64_t value) { values_[sym] = value; }

    uint64_t of(verifier::Sym sym, unsigned depth = 0);
    uint64_t of(const verifier::Val& v, unsigned depth = 0);

    /// Whether everything that is known of the symbols holds of the numbers.
    bool consistent();

  private:
    uint64_t draw(verifier::Sym sym, const verifier::Num& n);

    const verifier::State& s_;
    const unsigned attempt_;
    Random& random_;
    std::vector<std::optional<uint64_t>> values_;
    std::vector<verifier::Sym> lengths_;
};

}  // namespace skep::cli
