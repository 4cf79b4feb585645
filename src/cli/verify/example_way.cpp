// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/example_way.hpp"

#include "isa/insn.hpp"
#include "platform/context.hpp"

namespace skep::cli {

using namespace verifier;
using isa::InsnIndex;

namespace {

constexpr size_t most_slots = 20'000;

}  // namespace

std::string Way::observe(const isa::Insn& insn, const State& before, State& after) {
    const isa::Row& row = insn.row();
    const InsnIndex at = before.at.insn;
    if (before.at.phase != Phase::Normal) return "the way leads through a callback";
    Input input;
    input.insn = at;
    input.bytes = row.access_bytes();
    std::optional<Val> value, offset;
    if (row.form == isa::Form::LoadMem) {
        const auto p = pointer_of(before, plus(before.reg(insn.src), static_cast<uint64_t>(int64_t{insn.offset})));
        if (!p || !after.is_set(insn.dst)) return {};
        value = after.reg(insn.dst);
        const Binding& binding = subject_.program->bindings[at];
        if (binding.kind == BindingKind::Context) {
            input.kind = Input::Kind::Context;
            input.context = binding.context;
        } else {
            if (before[p->base].region.kind == RegionKind::Stack) return {};
            input.base = p->base;
            offset = p->offset;
        }
    } else if (row.operation == isa::Operation::Call || row.is_packet_load()) {
        input.kind = Input::Kind::Call;
        if (row.operation == isa::Operation::Call) {
            input.helper = static_cast<platform::HelperId>(subject_.program->bindings[at].helper);
            const auto& helper = platform::helper_for(input.helper, subject_.program->type);
            if ((helper.effects & (platform::helper_effect::Callback | platform::helper_effect::TailCall)) != 0)
                return "the way leads through a callback or a tail call";
            const auto map = before.is_set(1) ? pointer_of(before, before.reg(1)) : std::nullopt;
            if (map && before[map->base].region.kind == RegionKind::Map) input.map = before[map->base].region.map;
            input.bytes = 8;
        } else {
            input.helper = platform::HelperId::PacketLoad4;
        }
        value = after.is_set(0) ? after.reg(0) : Val::constant(0);
    } else {
        return {};
    }
    const auto index = static_cast<uint32_t>(inputs_.size());
    inputs_.push_back(input);
    after.ghosts.push_back({index * 2, *value});
    if (offset) after.ghosts.push_back({index * 2 + 1, *offset});
    return {};
}

/// What has to be true of the numbers for the rule to be broken, beyond taking the way.
void Way::decode_failure() {
    const Result<isa::Insn> insn = isa::decode(subject_.linked().code, failure_.insn);
    const State& s = trail_->end();
    if (!insn) return;
    if (insn->row().operation == isa::Operation::Call) return decode_call();
    if (!insn->row().is_memory()) return;
    const unsigned reg = insn->row().form == isa::Form::LoadMem ? insn->src : insn->dst;
    if (!s.is_set(reg)) return;
    const auto p = pointer_of(s, plus(s.reg(reg), static_cast<uint64_t>(int64_t{insn->offset})));
    if (!p) return;
    const RegionKind kind = s[p->base].region.kind;
    const bool bounds = failure_.rule == Rule::PacketBounds || failure_.rule == Rule::MapValueBounds ||
                        failure_.rule == Rule::MemoryBounds || failure_.rule == Rule::PointerRange ||
                        failure_.rule == Rule::StackBounds;
    bytes_ = static_cast<int64_t>(insn->row().access_bytes());
    if (bounds) broken_ = *p;
    if (failure_.rule == Rule::NullDereference) null_ = p->base;
    // The interpreter sees it itself, but for a frame: those of a run lie side by side.
    observed_ = (bounds && kind != RegionKind::Stack) || failure_.rule == Rule::NullDereference;
}

/// The same of an argument of a helper.
void Way::decode_call() {
    const State& s = trail_->end();
    if (failure_.reg < 1 || failure_.reg > 5 || !s.is_set(static_cast<unsigned>(failure_.reg))) return;
    const auto reg = static_cast<unsigned>(failure_.reg);
    const Val v = s.reg(reg);
    if (failure_.rule == Rule::ArgumentSize) size_ = v;
    const bool bounds = failure_.rule == Rule::PacketBounds || failure_.rule == Rule::MapValueBounds ||
                        failure_.rule == Rule::MemoryBounds || failure_.rule == Rule::StackBounds ||
                        failure_.rule == Rule::PointerRange;
    const auto p = pointer_of(s, v);
    if (!bounds || !p) return;
    const auto id = static_cast<platform::HelperId>(subject_.program->bindings[failure_.insn].helper);
    const auto& helper = platform::helper_for(id, subject_.program->type);
    uint16_t map = verifier::no_map;
    for (unsigned r = 1; r <= 5 && map == verifier::no_map; ++r) {
        const auto m = s.is_set(r) ? pointer_of(s, s.reg(r)) : std::nullopt;
        if (m && s[m->base].region.kind == RegionKind::Map) map = s[m->base].region.map;
    }
    using platform::ArgKind;
    switch (helper.args[reg - 1]) {
        case ArgKind::MapKey: bytes_ = map < subject_.maps.size() ? subject_.maps[map].key_size : 0; break;
        case ArgKind::MapValue:
        case ArgKind::MapValueOrNull:
        case ArgKind::MapValueOut: bytes_ = map < subject_.maps.size() ? subject_.maps[map].value_size : 0; break;
        case ArgKind::I64Out:
        case ArgKind::U64Out: bytes_ = 8; break;
        case ArgKind::MemIn:
        case ArgKind::MemInOrNull:
        case ArgKind::MemOut:
        case ArgKind::MemOutOrNull:
        case ArgKind::MemInOut:
            if (s.is_set(reg + 1)) bytes_form_ = s.reg(reg + 1);
            break;
        default: return;
    }
    broken_ = *p;
}

std::string Way::prepare() {
    if (subject_.linked().code.size() > most_slots) return "the program is too long";
    std::string unsuited;
    trail_ = follow(subject_, failure_.path, failure_.insn, Turns::Open,
                    [&](size_t, const isa::Insn& insn, const State& before, State& after) {
                        if (unsuited.empty()) unsuited = observe(insn, before, after);
                    });
    if (!trail_ || !exact()) return "the way could not be followed again";
    if (!unsuited.empty()) return unsuited;
    for (const Ghost& g : trail_->end().ghosts) {
        const size_t index = g.cut / 2;
        if (index < inputs_.size()) (g.cut % 2 == 0 ? inputs_[index].value : inputs_[index].offset) = g.measure;
    }
    decode_failure();
    return {};
}

bool Way::breaks(Assignment& numbers) const {
    if (size_) {
        const uint64_t size = numbers.of(*size_);
        return failure_.what.find("may be 0") != std::string::npos ? size == 0 : size >= uint64_t{1} << 29;
    }
    if (!broken_) return true;
    const int64_t bytes = bytes_form_ ? static_cast<int64_t>(numbers.of(*bytes_form_)) : bytes_;
    if (bytes <= 0) return false;
    const Region& region = trail_->end()[broken_->base].region;
    const auto offset = static_cast<int64_t>(numbers.of(broken_->offset));
    int64_t low = 0, high = region.size;
    if (region.kind == RegionKind::Stack) low = -int64_t{stack_bytes}, high = 0;
    if (region.kind == RegionKind::Packet) {
        high = static_cast<int64_t>(numbers.of(region.length));
        if (region.meta != no_sym) low = -static_cast<int64_t>(numbers.of(region.meta));
    }
    // Near enough to be sure of what lies there: nothing.
    constexpr int64_t gap = 1 << 20;
    return (offset < low && offset > low - gap) || (offset > high - bytes && offset < high + gap) ||
           offset < -(int64_t{1} << 33) || offset > (int64_t{1} << 33);
}

}  // namespace skep::cli
