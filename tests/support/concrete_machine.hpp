// SPDX-License-Identifier: Apache-2.0
// A run of a program in plain words: what a verifier's claims are held against. It shares no code with the verifier and
// none with the engines: instructions by RFC 9669, memory as regions far apart in an address space of its own, so that
// an access outside every region shows as such, and helpers as adversaries that do whatever their prototype allows.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "support/diff_generator.hpp"
#include "verifier/rules/subject.hpp"
#include "verifier/state/state.hpp"

namespace skep::testing {

/// A stretch of memory, or a thing that only has an address: bytes `low` to `high` - 1 from `base`.
struct Memory {
    verifier::RegionKind kind = verifier::RegionKind::None;
    uint64_t base = 0;
    int64_t low = 0, high = 0;
    bool alive = true;
    bool writable = true;
    bool owned = false;
    uint16_t map = verifier::no_map;  ///< maps, their values and keys; functions: which one
    uint8_t type = 0;                 ///< objects
    std::vector<uint8_t> bytes;
    std::vector<bool> written;  ///< of a stack: by the run
};

/// Numbers of interest: what programs compare with, powers of two, ends of ranges, and chance.
class Interest {
  public:
    Interest(uint64_t seed, const object::LinkedProgram& program);
    uint64_t number();
    uint32_t below(uint32_t bound) { return choices_.below(bound); }
    bool chance(uint32_t one_in) { return choices_.chance(one_in); }
    uint64_t word() { return choices_.word(); }

  private:
    Choices choices_;
    std::vector<uint64_t> pool_;
};

class Machine {
  public:
    struct Frame {
        uint16_t function = 0;
        verifier::FrameKind kind = verifier::FrameKind::Call;
        isa::InsnIndex call = verifier::no_insn;
        size_t memory = 0;
        std::array<uint64_t, 4> saved{};
    };
    struct Callback {
        isa::InsnIndex call = 0;
        uint16_t function = 0;
        uint16_t map = verifier::no_map;
        uint64_t context = 0, rounds = 0, made = 0;
        bool stopped = false;
    };
    /// How an instruction went on: `other` is the jump taken, the callback entered, the tail call made.
    enum class Went : uint8_t { On, Other, Ended, Wrong };

    Machine(const verifier::Subject& subject, uint64_t seed);

    /// Executes one instruction, or a callback's head. Wrong: complaint() says what a safe program never does.
    Went step(const isa::Insn& insn);
    /// Instead of the program: the function of a timer in a value of `map`, as it is called later.
    void begin_timer(uint16_t function, uint16_t map);
    const std::string& complaint() const { return complaint_; }

    const Memory* memory_at(uint64_t base) const;
    uint64_t reg(unsigned r) const { return regs_[r]; }
    /// One past the last byte of the frame's stack: where its r10 points to.
    const uint8_t* stack_top(size_t frame) const;
    uint64_t frame_base(size_t frame) const { return memory_[frames_[frame].memory].base; }
    const std::vector<Frame>& frames() const { return frames_; }
    const std::vector<Callback>& callbacks() const { return callbacks_; }
    const Memory* packet() const { return packet_ ? &memory_[*packet_] : nullptr; }
    uint64_t context() const { return memory_[context_].base; }
    const std::set<uint64_t>& references() const { return references_; }
    std::optional<uint64_t> locked() const { return locked_; }  ///< the address of the lock that is held
    verifier::Place at;

    // Of the last step, for facts.
    std::optional<uint16_t> called_map;
    std::optional<uint32_t> called_key;
    bool divided_by_zero = false;

    uint64_t instructions = 0, helper_calls = 0;
    bool read_unwritten = false;  ///< a byte of the stack was read that the run had not written
    size_t most_frames = 1;

  private:
    size_t place(Memory memory, unsigned alignment = 8);
    size_t place_bytes(verifier::RegionKind kind, int64_t low, int64_t high, uint16_t map = verifier::no_map);
    uint8_t* access(uint64_t address, uint64_t bytes, bool write, bool helper);
    Went wrong(std::string what);
    Went call_helper(const isa::Insn& insn);
    Went head();
    Went leave();
    Went atomic(const isa::Insn& insn, const isa::Row& row);
    Went context_access(const isa::Insn& insn, const isa::Row& row);
    uint64_t new_object(platform::ContextKind kind);
    bool special_argument(unsigned reg, verifier::SpecialKind kind);
    bool argument(platform::HelperId id, const platform::HelperRow& row, unsigned i);
    void push(uint16_t function, verifier::FrameKind kind);
    void pop();
    void move_packet();
    uint64_t value_of(uint16_t map, uint32_t key);
    uint64_t map_address(uint16_t map);
    void give_element(uint16_t map, uint32_t index);
    void poison(unsigned first, unsigned last);

    const verifier::Subject& subject_;
    Interest interest_;
    std::array<uint64_t, 11> regs_{};
    std::vector<Memory> memory_;
    std::map<uint64_t, size_t> by_base_;
    std::vector<Frame> frames_;
    std::vector<Callback> callbacks_;
    std::map<std::pair<uint16_t, uint32_t>, size_t> values_;
    std::map<uint16_t, size_t> maps_, functions_;
    std::optional<size_t> packet_;
    size_t context_ = 0;
    std::set<uint64_t> references_;
    std::optional<uint64_t> locked_;  ///< address of the lock that is held
    std::string complaint_;
    // Arguments of the helper under way.
    uint16_t map_ = verifier::no_map, function_ = 0;
    uint32_t record_size_ = 0;
    std::optional<uint64_t> size_;
    std::optional<size_t> released_;
};

/// The arithmetic of RFC 9669 section 4.1, written for this purpose once more.
uint64_t plain_arithmetic(isa::Operation operation, bool is32, uint64_t x, uint64_t y);

}  // namespace skep::testing
