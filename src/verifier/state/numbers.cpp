// SPDX-License-Identifier: Apache-2.0
#include "verifier/state/numbers.hpp"

#include <utility>

namespace skep::verifier {

namespace {

namespace part = num::part;
using isa::Operation;
using num::Part;
using num::part::Shift;

Num wide_and_low(const Part<uint64_t>& wide, const Part<uint32_t>& low) {
    return num::from_parts<uint64_t>(wide, &low);
}
Num wide_only(const Part<uint64_t>& wide) { return num::from_parts<uint64_t>(wide, nullptr); }

/// `le`, `be` and `bswap` of `bits`; the machine is little-endian as the object is, so `le` only cuts.
template <typename Word>
Part<Word> reorder(const Part<Word>& x, unsigned bits, bool swap) {
    if (swap) return part::byte_swap(x, bits / 8);
    return bits >= num::bits_of<Word> ? x : part::zero_extend_bits(x, bits);
}

/// One operation at one width.
template <typename Word>
Part<Word> operate(Operation operation, const Part<Word>& x, const Part<Word>& y) {
    constexpr auto constant = [](uint64_t v) { return Part<Word>::constant(static_cast<Word>(v)); };
    switch (operation) {
        case Operation::Add: return part::add(x, y);
        case Operation::Sub: return part::sub(x, y);
        case Operation::Mul: return part::mul(x, y);
        case Operation::Div: return part::div(x, y);
        case Operation::Sdiv: return part::sdiv(x, y);
        case Operation::Mod: return part::mod(x, y);
        case Operation::Smod: return part::smod(x, y);
        case Operation::Or: return part::bit_or(x, y);
        case Operation::And: return part::bit_and(x, y);
        case Operation::Xor: return part::bit_xor(x, y);
        case Operation::Lsh: return part::shift(Shift::Left, x, y);
        case Operation::Rsh: return part::shift(Shift::Right, x, y);
        case Operation::Arsh: return part::shift(Shift::ArithmeticRight, x, y);
        case Operation::Neg: return part::sub(constant(0), x);
        case Operation::Mov: return x;
        case Operation::Movsx8: return part::sign_extend(x, 8);
        case Operation::Movsx16: return part::sign_extend(x, 16);
        case Operation::Movsx32: return part::sign_extend(x, 32);
        case Operation::Le16: return reorder(x, 16, false);
        case Operation::Le32: return reorder(x, 32, false);
        case Operation::Le64: return x;
        case Operation::Be16:
        case Operation::Bswap16: return reorder(x, 16, true);
        case Operation::Be32:
        case Operation::Bswap32: return reorder(x, 32, true);
        case Operation::Be64:
        case Operation::Bswap64: return reorder(x, 64, true);
        case Operation::AddrSpaceCast:
        case Operation::Jump:
        SKEP_CASES_CONDITIONAL_JUMPS:
        case Operation::MayGoto:
        SKEP_CASES_CALLS:
        case Operation::Exit:
        SKEP_CASES_WIDE_LOADS:
        case Operation::Load:
        case Operation::LoadSigned:
        case Operation::Store:
        case Operation::LoadPacket:
        case Operation::LoadAcquire:
        case Operation::StoreRelease:
        SKEP_CASES_ATOMICS:
            return Part<Word>::unknown();
    }
    return Part<Word>::unknown();
}

/// Whether the low half of the result depends on the low halves of the operands only.
bool low_is_local(Operation operation) {
    return operation == Operation::Add || operation == Operation::Sub || operation == Operation::Mul ||
           operation == Operation::And || operation == Operation::Or || operation == Operation::Xor ||
           operation == Operation::Neg || operation == Operation::Mov;
}

/// The byte orders are written over the whole word, whatever class their opcode is in.
bool is_byte_order(Operation operation) { return operation >= Operation::Le16 && operation <= Operation::Bswap64; }

}  // namespace

Num add_numbers(const Num& x, const Num& y) {
    return wide_and_low(part::add(wide_part(x), wide_part(y)), part::add(low_part(x), low_part(y)));
}

Num subtract_numbers(const Num& x, const Num& y) {
    return wide_and_low(part::sub(wide_part(x), wide_part(y)), part::sub(low_part(x), low_part(y)));
}

Num scale_number(const Num& x, int64_t factor) {
    if (factor == 1) return x;
    const auto word = static_cast<uint64_t>(factor);
    return wide_and_low(part::mul(wide_part(x), Part<uint64_t>::constant(word)),
                        part::mul(low_part(x), Part<uint32_t>::constant(static_cast<uint32_t>(word))));
}

Num alu_number(Operation operation, bool is32, const Num& x, const Num& y) {
    if (is_byte_order(operation)) return wide_only(operate(operation, wide_part(x), wide_part(y)));
    if (is32) return num::from_low<uint64_t>(operate(operation, low_part(x), low_part(y)));
    const Part<uint64_t> wide = operate(operation, wide_part(x), wide_part(y));
    if (!low_is_local(operation)) return wide_only(wide);
    return wide_and_low(wide, operate(operation, low_part(x), low_part(y)));
}

Num loaded_number(unsigned bytes) {
    if (bytes >= 8) return Num::unknown();
    return unsigned_range(0, (uint64_t{1} << (8 * bytes)) - 1);
}

Num signed_range(int64_t low, int64_t high) {
    Num n = Num::unknown();
    n.wide = {static_cast<uint64_t>(low), static_cast<uint64_t>(high) - static_cast<uint64_t>(low)};
    const auto reduced = num::reduce(n);
    return reduced ? *reduced : n;
}

Num unsigned_range(uint64_t low, uint64_t high) { return num::unsigned_range<uint64_t>(low, high); }

}  // namespace skep::verifier
