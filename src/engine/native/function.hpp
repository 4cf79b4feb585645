// SPDX-License-Identifier: Apache-2.0
// What C emission must know of a function before the first line: its blocks, which stack bytes can be variables, and
// its registers taken apart into variables of one type each.
//
// A *location* is a register r0 to r9 or a stack slot that only direct accesses of one width reach; a location's
// *variable* is a class of definitions that reach common uses (a web), so that a register which is a packet pointer
// here and a counter there becomes two variables, one uint8_t* and one uint32_t.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "engine/native/emit.hpp"
#include "isa/insn.hpp"

namespace skep::engine::native {

/// Sets of locations; bit n is location n.
using LocationSet = uint64_t;
constexpr unsigned register_locations = 10;
constexpr unsigned most_locations = 64;
constexpr LocationSet location_bit(unsigned location) { return LocationSet{1} << location; }

/// What a variable may hold; bits, joined over its definitions.
enum TypeBits : uint8_t {
    type_null = 1,     ///< the constant 0
    type_int32 = 2,    ///< a number below 2^32
    type_int64 = 4,    ///< any number; an address of unknown kind
    type_packet = 8,   ///< an address in the packet
    type_stack = 16,   ///< an address in a stack frame of this run
    type_shared = 32,  ///< an address in memory that others may write: map values, globals, ring records
    type_context = 64,
};
constexpr uint8_t type_pointers = type_packet | type_stack | type_shared | type_context;

enum class CType : uint8_t { U32, U64, Pointer };

/// The C type of a variable that holds `bits`.
constexpr CType c_type(uint8_t bits) {
    if ((bits & type_pointers) != 0 && (bits & (type_int32 | type_int64)) == 0) return CType::Pointer;
    return (bits & (type_int64 | type_pointers)) == 0 ? CType::U32 : CType::U64;
}
/// Whether accesses through it may be plain: nobody else touches the memory during the run.
constexpr bool is_private(uint8_t bits) {
    return (bits & (type_packet | type_stack)) != 0 && (bits & ~(type_packet | type_stack | type_null)) == 0;
}

/// What is known of a register without variables: recomputed where it is used.
struct Known {
    enum class Kind : uint8_t { Nothing, Stack, Map, Number };
    Kind kind = Kind::Nothing;
    int64_t value = 0;  ///< Stack: offset from r10; Map: index into ModuleSource::maps; Number: itself

    bool operator==(const Known&) const = default;
};
using KnownRegisters = std::array<Known, isa::register_count>;

/// One instruction.
struct Node {
    isa::InsnIndex at = 0;
    isa::Insn insn;
    uint32_t target = UINT32_MAX;  ///< of a jump: a node; of local calls and function references: a function
    uint32_t block = 0;
    LocationSet uses = 0, defs = 0;  ///< defs of calls hold what they destroy
    LocationSet live_after = 0;
    bool pure = false;                   ///< may be left out when nothing it defines is read
    uint8_t slot = 0;                    ///< location of the stack slot it loads or stores; 0: none
    uint8_t arguments = 0;               ///< of calls: how many of r1 to r5 are read
    uint32_t first_web = 0;              ///< webs of its live definitions, ascending by location
    int32_t helper = -1;                 ///< canonical id of the helper it calls
    bool always = false, never = false;  ///< of a conditional jump: known to be taken, known not to be

    const isa::Row& row() const { return insn.row(); }
    bool is_dead() const { return pure && (defs & live_after) == 0; }
};

struct Block {
    uint32_t start = 0, end = 0;  ///< nodes
    std::vector<uint32_t> next;   ///< blocks
    bool reached = false;
    bool labelled = false;
    KnownRegisters known;  ///< on entry
    bool has_known = false;
    LocationSet live_in = 0;
    uint32_t first_web = 0;  ///< webs of live_in, ascending by location
};

struct Slot {
    int32_t offset = 0;  ///< from r10
    uint8_t bytes = 0;
};

/// A function of one program. Built by FunctionAnalysis in steps; types are settled for all functions together.
class Function {
  public:
    /// Requires: `nodes` are the program's, `first` to `last` the function's.
    Function(const ExecutableProgram& program, const ModuleSource& module, const ProgramSource& source,
             std::vector<Node>& nodes, uint32_t first, uint32_t last);

    /// First step: blocks and known registers.
    void analyse_flow();
    /// Second step, repeated while any function says that it changed: which arguments are read.
    bool analyse_entry(std::span<const Function> functions);
    /// Third step: stack slots, liveness, webs.
    void analyse_variables(std::span<const Function> functions);
    /// One round of type inference; whether anything changed. `functions`: all of the program.
    bool infer(std::span<Function> functions);

    uint32_t first = 0, last = 0;  ///< nodes
    uint32_t index = 0;
    bool is_main = false;
    bool referred = false;  ///< its address is taken
    bool used = false;      ///< reached from the entry
    std::vector<Block> blocks;
    std::vector<Slot> slots;   ///< location register_locations + i
    uint32_t frame_bytes = 0;  ///< of the frame that is left besides slots
    bool has_may_goto = false;
    bool clears_frame = true;                 ///< somebody may read bytes of the frame that the run did not write
    LocationSet entry_live = 0;               ///< locations read before they are written
    std::array<uint8_t, 6> argument_types{};  ///< r1 to r5 on entry
    uint8_t result_types = 0;

    uint32_t web_count() const { return static_cast<uint32_t>(parents_.size()); }
    uint32_t find(uint32_t web) const {
        while (parents_[web] != web) web = parents_[web];
        return web;
    }
    uint8_t types(uint32_t web) const { return types_[find(web)]; }
    /// Web that `node` defines at `location`. Requires: it is live after it.
    uint32_t defined_web(const Node& node, unsigned location) const;
    uint32_t live_in_web(const Block& block, unsigned location) const;

    /// The state that a forward walk carries.
    struct Walk {
        std::array<uint32_t, most_locations> web{};
        KnownRegisters known;
    };
    Walk enter(const Block& block) const;
    /// Takes the walk over `node`.
    void step(Walk& walk, const Node& node) const;
    /// What a register may hold before `node`, which reads it.
    uint8_t types_of(const Walk& walk, unsigned reg) const;

    const ExecutableProgram& program;
    const ModuleSource& module;
    const ProgramSource& source;

  private:
    void make_blocks();
    void follow_known();
    void choose_slots();
    void set_effects(std::span<const Function> functions);
    void find_live();
    void make_webs();
    void step_known(KnownRegisters& known, const Node& node) const;
    void unite(uint32_t a, uint32_t b);
    bool add_types(uint32_t web, uint8_t types);
    uint8_t result_types_of(const Walk& walk, const Node& node, unsigned location, std::span<Function> functions) const;
    Known map_known(uint32_t bound_index) const;

    std::vector<Node>& nodes_;
    std::vector<uint32_t> parents_;
    std::vector<uint8_t> types_;
    std::vector<uint32_t> order_;  ///< reached blocks in order of the code
};

/// Bytes that an argument of a helper call lets the helper reach from the pointer on; -1: unknown.
int64_t argument_bytes(platform::HelperId helper, unsigned argument, const KnownRegisters& known,
                       const ModuleSource& module);

/// How many of r1 to r5 a call reads.
uint8_t argument_count(int32_t helper);

}  // namespace skep::engine::native
