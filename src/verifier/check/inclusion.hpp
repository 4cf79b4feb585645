// SPDX-License-Identifier: Apache-2.0
// Whether every run that is inside one state is inside another: the checker's own test, without any search.
//
// Claim. If Inclusion(...).holds(S, T), every concrete state inside S is inside T.
//
// Because. T is inside itself under some assignment of words to T's symbols; we give one, from any assignment a that
// puts the concrete state inside S: each symbol t of T gets the word of the form sigma(t), a form over S's symbols,
// under a. Then the points of the meaning of a state (state.hpp) hold for T one by one:
//   - registers, saved registers, whole stack cells, callbacks and ghosts that T describes: T's form f and S's form g
//   at
//     the same location satisfy sigma(f) = g as words (unify: exact forms, or a difference that is the number 0), so
//     T's form has the location's word. What T does not describe may be anything.
//   - stack bytes: each byte that T describes has, in every run of S, a value that T's description contains.
//   - each symbol's word is in its fact: number_of(S, sigma(t)) contains the word (number_of's claim), and is a subset
//     of T's fact.
//   - definitions: the words of sigma(t) and of op(sigma(x), sigma(y)) are shown equal (defined_alike).
//   - relations: upper_difference bounds the difference of the signed words (its claim) by T's constant.
//   - a base symbol's word is the address of its region, or 0 if nullable: sigma(t) is a base symbol of S whose region
//     is at least as good as T's (region_fits), or the constant 0 where T's may be null. Two base symbols of T never
//     share one of S, so what T releases or moves through one of them is not alive through another.
//   - references, the lock, the packet, frames and callbacks are the same things under sigma, and as many: no
//   obligation
//     is lost.
// sigma is not looked for: it follows from walking the locations in their fixed order; a form with one unknown symbol
// determines it. Where that does not succeed the answer is no, which is always safe.
#pragma once

#include <optional>
#include <vector>

#include "verifier/rules/subject.hpp"
#include "verifier/state/state.hpp"

namespace skep::verifier::check {

class Inclusion {
  public:
    explicit Inclusion(const Options& options) : options_(options) {}

    /// `s` may get further symbols (for stack bytes that `t` tells as one word); what it says stays the same.
    bool holds(State& s, const State& t);
    /// Why not, after `holds` gave false: static text.
    const char* why() const { return why_; }
    /// Work done so far, in comparisons of forms and facts: a hostile certificate must not get much of it for its
    /// bytes.
    uint64_t work() const { return work_; }
    /// Whether any answer so far rests on the policy that unset bytes of the stack may be read.
    bool took_unset() const { return took_unset_; }
    /// sigma of a form over `t`'s symbols, after `holds` gave true.
    std::optional<Val> image(const Val& form) const;

  private:
    enum class Unified : uint8_t { Yes, Later, No };
    struct Pair {
        Val t, s;
    };

    bool no(const char* why) {
        why_ = why;
        return false;
    }
    void pair(const Val& t, const Val& s) { pending_.push_back({t, s}); }
    bool pair_locations();
    bool pair_frame(const Frame& t, const Frame& s);
    bool take_unset();
    bool pair_cell(const Cell& t, const Cell& s);
    bool pair_resources();
    bool solve();
    Unified unify(const Pair& p, bool last);
    bool bind(Sym t, const Val& form);
    bool region_fits(Sym t, Sym s);
    bool facts_hold();
    bool defined_alike(Sym t) const;
    bool equal(const Val& x, const Val& y) const;
    bool bound(Sym t) const { return is_bound_[t]; }

    const Options& options_;
    State* s_ = nullptr;
    const State* t_ = nullptr;
    std::vector<Val> sigma_;      ///< by symbol of t
    std::vector<bool> is_bound_;  ///< by symbol of t
    std::vector<bool> is_taken_;  ///< by symbol of s: the image of a base symbol
    std::vector<Pair> pending_;
    const char* why_ = "";
    uint64_t work_ = 0;
    bool took_unset_ = false;
};

}  // namespace skep::verifier::check
