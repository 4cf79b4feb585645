// SPDX-License-Identifier: Apache-2.0
// Random programs over what both systems have (DESIGN.md section 3), written once in canonical words and put into
// either system's numbers: helper ids, context offsets and widths, map types, verdicts, error numbers. Bound, verified
// and run, both must say, store and write the same. SKEP_PROGRAMS is how many (script/personalities runs 10^5),
// SKEP_SEED where they begin. Every row that both systems have must have been executed at least 100 times (a fortieth
// of the programs in the short form). No row is exempt.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <random>

#include "canonical_writer.hpp"
#include "cli/run/map_access.hpp"
#include "hooks/context/context_session.hpp"
#include "hooks/packet/packet_session.hpp"
#include "isa/insn.hpp"
#include "maps/prog_array.hpp"
#include "platform/context.hpp"
#include "platform/ebpf_result.hpp"
#include "platform/map_type.hpp"
#include "platform/platforms/platform.hpp"
#include "platform/verdict.hpp"
#include "program/bind.hpp"
#include "runtime/core/helpers.hpp"
#include "runtime/load/engines.hpp"
#include "runtime/load/object_maps.hpp"
#include "runtime/load/verify_program.hpp"

namespace skep {
namespace {

using namespace canonical;

// ---- running

/// What one run left.
struct Left {
    Verdict verdict = {};
    uint64_t r0 = 0;  ///< of types whose answer is the number itself
    std::string bytes;
    std::vector<std::string> maps;  ///< by index
    uint32_t fault = 0;
    bool operator==(const Left&) const = default;
};

/// One personality on one engine: maps that live as long as it. One lane, so that the CPU is always the same one.
class Side {
  public:
    Side(Personality p, runtime::EngineKind engine)
        : p_(p),
          engine_(engine),
          spec_(make_spec(p)),
          lanes_(Lanes::create(1)),
          helpers_(runtime::helper_functions(), runtime::helper_functions() + 2 * runtime::helper_functions_count) {
        helpers_[row(HelperId::RingbufOutput)] = failing_output;
        helpers_[runtime::helper_functions_count + row(HelperId::RingbufOutput)] = failing_output_windows;
        maps::MapEnv env;
        env.lanes = lanes_.get();
        env.hash_seed = 1;
        auto made = runtime::make_maps(spec_, p, env, std::vector<bool>(map_count, true));
        if (!made) {
            ADD_FAILURE() << made.error().to_string();
            return;
        }
        maps_ = *std::move(made);
        const LaneGuard lane(*lanes_);
        const uint32_t key = 2, queue = 9;
        EXPECT_TRUE(maps_[Sockets]->write(&key, &queue, 0, lane.lane()).ok());
    }
    ~Side() {
        maps::ProgArray::of(maps_[Stages].get())->clear();
        maps_.clear();
        lanes_->drain();
    }

    std::string run(const isa::Code& code, Kind kind, Bytes packet, std::span<const std::byte> context, uint64_t seed,
                    Left* left) {
        auto compiled = compile(code, kind);
        if (!compiled) return compiled.error().to_string();
        auto stage = compile(stage_code(kind), kind);
        if (!stage) return stage.error().to_string();
        maps::ProgArray* const stages = maps::ProgArray::of(maps_[Stages].get());
        // What stood there lives until the batch ends: no epoch has to pass for it.
        maps::ProgramObject& object = objects_.emplace_back();
        stages_.push_back(*std::move(stage));
        object.entry = stages_.back()->entry();
        object.on_retain = [](maps::ProgramObject*) {};
        object.on_release = [](maps::ProgramObject*) {};
        const uint32_t zero = 0;
        if (!stages->set(&zero, &object, 0).ok()) return "the stage is not taken";
        const runtime::Chance chance = runtime::Chance::from_seed(seed);
        if (kind.type == ProgramType::Xdp) {
            auto session = hooks::PacketSession::open(*lanes_, kind.type, p_,
                                                      {.ifindex = 3, .rx_queue = 0, .chance = chance, .log = {}});
            if (!session) return session.error().to_string();
            const hooks::PacketResult result = (*session)->run((*compiled)->entry(), packet);
            left->verdict = result.outcome.verdict;
            left->fault = result.fault;
            left->bytes.assign(reinterpret_cast<const char*>(result.packet.data()), result.packet.size());
        } else {
            auto session = hooks::ContextSession::open(*lanes_, kind.type, p_, chance, {});
            if (!session) return session.error().to_string();
            std::vector<uint64_t> words((context.size() + 7) / 8);
            std::memcpy(words.data(), context.data(), context.size());
            const std::span<std::byte> mine{reinterpret_cast<std::byte*>(words.data()), context.size()};
            const hooks::ContextResult result = (*session)->run((*compiled)->entry(), mine);
            left->verdict = result.verdict;
            left->fault = result.fault;
            if (kind.type == ProgramType::SockOps) left->r0 = result.r0;
            left->bytes.assign(reinterpret_cast<const char*>(mine.data()), mine.size());
        }
        left->maps = contents();
        return {};
    }

    uint64_t rows(uint32_t n) {
        uint64_t value = 0;
        std::memcpy(&value, maps_[Rows]->direct_value() + 8 * n, 8);
        return value;
    }

  private:
    /// What a tail call reaches: the verdict that r7 would have is not known there, so a constant one.
    isa::Code stage_code(Kind kind) const {
        isa::Code code;
        int32_t number = 1;
        if (kind.type == ProgramType::Xdp) number = p_ == Personality::Linux ? 2 : 1;  // pass
        isa::append(code, {.op = Op::Mov64K, .dst = 0, .imm = number});
        isa::append(code, {.op = Op::Exit});
        return code;
    }

    Result<std::unique_ptr<engine::CompiledCode>> compile(const isa::Code& code, Kind kind) {
        object::LinkedProgram linked;
        linked.name = "generated";
        linked.section = "generated";
        linked.code = code;
        linked.subprograms = {{"generated", 0, static_cast<isa::InsnIndex>(code.size()), true}};
        for (uint32_t i = 0; i < map_count; ++i) linked.maps.push_back(i);
        SKEP_ASSIGN(
            BoundProgram bound,
            bind(spec_, linked, {.type = kind.type, .attach = kind.attach, .personality = p_, .keep_problems = true}));
        SKEP_ASSIGN(const ExecutableProgram program, runtime::verify_program(spec_, std::move(bound)));
        std::vector<void*> words;
        std::vector<MapLayout> layouts;
        std::vector<uint8_t*> values;
        for (const runtime::MapRef& map : maps_) {
            words.push_back(map.get());
            layouts.push_back(map->layout());
            values.push_back(map->direct_value());
        }
        return runtime::compile_with(engine_, program,
                                     {.helpers = helpers_, .maps = words, .layouts = layouts, .map_values = values});
    }

    /// Every entry of every map but the ones whose reading would empty them; those are read by programs.
    std::vector<std::string> contents() {
        std::vector<std::string> all(map_count);
        for (uint32_t i = 0; i < map_count; ++i) {
            const MapType type = map_types[i];
            std::string& text = all[i];
            if (type == MapType::Queue || type == MapType::Stack || type == MapType::Ringbuf ||
                type == MapType::PerfEventArray)
                continue;
            if (i == Rows || i == Answers) {
                text.append(reinterpret_cast<const char*>(maps_[i]->direct_value()), maps_[i]->def().value_size);
                continue;
            }
            const cli::MapContents contents = cli::read_contents(*maps_[i], *lanes_, {});
            for (const cli::MapEntry& entry : contents.entries) {
                text += static_cast<char>(i);
                text.append(reinterpret_cast<const char*>(entry.key.data()), entry.key.size());
                for (const cli::Buffer& value : entry.values)
                    text.append(reinterpret_cast<const char*>(value.data()), value.size());
            }
        }
        return all;
    }

    Personality p_;
    runtime::EngineKind engine_;
    object::ObjectSpec spec_;
    struct LanesDestroyer {
        void operator()(Lanes* lanes) const { lanes->destroy(); }
    };
    std::unique_ptr<Lanes, LanesDestroyer> lanes_;
    std::vector<skep_helper_fn> helpers_;
    std::vector<runtime::MapRef> maps_;
    std::vector<std::unique_ptr<engine::CompiledCode>> stages_;
    std::deque<maps::ProgramObject> objects_;
};

uint64_t setting(const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

/// A context that makes sense on both systems.
std::vector<std::byte> make_context(Kind kind, std::mt19937_64& random) {
    std::vector<std::byte> bytes(platform::host_context_bytes(*platform::context_of(kind.type)));
    const auto set = [&](FieldId id, uint32_t value, unsigned word = 0) {
        std::memcpy(bytes.data() + platform::context_field(id).host_offset + 4 * size_t{word}, &value, 4);
    };
    const auto any = [&] { return static_cast<uint32_t>(random()); };
    const bool ip6 = kind.attach == AttachType::Connect6 || kind.attach == AttachType::Sendmsg6 || (any() & 1) != 0;
    if (kind.type == ProgramType::CgroupSockAddr) {
        set(FieldId::SockAddrUserFamily, ip6 ? 10 : 2);
        set(FieldId::SockAddrUserPort, any() & 0xffff);
        set(FieldId::SockAddrProtocol, (any() & 1) != 0 ? 6 : 17);
        set(FieldId::SockAddrUserIp4, any());
        set(FieldId::SockAddrMsgSrcIp4, any());
        for (unsigned i = 0; i < 4; ++i)
            set(FieldId::SockAddrUserIp6, any(), i), set(FieldId::SockAddrMsgSrcIp6, any(), i);
    } else {
        static constexpr uint32_t ops[] = {4, 5, 10};
        set(FieldId::SockOpsOp, ops[any() % 3]);
        set(FieldId::SockOpsFamily, ip6 ? 10 : 2);
        set(FieldId::SockOpsLocalIp4, any());
        set(FieldId::SockOpsRemoteIp4, any());
        for (unsigned i = 0; i < 4; ++i)
            set(FieldId::SockOpsLocalIp6, any(), i), set(FieldId::SockOpsRemoteIp6, any(), i);
        set(FieldId::SockOpsLocalPort, any() & 0xffff);
        set(FieldId::SockOpsRemotePort, any() << 16);
    }
    const uint64_t cookie = random();
    std::memcpy(bytes.data() + (kind.type == ProgramType::SockOps ? offsetof(platform::HostSockOps, socket_cookie)
                                                                  : offsetof(platform::HostSockAddr, socket_cookie)),
                &cookie, sizeof cookie);
    hooks::fill_windows_view(kind.type, bytes);
    return bytes;
}

/// Whether a verdict has a number there; which numbers mean something is the personality's own.
bool can_say(ProgramType type, Personality p, Verdict verdict) {
    for (uint64_t number = 0; number < 16; ++number)
        if (platform::outcome_of(type, p, number, UINT32_MAX).verdict == verdict) return true;
    return false;
}

/// Every row that both systems have, by name. None is left out.
std::map<uint32_t, std::string> shared_rows() {
    std::map<uint32_t, std::string> out;
    std::vector<ProgramType> both_types;
    for (uint32_t i = 1; i < 64; ++i)
        if (const auto type = platform::program_type_from_linux(i);
            type && platform::program_type_windows_id(*type) != 0)
            both_types.push_back(*type);
    for (uint32_t i = 0; i < platform::helper_count; ++i) {
        const auto id = static_cast<HelperId>(i);
        const platform::HelperRow& helper = platform::helper(id);
        if (helper.linux_id == 0) continue;
        const bool windows =
            std::ranges::any_of(both_types, [&](ProgramType t) { return platform::windows_helper_number(id, t) != 0; });
        if (windows) out[row(id)] = std::string("helper ") + helper.name;
    }
    for (const platform::FieldRow& field : platform::context_fields())
        if (field.linux_bytes != 0 && field.windows_bytes != 0) out[row(field.id)] = std::string("field ") + field.name;
    for (uint32_t i = 1; i <= 33; ++i) {
        MapType type{};
        if (platform::map_type_from_linux(i, &type) && platform::map_type_windows_id(type) != 0)
            out[row(type)] = std::string("map type ") + platform::map_type_name(type);
    }
    for (const ProgramType type : both_types)
        for (const Verdict verdict : platform::verdicts_of(type))
            if (can_say(type, Personality::Linux, verdict) && can_say(type, Personality::Windows, verdict))
                out[row(verdict)] = std::string("verdict ") + platform::verdict_name(verdict);
    for (uint32_t i = 0; i < std::size(platform::ebpf_result_rows); ++i)
        out[first_error + i] = "error " + std::to_string(platform::ebpf_result_rows[i].errno_number) + " = " +
                               std::to_string(platform::ebpf_result_rows[i].number);
    return out;
}

TEST(Personalities, TheSameProgramInEitherSystemsNumbersDoesTheSame) {
    const uint64_t programs = setting("SKEP_PROGRAMS", 1000), seed = setting("SKEP_SEED", 1);
    static constexpr Kind kinds[] = {
        {ProgramType::Xdp, AttachType::Xdp},
        {ProgramType::Xdp, AttachType::Xdp},
        {ProgramType::Xdp, AttachType::Xdp},
        {ProgramType::SockOps, AttachType::None},
        {ProgramType::CgroupSockAddr, AttachType::Connect4},
        {ProgramType::CgroupSockAddr, AttachType::Connect6},
        {ProgramType::CgroupSockAddr, AttachType::Sendmsg4},
        {ProgramType::CgroupSockAddr, AttachType::Sendmsg6},
    };
    constexpr uint64_t batch = 50;
    const auto engines = runtime::available_engines();
    ASSERT_FALSE(engines.empty());
    std::vector<uint64_t> reached(row_count);
    std::map<Verdict, uint64_t> verdicts;
    uint64_t slots = 0;
    for (uint64_t begin = 0; begin < programs; begin += batch) {
        std::vector<std::unique_ptr<Side>> sides;
        for (const runtime::EngineKind engine : engines)
            for (const Personality p : {Personality::Linux, Personality::Windows})
                sides.push_back(std::make_unique<Side>(p, engine));
        if (HasFatalFailure() || HasFailure()) return;
        for (uint64_t i = begin; i < std::min(begin + batch, programs); ++i) {
            const uint64_t own = seed * 1'000'003 + i;
            std::mt19937_64 random(own ^ 0x5eed);
            const Kind kind = kinds[random() % std::size(kinds)];
            std::vector<std::byte> packet(60 + random() % 100);
            for (std::byte& byte : packet) byte = static_cast<std::byte>(random());
            const std::vector<std::byte> context =
                kind.type == ProgramType::Xdp ? std::vector<std::byte>() : make_context(kind, random);
            Left first;
            for (size_t s = 0; s < sides.size(); ++s) {
                const isa::Code code =
                    Writer(own, kind, s % 2 == 0 ? Personality::Linux : Personality::Windows).write();
                slots += code.size();
                Left left;
                const std::string error = sides[s]->run(code, kind, packet, context, own, &left);
                ASSERT_EQ(error, "") << "program " << i << " of seed " << seed << ", side " << s;
                ASSERT_EQ(left.fault, 0u) << "program " << i;
                if (s == 0) first = left;
                ASSERT_EQ(left.verdict, first.verdict) << "program " << i << " of seed " << seed << ", side " << s;
                ASSERT_EQ(left.r0, first.r0) << "program " << i << ", side " << s;
                ASSERT_TRUE(left.bytes == first.bytes) << "packet or context of program " << i << ", side " << s;
                for (uint32_t m = 0; m < map_count; ++m)
                    ASSERT_TRUE(left.maps[m] == first.maps[m])
                        << "map " << m << " of type " << platform::map_type_name(map_types[m]) << ", program " << i
                        << ", side " << s;
            }
            ++verdicts[first.verdict];
        }
        for (uint32_t n = 0; n < row_count; ++n) reached[n] += sides[0]->rows(n);
    }
    std::printf("%llu programs, %zu engines, %llu instructions of either system on each\n",
                static_cast<unsigned long long>(programs), engines.size(),
                static_cast<unsigned long long>(slots / engines.size() / 2));
    for (const auto& [verdict, count] : verdicts)
        std::printf("  said %-12s %8llu\n", platform::verdict_name(verdict), static_cast<unsigned long long>(count));
    for (const auto& [n, name] : shared_rows()) {
        std::printf("  %-32s %8llu\n", name.c_str(), static_cast<unsigned long long>(reached[n]));
        EXPECT_GE(reached[n], std::min<uint64_t>(100, programs / 40)) << name;
    }
}

}  // namespace
}  // namespace skep
