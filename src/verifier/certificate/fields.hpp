// SPDX-License-Identifier: Apache-2.0
// The certificate's format, once for both directions: every field in its order, over a Writer (encode.cpp) or a Reader
// (decode.cpp). docs/formats/certificate.md says the same in words.
//
// A state is a sequence of items (Io::item() begins one). A disjunct's items are told against those of the disjunct
// before it, so what stays the same costs nothing; the Writer and the Reader do that behind item().
//
// Io:  item()                      begins an item
//      number(x, most)             an unsigned integer of at most `most`
//      integer(x)                  a signed 64-bit one
//      word(x)                     a 64-bit word, near zero or near 2^64 in few bytes
//      choice(x, table)            an enumerator: its place in the format's own table
//      index(x, size)              an index below `size`
//      count(n)                    a number of elements that each take a byte or more
//      delta(x, near, size)        an index below `size` by its distance from `near`, which becomes it
//      flag(x), factor(x)          a bool; a factor, which is not 0
//      fail(what)                  a Reader refuses; a Writer never gets there
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <iterator>

#include "verifier/certificate/certificate.hpp"
#include "verifier/state/numbers.hpp"

namespace skep::verifier::format {

constexpr std::array<std::byte, 4> magic{std::byte{'S'}, std::byte{'K'}, std::byte{'P'}, std::byte{'C'}};
constexpr uint64_t version = 1;

/// encode_certificate with the subject's digest at hand.
std::vector<std::byte> encode(const Subject& subject, const SubjectDigest& digest, const Certificate& certificate);

// Limits of a well-formed certificate, far above what a search makes.
constexpr size_t max_symbols = 4096;
constexpr size_t max_references = 256;
constexpr size_t max_ghosts = 64;

// The format's numbers for enumerators: their places here, whatever the enumerators are in memory. Only ever appended.
constexpr RegionKind region_kinds[] = {
    RegionKind::None,   RegionKind::Context, RegionKind::Stack, RegionKind::Packet,   RegionKind::MapValue,
    RegionKind::MapKey, RegionKind::Memory,  RegionKind::Map,   RegionKind::Function, RegionKind::Object};
constexpr Phase phases[] = {Phase::Normal, Phase::CallbackHead};
constexpr FrameKind frame_kinds[] = {FrameKind::Call, FrameKind::Callback};
constexpr Byte byte_kinds[] = {Byte::Unset, Byte::Misc, Byte::Const, Byte::Part};
using isa::Operation;
// clang-format off
constexpr isa::Operation operations[] = {
    Operation::Exit,  // no definition
    Operation::Add, Operation::Sub, Operation::Mul, Operation::Div, Operation::Sdiv, Operation::Or, Operation::And,
    Operation::Lsh, Operation::Rsh, Operation::Neg, Operation::Mod, Operation::Smod, Operation::Xor, Operation::Mov,
    Operation::Movsx8, Operation::Movsx16, Operation::Movsx32, Operation::Arsh,
    Operation::Le16, Operation::Le32, Operation::Le64, Operation::Be16, Operation::Be32, Operation::Be64,
    Operation::Bswap16, Operation::Bswap32, Operation::Bswap64, Operation::AddrSpaceCast,
    // The things that wide loads name: the same symbol each time.
    Operation::LdMapFd, Operation::LdMapValue, Operation::LdBtfId, Operation::LdFunc, Operation::LdMapIdx,
    Operation::LdMapIdxValue,
};
// clang-format on

/// The Num that a base symbol has when it is made (new_region).
inline const Num& base_number(bool nullable) {
    constexpr uint64_t highest = uint64_t{0} - (uint64_t{1} << 41);
    static const Num plain = unsigned_range(uint64_t{1} << 12, highest), or_null = unsigned_range(0, highest);
    return nullable ? or_null : plain;
}

/// Symbols are told by their distance from the highest one told so far: a new one is 0.
template <typename Io, typename S>
void code_symbol(Io& io, S& sym) {
    Sym& next = io.next_symbol();
    uint64_t told = sym == next ? 0 : sym < next ? uint64_t{next} - sym : sym;
    io.number(told, max_symbols);
    if constexpr (Io::reads) sym = static_cast<Sym>(told == 0 ? next : told <= next ? next - told : told);
    if (sym >= next) next = static_cast<Sym>(sym + 1);
    if (sym >= io.symbol_count()) io.fail("symbol out of range");
}

/// Symbol or none.
template <typename Io, typename S>
void code_optional_symbol(Io& io, S& sym) {
    uint64_t some = sym != no_sym;
    io.number(some, 1);
    if (some != 0) code_symbol(io, sym);
}

template <typename Io, typename V>
void code_value(Io& io, V& v) {
    // Bits 0-1 of the head: terms. One or two terms: bit 2 = k is not 0, bit 3 = some factor is not 1; none: the rest
    // of the head is k.
    uint64_t terms = v.a.factor == 0 ? 0 : v.b.factor == 0 ? 1 : 2;
    const bool plain = v.a.factor == 1 && (v.b.factor == 0 || v.b.factor == 1);
    uint64_t head = terms | (v.k != 0 ? 4u : 0u) | (terms != 0 && !plain ? 8u : 0u);
    io.number(head, 15);
    terms = head & 3;
    if (terms == 3 || (terms == 0 && (head & 8) != 0)) io.fail("malformed form");
    if constexpr (Io::reads) {
        v = Val{};
        if (terms >= 1) v.a = {0, 1};
        if (terms == 2) v.b = {0, 1};
    }
    if (terms >= 1) code_symbol(io, v.a.sym);
    if (terms == 2) code_symbol(io, v.b.sym);
    if ((head & 8) != 0) {
        io.factor(v.a.factor);
        if (terms == 2) io.factor(v.b.factor);
    }
    if ((head & 4) != 0) io.word(v.k);
    if constexpr (Io::reads) {
        if (terms == 2 && v.a.sym >= v.b.sym) io.fail("form is not canonical");
    }
}

template <typename Io, typename N>
void code_number(Io& io, N& n, bool nullable_base) {
    enum : uint64_t { Unknown, Base, Unsigned, Signed, Bits, Explicit };
    uint64_t mode = Explicit;  // the first that says it
    const auto from_bits = [](uint64_t value, uint64_t mask) {
        Num made = Num::unknown();
        made.bits = {value, mask};
        const auto reduced = num::reduce(made);
        return reduced ? *reduced : made;
    };
    if constexpr (!Io::reads) {
        if (n == Num::unknown())
            mode = Unknown;
        else if (n == base_number(nullable_base))
            mode = Base;
        else if (n == unsigned_range(n.umin(), n.umax()))
            mode = Unsigned;
        else if (n == signed_range(smin_of(n), smax_of(n)))
            mode = Signed;
        else if (n == from_bits(n.bits.value, n.bits.mask))
            mode = Bits;
    }
    io.number(mode, Explicit);
    switch (mode) {
        case Unknown:
            if constexpr (Io::reads) n = Num::unknown();
            break;
        case Base:
            if constexpr (Io::reads) n = base_number(nullable_base);
            break;
        case Unsigned: {
            uint64_t low = n.umin(), span = n.umax() - n.umin();
            io.word(low);
            io.word(span);
            if (span > UINT64_MAX - low)
                io.fail("range wraps");
            else if constexpr (Io::reads)
                n = unsigned_range(low, low + span);
            break;
        }
        case Signed: {
            int64_t low = smin_of(n);
            auto span = static_cast<uint64_t>(smax_of(n)) - static_cast<uint64_t>(low);
            io.integer(low);
            io.word(span);
            const auto high = static_cast<int64_t>(static_cast<uint64_t>(low) + span);
            if (high < low || span > uint64_t{INT64_MAX} - static_cast<uint64_t>(low))
                io.fail("range wraps");
            else if constexpr (Io::reads)
                n = signed_range(low, high);
            break;
        }
        case Bits: {
            uint64_t value = n.bits.value, mask = n.bits.mask;
            io.word(value);
            io.word(mask);
            if ((value & mask) != 0)
                io.fail("a bit is both known and unknown");
            else if constexpr (Io::reads)
                n = from_bits(value, mask);
            break;
        }
        default: {
            uint64_t narrow_base = n.narrow.base, narrow_length = n.narrow.length;
            io.word(n.bits.value);
            io.word(n.bits.mask);
            io.word(n.wide.base);
            io.word(n.wide.length);
            io.number(narrow_base, UINT32_MAX);
            io.number(narrow_length, UINT32_MAX);
            if constexpr (Io::reads) {
                n.narrow = {static_cast<uint32_t>(narrow_base), static_cast<uint32_t>(narrow_length)};
            }
            if ((n.bits.value & n.bits.mask) != 0) io.fail("a bit is both known and unknown");
            break;
        }
    }
}

template <typename Io, typename R>
void code_region(Io& io, R& region) {
    io.choice(region.kind, region_kinds);
    uint64_t flags = uint64_t{region.nullable} | uint64_t{!region.alive} << 1 | uint64_t{!region.writable} << 2 |
                     uint64_t{region.owned} << 3 | uint64_t{region.type != 0} << 4 |
                     uint64_t{region.map != no_map} << 5 | uint64_t{region.frame != 0} << 6 |
                     uint64_t{region.size != 0} << 7 | uint64_t{region.length != no_sym} << 8 |
                     uint64_t{region.meta != no_sym} << 9 | uint64_t{region.read_only_data} << 10;
    io.number(flags, (uint64_t{1} << 11) - 1);
    if constexpr (Io::reads) {
        region.nullable = (flags & 1) != 0;
        region.alive = (flags & 2) == 0;
        region.writable = (flags & 4) == 0;
        region.owned = (flags & 8) != 0;
        region.read_only_data = (flags >> 10 & 1) != 0;
    }
    if ((flags >> 4 & 1) != 0) io.number(region.type, UINT8_MAX);
    if ((flags >> 5 & 1) != 0) {
        const size_t most =
            region.kind == RegionKind::Function ? io.subject().linked().subprograms.size() : io.subject().maps.size();
        io.index(region.map, most);
    }
    if ((flags >> 6 & 1) != 0) io.number(region.frame, max_frames - 1);
    if ((flags >> 7 & 1) != 0) io.number(region.size, UINT32_MAX);
    if ((flags >> 8 & 1) != 0) code_symbol(io, region.length);
    if ((flags >> 9 & 1) != 0) code_symbol(io, region.meta);
}

template <typename Io, typename S>
void code_fact(Io& io, S& symbol) {
    io.item();
    uint64_t parts = uint64_t{symbol.def.any()} | uint64_t{symbol.is_base()} << 1;
    io.number(parts, 3);
    if ((parts & 2) != 0) {
        code_region(io, symbol.region);
        if (!symbol.is_base()) io.fail("region of no kind");
    }
    code_number(io, symbol.num, symbol.region.nullable);
    if ((parts & 1) != 0) {
        io.choice(symbol.def.operation, operations);
        io.flag(symbol.def.is32);
        code_value(io, symbol.def.x);
        code_value(io, symbol.def.y);
        if (!symbol.def.any()) io.fail("definition by nothing");
    }
}

/// A cell that is not unset, after `gap` unset ones.
template <typename Io, typename C>
void code_cell(Io& io, C& cell, uint64_t& gap) {
    io.item();
    enum : uint64_t { Whole, AllMisc, AllConst, Mixed };
    const auto all = [&](Byte kind) { return cell.kind == std::array{kind, kind, kind, kind, kind, kind, kind, kind}; };
    uint64_t shape = cell.is_whole() ? Whole : all(Byte::Misc) ? AllMisc : all(Byte::Const) ? AllConst : Mixed;
    uint64_t head = shape | gap << 2;
    io.number(head, 3 | uint64_t{cell_count} << 2);
    gap = head >> 2;
    shape = head & 3;
    if constexpr (Io::reads) {
        if (shape == Whole) cell.set_whole({});
        if (shape == AllMisc) cell.kind.fill(Byte::Misc);
        if (shape == AllConst) cell.kind.fill(Byte::Const);
    }
    if (shape == AllConst) {
        uint64_t bytes = 0;
        for (unsigned i = 0; i < 8; ++i) bytes |= uint64_t{cell.detail[i]} << (8 * i);
        io.word(bytes);
        if constexpr (Io::reads) {
            for (unsigned i = 0; i < 8; ++i) cell.detail[i] = static_cast<uint8_t>(bytes >> (8 * i));
        }
    } else if (shape == Mixed) {
        for (unsigned i = 0; i < 8; ++i) {
            io.choice(cell.kind[i], byte_kinds);
            if (cell.kind[i] == Byte::Const) io.number(cell.detail[i], UINT8_MAX);
            if (cell.kind[i] == Byte::Part) io.number(cell.detail[i], 7);
        }
        if (cell.is_unset()) io.fail("an unset stack cell is told");
    }
    if (cell.has_part()) code_value(io, cell.val);
}

template <typename Io, typename F>
void code_frame(Io& io, F& frame) {
    io.item();
    io.index(frame.function, io.subject().linked().subprograms.size());
    io.choice(frame.kind, frame_kinds);
    uint64_t call = frame.call == no_insn ? 0 : uint64_t{frame.call} + 1;
    io.number(call, io.subject().linked().code.size());
    io.number(frame.saved_set, 15);
    code_symbol(io, frame.base);
    uint64_t cells = 0;
    if (frame.stack != nullptr) {
        for (const Cell& cell : *frame.stack) cells += !cell.is_unset();
    }
    io.number(cells, cell_count);
    if constexpr (Io::reads) frame.call = call == 0 ? no_insn : static_cast<isa::InsnIndex>(call - 1);
    for (unsigned i = 0; i < frame.saved.size(); ++i) {
        if ((frame.saved_set >> i & 1) == 0) continue;
        io.item();
        code_value(io, frame.saved[i]);
    }
    if constexpr (Io::reads) {
        if (cells == 0 || !io.ok()) return;
        auto stack = std::make_shared<Stack>();
        for (uint64_t n = 0; n < cells && io.ok(); ++n) {
            Cell cell;
            uint64_t gap = 0;
            code_cell(io, cell, gap);
            if (stack->size() + gap + 1 > cell_count) return io.fail("too many stack cells");
            stack->resize(stack->size() + static_cast<size_t>(gap));
            stack->push_back(cell);
        }
        frame.stack = std::move(stack);
    } else if (cells != 0) {
        uint64_t gap = 0;
        for (const Cell& cell : *frame.stack) {
            if (cell.is_unset()) {
                ++gap;
                continue;
            }
            code_cell(io, cell, gap);
            gap = 0;
        }
    }
}

template <typename Io, typename L>
void code_callback(Io& io, L& loop) {
    io.item();
    io.index(loop.call, io.subject().linked().code.size());
    io.index(loop.function, io.subject().linked().subprograms.size());
    uint64_t map = loop.map == no_map ? 0 : uint64_t{loop.map} + 1;
    io.number(map, io.subject().maps.size());
    code_value(io, loop.context);
    code_value(io, loop.rounds);
    if constexpr (Io::reads) {
        loop.map = map == 0 ? no_map : static_cast<uint16_t>(map - 1);
        // Which helper it is, the binding says: helpers have no numbers of their own outside a process.
        if (!io.ok()) return;
        const Binding& binding = io.subject().program->bindings[loop.call];
        if (binding.kind != BindingKind::Helper) return io.fail("a callback of no helper");
        loop.helper = binding.helper;
    }
}

/// A vector's elements, its length being in the state's outline.
template <typename Io, typename V, typename Each>
void code_all(Io& io, V& elements, uint64_t count, Each each) {
    if constexpr (Io::reads) {
        for (uint64_t i = 0; i < count && io.ok(); ++i) each(elements.emplace_back());
    } else {
        for (auto& element : elements) each(element);
    }
}

/// Everything of a disjunct but place, cut and targets.
template <typename Io, typename D>
void code_disjunct(Io& io, D& d) {
    auto& s = d.state;
    io.item();
    uint64_t symbols = s.symbols.size();
    io.number(symbols, max_symbols);
    io.begin_state(static_cast<size_t>(symbols));
    io.item();
    uint64_t set = s.set;
    io.number(set, 0x3ff);
    io.item();
    uint64_t frames = s.frames.size(), references = s.references.size(), callbacks = s.callbacks.size(),
             ghosts = s.ghosts.size(), relations = s.relations.size(), locked = s.lock.has_value();
    io.number(frames, max_frames);
    io.number(references, max_references);
    io.number(callbacks, max_frames);
    io.number(ghosts, max_ghosts);
    io.number(relations, max_relations);
    io.number(locked, 1);
    if (frames == 0) io.fail("no frame");
    if constexpr (Io::reads) s.set = static_cast<uint16_t>(set);

    for (unsigned r = 0; r < s.regs.size(); ++r) {
        if ((set >> r & 1) == 0) continue;
        io.item();
        code_value(io, s.regs[r]);
    }
    code_all(io, s.frames, frames, [&](auto& frame) { code_frame(io, frame); });
    code_all(io, s.callbacks, callbacks, [&](auto& loop) { code_callback(io, loop); });
    code_all(io, s.ghosts, ghosts, [&](auto& ghost) {
        io.item();
        io.number(ghost.cut, UINT32_MAX);
        code_value(io, ghost.measure);
    });
    io.item();
    code_optional_symbol(io, s.packet);
    if (locked != 0) {
        io.item();
        if constexpr (Io::reads) s.lock.emplace();
        code_symbol(io, s.lock->base);
        io.number(s.lock->offset, UINT32_MAX);
    }
    code_all(io, s.references, references, [&](auto& reference) {
        io.item();
        code_symbol(io, reference.base);
    });
    io.item();
    io.flag(d.measured);
    if (d.measured) code_value(io, d.measure);
    code_all(io, s.symbols, symbols, [&](auto& symbol) { code_fact(io, symbol); });
    code_all(io, s.relations, relations, [&](auto& relation) {
        io.item();
        code_symbol(io, relation.x);
        code_symbol(io, relation.y);
        io.integer(relation.c);
    });
}

template <typename Io, typename C>
void code_certificate(Io& io, C& certificate) {
    const size_t slots = io.subject().linked().code.size();
    io.number(certificate.cost.instructions, UINT64_MAX);
    io.number(certificate.cost.helper_calls, UINT64_MAX);
    io.number(certificate.cost.stack_bytes, UINT32_MAX);

    uint64_t cuts = certificate.cuts.size(), roots = certificate.roots.size(), disjuncts = certificate.disjuncts.size();
    io.count(cuts);
    io.count(roots);
    io.count(disjuncts);
    isa::InsnIndex after = 0;
    code_all(io, certificate.cuts, cuts, [&](auto& cut) {
        uint64_t step = uint64_t{cut} - after;
        io.number(step, slots);
        if constexpr (Io::reads) cut = static_cast<isa::InsnIndex>(after + step);
        if (cut >= slots) io.fail("a cut outside the program");
        after = cut + 1;
    });
    code_all(io, certificate.roots, roots, [&](auto& root) {
        io.index(root.disjunct, disjuncts);
        io.index(root.function, io.subject().linked().subprograms.size());
        uint64_t map = root.map == no_map ? 0 : uint64_t{root.map} + 1;
        io.number(map, io.subject().maps.size());
        if constexpr (Io::reads) root.map = map == 0 ? no_map : static_cast<uint16_t>(map - 1);
    });

    int64_t insn = 0, cut = 0, index = 0;
    code_all(io, certificate.disjuncts, disjuncts, [&](auto& d) {
        io.delta(d.state.at.insn, insn, slots);
        io.delta(d.cut, cut, uint64_t{UINT32_MAX});
        io.choice(d.state.at.phase, phases);
        code_disjunct(io, d);
        io.end_state(d);
        uint64_t targets = d.targets.size();
        io.count(targets);
        int64_t near = index;
        code_all(io, d.targets, targets, [&](auto& target) { io.delta(target, near, disjuncts); });
        ++index;
    });
}

}  // namespace skep::verifier::format
