// SPDX-License-Identifier: Apache-2.0
// The way to a failure is executed once more on abstract states, and every value that comes from outside (loads from
// the packet, from maps, from the context; results of helpers) is noted with what the way demands of it. Numbers that
// fit are drawn; those that do what the failure says are laid out in memory, and the interpreter, told which memory the
// program may touch, runs the program on them. Only what the interpreter confirms is called replayed.
#include "cli/verify/example.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "engine/interp/interp.hpp"
#include "isa/insn.hpp"
#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "program/unverified.hpp"
#include "verifier/report/trail.hpp"
#include "verifier/report/words.hpp"
#include "verifier/state/numbers.hpp"

namespace skep::cli {

namespace {

using namespace verifier;
using isa::InsnIndex;

constexpr unsigned most_draws = 3000;
constexpr unsigned most_runs = 60;
constexpr size_t most_slots = 20'000;
constexpr uint64_t most_block = 1u << 20;
constexpr size_t context_room = 8192, pointer_room = 4096;

/// A value from outside, as the way met it. Its form and the offset it was loaded from are ghosts of the last state.
struct Input {
    enum class Kind : uint8_t { Load, Context, Call } kind = Kind::Load;
    InsnIndex insn = 0;
    unsigned bytes = 0;
    Sym base = no_sym;      ///< Load: of the memory
    ContextAccess context;  ///< Context
    platform::HelperId helper{};
    uint16_t map = verifier::no_map;  ///< Call: of its first map argument
    Val value, offset;                ///< in the last state
};

/// 64-bit splitmix.
class Random {
  public:
    uint64_t word() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    uint64_t below(uint64_t bound) { return bound == 0 ? 0 : word() % bound; }

  private:
    uint64_t state_ = 1;
};

/// One number for every symbol of the last state.
class Assignment {
  public:
    Assignment(const State& s, unsigned attempt, Random& random) : s_(s), attempt_(attempt), random_(random) {
        values_.resize(s.symbols.size());
        for (const Symbol& symbol : s.symbols) {
            if (symbol.region.kind != RegionKind::Packet) continue;
            if (symbol.region.length != no_sym) lengths_.push_back(symbol.region.length);
            if (symbol.region.meta != no_sym) values_[symbol.region.meta] = s[symbol.region.meta].num.umin();
        }
    }

    void set(Sym sym, uint64_t value) { values_[sym] = value; }

    uint64_t of(Sym sym, unsigned depth = 0) {
        if (values_[sym]) return *values_[sym];
        const Symbol& symbol = s_[sym];
        uint64_t value = 0;
        if (symbol.is_base()) {
            value = 0;  // addresses cancel out, or do not matter
        } else if (symbol.def.any() && depth < 64) {
            const Num x = Num::constant(of(symbol.def.x, depth + 1)), y = Num::constant(of(symbol.def.y, depth + 1));
            value = alu_number(symbol.def.operation, symbol.def.is32, x, y).umin();
        } else {
            value = draw(sym, symbol.num);
        }
        values_[sym] = value;
        return value;
    }
    uint64_t of(const Val& v, unsigned depth = 0) {
        uint64_t sum = v.k;
        for (const Term& t : {v.a, v.b}) {
            if (t.factor != 0) sum += of(t.sym, depth) * static_cast<uint64_t>(int64_t{t.factor});
        }
        return sum;
    }

    /// Whether everything that is known of the symbols holds of the numbers.
    bool consistent() {
        for (Sym sym = 0; sym < s_.symbols.size(); ++sym) {
            if (!s_[sym].is_base() && !s_[sym].num.contains(of(sym))) return false;
        }
        return std::ranges::all_of(s_.relations, [&](const Relation& r) {
            if (s_[r.x].is_base() || s_[r.y].is_base()) return true;
            const auto x = static_cast<int64_t>(of(r.x)), y = static_cast<int64_t>(of(r.y));
            if (y > 0 && x < INT64_MIN + y) return true;  // less than any word
            if (y < 0 && x > INT64_MAX + y) return false;
            return x - y <= r.c;
        });
    }

  private:
    uint64_t draw(Sym sym, const Num& n) {
        // The first ones are the extremes that most mistakes show at: short packets, large numbers.
        const bool length = std::ranges::find(lengths_, sym) != lengths_.end();
        uint64_t wish = 0;
        uint64_t how = attempt_ < 4 ? attempt_ : random_.below(6);
        if (length && how != 2 && random_.below(4) != 0) how = 0;
        switch (how) {
            case 0: wish = n.umin(); break;
            case 1: wish = length ? n.umin() : n.umax(); break;
            case 2: wish = length ? n.umax() & 0xffff : n.umin(); break;
            case 3: wish = length ? n.umin() : n.wide.base; break;
            case 4: wish = n.umin() + random_.below(80); break;
            default:
                wish = n.wide.base + (n.wide.length == UINT64_MAX ? random_.word() : random_.below(n.wide.length + 1));
                break;
        }
        for (unsigned i = 0; i < 16; ++i) {
            const uint64_t fits = (wish & n.bits.mask) | n.bits.value;
            if (n.contains(fits)) return fits;
            wish = n.wide.base + random_.below(n.wide.length == UINT64_MAX ? 0 : n.wide.length + 1);
        }
        return n.umin();
    }

    const State& s_;
    const unsigned attempt_;
    Random& random_;
    std::vector<std::optional<uint64_t>> values_;
    std::vector<Sym> lengths_;
};

/// What a run's helpers answer, in the order of the calls.
struct Answers {
    struct Call {
        uint64_t result = 0;
        bool moves_packet = false;
        uint32_t entries = 0;  ///< an array of so many values: its key decides
        bool is_array = false;
    };
    std::vector<Call> calls;
    size_t next = 0;
    bool wrong = false;  ///< asked for what cannot be
    uint8_t* context = nullptr;
    std::vector<std::array<uint64_t, 3>> packets;  ///< data, data_end, data_meta
    size_t packet = 0;
    std::array<size_t, 3> slots{};  ///< where the context holds them; 0: nowhere

    void show_packet() const {
        for (size_t i = 0; i < 3 && packet < packets.size(); ++i) {
            if (slots[i] != 0) std::memcpy(context + slots[i], &packets[packet][i], 8);
        }
    }
};

uint64_t answer(uint64_t, uint64_t r2, uint64_t, uint64_t, uint64_t, skep_runtime_context* run) {
    auto& answers = *static_cast<Answers*>(run->host);
    if (answers.next >= answers.calls.size()) return 0;
    const Answers::Call& call = answers.calls[answers.next++];
    if (call.moves_packet && answers.packet + 1 < answers.packets.size()) {
        ++answers.packet;
        answers.show_packet();
    }
    if (call.is_array) {
        uint32_t key = 0;  // the way has proved that r2 leads to a key
        std::memcpy(&key, reinterpret_cast<const void*>(static_cast<uintptr_t>(r2)), sizeof key);
        if ((key < call.entries) != (call.result != 0)) answers.wrong = true;
    }
    return call.result;
}

class Replay {
  public:
    Replay(const Subject& subject, const Failure& failure) : subject_(subject), failure_(failure) {}

    ReplayedExample run() {
        ReplayedExample out;
        if (const std::string why = prepare(); !why.empty()) {
            out.outcome = "not replayed: " + why;
            return out;
        }
        Random random;
        unsigned runs = 0;
        for (unsigned attempt = 0; attempt < most_draws && runs < most_runs && unsuited_.empty(); ++attempt) {
            Assignment numbers(trail_->end(), attempt, random);
            if (!numbers.consistent() || !breaks(numbers)) continue;
            ++runs;
            if (!lay_out(numbers)) continue;
            if (!interpret()) continue;
            out.replayed = true;
            out.input = describe(numbers);
            out.outcome = told_;
            return out;
        }
        if (!unsuited_.empty()) {
            out.outcome = "not replayed: " + unsuited_;
            return out;
        }
        out.outcome = runs == 0 ? "not replayed: no input was found that takes this way"
                                : fmt::format("not replayed: none of {} inputs that were tried does it", runs);
        return out;
    }

    /// Whether the way, followed with nothing forgotten, ends in the same failure.
    bool exact() const { return trail_ && trail_->failure && trail_->failure->rule == failure_.rule; }

  private:
    std::string prepare() {
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

    std::string observe(const isa::Insn& insn, const State& before, State& after) {
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
    void decode_failure() {
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
    void decode_call() {
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
        uint16_t map = no_map_;
        for (unsigned r = 1; r <= 5 && map == no_map_; ++r) {
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

    bool breaks(Assignment& numbers) const {
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

    struct Block {
        uint64_t address = 0;  ///< of byte 0 of the region
        int64_t low = 0, high = 0;
        std::vector<bool> given;          ///< bytes that the way has read
        std::vector<uint8_t> first = {};  ///< what they were when it did: the run may write them
    };

    Block& block(Assignment& numbers, Sym base) {
        const auto known = blocks_.find(base);
        if (known != blocks_.end()) return known->second;
        const Region& region = trail_->end()[base].region;
        Block b;
        b.high = region.size;
        if (region.kind == RegionKind::Object) b.high = 512;
        if (region.kind == RegionKind::Packet) {
            b.high = static_cast<int64_t>(numbers.of(region.length));
            if (region.meta != no_sym) b.low = -static_cast<int64_t>(numbers.of(region.meta));
        }
        if (b.high < 0 || b.high > static_cast<int64_t>(most_block) || b.low < -4096) {
            fits_ = false;
            b.high = b.low = 0;
        }
        // Each in a piece of its own, with nothing that may be touched around it.
        constexpr size_t around = 4096;
        memory_.emplace_back(static_cast<size_t>(b.high - b.low) + 2 * around);
        b.address =
            (reinterpret_cast<uint64_t>(memory_.back().data()) + around + 15) / 16 * 16 - static_cast<uint64_t>(b.low);
        b.given.assign(static_cast<size_t>(b.high - b.low), false);
        regions_.push_back({b.address + static_cast<uint64_t>(b.low), static_cast<uint64_t>(b.high - b.low)});
        return blocks_.emplace(base, std::move(b)).first->second;
    }

    /// A form as the program will see it: addresses are those of the blocks.
    uint64_t seen(Assignment& numbers, const Val& v) {
        const auto p = pointer_of(trail_->end(), v);
        if (!p) return numbers.of(v);
        const Region& region = trail_->end()[p->base].region;
        if (region.nullable &&
            (null_ == p->base || failure_.rule == Rule::NullableArithmetic || failure_.rule == Rule::ArgumentNull))
            return numbers.of(p->offset);
        switch (region.kind) {
            case RegionKind::Packet:
            case RegionKind::MapValue:
            case RegionKind::MapKey:
            case RegionKind::Memory:
            case RegionKind::Object: return block(numbers, p->base).address + numbers.of(p->offset);
            case RegionKind::None:
            case RegionKind::Context:
            case RegionKind::Stack:
            case RegionKind::Map:
            case RegionKind::Function: return numbers.of(p->offset);
        }
        return 0;
    }

    bool lay_out(Assignment& numbers) {
        blocks_.clear(), regions_.clear(), memory_.clear();
        fits_ = true;
        answers_ = {};
        context_.assign(context_room, 0);
        answers_.context = context_.data();
        fields_.clear();
        bound_ = *subject_.program;
        // Pointers of the context get places of their own: host structs of some types have no room for them.
        std::map<uint16_t, uint16_t> places;
        for (Binding& binding : bound_.bindings) {
            if (binding.kind != BindingKind::Context || !binding.context.pointer) continue;
            const auto next = static_cast<uint16_t>(pointer_room + 8 * places.size());
            const uint16_t place = places.emplace(binding.context.field, next).first->second;
            binding.context.host_offset = place;
            switch (platform::context_field(static_cast<platform::FieldId>(binding.context.field)).kind) {
                case platform::FieldKind::Packet: answers_.slots[0] = place; break;
                case platform::FieldKind::PacketEnd: answers_.slots[1] = place; break;
                case platform::FieldKind::PacketMeta: answers_.slots[2] = place; break;
                default: break;
            }
        }
        const State& s = trail_->end();
        for (Sym sym = 0; sym < s.symbols.size(); ++sym) {
            if (s[sym].region.kind != RegionKind::Packet) continue;
            const Block& b = block(numbers, sym);
            answers_.packets.push_back(
                {b.address, b.address + static_cast<uint64_t>(b.high), b.address + static_cast<uint64_t>(b.low)});
        }
        // Globals: one block for each map, which every load of its address shares.
        map_values_.assign(subject_.maps.size(), nullptr);
        globals_.assign(subject_.maps.size(), Block{});
        for (uint16_t map = 0; map < subject_.maps.size(); ++map) {
            const MapInfo& info = subject_.maps[map];
            if (info.type != platform::MapType::Array || info.max_entries != 1) continue;
            if (info.value_size > most_block) return false;
            memory_.emplace_back(size_t{info.value_size} + 8192);
            Block& b = globals_[map];
            b.address = (reinterpret_cast<uint64_t>(memory_.back().data()) + 4096 + 15) / 16 * 16;
            b.high = info.value_size;
            b.given.assign(info.value_size, false);
            map_values_[map] = reinterpret_cast<uint8_t*>(static_cast<uintptr_t>(b.address));
            if (!info.constant.empty())
                std::memcpy(map_values_[map], info.constant.data(),
                            std::min<size_t>(info.constant.size(), info.value_size));
            regions_.push_back({b.address, b.given.size()});
            for (Sym sym = 0; sym < s.symbols.size(); ++sym) {
                const Region& region = s[sym].region;
                if (region.kind == RegionKind::MapValue && region.map == map) blocks_[sym] = b;
            }
        }
        for (const Input& input : inputs_) {
            if (!give(numbers, input) || !fits_) return false;
        }
        answers_.show_packet();
        return fits_;
    }

    bool give(Assignment& numbers, const Input& input) {
        const uint64_t value = seen(numbers, input.value);
        switch (input.kind) {
            case Input::Kind::Call: {
                Answers::Call call;
                call.result = value;
                const auto& helper = platform::helper_for(input.helper, subject_.program->type);
                call.moves_packet = (helper.effects & platform::helper_effect::Packet) != 0;
                if (input.map < subject_.maps.size() && input.helper == platform::HelperId::MapLookupElem &&
                    subject_.maps[input.map].type == platform::MapType::Array) {
                    call.is_array = true;
                    call.entries = subject_.maps[input.map].max_entries;
                }
                answers_.calls.push_back(call);
                return true;
            }
            case Input::Kind::Context: {
                const ContextAccess& c = input.context;
                if (c.pointer) {
                    const auto kind = platform::context_field(static_cast<platform::FieldId>(c.field)).kind;
                    if (kind == platform::FieldKind::Packet || kind == platform::FieldKind::PacketEnd ||
                        kind == platform::FieldKind::PacketMeta)
                        return true;
                    for (size_t i = 0; i < bound_.bindings.size(); ++i) {
                        const Binding& b = bound_.bindings[i];
                        if (b.kind == BindingKind::Context && b.context.pointer && b.context.field == c.field)
                            std::memcpy(context_.data() + b.context.host_offset, &value, 8);
                    }
                    return true;
                }
                if (size_t{c.host_offset} + 8 > pointer_room) return false;
                for (unsigned i = 0; i < c.access_bytes && c.part_offset + i < c.host_bytes; ++i) {
                    const unsigned place = c.byte_swap ? c.host_bytes - 1u - (c.part_offset + i) : c.part_offset + i;
                    context_[c.host_offset + place] = static_cast<uint8_t>(value >> (8 * i));
                }
                fields_[c.field] = value;
                return true;
            }
            case Input::Kind::Load: break;
        }
        if (input.base >= trail_->end().symbols.size()) return false;
        Block& b = block(numbers, input.base);
        const auto offset = static_cast<int64_t>(numbers.of(input.offset));
        if (offset < b.low || offset + static_cast<int64_t>(input.bytes) > b.high) return false;
        for (unsigned i = 0; i < input.bytes; ++i) {
            const auto at = static_cast<size_t>(offset - b.low) + i;
            auto* byte =
                reinterpret_cast<uint8_t*>(static_cast<uintptr_t>(b.address + static_cast<uint64_t>(offset) + i));
            const auto wanted = static_cast<uint8_t>(value >> (8 * i));
            if (b.given[at]) continue;  // read before: what it is now, the run decides
            b.given[at] = true;
            *byte = wanted;
            b.first.resize(b.given.size());
            b.first[at] = wanted;
        }
        return true;
    }

    bool interpret() {
        told_.clear();
        if (!observed_) {
            // Reaching it is what breaks the rule: the run is stopped there.
            bound_.bindings[failure_.insn] = {};
            bound_.bindings[failure_.insn].kind = BindingKind::Problem;
        }
        auto program = UnverifiedProgram::make(bound_);
        if (!program) {
            unsuited_ = "the interpreter does not take this program: " + program.error().what();
            return false;
        }
        helpers_.assign(platform::helper_count * 4, &answer);
        std::vector<void*> maps(bound_.maps.size());
        for (size_t i = 0; i < maps.size(); ++i) maps[i] = &maps[i];
        std::vector<uint8_t*> values(map_values_.begin(), map_values_.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                                    maps.size(), map_values_.size())));
        values.resize(maps.size());
        const engine::LinkTable table{.helpers = helpers_, .maps = maps, .layouts = {}, .map_values = values};
        engine::interp::Options options;
        options.check_accesses = true;
        options.step_limit = 100'000;
        options.regions = regions_;
        const auto code = engine::interp::compile(*program, table, options);
        if (!code) {
            unsuited_ = "the interpreter does not take this program: " + code.error().what();
            return false;
        }
        skep_runtime_context run{};
        run.size = sizeof run;
        run.abi = SKEP_RUNTIME_CONTEXT_ABI;
        run.helpers = helpers_.data();
        run.host = &answers_;
        engine::run(**code, context_.data(), run);
        const auto wanted = observed_ ? SKEP_FAULT_BAD_ACCESS : SKEP_FAULT_BAD_CALL;
        if (answers_.wrong || run.fault != static_cast<uint32_t>(wanted) || run.fault_insn != failure_.insn)
            return false;
        told_ = observed_ ? fmt::format(
                                "replayed in the interpreter: at instruction {} the run leaves the memory it may touch",
                                failure_.insn)
                          : fmt::format("replayed in the interpreter: the run gets to instruction {}", failure_.insn);
        return true;
    }

    /// "byte 0 = 4f, bytes 12 to 13 = 08 00": what the way read, the rest may be anything.
    static std::string bytes_text(const Block& b) {
        std::string text;
        size_t told = 0;
        for (size_t i = 0; i < b.given.size();) {
            if (!b.given[i]) {
                ++i;
                continue;
            }
            size_t end = i;
            std::string run;
            for (; end < b.given.size() && b.given[end] && end - i < 32; ++end) {
                run += fmt::format(" {:02x}", b.first[end]);
            }
            const int64_t first = b.low + static_cast<int64_t>(i), last = b.low + static_cast<int64_t>(end) - 1;
            const std::string place =
                first == last ? fmt::format("byte {}", first) : fmt::format("bytes {} to {}", first, last);
            text += fmt::format("{}{} ={}", text.empty() ? "" : ", ", place, run);
            i = end;
            if (++told == 8) return text + ", ...";
        }
        return text;
    }

    std::vector<std::string> describe(Assignment& numbers) {
        std::vector<std::string> lines;
        const State& s = trail_->end();
        for (const auto& [sym, b] : blocks_) {
            const Region& region = s[sym].region;
            const auto size = b.high - b.low;
            std::string bytes = bytes_text(b);
            if (!bytes.empty()) bytes = ": " + bytes;
            if (region.kind == RegionKind::Packet) {
                lines.push_back(fmt::format("a packet of {} byte{}{}", b.high, b.high == 1 ? "" : "s", bytes));
            } else if (!bytes.empty()) {
                lines.push_back(fmt::format("{}, {} bytes{}", region_words(subject_, region), size, bytes));
            }
        }
        for (const auto& [field, value] : fields_) {
            lines.push_back(
                fmt::format("{} = {}", platform::context_field(static_cast<platform::FieldId>(field)).name, value));
        }
        for (const Input& input : inputs_) {
            if (input.kind != Input::Kind::Call) continue;
            const auto& helper = platform::helper_for(input.helper, subject_.program->type);
            if (helper.result == platform::ResultKind::Void) continue;
            const auto p = pointer_of(s, input.value);
            const bool null = p ? seen(numbers, input.value) == 0 : numbers.of(input.value) == 0;
            const bool address =
                helper.result != platform::ResultKind::Scalar && helper.result != platform::ResultKind::Status;
            const std::string result =
                address ? (null ? "null" : "found") : fmt::format("{}", static_cast<int64_t>(numbers.of(input.value)));
            lines.push_back(fmt::format("bpf_{} at instruction {} gives {}", helper.name, input.insn, result));
        }
        if (lines.empty()) lines.push_back("any input");
        return lines;
    }

    const Subject& subject_;
    const Failure& failure_;
    std::optional<Trail> trail_;
    std::vector<Input> inputs_;
    std::optional<Pointer> broken_;
    Sym null_ = no_sym;
    int64_t bytes_ = 0;
    std::optional<Val> bytes_form_;  ///< the size of an argument, where it is no constant
    std::optional<Val> size_;        ///< a size that is itself the mistake
    static constexpr uint16_t no_map_ = verifier::no_map;
    bool observed_ = false;

    // Of one attempt.
    BoundProgram bound_;
    std::map<Sym, Block> blocks_;
    std::vector<Block> globals_;
    std::vector<std::vector<uint8_t>> memory_;
    std::vector<engine::interp::Region> regions_;
    std::vector<uint8_t*> map_values_;
    std::vector<uint8_t> context_;
    std::vector<skep_helper_fn> helpers_;
    std::map<uint16_t, uint64_t> fields_;
    Answers answers_;
    std::string told_, unsuited_;
    bool fits_ = true;
};

}  // namespace

std::optional<ReplayedExample> find_example(const Subject& subject, const Failure& failure) {
    if (rule_kind(failure.rule) != RuleKind::Safety || failure.state == nullptr) return {};
    Replay replay(subject, failure);
    ReplayedExample out = replay.run();
    // What is only not proved needs no word on an input that was not found.
    if (!out.replayed && !failure.certain) return {};
    return out;
}

}  // namespace skep::cli
