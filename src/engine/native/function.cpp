// SPDX-License-Identifier: Apache-2.0
// Blocks, known registers, stack slots, liveness and webs; the types are infer.cpp's.
#include "engine/native/function.hpp"

#include <algorithm>

#include "skep/runtime_context.h"

namespace skep::engine::native {

namespace {

using isa::Form;
using isa::Op;
using isa::Operation;
using platform::ArgKind;
using platform::HelperId;

constexpr int64_t known_limit = 1 << 20;  ///< stack offsets beyond it are not followed

bool is_add(Operation operation) { return operation == Operation::Add || operation == Operation::Sub; }

/// Whether the node may be left out when nobody reads what it defines. Loads from private or shared memory have no
/// effect besides their result.
bool is_pure(const Node& node) {
    const isa::Row& row = node.row();
    if (row.is_alu() || row.is_wide()) return true;
    return row.form == Form::LoadMem && row.operation != Operation::LoadAcquire;
}

}  // namespace

uint8_t argument_count(int32_t helper) {
    if (helper < 0 || helper >= static_cast<int32_t>(platform::helper_count)) return 5;
    const auto& row = platform::helper(static_cast<HelperId>(helper));
    uint8_t count = 0;
    for (uint8_t i = 0; i < 5; ++i) {
        if (row.args[i] == ArgKind::Other) return 5;
        if (row.args[i] != ArgKind::None) count = static_cast<uint8_t>(i + 1);
    }
    return count;
}

int64_t argument_bytes(HelperId helper, unsigned argument, const KnownRegisters& known, const ModuleSource& module) {
    const auto& row = platform::helper(helper);
    const auto map_size = [&](bool key) -> int64_t {
        for (unsigned reg = 1; reg <= 5; ++reg) {
            if (row.args[reg - 1] != ArgKind::ConstMapPtr || known[reg].kind != Known::Kind::Map) continue;
            const MapShape& shape = module.maps[static_cast<size_t>(known[reg].value)];
            const uint32_t bytes = key ? shape.key_bytes : shape.value_bytes;
            return bytes == 0 ? -1 : int64_t{bytes};
        }
        return -1;
    };
    // Whatever is not told here reaches as far as it likes.
    const ArgKind kind = row.args[argument];
    if (kind == ArgKind::None) return 0;
    if (kind == ArgKind::MapKey) return map_size(true);
    if (kind == ArgKind::MapValue || kind == ArgKind::MapValueOut) return map_size(false);
    if (kind == ArgKind::I64Out || kind == ArgKind::U64Out) return 8;
    if (kind == ArgKind::U32InOut) return 4;
    const bool sized = kind == ArgKind::MemIn || kind == ArgKind::MemInOrNull || kind == ArgKind::MemOut ||
                       kind == ArgKind::MemOutOrNull || kind == ArgKind::MemInOut;
    if (sized && argument + 2 <= 5) {
        const Known& size = known[argument + 2];
        if (size.kind == Known::Kind::Number && size.value >= 0 && size.value <= 512) return size.value;
    }
    return -1;
}

Function::Function(const ExecutableProgram& of, const ModuleSource& in, const ProgramSource& from,
                   std::vector<Node>& nodes, uint32_t first_node, uint32_t last_node)
    : first(first_node), last(last_node), program(of), module(in), source(from), nodes_(nodes) {}

Known Function::map_known(uint32_t bound_index) const {
    if (bound_index >= source.maps.size()) return {};
    return {Known::Kind::Map, source.maps[bound_index]};
}

// ---- blocks

void Function::make_blocks() {
    std::vector<bool> leader(last - first + 1);
    leader[0] = true;
    const Facts& facts = program.facts();
    for (uint32_t i = first; i < last; ++i) {
        Node& node = nodes_[i];
        if (!node.row().is_jump()) {
            if (node.row().is_exit()) leader[i + 1 - first] = true;
            continue;
        }
        if (node.at < facts.size()) {
            node.always = facts[node.at].branch_always;
            node.never = facts[node.at].branch_never;
        }
        leader[node.target - first] = true;
        leader[i + 1 - first] = true;
    }
    for (uint32_t i = first; i < last; ++i) {
        if (leader[i - first]) {
            blocks.emplace_back();
            blocks.back().start = i;
        }
        blocks.back().end = i + 1;
        nodes_[i].block = static_cast<uint32_t>(blocks.size() - 1);
    }
    for (uint32_t b = 0; b < blocks.size(); ++b) {
        const Node& node = nodes_[blocks[b].end - 1];
        if (node.row().is_exit()) continue;
        const bool jumps = node.row().is_jump() && !node.never;
        if (!(node.row().ends_path() || node.always)) blocks[b].next.push_back(b + 1);
        if (jumps) blocks[b].next.push_back(nodes_[node.target].block);
    }
    std::vector<uint32_t> work{0};
    blocks[0].reached = true;
    while (!work.empty()) {
        Block& block = blocks[work.back()];
        work.pop_back();
        const isa::InsnIndex at = nodes_[block.start].at;
        if (at < facts.size() && !facts[at].reachable) block.next.clear();
        for (const uint32_t next : block.next) {
            if (blocks[next].reached) continue;
            blocks[next].reached = true;
            work.push_back(next);
        }
    }
    for (uint32_t b = 0; b < blocks.size(); ++b)
        if (blocks[b].reached) order_.push_back(b);
}

// ---- known registers: a forward flow in which a register only loses

void Function::step_known(KnownRegisters& known, const Node& node) const {
    const isa::Insn& insn = node.insn;
    const isa::Row& row = node.row();
    using Kind = Known::Kind;
    Known result;
    const bool wide = row.insn_class() == isa::Class::Alu64;
    if (row.operation == Operation::Mov && row.is_alu()) {
        if (row.form == Form::MovImm) {
            result = {Kind::Number, wide ? int64_t{insn.imm} : int64_t{static_cast<uint32_t>(insn.imm)}};
        } else if (wide) {
            result = known[insn.src];
        } else if (known[insn.src].kind == Kind::Number) {
            result = {Kind::Number, static_cast<int64_t>(static_cast<uint32_t>(known[insn.src].value))};
        }
    } else if (row.is_alu() && is_add(row.operation) && wide) {
        const Known left = known[insn.dst];
        const Known right = row.has_src() ? known[insn.src] : Known{Kind::Number, insn.imm};
        const auto small = [](int64_t v) { return v > -known_limit && v < known_limit; };
        const bool minus = row.operation == Operation::Sub;
        if (left.kind == Kind::Stack && right.kind == Kind::Number && small(right.value)) {
            const int64_t sum = minus ? left.value - right.value : left.value + right.value;
            if (small(sum)) result = {Kind::Stack, sum};
        } else if (!minus && left.kind == Kind::Number && right.kind == Kind::Stack && small(left.value)) {
            if (small(left.value + right.value)) result = {Kind::Stack, left.value + right.value};
        }
    } else if (row.operation == Operation::LdImm64) {
        result = {Kind::Number, static_cast<int64_t>(insn.imm64())};
    } else if (row.operation == Operation::LdMapFd) {
        result = map_known(static_cast<uint32_t>(insn.imm));
    }
    const isa::RegisterSet writes = isa::writes_of(insn);
    for (unsigned reg = 0; reg < register_locations; ++reg)
        if (writes >> reg & 1) known[reg] = {};
    if (writes != 0 && !row.is_call() && !row.is_packet_load() && !row.is_atomic()) known[insn.dst] = result;
}

void Function::follow_known() {
    KnownRegisters entry{};
    entry[isa::frame_register] = {Known::Kind::Stack, 0};
    blocks[0].known = entry;
    blocks[0].has_known = true;
    for (bool changed = true; changed;) {
        changed = false;
        for (const uint32_t b : order_) {
            if (!blocks[b].has_known) continue;
            KnownRegisters known = blocks[b].known;
            for (uint32_t i = blocks[b].start; i < blocks[b].end; ++i) step_known(known, nodes_[i]);
            for (const uint32_t next : blocks[b].next) {
                Block& to = blocks[next];
                if (!to.has_known) {
                    to.known = known;
                    to.has_known = changed = true;
                    continue;
                }
                for (unsigned reg = 0; reg < register_locations; ++reg) {
                    if (to.known[reg].kind == Known::Kind::Nothing || to.known[reg] == known[reg]) continue;
                    to.known[reg] = {};
                    changed = true;
                }
            }
        }
    }
}

// ---- what instructions read and write

void Function::set_effects(std::span<const Function> functions) {
    for (const uint32_t b : order_) {
        KnownRegisters known = blocks[b].known;
        for (uint32_t i = blocks[b].start; i < blocks[b].end; ++i) {
            Node& node = nodes_[i];
            const isa::Insn& insn = node.insn;
            const isa::Row& row = node.row();
            isa::RegisterSet reads = isa::reads_of(insn);
            if (row.form == Form::CallImm) {
                reads = static_cast<isa::RegisterSet>(((1u << node.arguments) - 1) << 1);
            } else if (row.form == Form::CallTarget) {
                reads = static_cast<isa::RegisterSet>(functions[node.target].entry_live & 0x3e);
            }
            // The base of a context access that binding resolved is the context, whatever holds it.
            const bool bound = node.at < program.bound().bindings.size() &&
                               program.bound().bindings[node.at].kind == BindingKind::Context;
            if (bound && row.form == Form::LoadMem) reads = 0;
            if (bound && row.form == Form::StoreImm) reads = 0;
            if (bound && row.form == Form::StoreSrc) reads = isa::register_bit(insn.src);
            if (node.always || node.never) reads = 0;  // nothing is compared: what it was made from is not needed
            node.uses = 0;
            for (unsigned reg = 0; reg < register_locations; ++reg) {
                if (!(reads >> reg & 1)) continue;
                const Known::Kind kind = known[reg].kind;
                if (kind == Known::Kind::Stack || kind == Known::Kind::Map) continue;  // made anew where it is read
                node.uses |= location_bit(reg);
            }
            node.defs = isa::writes_of(insn) & 0x3ffu;
            node.pure = is_pure(node);
            if (node.slot != 0) (row.form == Form::LoadMem ? node.uses : node.defs) |= location_bit(node.slot);
            if (node.slot != 0 && row.form != Form::LoadMem) node.pure = true;
            KnownRegisters after = known;
            step_known(after, node);
            // An address in the frame that is computed from one is made anew as well.
            if (row.is_alu() && after[insn.dst].kind == Known::Kind::Stack) node.uses = 0;
            known = after;
        }
    }
}

void Function::find_live() {
    for (Block& block : blocks) block.live_in = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t n = order_.size(); n-- > 0;) {
            Block& block = blocks[order_[n]];
            LocationSet live = 0;
            for (const uint32_t next : block.next) live |= blocks[next].live_in;
            for (uint32_t i = block.end; i-- > block.start;) {
                Node& node = nodes_[i];
                node.live_after = live;
                if (node.is_dead()) continue;
                live = (live & ~node.defs) | node.uses;
            }
            if (live != block.live_in) {
                block.live_in = live;
                changed = true;
            }
        }
    }
    entry_live = blocks[0].live_in;
}

// ---- stack slots

/// A slot is made of bytes that only direct accesses of one width and place reach, and whose address nobody gets.
void Function::choose_slots() {
    constexpr int frame = SKEP_FRAME_BYTES;
    enum : int8_t { untouched = -1, spoilt = -2 };
    std::array<int16_t, frame> owner;  // per byte, from r10 - 512: index into `found`, untouched, spoilt
    owner.fill(untouched);
    std::vector<Slot> found;
    int64_t lowest = 0;
    bool whole = false;
    const auto spoil = [&](int64_t from, int64_t to) {
        from = std::max<int64_t>(from, -frame);
        to = std::min<int64_t>(to, 0);
        lowest = std::min(lowest, from);
        for (int64_t at = from; at < to; ++at) {
            int16_t& byte = owner[static_cast<size_t>(at + frame)];
            if (byte >= 0) {
                const Slot slot = found[static_cast<size_t>(byte)];
                for (int i = 0; i < slot.bytes; ++i)
                    owner[static_cast<size_t>(int64_t{slot.offset} + frame + i)] = spoilt;
                lowest = std::min<int64_t>(lowest, slot.offset);
            } else {
                byte = spoilt;
            }
        }
    };
    const auto access = [&](int64_t from, unsigned bytes, bool plain) {
        if (from < -frame || from + bytes > 0) return;  // emitted as a fault
        const int16_t at = owner[static_cast<size_t>(from + frame)];
        if (plain && at >= 0 && found[static_cast<size_t>(at)].offset == from &&
            found[static_cast<size_t>(at)].bytes == bytes)
            return;
        bool fresh = plain && found.size() < INT16_MAX;
        for (unsigned i = 0; i < bytes; ++i) fresh &= owner[static_cast<size_t>(from + frame + i)] == untouched;
        if (!fresh) return spoil(from, from + bytes);
        for (unsigned i = 0; i < bytes; ++i)
            owner[static_cast<size_t>(from + frame + i)] = static_cast<int16_t>(found.size());
        found.push_back({static_cast<int32_t>(from), static_cast<uint8_t>(bytes)});
    };

    for (const uint32_t b : order_) {
        KnownRegisters known = blocks[b].known;
        for (uint32_t i = blocks[b].start; i < blocks[b].end; ++i) {
            const Node& node = nodes_[i];
            const isa::Insn& insn = node.insn;
            const isa::Row& row = node.row();
            const auto is_stack = [&](unsigned reg) { return known[reg].kind == Known::Kind::Stack; };
            KnownRegisters after = known;
            step_known(after, node);
            if (row.is_memory()) {
                const unsigned base = row.form == Form::LoadMem ? insn.src : insn.dst;
                const bool plain = row.operation == Operation::Load || row.operation == Operation::LoadSigned ||
                                   row.operation == Operation::Store;
                if (is_stack(base)) access(known[base].value + insn.offset, row.access_bytes(), plain);
                if (row.writes_memory() && row.has_src() && is_stack(insn.src)) whole = true;
                if (row.form == Form::AtomicCmpxchg && is_stack(0)) whole = true;
            } else if (row.is_alu()) {
                const bool taken = (row.form != Form::MovSrc && row.form != Form::MovImm && is_stack(insn.dst)) ||
                                   (row.has_src() && is_stack(insn.src));
                if (taken && after[insn.dst].kind != Known::Kind::Stack) whole = true;
            } else if (row.form == Form::CallImm && node.helper >= 0) {
                const auto helper = static_cast<HelperId>(node.helper);
                for (unsigned argument = 0; argument < node.arguments; ++argument) {
                    if (!is_stack(argument + 1)) continue;
                    const int64_t from = known[argument + 1].value;
                    const ArgKind kind = platform::helper(helper).args[argument];
                    const int64_t bytes = argument_bytes(helper, argument, known, module);
                    // A helper reaches from the pointer upwards; what callbacks get may go anywhere.
                    if (kind == ArgKind::CallbackContext || kind == ArgKind::Other || kind == ArgKind::Scalar)
                        whole = true;
                    spoil(from, bytes >= 0 ? from + bytes : 0);
                }
            } else if (row.is_call() || row.is_packet_load()) {
                for (unsigned reg = 1; reg <= 6; ++reg) whole |= (isa::reads_of(insn) >> reg & 1) && is_stack(reg);
            }
            known = after;
        }
        for (const uint32_t next : blocks[b].next) {
            for (unsigned reg = 0; reg < register_locations; ++reg) {
                const bool lost = known[reg].kind == Known::Kind::Stack && blocks[next].known[reg] != known[reg];
                if (lost && (blocks[next].live_in & location_bit(reg)) != 0) whole = true;
            }
        }
    }
    if (whole) spoil(-frame, 0);

    std::vector<uint8_t> location(found.size());
    for (size_t n = 0; n < found.size(); ++n) {
        if (owner[static_cast<size_t>(int64_t{found[n].offset} + frame)] != static_cast<int16_t>(n)) continue;
        if (register_locations + slots.size() == most_locations) {
            lowest = std::min<int64_t>(lowest, found[n].offset);
            continue;
        }
        location[n] = static_cast<uint8_t>(register_locations + slots.size());
        slots.push_back(found[n]);
    }
    frame_bytes = static_cast<uint32_t>((-lowest + 7) & ~int64_t{7});

    for (const uint32_t b : order_) {
        KnownRegisters known = blocks[b].known;
        for (uint32_t i = blocks[b].start; i < blocks[b].end; ++i) {
            Node& node = nodes_[i];
            const unsigned base = node.row().form == Form::LoadMem ? node.insn.src : node.insn.dst;
            if (node.row().is_memory() && known[base].kind == Known::Kind::Stack) {
                const int64_t from = known[base].value + node.insn.offset;
                if (from >= -frame && from < 0) {
                    const int16_t n = owner[static_cast<size_t>(from + frame)];
                    if (n >= 0) node.slot = location[static_cast<size_t>(n)];
                }
            }
            step_known(known, node);
        }
    }
}

// ---- webs

uint32_t Function::defined_web(const Node& node, unsigned location) const {
    const LocationSet below = node.defs & node.live_after & (location_bit(location) - 1);
    return find(node.first_web + static_cast<uint32_t>(std::popcount(below)));
}

uint32_t Function::live_in_web(const Block& block, unsigned location) const {
    const LocationSet below = block.live_in & (location_bit(location) - 1);
    return find(block.first_web + static_cast<uint32_t>(std::popcount(below)));
}

void Function::unite(uint32_t a, uint32_t b) {
    a = find(a);
    b = find(b);
    if (a != b) parents_[std::max(a, b)] = std::min(a, b);  // the root is the first one: names follow the code
}

Function::Walk Function::enter(const Block& block) const {
    Walk walk;
    walk.known = block.known;
    walk.web.fill(UINT32_MAX);
    for (LocationSet left = block.live_in; left != 0; left &= left - 1) {
        const auto location = static_cast<unsigned>(std::countr_zero(left));
        walk.web[location] = live_in_web(block, location);
    }
    return walk;
}

void Function::step(Walk& walk, const Node& node) const {
    for (LocationSet left = node.defs & node.live_after; left != 0; left &= left - 1) {
        const auto location = static_cast<unsigned>(std::countr_zero(left));
        walk.web[location] = defined_web(node, location);
    }
    step_known(walk.known, node);
}

void Function::make_webs() {
    uint32_t count = 0;
    for (const uint32_t b : order_) {
        Block& block = blocks[b];
        block.first_web = count;
        count += static_cast<uint32_t>(std::popcount(block.live_in));
        for (uint32_t i = block.start; i < block.end; ++i) {
            nodes_[i].first_web = count;
            count += static_cast<uint32_t>(std::popcount(nodes_[i].defs & nodes_[i].live_after));
        }
    }
    parents_.resize(count);
    types_.assign(count, 0);
    for (uint32_t i = 0; i < count; ++i) parents_[i] = i;
    for (const uint32_t b : order_) {
        Walk walk = enter(blocks[b]);
        for (uint32_t i = blocks[b].start; i < blocks[b].end; ++i) {
            const Node& node = nodes_[i];
            // An atomic operation that gives the value before reads and writes its register: any webs will do.
            step(walk, node);
        }
        for (const uint32_t next : blocks[b].next) {
            for (LocationSet left = blocks[next].live_in; left != 0; left &= left - 1) {
                const auto location = static_cast<unsigned>(std::countr_zero(left));
                if (walk.web[location] != UINT32_MAX) unite(walk.web[location], live_in_web(blocks[next], location));
            }
        }
    }
    for (uint32_t i = 0; i < count; ++i) parents_[i] = find(i);
}

// ---- steps

void Function::analyse_flow() {
    make_blocks();
    follow_known();
    for (uint32_t i = first; i < last; ++i) has_may_goto |= nodes_[i].row().operation == Operation::MayGoto;
}

bool Function::analyse_entry(std::span<const Function> functions) {
    const LocationSet before = entry_live;
    set_effects(functions);
    find_live();
    return entry_live != before;
}

void Function::analyse_variables(std::span<const Function> functions) {
    clears_frame = program.clears_frames();
    const LocationSet signature = entry_live;
    choose_slots();
    set_effects(functions);
    find_live();
    make_webs();
    // Arguments stay as callers pass them, even if slots made one superfluous.
    entry_live = (signature & 0x3fe) | (entry_live & ~LocationSet{0x3fe});
}

}  // namespace skep::engine::native
