// SPDX-License-Identifier: Apache-2.0
// Arguments of helpers, kind by kind (kernel/bpf/verifier.c, check_func_arg, says what Linux asks).
#include <algorithm>

#include "platform/context.hpp"
#include "platform/limits.hpp"
#include "verifier/rules/helper_call.hpp"

namespace skep::verifier {

namespace {

/// Whether it puts something into a map or takes something out, which BPF_F_RDONLY_PROG forbids (kernel:
/// record_func_map).
bool changes_map(platform::HelperId id) {
    using enum platform::HelperId;
    return id == MapUpdateElem || id == MapDeleteElem || id == MapPushElem || id == MapPopElem ||
           id == MapLookupAndDeleteElem;
}

}  // namespace

bool HelperCall::wrong(Rule rule, unsigned reg, const Val& v, const std::string& wanted) {
    return x.fail(rule, "argument " + std::to_string(reg) + " of " + name + " is " + x.describe(v),
                  static_cast<int>(reg), wanted, x.describe(v));
}

bool HelperCall::map_argument(unsigned reg, const Val& v) {
    const auto p = pointer_of(x.s, v);
    if (!p || x.s[p->base].region.kind != RegionKind::Map || v != Val::symbol(p->base)) {
        return wrong(Rule::ArgumentType, reg, v, "a map");
    }
    const Region& region = x.s[p->base].region;
    if (region.nullable) return wrong(Rule::ArgumentNull, reg, v, "a map, not null");
    map = region.map;
    if (map_info().type == platform::MapType::Arena || map_info().type == platform::MapType::StructOps) {
        return x.fail(Rule::NotModelled,
                      std::string("maps of type ") + platform::map_type_name(map_info().type) + " are not modelled");
    }
    if (!platform::helper_takes_map(id, map_info().type, x.subject_.program->type)) {
        return x.fail(Rule::MapNotAllowed,
                      name + " does not take map `" + map_info().name + "`, a map of type " +
                          platform::map_type_name(map_info().type),
                      static_cast<int>(reg));
    }
    if (map_info().read_only && changes_map(id)) {
        return x.fail(Rule::ReadOnly, name + " changes map `" + map_info().name + "`, which programs may only read",
                      static_cast<int>(reg));
    }
    // A timer keeps its map, by which its value is told from the others (kernel: process_timer_func).
    if (row.args[0] == platform::ArgKind::Timer && value_map != no_map) {
        if (map != value_map) return wrong(Rule::ArgumentType, reg, v, "the map that holds the timer");
        if (map >= x.subject_.linked().maps.size())
            return x.fail(Rule::NotModelled, "timers in the values of inner maps are not modelled",
                          static_cast<int>(reg));
    }
    if (reg == 1 && map < x.subject_.linked().maps.size()) x.out_.notes.map = map;
    return true;
}

bool HelperCall::context_argument(unsigned reg, const Val& v) {
    const auto p = pointer_of(x.s, v);
    if (!p || x.s[p->base].region.kind != RegionKind::Context) return wrong(Rule::ArgumentType, reg, v, "the context");
    const Num offset = x.number(p->offset);
    if (!offset.is_constant() || offset.umin() != 0) return wrong(Rule::ArgumentType, reg, v, "the context, not moved");
    return true;
}

/// Claim: if true is returned, the helper may read or write `size` bytes from v, whatever size turns out to be.
bool HelperCall::memory(unsigned reg, const Val& v, const Val& size, Access access) {
    State& s = x.s;
    const auto p = pointer_of(s, v);
    if (!p) return wrong(Rule::ArgumentType, reg, v, "a pointer to memory");
    const Region& region = s[p->base].region;
    if (region.nullable) return wrong(Rule::ArgumentNull, reg, v, "a pointer that is not null");
    const int64_t bytes = static_cast<int64_t>(std::min<uint64_t>(x.number(size).umax(), UINT32_MAX));
    switch (region.kind) {
        case RegionKind::Map:
        case RegionKind::Function:
        case RegionKind::Object:
        case RegionKind::None: return wrong(Rule::ArgumentType, reg, v, "a pointer to memory");
        case RegionKind::Context: {
            const auto context = platform::context_of(x.subject_.program->type);
            const Num offset = x.number(p->offset);
            if (!context || !platform::context_is_memory(*context) || access != Access::Read || !offset.is_constant()) {
                return wrong(Rule::ArgumentType, reg, v, "a pointer to memory");
            }
            const auto at = static_cast<int64_t>(offset.umin());
            const uint32_t room = platform::context_bytes(*context, x.subject_.program->personality);
            if (at < 0 || at + bytes > int64_t{room})
                return wrong(Rule::ArgumentMemory, reg, v, "bytes inside the context");
            return true;
        }
        case RegionKind::Packet:
            if ((row.effects & platform::helper_effect::PacketArguments) == 0) {
                return x.fail(Rule::ArgumentType, name + " takes no memory in the packet", static_cast<int>(reg));
            }
            break;
        case RegionKind::Stack:
        case RegionKind::MapValue:
        case RegionKind::MapKey:
        case RegionKind::Memory: break;
    }
    Executor::Target t;
    if (!x.target(v, size, access, static_cast<int>(reg), t)) return false;
    if (t.region.kind != RegionKind::Stack) return true;
    if (access == Access::Read) {
        if (!x.subject_.options.allow_pointer_leaks && x.stack_holds_address(t, bytes)) {
            return x.fail(Rule::PointerLeak, name + " gets memory that holds an address", static_cast<int>(reg));
        }
        if (x.stack_is_readable(t, bytes)) return true;
        return x.fail(Rule::UnsetStack, name + " reads bytes of the stack that were not written",
                      static_cast<int>(reg));
    }
    if (!x.keeps_addresses_whole(t, bytes, static_cast<int>(reg))) return false;
    // A helper that fails may leave the memory as it is: whether it fills it is nothing that a proof rests on.
    if (!x.stack_is_set(t, bytes)) x.out_.notes.unset_stack = true;
    x.scratch_stack(t, bytes, static_cast<int64_t>(std::min<uint64_t>(x.number(size).umin(), UINT32_MAX)));
    return true;
}

bool HelperCall::fixed_memory(unsigned reg, const Val& v, uint32_t bytes, Access access) {
    return memory(reg, v, Val::constant(bytes), access);
}

/// The helper stores a word there at once. Regions begin at multiples of 8.
bool HelperCall::aligned(unsigned reg, const Val& v, uint32_t bytes) {
    const auto p = pointer_of(x.s, v);
    if (!p) return false;
    const Num offset = x.number(p->offset);
    if (((offset.bits.value | offset.bits.mask) & (bytes - 1)) == 0) return true;
    return x.fail(Rule::Misaligned,
                  "argument " + std::to_string(reg) + " of " + name + " is " + x.describe(v) +
                      ", not known to be a multiple of " + std::to_string(bytes),
                  static_cast<int>(reg));
}

bool HelperCall::sized_memory(unsigned i, const Val& v, Access access, bool or_null) {
    State& s = x.s;
    const unsigned reg = i + 1, size_reg = i + 2;
    if (!s.is_set(size_reg)) {
        return x.fail(Rule::ArgumentUnset,
                      "argument " + std::to_string(size_reg) + " of " + name + " (r" + std::to_string(size_reg) +
                          ") has no value",
                      static_cast<int>(size_reg));
    }
    const Val size = s.reg(size_reg);
    if (is_tainted(s, size)) return wrong(Rule::ArgumentSize, size_reg, size, "a size");
    const Num n = x.number(size);
    const bool zero_allowed = i + 1 < 5 && row.args[i + 1] == platform::ArgKind::SizeOrZero;
    if (smin_of(n) < 0) {
        return x.fail(Rule::ArgumentSize,
                      "the size in r" + std::to_string(size_reg) + " may be negative: " + x.describe(size),
                      static_cast<int>(size_reg), "a size of 0..536870911", x.describe(size),
                      "use an unsigned type, or mask it: size &= 0xff");
    }
    if (n.umax() >= static_cast<uint64_t>(platform::limits::variable_size)) {
        return x.fail(Rule::ArgumentSize,
                      "the size in r" + std::to_string(size_reg) + " has no useful bound: " + x.describe(size),
                      static_cast<int>(size_reg), "a size of 0..536870911", x.describe(size),
                      "if (size > sizeof(buffer)) return 0;");
    }
    if (n.umin() == 0 && !zero_allowed) {
        return x.fail(Rule::ArgumentSize, "the size in r" + std::to_string(size_reg) + " may be 0",
                      static_cast<int>(size_reg), "a size of at least 1", x.describe(size), "if (size == 0) return 0;");
    }
    has_size = true;
    size_value = size;
    if (or_null && is_null(v)) {
        if (n.umax() == 0) return true;
        return wrong(Rule::ArgumentNull, reg, v, "memory, since the size is not 0");
    }
    if (n.umax() == 0) {  // nothing is touched; it must still be memory
        return pointer_of(s, v) ? true : wrong(Rule::ArgumentType, reg, v, "a pointer to memory");
    }
    return memory(reg, v, size, access);
}

/// A constant key of four bytes on the stack: the checker tells the engines.
bool HelperCall::note_key(const Val& v) {
    const auto p = pointer_of(x.s, v);
    if (!p || x.s[p->base].region.kind != RegionKind::Stack || map_info().key_size != 4) return true;
    const Num offset = x.number(p->offset);
    if (!offset.is_constant()) return true;
    Executor::Target t;
    t.pointer = *p;
    t.region = x.s[p->base].region;
    t.constant = static_cast<int64_t>(offset.umin());
    if ((*t.constant % 4) != 0) return true;
    const Num n = x.number(x.read_stack(t, 4));
    key_inside = n.umax() < map_info().max_entries;
    if (!n.is_constant()) return true;
    key = static_cast<uint32_t>(n.umin());
    x.out_.notes.key_constant = true;
    x.out_.notes.key = *key;
    return true;
}

bool HelperCall::own_if_releasing(const Pointer& p, unsigned reg) {
    if ((row.effects & platform::helper_effect::Release) == 0) return true;
    const auto& open = x.s.references;
    const auto same = [&](const Reference& r) { return r.base == p.base; };
    if (std::none_of(open.begin(), open.end(), same)) {
        return x.fail(Rule::NotOwned,
                      "argument " + std::to_string(reg) + " of " + name + " is " + x.describe(Val::symbol(p.base)) +
                          ", which this program did not acquire or has released",
                      static_cast<int>(reg));
    }
    released = p.base;
    return true;
}

bool HelperCall::record_argument(unsigned reg, const Val& v) {
    const auto p = pointer_of(x.s, v);
    if (p && x.s[p->base].region.kind == RegionKind::Memory && !x.s[p->base].region.alive)
        return wrong(Rule::NotOwned, reg, v, "a record that was not given back yet");
    if (!p || x.s[p->base].region.kind != RegionKind::Memory || !x.s[p->base].region.owned) {
        return wrong(Rule::ArgumentType, reg, v, "a reserved ring-buffer record");
    }
    if (x.s[p->base].region.nullable) return wrong(Rule::ArgumentNull, reg, v, "a record, not null");
    const Num offset = x.number(p->offset);
    if (!offset.is_constant() || offset.umin() != 0)
        return wrong(Rule::ArgumentType, reg, v, "a record, from its first byte");
    return own_if_releasing(*p, reg);
}

bool HelperCall::string_argument(unsigned reg, const Val& v) {
    const auto p = pointer_of(x.s, v);
    const Num offset = p ? x.number(p->offset) : Num::unknown();
    if (!p || x.s[p->base].region.kind != RegionKind::MapValue || !x.s[p->base].region.read_only_data ||
        !offset.is_constant()) {
        return wrong(Rule::ArgumentType, reg, v, "a string in read-only data");
    }
    const MapInfo& info = x.subject_.maps[x.s[p->base].region.map];
    for (uint64_t at = offset.umin(); at < info.value_size; ++at) {
        if (at >= info.constant.size() || info.constant[at] == std::byte{0}) return true;
    }
    return wrong(Rule::ArgumentType, reg, v, "a string that ends with a zero byte");
}

bool HelperCall::special_argument(unsigned reg, const Val& v, SpecialKind kind) {
    const char* what = kind == SpecialKind::SpinLock ? "bpf_spin_lock" : "bpf_timer";
    const auto p = pointer_of(x.s, v);
    if (!p || x.s[p->base].region.kind != RegionKind::MapValue) {
        return wrong(Rule::ArgumentType, reg, v, std::string("a ") + what + " in a map value");
    }
    const Region& region = x.s[p->base].region;
    if (region.nullable) return wrong(Rule::ArgumentNull, reg, v, "a map value, not null");
    const Num offset = x.number(p->offset);
    const MapInfo& info = x.subject_.maps[region.map];
    for (const SpecialField& field : info.special) {
        if (field.kind != kind || !offset.is_constant() || offset.umin() != field.offset) continue;
        value_map = region.map;
        if (kind == SpecialKind::SpinLock) {
            lock_base = p->base;
            lock_offset = field.offset;
        }
        return true;
    }
    return wrong(Rule::ArgumentType, reg, v, std::string("the ") + what + " of the map value");
}

bool HelperCall::socket_argument(unsigned reg, const Val& v, bool common) {
    const auto p = pointer_of(x.s, v);
    if (!p || x.s[p->base].region.kind != RegionKind::Object || v != Val::symbol(p->base)) {
        return wrong(Rule::ArgumentType, reg, v, "a socket");
    }
    const Region& region = x.s[p->base].region;
    const auto type = static_cast<platform::ContextKind>(region.type);
    const bool full = type == platform::ContextKind::Socket;
    const bool any = full || type == platform::ContextKind::SockCommon || type == platform::ContextKind::TcpSock;
    if (common ? !any : !full) return wrong(Rule::ArgumentType, reg, v, common ? "a socket" : "a full socket");
    if (region.nullable) return wrong(Rule::ArgumentNull, reg, v, "a socket, not null");
    if (!region.alive) return wrong(Rule::DeadPointer, reg, v, "a socket that was not released");
    socket = p->base;
    return own_if_releasing(*p, reg);
}

void Executor::release(Sym base) {
    std::erase_if(s.references, [&](const Reference& r) { return r.base == base; });
    s[base].region.alive = false;
    s[base].region.owned = false;
    // What was made of it goes with it (kernel: ref_obj_id of pointer casts). Made later, so of a higher number, except
    // after a renumbering: until nothing changes.
    for (bool changed = true; changed;) {
        changed = false;
        for (Symbol& symbol : s.symbols) {
            const Region& region = symbol.region;
            if (region.kind != RegionKind::Object || !region.alive || region.length == no_sym) continue;
            if (s[region.length].region.alive) continue;
            symbol.region.alive = false;
            changed = true;
        }
    }
}

}  // namespace skep::verifier
