// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/example_memory.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "program/unverified.hpp"
#include "verifier/report/words.hpp"

namespace skep::cli {

using namespace verifier;

namespace {

constexpr uint64_t most_block = 1u << 20;
constexpr size_t context_room = 8192, pointer_room = 4096;

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

}  // namespace

Attempt::Block& Attempt::block(Assignment& numbers, Sym base) {
    const auto known = blocks_.find(base);
    if (known != blocks_.end()) return known->second;
    const Region& region = way_.end()[base].region;
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

uint64_t Attempt::seen(Assignment& numbers, const Val& v) {
    const auto p = pointer_of(way_.end(), v);
    if (!p) return numbers.of(v);
    const Region& region = way_.end()[p->base].region;
    if (region.nullable &&
        (way_.null() == p->base || failure_.rule == Rule::NullableArithmetic || failure_.rule == Rule::ArgumentNull))
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

bool Attempt::lay_out(Assignment& numbers) {
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
    const State& s = way_.end();
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
    for (const Input& input : way_.inputs()) {
        if (!give(numbers, input) || !fits_) return false;
    }
    answers_.show_packet();
    return fits_;
}

bool Attempt::give(Assignment& numbers, const Input& input) {
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
    if (input.base >= way_.end().symbols.size()) return false;
    Block& b = block(numbers, input.base);
    const auto offset = static_cast<int64_t>(numbers.of(input.offset));
    if (offset < b.low || offset + static_cast<int64_t>(input.bytes) > b.high) return false;
    for (unsigned i = 0; i < input.bytes; ++i) {
        const auto at = static_cast<size_t>(offset - b.low) + i;
        auto* byte = reinterpret_cast<uint8_t*>(static_cast<uintptr_t>(b.address + static_cast<uint64_t>(offset) + i));
        const auto wanted = static_cast<uint8_t>(value >> (8 * i));
        if (b.given[at]) continue;  // read before: what it is now, the run decides
        b.given[at] = true;
        *byte = wanted;
        b.first.resize(b.given.size());
        b.first[at] = wanted;
    }
    return true;
}

bool Attempt::interpret() {
    told_.clear();
    if (!way_.observed()) {
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
    const auto wanted = way_.observed() ? SKEP_FAULT_BAD_ACCESS : SKEP_FAULT_BAD_CALL;
    if (answers_.wrong || run.fault != static_cast<uint32_t>(wanted) || run.fault_insn != failure_.insn) return false;
    told_ = way_.observed()
                ? fmt::format("replayed in the interpreter: at instruction {} the run leaves the memory it may touch",
                              failure_.insn)
                : fmt::format("replayed in the interpreter: the run gets to instruction {}", failure_.insn);
    return true;
}

std::string Attempt::bytes_text(const Block& b) {
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

std::vector<std::string> Attempt::describe(Assignment& numbers) {
    std::vector<std::string> lines;
    const State& s = way_.end();
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
    for (const Input& input : way_.inputs()) {
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

}  // namespace skep::cli
