// SPDX-License-Identifier: Apache-2.0
// What the tests of the JIT run programs with: helpers in both calling conventions, the host's and the other one.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string_view>

#include "engine/jit/jit.hpp"
#include "isa/assemble.hpp"
#include "isa/insn.hpp"
#include "platform/helper.hpp"
#include "program/unverified.hpp"

// The convention that is not the host's.
#ifdef _WIN32
#define OTHER_ABI __attribute__((sysv_abi))
#else
#define OTHER_ABI __attribute__((ms_abi))
#endif

namespace skep::engine::jit::testing {

using isa::Op;
using platform::HelperId;

constexpr CallingConvention other_convention =
    host_convention == CallingConvention::SysV ? CallingConvention::Windows : CallingConvention::SysV;

// ---- what programs are run with

struct Variant {
    const char* name;
    bool other;
    bool extensions;
};
constexpr Variant variants[] = {
    {"host", false, true},
    {"host, baseline processor", false, false},
    {"other convention", true, true},
    {"other convention, baseline processor", true, false},
};

/// Weighs the arguments, so that no two may be mixed up, and breaks what a callee may break.
inline uint64_t weigh(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, skep_runtime_context* run) {
    return r1 + 10 * r2 + 100 * r3 + 1000 * r4 + 10000 * r5 + (run->lane == 7 ? 0 : 1000000);
}
inline OTHER_ABI uint64_t weigh_other(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5,
                                      skep_runtime_context* run) {
    return weigh(r1, r2, r3, r4, r5, run);
}

/// Calls the function in r1 for each number below r2 with the sum so far; stops when it returns not 0.
inline uint64_t fold(uint64_t callee, uint64_t times, uint64_t r3, uint64_t, uint64_t, skep_runtime_context* run) {
    uint64_t result = 0;
    for (uint64_t i = 0; i < times; ++i) result += run->call_back(run, callee, i, r3, 3, 4, 5);
    return result;
}
using OtherCallBack = OTHER_ABI uint64_t (*)(skep_runtime_context*, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                             uint64_t);
inline OTHER_ABI uint64_t fold_other(uint64_t callee, uint64_t times, uint64_t r3, uint64_t, uint64_t,
                                     skep_runtime_context* run) {
    uint64_t result = 0;
    for (uint64_t i = 0; i < times; ++i)
        result += reinterpret_cast<OtherCallBack>(run->call_back)(run, callee, i, r3, 3, 4, 5);
    return result;
}

/// The tail call's helper: r2 is the address of the entry itself, or 0.
inline uint64_t tail(uint64_t, uint64_t r2, uint64_t, uint64_t, uint64_t, skep_runtime_context*) { return r2; }
inline OTHER_ABI uint64_t tail_other(uint64_t, uint64_t r2, uint64_t, uint64_t, uint64_t, skep_runtime_context*) {
    return r2;
}

/// A packet of four bytes.
template <typename T>
uint64_t packet_bytes(uint64_t offset) {
    static constexpr uint8_t packet[] = {0x11, 0x22, 0x33, 0x44};
    if (offset > sizeof packet - sizeof(T)) return UINT64_MAX;
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) value = value << 8 | packet[offset + i];
    return value;
}
template <typename T>
uint64_t packet_load(uint64_t, uint64_t offset, uint64_t, uint64_t, uint64_t, skep_runtime_context*) {
    return packet_bytes<T>(offset);
}
template <typename T>
OTHER_ABI uint64_t packet_load_other(uint64_t, uint64_t offset, uint64_t, uint64_t, uint64_t, skep_runtime_context*) {
    return packet_bytes<T>(offset);
}

/// Lookup by call: tells the key that it read.
inline uint64_t lookup(uint64_t, uint64_t key, uint64_t, uint64_t, uint64_t, skep_runtime_context*) {
    uint32_t index;
    std::memcpy(&index, reinterpret_cast<const void*>(key), sizeof index);
    return 0xca110000 + index;
}
inline OTHER_ABI uint64_t lookup_other(uint64_t map, uint64_t key, uint64_t, uint64_t, uint64_t,
                                       skep_runtime_context* run) {
    return lookup(map, key, 0, 0, 0, run);
}

using Helpers = std::array<skep_helper_fn, platform::helper_count>;

inline Helpers helpers_of(bool other) {
    Helpers helpers{};
    const auto set = [&](HelperId id, skep_helper_fn host, auto foreign) {
        helpers[static_cast<size_t>(id)] = other ? reinterpret_cast<skep_helper_fn>(foreign) : host;
    };
    set(HelperId::CsumDiff, weigh, weigh_other);
    set(HelperId::Loop, fold, fold_other);
    set(HelperId::TailCall, tail, tail_other);
    set(HelperId::MapLookupElem, lookup, lookup_other);
    set(HelperId::PacketLoad1, packet_load<uint8_t>, packet_load_other<uint8_t>);
    set(HelperId::PacketLoad2, packet_load<uint16_t>, packet_load_other<uint16_t>);
    set(HelperId::PacketLoad4, packet_load<uint32_t>, packet_load_other<uint32_t>);
    return helpers;
}

/// Enters code of the other convention. Not inline: where the two conventions' calls meet in one function, gcc 12 takes
/// them for the same call.
[[gnu::noinline]] inline uint64_t enter_other(skep_entry entry, void* context, skep_runtime_context* run) {
    using Entry = OTHER_ABI uint64_t (*)(void*, skep_runtime_context*, const void*);
    return reinterpret_cast<Entry>(entry.function)(context, run, entry.self);
}

/// Programs bound as binding does it: helper numbers are Linux'.
inline BoundProgram bound(isa::Code code) {
    BoundProgram program;
    program.linked.name = "test";
    program.bindings.resize(code.size());
    for (size_t i = 0; i < code.size(); ++i) {
        const isa::Row* row = isa::match(code[i]);
        if (row == nullptr || row->op != Op::Call) continue;
        HelperId id;
        if (!platform::helper_from_linux(static_cast<uint32_t>(code[i].imm), &id)) continue;
        program.bindings[i].kind = BindingKind::Helper;
        program.bindings[i].helper = static_cast<uint16_t>(id);
    }
    program.linked.code = std::move(code);
    return program;
}

struct Outcome {
    uint64_t r0 = 0;
    uint32_t fault = 0;
    uint32_t frames = 0;
};

class Machine {
  public:
    explicit Machine(const Variant& variant) : variant_(variant), helpers_(helpers_of(variant.other)) {
        run_.size = sizeof run_;
        run_.abi = SKEP_RUNTIME_CONTEXT_ABI;
        run_.lane = 7;
        run_.helpers = helpers_.data();
        link_.helpers = helpers_;
    }

    Result<std::unique_ptr<CompiledCode>> compile(BoundProgram program, Facts facts = {}) {
        SKEP_ASSIGN(const ExecutableProgram executable, UnverifiedProgram::make(std::move(program), std::move(facts)));
        JitOptions options;
        options.convention = variant_.other ? other_convention : host_convention;
        options.processor_extensions = variant_.extensions;
        return jit::compile(executable, link_, options);
    }

    Outcome enter(const CompiledCode& code, void* context) {
        const skep_entry entry = code.entry();
        run_.fault = 0;
        Outcome out;
        out.r0 = variant_.other ? enter_other(entry, context, &run_) : entry.function(context, &run_, entry.self);
        out.fault = run_.fault;
        out.frames = run_.frames;
        return out;
    }

    Outcome run(BoundProgram program, void* context) {
        auto code = compile(std::move(program));
        if (!code) {
            ADD_FAILURE() << code.error().to_string();
            return {};
        }
        return enter(**code, context);
    }
    Outcome run_text(std::string_view text, void* context = nullptr) {
        auto code = isa::assemble(text);
        if (!code) {
            ADD_FAILURE() << code.error().to_string();
            return {};
        }
        return run(bound(*std::move(code)), context);
    }

    skep_runtime_context& context() { return run_; }
    LinkTable& link() { return link_; }

  private:
    Variant variant_;
    Helpers helpers_;
    LinkTable link_;
    skep_runtime_context run_{};
};

}  // namespace skep::engine::jit::testing
