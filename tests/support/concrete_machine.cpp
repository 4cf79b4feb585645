// SPDX-License-Identifier: Apache-2.0
#include "support/concrete_machine.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "platform/context.hpp"
#include "platform/program_type.hpp"

namespace skep::testing {

using isa::Form;
using isa::Operation;
using platform::ArgKind;
using platform::HelperId;
using platform::ResultKind;
using verifier::FrameKind;
using verifier::Phase;
using verifier::RegionKind;

namespace {

constexpr int64_t stack_bytes = 512;
constexpr int64_t context_bytes = 512;

uint64_t reversed(uint64_t x, unsigned bytes) {
    uint64_t out = 0;
    for (unsigned i = 0; i < bytes; ++i) out |= (x >> (8 * i) & 0xff) << (8 * (bytes - 1 - i));
    return out;
}
uint64_t cut(uint64_t x, unsigned bytes) { return bytes >= 8 ? x : x & ((uint64_t{1} << (8 * bytes)) - 1); }
uint64_t sign_extended(uint64_t x, unsigned bits) {
    const uint64_t sign = uint64_t{1} << (bits - 1);
    x = bits == 64 ? x : x & ((uint64_t{1} << bits) - 1);
    return (x ^ sign) - sign;
}
uint64_t read_bytes(const uint8_t* at, unsigned bytes) {
    uint64_t x = 0;
    for (unsigned i = 0; i < bytes; ++i) x |= uint64_t{at[i]} << (8 * i);
    return x;
}
void write_bytes(uint8_t* at, unsigned bytes, uint64_t x) {
    for (unsigned i = 0; i < bytes; ++i) at[i] = static_cast<uint8_t>(x >> (8 * i));
}

bool holds(Operation op, bool is32, uint64_t x, uint64_t y) {
    if (is32) x &= 0xffffffff, y &= 0xffffffff;
    const auto sx = static_cast<int64_t>(is32 ? sign_extended(x, 32) : x);
    const auto sy = static_cast<int64_t>(is32 ? sign_extended(y, 32) : y);
    if (op == Operation::JumpEq) return x == y;
    if (op == Operation::JumpNe) return x != y;
    if (op == Operation::JumpGt) return x > y;
    if (op == Operation::JumpGe) return x >= y;
    if (op == Operation::JumpLt) return x < y;
    if (op == Operation::JumpLe) return x <= y;
    if (op == Operation::JumpSet) return (x & y) != 0;
    if (op == Operation::JumpSgt) return sx > sy;
    if (op == Operation::JumpSge) return sx >= sy;
    if (op == Operation::JumpSlt) return sx < sy;
    return sx <= sy;  // JumpSle
}

}  // namespace

uint64_t plain_arithmetic(Operation op, bool is32, uint64_t x, uint64_t y) {
    const unsigned bits = is32 ? 32 : 64;
    const uint64_t all = is32 ? 0xffffffff : ~uint64_t{0};
    const uint64_t full = y;
    x &= all, y &= all;
    const auto sx = static_cast<int64_t>(sign_extended(x, bits)), sy = static_cast<int64_t>(sign_extended(y, bits));
    const unsigned count = static_cast<unsigned>(y & (bits - 1));
    uint64_t r = 0;
    switch (op) {
        case Operation::Add: r = x + y; break;
        case Operation::Sub: r = x - y; break;
        case Operation::Mul: r = x * y; break;
        case Operation::Div: r = y == 0 ? 0 : x / y; break;
        case Operation::Mod: r = y == 0 ? x : x % y; break;
        case Operation::Sdiv: r = y == 0 ? 0 : sy == -1 ? 0 - x : static_cast<uint64_t>(sx / sy); break;
        case Operation::Smod: r = y == 0 ? x : sy == -1 ? 0 : static_cast<uint64_t>(sx % sy); break;
        case Operation::Or: r = x | y; break;
        case Operation::And: r = x & y; break;
        case Operation::Xor: r = x ^ y; break;
        case Operation::Lsh: r = x << count; break;
        case Operation::Rsh: r = x >> count; break;
        case Operation::Arsh: r = static_cast<uint64_t>(sx >> count); break;
        case Operation::Neg: r = 0 - x; break;
        case Operation::Mov: r = y; break;
        case Operation::Movsx8: r = sign_extended(y, 8); break;
        case Operation::Movsx16: r = sign_extended(y, 16); break;
        case Operation::Movsx32: r = sign_extended(y, 32); break;
        // The hosts are little-endian; these ignore the width of the class (x is the whole word).
        case Operation::Le16: return cut(full, 2);
        case Operation::Le32: return cut(full, 4);
        case Operation::Le64: return full;
        case Operation::Be16:
        case Operation::Bswap16: return reversed(full, 2);
        case Operation::Be32:
        case Operation::Bswap32: return reversed(full, 4);
        case Operation::Be64:
        case Operation::Bswap64:
            return reversed(full, 8);
            // clang-format off
        case Operation::AddrSpaceCast: case Operation::Jump: SKEP_CASES_CONDITIONAL_JUMPS: case Operation::MayGoto:
        SKEP_CASES_CALLS: case Operation::Exit: SKEP_CASES_WIDE_LOADS: case Operation::Load: case Operation::LoadSigned:
        case Operation::Store: case Operation::LoadPacket: case Operation::LoadAcquire: case Operation::StoreRelease:
        SKEP_CASES_ATOMICS: break;
            // clang-format on
    }
    return r & all;
}

Interest::Interest(uint64_t seed, const object::LinkedProgram& program) : choices_(seed) {
    pool_ = {0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 65535, 65536};
    for (const uint64_t edge : {uint64_t{1} << 31, uint64_t{1} << 32, uint64_t{1} << 63}) {
        for (uint64_t near = 0; near < 3; ++near) pool_.push_back(edge + near - 1);
    }
    for (uint64_t small = 1; small < 9; small *= 2) pool_.push_back(0 - small);
    for (const isa::Slot& slot : program.code) {
        const auto imm = static_cast<uint64_t>(int64_t{slot.imm});
        for (uint64_t near = 0; near < 3; ++near) pool_.push_back(imm + near - 1);
    }
}

uint64_t Interest::number() {
    const uint32_t what = below(10);
    if (what < 4) return pool_[below(static_cast<uint32_t>(pool_.size()))];
    if (what < 6) return word() >> below(64);
    if (what < 7) return cut(pool_[below(static_cast<uint32_t>(pool_.size()))], 4) | word() << 32;
    if (what < 8) return below(64);
    return word();
}

Machine::Machine(const verifier::Subject& subject, uint64_t seed)
    : subject_(subject), interest_(seed, subject.linked()) {
    for (uint64_t& r : regs_) r = interest_.number();
    context_ = place_bytes(RegionKind::Context, 0, context_bytes);
    frames_.push_back({});
    frames_[0].memory = place_bytes(RegionKind::Stack, -stack_bytes, 0);
    regs_[10] = memory_[frames_[0].memory].base;
    regs_[1] = memory_[context_].base;
    move_packet();
}

size_t Machine::place(Memory memory, unsigned alignment) {
    // Far apart (2^43), far from both ends, in no order; the low bits are any that the alignment leaves.
    for (;;) {
        const uint64_t slot = 1 + interest_.below(uint32_t{1} << 19);
        memory.base = (slot << 43) + (interest_.word() & 0xffffffff & ~uint64_t{alignment - 1});
        const auto near = by_base_.lower_bound(memory.base - (uint64_t{1} << 42));
        if (near == by_base_.end() || near->first > memory.base + (uint64_t{1} << 42)) break;
    }
    by_base_[memory.base] = memory_.size();
    memory_.push_back(std::move(memory));
    return memory_.size() - 1;
}

size_t Machine::place_bytes(RegionKind kind, int64_t low, int64_t high, uint16_t map) {
    Memory memory;
    memory.kind = kind, memory.low = low, memory.high = high, memory.map = map;
    memory.bytes.resize(static_cast<size_t>(high - low));
    for (size_t i = 0; i < memory.bytes.size(); i += 8) {
        const uint64_t x = interest_.number();
        for (size_t j = i; j < std::min(i + 8, memory.bytes.size()); ++j)
            memory.bytes[j] = static_cast<uint8_t>(x >> (8 * (j - i)));
    }
    if (kind == RegionKind::Stack) memory.written.resize(memory.bytes.size());
    // Packets begin at any byte.
    return place(std::move(memory), kind == RegionKind::Packet ? 1 : 8);
}

const Memory* Machine::memory_at(uint64_t base) const {
    const auto found = by_base_.find(base);
    return found == by_base_.end() ? nullptr : &memory_[found->second];
}

const uint8_t* Machine::stack_top(size_t frame) const {
    return memory_[frames_[frame].memory].bytes.data() + stack_bytes;
}

void Machine::begin_timer(uint16_t function, uint16_t map) {
    frames_[0].function = function;
    at = {subject_.linked().subprograms[function].start, Phase::Normal};
    poison(0, 9);
    give_element(map, 0);
}

Machine::Went Machine::wrong(std::string what) {
    complaint_ = std::move(what);
    return Went::Wrong;
}

uint8_t* Machine::access(uint64_t address, uint64_t bytes, bool write, bool helper) {
    auto near = by_base_.lower_bound(address - (uint64_t{1} << 42));
    const auto refuse = [&](const std::string& why) -> uint8_t* {
        complaint_ = fmt::format("{} {} bytes at {:#x}: {}", write ? "writes" : "reads", bytes, address, why);
        return nullptr;
    };
    if (near == by_base_.end()) return refuse("nothing is there");
    Memory& m = memory_[near->second];
    const auto offset = static_cast<int64_t>(address - m.base);
    if (offset < m.low || offset > m.high || static_cast<uint64_t>(m.high - offset) < bytes)
        return refuse(fmt::format("offset {} of a region (kind {}) of bytes {} to {}", offset, static_cast<int>(m.kind),
                                  m.low, m.high));
    if (!m.alive) return refuse("the region is gone");
    if (write && !m.writable) return refuse("the region is read-only");
    if (m.kind == RegionKind::MapValue && m.map < subject_.maps.size()) {
        for (const verifier::SpecialField& field : subject_.maps[m.map].special) {
            if (offset < int64_t{field.offset} + field.size && offset + static_cast<int64_t>(bytes) > field.offset)
                return refuse(fmt::format("the {} at {} of the value", field.type, field.offset));
        }
    }
    if (m.kind == RegionKind::Context && !helper) return refuse("the context, by an instruction that is not bound so");
    if (m.bytes.empty() && bytes != 0) return refuse("no memory");
    for (uint64_t i = 0; !m.written.empty() && i < bytes; ++i) {
        const auto at_byte = static_cast<size_t>(offset - m.low) + i;
        if (!write) read_unwritten = read_unwritten || !m.written[at_byte];
        if (write && !helper) m.written[at_byte] = true;  // a helper that fails may write nothing
    }
    static uint8_t none[1];
    return m.bytes.empty() ? none : m.bytes.data() + (offset - m.low);
}

void Machine::poison(unsigned first, unsigned last) {
    for (unsigned r = first; r <= last; ++r) regs_[r] = interest_.number();
}

void Machine::move_packet() {
    if (packet_) memory_[*packet_].alive = false;
    const int64_t length = interest_.chance(4) ? interest_.below(2000) : interest_.below(80);
    const auto type = subject_.program->type;
    const bool meta = type == platform::ProgramType::Xdp || type == platform::ProgramType::SchedCls;
    packet_ =
        place_bytes(RegionKind::Packet, meta && interest_.chance(2) ? -4 * int64_t{interest_.below(8)} : 0, length);
    memory_[*packet_].writable = platform::packet_access(type) == platform::PacketAccess::ReadWrite;
}

uint64_t Machine::map_address(uint16_t map) {
    const auto found = maps_.find(map);
    if (found != maps_.end()) return memory_[found->second].base;
    const size_t index = place_bytes(RegionKind::Map, 0, 0, map);
    maps_[map] = index;
    return memory_[index].base;
}

uint64_t Machine::value_of(uint16_t map, uint32_t key) {
    const auto found = values_.find({map, key});
    if (found != values_.end()) return memory_[found->second].base;
    const verifier::MapInfo& info = subject_.maps[map];
    const size_t index = place_bytes(RegionKind::MapValue, 0, info.value_size, map);
    Memory& m = memory_[index];
    m.writable = !info.read_only && (info.flags & 1u << 7) == 0;
    if (!info.constant.empty()) std::memcpy(m.bytes.data(), info.constant.data(), info.constant.size());
    values_[{map, key}] = index;
    return m.base;
}

void Machine::push(uint16_t function, FrameKind kind) {
    Frame frame;
    frame.function = function, frame.kind = kind, frame.call = at.insn;
    for (unsigned i = 0; i < 4; ++i) frame.saved[i] = regs_[6 + i];
    frame.memory = place_bytes(RegionKind::Stack, -stack_bytes, 0);
    frames_.push_back(frame);
    most_frames = std::max(most_frames, frames_.size());
    poison(6, 9);
    regs_[0] = interest_.number();
    regs_[10] = memory_[frame.memory].base;
    at = {subject_.linked().subprograms[function].start, Phase::Normal};
}

void Machine::pop() {
    memory_[frames_.back().memory].alive = false;
    for (unsigned i = 0; i < 4; ++i) regs_[6 + i] = frames_.back().saved[i];
    frames_.pop_back();
    poison(1, 5);
    regs_[10] = memory_[frames_.back().memory].base;
}

Machine::Went Machine::leave() {
    if (frames_.size() == 1) {
        if (!references_.empty()) return wrong("the program ends with something acquired and not released");
        if (locked_) return wrong("the program ends with a lock held");
        const auto range =
            platform::result_range(subject_.program->type, subject_.program->attach, subject_.program->personality);
        const auto r0 = static_cast<int64_t>(regs_[0]);
        if (frames_.front().function != 0) {  // a timer's function
            return r0 == 0 ? Went::Ended : wrong(fmt::format("the timer's function returns {}", r0));
        }
        if (!range.any && (r0 < range.min || r0 > range.max)) return wrong(fmt::format("the program returns {}", r0));
        return Went::Ended;
    }
    const Frame frame = frames_.back();
    const uint64_t result = regs_[0];
    pop();
    if (frame.kind == FrameKind::Call) {
        regs_[0] = result;
        at = {frame.call + 1, Phase::Normal};
        return Went::On;
    }
    if (result > 1) return wrong(fmt::format("a callback returns {}", result));
    regs_[0] = interest_.number();
    callbacks_.back().stopped = result == 1;
    at = {frame.call, Phase::CallbackHead};
    return Went::On;
}

Machine::Went Machine::head() {
    Callback& loop = callbacks_.back();
    if (loop.stopped || loop.made == loop.rounds) {
        at = {loop.call + 1, Phase::Normal};
        callbacks_.pop_back();
        poison(0, 5);
        return Went::On;
    }
    const uint64_t round = loop.made++;
    const Callback now = loop;
    push(now.function, FrameKind::Callback);
    poison(1, 5);
    if (now.map == verifier::no_map) {
        regs_[1] = round, regs_[2] = now.context;
    } else {
        give_element(now.map, static_cast<uint32_t>(round));
        regs_[4] = now.context;
    }
    return Went::Other;
}

void Machine::give_element(uint16_t map, uint32_t index) {
    regs_[1] = map_address(map);
    const size_t key = place_bytes(RegionKind::MapKey, 0, subject_.maps[map].key_size, map);
    memory_[key].writable = false;
    regs_[2] = memory_[key].base;
    regs_[3] = value_of(map, index);
}

uint64_t Machine::new_object(platform::ContextKind kind) {
    const auto bytes = platform::context_bytes(kind, platform::Personality::Linux);
    const size_t index = place_bytes(RegionKind::Object, 0, bytes);
    memory_[index].type = static_cast<uint8_t>(kind);
    memory_[index].writable = kind == platform::ContextKind::FlowKeys;
    return memory_[index].base;
}

Machine::Went Machine::context_access(const isa::Insn& insn, const isa::Row& row) {
    const ContextAccess& bound = subject_.program->bindings[at.insn].context;
    const bool load = row.form == Form::LoadMem;
    const uint64_t address = regs_[load ? insn.src : insn.dst] + static_cast<uint64_t>(int64_t{insn.offset});
    const uint64_t offset = address - context();
    const auto kind = platform::context_of(subject_.program->type);
    const platform::FieldRow* field =
        !kind || offset > UINT16_MAX
            ? nullptr
            : platform::find_context_field(*kind, subject_.program->personality, static_cast<uint32_t>(offset),
                                           subject_.program->type, subject_.program->attach);
    if (field == nullptr || static_cast<uint16_t>(field->id) != bound.field)
        return wrong("a context access reaches another field than it is bound to");
    uint8_t* bytes = memory_[context_].bytes.data() + offset;
    const unsigned width = row.access_bytes();
    if (!load) {
        write_bytes(bytes, width, row.has_src() ? regs_[insn.src] : static_cast<uint64_t>(int64_t{insn.imm}));
        return Went::On;
    }
    uint64_t x = read_bytes(bytes, width);
    if (interest_.chance(2)) x = cut(interest_.number(), width);
    const bool null = interest_.chance(3);
    switch (field->kind) {
        case platform::FieldKind::Scalar: break;
        case platform::FieldKind::Packet: x = packet()->base; break;
        case platform::FieldKind::PacketEnd: x = packet()->base + static_cast<uint64_t>(packet()->high); break;
        case platform::FieldKind::PacketMeta: x = packet()->base + static_cast<uint64_t>(packet()->low); break;
        case platform::FieldKind::Socket: x = new_object(platform::ContextKind::Socket); break;
        case platform::FieldKind::SocketOrNull: x = null ? 0 : new_object(platform::ContextKind::Socket); break;
        case platform::FieldKind::SockCommonOrNull: x = null ? 0 : new_object(platform::ContextKind::SockCommon); break;
        case platform::FieldKind::FlowKeys: x = new_object(platform::ContextKind::FlowKeys); break;
        case platform::FieldKind::TracepointBuffer: return wrong("a field that this machine does not know");
    }
    regs_[insn.dst] = row.operation == Operation::LoadSigned ? sign_extended(x, 8 * width) : x;
    return Went::On;
}

Machine::Went Machine::atomic(const isa::Insn& insn, const isa::Row& row) {
    const uint64_t address = regs_[insn.dst] + static_cast<uint64_t>(int64_t{insn.offset});
    const unsigned width = row.access_bytes();
    if ((address & (width - 1)) != 0) return wrong("an atomic access that is not aligned");
    if (access(address, width, false, false) == nullptr) return Went::Wrong;
    uint8_t* bytes = access(address, width, true, false);
    if (bytes == nullptr) return Went::Wrong;
    const uint64_t before = read_bytes(bytes, width), operand = cut(regs_[insn.src], width);
    uint64_t after = before;
    switch (row.operation) {
        case Operation::AtomicAdd:
        case Operation::AtomicFetchAdd: after = before + operand; break;
        case Operation::AtomicOr:
        case Operation::AtomicFetchOr: after = before | operand; break;
        case Operation::AtomicAnd:
        case Operation::AtomicFetchAnd: after = before & operand; break;
        case Operation::AtomicXor:
        case Operation::AtomicFetchXor: after = before ^ operand; break;
        case Operation::AtomicXchg: after = operand; break;
        default: after = before == cut(regs_[0], width) ? operand : before; break;
    }
    write_bytes(bytes, width, after);
    if (row.form == Form::AtomicFetch) regs_[insn.src] = before;
    if (row.form == Form::AtomicCmpxchg) regs_[0] = before;
    return Went::On;
}

Machine::Went Machine::step(const isa::Insn& insn) {
    called_map.reset(), called_key.reset(), divided_by_zero = false;
    if (at.phase == Phase::CallbackHead) return head();
    ++instructions;
    const isa::Row& row = insn.row();
    const isa::InsnIndex here = at.insn;
    const auto next = [&](Went went = Went::On) {
        if (went == Went::On) at = {here + insn.slots(), Phase::Normal};
        return went;
    };
    const bool is32 = row.width_bits() == 32;
    const auto imm = static_cast<uint64_t>(int64_t{insn.imm});
    if (row.is_alu()) {
        const bool order = row.form == Form::Dst && row.operation != Operation::Neg;
        const uint64_t y = order ? regs_[insn.dst] : row.has_src() ? regs_[insn.src] : imm;
        const Operation op = row.operation;
        if (op == Operation::Div || op == Operation::Mod || op == Operation::Sdiv || op == Operation::Smod)
            divided_by_zero = (is32 ? y & 0xffffffff : y) == 0;
        regs_[insn.dst] = plain_arithmetic(op, is32, regs_[insn.dst], y);
        return next();
    }
    const Binding& binding = subject_.program->bindings[here];
    if (binding.kind == BindingKind::Problem) return wrong("an instruction without a meaning is executed");
    if (row.is_memory() && binding.kind == BindingKind::Context) return next(context_access(insn, row));
    if (row.is_atomic()) return next(atomic(insn, row));
    if (row.form == Form::LoadMem || row.form == Form::StoreSrc || row.form == Form::StoreImm) {
        const bool load = row.form == Form::LoadMem;
        const unsigned width = row.access_bytes();
        const uint64_t address = regs_[load ? insn.src : insn.dst] + static_cast<uint64_t>(int64_t{insn.offset});
        uint8_t* bytes = access(address, width, !load, false);
        if (bytes == nullptr) return Went::Wrong;
        if (load) {
            const uint64_t x = read_bytes(bytes, width);
            regs_[insn.dst] = row.operation == Operation::LoadSigned ? sign_extended(x, 8 * width) : x;
        } else {
            write_bytes(bytes, width, row.has_src() ? regs_[insn.src] : imm);
        }
        return next();
    }
    if (row.is_conditional_compare()) {
        const bool taken = holds(row.operation, is32, regs_[insn.dst], row.has_src() ? regs_[insn.src] : imm);
        if (!taken) return next();
        at = {static_cast<isa::InsnIndex>(isa::target_of(insn, here)), Phase::Normal};
        return Went::Other;
    }
    switch (row.operation) {
        case Operation::Jump: at = {static_cast<isa::InsnIndex>(isa::target_of(insn, here)), Phase::Normal}; break;
        case Operation::Exit: return leave();
        case Operation::Call: return call_helper(insn);
        case Operation::CallLocal:
            push(subject_.function_at(static_cast<isa::InsnIndex>(isa::target_of(insn, here))), FrameKind::Call);
            break;
        case Operation::LdImm64: regs_[insn.dst] = insn.imm64(); return next();
        case Operation::LdMapFd: regs_[insn.dst] = map_address(static_cast<uint16_t>(insn.imm)); return next();
        case Operation::LdMapValue:
            regs_[insn.dst] = value_of(static_cast<uint16_t>(insn.imm), 0) + static_cast<uint32_t>(insn.next_imm);
            return next();
        case Operation::LdFunc: {
            const uint16_t f = subject_.function_at(static_cast<isa::InsnIndex>(isa::target_of(insn, here)));
            if (!functions_.contains(f)) functions_[f] = place_bytes(RegionKind::Function, 0, 0, f);
            regs_[insn.dst] = memory_[functions_[f]].base;
            return next();
        }
        case Operation::LoadPacket: {
            if (regs_[6] != context()) return wrong("a packet load without the context in r6");
            const uint64_t from = (row.form == Form::PacketInd ? regs_[insn.src] & 0xffffffff : 0) +
                                  static_cast<uint64_t>(static_cast<uint32_t>(insn.imm));
            if (interest_.chance(8)) return Went::Ended;  // the bytes are not there
            (void)from;
            poison(1, 5);
            regs_[0] = cut(interest_.number(), row.access_bytes());
            return next();
        }
        default: return wrong("an instruction that is not modelled is executed");
    }
    return Went::On;
}

bool Machine::special_argument(unsigned reg, verifier::SpecialKind kind) {
    const uint64_t v = regs_[reg];
    const auto near = by_base_.lower_bound(v - (uint64_t{1} << 42));
    if (near != by_base_.end()) {
        const Memory& m = memory_[near->second];
        const bool value = m.kind == RegionKind::MapValue && m.map < subject_.maps.size() && m.alive;
        for (const verifier::SpecialField& field :
             value ? subject_.maps[m.map].special : std::vector<verifier::SpecialField>{}) {
            if (field.kind == kind && v - m.base == field.offset) return true;
        }
    }
    complaint_ = fmt::format("r{} is {:#x}, no lock or timer of a map's value", reg, v);
    return false;
}

/// One argument: whether it is what the helper may get; what it writes through it is anything.
bool Machine::argument(HelperId id, const platform::HelperRow& row, unsigned i) {
    const uint64_t v = regs_[i + 1];
    const auto memory = [&](uint64_t bytes, bool write) {
        if (bytes == 0) return true;
        uint8_t* at_bytes = access(v, bytes, write, true);
        if (at_bytes == nullptr) return false;
        for (uint64_t b = 0; write && b < bytes; ++b) at_bytes[b] = static_cast<uint8_t>(interest_.word());
        return true;
    };
    const auto no = [&](const char* what) {
        complaint_ = fmt::format("argument {} of {}: {:#x} is {}", i + 1, platform::helper_name(id), v, what);
        return false;
    };
    const auto key_size = [&] { return map_ == verifier::no_map ? 0 : subject_.maps[map_].key_size; };
    const auto value_size = [&] { return map_ == verifier::no_map ? 0 : subject_.maps[map_].value_size; };
    switch (row.args[i]) {
        case ArgKind::None:
        case ArgKind::Scalar:
        case ArgKind::Anything:
        case ArgKind::CallbackContext:
        case ArgKind::Size: return true;
        case ArgKind::SizeOrZero: return true;
        case ArgKind::ConstMapPtr: {
            const Memory* m = memory_at(v);
            if (m == nullptr || m->kind != RegionKind::Map) return no("no map");
            map_ = m->map;
            if (i == 0) called_map = map_;
            return true;
        }
        case ArgKind::MapKey: {
            const uint8_t* key = access(v, key_size(), false, true);
            if (key == nullptr) return false;
            if (key_size() == 4) called_key = static_cast<uint32_t>(read_bytes(key, 4));
            return true;
        }
        case ArgKind::MapValue: return memory(value_size(), false);
        case ArgKind::MapValueOrNull: return v == 0 || memory(value_size(), false);
        case ArgKind::MapValueOut: return memory(value_size(), true);
        case ArgKind::CtxOrNull: return v == 0 || v == context() || no("not the context");
        case ArgKind::Ctx: return v == context() || no("not the context");
        case ArgKind::MemIn:
        case ArgKind::MemInOrNull:
        case ArgKind::MemOut:
        case ArgKind::MemOutOrNull:
        case ArgKind::MemInOut: {
            size_ = regs_[i + 2];
            const bool zero = row.args[i + 1] == ArgKind::SizeOrZero;
            if (*size_ == 0 && !zero) return no("memory with size 0");
            if (*size_ >= uint64_t{1} << 29) return no("memory with a size that is too large");
            const bool or_null = row.args[i] == ArgKind::MemInOrNull || row.args[i] == ArgKind::MemOutOrNull;
            if (v == 0 && or_null && *size_ == 0) return true;
            if (row.args[i] == ArgKind::MemInOut && !memory(*size_, false)) return false;
            return memory(*size_, row.args[i] != ArgKind::MemIn && row.args[i] != ArgKind::MemInOrNull);
        }
        case ArgKind::RecordSize: record_size_ = static_cast<uint32_t>(v); return true;
        case ArgKind::Record: {
            if (!references_.contains(v)) return no("no record that is held");
            released_ = by_base_.at(v);
            return true;
        }
        case ArgKind::Func: {
            const Memory* m = memory_at(v);
            if (m == nullptr || m->kind != RegionKind::Function) return no("no function");
            function_ = m->map;
            return true;
        }
        case ArgKind::I64Out:
        case ArgKind::U64Out: return memory(8, true);
        case ArgKind::U32InOut: return memory(4, false) && memory(4, true);
        case ArgKind::In20: return memory(20, false);
        case ArgKind::In40: return memory(40, false);
        case ArgKind::SockCommon:
        case ArgKind::Socket:
        case ArgKind::SocketOrNull: {
            if (v == 0 && row.args[i] == ArgKind::SocketOrNull) return true;
            const Memory* m = memory_at(v);
            if (m == nullptr || m->kind != RegionKind::Object || !m->alive) return no("no socket");
            if ((row.effects & platform::helper_effect::Release) != 0) {
                if (!references_.contains(v)) return no("no socket that is held");
                released_ = by_base_.at(v);
            }
            return true;
        }
        case ArgKind::ConstString:
            for (uint64_t at_byte = v;; ++at_byte) {
                const uint8_t* byte = access(at_byte, 1, false, true);
                if (byte == nullptr) return false;
                if (*byte == 0) return true;
            }
        case ArgKind::SpinLock: {
            if (!special_argument(i + 1, verifier::SpecialKind::SpinLock)) return false;
            const bool takes = (row.effects & platform::helper_effect::Acquire) != 0;
            if (takes == locked_.has_value() || (!takes && *locked_ != v)) return no("not the lock to take or to give");
            locked_ = takes ? std::optional(v) : std::nullopt;
            return true;
        }
        case ArgKind::Timer: return special_argument(i + 1, verifier::SpecialKind::Timer);
        case ArgKind::Dynptr:
        case ArgKind::Kptr:
        case ArgKind::BtfObject:
        case ArgKind::Other: return no("of a kind that this machine does not know");
    }
    return false;
}

Machine::Went Machine::call_helper(const isa::Insn& insn) {
    namespace effect = platform::helper_effect;
    const BoundProgram& program = *subject_.program;
    const auto id = static_cast<HelperId>(program.bindings[at.insn].helper);
    const platform::HelperRow& row = platform::helper_for(id, program.type);
    ++helper_calls;
    if (locked_ && row.args[0] != ArgKind::SpinLock) return wrong("a helper is called while a lock is held");
    map_ = verifier::no_map, record_size_ = 0;
    size_.reset(), released_.reset();
    for (unsigned i = 0; i < 5 && row.args[i] != ArgKind::None; ++i) {
        if (!argument(id, row, i)) return Went::Wrong;
    }
    if (released_) {
        memory_[*released_].alive = false;
        references_.erase(memory_[*released_].base);
    }
    if ((row.effects & effect::TailCall) != 0 && interest_.chance(3)) {
        if (frames_.size() == 1) {
            if (!references_.empty()) return wrong("a tail call with something acquired and not released");
            if (locked_) return wrong("a tail call with a lock held");
            return Went::Ended;
        }
        const isa::InsnIndex call = frames_.back().call;
        move_packet();
        pop();
        regs_[0] = interest_.number();
        at = {call + 1, Phase::Normal};
        return Went::Other;
    }
    if ((row.effects & effect::Packet) != 0) move_packet();
    if ((row.effects & effect::Callback) != 0 && (row.effects & effect::Later) == 0) {
        Callback loop;
        loop.call = at.insn, loop.function = function_, loop.context = regs_[3];
        if (id == HelperId::ForEachMapElem) {
            loop.map = map_;
            loop.rounds = interest_.below(subject_.maps[map_].max_entries + 1);
        } else {
            const auto wanted = static_cast<uint32_t>(regs_[1]);
            loop.rounds = wanted > (1u << 23) ? 0 : wanted;
        }
        callbacks_.push_back(loop);
        poison(0, 5);
        at.phase = Phase::CallbackHead;
        return Went::On;
    }
    uint64_t result = interest_.number();
    const bool null = interest_.chance(3);
    bool acquires = (row.effects & effect::Acquire) != 0 && row.result != ResultKind::Void;
    switch (row.result) {
        case ResultKind::Void: break;
        case ResultKind::Scalar:
        case ResultKind::Status:
            switch (platform::helper_result_bound(id)) {
                case platform::ResultBound::None: break;
                case platform::ResultBound::SizeArgument:
                    if (size_)
                        result = interest_.chance(2)
                                     ? *size_
                                     : interest_.below(4096 + static_cast<uint32_t>(*size_)) - uint64_t{4095};
                    break;
                case platform::ResultBound::CpuNumber: result &= 0xff; break;
            }
            break;
        case ResultKind::MapValueOrNull:
        case ResultKind::MapValue: {
            const verifier::MapInfo& info = subject_.maps[map_];
            const auto looked_up = platform::lookup_result(info.type);
            if (id == HelperId::MapLookupElem && looked_up == platform::LookupResult::Socket) {
                result = null ? 0 : new_object(platform::ContextKind::Socket);
                acquires = true;
            } else if (id == HelperId::MapLookupElem && looked_up == platform::LookupResult::XdpSock) {
                result = null ? 0 : new_object(platform::ContextKind::XdpSock);
            } else if (info.inner != UINT16_MAX) {
                result = null ? 0 : map_address(info.inner);
            } else if (info.type == platform::MapType::Array && id == HelperId::MapLookupElem) {
                result = called_key && *called_key < info.max_entries ? value_of(map_, *called_key) : 0;
            } else {
                result = null && row.result == ResultKind::MapValueOrNull ? 0 : value_of(map_, interest_.below(3));
            }
            break;
        }
        case ResultKind::RecordOrNull:
            result = 0;
            if (!null) result = memory_[place_bytes(RegionKind::Memory, 0, record_size_)].base;
            break;
        case ResultKind::SocketOrNull: result = null ? 0 : new_object(platform::ContextKind::Socket); break;
        case ResultKind::SockCommonOrNull: result = null ? 0 : new_object(platform::ContextKind::SockCommon); break;
        case ResultKind::TcpSockOrNull: result = null ? 0 : new_object(platform::ContextKind::TcpSock); break;
        case ResultKind::BtfObject:
        case ResultKind::Other: return wrong("a helper that is not modelled is called");
    }
    if (acquires && result != 0) {
        references_.insert(result);
        memory_[by_base_.at(result)].owned = true;
    }
    poison(1, 5);
    regs_[0] = result;
    at = {at.insn + insn.slots(), Phase::Normal};
    return Went::On;
}

}  // namespace skep::testing
