// SPDX-License-Identifier: Apache-2.0
// Loads, stores and atomics: what an address points to, and whether the bytes are inside (design 2.4, 3.5).
#include <algorithm>

#include "verifier/rules/executor.hpp"

namespace skep::verifier {

namespace {

const char* region_noun(RegionKind kind) {
    switch (kind) {
        case RegionKind::None: return "a number";
        case RegionKind::Context: return "the context";
        case RegionKind::Stack: return "the stack frame";
        case RegionKind::Packet: return "the packet";
        case RegionKind::MapValue: return "a map value";
        case RegionKind::MapKey: return "a map key";
        case RegionKind::Memory: return "a block of memory";
        case RegionKind::Map: return "a map";
        case RegionKind::Function: return "a function";
        case RegionKind::Object: return "a kernel object";
    }
    return "?";
}

Rule bounds_rule(RegionKind kind) {
    switch (kind) {
        case RegionKind::Stack: return Rule::StackBounds;
        case RegionKind::Packet: return Rule::PacketBounds;
        case RegionKind::MapValue:
        case RegionKind::MapKey: return Rule::MapValueBounds;
        case RegionKind::Context: return Rule::ContextAccess;
        case RegionKind::Object: return Rule::ObjectAccess;
        case RegionKind::None:
        case RegionKind::Memory:
        case RegionKind::Map:
        case RegionKind::Function: return Rule::MemoryBounds;
    }
    return Rule::MemoryBounds;
}

constexpr uint32_t write_only_program = 1u << 8;  // BPF_F_WRONLY_PROG

std::string number_text(int64_t n) { return std::to_string(n); }

}  // namespace

bool Executor::target(const Val& address, const Val& size, Access access, int reg, Target& t) {
    const auto pointer = pointer_of(s, address);
    const std::string name = reg >= 0 ? "r" + std::to_string(reg) : "the address";
    if (!pointer) {
        return fail(Rule::NotAPointer, name + " holds " + describe(address) + ", which is no pointer", reg,
                    "a pointer to memory that the program may use", describe(address));
    }
    t.pointer = *pointer;
    t.region = s[pointer->base].region;
    if (t.region.kind == RegionKind::Map || t.region.kind == RegionKind::Function) {
        return fail(Rule::NotAPointer,
                    name + " holds the address of " + region_noun(t.region.kind) + ", whose memory programs cannot use",
                    reg);
    }
    if (!t.region.alive) {
        const bool packet = t.region.kind == RegionKind::Packet;
        fail(Rule::DeadPointer,
             packet ? name + " points into the packet as it lay before a call that may move it"
                    : name + " points to " + region_noun(t.region.kind) + " that was given back or has ended",
             reg, packet ? "a pointer that was read from the context after that call" : "memory that is still there");
        failure().region = t.region.kind;
        failure().origin = s[pointer->base].origin;
        return false;
    }
    if (t.region.nullable) {
        fail(Rule::NullDereference, name + " may be null", reg, "a pointer that is not null",
             name + " = " + describe(address), "if (!p) return 0;");
        failure().region = t.region.kind;
        failure().origin = s[pointer->base].origin;
        return false;
    }
    if (access != Access::Read && !t.region.writable) {
        return fail(Rule::ReadOnly,
                    name + " points to " + std::string(region_noun(t.region.kind)) + " that programs may only read",
                    reg);
    }
    if (access != Access::Write && t.region.kind == RegionKind::MapValue &&
        (subject_.maps[t.region.map].flags & write_only_program) != 0) {
        return fail(Rule::ReadOnly, name + " points to a map value that programs may only write", reg);
    }
    const Num n = number(t.pointer.offset);
    if (n.is_constant()) t.constant = static_cast<int64_t>(n.umin());
    t.low = smin_of(n), t.high = smax_of(n);
    return binding_agrees(t.region, reg) && in_bounds(t, size, number(size), access, reg);
}

/// The engines run what the binding says: a context access where the pointer leads to the context, a plain one
/// elsewhere. (Which field it is, context_field() compares.) Helpers' arguments have no binding of this kind.
bool Executor::binding_agrees(const Region& region, int reg) {
    const Binding& binding = subject_.program->bindings[at_];
    if (region.kind == RegionKind::Context || row_.is_call() || binding.kind == BindingKind::None) return true;
    if (binding.kind == BindingKind::Problem) return bind_problem();
    return fail(
        Rule::NotModelled,
        "the instruction reaches the context on one way and " + std::string(region_noun(region.kind)) + " on another",
        reg);
}

// Claim: if true is returned, every byte [offset, offset + size) of every concrete run lies in the region, and base +
//        offset does not wrap.
// Because: offset is bounded as a signed word from below by the region's low end and from above by its high end minus
//          the size; both ends are in [-2^12, 2^40], and base symbols keep that far from the ends (new_region).
bool Executor::in_bounds(Target& t, const Val& size, const Num& size_number, Access access, int reg) {
    const Region& region = t.region;
    if (size_number.umax() > uint64_t{1} << 32) {
        return fail(Rule::ArgumentSize, "the size may be as large as " + std::to_string(size_number.umax()), reg);
    }
    const auto bytes = static_cast<int64_t>(size_number.umax());
    Val low = Val::constant(0), high = Val::constant(region.size);
    int64_t low_bound = 0;
    switch (region.kind) {
        case RegionKind::Stack:
            low = Val::constant(uint64_t{0} - stack_bytes), high = Val::constant(0);
            low_bound = -int64_t{stack_bytes};
            break;
        case RegionKind::Packet:
            if (region.meta != no_sym) {
                low = *multiply(Val::symbol(region.meta), -1);
                low_bound = -smax_of(s[region.meta].num);
            }
            high = Val::symbol(region.length);
            break;
        case RegionKind::Context:
        case RegionKind::Object: return true;  // by table, at a constant offset
        case RegionKind::MapValue:
        case RegionKind::MapKey:
        case RegionKind::Memory:
        case RegionKind::None:
        case RegionKind::Map:
        case RegionKind::Function: break;
    }
    const auto below = upper_difference(s, low, t.pointer.offset);
    bool enough_below = below && *below <= 0;
    const auto above = upper_difference(s, t.pointer.offset, high);
    bool enough_above = above && *above <= -bytes;
    if (!enough_above && !size.is_constant()) {  // offset + size as one form knows relations of both
        if (const auto end = add(t.pointer.offset, size)) {
            const auto end_above = upper_difference(s, *end, high);
            const Num offset = number(t.pointer.offset);
            const bool no_wrap = smin_of(offset) >= -(int64_t{1} << 40) && smax_of(offset) <= (int64_t{1} << 40);
            enough_above = no_wrap && end_above && *end_above <= 0;
        }
    }
    if (region.kind == RegionKind::Stack && !t.constant && (t.low < -int64_t{stack_bytes} || t.high > -bytes)) {
        enough_above = enough_above && t.high <= -bytes;  // a stack access needs plain bounds to be modelled
        enough_below = enough_below && t.low >= -int64_t{stack_bytes};
    }
    if (enough_below && enough_above) return region.kind != RegionKind::MapValue || check_special(t, bytes, reg);

    const bool fixed = t.constant.has_value() && size_number.is_constant();
    const std::string plural = bytes == 1 ? "" : "s";
    const std::string place = !fixed ? "at offset " + skep::verifier::describe(number(t.pointer.offset))
                              : bytes == 1
                                  ? "byte " + number_text(*t.constant)
                                  : "bytes " + number_text(*t.constant) + " to " + number_text(*t.constant + bytes - 1);
    std::string where = fixed ? place + " of " + region_noun(region.kind)
                              : number_text(bytes) + " byte" + plural + " of " + region_noun(region.kind);
    if (region.kind != RegionKind::Packet) {
        const auto size = static_cast<int64_t>(region.kind == RegionKind::Stack ? stack_bytes : region.size);
        where += " of " + number_text(size) + " byte" + (size == 1 ? "" : "s");
    }
    if (!fixed) where += " " + place;
    const char* verb = access == Access::Read ? "reads " : access == Access::Write ? "writes " : "changes ";
    std::string needs, known, hint;
    if (region.kind == RegionKind::Packet) {
        const Num length = number(Val::symbol(region.length));
        if (!enough_below) {
            needs = "offset >= " + number_text(low_bound);
            known = "offset " + skep::verifier::describe(number(t.pointer.offset));
        } else {
            needs = t.high < (int64_t{1} << 30) ? "packet length >= " + number_text(t.high + bytes)
                                                : std::string("a bound on the offset, and packet length behind it");
            known = "packet length >= " + number_text(smin_of(length));
        }
        hint = "if ((void *)(p + 1) > data_end) return 0;   before the access, with p the pointer that is used";
    } else {
        const int64_t room = region.kind == RegionKind::Stack ? 0 : region.size;
        needs = room - bytes < low_bound ? "a place with " + number_text(bytes) + " bytes"
                                         : "offset " + number_text(low_bound) + ".." + number_text(room - bytes);
        known = "offset " + skep::verifier::describe(number(t.pointer.offset));
        if (!fixed && room - bytes >= 0) {
            hint = "if (i > " + number_text(room - bytes) + ") return 0;   before the access, or mask it with & ";
            uint64_t mask = 1;
            while (mask * 2 <= static_cast<uint64_t>(room - bytes) + 1) mask *= 2;
            hint += std::to_string(mask - 1);
        }
    }
    // An offset that may be any number at all is the mistake, wherever it leads.
    const bool unbounded = !t.constant && (t.low < -(int64_t{1} << 40) || t.high > (int64_t{1} << 40));
    const bool in_memory = region.kind != RegionKind::Stack;
    fail(unbounded && in_memory ? Rule::PointerRange : bounds_rule(region.kind), verb + where, reg, std::move(needs),
         std::move(known), std::move(hint));
    failure().region = region.kind;
    failure().origin = s[t.pointer.base].origin;
    if (t.pointer.offset.a.factor != 0) failure().origin = s[t.pointer.offset.a.sym].origin;
    return false;
}

bool Executor::check_special(const Target& t, int64_t bytes, int reg) {
    if (t.region.map >= subject_.maps.size()) return true;
    const MapInfo& map = subject_.maps[t.region.map];
    for (const SpecialField& field : map.special) {
        const int64_t begin = field.offset, end = begin + field.size;
        if (t.low >= end || t.high + bytes <= begin) continue;
        if (field.kind == SpecialKind::NotModelled) {
            return fail(Rule::NotModelled, "`" + field.type + "` in a value of map `" + map.name + "` is not modelled",
                        reg);
        }
        return fail(Rule::SpecialField,
                    "the access overlaps the " + field.type + " at offset " + std::to_string(field.offset) + " of `" +
                        map.name + "`",
                    reg, {}, {}, "only the helpers of this type may touch it");
    }
    return true;
}

bool Executor::load() {
    Val address;
    if (!read(insn_.src, address)) return false;
    if (row_.operation == isa::Operation::LoadAcquire && !atomic_operand(address, insn_.src)) return false;
    address = plus(address, static_cast<uint64_t>(int64_t{insn_.offset}));
    Target t;
    const unsigned bytes = row_.access_bytes();
    if (!target(address, Val::constant(bytes), Access::Read, insn_.src, t)) return false;
    if (row_.operation == isa::Operation::LoadAcquire && !ordered_alignment(t, bytes, insn_.src)) return false;
    return load_from(t, bytes, row_.operation == isa::Operation::LoadSigned, insn_.dst);
}

bool Executor::load_from(const Target& t, unsigned bytes, bool sign_extend, unsigned dst) {
    Val v;
    switch (t.region.kind) {
        case RegionKind::Context: return load_context(t, bytes, sign_extend, dst);
        case RegionKind::Object: return load_object(t, bytes, dst);
        case RegionKind::Stack:
            if (t.constant && (*t.constant % bytes) != 0) {
                return fail(
                    Rule::Misaligned,
                    "a stack access of " + std::to_string(bytes) + " bytes at r10" + std::to_string(*t.constant),
                    insn_.src);
            }
            if (!stack_is_readable(t, bytes)) {
                return fail(Rule::UnsetStack, "bytes of the stack are read that were not written", insn_.src);
            }
            if (!keeps_addresses_whole(t, bytes, insn_.src)) return false;
            v = read_stack(t, bytes);
            break;
        case RegionKind::MapValue:
            if (t.region.read_only_data && t.constant) {
                const auto& constant = subject_.maps[t.region.map].constant;
                uint64_t word = 0;
                for (unsigned i = 0; i < bytes; ++i) {
                    const auto at = static_cast<uint64_t>(*t.constant) + i;
                    const uint64_t byte = at < constant.size() ? static_cast<uint64_t>(constant[at]) : 0;
                    word |= byte << (8 * i);
                }
                v = Val::constant(word);
                break;
            }
            v = fresh(loaded_number(bytes));
            break;
        case RegionKind::Packet:
        case RegionKind::MapKey:
        case RegionKind::Memory: v = fresh(loaded_number(bytes)); break;
        case RegionKind::None:
        case RegionKind::Map:
        case RegionKind::Function: return fail(Rule::NotAPointer, "no memory behind this address");
    }
    if (sign_extend) {
        const isa::Operation op = bytes == 1   ? isa::Operation::Movsx8
                                  : bytes == 2 ? isa::Operation::Movsx16
                                               : isa::Operation::Movsx32;
        if (is_tainted(s, v)) v = fresh(Num::unknown());
        const Num n = number(v);
        const Num extended = alu_number(op, false, n, n);
        v = extended.is_constant() ? Val::constant(extended.umin())
                                   : Val::symbol(defined_symbol(s, {op, false, v, {}}, extended, at_));
    }
    write(dst, v);
    return next(), true;
}

bool Executor::store() {
    Val address, v;
    if (!read(insn_.dst, address)) return false;
    if (row_.has_src()) {
        if (!read(insn_.src, v)) return false;
    } else {
        v = Val::constant(static_cast<uint64_t>(int64_t{insn_.imm}));
    }
    if (row_.operation == isa::Operation::StoreRelease && !atomic_operand(address, insn_.dst)) return false;
    address = plus(address, static_cast<uint64_t>(int64_t{insn_.offset}));
    Target t;
    const unsigned bytes = row_.access_bytes();
    if (!target(address, Val::constant(bytes), Access::Write, insn_.dst, t)) return false;
    if (row_.operation == isa::Operation::StoreRelease && !ordered_alignment(t, bytes, insn_.dst)) return false;
    if (!store_to(t, bytes, v, insn_.dst)) return false;
    return next(), true;
}

bool Executor::store_to(const Target& t, unsigned bytes, const Val& v, int reg) {
    const bool hidden = t.region.kind == RegionKind::Stack;
    if (!hidden && is_tainted(s, v) && !subject_.options.allow_pointer_leaks) {
        return fail(Rule::PointerLeak, describe(v) + " is stored where others can read it", reg);
    }
    if (t.region.kind == RegionKind::Context) return store_context(t, bytes, reg);
    // A flow dissector fills in its keys (kernel: check_flow_keys_access); the table knows which bytes there are.
    // Others read them, so that no address may get there.
    if (t.region.kind == RegionKind::Object && object_field(t, bytes, true, reg) == nullptr) return false;
    if (t.region.kind == RegionKind::Stack) {
        if (t.constant && (*t.constant % bytes) != 0) {
            return fail(Rule::Misaligned,
                        "a stack access of " + std::to_string(bytes) + " bytes at r10" + std::to_string(*t.constant),
                        reg);
        }
        if (!keeps_addresses_whole(t, bytes, reg, is_tainted(s, v))) return false;
        write_stack(t, bytes, v);
        return true;
    }
    return true;
}

/// What atomics and ordered accesses may work on: memory that is shared or private, never the context or the packet.
bool Executor::atomic_operand(const Val& address, int reg) {
    const auto pointer = pointer_of(s, address);
    if (!pointer) return true;  // target() says so
    const RegionKind kind = s[pointer->base].region.kind;
    if (kind == RegionKind::Context || kind == RegionKind::Packet || kind == RegionKind::Object) {
        return fail(Rule::AtomicTarget, "an atomic operation on " + std::string(region_noun(kind)), reg);
    }
    return true;
}

/// Exclusive and ordered accesses must be aligned on every machine; every region begins at a multiple of 8.
bool Executor::ordered_alignment(const Target& t, unsigned bytes, int reg) {
    const Num offset = number(t.pointer.offset);
    if (((offset.bits.value | offset.bits.mask) & (bytes - 1)) == 0) return true;
    return fail(Rule::Misaligned,
                "an atomic operation of " + std::to_string(bytes) +
                    " bytes at an offset that is not known to be a multiple of it",
                reg);
}

bool Executor::atomic() {
    Val address, v;
    if (!read(insn_.dst, address) || !read(insn_.src, v)) return false;
    const bool compares = row_.form == isa::Form::AtomicCmpxchg;
    Val expected;
    if (compares && !read(0, expected)) return false;
    if (!atomic_operand(address, insn_.dst)) return false;
    if ((is_tainted(s, v) || (compares && is_tainted(s, expected))) && !subject_.options.allow_pointer_leaks) {
        return fail(Rule::PointerLeak, "an address is stored or compared by an atomic operation", insn_.src);
    }
    address = plus(address, static_cast<uint64_t>(int64_t{insn_.offset}));
    Target t;
    const unsigned bytes = row_.access_bytes();
    if (!target(address, Val::constant(bytes), Access::Atomic, insn_.dst, t)) return false;
    if (!ordered_alignment(t, bytes, insn_.dst)) return false;
    Val before = fresh(loaded_number(bytes));
    if (t.region.kind == RegionKind::Stack) {
        if (!subject_.options.allow_pointer_leaks && stack_holds_address(t, bytes))
            return fail(Rule::PointerLeak, "an atomic operation on an address", insn_.dst);
        if (!stack_is_readable(t, bytes))
            return fail(Rule::UnsetStack, "bytes of the stack are read that were not written", insn_.dst);
        const Val held = read_stack(t, bytes);
        if (!is_tainted(s, held)) before = held;
        write_stack(t, bytes, fresh(loaded_number(bytes)));
    }
    if (row_.form == isa::Form::AtomicFetch) write(insn_.src, before);
    if (compares) write(0, before);
    return next(), true;
}

}  // namespace skep::verifier
