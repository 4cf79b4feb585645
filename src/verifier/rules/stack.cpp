// SPDX-License-Identifier: Apache-2.0
// The stack, byte by byte: what a load gives back of what stores have put there (design 2.4).
#include <algorithm>

#include "verifier/rules/executor.hpp"

namespace skep::verifier {

namespace {

/// Byte `offset` (-512 to -1) lies in cell `cell`, at `byte` from its low end.
struct Spot {
    size_t cell;
    unsigned byte;
};
Spot spot_of(int64_t offset) {
    const auto from_top = static_cast<size_t>(-offset - 1);
    return {from_top / 8, 7 - static_cast<unsigned>(from_top % 8)};
}

const Cell& cell_at(const Frame& frame, size_t index) {
    static const Cell unset;
    return frame.stack != nullptr && index < frame.stack->size() ? (*frame.stack)[index] : unset;
}

Cell& own_cell(Frame& frame, size_t index) {
    Stack& stack = frame.own_stack();
    if (stack.size() <= index) stack.resize(index + 1);
    return stack[index];
}

}  // namespace

Val Executor::read_stack(const Target& t, unsigned bytes) {
    const Frame& frame = s.frames[t.region.frame];
    if (!t.constant) return fresh(loaded_number(bytes));
    const Spot spot = spot_of(*t.constant);
    if (spot.byte + bytes > 8) return fresh(loaded_number(bytes));
    const Cell& cell = cell_at(frame, spot.cell);
    bool constant = true, in_order = true;
    uint64_t word = 0;
    for (unsigned i = 0; i < bytes; ++i) {
        const unsigned b = spot.byte + i;
        constant = constant && cell.kind[b] == Byte::Const;
        word |= uint64_t{cell.detail[b]} << (8 * i);
        in_order = in_order && cell.kind[b] == Byte::Part && cell.detail[b] == cell.detail[spot.byte] + i;
    }
    if (constant) return Val::constant(word);
    if (!in_order) return fresh(loaded_number(bytes));
    const Val v = cell.val;
    const unsigned first = cell.detail[spot.byte];
    if (first == 0 && bytes == 8) return v;
    if (is_tainted(s, v)) return fresh(loaded_number(bytes));  // part of an address: some number
    if (first == 0) return zero_extended(v, bytes * 8);
    const Num n = number(v);
    const Num shifted = alu_number(isa::Operation::Rsh, false, n, Num::constant(8 * first));
    const Val upper =
        shifted.is_constant()
            ? Val::constant(shifted.umin())
            : Val::symbol(defined_symbol(s, {isa::Operation::Rsh, false, v, Val::constant(8 * first)}, shifted, at_));
    return zero_extended(upper, bytes * 8);
}

// Claim: after it, every byte of the frame is what the cell says in every concrete run.
// Because: a store at a known place replaces exactly its bytes; one at an unknown place turns every byte that it may
//          reach into some number, so nothing is claimed of the old or the new value.
void Executor::write_stack(const Target& t, unsigned bytes, const Val& v) {
    if (!t.constant) return scratch_stack(t, bytes, bytes);
    Frame& frame = s.frames[t.region.frame];
    const Spot spot = spot_of(*t.constant);
    if (spot.byte + bytes > 8) return scratch_stack(t, bytes, bytes);
    Cell& cell = own_cell(frame, spot.cell);
    if (bytes == 8) return cell.set_whole(v);
    // An address that loses a byte is no address any more.
    if (cell.has_part() && is_tainted(s, cell.val)) {
        for (Byte& kind : cell.kind) {
            if (kind == Byte::Part) kind = Byte::Misc;
        }
        cell.detail.fill(0);
    }
    const Num n = number(v);
    for (unsigned i = 0; i < bytes; ++i) cell.kind[spot.byte + i] = Byte::Misc, cell.detail[spot.byte + i] = 0;
    const uint64_t mask = (uint64_t{1} << (8 * bytes)) - 1;
    if (!is_tainted(s, v) && ((n.bits.mask & mask) == 0)) {
        for (unsigned i = 0; i < bytes; ++i) {
            cell.kind[spot.byte + i] = Byte::Const;
            cell.detail[spot.byte + i] = static_cast<uint8_t>(n.bits.value >> (8 * i));
        }
    } else if (!is_tainted(s, v) && (!cell.has_part() || cell.val == v)) {
        cell.val = v;
        for (unsigned i = 0; i < bytes; ++i) {
            cell.kind[spot.byte + i] = Byte::Part;
            cell.detail[spot.byte + i] = static_cast<uint8_t>(i);
        }
    }
    if (!cell.has_part()) cell.val = {};
}

void Executor::scratch_stack(const Target& t, int64_t bytes, int64_t written) {
    Frame& frame = s.frames[t.region.frame];
    const int64_t low = std::max<int64_t>(t.low, -int64_t{stack_bytes});
    const int64_t high = std::min<int64_t>(t.high + bytes, 0);
    for (int64_t offset = low; offset < high; ++offset) {
        const Spot spot = spot_of(offset);
        Cell& cell = own_cell(frame, spot.cell);
        if (cell.has_part() && is_tainted(s, cell.val)) {
            for (Byte& kind : cell.kind) {
                if (kind == Byte::Part) kind = Byte::Misc;
            }
        }
        // A byte that may or may not be written, by an access of unknown place or size: set only if it was, or by
        // policy anyway.
        const bool certain = t.constant.has_value() && offset < *t.constant + written;
        const bool unset = !certain && cell.kind[spot.byte] == Byte::Unset;
        if (!unset || subject_.options.allow_unset_stack) cell.kind[spot.byte] = Byte::Misc;
        if (unset) out_.notes.unset_stack = true;
        cell.detail[spot.byte] = 0;
        if (!cell.has_part()) cell.val = {};
    }
}

bool Executor::stack_is_set(const Target& t, int64_t bytes) const {
    const Frame& frame = s.frames[t.region.frame];
    for (int64_t offset = t.low; offset < t.high + bytes; ++offset) {
        const Spot spot = spot_of(offset);
        if (cell_at(frame, spot.cell).kind[spot.byte] == Byte::Unset) return false;
    }
    return true;
}

bool Executor::stack_is_readable(const Target& t, int64_t bytes) {
    if (stack_is_set(t, bytes)) return true;
    out_.notes.unset_stack = true;
    return may_read_unset();
}

/// Where addresses must not become visible, one on the stack is written, read and overwritten as a whole (kernel:
/// check_stack_write_fixed_off, "attempt to corrupt spilled pointer on stack"): its parts would be plain numbers.
bool Executor::keeps_addresses_whole(const Target& t, int64_t bytes, int reg, bool stores_address) {
    if (subject_.options.allow_pointer_leaks || (bytes == 8 && t.constant && *t.constant % 8 == 0)) return true;
    Target cells = t;
    cells.low = std::max<int64_t>(t.low & ~int64_t{7}, -int64_t{stack_bytes});
    cells.high = std::min<int64_t>((t.high + bytes + 7) & ~int64_t{7}, 0);
    if (!stores_address && !stack_holds_address(cells, 0)) return true;
    return fail(Rule::PointerLeak, "an address on the stack is taken apart", reg);
}

/// Whether one of the bytes belongs to an address, or to a number made of some.
bool Executor::stack_holds_address(const Target& t, int64_t bytes) const {
    const Frame& frame = s.frames[t.region.frame];
    for (int64_t offset = t.low; offset < t.high + bytes; ++offset) {
        const Spot spot = spot_of(offset);
        const Cell& cell = cell_at(frame, spot.cell);
        if (cell.kind[spot.byte] == Byte::Part && is_tainted(s, cell.val)) return true;
    }
    return false;
}

}  // namespace skep::verifier
