// SPDX-License-Identifier: Apache-2.0
// One abstract state: what holds of every concrete run that is at this place. Used by the search and by the checker;
// nothing in here decides anything.
//
// Meaning. A concrete state is inside a State if there is an assignment of one 64-bit word to every symbol such that
// each symbol's word is in its `num`, equals its definition and, for a base symbol, is the address of its region (or 0
// if the region is nullable); each relation holds; and every register and stack byte that the State describes has the
// value that its form gives. What a State says nothing of may be anything.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "isa/insn.hpp"
#include "platform/names.hpp"
#include "verifier/num/num.hpp"
#include "verifier/state/value.hpp"

namespace skep::verifier {

using Num = num::Num<uint64_t>;

constexpr isa::InsnIndex no_insn = UINT32_MAX;
constexpr uint16_t no_map = 0xffff;

/// What a region of memory, or a thing that only has an address, is.
enum class RegionKind : uint8_t {
    None,      ///< not an address: the symbol is a number
    Context,   ///< the program's context; rows of platform/contexts.def
    Stack,     ///< the frame `frame`: r10 is its base, bytes -512 to -1
    Packet,    ///< packet data: bytes -meta to length-1 from `data`; both symbols
    MapValue,  ///< a value of map `map`
    MapKey,    ///< a key of map `map`, read-only
    Memory,    ///< `size` bytes: a ring-buffer record, memory a helper returned
    Map,       ///< a map itself: only to be passed to helpers
    Function,  ///< a subprogram of this program, `map` is its index
    Object,    ///< a kernel object of type `type` (platform::ObjectType): fields by table, or only to be passed
};

/// What an address points to. Lives with its base symbol.
struct Region {
    RegionKind kind = RegionKind::None;
    bool nullable = false;  ///< the base is this region's address or 0
    bool alive = true;      ///< false: released, or moved by a helper; no use is left but to compare
    bool writable = true;
    bool owned = false;           ///< must be released: an open Reference names it
    bool read_only_data = false;  ///< MapValue: the only value of a frozen map: loads give MapInfo::constant
    uint8_t type = 0;             ///< Object: what it is
    uint16_t map = no_map;        ///< MapValue, MapKey, Map: index in Subject::maps; Function: index of the subprogram
    uint16_t frame = 0;           ///< Stack: index into State::frames
    uint32_t size = 0;            ///< bytes, where they are a constant
    Sym length = no_sym;          ///< Packet: bytes from data to data_end. Object: the base it came from
    Sym meta = no_sym;            ///< Packet: bytes from data_meta to data; no_sym: none

    bool operator==(const Region&) const = default;
};

/// How a symbol came about, where that is one operation on other forms. Equal definitions are the same symbol, so that
/// a recomputed value shares the facts of the first. Operation::Exit means "none" (it defines no value).
struct Definition {
    isa::Operation operation = isa::Operation::Exit;
    bool is32 = false;  ///< the operation of the low halves, zero-extended
    Val x, y;

    bool any() const { return operation != isa::Operation::Exit; }
    bool operator==(const Definition&) const = default;
};

struct Symbol {
    Num num = Num::unknown();
    Definition def;
    Region region;
    isa::InsnIndex origin = no_insn;  ///< where it was made, for messages only
    bool lossy = false;               ///< a join or widening forgot something of it, for messages only

    bool is_base() const { return region.kind != RegionKind::None; }
};

/// x - y <= c over the integers, both taken as signed 64-bit words.
struct Relation {
    Sym x = no_sym, y = no_sym;
    int64_t c = 0;

    bool operator==(const Relation&) const = default;
};
constexpr unsigned max_relations = 24;

/// What one byte of a stack cell is.
enum class Byte : uint8_t {
    Unset,  ///< never written
    Misc,   ///< some number
    Const,  ///< the number in `detail`
    Part,   ///< byte `detail` (from the least significant) of the cell's value
};

/// Eight stack bytes.
struct Cell {
    Val val;
    std::array<Byte, 8> kind{};
    std::array<uint8_t, 8> detail{};

    /// The whole value, all bytes in place.
    bool is_whole() const {
        for (unsigned i = 0; i < 8; ++i) {
            if (kind[i] != Byte::Part || detail[i] != i) return false;
        }
        return true;
    }
    bool has_part() const {
        for (const Byte b : kind) {
            if (b == Byte::Part) return true;
        }
        return false;
    }
    bool is_unset() const {
        for (const Byte b : kind) {
            if (b != Byte::Unset) return false;
        }
        return true;
    }
    void set_whole(const Val& v) {
        val = v;
        kind.fill(Byte::Part);
        for (uint8_t i = 0; i < 8; ++i) detail[i] = i;
    }
    bool operator==(const Cell&) const = default;
};

constexpr unsigned stack_bytes = 512;
constexpr unsigned cell_count = stack_bytes / 8;
constexpr unsigned max_frames = 8;

/// One frame's memory. Cell i holds bytes r10 - 8(i+1) to r10 - 8i - 1; cells beyond the end are unset.
using Stack = std::vector<Cell>;

enum class FrameKind : uint8_t { Call, Callback };

struct Frame {
    uint16_t function = 0;  ///< index in LinkedProgram::subprograms
    FrameKind kind = FrameKind::Call;
    isa::InsnIndex call = no_insn;       ///< the call that made it; no_insn for the first
    Sym base = no_sym;                   ///< r10
    std::array<Val, 4> saved{};          ///< the caller's r6 to r9
    uint8_t saved_set = 0;               ///< bit n: saved[n] is initialised
    std::shared_ptr<const Stack> stack;  ///< shared until written; null: nothing written

    /// For changes: a copy of its own if another state shares it.
    Stack& own_stack();
};

/// Something acquired that must be released: its base symbol and where it was acquired.
struct Reference {
    Sym base = no_sym;
    isa::InsnIndex acquired = no_insn;

    bool operator==(const Reference&) const = default;
};

/// A loop's measure at the last visit of its head: every later visit must find a smaller one.
struct Ghost {
    uint32_t cut = 0;  ///< index of the cut (search and certificate count alike)
    Val measure;

    bool operator==(const Ghost&) const = default;
};

/// A helper that runs a function of the program 0..n times (bpf_loop, bpf_for_each_map_elem, ...), under way.
struct CallbackLoop {
    isa::InsnIndex call = no_insn;
    uint16_t helper = 0;    ///< platform::HelperId
    uint16_t function = 0;  ///< index of the subprogram
    uint16_t map = no_map;  ///< for_each: whose elements
    Val context;            ///< what the callback gets as its context
    Val rounds;             ///< at most so many

    bool operator==(const CallbackLoop&) const = default;
};

/// Between two instructions, or inside a helper that calls back.
enum class Phase : uint8_t {
    Normal,
    CallbackHead,  ///< at the call: before each round of State::callbacks.back()
};

struct Place {
    isa::InsnIndex insn = 0;
    Phase phase = Phase::Normal;

    bool operator==(const Place&) const = default;
};

struct SpinLock {
    Sym base = no_sym;
    uint32_t offset = 0;
    isa::InsnIndex taken = no_insn;
};

struct State {
    Place at;
    uint16_t set = 0;            ///< bit n: r<n> is initialised
    std::array<Val, 10> regs{};  ///< r0 to r9; r10 is the frame's base
    std::vector<Symbol> symbols;
    std::vector<Relation> relations;
    std::vector<Frame> frames;  ///< back(): the running one
    std::vector<Reference> references;
    std::vector<CallbackLoop> callbacks;
    std::vector<Ghost> ghosts;
    std::optional<SpinLock> lock;
    Sym packet = no_sym;  ///< base of the packet as it lies now; no_sym: not read yet
    bool lossy = false;   ///< a join or widening lies behind it, for messages only

    bool is_set(unsigned reg) const { return reg == isa::frame_register || ((set >> reg) & 1) != 0; }
    Val reg(unsigned r) const { return r == isa::frame_register ? Val::symbol(frames.back().base) : regs[r]; }
    void set_reg(unsigned r, const Val& v) {
        regs[r] = v;
        set = static_cast<uint16_t>(set | 1u << r);
    }
    void unset_reg(unsigned r) { set = static_cast<uint16_t>(set & ~(1u << r)); }

    Symbol& operator[](Sym s) { return symbols[s]; }
    const Symbol& operator[](Sym s) const { return symbols[s]; }
};

/// Adds a symbol. The caller bounds their number (compact()).
Sym new_symbol(State& s, const Num& num, isa::InsnIndex origin);
Sym new_region(State& s, const Region& region, isa::InsnIndex origin);

/// What is known of a form as a number. Claim: it contains the form's value in every concrete state inside `s`.
/// Because: it is num's arithmetic on the symbols' facts, met with nothing.
Num number_of(const State& s, const Val& v);

/// The region a form points into: exactly one base symbol, factor 1, the other term no base. Nothing for numbers and
/// for address-tainted numbers.
struct Pointer {
    Sym base = no_sym;
    Val offset;  ///< from the region's base, over numbers only
};
std::optional<Pointer> pointer_of(const State& s, const Val& v);
/// Whether any base symbol is in the form.
bool is_tainted(const State& s, const Val& v);

/// An upper bound of x - y over the integers, both read as signed words; nothing if none is known. Looks at the
/// symbols' facts, relations and definitions, a few steps deep.
std::optional<int64_t> upper_difference(const State& s, const Val& x, const Val& y);
/// Notes x - y <= c for the forms. Requires: it holds over the integers for the forms read as signed words.
void add_relation(State& s, const Val& x, const Val& y, int64_t c);

/// Meets the facts of one symbol, and what its definition and the definitions over it say then. False: no concrete
/// state is left.
bool refine_symbol(State& s, Sym sym, const Num& fact);
/// The same through a form: gives the fact of a value back to the symbol behind it, where there is one.
bool refine_value(State& s, const Val& v, const Num& fact);

/// A symbol that stands for the form's terms (k stays outside), and every location that holds these terms told in it.
/// The form in it is returned. A symbol alone stays as it is; a multiple of one symbol is named only if `scaled`.
Val name_terms(State& s, const Val& v, isa::InsnIndex at, bool scaled = false);

/// Replaces symbol `sym` by a form everywhere (a null pointer by 0). False: that contradicts what is known.
bool replace_symbol(State& s, Sym sym, const Val& by);

/// The symbol with this definition: the one that has it already, or a new one with fact `num`.
Sym defined_symbol(State& s, const Definition& def, const Num& num, isa::InsnIndex origin);

/// Renumbers the symbols in the order of the locations that use them and drops the others, with facts that only they
/// held. Forgetting is sound; equal states become equal bit for bit.
void compact(State& s);

}  // namespace skep::verifier
