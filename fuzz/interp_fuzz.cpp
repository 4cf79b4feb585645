// SPDX-License-Identifier: Apache-2.0
// Arbitrary programs past the verifier: refused cleanly, or run by the checked interpreter inside their memory and
// steps, with the same result in both dispatches.
//
// seeds: build/dev/tests/objects/*.o
#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"
#include "engine/interp/interp.hpp"
#include "isa/insn.hpp"
#include "platform/helper.hpp"
#include "program/unverified.hpp"
#include "require.hpp"

namespace {

using namespace skep;

uint64_t add_up(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, skep_runtime_context*) {
    return r1 + 3 * r2 + 5 * r3 + 7 * r4 + 11 * r5;
}
uint64_t loop(uint64_t times, uint64_t callback, uint64_t context, uint64_t, uint64_t, skep_runtime_context* run) {
    uint64_t i = 0;
    for (; i < (times & 7) && run->fault == SKEP_FAULT_NONE; ++i) {
        if (run->call_back(run, callback, i, context, 0, 0, 0) != 0) break;
    }
    return i;
}

struct Outcome {
    uint64_t r0 = 0;
    uint32_t fault = 0, fault_insn = 0;
    bool operator==(const Outcome&) const = default;
};

alignas(16) uint8_t memory[64];

Outcome run_once(const ExecutableProgram& program, engine::interp::Dispatch dispatch) {
    static std::vector<skep_helper_fn> helpers = [] {
        std::vector<skep_helper_fn> all(platform::helper_count, &add_up);
        all[static_cast<size_t>(platform::HelperId::Loop)] = &loop;
        all[static_cast<size_t>(platform::HelperId::TailCall)] = nullptr;  // its answer would be an address
        return all;
    }();
    engine::LinkTable table;
    table.helpers = helpers;
    engine::interp::Options options;
    options.dispatch = dispatch;
    options.step_limit = 4096;
    options.check_accesses = true;
    options.regions = {{reinterpret_cast<uintptr_t>(memory), sizeof memory}};
    const auto code = engine::interp::compile(program, table, options);
    if (!code) return {0, UINT32_MAX, code.error().where().insn.value_or(0)};
    for (size_t i = 0; i < sizeof memory; ++i) memory[i] = static_cast<uint8_t>(i * 37);
    skep_runtime_context run{};
    run.helpers = helpers.data();
    const uint64_t r0 = engine::run(**code, memory, run);
    require(run.frames == 0);
    require(run.fault == SKEP_FAULT_NONE || run.fault_insn < program.bound().linked.code.size() ||
            run.fault == SKEP_FAULT_BAD_CALL);
    return {r0, run.fault, run.fault_insn};
}

/// Whether the result may depend on where things lie in memory: the stacks of the two runs are at different places.
bool may_see_addresses(const isa::Code& code) {
    for (const isa::Slot& slot : code) {
        const isa::Row* row = isa::match(slot);
        if (row == nullptr) continue;
        const bool uses_r10 = (row->has_src() && slot.src_reg() == isa::frame_register) ||
                              (row->has_dst() && slot.dst_reg() == isa::frame_register);
        if (uses_r10 && !row->is_memory()) return true;  // the address itself gets into another register
        if (uses_r10 && row->writes_memory() && row->has_src() && slot.src_reg() == isa::frame_register) return true;
    }
    return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const Bytes bytes = std::as_bytes(std::span(data, size));
    BoundProgram bound;
    isa::Code& code = bound.linked.code;
    for (size_t at = 0; at + 8 <= bytes.size() && code.size() < 256; at += 8) {
        code.push_back({*read_le<uint8_t>(bytes, at), *read_le<uint8_t>(bytes, at + 1),
                        *read_le<int16_t>(bytes, at + 2), *read_le<int32_t>(bytes, at + 4)});
    }
    bound.bindings.resize(code.size());
    for (size_t i = 0; i < code.size(); ++i) {
        const isa::Row* row = isa::match(code[i]);
        platform::HelperId id{};
        if (row == nullptr || row->op != isa::Op::Call ||
            !platform::helper_from_linux(static_cast<uint32_t>(code[i].imm), &id)) {
            continue;
        }
        bound.bindings[i].kind = BindingKind::Helper;
        bound.bindings[i].helper = static_cast<uint16_t>(id);
    }
    const auto program = UnverifiedProgram::make(std::move(bound));
    if (!program) {
        const Errc error = program.error().code();
        require(error == Errc::UnknownOpcode || error == Errc::BadInstruction || error == Errc::Truncated);
        return 0;
    }
    const Outcome threaded = run_once(*program, engine::interp::Dispatch::Threaded);
    uint8_t left[sizeof memory];
    std::memcpy(left, memory, sizeof memory);
    const Outcome plain = run_once(*program, engine::interp::Dispatch::Switch);
    if (!may_see_addresses(program->bound().linked.code)) {
        require(threaded == plain);
        require(std::memcmp(left, memory, sizeof memory) == 0);
    }
    return 0;
}
