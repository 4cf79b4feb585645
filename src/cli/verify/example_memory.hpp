// SPDX-License-Identifier: Apache-2.0
// One input laid out in memory, the program run on it by the interpreter, and what that was in words.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "cli/verify/example_way.hpp"
#include "engine/interp/interp.hpp"

namespace skep::cli {

/// What a run's helpers answer, in the order of the calls.
struct Answers {
    struct Call {
        uint64_t result = 0;
        bool moves_packet = false;
        uint32_t entries = 0;  ///< an array of so many values: its key decides
        bool is_array = false;
    };
    std::vector<Call> calls;
    size_t next = 0;
    bool wrong = false;  ///< asked for what cannot be
    uint8_t* context = nullptr;
    std::vector<std::array<uint64_t, 3>> packets;  ///< data, data_end, data_meta
    size_t packet = 0;
    std::array<size_t, 3> slots{};  ///< where the context holds them; 0: nowhere

    void show_packet() const {
        for (size_t i = 0; i < 3 && packet < packets.size(); ++i) {
            if (slots[i] != 0) std::memcpy(context + slots[i], &packets[packet][i], 8);
        }
    }
};

class Attempt {
  public:
    explicit Attempt(const Way& way) : way_(way), subject_(way.subject()), failure_(way.failure()) {}

    /// Makes memory that gives these numbers to every load of the way; false if there is none.
    bool lay_out(Assignment& numbers);
    /// Whether the run does what the failure says. Requires: lay_out().
    bool interpret();
    /// What the run was given, a line each. Requires: interpret().
    std::vector<std::string> describe(Assignment& numbers);

    const std::string& told() const { return told_; }          ///< what the run did
    const std::string& unsuited() const { return unsuited_; }  ///< why no run will ever be; empty: it may

  private:
    struct Block {
        uint64_t address = 0;  ///< of byte 0 of the region
        int64_t low = 0, high = 0;
        std::vector<bool> given;          ///< bytes that the way has read
        std::vector<uint8_t> first = {};  ///< what they were when it did: the run may write them
    };

    Block& block(Assignment& numbers, verifier::Sym base);
    /// A form as the program will see it: addresses are those of the blocks.
    uint64_t seen(Assignment& numbers, const verifier::Val& v);
    bool give(Assignment& numbers, const Input& input);
    /// "byte 0 = 4f, bytes 12 to 13 = 08 00": what the way read, the rest may be anything.
    static std::string bytes_text(const Block& b);

    const Way& way_;
    const verifier::Subject& subject_;
    const verifier::Failure& failure_;
    BoundProgram bound_;
    std::map<verifier::Sym, Block> blocks_;
    std::vector<Block> globals_;
    std::vector<std::vector<uint8_t>> memory_;
    std::vector<engine::interp::Region> regions_;
    std::vector<uint8_t*> map_values_;
    std::vector<uint8_t> context_;
    std::vector<skep_helper_fn> helpers_;
    std::map<uint16_t, uint64_t> fields_;
    Answers answers_;
    std::string told_, unsuited_;
    bool fits_ = true;
};

}  // namespace skep::cli
